/* calls: short questions to one other member, apart from any client's command: is it there, and hand your
 * leadership over. It does not know who asks, nor how questions travel (forward.h).
 *
 * Threads: loop only. */
#ifndef QUORATE_CLUSTER_CALLS_H
#define QUORATE_CLUSTER_CALLS_H

#include "cluster/forward.h"

struct calls;

/* One question. The asker embeds it, fills the first part and leaves it alone until DONE, which comes exactly
 * once, never inside the function that started it. */
struct peer_call {
    uint64_t timeout_ms;
    /* FAILED is NULL on success; borrowed. Q_TIMEOUT, Q_CLOSED, and those of the question. */
    void (*done)(struct peer_call *, const struct error *failed);
    uint64_t elapsed_us; /* from the question to DONE */

    /* Private. */
    struct list link;
    struct calls *owner;
    struct forward_call forwarded;
    uint64_t started_us;
    struct error ended;
};

struct calls_config {
    struct env *env;
    uint64_t id; /* of this node */
    struct forward *forward;
    uint64_t (*leader)(void *ctx); /* as this node knows it; 0: none */
    /* Hands this node's leadership to member TO, 0: any. Q_NOT_LEADER, Q_NOT_FOUND and others. */
    int (*transfer)(void *ctx, uint64_t to, struct error *e);
    void *ctx;
};

int calls_new(const struct calls_config *config, struct calls **ret_calls, struct error *e);
/* Calls that wait get no callback. NULL is fine. */
void calls_free(struct calls *cs);

/* Asks member ID whether it is there. Q_NO_LEADER: it is not connected, or the connection broke. */
void calls_contact(struct calls *cs, uint64_t id, struct peer_call *call);
/* Asks the leader, which may be this node, to hand leadership to member TO, 0: to the most advanced one. The
 * change itself comes later. Q_NO_LEADER, Q_NOT_LEADER (it has just ceased to lead), Q_NOT_FOUND, Q_INVALID;
 * Q_UNKNOWN: the answer was lost. */
void calls_transfer(struct calls *cs, uint64_t to, struct peer_call *call);

/* Ends what has waited long enough. Call about every 50 ms. */
void calls_tick(struct calls *cs);
/* Ends all calls, and those to come, with Q_CLOSED. */
void calls_stop(struct calls *cs);

#endif
