#include "tests/unit/node/api_world.h"
#include "tests/unit/test.h"

static void expect_ok(struct reply r, const char *body)
{
    expect(&r, 200, body);
}

static void expect_status(struct reply r, int status, const char *body)
{
    expect(&r, status, body);
}

static void make_table(struct api_world *w)
{
    expect_ok(post(w, "/db/execute", "[\"CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)\"]"),
              "{\"results\":[{}]}");
    expect_ok(post(w, "/db/execute",
                   "[[\"INSERT INTO t(name) VALUES(?)\",\"a\"],[\"INSERT INTO t(name) VALUES(:n)\","
                   "{\"n\":\"b\"}]]"),
              "{\"results\":[{\"last_insert_id\":1,\"rows_affected\":1},{\"last_insert_id\":2,\"rows_"
              "affected\":1}]}");
}

static void statements_write_and_read(void **state)
{
    struct api_world *w = *state;
    make_table(w);
    struct reply r = post(w, "/db/query", "[\"SELECT * FROM t\"]");
    expect(&r, 200,
           "{\"results\":[{\"columns\":[\"id\",\"name\"],\"types\":[\"integer\",\"text\"],"
           "\"values\":[[1,\"a\"],[2,\"b\"]]}]}");
    assert_string_equal(reply_header(&r, "Content-Type"), "application/json; charset=utf-8");
    assert_string_equal(reply_header(&r, "X-Quorate-Index"), "2");
    assert_string_equal(reply_header(&r, "X-RQLITE-SERVED-BY"), "10.0.0.1:4001");
    expect_ok(get(w, "/db/query?q=SELECT+name+FROM%20t+WHERE+id=2"),
              "{\"results\":[{\"columns\":[\"name\"],\"types\":[\"text\"],\"values\":[[\"b\"]]}]}");
    expect_ok(get(w, "/db/query"), "{\"results\":[]}");
    expect_ok(post(w, "/db/query", "[\"\"]"), "{\"results\":[]}");
    expect_ok(post(w, "/db/execute", "[\"\"]"), "{\"results\":[]}");
    expect_ok(post(w, "/db/request", "[\"INSERT INTO t(name) VALUES('c')\",\"SELECT COUNT(*) FROM t\"]"),
              "{\"results\":[{\"last_insert_id\":3,\"rows_affected\":1},"
              "{\"columns\":[\"COUNT(*)\"],\"types\":[\"integer\"],\"values\":[[3]]}]}");
}

static void failed_statements_are_told_in_band(void **state)
{
    struct api_world *w = *state;
    make_table(w);
    expect_ok(post(w, "/db/execute", "[\"INSERT INTO absent VALUES(1)\",\"DELETE FROM t WHERE id=1\"]"),
              "{\"results\":[{\"error\":\"no such table: absent\"},{\"rows_affected\":1}]}");
    expect_ok(post(w, "/db/query", "[\"SELEC\",\"SELECT 1 AS one\"]"),
              "{\"results\":[{\"error\":\"near \\\"SELEC\\\": syntax error\"},"
              "{\"columns\":[\"one\"],\"types\":[\"integer\"],\"values\":[[1]]}]}");
    expect_ok(post(w, "/db/query", "[\"DELETE FROM t\"]"),
              "{\"results\":[{\"error\":\"attempt to change database via query operation\"}]}");
    expect_ok(post(w, "/db/execute?transaction",
                   "[\"DELETE FROM t\",\"INSERT INTO absent VALUES(1)\",\"SELECT 1\"]"),
              "{\"results\":[{\"rows_affected\":1},{\"error\":\"no such table: absent\"}]}");
    expect_ok(post(w, "/db/query", "[\"SELECT COUNT(*) AS n FROM t\"]"),
              "{\"results\":[{\"columns\":[\"n\"],\"types\":[\"integer\"],\"values\":[[1]]}]}");
}

