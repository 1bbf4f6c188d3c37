/* Forwarded questions, and calls that end without an answer. */
#include "tests/unit/cluster/forward_scene.h"

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

/* Over the years more members come and go than there may be at once. */
static void members_that_are_gone_do_not_take_the_place_of_new_ones(void **state)
{
    struct scene *s = *state;
    const struct frame *frame = &s->asking.sent[0];
    struct error e;

    ask(s, 0, FORWARD_COMMAND);
    for (uint64_t from = 2; from < 2 + 3 * PEERS_MAX; from++) {
        forward_received(s->answering.forward, from, QUESTION, frame->body, frame->len, &e);
        forward_received(s->answering.forward, from, QUESTION, frame->body, frame->len, &e);
        forward_received(s->answering.forward, 2, QUESTION, frame->body, frame->len, &e); /* this one stays */
    }
    assert_int_equal(s->answering.asked, 3 * PEERS_MAX);
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
        TEST(a_question_that_cannot_be_sent_was_not_asked),
        TEST(a_doubled_question_is_taken_once),
        TEST(the_first_question_of_a_new_process_is_taken),
        TEST(askers_do_not_get_in_each_others_way),
        TEST(members_that_are_gone_do_not_take_the_place_of_new_ones),
        TEST(malformed_questions_are_refused),
        TEST(a_broken_connection_fails_the_calls_that_went_over_it),
        TEST(a_callback_may_ask_again_over_the_broken_connection),
        TEST(the_calls_to_a_deposed_leader_fail_after_the_grace_time),
        TEST(a_leader_that_comes_back_in_time_keeps_its_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
