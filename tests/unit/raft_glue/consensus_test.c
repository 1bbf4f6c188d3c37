/* Members that talk to each other: entries and reads. */
#include "tests/unit/raft_glue/consensus_scene.h"

/* Entries. */

static void a_sole_member_leads_and_commits(void **state)
{
    struct members *m = *state;
    struct member *member = &m->member[1];

    member_start(member);
    assert_ptr_equal(members_leader(m), member);
    member_submit(member, 3, 100);
    MEMBERS_UNTIL(m, consensus_applicable(member->c) == consensus_last(member->c));
    assert_int_equal(consensus_leader(member->c), 1);
    assert_int_equal(consensus_floor(member->c), consensus_last(member->c));
}

static void what_the_leader_submits_is_applicable_everywhere(void **state)
{
    struct members *m = *state;
    struct member *leader;
    struct log_entry entry;
    uint64_t last;
    struct error e;

    members_start(m);
    leader = members_leader(m);
    member_submit(leader, 10, 1000);
    last = consensus_last(leader->c);
    MEMBERS_UNTIL(m, all_have_applicable(m, last));

    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(consensus_leader(m->member[i].c), leader->id);
        assert_int_equal(consensus_entry(m->member[i].c, last, &entry, &e), 0);
        assert_int_equal(entry.len, 1000);
        assert_int_equal(entry.term, consensus_term(leader->c));
        assert_true(m->member[i].changes > 0);
    }
    MEMBERS_UNTIL(m, consensus_floor(leader->c) == last);
    assert_int_equal(consensus_floor(other_than(m, leader)->c), 0);
    assert_int_equal(consensus_match(other_than(m, leader)->c, 1), 0);
}

static void the_floor_waits_for_a_member_that_is_away(void **state)
{
    struct members *m = *state;
    struct member *leader;
    uint64_t last;

    member_start(&m->member[1]);
    member_start(&m->member[2]);
    leader = members_leader(m);
    member_submit(leader, 10, 100);
    last = consensus_last(leader->c);
    MEMBERS_UNTIL(m, consensus_applicable(leader->c) == last);
    assert_true(consensus_floor(leader->c) < last);

    member_start(&m->member[3]);
    MEMBERS_UNTIL(m, consensus_floor(leader->c) == last);
}

static void who_does_not_lead_submits_nothing(void **state)
{
    struct members *m = *state;
    struct member *follower;
    uint64_t last;
    struct error e;

    assert_int_equal(member_open(&m->member[1], &e), 0);
    assert_int_equal(consensus_term(m->member[1].c), 1);
    assert_int_equal(consensus_leader(m->member[1].c), 0);
    assert_int_equal(consensus_submit(m->member[1].c, LOG_BARRIER, NULL, 0, &e), Q_NOT_LEADER);
    assert_int_equal(consensus_start(m->member[1].c, 0, 0, &e), 0);
    member_start(&m->member[2]);
    member_start(&m->member[3]);
    follower = other_than(m, members_leader(m));
    last = consensus_last(follower->c);

    assert_int_equal(consensus_submit(follower->c, LOG_BARRIER, NULL, 0, &e), Q_NOT_LEADER);
    assert_int_equal(consensus_last(follower->c), last);
}

static void bytes_that_are_no_message_change_nothing(void **state)
{
    static const uint8_t garbage[][32] = {
        {0},
        {99, 1, 2, 3},
        {ENVELOPE_CORE},
        {ENVELOPE_CORE, 200, 1, 1, 1},
        {ENVELOPE_READ_ASK, 1, 2, 3},
        {ENVELOPE_READ_ANSWER, 1, 2, 3},
    };
    static const size_t lengths[] = {1, 4, 1, 5, 4, 18};
    struct members *m = *state;
    struct member *leader;
    uint64_t term, sent;
    struct error e;

    members_start(m);
    leader = members_leader(m);
    term = consensus_term(leader->c);
    sent = leader->sent;
    for (unsigned i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        int rv = consensus_receive(leader->c, 2, garbage[i], lengths[i], &e);
        assert_true(rv == Q_CORRUPT || rv == Q_MISMATCH);
    }
    assert_int_equal(consensus_receive(leader->c, 2, garbage[0], 0, &e), Q_CORRUPT);
    assert_int_equal(consensus_term(leader->c), term);
    assert_int_equal(leader->sent, sent);
    assert_int_equal(leader->fatals, 0);
}

/* Reads. */

static void a_read_on_the_leader_sees_what_was_committed(void **state)
{
    struct members *m = *state;
    struct member *leader;
    struct member_read read;
    uint64_t commit;

    members_start(m);
    leader = members_leader(m);
    member_submit(leader, 5, 100);
    MEMBERS_UNTIL(m, consensus_commit(leader->c) == consensus_last(leader->c));
    commit = consensus_commit(leader->c);
    member_read(leader, &read);
    MEMBERS_UNTIL(m, read.done == 1);

    assert_int_equal(read.code, Q_OK);
    assert_int_equal(read.index, commit);
}

static void a_read_of_a_sole_member_needs_nobody(void **state)
{
    struct members *m = *state;
    struct member_read read;
    uint64_t before;

    member_start(&m->member[1]);
    members_leader(m);
    before = sim_now_us(m->sim);
    member_read(&m->member[1], &read);
    MEMBERS_UNTIL(m, read.done == 1);

    assert_int_equal(read.code, Q_OK);
    assert_true(sim_now_us(m->sim) - before < 5000);
    assert_int_equal(m->member[1].sent, 0);
}

