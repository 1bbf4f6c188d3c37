/* How a replica stops: it hands over, ends what is under way, and leaves nobody waiting. */
#include "tests/unit/cluster/asker.h"

struct scene {
    struct sim *sim;
    struct group group;
    struct asker a, b, c;
    unsigned reached;
    enum error_code reached_code;
};

static unsigned stopped;

static void on_stopped(void *ctx)
{
    (void)ctx;
    stopped++;
}

static void set_up_nodes(void **state, unsigned count)
{
    static struct scene s;
    memset(&s, 0, sizeof s);
    stopped = 0;
    s.sim = sim_new(13);
    group_init(&s.group, s.sim, count);
    asker_init(&s.a);
    asker_init(&s.b);
    asker_init(&s.c);
    *state = &s;
}

static int set_up(void **state)
{
    set_up_nodes(state, 3);
    return 0;
}

static int set_up_one(void **state)
{
    set_up_nodes(state, 1);
    return 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;
    group_close(&s->group);
    sim_free(s->sim);
    asker_close(&s->a);
    asker_close(&s->b);
    asker_close(&s->c);
    return 0;
}

static void put(struct scene *s, struct group_node *node, const char *key)
{
    ask_put(&s->a, node, key, "x");
    GROUP_UNTIL(&s->group, s->a.done == 1);
    assert_int_equal(s->a.code, Q_OK);
}

/* STOPPED comes within MS, once. */
static void expect_stopped(struct scene *s, uint64_t ms)
{
    uint64_t from = sim_now_us(s->sim);
    GROUP_UNTIL(&s->group, stopped == 1);
    assert_in_range(sim_now_us(s->sim) - from, 0, ms * 1000);
    group_run_ms(&s->group, 1000);
    assert_int_equal(stopped, 1);
}

static void a_leader_hands_over_before_it_stops(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = group_settled(&s->group), *next;
    uint64_t from = sim_now_us(s->sim);

    replica_stop(leader->replica, on_stopped);
    assert_int_equal(stopped, 0);
    assert_string_equal(status_of(leader).state, "stopping");
    assert_false(status_of(leader).ready);
    GROUP_UNTIL(&s->group, group_leader(&s->group) != NULL && group_leader(&s->group) != leader);
    assert_in_range(sim_now_us(s->sim) - from, 0, 100000); /* nobody waited for silence */

    next = group_leader(&s->group);
    expect_stopped(s, 500);
    group_kill(leader);
    put(s, next, "key");
}

static void a_follower_stops_without_disturbing_anybody(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = group_settled(&s->group), *follower = group_follower(&s->group, 0);
    uint64_t term = status_of(leader).term;

    replica_stop(follower->replica, on_stopped);
    put(s, leader, "key");
    expect_stopped(s, 500);
    group_kill(follower);
    put(s, leader, "key");
    assert_int_equal(status_of(leader).term, term);
}

static void a_sole_node_stops(void **state)
{
    struct scene *s = *state;
    struct group_node *node = group_settled(&s->group);

    put(s, node, "key");
    replica_stop(node->replica, on_stopped);
    expect_stopped(s, 500);
    group_kill(node);
    group_boot(node);
    ask_get(&s->a, group_settled(&s->group), "key");
    expect_shown(&s->a, &s->group, "v1 x");
}

static void a_node_that_has_just_been_opened_stops(void **state)
{
    struct scene *s = *state;

    replica_stop(s->group.nodes[0].replica, on_stopped);
    expect_stopped(s, 2500);
}

static void a_node_that_stops_takes_nothing_new(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = group_settled(&s->group);

    replica_stop(leader->replica, on_stopped);
    ask_put(&s->a, leader, "key", "x");
    s->b.request.level = READ_NONE;
    ask_get(&s->b, leader, "key");
    expect_failed(&s->a, &s->group, Q_CLOSED, "this node is stopping");
    expect_failed(&s->b, &s->group, Q_CLOSED, "this node is stopping");
    expect_stopped(s, 500);
}

