/* Short questions of node 2 to node 1, which answers through a forward of its own. */
#include "cluster/calls.h"

#include "tests/lib/sim.h"
#include "tests/unit/test.h"

enum { QUESTION = 2, ANSWER = 3, GRACE_MS = 150, CALLS = 3 };

struct caller {
    struct peer_call call;
    unsigned done;
    struct error failed;
};

struct scene {
    struct sim *sim;
    struct sim_node *node;
    struct forward *asking, *answering;
    struct calls *calls;
    bool cut;    /* frames are lost */
    bool absent; /* node 1 is not connected */
    bool deaf;   /* node 1 takes questions and does not answer */
    uint64_t leader, handed_to;
    unsigned hand_overs, asked;
    enum forward_kind kind; /* of the last question */
    uint64_t asked_for;     /* of a transfer */
    struct error refuses;   /* what the leader says to a transfer */
    struct caller caller[CALLS];
};

static bool to_answering(void *ctx, uint64_t to, uint8_t type, const void *body, size_t n)
{
    struct scene *s = ctx;
    struct error e;

    assert_int_equal(to, 1);
    if (s->absent) {
        return false;
    }
    if (!s->cut) {
        assert_int_equal(forward_received(s->answering, 2, type, body, n, &e), 0);
    }
    return true;
}

static bool to_asking(void *ctx, uint64_t to, uint8_t type, const void *body, size_t n)
{
    struct scene *s = ctx;
    struct error e;

    assert_int_equal(to, 2);
    assert_int_equal(forward_received(s->asking, 1, type, body, n, &e), 0);
    return true;
}

static void nobody_asks(void *ctx, const struct forward_question *question, const uint8_t *command, size_t n)
{
    (void)ctx;
    (void)question;
    (void)command;
    (void)n;
    fail();
}

/* A question stands on the network for a moment, as on a real one. */
struct later {
    struct scene *scene;
    struct forward_question question;
};

static void answer_now(void *ctx)
{
    struct later *later = ctx;
    struct forward_answer answer = {.error = later->scene->refuses};

    forward_reply(later->scene->answering, &later->question, &answer);
    free(later);
}

static void on_asked(void *ctx, const struct forward_question *question, const uint8_t *command, size_t n)
{
    struct scene *s = ctx;
    struct later *later;

    s->asked++;
    s->kind = question->kind;
    s->asked_for = n == 8 ? get_le64(command) : UINT64_MAX;
    if (!s->deaf) {
        later = malloc(sizeof *later);
        *later = (struct later){.scene = s, .question = *question};
        sim_call(s->sim, sim_now_us(s->sim) + 2000, answer_now, later);
    }
}

static uint64_t on_leader(void *ctx)
{
    return ((struct scene *)ctx)->leader;
}

static int on_transfer(void *ctx, uint64_t to, struct error *e)
{
    struct scene *s = ctx;

    s->hand_overs++;
    s->handed_to = to;
    return s->refuses.code != Q_OK ? error_set(e, s->refuses.code, "%s", s->refuses.text) : 0;
}

static void on_done(struct peer_call *call, const struct error *failed)
{
    struct caller *caller = CONTAINER_OF(call, struct caller, call);

    caller->done++;
    caller->failed = failed != NULL ? *failed : (struct error){.code = Q_OK};
}

static struct forward *new_forward(struct scene *s, bool asks)
{
    struct forward_config config = {.env = sim_node_env(s->node),
                                    .grace_ms = GRACE_MS,
                                    .send = asks ? to_answering : to_asking,
                                    .question_type = QUESTION,
                                    .answer_type = ANSWER,
                                    .asked = asks ? nobody_asks : on_asked,
                                    .answer_max = 4096,
                                    .ctx = s};
    struct forward *f;
    struct error e;

    assert_int_equal(forward_new(&config, &f, &e), 0);
    return f;
}

static int set_up(void **state)
{
    struct scene *s = calloc(1, sizeof *s);
    struct calls_config config;
    struct error e;

    s->sim = sim_new(1);
    s->node = sim_node_new(s->sim, "n");
    sim_node_boot(s->node);
    s->leader = 1;
    s->asking = new_forward(s, true);
    s->answering = new_forward(s, false);
    config = (struct calls_config){.env = sim_node_env(s->node),
                                   .id = 2,
                                   .forward = s->asking,
                                   .leader = on_leader,
                                   .transfer = on_transfer,
                                   .ctx = s};
    assert_int_equal(calls_new(&config, &s->calls, &e), 0);
    for (unsigned i = 0; i < CALLS; i++) {
        s->caller[i].call = (struct peer_call){.timeout_ms = 500, .done = on_done};
    }
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;

    calls_free(s->calls);
    forward_free(s->asking);
    forward_free(s->answering);
    sim_free(s->sim);
    free(s);
    return 0;
}

/* Ticks every 50 ms, as a replica does. */
static void run_ms(struct scene *s, uint64_t ms)
{
    uint64_t end = sim_now_us(s->sim) + ms * 1000;

    while (sim_now_us(s->sim) < end) {
        uint64_t next = sim_now_us(s->sim) + 50000;
        sim_run_until(s->sim, next < end ? next : end);
        forward_tick(s->asking, s->leader);
        calls_tick(s->calls);
    }
    sim_run_until(s->sim, sim_now_us(s->sim) + 1);
}

