#include "node/http/server.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/node/http_world.h"
#include "tests/unit/test.h"

enum { LATER_MAX = 64 };

/* What the handlers of these tests know. */
struct fixture {
    struct http_world world;
    struct http_request *later[LATER_MAX];
    unsigned waiting, handled;
};

static void on_echo(void *ctx, struct http_request *r)
{
    struct fixture *f = ctx;
    size_t n;
    const uint8_t *bytes = http_body(r, &n);
    struct buf body;

    f->handled++;
    buf_init(&body, 4 * 1024 * 1024);
    buf_printf(&body, "%d %s %s [", http_method(r), http_path(r), http_raw_query(r));
    buf_put_bytes(&body, bytes, n);
    buf_printf(&body, "]");
    http_respond(r, 200, "text/plain", &body);
}

static void on_later(void *ctx, struct http_request *r)
{
    struct fixture *f = ctx;
    f->later[f->waiting++] = r;
}

static void on_param(void *ctx, struct http_request *r)
{
    size_t n = 0;
    const char *value = http_param_bytes(r, "p", &n);
    const char *error = http_query_error(r);
    struct buf body;

    (void)ctx;
    buf_init(&body, 65536);
    buf_printf(&body, "%s:", value != NULL ? "there" : "none");
    buf_put_bytes(&body, value, n);
    buf_printf(&body, ":%s:%s", error != NULL ? error : "fine",
               http_header(r, "x-test") != NULL ? http_header(r, "x-test") : "no header");
    http_respond(r, 200, NULL, &body);
}

static void on_big(void *ctx, struct http_request *r)
{
    size_t n = strtoul(http_param(r, "n"), NULL, 10);
    struct fixture *f = ctx;
    struct buf body;

    f->handled++;
    buf_init(&body, n);
    assert_non_null(buf_reserve(&body, n));
    memset(body.data, 'x', n);
    body.len = n;
    http_respond(r, 200, NULL, &body);
}

