#include "storage/load_stream.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/object.h"
#include "storage/sql_error.h"
#include "storage/statement.h"
#include "storage/token.h"

enum { STREAM_MAGIC = 0x514c5354, RECORD_HEADER = 5, VALUES_MAX = 32767 };

struct load_stream {
    OBJECT_MAGIC;
    struct load *l;
    struct buf bytes;     /* of a record that is not whole yet */
    bool begun, ended;    /* HEADER came; END came */
    bool schema;          /* it changed since the digest looked */
    sqlite3_stmt *insert; /* of the table that rows are for; NULL: none */
    unsigned values;
};

int load_stream_new(struct load *l, struct load_stream **ret_stream, struct error *e)
{
    struct load_stream *s = calloc(1, sizeof *s);

    if (s == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for a load");
    }
    s->magic = STREAM_MAGIC;
    s->l = l;
    buf_init(&s->bytes, LOAD_RECORD_MAX + LOAD_PIECE_MAX + RECORD_HEADER);
    *ret_stream = s;
    return 0;
}

void load_stream_free(struct load_stream *s)
{
    if (s != NULL) {
        sqlite3_finalize(s->insert);
        buf_close(&s->bytes);
        s->magic = 0;
        free(s);
    }
}

static int malformed(struct error *e)
{
    return error_set(e, Q_INVALID, "the pieces are not the stream of a load");
}

static int read_header(struct load_stream *s, struct cursor *c, struct error *e)
{
    char sql[100];
    uint8_t version = cursor_u8(c);
    uint32_t user_version = cursor_u32(c), application_id = cursor_u32(c);

    if (c->bad || s->begun || version != LOAD_STREAM_VERSION) {
        return malformed(e);
    }
    s->begun = true;
    sqlite3_snprintf(sizeof sql, sql, "PRAGMA user_version = %d; PRAGMA application_id = %d",
                     (int)user_version, (int)application_id);
    return statement_once(s->l->db, sql, e);
}

/* The words of SQLite, or of the authorizer, which it cannot say. Keeps a failure of this node as it is. */
static int failed(struct load_stream *s, int rc, const char *sql, size_t n, struct error *e)
{
    const char *reason = determinism_reason(s->l->determinism);
    int shown = n < 80 ? (int)n : 80;
    int code = sql_error(s->l->db, rc, "statement", e);

    return sql_error_is_nodes((enum error_code)code)
               ? code
               : error_set(e, Q_SQL, "%s, in: %.*s", reason != NULL ? reason : sqlite3_errmsg(s->l->db),
                           shown, sql);
}

static bool is_create(const char *sql, size_t n)
{
    const char *at = sql;
    struct token first;

    return token_next(&at, sql + n, &first) && token_is(&first, "create");
}

/* The rules for clients hold: it is compiled, and run, without trust. */
static int run_schema(struct load_stream *s, struct cursor *c, struct error *e)
{
    const char *sql = (const char *)c->p, *tail = sql;
    size_t n = cursor_left(c);
    sqlite3_stmt *statement = NULL;

    if (!is_create(sql, n) || memchr(sql, 0, n) != NULL) {
        return malformed(e);
    }
    if (determinism_check(sql, n, e)) {
        return (int)e->code;
    }
    determinism_trust(s->l->determinism, false);
    int rc = sqlite3_prepare_v2(s->l->db, sql, (int)n, &statement, &tail);
    rc = rc == SQLITE_OK ? sqlite3_step(statement) : rc;
    rc = rc == SQLITE_DONE ? 0 : failed(s, rc, sql, n, e);
    sqlite3_finalize(statement);
    determinism_reason(s->l->determinism);
    determinism_trust(s->l->determinism, true);
    s->schema = true;
    c->p = c->end;
    struct token more;
    return rc == 0 && token_next(&tail, sql + n, &more) ? malformed(e) : rc;
}

static int follow(struct load_stream *s, struct error *e)
{
    s->schema = false;
    return digest_follow(s->l->digest, e);
}

static void put_name(struct buf *b, struct cursor name)
{
    buf_put_u8(b, '"');
    while (cursor_left(&name) > 0) {
        uint8_t byte = cursor_u8(&name);
        buf_put_bytes(b, "\"\"", byte == '"' ? 2 : 0);
        buf_put_bytes(b, &byte, byte != '"');
    }
    buf_put_u8(b, '"');
}

/* The table is emptied, and INSERT is what a row of it runs. */
static int begin_table(struct load_stream *s, struct cursor name, unsigned rowid, unsigned columns,
                       struct cursor *c, struct error *e)
{
    static const char *const rowids[] = {"", "rowid", "_rowid_", "oid"};
    struct buf insert, empty;

