/* node: one running node: its loop thread, the replica, and the doors (HTTP, the library's calls).
 * This is what struct quorate is inside. */
#ifndef QUORATE_NODE_NODE_H
#define QUORATE_NODE_NODE_H

#include "cluster/replica.h"
#include "node/door.h"
#include "node/options.h"

struct quorate;

/* Opens and starts; the loop runs on a thread of its own. The options are copied. A new machine that joins a
 * cluster is let in first, which may take for ever: it gives up with Q_CLOSED when CANCEL_FD, unless it is
 * -1, becomes readable. */
int node_start(const struct options *options, int cancel_fd, struct quorate **ret_node, struct error *e);
void node_stop(struct quorate *node);

int node_http_port(const struct quorate *node);
uint64_t node_request_timeout_ms(const struct quorate *node);

/* From any thread: runs VISIT on the loop; false if the node is stopping. */
bool node_visit(struct quorate *node, struct door_visit *visit);
/* On the loop. */
struct replica *node_replica(struct quorate *node);

#endif
