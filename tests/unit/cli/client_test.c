#include "node/cli/client.h"
#include "tests/unit/cli/fake_node.h"
#include "tests/unit/test.h"

enum { TIMEOUT_MS = 3000, SHORT_MS = 300, NODES_MAX = 3 };

static const struct fake_step ok = {FAKE_ANSWER, 200, NULL, "fine"};
static const struct fake_step no_leader = {FAKE_ANSWER, 503, NULL, "leader not found\n"};
static const struct fake_step busy = {FAKE_ANSWER, 503, "Retry-After: 1\r\n", "too much is waiting"};
static const struct fake_step closes = {FAKE_CLOSE, 0, NULL, NULL};
static const struct fake_step silent = {FAKE_SILENT, 0, NULL, NULL};
static const struct fake_step unknown_kv = {FAKE_ANSWER, 503, NULL,
                                            "{\"error\":\"leadership was lost\",\"outcome\":\"unknown\"}"};
static const struct fake_step unknown_sql = {
    FAKE_ANSWER, 200, NULL, "{\"results\":[],\"error\":\"leadership lost\",\"outcome\":\"unknown\"}"};

/* A client of some nodes, and what its last call gave. */
struct world {
    struct endpoints endpoints;
    struct client *client;
    struct client_response response;
    struct error e;
    int rv;
};

static void open_world(struct world *w, uint64_t timeout_ms, unsigned count, const char *const *urls)
{
    *w = (struct world){.rv = 0};
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(endpoints_add(&w->endpoints, urls[i], &w->e), 0);
    }
    assert_int_equal(client_new(&w->endpoints, timeout_ms, &w->client, &w->e), 0);
}

static void close_world(struct world *w)
{
    client_response_close(&w->response);
    client_free(w->client);
}

static int call(struct world *w, const char *method, enum client_policy policy)
{
    struct client_request request = {
        .method = method, .target = "/x?y=1", .body = "body", .len = 4, .policy = policy};
    client_response_close(&w->response);
    w->rv = client_call(w->client, &request, &w->response, &w->e);
    return w->rv;
}

static void an_answer_comes_with_its_headers(void **state)
{
    static const struct fake_step step = {FAKE_ANSWER, 200, "ETag: \"7\"\r\nX-Quorate-Index: 42\r\n",
                                          "value"};
    struct fake_node *node = fake_node_new(&step, 1);
    const char *url = fake_node_url(node);
    struct world w;
    (void)state;
    open_world(&w, TIMEOUT_MS, 1, &url);

    assert_int_equal(call(&w, "PUT", CLIENT_ONCE), 0);

    assert_int_equal(w.response.status, 200);
    assert_string_equal((char *)w.response.body.data, "value");
    assert_string_equal(w.response.etag, "\"7\"");
    assert_int_equal(w.response.index, 42);
    assert_non_null(strstr(fake_node_request(node, 0), "PUT /x?y=1 HTTP/1.1\r\n"));
    assert_non_null(strstr(fake_node_request(node, 0), "\r\n\r\nbody"));
    close_world(&w);
    fake_node_free(node);
}

static void a_node_that_refuses_connections_is_left_for_the_next(void **state)
{
    struct fake_node *node = fake_node_new(&ok, 1);
    char nowhere[64];
    struct world w;
    (void)state;
    fake_node_nowhere(nowhere);
    open_world(&w, TIMEOUT_MS, 2, (const char *[]){nowhere, fake_node_url(node)});

    assert_int_equal(call(&w, "POST", CLIENT_ONCE), 0);

    assert_int_equal(w.response.attempts, 2);
    assert_string_equal(w.response.endpoint, fake_node_url(node));
    close_world(&w);
    fake_node_free(node);
}

static void the_node_that_answered_is_asked_first_the_next_time(void **state)
{
    struct fake_node *node = fake_node_new(&ok, 1);
    char nowhere[64];
    struct world w;
    (void)state;
    fake_node_nowhere(nowhere);
    open_world(&w, TIMEOUT_MS, 2, (const char *[]){nowhere, fake_node_url(node)});

    assert_int_equal(call(&w, "POST", CLIENT_ONCE), 0);
    assert_int_equal(call(&w, "POST", CLIENT_ONCE), 0);

    assert_int_equal(w.response.attempts, 1);
    close_world(&w);
    fake_node_free(node);
}

static void what_was_certainly_not_done_is_sent_again_even_once(void **state)
{
    const struct fake_step steps[] = {no_leader, no_leader, ok};
    struct fake_node *node = fake_node_new(steps, 3);
    const char *url = fake_node_url(node);
    struct world w;
    (void)state;
    open_world(&w, TIMEOUT_MS, 1, &url);

    assert_int_equal(call(&w, "POST", CLIENT_ONCE), 0);

    assert_int_equal(w.response.attempts, 3);
    close_world(&w);
    fake_node_free(node);
}

