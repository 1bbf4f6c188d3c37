/* env_writes: asynchronous durable writes, by io_uring or, where that cannot be had, by one thread. It does
 * not know what is written, and it keeps no order between writes.
 *
 * With io_uring a write goes to the kernel within the call that submits it (gathering the writes of a loop
 * iteration gained nothing at one to four in flight). Completions make the ring's own descriptor readable, on
 * which the loop polls; all that are there are taken in one go. An eventfd between them was no faster.
 *
 * The thread takes everything that waits. Neighbours (the next write starts where the last one ended, as the
 * log's do) go out as one write, so that they share one flush of the disk.
 *
 * Median of a 4 KiB write, and writes per second, on ext4 on a virtual disk, two cores, zero-filled file:
 *
 *     by                    one in flight         four in flight
 *     io_uring, O_DIRECT    120 us,  7,500/s      205 us, 17,000/s
 *     thread, O_DIRECT      165 us,  5,600/s      285 us, 12,500/s  (not merged: 715 us, 5,300/s)
 *     io_uring, buffered    140 us,  6,600/s      600 us,  6,500/s  (the kernel uses threads of its own)
 *     thread, buffered      165 us,  5,500/s      285 us, 13,000/s
 *
 * A write that the kernel does short is continued behind what it did; one that then does nothing is an error.
 */
#ifndef QUORATE_NODE_ENV_WRITES_H
#define QUORATE_NODE_ENV_WRITES_H

#include <liburing.h>
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "base/env.h"
#include "node/env/env_lane.h"

/* Writes that the kernel is given at once; more wait here. */
enum { WRITES_DEPTH = 64 };

struct env_writes {
    OBJECT_MAGIC;
    bool started;
    bool by_thread;
    struct lane thread; /* the fallback */

    struct io_uring ring;
    uv_poll_t readable;
    uv_timer_t retry;    /* when the kernel had no memory for a submission */
    struct list waiting; /* for a place in the ring */
    unsigned in_kernel;
    size_t in_flight; /* submitted and not yet done */
    unsigned closing; /* handles whose close has not come yet */

    void (*settled)(void *owner);
    void *owner;
    void (*closed)(void *owner);
    void *closed_owner;
    char why_thread[128]; /* "thread (io_uring: <why not>)" */
};

/* FORCE_THREAD keeps it from trying io_uring. SETTLED(owner) comes on the loop, after DONE, whenever nothing
 * is in flight any more. After a failure env_writes_close() must still be called. */
int env_writes_init(struct env_writes *w, uv_loop_t *loop, bool force_thread, void (*settled)(void *owner),
                    void *owner, struct error *e);
void env_writes_submit(struct env_writes *w, struct env_write *write);
bool env_writes_are_quiet(const struct env_writes *w);
/* Nothing may be in flight. CLOSED comes on the loop, or at once when nothing was ever started. */
void env_writes_close(struct env_writes *w, void (*closed)(void *owner), void *owner);

#endif
