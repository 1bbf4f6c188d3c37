/* Members that talk to each other: entries, reads, compaction, transfer, and a disk that fails. */
#include "raft_glue/envelope.h"
#include "tests/unit/raft_glue/members.h"

static int set_up(void **state)
{
    static struct members m;
    members_init(&m, 3);
    *state = &m;
    return 0;
}

static int set_up_one(void **state)
{
    static struct members m;
    members_init(&m, 1);
    *state = &m;
    return 0;
}

static int tear_down(void **state)
{
    members_close(*state);
    return 0;
}

static struct member *other_than(struct members *m, const struct member *not_this)
{
    return &m->member[not_this->id % m->count + 1];
}

static bool all_have_applicable(struct members *m, uint64_t index)
{
    bool all = true;
    for (unsigned i = 1; i <= m->count; i++) {
        all = all && (m->member[i].cut || consensus_applicable(m->member[i].c) >= index);
    }
    return all;
}

static void cut_off(struct member *member, bool cut)
{
    member->cut = cut;
}

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

/* Compaction. */

static void compacted_entries_are_gone_after_a_restart(void **state)
{
    struct members *m = *state;
    struct member *member = &m->member[1];
    struct log_entry entry;
    struct error e;
    uint64_t last, term;

    member_start(member);
    members_leader(m);
    member_submit(member, 100, 1000);
    MEMBERS_UNTIL(m, consensus_applicable(member->c) == consensus_last(member->c));
    last = consensus_last(member->c);
    term = consensus_term(member->c);
    assert_int_equal(consensus_compact(member->c, 60, &e), 0);
    assert_int_equal(consensus_first(member->c), 61);
    assert_int_equal(consensus_entry(member->c, 60, &entry, &e), Q_NOT_FOUND);
    assert_int_equal(consensus_compact(member->c, 30, &e), 0); /* done already */
    assert_int_equal(consensus_compacted_index(member->c), 60);

    member_crash(member);
    assert_int_equal(member_open(member, &e), 0);
    assert_int_equal(consensus_first(member->c), 61);
    assert_int_equal(consensus_last(member->c), last);
    assert_int_equal(consensus_start(member->c, last, term, &e), 0);
    members_leader(m);
    assert_true(consensus_is_voter(member->c, 1)); /* the member list is in meta now */
    member_submit(member, 100, 1000);
    MEMBERS_UNTIL(m, consensus_applicable(member->c) == consensus_last(member->c));
    assert_int_equal(consensus_compact(member->c, 150, &e), 0);
    assert_int_equal(consensus_first(member->c), 151);
}

static void members_go_on_together_after_a_compaction_and_a_restart(void **state)
{
    struct members *m = *state;
    struct member *leader;
    struct error e;
    uint64_t last;

    members_start(m);
    leader = members_leader(m);
    member_submit(leader, 50, 1000);
    last = consensus_last(leader->c);
    MEMBERS_UNTIL(m, all_have_applicable(m, last) && consensus_floor(leader->c) == last);
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(consensus_compact(m->member[i].c, last, &e), 0);
        assert_int_equal(consensus_first(m->member[i].c), last + 1);
    }
    for (unsigned i = 1; i <= 3; i++) {
        member_crash(&m->member[i]);
        assert_int_equal(member_open(&m->member[i], &e), 0);
        assert_int_equal(
            consensus_start(m->member[i].c, last, consensus_meta(m->member[i].c)->snapshot_term, &e), 0);
    }
    leader = members_leader(m);
    member_submit(leader, 10, 100);
    MEMBERS_UNTIL(m, all_have_applicable(m, consensus_last(leader->c)));
}

static void the_first_entry_alone_is_not_compacted(void **state)
{
    struct members *m = *state;
    struct member *member = &m->member[1];
    struct error e;

    member_start(member);
    members_leader(m);
    assert_int_equal(consensus_compact(member->c, 1, &e), Q_BUSY);

    assert_int_equal(member->fatals, 0);
    assert_int_equal(consensus_compacted_index(member->c), 0);
    member_submit(member, 1, 100);
    MEMBERS_UNTIL(m, consensus_applicable(member->c) == consensus_last(member->c));
    assert_int_equal(consensus_compact(member->c, 2, &e), 0);
}

