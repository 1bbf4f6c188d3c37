/* schema_list: what clients have made in a database, in an order in which it can be made again: tables, then
 * the sequence of AUTOINCREMENT, then indexes, views and triggers. What is the store's own (quorate_*) and
 * what SQLite makes by itself is left out. It does not know what the list is for.
 *
 * The authorizer of the connection must trust the caller. */
#ifndef QUORATE_STORAGE_SCHEMA_LIST_H
#define QUORATE_STORAGE_SCHEMA_LIST_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum schema_kind {
    SCHEMA_TABLE,
    SCHEMA_VIRTUAL,  /* holds no rows of its own */
    SCHEMA_SHADOW,   /* a table that a virtual one keeps its content in */
    SCHEMA_SEQUENCE, /* sqlite_sequence: it has no statement */
    SCHEMA_OTHER,    /* an index, a view, a trigger */
};

struct schema_object {
    enum schema_kind kind;
    char *type, *name, *table, *sql; /* as in sqlite_schema; SQL "" for the sequence */
    bool has_rowid;
};

struct schema_list {
    struct schema_object *object;
    size_t count, cap;
};

/* schema_list_close() it. Errors: SQLite's; Q_NOMEM. */
int schema_list_read(sqlite3 *db, struct schema_list *ret_list, struct error *e);
/* A zeroed struct may be closed. */
void schema_list_close(struct schema_list *l);

/* How the rows of a table are read, and written again. */
struct schema_rows {
    const char *rowid;    /* SQL's name for the rowid where no column is that; NULL: there is none, or none
                             that can be named. Static */
    unsigned columns;     /* those that can be written: without generated ones */
    bool generated;       /* there are others */
    char *columns_sql;    /* quoted, with commas between */
    sqlite3_stmt *select; /* the rowid first, if there is one, then the columns; in the order of the key */
};

/* schema_rows_close() it before DB is closed. Errors: SQLite's; Q_NOMEM. */
int schema_rows_open(sqlite3 *db, const struct schema_object *table, struct schema_rows *ret_rows,
                     struct error *e);
/* A zeroed struct may be closed. */
void schema_rows_close(struct schema_rows *r);

#endif