static void what_was_under_way_is_answered_before_the_stop(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = group_settled(&s->group);

    ask_put(&s->a, leader, "key", "x");
    group_run_ms(&s->group, 0);
    sim_step(s->sim); /* the batcher has sent it */
    ask_get(&s->b, leader, "key");
    replica_stop(leader->replica, on_stopped);
    GROUP_UNTIL(&s->group, stopped == 1);
    assert_int_equal(s->a.done, 1);
    assert_int_equal(s->b.done, 1);
}

static void a_write_through_a_follower_survives_the_leaders_stop(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = group_settled(&s->group), *follower = group_follower(&s->group, 0);
    uint64_t last = status_of(leader).log_last;

    ask_put(&s->a, follower, "key", "x");
    GROUP_UNTIL(&s->group, status_of(leader).log_last > last); /* in the leader's log, not yet answered */
    assert_int_equal(s->a.done, 0);
    replica_stop(leader->replica, on_stopped);
    expect_shown(&s->a, &s->group, "put 1");
    GROUP_UNTIL(&s->group, stopped == 1);
}

static void a_leader_on_a_slow_network_answers_its_followers_before_it_goes(void **state)
{
    struct scene *s = *state;
    struct sim_net_faults slow = {.delay_min_us = 45000, .delay_max_us = 55000};
    struct group_node *leader = group_settled(&s->group), *follower = group_follower(&s->group, 0);
    uint64_t last = status_of(leader).log_last;

    sim_net_set_faults(sim_network(s->sim), &slow);
    ask_put(&s->a, follower, "key", "x");
    GROUP_UNTIL(&s->group, status_of(leader).log_last > last);
    replica_stop(leader->replica, on_stopped);
    expect_shown(&s->a, &s->group, "put 1");
    GROUP_UNTIL(&s->group, stopped == 1);
}

/* Requests that nobody will answer. */

static void a_stop_does_not_wait_for_what_waits_for_others(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = group_settled(&s->group), *follower = group_follower(&s->group, 0);

    group_cut(&s->group, follower, true);
    s->a.request.timeout_ms = s->b.request.timeout_ms = 600000;
    ask_get(&s->a, follower, "key");
    ask_put(&s->b, follower, "key", "x");
    replica_stop(follower->replica, on_stopped);
    expect_stopped(s, 3000);
    assert_int_equal(s->a.done, 1);
    assert_int_equal(s->b.done, 1);
    assert_int_not_equal(s->a.code, Q_OK);
    assert_int_equal(s->b.code, Q_UNKNOWN);
    (void)leader;
}

static void a_leader_that_is_alone_stops_in_time(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = group_settled(&s->group);

    group_cut(&s->group, leader, true);
    s->a.request.timeout_ms = s->b.request.timeout_ms = 600000;
    ask_put(&s->a, leader, "key", "x");
    ask_get(&s->b, leader, "key");
    group_run_ms(&s->group, 5);
    replica_stop(leader->replica, on_stopped);
    expect_stopped(s, 3000);
    assert_int_equal(s->a.code, Q_UNKNOWN);
    assert_int_equal(s->b.done, 1);
}

static void a_node_that_lags_stops_in_time(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = group_settled(&s->group), *follower = group_follower(&s->group, 0);
    struct sim_disk_faults stuck = {.stuck = true};

    sim_node_disk_faults(follower->machine, &stuck);
    put(s, leader, "key");
    s->b.request.timeout_ms = 600000;
    ask_get(&s->b, follower, "key"); /* catches up for ever */
    group_run_ms(&s->group, 500);
    assert_int_equal(s->b.done, 0);
    replica_stop(follower->replica, on_stopped);
    GROUP_UNTIL(&s->group, s->b.done == 1);
    assert_int_equal(s->b.code, Q_CLOSED);
}

/* Waiting for an index. */

