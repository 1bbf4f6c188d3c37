/* life: one cluster from its first start to the last check, as one seed wants it: a time with faults, then
 * everything is made whole, and within 60 seconds there is one leader that all follow; then the history is
 * judged. It does not know of other seeds. */
#ifndef QUORATE_TESTS_SIM_LIFE_H
#define QUORATE_TESTS_SIM_LIFE_H

#include "tests/sim/coverage.h"
#include "tests/sim/history.h"
#include "tests/sim/nemesis.h"

/* What a run may not do, other than the seed says; a zeroed one changes nothing. */
struct life_limits {
    unsigned nodes, clients;
    uint64_t until_us;       /* the faults end then */
    bool in_memory, on_disk; /* SQLite, whatever the seed says */
    bool settled, restless;  /* nobody comes or goes; somebody does, but in a ruthless run */
    struct nemesis_only only;
};

/* What has come of it. Plain data: it can be sent. */
struct life_result {
    uint64_t seed, hash, simulated_us, events, entries;
    uint64_t boots, crashes, kills, stops, elections;
    uint64_t done, refused, unknown;
    unsigned nodes, clients, acts;
    struct coverage coverage;
    bool played[NEMESIS_ACTS_MAX]; /* which acts of the nemesis were played */
    char failure[512];             /* empty: nothing was violated */
};

/* STORY: prints what happens. */
void life_run(uint64_t seed, const struct life_limits *limits, bool story, struct life_result *ret_result);

#endif
