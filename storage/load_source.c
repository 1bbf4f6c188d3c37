#include "storage/load_source.h"

#include <stdlib.h>
#include <string.h>

#include "base/object.h"
#include "base/plant.h"
#include "storage/load.h"
#include "storage/schema_list.h"
#include "storage/sql_error.h"
#include "storage/statement.h"

enum { SOURCE_MAGIC = 0x514c5352 };

/* In this order; each walks the list of objects. */
enum phase { PHASE_HEADER, PHASE_TABLES, PHASE_ROWS, PHASE_OTHERS, PHASE_END };

struct load_source {
    OBJECT_MAGIC;
    sqlite3 *db;
    struct schema_list list;
    enum phase phase;
    size_t at;          /* in the list */
    bool in_rows, told; /* the rows of a table are being read; it has been named */
    struct schema_rows rows;
    struct load_source_progress progress;
};

/* What SQLite says of a file that is none, or whose pages contradict each other, is not this node's fault. */
static int blame(int code, struct error *e)
{
    struct error why = *e;

    return code == Q_CORRUPT || code == Q_SQL || code == Q_IO
               ? error_set(e, Q_INVALID, "invalid SQLite data: %s", why.text)
               : code;
}

static int check(struct load_source *s, struct error *e)
{
    sqlite3_stmt *row;
    int rc;

    if (statement_new(s->db, "PRAGMA integrity_check(1)", &row, e)) {
        return (int)e->code;
    }
    rc = sqlite3_step(row);
    const char *text = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(row, 0) : NULL;
    if (rc != SQLITE_ROW) {
        rc = sql_error(s->db, rc, "checking it", e);
    } else if (text == NULL || (strcmp(text, "ok") != 0 && !PLANTED("damaged_files_are_loaded"))) {
        rc = error_set(e, Q_INVALID, "invalid SQLite data: %.200s", text != NULL ? text : "no answer");
    } else {
        rc = 0;
    }
    sqlite3_finalize(row);
    return rc;
}

/* The file is all there is: no WAL, no lock, whatever its header says. */
static int open_alone(struct load_source *s, const char *path, const char *vfs, struct error *e)
{
    struct buf uri;

    buf_init(&uri, SIZE_MAX);
    buf_printf(&uri, "file:");
    for (const char *p = path; *p != '\0'; p++) {
        buf_printf(&uri, strchr("%?#", *p) != NULL ? "%%%02x" : "%c", *p);
    }
    buf_printf(&uri, "?immutable=1");
    buf_put_u8(&uri, 0);
    int rc = buf_check(&uri, "the path", e);
    if (rc == 0) {
        rc = sqlite3_open_v2(
            (const char *)uri.data, &s->db,
            SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, vfs);
        rc = rc == SQLITE_OK ? 0 : sql_error(s->db, rc, "opening it", e);
    }
    buf_close(&uri);
    return rc;
}

static int open_file(struct load_source *s, const char *path, const char *vfs, struct error *e)
{
    if (open_alone(s, path, vfs, e)) {
        return (int)e->code;
    }
    /* Its schema is a stranger's: nothing in it may act. */
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    return check(s, e) || schema_list_read(s->db, &s->list, e) ? (int)e->code : 0;
}

int load_source_open(const char *path, const char *vfs, struct load_source **ret_source, struct error *e)
{
    struct load_source *s = calloc(1, sizeof *s);
    struct error mine;

    e = e != NULL ? e : &mine;
    if (s == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for a file");
    }
    s->magic = SOURCE_MAGIC;
    int rc = open_file(s, path, vfs, e);
    if (rc != 0) {
        load_source_close(s);
        return blame(rc, e);
    }
    for (size_t i = 0; i < s->list.count; i++) {
        s->progress.tables_all += s->list.object[i].kind == SCHEMA_TABLE;
    }
    *ret_source = s;
    return 0;
}

void load_source_close(struct load_source *s)
{
    if (s != NULL) {
        schema_rows_close(&s->rows);
        schema_list_close(&s->list);
        sqlite3_close(s->db);
        s->magic = 0;
        free(s);
    }
}

