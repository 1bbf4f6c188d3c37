/* stage: an image that is put together beside the database, chunk by chunk, out of what is there and what
 * others send, until it can take the database's place. It does not know where chunks come from.
 *
 *     stage_open, stage_step ... until scanned      what is there is found and taken
 *     stage_missing, stage_put or _put_delta ...    what is not is fetched
 *     stage_verify ... until verified               each chunk is read back
 *     stage_finish, stage_close                     complete and durable
 *     stage_swap                                    the switch, with the database closed
 *
 * What the staging file DIR/stage/db.sqlite holds of an image is found by hashing it: there is no journal
 * that could be wrong. So whatever ends an attempt, the next one goes on with what the disk kept, for the
 * same image or a later one.
 *
 * A chunk that it holds is written once more before it counts: if a sync failed in an earlier life, the page
 * cache shows bytes that no later sync would save.
 *
 * Threads: any lane, one at a time per object; calls block. One object per directory. */
#ifndef QUORATE_SNAPSHOTS_STAGE_H
#define QUORATE_SNAPSHOTS_STAGE_H

#include "snapshots/chunk_store.h"
#include "snapshots/delta.h"
#include "snapshots/manifest.h"
#include "snapshots/stage_swap.h"

enum { STAGE_SYNC_CHUNKS = 64 }; /* written chunks before a sync, so that none takes long */

struct stage;

struct stage_config {
    struct env *env;
    const char *dir;           /* of the node; copied */
    const char *own_path;      /* its database, whose chunks may be the same; copied. NULL: none */
    struct chunk_store *store; /* kept; NULL: none */
};

struct stage_progress {
    uint32_t chunks_all;
    uint32_t chunks_reused;  /* were in the staging file, the own database or the store */
    uint32_t chunks_fetched; /* were put */
    uint64_t bytes_fetched;  /* as they came */
};

/* Makes DIR/stage if need be. An image that was ready is not any more. M is copied. An own database that is
 * not there or cannot be read is no error. Errors: Q_IO, Q_NO_SPACE, Q_NOMEM. */
int stage_open(const struct stage_config *config, const struct manifest *m, struct stage **ret_stage,
               struct error *e);
void stage_close(struct stage *s); /* NULL is fine; what is staged stays */

/* Looks at up to CHUNKS_MAX more places. *RET_SCANNED: there are no more. Every chunk that is reused is
 * verified by its name. Errors: Q_NO_SPACE, Q_IO, Q_NOMEM: the same may be tried again, but for a failed
 * sync; Q_CORRUPT the image has a bad page: this manifest is of no use. */
int stage_step(struct stage *s, unsigned chunks_max, bool *ret_scanned, struct error *e);
/* The first missing chunk at or behind FROM; false when there is none. After the scan. */
bool stage_missing(const struct stage *s, uint32_t from, uint32_t *ret_chunk);
/* What a delta of CHUNK may be made against: sums of what stands in its place here. *RET_HAS_BASE: that is
 * anything at all; else ask for the whole chunk. Errors: Q_INVALID no such chunk; Q_IO. */
int stage_base_sums(struct stage *s, uint32_t chunk, uint8_t ret_sums[DELTA_SUMS_BYTES], bool *ret_has_base,
                    struct error *e);
/* A chunk that came. One that is there already is ignored. Errors, and nothing is written: Q_CORRUPT it is
 * not what the manifest says, or the image has a bad page; Q_INVALID no such chunk; Q_NO_SPACE, Q_IO. */
int stage_put(struct stage *s, uint32_t chunk, const void *encoded, size_t n, struct error *e);
/* The same from a delta. Besides: Q_CONFLICT it does not make the chunk out of what is here: ask for the
 * whole one. */
int stage_put_delta(struct stage *s, uint32_t chunk, const void *delta, size_t n, struct error *e);
/* Reads up to CHUNKS_MAX more chunks back, when none is missing. *RET_VERIFIED: there are no more. Errors:
 * Q_CONFLICT a chunk is missing; Q_CORRUPT a chunk reads back differently: it is missing again, and the next
 * call begins anew; Q_IO. */
int stage_verify(struct stage *s, unsigned chunks_max, bool *ret_verified, struct error *e);
/* Verifies what is left to verify, and makes the image durable and ready. Errors: as stage_verify();
 * Q_NO_SPACE; Q_IO: final if a sync failed. */
int stage_finish(struct stage *s, struct error *e);
void stage_progress(const struct stage *s, struct stage_progress *ret_progress);

#endif
