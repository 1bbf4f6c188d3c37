/* call: one blocking call of a thread into the loop: a command goes in, its result comes out as a copy.
 * It does not know what the command says. */
#ifndef QUORATE_NODE_CALL_H
#define QUORATE_NODE_CALL_H

#include "base/buf.h"
#include "cluster/request.h"
#include "node/node.h"

struct call_result {
    uint8_t *bytes; /* storage/result.h; returned: free() */
    size_t len;
    uint64_t index;
};

/* Any thread but the loop. Errors: those of replica_answer; Q_CLOSED. */
int call_run(struct quorate *node, const struct buf *command, enum read_level level,
             struct call_result *ret_result, struct error *e);
/* A change of the members: returns when it is decided, or with WAIT_MS when it is done. Errors: those of
 * replica_change_member(); Q_TIMEOUT also if it is decided but not done. */
int call_change(struct quorate *node, const struct replica_change *change, uint64_t wait_ms, struct error *e);
/* Asks the leader to hand over; see replica_transfer(). */
int call_transfer(struct quorate *node, uint64_t to, struct error *e);
/* Waits until the node is ready. Q_TIMEOUT, Q_CLOSED. */
int call_wait_ready(struct quorate *node, uint64_t timeout_ms, struct error *e);

#endif
