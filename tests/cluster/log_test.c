/* The log over a longer time: it is let go where everybody has it, kept for those who are away, and read
 * again from the beginning by a database that lives in memory only. */
#include "tests/cluster/scene.h"

#include <inttypes.h>

enum { MANY = 500 };

static void wait_compacted(struct processes *nodes, unsigned i, uint64_t beyond)
{
    struct deadline deadline = deadline_in(PROCESSES_WAIT_MS);
    struct status status = {.compacted = 0};

    while (!processes_status(nodes, i, &status) || status.compacted <= beyond) {
        processes_check_alive(nodes);
        if (!deadline_wait(&deadline)) {
            fail_msg("node %u has compacted its log up to %" PRIu64 ", not beyond %" PRIu64, i + 1,
                     status.compacted, beyond);
        }
    }
    assert_true(status.log_first > 1);
}

static void compaction_happens_under_load_and_a_restarted_node_catches_up(void **state)
{
    static const char *const options[] = {"--compact-bytes=256K", "--segment-bytes=256K", "--request-max=64K",
                                          "--log-cache-bytes=64K", NULL};
    struct scene *scene = *state;
    struct processes *nodes = scene_start(scene, options);
    struct load_config config = {.nodes = nodes, .writers = 3, .readers = 1, .value_bytes = 4000};
    struct load *load = scene->load = load_start(&config);
    struct status status;
    unsigned away;

    for (unsigned i = 0; i < nodes->count; i++) {
        wait_compacted(nodes, i, 1);
    }
    away = processes_other(nodes, processes_leader(nodes));
    processes_kill(nodes, away);
    load_wait_acknowledged(load, MANY);
    processes_start(nodes);
    assert_true(processes_status(nodes, away, &status));
    for (unsigned i = 0; i < nodes->count; i++) {
        wait_compacted(nodes, i, status.applied);
    }
    scene_check(scene);

    /* Everything is there again from compacted logs, too. */
    for (unsigned i = 0; i < nodes->count; i++) {
        processes_stop(nodes, i);
    }
    processes_start(nodes);
    check_settled(nodes);
    check_writes(nodes, load);
    scene_finish(scene);
}

static void storage_in_memory_is_filled_from_the_log_after_a_restart_of_all_nodes(void **state)
{
    static const char *const options[] = {"--storage=memory", NULL};
    struct scene *scene = *state;
    struct processes *nodes = scene_start(scene, options);
    struct load *load = scene_load(scene);

    load_wait_acknowledged(load, MANY);
    scene_check(scene);
    for (unsigned i = 0; i < nodes->count; i++) {
        processes_stop(nodes, i);
    }
    processes_start(nodes);
    check_settled(nodes);
    check_writes(nodes, load);

    for (unsigned i = 0; i < nodes->count; i++) {
        processes_kill(nodes, i);
    }
    processes_start(nodes);
    check_settled(nodes);
    check_writes(nodes, load);
    scene_finish(scene);
}

/* Takes the log of a node that does not run away, as FROM, or puts it back. */
static void move_log(const struct node *node, const char *from, const char *to)
{
    char old[2 * PROCESS_PATH_MAX], new[2 * PROCESS_PATH_MAX];

    snprintf(old, sizeof old, "%s/%s", node->dir, from);
    snprintf(new, sizeof new, "%s/%s", node->dir, to);
    assert_int_equal(rename(old, new), 0);
}

static void a_node_that_has_lost_its_log_does_not_start(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_start(scene, NULL);
    struct node *node = &nodes->node[2];

    check_answer(nodes, 0, "PUT", "/v1/kv/n/key", "value", 200);
    check_settled(nodes);
    processes_stop(nodes, 2);
    move_log(node, "log", "log.lost");
    process_start(&node->process);
    assert_int_equal(process_wait(&node->process, PROCESSES_WAIT_MS), EXIT_FAILURE);
    assert_true(process_said(&node->process, "its log is lost"));
    check_answer(nodes, 0, "PUT", "/v1/kv/n/key", "later", 200);

    move_log(node, "log", "log.new");
    move_log(node, "log.lost", "log");
    processes_start(nodes);
    check_settled(nodes);
    check_value(nodes, 2, "n/key", "none", "later");
    scene_finish(scene);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SCENE(compaction_happens_under_load_and_a_restarted_node_catches_up),
        SCENE(a_node_that_has_lost_its_log_does_not_start),
        SCENE(storage_in_memory_is_filled_from_the_log_after_a_restart_of_all_nodes),
    };
    scene_choose(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
