/* The way into the loop from other threads. */
#include "node/door.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/object.h"
#include "tests/unit/test.h"

enum { THREADS = 4, VISITS = 2000 };

struct guest {
    struct door_visit visit;
    struct scene *scene;
    unsigned entered;
    struct guest *brings; /* pushed while this one enters */
    bool closes;          /* the door, while it enters */
};

struct scene {
    uv_loop_t loop;
    struct door door;
    pthread_t home; /* the loop's thread */
    unsigned entered;
    bool closed;
    struct guest guests[THREADS][VISITS];
    atomic_uint pushed, refused;
};

static void on_enter(struct door_visit *visit)
{
    struct guest *guest = CONTAINER_OF(visit, struct guest, visit);
    struct scene *s = guest->scene;

    assert_true(pthread_equal(pthread_self(), s->home));
    guest->entered++;
    s->entered++;
    if (guest->brings != NULL) {
        assert_int_equal(door_push(&s->door, &guest->brings->visit), !s->closed);
    }
    if (guest->closes) {
        s->closed = true;
        door_close(&s->door);
    }
}

static int set_up(void **state)
{
    struct scene *s = calloc(1, sizeof *s);
    struct error e;

    assert_int_equal(uv_loop_init(&s->loop), 0);
    assert_int_equal(door_open(&s->door, &s->loop, &e), 0);
    s->home = pthread_self();
    for (unsigned i = 0; i < THREADS; i++) {
        for (unsigned j = 0; j < VISITS; j++) {
            s->guests[i][j].visit.enter = on_enter;
            s->guests[i][j].scene = s;
        }
    }
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;
    if (!s->closed) {
        door_close(&s->door);
    }
    uv_run(&s->loop, UV_RUN_DEFAULT);
    door_destroy(&s->door);
    assert_int_equal(uv_loop_close(&s->loop), 0);
    free(s);
    return 0;
}

/* Pushes a thread's guests until the door is closed. */
static void *push_all(void *arg)
{
    struct guest *guests = arg;
    struct scene *s = guests->scene;
    for (unsigned i = 0; i < VISITS; i++) {
        if (door_push(&s->door, &guests[i].visit)) {
            atomic_fetch_add(&s->pushed, 1);
        } else {
            atomic_fetch_add(&s->refused, 1);
        }
    }
    return NULL;
}

static void start_threads(struct scene *s, pthread_t threads[THREADS])
{
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, push_all, s->guests[i]), 0);
    }
}

static void join_threads(pthread_t threads[THREADS])
{
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void expect_each_once(const struct scene *s)
{
    unsigned entered = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        for (unsigned j = 0; j < VISITS; j++) {
            assert_in_range(s->guests[i][j].entered, 0, 1);
            entered += s->guests[i][j].entered;
        }
    }
    assert_int_equal(entered, s->entered);
}

static void everybody_enters_once_on_the_loop(void **state)
{
    struct scene *s = *state;
    pthread_t threads[THREADS];

    start_threads(s, threads);
    while (s->entered < THREADS * VISITS) {
        uv_run(&s->loop, UV_RUN_ONCE);
    }
    join_threads(threads);

    expect_each_once(s);
    assert_int_equal(s->entered, THREADS * VISITS);
    assert_int_equal(s->refused, 0);
}

static void visits_of_one_thread_enter_in_order(void **state)
{
    struct scene *s = *state;

    for (unsigned i = 0; i < 10; i++) {
        assert_true(door_push(&s->door, &s->guests[0][i].visit));
    }
    assert_int_equal(s->entered, 0); /* never inside door_push() */
    s->guests[0][4].closes = true;
    uv_run(&s->loop, UV_RUN_ONCE);
    assert_int_equal(s->entered,
                     10); /* who came before the door was closed enters, also behind who closed it */
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(s->guests[0][i].entered, 1);
    }
}

static void a_closed_door_lets_nobody_in(void **state)
{
    struct scene *s = *state;

    door_push(&s->door, &s->guests[0][0].visit);
    s->closed = true;
    door_close(&s->door);
    assert_int_equal(s->entered, 1); /* it came before */
    assert_false(door_push(&s->door, &s->guests[0][1].visit));
    uv_run(&s->loop, UV_RUN_DEFAULT);
    assert_int_equal(s->guests[0][1].entered, 0);
}

static void who_enters_may_bring_others(void **state)
{
    struct scene *s = *state;

    s->guests[0][0].brings = &s->guests[0][1];
    s->guests[0][1].brings = &s->guests[0][2];
    door_push(&s->door, &s->guests[0][0].visit);
    while (s->entered < 3) {
        uv_run(&s->loop, UV_RUN_ONCE);
    }
    expect_each_once(s);
}

static void whoever_was_told_true_enters_although_the_door_is_closing(void **state)
{
    struct scene *s = *state;
    pthread_t threads[THREADS];

    s->guests[0][VISITS / 2].closes = true;
    start_threads(s, threads);
    while (!s->closed) {
        uv_run(&s->loop, UV_RUN_ONCE);
    }
    uv_run(&s->loop, UV_RUN_DEFAULT);
    join_threads(threads);

    expect_each_once(s);
    assert_int_equal(s->entered, s->pushed);
    assert_int_equal(s->pushed + s->refused, THREADS * VISITS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(everybody_enters_once_on_the_loop),
        TEST(visits_of_one_thread_enter_in_order),
        TEST(a_closed_door_lets_nobody_in),
        TEST(who_enters_may_bring_others),
        TEST(whoever_was_told_true_enters_although_the_door_is_closing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
