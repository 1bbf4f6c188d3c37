#include "cluster/join_message.h"

#include <string.h>

#include "cluster/hello.h"

enum { VERSION = 1 };

static void put_string(struct buf *out, const char *text)
{
    buf_put_blob(out, text, strlen(text));
}

void join_ask_put(struct buf *out, const struct join_ask *ask)
{
    buf_put_u8(out, VERSION);
    buf_put_u64(out, ask->id);
    buf_put_u64(out, ask->incarnation);
    buf_put_u64(out, ask->replaces);
    put_string(out, ask->address);
    put_string(out, ask->api_address);
    put_string(out, ask->cluster_name);
    put_string(out, ask->semantics);
}

void join_answer_put(struct buf *out, const struct join_answer *answer)
{
    bool joined = answer->error.code == Q_OK;

    buf_put_u8(out, VERSION);
    buf_put_u16(out, (uint16_t)answer->error.code);
    put_string(out, joined ? "" : answer->error.text);
    buf_put_u64(out, answer->id);
    buf_put_bytes(out, answer->cluster_id, PEERS_CLUSTER_ID_BYTES);
    put_string(out, answer->cluster_name);
    buf_put_u32(out, joined ? answer->count : 0);
    for (unsigned i = 0; i < answer->count && joined; i++) {
        const struct member *m = &answer->members[i];
        buf_put_u64(out, m->id);
        buf_put_u64(out, m->incarnation);
        buf_put_u64(out, m->changed);
        buf_put_u8(out, (uint8_t)m->state);
        put_string(out, m->address);
    }
}

/* At most MAX bytes, none of them a control character; anything else makes C bad. */
static void get_string(struct cursor *c, char *ret_text, size_t max)
{
    struct cursor text = cursor_blob(c);
    size_t n = cursor_left(&text);

    c->bad = c->bad || n > max;
    for (size_t i = 0; i < n && !c->bad; i++) {
        c->bad = text.p[i] < ' ' || text.p[i] == 127;
        ret_text[i] = (char)text.p[i];
    }
    ret_text[c->bad ? 0 : n] = '\0';
}

static void get_address(struct cursor *c, char ret_address[PEERS_ADDRESS_MAX + 1])
{
    get_string(c, ret_address, PEERS_ADDRESS_MAX);
    c->bad = c->bad || !hello_address_ok(ret_address, strlen(ret_address));
}

static int check_version(struct cursor *c, const char *what, struct error *e)
{
    uint8_t version = cursor_u8(c);
    return version == VERSION ? 0
                              : error_set(e, Q_MISMATCH, "a %s of version %u came, this node knows %d", what,
                                          (unsigned)version, VERSION);
}

int join_ask_get(const void *p, size_t n, struct join_ask *ret_ask, struct error *e)
{
    struct cursor c = cursor_of(p, n);
    struct join_ask ask = {.id = 0};
    int rv = check_version(&c, "JOIN", e);

    if (rv != 0) {
        return rv;
    }
    ask.id = cursor_u64(&c);
    ask.incarnation = cursor_u64(&c);
    ask.replaces = cursor_u64(&c);
    get_address(&c, ask.address);
    get_address(&c, ask.api_address);
    get_string(&c, ask.cluster_name, JOIN_NAME_MAX);
    get_string(&c, ask.semantics, JOIN_SEMANTICS_MAX);
    if (c.bad || cursor_left(&c) != 0 || ask.address[0] == '\0') {
        return error_set(e, Q_CORRUPT, "a JOIN of %zu bytes is not understood", n);
    }
    *ret_ask = ask;
    return 0;
}

static void get_member(struct cursor *c, struct member *ret_member)
{
    ret_member->id = cursor_u64(c);
    ret_member->incarnation = cursor_u64(c);
    ret_member->changed = cursor_u64(c);
    ret_member->state = (enum member_state)cursor_u8(c);
    get_address(c, ret_member->address);
    c->bad = c->bad || ret_member->id == 0 || ret_member->address[0] == '\0' ||
             ret_member->state < MEMBER_AUTO || ret_member->state > MEMBER_REMOVED;
}

int join_answer_get(const void *p, size_t n, struct join_answer *ret_answer, struct error *e)
{
    struct cursor c = cursor_of(p, n);
    struct join_answer a = {.count = 0};
    const uint8_t *cluster_id;
    int rv = check_version(&c, "JOINED", e);

    if (rv != 0) {
        return rv;
    }
    uint16_t code = cursor_u16(&c);
    get_string(&c, a.error.text, ERROR_TEXT_MAX - 1);
    a.id = cursor_u64(&c);
    cluster_id = cursor_bytes(&c, PEERS_CLUSTER_ID_BYTES);
    get_string(&c, a.cluster_name, JOIN_NAME_MAX);
    uint32_t count = cursor_u32(&c);
    bool joined = code == Q_OK;
    bool sane = !c.bad && code < Q_CODES && count <= PEERS_MAX && joined == (count > 0) &&
                (a.id != 0 || !joined) && (a.error.text[0] == '\0' || !joined);
    for (uint32_t i = 0; i < count && sane; i++) {
        get_member(&c, &a.members[i]);
    }
    if (!sane || c.bad || cursor_left(&c) != 0) {
        return error_set(e, Q_CORRUPT, "a JOINED of %zu bytes is not understood", n);
    }
    memcpy(a.cluster_id, cluster_id, PEERS_CLUSTER_ID_BYTES);
    a.error.code = (enum error_code)code;
    a.count = count;
    *ret_answer = a;
    return 0;
}
