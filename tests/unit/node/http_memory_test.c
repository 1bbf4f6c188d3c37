#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/http/request.h"
#include "tests/unit/node/http_fixture.h"
#include "tests/unit/test.h"

enum { KIB = 1024, ROOM = sizeof(struct http_request) + HTTP_REQUEST_ANSWER_MIN };

/* The value of a metric of the server. */
static size_t metric_of(struct fixture *f, const char *name)
{
    struct metrics metrics;
    struct buf text;
    char wanted[100];
    metrics_init(&metrics);
    http_server_metrics(f->world.server, &metrics);
    buf_init(&text, 65536);
    metrics_render(&metrics, &text);
    buf_put_u8(&text, 0);
    snprintf(wanted, sizeof wanted, "\n%s ", name);
    const char *line = strstr((char *)text.data, wanted);
    assert_non_null(line);
    size_t value = strtoul(line + strlen(wanted), NULL, 10);
    buf_close(&text);
    return value;
}

static size_t used(struct fixture *f)
{
    size_t n = metric_of(f, "quorate_http_memory_bytes");
    assert_true(n <= f->world.config.memory_max);
    return n;
}

static bool nothing_is_used(void *arg)
{
    return used(arg) == 0;
}

/* Without waiting for room, nor minding that the server does not listen any more. */
static void try_to_send(struct fixture *f, int fd, const void *bytes, size_t n)
{
    for (const char *p = bytes; n > 0;) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) {
            return;
        }
        p += sent > 0 ? sent : 0;
        n -= sent > 0 ? (size_t)sent : 0;
        world_turn(&f->world);
        used(f); /* checks the bound */
    }
}

static bool is_answered(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_PEEK) >= 0;
}

static void the_bound_holds_while_many_clients_send_large_bodies_slowly(void **state)
{
    enum { CLIENTS = 24, PIECE = 16 * KIB, PIECES = 16 };
    struct fixture *f = *state;
    static char piece[PIECE + 20];
    int fds[CLIENTS];
    unsigned done = 0, refused = 0;
    f->world.config.memory_max = 1024 * KIB;
    world_open(&f->world);
    for (unsigned i = 0; i < CLIENTS; i++) {
        char head[200];
        fds[i] = world_dial(&f->world);
        snprintf(head, sizeof head, "POST /big?n=10 HTTP/1.1\r\n" CLOSE "%s\r\n\r\n",
                 i % 2 == 0 ? "Content-Length: 262144" : "Transfer-Encoding: chunked");
        world_say(&f->world, fds[i], head);
    }

    for (unsigned k = 0; k < PIECES; k++) {
        for (unsigned i = 0; i < CLIENTS; i++) {
            int n = i % 2 == 0 ? 0 : snprintf(piece, sizeof piece, "%x\r\n", PIECE);
            memset(piece + n, 'b', PIECE);
            memcpy(piece + n + PIECE, "\r\n", 2);
            if (!is_answered(fds[i])) {
                try_to_send(f, fds[i], piece, i % 2 == 0 ? PIECE : (size_t)n + PIECE + 2);
            }
        }
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (i % 2 == 1 && !is_answered(fds[i])) {
            try_to_send(f, fds[i], "0\r\n\r\n", 5);
        }
        const char *heard = world_hear_end(&f->world, fds[i]);
        if (status_of(heard) == 503) {
            assert_non_null(strstr(heard, "\r\nRetry-After: 1\r\n"));
            assert_non_null(strstr(heard, "\r\nConnection: close\r\n"));
            refused++;
        } else {
            assert_int_equal(status_of(heard), 200);
            done++;
        }
        close(fds[i]);
    }

    assert_true(done >= 1 && refused >= CLIENTS / 2);
    assert_int_equal(f->handled, done);
    assert_int_equal(metric_of(f, "quorate_http_memory_refused_total"), refused);
    world_until(&f->world, nothing_is_used, f);
}

