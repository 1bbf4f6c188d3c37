/* Questions to a leader and their answers, between an asking node 2 and an answering node 1. */
#include "cluster/forward.h"

#include "cluster/peers.h"
#include "tests/lib/sim.h"
#include "tests/unit/test.h"

enum { QUESTION = 2, ANSWER = 3, GRACE_MS = 150, ANSWER_MAX = 4096, FRAMES = 16, CALLS = 4 };

struct frame {
    uint64_t to;
    uint8_t type;
    size_t len;
    uint8_t body[ANSWER_MAX];
};

struct side {
    struct forward *forward;
    struct frame sent[FRAMES];
    unsigned frames, refuse; /* how many of the next frames cannot be sent */
    unsigned asked;
    struct forward_question question; /* the last one */
    uint8_t command[64];
    size_t command_len;
};

struct caller {
    struct forward_call call;
    unsigned done;
    enum error_code code;
    char text[ERROR_TEXT_MAX], result[64];
    size_t len;
    uint64_t index;
    struct scene *scene;
    struct caller *asks, *forgets; /* what DONE does besides */
};

struct scene {
    struct sim *sim;
    struct sim_node *node;
    struct side asking, answering;
    struct caller caller[CALLS];
};

static bool on_send(void *ctx, uint64_t to, uint8_t type, const void *body, size_t n)
{
    struct side *side = ctx;
    struct frame *frame = &side->sent[side->frames];

    if (side->refuse > 0) {
        side->refuse--;
        return false;
    }
    assert_in_range(side->frames, 0, FRAMES - 1);
    assert_in_range(n, 1, ANSWER_MAX);
    *frame = (struct frame){.to = to, .type = type, .len = n};
    memcpy(frame->body, body, n);
    side->frames++;
    return true;
}

static void on_asked(void *ctx, const struct forward_question *question, const uint8_t *command, size_t n)
{
    struct side *side = ctx;
    side->asked++;
    side->question = *question;
    side->command_len = n;
    assert_in_range(n, 0, sizeof side->command);
    memcpy(side->command, command, n);
}

static void on_done(struct forward_call *call, const struct forward_answer *answer)
{
    struct caller *caller = CONTAINER_OF(call, struct caller, call);
    caller->done++;
    caller->code = answer->error.code;
    caller->index = answer->index;
    snprintf(caller->text, sizeof caller->text, "%s", answer->error.code == Q_OK ? "" : answer->error.text);
    if (answer->error.code == Q_OK) {
        caller->len = answer->len;
        memcpy(caller->result, answer->result,
               answer->len < sizeof caller->result ? answer->len : sizeof caller->result);
    }
    if (caller->forgets != NULL) {
        forward_forget(&caller->forgets->call);
    }
    if (caller->asks != NULL) {
        caller->asks->call.done = on_done;
        forward_ask(caller->scene->asking.forward, call->to, FORWARD_COMMAND, "again", 5,
                    &caller->asks->call);
    }
}

static void new_side(struct scene *s, struct side *side)
{
    struct error e;
    struct forward_config config = {
        .env = sim_node_env(s->node),
        .grace_ms = GRACE_MS,
        .send = on_send,
        .question_type = QUESTION,
        .answer_type = ANSWER,
        .asked = on_asked,
        .answer_max = ANSWER_MAX,
        .ctx = side,
    };
    assert_int_equal(forward_new(&config, &side->forward, &e), 0);
}

static int set_up(void **state)
{
    struct scene *s = calloc(1, sizeof *s);

    s->sim = sim_new(1);
    s->node = sim_node_new(s->sim, "n");
    sim_node_boot(s->node);
    new_side(s, &s->asking);
    new_side(s, &s->answering);
    for (unsigned i = 0; i < CALLS; i++) {
        s->caller[i].scene = s;
        s->caller[i].call.done = on_done;
    }
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;
    sim_node_kill(s->node);
    forward_free(s->asking.forward);
    forward_free(s->answering.forward);
    sim_free(s->sim);
    free(s);
    return 0;
}

