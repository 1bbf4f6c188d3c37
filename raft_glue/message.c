#include "raft_glue/message.h"

#include <stdlib.h>
#include <string.h>

#include "base/plant.h"
#include "raft_glue/configuration.h"

enum { MESSAGE_VERSION = 1, ENTRY_BYTES_MIN = 8 + 1 + 4, SERVER_BYTES_MIN = 8 + 1 + 4 };

/* One integer or bool of struct raft_message; a list of them is the schema of a type, for both directions. */
struct field {
    size_t offset, size;
    bool boolean;
};

#define INTEGER(member)                                                                                      \
    {                                                                                                        \
        offsetof(struct raft_message, member), sizeof(((struct raft_message *)0)->member), false             \
    }
#define BOOLEAN(member)                                                                                      \
    {                                                                                                        \
        offsetof(struct raft_message, member), sizeof(((struct raft_message *)0)->member), true              \
    }

static const struct field append_entries_fields[] = {
    INTEGER(append_entries.version),        INTEGER(append_entries.term),
    INTEGER(append_entries.prev_log_index), INTEGER(append_entries.prev_log_term),
    INTEGER(append_entries.leader_commit),
};
static const struct field append_entries_result_fields[] = {
    INTEGER(append_entries_result.version),  INTEGER(append_entries_result.term),
    INTEGER(append_entries_result.rejected), INTEGER(append_entries_result.last_log_index),
    INTEGER(append_entries_result.features), INTEGER(append_entries_result.capacity),
};
static const struct field request_vote_fields[] = {
    INTEGER(request_vote.version),       INTEGER(request_vote.term),
    INTEGER(request_vote.candidate_id),  INTEGER(request_vote.last_log_index),
    INTEGER(request_vote.last_log_term), BOOLEAN(request_vote.disrupt_leader),
    BOOLEAN(request_vote.pre_vote),
};
static const struct field request_vote_result_fields[] = {
    INTEGER(request_vote_result.version),      INTEGER(request_vote_result.term),
    BOOLEAN(request_vote_result.vote_granted), BOOLEAN(request_vote_result.pre_vote),
    INTEGER(request_vote_result.features),     INTEGER(request_vote_result.capacity),
};
static const struct field install_snapshot_fields[] = {
    INTEGER(install_snapshot.version),    INTEGER(install_snapshot.term),
    INTEGER(install_snapshot.last_index), INTEGER(install_snapshot.last_term),
    INTEGER(install_snapshot.conf_index),
};
static const struct field timeout_now_fields[] = {
    INTEGER(timeout_now.version),
    INTEGER(timeout_now.term),
    INTEGER(timeout_now.last_log_index),
    INTEGER(timeout_now.last_log_term),
};

#undef INTEGER
#undef BOOLEAN

#define SCHEMA(list)                                                                                         \
    {                                                                                                        \
        list, sizeof(list) / sizeof(list)[0]                                                                 \
    }

static const struct schema {
    const struct field *fields;
    size_t n;
} schemas[] = {
    [RAFT_APPEND_ENTRIES] = SCHEMA(append_entries_fields),
    [RAFT_APPEND_ENTRIES_RESULT] = SCHEMA(append_entries_result_fields),
    [RAFT_REQUEST_VOTE] = SCHEMA(request_vote_fields),
    [RAFT_REQUEST_VOTE_RESULT] = SCHEMA(request_vote_result_fields),
    [RAFT_INSTALL_SNAPSHOT] = SCHEMA(install_snapshot_fields),
    [RAFT_TIMEOUT_NOW] = SCHEMA(timeout_now_fields),
};

#undef SCHEMA

enum { TYPES = sizeof schemas / sizeof schemas[0] };

/* The host is little-endian or not: the value is built from the member's own type. */
static uint64_t field_get(const struct raft_message *m, const struct field *f)
{
    const char *at = (const char *)m + f->offset;
    uint8_t u8;
    uint16_t u16;
    uint64_t u64;

    switch (f->size) {
    case sizeof u8: memcpy(&u8, at, sizeof u8); return u8;
    case sizeof u16: memcpy(&u16, at, sizeof u16); return u16;
    default: memcpy(&u64, at, sizeof u64); return u64;
    }
}

/* False: the value does not fit. */
static bool field_set(struct raft_message *m, const struct field *f, uint64_t value)
{
    char *at = (char *)m + f->offset;
    uint8_t u8 = (uint8_t)value;
    uint16_t u16 = (uint16_t)value;

    switch (f->size) {
    case sizeof u8: memcpy(at, &u8, sizeof u8); return value == u8;
    case sizeof u16: memcpy(at, &u16, sizeof u16); return value == u16;
    default: memcpy(at, &value, sizeof value); return true;
    }
}

