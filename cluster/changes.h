/* changes: wishes about the members on their way, from any node to the leader, and again until there is one.
 * Asking twice does no harm, as what is so already succeeds. It does not know what is granted (wish.h), nor
 * how it is written (decisions.h), nor how questions travel (forward.h).
 *
 * Who knows no leader asks any member that it can reach, which asks its leader in turn: so a node gets its
 * word in whose new address the leader does not know yet.
 *
 * Frame body of FORWARD_MEMBER behind the question's head, little-endian: u8 enum replica_verb, u64 id, u64
 * with, u64 incarnation, blob address, u8 1 if it is asked on behalf of another node (and is not passed on
 * any more). Its answer's result: u64 id of the member that it was about.
 *
 * Threads: loop only. */
#ifndef QUORATE_CLUSTER_CHANGES_H
#define QUORATE_CLUSTER_CHANGES_H

#include "cluster/decisions.h"
#include "cluster/forward.h"
#include "cluster/peers.h"

struct changes;

/* One wish. The asker embeds it, fills the first part and leaves it alone until DONE, which comes exactly
 * once, never inside the function that started it. */
struct replica_change {
    enum replica_verb verb;
    uint64_t id, with;
    char address[PEERS_ADDRESS_MAX +
                 1];      /* of REPLICA_ADD, REPLICA_MOVE, and REPLICA_REPLACE by a new member */
    uint64_t incarnation; /* of a node that joins; else 0 */
    uint64_t timeout_ms;
    /* FAILED is NULL when the leader has it in the log, or it was so already; borrowed. The steward goes on
     * from there: watch the status. Q_INVALID, Q_NOT_FOUND; Q_CONFLICT with the reason and the safe order;
     * Q_BUSY the same for one that joins, who may come again; Q_NO_LEADER, Q_TIMEOUT: nothing was done;
     * Q_UNKNOWN; Q_CLOSED. */
    void (*done)(struct replica_change *, const struct error *failed);
    uint64_t index;  /* of the entry that made it so; 0: the first list */
    uint64_t member; /* whom it was about: the new one of an addition or a replacement */

    /* Private. */
    struct list link;
    struct changes *owner;
    enum change_phase { CHANGE_WAITING, CHANGE_FORWARDED, CHANGE_HERE, CHANGE_ENDED } phase;
    struct forward_call call;
    struct decision decision;
    uint64_t deadline_ms, again_ms;
    struct error ended; /* or the last trouble */
    bool unknown;       /* an attempt may have been done */
};

struct changes_config {
    struct env *env;
    uint64_t id; /* of this node */
    struct forward *forward;
    struct decisions *decisions;
    uint64_t (*leader)(void *ctx);  /* as this node knows it; 0: none */
    uint64_t (*anybody)(void *ctx); /* a member that can be reached, another one each time; 0: none */
    void *ctx;
};

int changes_new(const struct changes_config *config, struct changes **ret_changes, struct error *e);
/* What waits gets no callback. NULL is fine. */
void changes_free(struct changes *cs);

void changes_ask(struct changes *cs, struct replica_change *change);
/* A question of another node, FORWARD_MEMBER: this node answers it as the leader, or says that it does not
 * lead. The bytes are borrowed. */
void changes_serve(struct changes *cs, const struct forward_question *question, const uint8_t *p, size_t n);

/* Asks again, and ends what has waited long enough. Call about every 50 ms. */
void changes_tick(struct changes *cs);
/* Ends all, and those to come, with Q_CLOSED. */
void changes_stop(struct changes *cs);

#endif
