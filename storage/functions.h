/* functions: the SQL functions of a writer that SQLite would answer from the machine or from the connection's
 * past: random(), randomblob() and total_changes(), and what changes() and last_insert_rowid() start from. It
 * does not know where seeds come from. */
#ifndef QUORATE_STORAGE_FUNCTIONS_H
#define QUORATE_STORAGE_FUNCTIONS_H

#include <sqlite3.h>

#include "base/error.h"
#include "base/rng.h"

/* Memory of the caller; its fields are private. */
struct functions {
    unsigned magic;
    sqlite3 *db;
    struct rng rng;
    sqlite3_int64 changes_before; /* total_changes() counts from here */
    sqlite3_stmt *no_change;      /* a DELETE of no row: after it changes() is 0 */
};

/* Replaces the functions on DB. F is kept until functions_detach(), which comes before sqlite3_close(). The
 * authorizer must trust the caller. Errors: SQLite's. */
int functions_attach(struct functions *f, sqlite3 *db, struct error *e);
/* On a zeroed or detached F it does nothing. */
void functions_detach(struct functions *f);

/* Seeds random() and randomblob() with SEED and POSITION, and sets the counters to 0. Begins a write
 * transaction if none is open. The authorizer must trust the caller. Errors: SQLite's. */
int functions_begin(struct functions *f, const uint8_t seed[16], uint32_t position, struct error *e);

#endif
