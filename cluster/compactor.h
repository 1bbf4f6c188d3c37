/* compactor: keeps what a start has to read small: the database's WAL and the log. When the WAL has grown, or
 * the log has since the last time, the database is made durable on the worker lane; then log entries that it
 * holds and that every member has are let go. A member that is away for long does not fill the disk: beyond
 * KEEP_BYTES of log entries go that it lacks, and it will need an image. Nothing is copied. It does not know
 * how images are made and shipped.
 *
 * Threads: loop only; the checkpoint runs on the worker lane. */
#ifndef QUORATE_CLUSTER_COMPACTOR_H
#define QUORATE_CLUSTER_COMPACTOR_H

#include "raft_glue/consensus.h"
#include "storage/store.h"

struct compactor;

struct compactor_config {
    struct env *env;
    struct consensus *consensus;
    struct store *store;
    uint64_t
        log_bytes; /* growth of the segments in use since the last time that starts one; UINT64_MAX: never */
    uint64_t wal_bytes; /* of WAL that start a checkpoint; UINT64_MAX: never */
    /* Of log that is kept, at most, for members that lack it: beyond that an image has to help them. */
    uint64_t keep_bytes;
    /* Up to where the log may go for the sake of images that are under way; UINT64_MAX: anywhere. Behind
     * LIMIT twice KEEP_BYTES may be kept, then it gives way, as its image can be replaced by a newer one;
     * LAST does not: this node itself needs what follows. */
    uint64_t (*limit)(void *ctx);
    uint64_t (*last)(void *ctx);
    /* After each compaction; FAILED: the disk failed and the process must stop. */
    void (*done)(void *ctx, uint64_t index, const struct error *failed);
    void *ctx;
};

int compactor_new(const struct compactor_config *config, struct compactor **ret_compactor, struct error *e);
void compactor_free(
    struct compactor *c); /* no checkpoint under way, or the world has crashed. NULL is fine */

/* Starts a compaction if it is time. APPLIED is what the database holds, FLOOR what every member has in its
 * log. */
void compactor_poll(struct compactor *c, uint64_t applied, uint64_t floor);
/* While HELD checkpoints would do nothing: none is started. */
void compactor_hold(struct compactor *c, bool held);
/* Whether a checkpoint waits for room on the disk: what is in the WAL stays there for that long. */
bool compactor_lacks_room(const struct compactor *c);
/* Starts a compaction, due or not: on a full disk the WAL is then written again from its beginning, and the
 * log into segments that it was done with. Nothing happens if log_bytes says never. */
void compactor_make_room(struct compactor *c, uint64_t floor);
/* A last checkpoint, when one that is under way has ended; FINISHED comes once. No poll after it. */
void compactor_finish(struct compactor *c, void (*finished)(void *ctx), void *ctx);

#endif
