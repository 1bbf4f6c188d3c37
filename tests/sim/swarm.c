#include "tests/sim/swarm.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/rng.h"

enum { NEARLY_ALL_IN = 4, ON_DISK_IN = 8, RUTHLESS_IN = 16, RESTLESS_IN = 4 };

static uint64_t pick(struct rng *rng, const uint64_t *of, size_t n)
{
    return of[rng_between(rng, 0, n - 1)];
}

#define PICK(rng, ...)                                                                                       \
    pick(rng, (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

/* Long waits are as likely as short ones, on a scale of factors: from LOW to LOW * 2^DOUBLINGS. */
static uint64_t scaled(struct rng *rng, uint64_t low, unsigned doublings)
{
    uint64_t base = low << rng_between(rng, 0, doublings - 1);
    return rng_between(rng, base, base * 2);
}

static uint32_t some_faults(struct rng *rng)
{
    uint32_t all = (UINT32_C(1) << FAULT_COUNT) - 1, some = 0;
    if (rng_between(rng, 1, NEARLY_ALL_IN) == 1) {
        return all & ~(UINT32_C(1) << rng_between(rng, 0, FAULT_COUNT - 1));
    }
    while (some == 0) {
        some = (uint32_t)rng_between(rng, 1, all) & all;
    }
    return some;
}

void swarm_draw(struct swarm *s, uint64_t seed)
{
    struct rng rng;
    rng_init(&rng, seed ^ UINT64_C(0x5741524d)); /* apart from what the simulated world draws */
    *s = (struct swarm){.seed = seed};
    s->nodes = rng_between(&rng, 0, 3) ? 3 : 5;
    s->clients = (unsigned)rng_between(&rng, 3, 8);
    s->election_ms = (unsigned)scaled(&rng, 300, 3);
    s->election_ms = s->election_ms > 2000 ? 2000 : s->election_ms;
    s->heartbeat_ms = s->election_ms / (unsigned)rng_between(&rng, 4, 5);
    s->batches = (unsigned)rng_between(&rng, 1, 4);
    s->segment_bytes = PICK(&rng, 64, 128, 512) * 1024;
    s->cache_bytes = PICK(&rng, 0, 4, 64, 1024) * 1024;
    s->compact_bytes = PICK(&rng, 16, 64, 128) * 1024;
    s->think_us = scaled(&rng, 150000, 4);
    s->fault_us = scaled(&rng, 450000, 4);
    s->faults_us = rng_between(&rng, 60, 180) * 1000000;
    s->faults = some_faults(&rng);
    s->on_disk = rng_between(&rng, 1, ON_DISK_IN) == 1;
    s->ruthless = rng_between(&rng, 1, RUTHLESS_IN) == 1;
    s->keep_bytes = PICK(&rng, 0, 1, 64, 256) * 1024;
    s->ship_rate = PICK(&rng, 0, 100, 1024) * 1024;
    s->voters = rng_between(&rng, 0, 2) ? 3 : 5;
    s->wish_us = rng_between(&rng, 1, RESTLESS_IN) == 1 && !s->ruthless ? scaled(&rng, 2000000, 3) : 0;
    if (s->ruthless) {
        s->faults |= UINT32_C(1) << FAULT_FLIP;
    }
}

void swarm_print(const struct swarm *s)
{
    printf("seed %" PRIu64 ": %u nodes%s%s, election %u ms, heartbeat %u ms, %u batches, segments %" PRIu64
           " KiB, cache %" PRIu64 " KiB, log kept %" PRIu64 " KiB, images at %" PRIu64
           " KiB/s, %u clients that think %" PRIu64 " ms, an act every %" PRIu64 " ms for %" PRIu64
           " s, a wish every %" PRIu64 " ms for %u voters; faults:",
           s->seed, s->nodes, s->on_disk ? " on disk" : "", s->ruthless ? ", ruthless" : "", s->election_ms,
           s->heartbeat_ms, s->batches, s->segment_bytes / 1024, s->cache_bytes / 1024, s->keep_bytes / 1024,
           s->ship_rate / 1024, s->clients, s->think_us / 1000, s->fault_us / 1000, s->faults_us / 1000000,
           s->wish_us / 1000, s->voters);
    for (unsigned i = 0; i < FAULT_COUNT; i++) {
        if (s->faults & (UINT32_C(1) << i)) {
            printf(" %s", fault_name(i));
        }
    }
    putchar('\n');
}
