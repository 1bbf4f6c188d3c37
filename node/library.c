#include "node/library.h"

#include <stdlib.h>
#include <string.h>

#include "node/call.h"
#include "node/env/address.h"
#include "node/node.h"
#include "storage/command.h"
#include "storage/result.h"

#define SAME_CODE(a, b) _Static_assert((int)(a) == (int)(b), "the public codes are the internal ones")
SAME_CODE(QUORATE_INVALID, Q_INVALID);
SAME_CODE(QUORATE_TOO_BIG, Q_TOO_BIG);
SAME_CODE(QUORATE_NO_SPACE, Q_NO_SPACE);
SAME_CODE(QUORATE_CORRUPT, Q_CORRUPT);
SAME_CODE(QUORATE_NOT_FOUND, Q_NOT_FOUND);
SAME_CODE(QUORATE_CONFLICT, Q_CONFLICT);
SAME_CODE(QUORATE_NO_LEADER, Q_NO_LEADER);
SAME_CODE(QUORATE_NOT_LEADER, Q_NOT_LEADER);
SAME_CODE(QUORATE_BUSY, Q_BUSY);
SAME_CODE(QUORATE_TIMEOUT, Q_TIMEOUT);
SAME_CODE(QUORATE_UNKNOWN, Q_UNKNOWN);
SAME_CODE(QUORATE_CLOSED, Q_CLOSED);
SAME_CODE(QUORATE_SQL, Q_SQL);
SAME_CODE(QUORATE_NONE, READ_NONE);
SAME_CODE(QUORATE_WEAK, READ_WEAK);
SAME_CODE(QUORATE_LINEARIZABLE, READ_LINEARIZABLE);
SAME_CODE(QUORATE_STRONG, READ_STRONG);
SAME_CODE(QUORATE_BLOB, VALUE_BLOB);
SAME_CODE(QUORATE_MEMBER_ADD, REPLICA_ADD);
SAME_CODE(QUORATE_MEMBER_REMOVE, REPLICA_REMOVE);
SAME_CODE(QUORATE_MEMBER_PROMOTE, REPLICA_PROMOTE);
SAME_CODE(QUORATE_MEMBER_DEMOTE, REPLICA_DEMOTE);
SAME_CODE(QUORATE_MEMBER_MOVE, REPLICA_MOVE);
SAME_CODE(QUORATE_MEMBER_REPLACE, REPLICA_REPLACE);
_Static_assert(sizeof((struct quorate_error *)0)->text == ERROR_TEXT_MAX,
               "the public text is the internal one");

int library_report(struct quorate_error *to, int rv, const struct error *e)
{
    if (rv != 0 && to != NULL) {
        to->code = (enum quorate_code)e->code;
        memcpy(to->text, e->text, sizeof to->text);
    }
    return rv;
}

/* Options. */

struct quorate_options {
    struct options options;
};

struct quorate_options *quorate_options_new(void)
{
    struct quorate_options *o = calloc(1, sizeof *o);
    if (o != NULL) {
        options_init(&o->options);
    }
    return o;
}

void quorate_options_free(struct quorate_options *options)
{
    if (options != NULL) {
        options_close(&options->options);
        free(options);
    }
}

int quorate_options_set(struct quorate_options *options, const char *name, const char *value,
                        struct quorate_error *error)
{
    struct error e;
    return library_report(error, options_set(&options->options, name, value, FROM_FLAG, &e), &e);
}

int quorate_options_file(struct quorate_options *options, const char *path, struct quorate_error *error)
{
    struct error e;
    return library_report(error, options_file(&options->options, path, &e), &e);
}

/* Life. */

int quorate_start(const struct quorate_options *options, struct quorate **ret_node,
                  struct quorate_error *error)
{
    struct error e;
    return library_report(error, node_start(&options->options, -1, ret_node, &e), &e);
}

void quorate_stop(struct quorate *node)
{
    if (node != NULL) {
        node_stop(node);
    }
}

int quorate_wait_ready(struct quorate *node, uint64_t timeout_ms, struct quorate_error *error)
{
    struct error e;
    return library_report(error, call_wait_ready(node, timeout_ms, &e), &e);
}

int quorate_http_port(struct quorate *node)
{
    return node_http_port(node);
}

/* Members. */

/* Takes CHANGE apart, and refuses what has no meaning. */
static int read_change(const struct quorate_member_change *change, struct replica_change *ret,
                       struct error *e)
{
    bool needs_address = change->verb == QUORATE_MEMBER_ADD || change->verb == QUORATE_MEMBER_MOVE;
    const char *address = change->address != NULL ? change->address : "";

    if ((unsigned)change->verb > QUORATE_MEMBER_REPLACE) {
        return error_set(e, Q_INVALID, "%d is nothing that can be done to a member", (int)change->verb);
    }
    if (change->id == 0 || change->id > INT64_MAX) {
        return error_set(e, Q_INVALID, "%llu is not the id of a member", (unsigned long long)change->id);
    }
    if (!needs_address && address[0] != 0) {
        return error_set(e, Q_INVALID, "an address means nothing here");
    }
    if (strlen(address) > PEERS_ADDRESS_MAX) {
        return error_set(e, Q_TOO_BIG, "the address is longer than %d bytes", PEERS_ADDRESS_MAX);
    }
    if (change->verb == QUORATE_MEMBER_REPLACE ? change->with == change->id : change->with != 0) {
        return error_set(e, Q_INVALID, "member %llu cannot be the one that takes a place here",
                         (unsigned long long)change->with);
    }
    *ret = (struct replica_change){
        .verb = (enum replica_verb)change->verb, .id = change->id, .with = change->with};
    memcpy(ret->address, address, strlen(address) + 1);
    return needs_address ? address_dialable(address, e) : 0;
}