static void expect(struct scene *s, unsigned i, enum error_code code, const char *text)
{
    assert_int_equal(s->caller[i].done, 1);
    assert_int_equal(s->caller[i].failed.code, code);
    if (code != Q_OK) {
        assert_string_equal(s->caller[i].failed.text, text);
    }
}

static void a_member_that_is_there_answers(void **state)
{
    struct scene *s = *state;

    calls_contact(s->calls, 1, &s->caller[0].call);
    assert_int_equal(s->caller[0].done, 0);
    run_ms(s, 50);

    expect(s, 0, Q_OK, NULL);
    assert_int_equal(s->kind, FORWARD_PING);
    assert_in_range(s->caller[0].call.elapsed_us, 2000, 49999);
}

static void this_node_is_always_there_but_says_so_later(void **state)
{
    struct scene *s = *state;

    calls_contact(s->calls, 2, &s->caller[0].call);
    assert_int_equal(s->caller[0].done, 0);
    run_ms(s, 1);

    expect(s, 0, Q_OK, NULL);
    assert_int_equal(s->asked, 0);
}

static void a_member_that_is_not_connected_is_not_there(void **state)
{
    struct scene *s = *state;

    s->absent = true;
    calls_contact(s->calls, 1, &s->caller[0].call);
    assert_int_equal(s->caller[0].done, 0);
    run_ms(s, 1);

    expect(s, 0, Q_NO_LEADER, "not connected");
}

static void a_member_that_is_silent_times_out_whether_it_leads_or_not(void **state)
{
    struct scene *s = *state;

    s->deaf = true;
    s->leader = 0;
    calls_contact(s->calls, 1, &s->caller[0].call);
    run_ms(s, 450);
    assert_int_equal(s->caller[0].done, 0);
    run_ms(s, 100);

    expect(s, 0, Q_TIMEOUT, "timeout waiting for node to respond");
    assert_in_range(s->caller[0].call.elapsed_us, 500000, 560000);
}

static void a_connection_that_breaks_ends_its_calls(void **state)
{
    struct scene *s = *state;

    s->cut = true;
    calls_contact(s->calls, 1, &s->caller[0].call);
    calls_transfer(s->calls, 0, &s->caller[1].call);
    forward_down(s->asking, 1);
    assert_int_equal(s->caller[0].done, 0);
    run_ms(s, 1);

    expect(s, 0, Q_NO_LEADER, "the connection broke");
    assert_int_equal(s->caller[1].failed.code, Q_UNKNOWN);
}

static void the_leader_is_asked_to_hand_over(void **state)
{
    struct scene *s = *state;

    calls_transfer(s->calls, 3, &s->caller[0].call);
    run_ms(s, 50);

    expect(s, 0, Q_OK, NULL);
    assert_int_equal(s->kind, FORWARD_TRANSFER);
    assert_int_equal(s->asked_for, 3);
    assert_int_equal(s->hand_overs, 0);
}

static void the_words_of_the_leader_come_back(void **state)
{
    struct scene *s = *state;

    error_set(&s->refuses, Q_NOT_FOUND, "there is no member 9");
    calls_transfer(s->calls, 9, &s->caller[0].call);
    run_ms(s, 50);

    expect(s, 0, Q_NOT_FOUND, "there is no member 9");
}

static void a_leader_hands_over_itself(void **state)
{
    struct scene *s = *state;

    s->leader = 2;
    calls_transfer(s->calls, 3, &s->caller[0].call);
    assert_int_equal(s->caller[0].done, 0);
    run_ms(s, 1);
    expect(s, 0, Q_OK, NULL);
    assert_int_equal(s->handed_to, 3);

    error_set(&s->refuses, Q_NOT_FOUND, "no such member");
    calls_transfer(s->calls, 4, &s->caller[1].call);
    run_ms(s, 1);
    expect(s, 1, Q_NOT_FOUND, "no such member");
    assert_int_equal(s->asked, 0);
}

static void without_a_leader_nobody_is_asked(void **state)
{
    struct scene *s = *state;

    s->leader = 0;
    calls_transfer(s->calls, 3, &s->caller[0].call);
    s->leader = 1;
    s->absent = true;
    calls_transfer(s->calls, 3, &s->caller[1].call);
    run_ms(s, 1);

    expect(s, 0, Q_NO_LEADER, "leader not found");
    expect(s, 1, Q_NO_LEADER, "leader not found");
}

static void a_node_that_stops_ends_its_calls_and_takes_no_more(void **state)
{
    struct scene *s = *state;

    s->deaf = true;
    calls_contact(s->calls, 1, &s->caller[0].call);
    calls_stop(s->calls);
    calls_contact(s->calls, 1, &s->caller[1].call);
    calls_transfer(s->calls, 1, &s->caller[2].call);
    assert_int_equal(s->caller[0].done, 0);
    run_ms(s, 1);

    for (unsigned i = 0; i < 3; i++) {
        expect(s, i, Q_CLOSED, "this node is stopping");
    }
    assert_int_equal(s->asked, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_member_that_is_there_answers),
        TEST(this_node_is_always_there_but_says_so_later),
        TEST(a_member_that_is_not_connected_is_not_there),
        TEST(a_member_that_is_silent_times_out_whether_it_leads_or_not),
        TEST(a_connection_that_breaks_ends_its_calls),
        TEST(the_leader_is_asked_to_hand_over),
        TEST(the_words_of_the_leader_come_back),
        TEST(a_leader_hands_over_itself),
        TEST(without_a_leader_nobody_is_asked),
        TEST(a_node_that_stops_ends_its_calls_and_takes_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