static void encode_entries(const struct raft_append_entries *ae, struct buf *b)
{
    if (ae->n_entries > MESSAGE_ENTRIES_MAX) {
        b->failed = Q_TOO_BIG;
        return;
    }
    buf_put_u32(b, ae->n_entries);
    for (unsigned i = 0; i < ae->n_entries; i++) {
        const struct raft_entry *entry = &ae->entries[i];
        buf_put_u64(b, entry->term);
        buf_put_u8(b, (uint8_t)entry->type);
        buf_put_blob(b, entry->buf.base, entry->buf.len);
    }
}

static void encode_configuration(const struct raft_configuration *c, struct buf *b)
{
    buf_put_u32(b, c->n);
    for (unsigned i = 0; i < c->n; i++) {
        buf_put_u64(b, c->servers[i].id);
        buf_put_u8(b, (uint8_t)c->servers[i].role);
        buf_put_blob(b, c->servers[i].address, strlen(c->servers[i].address));
    }
}

void message_encode(const struct raft_message *message, struct buf *b)
{
    const struct schema *schema = &schemas[message->type];

    buf_put_u8(b, MESSAGE_VERSION);
    buf_put_u8(b, (uint8_t)message->type);
    for (size_t i = 0; i < schema->n; i++) {
        uint64_t value = field_get(message, &schema->fields[i]);
        if (schema->fields[i].boolean) {
            buf_put_u8(b, (uint8_t)value);
        } else {
            buf_put_u64(b, value);
        }
    }
    if (message->type == RAFT_APPEND_ENTRIES) {
        encode_entries(&message->append_entries, b);
    } else if (message->type == RAFT_INSTALL_SNAPSHOT) {
        encode_configuration(&message->install_snapshot.conf, b);
    }
}

static int decode_fields(struct cursor *c, struct raft_message *m, struct error *e)
{
    const struct schema *schema = &schemas[m->type];

    for (size_t i = 0; i < schema->n; i++) {
        const struct field *field = &schema->fields[i];
        uint64_t value = field->boolean ? cursor_u8(c) : cursor_u64(c);
        if (!field_set(m, field, value) || (field->boolean && value > 1)) {
            return error_set(e, Q_CORRUPT, "message: type %d: field %zu is out of range", (int)m->type, i);
        }
    }
    return c->bad ? error_set(e, Q_CORRUPT, "message: type %d: cut short", (int)m->type) : 0;
}

static int check_configuration_entry(const struct raft_entry *entry, struct error *e)
{
    struct raft_configuration c;

    if (configuration_decode(entry->buf.base, entry->buf.len, &c, e) != 0) {
        return error_wrap(e, "message: configuration entry");
    }
    raft_configuration_close(&c);
    return 0;
}

static int decode_entry(struct cursor *c, uint64_t term_min, uint64_t term_max, struct raft_entry *ret_entry,
                        struct error *e)
{
    uint64_t term = cursor_u64(c);
    uint8_t type = cursor_u8(c);
    struct cursor payload = cursor_blob(c);

    if (c->bad) {
        return error_set(e, Q_CORRUPT, "message: entries cut short");
    }
    if (type < RAFT_COMMAND || type > RAFT_CHANGE) {
        return error_set(e, Q_CORRUPT, "message: entry of unknown type %u", type);
    }
    if ((term == 0 || term < term_min || term > term_max) && !PLANTED("terms_in_messages_are_not_checked")) {
        return error_set(e, Q_CORRUPT, "message: entry of term %llu between terms %llu and %llu",
                         (unsigned long long)term, (unsigned long long)term_min,
                         (unsigned long long)term_max);
    }
    *ret_entry = (struct raft_entry){
        .term = term,
        .type = (enum raft_entry_type)type,
        .buf = {.base = (void *)(uintptr_t)payload.p, .len = cursor_left(&payload)},
    };
    return type == RAFT_CHANGE ? check_configuration_entry(ret_entry, e) : 0;
}

