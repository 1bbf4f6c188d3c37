#include "tests/unit/node/api_world.h"
#include "tests/unit/test.h"

static struct reply put(struct api_world *w, const char *target, const char *headers, const char *value)
{
    return ask(w, "PUT", target, headers, value);
}

static void expect_reply(struct reply r, int status, const char *body)
{
    expect(&r, status, body);
}

static void a_value_is_put_and_got_and_deleted(void **state)
{
    struct api_world *w = *state;
    struct reply r = put(w, "/v1/kv/ns/key", "", "value");
    expect(&r, 200, "{\"version\":1,\"index\":1}");
    assert_string_equal(reply_header(&r, "ETag"), "\"1\"");
    assert_string_equal(reply_header(&r, "X-Quorate-Index"), "1");

    r = get(w, "/v1/kv/ns/key");
    expect(&r, 200, "value");
    assert_string_equal(reply_header(&r, "ETag"), "\"1\"");
    assert_string_equal(reply_header(&r, "Content-Type"), "application/octet-stream");
    assert_string_equal(reply_header(&r, "X-Quorate-Index"), "1");

    expect_reply(put(w, "/v1/kv/ns/key", "", ""), 200, "{\"version\":2,\"index\":2}");
    expect_reply(get(w, "/v1/kv/ns/key"), 200, "");
    r = ask(w, "HEAD", "/v1/kv/ns/key", "", NULL);
    expect(&r, 200, "");
    assert_string_equal(reply_header(&r, "ETag"), "\"2\"");

    r = ask(w, "DELETE", "/v1/kv/ns/key", "", NULL);
    expect(&r, 200, "{\"version\":0,\"index\":3}");
    assert_null(reply_header(&r, "ETag"));
    r = get(w, "/v1/kv/ns/key");
    expect(&r, 404, "{\"error\":\"no such key\"}");
    assert_string_equal(reply_header(&r, "X-Quorate-Index"), "3");
    r = ask(w, "HEAD", "/v1/kv/ns/key", "", NULL);
    expect(&r, 404, "");
}

static void keys_are_bytes(void **state)
{
    struct api_world *w = *state;
    assert_int_equal(put(w, "/v1/kv/ns/a%2Fb%20c", "", "1").status, 200);
    expect_reply(get(w, "/v1/kv/ns/a/b%20c"), 200, "1"); /* the same key */
    assert_int_equal(put(w, "/v1/kv/ns/%00%ff", "", "2").status, 200);
    expect_reply(get(w, "/v1/kv/ns/%00%FF"), 200, "2");
    expect_reply(get(w, "/v1/kv/ns/%00"), 404, "{\"error\":\"no such key\"}");
    assert_int_equal(put(w, "/v1/kv/ns/a+b", "", "3").status, 200);
    expect_reply(get(w, "/v1/kv/ns/a%2Bb"), 200, "3");
    expect_reply(get(w, "/v1/kv/n%73/a%2Bb"), 200, "3");
}

static void conditions_hold_or_change_nothing(void **state)
{
    struct api_world *w = *state;
    expect_reply(put(w, "/v1/kv/ns/k", "If-Match: *\r\n", "a"), 412,
                 "{\"error\":\"the condition does not hold: there is no such key\",\"version\":0}");
    expect_reply(put(w, "/v1/kv/ns/k", "If-Match: \"1\"\r\n", "a"), 412,
                 "{\"error\":\"the condition does not hold: there is no such key\",\"version\":0}");
    assert_int_equal(put(w, "/v1/kv/ns/k", "If-None-Match: *\r\n", "a").status, 200);
    struct reply r = put(w, "/v1/kv/ns/k", "If-None-Match: *\r\n", "b");
    uint64_t version = strtoull(reply_header(&r, "ETag") + 1, NULL, 10);
    char expected[200], header[100];
    snprintf(expected, sizeof expected,
             "{\"error\":\"the condition does not hold: the key has version %llu\",\"version\":%llu}",
             (unsigned long long)version, (unsigned long long)version);
    expect(&r, 412, expected);
    snprintf(header, sizeof header, "If-Match: \"%llu\"\r\n", (unsigned long long)version + 1);
    expect_reply(put(w, "/v1/kv/ns/k", header, "b"), 412, expected);
    r = ask(w, "DELETE", "/v1/kv/ns/k", header, NULL);
    expect(&r, 412, expected);
    expect_reply(get(w, "/v1/kv/ns/k"), 200, "a");
    snprintf(header, sizeof header, "If-Match: \"%llu\"\r\n", (unsigned long long)version);
    assert_int_equal(put(w, "/v1/kv/ns/k", header, "b").status, 200);
    assert_int_equal(put(w, "/v1/kv/ns/k", "If-Match: *\r\n", "c").status, 200);
    expect_reply(get(w, "/v1/kv/ns/k"), 200, "c");
}

