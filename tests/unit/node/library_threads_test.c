/* Many threads that call one node at once, also while it stops. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <time.h>

#include "tests/unit/node/embedded.h"

enum { THREADS = 4, DEADLINE_S = 20 };

static int set_up(void **state)
{
    static struct embedded n;
    embedded_open(&n);
    *state = &n;
    return 0;
}

static int tear_down(void **state)
{
    embedded_close(*state);
    return 0;
}

struct worker {
    pthread_t thread;
    struct embedded *n;
    atomic_int tid;   /* while it is in a call; 0 before */
    atomic_bool over; /* its call has ended */
    unsigned number, done;
    int rv;
    struct quorate_error e;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    struct quorate *node = w->n->node;
    struct quorate_value value = {.type = QUORATE_INTEGER, .integer = (int64_t)w->number};
    struct quorate_result *result;
    uint64_t version = 0;

    for (unsigned i = 0; i < 30 && w->rv == 0; i++) {
        w->rv = quorate_execute(node, "INSERT INTO t VALUES (?)", &value, 1, NULL, &w->e);
        if (w->rv != 0) {
            break;
        }
        w->rv = quorate_query(node, i % 2 ? QUORATE_LINEARIZABLE : QUORATE_STRONG,
                              "SELECT count(*) FROM t WHERE x = ?", &value, 1, &result, &w->e);
        if (w->rv != 0) {
            break;
        }
        if (quorate_result_value(result, 0, 0).integer != (int64_t)i + 1) {
            w->rv = -1; /* it does not see its own writes */
        }
        quorate_result_free(result);
        do { /* a counter that all share, by compare and set */
            char text[32];
            void *bytes;
            size_t len;
            if (quorate_kv_get(node, QUORATE_LINEARIZABLE, "ns", "n", 1, &bytes, &len, &version, &w->e) !=
                0) {
                w->rv = -2;
                break;
            }
            snprintf(text, sizeof text, "%.*s", (int)len, (const char *)bytes);
            free(bytes);
            snprintf(text, sizeof text, "%ld", strtol(text, NULL, 10) + 1);
            w->rv = quorate_kv_put(node, "ns", "n", 1, text, strlen(text), version, NULL, &w->e);
        } while (w->rv == QUORATE_CONFLICT);
        w->done++;
    }
    return NULL;
}

static void start_workers(struct embedded *n, struct worker workers[THREADS], void *(*run)(void *))
{
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.n = n, .number = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, run, &workers[i]), 0);
    }
}

static void join_workers(struct worker workers[THREADS])
{
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += DEADLINE_S;
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_timedjoin_np(workers[i].thread, NULL, &deadline), 0);
    }
}

static void many_threads_may_call_at_once(void **state)
{
    struct embedded *n = *state;
    struct worker workers[THREADS];
    void *bytes;
    size_t len;

    embedded_start(n);
    embedded_execute(n, "CREATE TABLE t (x)");
    assert_int_equal(quorate_kv_put(n->node, "ns", "n", 1, "0", 1, QUORATE_ANY_VERSION, NULL, &n->e), 0);
    start_workers(n, workers, work);
    join_workers(workers);

    for (unsigned i = 0; i < THREADS; i++) {
        if (workers[i].rv != 0) {
            fail_msg("worker %u: %d %s", i, workers[i].rv, workers[i].e.text);
        }
    }
    assert_int_equal(embedded_number(n, "SELECT count(*) FROM t"), THREADS * 30);
    assert_int_equal(quorate_kv_get(n->node, QUORATE_NONE, "ns", "n", 1, &bytes, &len, NULL, &n->e), 0);
    assert_int_equal(len, 3);
    assert_memory_equal(bytes, "120", 3);
    free(bytes);
}

/* Whether the thread sleeps: in its call, since it announced it, there is nothing else to wait for. */
static bool sleeps(int tid)
{
    char path[64], line[512] = "";
    const char *state;
    FILE *f;

    snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
    f = fopen(path, "r");
    if (f == NULL || fgets(line, sizeof line, f) == NULL) {
        line[0] = 0;
    }
    if (f != NULL) {
        fclose(f);
    }
    state = strrchr(line, ')');
    return state != NULL && state[2] == 'S';
}

