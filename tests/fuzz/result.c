/* result: storage/result.h, and its way into JSON (node/http/result_json.h), which must be JSON whatever the
 * values are. What the reader accepts is encoded again to the same bytes. */
#include <jansson.h>
#include <string.h>

#include "node/http/result_json.h"
#include "tests/fuzz/target.h"

enum { BYTES_MAX = 64 * 1024, JSON_BYTES_MAX = 16 * 1024 * 1024 };

static void put_rows(struct buf *b, const struct result_sql *item, struct cursor *body)
{
    struct cursor column = item->column;
    size_t at = result_put_rows(b, item->columns);

    for (uint32_t i = 0; i < item->columns; i++) {
        struct cursor name = cursor_blob(&column), type = cursor_blob(&column);
        buf_put_blob(b, name.p, cursor_left(&name));
        buf_put_blob(b, type.p, cursor_left(&type));
    }
    FUZZ_CHECK(!column.bad && cursor_left(&column) == 0, "the columns fill their bytes");
    while (result_next_row(body)) {
        buf_put_u8(b, 1);
        for (uint32_t i = 0; i < item->columns; i++) {
            struct value value = value_get(body);
            value_put(b, &value);
        }
    }
    buf_put_u8(b, 0);
    result_set_elapsed(b, at, item->elapsed_ns);
}

/* Appends all items as they are read; false if the bytes do not follow the format. */
static bool put_items(struct buf *b, struct cursor body)
{
    struct result_sql item;

    while (result_next_item(&body, &item)) {
        switch (item.item) {
        case RESULT_WRITE:
            result_put_write(b, item.elapsed_ns, item.last_insert_id, item.rows_affected);
            break;
        case RESULT_ROWS: put_rows(b, &item, &body); break;
        case RESULT_STATEMENT_ERROR: {
            char *text = strndup((const char *)item.text.p, cursor_left(&item.text));
            result_put_statement_error(b, item.elapsed_ns, text != NULL ? text : "");
            free(text);
            break;
        }
        case RESULT_EMPTY: result_put_empty(b, item.elapsed_ns); break;
        }
    }
    return !body.bad;
}

static void check_json(struct cursor body, unsigned options, bool good)
{
    struct result_json_options o = {
        .timings = (options & 1) != 0, .associative = (options & 2) != 0, .blob_array = (options & 4) != 0};
    struct error e;
    struct json j;
    struct buf out;
    json_error_t why;
    json_t *root;
    int rv;

    buf_init(&out, JSON_BYTES_MAX);
    js_init(&j, &out, (options & 8) != 0);
    rv = result_json_write(&j, body, &o, &e);
    FUZZ_CHECK((rv == 0) == good, "the JSON is refused exactly if the bytes do not follow the format");
    if (rv == 0 && out.failed == Q_OK) {
        root = json_loadb((const char *)out.data, out.len,
                          JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &why);
        /* JSON may have such keys, jansson does not take them: SQLite's names hold no zeros, and two that are
         * no UTF-8 may become one. */
        bool replaced = memmem(out.data, out.len, "\xef\xbf\xbd", 3) != NULL ||
                        memmem(out.data, out.len, "\\ufffd", 6) != NULL;
        FUZZ_CHECK(root != NULL || json_error_code(&why) == json_error_null_byte_in_key ||
                       (replaced && json_error_code(&why) == json_error_duplicate_key),
                   "what was written is JSON");
        json_decref(root);
    }
    buf_close(&out);
}

static void run(const uint8_t *p, size_t n)
{
    struct cursor c = cursor_of(p, n);
    unsigned options = n > 0 ? cursor_u8(&c) : 0;
    const uint8_t *from = c.p;
    size_t len = cursor_left(&c);
    enum result_kind kind;
    struct error failed = {.code = Q_OK}, e;
    struct buf again;
    bool good;

    if (result_decode(&c, &kind, &failed, &e) != 0) {
        FUZZ_CHECK(e.code == Q_MISMATCH || e.code == Q_CORRUPT,
                   "a refusal has one of the codes that are promised");
        return;
    }
    FUZZ_CHECK((kind == RESULT_ERROR) == (failed.code != Q_OK), "an error result has its error");
    if (kind != RESULT_SQL) {
        return;
    }
    buf_init(&again, BYTES_MAX);
    result_put_header(&again, kind);
    good = put_items(&again, c);
    if (good && again.failed == Q_OK) {
        /* A text with a zero in it, which no statement makes, is shorter when it is written again. */
        FUZZ_CHECK(again.len != len || memcmp(again.data, from, len) == 0,
                   "a result is encoded in one way only");
    }
    check_json(c, options, good);
    buf_close(&again);
}

static void put_column(struct buf *b, const char *name, const char *type)
{
    buf_put_blob(b, name, strlen(name));
    buf_put_blob(b, type, strlen(type));
}

static void put_row(struct buf *b, const char *text)
{
    struct value values[] = {
        {.type = VALUE_INTEGER, .integer = 1},
        {.type = VALUE_REAL, .real = 1e300},
        {.type = VALUE_TEXT, .bytes = cursor_of(text, strlen(text))},
        {.type = VALUE_BLOB, .bytes = cursor_of("\0\xff<", 3)},
        {.type = VALUE_NULL},
    };
    buf_put_u8(b, 1);
    for (unsigned i = 0; i < sizeof values / sizeof values[0]; i++) {
        value_put(b, &values[i]);
    }
}

static void seeds(struct seeds *s)
{
    struct error why;
    struct buf b;

    buf_init(&b, BYTES_MAX);
    buf_put_u8(&b, 7);
    result_put_header(&b, RESULT_SQL);
    result_put_write(&b, 1000, 5, 1);
    result_put_empty(&b, 0);
    result_put_statement_error(&b, 20, "no such table: t");
    result_put_rows(&b, 5);
    put_column(&b, "id", "BOOLEAN");
    put_column(&b, "r", "REAL");
    put_column(&b, "at", "datetime");
    put_column(&b, "id", "blob");
    put_column(&b, "n", "");
    put_row(&b, "2024-02-29 23:59:59.5+02:00");
    put_row(&b, "caf\xc3\xa9 \xe2\x80\xa8");
    buf_put_u8(&b, 0);
    seeds_add(s, "sql", b.data, b.len);

    buf_clear(&b);
    buf_put_u8(&b, 0);
    error_set(&why, Q_TOO_BIG, "the result is too large");
    result_put_error(&b, &why);
    seeds_add(s, "error", b.data, b.len);

    buf_clear(&b);
    buf_put_u8(&b, 0);
    result_put_header(&b, RESULT_KV_GET);
    buf_put_u8(&b, 1);
    buf_put_u64(&b, 3);
    buf_put_blob(&b, "value", 5);
    seeds_add(s, "get", b.data, b.len);
    buf_close(&b);
}

const struct fuzz_target fuzz_target = {.run = run, .seeds = seeds};