static void a_known_version_is_not_sent_again(void **state)
{
    struct api_world *w = *state;
    put(w, "/v1/kv/ns/k", "", "a");
    struct reply r = ask(w, "GET", "/v1/kv/ns/k", "If-None-Match: \"1\"\r\n", NULL);
    expect(&r, 304, "");
    assert_string_equal(reply_header(&r, "ETag"), "\"1\"");
    r = ask(w, "GET", "/v1/kv/ns/k", "If-None-Match: \"2\"\r\n", NULL);
    expect(&r, 200, "a");
}

static void bad_requests_are_told_in_json_and_go_nowhere(void **state)
{
    static const struct {
        const char *method, *target, *headers, *error;
    } cases[] = {
        {"PUT", "/v1/kv/ns/k", "If-Match: 7\r\n",
         "If-Match must be * or one version in quotes, such as \\\"7\\\""},
        {"PUT", "/v1/kv/ns/k", "If-Match: \"a\"\r\n",
         "If-Match must be * or one version in quotes, such as \\\"7\\\""},
        {"PUT", "/v1/kv/ns/k", "If-Match: \"1\", \"2\"\r\n",
         "If-Match must be * or one version in quotes, such as \\\"7\\\""},
        {"PUT", "/v1/kv/ns/k", "If-Match: W/\"1\"\r\n",
         "If-Match must be * or one version in quotes, such as \\\"7\\\""},
        {"PUT", "/v1/kv/ns/k", "If-Match: \"99999999999999999999\"\r\n",
         "If-Match must be * or one version in quotes, such as \\\"7\\\""},
        {"PUT", "/v1/kv/ns/k", "If-None-Match: \"1\"\r\n", "If-None-Match of a write can only be *"},
        {"DELETE", "/v1/kv/ns/k", "If-Match: *\r\nIf-None-Match: *\r\n",
         "If-Match and If-None-Match together"},
        {"PUT", "/v1/kv/ns", "", "the path has no key: /v1/kv/{namespace}/{key}"},
        {"PUT", "/v1/kv/ns/", "", "a key has 1 to 4096 bytes, this one has 0"},
        {"GET", "/v1/kv/ns/", "", "a key has 1 to 4096 bytes, this one has 0"},
        {"GET", "/v1/kv/", "", "a namespace has 1 to 128 bytes, this one has 0"},
        {"GET", "/v1/kv//k", "", "a namespace has 1 to 128 bytes, this one has 0"},
        {"GET", "/v1/kv/n%20s/k", "", "a namespace holds only letters, digits, '_', '.' and '-'"},
        {"GET", "/v1/kv/ns/%zz", "", "the key has a malformed percent escape"},
        {"GET", "/v1/kv/%zz/k", "", "the namespace has a malformed percent escape"},
        {"GET", "/v1/kv/ns/k?level=weird", "", "level must be none, weak, linearizable or strong"},
        {"GET", "/v1/kv/ns?limit=0", "", "limit must be a number from 1 to 10000"},
        {"GET", "/v1/kv/ns?limit=10001", "", "limit must be a number from 1 to 10000"},
        {"GET", "/v1/kv/ns?limit=x", "", "limit must be a number from 1 to 10000"},
        {"GET", "/v1/kv/ns?after=a&after_base64=YQ==", "", "after and after_base64 together"},
        {"GET", "/v1/kv/ns?after_base64=%3F", "", "after_base64 is not base64 of a key"},
    };
    struct api_world *w = *state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char expected[200];
        struct reply r = ask(w, cases[i].method, cases[i].target, cases[i].headers, NULL);
        snprintf(expected, sizeof expected, "{\"error\":\"%s\"}", cases[i].error);
        expect(&r, 400, expected);
        assert_string_equal(reply_header(&r, "Content-Type"), "application/json; charset=utf-8");
    }
    static char target[6000];
    snprintf(target, sizeof target, "/v1/kv/ns/%05000d", 0);
    assert_int_equal(put(w, target, "", "x").status, 400);
    expect_reply(post(w, "/v1/kv/ns/k", "x"), 405, "");
    assert_int_equal(w->replica.submitted, 0);
}

