/* sql_bind: gives the parameters of a command to SQLite's statements. Which one takes which: see sql.h. */
#ifndef QUORATE_STORAGE_SQL_BIND_H
#define QUORATE_STORAGE_SQL_BIND_H

#include <sqlite3.h>

#include "storage/command.h"

/* What one string of SQL was given, and how far its positional parameters are used up. */
struct sql_bind {
    struct command_sql given;
    struct cursor next; /* the first parameter that may still be taken by position */
    uint32_t left;      /* parameters from NEXT on */
};

struct sql_bind sql_bind_of(const struct command_sql *sql);

/* Binds STATEMENT, the next one of the string. The bytes stay borrowed from the command. Returns SQLite's
 * code; SQLITE_RANGE: too few were given, and ret_wanted says how many the statement has. */
int sql_bind(struct sql_bind *b, sqlite3_stmt *statement, int *ret_wanted);

#endif
