#include "tests/lib/sim.h"
#include "tests/unit/test.h"

enum { SECOND = 1000000 };

struct ticker {
    struct env *env;
    struct env_timer *timer;
    uint64_t period_us, due_us;
    unsigned fired, early;
};

static void tick(void *owner)
{
    struct ticker *t = owner;
    uint64_t now_us = env_now_us(t->env);
    t->early += now_us < t->due_us;
    t->fired++;
    t->due_us = now_us + t->period_us;
    env_timer_start(t->env, t->timer, t->due_us);
}

static void ticker_start(struct ticker *t, struct env *env, uint64_t period_us)
{
    *t = (struct ticker){.env = env, .period_us = period_us};
    t->timer = env_timer_new(env, tick, t);
    t->due_us = env_now_us(env) + period_us;
    env_timer_start(env, t->timer, t->due_us);
}

/* A piece of work that writes its number where it was told, in run and in done. */
struct job {
    struct env_work work;
    unsigned number;
    unsigned *ran, *done; /* next free place in each list */
    unsigned *ran_list, *done_list;
};

static void job_run(struct env_work *work)
{
    struct job *job = CONTAINER_OF(work, struct job, work);
    job->ran_list[(*job->ran)++] = job->number;
}

static void job_done(struct env_work *work)
{
    struct job *job = CONTAINER_OF(work, struct job, work);
    job->done_list[(*job->done)++] = job->number;
}

enum { JOBS = 50 };

struct jobs {
    struct job job[JOBS];
    unsigned ran, done, ran_list[JOBS], done_list[JOBS];
};

static void jobs_run(struct jobs *jobs, struct env *env, enum env_lane lane)
{
    memset(jobs, 0, sizeof *jobs);
    for (unsigned i = 0; i < JOBS; i++) {
        struct job *job = &jobs->job[i];
        job->work.run = job_run;
        job->work.done = job_done;
        job->work.lane = lane;
        job->number = i;
        job->ran = &jobs->ran;
        job->done = &jobs->done;
        job->ran_list = jobs->ran_list;
        job->done_list = jobs->done_list;
        env_run(env, &job->work);
    }
}

static unsigned out_of_order(const unsigned *list, unsigned n)
{
    unsigned count = 0;
    for (unsigned i = 1; i < n; i++) {
        count += list[i] < list[i - 1];
    }
    return count;
}

static void a_timer_fires_at_its_time_and_not_before(void **state)
{
    (void)state;
    struct sim *sim = sim_new(1);
    struct env *env = sim_node_boot(sim_node_new(sim, "n1"));
    struct ticker t;

    ticker_start(&t, env, 10000);
    sim_run_until(sim, 9999);
    assert_int_equal(t.fired, 0);
    sim_run_until(sim, 1 * SECOND);

    assert_in_range(t.fired, 98, 100);
    assert_int_equal(t.early, 0);
    assert_int_equal(sim_now_us(sim), 1 * SECOND);
    env_timer_free(env, t.timer);
    sim_free(sim);
}

static void a_stopped_timer_does_not_fire_and_a_second_start_replaces_the_first(void **state)
{
    (void)state;
    struct sim *sim = sim_new(1);
    struct env *env = sim_node_boot(sim_node_new(sim, "n1"));
    struct ticker stopped, moved;
    ticker_start(&stopped, env, 1000);
    ticker_start(&moved, env, 1000);

    env_timer_stop(env, stopped.timer);
    env_timer_start(env, moved.timer, env_now_us(env) + 5000);
    sim_run_until(sim, 4999);

    assert_int_equal(stopped.fired, 0);
    assert_int_equal(moved.fired, 0);
    sim_run_until(sim, 5200);
    assert_int_equal(moved.fired, 1);
    env_timer_free(env, stopped.timer);
    env_timer_free(env, moved.timer);
    sim_free(sim);
}

static void a_timer_in_the_past_fires_soon_but_not_inside_the_call(void **state)
{
    (void)state;
    struct sim *sim = sim_new(1);
    struct env *env = sim_node_boot(sim_node_new(sim, "n1"));
    struct ticker t;
    ticker_start(&t, env, 1 * SECOND);

    env_timer_start(env, t.timer, 0);
    assert_int_equal(t.fired, 0);
    sim_run_until(sim, 1000);

    assert_int_equal(t.fired, 1);
    env_timer_free(env, t.timer);
    sim_free(sim);
}