static void ask(struct scene *s, unsigned caller, enum forward_kind kind)
{
    bool command = kind == FORWARD_COMMAND;
    assert_true(forward_ask(s->asking.forward, 1, kind, command ? "do it" : NULL, command ? 5 : 0,
                            &s->caller[caller].call));
}

/* Brings the last question of node 2 to node 1. */
static int bring_question(struct scene *s)
{
    const struct frame *frame = &s->asking.sent[s->asking.frames - 1];
    struct error e;
    assert_int_equal(frame->to, 1);
    assert_int_equal(frame->type, QUESTION);
    return forward_received(s->answering.forward, 2, QUESTION, frame->body, frame->len, &e);
}

static void reply(struct scene *s, enum error_code code, const char *text, uint64_t index)
{
    struct forward_answer answer = {.error.code = code, .index = index};
    if (code == Q_OK) {
        answer.result = (const uint8_t *)text;
        answer.len = strlen(text);
    } else {
        error_set(&answer.error, code, "%s", text);
    }
    forward_reply(s->answering.forward, &s->answering.question, &answer);
}

/* Brings the last answer of node 1 to node 2, as if from node FROM. */
static int bring_answer(struct scene *s, uint64_t from)
{
    const struct frame *frame = &s->answering.sent[s->answering.frames - 1];
    struct error e;
    assert_int_equal(frame->to, 2);
    assert_int_equal(frame->type, ANSWER);
    return forward_received(s->asking.forward, from, ANSWER, frame->body, frame->len, &e);
}

static void expect(const struct scene *s, unsigned caller, unsigned done, enum error_code code)
{
    assert_int_equal(s->caller[caller].done, done);
    if (done > 0) {
        assert_int_equal(s->caller[caller].code, code);
    }
}

static void wait_ms(struct scene *s, uint64_t ms)
{
    sim_run_until(s->sim, sim_now_us(s->sim) + ms * 1000);
}

/* Answers. */

static void a_command_and_its_result_find_their_way(void **state)
{
    struct scene *s = *state;

    ask(s, 0, FORWARD_COMMAND);
    bring_question(s);
    assert_int_equal(s->answering.asked, 1);
    assert_int_equal(s->answering.question.kind, FORWARD_COMMAND);
    assert_int_equal(s->answering.question.from, 2);
    assert_int_equal(s->answering.command_len, 5);
    assert_memory_equal(s->answering.command, "do it", 5);

    reply(s, Q_OK, "done", 42);
    expect(s, 0, 0, Q_OK);
    assert_int_equal(bring_answer(s, 1), 0);
    expect(s, 0, 1, Q_OK);
    assert_int_equal(s->caller[0].index, 42);
    assert_int_equal(s->caller[0].len, 4);
    assert_memory_equal(s->caller[0].result, "done", 4);
}

static void an_error_travels_with_its_words(void **state)
{
    struct scene *s = *state;

    ask(s, 0, FORWARD_READ_LINEARIZABLE);
    bring_question(s);
    assert_int_equal(s->answering.question.kind, FORWARD_READ_LINEARIZABLE);
    assert_int_equal(s->answering.command_len, 0);
    reply(s, Q_NOT_LEADER, "this node does not lead", 7);
    bring_answer(s, 1);

    expect(s, 0, 1, Q_NOT_LEADER);
    assert_string_equal(s->caller[0].text, "this node does not lead");
    assert_int_equal(s->caller[0].index, 7);
}

static void answers_out_of_order_find_their_calls(void **state)
{
    struct scene *s = *state;
    struct forward_question first;

    ask(s, 0, FORWARD_COMMAND);
    bring_question(s);
    first = s->answering.question;
    ask(s, 1, FORWARD_COMMAND);
    bring_question(s);
    reply(s, Q_OK, "second", 2);
    bring_answer(s, 1);
    expect(s, 0, 0, Q_OK);
    expect(s, 1, 1, Q_OK);

    s->answering.question = first;
    reply(s, Q_OK, "first", 1);
    bring_answer(s, 1);
    assert_memory_equal(s->caller[0].result, "first", 5);
    assert_memory_equal(s->caller[1].result, "second", 6);
}

