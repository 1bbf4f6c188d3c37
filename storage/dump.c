#include "storage/dump.h"

#include <math.h>
#include <string.h>

#include "base/plant.h"
#include "storage/schema_list.h"
#include "storage/sql_error.h"
#include "storage/utf8.h"

enum { PIECE_BYTES = 64 * 1024 };

struct dump {
    sqlite3 *db;
    const struct dump_out *out;
    struct buf text;
    int failed; /* of OUT: nothing more is written */
    struct error *e;
    bool schema_open; /* for rows of virtual tables */
};

static void flush(struct dump *d)
{
    if (d->failed == 0) {
        d->failed = buf_check(&d->text, "a piece of the dump", d->e);
    }
    if (d->failed == 0 && d->text.len > 0) {
        d->failed = d->out->put(d->out->ctx, d->text.data, d->text.len, d->e);
    }
    buf_clear(&d->text);
}

static void put(struct dump *d, const void *p, size_t n)
{
    const uint8_t *from = p;

    while (n > 0 && d->failed == 0) {
        size_t room = PIECE_BYTES - d->text.len, part = n < room ? n : room;
        buf_put_bytes(&d->text, from, part);
        if (d->text.len == PIECE_BYTES || d->text.failed != Q_OK) {
            flush(d);
        }
        from += part;
        n -= part;
    }
}

static void say(struct dump *d, const char *text)
{
    put(d, text, strlen(text));
}

static void put_quoted(struct dump *d, const char *p, size_t n, char quote)
{
    put(d, &quote, 1);
    while (n > 0) {
        const char *at = memchr(p, quote, n);
        size_t part = at != NULL ? (size_t)(at - p) + 1 : n;
        put(d, p, part);
        if (at != NULL && !PLANTED("quotes_are_not_doubled")) {
            put(d, &quote, 1);
        }
        p += part;
        n -= part;
    }
    put(d, &quote, 1);
}

static void put_hex(struct dump *d, const uint8_t *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";

    say(d, "X'");
    for (size_t i = 0; i < n; i++) {
        char pair[2] = {digits[p[i] >> 4], digits[p[i] & 15]};
        put(d, pair, 2);
    }
    say(d, "'");
}

/* Text that SQL's quotes, and the shell that reads it line by line, leave as it is. */
static bool is_plain(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] < ' ' && p[i] != '\t' && p[i] != '\n') {
            return false;
        }
    }
    return utf8_valid(p, n);
}

static void put_text(struct dump *d, const uint8_t *p, size_t n)
{
    if (is_plain(p, n) || PLANTED("text_is_always_quoted")) {
        put_quoted(d, (const char *)p, n, '\'');
    } else {
        say(d, "CAST(");
        put_hex(d, p, n);
        say(d, " AS TEXT)");
    }
}

static void put_real(struct dump *d, double v)
{
    char text[64];

    if (isinf(v)) {
        say(d, v > 0 ? "1e999" : "-1e999");
    } else {
        sqlite3_snprintf(sizeof text, text, "%!.20g", v);
        say(d, v == 0 && signbit(v) && text[0] != '-' ? "-" : "");
        say(d, text);
    }
}

static int put_value(struct dump *d, sqlite3_stmt *row, int column)
{
    int type = sqlite3_column_type(row, column);
    char text[32];

    switch (type) {
    case SQLITE_INTEGER:
        sqlite3_snprintf(sizeof text, text, "%lld", sqlite3_column_int64(row, column));
        say(d, text);
        return 0;
    case SQLITE_FLOAT: put_real(d, sqlite3_column_double(row, column)); return 0;
    case SQLITE_NULL: say(d, "NULL"); return 0;
    default: break;
    }
    const uint8_t *p = sqlite3_column_blob(row, column);
    size_t n = (size_t)sqlite3_column_bytes(row, column);

    if (p == NULL && sqlite3_errcode(d->db) == SQLITE_NOMEM) {
        return error_set(d->e, Q_NOMEM, "out of memory for a value");
    }
    if (type == SQLITE_TEXT) {
        put_text(d, p != NULL ? p : (const uint8_t *)"", n);
    } else {
        put_hex(d, p, n);
    }
    return 0;
}

/* The rowid is written only where the next one in order would be another. */
static int put_row(struct dump *d, const char *name, const struct schema_rows *rows, int64_t *last)
{
    int first = rows->rowid != NULL, rc = 0;
    int64_t rowid = first ? sqlite3_column_int64(rows->select, 0) : 0;
    bool named = first && (rowid != *last + 1 || rows->columns == 0);

    say(d, "INSERT INTO ");
    put_quoted(d, name, strlen(name), '"');
    if (named || rows->generated) {
        say(d, "(");
        say(d, named ? rows->rowid : "");
        say(d, named && rows->columns > 0 ? "," : "");
        say(d, rows->columns_sql);
        say(d, ")");
    }
    say(d, " VALUES(");
    for (int i = named ? 0 : first; rc == 0 && i < first + (int)rows->columns; i++) {
        say(d, i > (named ? 0 : first) ? "," : "");
        rc = put_value(d, rows->select, i);
    }
    say(d, ");\n");
    *last = rowid;
    return rc;
}

