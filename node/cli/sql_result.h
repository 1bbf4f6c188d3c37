/* sql_result: the answer of /db/request, for people. */
#ifndef QUORATE_NODE_CLI_SQL_RESULT_H
#define QUORATE_NODE_CLI_SQL_RESULT_H

#include <stdbool.h>
#include <stdio.h>

#include "base/buf.h"

/* Prints each result of BODY: rows as a table, writes as a line (none for those that changed nothing). With
 * TIMES the seconds that each took. Errors: Q_SQL with SQLite's words if a statement failed (the others are
 * printed all the same), Q_UNKNOWN and Q_IO for an error of the whole request, Q_CORRUPT for what is not such
 * an answer. */
int sql_result_print(const struct buf *body, bool times, FILE *to, struct error *e);
/* The same errors, printing nothing. */
int sql_result_check(const struct buf *body, struct error *e);

#endif
