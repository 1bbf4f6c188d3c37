/* wish: what an operator, or a node that joins, asks of the membership, and whether it is granted. Refused is
 * what contradicts what is so already, and what would leave the cluster without a majority, with the order
 * that is safe. What is granted becomes one command of the log (storage/member_change.h); the steward does
 * the rest. Only decisions: it calls nobody. */
#ifndef QUORATE_CLUSTER_WISH_H
#define QUORATE_CLUSTER_WISH_H

#include "cluster/steward.h"

enum replica_verb {
    REPLICA_ADD,     /* ID at ADDRESS is to be a member */
    REPLICA_REMOVE,  /* ID is to go, for good */
    REPLICA_PROMOTE, /* ID is to be a voter */
    REPLICA_DEMOTE,  /* ID is to be a standby, and to stay one */
    REPLICA_MOVE,    /* ID is reached at ADDRESS */
    REPLICA_REPLACE, /* ID is to go, and WITH, which is a standby or comes to ADDRESS, takes its place; WITH
                        0: whoever joins next */
};

struct wish {
    enum replica_verb verb;
    uint64_t id, with;
    const char *address; /* "" where none is needed; borrowed */
    uint64_t
        incarnation; /* of the node that joins; 0: an operator's wish. A joiner may leave the new id 0: any */
};

/* What has to be written so that WISH comes true. */
struct wish_plan {
    unsigned count; /* 0: it is so already */
    struct member_change changes[MEMBER_CHANGES_MAX];
    uint64_t id;      /* of the member that it is about; the new one of REPLICA_ADD and REPLICA_REPLACE */
    uint64_t changed; /* COUNT 0: the entry that made it so */
};

/* The addresses in the plan are borrowed from WISH and VIEW. Errors: Q_INVALID; Q_NOT_FOUND no such member;
 * Q_CONFLICT it would do harm, or contradicts what is: the text says the safe order; Q_BUSY the same for a
 * node that joins, where waiting may help. */
int wish_grant(const struct steward_view *view, const struct wish *wish, struct wish_plan *ret_plan,
               struct error *e);

#endif
