#include "storage/schema_list.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/plant.h"
#include "storage/authorizer.h"
#include "storage/sql_error.h"
#include "storage/statement.h"

/* Tables first, then the sequence, then the rest; each in the order in which they were made. */
static const char list_sql[] =
    "SELECT m.type, m.name, m.tbl_name, ifnull(m.sql, ''), ifnull(l.type, ''), ifnull(l.wr, 0)"
    " FROM main.sqlite_schema AS m LEFT JOIN pragma_table_list AS l"
    " ON m.type = 'table' AND l.schema = 'main' AND l.name = m.name"
    " WHERE (m.sql IS NOT NULL AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\') OR m.name = 'sqlite_sequence'"
    " ORDER BY CASE WHEN m.name = 'sqlite_sequence' THEN 1 WHEN m.type = 'table' THEN 0 ELSE 2 END, m.rowid";
static const char columns_sql[] = "SELECT name, hidden, pk FROM pragma_table_xinfo(?1) ORDER BY cid";
static const char key_sql[] = "SELECT count(*) FROM pragma_index_list(?1) WHERE origin = 'pk'";

static int out_of_memory(struct error *e)
{
    return error_set(e, Q_NOMEM, "out of memory for the schema");
}

static char *copy_text(sqlite3_stmt *row, int column)
{
    const char *text = (const char *)sqlite3_column_text(row, column);
    return text != NULL ? strdup(text) : NULL;
}

static enum schema_kind kind_of(const char *type, const char *name, const char *table_type)
{
    return strcmp(type, "table") != 0             ? SCHEMA_OTHER
           : strcmp(name, "sqlite_sequence") == 0 ? SCHEMA_SEQUENCE
           : strcmp(table_type, "virtual") == 0   ? SCHEMA_VIRTUAL
           : strcmp(table_type, "shadow") == 0    ? SCHEMA_SHADOW
                                                  : SCHEMA_TABLE;
}

static void free_object(struct schema_object *o)
{
    free(o->type);
    free(o->name);
    free(o->table);
    free(o->sql);
}

static int add(struct schema_list *l, sqlite3_stmt *row, struct error *e)
{
    struct schema_object o = {
        .type = copy_text(row, 0),
        .name = copy_text(row, 1),
        .table = copy_text(row, 2),
        .sql = copy_text(row, 3),
        .has_rowid = sqlite3_column_int(row, 5) == 0,
    };
    const char *table_type = (const char *)sqlite3_column_text(row, 4);

    if (o.type == NULL || o.name == NULL || o.table == NULL || o.sql == NULL || table_type == NULL) {
        free_object(&o);
        return out_of_memory(e);
    }
    if (sqlite3_strnicmp(o.table, AUTHORIZER_OWN_PREFIX, sizeof AUTHORIZER_OWN_PREFIX - 1) == 0 &&
        !PLANTED("a_dump_has_the_stores_own_tables")) {
        free_object(&o);
        return 0;
    }
    if (l->count == l->cap) {
        size_t wanted = l->cap == 0 ? 32 : 2 * l->cap;
        struct schema_object *grown = realloc(l->object, wanted * sizeof *grown);
        if (grown == NULL) {
            free_object(&o);
            return out_of_memory(e);
        }
        l->object = grown;
        l->cap = wanted;
    }
    o.kind = kind_of(o.type, o.name, table_type);
    if (o.kind == SCHEMA_SEQUENCE) {
        o.sql[0] = '\0';
    }
    l->object[l->count++] = o;
    return 0;
}

int schema_list_read(sqlite3 *db, struct schema_list *ret_list, struct error *e)
{
    struct schema_list l = {.object = NULL};
    sqlite3_stmt *rows;
    int rc, failed = 0;

    if (statement_new(db, list_sql, &rows, e)) {
        return (int)e->code;
    }
    while (failed == 0 && (rc = sqlite3_step(rows)) == SQLITE_ROW) {
        failed = add(&l, rows, e);
    }
    if (failed == 0 && rc != SQLITE_DONE) {
        failed = sql_error(db, rc, "reading the schema", e);
    }
    sqlite3_finalize(rows);
    if (failed != 0) {
        schema_list_close(&l);
        return failed;
    }
    *ret_list = l;
    return 0;
}

void schema_list_close(struct schema_list *l)
{
    for (size_t i = 0; i < l->count; i++) {
        free_object(&l->object[i]);
    }
    free(l->object);
    *l = (struct schema_list){.object = NULL};
}

/* What is known of a table's columns while they are read. */
struct columns {
    bool hides[3]; /* the names of the rowid */
    unsigned keys;
    struct buf sql;
};