static void a_read_elsewhere_is_sent_to_the_leader(void **state)
{
    struct members *m = *state;
    struct member_read early, late;
    struct error e;

    assert_int_equal(member_open(&m->member[1], &e), 0);
    member_read(&m->member[1], &early);
    assert_int_equal(consensus_start(m->member[1].c, 0, 0, &e), 0);
    MEMBERS_UNTIL(m, early.done == 1);
    assert_int_equal(early.code, Q_NOT_LEADER);

    member_start(&m->member[2]);
    member_start(&m->member[3]);
    member_read(other_than(m, members_leader(m)), &late);
    MEMBERS_UNTIL(m, late.done == 1);
    assert_int_equal(late.code, Q_NOT_LEADER);
}

static bool somebody_leads(struct members *m)
{
    return consensus_role(m->member[1].c) == CONSENSUS_LEADER ||
           consensus_role(m->member[2].c) == CONSENSUS_LEADER ||
           consensus_role(m->member[3].c) == CONSENSUS_LEADER;
}

static void a_new_leader_does_not_know_yet_what_was_committed(void **state)
{
    struct members *m = *state;
    struct member_read read[4];

    members_start(m);
    MEMBERS_UNTIL(m, somebody_leads(m));
    for (unsigned i = 1; i <= 3; i++) {
        m->member[i].deaf = true; /* so that its first entry is not committed; its term is confirmed */
        member_read(&m->member[i], &read[i]);
    }
    members_run_ms(m, 200);

    for (unsigned i = 1; i <= 3; i++) {
        assert_true(read[i].done == 0 || read[i].code == Q_NOT_LEADER);
    }
}

static void a_leader_that_is_cut_off_answers_no_read(void **state)
{
    struct members *m = *state;
    struct member *leader, *next;
    struct member_read read;

    members_start(m);
    leader = members_leader(m);
    cut_off(leader, true);
    member_read(leader, &read);
    next = members_leader(m);
    assert_ptr_not_equal(next, leader);
    assert_true(read.done == 0 || read.code == Q_NOT_LEADER);

    MEMBERS_UNTIL(m, read.done == 1);
    assert_int_equal(read.code, Q_NOT_LEADER);
}

static void a_lost_question_is_asked_again(void **state)
{
    struct members *m = *state;
    struct member *leader;
    struct member_read read;

    members_start(m);
    leader = members_leader(m);
    cut_off(leader, true);
    member_read(leader, &read);
    members_run_ms(m, 2);
    cut_off(leader, false);
    MEMBERS_UNTIL(m, read.done == 1);

    assert_int_equal(read.code, Q_OK);
}

static void a_read_that_was_given_up_is_not_answered(void **state)
{
    struct members *m = *state;
    struct member *leader;
    struct member_read given_up, read;

    members_start(m);
    leader = members_leader(m);
    member_read(leader, &given_up);
    consensus_forget(&given_up.read);
    member_read(leader, &read);
    MEMBERS_UNTIL(m, read.done == 1);
    members_run_ms(m, 500);

    assert_int_equal(given_up.done, 0);
}

static struct member_read nested;

static void read_when_applicable(struct member *member)
{
    if (nested.read.done == NULL && consensus_applicable(member->c) == consensus_last(member->c)) {
        member_read(member, &nested);
    }
}

static void a_read_asked_for_from_a_callback_starts_at_once(void **state)
{
    struct members *m = *state;
    struct member *leader;
    uint64_t before;

    members_start(m);
    leader = members_leader(m);
    MEMBERS_UNTIL(m, consensus_floor(leader->c) == consensus_last(leader->c));
    cut_off(other_than(m, leader), true); /* so that nothing else happens soon */
    members_run_ms(m, 1);
    memset(&nested, 0, sizeof nested);
    leader->on_changed = read_when_applicable;
    member_submit(leader, 1, 100);
    MEMBERS_UNTIL(m, nested.read.done != NULL);
    before = sim_now_us(m->sim);
    MEMBERS_UNTIL(m, nested.done == 1);

    assert_int_equal(nested.code, Q_OK);
    assert_true(sim_now_us(m->sim) - before < 5000); /* a round trip, not the next heartbeat */
}

#define ONE(name)   cmocka_unit_test_setup_teardown(name, set_up_one, tear_down)
#define THREE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(a_sole_member_leads_and_commits),
        THREE(what_the_leader_submits_is_applicable_everywhere),
        THREE(the_floor_waits_for_a_member_that_is_away),
        THREE(who_does_not_lead_submits_nothing),
        THREE(bytes_that_are_no_message_change_nothing),
        THREE(a_read_on_the_leader_sees_what_was_committed),
        ONE(a_read_of_a_sole_member_needs_nobody),
        THREE(a_read_elsewhere_is_sent_to_the_leader),
        THREE(a_new_leader_does_not_know_yet_what_was_committed),
        THREE(a_leader_that_is_cut_off_answers_no_read),
        THREE(a_lost_question_is_asked_again),
        THREE(a_read_that_was_given_up_is_not_answered),
        THREE(a_read_asked_for_from_a_callback_starts_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
