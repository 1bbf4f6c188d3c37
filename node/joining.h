/* joining: how a new machine becomes a member: it asks members of the cluster until one of them answers. It
 * does not know how they decide.
 *
 *     birth_take (who asks) -> join (cluster/join.h), on the loop -> the answer -> replica_open
 *
 * While it waits it says so now and then, and why. */
#ifndef QUORATE_NODE_JOINING_H
#define QUORATE_NODE_JOINING_H

#include <uv.h>

#include "cluster/join.h"
#include "node/settings.h"

struct joining_config {
    uv_loop_t *loop;
    struct env *env; /* on that loop */
    const struct settings *settings;
    const char *api_address;
    uint64_t timeout_ms; /* 0: as long as it takes */
    uint64_t say_ms;     /* how often it says that it waits */
    int cancel_fd;       /* becomes readable when it is to give up; -1: none */
    /* One line for the operator. */
    void (*log)(void *ctx, const char *line);
    void *ctx;
};

/* Blocking: runs the loop until there is an answer. Errors: the refusal in the leader's own sentence
 * (Q_CONFLICT, Q_MISMATCH, Q_INVALID, Q_DENIED, Q_TOO_BIG); Q_TIMEOUT, which names the last trouble;
 * Q_CLOSED: cancelled; those of birth_take(). */
int joining_run(const struct joining_config *config, struct join_answer *ret_answer,
                uint64_t *ret_incarnation, struct error *e);

#endif
