/* join: a node without a cluster asks to be let into one: it dials the addresses that it was given, in turn
 * and again and again, proves that it knows the secret, asks, and is answered. It does not know what becomes
 * of the answer.
 *
 *   WAITING --- the delay is over ---> ASKING (session.h) --- an answer that is final ---> OVER --> done()
 *      ^                                   |                                                ^
 *      |   no connection, no answer, or    |                  the time is over              |
 *      +-- one that says to try again -----+------------------------------------------------+
 *
 * Final are: that it is a member now, and Q_CONFLICT, Q_MISMATCH, Q_INVALID, Q_DENIED and Q_TOO_BIG, also
 * from the handshake. Asking again is harmless: a member that asks once more is answered once more.
 *
 * Threads: loop only. */
#ifndef QUORATE_CLUSTER_JOIN_H
#define QUORATE_CLUSTER_JOIN_H

#include "base/env.h"
#include "cluster/join_message.h"

struct join;

enum { JOIN_AGAIN_MS = 500, JOIN_ADDRESSES_MAX = 16 };

struct join_config {
    struct env *env;
    const char *const *addresses; /* of members; copied, 1 to JOIN_ADDRESSES_MAX */
    unsigned count;
    const uint8_t *secret; /* copied */
    size_t secret_len;
    const struct join_ask *ask; /* copied */
    uint64_t deadline_ms;       /* env_now_ms(); UINT64_MAX: none */
    /* Once, not inside join_new(); then comes join_free(), also inside. FAILED NULL: this node is a member as
     * ANSWER says. Q_TIMEOUT: names the last trouble. Both are borrowed. */
    void (*done)(void *ctx, const struct join_answer *answer, const struct error *failed);
    void *ctx;
};

/* Errors: Q_INVALID (no or too many addresses, or one that is none; the secret; an ASK without an address or
 * with one that is none), Q_NOMEM. */
int join_new(const struct join_config *config, struct join **ret_join, struct error *e);
/* Why it is not answered yet, as a sentence; "" if nothing went wrong. Borrowed until the next callback. */
const char *join_trouble(const struct join *j);
/* Gives up: no DONE comes any more but CLOSED, once, when the object has been freed; it gets the config's
 * ctx. Before DONE only. */
void join_close(struct join *j, void (*closed)(void *ctx));
/* After DONE, or when the env will not call back any more. NULL is fine. */
void join_free(struct join *j);

#endif
