/* Nodes are killed while clients write and read. */
#include "tests/cluster/scene.h"

enum { ROUNDS = 3, SOME = 60 };

static void the_leader_is_killed_under_load_and_nothing_acknowledged_is_lost(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_start(scene, NULL);
    struct load *load = scene_load(scene);

    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned leader = processes_leader(nodes);

        load_wait_acknowledged(load, SOME);
        processes_kill(nodes, leader);
        load_wait_acknowledged(load, SOME);
        load_wait_read(load, SOME);
        processes_start(nodes);
    }
    load_wait_acknowledged(load, SOME);

    scene_check(scene);
    scene_finish(scene);
}

static void a_follower_is_killed_under_load_and_nothing_acknowledged_is_lost(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_start(scene, NULL);
    struct load *load = scene_load(scene);

    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned follower = processes_other(nodes, processes_leader(nodes));

        load_wait_acknowledged(load, SOME);
        processes_kill(nodes, follower);
        load_wait_acknowledged(load, SOME);
        processes_start(nodes);
    }
    load_wait_acknowledged(load, SOME);

    scene_check(scene);
    scene_finish(scene);
}

static void all_three_are_killed_at_once_and_nothing_acknowledged_is_lost(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_start(scene, NULL);
    struct load *load = scene_load(scene);

    for (unsigned round = 0; round < ROUNDS; round++) {
        load_wait_acknowledged(load, SOME);
        for (unsigned i = 0; i < nodes->count; i++) {
            processes_kill(nodes, i);
        }
        /* A different one comes first each time. */
        processes_start_one(nodes, round % nodes->count);
        processes_start(nodes);
    }
    load_wait_acknowledged(load, SOME);
    load_wait_read(load, SOME);

    scene_check(scene);
    scene_finish(scene);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SCENE(the_leader_is_killed_under_load_and_nothing_acknowledged_is_lost),
        SCENE(a_follower_is_killed_under_load_and_nothing_acknowledged_is_lost),
        SCENE(all_three_are_killed_at_once_and_nothing_acknowledged_is_lost),
    };
    scene_choose(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