static void a_lost_connection_makes_a_single_request_unknown(void **state)
{
    const struct fake_step steps[] = {closes, ok};
    struct fake_node *node = fake_node_new(steps, 2);
    const char *url = fake_node_url(node);
    struct world w;
    (void)state;
    open_world(&w, TIMEOUT_MS, 1, &url);

    assert_int_equal(call(&w, "POST", CLIENT_ONCE), Q_UNKNOWN);

    assert_non_null(strstr(w.e.text, "the outcome is unknown"));
    assert_int_equal(fake_node_requests(node), 1);
    close_world(&w);
    fake_node_free(node);
}

static void a_kept_connection_that_breaks_sends_nothing_twice(void **state)
{
    const struct fake_step steps[] = {ok, closes, ok};
    struct fake_node *node = fake_node_new(steps, 3);
    const char *url = fake_node_url(node);
    struct world w;
    (void)state;
    open_world(&w, TIMEOUT_MS, 1, &url);
    assert_int_equal(call(&w, "POST", CLIENT_ONCE), 0);

    assert_int_equal(call(&w, "POST", CLIENT_ONCE), Q_UNKNOWN);

    assert_int_equal(fake_node_requests(node), 2);
    close_world(&w);
    fake_node_free(node);
}

static void a_lost_connection_makes_a_repeatable_request_go_on(void **state)
{
    const struct fake_step steps[] = {closes, closes, ok};
    struct fake_node *node = fake_node_new(steps, 3);
    const char *url = fake_node_url(node);
    struct world w;
    (void)state;
    open_world(&w, TIMEOUT_MS, 1, &url);

    assert_int_equal(call(&w, "PUT", CLIENT_REPEATABLE), 0);

    assert_int_equal(w.response.status, 200);
    close_world(&w);
    fake_node_free(node);
}

static void a_node_that_does_not_know_itself_is_believed(void **state)
{
    const struct fake_step *const says[] = {&unknown_kv, &unknown_sql};
    (void)state;

    for (unsigned i = 0; i < 2; i++) {
        const struct fake_step steps[] = {*says[i], ok};
        struct fake_node *node = fake_node_new(steps, 2);
        const char *url = fake_node_url(node);
        struct world w;
        open_world(&w, TIMEOUT_MS, 1, &url);

        assert_int_equal(call(&w, "PUT", CLIENT_ONCE), Q_UNKNOWN);
        assert_int_equal(fake_node_requests(node), 1);
        assert_int_equal(call(&w, "PUT", CLIENT_REPEATABLE), 0);

        close_world(&w);
        fake_node_free(node);
    }
}

static void rows_that_look_like_an_unknown_outcome_are_rows(void **state)
{
    static const struct fake_step step = {
        FAKE_ANSWER, 200, NULL, "{\"results\":[{\"values\":[[\"\\\"outcome\\\":\\\"unknown\\\"\"]]}]}"};
    struct fake_node *node = fake_node_new(&step, 1);
    const char *url = fake_node_url(node);
    struct world w;
    (void)state;
    open_world(&w, TIMEOUT_MS, 1, &url);

    assert_int_equal(call(&w, "POST", CLIENT_ONCE), 0);

    close_world(&w);
    fake_node_free(node);
}

static void a_silent_node_makes_a_single_request_unknown(void **state)
{
    struct fake_node *node = fake_node_new(&silent, 1);
    const char *url = fake_node_url(node);
    struct world w;
    (void)state;
    open_world(&w, SHORT_MS, 1, &url);

    assert_int_equal(call(&w, "POST", CLIENT_ONCE), Q_UNKNOWN);

    close_world(&w);
    fake_node_free(node);
}

static void a_silent_node_leaves_time_for_another(void **state)
{
    struct fake_node *quiet = fake_node_new(&silent, 1), *node = fake_node_new(&ok, 1);
    struct world w;
    (void)state;
    open_world(&w, 2500, 2, (const char *[]){fake_node_url(quiet), fake_node_url(node)});

    assert_int_equal(call(&w, "PUT", CLIENT_REPEATABLE), 0);

    assert_string_equal(w.response.endpoint, fake_node_url(node));
    close_world(&w);
    fake_node_free(quiet);
    fake_node_free(node);
}

static void time_that_runs_out_without_a_leader_means_nothing_was_done(void **state)
{
    struct fake_node *node = fake_node_new(&no_leader, 1);
    const char *url = fake_node_url(node);
    struct world w;
    (void)state;
    open_world(&w, SHORT_MS, 1, &url);

    assert_int_equal(call(&w, "PUT", CLIENT_REPEATABLE), Q_NO_LEADER);

    assert_non_null(strstr(w.e.text, "leader not found"));
    assert_null(strstr(w.e.text, "unknown"));
    assert_true(fake_node_requests(node) > 2);
    close_world(&w);
    fake_node_free(node);
}

static void one_attempt_of_unknown_outcome_makes_the_whole_unknown(void **state)
{
    const struct fake_step steps[] = {closes, no_leader};
    struct fake_node *node = fake_node_new(steps, 2);
    const char *url = fake_node_url(node);
    struct world w;
    (void)state;
    open_world(&w, SHORT_MS, 1, &url);

    assert_int_equal(call(&w, "PUT", CLIENT_REPEATABLE), Q_UNKNOWN);

    close_world(&w);
    fake_node_free(node);
}