static void an_answer_that_comes_twice_is_told_once(void **state)
{
    struct scene *s = *state;

    ask(s, 0, FORWARD_COMMAND);
    bring_question(s);
    reply(s, Q_OK, "done", 1);
    assert_int_equal(bring_answer(s, 1), 0);
    assert_int_equal(bring_answer(s, 1), 0);

    expect(s, 0, 1, Q_OK);
}

static void an_answer_that_nobody_waits_for_any_more_is_dropped(void **state)
{
    struct scene *s = *state;

    ask(s, 0, FORWARD_COMMAND);
    bring_question(s);
    forward_forget(&s->caller[0].call);
    memset(&s->caller[0].call, 0xee, sizeof s->caller[0].call); /* its memory is free */
    reply(s, Q_OK, "done", 1);
    assert_int_equal(bring_answer(s, 1), 0);

    expect(s, 0, 0, Q_OK);
}

static void an_answer_of_somebody_who_was_not_asked_is_dropped(void **state)
{
    struct scene *s = *state;

    ask(s, 0, FORWARD_COMMAND);
    bring_question(s);
    reply(s, Q_OK, "done", 1);
    assert_int_equal(bring_answer(s, 3), 0);
    expect(s, 0, 0, Q_OK);

    bring_answer(s, 1);
    expect(s, 0, 1, Q_OK);
}

static void an_answer_to_an_earlier_process_is_dropped(void **state)
{
    struct scene *s = *state;

    ask(s, 0, FORWARD_COMMAND);
    bring_question(s);
    reply(s, Q_OK, "for the dead", 1);
    forward_free(s->asking.forward);
    new_side(s, &s->asking);
    ask(s, 1, FORWARD_COMMAND); /* has the same number as the first call of the former process */
    assert_int_equal(bring_answer(s, 1), 0);

    expect(s, 1, 0, Q_OK);
}

static void malformed_answers_are_refused_and_harm_no_call(void **state)
{
    struct scene *s = *state;
    struct frame frame;
    struct error e;

    ask(s, 0, FORWARD_COMMAND);
    bring_question(s);
    reply(s, Q_BUSY, "too much is waiting", 1);
    frame = s->answering.sent[0];
    for (size_t n = 0; n < frame.len; n++) {
        assert_int_equal(forward_received(s->asking.forward, 1, ANSWER, frame.body, n, &e), Q_CORRUPT);
    }
    put_le16(frame.body + 16, Q_CODES); /* an unknown code */
    assert_int_equal(forward_received(s->asking.forward, 1, ANSWER, frame.body, frame.len, &e), Q_CORRUPT);
    expect(s, 0, 0, Q_OK);

    bring_answer(s, 1);
    expect(s, 0, 1, Q_BUSY);
}

static void an_answer_with_too_long_a_text_is_refused(void **state)
{
    struct scene *s = *state;
    uint8_t body[2000] = {0};
    struct error e;

    ask(s, 0, FORWARD_COMMAND);
    memcpy(body, s->asking.sent[0].body + 1, 16);
    put_le16(body + 16, Q_BUSY);
    put_le32(body + 18, ERROR_TEXT_MAX);

    assert_int_equal(forward_received(s->asking.forward, 1, ANSWER, body, 22 + ERROR_TEXT_MAX + 8, &e),
                     Q_CORRUPT);
    expect(s, 0, 0, Q_OK);
}

static void a_result_that_is_too_large_to_be_sent_says_so(void **state)
{
    static uint8_t result[ANSWER_MAX];
    struct scene *s = *state;
    struct forward_answer answer = {.result = result, .len = sizeof result, .index = 9};

    ask(s, 0, FORWARD_COMMAND);
    bring_question(s);
    forward_reply(s->answering.forward, &s->answering.question, &answer);
    bring_answer(s, 1);

    expect(s, 0, 1, Q_UNKNOWN);
    assert_non_null(strstr(s->caller[0].text, "4096 bytes"));
    assert_non_null(strstr(s->caller[0].text, "was done"));
    assert_int_equal(s->caller[0].index, 9);
}

