/* state: the store's own tables, and the few facts about the database that live inside it, so that they are
 * always as old as its content. It does not know entries.
 *
 * Format, version 1. The schema is made before entry 1 and is the same on every node:
 *     quorate_state (key, value): one row a fact
 *         format     1; a reader refuses a larger one
 *         index      of the last entry that is applied; 0 before the first
 *         term       of that entry
 *         time_ms    Unix time that the last batch ran at; never falls
 *         digest     what digest_save() gave after that entry; NULL: scan
 *         sqlite     which SQLite wrote it (build.h)
 *     quorate_kv (ns, key, version, value): the KV store
 *     quorate_kv_floor (ns, version): the highest version that a deleted key of the namespace had */
#ifndef QUORATE_STORAGE_STATE_H
#define QUORATE_STORAGE_STATE_H

#include <sqlite3.h>

#include "base/buf.h"

enum { STATE_FORMAT = 1 };

struct state {
    uint64_t index, term, time_ms;
};

/* Makes the tables, in one transaction, if DB is empty; checks format and SQLite otherwise. ADOPT: records
 * this SQLite whatever was recorded. ret_digest gets the saved digest, if any (appended). Errors: Q_MISMATCH
 * a newer format, tables that are not a store's, another SQLite; Q_CORRUPT; SQLite's. */
int state_open(sqlite3 *db, bool adopt, struct state *ret_state, struct buf *ret_digest, struct error *e);

/* Makes the tables beside whatever else DB holds, as of INDEX and TERM; or takes those that are there, which
 * keep an index and term that are not lower. Digest and SQLite are unknown then, and there are no members.
 * Errors: Q_MISMATCH a newer format; Q_CORRUPT; SQLite's. */
int state_adopt(sqlite3 *db, uint64_t index, uint64_t term, struct error *e);

#define STATE_INDEX_SQL  "SELECT value FROM quorate_state WHERE key = 'index'"
#define STATE_DIGEST_SQL "SELECT value FROM quorate_state WHERE key = 'digest'"
/* For state_save(): one statement, because every entry pays for it. */
#define STATE_SAVE_SQL                                                                                       \
    "REPLACE INTO quorate_state VALUES ('index', ?1), ('term', ?2), ('time_ms', ?3), ('digest', ?4)"

/* Writes index, term, time and digest through SAVE, a statement of STATE_SAVE_SQL, in the open transaction.
 */
int state_save(sqlite3_stmt *save, const struct state *state, const struct buf *digest, struct error *e);

#endif
