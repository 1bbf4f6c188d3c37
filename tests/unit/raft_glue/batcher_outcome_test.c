/* Results find their commands, and what becomes of commands whose leader is lost. */
#include "tests/unit/raft_glue/batcher_scene.h"

/* Results. */

static void each_command_gets_its_own_result(void **state)
{
    struct scene *s = *state;

    push_some(s, 3);
    poll(s);
    push_some(s, 1);
    poll(s);
    commit(s, 2);
    expect_pending(s, 0);

    apply(s, 1, 2, 3);
    expect(s, 0, Q_OK, "result 0");
    expect(s, 1, Q_OK, "result 1");
    expect(s, 2, Q_OK, "result 2");
    assert_int_equal(s->callers[2].index, 1);
    expect_pending(s, 3);
    apply(s, 2, 2, 1);
    expect(s, 3, Q_OK, "result 0");
}

static void a_command_that_waits_can_be_forgotten(void **state)
{
    struct scene *s = *state;

    push_some(s, 3);
    assert_true(batcher_forget(s->batcher, &s->callers[1].command));
    poll(s);

    assert_int_equal(batch_at(s, 1).commands, 2);
    apply(s, 1, 2, 2);
    expect(s, 0, Q_OK, "result 0");
    expect_pending(s, 1);
    expect(s, 2, Q_OK, "result 1");
}

static void a_command_on_its_way_can_be_forgotten_but_may_be_done(void **state)
{
    struct scene *s = *state;

    push_some(s, 3);
    poll(s);
    assert_false(batcher_forget(s->batcher, &s->callers[1].command));
    memset(&s->callers[1].command, 0xee, sizeof s->callers[1].command); /* its memory is free */
    apply(s, 1, 2, 3);

    expect(s, 0, Q_OK, "result 0");
    expect_pending(s, 1);
    expect(s, 2, Q_OK, "result 2");
}

static void a_callback_may_forget_its_neighbour_and_push_anew(void **state)
{
    struct scene *s = *state;

    push_some(s, 3);
    s->callers[0].forgets = &s->callers[2];
    s->callers[0].pushes = &s->callers[3];
    poll(s);
    apply(s, 1, 2, 3);

    expect(s, 1, Q_OK, "result 1");
    expect_pending(s, 2);
    poll(s);
    assert_int_equal(batch_at(s, 2).commands, 1);
    apply(s, 2, 2, 1);
    expect(s, 3, Q_OK, "result 0");
}

/* Leadership. */

static void when_leadership_is_lost_what_waits_was_not_done(void **state)
{
    struct scene *s = *state;

    push_some(s, 2);
    s->callers[0].pushes = &s->callers[2]; /* refused, and no endless loop */
    lose_leadership(s);

    expect(s, 0, Q_NOT_LEADER, NULL);
    expect(s, 1, Q_NOT_LEADER, NULL);
    expect_pending(s, 2);
    assert_int_equal(s->consensus.last, 0);
}

static void an_entry_that_the_core_refuses_was_not_done(void **state)
{
    struct scene *s = *state;

    push_some(s, 2);
    error_set(&s->consensus.refusal, Q_NOT_LEADER, "not any more");
    poll(s);

    expect(s, 0, Q_NOT_LEADER, "not any more");
    expect(s, 1, Q_NOT_LEADER, "not any more");
}

static void what_was_on_its_way_is_unknown_after_the_grace_time(void **state)
{
    struct scene *s = *state;

    push_some(s, 1);
    poll(s);
    lose_leadership(s);
    wait_ms(s, GRACE_MS - 10);
    poll(s);
    expect_pending(s, 0);

    wait_ms(s, 20);
    expect(s, 0, Q_UNKNOWN, NULL);
    apply(s, 1, 2, 1); /* it was done after all; nobody asks any more */
    expect(s, 0, Q_UNKNOWN, NULL);
}

static void an_entry_that_survives_its_leader_still_answers(void **state)
{
    struct scene *s = *state;

    push_some(s, 1);
    poll(s);
    lose_leadership(s);
    wait_ms(s, GRACE_MS - 10);
    apply(s, 1, 2, 1);

    expect(s, 0, Q_OK, "result 0");
    wait_ms(s, 1000);
    expect(s, 0, Q_OK, "result 0");
}

