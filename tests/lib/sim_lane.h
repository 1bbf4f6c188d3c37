/* sim_lane: pieces of work that run elsewhere: ENV_APPLY and ENV_WORKER one after another, ENV_READER side by
 * side. Between submission, run and done pass small random delays, and what the work waited for the disk. */
#ifndef QUORATE_TESTS_LIB_SIM_LANE_H
#define QUORATE_TESTS_LIB_SIM_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/env.h"

struct sim_world;

struct sim_lane {
    struct list waiting;   /* struct sim_work.waiting; of the lanes of one thread */
    bool busy;             /* one is on its way through run */
    uint64_t last_done_us; /* no DONE before it: results come in submission order */
};

void sim_lanes_init(struct sim_world *w);
void sim_lane_run(struct env *env, struct env_work *work);
/* Forgets all work. */
void sim_lanes_die(struct sim_world *w);

#endif