static void clients_that_never_read_keep_no_more_than_the_bound(void **state)
{
    enum { CLIENTS = 12 };
    static const char ask[] = "GET /big?n=1000000 HTTP/1.1\r\nHost: h\r\n\r\n";
    struct fixture *f = *state;
    uint64_t end = uv_hrtime() + WORLD_WAIT_MS * UINT64_C(1000000);
    int fds[CLIENTS], small = 4096;
    const char *heard;
    f->world.config.memory_max = 2900 * KIB;
    f->world.config.output_max = SIZE_MAX / 2;
    world_open(&f->world);
    for (unsigned i = 0; i < CLIENTS; i++) {
        fds[i] = world_dial(&f->world);
        setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    }
    /* The network takes some megabytes before the server feels that nobody reads. */
    do {
        assert_true(uv_hrtime() < end);
        for (unsigned i = 0; i < CLIENTS; i++) {
            try_to_send(f, fds[i], ask, strlen(ask));
        }
        heard = world_ask(&f->world, "GET /big?n=1010000 HTTP/1.1\r\n" CLOSE "\r\n");
    } while (status_of(heard) == 200);

    /* One who reads is told, and small answers still find room. */
    assert_int_equal(status_of(heard), 503);
    assert_non_null(strstr(heard, "\r\nRetry-After: 1\r\n"));
    assert_true(metric_of(f, "quorate_http_memory_refused_total") > 0);
    assert_int_equal(status_of(world_ask(&f->world, "GET /echo HTTP/1.1\r\n" CLOSE "\r\n")), 200);

    for (unsigned i = 0; i < CLIENTS; i++) {
        close(fds[i]);
    }
    world_until(&f->world, nothing_is_used, f);
    assert_int_equal(status_of(world_ask(&f->world, "GET /big?n=1010000 HTTP/1.1\r\n" CLOSE "\r\n")), 200);
}

static void an_answer_that_must_not_be_asked_for_again_ends_its_connection(void **state)
{
    struct fixture *f = *state;
    f->world.config.memory_max = 64 * KIB;
    world_open(&f->world);
    assert_string_equal(world_ask(&f->world, "POST /big?n=100000 HTTP/1.1\r\n" CLOSE "\r\n"), "");
    assert_int_equal(f->handled, 1);
    world_until(&f->world, nothing_is_used, f);
}