static void an_entry_of_another_term_in_its_place_means_not_done(void **state)
{
    struct scene *s = *state;

    push_some(s, 2);
    poll(s);
    lose_leadership(s);
    apply(s, 1, 3, 0);

    expect(s, 0, Q_NOT_LEADER, NULL);
    expect(s, 1, Q_NOT_LEADER, NULL);
}

static void an_entry_that_was_passed_over_is_unknown(void **state)
{
    struct scene *s = *state;

    push_some(s, 1);
    poll(s);
    lose_leadership(s);
    apply(s, 5, 3, 0); /* as after the installation of a snapshot */

    expect(s, 0, Q_UNKNOWN, NULL);
}

static void a_transfer_that_comes_to_nothing_harms_no_entry_on_its_way(void **state)
{
    struct scene *s = *state;

    push_some(s, 1);
    poll(s);
    s->consensus.transferring = true;
    poll(s);
    wait_ms(s, 2 * GRACE_MS);
    expect_pending(s, 0); /* this node leads all the time */

    s->consensus.transferring = false;
    commit(s, 1);
    apply(s, 1, 2, 1);
    expect(s, 0, Q_OK, "result 0");
}

static void who_leads_again_at_once_keeps_what_was_on_its_way(void **state)
{
    struct scene *s = *state;

    push_some(s, 1);
    poll(s);
    lose_leadership(s);
    lead_again(s);
    fake_append(&s->consensus, 4, LOG_BARRIER, "", 0);
    commit(s, 2);
    apply(s, 1, 2, 1);

    expect(s, 0, Q_OK, "result 0");
}

static void entries_that_another_leader_dropped_do_not_hold_up_new_ones(void **state)
{
    struct scene *s = *state;

    push_some(s, 1);
    poll(s);
    push_some(s, 1);
    poll(s);
    lose_leadership(s);
    fake_truncate(&s->consensus, 1);
    lead_again(s);
    push_some(s, 1);
    poll(s);

    assert_int_equal(s->consensus.last, 1); /* though two are on their way, for all this node knows */
    wait_ms(s, GRACE_MS + 10);
    expect(s, 0, Q_UNKNOWN, NULL);
    expect(s, 1, Q_UNKNOWN, NULL);
    expect_pending(s, 2);
}

static void a_new_entry_before_a_dropped_one_gets_its_result(void **state)
{
    struct scene *s = *state;

    fake_append(&s->consensus, 2, LOG_BARRIER, "", 0);
    push_some(s, 1);
    poll(s);
    push_some(s, 1);
    poll(s); /* entries 2 and 3 */
    lose_leadership(s);
    fake_truncate(&s->consensus, 2);
    lead_again(s);
    push_some(s, 1);
    poll(s); /* entry 2 again */
    commit(s, 2);
    apply(s, 2, 4, 1);

    expect(s, 0, Q_NOT_LEADER, NULL);
    expect_pending(s, 1);
    expect(s, 2, Q_OK, "result 0");
}

/* Stop. */

static void a_stop_fails_everything(void **state)
{
    struct scene *s = *state;

    push_some(s, 1);
    poll(s);
    push_some(s, 1);
    batcher_stop(s->batcher);

    expect(s, 0, Q_UNKNOWN, NULL);
    expect(s, 1, Q_CLOSED, NULL);
    wait_ms(s, 1000);
    expect(s, 0, Q_UNKNOWN, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_command_gets_its_own_result),
        TEST(a_command_that_waits_can_be_forgotten),
        TEST(a_command_on_its_way_can_be_forgotten_but_may_be_done),
        TEST(a_callback_may_forget_its_neighbour_and_push_anew),
        TEST(when_leadership_is_lost_what_waits_was_not_done),
        TEST(an_entry_that_the_core_refuses_was_not_done),
        TEST(what_was_on_its_way_is_unknown_after_the_grace_time),
        TEST(an_entry_that_survives_its_leader_still_answers),
        TEST(an_entry_of_another_term_in_its_place_means_not_done),
        TEST(an_entry_that_was_passed_over_is_unknown),
        TEST(a_transfer_that_comes_to_nothing_harms_no_entry_on_its_way),
        TEST(who_leads_again_at_once_keeps_what_was_on_its_way),
        TEST(entries_that_another_leader_dropped_do_not_hold_up_new_ones),
        TEST(a_new_entry_before_a_dropped_one_gets_its_result),
        TEST(a_stop_fails_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