int quorate_member_change(struct quorate *node, const struct quorate_member_change *change, uint64_t wait_ms,
                          struct quorate_error *error)
{
    struct replica_change asked;
    struct error e;
    int rv = read_change(change, &asked, &e);

    if (rv == 0) {
        rv = call_change(node, &asked, wait_ms, &e);
    }
    return library_report(error, rv, &e);
}

int quorate_transfer(struct quorate *node, uint64_t to, struct quorate_error *error)
{
    struct error e;
    return library_report(error, call_transfer(node, to, &e), &e);
}

/* KV. */

int library_check_level(enum quorate_level level, struct error *e)
{
    return (unsigned)level <= QUORATE_STRONG ? 0
                                             : error_set(e, Q_INVALID, "%d is not a read level", (int)level);
}

/* Runs a KV command and leaves the cursor at the body of its result. RAW is to be freed in any case. */
static int run_kv(struct quorate *node, struct buf *command, enum read_level level, struct call_result *raw,
                  struct cursor *ret_body, struct error *e)
{
    enum result_kind kind;
    struct error failed;
    int rv = call_run(node, command, level, raw, e);

    buf_close(command);
    if (rv != 0) {
        return rv;
    }
    *ret_body = cursor_of(raw->bytes, raw->len);
    rv = result_decode(ret_body, &kind, &failed, e);
    if (rv == 0 && kind == RESULT_ERROR) {
        rv = error_set(e, failed.code, "%s", failed.text);
    }
    return rv;
}

static int put(struct quorate *node, const char *ns, const void *key, size_t key_len, const void *value,
               size_t len, enum kv_condition condition, uint64_t version, uint64_t *ret_version,
               struct quorate_error *error)
{
    struct call_result raw = {.bytes = NULL};
    struct cursor body;
    struct error e;
    struct buf command;
    int rv;

    buf_init(&command, LIBRARY_COMMAND_MAX);
    command_put_kv_put(&command, cursor_of(ns, strlen(ns)), cursor_of(key, key_len), cursor_of(value, len),
                       condition, version);
    rv = run_kv(node, &command, READ_STRONG, &raw, &body, &e);
    if (rv == 0) {
        bool done = cursor_u8(&body) != 0;
        uint64_t now = cursor_u64(&body);
        if (ret_version != NULL) {
            *ret_version = now;
        }
        if (!done) {
            rv = error_set(&e, Q_CONFLICT, now ? "the key has version %llu" : "there is no such key",
                           (unsigned long long)now);
        }
    }
    free(raw.bytes);
    return library_report(error, rv, &e);
}

int quorate_kv_put(struct quorate *node, const char *ns, const void *key, size_t key_len, const void *value,
                   size_t len, uint64_t if_version, uint64_t *ret_version, struct quorate_error *error)
{
    return put(node, ns, key, key_len, value, len,
               if_version == QUORATE_ANY_VERSION ? KV_ALWAYS : KV_IF_VERSION, if_version, ret_version, error);
}

int quorate_kv_create(struct quorate *node, const char *ns, const void *key, size_t key_len,
                      const void *value, size_t len, uint64_t *ret_version, struct quorate_error *error)
{
    return put(node, ns, key, key_len, value, len, KV_IF_ABSENT, 0, ret_version, error);
}

int quorate_kv_get(struct quorate *node, enum quorate_level level, const char *ns, const void *key,
                   size_t key_len, void **ret_value, size_t *ret_len, uint64_t *ret_version,
                   struct quorate_error *error)
{
    struct call_result raw = {.bytes = NULL};
    struct cursor body;
    struct error e;
    struct buf command;
    int rv;

    buf_init(&command, LIBRARY_COMMAND_MAX);
    rv = library_check_level(level, &e);
    if (rv == 0) {
        command_put_kv_get(&command, cursor_of(ns, strlen(ns)), cursor_of(key, key_len));
        rv = run_kv(node, &command, (enum read_level)level, &raw, &body, &e);
    }
    if (rv == 0 && cursor_u8(&body) == 0) {
        rv = error_set(&e, Q_NOT_FOUND, "there is no such key");
    }
    if (rv == 0) {
        uint64_t version = cursor_u64(&body);
        struct cursor value = cursor_blob(&body);
        void *copy = malloc(cursor_left(&value) + 1);
        if (copy == NULL) {
            rv = error_set(&e, Q_NOMEM, "out of memory for the value");
        } else {
            memcpy(copy, value.p, cursor_left(&value));
            *ret_value = copy;
            *ret_len = cursor_left(&value);
            if (ret_version != NULL) {
                *ret_version = version;
            }
        }
    }
    free(raw.bytes);
    return library_report(error, rv, &e);
}

int quorate_kv_delete(struct quorate *node, const char *ns, const void *key, size_t key_len,
                      uint64_t if_version, struct quorate_error *error)
{
    struct call_result raw = {.bytes = NULL};
    struct cursor body;
    struct error e;
    struct buf command;
    int rv;

    buf_init(&command, LIBRARY_COMMAND_MAX);
    command_put_kv_delete(&command, cursor_of(ns, strlen(ns)), cursor_of(key, key_len),
                          if_version == QUORATE_ANY_VERSION ? KV_IF_PRESENT : KV_IF_VERSION, if_version);
    rv = run_kv(node, &command, READ_STRONG, &raw, &body, &e);
    if (rv == 0 && cursor_u8(&body) == 0) {
        uint64_t now = cursor_u64(&body);
        rv = now == 0 ? error_set(&e, Q_NOT_FOUND, "there is no such key")
                      : error_set(&e, Q_CONFLICT, "the key has version %llu", (unsigned long long)now);
    }
    free(raw.bytes);
    return library_report(error, rv, &e);
}
