#include "node/http/server.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/node/http_fixture.h"
#include "tests/unit/test.h"

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

static void a_target_may_hold_bytes_above_ascii(void **state)
{
    static const char text[] = "PUT /echo/\xc3\xa9|\xff?q=\xc2\xb5 HTTP/1.1\r\nHost: h\r\nX: \xe9\r\n"
                               "Content-Length: 2\r\n\r\n\xc3\xa9";
    static const char heard[] = "3 /echo/\xc3\xa9|\xff q=\xc2\xb5 [\xc3\xa9]";
    struct fixture *f = *state;
    world_open(&f->world);
    int fd = world_dial(&f->world);
    for (unsigned i = 0; i < 2; i++) {
        world_say(&f->world, fd, text);
        world_hear(&f->world, fd, heard);
    }
    for (size_t i = 0; i < sizeof text - 1; i++) {
        world_send(&f->world, fd, text + i, 1);
    }
    world_hear(&f->world, fd, heard);
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

    world_say(&f->world, fd,
              "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nExpect: 100-Continue\r\n\r\n");
    assert_string_equal(world_hear(&f->world, fd, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    world_say(&f->world, fd, "3\r\n");
    world_say(&f->world, fd, "abc\r\n0\r\n\r\n");
    assert_int_equal(status_of(world_hear(&f->world, fd, "[abc]")), 200);
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
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(a_request_gets_its_answer),
        TEST(the_connection_is_kept_for_the_next_request),
        TEST(http_1_0_closes_unless_asked_to_keep),
        TEST(a_request_may_come_byte_by_byte),
        TEST(a_target_may_hold_bytes_above_ascii),
        TEST(pipelined_answers_keep_the_order_of_the_requests),
        TEST(chunked_bodies_are_put_together),
        TEST(a_client_that_expects_100_continue_gets_it_in_turn),
        TEST(methods_and_paths_are_routed),
        TEST(head_has_the_length_but_no_body),
        TEST(parameters_follow_the_rules_of_go),
        TEST(segments_are_decoded_strictly),
        TEST(headers_are_found_by_any_case_and_trimmed),
        TEST(a_client_that_half_closes_still_gets_its_answers),
        TEST(a_request_outlives_its_client),
        TEST(closing_waits_for_the_answers_that_are_under_way),
        TEST(closing_does_not_wait_longer_than_its_grace),
        TEST(an_address_in_use_is_an_error),
        TEST(gate_and_prepare_see_every_answer),
        TEST(metrics_count_what_happened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
