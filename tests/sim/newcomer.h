/* newcomer: a spare machine of a group that becomes a member: it asks to be let in until it is answered, also
 * over crashes, as the daemon does with --join. It does not know why one is wanted. */
#ifndef QUORATE_TESTS_SIM_NEWCOMER_H
#define QUORATE_TESTS_SIM_NEWCOMER_H

#include "cluster/join.h"
#include "tests/sim/group.h"

/* Until its directory is a node's. */
struct newcomer {
    struct join *join; /* NULL: its machine is off */
    uint64_t since_us; /* it asks those that it knew then */
    struct join_ask ask;
    struct join_answer answer;
};

/* Starts a machine that is off, and has an empty disk; REPLACES: a member that is to go first, 0: nobody. It
 * gets an address that nobody had before. group->watch.joined tells the end. */
void newcomer_start(struct group_node *node, uint64_t replaces);
/* After a crash: the same node asks again. */
void newcomer_again(struct group_node *node);
/* Its machine has lost its process, or its directory is a node's. */
void newcomer_stop(struct group_node *node);
void newcomer_free(struct group_node *node);

#endif