/* ---- records ---- */

static size_t begin_record(struct buf *out, enum load_record kind)
{
    buf_put_u8(out, (uint8_t)kind);
    buf_put_u32(out, 0);
    return out->len;
}

static void end_record(struct buf *out, size_t at)
{
    if (out->failed == Q_OK) {
        buf_set_u32(out, at - 4, (uint32_t)(out->len - at));
    }
}

static int ask(sqlite3 *db, const char *sql, uint32_t *ret_v, struct error *e)
{
    sqlite3_stmt *row;

    if (statement_new(db, sql, &row, e)) {
        return (int)e->code;
    }
    int rc = sqlite3_step(row);
    *ret_v = (uint32_t)sqlite3_column_int(row, 0);
    sqlite3_finalize(row);
    return rc == SQLITE_ROW ? 0 : sql_error(db, rc, sql, e);
}

static int put_header(struct load_source *s, struct buf *out, struct error *e)
{
    uint32_t user_version, application_id;
    size_t at;

    if (ask(s->db, "PRAGMA user_version", &user_version, e) ||
        ask(s->db, "PRAGMA application_id", &application_id, e)) {
        return (int)e->code;
    }
    at = begin_record(out, LOAD_HEADER);
    buf_put_u8(out, LOAD_STREAM_VERSION);
    buf_put_u32(out, user_version);
    buf_put_u32(out, application_id);
    end_record(out, at);
    return 0;
}

static void put_schema(const char *sql, struct buf *out)
{
    size_t at = begin_record(out, LOAD_SCHEMA);

    buf_put_bytes(out, sql, strlen(sql));
    end_record(out, at);
}

/* COLUMNS_SQL is what schema_rows_open() made: names in double quotes, commas between them. */
static void put_columns(const char *columns_sql, struct buf *out)
{
    const char *p = columns_sql;

    while (*p == '"') {
        size_t at = out->len;
        buf_put_u32(out, 0);
        for (p++; *p != '"' || p[1] == '"'; p++) {
            p += *p == '"';
            buf_put_u8(out, (uint8_t)*p);
        }
        if (out->failed == Q_OK) {
            buf_set_u32(out, at, (uint32_t)(out->len - at - 4));
        }
        p += 1 + (p[1] == ',');
    }
}

static void put_table(const char *name, const struct schema_rows *rows, struct buf *out)
{
    size_t at = begin_record(out, LOAD_TABLE);

    buf_put_blob(out, name, strlen(name));
    buf_put_u8(out, rows->rowid == NULL                   ? 0
                    : strcmp(rows->rowid, "rowid") == 0   ? 1
                    : strcmp(rows->rowid, "_rowid_") == 0 ? 2
                                                          : 3);
    buf_put_u16(out, (uint16_t)rows->columns);
    put_columns(rows->columns_sql, out);
    end_record(out, at);
}

static int put_row(struct load_source *s, struct buf *out, struct error *e)
{
    sqlite3_stmt *row = s->rows.select;
    size_t at = begin_record(out, LOAD_ROW);

    for (int i = 0; i < sqlite3_column_count(row); i++) {
        struct value v = {.type = VALUE_NULL};
        int type = sqlite3_column_type(row, i);

        if (type == SQLITE_INTEGER) {
            v.type = VALUE_INTEGER;
            v.integer = sqlite3_column_int64(row, i);
        } else if (type == SQLITE_FLOAT) {
            v.type = VALUE_REAL;
            v.real = sqlite3_column_double(row, i);
        } else if (type != SQLITE_NULL) {
            /* column_text() before: it makes UTF-8 of other encodings. */
            const void *p =
                type == SQLITE_TEXT ? (const void *)sqlite3_column_text(row, i) : sqlite3_column_blob(row, i);
            v.type = type == SQLITE_TEXT ? VALUE_TEXT : VALUE_BLOB;
            v.bytes = cursor_of(p, (size_t)sqlite3_column_bytes(row, i));
            if (p == NULL && sqlite3_errcode(s->db) == SQLITE_NOMEM) {
                return error_set(e, Q_NOMEM, "out of memory for a row");
            }
        }
        value_put(out, &v);
    }
    end_record(out, at);
    if (out->failed == Q_OK && out->len - at > LOAD_RECORD_MAX) {
        return error_set(e, Q_TOO_BIG, "a row of table %s is larger than %d bytes",
                         s->list.object[s->at].name, LOAD_RECORD_MAX);
    }
    s->progress.rows++;
    return 0;
}

