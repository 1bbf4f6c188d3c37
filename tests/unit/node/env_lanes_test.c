#include "tests/unit/node/world.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <time.h>

#include "base/object.h"

struct job {
    struct env_work work;
    struct world *w;
    unsigned *done;
    unsigned number;
    unsigned *ran; /* counts on the lane; one thread only */
    unsigned ran_as, done_as;
    bool elsewhere, signals_blocked;
    pthread_t loop_thread;
};

static void run_job(struct env_work *work)
{
    struct job *j = CONTAINER_OF(work, struct job, work);
    sigset_t mask;

    j->elsewhere = !pthread_equal(pthread_self(), j->loop_thread);
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    j->signals_blocked = sigismember(&mask, SIGTERM) == 1;
    if (j->ran != NULL) {
        j->ran_as = (*j->ran)++;
    }
}

static void on_job_done(struct env_work *work)
{
    struct job *j = CONTAINER_OF(work, struct job, work);

    assert_true(pthread_equal(pthread_self(), j->loop_thread));
    j->done_as = (*j->done)++;
}

static struct job job_of(struct world *w, enum env_lane lane, unsigned *done)
{
    return (struct job){.work = {.run = run_job, .done = on_job_done, .lane = lane},
                        .w = w,
                        .done = done,
                        .loop_thread = pthread_self()};
}

static void work_runs_on_another_thread_and_is_done_on_the_loop(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, &(struct env_uv_config){0});
    struct job jobs[ENV_LANES];
    unsigned done = 0;

    for (unsigned i = 0; i < ENV_LANES; i++) {
        jobs[i] = job_of(&w, (enum env_lane)i, &done);
        env_run(w.env, &jobs[i].work);
    }
    assert_int_equal(done, 0);
    run_until(&w, &done, ENV_LANES);

    for (unsigned i = 0; i < ENV_LANES; i++) {
        assert_true(jobs[i].elsewhere);
        assert_true(jobs[i].signals_blocked);
    }
    world_close(&w);
}

static void check_order(enum env_lane lane)
{
    enum { JOBS = 1000 };
    static struct job jobs[JOBS];
    struct world w;
    world_open(&w, &(struct env_uv_config){0});
    unsigned done = 0, ran = 0;

    for (unsigned i = 0; i < JOBS; i++) {
        jobs[i] = job_of(&w, lane, &done);
        jobs[i].ran = &ran;
        env_run(w.env, &jobs[i].work);
    }
    run_until(&w, &done, JOBS);

    for (unsigned i = 0; i < JOBS; i++) {
        assert_int_equal(jobs[i].ran_as, i);
        assert_int_equal(jobs[i].done_as, i);
    }
    world_close(&w);
}

static void the_apply_lane_runs_and_tells_in_order(void **state)
{
    (void)state;
    check_order(ENV_APPLY);
}

static void the_worker_lane_runs_and_tells_in_order(void **state)
{
    (void)state;
    check_order(ENV_WORKER);
}

struct meeting {
    struct env_work work;
    sem_t *mine, *other;
    bool met;
    unsigned *done;
};

static void meet(struct env_work *work)
{
    struct meeting *m = CONTAINER_OF(work, struct meeting, work);
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    sem_post(m->mine);
    m->met = sem_timedwait(m->other, &until) == 0;
}

static void on_met(struct env_work *work)
{
    (*CONTAINER_OF(work, struct meeting, work)->done)++;
}

static void readers_run_side_by_side(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, &(struct env_uv_config){.readers = 2});
    sem_t a, b;
    unsigned done = 0;
    sem_init(&a, 0, 0);
    sem_init(&b, 0, 0);
    struct meeting one = {.work = {.run = meet, .done = on_met, .lane = ENV_READER}, .done = &done};
    struct meeting two = one;
    one.mine = two.other = &a;
    one.other = two.mine = &b;

    env_run(w.env, &one.work);
    env_run(w.env, &two.work);
    run_until(&w, &done, 2);

    assert_true(one.met);
    assert_true(two.met);
    sem_destroy(&a);
    sem_destroy(&b);
    world_close(&w);
}

struct last {
    struct job job;
    sem_t ran;
};

static void run_last(struct env_work *work)
{
    struct job *j = CONTAINER_OF(work, struct job, work);

    run_job(work);
    sem_post(&CONTAINER_OF(j, struct last, job)->ran);
}

static void ten_thousand_finished_works_come_back_in_one_wake_up(void **state)
{
    (void)state;
    enum { JOBS = 10000 };
    static struct job jobs[JOBS];
    struct last last;
    struct world w;
    world_open(&w, &(struct env_uv_config){0});
    unsigned done = 0;
    sem_init(&last.ran, 0, 0);
    last.job = job_of(&w, ENV_APPLY, &done);
    last.job.work.run = run_last;

    for (unsigned i = 0; i < JOBS; i++) {
        jobs[i] = job_of(&w, ENV_APPLY, &done);
        env_run(w.env, &jobs[i].work);
    }
    env_run(w.env, &last.job.work);
    while (sem_wait(&last.ran) != 0) {
    }
    uv_run(&w.loop, UV_RUN_ONCE);

    assert_true(done >= JOBS);
    run_until(&w, &done, JOBS + 1);
    sem_destroy(&last.ran);
    world_close(&w);
}

