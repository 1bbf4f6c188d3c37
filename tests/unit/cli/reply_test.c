#include "node/cli/reply.h"
#include "tests/unit/test.h"

static int parse(const char *text, bool *ret_whole, struct reply *ret_reply, struct error *e)
{
    return reply_parse(text, strlen(text), ret_whole, ret_reply, e);
}

static void an_answer_is_taken_apart(void **state)
{
    struct reply r;
    struct error e;
    bool whole;
    (void)state;

    assert_int_equal(parse("HTTP/1.1 200 OK\r\ncontent-length:  3\r\nX: y\r\n\r\nabcHTTP", &whole, &r, &e),
                     0);

    assert_true(whole);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.len, 3);
    assert_memory_equal(r.body, "abc", 3);
    assert_int_equal(r.total, 48);
    assert_false(r.close);
}

static void every_beginning_of_an_answer_waits_for_more(void **state)
{
    static const char text[] = "HTTP/1.1 503 No\r\nRetry-After: 2\r\nContent-Length: 5\r\n\r\nhello";
    struct reply r;
    struct error e;
    bool whole;
    (void)state;

    for (size_t n = 0; n < strlen(text); n++) {
        assert_int_equal(reply_parse(text, n, &whole, &r, &e), 0);
        assert_false(whole);
    }
    assert_int_equal(parse(text, &whole, &r, &e), 0);
    assert_true(whole);
    assert_int_equal(r.retry_after_s, 2);
}

static void an_answer_may_end_the_connection(void **state)
{
    struct reply r;
    struct error e;
    bool whole;
    (void)state;

    assert_int_equal(
        parse("HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n", &whole, &r, &e), 0);
    assert_true(r.close);
    assert_int_equal(parse("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", &whole, &r, &e), 0);
    assert_true(r.close);
}

static void some_statuses_have_no_body(void **state)
{
    struct reply r;
    struct error e;
    bool whole;
    (void)state;

    assert_int_equal(parse("HTTP/1.1 304 Not Modified\r\n\r\n", &whole, &r, &e), 0);

    assert_true(whole);
    assert_int_equal(r.len, 0);
}

static void what_is_not_such_an_answer_is_refused(void **state)
{
    static const char *const texts[] = {
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/2 200\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
    };
    struct reply r;
    struct error e;
    bool whole;
    (void)state;

    for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(parse(texts[i], &whole, &r, &e), Q_CORRUPT);
    }
}

static void a_body_over_the_limit_is_refused_by_its_length(void **state)
{
    struct reply r;
    struct error e;
    bool whole;
    (void)state;

    assert_int_equal(parse("HTTP/1.1 200 OK\r\nContent-Length: 1073741825\r\n\r\n", &whole, &r, &e),
                     Q_TOO_BIG);
}

static void a_head_without_end_is_refused(void **state)
{
    char *text = malloc(REPLY_HEAD_MAX);
    struct reply r;
    struct error e;
    bool whole;
    (void)state;
    memset(text, 'x', REPLY_HEAD_MAX);

    assert_int_equal(reply_parse(text, REPLY_HEAD_MAX, &whole, &r, &e), Q_TOO_BIG);

    free(text);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_taken_apart),
        cmocka_unit_test(every_beginning_of_an_answer_waits_for_more),
        cmocka_unit_test(an_answer_may_end_the_connection),
        cmocka_unit_test(some_statuses_have_no_body),
        cmocka_unit_test(what_is_not_such_an_answer_is_refused),
        cmocka_unit_test(a_body_over_the_limit_is_refused_by_its_length),
        cmocka_unit_test(a_head_without_end_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
