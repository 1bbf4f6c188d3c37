/* A member over time: compaction, acquaintances, transfer, and a disk that fails. */
#include "tests/unit/raft_glue/consensus_scene.h"

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
    assert_int_equal(consensus_compact(member->c, 60, 60 + 1, &e), 0);
    assert_int_equal(consensus_first(member->c), 61);
    assert_int_equal(consensus_entry(member->c, 60, &entry, &e), Q_NOT_FOUND);
    assert_int_equal(consensus_compact(member->c, 30, 30 + 1, &e), 0); /* done already */
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
    assert_int_equal(consensus_compact(member->c, 150, 150 + 1, &e), 0);
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
        assert_int_equal(consensus_compact(m->member[i].c, last, last + 1, &e), 0);
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
    assert_int_equal(consensus_compact(member->c, 1, 1 + 1, &e), Q_BUSY);

    assert_int_equal(member->fatals, 0);
    assert_int_equal(consensus_compacted_index(member->c), 0);
    member_submit(member, 1, 100);
    MEMBERS_UNTIL(m, consensus_applicable(member->c) == consensus_last(member->c));
    assert_int_equal(consensus_compact(member->c, 2, 2 + 1, &e), 0);
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

    consensus_forget_member(member->c, 5);
    consensus_forget_member(member->c, 5); /* unheard of */
    assert_int_equal(consensus_admit(member->c, 1000, 1, &e), 0);
    member_crash(member);
    member_start(member);
    assert_int_equal(consensus_meta(member->c)->peers, META_PEERS_MAX);
    assert_int_equal(consensus_admit(member->c, 1000, 2, &e), Q_CONFLICT);
    assert_int_equal(consensus_admit(member->c, 4, 3, &e), Q_CONFLICT);
    assert_int_equal(consensus_admit(member->c, 6, 6, &e), 0);
    assert_int_equal(consensus_admit(member->c, 5, 77, &e), Q_TOO_BIG); /* it is a stranger now */
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
    struct error e;
    assert_int_equal(consensus_compact(leader->c, 2, 3, &e), Q_BUSY);
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
