/* Answers to forwarded questions. */
#include "tests/unit/cluster/forward_scene.h"

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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
