/* What whole replicas ask of each other besides requests: are you there, hand your leadership over. */
#include "tests/unit/cluster/asker.h"

struct scene {
    struct sim *sim;
    struct group group;
    struct peer_call call;
    unsigned done;
    struct error failed;
};

static int set_up(void **state)
{
    static struct scene s;
    memset(&s, 0, sizeof s);
    s.sim = sim_new(17);
    group_init(&s.group, s.sim, 3);
    *state = &s;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;
    group_close(&s->group);
    sim_free(s->sim);
    return 0;
}

static void on_done(struct peer_call *call, const struct error *failed)
{
    struct scene *s = CONTAINER_OF(call, struct scene, call);
    s->done++;
    s->failed = failed != NULL ? *failed : (struct error){.code = Q_OK};
}

static struct peer_call *new_call(struct scene *s)
{
    s->done = 0;
    s->call = (struct peer_call){.timeout_ms = 1000, .done = on_done};
    return &s->call;
}

static enum error_code contact(struct scene *s, struct group_node *from, const struct group_node *to)
{
    replica_contact(from->replica, to->id, new_call(s));
    GROUP_UNTIL(&s->group, s->done == 1);
    return s->failed.code;
}

static enum error_code transfer(struct scene *s, struct group_node *from, uint64_t to)
{
    replica_transfer(from->replica, to, new_call(s));
    GROUP_UNTIL(&s->group, s->done == 1);
    return s->failed.code;
}

static void every_member_is_there_for_every_other(void **state)
{
    struct scene *s = *state;

    group_settled(&s->group);
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned k = 0; k < 3; k++) {
            assert_int_equal(contact(s, &s->group.nodes[i], &s->group.nodes[k]), Q_OK);
            assert_true(i == k || s->call.elapsed_us > 0);
        }
    }
}

static void a_member_that_is_switched_off_or_stands_still_is_not_there(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = group_settled(&s->group);
    struct group_node *other = group_follower(&s->group, 0), *third = group_follower(&s->group, 1);

    sim_node_pause(other->machine);
    assert_int_equal(contact(s, leader, other), Q_TIMEOUT); /* its connection still stands */
    sim_node_resume(other->machine);
    group_crash(other);
    group_run_ms(&s->group, 10000);
    assert_int_equal(contact(s, leader, other), Q_NO_LEADER);
    assert_int_equal(contact(s, leader, third), Q_OK);
}

static void leadership_is_handed_over_on_request_of_the_leader_itself(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = group_settled(&s->group), *next = group_follower(&s->group, 1);

    assert_int_equal(transfer(s, leader, 99), Q_INVALID);
    assert_int_equal(transfer(s, leader, next->id), Q_OK);
    GROUP_UNTIL(&s->group, group_leader(&s->group) == next);
}

static void leadership_is_handed_over_on_request_of_a_follower(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = group_settled(&s->group), *next = group_follower(&s->group, 1);

    assert_int_equal(transfer(s, next, 99), Q_INVALID);
    assert_ptr_equal(group_leader(&s->group), leader);
    assert_int_equal(transfer(s, group_follower(&s->group, 0), next->id), Q_OK);
    GROUP_UNTIL(&s->group, group_leader(&s->group) == next);
    group_settled(&s->group);
    assert_int_equal(transfer(s, leader, 0), Q_OK);
    GROUP_UNTIL(&s->group, group_leader(&s->group) != NULL && group_leader(&s->group) != next);
}

static void without_a_majority_nobody_hands_over(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = group_settled(&s->group);
    struct group_node *other = group_follower(&s->group, 0), *third = group_follower(&s->group, 1);

    group_crash(leader);
    group_crash(third);
    group_run_ms(&s->group, 10000);
    assert_int_equal(transfer(s, other, 0), Q_NO_LEADER);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_member_is_there_for_every_other),
        TEST(a_member_that_is_switched_off_or_stands_still_is_not_there),
        TEST(leadership_is_handed_over_on_request_of_the_leader_itself),
        TEST(leadership_is_handed_over_on_request_of_a_follower),
        TEST(without_a_majority_nobody_hands_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