struct chain {
    struct env_work work;
    struct world *w;
    unsigned left, done;
};

static void run_link(struct env_work *work)
{
    CONTAINER_OF(work, struct chain, work)->left--;
}

static void on_link_done(struct env_work *work)
{
    struct chain *c = CONTAINER_OF(work, struct chain, work);

    assert_int_equal(c->w->closed, 0);
    c->done++;
    if (c->left > 0) {
        c->work.lane = c->left % ENV_LANES;
        env_run(c->w->env, &c->work);
    }
}

static void done_may_give_the_same_work_to_another_lane(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, &(struct env_uv_config){0});
    struct chain c = {.work = {.run = run_link, .done = on_link_done}, .w = &w, .left = 100};

    env_run(w.env, &c.work);
    run_until(&w, &c.done, 100);

    world_close(&w);
}

static void the_end_waits_for_work_and_for_what_its_done_starts(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, &(struct env_uv_config){0});
    struct chain c = {.work = {.run = run_link, .done = on_link_done}, .w = &w, .left = 50};
    static struct job jobs[100];
    unsigned done = 0;

    for (unsigned i = 0; i < 100; i++) {
        jobs[i] = job_of(&w, (enum env_lane)(i % ENV_LANES), &done);
        env_run(w.env, &jobs[i].work);
    }
    env_run(w.env, &c.work);
    world_close(&w);

    assert_int_equal(done, 100);
    assert_int_equal(c.done, 50);
}

static void close_now(struct env_work *work)
{
    struct chain *c = CONTAINER_OF(work, struct chain, work);

    c->done++;
    world_end(c->w);
}

static void the_last_done_may_end_the_env(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, &(struct env_uv_config){0});
    struct chain c = {.work = {.run = run_link, .done = close_now}, .w = &w, .left = 1};

    env_run(w.env, &c.work);
    run_until(&w, &w.closed, 1);

    assert_int_equal(c.done, 1);
    world_close(&w);
}

static void a_count_of_readers_out_of_range_is_refused(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct env_uv *u = NULL;
    struct error e;
    uv_loop_init(&loop);

    struct env_uv_config config = {.loop = &loop, .readers = 0};
    assert_int_equal(env_uv_new(&config, &u, &e), Q_INVALID);
    config.readers = ENV_UV_READERS_MAX + 1;
    assert_int_equal(env_uv_new(&config, &u, &e), Q_INVALID);

    assert_string_equal(e.text, "there must be 1 to 16 readers, not 17");
    assert_null(u);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void a_thread_that_cannot_be_had_is_an_error_that_leaves_nothing(void **state)
{
    (void)state;
    const size_t huge = (size_t)1 << 46;
    pthread_attr_t attr;
    size_t was;
    uv_loop_t loop;
    struct env_uv *u = NULL;
    struct error e;
    uv_loop_init(&loop);
    pthread_getattr_default_np(&attr);
    pthread_attr_getstacksize(&attr, &was);

    pthread_attr_setstacksize(&attr, huge);
    assert_int_equal(pthread_setattr_default_np(&attr), 0);
    int rc = env_uv_new(&(struct env_uv_config){.loop = &loop, .readers = 1}, &u, &e);
    pthread_attr_setstacksize(&attr, was);
    assert_int_equal(pthread_setattr_default_np(&attr), 0);
    pthread_attr_destroy(&attr);

    assert_true(rc == Q_IO || rc == Q_NOMEM);
    assert_non_null(strstr(e.text, "cannot start a thread for quorate-apply"));
    assert_null(u);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void own_handler(int signal_number)
{
    (void)signal_number;
}

static void deadly_signals_are_ignored_unless_the_process_has_handlers(void **state)
{
    (void)state;
    struct world w;
    struct sigaction now;
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, own_handler);

    world_open(&w, &(struct env_uv_config){0});

    sigaction(SIGPIPE, NULL, &now);
    assert_true(now.sa_handler == SIG_IGN);
    sigaction(SIGXFSZ, NULL, &now);
    assert_true(now.sa_handler == own_handler);
    signal(SIGXFSZ, SIG_DFL);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_runs_on_another_thread_and_is_done_on_the_loop),
        cmocka_unit_test(the_apply_lane_runs_and_tells_in_order),
        cmocka_unit_test(the_worker_lane_runs_and_tells_in_order),
        cmocka_unit_test(readers_run_side_by_side),
        cmocka_unit_test(ten_thousand_finished_works_come_back_in_one_wake_up),
        cmocka_unit_test(done_may_give_the_same_work_to_another_lane),
        cmocka_unit_test(the_end_waits_for_work_and_for_what_its_done_starts),
        cmocka_unit_test(the_last_done_may_end_the_env),
        cmocka_unit_test(a_count_of_readers_out_of_range_is_refused),
        cmocka_unit_test(deadly_signals_are_ignored_unless_the_process_has_handlers),
        cmocka_unit_test(a_thread_that_cannot_be_had_is_an_error_that_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