struct waiting {
    struct replica_wait wait;
    unsigned done;
    enum error_code code;
    struct group_node *node;
    bool again;
};

static void on_reached(struct replica_wait *wait, const struct error *failed)
{
    struct waiting *w = CONTAINER_OF(wait, struct waiting, wait);
    w->done++;
    w->code = failed ? failed->code : Q_OK;
    if (w->again) {
        w->again = false;
        w->wait.index++;
        replica_wait(w->node->replica, &w->wait);
    }
}

static void wait_for(struct scene *s, struct waiting *w, struct group_node *node, uint64_t index, uint64_t ms)
{
    (void)s;
    *w = (struct waiting){.node = node};
    w->wait.index = index;
    w->wait.deadline_ms = env_now_ms(sim_node_env(node->machine)) + ms;
    w->wait.reached = on_reached;
    replica_wait(node->replica, &w->wait);
    assert_int_equal(w->done, 0);
}

static void who_waits_for_an_index_hears_of_it(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = group_settled(&s->group), *follower = group_follower(&s->group, 0);
    uint64_t applied = status_of(follower).applied;
    struct waiting there, next, late;

    wait_for(s, &there, follower, applied, 5000);
    wait_for(s, &next, follower, applied + 1, 60000);
    next.again = true;
    wait_for(s, &late, follower, applied + 100, 500);
    GROUP_UNTIL(&s->group, there.done == 1);
    assert_int_equal(there.code, Q_OK);
    assert_int_equal(next.done, 0);

    put(s, leader, "key");
    GROUP_UNTIL(&s->group, next.done == 1);
    assert_int_equal(next.code, Q_OK);
    GROUP_UNTIL(&s->group, late.done == 1);
    assert_int_equal(late.code, Q_TIMEOUT);
    put(s, leader, "key");
    GROUP_UNTIL(&s->group, next.done == 2);
}

static void who_waits_for_an_index_hears_of_the_stop(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = group_settled(&s->group);
    struct waiting w;

    wait_for(s, &w, leader, 1000000, 600000);
    replica_stop(leader->replica, on_stopped);
    expect_stopped(s, 500);
    assert_int_equal(w.done, 1);
    assert_int_equal(w.code, Q_CLOSED);
}

static void rolling_restarts_lose_nothing(void **state)
{
    struct scene *s = *state;
    char key[16];

    for (unsigned i = 0; i < 3; i++) {
        struct group_node *node = &s->group.nodes[i];
        group_settled(&s->group);
        snprintf(key, sizeof key, "key%u", i);
        put(s, node, key);
        stopped = 0;
        replica_stop(node->replica, on_stopped);
        GROUP_UNTIL(&s->group, stopped == 1);
        group_kill(node);
        group_boot(node);
    }
    group_settled(&s->group);
    for (unsigned i = 0; i < 3; i++) {
        snprintf(key, sizeof key, "key%u", i);
        ask_get(&s->a, &s->group.nodes[i], key);
        expect_shown(&s->a, &s->group, "v1 x");
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_leader_hands_over_before_it_stops),
        TEST(a_follower_stops_without_disturbing_anybody),
        cmocka_unit_test_setup_teardown(a_sole_node_stops, set_up_one, tear_down),
        TEST(a_node_that_has_just_been_opened_stops),
        TEST(a_node_that_stops_takes_nothing_new),
        TEST(what_was_under_way_is_answered_before_the_stop),
        TEST(a_write_through_a_follower_survives_the_leaders_stop),
        TEST(a_leader_on_a_slow_network_answers_its_followers_before_it_goes),
        TEST(a_stop_does_not_wait_for_what_waits_for_others),
        TEST(a_leader_that_is_alone_stops_in_time),
        TEST(a_node_that_lags_stops_in_time),
        TEST(who_waits_for_an_index_hears_of_it),
        TEST(who_waits_for_an_index_hears_of_the_stop),
        TEST(rolling_restarts_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
