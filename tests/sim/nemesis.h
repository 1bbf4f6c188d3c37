/* nemesis: makes things break, from the seed: power losses, kills, pauses, cuts, a bad network, jumping
 * clocks, slow disks; and in the end makes everything whole. It does not know what clients do. */
#ifndef QUORATE_TESTS_SIM_NEMESIS_H
#define QUORATE_TESTS_SIM_NEMESIS_H

#include "tests/sim/group.h"

struct nemesis {
    struct group *group;
    struct rng rng;
    bool over;
    uint64_t mean_us; /* between two acts */
    uint64_t pauses, cuts, one_way_cuts, storms, jumps, slow_disks, power_losses_of_all;
};

/* The first act comes soon. N must live as long as the simulation. */
void nemesis_start(struct nemesis *n, struct group *g);
/* No more acts: every node runs, nothing is cut, slow or paused. */
void nemesis_end(struct nemesis *n);

#endif
