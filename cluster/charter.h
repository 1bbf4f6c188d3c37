/* charter: what the cluster of a directory is called, and by which rules its commands give their results.
 * Both follow from nothing else where a node is started without the list of the first members, and a node
 * with other rules would come to another content than the rest. It does not know what the rules mean
 * (cluster_id.h).
 *
 * File DIR/charter, little-endian:
 *     8 bytes  "QRTCHAR1"; another layout would have another one
 *     blob     the cluster's name (u32 length, bytes), at most CHARTER_NAME_MAX
 *     blob     its rules, as cluster_semantics() writes them
 *     u32      CRC32C of what is before
 * Written under another name, synced, renamed, and the directory synced. */
#ifndef QUORATE_CLUSTER_CHARTER_H
#define QUORATE_CLUSTER_CHARTER_H

#include "base/env.h"
#include "cluster/cluster_id.h"

enum { CHARTER_NAME_MAX = 255 };

struct charter {
    char name[CHARTER_NAME_MAX + 1];
    char semantics[CLUSTER_SEMANTICS_MAX];
};

/* Blocking. Errors: Q_NOT_FOUND; Q_CORRUPT; Q_IO, Q_NOMEM. */
int charter_load(struct env *env, const char *dir, struct charter *ret_charter, struct error *e);
/* Blocking; durable when it returns. Errors: Q_NO_SPACE, Q_IO, Q_NOMEM. */
int charter_save(struct env *env, const char *dir, const struct charter *charter, struct error *e);

#endif
