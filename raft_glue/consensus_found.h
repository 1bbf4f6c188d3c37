/* consensus_found: makes the beginning of a member's directory around a database that is there already: a new
 * cluster whose first entry follows the one that the database is at. It does not know where the database came
 * from, and does not open it. */
#ifndef QUORATE_RAFT_GLUE_CONSENSUS_FOUND_H
#define QUORATE_RAFT_GLUE_CONSENSUS_FOUND_H

#include "raft_glue/consensus.h"

struct consensus_found {
    struct env *env;
    const char *dir; /* must exist, and hold neither meta nor log */
    uint64_t id;
    uint8_t cluster_id[CLUSTER_ID_BYTES];
    uint8_t origin[META_ORIGIN_BYTES];      /* what makes this cluster another one; in its id, too */
    const struct consensus_server *members; /* the first configuration: all of them voters */
    unsigned count;
    uint64_t index, term; /* what the database is at; the log begins behind it. From 2 and 1 on */
};

/* Blocking. Makes DIR/meta durable, as the last thing that makes DIR a member's: what else belongs there must
 * be durable before. Members that were given the same list and position are one cluster. Errors: Q_CONFLICT
 * there is a meta; Q_INVALID an id or address is there twice, or ID is not in the list; Q_TOO_BIG the list
 * does not fit into meta; Q_IO, Q_NO_SPACE, Q_NOMEM. */
int consensus_found(const struct consensus_found *found, struct error *e);

#endif