static void listing_goes_on_from_where_it_stopped(void **state)
{
    struct api_world *w = *state;
    put(w, "/v1/kv/ns/a1", "", "x");
    put(w, "/v1/kv/ns/a2", "", "yy");
    put(w, "/v1/kv/ns/a%ff", "", "");
    put(w, "/v1/kv/ns/b", "", "z");
    put(w, "/v1/kv/other/a1", "", "o");
    expect_reply(get(w, "/v1/kv/ns"), 200,
                 "{\"keys\":[{\"key\":\"a1\",\"version\":1},{\"key\":\"a2\",\"version\":1},"
                 "{\"key_base64\":\"Yf8=\",\"version\":1},{\"key\":\"b\",\"version\":1}],\"more\":false}");
    expect_reply(get(w, "/v1/kv/ns?prefix=a&limit=2&values"), 200,
                 "{\"keys\":[{\"key\":\"a1\",\"version\":1,\"value\":\"eA==\"},"
                 "{\"key\":\"a2\",\"version\":1,\"value\":\"eXk=\"}],\"more\":true,\"next\":\"a2\"}");
    expect_reply(
        get(w, "/v1/kv/ns?limit=1&after=a2"), 200,
        "{\"keys\":[{\"key_base64\":\"Yf8=\",\"version\":1}],\"more\":true,\"next_base64\":\"Yf8=\"}");
    expect_reply(get(w, "/v1/kv/ns?limit=1&after_base64=Yf8%3D"), 200,
                 "{\"keys\":[{\"key\":\"b\",\"version\":1}],\"more\":false}");
    expect_reply(get(w, "/v1/kv/ns?prefix=a%ff"), 200,
                 "{\"keys\":[{\"key_base64\":\"Yf8=\",\"version\":1}],\"more\":false}");
    expect_reply(get(w, "/v1/kv/empty"), 200, "{\"keys\":[],\"more\":false}");
    assert_int_equal(w->replica.formatted, 6);
}

static void reads_are_linearizable_unless_asked_otherwise(void **state)
{
    struct api_world *w = *state;
    get(w, "/v1/kv/ns/k");
    assert_int_equal(w->replica.seen.level, READ_LINEARIZABLE);
    assert_int_equal(w->replica.seen.timeout_ms, 10000);
    get(w, "/v1/kv/ns");
    assert_int_equal(w->replica.seen.level, READ_LINEARIZABLE);
    get(w, "/v1/kv/ns/k?level=none&freshness=1s");
    assert_int_equal(w->replica.seen.level, READ_NONE);
    assert_int_equal(w->replica.seen.freshness_us, 1000000);
    get(w, "/v1/kv/ns?level=weak");
    assert_int_equal(w->replica.seen.level, READ_WEAK);
    put(w, "/v1/kv/ns/k", "", "v");
    expect_reply(get(w, "/v1/kv/ns/k?level=strong"), 200, "v");
    assert_int_equal(w->replica.seen.level, READ_STRONG);
}

static void errors_of_the_replica_are_json(void **state)
{
    static const struct {
        enum error_code code;
        int status;
        const char *body;
    } cases[] = {
        {Q_NO_LEADER, 503, "{\"error\":\"leader not found\"}"},
        {Q_BUSY, 503, "{\"error\":\"why\"}"},
        {Q_TIMEOUT, 503, "{\"error\":\"why\"}"},
        {Q_TOO_BIG, 413, "{\"error\":\"why\"}"},
        {Q_NO_SPACE, 507, "{\"error\":\"why\"}"},
        {Q_CONFLICT, 503, "{\"error\":\"why\"}"},
        {Q_NOT_LEADER, 503, "{\"error\":\"why\"}"},
        {Q_UNKNOWN, 503,
         "{\"error\":\"the outcome is unknown: the write may or may not have been "
         "done\",\"outcome\":\"unknown\"}"},
    };
    struct api_world *w = *state;
    w->replica.status.leader = 0;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        error_set(&w->replica.fail, cases[i].code, "why");
        struct reply r = put(w, "/v1/kv/ns/k", "", "v");
        expect(&r, cases[i].status, cases[i].body);
        assert_true((reply_header(&r, "Retry-After") != NULL) == (cases[i].code == Q_BUSY));
    }
    w->replica.status.leader = 2;
    error_set(&w->replica.fail, Q_NOT_LEADER, "why");
    struct reply r = put(w, "/v1/kv/ns/k%2F?redirect", "", "v");
    expect(&r, 301, "");
    assert_string_equal(reply_header(&r, "Location"), "http://10.0.0.2:4001/v1/kv/ns/k%2F?redirect");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, api_world_open, api_world_close)
    const struct CMUnitTest tests[] = {
        TEST(a_value_is_put_and_got_and_deleted),
        TEST(keys_are_bytes),
        TEST(conditions_hold_or_change_nothing),
        TEST(a_known_version_is_not_sent_again),
        TEST(bad_requests_are_told_in_json_and_go_nowhere),
        TEST(listing_goes_on_from_where_it_stopped),
        TEST(reads_are_linearizable_unless_asked_otherwise),
        TEST(errors_of_the_replica_are_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
