#include "tests/lib/sim.h"
#include "tests/unit/test.h"

enum { SECOND = 1000000 };

/* A timer, and when it fired. */
struct alarm {
    struct sim *sim;
    struct env *env;
    struct env_timer *timer;
    uint64_t due_us, fired_us; /* on the node's clock; in virtual time */
    bool early;
};

static void on_alarm(void *owner)
{
    struct alarm *a = owner;
    a->fired_us = sim_now_us(a->sim);
    a->early = env_now_us(a->env) < a->due_us;
}

static void set(struct alarm *a, struct sim *sim, struct env *env, uint64_t after_us)
{
    *a = (struct alarm){.sim = sim, .env = env, .due_us = env_now_us(env) + after_us};
    a->timer = env_timer_new(env, on_alarm, a);
    env_timer_start(env, a->timer, a->due_us);
}

static void a_clock_that_runs_fast_shows_more_and_rings_sooner(void **state)
{
    (void)state;
    struct sim *sim = sim_new(1);
    struct sim_node *node[3];
    struct alarm alarm[3];
    uint64_t start[3];
    static const unsigned rate[3] = {500, 1000, 2000};
    for (unsigned i = 0; i < 3; i++) {
        node[i] = sim_node_new(sim, "n");
        sim_node_clock_rate(node[i], rate[i]);
        start[i] = env_now_us(sim_node_boot(node[i]));
        set(&alarm[i], sim, sim_node_env(node[i]), SECOND);
    }

    sim_run_until(sim, 4 * SECOND);

    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(env_now_us(sim_node_env(node[i])) - start[i], 4000ull * rate[i]);
        assert_in_range(alarm[i].fired_us, 1000ull * SECOND / rate[i], 1000ull * SECOND / rate[i] + 100);
        assert_false(alarm[i].early);
    }
    sim_free(sim);
}

static void a_change_of_rate_moves_no_clock_and_reaches_timers_that_wait(void **state)
{
    (void)state;
    struct sim *sim = sim_new(1);
    struct sim_node *node = sim_node_new(sim, "n");
    struct env *env = sim_node_boot(node);
    struct alarm alarm;
    uint64_t before;
    set(&alarm, sim, env, 2 * SECOND);

    sim_run_until(sim, SECOND);
    before = env_now_us(env);
    sim_node_clock_rate(node, 2000);
    assert_int_equal(env_now_us(env), before);
    sim_run_until(sim, SECOND + SECOND / 4);
    sim_node_clock_rate(node, 500);
    assert_int_equal(env_now_us(env), before + SECOND / 2);
    sim_run_until(sim, 10 * SECOND);

    /* Half of what was left passed at twice the rate, the rest at half of it. */
    assert_in_range(alarm.fired_us, SECOND + SECOND / 4 + SECOND, SECOND + SECOND / 4 + SECOND + 100);
    assert_false(alarm.early);
    sim_free(sim);
}

static void a_timer_never_rings_early_whatever_the_rate(void **state)
{
    (void)state;
    struct sim *sim = sim_new(1);
    struct sim_node *node = sim_node_new(sim, "n");
    struct env *env = sim_node_boot(node);
    for (unsigned i = 0; i < 2000; i++) {
        struct alarm alarm;
        sim_node_clock_rate(node, (unsigned)sim_random(sim, 100, 10000));
        sim_run_until(sim, sim_now_us(sim) + sim_random(sim, 0, 50));
        set(&alarm, sim, env, sim_random(sim, 0, 500));
        sim_run_until(sim, sim_now_us(sim) + 10000);
        assert_true(alarm.fired_us > 0 && !alarm.early);
        env_timer_free(env, alarm.timer);
    }
    sim_free(sim);
}

static void the_rate_outlives_the_process_and_the_wall_clock_does_not_follow(void **state)
{
    (void)state;
    struct sim *sim = sim_new(1);
    struct sim_node *node = sim_node_new(sim, "n");
    struct env *env = sim_node_boot(node);
    sim_node_clock_rate(node, 2000);
    sim_node_crash(node);
    env = sim_node_boot(node);
    uint64_t monotonic_us = env_now_us(env), wall_ms = env_wall_ms(env);

    sim_run_until(sim, 10 * SECOND);

    assert_int_equal(env_now_us(env) - monotonic_us, 20 * SECOND);
    assert_int_equal(env_wall_ms(env) - wall_ms, 10000);
    sim_free(sim);
}

static void a_timer_that_is_as_good_as_never_does_not_ring(void **state)
{
    (void)state;
    struct sim *sim = sim_new(1);
    struct sim_node *node = sim_node_new(sim, "n");
    struct env *env = sim_node_boot(node);
    struct alarm alarm;
    sim_node_clock_rate(node, 10000);
    set(&alarm, sim, env, UINT64_MAX / 2);
    sim_run_until(sim, 1000 * (uint64_t)SECOND);
    assert_int_equal(alarm.fired_us, 0);
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clock_that_runs_fast_shows_more_and_rings_sooner),
        cmocka_unit_test(a_change_of_rate_moves_no_clock_and_reaches_timers_that_wait),
        cmocka_unit_test(a_timer_never_rings_early_whatever_the_rate),
        cmocka_unit_test(the_rate_outlives_the_process_and_the_wall_clock_does_not_follow),
        cmocka_unit_test(a_timer_that_is_as_good_as_never_does_not_ring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
