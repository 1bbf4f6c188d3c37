#include "storage/result.h"

#include <assert.h>
#include <string.h>

void result_put_header(struct buf *b, enum result_kind kind)
{
    buf_put_u8(b, RESULT_VERSION);
    buf_put_u8(b, (uint8_t)kind);
}

void result_put_error(struct buf *b, const struct error *why)
{
    result_put_header(b, RESULT_ERROR);
    buf_put_u16(b, (uint16_t)why->code);
    buf_put_blob(b, why->text, strlen(why->text));
}

static void put_item(struct buf *b, enum result_item item, uint64_t elapsed_ns)
{
    buf_put_u8(b, (uint8_t)item);
    buf_put_u64(b, elapsed_ns);
}

void result_put_write(struct buf *b, uint64_t elapsed_ns, int64_t last_insert_id, uint64_t rows_affected)
{
    put_item(b, RESULT_WRITE, elapsed_ns);
    buf_put_u64(b, (uint64_t)last_insert_id);
    buf_put_u64(b, rows_affected);
}

void result_put_statement_error(struct buf *b, uint64_t elapsed_ns, const char *text)
{
    put_item(b, RESULT_STATEMENT_ERROR, elapsed_ns);
    buf_put_blob(b, text, strlen(text));
}

void result_put_empty(struct buf *b, uint64_t elapsed_ns)
{
    put_item(b, RESULT_EMPTY, elapsed_ns);
}

size_t result_put_rows(struct buf *b, uint32_t columns)
{
    size_t at = b->len;

    put_item(b, RESULT_ROWS, 0);
    buf_put_u32(b, columns);
    return at;
}

void result_set_elapsed(struct buf *b, size_t at, uint64_t elapsed_ns)
{
    if (b->failed == Q_OK) {
        assert(at + 9 <= b->len);
        put_le64(b->data + at + 1, elapsed_ns);
    }
}

static bool known_kind(uint8_t kind)
{
    switch (kind) {
    case RESULT_ERROR:
    case RESULT_SQL:
    case RESULT_KV_PUT:
    case RESULT_KV_GET:
    case RESULT_KV_DELETE:
    case RESULT_KV_LIST:
    case RESULT_MEMBER:
    case RESULT_LOAD: return true;
    }
    return false;
}

static int corrupt(struct error *e)
{
    return error_set(e, Q_CORRUPT, "the result's bytes do not follow its format");
}

int result_decode(struct cursor *c, enum result_kind *ret_kind, struct error *ret_error, struct error *e)
{
    uint8_t version = cursor_u8(c);

    if (!c->bad && version != RESULT_VERSION) {
        return error_set(e, Q_MISMATCH, "unknown version %u of a result", version);
    }
    uint8_t kind = cursor_u8(c);
    if (c->bad) {
        return corrupt(e);
    }
    if (!known_kind(kind)) {
        return error_set(e, Q_MISMATCH, "unknown kind %u of a result", kind);
    }
    if (kind == RESULT_ERROR) {
        uint16_t code = cursor_u16(c);
        struct cursor text = cursor_blob(c);

        if (c->bad || cursor_left(c) > 0) {
            return corrupt(e);
        }
        if (code == Q_OK || code >= Q_CODES) {
            return error_set(e, Q_MISMATCH, "unknown error %u in a result", code);
        }
        error_set(ret_error, (enum error_code)code, "%.*s", (int)cursor_left(&text), (const char *)text.p);
    }
    *ret_kind = (enum result_kind)kind;
    return 0;
}

static void get_columns(struct cursor *c, struct result_sql *item)
{
    item->columns = cursor_u32(c);
    item->column = *c;
    for (uint32_t i = 0; i < item->columns && !c->bad; i++) {
        cursor_blob(c);
        cursor_blob(c);
    }
    if (!c->bad) {
        item->column.end = c->p;
    }
}

bool result_next_item(struct cursor *c, struct result_sql *ret_item)
{
    struct result_sql item = {0};

    if (c->bad || cursor_left(c) == 0) {
        return false;
    }
    uint8_t kind = cursor_u8(c);
    item.elapsed_ns = cursor_u64(c);
    switch (kind) {
    case RESULT_WRITE:
        item.last_insert_id = (int64_t)cursor_u64(c);
        item.rows_affected = cursor_u64(c);
        break;
    case RESULT_ROWS: get_columns(c, &item); break;
    case RESULT_STATEMENT_ERROR: item.text = cursor_blob(c); break;
    case RESULT_EMPTY: break;
    default: c->bad = true;
    }
    if (c->bad) {
        return false;
    }
    item.item = (enum result_item)kind;
    *ret_item = item;
    return true;
}

bool result_next_row(struct cursor *c)
{
    uint8_t more = cursor_u8(c);

    if (more > 1) {
        c->bad = true;
    }
    return !c->bad && more == 1;
}