/* ---- the walk ---- */

/* The table of the sequence stays when the last table that needs it goes; where it is made again there is
 * none then. */
static bool has_sequence(const struct schema_list *l)
{
    for (size_t i = 0; i < l->count; i++) {
        if (l->object[i].kind == SCHEMA_TABLE && strcasestr(l->object[i].sql, "autoincrement") != NULL) {
            return true;
        }
    }
    return false;
}

static bool has_rows(const struct load_source *s, const struct schema_object *o)
{
    return o->kind == SCHEMA_TABLE || o->kind == SCHEMA_SHADOW ||
           (o->kind == SCHEMA_SEQUENCE && has_sequence(&s->list));
}

/* The next row, or the next table's beginning. */
static int walk_rows(struct load_source *s, struct buf *out, struct error *e)
{
    const struct schema_object *o = &s->list.object[s->at];

    if (!has_rows(s, o)) {
        s->at++;
        return 0;
    }
    if (!s->in_rows) {
        if (schema_rows_open(s->db, o, &s->rows, e)) {
            return (int)e->code;
        }
        s->in_rows = true;
        s->told = false;
    }
    int rc = sqlite3_step(s->rows.select);
    if ((rc == SQLITE_ROW || rc == SQLITE_DONE) && !s->told) {
        /* Without rows it is emptied all the same: a shadow table is not empty when it is made. */
        put_table(o->name, &s->rows, out);
        s->told = true;
    }
    if (rc == SQLITE_ROW) {
        return put_row(s, out, e);
    }
    s->progress.tables += o->kind == SCHEMA_TABLE;
    s->at++;
    s->in_rows = false;
    schema_rows_close(&s->rows);
    return rc == SQLITE_DONE ? 0 : sql_error(s->db, rc, "reading rows", e);
}

/* Statements of tables before the rows, all others but those of shadow tables behind them. */
static void walk_schema(struct load_source *s, struct buf *out)
{
    const struct schema_object *o = &s->list.object[s->at++];
    bool table = o->kind == SCHEMA_TABLE || o->kind == SCHEMA_VIRTUAL;

    if (s->phase == PHASE_TABLES ? table : o->kind == SCHEMA_OTHER) {
        put_schema(o->sql, out);
    }
}

static int next(struct load_source *s, struct buf *out, struct error *e)
{
    if (s->phase != PHASE_HEADER && s->at == s->list.count) {
        s->phase++;
        s->at = 0;
        return 0;
    }
    switch (s->phase) {
    case PHASE_HEADER: s->phase++; return put_header(s, out, e);
    case PHASE_ROWS: return walk_rows(s, out, e);
    case PHASE_TABLES:
    case PHASE_OTHERS: walk_schema(s, out); return 0;
    case PHASE_END: break;
    }
    return 0;
}

int load_source_read(struct load_source *s, size_t most, struct buf *out, bool *ret_end, struct error *e)
{
    int rc = 0;

    while (rc == 0 && out->len < most && s->phase != PHASE_END) {
        rc = next(s, out, e);
        rc = rc == 0 ? buf_check(out, "a piece of the load", e) : rc;
    }
    bool end = rc == 0 && s->phase == PHASE_END;
    if (end) {
        end_record(out, begin_record(out, LOAD_END));
        rc = buf_check(out, "a piece of the load", e);
    }
    if (rc == 0) {
        *ret_end = end;
    }
    return rc == 0 ? 0 : blame(rc, e);
}

void load_source_progress(const struct load_source *s, struct load_source_progress *ret_progress)
{
    *ret_progress = s->progress;
}