static void a_busy_node_is_left_alone_for_as_long_as_it_says(void **state)
{
    struct fake_node *node = fake_node_new(&busy, 1);
    const char *url = fake_node_url(node);
    struct world w;
    (void)state;
    open_world(&w, SHORT_MS, 1, &url);

    assert_int_equal(call(&w, "PUT", CLIENT_REPEATABLE), Q_NO_LEADER);

    assert_int_equal(fake_node_requests(node), 1); /* the second it asks for is beyond the timeout */
    close_world(&w);
    fake_node_free(node);
}

static void a_probe_is_one_attempt(void **state)
{
    struct fake_node *node = fake_node_new(&no_leader, 1);
    const char *url = fake_node_url(node);
    struct world w;
    (void)state;
    open_world(&w, TIMEOUT_MS, 1, &url);

    assert_int_equal(call(&w, "GET", CLIENT_PROBE), Q_NO_LEADER);

    assert_int_equal(fake_node_requests(node), 1);
    close_world(&w);
    fake_node_free(node);
}

static void a_redirect_is_followed_with_method_and_body(void **state)
{
    struct fake_node *leader = fake_node_new(&ok, 1);
    char headers[128];
    struct fake_step step = {FAKE_ANSWER, 301, headers, NULL};
    struct fake_node *node = fake_node_new(&step, 1);
    const char *url = fake_node_url(node);
    struct world w;
    (void)state;
    snprintf(headers, sizeof headers, "Location: %s/x?y=1\r\n", fake_node_url(leader));
    open_world(&w, TIMEOUT_MS, 1, &url);

    assert_int_equal(call(&w, "PUT", CLIENT_ONCE), 0);

    assert_int_equal(w.response.status, 200);
    assert_non_null(strstr(fake_node_request(leader, 0), "PUT /x?y=1"));
    assert_non_null(strstr(fake_node_request(leader, 0), "\r\n\r\nbody"));
    close_world(&w);
    fake_node_free(node);
    fake_node_free(leader);
}

static void refusals_are_answers_with_the_nodes_words(void **state)
{
    static const struct {
        struct fake_step step;
        enum error_code code;
        const char *text;
    } rows[] = {
        {{FAKE_ANSWER, 400, NULL, "invalid JSON body\n"}, Q_INVALID, "invalid JSON body"},
        {{FAKE_ANSWER, 404, NULL, "{\"error\":\"no such key\"}"}, Q_NOT_FOUND, "no such key"},
        {{FAKE_ANSWER, 412, NULL, "{\"error\":\"no\",\"version\":3}"}, Q_CONFLICT, "no"},
        {{FAKE_ANSWER, 507, NULL, "full"}, Q_NO_SPACE, "full"},
        {{FAKE_ANSWER, 500, NULL, "oh"}, Q_IO, "oh"},
    };
    (void)state;

    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fake_node *node = fake_node_new(&rows[i].step, 1);
        const char *url = fake_node_url(node);
        struct world w;
        open_world(&w, TIMEOUT_MS, 1, &url);

        assert_int_equal(call(&w, "PUT", CLIENT_REPEATABLE), 0);
        assert_int_equal(client_refusal(&w.response, &w.e), rows[i].code);
        assert_string_equal(w.e.text, rows[i].text);
        assert_int_equal(fake_node_requests(node), 1);

        close_world(&w);
        fake_node_free(node);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_comes_with_its_headers),
        cmocka_unit_test(a_node_that_refuses_connections_is_left_for_the_next),
        cmocka_unit_test(the_node_that_answered_is_asked_first_the_next_time),
        cmocka_unit_test(what_was_certainly_not_done_is_sent_again_even_once),
        cmocka_unit_test(a_lost_connection_makes_a_single_request_unknown),
        cmocka_unit_test(a_kept_connection_that_breaks_sends_nothing_twice),
        cmocka_unit_test(a_lost_connection_makes_a_repeatable_request_go_on),
        cmocka_unit_test(a_node_that_does_not_know_itself_is_believed),
        cmocka_unit_test(rows_that_look_like_an_unknown_outcome_are_rows),
        cmocka_unit_test(a_silent_node_makes_a_single_request_unknown),
        cmocka_unit_test(a_silent_node_leaves_time_for_another),
        cmocka_unit_test(time_that_runs_out_without_a_leader_means_nothing_was_done),
        cmocka_unit_test(one_attempt_of_unknown_outcome_makes_the_whole_unknown),
        cmocka_unit_test(a_busy_node_is_left_alone_for_as_long_as_it_says),
        cmocka_unit_test(a_probe_is_one_attempt),
        cmocka_unit_test(a_redirect_is_followed_with_method_and_body),
        cmocka_unit_test(refusals_are_answers_with_the_nodes_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
