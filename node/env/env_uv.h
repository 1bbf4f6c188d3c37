/* env_uv: the daemon's implementation of base/env.h on libuv and io_uring. It puts the parts together
 * (env_lanes, env_disk, env_writes, env_net, env_listener) and has the clock, the timers and the random
 * numbers itself. It does not know who uses it.
 *
 * What base/env.h leaves open:
 * - Timers have the resolution of the loop's clock, a millisecond: never early, up to a millisecond late on
 * an idle loop. Those of the same millisecond fire in the order in which they were started. A past time given
 *   within a timer's callback fires a millisecond later, so that no timer can starve the loop.
 * - listen() resolves a name on the calling thread; connect() does not.
 * - Durable writes go by io_uring or by a thread; env_uv_writes() says which. Only files opened with
 * ENV_DIRECT (and aligned data) make io_uring worth its name: the kernel hands buffered writes to threads of
 * its own. */
#ifndef QUORATE_NODE_ENV_UV_H
#define QUORATE_NODE_ENV_UV_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/env.h"

struct env_uv;

enum {
    ENV_UV_READERS_MAX = 16,
    ENV_UV_CONNECT_TIMEOUT_MS = 3000,
};

struct env_uv_config {
    uv_loop_t *loop;             /* kept */
    unsigned readers;            /* threads of ENV_READER, 1 to ENV_UV_READERS_MAX */
    unsigned connect_timeout_ms; /* with name resolution; 0 is ENV_UV_CONNECT_TIMEOUT_MS */
    bool no_io_uring;            /* durable writes by the thread */
};

/* Starts the threads. SIGPIPE and SIGXFSZ are ignored from then on unless the process has handlers for them:
 * a peer that goes and a file that reaches a limit are errors here, not the end of the process. After a
 * failure the loop must run once more before it can be closed, as some handles may be closing on it. Errors:
 * Q_INVALID for a count of readers out of range, Q_NOMEM, Q_IO when a thread cannot be had. */
int env_uv_new(const struct env_uv_config *config, struct env_uv **ret, struct error *e);
/* Valid until env_uv_close() has called CLOSED. */
struct env *env_uv_env(struct env_uv *u);

/* Ends it. Timers stop, listeners and connections are closed (their closed() still comes), and work and
 * writes in flight are finished and their DONE called; those callbacks, and nobody else, may start more. When
 * nothing is left the threads are joined, everything is freed, and CLOSED is called on the loop. Timers and
 * listeners that nobody freed go with it; until then their owners may still free them. Files do not: close
 * them before. */
void env_uv_close(struct env_uv *u, void (*closed)(void *owner), void *owner);

/* How durable writes are made, for the log: "io_uring", or "thread" with the reason behind it. */
const char *env_uv_writes(const struct env_uv *u);
/* The port that a listener got, of interest when it asked for port 0. */
uint16_t env_uv_listener_port(const struct env_listener *l);

#endif
