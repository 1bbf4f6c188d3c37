/* applier: feeds committed entries, in order, to the store on the apply lane, and hands results back to the
 * loop. It does not know who waits for the results.
 *
 * A run of entries that are applicable travels as one piece of work, and a second one is prepared while the
 * first is applied, so that a wake-up is paid per run and the writer does not wait for the loop. Every batch
 * header carries the leader's digest at an earlier index: it is compared with what this node had there.
 *
 * An entry for which the disk has no room leaves the database as it was and waits, with all that follow it,
 * for applier_retry(). Every other failure of the store is fatal.
 *
 * Threads: loop only; the work runs on the apply lane. */
#ifndef QUORATE_RAFT_GLUE_APPLIER_H
#define QUORATE_RAFT_GLUE_APPLIER_H

#include "raft_glue/consensus.h"
#include "storage/store.h"

struct applier;

struct applier_config {
    struct env *env;
    struct consensus *consensus;
    struct store *store;
    /* Entry INDEX of TERM is applied; RESULTS holds one blob a command. Borrowed. */
    void (*applied)(void *ctx, uint64_t index, uint64_t term, struct cursor results);
    /* After each run of entries: the position has moved. */
    void (*advanced)(void *ctx);
    /* The digest that a leader had at INDEX is not this node's: one of them has the wrong content. */
    void (*differs)(void *ctx, uint64_t index);
    void (*fatal)(void *ctx, const struct error *why); /* the disk or the database failed */
    void *ctx;
};

int applier_new(const struct applier_config *config, struct applier **ret_applier, struct error *e);
/* No run may be under way (applier_idle()), or the world has crashed. NULL is fine. */
void applier_free(struct applier *a);

/* Starts what can be started: call when more has become applicable. */
void applier_poll(struct applier *a);
/* No further runs; those under way finish. */
void applier_stop(struct applier *a);
/* Nothing is on the apply lane. */
bool applier_idle(const struct applier *a);
/* Whether an entry waits for room on the disk, and all others behind it. */
bool applier_lacks_room(const struct applier *a);
/* There may be room now: call about every second while it is lacking. */
void applier_retry(struct applier *a);

/* The store holds another database, which was put in place while nothing was on the lane: goes on, also after
 * applier_stop() or a failure, behind where that one is. Entries that waited are forgotten. */
void applier_moved(struct applier *a);

/* As of the last run that came back. */
const struct store_position *applier_position(const struct applier *a);
/* This node's digest after INDEX; false if INDEX is not applied yet, or too long ago, or before the start. */
bool applier_digest(const struct applier *a, uint64_t index, uint8_t ret_digest[DIGEST_BYTES]);
/* The lowest index that the newest applied batch header says is durable on every member. */
uint64_t applier_floor(const struct applier *a);

void applier_metrics(struct applier *a, struct metrics *metrics);

#endif