static void flags_shape_the_answer(void **state)
{
    struct api_world *w = *state;
    make_table(w);
    expect_ok(get(w, "/db/query?q=SELECT+*+FROM+t&associative=false"),
              "{\"results\":[{\"types\":{\"id\":\"integer\",\"name\":\"text\"},"
              "\"rows\":[{\"id\":1,\"name\":\"a\"},{\"id\":2,\"name\":\"b\"}]}]}");
    expect_ok(
        get(w, "/db/query?pretty&q=SELECT+1+AS+x"),
        "{\n    \"results\": [\n        {\n            \"columns\": [\n                \"x\"\n            "
        "],\n"
        "            \"types\": [\n                \"integer\"\n            ],\n            \"values\": [\n"
        "                [\n                    1\n                ]\n            ]\n        }\n    ]\n}");
    expect_ok(post(w, "/db/execute?raft_index", "[\"DELETE FROM t WHERE id=1\"]"),
              "{\"results\":[{\"rows_affected\":1}],\"raft_index\":3}");
    expect_ok(get(w, "/db/query?raft_index&q=SELECT+1+AS+x"),
              "{\"results\":[{\"columns\":[\"x\"],\"types\":[\"integer\"],\"values\":[[1]]}]}");
    expect_ok(
        get(w, "/db/query?raft_index&level=strong&q=SELECT+1+AS+x"),
        "{\"results\":[{\"columns\":[\"x\"],\"types\":[\"integer\"],\"values\":[[1]]}],\"raft_index\":4}");
    struct reply r = get(w, "/db/query?timings&q=SELECT+1+AS+x");
    assert_non_null(strstr(r.body, "\"values\":[[1]],\"time\":0.0"));
    assert_non_null(strstr(r.body, "}],\"time\":0.0"));
    expect_ok(post(w, "/db/execute?blob_array",
                   "[\"CREATE TABLE b (x BLOB)\",[\"INSERT INTO b VALUES(?)\",\"x'00ff'\"]]"),
              "{\"results\":[{},{\"last_insert_id\":1,\"rows_affected\":1}]}");
    expect_ok(get(w, "/db/query?blob_array&q=SELECT+x+FROM+b"),
              "{\"results\":[{\"columns\":[\"x\"],\"types\":[\"blob\"],\"values\":[[[0,255]]]}]}");
}

static void plain_text_is_one_statement(void **state)
{
    struct api_world *w = *state;
    struct reply r =
        ask(w, "POST", "/db/query", "Content-Type: text/plain; charset=x\r\n", "SELECT 'a' AS x");
    expect(&r, 200, "{\"results\":[{\"columns\":[\"x\"],\"types\":[\"text\"],\"values\":[[\"a\"]]}]}");
    r = ask(w, "POST", "/db/execute", "Content-Type: TEXT/PLAIN\r\n", "CREATE TABLE x (y)");
    expect(&r, 200, "{\"results\":[{}]}");
    r = ask(w, "POST", "/db/execute", "Content-Type: text/plain\r\n", "SELECT '\xff'");
    assert_int_equal(r.status, 400);
    r = ask(w, "POST", "/db/request", "Content-Type: text/plain\r\n", "SELECT 1");
    expect(&r, 400, "invalid JSON body\n");
    r = ask(w, "POST", "/db/execute", "Content-Type: application/x-www-form-urlencoded\r\n",
            "[\"SELECT 1\"]");
    assert_int_equal(r.status, 200);
}

static void bad_bodies_are_400_in_words(void **state)
{
    struct api_world *w = *state;
    static const char *const paths[] = {"/db/execute", "/db/query", "/db/request"};
    for (unsigned i = 0; i < 3; i++) {
        struct reply r = post(w, paths[i], "{}");
        expect(&r, 400, "invalid request\n");
        assert_string_equal(reply_header(&r, "Content-Type"), "text/plain; charset=utf-8");
        assert_string_equal(reply_header(&r, "X-Content-Type-Options"), "nosniff");
        expect_status(post(w, paths[i], "["), 400, "invalid JSON body\n");
        expect_status(post(w, paths[i], "[]"), 400, "no statements\n");
        expect_status(post(w, paths[i], "[[\"a\",{\"k\":{}}]]"), 400,
                      "unsupported type map[string]interface {}\n");
        expect_status(post(w, paths[i], "[\"a\\u0000b\"]"), 400, "the SQL text holds a NUL byte\n");
    }
    assert_int_equal(w->replica.submitted, 0);
}

