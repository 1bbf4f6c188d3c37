/* pragma: the PRAGMAs that rqlite refuses for a whole request, because they would change how the database
 * file is written: journal_mode, synchronous, query_only and wal_autocheckpoint where they are set,
 * wal_checkpoint always. It does not know which other statements the store refuses, each by itself. */
#ifndef QUORATE_NODE_HTTP_PRAGMA_H
#define QUORATE_NODE_HTTP_PRAGMA_H

#include "storage/command.h"

/* Whether a statement of SQL, N bytes of one or more, is such a PRAGMA: in any case, with the schema's name
 * or without, with names in quotes or not, with comments anywhere; not inside a string or a comment. */
bool pragma_disallowed(const char *sql, size_t n);
/* The same for all statements of a decoded SQL command. */
bool pragma_disallowed_in(const struct command *command);

#endif
