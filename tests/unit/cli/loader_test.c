#include "node/cli/loader.h"

#include "node/cli/clock.h"
#include "tests/unit/cli/fake_node.h"
#include "tests/unit/test.h"

enum { TIMEOUT_MS = 3000, ATTEMPT_MS = 200, DEADLINE_MS = 4000 };

static const struct fake_step ok = {FAKE_ANSWER, 200, NULL, "{\"version\":1,\"index\":2}"};
static const struct fake_step sql_ok = {FAKE_ANSWER, 200, NULL, "{\"results\":[{\"rows_affected\":3}]}"};
static const struct fake_step no_leader = {FAKE_ANSWER, 503, NULL, "leader not found"};
static const struct fake_step sql_unknown = {
    FAKE_ANSWER, 200, NULL, "{\"results\":[],\"error\":\"leadership lost\",\"outcome\":\"unknown\"}"};
static const struct fake_step sql_error = {FAKE_ANSWER, 200, NULL,
                                           "{\"results\":[{\"error\":\"no such table: t\"}]}"};
static const struct fake_step bad = {FAKE_ANSWER, 400, NULL, "{\"error\":\"bad namespace\"}"};
static const struct fake_step closes = {FAKE_CLOSE, 0, NULL, NULL};
static const struct fake_step silent = {FAKE_SILENT, 0, NULL, NULL};
static const struct fake_step ends = {FAKE_ANSWER, 200, "Connection: close\r\n", "{}"};

static struct loader *open_loader(unsigned connections, unsigned depth, uint64_t timeout_ms, unsigned count,
                                  const char *const *urls)
{
    struct endpoints endpoints = {0};
    struct loader_config config = {.endpoints = &endpoints,
                                   .connections = connections,
                                   .depth = depth,
                                   .jobs = 1000,
                                   .timeout_ms = timeout_ms,
                                   .attempt_ms = ATTEMPT_MS};
    struct loader *l;
    struct error e;

    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(endpoints_add(&endpoints, urls[i], &e), 0);
    }
    assert_int_equal(loader_new(&config, &l, &e), 0);
    return l;
}

static void submit(struct loader *l, unsigned number, bool sql)
{
    struct loader_job *job = loader_take(l);

    assert_non_null(job);
    job->method = sql ? "POST" : "PUT";
    job->type = "text/plain";
    job->sql = sql;
    job->rows = 3;
    job->bytes = 10;
    buf_printf(&job->target, "/job/%u%c", number, 0);
    buf_printf(&job->body, "body of %u", number);
    loader_submit(l, job);
}

static int run(struct loader *l, struct error *e)
{
    uint64_t deadline = clock_ms() + DEADLINE_MS;
    int rv = 0;

    while (rv == 0 && !loader_is_done(l) && clock_ms() < deadline) {
        rv = loader_run(l, 10, e);
    }
    return rv;
}

static void assert_loaded(struct loader *l, unsigned jobs)
{
    struct error e = {.text = ""};

    assert_int_equal(run(l, &e), 0);
    assert_true(loader_is_done(l));
    assert_int_equal(loader_totals(l)->requests, jobs);
    assert_int_equal(loader_totals(l)->rows, jobs * 3);
    assert_int_equal(loader_totals(l)->bytes, jobs * 10);
}

/* How many of the node's requests are for job NUMBER. */
static unsigned times_asked(struct fake_node *node, unsigned number)
{
    char line[64];
    unsigned n = 0;

    snprintf(line, sizeof line, " /job/%u HTTP/1.1", number);
    for (unsigned i = 0; i < fake_node_requests(node); i++) {
        n += strstr(fake_node_request(node, i), line) != NULL;
    }
    return n;
}

static void everything_is_sent_once_and_acknowledged(void **state)
{
    struct fake_node *node = fake_node_new(&ok, 1);
    const char *url = fake_node_url(node);
    struct loader *l = open_loader(4, 8, TIMEOUT_MS, 1, &url);
    (void)state;

    for (unsigned i = 0; i < 500; i++) {
        submit(l, i, false);
    }

    assert_loaded(l, 500);
    assert_int_equal(fake_node_requests(node), 500);
    assert_int_equal(loader_totals(l)->retried, 0);
    for (unsigned i = 0; i < 500; i += 99) {
        assert_int_equal(times_asked(node, i), 1);
    }
    assert_string_equal(loader_answering(l), url);
    loader_free(l);
    fake_node_free(node);
}

