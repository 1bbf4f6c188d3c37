/* Machines that come and go, and what the cluster makes of it. */
#include "tests/unit/cluster/town.h"

static struct town town;

static int set_up(void **state)
{
    town.voters = 0;
    *state = &town;
    return 0;
}

static int tear_down(void **state)
{
    town_close(*state);
    return 0;
}

static void start(struct town *t, uint64_t seed, unsigned founders)
{
    town_init(t, seed, founders);
    TOWN_UNTIL(t, town_settled(t));
    town_put(t, town_leader(t));
    TOWN_UNTIL(t, town_settled(t));
}

static void a_standby_is_made_of_a_voter_and_a_voter_of_it_again(void **state)
{
    struct town *t = *state;
    start(t, 1, 3);
    struct house *follower = town_follower(t, 0);
    uint64_t id = house_id(follower);

    assert_string_equal(town_change(t, follower, REPLICA_DEMOTE, id, 0, ""), "done");
    TOWN_UNTIL(t, town_settled(t));
    assert_int_equal(house_status(town_leader(t)).members[id - 1].role, ROLE_STANDBY);
    town_put(t, follower);

    assert_string_equal(town_change(t, town_leader(t), REPLICA_PROMOTE, id, 0, ""), "done");
    town_expect(t, "1V 2V 3V");
    assert_true(house_said(town_leader(t), "member_promoted"));
    town_expect_all_there(t);
}

static void a_leader_that_is_removed_hands_over_first(void **state)
{
    struct town *t = *state;
    start(t, 2, 3);
    struct house *old = town_leader(t);
    uint64_t term = house_status(old).term, id = house_id(old);

    assert_string_equal(town_change(t, town_follower(t, 0), REPLICA_REMOVE, id, 0, ""), "done");
    TOWN_UNTIL(t, town_settled(t) && town_leader(t) != old);

    assert_true(house_said(old, "steward step=hand_over"));
    assert_int_equal(house_status(town_leader(t)).term, term + 1); /* nobody had to wait for an election */
    assert_int_equal(house_status(town_leader(t)).count, 2);
    town_put(t, town_leader(t));
}

static void what_would_cost_the_majority_is_refused_and_nothing_changes(void **state)
{
    struct town *t = *state;
    start(t, 3, 3);
    struct house *leader = town_leader(t), *dead = town_follower(t, 0), *alive = town_follower(t, 1);
    uint64_t index;

    house_kill(dead);
    town_run_ms(t, 4000);
    index = house_status(leader).log_last;
    assert_non_null(
        strstr(town_change(t, alive, REPLICA_REMOVE, house_id(alive), 0, ""), "conflict: without node"));
    assert_non_null(
        strstr(town_change(t, alive, REPLICA_ADD, 4, 0, "h4:7000"), "does not answer: remove or replace"));
    assert_string_equal(town_change(t, alive, REPLICA_REMOVE, 9, 0, ""), "not_found: no member has the id 9");

    assert_int_equal(house_status(leader).log_last, index);
}

static void without_a_leader_a_change_is_not_made(void **state)
{
    struct town *t = *state;
    start(t, 4, 3);
    struct house *alive = town_follower(t, 0);

    for (unsigned i = 1; i <= 3; i++) {
        if (&t->houses[i] != alive) {
            house_kill(&t->houses[i]);
        }
    }
    TOWN_UNTIL(t, house_status(alive).leader == 0);
    assert_string_equal(town_change(t, alive, REPLICA_REMOVE, 1, 0, ""), "no_leader: leader not found");
}

/* Machines that join. */

static void house_joins(struct town *t, unsigned house, unsigned at)
{
    house_join(&t->houses[house], &t->houses[at], 0, 0);
    TOWN_UNTIL(t, t->houses[house].replica != NULL);
}

static void one_node_becomes_three_and_never_two_voters(void **state)
{
    struct town *t = *state;
    start(t, 5, 1);

    house_joins(t, 2, 1);
    town_expect(t, "1V 2S");
    TOWN_UNTIL(t, strstr(house_status(&t->houses[1]).steward, "waits for a third") != NULL);
    town_put(t, &t->houses[2]);

    house_joins(t, 3, 2);
    town_expect(t, "1V 2V 3V");
    house_kill(town_leader(t));
    TOWN_UNTIL(t, town_leader(t) != NULL);
    town_put(t, town_leader(t));
    TOWN_UNTIL(t, town_settled(t));
    town_expect_all_there(t);
}