static void parameters_are_checked_before_method_before_body(void **state)
{
    static const struct {
        const char *query, *text;
    } cases[] = {
        {"timeout=5", "timeout is not a valid duration\n"},
        {"timeout=", "timeout is not a valid duration\n"},
        {"freshness=x", "freshness is not a valid duration\n"},
        {"db_timeout=1x", "db_timeout is not a valid duration\n"},
        {"linearizable_timeout=1m30", "linearizable_timeout is not a valid duration\n"},
        {"retries=x", "retries is not a valid integer\n"},
        {"retries=", "retries is not a valid integer\n"},
        {"trailing_logs=1.5", "trailing_logs is not a valid integer\n"},
        {"freshness_strict", "freshness_strict requires freshness\n"},
        {"q=", "query parameter not set\n"},
        {"q", "query parameter not set\n"},
        {"a=1;b=2", "invalid semicolon separator in query\n"},
        {"a=%zz", "invalid URL escape \"%zz\"\n"},
    };
    static const char *const paths[] = {"/db/execute", "/db/query",   "/status", "/nodes",
                                        "/readyz",     "/v1/kv/ns/k", "/",       "/nowhere"};
    static const char *const good[] = {
        "timeout=1m30s",     "timeout=250ms", "timeout=0",
        "timeout=1.5h",      "timeout=-1s",   "timeout=.5s",
        "timeout=1h2m3s4ms", "freshness=1us", "freshness=1\xc2\xb5s&freshness_strict",
        "retries=-3",        "unknown=%3B",   "timeout=1ns&timeout=x"};
    struct api_world *w = *state;
    char target[200];
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *path = paths[i % (sizeof paths / sizeof paths[0])];
        snprintf(target, sizeof target, "%s?%s", path, cases[i].query);
        expect_status(get(w, target), 400, cases[i].text);
        struct reply r = ask(w, "PATCH", target, "", "{}");
        expect(&r, 400, cases[i].text);
    }
    for (unsigned i = 0; i < sizeof good / sizeof good[0]; i++) {
        snprintf(target, sizeof target, "/healthz?%s", good[i]);
        expect_status(get(w, target), 200, "ok\n");
    }
    expect_status(get(w, "/db/execute"), 405, "");
    struct reply r = ask(w, "PUT", "/db/query", "", "nonsense");
    expect(&r, 405, "");
    assert_int_equal(w->replica.submitted, 0);
}

static void options_is_always_welcome(void **state)
{
    struct api_world *w = *state;
    static const char *const targets[] = {"/db/execute", "/nowhere?timeout=5", "*"};
    for (unsigned i = 0; i < 3; i++) {
        struct reply r = ask(w, "OPTIONS", targets[i], "", NULL);
        expect(&r, 200, "");
    }
}

static void unknown_paths_and_the_root(void **state)
{
    struct api_world *w = *state;
    expect_status(get(w, "/nowhere"), 404, "");
    expect_status(get(w, "/healthz/x"), 404, "");
    struct reply r = get(w, "/");
    expect(&r, 302, "");
    assert_string_equal(reply_header(&r, "Location"), "/status");
    assert_int_equal(get(w, "/statusquo").status, 200); /* rqlite routes by prefix */
}

static void parameters_reach_the_replica(void **state)
{
    struct api_world *w = *state;
    static const struct {
        const char *level;
        enum read_level expected;
    } levels[] = {{"none", READ_NONE},     {"NONE", READ_NONE}, {"weak", READ_WEAK},
                  {"", READ_WEAK},         {"what", READ_WEAK}, {"Linearizable", READ_LINEARIZABLE},
                  {"strong", READ_STRONG}, {"auto", READ_WEAK}};
    char target[200];
    for (unsigned i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        snprintf(target, sizeof target, "/db/query?q=SELECT+1&level=%s", levels[i].level);
        get(w, target);
        assert_int_equal(w->replica.seen.level, levels[i].expected);
    }
    get(w, "/db/query?q=SELECT+1");
    assert_int_equal(w->replica.seen.level, READ_WEAK);
    assert_int_equal(w->replica.seen.timeout_ms, 30000);
    assert_int_equal(w->replica.seen.sql_timeout_ms, 0);
    assert_int_equal(w->replica.seen.freshness_us, 0);
    assert_false(w->replica.seen.only_here);
    w->replica.status.members[0].voter = false;
    get(w, "/db/query?q=SELECT+1&level=auto");
    assert_int_equal(w->replica.seen.level, READ_NONE);
    get(w, "/db/query?q=SELECT+1&timeout=2s&db_timeout=1ms&freshness=1500us&level=none&redirect=no");
    assert_int_equal(w->replica.seen.timeout_ms, 2000);
    assert_int_equal(w->replica.seen.sql_timeout_ms, 1);
    assert_int_equal(w->replica.seen.freshness_us, 1500);
    assert_true(w->replica.seen.only_here);
    get(w, "/db/query?q=SELECT+1&level=linearizable");
    assert_int_equal(w->replica.seen.timeout_ms, 10000);
    get(w, "/db/query?q=SELECT+1&level=linearizable&linearizable_timeout=1s");
    assert_int_equal(w->replica.seen.timeout_ms, 1000);
    get(w, "/db/query?q=SELECT+1&level=linearizable&timeout=5ms");
    assert_int_equal(w->replica.seen.timeout_ms, 5);
}