static void the_connection_goes_on_where_little_of_a_refused_body_is_to_come(void **state)
{
    struct fixture *f = *state;
    static char body[20000];
    f->world.config.memory_max = 16 * KIB;
    world_open(&f->world);
    memset(body, 'b', sizeof body);
    int fd = world_dial(&f->world);
    world_say(&f->world, fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 20000\r\n\r\n");
    world_send(&f->world, fd, body, sizeof body);
    const char *heard = world_hear(&f->world, fd, "no memory for this request now\n");
    assert_int_equal(status_of(heard), 503);
    assert_non_null(strstr(heard, "\r\nRetry-After: 1\r\n"));
    assert_null(strstr(heard, "Connection: close"));

    world_say(&f->world, fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi");
    assert_int_equal(status_of(world_hear(&f->world, fd, "[hi]")), 200);
    assert_int_equal(f->handled, 1);
    close(fd);
}

static void a_client_that_asks_before_it_sends_its_body_is_told_at_once(void **state)
{
    struct fixture *f = *state;
    f->world.config.memory_max = 16 * KIB;
    world_open(&f->world);
    const char *heard = world_ask(
        &f->world, "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 20000\r\n\r\n");
    assert_int_equal(status_of(heard), 503);
    assert_non_null(strstr(heard, "Connection: close"));
}

static void heads_count_too(void **state)
{
    struct fixture *f = *state;
    char text[4000] = "GET /echo HTTP/1.1\r\nHost: h\r\nX: ";
    f->world.config.memory_max = ROOM + 1000;
    world_open(&f->world);
    memset(text + strlen(text), 'x', 2000);
    strncat(text, "\r\n\r\n", 5);
    assert_int_equal(status_of(world_ask(&f->world, text)), 503);
    assert_int_equal(f->handled, 0);
    assert_int_equal(status_of(world_ask(&f->world, "GET /echo HTTP/1.1\r\n" CLOSE "\r\n")), 200);
}

static void parameters_count_too(void **state)
{
    struct fixture *f = *state;
    char text[4000] = "GET /echo?";
    f->world.config.memory_max = 2 * ROOM + 4096;
    world_open(&f->world);
    memset(text + strlen(text), '&', 1000);
    strncat(text, " HTTP/1.1\r\nHost: h\r\n\r\nGET /echo HTTP/1.1\r\n" CLOSE "\r\n", 100);
    const char *heard = world_ask(&f->world, text);
    assert_int_equal(status_of(heard), 503);
    assert_non_null(strstr(heard + 10, "HTTP/1.1 200 ")); /* its end was known */
}

static void requests_over_the_bound_are_refused_while_others_are_under_way(void **state)
{
    struct fixture *f = *state;
    f->world.config.memory_max = 2 * (ROOM + 300);
    world_open(&f->world);
    int first = world_dial(&f->world), second = world_dial(&f->world);
    world_say(&f->world, first, "GET /later HTTP/1.1\r\n" CLOSE "\r\n");
    world_say(&f->world, second, "GET /later HTTP/1.1\r\n" CLOSE "\r\n");
    wait_for_later(f, 2);

    assert_int_equal(status_of(world_ask(&f->world, "GET /echo HTTP/1.1\r\nHost: h\r\n\r\n")), 503);

    answer_text(f->later[0], "done");
    world_hear_end(&f->world, first);
    assert_int_equal(status_of(world_ask(&f->world, "GET /echo HTTP/1.1\r\n" CLOSE "\r\n")), 200);
    answer_text(f->later[1], "done");
    world_hear_end(&f->world, second);
    close(first);
    close(second);
}

static void what_waits_behind_a_full_line_counts_too(void **state)
{
    struct fixture *f = *state;
    char text[8000] = "GET /later HTTP/1.1\r\nHost: h\r\n\r\n";
    f->world.config.memory_max = ROOM + 2000;
    f->world.config.pipeline_max = 1;
    world_open(&f->world);
    while (strlen(text) < 7000) {
        strncat(text, "GET /echo HTTP/1.1\r\nHost: h\r\n\r\n", 50);
    }
    int fd = world_dial(&f->world);
    world_send(&f->world, fd, text, strlen(text));
    wait_for_later(f, 1);
    used(f);
    answer_text(f->later[0], "first");
    const char *heard = world_hear_end(&f->world, fd);
    assert_int_equal(status_of(heard), 200);
    assert_non_null(strstr(heard, "Connection: close")); /* the rest is to be asked for again */
    close(fd);
    world_until(&f->world, nothing_is_used, f);
}

static void what_waits_behind_a_full_line_is_given_back(void **state)
{
    struct fixture *f = *state;
    f->world.config.pipeline_max = 1;
    world_open(&f->world);
    int fd = world_dial(&f->world);
    world_say(&f->world, fd,
              "GET /later HTTP/1.1\r\nHost: h\r\n\r\nGET /later HTTP/1.1\r\nHost: h\r\n\r\nGET /later");
    wait_for_later(f, 1);
    size_t full = used(f);
    answer_text(f->later[0], "first");
    wait_for_later(f, 2);
    answer_text(f->later[1], "second");
    assert_true(used(f) < full);
    close(fd);
    world_until(&f->world, nothing_is_used, f);
}

static void a_request_that_outlives_client_and_server_is_counted_to_its_end(void **state)
{
    struct fixture *f = *state;
    world_open(&f->world);
    int fd = world_dial(&f->world);
    world_say(&f->world, fd, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_for_later(f, 1);
    close(fd);
    for (unsigned i = 0; i < 20; i++) {
        world_turn(&f->world);
    }
    assert_true(used(f) > ROOM);
    world_stop(&f->world);
    answer_text(f->later[0], "to nobody");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(the_bound_holds_while_many_clients_send_large_bodies_slowly),
        TEST(clients_that_never_read_keep_no_more_than_the_bound),
        TEST(an_answer_that_must_not_be_asked_for_again_ends_its_connection),
        TEST(the_connection_goes_on_where_little_of_a_refused_body_is_to_come),
        TEST(a_client_that_asks_before_it_sends_its_body_is_told_at_once),
        TEST(heads_count_too),
        TEST(parameters_count_too),
        TEST(requests_over_the_bound_are_refused_while_others_are_under_way),
        TEST(what_waits_behind_a_full_line_counts_too),
        TEST(what_waits_behind_a_full_line_is_given_back),
        TEST(a_request_that_outlives_client_and_server_is_counted_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
