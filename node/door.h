/* door: the way into the loop from other threads: a queue and one coalesced wake-up.
 * It does not know what is asked.
 *
 * Threads: door_push() from any thread; everything else on the loop's. */
#ifndef QUORATE_NODE_DOOR_H
#define QUORATE_NODE_DOOR_H

#include <pthread.h>
#include <uv.h>

#include "base/error.h"
#include "base/list.h"

/* Embedded by the caller. ENTER runs on the loop, once. */
struct door_visit {
    void (*enter)(struct door_visit *visit);
    struct list link; /* private */
};

struct door {
    uv_async_t wake;
    pthread_mutex_t lock;
    struct list visits;
    bool closed;
};

int door_open(struct door *d, uv_loop_t *loop, struct error *e);
/* No visits are let in any more; those that came before it have entered. */
void door_close(struct door *d);
/* After the loop has ended. */
void door_destroy(struct door *d);
/* False if the door is closed. */
bool door_push(struct door *d, struct door_visit *visit);

#endif