/* Whom it has met. */

static void another_directory_may_not_take_an_id(void **state)
{
    struct members *m = *state;
    struct member *member = &m->member[1];
    struct error e;

    member_start(member);
    assert_int_equal(consensus_admit(member->c, 2, 0xabc, &e), 0);
    assert_int_equal(consensus_admit(member->c, 2, 0xabc, &e), 0);
    assert_int_equal(consensus_admit(member->c, 2, 0xdef, &e), Q_CONFLICT);
    assert_non_null(strstr(e.text, "node id 2 is taken"));
    assert_int_equal(consensus_admit(member->c, 3, 0xdef, &e), 0);
}

static void incarnations_are_remembered_over_a_power_loss(void **state)
{
    struct members *m = *state;
    struct member *member = &m->member[1];
    struct error e;

    member_start(member);
    assert_int_equal(consensus_admit(member->c, 2, 0xabc, &e), 0);
    member_crash(member);
    member_start(member);
    assert_int_equal(consensus_admit(member->c, 2, 0xdef, &e), Q_CONFLICT);
    assert_int_equal(consensus_admit(member->c, 2, 0xabc, &e), 0);
}

static void more_nodes_than_can_be_remembered_are_refused(void **state)
{
    struct members *m = *state;
    struct member *member = &m->member[1];
    struct error e;

    member_start(member);
    for (uint64_t id = 2; id < 2 + META_PEERS_MAX; id++) {
        assert_int_equal(consensus_admit(member->c, id, id, &e), 0);
    }
    assert_int_equal(consensus_admit(member->c, 1000, 1, &e), Q_TOO_BIG);
    assert_int_equal(consensus_admit(member->c, 2, 2, &e), 0);
}

/* Transfer. */

static void leadership_goes_where_it_is_sent(void **state)
{
    struct members *m = *state;
    struct member *leader, *to;
    struct error e;

    members_start(m);
    leader = members_leader(m);
    to = other_than(m, leader);
    MEMBERS_UNTIL(m, consensus_floor(leader->c) == consensus_last(leader->c));
    assert_int_equal(consensus_transfer(leader->c, to->id, &e), 0);
    assert_false(consensus_leads(leader->c)); /* from now on nothing new is taken */
    MEMBERS_UNTIL(m, consensus_role(to->c) == CONSENSUS_LEADER);

    MEMBERS_UNTIL(m, consensus_leader(leader->c) == to->id);
    assert_int_equal(consensus_role(leader->c), CONSENSUS_FOLLOWER);
}

static void a_transfer_that_cannot_be_is_refused_and_harms_nothing(void **state)
{
    struct members *m = *state;
    struct member *leader;
    struct error e;

    assert_int_equal(member_open(&m->member[1], &e), 0);
    assert_int_equal(consensus_transfer(m->member[1].c, 0, &e), Q_NOT_LEADER);
    assert_int_equal(consensus_start(m->member[1].c, 0, 0, &e), 0);
    member_start(&m->member[2]);
    member_start(&m->member[3]);
    leader = members_leader(m);
    assert_int_equal(consensus_transfer(other_than(m, leader)->c, 0, &e), Q_NOT_LEADER);
    assert_int_equal(consensus_transfer(leader->c, 77, &e), Q_INVALID);
    assert_int_equal(consensus_transfer(leader->c, leader->id, &e), Q_INVALID);

    assert_true(consensus_leads(leader->c));
    member_submit(leader, 1, 100);
}

static void a_sole_member_has_nobody_to_transfer_to(void **state)
{
    struct members *m = *state;
    struct error e;

    member_start(&m->member[1]);
    members_leader(m);
    assert_int_equal(consensus_transfer(m->member[1].c, 0, &e), Q_NOT_FOUND);
    assert_int_equal(m->member[1].fatals, 0);
}

