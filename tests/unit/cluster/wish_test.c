/* Which wishes about the members are granted, and what those that are not are told. */
#include "tests/unit/cluster/council.h"

static void expect(const char *members, struct wish wish, const char *outcome)
{
    struct council c;

    council_init(&c, members);
    const char *got = council_grant(&c, wish);
    if (strcmp(got, outcome) != 0) {
        fail_msg("%s: \"%s\", not \"%s\"", members, got, outcome);
    }
}

static const char three[] = "1Va* 2Va* 3Va*", dead[] = "1Va* 2Va* 3Va*!";

#define ADD(id_, address_) ((struct wish){.verb = REPLICA_ADD, .id = id_, .address = address_})
#define JOIN(id_, address_)                                                                                  \
    ((struct wish){.verb = REPLICA_ADD, .id = id_, .address = address_, .incarnation = 77})
#define OF(verb_, id_)      ((struct wish){.verb = REPLICA_##verb_, .id = id_})
#define MOVE(id_, address_) ((struct wish){.verb = REPLICA_MOVE, .id = id_, .address = address_})
#define REPLACE(id_, with_, address_)                                                                        \
    ((struct wish){.verb = REPLICA_REPLACE, .id = id_, .with = with_, .address = address_})
#define JOIN_FOR(id_, with_, address_)                                                                       \
    ((struct wish){.verb = REPLICA_REPLACE, .id = id_, .with = with_, .address = address_, .incarnation = 77})

static void a_member_is_added_under_a_free_id_and_address(void **state)
{
    (void)state;

    expect(three, ADD(4, "d:1"), "admit 4/0 auto d:1");
    expect(three, ADD(0, "d:1"), "invalid: a member's id is 1 or more");
    expect(three, ADD(4, ""), "invalid: an address is needed: host:port, without spaces");
    expect(three, ADD(4, "h2:1"), "conflict: address h2:1 is that of member 2");
    expect(three, ADD(2, "d:1"), "conflict: id 2 is that of the member at h2:1");
    expect("1Va* 2Va* 3Va* 4Oa", ADD(4, "h4:1"), "as it is @104");
    expect("1Va* 4Ol", ADD(4, "h4:1"), "conflict: node 4 is leaving since entry 104");
    expect("1Va* 4Or", ADD(4, "h4:1"),
           "conflict: node 4 was removed with entry 104: an id is not used again, give the node a new one "
           "and an "
           "empty directory");
    expect("1Va* 4Or", ADD(5, "h4:1"), "admit 5/0 auto h4:1");
    expect("1Va 2Va 3Va 4Sa 5Sa 6Sa 7Sa 8Sa", ADD(9, "i:1"),
           "conflict: a cluster has at most 8 members: remove one first");
}

static void a_node_that_joins_gets_a_free_id(void **state)
{
    (void)state;

    expect(three, JOIN(0, "d:1"), "admit 4/77 auto d:1");
    expect("1Va* 2Va* 9Or", JOIN(0, "d:1"), "admit 10/77 auto d:1");
    expect(three, JOIN(7, "d:1"), "admit 7/77 auto d:1");
}

static void a_node_that_asks_again_gets_the_same_answer(void **state)
{
    (void)state;
    struct council c;

    council_init(&c, "1Va* 2Va* 3Va*! 4Sa");
    c.members[3].incarnation = 77;
    assert_string_equal(council_grant(&c, JOIN(0, "h4:1")), "as it is @104");
    assert_string_equal(council_grant(&c, JOIN(4, "h4:1")), "as it is @104");
    assert_string_equal(council_grant(&c, JOIN(5, "h4:1")),
                        "conflict: the node that asks for id 5 is member 4");
    c.members[2].answers = true;
    assert_string_equal(council_grant(&c, JOIN(0, "d:2")), "admit 4/77 auto d:2");
}

static void an_id_belongs_to_one_node(void **state)
{
    (void)state;
    struct council c;

    expect("1Va* 2Va* 3Va* 4Sa", JOIN(4, "h4:1"),
           "conflict: id 4 is that of the node at h4:1: an id is used once, give this one another");
    council_init(&c, "1Va* 2Va* 3Va* 4Sa");
    c.members[3].incarnation = 0; /* added by an operator, and nobody has come yet */
    assert_string_equal(council_grant(&c, JOIN(4, "h4:1")), "admit 4/77 auto h4:1");
    c.members[2].incarnation = 0; /* of the first list, and not met yet */
    assert_string_equal(
        council_grant(&c, JOIN(3, "h3:1")),
        "conflict: id 3 is that of the node at h3:1: an id is used once, give this one another");
}

static void a_cluster_does_not_grow_beside_a_dead_voter(void **state)
{
    (void)state;

    expect(dead, ADD(4, "d:1"),
           "conflict: voter 3 does not answer: remove or replace it first, or bring it back; a cluster does "
           "not grow "
           "beside a dead voter");
    expect(dead, JOIN(0, "d:1"),
           "busy: voter 3 does not answer: remove or replace it first, or bring it back; a cluster does not "
           "grow "
           "beside a dead voter");
    expect("1Va* 2Va* 3Vl! 4Va!", ADD(5, "e:1"),
           "conflict: voter 4 does not answer: remove or replace it first, or bring it back; a cluster does "
           "not grow "
           "beside a dead voter");
    expect("1Va* 2Va* 3Vl!", ADD(4, "d:1"), "admit 4/0 auto d:1"); /* it is going */
    expect("1Va* 2Va* 3Va*! 4Ss", OF(PROMOTE, 4),
           "conflict: voter 3 does not answer: remove or replace it first, or bring it back; a cluster does "
           "not grow "
           "beside a dead voter");
}

