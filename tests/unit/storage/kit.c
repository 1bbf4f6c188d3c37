#include "tests/unit/storage/kit.h"

#include <dirent.h>
#include <inttypes.h>
#include <unistd.h>

struct cursor kit_cursor(const char *text)
{
    return cursor_of(text, strlen(text));
}

static void open_store(struct kit *k)
{
    struct error e;

    if (store_open(&k->config, &k->s, &e)) {
        fail_msg("store_open: %s", e.text);
    }
}

static void init(struct kit *k)
{
    memset(k, 0, sizeof *k);
    k->config.readers = 2;
    k->config.result_max = 1024 * 1024;
    k->term = 1;
    k->time_ms = 1700000000000;
    k->seed = 7;
    buf_init(&k->commands, SIZE_MAX);
    buf_init(&k->results, SIZE_MAX);
}

void kit_open_file(struct kit *k)
{
    init(k);
    snprintf(k->dir, sizeof k->dir, "/tmp/quorate-store-XXXXXX");
    assert_non_null(mkdtemp(k->dir));
    snprintf(k->path, sizeof k->path, "%s/db.sqlite", k->dir);
    k->config.path = k->path;
    open_store(k);
}

void kit_open_memory(struct kit *k)
{
    init(k);
    open_store(k);
}

static void remove_dir(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *entry;
    char path[400];

    assert_non_null(d);
    while ((entry = readdir(d)) != NULL) {
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        unlink(path);
    }
    closedir(d);
    rmdir(dir);
}

void kit_close(struct kit *k)
{
    store_close(k->s);
    buf_close(&k->commands);
    buf_close(&k->results);
    if (k->dir[0] != '\0') {
        remove_dir(k->dir);
    }
}

void kit_reopen(struct kit *k)
{
    store_close(k->s);
    open_store(k);
}

void kit_add_bytes(struct kit *k, const struct buf *command)
{
    buf_put_blob(&k->commands, command->data, command->len);
    k->count++;
}

void kit_add_sql(struct kit *k, enum command_op op, unsigned flags, ...)
{
    struct buf b;
    uint32_t n = 0;
    const char *sql;
    va_list args, again;

    buf_init(&b, SIZE_MAX);
    va_start(args, flags);
    va_copy(again, args);
    while (va_arg(again, const char *) != NULL) {
        n++;
    }
    va_end(again);
    command_put_sql(&b, op, flags, n);
    while ((sql = va_arg(args, const char *)) != NULL) {
        command_put_statement(&b, sql, strlen(sql), 0);
    }
    va_end(args);
    kit_add_bytes(k, &b);
    buf_close(&b);
}

void kit_add_put(struct kit *k, const char *ns, const char *key, const char *value,
                 enum kv_condition condition, uint64_t version)
{
    struct buf b;

    buf_init(&b, SIZE_MAX);
    command_put_kv_put(&b, kit_cursor(ns), kit_cursor(key), kit_cursor(value), condition, version);
    kit_add_bytes(k, &b);
    buf_close(&b);
}

void kit_add_delete(struct kit *k, const char *ns, const char *key, enum kv_condition condition,
                    uint64_t version)
{
    struct buf b;

    buf_init(&b, SIZE_MAX);
    command_put_kv_delete(&b, kit_cursor(ns), kit_cursor(key), condition, version);
    kit_add_bytes(k, &b);
    buf_close(&b);
}

void kit_position(struct kit *k, struct store_position *ret_position)
{
    store_position(k->s, ret_position);
}

int kit_try(struct kit *k, struct error *e)
{
    struct store_position before;
    struct batch batch = {.term = k->term, .time_ms = k->time_ms, .commands = k->count};
    struct buf entry;

    kit_position(k, &before);
    batch.index = before.index + 1;
    memset(batch.seed, k->seed, sizeof batch.seed);
    buf_init(&entry, SIZE_MAX);
    batch_put_header(&entry, &batch);
    buf_put_bytes(&entry, k->commands.data, k->commands.len);
    buf_clear(&k->results);
    int rc = store_apply(k->s, batch.index, batch.term, entry.data, entry.len, &k->results, e);
    buf_close(&entry);
    if (rc == 0) {
        buf_clear(&k->commands);
        k->count = 0;
        k->time_ms += 1000;
    }
    return rc;
}

void kit_apply(struct kit *k)
{
    struct error e;

    if (kit_try(k, &e)) {
        fail_msg("store_apply: %s", e.text);
    }
}

static void show_value(struct buf *out, const struct value *v)
{
    switch (v->type) {
    case VALUE_NULL: buf_printf(out, "NULL"); break;
    case VALUE_INTEGER: buf_printf(out, "%" PRId64, v->integer); break;
    case VALUE_REAL: buf_printf(out, "%.17g", v->real); break;
    case VALUE_TEXT: buf_printf(out, "'%.*s'", (int)cursor_left(&v->bytes), (const char *)v->bytes.p); break;
    case VALUE_BLOB:
        buf_printf(out, "x'");
        for (size_t i = 0; i < cursor_left(&v->bytes); i++) {
            buf_printf(out, "%02x", v->bytes.p[i]);
        }
        buf_printf(out, "'");
        break;
    }
}

static void show_rows(struct buf *out, struct cursor *c, struct result_sql *item)
{
    buf_printf(out, "rows ");
    for (uint32_t i = 0; i < item->columns; i++) {
        struct cursor name = cursor_blob(&item->column), type = cursor_blob(&item->column);

        buf_printf(out, "%s%.*s%s%.*s", i ? "," : "", (int)cursor_left(&name), (const char *)name.p,
                   cursor_left(&type) ? ":" : "", (int)cursor_left(&type), (const char *)type.p);
    }
    while (result_next_row(c)) {
        buf_printf(out, " | ");
        for (uint32_t i = 0; i < item->columns; i++) {
            struct value v = value_get(c);

            buf_printf(out, "%s", i ? "," : "");
            show_value(out, &v);
        }
    }
}

