/* decisions: the leader's side of changes of the members: wishes one after the other, each granted or refused
 * by what is so when its turn comes, and written into the log. One at a time, because each has to see what
 * the one before it has changed. It does not know who asks, nor how a member is seen.
 *
 * Threads: loop only. */
#ifndef QUORATE_CLUSTER_DECISIONS_H
#define QUORATE_CLUSTER_DECISIONS_H

#include "base/env.h"
#include "cluster/wish.h"
#include "raft_glue/batcher.h"

struct decisions;

/* One wish. The asker embeds it, fills the first part and leaves it alone until DONE or decisions_forget().
 */
struct decision {
    struct wish wish; /* its address is borrowed until the end */
    /* Instead of a wish: exactly this, of the steward's own. COUNT 0: the wish. */
    struct member_change change;
    unsigned count;
    uint64_t deadline_ms;
    /* FAILED is NULL when it is in the log and applied here, or was so already: INDEX and MEMBER tell.
     * Borrowed. Never inside decisions_push(). Errors: those of wish_grant(), Q_NOT_LEADER, Q_TIMEOUT
     * (nothing was done); Q_UNKNOWN. */
    void (*done)(struct decision *, const struct error *failed);
    uint64_t index;  /* of the entry that made it so */
    uint64_t member; /* whom it is about: the new one of an addition */

    /* Private. */
    struct list link;
    struct decisions *owner;
    struct batcher_command writing;
    struct buf bytes;
    bool running;
};

struct decisions_config {
    struct env *env;
    struct batcher *batcher;
    /* The members as this leader sees them, for a decision about WISH; kept until the next call.
     * Q_NOT_LEADER; Q_BUSY it does not see all that is decided already: ask again. */
    int (*look)(void *ctx, const struct wish *wish, const struct steward_view **ret_view, struct error *e);
    void (*pushed)(void *ctx); /* the batcher has something to do */
    void *ctx;
};

int decisions_new(const struct decisions_config *config, struct decisions **ret_decisions, struct error *e);
/* What waits gets no callback. NULL is fine. */
void decisions_free(struct decisions *ds);

void decisions_push(struct decisions *ds, struct decision *d);
/* DONE is not called any more, and the memory is free. It may be done all the same. */
void decisions_forget(struct decision *d);
/* Goes on: call when an entry was applied, when leadership changed, and about every 50 ms. */
void decisions_poll(struct decisions *ds);

#endif
