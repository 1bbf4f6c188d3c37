/* space: the room on the disk of this node: looks at it, keeps a ballast in it, and says when it is full. It
 * does not know what fills the disk, nor who is refused because of it.
 *
 *         less than LOW_BYTES are free, or somebody lacks room
 *    OK ----------------------------------------------------------> FULL: the ballast is given up
 *     ^                                                              |
 *     +--------------------------------------------------------------+
 *          LOW_BYTES and the ballast fit again, and nobody lacks room: the ballast is made again
 *
 * The ballast is the file DIR/ballast of BALLAST_BYTES zeros, really written, so that its blocks are ours. A
 * disk is found to be full when it is nearly too late: what was begun before must still find its place, and
 * the node must be able to start again. That is what the blocks of the ballast are for. It is written in
 * small pieces, and only into what is free beyond LOW_BYTES.
 *
 * Between FULL and OK lies the whole ballast, so a disk that is about full does not make the node waver.
 *
 * Threads: loop only; the disk is touched on the worker lane. */
#ifndef QUORATE_CLUSTER_SPACE_H
#define QUORATE_CLUSTER_SPACE_H

#include "base/env.h"
#include "base/metrics.h"

struct space;

struct space_config {
    struct env *env;
    const char *dir;        /* of this node; kept */
    uint64_t ballast_bytes; /* 0: none */
    uint64_t low_bytes; /* free bytes below which the disk counts as full; 0: only when somebody lacks room */
    /* Whether a part of this node was told that the disk is full, and waits. */
    bool (*lacks_room)(void *ctx);
    /* There may be room now: whoever lacks it tries again. */
    void (*retry)(void *ctx);
    /* The state has changed: see space_is_full(). */
    void (*changed)(void *ctx);
    /* The disk failed otherwise: the process must stop. */
    void (*failed)(void *ctx, const struct error *why);
    void *ctx;
};

/* Blocking: looks, and gives up the ballast at once if the disk is nearly full, so that what is opened next
 * finds room. Errors: Q_IO, Q_NOMEM. */
int space_open(const struct space_config *config, struct space **ret_space, struct error *e);
/* Idle, or the world has crashed. NULL is fine. */
void space_free(struct space *s);

/* Call about every 50 ms: looks every second, oftener while the ballast is made, at once when somebody lacks
 * room. CHANGED and RETRY come from here or from the loop later. */
void space_tick(struct space *s);
/* No more looks; one that is under way ends: wait for space_is_idle(). */
void space_stop(struct space *s);
bool space_is_idle(const struct space *s);

bool space_is_full(const struct space *s);
uint64_t space_free_bytes(const struct space *s);    /* as of the last look */
uint64_t space_ballast_bytes(const struct space *s); /* of the file, as it is */
uint64_t space_needed_bytes(const struct space *s);  /* that must be free for FULL to end */

void space_metrics(struct space *s, struct metrics *metrics);

#endif
