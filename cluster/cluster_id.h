/* cluster_id: the name under which the members of one cluster know each other: the first 16 bytes of the
 * SHA-256 of the cluster's name, of what decides results and must therefore be the same everywhere, and of
 * its first list of members, in the order of their ids, and of what it was restored from. Nodes that were
 * given different ones are different clusters and refuse each other. */
#ifndef QUORATE_CLUSTER_CLUSTER_ID_H
#define QUORATE_CLUSTER_CLUSTER_ID_H

#include "cluster/peers.h"

/* What decides results and must be the same on all members, as a text such as "foreign-keys=on". */
enum { CLUSTER_SEMANTICS_MAX = 128 };
void cluster_semantics(bool foreign_keys, uint64_t instructions_max, char ret_text[CLUSTER_SEMANTICS_MAX]);

/* Names what a cluster was restored from: so it is another one than that which it came from, and than one
 * that begins empty. Zeros: it began empty. */
enum { CLUSTER_ORIGIN_BYTES = 32 };

/* SEMANTICS: such as "foreign-keys=on,sql-instructions=5000000". COUNT at most PEERS_MAX. Errors: Q_NOMEM;
 * Q_TOO_BIG the names together are longer than 1 MiB. */
int cluster_id_make(const char *name, const struct peers_member *members, unsigned count,
                    const char *semantics, const uint8_t origin[CLUSTER_ORIGIN_BYTES],
                    uint8_t ret_id[PEERS_CLUSTER_ID_BYTES], struct error *e);

#endif
