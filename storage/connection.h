/* connection: opens SQLite connections to one store's database, in a file or in memory, each set up for its
 * use. It does not know what they are used for. */
#ifndef QUORATE_STORAGE_CONNECTION_H
#define QUORATE_STORAGE_CONNECTION_H

#include <sqlite3.h>
#include <stdbool.h>

#include "base/error.h"

/* Where the database is. Strings are borrowed. */
struct connection_place {
    const char *name; /* path; in memory: a name that begins with '/' and that no other store has */
    const char *vfs;  /* of SQLite; NULL for its default */
    bool in_memory;
    int reserved; /* bytes at the end of each page of a database that is made */
};

enum connection_use {
    CONNECTION_WRITE, /* makes the database if need be; WAL, synchronous=NORMAL, no checkpoints by itself */
    CONNECTION_READ,  /* cannot write */
    CONNECTION_CHECKPOINT,
};

/* The VFS for databases in memory that all connections of a process share by name. */
#define CONNECTION_MEMORY_VFS "memdb"

enum {
    CONNECTION_BUSY_MS = 10000, /* how long to wait for another process that holds SQLite's locks */
    CONNECTION_WAL_KEPT_BYTES = 64 * 1024 * 1024, /* a WAL that starts anew is cut to this */
};

/* One thread may use it at a time. sqlite3_close() it. Errors: SQLite's (sql_error.h). */
int connection_open(const struct connection_place *place, enum connection_use use, sqlite3 **ret_db,
                    struct error *e);
/* From now on what DB makes (a new database, VACUUM, VACUUM INTO) keeps BYTES free at the end of each page.
 * Errors: SQLite's. */
int connection_reserve(sqlite3 *db, int bytes, struct error *e);
/* Its end then leaves database file and WAL as they are, even if it is the last connection. */
void connection_keep_wal(sqlite3 *db);

#endif