static void a_result_that_the_network_does_not_take_says_so(void **state)
{
    struct scene *s = *state;

    ask(s, 0, FORWARD_COMMAND);
    bring_question(s);
    s->answering.refuse = 1; /* its queue has no room for so much; for a sentence it has */
    reply(s, Q_OK, "done", 9);
    assert_int_equal(s->answering.frames, 1);
    bring_answer(s, 1);

    expect(s, 0, 1, Q_UNKNOWN);
    assert_non_null(strstr(s->caller[0].text, "was done"));
}

static void an_index_that_the_network_does_not_take_can_be_asked_for_again(void **state)
{
    struct scene *s = *state;

    ask(s, 0, FORWARD_READ_WEAK);
    bring_question(s);
    s->answering.refuse = 1;
    reply(s, Q_OK, "", 9);
    bring_answer(s, 1);

    expect(s, 0, 1, Q_BUSY);
}

static void an_answer_to_somebody_who_is_gone_is_lost(void **state)
{
    struct scene *s = *state;

    ask(s, 0, FORWARD_COMMAND);
    bring_question(s);
    s->answering.refuse = 100;
    reply(s, Q_OK, "done", 9);

    assert_int_equal(s->answering.frames, 0);
}

/* Questions. */

static void a_question_that_cannot_be_sent_was_not_asked(void **state)
{
    struct scene *s = *state;

    s->asking.refuse = 1;
    assert_false(forward_ask(s->asking.forward, 1, FORWARD_COMMAND, "do it", 5, &s->caller[0].call));
    forward_down(s->asking.forward, 1);

    expect(s, 0, 0, Q_OK);
}

static void a_doubled_question_is_taken_once(void **state)
{
    struct scene *s = *state;

    ask(s, 0, FORWARD_COMMAND);
    assert_int_equal(bring_question(s), 0);
    assert_int_equal(bring_question(s), 0);
    assert_int_equal(s->answering.asked, 1);

    ask(s, 1, FORWARD_COMMAND);
    bring_question(s);
    bring_question(s);
    assert_int_equal(s->answering.asked, 2);
}

static void the_first_question_of_a_new_process_is_taken(void **state)
{
    struct scene *s = *state;

    ask(s, 0, FORWARD_COMMAND);
    ask(s, 1, FORWARD_COMMAND);
    bring_question(s);
    forward_free(s->asking.forward);
    new_side(s, &s->asking);
    ask(s, 2, FORWARD_COMMAND);
    bring_question(s);

    assert_int_equal(s->answering.asked, 2);
}

static void askers_do_not_get_in_each_others_way(void **state)
{
    struct scene *s = *state;
    const struct frame *frame = &s->asking.sent[0];
    struct error e;

    ask(s, 0, FORWARD_COMMAND);
    for (uint64_t from = 2; from < 2 + PEERS_MAX; from++) {
        assert_int_equal(forward_received(s->answering.forward, from, QUESTION, frame->body, frame->len, &e),
                         0);
    }
    assert_int_equal(s->answering.asked, PEERS_MAX);
}

static void malformed_questions_are_refused(void **state)
{
    struct scene *s = *state;
    struct frame frame;
    struct error e;

    ask(s, 0, FORWARD_READ_WEAK);
    frame = s->asking.sent[0];
    assert_int_equal(frame.len, 17);
    for (size_t n = 0; n < frame.len; n++) {
        assert_int_equal(forward_received(s->answering.forward, 2, QUESTION, frame.body, n, &e), Q_CORRUPT);
    }
    frame.body[0] = 99;
    assert_int_equal(forward_received(s->answering.forward, 2, QUESTION, frame.body, frame.len, &e),
                     Q_CORRUPT);
    assert_int_equal(s->answering.asked, 0);

    assert_int_equal(bring_question(s), 0); /* the good one is still taken */
    assert_int_equal(s->answering.asked, 1);
}

/* Ends without an answer. */

