/* The functions of quorate.h: commands out of arguments, and results taken apart. */
#include "node/quorate.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/call.h"
#include "node/node.h"
#include "storage/command.h"
#include "storage/result.h"

enum { COMMAND_BYTES_MAX = 16 * 1024 * 1024 };

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
_Static_assert(sizeof((struct quorate_error *)0)->text == ERROR_TEXT_MAX,
               "the public text is the internal one");

static int report(struct quorate_error *to, int rv, const struct error *e)
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
    return report(error, options_set(&options->options, name, value, FROM_FLAG, &e), &e);
}

int quorate_options_file(struct quorate_options *options, const char *path, struct quorate_error *error)
{
    struct error e;
    return report(error, options_file(&options->options, path, &e), &e);
}

/* Life. */

int quorate_start(const struct quorate_options *options, struct quorate **ret_node,
                  struct quorate_error *error)
{
    struct error e;
    return report(error, node_start(&options->options, ret_node, &e), &e);
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
    return report(error, call_wait_ready(node, timeout_ms, &e), &e);
}

int quorate_http_port(struct quorate *node)
{
    return node_http_port(node);
}

/* SQL. */

struct quorate_result {
    struct call_result raw;
    int64_t last_insert_id;
    uint64_t rows_affected;
    size_t columns, rows;
    char **names;
    struct quorate_value *values; /* rows * columns; bytes point into raw */
};

static int check_level(enum quorate_level level, struct error *e)
{
    return (unsigned)level <= QUORATE_STRONG ? 0
                                             : error_set(e, Q_INVALID, "%d is not a read level", (int)level);
}