static int decode_entries(struct cursor *c, struct raft_append_entries *ae, struct error *e)
{
    uint32_t n = cursor_u32(c);
    uint64_t term_min = ae->prev_log_term;

    if (n > MESSAGE_ENTRIES_MAX) {
        return error_set(e, Q_TOO_BIG, "message: %u entries, the limit is %d", n, MESSAGE_ENTRIES_MAX);
    }
    if (c->bad || n > cursor_left(c) / ENTRY_BYTES_MIN || n > UINT64_MAX - ae->prev_log_index) {
        return error_set(e, Q_CORRUPT, "message: %u entries do not fit", n);
    }
    if (ae->term == 0 || (ae->prev_log_index == 0) != (ae->prev_log_term == 0) ||
        ae->prev_log_term > ae->term) {
        return error_set(e, Q_CORRUPT, "message: impossible previous index and term");
    }
    if (n == 0) {
        return 0;
    }
    ae->entries = calloc(n, sizeof *ae->entries);
    if (ae->entries == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for %u entries", n);
    }
    for (; ae->n_entries < n; ae->n_entries++) {
        struct raft_entry *entry = &ae->entries[ae->n_entries];
        if (decode_entry(c, term_min, ae->term, entry, e) != 0) {
            return (int)e->code;
        }
        term_min = entry->term;
    }
    return 0;
}

static int decode_configuration(struct cursor *c, struct raft_install_snapshot *is, struct error *e)
{
    uint32_t n = cursor_u32(c);

    if (n > MESSAGE_SERVERS_MAX) {
        return error_set(e, Q_TOO_BIG, "message: %u servers, the limit is %d", n, MESSAGE_SERVERS_MAX);
    }
    if (c->bad || n == 0 || n > cursor_left(c) / SERVER_BYTES_MIN) {
        return error_set(e, Q_CORRUPT, "message: %u servers do not fit", n);
    }
    if (is->last_index == 0 || is->last_term == 0 || is->last_term > is->term || is->conf_index == 0 ||
        is->conf_index > is->last_index) {
        return error_set(e, Q_CORRUPT, "message: impossible snapshot");
    }
    for (uint32_t i = 0; i < n; i++) {
        uint64_t id = cursor_u64(c);
        uint8_t role = cursor_u8(c);
        struct cursor address = cursor_blob(c);
        if (c->bad) {
            return error_set(e, Q_CORRUPT, "message: servers cut short");
        }
        if (configuration_add(&is->conf, id, address.p, cursor_left(&address), role, e) != 0) {
            return (int)e->code;
        }
    }
    return 0;
}

static int decode(struct cursor *c, struct raft_message *m, struct error *e)
{
    uint8_t version = cursor_u8(c);
    uint8_t type = cursor_u8(c);

    if (c->bad) {
        return error_set(e, Q_CORRUPT, "message: cut short");
    }
    if (version != MESSAGE_VERSION) {
        return error_set(e, Q_MISMATCH, "message: unknown version %u", version);
    }
    if (type >= TYPES || schemas[type].n == 0) {
        return error_set(e, Q_CORRUPT, "message: unknown type %u", type);
    }
    m->type = (enum raft_message_type)type;
    if (decode_fields(c, m, e) != 0 ||
        (type == RAFT_APPEND_ENTRIES && decode_entries(c, &m->append_entries, e) != 0) ||
        (type == RAFT_INSTALL_SNAPSHOT && decode_configuration(c, &m->install_snapshot, e) != 0)) {
        return (int)e->code;
    }
    if (cursor_left(c) > 0) {
        return error_set(e, Q_CORRUPT, "message: %zu bytes too many", cursor_left(c));
    }
    return 0;
}

int message_decode(const void *p, size_t n, uint64_t from, const char *address,
                   struct raft_message *ret_message, struct error *e)
{
    struct cursor c = cursor_of(p, n);
    struct raft_message m;
    struct error why;

    if (n > MESSAGE_BYTES_MAX) {
        return error_set(e, Q_TOO_BIG, "message: %zu bytes, the limit is %d", n, MESSAGE_BYTES_MAX);
    }
    memset(&m, 0, sizeof m);
    m.server_id = from;
    m.server_address = address;
    if (decode(&c, &m, &why) != 0) {
        message_close(&m, false);
        return error_set(e, why.code, "%s", why.text);
    }
    *ret_message = m;
    return 0;
}

void message_close(struct raft_message *message, bool given_away)
{
    if (message->type == RAFT_APPEND_ENTRIES) {
        free(message->append_entries.entries);
        message->append_entries.entries = NULL;
    } else if (message->type == RAFT_INSTALL_SNAPSHOT && !given_away) {
        raft_configuration_close(&message->install_snapshot.conf);
        raft_configuration_init(&message->install_snapshot.conf);
    }
}