static void a_broken_connection_fails_the_calls_that_went_over_it(void **state)
{
    struct scene *s = *state;

    ask(s, 0, FORWARD_COMMAND);
    ask(s, 1, FORWARD_READ_LINEARIZABLE);
    assert_true(forward_ask(s->asking.forward, 3, FORWARD_COMMAND, "do it", 5, &s->caller[2].call));
    forward_down(s->asking.forward, 1);

    expect(s, 0, 1, Q_UNKNOWN); /* it may have been done */
    expect(s, 1, 1, Q_NO_LEADER);
    expect(s, 2, 0, Q_OK);
    forward_down(s->asking.forward, 3);
    expect(s, 2, 1, Q_UNKNOWN);
    expect(s, 0, 1, Q_UNKNOWN);
}

static void a_callback_may_ask_again_over_the_broken_connection(void **state)
{
    struct scene *s = *state;

    ask(s, 0, FORWARD_COMMAND);
    ask(s, 1, FORWARD_COMMAND);
    s->caller[0].forgets = &s->caller[1];
    s->caller[0].asks = &s->caller[2];
    forward_down(s->asking.forward, 1);

    expect(s, 0, 1, Q_UNKNOWN);
    expect(s, 1, 0, Q_OK);
    expect(s, 2, 0, Q_OK); /* asked after the break: it fails in its own time */
    bring_question(s);
    reply(s, Q_OK, "done", 1);
    bring_answer(s, 1);
    expect(s, 2, 1, Q_OK);
}

static void the_calls_to_a_deposed_leader_fail_after_the_grace_time(void **state)
{
    struct scene *s = *state;

    ask(s, 0, FORWARD_COMMAND);
    ask(s, 1, FORWARD_READ_WEAK);
    wait_ms(s, 10000);
    forward_tick(s->asking.forward, 1); /* it leads: the asker's own deadline counts, not this */
    forward_tick(s->asking.forward, 3);
    wait_ms(s, GRACE_MS - 1);
    forward_tick(s->asking.forward, 3);
    expect(s, 0, 0, Q_OK);

    wait_ms(s, 1);
    forward_tick(s->asking.forward, 3);
    expect(s, 0, 1, Q_UNKNOWN);
    expect(s, 1, 1, Q_NO_LEADER);
}

static void a_leader_that_comes_back_in_time_keeps_its_calls(void **state)
{
    struct scene *s = *state;

    ask(s, 0, FORWARD_COMMAND);
    forward_tick(s->asking.forward, 0); /* nobody is known to lead */
    wait_ms(s, GRACE_MS / 2);
    forward_tick(s->asking.forward, 1);
    wait_ms(s, GRACE_MS);
    forward_tick(s->asking.forward, 1);
    forward_tick(s->asking.forward, 0);
    wait_ms(s, GRACE_MS - 1);
    forward_tick(s->asking.forward, 0);

    expect(s, 0, 0, Q_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_command_and_its_result_find_their_way),
        TEST(an_error_travels_with_its_words),
        TEST(answers_out_of_order_find_their_calls),
        TEST(an_answer_that_comes_twice_is_told_once),
        TEST(an_answer_that_nobody_waits_for_any_more_is_dropped),
        TEST(an_answer_of_somebody_who_was_not_asked_is_dropped),
        TEST(an_answer_to_an_earlier_process_is_dropped),
        TEST(malformed_answers_are_refused_and_harm_no_call),
        TEST(an_answer_with_too_long_a_text_is_refused),
        TEST(a_result_that_is_too_large_to_be_sent_says_so),
        TEST(a_result_that_the_network_does_not_take_says_so),
        TEST(an_index_that_the_network_does_not_take_can_be_asked_for_again),
        TEST(an_answer_to_somebody_who_is_gone_is_lost),
        TEST(a_question_that_cannot_be_sent_was_not_asked),
        TEST(a_doubled_question_is_taken_once),
        TEST(the_first_question_of_a_new_process_is_taken),
        TEST(askers_do_not_get_in_each_others_way),
        TEST(malformed_questions_are_refused),
        TEST(a_broken_connection_fails_the_calls_that_went_over_it),
        TEST(a_callback_may_ask_again_over_the_broken_connection),
        TEST(the_calls_to_a_deposed_leader_fail_after_the_grace_time),
        TEST(a_leader_that_comes_back_in_time_keeps_its_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
