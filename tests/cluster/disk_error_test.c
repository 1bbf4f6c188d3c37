/* A disk that fails: the process ends at once, says what failed where, and nothing acknowledged is missing.
 */
#include "tests/cluster/scene.h"

#include <sys/resource.h>

enum { SOME = 60 };

/* From now on the system refuses the leader's writes beyond some place in any file, as a disk would. */
static void check_failing_writes(struct scene *scene, const char *io_uring)
{
    const char *const limited[] = {"--segment-bytes=1M", "--request-max=64K", io_uring, NULL};
    struct rlimit limit = {.rlim_cur = 256 * 1024, .rlim_max = RLIM_INFINITY};
    struct processes *nodes = scene_start(scene, limited);
    struct load_config config = {.nodes = nodes, .writers = 2, .readers = 1, .value_bytes = 4000};
    struct load *load = scene->load = load_start(&config);
    unsigned leader;

    load_wait_acknowledged(load, SOME);
    leader = processes_leader(nodes);
    nodes->node[leader].up = false;
    assert_int_equal(prlimit(nodes->node[leader].process.pid, RLIMIT_FSIZE, &limit, NULL), 0);
    assert_int_equal(process_wait(&nodes->node[leader].process, PROCESSES_WAIT_MS), EXIT_FAILURE);
    assert_true(process_said(&nodes->node[leader].process, "fatal error=\""));
    assert_true(process_said(&nodes->node[leader].process, "write of "));
    assert_true(process_said(&nodes->node[leader].process, " bytes at offset "));
    assert_true(process_said(&nodes->node[leader].process, nodes->node[leader].dir));
    assert_true(process_said(&nodes->node[leader].process, ": File too large"));
    http_client_close(&nodes->node[leader].client);

    load_wait_acknowledged(load, SOME); /* without it */
    processes_start(nodes);
    scene_check(scene);
    scene_finish(scene);
}

static void a_failed_write_ends_the_process_with_a_line_that_names_it(void **state)
{
    check_failing_writes(*state, "--io-uring");
}

static void a_failed_write_by_the_thread_ends_the_process_as_well(void **state)
{
    check_failing_writes(*state, "--no-io-uring");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SCENE(a_failed_write_ends_the_process_with_a_line_that_names_it),
        SCENE(a_failed_write_by_the_thread_ends_the_process_as_well),
    };
    scene_choose(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