static const char *const rowid_names[] = {"rowid", "_rowid_", "oid"};

static void put_name(struct buf *b, const char *name)
{
    buf_put_u8(b, '"');
    for (const char *p = name; *p != '\0'; p++) {
        if (*p == '"') {
            buf_put_u8(b, '"');
        }
        buf_put_u8(b, (uint8_t)*p);
    }
    buf_put_u8(b, '"');
}

static int read_columns(sqlite3 *db, const char *table, struct columns *c, struct schema_rows *r,
                        struct error *e)
{
    sqlite3_stmt *rows;
    int rc;

    if (statement_new(db, columns_sql, &rows, e)) {
        return (int)e->code;
    }
    sqlite3_bind_text(rows, 1, table, -1, SQLITE_STATIC);
    while ((rc = sqlite3_step(rows)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(rows, 0);
        for (unsigned i = 0; name != NULL && i < 3; i++) {
            c->hides[i] = c->hides[i] || sqlite3_stricmp(name, rowid_names[i]) == 0;
        }
        c->keys += sqlite3_column_int(rows, 2) > 0;
        if (sqlite3_column_int(rows, 1) != 0) {
            r->generated = true;
        } else if (name != NULL) {
            buf_put_bytes(&c->sql, ",", r->columns > 0);
            put_name(&c->sql, name);
            r->columns++;
        }
    }
    sqlite3_finalize(rows);
    return rc == SQLITE_DONE ? buf_check(&c->sql, "the names of columns", e)
                             : sql_error(db, rc, "reading the columns", e);
}

/* Whether the one column of the primary key is the rowid: then it has no index. */
static int find_alias(sqlite3 *db, const char *table, bool *ret_alias, struct error *e)
{
    sqlite3_stmt *statement;

    if (statement_new(db, key_sql, &statement, e)) {
        return (int)e->code;
    }
    sqlite3_bind_text(statement, 1, table, -1, SQLITE_STATIC);
    int rc = sqlite3_step(statement);
    *ret_alias = rc == SQLITE_ROW && sqlite3_column_int(statement, 0) == 0;
    sqlite3_finalize(statement);
    return rc == SQLITE_ROW ? 0 : sql_error(db, rc, "reading the indexes", e);
}

static int find_rowid(sqlite3 *db, const struct schema_object *table, const struct columns *c,
                      struct schema_rows *r, struct error *e)
{
    bool alias = false;

    if (!table->has_rowid) {
        return 0;
    }
    if (c->keys == 1 && find_alias(db, table->name, &alias, e)) {
        return (int)e->code;
    }
    for (unsigned i = PLANTED("rowids_are_lost") ? 3 : 0; !alias && r->rowid == NULL && i < 3; i++) {
        r->rowid = c->hides[i] ? NULL : rowid_names[i];
    }
    return 0;
}

static int open_select(sqlite3 *db, const char *table, struct schema_rows *r, struct error *e)
{
    char *sql = sqlite3_mprintf("SELECT %s%s%s FROM main.\"%w\"%s%s", r->rowid != NULL ? r->rowid : "",
                                r->rowid != NULL && r->columns > 0 ? "," : "", r->columns_sql, table,
                                r->rowid != NULL ? " ORDER BY " : "", r->rowid != NULL ? r->rowid : "");
    if (sql == NULL) {
        return out_of_memory(e);
    }
    int rc = statement_new(db, sql, &r->select, e);
    sqlite3_free(sql);
    return rc;
}

int schema_rows_open(sqlite3 *db, const struct schema_object *table, struct schema_rows *ret_rows,
                     struct error *e)
{
    struct schema_rows r = {.rowid = NULL};
    struct columns c = {.keys = 0};

    buf_init(&c.sql, SIZE_MAX);
    int rc = read_columns(db, table->name, &c, &r, e);
    buf_put_u8(&c.sql, 0);
    rc = rc == 0 ? buf_check(&c.sql, "the names of columns", e) : rc;
    rc = rc == 0 ? find_rowid(db, table, &c, &r, e) : rc;
    r.columns_sql = (char *)c.sql.data;
    rc = rc == 0 ? open_select(db, table->name, &r, e) : rc;
    if (rc != 0) {
        schema_rows_close(&r);
        return rc;
    }
    *ret_rows = r;
    return 0;
}

void schema_rows_close(struct schema_rows *r)
{
    sqlite3_finalize(r->select);
    free(r->columns_sql);
    *r = (struct schema_rows){.rowid = NULL};
}
