/* clerk: what the operator of a cluster does about who is in it: brings machines, takes some out, replaces
 * those whose disk is lost, moves addresses, makes standbys of voters and voters of standbys; all of it by
 * the product's own commands, at any node, one after the other, and something else where he is refused. He
 * does not break anything, and does not know what will. */
#ifndef QUORATE_TESTS_SIM_CLERK_H
#define QUORATE_TESTS_SIM_CLERK_H

#include "tests/sim/keeper.h"
#include "tests/sim/swarm.h"

struct clerk {
    struct group *group;
    struct keeper *keeper;
    struct coverage *coverage;
    struct rng rng;
    uint64_t every_us; /* between two wishes, on average */
    uint64_t next_us;
    bool over; /* he only brings to an end what was begun */
    struct replica_change change;
    struct group_node *asked; /* NULL: no wish is under way */
    uint64_t asked_boots;
    struct group_node *moves; /* the last one that did */
};

/* Adds spare machines and begins. All are kept; the group's watch, but for JOINED, is the keeper's. */
void clerk_start(struct clerk *o, struct group *g, struct keeper *keeper, struct coverage *coverage,
                 const struct swarm *swarm);
/* No new wishes. */
void clerk_end(struct clerk *o);
/* Whether the members are those that are wanted, as LEADER sees it, and nobody is on the way. False: WHY. */
bool clerk_is_content(const struct clerk *o, struct group_node *leader, const char **ret_why);

#endif
