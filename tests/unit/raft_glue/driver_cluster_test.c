/* Drivers among themselves, with every fault: election safety, log matching, leader completeness, state
 * machine safety, nothing applied that is not durable, and progress once all is healed. A seed that fails is
 * played alone with `raft_glue_driver_cluster_test SEED 1`. */
#include "tests/unit/raft_glue/world.h"
#include "tests/unit/test.h"

enum { SEEDS = 120, STORM_MS = 8000 };

static uint64_t first_seed = 1, seeds = SEEDS;
static struct world_counters total;

static void add_counters(const struct world_counters *c)
{
    total.events += c->events;
    total.elections += c->elections;
    total.crashes += c->crashes;
    total.partitions += c->partitions;
    total.changes += c->changes;
    total.compactions += c->compactions;
    total.installs += c->installs;
    total.leaps += c->leaps;
    total.transfers += c->transfers;
    total.applied += c->applied;
    for (unsigned i = 0; i < DRIVER_GUARDS; i++) {
        total.hits[i] += c->hits[i];
    }
}

static void print_counters(void)
{
    printf("events %u, elections %u, crashes %u, partitions %u, changes %u, compactions %u, installs %u (%u "
           "further than asked), "
           "transfers %u, applied %llu\n",
           total.events, total.elections, total.crashes, total.partitions, total.changes, total.compactions,
           total.installs, total.leaps, total.transfers, (unsigned long long)total.applied);
    for (unsigned i = 0; i < DRIVER_GUARDS; i++) {
        printf("%s %llu ", driver_guard_name(i), (unsigned long long)total.hits[i]);
    }
    printf("\n");
}

static void whatever_happens_no_promise_of_consensus_breaks(void **state)
{
    (void)state;
    memset(&total, 0, sizeof total);

    for (uint64_t seed = first_seed; seed < first_seed + seeds; seed++) {
        struct world *w = world_new(seed);
        world_storm(w, STORM_MS);
        world_recover(w);
        add_counters(&w->counters);
        world_free(w);
    }

    print_counters();
    assert_true(total.elections >= seeds && total.crashes >= seeds && total.applied >= 50 * seeds);
    assert_true(seeds < SEEDS || (total.changes > SEEDS && total.installs > SEEDS / 2 &&
                                  total.leaps > SEEDS / 4 && total.transfers > 0));
}

static void the_same_seed_plays_the_same_game(void **state)
{
    (void)state;
    struct world_counters counters[2];

    for (int i = 0; i < 2; i++) {
        struct world *w = world_new(first_seed);
        world_storm(w, STORM_MS);
        counters[i] = w->counters;
        world_free(w);
    }

    assert_memory_equal(&counters[0], &counters[1], sizeof counters[0]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_happens_no_promise_of_consensus_breaks),
        cmocka_unit_test(the_same_seed_plays_the_same_game),
    };
    if (argc == 3) {
        first_seed = strtoull(argv[1], NULL, 10);
        seeds = strtoull(argv[2], NULL, 10);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
