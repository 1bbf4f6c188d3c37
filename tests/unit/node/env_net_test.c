#include "tests/unit/node/net_world.h"

#include <fcntl.h>
#include <netinet/tcp.h>

static void ten_mebibytes_come_back_as_they_were_sent(void **state)
{
    (void)state;
    enum { ALL = 10 << 20, FRAME = 100000 };
    struct world *w = open_world(0);
    struct server s = {0};
    struct end client = {0};
    server_listen(&s, w);
    s.ends[0].echo = true;
    uint8_t *all = pattern(ALL);

    end_connect(&client, w, s.address);
    for (size_t at = 0; at < ALL; at += FRAME) {
        size_t n = ALL - at < FRAME ? ALL - at : FRAME;
        uint8_t *copy = malloc(n);
        memcpy(copy, all + at, n);
        env_send(w->env, client.conn, copy, n);
    }
    assert_int_equal(env_unsent(w->env, client.conn), ALL);
    run_until(w, &client.got, ALL / STEP);

    assert_int_equal(client.opened, 1);
    assert_int_equal(client.received, ALL);
    assert_true(client.sum == weigh(0, 0, all, ALL));
    assert_true(client.drained >= 1);
    assert_int_equal(env_unsent(w->env, client.conn), 0);
    free(all);
    world_close(w);
}

static void many_small_frames_of_one_moment_arrive_in_order(void **state)
{
    (void)state;
    enum { FRAMES = 4096 };
    struct world *w = open_world(0);
    struct server s = {0};
    struct end client = {0};
    uint8_t all[FRAMES];
    server_listen(&s, w);
    end_connect(&client, w, s.address);
    run_until(w, &client.opened, 1);

    for (unsigned i = 0; i < FRAMES; i++) {
        uint8_t *one = malloc(1);
        all[i] = *one = (uint8_t)(i * 13 + i / 256);
        env_send(w->env, client.conn, one, 1);
    }
    assert_int_equal(client.drained, 0);
    run_until(w, &s.accepted, 1);
    run_until(w, &s.ends[0].got, FRAMES / STEP);
    run_until(w, &client.drained, 1);

    assert_true(s.ends[0].sum == weigh(0, 0, all, FRAMES));
    assert_int_equal(client.drained, 1);
    world_close(w);
}

static void unsent_counts_what_the_network_has_not_taken(void **state)
{
    (void)state;
    enum { ALL = 16 << 20 };
    struct world *w = open_world(0);
    struct server s = {0};
    static char sink[1 << 16];
    size_t got = 0;
    server_listen(&s, w);
    int fd = raw_socket();
    raw_connect(fd, &s);
    run_until(w, &s.accepted, 1);
    struct end *end = &s.ends[0];

    send_pattern(end, ALL / 2);
    send_pattern(end, ALL / 2);
    size_t unsent = env_unsent(w->env, end->conn);
    assert_true(unsent > 0 && unsent < ALL);
    assert_int_equal(end->drained, 0);

    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (got < ALL) {
        ssize_t n = read(fd, sink, sizeof sink);
        if (n > 0) {
            got += (size_t)n;
        } else {
            uv_run(&w->loop, UV_RUN_NOWAIT);
        }
        assert_true(env_unsent(w->env, end->conn) <= unsent);
        unsent = env_unsent(w->env, end->conn);
    }
    run_until(w, &end->drained, 1);
    assert_int_equal(unsent, 0);
    close(fd);
    world_close(w);
}

static void a_close_of_the_other_side_is_told_with_a_reason(void **state)
{
    (void)state;
    struct world *w = open_world(0);
    struct server s = {0};
    struct end client = {0};
    server_listen(&s, w);
    end_connect(&client, w, s.address);
    run_until(w, &s.accepted, 1);
    run_until(w, &client.opened, 1);

    env_conn_close(w->env, s.ends[0].conn);
    run_until(w, &client.closed, 1);
    run_until(w, &s.ends[0].closed, 1);

    assert_int_equal(s.ends[0].why, -1);
    assert_int_equal(client.why, Q_CLOSED);
    assert_non_null(strstr(client.text, s.address));
    world_close(w);
}

static void a_reset_is_told_with_a_reason(void **state)
{
    (void)state;
    struct world *w = open_world(0);
    struct server s = {0};
    const struct linger reset = {.l_onoff = 1};
    server_listen(&s, w);
    int fd = raw_socket();
    raw_connect(fd, &s);
    run_until(w, &s.accepted, 1);

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
    run_until(w, &s.ends[0].closed, 1);

    assert_int_equal(s.ends[0].why, Q_IO);
    assert_non_null(strstr(s.ends[0].text, "reset by peer"));
    world_close(w);
}

