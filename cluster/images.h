/* images: the images of this node's database that can be had from it: takes them, keeps what somebody needs,
 * and sweeps the rest. It does not know who needs them, nor how they travel.
 *
 *                 images_want()
 *     IDLE --------------------------> HOLDING: no checkpoint touches the database file from here on
 *      | ^                                |
 *      | | Q_BUSY: again in a moment      v
 *      | +----------------------------  COPYING: chunk after chunk, in steps; then checkpoints may go on
 *      | |                                |
 *      | +----------------------------  FINISHING: chunk names and manifest durable; the image is kept
 *      |
 *      +-- something is not kept any more --> SWEEPING --> IDLE
 *
 * An image is kept for two reasons, each until a time of its own: because a shipment of it is under way,
 * which asks for chunks and so moves that time (and keeps the log behind it, see images_log_limit()); and
 * because somebody took it for himself. What a start finds is kept for a while, as a shipment may go on.
 *
 * Threads: loop only; the work is done on the worker lane, a few chunks at a time. */
#ifndef QUORATE_CLUSTER_IMAGES_H
#define QUORATE_CLUSTER_IMAGES_H

#include "base/metrics.h"
#include "cluster/shelf.h"
#include "raft_glue/consensus.h"
#include "snapshots/catalog.h"
#include "snapshots/take.h"
#include "storage/store.h"

struct images;

enum { IMAGES_SHIP_MS = 30000, /* a shipment that asks for nothing for so long is over */ };

struct images_taken {
    struct image image;
    uint64_t chunks_new, bytes_new, ms;
};

struct images_config {
    struct env *env;
    const char *dir; /* of the node; kept */
    struct store *store;
    struct consensus *consensus;
    /* What the manifests say of where they come from; strings are kept. */
    uint8_t cluster_id[CLUSTER_ID_BYTES];
    uint64_t node;
    const char *cluster_name, *semantics;
    /* A take has ended: TAKEN, or FAILED. Q_CLOSED: it was called off. */
    void (*done)(void *ctx, const struct images_taken *taken, const struct error *failed);
    /* Checkpoints of the database do nothing from now on, or do something again. */
    void (*held)(void *ctx, bool held);
    /* A page of the database is bad. DONE has come. */
    void (*corrupt)(void *ctx, const struct error *why);
    void (*swept)(void *ctx, uint64_t chunks, uint64_t bytes);
    /* A kept image turned out to be damaged, and is not kept any more. */
    void (*damaged)(void *ctx, const struct error *why);
    void (*fatal)(void *ctx, const struct error *why); /* the disk failed */
    void *ctx;
};

/* Blocking: reads the names of the chunks and the manifests that are there. Errors: Q_IO, Q_NOMEM. */
int images_open(const struct images_config *config, struct images **ret_images, struct error *e);
/* Idle, or the world has crashed. NULL is fine. */
void images_free(struct images *s);

/* Takes an image of what is applied; if one is being taken already, that goes on. DONE comes. */
void images_want(struct images *s);
bool images_taking(const struct images *s);
struct take_progress images_progress(const struct images *s);
/* The newest one that is kept, is not older than INDEX, and behind which the log goes on here; NULL: none.
 * Borrowed until the next call. */
const struct image *images_find(const struct images *s, uint64_t index);
const struct image *images_find_exact(const struct images *s, uint64_t index, uint64_t term);
/* Keeps it: for a shipment for IMAGES_SHIP_MS from now on, or for KEEP_MS (0: for what it was kept for
 * before). False: it is not kept (any more). */
bool images_ship(struct images *s, uint64_t index, uint64_t term);
bool images_keep(struct images *s, uint64_t index, uint64_t term, uint64_t keep_ms);
/* It is not what it was: the manifest or, with a NAME, that chunk, which must not pass for stored any more.
 */
void images_damaged(struct images *s, uint64_t index, uint64_t term, const struct chunk_name *name,
                    const struct error *why);
/* The database is not what it should be, or is about to be replaced: calls off the take under way. With
 * EVERYTHING nothing that was taken of it is kept either. */
void images_cancel(struct images *s, bool everything);
/* Up to where shipments let the log go; UINT64_MAX: none is under way. */
uint64_t images_log_limit(const struct images *s);

/* Call about every 50 ms. */
void images_tick(struct images *s);
/* Nothing new begins, what is under way is called off; wait for images_idle(). */
void images_stop(struct images *s);
bool images_idle(const struct images *s);

/* For the worker lane. */
struct chunk_store *images_chunks(struct images *s);

void images_metrics(struct images *s, struct metrics *metrics);

#endif