static void rows_become_json_on_the_reader(void **state)
{
    struct api_world *w = *state;
    get(w, "/db/query?q=SELECT+1");
    assert_int_equal(w->replica.formatted, 1);
    post(w, "/db/request", "[\"SELECT 1\"]");
    assert_int_equal(w->replica.formatted, 2);
    post(w, "/db/request", "[\"CREATE TABLE x (y)\"]");
    assert_int_equal(w->replica.formatted, 2);
}

static void fail_with(struct api_world *w, enum error_code code, const char *text)
{
    error_set(&w->replica.fail, code, "%s", text);
}

static void errors_of_the_replica_have_their_statuses(void **state)
{
    static const struct {
        enum error_code code;
        int status;
        const char *text, *body;
    } cases[] = {
        {Q_NO_LEADER, 503, "whatever", "leader not found\n"},
        {Q_BUSY, 503, "the queue is full", "the queue is full\n"},
        {Q_TIMEOUT, 503, "timeout", "timeout\n"},
        {Q_CLOSED, 503, "stopping", "stopping\n"},
        {Q_TOO_BIG, 413, "too big", "too big\n"},
        {Q_INVALID, 400, "bad", "bad\n"},
        {Q_NO_SPACE, 507, "full", "full\n"},
        {Q_IO, 500, "io", "io\n"},
        {Q_CONFLICT, 200, "stale read", "{\"results\":[],\"error\":\"stale read\"}"},
        {Q_UNKNOWN, 200, "lost",
         "{\"results\":[],\"error\":\"leadership lost while committing log: the outcome is unknown, the "
         "write may "
         "or may not have been done\",\"outcome\":\"unknown\"}"},
    };
    struct api_world *w = *state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fail_with(w, cases[i].code, cases[i].text);
        struct reply r = post(w, "/db/execute", "[\"DELETE FROM t\"]");
        expect(&r, cases[i].status, cases[i].body);
        if (cases[i].code == Q_BUSY) {
            assert_string_equal(reply_header(&r, "Retry-After"), "1");
        } else {
            assert_null(reply_header(&r, "Retry-After"));
        }
    }
}

static void redirect_leads_to_the_leader(void **state)
{
    struct api_world *w = *state;
    fail_with(w, Q_NOT_LEADER, "not the leader");
    w->replica.status.leader = 2;
    struct reply r = post(w, "/db/execute?redirect&q=a%20b", "[\"SELECT 1\"]");
    expect(&r, 301, "");
    assert_string_equal(reply_header(&r, "Location"), "http://10.0.0.2:4001/db/execute?redirect&q=a%20b");
    static char target[7000], location[7100];
    memset(target, 'x', sizeof target - 1);
    memcpy(target, "/db/execute?redirect&", 21);
    snprintf(location, sizeof location, "http://10.0.0.2:4001%s", target);
    r = post(w, target, "[\"SELECT 1\"]");
    assert_int_equal(r.status, 301);
    assert_non_null(strstr(r.head, location));
    w->replica.status.leader = 0;
    expect_status(post(w, "/db/execute?redirect", "[\"SELECT 1\"]"), 500, "leader not found\n");
    expect_status(post(w, "/db/execute", "[\"SELECT 1\"]"), 503, "leader not found\n");
    w->replica.status.leader = 2;
    snprintf(w->replica.status.members[1].api_address, 40, "http://x\r\nSet-Cookie: y");
    expect_status(post(w, "/db/execute?redirect", "[\"SELECT 1\"]"), 500, "leader not found\n");
    fail_with(w, Q_NO_LEADER, "no leader");
    expect_status(post(w, "/db/execute?redirect", "[\"SELECT 1\"]"), 500, "leader not found\n");
    expect_status(post(w, "/db/execute", "[\"SELECT 1\"]"), 503, "leader not found\n");
}

static void a_forwarded_answer_names_who_served_it(void **state)
{
    struct api_world *w = *state;
    w->replica.served_by = 2;
    struct reply r = get(w, "/db/query?q=SELECT+1");
    assert_string_equal(reply_header(&r, "X-RQLITE-SERVED-BY"), "10.0.0.2:4002");
}