    buf_init(&insert, SIZE_MAX);
    buf_init(&empty, SIZE_MAX);
    buf_printf(&empty, "DELETE FROM main.");
    put_name(&empty, name);
    buf_put_u8(&empty, 0);
    buf_printf(&insert, "INSERT INTO main.");
    put_name(&insert, name);
    buf_printf(&insert, "(%s", rowids[rowid]);
    for (unsigned i = 0; i < columns; i++) {
        buf_put_bytes(&insert, ",", i > 0 || rowid > 0);
        put_name(&insert, cursor_blob(c));
    }
    buf_printf(&insert, ") VALUES (");
    s->values = columns + (rowid > 0);
    for (unsigned i = 0; i < s->values; i++) {
        buf_printf(&insert, i > 0 ? ",?" : "?");
    }
    buf_put_u8(&insert, ')');
    buf_put_u8(&insert, 0);
    int rc = c->bad ? malformed(e) : buf_check(&insert, "a statement", e);
    rc = rc == 0 ? buf_check(&empty, "a statement", e) : rc;
    rc = rc == 0 ? statement_once(s->l->db, (const char *)empty.data, e) : rc;
    rc = rc == 0 ? statement_new(s->l->db, (const char *)insert.data, &s->insert, e) : rc;
    buf_close(&insert);
    buf_close(&empty);
    return rc;
}

static bool is_own(const struct cursor *name)
{
    size_t n = sizeof AUTHORIZER_OWN_PREFIX - 1;
    return cursor_left(name) >= n &&
           sqlite3_strnicmp((const char *)name->p, AUTHORIZER_OWN_PREFIX, (int)n) == 0;
}

static int read_table(struct load_stream *s, struct cursor *c, struct error *e)
{
    struct cursor name = cursor_blob(c);
    unsigned rowid = cursor_u8(c), columns = cursor_u16(c);

    sqlite3_finalize(s->insert);
    s->insert = NULL;
    if (c->bad || rowid > 3 || columns + rowid == 0 || columns >= VALUES_MAX || is_own(&name)) {
        return malformed(e);
    }
    return follow(s, e) ? (int)e->code : begin_table(s, name, rowid, columns, c, e);
}

static int bind(sqlite3_stmt *insert, int at, const struct value *v)
{
    switch (v->type) {
    case VALUE_NULL: return sqlite3_bind_null(insert, at);
    case VALUE_INTEGER: return sqlite3_bind_int64(insert, at, v->integer);
    case VALUE_REAL: return sqlite3_bind_double(insert, at, v->real);
    case VALUE_TEXT: return statement_bind_text(insert, at, &v->bytes);
    case VALUE_BLOB: return statement_bind_blob(insert, at, &v->bytes);
    }
    return SQLITE_MISUSE;
}

static int read_row(struct load_stream *s, struct cursor *c, struct error *e)
{
    int rc = SQLITE_OK;

    if (s->insert == NULL) {
        return malformed(e);
    }
    for (unsigned i = 0; rc == SQLITE_OK && i < s->values; i++) {
        struct value v = value_get(c);
        rc = bind(s->insert, (int)i + 1, &v);
    }
    if (c->bad) {
        return malformed(e);
    }
    rc = rc == SQLITE_OK ? statement_run(s->insert) : rc;
    return rc == SQLITE_OK ? 0 : sql_error(s->l->db, rc, "a row of the load", e);
}

static int run_record(struct load_stream *s, uint8_t kind, struct cursor *c, struct error *e)
{
    int rc;

    if (s->ended || (kind != LOAD_HEADER && !s->begun)) {
        return malformed(e);
    }
    switch (kind) {
    case LOAD_HEADER: rc = read_header(s, c, e); break;
    case LOAD_SCHEMA: rc = run_schema(s, c, e); break;
    case LOAD_TABLE: rc = read_table(s, c, e); break;
    case LOAD_ROW: rc = read_row(s, c, e); break;
    case LOAD_END:
        s->ended = true;
        rc = 0;
        break;
    default: return malformed(e);
    }
    return rc != 0 ? rc : cursor_left(c) > 0 ? malformed(e) : 0;
}

int load_stream_put(struct load_stream *s, const void *p, size_t n, struct error *e)
{
    size_t at = 0;
    int rc = 0;

    assert(s->magic == STREAM_MAGIC);
    buf_put_bytes(&s->bytes, p, n);
    if (buf_check(&s->bytes, "a record of the load", e)) {
        return s->bytes.failed == Q_NOMEM ? Q_NOMEM : malformed(e);
    }
    while (rc == 0 && s->bytes.len - at >= RECORD_HEADER) {
        const uint8_t *record = s->bytes.data + at;
        size_t size = get_le32(record + 1);
        struct cursor body = cursor_of(record + RECORD_HEADER, size);

        if (size > LOAD_RECORD_MAX) {
            return malformed(e);
        }
        if (s->bytes.len - at - RECORD_HEADER < size) {
            break;
        }
        rc = run_record(s, record[0], &body, e);
        at += RECORD_HEADER + size;
    }
    if (at > 0) {
        memmove(s->bytes.data, s->bytes.data + at, s->bytes.len - at);
    }
    s->bytes.len -= at;
    return rc;
}

int load_stream_end(struct load_stream *s, struct error *e)
{
    if (!s->ended || s->bytes.len > 0) {
        return malformed(e);
    }
    sqlite3_finalize(s->insert);
    s->insert = NULL;
    return follow(s, e);
}
