/* One node of three is left: it must know that it cannot promise anything. */
#include "tests/cluster/scene.h"

#include <string.h>

enum {
    PROMPT_MS = 4000, /* a refusal that waits for no deadline: the request's own would be 10 s */
    LATE_MS = 20000,  /* any answer at all */
};

/* On a connection of its own; 503 is demanded, within MS. */
static void check_refused(struct processes *nodes, unsigned i, const char *method, const char *target,
                          const char *body, unsigned ms)
{
    struct http_ask ask = {
        .method = method, .target = target, .body = body, .len = body != NULL ? strlen(body) : 0};
    struct http_client client;
    struct deadline deadline = deadline_in(ms);
    struct http_reply reply;

    http_client_init(&client, &nodes->node[i].http);
    if (http_client_ask(&client, &ask, &deadline, &reply) != HTTP_ANSWERED) {
        fail_msg("%s %s is not answered within %u ms", method, target, ms);
    }
    if (reply.status != 503) {
        fail_msg("%s %s is answered %d by a node that is alone: %s", method, target, reply.status,
                 reply.body);
    }
    http_reply_close(&reply);
    http_client_close(&client);
}

static void kill_all_but(struct processes *nodes, unsigned left)
{
    for (unsigned i = 0; i < nodes->count; i++) {
        if (i != left) {
            processes_kill(nodes, i);
        }
    }
}

/* The node LEFT is alone. */
static void check_alone(struct processes *nodes, unsigned left)
{
    struct deadline lapse = deadline_in(2 * PROCESSES_ELECTION_MS);

    /* At once it may still believe that it leads: it must promise nothing, and not keep silent for ever. */
    check_refused(nodes, left, "PUT", "/v1/kv/m/at-once", "x", LATE_MS);
    check_refused(nodes, left, "GET", "/v1/kv/m/key?level=linearizable", NULL, LATE_MS);

    while (deadline_wait(&lapse)) {
    }
    check_refused(nodes, left, "PUT", "/v1/kv/m/late", "x", PROMPT_MS);
    check_refused(nodes, left, "DELETE", "/v1/kv/m/key", NULL, PROMPT_MS);
    check_refused(nodes, left, "POST", "/db/execute", "[\"CREATE TABLE late (a)\"]", PROMPT_MS);
    check_refused(nodes, left, "GET", "/v1/kv/m/key?level=linearizable", NULL, PROMPT_MS);
    check_refused(nodes, left, "GET", "/v1/kv/m/key?level=strong", NULL, PROMPT_MS);
    check_refused(nodes, left, "GET", "/v1/kv/m/key?level=weak", NULL, PROMPT_MS);
    check_refused(nodes, left, "GET", "/readyz", NULL, PROMPT_MS);
    check_value(nodes, left, "m/key", "none", "value");
    check_answer(nodes, left, "GET", "/healthz", NULL, 200);
}

static void go_on(struct scene *scene)
{
    struct processes *nodes = &scene->nodes;

    processes_start(nodes);
    check_settled(nodes);
    for (unsigned i = 0; i < nodes->count; i++) {
        check_value(nodes, i, "m/key", "linearizable", "value");
        check_answer(nodes, i, "GET", "/v1/kv/m/late", NULL, 404);
        check_answer(nodes, i, "PUT", "/v1/kv/m/after", "x", 200);
    }
}

/* LEADER tells which kind of node is left. */
static void lose_two(struct scene *scene, bool leader)
{
    struct processes *nodes = scene_start(scene, NULL);
    unsigned left;

    check_answer(nodes, 0, "PUT", "/v1/kv/m/key", "value", 200);
    check_settled(nodes);
    left = processes_leader(nodes);
    left = leader ? left : processes_other(nodes, left);
    kill_all_but(nodes, left);

    check_alone(nodes, left);
    go_on(scene);
    scene_finish(scene);
}

static void a_leader_without_its_followers_refuses_writes_and_linearizable_reads_but_answers_level_none(
    void **state)
{
    lose_two(*state, true);
}

static void a_follower_without_the_others_refuses_writes_and_linearizable_reads_but_answers_level_none(
    void **state)
{
    lose_two(*state, false);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SCENE(a_leader_without_its_followers_refuses_writes_and_linearizable_reads_but_answers_level_none),
        SCENE(a_follower_without_the_others_refuses_writes_and_linearizable_reads_but_answers_level_none),
    };
    scene_choose(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
