/* sql_error: translates SQLite's result codes into the product's error space, once, at the edge that saw
 * them. It does not know what the statement was for. */
#ifndef QUORATE_STORAGE_SQL_ERROR_H
#define QUORATE_STORAGE_SQL_ERROR_H

#include <sqlite3.h>
#include <stdbool.h>

#include "base/error.h"

/* Sets E to the code that RC stands for and to "WHAT: SQLite's own words", and returns the code. If the files
 * of DB are watched and have failed since the last call (file_watch.h), the text goes on with operation,
 * offset, file and the system's words, and what only lacked room is Q_NO_SPACE; SQLITE_FULL without such a
 * failure is the statement's. A page that fails its checksum (page_vfs.h) is Q_CORRUPT and named. DB may be
 * NULL: then the words are those of RC alone. RC may be an extended code; it is not SQLITE_OK, SQLITE_ROW or
 * SQLITE_DONE. Q_SQL: the statement is at fault. The others are this node's: Q_NOMEM, Q_NO_SPACE, Q_CORRUPT,
 * Q_IO, Q_BUSY (another process holds a lock), Q_TIMEOUT (interrupted); or a limit or the authorizer:
 * Q_TOO_BIG, Q_DENIED. */
int sql_error(sqlite3 *db, int rc, const char *what, struct error *e);

/* Whether such a code is this node's failure: another node, or this one later, may well succeed with the same
 * statement. The others are the statement's own, the same everywhere. */
bool sql_error_is_nodes(enum error_code code);

#endif