static void a_second_transfer_has_to_wait_for_the_first(void **state)
{
    struct members *m = *state;
    struct member *leader;
    struct error e;

    members_start(m);
    leader = members_leader(m);
    assert_int_equal(consensus_transfer(leader->c, 0, &e), 0);
    assert_int_not_equal(consensus_transfer(leader->c, 0, &e), 0);
    assert_int_equal(leader->fatals, 0);
}

static void a_transfer_to_nobody_ends_by_itself(void **state)
{
    struct members *m = *state;
    struct member *leader, *to;
    struct error e;

    members_start(m);
    leader = members_leader(m);
    to = other_than(m, leader);
    cut_off(to, true);
    assert_int_equal(consensus_transfer(leader->c, to->id, &e), 0);
    MEMBERS_UNTIL(m, consensus_leads(leader->c));
    member_submit(leader, 1, 100);
    MEMBERS_UNTIL(m, consensus_commit(leader->c) == consensus_last(leader->c));
}

/* Failure. */

static void a_disk_that_fails_ends_the_process_once(void **state)
{
    struct members *m = *state;
    struct member *leader;
    struct sim_disk_faults faults = {.write_eio = 1000000, .sync_eio = 1000000};
    struct member_read read;
    uint64_t sent;

    members_start(m);
    leader = members_leader(m);
    sim_node_disk_faults(leader->node, &faults);
    member_submit(leader, 5, 100);
    MEMBERS_UNTIL(m, leader->fatals == 1);
    assert_int_equal(leader->fatal.code, Q_IO);
    assert_false(consensus_leads(leader->c));

    sent = leader->sent;
    member_read(leader, &read);
    members_run_ms(m, 2000); /* the rig fails the test if anything leaves */
    assert_int_equal(leader->fatals, 1);
    assert_int_equal(leader->sent, sent);
    assert_int_equal(read.done, 0);
}

static void a_term_that_cannot_be_saved_ends_the_process(void **state)
{
    struct members *m = *state;
    struct sim_disk_faults faults = {.write_eio = 1000000, .sync_eio = 1000000};
    struct member *leader, *next;
    uint64_t term;
    struct error e;

    members_start(m);
    leader = members_leader(m);
    next = other_than(m, leader);
    term = consensus_term(leader->c);
    MEMBERS_UNTIL(m, consensus_floor(leader->c) == consensus_last(leader->c));
    sim_node_disk_faults(next->node, &faults);
    assert_int_equal(consensus_transfer(leader->c, next->id, &e), 0); /* makes it campaign */
    MEMBERS_UNTIL(m, next->fatals == 1);

    assert_int_equal(next->fatal.code, Q_IO);
    assert_non_null(strstr(next->fatal.text, "term"));
    members_run_ms(m, 1000);
    assert_int_equal(consensus_term(leader->c), term); /* nobody heard of the term that was not saved */
}

#define ONE(name)   cmocka_unit_test_setup_teardown(name, set_up_one, tear_down)
#define THREE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(a_sole_member_leads_and_commits),
        THREE(what_the_leader_submits_is_applicable_everywhere),
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
        ONE(compacted_entries_are_gone_after_a_restart),
        THREE(members_go_on_together_after_a_compaction_and_a_restart),
        ONE(the_first_entry_alone_is_not_compacted),
        ONE(another_directory_may_not_take_an_id),
        ONE(incarnations_are_remembered_over_a_power_loss),
        ONE(more_nodes_than_can_be_remembered_are_refused),
        THREE(leadership_goes_where_it_is_sent),
        THREE(a_transfer_that_cannot_be_is_refused_and_harms_nothing),
        ONE(a_sole_member_has_nobody_to_transfer_to),
        THREE(a_second_transfer_has_to_wait_for_the_first),
        THREE(a_transfer_to_nobody_ends_by_itself),
        THREE(a_disk_that_fails_ends_the_process_once),
        THREE(a_term_that_cannot_be_saved_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
