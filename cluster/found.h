/* found: makes the directory of a node of a new cluster around a database that is there already, as a restore
 * does. It does not know where the database came from, nor who listens.
 *
 * The new cluster is another one than that from which the database came: its id is made of an origin, too,
 * and the members that its database knew of are forgotten. Nodes that are founded with the same list and
 * settings on the same database are members of one cluster; its log begins behind the database's index.
 *
 * Threads: any; blocks. */
#ifndef QUORATE_CLUSTER_FOUND_H
#define QUORATE_CLUSTER_FOUND_H

#include "cluster/cluster_id.h"
#include "storage/store.h"

struct found_config {
    struct env *env;
    const char *dir; /* with its db.sqlite, and without meta and log */
    const char *vfs; /* as in struct replica_config */
    uint64_t id;
    const struct peers_member *members;
    unsigned count;
    const char *cluster_name;
    bool foreign_keys;
    uint64_t instructions_max;
    uint64_t result_max;                  /* as the nodes have it */
    uint8_t origin[CLUSTER_ORIGIN_BYTES]; /* the same on all members */
    /* What the database must be at; digest NULL: whatever it is. */
    const uint8_t *digest;
    bool scan; /* read all of it and compare it with its own digest */
};

/* Opens the database once, as a node would, and closes it. Nothing makes DIR a node's before all else is
 * durable. RET_AT, if not NULL: what the new cluster begins with. Errors: as store_open(); Q_INVALID the
 * list; Q_CORRUPT the digest is another; as consensus_found(). */
int found_make(const struct found_config *config, struct store_position *ret_at, struct error *e);

#endif
