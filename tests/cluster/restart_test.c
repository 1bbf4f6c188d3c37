/* Nodes are stopped as an operator stops them, and started again. */
#include "tests/cluster/scene.h"

enum { ROUNDS = 2, SOME = 40 };

static void each_node_is_restarted_in_turn_under_load(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_start(scene, NULL);
    struct load *load = scene_load(scene);

    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < nodes->count; i++) {
            processes_stop(nodes, i);
            load_wait_acknowledged(load, SOME);
            processes_start(nodes);
            load_wait_acknowledged(load, SOME);
        }
    }

    scene_check(scene);
    scene_finish(scene);
}

/* SQL and keys, before and after. */
static void everything_is_there_after_all_nodes_were_stopped_and_started(void **state)
{
    static const char rows[] = "{\"results\":[{\"columns\":[\"a\",\"b\"],\"types\":[\"integer\",\"text\"],"
                               "\"values\":[[1,\"one\"],[2,\"two\"]]}]}";
    struct scene *scene = *state;
    struct processes *nodes = scene_start(scene, NULL);

    check_answer(nodes, 0, "POST", "/db/execute",
                 "[\"CREATE TABLE t (a INTEGER, b TEXT)\",\"INSERT INTO t VALUES (1,'one'),(2,'two')\"]",
                 200);
    check_answer(nodes, 1, "PUT", "/v1/kv/n/key", "value", 200);
    check_settled(nodes);
    for (unsigned i = 0; i < nodes->count; i++) {
        processes_stop(nodes, i);
    }
    processes_start(nodes);

    check_settled(nodes);
    for (unsigned i = 0; i < nodes->count; i++) {
        char *body;
        check_value(nodes, i, "n/key", "none", "value");
        assert_int_equal(check_ask(nodes, i, "GET", "/db/query?level=none&q=SELECT+*+FROM+t", NULL, &body),
                         200);
        assert_string_equal(body, rows);
        free(body);
    }
    scene_finish(scene);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SCENE(each_node_is_restarted_in_turn_under_load),
        SCENE(everything_is_there_after_all_nodes_were_stopped_and_started),
    };
    scene_choose(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