static void wait_until_in_their_calls(struct worker workers[THREADS])
{
    struct timespec from, now;
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (unsigned i = 0; i < THREADS; i++) {
        int tid;
        do {
            clock_gettime(CLOCK_MONOTONIC, &now);
            assert_true(now.tv_sec - from.tv_sec < DEADLINE_S);
            sched_yield();
            tid = atomic_load(&workers[i].tid);
        } while (!atomic_load(&workers[i].over) && (tid == 0 || !sleeps(tid)));
    }
}

static void announce(struct worker *w)
{
    atomic_store(&w->tid, (int)syscall(SYS_gettid));
}

static void *wait_ready(void *arg)
{
    struct worker *w = arg;
    announce(w);
    w->rv = quorate_wait_ready(w->n->node, UINT64_MAX, &w->e);
    atomic_store(&w->over, true);
    return NULL;
}

static void a_stop_ends_those_who_wait_for_a_leader(void **state)
{
    struct embedded *n = *state;
    struct worker workers[THREADS];

    embedded_start_alone(n);
    start_workers(n, workers, wait_ready);
    wait_until_in_their_calls(workers);
    embedded_stop(n);
    join_workers(workers);

    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(workers[i].rv, QUORATE_CLOSED);
        assert_string_equal(workers[i].e.text, "this node is stopping");
    }
}

static void *query_slowly(void *arg)
{
    struct worker *w = arg;
    struct quorate_result *result;
    announce(w);
    w->rv = quorate_query(w->n->node, w->number % 2 ? QUORATE_NONE : QUORATE_LINEARIZABLE,
                          "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 200000) "
                          "SELECT count(*) FROM c",
                          NULL, 0, &result, &w->e);
    if (w->rv == 0) {
        w->done = (unsigned)quorate_result_value(result, 0, 0).integer;
        quorate_result_free(result);
    }
    atomic_store(&w->over, true);
    return NULL;
}

static void a_stop_waits_for_readers_that_are_at_work(void **state)
{
    struct embedded *n = *state;
    struct worker workers[THREADS];

    embedded_start(n);
    start_workers(n, workers, query_slowly);
    wait_until_in_their_calls(workers);
    embedded_stop(n);
    join_workers(workers);

    for (unsigned i = 0; i < THREADS; i++) {
        assert_true(workers[i].rv == 0 || workers[i].rv == QUORATE_CLOSED);
        assert_int_equal(workers[i].done, workers[i].rv == 0 ? 200000 : 0);
    }
}

static void *write_slowly(void *arg)
{
    struct worker *w = arg;
    announce(w);
    w->rv = quorate_execute(w->n->node,
                            "INSERT INTO t WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c "
                            "LIMIT 3000) SELECT x FROM c",
                            NULL, 0, NULL, &w->e);
    atomic_store(&w->over, true);
    return NULL;
}

static void a_stop_loses_no_write_that_was_acknowledged(void **state)
{
    struct embedded *n = *state;
    struct worker workers[THREADS];
    int64_t acknowledged = 0, rows;

    embedded_start(n);
    embedded_execute(n, "CREATE TABLE t (x)");
    start_workers(n, workers, write_slowly);
    wait_until_in_their_calls(workers);
    embedded_stop(n);
    join_workers(workers);

    for (unsigned i = 0; i < THREADS; i++) {
        acknowledged += workers[i].rv == 0 ? 3000 : 0;
        assert_true(workers[i].rv == 0 || workers[i].rv == QUORATE_CLOSED ||
                    workers[i].rv == QUORATE_UNKNOWN);
    }
    embedded_start(n);
    rows = embedded_number(n, "SELECT count(*) FROM t");
    assert_in_range(rows, acknowledged, THREADS * 3000);
    assert_int_equal(rows % 3000, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(many_threads_may_call_at_once),
        TEST(a_stop_ends_those_who_wait_for_a_leader),
        TEST(a_stop_waits_for_readers_that_are_at_work),
        TEST(a_stop_loses_no_write_that_was_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
