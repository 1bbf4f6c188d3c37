/* Requests that wait too long: at their deadline each is told what may have been done. */
#include "tests/unit/cluster/asker.h"

enum { TIMEOUT_MS = 120 }; /* shorter than a leader needs to notice that it is alone */

struct scene {
    struct sim *sim;
    struct group group;
    struct asker a, b, c, d;
};

static int set_up(void **state)
{
    static struct scene s;
    memset(&s, 0, sizeof s);
    s.sim = sim_new(12);
    group_init(&s.group, s.sim, 3);
    asker_init(&s.a);
    asker_init(&s.b);
    asker_init(&s.c);
    asker_init(&s.d);
    s.a.request.timeout_ms = s.b.request.timeout_ms = s.c.request.timeout_ms = TIMEOUT_MS;
    *state = &s;
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
    asker_close(&s->d);
    return 0;
}

static struct group_node *start(struct scene *s)
{
    struct group_node *leader = group_settled(&s->group);
    ask_put(&s->d, leader, "key", "hello");
    expect_shown(&s->d, &s->group, "put 1");
    return group_settled(&s->group);
}

/* The error comes at the deadline, give or take a tick. */
static void expect_in_time(struct scene *s, struct asker *a, enum error_code code, const char *text)
{
    uint64_t from = sim_now_us(s->sim);
    expect_failed(a, &s->group, code, text);
    assert_in_range(sim_now_us(s->sim) - from, (TIMEOUT_MS - 1) * 1000, (TIMEOUT_MS + 110) * 1000);
}

/* An answer that comes after all finds nobody. */
static void expect_no_more(struct scene *s, struct asker *a)
{
    sim_net_heal(sim_network(s->sim));
    group_run_ms(&s->group, 5000);
    assert_int_equal(a->done, 1);
}

static void a_write_on_its_way_is_unknown(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = start(s);

    group_cut(&s->group, leader, true);
    ask_put(&s->a, leader, "key", "x");
    expect_in_time(s, &s->a, Q_UNKNOWN, "may still be applied");
    expect_no_more(s, &s->a);
}

static void a_write_that_waits_behind_others_was_not_done(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = start(s);

    group_cut(&s->group, leader, true);
    ask_put(&s->a, leader, "a", "x");
    group_run_ms(&s->group, 1);
    ask_put(&s->b, leader, "b", "x");
    group_run_ms(&s->group, 1);
    ask_put(&s->c, leader, "c", "x"); /* two batches are on their way: this one waits */
    expect_in_time(s, &s->c, Q_TIMEOUT, "nothing was done");
    expect_failed(&s->a, &s->group, Q_UNKNOWN, NULL);
    expect_failed(&s->b, &s->group, Q_UNKNOWN, NULL);

    group_cut(&s->group, leader, false);
    ask_get(&s->d, group_settled(&s->group), "c");
    expect_shown(&s->d, &s->group, "none");
}

static void a_forwarded_write_is_unknown(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = start(s);

    group_cut(&s->group, leader, true);
    ask_put(&s->a, group_follower(&s->group, 0), "key", "x");
    expect_in_time(s, &s->a, Q_UNKNOWN, "the leader did not answer in time");
    expect_no_more(s, &s->a);
}

static void a_read_that_no_majority_confirms_is_late(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = start(s);

    group_cut(&s->group, leader, true);
    ask_get(&s->a, leader, "key");
    expect_in_time(s, &s->a, Q_TIMEOUT, "no majority confirmed");
    expect_no_more(s, &s->a);
}

static void a_read_that_the_leader_does_not_hear_is_late(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = start(s);

    group_cut(&s->group, leader, true);
    ask_get(&s->a, group_follower(&s->group, 0), "key");
    expect_in_time(s, &s->a, Q_TIMEOUT, "the leader did not answer in time");
    expect_no_more(s, &s->a);
}

static void a_read_on_a_node_that_lags_is_late(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = start(s), *follower = group_follower(&s->group, 0);
    struct sim_disk_faults stuck = {.stuck = true}, healthy = {.stuck = false};

    sim_node_disk_faults(follower->machine, &stuck);
    ask_put(&s->d, leader, "key", "x");
    expect_shown(&s->d, &s->group, "put 2");
    ask_get(&s->a, follower, "key");
    expect_in_time(s, &s->a, Q_TIMEOUT, "too far behind");

    s->a.request.timeout_ms = 5000;
    ask_again(&s->a, follower);
    group_run_ms(&s->group, 500);
    assert_int_equal(s->a.done, 0);
    sim_node_disk_faults(follower->machine, &healthy);
    expect_shown(&s->a, &s->group, "v2 x");
}

static void an_answer_that_comes_after_the_deadline_is_not_told(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = start(s);

    group_cut(&s->group, leader, true);
    ask_put(&s->a, leader, "key", "x");
    expect_in_time(s, &s->a, Q_UNKNOWN, NULL);
    group_cut(&s->group, leader, false); /* in time for the entry to be committed */
    group_run_ms(&s->group, 5000);

    assert_int_equal(s->a.done, 1);
    ask_get(&s->d, leader, "key");
    expect_shown(&s->d, &s->group, "v2 x"); /* unknown was right: it was done */
}

static void many_requests_end_at_one_deadline(void **state)
{
    enum { MANY = 100 };
    static struct asker many[MANY], again[MANY];
    struct scene *s = *state;
    struct group_node *leader = start(s), *follower = group_follower(&s->group, 0);

    for (unsigned i = 0; i < MANY; i++) {
        asker_init(&many[i]);
        asker_init(&again[i]);
        ask_get(&again[i], leader, "key");
        expect_shown(&again[i], &s->group, "v1 hello");
        many[i].request.timeout_ms = again[i].request.timeout_ms = TIMEOUT_MS;
        many[i].then = &again[i]; /* a callback that asks, in the middle of it all */
        many[i].then_node = follower;
    }
    group_cut(&s->group, leader, true);
    for (unsigned i = 0; i < MANY; i++) {
        ask_get(&many[i], i % 2 ? leader : follower, "key");
    }
    for (unsigned i = 0; i < MANY; i++) {
        expect_failed(&many[i], &s->group, Q_TIMEOUT, NULL);
    }
    for (unsigned i = 0; i < MANY; i++) {
        GROUP_UNTIL(&s->group, again[i].done == 1);
        asker_close(&many[i]);
        asker_close(&again[i]);
    }
}

static void a_deadline_of_zero_is_the_next_tick(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = start(s);

    group_cut(&s->group, leader, true);
    s->a.request.timeout_ms = 0;
    ask_put(&s->a, leader, "key", "x");
    expect_failed(&s->a, &s->group, Q_UNKNOWN, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_write_on_its_way_is_unknown),
        TEST(a_write_that_waits_behind_others_was_not_done),
        TEST(a_forwarded_write_is_unknown),
        TEST(a_read_that_no_majority_confirms_is_late),
        TEST(a_read_that_the_leader_does_not_hear_is_late),
        TEST(a_read_on_a_node_that_lags_is_late),
        TEST(an_answer_that_comes_after_the_deadline_is_not_told),
        TEST(many_requests_end_at_one_deadline),
        TEST(a_deadline_of_zero_is_the_next_tick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