static int dump_rows(struct dump *d, const struct schema_object *table)
{
    struct schema_rows rows;
    int64_t last = 0;
    int step = SQLITE_DONE, rc = schema_rows_open(d->db, table, &rows, d->e);

    if (rc != 0) {
        return rc;
    }
    while (rc == 0 && d->failed == 0 && (step = sqlite3_step(rows.select)) == SQLITE_ROW) {
        rc = put_row(d, table->name, &rows, &last);
    }
    if (rc == 0 && d->failed == 0 && step != SQLITE_DONE) {
        rc = sql_error(d->db, step, "reading rows", d->e);
    }
    schema_rows_close(&rows);
    return rc;
}

static void put_virtual(struct dump *d, const struct schema_object *o)
{
    if (!d->schema_open) {
        say(d, "PRAGMA writable_schema=ON;\n");
        d->schema_open = true;
    }
    say(d, "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table',");
    put_quoted(d, o->name, strlen(o->name), '\'');
    say(d, ",");
    put_quoted(d, o->name, strlen(o->name), '\'');
    say(d, ",0,");
    put_quoted(d, o->sql, strlen(o->sql), '\'');
    say(d, ");\n");
}

static int dump_object(struct dump *d, const struct schema_object *o)
{
    switch (o->kind) {
    case SCHEMA_VIRTUAL: put_virtual(d, o); return 0;
    case SCHEMA_SEQUENCE: say(d, "DELETE FROM sqlite_sequence;\n"); return dump_rows(d, o);
    case SCHEMA_TABLE:
    case SCHEMA_SHADOW:
    case SCHEMA_OTHER: break;
    }
    say(d, o->sql);
    say(d, ";\n");
    return o->kind == SCHEMA_OTHER ? 0 : dump_rows(d, o);
}

/* Whether the names in TABLES have NAME among them; NULL asks for all. */
static bool wanted(const char *tables, const char *name)
{
    size_t n = strlen(name);

    for (const char *p = tables; p != NULL && *p != '\0';) {
        size_t part = strcspn(p, ",");
        if (part == n && sqlite3_strnicmp(p, name, (int)n) == 0) {
            return true;
        }
        p += part + (p[part] == ',');
    }
    return tables == NULL || tables[0] == '\0';
}

/* A virtual table is nothing without the tables behind it. */
static bool belongs(const struct schema_list *l, const char *tables, const struct schema_object *o)
{
    if (wanted(tables, o->table)) {
        return true;
    }
    for (size_t i = 0; o->kind == SCHEMA_SHADOW && i < l->count; i++) {
        size_t n = strlen(l->object[i].name);
        if (l->object[i].kind == SCHEMA_VIRTUAL &&
            sqlite3_strnicmp(l->object[i].name, o->name, (int)n) == 0 && o->name[n] == '_' &&
            wanted(tables, l->object[i].name)) {
            return true;
        }
    }
    return false;
}

static int check_tables(const struct schema_list *l, const char *tables, struct error *e)
{
    for (const char *p = tables; p != NULL && *p != '\0';) {
        size_t part = strcspn(p, ",");
        bool found = part == 0;
        for (size_t i = 0; !found && i < l->count; i++) {
            const struct schema_object *o = &l->object[i];
            found = o->kind != SCHEMA_OTHER && strlen(o->name) == part &&
                    sqlite3_strnicmp(o->name, p, (int)part) == 0;
        }
        if (!found) {
            return error_set(e, Q_NOT_FOUND, "no such table: %.*s", (int)part, p);
        }
        p += part + (p[part] == ',');
    }
    return 0;
}

int dump_sql(sqlite3 *db, const char *tables, const struct dump_out *out, struct error *e)
{
    struct dump d = {.db = db, .out = out, .e = e};
    struct schema_list l;
    int rc = schema_list_read(db, &l, e);

    if (rc != 0) {
        return rc;
    }
    buf_init(&d.text, PIECE_BYTES);
    rc = check_tables(&l, tables, e);
    say(&d, "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n");
    for (size_t i = 0; rc == 0 && d.failed == 0 && i < l.count; i++) {
        if (belongs(&l, tables, &l.object[i])) {
            rc = dump_object(&d, &l.object[i]);
        }
    }
    say(&d, d.schema_open ? "PRAGMA writable_schema=OFF;\n" : "");
    say(&d, "COMMIT;\n");
    if (rc == 0) {
        flush(&d);
        rc = d.failed;
    }
    buf_close(&d.text);
    schema_list_close(&l);
    return rc;
}