static void show_sql(struct buf *out, struct cursor *c)
{
    struct result_sql item;
    const char *separator = "";

    while (result_next_item(c, &item)) {
        buf_printf(out, "%s", separator);
        separator = "; ";
        switch (item.item) {
        case RESULT_WRITE:
            buf_printf(out, "write %" PRId64 "/%" PRIu64, item.last_insert_id, item.rows_affected);
            break;
        case RESULT_ROWS: show_rows(out, c, &item); break;
        case RESULT_STATEMENT_ERROR:
            buf_printf(out, "error %.*s", (int)cursor_left(&item.text), (const char *)item.text.p);
            break;
        case RESULT_EMPTY: buf_printf(out, "empty"); break;
        }
    }
}

static void show_list(struct buf *out, struct cursor *c)
{
    const char *separator = " ";

    buf_printf(out, "list");
    while (cursor_u8(c) == 1) {
        struct cursor key = cursor_blob(c);
        uint64_t version = cursor_u64(c);
        uint8_t has_value = cursor_u8(c);
        struct cursor value = cursor_blob(c);

        buf_printf(out, "%s%.*s v%" PRIu64, separator, (int)cursor_left(&key), (const char *)key.p, version);
        if (has_value) {
            buf_printf(out, " '%.*s'", (int)cursor_left(&value), (const char *)value.p);
        }
        separator = ", ";
    }
    if (cursor_u8(c)) {
        buf_printf(out, "%smore", separator);
    }
}

const char *kit_show(struct kit *k, const void *p, size_t n)
{
    struct cursor c = cursor_of(p, n), value;
    enum result_kind kind;
    struct error why, e;
    struct buf out;
    uint64_t version;

    if (result_decode(&c, &kind, &why, &e)) {
        fail_msg("result_decode: %s", e.text);
    }
    buf_init(&out, sizeof k->shown - 1);
    switch (kind) {
    case RESULT_ERROR: buf_printf(&out, "failed %s: %s", error_name(why.code), why.text); break;
    case RESULT_SQL: show_sql(&out, &c); break;
    case RESULT_KV_PUT:
    case RESULT_KV_DELETE:
        buf_printf(&out, "%s %s", kind == RESULT_KV_PUT ? "put" : "delete",
                   cursor_u8(&c) ? "done" : "refused");
        buf_printf(&out, " v%" PRIu64, cursor_u64(&c));
        break;
    case RESULT_KV_GET:
        if (cursor_u8(&c)) {
            version = cursor_u64(&c);
            value = cursor_blob(&c);
            buf_printf(&out, "get v%" PRIu64 " '%.*s'", version, (int)cursor_left(&value),
                       (const char *)value.p);
        } else {
            assert_int_equal(cursor_u64(&c), 0);
            value = cursor_blob(&c);
            buf_printf(&out, "get none");
        }
        break;
    case RESULT_KV_LIST: show_list(&out, &c); break;
    case RESULT_LOAD: buf_printf(&out, "load %s", cursor_u8(&c) ? "changed" : "as it was"); break;
    case RESULT_MEMBER: buf_printf(&out, "member %s", cursor_u8(&c) ? "changed" : "as it was"); break;
    }
    assert_false(c.bad);
    assert_int_equal(cursor_left(&c), 0);
    assert_int_equal(out.failed, Q_OK);
    if (out.len > 0) {
        memcpy(k->shown, out.data, out.len);
    }
    k->shown[out.len] = '\0';
    buf_close(&out);
    return k->shown;
}

const char *kit_result(struct kit *k, unsigned i)
{
    struct cursor c = cursor_of(k->results.data, k->results.len), result = cursor_of(NULL, 0);

    for (unsigned j = 0; j <= i; j++) {
        result = cursor_blob(&c);
    }
    assert_false(c.bad);
    return kit_show(k, result.p, cursor_left(&result));
}

const char *kit_execute(struct kit *k, const char *sql)
{
    kit_add_sql(k, COMMAND_SQL_EXECUTE, 0, sql, NULL);
    kit_apply(k);
    return kit_result(k, 0);
}

const char *kit_put(struct kit *k, const char *ns, const char *key, const char *value)
{
    kit_add_put(k, ns, key, value, KV_ALWAYS, 0);
    kit_apply(k);
    return kit_result(k, 0);
}

const char *kit_read(struct kit *k, const struct buf *bytes, uint64_t timeout_ms, uint64_t *ret_index)
{
    struct command command;
    struct buf result;
    struct error e;

    buf_init(&result, SIZE_MAX);
    if (command_decode(bytes->data, bytes->len, &command, &e) ||
        store_read(k->s, &command, timeout_ms, &result, ret_index, &e)) {
        fail_msg("store_read: %s", e.text);
    }
    const char *shown = kit_show(k, result.data, result.len);
    buf_close(&result);
    return shown;
}

const char *kit_query(struct kit *k, const char *sql)
{
    struct buf b;
    uint64_t index;

    buf_init(&b, SIZE_MAX);
    command_put_sql(&b, COMMAND_SQL_QUERY, 0, 1);
    command_put_statement(&b, sql, strlen(sql), 0);
    const char *shown = kit_read(k, &b, 0, &index);
    buf_close(&b);
    return shown;
}