static void queued_writes_are_done_and_numbered(void **state)
{
    struct api_world *w = *state;
    expect_ok(post(w, "/db/execute?queue", "[\"CREATE TABLE t (x)\"]"),
              "{\"results\":[],\"sequence_number\":1700000000000000001}");
    expect_ok(post(w, "/db/execute?queue&wait&timeout=1s",
                   "[\"INSERT INTO t VALUES(1)\",\"INSERT INTO no VALUES(1)\"]"),
              "{\"results\":[],\"sequence_number\":1700000000000000002}");
    expect_status(post(w, "/db/execute?queue", "[]"), 400, "no statements\n");
    expect_ok(post(w, "/db/execute?queue&wait", "[]"),
              "{\"results\":[],\"sequence_number\":1700000000000000004}");
    expect_ok(get(w, "/db/query?q=SELECT+COUNT(*)+AS+n+FROM+t"),
              "{\"results\":[{\"columns\":[\"n\"],\"types\":[\"integer\"],\"values\":[[1]]}]}");
    expect_ok(get(w, "/status?key=http.queue._default.sequence_number"), "1700000000000000004");
    fail_with(w, Q_TIMEOUT, "timeout");
    expect_status(post(w, "/db/execute?queue&wait", "[\"INSERT INTO t VALUES(1)\"]"), 408,
                  "queue wait timeout\n");
}

static void a_breaking_pragma_stops_the_whole_request(void **state)
{
    struct api_world *w = *state;
    static const char *const paths[] = {"/db/execute", "/db/query", "/db/request", "/db/execute?queue"};
    make_table(w);
    unsigned before = w->replica.submitted;
    for (unsigned i = 0; i < 4; i++) {
        expect_ok(post(w, paths[i], "[\"DELETE FROM t\",[\"PRAGMA journal_mode=DELETE\"]]"),
                  "{\"results\":[],\"error\":\"disallowed pragma\"}");
    }
    expect_ok(get(w, "/db/query?q=PRAGMA+wal_checkpoint"),
              "{\"results\":[],\"error\":\"disallowed pragma\"}");
    struct reply r =
        ask(w, "POST", "/db/execute", "Content-Type: text/plain\r\n", "SELECT 1; PRAGMA synchronous=OFF");
    expect(&r, 200, "{\"results\":[],\"error\":\"disallowed pragma\"}");
    assert_int_equal(w->replica.submitted, before);

    expect_ok(post(w, "/db/execute", "[\"INSERT INTO t(name) VALUES('PRAGMA journal_mode=DELETE')\"]"),
              "{\"results\":[{\"last_insert_id\":3,\"rows_affected\":1}]}");
    /* Others that the store refuses fail by themselves. */
    expect_ok(post(w, "/db/execute", "[\"PRAGMA cache_size=1\",\"DELETE FROM t\"]"),
              "{\"results\":[{\"error\":\"PRAGMA cache_size may be read but not set\"},{\"rows_"
              "affected\":3}]}");
}

static void a_command_or_an_answer_over_its_limit_is_refused(void **state)
{
    struct api_world *w = *state;
    static char body[600 * 1024];
    memset(body, ' ', sizeof body - 1);
    memcpy(body, "[\"SELECT 1", 10);
    memcpy(body + sizeof body - 3, "\"]", 3);
    assert_int_equal(post(w, "/db/query", body).status, 413);
    assert_int_equal(w->replica.submitted, 0);
    struct reply r = get(w, "/db/query?q=SELECT+hex(zeroblob(1000000))");
    expect(&r, 500, "the answer is larger than the limit of 1048576 bytes\n");
}

static void head_is_get_without_the_body(void **state)
{
    struct api_world *w = *state;
    struct reply r = ask(w, "HEAD", "/db/query?q=SELECT+1+AS+x", "", NULL);
    expect(&r, 200, "");
    assert_string_equal(reply_header(&r, "Content-Length"), "66");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, api_world_open, api_world_close)
    const struct CMUnitTest tests[] = {
        TEST(statements_write_and_read),
        TEST(failed_statements_are_told_in_band),
        TEST(flags_shape_the_answer),
        TEST(plain_text_is_one_statement),
        TEST(bad_bodies_are_400_in_words),
        TEST(parameters_are_checked_before_method_before_body),
        TEST(options_is_always_welcome),
        TEST(unknown_paths_and_the_root),
        TEST(parameters_reach_the_replica),
        TEST(rows_become_json_on_the_reader),
        TEST(errors_of_the_replica_have_their_statuses),
        TEST(redirect_leads_to_the_leader),
        TEST(a_forwarded_answer_names_who_served_it),
        TEST(queued_writes_are_done_and_numbered),
        TEST(a_breaking_pragma_stops_the_whole_request),
        TEST(a_command_or_an_answer_over_its_limit_is_refused),
        TEST(head_is_get_without_the_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
