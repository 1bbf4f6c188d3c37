/* local_cluster: a cluster of real quorated processes on this machine, in one directory. It does not know how
 * its commands are called.
 *
 * The directory D holds:
 *     cluster.json   {"quorated":PATH,"nodes":[{"id":1,"http":PORT,"peers":PORT},...],"flags":[...]}
 *     secret         what the nodes prove to each other, mode 0600
 *     nodeN/         the data of node N
 *     nodeN.log      its output, appended
 *     nodeN.pid      its pid when it was last started */
#ifndef QUORATE_NODE_CLI_LOCAL_CLUSTER_H
#define QUORATE_NODE_CLI_LOCAL_CLUSTER_H

#include <limits.h>
#include <sys/types.h>

#include "node/cli/client.h"

enum { LOCAL_NODES_MAX = 9, LOCAL_FLAGS_MAX = 64 };

struct local_node {
    unsigned id;
    unsigned http_port, peer_port;
    char dir[PATH_MAX], log[PATH_MAX], pid_file[PATH_MAX];
};

struct local_cluster {
    char dir[PATH_MAX], secret[PATH_MAX];
    char quorated[PATH_MAX];
    unsigned count;
    struct local_node nodes[LOCAL_NODES_MAX];
    char *flags[LOCAL_FLAGS_MAX]; /* more for every quorated; owned */
    unsigned flag_count;
};

struct local_plan {
    unsigned nodes;
    unsigned http_port; /* of node 1, the others follow; 0: free ones */
    unsigned peer_port; /* of node 1; 0: http_port + 1000, or free ones */
    const char *quorated;
    const char *const *flags; /* borrowed */
    unsigned flag_count;
};

/* Makes the directory, the secret and cluster.json. Errors: Q_CONFLICT (there is a cluster already),
 * Q_INVALID, Q_IO. */
int local_cluster_create(const char *dir, const struct local_plan *plan, struct local_cluster *ret_cluster,
                         struct error *e);
/* Errors: Q_NOT_FOUND (no cluster there), Q_CORRUPT (cluster.json). */
int local_cluster_load(const char *dir, struct local_cluster *ret_cluster, struct error *e);
void local_cluster_close(struct local_cluster *c);

/* The node with this id; Q_NOT_FOUND. */
int local_cluster_node(const struct local_cluster *c, int64_t id, const struct local_node **ret_node,
                       struct error *e);
void local_cluster_endpoints(const struct local_cluster *c, struct endpoints *ret_endpoints);

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
