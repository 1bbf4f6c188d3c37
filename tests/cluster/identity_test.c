/* Nodes that are not who they should be: the cluster goes on, and both sides say clearly what is wrong. */
#include "tests/cluster/scene.h"

#include <arpa/inet.h>

#define OTHER_SECRET "quite another secret 9876543210"

/* Nodes 1 and 2 are ready; node 3 runs as well, and is refused. */
static struct processes *start_with_a_stranger(struct scene *scene)
{
    struct processes *nodes = &scene->nodes;

    for (unsigned i = 0; i < 3; i++) {
        processes_start_one(nodes, i);
    }
    processes_wait_ready(nodes, 0);
    processes_wait_ready(nodes, 1);
    return nodes;
}

static void check_said(struct processes *nodes, unsigned i, const char *text)
{
    process_wait_said(&nodes->node[i].process, text, PROCESSES_WAIT_MS);
}

/* Node I is alive and says so, but takes no part. */
static void check_outside(struct processes *nodes, unsigned i)
{
    check_answer(nodes, i, "GET", "/healthz", NULL, 200);
    check_answer(nodes, i, "GET", "/readyz", NULL, 503);
    check_answer(nodes, i, "PUT", "/v1/kv/n/outside", "x", 503);
    check_answer(nodes, i, "GET", "/v1/kv/n/key?level=none", NULL, 404);
}

static void a_node_with_another_secret_is_refused_with_a_clear_message_on_both_sides(void **state)
{
    static const char *const sentence = "they do not have the same secret";
    struct scene *scene = *state;
    struct processes *nodes = scene_prepare(scene, NULL);

    process_set_variable(&nodes->node[2].process, "QUORATE_SECRET", OTHER_SECRET);
    start_with_a_stranger(scene);
    for (unsigned i = 0; i < 3; i++) {
        check_said(nodes, i, sentence);
    }
    check_answer(nodes, 0, "PUT", "/v1/kv/n/key", "value", 200);
    check_outside(nodes, 2);
    for (unsigned i = 0; i < 3; i++) {
        assert_false(process_said(&nodes->node[i].process, OTHER_SECRET));
        assert_false(process_said(&nodes->node[i].process, PROCESSES_SECRET));
    }

    processes_stop(nodes, 2);
    process_set_variable(&nodes->node[2].process, "QUORATE_SECRET", PROCESSES_SECRET);
    processes_start(nodes);
    check_settled(nodes);
    check_value(nodes, 2, "n/key", "none", "value");
    scene_finish(scene);
}

static void a_node_of_another_cluster_name_is_refused_with_a_clear_message_on_both_sides(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_prepare(scene, NULL);

    process_add_argument(&nodes->node[2].process, "--cluster-name=another");
    start_with_a_stranger(scene);
    check_said(nodes, 0, "but node 3 to cluster");
    check_said(nodes, 2, "belongs to cluster");
    check_answer(nodes, 0, "PUT", "/v1/kv/n/key", "value", 200);
    check_outside(nodes, 2);
    scene_finish(scene);
}

/* A second node 1, with a directory and ports of its own. Returns its place. */
static unsigned add_impostor(struct processes *nodes)
{
    unsigned i = processes_add(nodes, 1);
    process_add_argument(&nodes->node[i].process, "--members=%s", nodes->members);
    process_add_argument(&nodes->node[i].process, "--listen=127.0.0.1:%u",
                         ntohs(nodes->node[i].peer.sin_port));
    return i;
}

static void an_id_that_is_taken_is_refused(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_start(scene, NULL);
    unsigned impostor = add_impostor(nodes);

    check_answer(nodes, 0, "PUT", "/v1/kv/n/key", "value", 200);
    check_settled_among(nodes, 3);
    processes_start_one(nodes, impostor);
    check_said(nodes, impostor, "node id 1 is taken");
    check_said(nodes, 1, "node id 1 is taken");
    check_said(nodes, 2, "node id 1 is taken");
    check_outside(nodes, impostor);

    /* Also while the real one is away. */
    processes_kill(nodes, 0);
    check_answer(nodes, processes_leader(nodes), "PUT", "/v1/kv/n/key", "later", 200);
    check_outside(nodes, impostor);
    processes_stop(nodes, impostor);
    processes_start_one(nodes, 0);
    check_settled_among(nodes, 3);
    check_value(nodes, 0, "n/key", "none", "later");
    scene_finish(scene);
}

/* Starts a process that must end by itself, with this status, after saying this in one line. */
static void check_refused_start(struct processes *nodes, unsigned i, int status, const char *text)
{
    struct process *process = &nodes->node[i].process;

    process_start(process);
    assert_int_equal(process_wait(process, PROCESSES_WAIT_MS), status);
    if (!process_said(process, text)) {
        process_show(process);
        fail_msg("node %u does not say \"%s\"", i + 1, text);
    }
}

static void a_second_process_on_the_same_directory_is_refused(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_start(scene, NULL);
    unsigned second = add_impostor(nodes);
    char sentence[PROCESS_PATH_MAX + 64];

    process_add_argument(&nodes->node[second].process, "--dir=%s", nodes->node[0].dir);
    snprintf(sentence, sizeof sentence, "%s/lock", nodes->node[0].dir);
    check_refused_start(nodes, second, EXIT_FAILURE, sentence);
    check_answer(nodes, 0, "PUT", "/v1/kv/n/key", "value", 200);
    check_settled_among(nodes, 3);
    scene_finish(scene);
}

/* PORT of node 1 is given to another process as well, by OPTION. */
static void check_port_in_use(struct scene *scene, const char *option, const struct sockaddr_in *port)
{
    struct processes *nodes = &scene->nodes;
    unsigned second = add_impostor(nodes);
    char sentence[64];

    process_add_argument(&nodes->node[second].process, "--%s=127.0.0.1:%u", option, ntohs(port->sin_port));
    snprintf(sentence, sizeof sentence, "127.0.0.1:%u", ntohs(port->sin_port));
    check_refused_start(nodes, second, EXIT_FAILURE, sentence);
    /* It was refused before it met anybody. */
    assert_false(process_said(&nodes->node[1].process, "node id 1 is taken"));
    check_settled_among(nodes, 3);
    scene_finish(scene);
}

static void a_port_for_clients_that_is_in_use_is_named(void **state)
{
    struct processes *nodes = scene_start(*state, NULL);
    check_port_in_use(*state, "http", &nodes->node[0].http);
}

static void a_port_for_peers_that_is_in_use_is_named(void **state)
{
    struct processes *nodes = scene_start(*state, NULL);
    check_port_in_use(*state, "listen", &nodes->node[0].peer);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SCENE(a_node_with_another_secret_is_refused_with_a_clear_message_on_both_sides),
        SCENE(a_node_of_another_cluster_name_is_refused_with_a_clear_message_on_both_sides),
        SCENE(an_id_that_is_taken_is_refused),
        SCENE(a_second_process_on_the_same_directory_is_refused),
        SCENE(a_port_for_clients_that_is_in_use_is_named),
        SCENE(a_port_for_peers_that_is_in_use_is_named),
    };
    scene_choose(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
