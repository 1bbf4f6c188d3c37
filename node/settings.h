/* settings: what the options mean together: the list of members and the secret taken apart, addresses filled
 * in, and what does not fit together refused. It does not start anything. */
#ifndef QUORATE_NODE_SETTINGS_H
#define QUORATE_NODE_SETTINGS_H

#include "cluster/replica.h"
#include "node/options.h"

/* Bytes of one result. It decides results, so it is the same on every node and not to be set. */
enum { SETTINGS_RESULT_MAX = 64 * 1024 * 1024, SETTINGS_JOIN_MAX = 16 };

struct settings {
    struct peers_member members[PEERS_MAX];
    bool settled;   /* the directory is a node's already: it knows its cluster, and joins none */
    unsigned joins; /* members to ask; 0: it does not join */
    char join[SETTINGS_JOIN_MAX][PEERS_ADDRESS_MAX + 1];
    uint64_t replaces; /* the member whose place it takes; 0: nobody's */
    uint8_t secret[PEERS_SECRET_MAX];
    struct replica_config
        replica; /* strings borrow from the options and from here; env and callbacks are not set */
};

/* Looks whether the directory is a node's already: then members, id and what it joined are known there. Only
 * a new one needs either members, among which it is, or join.
 *
 * Errors: Q_INVALID (a required option is missing, options do not go together, a member or address is
 * malformed, heartbeat-interval is not well below election-timeout, the secret's file is not there, ...),
 * Q_IO (it cannot be read), Q_DENIED (others may read it). */
int settings_make(const struct options *o, struct settings *ret_settings, struct error *e);

#endif
