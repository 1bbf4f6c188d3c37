/* sim_env: the process on a simulated node: clocks, random, timers, and the table of functions that is its
 * env. This header is the simulator's own: its modules share these structs, tests include sim.h. */
#ifndef QUORATE_TESTS_LIB_SIM_ENV_H
#define QUORATE_TESTS_LIB_SIM_ENV_H

#include "base/env.h"
#include "base/object.h"
#include "tests/lib/sched.h"
#include "tests/lib/sim_disk.h"
#include "tests/lib/sim_lane.h"

#define SIM_NODE_MAGIC  0x5eed0001u
#define SIM_WORLD_MAGIC 0x5eed0002u

struct sim_node {
    OBJECT_MAGIC;
    struct sim *sim;
    struct sched *sched; /* the sim's */
    unsigned id;
    char *name;
    struct sim_disk *disk;
    struct sim_vfs *vfs;        /* NULL until it is asked for */
    unsigned wal_readers;       /* see sim_node_wal_readers() */
    struct sim_net *net;        /* the sim's */
    struct sim_gate running;    /* closed while paused */
    struct sim_gate disk_works; /* closed while the disk is stuck */
    struct sim_world *world;    /* of the running process, or NULL */
    struct list dead;           /* worlds of former processes */
    int64_t wall_offset_ms;
    unsigned clock_rate; /* of the monotonic clock, in thousandths of the right one */
    unsigned crash_in;   /* 0: not at all */
    bool mute;           /* without power, and nobody answers for it */
};

/* Everything of one process. */
struct sim_world {
    struct env env;
    OBJECT_MAGIC;
    struct sim_node *node;
    struct sched *sched;
    bool dead;
    uint64_t clock_us;     /* what the monotonic clock showed */
    uint64_t clock_set_us; /* when its rate was last set, in virtual time */
    uint64_t spent_us;     /* what the running piece of work has waited for the disk so far */
    struct rng random;
    struct list timers, files, writes, works, listeners, conns;
    struct sim_lane lanes[ENV_LANES];
    struct list link; /* in node->dead */
};

struct sim_world *sim_world_new(struct sim_node *node);
/* The process vanishes. POWER_LOSS: writes in flight are torn, else each happens or not. */
void sim_world_die(struct sim_world *w, bool power_loss);
/* A dead one, with the handles that were never freed. */
void sim_world_free(struct sim_world *w);
/* From now on, for what is left of timers too. */
void sim_world_clock_rate(struct sim_world *w, unsigned permille);
struct sim_world *sim_world_of(struct env *env);

#endif
