/* served: questions of other nodes that this one answers as the leader: commands for the log, indexes for
 * reads. It does not know how questions and answers travel (forward.h).
 *
 * Threads: loop only. */
#ifndef QUORATE_CLUSTER_SERVED_H
#define QUORATE_CLUSTER_SERVED_H

#include "base/metrics.h"
#include "cluster/forward.h"
#include "raft_glue/batcher.h"
#include "raft_glue/consensus.h"

struct served;

struct served_config {
    struct consensus *consensus;
    struct batcher *batcher;
    struct forward *forward;
};

int served_new(const struct served_config *config, struct served **ret_served, struct error *e);
/* Questions that wait get no answer. NULL is fine. */
void served_free(struct served *s);

/* Answers through forward_reply(), now or later. The command is borrowed. Not for FORWARD_MEMBER (changes.h).
 */
void served_ask(struct served *s, const struct forward_question *question, const uint8_t *command, size_t n);
/* Questions are refused with Q_NOT_LEADER from now on. */
void served_stop(struct served *s);
void served_metrics(struct served *s, struct metrics *metrics);

#endif
