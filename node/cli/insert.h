/* insert: rows that become one INSERT OR REPLACE with parameters, as a body for /db/execute. It does not know
 * where they come from or go.
 *
 * rqlite's parameters have no form for a text that looks like x'00' (it is taken for a blob) nor for one that
 * is not UTF-8; those go as a list of bytes and are cast back to text. */
#ifndef QUORATE_NODE_CLI_INSERT_H
#define QUORATE_NODE_CLI_INSERT_H

#include <stdbool.h>

#include "base/buf.h"

enum { INSERT_COLUMNS_MAX = 1000, INSERT_PARAMETERS_MAX = 32000, INSERT_BODY_MAX = 32 * 1024 * 1024 };

enum insert_type { INSERT_NULL, INSERT_INTEGER, INSERT_REAL, INSERT_TEXT };

struct insert_value {
    enum insert_type type;
    int64_t integer;
    double real;
    const char *text; /* borrowed */
    size_t len;
};

struct insert {
    struct buf head; /* the statement up to the rows */
    struct buf rows; /* "(?,?),(?,?)" */
    struct buf parameters;
    unsigned columns, count; /* count: rows */
};

/* NAMES are copied. */
void insert_init(struct insert *in);
void insert_close(struct insert *in);
/* Begins anew for TABLE and COUNT columns; drops rows that were added. */
void insert_begin(struct insert *in, const char *table, const char *const *names, unsigned count);
/* Adds a row of as many VALUES as there are columns. */
void insert_add(struct insert *in, const struct insert_value *values);
/* Whether another row would pass the limits of one statement, or ROWS rows or BYTES bytes are reached. */
bool insert_is_full(const struct insert *in, unsigned rows, size_t bytes);
/* Appends the body to TO and drops the rows. Errors: Q_NOMEM, Q_TOO_BIG, also of the puts before; Q_INVALID a
 * name that is not UTF-8. */
int insert_finish(struct insert *in, struct buf *to, struct error *e);

/* Appends NAME as SQL quotes it: "a""b". */
void insert_put_name(struct buf *sql, const char *name);

#endif
