/* requests: the state machine of all requests under way on this node: which way each goes (writer, leader,
 * reader) and when it has waited long enough. It does not know peers' connections or how the parts were
 * started. */
#ifndef QUORATE_CLUSTER_REQUESTS_H
#define QUORATE_CLUSTER_REQUESTS_H

#include "base/metrics.h"
#include "cluster/request.h"
#include "storage/store.h"

struct requests;

struct requests_config {
    struct env *env;
    uint64_t id;
    struct consensus *consensus;
    struct batcher *batcher;
    struct forward *forward;
    struct store *store;
    uint64_t result_max;
    uint64_t patience_ms; /* a request that finds no leader waits so long for one: then Q_NO_LEADER */
    /* As they are now. */
    uint64_t (*applied)(void *ctx);
    uint64_t (*leader_contact_us)(void *ctx); /* since the leader was last heard of; UINT64_MAX: never */
    uint64_t (*lag_us)(void *ctx); /* from the leader's taking to the applying here of the last entry that was
                                      applied; 0 if all that is known to be committed is applied */
    /* False: this node's content is wrong, or may be: it must not be read. */
    bool (*may_answer)(void *ctx, struct error *why);
    void (*pushed)(void *ctx); /* a command waits in the batcher, which wants a poll */
    void *ctx;
};

int requests_new(const struct requests_config *config, struct requests **ret_requests, struct error *e);
void requests_free(struct requests *rs); /* NULL is fine */

/* As replica_submit() says. */
void requests_submit(struct requests *rs, struct replica_request *request);
/* More was applied: requests that wait for an index may go on. */
void requests_advanced(struct requests *rs);
/* Ends what is past its deadline; sends on what has waited for a leader. Call about every 50 ms. */
void requests_tick(struct requests *rs);
/* New requests fail with Q_CLOSED from now on. */
void requests_stop(struct requests *rs);
/* Ends whatever waits for others: it is too late to hear from them. What a reader works on ends by itself. */
void requests_give_up(struct requests *rs);
/* No request is under way. */
bool requests_idle(const struct requests *rs);
void requests_metrics(struct requests *rs, struct metrics *metrics);

#endif