static void three_nodes_become_five_and_three_again(void **state)
{
    struct town *t = *state;
    t->voters = 5;
    start(t, 6, 3);

    for (unsigned i = 4; i <= 5; i++) {
        house_joins(t, i, i - 1);
        town_put(t, &t->houses[i - 1]);
    }
    town_expect(t, "1V 2V 3V 4V 5V");
    for (unsigned i = 1; i <= 2; i++) {
        assert_string_equal(town_change(t, &t->houses[5], REPLICA_REMOVE, i, 0, ""), "done");
        TOWN_UNTIL(t, town_settled(t) && town_leader(t) != &t->houses[i]);
        TOWN_UNTIL(t, house_status(&t->houses[i]).removed);
        town_put(t, town_leader(t));
    }

    town_expect(t, "3V 4V 5V");
    assert_string_equal(house_status(&t->houses[1]).state, "removed");
    town_expect_all_there(t);
}

static void a_dead_machine_is_replaced_by_one_at_its_address(void **state)
{
    struct town *t = *state;
    start(t, 7, 3);
    struct house *leader = town_leader(t), *dead = town_follower(t, 0), *fresh = &t->houses[4];
    uint64_t id = house_id(dead);

    house_kill(dead);
    town_put(t, leader);
    snprintf(fresh->address, sizeof fresh->address, "h4:7000");
    house_join(fresh, leader, 0, id);
    TOWN_UNTIL(t, fresh->replica != NULL);
    assert_int_equal(house_id(fresh), 4);
    TOWN_UNTIL(t, house_status(leader).count == 3 && house_status(leader).members[2].role == ROLE_VOTER);

    town_put(t, fresh);
    TOWN_UNTIL(t, town_settled(t));
    town_expect_all_there(t);

    struct meta_peer own, seen; /* what it was would take the place of others in time */
    consensus_describe(leader->replica->consensus, id, &own, &seen);
    assert_int_equal(seen.incarnation, 0);

    house_restart(dead); /* it comes back, and hears that it is out */
    TOWN_UNTIL(t, house_status(dead).removed);
    assert_true(house_said(dead, "removed by="));
    assert_int_equal(house_status(leader).count, 3);
    house_kill(dead);
    house_restart(dead); /* it knows that by itself now */
    assert_true(house_status(dead).removed);
}

static void a_node_that_joins_through_a_follower_while_leaders_change_gets_in_once(void **state)
{
    struct town *t = *state;

    for (uint64_t seed = 100; seed < 110; seed++) {
        start(t, seed, 3);
        struct house *leader = town_leader(t), *at = town_follower(t, 0);

        house_join(&t->houses[4], at, 0, 0);
        town_run_ms(t, sim_random(t->sim, 0, 60));
        struct error e;
        consensus_transfer(leader->replica->consensus, 0, &e);
        TOWN_UNTIL(t, t->houses[4].replica != NULL);
        town_run_ms(t, 2000);

        town_expect(t, "1V 2V 3V 4S");
        assert_int_equal(house_id(&t->houses[4]), 4);
        if (seed < 109) {
            town_close(t);
        }
    }
}

static void a_node_whose_answer_was_lost_is_the_same_member(void **state)
{
    struct town *t = *state;
    start(t, 8, 3);
    struct house *fresh = &t->houses[4];

    house_join(fresh, &t->houses[1], 0, 0);
    TOWN_UNTIL(t, house_status(town_leader(t)).count == 4);
    assert_null(fresh->replica);
    uint64_t incarnation = fresh->ask.incarnation;
    house_kill(fresh);
    town_run_ms(t, 3000);
    house_join_as(fresh, &t->houses[2], 0, 0, incarnation);
    TOWN_UNTIL(t, fresh->replica != NULL);

    assert_int_equal(house_id(fresh), 4);
    town_expect(t, "1V 2V 3V 4S");
}

static void an_id_of_another_node_is_refused(void **state)
{
    struct town *t = *state;
    start(t, 9, 3);

    house_join(&t->houses[4], &t->houses[1], 2, 0);
    house_expect_refused(&t->houses[4], Q_CONFLICT, "id 2 is that of the node at h2:7000");
    assert_int_equal(house_status(town_leader(t)).count, 3);

    house_kill(&t->houses[4]);
    house_join(&t->houses[4], &t->houses[1], 0, 7);
    house_expect_refused(&t->houses[4], Q_CONFLICT, "no member has the id 7");

    house_kill(&t->houses[4]);
    house_join(&t->houses[4], &t->houses[1], 9, 0);
    TOWN_UNTIL(t, t->houses[4].replica != NULL);
    assert_int_equal(house_id(&t->houses[4]), 9);
    TOWN_UNTIL(t, town_settled(t));
    assert_string_equal(town_change(t, &t->houses[4], REPLICA_REMOVE, 9, 0, ""), "done");
    TOWN_UNTIL(t, house_status(&t->houses[4]).removed);

    house_join(&t->houses[5], &t->houses[1], 9, 0);
    house_expect_refused(&t->houses[5], Q_CONFLICT, "an id is not used again");
    house_kill(&t->houses[5]);
    house_join(&t->houses[5], &t->houses[1], 0, 0);
    TOWN_UNTIL(t, t->houses[5].replica != NULL);
    assert_int_equal(house_id(&t->houses[5]), 10);
}

