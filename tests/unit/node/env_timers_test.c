#include "tests/unit/node/world.h"

struct alarm {
    struct world *w;
    struct env_timer *timer;
    unsigned fired;
    uint64_t last_us;
    unsigned *order; /* the next place; taken when it fires */
    unsigned place;
};

static void on_fire(void *owner)
{
    struct alarm *a = owner;

    a->fired++;
    a->last_us = env_now_us(a->w->env);
    if (a->order != NULL) {
        a->place = ++*a->order;
    }
}

static struct alarm alarm_new(struct world *w)
{
    return (struct alarm){.w = w};
}

static void timers_fire_in_the_order_of_their_times(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, &(struct env_uv_config){0});
    unsigned order = 0;
    struct alarm a[3];
    uint64_t now = env_now_us(w.env);

    for (unsigned i = 0; i < 3; i++) {
        a[i] = alarm_new(&w);
        a[i].order = &order;
        a[i].timer = env_timer_new(w.env, on_fire, &a[i]);
        env_timer_start(w.env, a[i].timer, now + 30000 - i * 10000);
    }
    run_until(&w, &order, 3);

    assert_int_equal(a[2].place, 1);
    assert_int_equal(a[1].place, 2);
    assert_int_equal(a[0].place, 3);
    for (unsigned i = 0; i < 3; i++) {
        env_timer_free(w.env, a[i].timer);
    }
    world_close(&w);
}

static void a_timer_never_fires_early(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, &(struct env_uv_config){0});
    struct alarm a = alarm_new(&w);
    a.timer = env_timer_new(w.env, on_fire, &a);

    for (unsigned i = 1; i <= 20; i++) {
        uint64_t at = env_now_us(w.env) + 1 + i * 137;
        env_timer_start(w.env, a.timer, at);
        run_until(&w, &a.fired, i);
        assert_true(a.last_us >= at);
    }
    env_timer_free(w.env, a.timer);
    world_close(&w);
}

static void a_stopped_timer_does_not_fire(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, &(struct env_uv_config){0});
    struct alarm stopped = alarm_new(&w), witness = alarm_new(&w);
    uint64_t now = env_now_us(w.env);
    stopped.timer = env_timer_new(w.env, on_fire, &stopped);
    witness.timer = env_timer_new(w.env, on_fire, &witness);

    env_timer_start(w.env, stopped.timer, now + 1000);
    env_timer_start(w.env, witness.timer, now + 10000);
    env_timer_stop(w.env, stopped.timer);
    run_until(&w, &witness.fired, 1);

    assert_int_equal(stopped.fired, 0);
    env_timer_free(w.env, stopped.timer);
    env_timer_free(w.env, witness.timer);
    world_close(&w);
}

static void a_second_start_replaces_the_first(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, &(struct env_uv_config){0});
    struct alarm a = alarm_new(&w);
    a.timer = env_timer_new(w.env, on_fire, &a);
    uint64_t now = env_now_us(w.env);

    env_timer_start(w.env, a.timer, now + 1000);
    env_timer_start(w.env, a.timer, now + 20000);
    run_until(&w, &a.fired, 1);

    assert_true(a.last_us >= now + 20000);
    env_timer_free(w.env, a.timer);
    world_close(&w);
}

static void a_past_time_fires_soon_but_not_within_the_call(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, &(struct env_uv_config){0});
    struct alarm a = alarm_new(&w);
    a.timer = env_timer_new(w.env, on_fire, &a);
    uint64_t now = env_now_us(w.env);

    env_timer_start(w.env, a.timer, 0);
    assert_int_equal(a.fired, 0);
    run_until(&w, &a.fired, 1);

    assert_true(a.last_us < now + 1000000);
    env_timer_free(w.env, a.timer);
    world_close(&w);
}

static void start_again_in_the_past(void *owner)
{
    struct alarm *a = owner;

    assert_true(++a->fired < 1000000);
    env_timer_start(a->w->env, a->timer, 0);
}

static void a_timer_that_starts_itself_in_the_past_does_not_starve_the_loop(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, &(struct env_uv_config){0});
    struct alarm eager = alarm_new(&w), other = alarm_new(&w);
    eager.timer = env_timer_new(w.env, start_again_in_the_past, &eager);
    other.timer = env_timer_new(w.env, on_fire, &other);

    env_timer_start(w.env, eager.timer, 0);
    env_timer_start(w.env, other.timer, env_now_us(w.env) + 5000);
    run_until(&w, &other.fired, 1);

    assert_true(eager.fired >= 1);
    env_timer_free(w.env, eager.timer);
    env_timer_free(w.env, other.timer);
    world_close(&w);
}

static void free_itself(void *owner)
{
    struct alarm *a = owner;

    a->fired++;
    env_timer_free(a->w->env, a->timer);
}

static void a_timer_may_free_itself_when_it_fires(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, &(struct env_uv_config){0});
    struct alarm a = alarm_new(&w);
    a.timer = env_timer_new(w.env, free_itself, &a);

    env_timer_start(w.env, a.timer, 0);
    run_until(&w, &a.fired, 1);

    world_close(&w);
}

static void timers_left_behind_do_not_fire_and_are_freed_with_the_env(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, &(struct env_uv_config){0});
    struct alarm a = alarm_new(&w);
    a.timer = env_timer_new(w.env, on_fire, &a);
    env_timer_new(w.env, on_fire, &a);

    env_timer_start(w.env, a.timer, 0);
    world_close(&w);

    assert_int_equal(a.fired, 0);
}

static void clocks_go_on_and_random_bytes_differ(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, &(struct env_uv_config){0});
    uint8_t a[300] = {0}, b[300] = {0};
    const uint64_t year_2020_ms = 1577836800000;

    uint64_t before = env_now_us(w.env);
    env_random(w.env, a, sizeof a);
    env_random(w.env, b, sizeof b);

    assert_true(env_now_us(w.env) >= before);
    assert_true(env_wall_ms(w.env) > year_2020_ms);
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_not_equal(a + 256, b + 256, 44);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_the_order_of_their_times),
        cmocka_unit_test(a_timer_never_fires_early),
        cmocka_unit_test(a_stopped_timer_does_not_fire),
        cmocka_unit_test(a_second_start_replaces_the_first),
        cmocka_unit_test(a_past_time_fires_soon_but_not_within_the_call),
        cmocka_unit_test(a_timer_that_starts_itself_in_the_past_does_not_starve_the_loop),
        cmocka_unit_test(a_timer_may_free_itself_when_it_fires),
        cmocka_unit_test(timers_left_behind_do_not_fire_and_are_freed_with_the_env),
        cmocka_unit_test(clocks_go_on_and_random_bytes_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