static int check_parameters(const struct quorate_value *parameters, size_t count, struct error *e)
{
    if (count > COMMAND_PARAMETERS_MAX) {
        return error_set(e, Q_TOO_BIG, "%zu parameters are over the limit of %d", count,
                         COMMAND_PARAMETERS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        if ((unsigned)parameters[i].type > QUORATE_BLOB) {
            return error_set(e, Q_INVALID, "parameter %zu has the unknown type %d", i + 1,
                             (int)parameters[i].type);
        }
    }
    return 0;
}

static void put_parameter(struct buf *b, const struct quorate_value *v)
{
    struct value value = {
        .type = (enum value_type)v->type,
        .integer = v->integer,
        .real = v->real,
        .bytes = cursor_of(v->bytes, v->type == QUORATE_TEXT || v->type == QUORATE_BLOB ? v->len : 0),
    };
    command_put_parameter(b, "", 0, &value);
}

static bool parse_names(struct quorate_result *r, struct cursor column)
{
    r->names = calloc(r->columns ? r->columns : 1, sizeof *r->names);
    for (size_t i = 0; r->names != NULL && i < r->columns; i++) {
        struct cursor name = cursor_blob(&column);
        cursor_blob(&column); /* the declared type */
        r->names[i] = strndup((const char *)name.p, cursor_left(&name));
        if (r->names[i] == NULL) {
            return false;
        }
    }
    return r->names != NULL;
}

static bool parse_rows(struct quorate_result *r, struct cursor *c)
{
    size_t capacity = 0;
    while (result_next_row(c)) {
        if ((r->rows + 1) * r->columns > capacity) {
            size_t more = capacity ? capacity * 2 : 16 * r->columns;
            struct quorate_value *values = reallocarray(r->values, more, sizeof *values);
            if (values == NULL) {
                return false;
            }
            r->values = values;
            capacity = more;
        }
        for (size_t i = 0; i < r->columns; i++) {
            struct value v = value_get(c);
            r->values[r->rows * r->columns + i] = (struct quorate_value){
                (enum quorate_type)v.type, v.integer, v.real, v.bytes.p, cursor_left(&v.bytes)};
        }
        r->rows++;
    }
    return true;
}

/* Fills R from its raw bytes. Of several statements the last one that answered counts. */
static int parse_sql(struct quorate_result *r, struct error *e)
{
    struct cursor c = cursor_of(r->raw.bytes, r->raw.len);
    enum result_kind kind;
    struct result_sql item;
    struct error failed;
    int rv = result_decode(&c, &kind, &failed, e);

    if (rv != 0) {
        return rv;
    }
    if (kind == RESULT_ERROR) {
        return error_set(e, failed.code, "%s", failed.text);
    }
    while (result_next_item(&c, &item)) {
        if (item.item == RESULT_STATEMENT_ERROR) {
            return error_set(e, Q_SQL, "%.*s", (int)cursor_left(&item.text), (const char *)item.text.p);
        }
        if (item.item == RESULT_WRITE) {
            r->last_insert_id = item.last_insert_id;
            r->rows_affected = item.rows_affected;
        } else if (item.item == RESULT_ROWS) {
            r->columns = item.columns;
            if (!parse_names(r, item.column) || !parse_rows(r, &c)) {
                return error_set(e, Q_NOMEM, "out of memory for the result; the command was done");
            }
        }
    }
    return c.bad ? error_set(e, Q_CORRUPT, "the result does not follow its format") : 0;
}

static int run_sql(struct quorate *node, enum command_op op, enum quorate_level level, const char *sql,
                   const struct quorate_value *parameters, size_t count, struct quorate_result **ret_result,
                   struct quorate_error *error)
{
    struct quorate_result *r = calloc(1, sizeof *r);
    struct error e;
    struct buf command;
    int rv = r != NULL ? 0 : error_set(&e, Q_NOMEM, "out of memory for a result");

    buf_init(&command, COMMAND_BYTES_MAX);
    if (rv == 0) {
        rv = check_level(level, &e);
    }
    if (rv == 0) {
        rv = check_parameters(parameters, count, &e);
    }
    if (rv == 0) {
        command_put_sql(&command, op, COMMAND_TRANSACTION, 1);
        command_put_statement(&command, sql, strlen(sql), (uint32_t)count);
        for (size_t i = 0; i < count; i++) {
            put_parameter(&command, &parameters[i]);
        }
        rv = call_run(node, &command, (enum read_level)level, &r->raw, &e);
    }
    buf_close(&command);
    if (rv == 0) {
        rv = parse_sql(r, &e);
    }
    if (rv == 0 && ret_result != NULL) {
        *ret_result = r;
    } else {
        quorate_result_free(r);
    }
    return report(error, rv, &e);
}

int quorate_execute(struct quorate *node, const char *sql, const struct quorate_value *parameters,
                    size_t count, struct quorate_result **ret_result, struct quorate_error *error)
{
    return run_sql(node, COMMAND_SQL_EXECUTE, QUORATE_STRONG, sql, parameters, count, ret_result, error);
}

int quorate_query(struct quorate *node, enum quorate_level level, const char *sql,
                  const struct quorate_value *parameters, size_t count, struct quorate_result **ret_result,
                  struct quorate_error *error)
{
    return run_sql(node, COMMAND_SQL_QUERY, level, sql, parameters, count, ret_result, error);
}

void quorate_result_free(struct quorate_result *result)
{
    if (result == NULL) {
        return;
    }
    for (size_t i = 0; result->names != NULL && i < result->columns; i++) {
        free(result->names[i]);
    }
    free(result->names);
    free(result->values);
    free(result->raw.bytes);
    free(result);
}

size_t quorate_result_columns(const struct quorate_result *result)
{
    return result->columns;
}

size_t quorate_result_rows(const struct quorate_result *result)
{
    return result->rows;
}

const char *quorate_result_name(const struct quorate_result *result, size_t column)
{
    assert(column < result->columns);
    return result->names[column];
}

struct quorate_value quorate_result_value(const struct quorate_result *result, size_t row, size_t column)
{
    assert(row < result->rows && column < result->columns);
    return result->values[row * result->columns + column];
}

int64_t quorate_result_last_insert_id(const struct quorate_result *result)
{
    return result->last_insert_id;
}

uint64_t quorate_result_rows_affected(const struct quorate_result *result)
{
    return result->rows_affected;
}

uint64_t quorate_result_index(const struct quorate_result *result)
{
    return result->raw.index;
}

/* KV. */

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

    buf_init(&command, COMMAND_BYTES_MAX);
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
    return report(error, rv, &e);
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

    buf_init(&command, COMMAND_BYTES_MAX);
    rv = check_level(level, &e);
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
    return report(error, rv, &e);
}

int quorate_kv_delete(struct quorate *node, const char *ns, const void *key, size_t key_len,
                      uint64_t if_version, struct quorate_error *error)
{
    struct call_result raw = {.bytes = NULL};
    struct cursor body;
    struct error e;
    struct buf command;
    int rv;

    buf_init(&command, COMMAND_BYTES_MAX);
    command_put_kv_delete(&command, cursor_of(ns, strlen(ns)), cursor_of(key, key_len),
                          if_version == QUORATE_ANY_VERSION ? KV_IF_PRESENT : KV_IF_VERSION, if_version);
    rv = run_kv(node, &command, READ_STRONG, &raw, &body, &e);
    if (rv == 0 && cursor_u8(&body) == 0) {
        uint64_t now = cursor_u64(&body);
        rv = now == 0 ? error_set(&e, Q_NOT_FOUND, "there is no such key")
                      : error_set(&e, Q_CONFLICT, "the key has version %llu", (unsigned long long)now);
    }
    free(raw.bytes);
    return report(error, rv, &e);
}