static void no_job_is_left_when_all_are_taken(void **state)
{
    struct fake_node *node = fake_node_new(&ok, 1);
    const char *url = fake_node_url(node);
    struct loader *l = open_loader(1, 1, TIMEOUT_MS, 1, &url);
    (void)state;

    for (unsigned i = 0; i < 1000; i++) {
        submit(l, i, false);
    }
    assert_null(loader_take(l));

    assert_loaded(l, 1000);
    assert_non_null(loader_take(l));
    loader_free(l);
    fake_node_free(node);
}

static void what_was_refused_for_want_of_a_leader_is_sent_again(void **state)
{
    const struct fake_step steps[] = {ok, no_leader, no_leader, no_leader, ok};
    struct fake_node *node = fake_node_new(steps, 5);
    const char *url = fake_node_url(node);
    struct loader *l = open_loader(2, 2, TIMEOUT_MS, 1, &url);
    (void)state;

    for (unsigned i = 0; i < 20; i++) {
        submit(l, i, false);
    }

    assert_loaded(l, 20);
    assert_true(loader_totals(l)->retried >= 1);
    assert_int_equal(fake_node_requests(node), 23);
    loader_free(l);
    fake_node_free(node);
}

static void a_cluster_without_leader_is_not_flooded(void **state)
{
    struct fake_node *node = fake_node_new(&no_leader, 1);
    const char *url = fake_node_url(node);
    struct loader *l = open_loader(8, 8, 300, 1, &url);
    struct error e;
    (void)state;

    for (unsigned i = 0; i < 64; i++) {
        submit(l, i, false);
    }

    assert_int_equal(run(l, &e), Q_NO_LEADER);
    assert_non_null(strstr(e.text, "was not acknowledged"));
    /* All once, then one each 10 ms. */
    assert_true(fake_node_requests(node) <= 64 + 40);
    loader_free(l);
    fake_node_free(node);
}

static void a_lost_connection_loses_no_write(void **state)
{
    const struct fake_step steps[] = {ok, ok, closes, ok, closes, ok};
    struct fake_node *node = fake_node_new(steps, 6);
    const char *url = fake_node_url(node);
    struct loader *l = open_loader(3, 4, TIMEOUT_MS, 1, &url);
    (void)state;

    for (unsigned i = 0; i < 100; i++) {
        submit(l, i, false);
    }

    assert_loaded(l, 100);
    for (unsigned i = 0; i < 100; i++) {
        assert_true(times_asked(node, i) >= 1);
    }
    loader_free(l);
    fake_node_free(node);
}

static void an_answer_that_ends_the_connection_loses_no_write(void **state)
{
    struct fake_node *node = fake_node_new(&ends, 1);
    const char *url = fake_node_url(node);
    struct loader *l = open_loader(2, 4, TIMEOUT_MS, 1, &url);
    (void)state;

    for (unsigned i = 0; i < 20; i++) {
        submit(l, i, false);
    }

    assert_loaded(l, 20);
    loader_free(l);
    fake_node_free(node);
}

static void a_dead_node_is_left_for_another(void **state)
{
    struct fake_node *node = fake_node_new(&ok, 1);
    char nowhere[64];
    struct loader *l;
    (void)state;
    fake_node_nowhere(nowhere);
    l = open_loader(4, 2, TIMEOUT_MS, 2, (const char *[]){nowhere, fake_node_url(node)});

    for (unsigned i = 0; i < 50; i++) {
        submit(l, i, false);
    }

    assert_loaded(l, 50);
    assert_string_equal(loader_answering(l), fake_node_url(node));
    loader_free(l);
    fake_node_free(node);
}

static void a_node_that_answers_but_is_of_no_use_is_left_for_another(void **state)
{
    struct fake_node *useless = fake_node_new(&no_leader, 1), *node = fake_node_new(&ok, 1);
    struct loader *l =
        open_loader(1, 2, TIMEOUT_MS, 2, (const char *[]){fake_node_url(useless), fake_node_url(node)});
    (void)state;

    for (unsigned i = 0; i < 50; i++) {
        submit(l, i, false);
    }

    assert_loaded(l, 50);
    assert_int_equal(fake_node_requests(node), 50);
    loader_free(l);
    fake_node_free(useless);
    fake_node_free(node);
}

static void a_silent_node_is_left_for_another(void **state)
{
    struct fake_node *quiet = fake_node_new(&silent, 1), *node = fake_node_new(&ok, 1);
    struct loader *l =
        open_loader(2, 2, TIMEOUT_MS, 2, (const char *[]){fake_node_url(quiet), fake_node_url(node)});
    (void)state;

    for (unsigned i = 0; i < 10; i++) {
        submit(l, i, false);
    }

    assert_loaded(l, 10);
    assert_true(loader_totals(l)->retried >= 4);
    loader_free(l);
    fake_node_free(quiet);
    fake_node_free(node);
}

