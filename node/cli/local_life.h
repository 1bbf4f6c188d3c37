/* local_life: what the local commands share: the cluster that their words name, waiting until its nodes are
 * ready, and stopping one. It does not know who asks. */
#ifndef QUORATE_NODE_CLI_LOCAL_LIFE_H
#define QUORATE_NODE_CLI_LOCAL_LIFE_H

#include "node/cli/command.h"
#include "node/cli/local_node.h"

/* The cluster in --dir. */
int local_load(const struct args *a, struct local_cluster *ret_cluster, struct error *e);
/* The same, and the node whose number is the first word. */
int local_load_node(const struct args *a, struct local_cluster *ret_cluster,
                    const struct local_node **ret_node, struct error *e);
enum outcome local_outcome(int rv);

/* Waits until node I of those that STARTED marks is ready, for all I. Says so if it takes long. Q_TIMEOUT;
 * Q_CLOSED: one has ended, with its last words. */
int local_wait_ready(const struct local_cluster *c, const bool *started, uint64_t limit_ms, struct error *e);
/* SIGTERM, and SIGKILL for what has not ended after a while. */
int local_stop_node(const struct local_cluster *c, const struct local_node *node, bool *ret_ran,
                    struct error *e);

#endif
