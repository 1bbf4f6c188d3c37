/* script: a text of many SQL statements as dumps are, made fit for a store: what begins or ends a
 * transaction, and PRAGMA foreign_keys, is left out, since the script is one transaction in any case. It does
 * not know what the other statements do, and leaves them as they are. */
#ifndef QUORATE_STORAGE_SCRIPT_H
#define QUORATE_STORAGE_SCRIPT_H

#include "base/buf.h"

/* Overwrites with blanks what is to be left out in the N bytes of SQL, but for line ends, so that SQLite's
 * words about the rest stay true. */
void script_clean(char *sql, size_t n);

#endif
