/* swarm: how the cluster of one seed is made and treated. Each seed draws another configuration and another
 * subset of faults: what all configurations have in common hides what only some of them show (Groce et al.,
 * "Swarm Testing", ISSTA 2012). */
#ifndef QUORATE_TESTS_SIM_SWARM_H
#define QUORATE_TESTS_SIM_SWARM_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/fault.h"

struct swarm {
    uint64_t seed;
    unsigned nodes, clients;
    unsigned election_ms, heartbeat_ms;
    unsigned batches; /* in flight */
    uint64_t segment_bytes, cache_bytes, compact_bytes;
    uint64_t think_us;              /* of a client, on average */
    uint64_t fault_us;              /* between two acts of the nemesis, on average */
    uint64_t faults_us;             /* how long there are faults */
    uint32_t faults;                /* which kinds: one bit each */
    bool on_disk;                   /* SQLite on the simulated disk, instead of in memory */
    uint64_t keep_bytes, ship_rate; /* on disk: of log for who was away; bytes a second of images, 0: any */
    uint64_t wish_us; /* between two wishes of the operator about who is a member; 0: there is none */
    unsigned voters;  /* how many are to vote */
    bool ruthless;    /* any number of copies may be damaged: nodes must refuse, and never lie */
};

void swarm_draw(struct swarm *s, uint64_t seed);
/* One line. */
void swarm_print(const struct swarm *s);

#endif