static void a_voter_is_removed_if_the_rest_has_a_majority_that_answers(void **state)
{
    (void)state;

    expect(three, OF(REMOVE, 2), "leaving 2 h2:1");
    expect(three, OF(REMOVE, 1), "leaving 1 h1:1");
    expect(dead, OF(REMOVE, 3), "leaving 3 h3:1");
    expect(dead, OF(REMOVE, 2),
           "conflict: without node 2 only 1 of 2 voters would answer, which is no majority: bring back or "
           "remove "
           "those that do not answer first");
    expect("1Va* 2Va* 3Vl!", OF(REMOVE, 2), "leaving 2 h2:1");
    expect("1Va* 2Vl 3Vl", OF(REMOVE, 1),
           "conflict: without node 1 only 0 of 0 voters would answer, which is no majority: bring back or "
           "remove "
           "those that do not answer first");
    expect("1Va* 2Sa", OF(REMOVE, 1),
           "conflict: node 1 is the last voter: add two standbys, which become voters, then remove it");
    expect("1Va* 2Sa!", OF(REMOVE, 2), "leaving 2 h2:1");
    expect(three, OF(REMOVE, 9), "not_found: no member has the id 9");
    expect("1Va* 2Va* 3Vl", OF(REMOVE, 3), "as it is @103");
    expect("1Va* 2Va* 3Or", OF(REMOVE, 3), "as it is @103");
}

static void a_standby_is_promoted_and_a_voter_demoted(void **state)
{
    (void)state;

    expect("1Va* 2Va* 3Va* 4Sa", OF(PROMOTE, 4), "voter 4 h4:1");
    expect("1Va* 2Va* 3Va* 4Ss", OF(PROMOTE, 4), "voter 4 h4:1");
    expect(three, OF(PROMOTE, 3), "as it is @0");
    expect("1Va* 2Va* 3Vs", OF(PROMOTE, 3), "voter 3 h3:1");
    expect("1Va* 2Ss", OF(PROMOTE, 2),
           "conflict: two voters would both have to live: add another standby first, then node 2 and that "
           "one become "
           "voters together");
    expect("1Va* 2Ss 3Sa", OF(PROMOTE, 2), "voter 2 h2:1");
    expect(three, OF(PROMOTE, 9), "not_found: no member has the id 9");

    expect(three, OF(DEMOTE, 3), "standby 3 h3:1");
    expect("1Va* 2Va* 3Vs", OF(DEMOTE, 3), "as it is @103");
    expect(dead, OF(DEMOTE, 2),
           "conflict: without node 2 only 1 of 2 voters would answer, which is no majority: bring back or "
           "remove "
           "those that do not answer first");
    expect("1Va*", OF(DEMOTE, 1),
           "conflict: node 1 is the last voter: add two standbys, which become voters, then demote it");
}

static void a_member_moves_to_a_free_address(void **state)
{
    (void)state;

    expect(dead, MOVE(3, "x:1"), "move 3 x:1");
    expect(three, MOVE(3, "h3:1"), "as it is @0");
    expect(three, MOVE(3, "h2:1"), "conflict: address h2:1 is that of member 2");
    expect(three, MOVE(9, "x:1"), "not_found: no member has the id 9");
    expect("1Va* 3Vl", MOVE(3, "x:1"), "conflict: node 3 is leaving since entry 103");
}

static void a_replacement_is_one_step(void **state)
{
    (void)state;

    expect(dead, REPLACE(3, 0, ""), "leaving 3 h3:1");
    expect(dead, REPLACE(3, 4, "d:1"), "leaving 3 h3:1 and admit 4/0 auto d:1");
    expect(dead, REPLACE(3, 4, "h3:1"), "leaving 3 h3:1 and admit 4/0 auto h3:1"); /* the old one's place */
    expect("1Va* 2Va* 3Va*! 4Ss", REPLACE(3, 4, ""), "leaving 3 h3:1 and voter 4 h4:1");
    expect("1Va* 2Va* 3Vl! 4Sv", REPLACE(3, 4, ""), "as it is @103");
    expect(dead, REPLACE(3, 3, "d:1"), "invalid: node 3 cannot take its own place");
    expect(dead, REPLACE(9, 4, "d:1"), "not_found: no member has the id 9");
    expect(dead, REPLACE(2, 4, "d:1"),
           "conflict: without node 2 only 1 of 2 voters would answer, which is no majority: bring back or "
           "remove "
           "those that do not answer first");
}

static void who_joins_may_take_anothers_place(void **state)
{
    (void)state;
    struct council c;

    expect(dead, JOIN_FOR(3, 0, "h3:1"), "leaving 3 h3:1 and admit 4/77 auto h3:1");
    expect(dead, JOIN_FOR(3, 9, "d:1"), "leaving 3 h3:1 and admit 9/77 auto d:1");
    council_init(&c, "1Va* 2Va* 3Or 4Sa");
    c.members[3].incarnation = 77;
    assert_string_equal(council_grant(&c, JOIN_FOR(3, 0, "h4:1")), "as it is @104");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_is_added_under_a_free_id_and_address),
        cmocka_unit_test(a_node_that_joins_gets_a_free_id),
        cmocka_unit_test(a_node_that_asks_again_gets_the_same_answer),
        cmocka_unit_test(an_id_belongs_to_one_node),
        cmocka_unit_test(a_cluster_does_not_grow_beside_a_dead_voter),
        cmocka_unit_test(a_voter_is_removed_if_the_rest_has_a_majority_that_answers),
        cmocka_unit_test(a_standby_is_promoted_and_a_voter_demoted),
        cmocka_unit_test(a_member_moves_to_a_free_address),
        cmocka_unit_test(a_replacement_is_one_step),
        cmocka_unit_test(who_joins_may_take_anothers_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
