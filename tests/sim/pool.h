/* pool: lives in child processes, a few at once: a life that crashes takes nothing with it, and is a failure
 * like any other. It does not know which seeds are wanted nor what is done with results. */
#ifndef QUORATE_TESTS_SIM_POOL_H
#define QUORATE_TESTS_SIM_POOL_H

#include "tests/sim/life.h"

enum { POOL_JOBS_MAX = 64 };

struct pool_config {
    unsigned jobs; /* children at once, 1 to POOL_JOBS_MAX */
    bool twice;    /* each life is lived twice and must be the same */
    const struct life_limits *limits;
    bool (*next)(void *ctx, uint64_t *ret_seed); /* false: no more */
    void (*ended)(void *ctx, const struct life_result *result);
    void (*idle)(void *ctx); /* at least twice a second */
    void *ctx;
};

/* Returns when all children have ended. */
void pool_run(const struct pool_config *config);
/* One life in a child. */
void pool_try(uint64_t seed, const struct life_limits *limits, struct life_result *ret_result);

#endif
