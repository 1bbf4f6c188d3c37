/* statement: an SQL statement of the store's own, compiled once and kept. It does not know what it says. */
#ifndef QUORATE_STORAGE_STATEMENT_H
#define QUORATE_STORAGE_STATEMENT_H

#include <sqlite3.h>
#include <stdint.h>

#include "base/buf.h"

/* Compiles SQL for DB; sqlite3_finalize() it before DB is closed. Errors: SQLite's (sql_error.h). */
int statement_new(sqlite3 *db, const char *sql, sqlite3_stmt **ret_statement, struct error *e);
/* Runs a bound statement to its end, dropping rows, and makes it ready for the next time, without bindings:
 * what was bound may then be freed. Returns SQLite's code, SQLITE_OK on success. */
int statement_run(sqlite3_stmt *statement);
/* Ends a statement that was stepped by hand, as statement_run() does. */
void statement_end(sqlite3_stmt *statement);
/* The same for SQL that is used once. Several statements may follow each other. */
int statement_once(sqlite3 *db, const char *sql, struct error *e);

/* Bind without copying; the bytes must stay until the statement ends. Return SQLite's code. */
int statement_bind_blob(sqlite3_stmt *statement, int at, const struct cursor *bytes);
int statement_bind_text(sqlite3_stmt *statement, int at, const struct cursor *bytes);

#endif
