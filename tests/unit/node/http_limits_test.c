#include "node/http/server.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/node/http_fixture.h"
#include "tests/unit/test.h"

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
        {400, "G\xc3\x8aT /echo HTTP/1.1\r\nHost: h\r\n\r\n"},
        {400, "GET \xc3\xa9/echo HTTP/1.1\r\nHost: h\r\n\r\n"},
        {400, "GET http://m\xc3\xbc/echo HTTP/1.1\r\nHost: h\r\n\r\n"},
        {505, "GET /echo HTTP/2.0\r\nHost: h\r\n\r\n"},
        {505, "GET /echo\r\n\r\n"},
        {400, "GET /echo HTTP/1.1\r\nHost: h\r\nConnection: cl\001ose\r\n\r\n"},
        {400, "GET /echo HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n"},
        {400, "GET /echo HTTP/1.1\r\nHost: h\r\nNo-Colon\r\n\r\n"},
        {400, "GET /echo HTTP/1.1\r\nTransfer-\r\nHost: h\r\n\r\n"},
        {400, "GET /echo HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n"},
        {400, "GET /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n"},
        {400, "GET /echo HTTP/1.1\r\nHost: h\r\n: y\r\n\r\n"},
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

static void a_slow_head_gets_408(void **state)
{
    struct fixture *f = *state;
    f->world.config.head_ms = 30;
    f->world.config.body_ms = f->world.config.idle_ms = 10 * WORLD_WAIT_MS;
    world_open(&f->world);
    assert_int_equal(status_of(world_ask(&f->world, "GET /echo HTTP/1.1\r\nHost:")), 408);
}

static void a_slow_body_gets_408(void **state)
{
    struct fixture *f = *state;
    f->world.config.body_ms = 30;
    f->world.config.head_ms = f->world.config.idle_ms = 10 * WORLD_WAIT_MS;
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
    char text[2000] = ""; /* answers larger than what the kernel may take of one */
    for (unsigned i = 0; i < 30; i++) {
        strncat(text, "GET /big?n=12000000 HTTP/1.1\r\nHost: h\r\n\r\n", sizeof text - strlen(text) - 1);
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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(no_more_than_pipeline_max_requests_are_under_way),
        TEST(an_unknown_expectation_is_refused),
        TEST(malformed_requests_are_refused),
        TEST(no_bytes_break_the_server),
        TEST(a_refusal_waits_for_the_answers_before_it),
        TEST(a_head_over_its_limit_is_refused),
        TEST(a_chunked_body_over_its_limit_is_refused_and_the_refusal_arrives),
        TEST(a_slow_head_gets_408),
        TEST(a_slow_body_gets_408),
        TEST(an_idle_connection_is_closed_without_a_word),
        TEST(a_slow_handler_is_not_hurried),
        TEST(a_large_answer_arrives_whole),
        TEST(a_client_that_never_reads_is_cut_off_when_it_makes_no_progress),
        TEST(a_client_with_too_much_waiting_is_cut_off_at_once),
        TEST(clients_over_the_limit_wait_their_turn),
        TEST(many_connections_are_served_side_by_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