static void a_node_of_another_cluster_or_other_semantics_is_refused(void **state)
{
    struct town *t = *state;
    start(t, 10, 3);

    t->houses[4].cluster_name = "village";
    house_join(&t->houses[4], &t->houses[1], 0, 0);
    house_expect_refused(&t->houses[4], Q_MISMATCH, "this is cluster \"town\", not \"village\"");
    t->houses[5].foreign_keys = true;
    house_join(&t->houses[5], &t->houses[1], 0, 0);
    house_expect_refused(&t->houses[5], Q_MISMATCH,
                         "foreign-keys=off, the node that wants to join with foreign-keys=on");

    assert_int_equal(house_status(town_leader(t)).count, 3);
}

static void who_was_removed_is_silent_and_lets_nobody_in(void **state)
{
    struct town *t = *state;
    start(t, 16, 3);
    struct house *gone = &t->houses[1], *fresh = &t->houses[5];
    house_joins(t, 4, 2);
    assert_string_equal(town_change(t, &t->houses[2], REPLICA_REMOVE, 1, 0, ""), "done");
    TOWN_UNTIL(t, house_status(gone).removed);
    town_run_ms(t, 1000);
    size_t said = strlen(gone->said);
    for (unsigned i = 2; i <= 4; i++) {
        t->houses[i].said[0] = '\0';
    }
    town_run_ms(t, 20000);
    assert_string_equal(gone->said + said, "");
    for (unsigned i = 2; i <= 4; i++) {
        assert_false(house_said(&t->houses[i], "peer_refused"));
    }

    house_join(fresh, gone, 0, 0);
    TOWN_UNTIL(t,
               strstr(join_trouble(fresh->join), "node 1 was removed from the cluster: ask another") != NULL);
    house_kill(fresh);
    house_joins(t, 5, 3);
    town_put(t, &t->houses[5]);
    TOWN_UNTIL(t, town_settled(t));
    assert_false(house_said(fresh, "member_added id=1 ")); /* gone before it came */
}

static void a_node_waits_until_a_dead_voter_is_gone(void **state)
{
    struct town *t = *state;
    start(t, 11, 3);
    struct house *leader = town_leader(t), *dead = town_follower(t, 0), *fresh = &t->houses[4];

    uint64_t id = house_id(dead);
    house_kill(dead);
    town_run_ms(t, 4000);
    house_join(fresh, leader, 0, 0);
    town_run_ms(t, 3000);
    assert_null(fresh->replica);
    assert_int_equal(fresh->refused.code, Q_OK);
    assert_non_null(strstr(join_trouble(fresh->join), "does not answer: remove or replace it first"));

    assert_string_equal(town_change(t, leader, REPLICA_REMOVE, id, 0, ""), "done");
    TOWN_UNTIL(t, fresh->replica != NULL && town_settled(t));
    assert_int_equal(house_status(leader).count, 3);
    TOWN_UNTIL(t, house_status(leader).members[2].role == ROLE_VOTER);
}

static void a_member_that_knows_none_of_the_others_any_more_is_brought_up_to_date(void **state)
{
    struct town *t = *state;
    start(t, 14, 3);
    assert_string_equal(town_change(t, &t->houses[1], REPLICA_DEMOTE, 3, 0, ""), "done");
    house_joins(t, 4, 1);
    house_joins(t, 5, 1);
    town_expect(t, "1V 2V 3S 4V 5S");

    /* 3 sleeps, and meanwhile 1 and 2 go, 4 and 5 move, and 6 comes, whom it has never heard of. */
    house_kill(&t->houses[3]);
    for (unsigned i = 1; i <= 2; i++) {
        assert_string_equal(town_change(t, &t->houses[4], REPLICA_REMOVE, i, 0, ""), "done");
        TOWN_UNTIL(t, house_status(&t->houses[i]).removed);
        house_kill(&t->houses[i]);
    }
    house_joins(t, 6, 4);
    town_expect(t, "3S- 4V 5V 6V");
    for (unsigned i = 4; i <= 5; i++) {
        house_kill(&t->houses[i]);
        snprintf(t->houses[i].address, sizeof t->houses[i].address, "h%u:7777", i);
        house_restart(&t->houses[i]);
        TOWN_UNTIL(t, town_leader(t) != NULL && town_settled(t) &&
                          strcmp(house_status(town_leader(t)).members[i - 3].address, t->houses[i].address) ==
                              0);
    }
    house_restart(&t->houses[3]);

    town_expect(t, "3S 4V 5V 6V");
    assert_true(house_said(&t->houses[3], "member_introduced id=6"));
    town_put(t, &t->houses[3]);
}

