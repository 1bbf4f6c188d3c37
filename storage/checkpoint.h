/* checkpoint: copies the WAL back into the database file, on a connection of its own, and says up to which
 * applied index the database is durable. It does not know entries.
 *
 * With synchronous=NORMAL nothing is durable until a checkpoint: it syncs the WAL, copies its pages into the
 * file and syncs that. Passive steps copy without stopping anyone, and as the writer goes on meanwhile, each
 * leaves a remainder. When the remainder is small, the caller keeps the writer out for the rest: the last
 * pages, their sync, and the start of a new WAL, which else would grow for ever under a writer that never
 * rests. */
#ifndef QUORATE_STORAGE_CHECKPOINT_H
#define QUORATE_STORAGE_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/connection.h"

struct checkpoint;

enum {
    CHECKPOINT_STEPS_MAX = 8,        /* passive ones */
    CHECKPOINT_REMAINDER_PAGES = 64, /* small enough to stop the writer for */
    CHECKPOINT_PATIENCE_MS = 20,     /* the writer is stopped so long for readers of the old WAL, ... */
    CHECKPOINT_LARGE_PAGES = CONNECTION_WAL_KEPT_BYTES / 4096,
    CHECKPOINT_LARGE_PATIENCE_MS = 1000, /* ... and so long once it has CHECKPOINT_LARGE_PAGES */
};

/* Errors: SQLite's; Q_NOMEM. */
int checkpoint_new(const struct connection_place *place, struct checkpoint **ret_checkpoint, struct error *e);
/* Blocking, before anything is written: writes the WAL that an earlier process left once more, and syncs it.
 * If a sync failed then, the page cache shows bytes that no later sync would save (Rebello et al., "Can
 * Applications Recover from fsync Failures?", ATC'20); a checkpoint of those would outlive the WAL that it
 * came from, and after a power loss an older beginning of that WAL would be laid over newer pages. Errors:
 * SQLite's; Q_NOMEM. */
int checkpoint_settle(struct checkpoint *c, struct error *e);
/* NULL is fine. */
void checkpoint_free(struct checkpoint *c);
/* From now on the end of this connection leaves database file and WAL as they are. */
void checkpoint_keep_wal(struct checkpoint *c);

/* Copies and syncs most of the WAL, while the writer goes on. Errors: as store_checkpoint(). */
int checkpoint_copy(struct checkpoint *c, struct error *e);

struct checkpoint_end {
    uint64_t index; /* applied, and durable now */
    bool whole;     /* the file alone holds it: no reader kept a page in the WAL */
    uint64_t bytes; /* of the file */
};
/* The rest. Nobody may write. Errors: as store_checkpoint(). */
int checkpoint_finish(struct checkpoint *c, struct checkpoint_end *ret_end, struct error *e);

#endif
