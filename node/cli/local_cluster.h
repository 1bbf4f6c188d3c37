/* local_cluster: a cluster of real quorated processes on this machine, in one directory. It does not know how
 * its commands are called, nor how one node is run (local_node.h).
 *
 * The directory D holds:
 *     cluster.json   {"quorated":PATH,"nodes":[{"id":1,"http":PORT,"peers":PORT},...],"flags":[...]}, by id
 *                    from 1; "joined":true marks those that are not among the first members, "removed":true
 *                    those that are members no more: they keep their line, as ids are not used twice
 *     secret         what the nodes prove to each other, mode 0600
 *     nodeN/         the data of node N
 *     nodeN.log      its output, appended
 *     nodeN.pid      its pid when it was last started */
#ifndef QUORATE_NODE_CLI_LOCAL_CLUSTER_H
#define QUORATE_NODE_CLI_LOCAL_CLUSTER_H

#include <limits.h>
#include <sys/types.h>

#include "node/cli/client.h"

enum {
    LOCAL_FIRST_MAX = 9,  /* nodes of a new cluster */
    LOCAL_NODES_MAX = 16, /* with those that joined, and those that were removed */
    LOCAL_FLAGS_MAX = 64
};

struct local_node {
    unsigned id;
    unsigned http_port, peer_port;
    bool joined, removed;
    unsigned replaces; /* it is to join in the place of this one; 0: of none. Not in the file */
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

/* One more node, that is to join; cluster.json has it when this returns. Errors: Q_TOO_BIG, Q_IO. */
int local_cluster_add(struct local_cluster *c, struct local_node **ret_node, struct error *e);
/* It did not come to that: takes the last node out again. */
int local_cluster_undo_add(struct local_cluster *c, struct error *e);
/* The node with this id is a member no more. */
int local_cluster_mark_removed(struct local_cluster *c, unsigned id, struct error *e);

/* The node with this id; Q_NOT_FOUND: there is none, or it was removed. */
int local_cluster_node(const struct local_cluster *c, int64_t id, const struct local_node **ret_node,
                       struct error *e);
/* Those of all nodes that are not removed. */
void local_cluster_endpoints(const struct local_cluster *c, struct endpoints *ret_endpoints);

/* Writes TEXT over what PATH held, for its owner alone. */
int local_write_file(const char *path, const char *text, struct error *e);

#endif