static void who_was_removed_starts_again_wherever_it_is(void **state)
{
    struct town *t = *state;
    start(t, 40, 3);
    struct house *gone = town_follower(t, 0);

    assert_string_equal(town_change(t, town_leader(t), REPLICA_REMOVE, house_id(gone), 0, ""), "done");
    TOWN_UNTIL(t, house_status(gone).removed);
    house_kill(gone);
    gone->quiet = true;
    house_restart(gone);
    assert_true(house_status(gone).removed);
}

/* Addresses. */

static void a_node_that_starts_somewhere_else_is_found_by_all(void **state)
{
    struct town *t = *state;
    start(t, 12, 3);
    struct house *moved = town_follower(t, 0);
    uint64_t id = house_id(moved);

    house_kill(moved);
    snprintf(moved->address, sizeof moved->address, "h%d:7777", (int)id);
    house_restart(moved);
    TOWN_UNTIL(t, strcmp(house_status(town_leader(t)).members[id - 1].address, moved->address) == 0);
    TOWN_UNTIL(t, town_settled(t));

    town_put(t, moved);
    assert_string_equal(town_members(t), "1V 2V 3V");
    for (unsigned i = 1; i <= 3; i++) { /* everybody finds it there again, without being told */
        house_kill(&t->houses[i]);
        house_restart(&t->houses[i]);
    }
    TOWN_UNTIL(t, town_leader(t) != NULL && town_settled(t));
    for (unsigned i = 1; i <= 3; i++) {
        assert_string_equal(house_status(&t->houses[i]).members[id - 1].address, moved->address);
    }
    town_expect_all_there(t);
}

static void two_of_three_move_at_once_and_find_each_other_by_way_of_the_third(void **state)
{
    struct town *t = *state;

    for (uint64_t seed = 200; seed < 208; seed++) { /* the third leads, or one of those that moved */
        start(t, seed, 3);
        for (unsigned i = 1; i <= 3; i++) {
            house_kill(&t->houses[i]);
        }
        for (unsigned i = 1; i <= 2; i++) {
            snprintf(t->houses[i].address, sizeof t->houses[i].address, "h%u:7777", i);
        }
        for (unsigned i = 1; i <= 3; i++) {
            house_restart(&t->houses[i]);
        }
        TOWN_UNTIL(t, town_leader(t) != NULL && town_settled(t) &&
                          strcmp(house_status(town_leader(t)).members[0].address, "h1:7777") == 0 &&
                          strcmp(house_status(town_leader(t)).members[1].address, "h2:7777") == 0);
        town_put(t, town_leader(t));
        if (seed < 207) {
            town_close(t);
        }
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_standby_is_made_of_a_voter_and_a_voter_of_it_again),
        TEST(a_leader_that_is_removed_hands_over_first),
        TEST(what_would_cost_the_majority_is_refused_and_nothing_changes),
        TEST(without_a_leader_a_change_is_not_made),
        TEST(one_node_becomes_three_and_never_two_voters),
        TEST(three_nodes_become_five_and_three_again),
        TEST(a_dead_machine_is_replaced_by_one_at_its_address),
        TEST(a_node_that_joins_through_a_follower_while_leaders_change_gets_in_once),
        TEST(a_node_whose_answer_was_lost_is_the_same_member),
        TEST(an_id_of_another_node_is_refused),
        TEST(a_node_of_another_cluster_or_other_semantics_is_refused),
        TEST(who_was_removed_is_silent_and_lets_nobody_in),
        TEST(a_node_waits_until_a_dead_voter_is_gone),
        TEST(a_member_that_knows_none_of_the_others_any_more_is_brought_up_to_date),
        TEST(who_was_removed_starts_again_wherever_it_is),
        TEST(a_node_that_starts_somewhere_else_is_found_by_all),
        TEST(two_of_three_move_at_once_and_find_each_other_by_way_of_the_third),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