static void connections_go_where_they_are_sent(void **state)
{
    struct fake_node *first = fake_node_new(&ok, 1), *second = fake_node_new(&ok, 1);
    struct loader *l =
        open_loader(2, 2, TIMEOUT_MS, 2, (const char *[]){fake_node_url(first), fake_node_url(second)});
    (void)state;
    submit(l, 0, false);
    assert_loaded(l, 1);

    loader_prefer(l, fake_node_url(second));
    for (unsigned i = 1; i < 40; i++) {
        submit(l, i, false);
    }

    assert_loaded(l, 40);
    assert_int_equal(fake_node_requests(first), 1);
    assert_int_equal(fake_node_requests(second), 39);
    loader_free(l);
    fake_node_free(first);
    fake_node_free(second);
}

static void a_preferred_node_that_is_dead_is_left_again(void **state)
{
    struct fake_node *node = fake_node_new(&ok, 1);
    char nowhere[64];
    struct loader *l;
    (void)state;
    fake_node_nowhere(nowhere);
    l = open_loader(2, 2, TIMEOUT_MS, 2, (const char *[]){fake_node_url(node), nowhere});
    submit(l, 0, false);
    assert_loaded(l, 1);

    loader_prefer(l, nowhere);
    for (unsigned i = 1; i < 20; i++) {
        submit(l, i, false);
    }

    assert_loaded(l, 20);
    loader_free(l);
    fake_node_free(node);
}

static void a_preferred_node_of_no_use_is_left_again(void **state)
{
    struct fake_node *useless = fake_node_new(&no_leader, 1), *node = fake_node_new(&ok, 1);
    struct loader *l =
        open_loader(2, 2, TIMEOUT_MS, 2, (const char *[]){fake_node_url(node), fake_node_url(useless)});
    (void)state;

    loader_prefer(l, fake_node_url(useless));
    for (unsigned i = 0; i < 20; i++) {
        submit(l, i, false);
    }

    assert_loaded(l, 20);
    loader_free(l);
    fake_node_free(useless);
    fake_node_free(node);
}

static void a_request_of_sql_is_judged_by_its_results(void **state)
{
    const struct fake_step steps[] = {sql_unknown, sql_ok};
    struct fake_node *node = fake_node_new(steps, 2);
    const char *url = fake_node_url(node);
    struct loader *l = open_loader(1, 1, TIMEOUT_MS, 1, &url);
    (void)state;

    submit(l, 0, true);

    assert_loaded(l, 1);
    assert_int_equal(fake_node_requests(node), 2);
    loader_free(l);
    fake_node_free(node);
}

static void a_refusal_ends_the_load_with_the_nodes_words(void **state)
{
    static const struct {
        const struct fake_step *step;
        bool sql;
        enum error_code code;
        const char *text;
    } rows[] = {{&sql_error, true, Q_SQL, "no such table: t"},
                {&bad, false, Q_INVALID, "status 400: {\"error\":\"bad namespace\"}"},
                {&ok, true, Q_CORRUPT, "the answer is not one of /db/execute"}};
    (void)state;

    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fake_node *node = fake_node_new(rows[i].step, 1);
        const char *url = fake_node_url(node);
        struct loader *l = open_loader(1, 1, TIMEOUT_MS, 1, &url);
        struct error e;

        submit(l, 0, rows[i].sql);
        assert_int_equal(run(l, &e), rows[i].code);
        assert_string_equal(e.text, rows[i].text);
        assert_int_equal(loader_totals(l)->rows, 0);

        loader_free(l);
        fake_node_free(node);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_sent_once_and_acknowledged),
        cmocka_unit_test(no_job_is_left_when_all_are_taken),
        cmocka_unit_test(what_was_refused_for_want_of_a_leader_is_sent_again),
        cmocka_unit_test(a_cluster_without_leader_is_not_flooded),
        cmocka_unit_test(a_lost_connection_loses_no_write),
        cmocka_unit_test(an_answer_that_ends_the_connection_loses_no_write),
        cmocka_unit_test(a_dead_node_is_left_for_another),
        cmocka_unit_test(a_node_that_answers_but_is_of_no_use_is_left_for_another),
        cmocka_unit_test(a_silent_node_is_left_for_another),
        cmocka_unit_test(connections_go_where_they_are_sent),
        cmocka_unit_test(a_preferred_node_that_is_dead_is_left_again),
        cmocka_unit_test(a_preferred_node_of_no_use_is_left_again),
        cmocka_unit_test(a_request_of_sql_is_judged_by_its_results),
        cmocka_unit_test(a_refusal_ends_the_load_with_the_nodes_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
