/* The log over a longer time: it is let go where everybody has it, kept for those who are away, and read
 * again from the beginning by a database that lives in memory only. */
#include "tests/cluster/scene.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

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

/* Flips a bit of the first occurrence of TEXT in the segments of a node that does not run. */
static void damage(const struct node *node, const char *text)
{
    char dir[2 * PROCESS_PATH_MAX], path[3 * PROCESS_PATH_MAX];
    struct dirent *entry;
    DIR *open;
    bool found = false;

    snprintf(dir, sizeof dir, "%s/log", node->dir);
    open = opendir(dir);
    assert_non_null(open);
    while (!found && (entry = readdir(open)) != NULL) {
        if (strncmp(entry->d_name, "segment-", 8) == 0) {
            FILE *file;
            uint8_t *bytes = NULL, *at;
            long size;
            snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
            file = fopen(path, "r+b");
            assert_non_null(file);
            fseek(file, 0, SEEK_END);
            size = ftell(file);
            bytes = malloc((size_t)size);
            rewind(file);
            assert_int_equal(fread(bytes, 1, (size_t)size, file), size);
            at = memmem(bytes, (size_t)size, text, strlen(text));
            if (at != NULL) {
                found = true;
                fseek(file, at - bytes, SEEK_SET);
                fputc(*at ^ 4, file);
            }
            fclose(file);
            free(bytes);
        }
    }
    closedir(open);
    assert_true(found);
}

/* `quorate log verify` over a node's directory: its exit status, and whether it said TEXT. */
static int verify(const struct processes *nodes, unsigned i, const char *text)
{
    struct process tool;
    char log[PROCESS_PATH_MAX];
    int status;

    snprintf(log, sizeof log, "%s/verify.log", nodes->dir);
    remove(log);
    process_init(&tool, QUORATE, log);
    process_add_argument(&tool, "log");
    process_add_argument(&tool, "verify");
    process_add_argument(&tool, "--dir=%s", nodes->node[i].dir);
    process_start(&tool);
    status = process_wait(&tool, PROCESSES_WAIT_MS);
    if (!process_said(&tool, text)) {
        process_show(&tool);
        fail_msg("log verify does not say \"%s\"", text);
    }
    process_close(&tool);
    return status;
}

static void a_flipped_bit_in_the_log_is_named_and_comes_back_from_the_others(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_start(scene, NULL);

    for (unsigned i = 0; i < 20; i++) {
        char target[64], value[64];
        snprintf(target, sizeof target, "/v1/kv/n/key%u", i);
        snprintf(value, sizeof value, "value number %u of twenty", i);
        check_answer(nodes, 0, "PUT", target, value, 200);
    }
    check_settled(nodes);
    processes_stop(nodes, 2);
    assert_int_equal(verify(nodes, 2, ": whole"), 0);

    damage(&nodes->node[2], "value number 7 of twenty");
    assert_int_equal(verify(nodes, 2, "is damaged"), 1);
    assert_int_equal(verify(nodes, 2, "1 entries are lost"), 1);
    processes_start(nodes);

    assert_true(process_said(&nodes->node[2].process, "log_damaged lost=1"));
    assert_true(process_said(&nodes->node[2].process, "log_repaired entries=1"));
    check_settled(nodes);
    check_value(nodes, 2, "n/key7", "linearizable", "value number 7 of twenty");
    processes_stop(nodes, 2);
    assert_int_equal(verify(nodes, 2, ": whole"), 0);
    processes_start(nodes);
    scene_finish(scene);
}

static void logs_of_all_nodes_that_are_damaged_in_different_places_come_back(void **state)
{
    static const char *const options[] = {"--storage=memory", NULL};
    struct scene *scene = *state;
    struct processes *nodes = scene_start(scene, options);
    struct load *load;

    for (unsigned i = 0; i < 3; i++) {
        char target[64], value[64];
        snprintf(target, sizeof target, "/v1/kv/n/key%u", i);
        snprintf(value, sizeof value, "value number %u of three", i);
        check_answer(nodes, 0, "PUT", target, value, 200);
    }
    load = scene_load(scene);
    load_wait_acknowledged(load, MANY);
    scene_check(scene);
    for (unsigned i = 0; i < nodes->count; i++) {
        processes_stop(nodes, i);
    }
    for (unsigned i = 0; i < nodes->count; i++) {
        char text[64];
        snprintf(text, sizeof text, "value number %u of three", i);
        damage(&nodes->node[i], text);
    }

    processes_start(nodes);
    for (unsigned i = 0; i < nodes->count; i++) {
        assert_true(process_said(&nodes->node[i].process, "log_repaired entries=1"));
    }
    check_settled(nodes);
    check_writes(nodes, load);
    check_value(nodes, 1, "n/key1", "linearizable", "value number 1 of three");
    scene_finish(scene);
}

static void what_nobody_has_any_more_is_waited_for_and_said_at_every_door(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_start(scene, NULL);

    check_answer(nodes, 0, "PUT", "/v1/kv/n/key", "the value that is lost", 200);
    check_answer(nodes, 0, "PUT", "/v1/kv/n/other", "x", 200);
    check_settled(nodes);
    for (unsigned i = 0; i < nodes->count; i++) {
        processes_stop(nodes, i);
        damage(&nodes->node[i], "the value that is lost");
    }
    for (unsigned i = 0; i < nodes->count; i++) {
        process_start(&nodes->node[i].process);
    }
    for (unsigned i = 0; i < nodes->count; i++) {
        process_wait_said(&nodes->node[i].process, "log_repair_waits", PROCESSES_WAIT_MS);
        nodes->node[i].up = true;
        check_answer(nodes, i, "GET", "/readyz", NULL, 503);
        check_answer(nodes, i, "GET", "/v1/kv/n/other?level=none", NULL, 503);
        check_answer(nodes, i, "PUT", "/v1/kv/n/other", "y", 503);
    }
    scene_finish(scene);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SCENE(compaction_happens_under_load_and_a_restarted_node_catches_up),
        SCENE(a_node_that_has_lost_its_log_does_not_start),
        SCENE(a_flipped_bit_in_the_log_is_named_and_comes_back_from_the_others),
        SCENE(what_nobody_has_any_more_is_waited_for_and_said_at_every_door),
        SCENE(logs_of_all_nodes_that_are_damaged_in_different_places_come_back),
        SCENE(storage_in_memory_is_filled_from_the_log_after_a_restart_of_all_nodes),
    };
    scene_choose(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
