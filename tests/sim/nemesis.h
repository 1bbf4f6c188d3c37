/* nemesis: makes things break, from the seed, and in the end makes everything whole. What it does is a row of
 * numbered acts; each draws from a generator of its own, so that leaving one out leaves the others as they
 * are. It does not know what clients do. */
#ifndef QUORATE_TESTS_SIM_NEMESIS_H
#define QUORATE_TESTS_SIM_NEMESIS_H

#include "tests/sim/atlas.h"
#include "tests/sim/keeper.h"
#include "tests/sim/swarm.h"

enum { NEMESIS_ACTS_MAX = 4096 };

/* Which acts there are, for shrinking; a zeroed one is all. */
struct nemesis_only {
    bool some; /* only those of ACTS */
    bool acts[NEMESIS_ACTS_MAX];
    uint32_t without; /* none of these kinds: one bit each */
};

struct errand;

struct nemesis {
    struct group *group;
    struct keeper *keeper;
    struct atlas *atlas;
    struct coverage *coverage;
    const struct swarm *swarm;
    const struct nemesis_only *only;
    struct rng schedule; /* when acts are, and which kind */
    struct rng rng;      /* of the act that is going on */
    unsigned acts;
    bool over;
    struct errand *errands;
    struct sim_net_faults weather;
    struct sim_disk_faults disks[GROUP_MAX];
    struct sim_disk_copy *copies[GROUP_MAX]; /* of disks, that may be put back */
    unsigned copied_lives[GROUP_MAX];        /* whose they are */
    uint64_t copied_boots[GROUP_MAX];        /* how often the node had been started then */
    bool cut, stormy, paused[GROUP_MAX];
    bool done[NEMESIS_ACTS_MAX]; /* which acts were really played */
};

/* The first act comes soon. N must live as long as the simulation; everything given is kept. */
struct nemesis_config {
    struct group *group;
    struct keeper *keeper;
    struct atlas *atlas;
    struct coverage *coverage;
    const struct swarm *swarm;
    const struct nemesis_only *only;
};
void nemesis_start(struct nemesis *n, const struct nemesis_config *config);
/* No more acts: nothing is cut, slow or paused, and every node runs that can. */
void nemesis_end(struct nemesis *n);
void nemesis_close(struct nemesis *n);

#endif