static const struct http_route routes[] = {
    {.path = "/echo", .prefix = true, .methods = ~0U, .handler = on_echo},
    {.path = "/later", .methods = 1U << HTTP_METHOD_GET, .handler = on_later},
    {.path = "/param", .methods = 1U << HTTP_METHOD_GET, .handler = on_param},
    {.path = "/big", .methods = 1U << HTTP_METHOD_GET, .handler = on_big},
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    world_init(&f->world, routes, sizeof routes / sizeof routes[0], f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    world_close(&f->world);
    free(f);
    return 0;
}

static void answer_text(struct http_request *r, const char *text)
{
    struct buf body;
    buf_init(&body, 1000);
    buf_printf(&body, "%s", text);
    http_respond(r, 200, NULL, &body);
}

static void wait_for_later(struct fixture *f, unsigned count)
{
    uint64_t end = uv_hrtime() + WORLD_WAIT_MS * UINT64_C(1000000);
    while (f->waiting < count) {
        assert_true(uv_hrtime() < end);
        world_turn(&f->world);
    }
}

/* The status of the first answer in TEXT. */
static int status_of(const char *text)
{
    assert_memory_equal(text, "HTTP/1.1 ", 9);
    return (int)strtol(text + 9, NULL, 10);
}

#define CLOSE "Host: h\r\nConnection: close\r\n"

static void a_request_gets_its_answer(void **state)
{
    struct fixture *f = *state;
    world_open(&f->world);
    assert_string_equal(world_ask(&f->world, "GET /echo/a%20b?x=1&y HTTP/1.1\r\n" CLOSE "\r\n"),
                        "HTTP/1.1 200 OK\r\nContent-Length: 22\r\nConnection: close\r\n"
                        "Content-Type: text/plain\r\n\r\n0 /echo/a%20b x=1&y []");
    assert_string_equal(world_ask(&f->world, "PUT /echo HTTP/1.1\r\n" CLOSE "Content-Length: 5\r\n\r\nhello"),
                        "HTTP/1.1 200 OK\r\nContent-Length: 16\r\nConnection: close\r\n"
                        "Content-Type: text/plain\r\n\r\n3 /echo  [hello]");
}

static void the_connection_is_kept_for_the_next_request(void **state)
{
    struct fixture *f = *state;
    world_open(&f->world);
    int fd = world_dial(&f->world);
    for (unsigned i = 0; i < 3; i++) {
        world_say(&f->world, fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nok\r\n");
        const char *heard = world_hear(&f->world, fd, "2 /echo  [ok]");
        assert_int_equal(status_of(heard), 200);
        assert_null(strstr(heard, "Connection:"));
    }
    close(fd);
}

static void http_1_0_closes_unless_asked_to_keep(void **state)
{
    struct fixture *f = *state;
    world_open(&f->world);
    assert_non_null(strstr(world_ask(&f->world, "GET /echo HTTP/1.0\r\n\r\n"), "Connection: close\r\n"));
    int fd = world_dial(&f->world);
    world_say(&f->world, fd, "GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_non_null(strstr(world_hear(&f->world, fd, "[]"), "Connection: keep-alive\r\n"));
    world_say(&f->world, fd, "GET /echo HTTP/1.0\r\n\r\n");
    world_hear_end(&f->world, fd);
    close(fd);
}

static void a_request_may_come_byte_by_byte(void **state)
{
    static const char text[] = "POST /echo?q=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n"
                               "Connection: close\r\n\r\nabc";
    struct fixture *f = *state;
    world_open(&f->world);
    int fd = world_dial(&f->world);
    for (size_t i = 0; i < sizeof text - 1; i++) {
        world_send(&f->world, fd, text + i, 1);
    }
    assert_non_null(strstr(world_hear_end(&f->world, fd), "2 /echo q=1 [abc]"));
    close(fd);
}

static void pipelined_answers_keep_the_order_of_the_requests(void **state)
{
    struct fixture *f = *state;
    world_open(&f->world);
    int fd = world_dial(&f->world);
    world_say(&f->world, fd,
              "GET /later HTTP/1.1\r\nHost: h\r\n\r\nGET /later HTTP/1.1\r\nHost: h\r\n\r\n"
              "GET /echo/third HTTP/1.1\r\nHost: h\r\n\r\nGET /later HTTP/1.1\r\n" CLOSE "\r\n");
    wait_for_later(f, 3);

    answer_text(f->later[2], "fourth");
    answer_text(f->later[1], "second");
    world_turn(&f->world);
    answer_text(f->later[0], "first");

    const char *heard = world_hear_end(&f->world, fd);
    const char *first = strstr(heard, "first"), *second = strstr(heard, "second"),
               *third = strstr(heard, "third"), *fourth = strstr(heard, "fourth");
    assert_true(first != NULL && first < second && second < third && third < fourth);
    assert_null(strstr(strstr(heard, "Connection: close") + 1, "Connection: close"));
    close(fd);
}

static void no_more_than_pipeline_max_requests_are_under_way(void **state)
{
    struct fixture *f = *state;
    world_open(&f->world);
    int fd = world_dial(&f->world);
    for (unsigned i = 0; i < 20; i++) {
        world_say(&f->world, fd, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    wait_for_later(f, 8);
    for (unsigned i = 0; i < 20; i++) {
        world_turn(&f->world);
    }
    assert_int_equal(f->waiting, 8);

    for (unsigned i = 0; i < 20; i++) {
        wait_for_later(f, i + 1);
        answer_text(f->later[i], "done");
        assert_true(f->waiting <= i + 1 + 8);
        world_hear(&f->world, fd, "done");
    }
    close(fd);
}

static void chunked_bodies_are_put_together(void **state)
{
    struct fixture *f = *state;
    world_open(&f->world);
    assert_non_null(
        strstr(world_ask(&f->world, "POST /echo HTTP/1.1\r\n" CLOSE "Transfer-Encoding: chunked\r\n\r\n"
                                    "3\r\nabc\r\n5;x=y\r\ndefgh\r\n0\r\nTrailer: t\r\n\r\n"),
               "[abcdefgh]"));
}

static void a_client_that_expects_100_continue_gets_it_in_turn(void **state)
{
    struct fixture *f = *state;
    world_open(&f->world);
    int fd = world_dial(&f->world);
    world_say(&f->world, fd,
              "GET /later HTTP/1.1\r\nHost: h\r\n\r\n"
              "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    wait_for_later(f, 1);
    answer_text(f->later[0], "first");
    world_hear(&f->world, fd, "first");
    assert_string_equal(world_hear(&f->world, fd, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    world_say(&f->world, fd, "body");
    assert_int_equal(status_of(world_hear(&f->world, fd, "[body]")), 200);
    close(fd);
}

static void an_unknown_expectation_is_refused(void **state)
{
    struct fixture *f = *state;
    world_open(&f->world);
    assert_int_equal(status_of(world_ask(&f->world, "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: tea\r\n\r\n")),
                     417);
    assert_int_equal(f->handled, 0);
}

/* Requests that must be refused, and how. None may reach a handler. */
static void malformed_requests_are_refused(void **state)
{
    static const struct {
        int status;
        const char *text;
    } cases[] = {
        {400, "\x16\x03\x01\x02 hello\r\n\r\n"},
        {400, "hello world\r\n\r\n"},
        {501, "FROB /echo HTTP/1.1\r\nHost: h\r\n\r\n"},
        {400, "GET /echo HTTP/1.1\r\n\r\n"},
        {400, "GET /echo HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"},
        {400, "GET echo HTTP/1.1\r\nHost: h\r\n\r\n"},
        {400, "GET * HTTP/1.1\r\nHost: h\r\n\r\n"},
        {400, "GET /ec\tho HTTP/1.1\r\nHost: h\r\n\r\n"},
        {400, "GET /echo?a\fb HTTP/1.1\r\nHost: h\r\n\r\n"},
        {505, "GET /echo HTTP/2.0\r\nHost: h\r\n\r\n"},
        {505, "GET /echo\r\n\r\n"},
        {400, "GET /echo HTTP/1.1\r\nHost: h\r\nConnection: cl\001ose\r\n\r\n"},
        {400, "GET /echo HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n"},
        {400, "GET /echo HTTP/1.1\r\nHost: h\r\nNo-Colon\r\n\r\n"},
        {400, "GET /echo HTTP/1.1\r\nTransfer-\r\nHost: h\r\n\r\n"},
        {400, "GET /echo HTTP/1.1\r\nHost : h\r\n\r\n"},
        {400, "GET /echo HTTP/1.1\r\nHost: h\r\nX: a\001b\r\n\r\n"},
        {400, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: "
              "chunked\r\n\r\n0\r\n\r\n"},
        {400, "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: "
              "3\r\n\r\n0\r\n\r\n"},
        {400, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"},
        {400, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: -3\r\n\r\n"},
        {400, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3x\r\n\r\nabc"},
        {400, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999999\r\n\r\n"},
        {400, "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"},
        {501, "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n"},
        {501, "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
        {400, "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
        {413, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1048577\r\n\r\n"},
    };
    struct fixture *f = *state;
    world_open(&f->world);
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int status = status_of(world_ask(&f->world, cases[i].text));
        if (status != cases[i].status) {
            fail_msg("%d instead of %d for %s", status, cases[i].status, cases[i].text);
        }
    }
    assert_int_equal(f->handled, 0);
}

/* Sound requests with a few bytes changed, cut, doubled, in pieces of any size: whatever comes of it, the
 * server goes on. */
static void no_bytes_break_the_server(void **state)
{
    static const char *const sound[] = {
        "GET /param?p=a%20b&x=1 HTTP/1.1\r\nHost: h\r\nX-Test: y\r\n\r\nGET /echo HTTP/1.1\r\nHost: "
        "h\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
        "3\r\nabc\r\n0\r\nT: t\r\n\r\nHEAD /echo HTTP/1.0\r\n\r\n",
        "PUT http://h/echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody",
    };
    static const char odd[] = "\0\r\n :;%?&=\t\x7f\xff/*09aZ,\"";
    struct fixture *f = *state;
    uint64_t bits = 1;
    world_open(&f->world);
    for (unsigned i = 0; i < 250; i++) {
        char bytes[600];
        size_t n = strlen(sound[i % 3]);
        memcpy(bytes, sound[i % 3], n);
        for (unsigned k = 0; k < 1 + i % 4; k++) {
            bits = bits * UINT64_C(6364136223846793005) + 1;
            bytes[(bits >> 33) % n] = odd[(bits >> 20) % (sizeof odd - 1)];
        }
        int fd = world_dial(&f->world);
        for (size_t at = 0; at < n;) {
            bits = bits * UINT64_C(6364136223846793005) + 1;
            size_t part = 1 + (bits >> 40) % n;
            part = part < n - at ? part : n - at;
            if (send(fd, bytes + at, part, MSG_NOSIGNAL) < 0) {
                break;
            }
            at += part;
            world_turn(&f->world);
        }
        shutdown(fd, SHUT_WR);
        world_hear_end(&f->world, fd);
        close(fd);
    }
    assert_int_equal(status_of(world_ask(&f->world, "GET /echo HTTP/1.1\r\n" CLOSE "\r\n")), 200);
}

static void a_refusal_waits_for_the_answers_before_it(void **state)
{
    struct fixture *f = *state;
    world_open(&f->world);
    int fd = world_dial(&f->world);
    world_say(&f->world, fd, "GET /later HTTP/1.1\r\nHost: h\r\n\r\nnonsense\r\n\r\n");
    wait_for_later(f, 1);
    answer_text(f->later[0], "first");
    const char *heard = world_hear_end(&f->world, fd);
    assert_int_equal(status_of(heard), 200);
    assert_non_null(strstr(strstr(heard, "first"), "HTTP/1.1 400 "));
    close(fd);
}

static void a_head_over_its_limit_is_refused(void **state)
{
    struct fixture *f = *state;
    static char text[40000];
    int n;
    world_open(&f->world);

    memset(text, 'a', sizeof text);
    n = snprintf(text, sizeof text, "GET /echo HTTP/1.1\r\nHost: h\r\nX: ");
    text[n] = 'a';
    memcpy(text + 9000, "\r\n\r\n", 5);
    assert_int_equal(status_of(world_ask(&f->world, text)), 431);

    memset(text, 'a', sizeof text);
    memcpy(text, "GET /", 5);
    strncpy(text + 9000, " HTTP/1.1\r\nHost: h\r\n\r\n", 30);
    assert_int_equal(status_of(world_ask(&f->world, text)), 414);

    n = snprintf(text, sizeof text, "GET /echo HTTP/1.1\r\nHost: h\r\n");
    for (unsigned i = 0; i < 150; i++) {
        n += snprintf(text + n, sizeof text - (size_t)n, "A: b\r\n");
    }
    snprintf(text + n, sizeof text - (size_t)n, "\r\n");
    assert_int_equal(status_of(world_ask(&f->world, text)), 431);

    n = snprintf(text, sizeof text,
                 "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: ");
    memset(text + n, 'a', 20000);
    memcpy(text + n + 20000, "\r\n\r\n", 5);
    assert_int_equal(status_of(world_ask(&f->world, text)), 431);
    assert_int_equal(f->handled, 0);
}

static void a_chunked_body_over_its_limit_is_refused_and_the_refusal_arrives(void **state)
{
    struct fixture *f = *state;
    static char chunk[70000];
    int n = snprintf(chunk, sizeof chunk, "10000\r\n");
    f->world.config.body_max = 200000;
    world_open(&f->world);
    memset(chunk + n, 'b', 65536);
    memcpy(chunk + n + 65536, "\r\n", 2);

    int fd = world_dial(&f->world);
    world_say(&f->world, fd, "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (unsigned i = 0; i < 6; i++) {
        world_send(&f->world, fd, chunk, (size_t)n + 65538);
    }

    assert_int_equal(status_of(world_hear_end(&f->world, fd)), 413);
    assert_int_equal(f->handled, 0);
    close(fd);
}

static void methods_and_paths_are_routed(void **state)
{
    struct fixture *f = *state;
    world_open(&f->world);
    assert_string_equal(world_ask(&f->world, "GET /nowhere HTTP/1.1\r\n" CLOSE "\r\n"),
                        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    assert_int_equal(status_of(world_ask(&f->world, "GET /later/x HTTP/1.1\r\n" CLOSE "\r\n")), 404);
    assert_string_equal(world_ask(&f->world, "POST /param HTTP/1.1\r\n" CLOSE "Content-Length: 0\r\n\r\n"),
                        "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\nConnection: close\r\n"
                        "Allow: GET, HEAD\r\n\r\n");
    assert_int_equal(status_of(world_ask(&f->world, "PATCH /param HTTP/1.1\r\n" CLOSE "\r\n")), 405);
    assert_non_null(
        strstr(world_ask(&f->world, "GET http://h:1/echo?a HTTP/1.1\r\n" CLOSE "\r\n"), "0 /echo a []"));
    assert_non_null(strstr(
        world_ask(&f->world,
                  "GET /echo HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\nConnection: Upgrade, close\r\n\r\n"),
        "0 /echo  []"));
}

static void head_has_the_length_but_no_body(void **state)
{
    struct fixture *f = *state;
    world_open(&f->world);
    assert_string_equal(world_ask(&f->world, "HEAD /echo HTTP/1.1\r\n" CLOSE "\r\n"),
                        "HTTP/1.1 200 OK\r\nContent-Length: 11\r\nConnection: close\r\n"
                        "Content-Type: text/plain\r\n\r\n");
}

static void parameters_follow_the_rules_of_go(void **state)
{
    static const struct {
        const char *query, *expected;
    } cases[] = {
        {"p=SELECT+1", "there:SELECT 1:fine:"},
        {"p=a%2Bb%00c", "there:a+b0c:fine:"},
        {"p", "there::fine:"},
        {"p=", "there::fine:"},
        {"x=1", "none::fine:"},
        {"", "none::fine:"},
        {"P=1", "none::fine:"},
        {"p=1&p=2", "there:1:fine:"},
        {"&&a=b&%70=x", "there:x:fine:"},
        {"p=a=b", "there:a=b:fine:"},
        {"p=1;x=2", "none::invalid semicolon separator in query:"},
        {"a;b&p=1", "there:1:invalid semicolon separator in query:"},
        {"p=a%3Bb", "there:a;b:fine:"},
        {"p=%zz", "none::invalid URL escape \"%zz\":"},
        {"p=%4", "none::invalid URL escape \"%4\":"},
        {"p=ab%", "none::invalid URL escape \"%\":"},
        {"p=%41", "there:A:fine:"},
    };
    struct fixture *f = *state;
    world_open(&f->world);
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[300];
        snprintf(text, sizeof text, "GET /param?%s HTTP/1.1\r\n" CLOSE "\r\n", cases[i].query);
        const char *body = strstr(world_ask(&f->world, text), "\r\n\r\n") + 4;
        if (strncmp(body, cases[i].expected, strlen(cases[i].expected)) != 0) {
            fail_msg("%s gives %s", cases[i].query, body);
        }
    }
}

static void segments_are_decoded_strictly(void **state)
{
    char to[16];
    size_t n = 99;
    (void)state;
    assert_true(http_decode_segment("a%2Fb+c%00", 10, to, &n));
    assert_int_equal(n, 6);
    assert_memory_equal(to, "a/b+c\0", 6);
    assert_false(http_decode_segment("a%2", 3, to, &n));
    assert_false(http_decode_segment("%", 1, to, &n));
    assert_false(http_decode_segment("%g0", 3, to, &n));
    assert_true(http_decode_segment("%411", 3, to, &n));
    assert_int_equal(n, 1);
}

static void headers_are_found_by_any_case_and_trimmed(void **state)
{
    struct fixture *f = *state;
    world_open(&f->world);
    assert_non_null(strstr(world_ask(&f->world, "GET /param HTTP/1.1\r\n" CLOSE "X-TEST:  a b \t\r\n\r\n"),
                           "none::fine:a b"));
    assert_non_null(
        strstr(world_ask(&f->world, "GET /param HTTP/1.1\r\n" CLOSE "X-Test:\r\nA: b\r\n\r\n"), ":fine:"));
}

static void a_slow_head_gets_408(void **state)
{
    struct fixture *f = *state;
    f->world.config.head_ms = 30;
    world_open(&f->world);
    assert_int_equal(status_of(world_ask(&f->world, "GET /echo HTTP/1.1\r\nHost:")), 408);
}

static void a_slow_body_gets_408(void **state)
{
    struct fixture *f = *state;
    f->world.config.body_ms = 30;
    world_open(&f->world);
    assert_int_equal(
        status_of(world_ask(&f->world, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc")),
        408);
    assert_int_equal(f->handled, 0);
}

static void an_idle_connection_is_closed_without_a_word(void **state)
{
    struct fixture *f = *state;
    f->world.config.idle_ms = 30;
    world_open(&f->world);
    assert_string_equal(world_ask(&f->world, ""), "");
    assert_string_equal(world_ask(&f->world, "\r\n\r\n"), "");
}

static void a_slow_handler_is_not_hurried(void **state)
{
    struct fixture *f = *state;
    f->world.config.idle_ms = f->world.config.head_ms = f->world.config.body_ms = f->world.config.write_ms =
        10;
    world_open(&f->world);
    int fd = world_dial(&f->world);
    world_say(&f->world, fd, "GET /later HTTP/1.1\r\n" CLOSE "\r\n");
    wait_for_later(f, 1);
    uint64_t end = uv_hrtime() + 40 * 1000000;
    while (uv_hrtime() < end) {
        world_turn(&f->world);
    }
    answer_text(f->later[0], "at last");
    assert_non_null(strstr(world_hear_end(&f->world, fd), "at last"));
    close(fd);
}

static void a_client_that_half_closes_still_gets_its_answers(void **state)
{
    struct fixture *f = *state;
    world_open(&f->world);
    int fd = world_dial(&f->world);
    world_say(&f->world, fd,
              "GET /later HTTP/1.1\r\nHost: h\r\n\r\nGET /echo HTTP/1.1\r\nHost: h\r\n\r\nGET /ec");
    shutdown(fd, SHUT_WR);
    wait_for_later(f, 1);
    world_turn(&f->world);
    answer_text(f->later[0], "first");
    const char *heard = world_hear_end(&f->world, fd);
    assert_non_null(strstr(strstr(heard, "first"), "0 /echo  []"));
    close(fd);
}

static void a_request_outlives_its_client(void **state)
{
    struct fixture *f = *state;
    struct linger now = {.l_onoff = 1};
    world_open(&f->world);
    int fd = world_dial(&f->world);
    world_say(&f->world, fd, "GET /later HTTP/1.1\r\nHost: h\r\nX-Test: kept\r\n\r\n");
    wait_for_later(f, 1);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now); /* close resets */
    close(fd);
    for (unsigned i = 0; i < 20; i++) {
        world_turn(&f->world);
    }
    assert_string_equal(http_header(f->later[0], "X-Test"), "kept");
    assert_memory_equal(http_peer(f->later[0]), "127.0.0.1:", 10);
    http_set_header(f->later[0], "A", "b");
    answer_text(f->later[0], "to nobody");
}

static void a_large_answer_arrives_whole(void **state)
{
    struct fixture *f = *state;
    f->world.config.output_max = 1000; /* says when to cut, not how large one answer may be */
    world_open(&f->world);
    const char *heard = world_ask(&f->world, "GET /big?n=3000000 HTTP/1.1\r\n" CLOSE "\r\n");
    const char *body = strstr(heard, "\r\n\r\n") + 4;
    assert_int_equal(strspn(body, "x"), 3000000);
    assert_int_equal(strlen(body), 3000000);
}

static bool has_closed(void *arg)
{
    return send(*(int *)arg, "\r\n", 2, MSG_NOSIGNAL) < 0 && errno != EAGAIN;
}

static void a_client_that_never_reads_is_cut_off_when_it_makes_no_progress(void **state)
{
    struct fixture *f = *state;
    int small = 4096, fd;
    f->world.config.write_ms = 50;
    f->world.config.output_max = SIZE_MAX / 2;
    world_open(&f->world);
    fd = world_dial(&f->world);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    char text[2000] = "";
    for (unsigned i = 0; i < 30; i++) {
        strncat(text, "GET /big?n=4000000 HTTP/1.1\r\nHost: h\r\n\r\n", sizeof text - strlen(text) - 1);
    }
    world_say(&f->world, fd, text);
    world_until(&f->world, has_closed, &fd);
    /* Reading stopped when the line was full: the memory is bounded by it. */
    assert_int_equal(f->handled, 8);
    close(fd);
}

static void a_client_with_too_much_waiting_is_cut_off_at_once(void **state)
{
    struct fixture *f = *state;
    int fd;
    f->world.config.output_max = 6000000;
    world_open(&f->world);
    fd = world_dial(&f->world);
    char text[2000] = "";
    for (unsigned i = 0; i < 8; i++) {
        strncat(text, "GET /big?n=4000000 HTTP/1.1\r\nHost: h\r\n\r\n", sizeof text - strlen(text) - 1);
    }
    world_say(&f->world, fd, text);
    world_until(&f->world, has_closed, &fd);
    assert_in_range(f->handled, 2, 7);
    close(fd);
}

static void clients_over_the_limit_wait_their_turn(void **state)
{
    struct fixture *f = *state;
    int fds[10];
    f->world.config.connections_max = 2;
    world_open(&f->world);
    for (unsigned i = 0; i < 10; i++) {
        fds[i] = world_dial(&f->world);
    }
    for (unsigned i = 0; i < 10; i++) {
        world_say(&f->world, fds[i], "GET /echo HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    for (unsigned i = 0; i < 20; i++) {
        world_turn(&f->world);
    }
    assert_int_equal(f->handled, 2);
    for (unsigned i = 0; i < 10; i++) {
        world_hear(&f->world, fds[i], "[]");
        close(fds[i]);
    }
    assert_int_equal(f->handled, 10);
}

static void many_connections_are_served_side_by_side(void **state)
{
    enum { CLIENTS = 200, ROUNDS = 3 };
    struct fixture *f = *state;
    static int fds[CLIENTS];
    f->world.config.connections_max = CLIENTS;
    world_open(&f->world);
    for (unsigned i = 0; i < CLIENTS; i++) {
        fds[i] = world_dial(&f->world);
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < CLIENTS; i++) {
            char text[100];
            snprintf(text, sizeof text, "GET /echo?%u HTTP/1.1\r\nHost: h\r\n\r\n", i);
            assert_int_equal(send(fds[i], text, strlen(text), 0), strlen(text));
        }
        for (unsigned i = 0; i < CLIENTS; i++) {
            char needle[50];
            snprintf(needle, sizeof needle, "0 /echo %u []", i);
            world_hear(&f->world, fds[i], needle);
        }
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        close(fds[i]);
    }
    assert_int_equal(f->handled, CLIENTS * ROUNDS);
}

static bool is_closed(void *arg)
{
    return *(bool *)arg;
}

static bool server_closed;

static void on_server_closed(void *ctx)
{
    (void)ctx;
    server_closed = true;
}

static void closing_waits_for_the_answers_that_are_under_way(void **state)
{
    struct fixture *f = *state;
    world_open(&f->world);
    int idle = world_dial(&f->world), busy = world_dial(&f->world);
    world_say(&f->world, busy, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_for_later(f, 1);

    server_closed = false;
    http_server_close(f->world.server, 5000, on_server_closed);
    f->world.server = NULL;
    assert_string_equal(world_hear_end(&f->world, idle), "");
    assert_false(server_closed);
    answer_text(f->later[0], "goodbye");
    assert_non_null(strstr(world_hear_end(&f->world, busy), "Connection: close\r\n"));
    close(busy);
    close(idle);
    world_until(&f->world, is_closed, &server_closed);
}

static void closing_does_not_wait_longer_than_its_grace(void **state)
{
    struct fixture *f = *state;
    world_open(&f->world);
    int fd = world_dial(&f->world);
    world_say(&f->world, fd, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_for_later(f, 1);

    server_closed = false;
    http_server_close(f->world.server, 20, on_server_closed);
    f->world.server = NULL;
    world_until(&f->world, is_closed, &server_closed);
    answer_text(f->later[0], "the handler may answer after the server is gone");
    close(fd);
}

static void an_address_in_use_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct http_server *second = NULL;
    struct error e;
    char address[40];
    world_open(&f->world);
    snprintf(address, sizeof address, "127.0.0.1:%d", http_server_port(f->world.server));
    f->world.config.address = address;
    assert_int_equal(http_server_open(&f->world.config, &second, &e), Q_IO);
    assert_non_null(strstr(e.text, "address already in use"));
    f->world.config.address = "127.0.0.1";
    assert_int_equal(http_server_open(&f->world.config, &second, &e), Q_INVALID);
    f->world.config.address = "no.such.host.invalid:1";
    assert_int_equal(http_server_open(&f->world.config, &second, &e), Q_INVALID);
    assert_null(second);
}

static bool on_gate(void *ctx, struct http_request *r)
{
    (void)ctx;
    if (http_param(r, "forbidden") == NULL) {
        return false;
    }
    http_respond_text(r, 400, "not here");
    return true;
}

static void on_prepare(void *ctx, struct http_request *r)
{
    (void)ctx;
    if (!http_header_is_set(r, "x-every")) {
        http_set_header(r, "X-Every", "answer");
    }
}

static void gate_and_prepare_see_every_answer(void **state)
{
    static const char *const requests[] = {
        "GET /echo HTTP/1.1\r\n" CLOSE "\r\n",
        "GET /nowhere HTTP/1.1\r\n" CLOSE "\r\n",
        "DELETE /param HTTP/1.1\r\n" CLOSE "\r\n",
        "GET /nowhere?forbidden HTTP/1.1\r\n" CLOSE "\r\n",
        "nonsense\r\n\r\n",
    };
    struct fixture *f = *state;
    f->world.config.gate = on_gate;
    f->world.config.prepare = on_prepare;
    world_open(&f->world);
    for (unsigned i = 0; i < 5; i++) {
        assert_non_null(strstr(world_ask(&f->world, requests[i]), "X-Every: answer\r\n"));
    }
    assert_string_equal(world_ask(&f->world, requests[3]),
                        "HTTP/1.1 400 Bad Request\r\nContent-Length: 9\r\nConnection: close\r\n"
                        "X-Content-Type-Options: nosniff\r\nContent-Type: text/plain; charset=utf-8\r\n"
                        "X-Every: answer\r\n\r\nnot here\n");
}

static void metrics_count_what_happened(void **state)
{
    struct fixture *f = *state;
    struct metrics metrics;
    struct buf text;
    world_open(&f->world);
    world_ask(&f->world, "GET /echo HTTP/1.1\r\n" CLOSE "\r\n");
    world_ask(&f->world, "GET /nowhere HTTP/1.1\r\n" CLOSE "\r\n");
    metrics_init(&metrics);
    http_server_metrics(f->world.server, &metrics);
    buf_init(&text, 65536);
    metrics_render(&metrics, &text);
    buf_put_u8(&text, 0);
    assert_non_null(strstr((char *)text.data, "quorate_http_answers_total{class=\"2xx\"} 1\n"));
    assert_non_null(strstr((char *)text.data, "quorate_http_answers_total{class=\"4xx\"} 1\n"));
    assert_non_null(strstr((char *)text.data, "quorate_http_accepted_total 2\n"));
    assert_non_null(strstr((char *)text.data, "quorate_http_answer_seconds_count 2\n"));
    buf_close(&text);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_request_gets_its_answer),
        TEST(the_connection_is_kept_for_the_next_request),
        TEST(http_1_0_closes_unless_asked_to_keep),
        TEST(a_request_may_come_byte_by_byte),
        TEST(pipelined_answers_keep_the_order_of_the_requests),
        TEST(no_more_than_pipeline_max_requests_are_under_way),
        TEST(chunked_bodies_are_put_together),
        TEST(a_client_that_expects_100_continue_gets_it_in_turn),
        TEST(an_unknown_expectation_is_refused),
        TEST(malformed_requests_are_refused),
        TEST(no_bytes_break_the_server),
        TEST(a_refusal_waits_for_the_answers_before_it),
        TEST(a_head_over_its_limit_is_refused),
        TEST(a_chunked_body_over_its_limit_is_refused_and_the_refusal_arrives),
        TEST(methods_and_paths_are_routed),
        TEST(head_has_the_length_but_no_body),
        TEST(parameters_follow_the_rules_of_go),
        TEST(segments_are_decoded_strictly),
        TEST(headers_are_found_by_any_case_and_trimmed),
        TEST(a_slow_head_gets_408),
        TEST(a_slow_body_gets_408),
        TEST(an_idle_connection_is_closed_without_a_word),
        TEST(a_slow_handler_is_not_hurried),
        TEST(a_client_that_half_closes_still_gets_its_answers),
        TEST(a_request_outlives_its_client),
        TEST(a_large_answer_arrives_whole),
        TEST(a_client_that_never_reads_is_cut_off_when_it_makes_no_progress),
        TEST(a_client_with_too_much_waiting_is_cut_off_at_once),
        TEST(clients_over_the_limit_wait_their_turn),
        TEST(many_connections_are_served_side_by_side),
        TEST(closing_waits_for_the_answers_that_are_under_way),
        TEST(closing_does_not_wait_longer_than_its_grace),
        TEST(an_address_in_use_is_an_error),
        TEST(gate_and_prepare_see_every_answer),
        TEST(metrics_count_what_happened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
