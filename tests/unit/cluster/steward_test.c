/* What a leader does next about its members. */
#include "tests/unit/cluster/council.h"

static void expect_next(const char *members, const char *step)
{
    struct council c;

    council_init(&c, members);
    const char *next = council_next(&c);
    if (strcmp(next, step) != 0) {
        fail_msg("%s: \"%s\", not \"%s\"", members, next, step);
    }
}

static void nothing_is_done_when_all_is_as_wanted(void **state)
{
    (void)state;

    expect_next("1Va*", "rest");
    expect_next("1Va* 2Va* 3Va*", "rest");
    expect_next("1Va* 2Va* 3Va* 4Sa", "rest");  /* three are the target */
    expect_next("1Va* 2Va* 3Va* 4Va", "rest");  /* nobody loses a vote for being the fourth */
    expect_next("1Va* 2Va* 3Va* 4Ss!", "rest"); /* a standby may come and go */
    expect_next("1Va* 2Va* 3Va! 9Or", "rest");
}

static void a_new_member_becomes_a_standby_then_a_voter(void **state)
{
    (void)state;

    expect_next("1Va* 2Va* 3Oa", "add 3");
    expect_next("1Va* 2Va* 3Sa~", "rest: node 3 is catching up");
    expect_next("1Va* 2Va* 3Sa!", "rest: node 3 does not answer");
    expect_next("1Va* 2Va* 3Sa", "catch up 3");
    expect_next("1Va* 2Va* 3Sa+", "promote 3");
    expect_next("1Va* 2Va* 3Va* 4Sv+", "promote 4");  /* as it is to be one */
    expect_next("1Va* 2Va* 3Sa+ 4Sv+", "promote 4");  /* those that have to before those that may */
    expect_next("1Va* 2Va* 3Sa+~ 4Sa+", "promote 4"); /* who is there does not wait for who is not */
    expect_next("1Va* 2Va* 3Va* 4Ss+", "rest");
}

static void nobody_becomes_a_voter_beside_one_that_does_not_answer(void **state)
{
    (void)state;

    expect_next("1Va* 2Va*! 3Sa+", "rest: node 3 becomes no voter as long as voter 2 does not answer");
    expect_next("1Va* 2Va* 3Va*! 4Sv+", "rest: node 4 becomes no voter as long as voter 3 does not answer");
    expect_next("1Va* 2Va* 3Va*! 4Oa", "add 4"); /* a standby costs nothing */
}

static void one_voter_becomes_three_and_not_two(void **state)
{
    (void)state;

    expect_next("1Va* 2Sa+", "rest: node 2 waits for a third: two voters would both have to live");
    expect_next("1Va* 2Sa+ 3Sa~", "rest: node 3 is catching up");
    expect_next("1Va* 2Sa+ 3Ss", "rest: node 2 waits for a third: two voters would both have to live");
    expect_next("1Va* 2Sa 3Sa", "catch up 2");
    expect_next("1Va* 2Sa+ 3Sa", "promote 2");
    expect_next("1Va* 2Va 3Sa", "catch up 3");
    expect_next("1Va* 2Va 3Sa+", "promote 3");
}

static void with_a_target_of_two_one_voter_stays_one(void **state)
{
    (void)state;
    struct council c;

    council_init(&c, "1Va* 2Sa+ 3Sa+");
    c.view.target = 2;
    assert_string_equal(council_next(&c),
                        "rest: node 2 waits for a third: two voters would both have to live");
    council_init(&c, "1Va* 2Sa+ 3Sv+"); /* 3 first, and then there is no room for 2 */
    c.view.target = 2;
    assert_string_equal(council_next(&c),
                        "rest: node 3 waits for a third: two voters would both have to live");
}

static void who_leaves_goes_before_anybody_comes(void **state)
{
    (void)state;

    expect_next("1Va* 2Va* 3Vl! 4Oa", "remove 3");
    expect_next("1Va* 2Va* 3Ol! 4Oa", "record 3");
    expect_next("1Va* 2Va* 3Or! 4Oa", "add 4");
    expect_next("1Va* 2Vl 3Vl! 4Sl", "remove 4");  /* a standby costs nothing */
    expect_next("1Va* 2Vl 3Vl!", "remove 3");      /* the dead before the living: then both can go */
    expect_next("1Va* 2Va* 3Va* 4Sr", "remove 4"); /* as if somebody had put it back */
}

static void a_voter_that_answers_stays_until_its_successor_has_what_it_has(void **state)
{
    (void)state;

    expect_next("1Va* 2Va* 3Vl 4Oa", "add 4");
    expect_next("1Va* 2Va* 3Vl 4Sa~", "rest: node 3 stays a voter until node 4 has caught up");
    expect_next("1Va* 2Va* 3Vl 4Sa", "remove 3");
    expect_next("1Va* 2Va* 3Vl 4Sa!", "remove 3");  /* who does not answer is not waited for */
    expect_next("1Va* 2Va* 3Vl! 4Sa~", "remove 3"); /* nor does the dead wait */
    expect_next("1Vl 2Va* 3Va* 4Sa~", "rest: node 1 stays a voter until node 4 has caught up");
    expect_next("1Va* 2Va* 3Vl 4Ss~", "remove 3"); /* one that is to stay a standby succeeds nobody */
}

