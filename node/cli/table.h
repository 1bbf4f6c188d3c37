/* table: cells that become aligned columns of text. It does not know what they say.
 *
 * Control characters are printed as escapes, so that a value can neither break the table nor command the
 * terminal. A column's width is counted in characters, not bytes. */
#ifndef QUORATE_NODE_CLI_TABLE_H
#define QUORATE_NODE_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"

enum { TABLE_COLUMNS_MAX = 2000 };

struct table {
    unsigned columns;
    struct buf text;  /* all cells, each terminated */
    struct buf right; /* one byte a column: 1 if it is aligned to the right */
    size_t cells;
};

/* COLUMNS is 1 to TABLE_COLUMNS_MAX. */
void table_init(struct table *t, unsigned columns);
void table_close(struct table *t);
void table_align_right(struct table *t, unsigned column);
/* The next cell, row by row; the first row is the heading. Copied. */
void table_add(struct table *t, const char *text);
void table_add_bytes(struct table *t, const void *p, size_t n);
void table_addf(struct table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints the whole rows. Errors: Q_NOMEM, Q_TOO_BIG, also of the puts before. */
int table_print(const struct table *t, FILE *to, struct error *e);

#endif