static void apply_and_worker_run_in_order_and_never_inside_the_call(void **state)
{
    (void)state;
    const enum env_lane lanes[] = {ENV_APPLY, ENV_WORKER};
    for (unsigned i = 0; i < 2; i++) {
        struct sim *sim = sim_new(i);
        struct env *env = sim_node_boot(sim_node_new(sim, "n1"));
        struct jobs jobs;

        jobs_run(&jobs, env, lanes[i]);
        assert_int_equal(jobs.ran, 0);
        sim_run_until(sim, 1 * SECOND);

        assert_int_equal(jobs.done, JOBS);
        assert_int_equal(out_of_order(jobs.ran_list, JOBS), 0);
        assert_int_equal(out_of_order(jobs.done_list, JOBS), 0);
        sim_free(sim);
    }
}

static void readers_run_in_any_order(void **state)
{
    (void)state;
    struct sim *sim = sim_new(1);
    struct env *env = sim_node_boot(sim_node_new(sim, "n1"));
    struct jobs jobs;

    jobs_run(&jobs, env, ENV_READER);
    sim_run_until(sim, 1 * SECOND);

    assert_int_equal(jobs.done, JOBS);
    assert_true(out_of_order(jobs.ran_list, JOBS) > 0);
    sim_free(sim);
}

static void a_paused_node_notices_everything_later_and_in_order(void **state)
{
    (void)state;
    struct sim *sim = sim_new(1);
    struct sim_node *node = sim_node_new(sim, "n1");
    struct env *env = sim_node_boot(node);
    struct ticker t;
    struct jobs jobs;
    ticker_start(&t, env, 10000);
    jobs_run(&jobs, env, ENV_APPLY);

    sim_node_pause(node);
    sim_run_until(sim, 5 * SECOND);
    assert_int_equal(t.fired, 0);
    assert_int_equal(jobs.ran, 0);

    sim_node_resume(node);
    sim_run_until(sim, 5 * SECOND + 5000);
    assert_int_equal(t.fired, 1);
    sim_run_until(sim, 6 * SECOND);
    assert_int_equal(jobs.done, JOBS);
    assert_int_equal(out_of_order(jobs.done_list, JOBS), 0);
    env_timer_free(env, t.timer);
    sim_free(sim);
}

static void after_a_crash_nothing_calls_back_and_every_free_still_works(void **state)
{
    (void)state;
    struct sim *sim = sim_new(1);
    struct sim_node *node = sim_node_new(sim, "n1");
    struct env *env = sim_node_boot(node);
    struct env_file *file, *lock;
    struct ticker t;
    struct jobs jobs;
    uint64_t size = 7;
    struct error e;
    ticker_start(&t, env, 1000);
    jobs_run(&jobs, env, ENV_APPLY);
    assert_int_equal(env_open(env, "/f", ENV_CREATE | ENV_WRITE, &file, NULL), 0);
    assert_int_equal(env_lock(env, "/lock", &lock, NULL), 0);

    sim_node_crash(node);
    env_timer_start(env, t.timer, 0);
    env_run(env, &jobs.job[0].work);
    sim_run_until(sim, 1 * SECOND);

    assert_null(sim_node_env(node));
    assert_int_equal(t.fired, 0);
    assert_int_equal(jobs.ran, 0);
    assert_int_equal(env_size(env, file, &size, &e), Q_CLOSED);
    assert_int_equal(env_write(env, file, 0, "x", 1, &e), Q_CLOSED);
    assert_int_equal(env_open(env, "/f", 0, &file, &e), Q_CLOSED);
    assert_int_equal(size, 7);
    env_timer_stop(env, t.timer);
    env_timer_free(env, t.timer);
    env_close(env, file);
    env_close(env, lock);

    struct env *again = sim_node_boot(node);
    assert_ptr_not_equal(again, env);
    assert_int_equal(env_lock(again, "/lock", &lock, &e), 0);
    env_close(again, lock);
    sim_free(sim);
}

static void crash_this_node(struct env_work *work)
{
    struct job *job = CONTAINER_OF(work, struct job, work);
    job_run(work);
    sim_node_crash((struct sim_node *)(void *)job->done_list);
}

static void a_node_may_crash_in_the_middle_of_its_own_work(void **state)
{
    (void)state;
    struct sim *sim = sim_new(1);
    struct sim_node *node = sim_node_new(sim, "n1");
    struct env *env = sim_node_boot(node);
    struct jobs jobs;
    jobs_run(&jobs, env, ENV_APPLY);
    jobs.job[3].work.run = crash_this_node;
    jobs.job[3].done_list = (unsigned *)(void *)node;

    sim_run_until(sim, 1 * SECOND);

    assert_null(sim_node_env(node));
    assert_int_equal(jobs.ran, 4);
    assert_true(jobs.done <= 3);
    sim_free(sim);
}

