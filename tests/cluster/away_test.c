/* A node is away for long: the others keep the log that it lacks, far beyond what they hold in memory. */
#include "tests/cluster/scene.h"

#include <inttypes.h>

enum { SOME = 60, AWAY_WRITES = 10000, STEP = 1000 };

static void a_node_that_was_away_for_ten_thousand_writes_catches_up(void **state)
{
    static const char *const options[] = {"--batches-inflight=4", "--segment-bytes=1M", "--request-max=64K",
                                          "--log-cache-bytes=64K", NULL};
    struct scene *scene = *state;
    struct processes *nodes = scene_start(scene, options);
    struct load_config config = {.nodes = nodes, .writers = 8, .value_bytes = 40};
    struct status before, after;
    unsigned leader = processes_leader(nodes), away = processes_other(nodes, leader);
    struct load *load;

    assert_true(processes_status(nodes, leader, &before));
    processes_kill(nodes, away);
    load = scene->load = load_start(&config);
    for (unsigned i = 0; i < AWAY_WRITES; i += STEP) {
        load_wait_acknowledged(load, STEP);
    }
    assert_true(processes_status(nodes, processes_leader(nodes), &after));
    print_message("           %" PRIu64 " entries\n", after.log_last - before.log_last);
    processes_start(nodes);
    load_wait_acknowledged(load, SOME);
    scene_check(scene);
    scene_finish(scene);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {SCENE(a_node_that_was_away_for_ten_thousand_writes_catches_up)};
    scene_choose(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