static void no_voter_goes_whom_the_rest_needs(void **state)
{
    (void)state;

    expect_next("1Va* 2Vl 3Va*!", "rest: node 2 stays a voter as long as only 1 of the other 2 answer");
    expect_next("1Va* 2Vs 3Va*!", "rest: node 2 stays a voter as long as only 1 of the other 2 answer");
    expect_next("1Vl", "rest: node 1 stays a voter as long as only 0 of the other 0 answer");
    expect_next("1Va* 2Vl", "remove 2");
    expect_next("1Va* 2Vl!", "remove 2");
}

static void a_leader_that_has_to_go_hands_over_to_the_most_advanced(void **state)
{
    (void)state;

    expect_next("1Vl 2Va* 3Va*", "hand over 3");
    expect_next("1Vs 2Va* 3Va*", "hand over 3");
    expect_next("1Vl 2Va* 3Va*!", "rest: node 1 stays a voter as long as only 1 of the other 2 answer");
    expect_next("1Vl 2Va* 3Va* 4Vs 5Vl", "remove 5");
    expect_next("1Vl 2Va* 3Va* 4Vs", "hand over 3"); /* not to one that is to have no vote */
}

static void a_voter_that_is_to_be_a_standby_loses_its_vote_last(void **state)
{
    (void)state;

    expect_next("1Va* 2Va* 3Vs", "demote 3");
    expect_next("1Va* 2Va* 3Vs 4Sv+", "promote 4");
    expect_next("1Va* 2Va* 3Vs! 4Sv+", "demote 3");
}

/* Each step done as soon as it is said, whatever the beginning: in the end nothing is left to do. */
static void do_step(struct council *c, const struct steward_step *step)
{
    for (unsigned i = 0; i < c->view.members_count; i++) {
        struct steward_member *m = &c->members[i];

        if (m->id != step->id) {
            continue;
        }
        switch (step->kind) {
        case STEWARD_REST: break;
        case STEWARD_RECORD: m->wanted = MEMBER_REMOVED; break;
        case STEWARD_REMOVE: m->role = ROLE_OUT; break;
        case STEWARD_HAND_OVER: c->view.id = m->id; break;
        case STEWARD_ADD: m->role = ROLE_STANDBY; break;
        case STEWARD_CATCH_UP: m->caught_up = true; break;
        case STEWARD_PROMOTE: m->role = ROLE_VOTER; break;
        case STEWARD_DEMOTE: m->role = ROLE_STANDBY; break;
        }
    }
}

static unsigned count_voters(const struct council *c, unsigned *ret_answering)
{
    unsigned n = 0;

    *ret_answering = 0;
    for (unsigned i = 0; i < c->view.members_count; i++) {
        n += c->members[i].role == ROLE_VOTER;
        *ret_answering += c->members[i].role == ROLE_VOTER && c->members[i].answers;
    }
    return n;
}

static void whatever_is_wanted_the_steps_end_and_there_is_always_a_majority(void **state)
{
    (void)state;
    uint32_t random = 12345;

    for (unsigned seed = 0; seed < 20000; seed++) {
        struct council c;
        struct steward_step step;
        unsigned n = 2 + seed % 5, answering;

        council_init(&c, "1Va 2Oa 3Oa 4Oa 5Oa 6Oa 7Oa");
        c.view.members_count = n;
        for (unsigned i = 0; i < n; i++) {
            random = random * 1664525 + 1013904223;
            c.members[i].role = i == 0 ? ROLE_VOTER : (enum member_role)((random >> 8) % 3);
            c.members[i].wanted = (enum member_state)(1 + (random >> 12) % 5);
            c.members[i].answers = i == 0 || (random >> 16) % 4 != 0;
            c.members[i].close = (random >> 20) % 4 != 0;
        }
        unsigned before = count_voters(&c, &answering);
        if (answering <= before / 2) {
            continue; /* no leader could be there */
        }
        for (unsigned steps = 0;; steps++) {
            assert_in_range(steps, 0, 40);
            steward_next(&c.view, &step);
            if (step.kind == STEWARD_REST) {
                break;
            }
            do_step(&c, &step);
            unsigned now = count_voters(&c, &answering);
            assert_true(answering > now / 2);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_done_when_all_is_as_wanted),
        cmocka_unit_test(a_new_member_becomes_a_standby_then_a_voter),
        cmocka_unit_test(nobody_becomes_a_voter_beside_one_that_does_not_answer),
        cmocka_unit_test(one_voter_becomes_three_and_not_two),
        cmocka_unit_test(with_a_target_of_two_one_voter_stays_one),
        cmocka_unit_test(who_leaves_goes_before_anybody_comes),
        cmocka_unit_test(a_voter_that_answers_stays_until_its_successor_has_what_it_has),
        cmocka_unit_test(no_voter_goes_whom_the_rest_needs),
        cmocka_unit_test(a_leader_that_has_to_go_hands_over_to_the_most_advanced),
        cmocka_unit_test(a_voter_that_is_to_be_a_standby_loses_its_vote_last),
        cmocka_unit_test(whatever_is_wanted_the_steps_end_and_there_is_always_a_majority),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
