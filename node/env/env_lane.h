/* env_lane: one queue served by threads of its own, and one coalesced wake-up that brings what is finished
 * back to the loop. It does not know what the items are: they are list links inside the user's objects.
 *
 * Waking an idle thread costs some 50 us, so each direction wakes as seldom as it can: a submit signals only
 * if a thread sleeps, and a finished item sends uv_async only if the loop has taken everything finished
 * before it. What the loop finds is handed over in one go.
 *
 *     loop:   lane_submit() ... done()          one thread:  serve() gets all that waits, in order
 *     thread: serve() -> lane_finish()          a pool:      serve() gets one item at a time
 */
#ifndef QUORATE_NODE_ENV_LANE_H
#define QUORATE_NODE_ENV_LANE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "base/error.h"
#include "base/list.h"
#include "base/object.h"

enum { LANE_THREADS_MAX = 16 };

struct lane;

struct lane_config {
    uv_loop_t *loop;  /* kept */
    const char *name; /* of the threads, at most 15 bytes; borrowed */
    unsigned threads; /* 1 to LANE_THREADS_MAX */
    /* On the lane. Takes every item out of TAKEN and calls lane_finish() for each as soon as it is finished.
     */
    void (*serve)(struct lane *, struct list *taken);
    /* On the loop, once for each item, in the order of lane_finish(). The item is the user's again. */
    void (*done)(struct lane *, struct list *item);
    /* On the loop, after done(), whenever nothing is in flight any more. */
    void (*settled)(void *owner);
    void *owner;
};

struct lane {
    OBJECT_MAGIC;
    struct lane_config config;
    uv_async_t wake;
    pthread_t threads[LANE_THREADS_MAX];
    unsigned started; /* threads that run */
    size_t in_flight; /* submitted and not yet done; loop only */
    void (*closed)(void *owner);
    void *closed_owner;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t work;
    struct list queue, finished;
    unsigned idle; /* threads that wait for work */
    bool stop;
};

/* Starts the threads, with all signals blocked. On failure nothing is left behind.
 * Errors: Q_IO, Q_NOMEM when a thread or the wake-up cannot be had. */
int lane_init(struct lane *l, const struct lane_config *config, struct error *e);
/* Loop only. ITEM is kept until done(). */
void lane_submit(struct lane *l, struct list *item);
/* On the lane only, from serve(). */
void lane_finish(struct lane *l, struct list *item);
/* Loop only. True when nothing is in flight. */
bool lane_is_quiet(const struct lane *l);
/* Joins the threads; the lane must be quiet. CLOSED comes later, on the loop; the memory is the user's then.
 */
void lane_close(struct lane *l, void (*closed)(void *owner), void *owner);

#endif
