/* Nodes are stopped (SIGSTOP) for a while and go on as if nothing had happened: a paused leader still
 * believes that it leads, and has requests before it that arrived while it was away. */
#include "tests/cluster/scene.h"

#include <string.h>

enum { ROUNDS = 3, SOME = 60, ANSWER_MS = 20000 };

/* Requests to the paused node: on a connection that was in use before, and on one that only the kernel
 * accepted. */
enum { KEPT_READ, NEW_READ, KEPT_WRITE, NEW_WRITE, QUESTIONS };

struct questions {
    struct http_client client[QUESTIONS];
};

static const struct http_ask lookup = {.method = "GET", .target = "/v1/kv/pause/key?level=linearizable"};

static void open_questions(struct questions *q, const struct node *node)
{
    struct deadline deadline = deadline_in(ANSWER_MS);

    for (unsigned i = 0; i < QUESTIONS; i++) {
        http_client_init(&q->client[i], &node->http);
        if (i == KEPT_READ || i == KEPT_WRITE) {
            struct http_reply reply;
            assert_int_equal(http_client_ask(&q->client[i], &lookup, &deadline, &reply), HTTP_ANSWERED);
            http_reply_close(&reply);
        }
    }
}

static void name_late_key(char target[64], unsigned round, unsigned question)
{
    snprintf(target, 64, "/v1/kv/pause/late-%u-%u", round, question);
}

/* The kernel takes them; the node cannot. */
static void send_questions(struct questions *q, unsigned round)
{
    struct deadline deadline = deadline_in(ANSWER_MS);

    for (unsigned i = 0; i < QUESTIONS; i++) {
        char target[64];
        struct http_ask put = {.method = "PUT", .target = target, .body = "late", .len = 4};
        bool reads = i == KEPT_READ || i == NEW_READ;
        name_late_key(target, round, i);
        assert_int_equal(http_client_send(&q->client[i], reads ? &lookup : &put, &deadline), HTTP_ANSWERED);
    }
}

/* Through any of the others, as soon as one of them serves it. */
static void put_through_others(struct processes *nodes, unsigned paused, const char *value)
{
    struct deadline deadline = deadline_in(PROCESSES_WAIT_MS);
    unsigned other = processes_other(nodes, paused);

    while (check_ask(nodes, other, "PUT", "/v1/kv/pause/key", value, NULL) != 200) {
        if (!deadline_wait(&deadline)) {
            fail_msg("the others take no write while node %u is paused", paused + 1);
        }
    }
}

static void check_read(struct http_client *client, const char *now)
{
    struct deadline deadline = deadline_in(ANSWER_MS);
    struct http_reply reply;

    if (http_client_receive(client, &deadline, &reply) == HTTP_ANSWERED) {
        if (reply.status == 200) {
            assert_string_equal(reply.body, now);
        } else {
            assert_int_equal(reply.status, 503);
        }
        http_reply_close(&reply);
    }
    http_client_close(client);
}

static void check_write(struct processes *nodes, struct http_client *client, unsigned round,
                        unsigned question)
{
    struct deadline deadline = deadline_in(ANSWER_MS);
    struct http_reply reply = {.status = 0};
    char key[64], target[96];

    name_late_key(key, round, question);
    snprintf(target, sizeof target, "%s?level=linearizable", key);
    if (http_client_receive(client, &deadline, &reply) == HTTP_ANSWERED) {
        bool unknown = strstr(reply.body, "\"outcome\"") != NULL;
        if (reply.status == 200) {
            for (unsigned i = 0; i < nodes->count; i++) {
                check_answer(nodes, i, "GET", target, NULL, 200);
            }
        } else {
            assert_int_equal(reply.status, 503);
            if (!unknown) {
                check_answer(nodes, processes_leader(nodes), "GET", target, NULL, 404);
            }
        }
        http_reply_close(&reply);
    }
    http_client_close(client);
}

/* What was asked of the node while it was paused, now that it goes on. NOW is the value that the others took.
 */
static void check_questions(struct processes *nodes, struct questions *q, unsigned round, const char *now)
{
    check_read(&q->client[KEPT_READ], now);
    check_read(&q->client[NEW_READ], now);
    check_write(nodes, &q->client[KEPT_WRITE], round, KEPT_WRITE);
    check_write(nodes, &q->client[NEW_WRITE], round, NEW_WRITE);
}

static void a_paused_leader_answers_no_linearizable_read_and_acknowledges_no_write(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_start(scene, NULL);
    struct load *load;

    check_answer(nodes, 0, "PUT", "/v1/kv/pause/key", "value 0", 200);
    load = scene_load(scene);
    for (unsigned round = 1; round <= ROUNDS; round++) {
        unsigned paused = processes_leader(nodes);
        struct questions questions;
        char value[32];

        load_wait_acknowledged(load, SOME);
        snprintf(value, sizeof value, "value %u", round);
        open_questions(&questions, &nodes->node[paused]);
        processes_pause(nodes, paused);
        send_questions(&questions, round);
        put_through_others(nodes, paused, value);
        processes_resume(nodes, paused);

        check_questions(nodes, &questions, round, value);
        processes_wait_ready(nodes, paused);
        load_wait_acknowledged(load, SOME);
        load_wait_read(load, SOME);
    }

    scene_check(scene);
    scene_finish(scene);
}

static void a_leader_that_was_paused_until_its_peers_gave_it_up_comes_back_as_a_follower(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_start(scene, NULL);
    unsigned paused = processes_leader(nodes), other = processes_other(nodes, paused);
    struct questions questions;
    struct load *load;
    char gone[32];

    check_answer(nodes, 0, "PUT", "/v1/kv/pause/key", "old", 200);
    load = scene_load(scene);
    snprintf(gone, sizeof gone, "peer_down id=%u", paused + 1);
    open_questions(&questions, &nodes->node[paused]);
    load_wait_acknowledged(load, SOME);
    processes_pause(nodes, paused);
    send_questions(&questions, 1);
    put_through_others(nodes, paused, "new");
    process_wait_said(&nodes->node[other].process, gone, PROCESSES_WAIT_MS);
    load_wait_acknowledged(load, SOME);
    processes_resume(nodes, paused);

    check_questions(nodes, &questions, 1, "new");
    processes_wait_ready(nodes, paused);
    load_wait_acknowledged(load, SOME);
    scene_check(scene);
    scene_finish(scene);
}

static void a_paused_follower_holds_nobody_up_and_answers_nothing_old_when_it_goes_on(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_start(scene, NULL);
    unsigned paused = processes_other(nodes, processes_leader(nodes));
    struct questions questions;
    struct load *load;

    check_answer(nodes, 0, "PUT", "/v1/kv/pause/key", "old", 200);
    load = scene_load(scene);
    open_questions(&questions, &nodes->node[paused]);
    processes_pause(nodes, paused);
    send_questions(&questions, 1);
    put_through_others(nodes, paused, "new");
    load_wait_acknowledged(load, SOME);
    processes_resume(nodes, paused);

    check_questions(nodes, &questions, 1, "new");
    processes_wait_ready(nodes, paused);
    scene_check(scene);
    scene_finish(scene);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SCENE(a_paused_leader_answers_no_linearizable_read_and_acknowledges_no_write),
        SCENE(a_leader_that_was_paused_until_its_peers_gave_it_up_comes_back_as_a_follower),
        SCENE(a_paused_follower_holds_nobody_up_and_answers_nothing_old_when_it_goes_on),
    };
    scene_choose(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
