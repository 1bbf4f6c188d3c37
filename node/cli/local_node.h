/* local_node: one quorated process of a local cluster: started, found again, asked whether it is ready. It
 * does not know why. */
#ifndef QUORATE_NODE_CLI_LOCAL_NODE_H
#define QUORATE_NODE_CLI_LOCAL_NODE_H

#include "node/cli/local_cluster.h"

/* The node's process, verified. Errors: Q_NOT_FOUND (it does not run). RET_FD, if not NULL, is a pidfd to be
 * closed by the caller. */
int local_node_find(const struct local_cluster *c, const struct local_node *node, pid_t *ret_pid, int *ret_fd,
                    struct error *e);
/* Starts the process; does not wait until it is ready. Errors: Q_CONFLICT (it runs, or a port is in use),
 * Q_NOT_FOUND, Q_IO. */
int local_node_start(const struct local_cluster *c, const struct local_node *node, struct error *e);
/* Whether /readyz says 200 now. Q_CLOSED: the process has ended; the text is the last line of its log. */
int local_node_ready(const struct local_cluster *c, const struct local_node *node, bool *ret_ready,
                     struct error *e);

#endif