static void a_send_into_a_broken_connection_ends_it(void **state)
{
    (void)state;
    struct world *w = open_world(0);
    struct server s = {0};
    server_listen(&s, w);
    int fd = raw_socket();
    raw_connect(fd, &s);
    run_until(w, &s.accepted, 1);
    struct end *end = &s.ends[0];

    send_pattern(end, 16 << 20);
    send_pattern(end, 10);
    shutdown(fd, SHUT_RDWR);
    close(fd);
    run_until(w, &end->closed, 1);

    assert_true(end->why > 0);
    assert_int_equal(end->drained, 0);
    world_close(w);
}

static void a_connection_closed_when_opened_or_received_hears_nothing_more(void **state)
{
    (void)state;
    struct world *w = open_world(0);
    struct server s = {0};
    struct end one = {.close_when_opened = true}, two = {.close_when_received = true};
    server_listen(&s, w);
    s.ends[0].echo = s.ends[1].echo = true;

    end_connect(&one, w, s.address);
    env_send(w->env, one.conn, pattern(STEP), STEP);
    run_until(w, &one.closed, 1);
    end_connect(&two, w, s.address);
    send_pattern(&two, STEP);
    run_until(w, &two.closed, 1);

    assert_int_equal(one.why, -1);
    assert_int_equal(one.received, 0);
    assert_int_equal(one.drained, 0);
    assert_int_equal(two.why, -1);
    run_until(w, &s.ends[0].closed, 1);
    run_until(w, &s.ends[1].closed, 1);
    assert_int_equal(one.closed + two.closed, 2);
    world_close(w);
}

static void what_is_sent_after_the_close_is_dropped(void **state)
{
    (void)state;
    struct world *w = open_world(0);
    struct server s = {0};
    struct end client = {0};
    server_listen(&s, w);
    end_connect(&client, w, s.address);
    run_until(w, &client.opened, 1);
    run_until(w, &s.accepted, 1);

    env_conn_close(w->env, client.conn);
    send_pattern(&client, 1000);
    assert_int_equal(env_unsent(w->env, client.conn), 0);
    run_until(w, &client.closed, 1);
    run_until(w, &s.ends[0].closed, 1);

    assert_int_equal(client.drained, 0);
    assert_int_equal(s.ends[0].received, 0);
    world_close(w);
}

static void a_close_drops_what_is_unsent(void **state)
{
    (void)state;
    struct world *w = open_world(0);
    struct server s = {0};
    server_listen(&s, w);
    int fd = raw_socket();
    raw_connect(fd, &s);
    run_until(w, &s.accepted, 1);
    struct end *end = &s.ends[0];

    send_pattern(end, 16 << 20);
    send_pattern(end, 1000);
    env_conn_close(w->env, end->conn);
    run_until(w, &end->closed, 1);

    assert_int_equal(end->why, -1);
    assert_int_equal(end->drained, 0);
    close(fd);
    world_close(w);
}

static void sockets_are_tuned_and_closed_on_exec(void **state)
{
    (void)state;
    struct world *w = open_world(0);
    struct server s = {0};
    struct end client = {0};
    unsigned sockets = 0, tuned = 0;
    server_listen(&s, w);
    end_connect(&client, w, s.address);
    run_until(w, &client.opened, 1);
    run_until(w, &s.accepted, 1);

    for (int fd = 3; fd < 1024; fd++) {
        struct sockaddr_in at = {0};
        socklen_t n = sizeof at;
        int nodelay = 0, keepalive = 0, flags = fcntl(fd, F_GETFD);

        if (flags < 0) {
            continue;
        }
        if (getsockname(fd, (struct sockaddr *)&at, &n) != 0 || at.sin_family != AF_INET) {
            continue;
        }
        sockets++;
        assert_true(flags & FD_CLOEXEC);
        n = sizeof nodelay;
        getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &n);
        getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &keepalive, &n);
        tuned += nodelay && keepalive;
    }

    assert_int_equal(sockets, 3);
    assert_int_equal(tuned, 2);
    world_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_mebibytes_come_back_as_they_were_sent),
        cmocka_unit_test(many_small_frames_of_one_moment_arrive_in_order),
        cmocka_unit_test(unsent_counts_what_the_network_has_not_taken),
        cmocka_unit_test(a_close_of_the_other_side_is_told_with_a_reason),
        cmocka_unit_test(a_reset_is_told_with_a_reason),
        cmocka_unit_test(a_send_into_a_broken_connection_ends_it),
        cmocka_unit_test(a_connection_closed_when_opened_or_received_hears_nothing_more),
        cmocka_unit_test(what_is_sent_after_the_close_is_dropped),
        cmocka_unit_test(a_close_drops_what_is_unsent),
        cmocka_unit_test(sockets_are_tuned_and_closed_on_exec),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