static void the_wall_clock_jumps_and_the_monotonic_clock_does_not(void **state)
{
    (void)state;
    struct sim *sim = sim_new(1);
    struct sim_node *node = sim_node_new(sim, "n1");
    struct env *env = sim_node_boot(node);
    uint64_t wall_ms = env_wall_ms(env), now_us = env_now_us(env);

    sim_node_wall_jump(node, -3600000);
    sim_run_until(sim, 2 * SECOND);

    assert_true(env_wall_ms(env) == wall_ms - 3600000 + 2000);
    assert_true(env_now_us(env) == now_us + 2 * SECOND);
    sim_free(sim);
}

static bool below_three(void *ctx)
{
    return ((struct ticker *)ctx)->fired < 3;
}

static void running_while_a_condition_holds_ends_with_it_or_with_the_deadline(void **state)
{
    (void)state;
    struct sim *sim = sim_new(1);
    struct env *env = sim_node_boot(sim_node_new(sim, "n1"));
    struct ticker t;
    ticker_start(&t, env, 1 * SECOND);

    assert_false(sim_run_while(sim, below_three, &t, 2 * SECOND));
    assert_int_equal(sim_now_us(sim), 2 * SECOND);
    assert_true(sim_run_while(sim, below_three, &t, 20 * SECOND));
    assert_int_equal(t.fired, 3);
    assert_true(sim_now_us(sim) < 4 * SECOND);

    env_timer_free(env, t.timer);
    sim_free(sim);
}

static void bump(void *ctx)
{
    ++*(unsigned *)ctx;
}

static void a_call_comes_once_at_its_time(void **state)
{
    (void)state;
    struct sim *sim = sim_new(1);
    unsigned calls = 0;
    sim_call(sim, 1000, bump, &calls);
    sim_call(sim, 2000, bump, &calls);
    sim_call(sim, 9000, bump, &calls);

    sim_run_until(sim, 999);
    assert_int_equal(calls, 0);
    sim_run_until(sim, 1000);
    assert_int_equal(calls, 1);
    sim_run_until(sim, 3000);
    assert_int_equal(calls, 2);
    sim_free(sim);
}

static uint64_t busy_second(uint64_t seed)
{
    struct sim *sim = sim_new(seed);
    struct sim_node *nodes[3];
    struct env *envs[3];
    struct ticker tickers[3];
    struct jobs jobs[3];
    for (unsigned i = 0; i < 3; i++) {
        struct env_file *file;
        uint8_t bytes[100];
        nodes[i] = sim_node_new(sim, "n");
        envs[i] = sim_node_boot(nodes[i]);
        ticker_start(&tickers[i], envs[i], 10000);
        jobs_run(&jobs[i], envs[i], ENV_READER);
        env_random(envs[i], bytes, sizeof bytes);
        assert_int_equal(env_open(envs[i], "/f", ENV_CREATE | ENV_WRITE, &file, NULL), 0);
        assert_int_equal(env_write(envs[i], file, 0, bytes, sizeof bytes, NULL), 0);
        env_close(envs[i], file);
    }
    sim_run_until(sim, 1 * SECOND);
    sim_node_crash(nodes[0]);
    uint64_t hash = sim_hash(sim);
    for (unsigned i = 0; i < 3; i++) {
        env_timer_free(envs[i], tickers[i].timer);
    }
    sim_free(sim);
    return hash;
}

static void the_same_seed_gives_the_same_hash_and_another_seed_another(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        assert_true(busy_second(seed) == busy_second(seed));
        assert_true(busy_second(seed) != busy_second(seed + 1));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_timer_fires_at_its_time_and_not_before),
        cmocka_unit_test(a_stopped_timer_does_not_fire_and_a_second_start_replaces_the_first),
        cmocka_unit_test(a_timer_in_the_past_fires_soon_but_not_inside_the_call),
        cmocka_unit_test(apply_and_worker_run_in_order_and_never_inside_the_call),
        cmocka_unit_test(readers_run_in_any_order),
        cmocka_unit_test(a_paused_node_notices_everything_later_and_in_order),
        cmocka_unit_test(after_a_crash_nothing_calls_back_and_every_free_still_works),
        cmocka_unit_test(a_node_may_crash_in_the_middle_of_its_own_work),
        cmocka_unit_test(the_wall_clock_jumps_and_the_monotonic_clock_does_not),
        cmocka_unit_test(running_while_a_condition_holds_ends_with_it_or_with_the_deadline),
        cmocka_unit_test(a_call_comes_once_at_its_time),
        cmocka_unit_test(the_same_seed_gives_the_same_hash_and_another_seed_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
