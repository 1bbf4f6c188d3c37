/* kv: the key-value store: commands on the tables quorate_kv and quorate_kv_floor, on one connection. It does
 * not know transactions: each command is one statement that writes, or fails before it wrote, or fails for
 * reasons that undo the whole entry.
 *
 * A key's versions are 1, 2, 3, ...; a key that is deleted at version v lifts the floor of its namespace to
 * v, and a key that is created starts above the floor: so a version of a key never names two values, whatever
 * is deleted. */
#ifndef QUORATE_STORAGE_KV_H
#define QUORATE_STORAGE_KV_H

#include <sqlite3.h>

#include "storage/command.h"

/* Memory of the caller; its fields are private. Zeroed until init. */
struct kv {
    sqlite3 *db;
    sqlite3_stmt *get, *list;
    /* NULL on a connection that only reads */
    sqlite3_stmt *version_of, *floor_of, *insert, *update, *remove, *raise_floor;
};

/* DB is kept until close. WRITES: false for a read-only connection. Errors: SQLite's. */
int kv_init(struct kv *kv, sqlite3 *db, bool writes, struct error *e);
/* A zeroed struct may be closed. */
void kv_close(struct kv *kv);

/* Runs a KV command (put and delete only if made to write) and appends its whole result (a RESULT_ERROR if
 * the client is at fault). Whether RESULT was too small is for the caller to ask. Errors: this node's. */
int kv_run(struct kv *kv, const struct command *command, struct buf *result, struct error *e);

#endif
