#include "node/cli/insert.h"

#include <ctype.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD_MAX = 1024 * 1024 };

void insert_init(struct insert *in)
{
    *in = (struct insert){0};
    buf_init(&in->head, HEAD_MAX);
    buf_init(&in->rows, INSERT_BODY_MAX);
    buf_init(&in->parameters, INSERT_BODY_MAX);
}

void insert_close(struct insert *in)
{
    buf_close(&in->head);
    buf_close(&in->rows);
    buf_close(&in->parameters);
}

void insert_put_name(struct buf *sql, const char *name)
{
    buf_put_u8(sql, '"');
    for (const char *p = name; *p != 0; p++) {
        buf_put_bytes(sql, "\"\"", *p == '"' ? 2 : 0);
        buf_put_bytes(sql, p, *p == '"' ? 0 : 1);
    }
    buf_put_u8(sql, '"');
}

static void drop_rows(struct insert *in)
{
    buf_clear(&in->rows);
    buf_clear(&in->parameters);
    in->count = 0;
}

void insert_begin(struct insert *in, const char *table, const char *const *names, unsigned count)
{
    drop_rows(in);
    buf_clear(&in->head);
    in->columns = count;
    buf_printf(&in->head, "INSERT OR REPLACE INTO ");
    insert_put_name(&in->head, table);
    for (unsigned i = 0; i < count; i++) {
        buf_put_u8(&in->head, i == 0 ? '(' : ',');
        insert_put_name(&in->head, names[i]);
    }
    buf_printf(&in->head, ") VALUES ");
}

/* x'..' or X'..' around an even number of hex digits, white space around it aside: a blob to rqlite. */
static bool looks_like_blob(const char *p, size_t n)
{
    while (n > 0 && isspace((unsigned char)p[0])) {
        p++;
        n--;
    }
    while (n > 0 && isspace((unsigned char)p[n - 1])) {
        n--;
    }
    return n >= 3 && (p[0] == 'x' || p[0] == 'X') && p[1] == '\'' && p[n - 1] == '\'';
}

static void put_bytes(struct buf *b, const char *p, size_t n)
{
    buf_put_u8(b, '[');
    for (size_t i = 0; i < n; i++) {
        buf_printf(b, "%s%u", i == 0 ? "" : ",", (unsigned char)p[i]);
    }
    buf_put_u8(b, ']');
}

/* False if the text is not UTF-8. */
static bool put_string(struct buf *b, const char *p, size_t n)
{
    json_t *text = json_stringn(p, n);
    size_t most = n * 6 + 2, written;
    uint8_t *to;

    if (text == NULL) {
        return false;
    }
    to = buf_reserve(b, most);
    if (to != NULL) {
        written = json_dumpb(text, (char *)to, most, JSON_ENCODE_ANY | JSON_COMPACT);
        b->len += written;
        b->failed = written == 0 || written > most ? Q_NOMEM : b->failed;
    }
    json_decref(text);
    return true;
}

static void put_real(struct buf *b, double v)
{
    char text[40];

    if (!isfinite(v)) {
        buf_printf(b, "null");
        return;
    }
    snprintf(text, sizeof text, "%.17g", v);
    /* A whole number must not become an integer on its way. */
    buf_printf(b, "%s%s", text, strpbrk(text, ".e") == NULL ? ".0" : "");
}

void insert_add(struct insert *in, const struct insert_value *values)
{
    struct buf *p = &in->parameters;

    for (unsigned i = 0; i < in->columns; i++) {
        const struct insert_value *v = &values[i];
        const char *place = "?";

        buf_put_u8(p, ',');
        switch (v->type) {
        case INSERT_NULL: buf_printf(p, "null"); break;
        case INSERT_INTEGER: buf_printf(p, "%" PRId64, v->integer); break;
        case INSERT_REAL: put_real(p, v->real); break;
        case INSERT_TEXT:
            if (looks_like_blob(v->text, v->len) || !put_string(p, v->text, v->len)) {
                put_bytes(p, v->text, v->len);
                place = "CAST(? AS TEXT)";
            }
            break;
        }
        buf_printf(&in->rows, "%s%s", i > 0 ? "," : in->count == 0 ? "(" : ",(", place);
    }
    buf_put_u8(&in->rows, ')');
    in->count++;
}

bool insert_is_full(const struct insert *in, unsigned rows, size_t bytes)
{
    return in->count > 0 &&
           (in->count >= rows || in->parameters.len >= bytes ||
            (size_t)(in->count + 1) * in->columns > INSERT_PARAMETERS_MAX || in->parameters.failed != Q_OK);
}

int insert_finish(struct insert *in, struct buf *to, struct error *e)
{
    int rv = buf_check(&in->head, "the names of the columns", e);

    if (rv == 0) {
        rv = buf_check(&in->rows, "the statement", e);
    }
    if (rv == 0) {
        rv = buf_check(&in->parameters, "the values of a request", e);
    }
    if (rv == 0) {
        buf_put_bytes(to, "[[", 2);
        if (!put_string(to, (const char *)in->head.data, in->head.len)) {
            drop_rows(in);
            return error_set(e, Q_INVALID, "the name of the table or of a column is not UTF-8");
        }
        to->len -= to->failed == Q_OK; /* the closing quote: the statement goes on */
        buf_put_bytes(to, in->rows.data, in->rows.len);
        buf_put_u8(to, '"');
        buf_put_bytes(to, in->parameters.data, in->parameters.len);
        buf_put_bytes(to, "]]", 2);
        rv = buf_check(to, "a request", e);
    }
    drop_rows(in);
    return rv;
}
