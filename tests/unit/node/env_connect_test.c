#include "tests/unit/node/net_world.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <semaphore.h>
#include <sys/resource.h>

#include "node/env/env_listener.h"

/* Stands in front of the C library's resolver, for names that no network knows:
 *   two.test   ::1 first, then 127.0.0.1
 *   hole.test  127.0.0.2 first, then 127.0.0.1
 *   none.test  has no address
 *   slow.test  as none.test, but only after sem_post(&resolver) */
static sem_t resolver;

int getaddrinfo(const char *name, const char *port, const struct addrinfo *hints, struct addrinfo **ret)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    struct addrinfo *first;
    int rc;

    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (strcmp(name, "slow.test") == 0) {
        while (sem_wait(&resolver) != 0) {
        }
        return EAI_NONAME;
    }
    if (strcmp(name, "none.test") == 0) {
        return EAI_NONAME;
    }
    if (strcmp(name, "two.test") != 0 && strcmp(name, "hole.test") != 0) {
        return real(name, port, hints, ret);
    }
    rc = real(strcmp(name, "two.test") == 0 ? "::1" : "127.0.0.2", port, hints, &first);
    if (rc == 0) {
        rc = real("127.0.0.1", port, hints, &first->ai_next);
        *ret = first;
    }
    return rc;
}

static void a_refused_connection_is_told_by_closed(void **state)
{
    (void)state;
    struct world *w = open_world(0);
    struct server s = {0};
    struct end client = {0};
    server_listen(&s, w);
    env_listener_close(w->env, s.listener);

    end_connect(&client, w, s.address);
    run_until(w, &client.closed, 1);

    assert_int_equal(client.opened, 0);
    assert_int_equal(client.why, Q_IO);
    assert_non_null(strstr(client.text, s.address));
    assert_non_null(strstr(client.text, "Connection refused"));
    world_close(w);
}

static void a_bad_address_is_told_by_closed(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "garbage", "host:port", "[::1", "127.0.0.1:0", "::1:80", "a b:1"};
    struct world *w = open_world(0);

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct end client = {0};
        end_connect(&client, w, bad[i]);
        env_send(w->env, client.conn, pattern(10), 10);
        run_until(w, &client.closed, 1);
        assert_int_equal(client.why, Q_INVALID);
        assert_int_equal(client.opened, 0);
    }
    world_close(w);
}

static void the_addresses_of_a_name_are_tried_in_turn(void **state)
{
    (void)state;
    struct world *w = open_world(0);
    struct server s = {0};
    struct end client = {0};
    char address[64], peer[64];
    server_listen(&s, w); /* on the second one only */
    snprintf(address, sizeof address, "two.test:%u", env_uv_listener_port(s.listener));

    end_connect(&client, w, address);
    send_pattern(&client, STEP);
    run_until(w, &client.opened, 1);
    run_until(w, &s.ends[0].got, 1);

    env_conn_peer(w->env, client.conn, peer, sizeof peer);
    assert_string_equal(peer, address);
    env_conn_peer(w->env, s.ends[0].conn, peer, sizeof peer);
    assert_int_equal(strncmp(peer, "127.0.0.1:", 10), 0);
    env_conn_peer(w->env, s.ends[0].conn, peer, 4);
    assert_string_equal(peer, "127");
    world_close(w);
}

static void the_last_address_of_a_name_tells_the_failure(void **state)
{
    (void)state;
    struct world *w = open_world(0);
    struct server s = {0};
    struct end client = {0};
    char address[64];
    server_listen(&s, w);
    snprintf(address, sizeof address, "two.test:%u", env_uv_listener_port(s.listener));
    env_listener_close(w->env, s.listener);

    end_connect(&client, w, address);
    run_until(w, &client.closed, 1);

    assert_int_equal(client.why, Q_IO);
    assert_non_null(strstr(client.text, "two.test"));
    assert_non_null(strstr(client.text, "Connection refused"));
    world_close(w);
}

static void a_name_without_address_is_not_found(void **state)
{
    (void)state;
    struct world *w = open_world(0);
    struct end client = {0};

    end_connect(&client, w, "none.test:1");
    run_until(w, &client.closed, 1);

    assert_int_equal(client.why, Q_NOT_FOUND);
    assert_non_null(strstr(client.text, "none.test:1"));
    world_close(w);
}

static void a_close_does_not_wait_for_the_resolver(void **state)
{
    (void)state;
    struct world *w = open_world(0);
    struct end client = {0};
    sem_init(&resolver, 0, 0);

    end_connect(&client, w, "slow.test:1");
    send_pattern(&client, 10);
    env_conn_close(w->env, client.conn);
    env_conn_close(w->env, client.conn);
    assert_int_equal(client.closed, 0);
    run_until(w, &client.closed, 1);

    assert_int_equal(client.why, -1);
    sem_post(&resolver);
    world_close(w);
    assert_int_equal(client.closed, 1);
    sem_destroy(&resolver);
}

static void a_slow_resolver_is_a_timeout(void **state)
{
    (void)state;
    struct world *w = open_world(50);
    struct end client = {0};
    sem_init(&resolver, 0, 0);

    end_connect(&client, w, "slow.test:1");
    run_until(w, &client.closed, 1);

    assert_int_equal(client.why, Q_TIMEOUT);
    sem_post(&resolver);
    world_close(w);
    sem_destroy(&resolver);
}

/* A place where nobody answers: a queue of the kernel that is full and that nobody serves, so that it drops
 * further attempts. Port 0 takes any. */
struct hole {
    int listener, fill[4];
    uint16_t port;
};

static void hole_open(struct hole *h, const char *host, uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t n = sizeof at;

    inet_pton(AF_INET, host, &at.sin_addr);
    h->listener = raw_socket();
    assert_int_equal(bind(h->listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(h->listener, 0), 0);
    getsockname(h->listener, (struct sockaddr *)&at, &n);
    h->port = ntohs(at.sin_port);
    for (size_t i = 0; i < sizeof h->fill / sizeof h->fill[0]; i++) {
        h->fill[i] = raw_socket();
        fcntl(h->fill[i], F_SETFL, O_NONBLOCK);
        (void)connect(h->fill[i], (struct sockaddr *)&at, sizeof at);
    }
}

static void hole_close(struct hole *h)
{
    close(h->listener);
    for (size_t i = 0; i < sizeof h->fill / sizeof h->fill[0]; i++) {
        close(h->fill[i]);
    }
}

static void no_answer_is_a_timeout(void **state)
{
    (void)state;
    struct world *w = open_world(50);
    struct end client = {0};
    struct hole hole;
    char address[64];
    hole_open(&hole, "127.0.0.1", 0);
    snprintf(address, sizeof address, "127.0.0.1:%u", hole.port);

    end_connect(&client, w, address);
    run_until(w, &client.closed, 1);

    assert_int_equal(client.why, Q_TIMEOUT);
    assert_non_null(strstr(client.text, "no answer within 50 ms"));
    hole_close(&hole);
    world_close(w);
}

static void an_address_that_never_answers_leaves_time_for_the_next(void **state)
{
    (void)state;
    struct world *w = open_world(400);
    struct server s = {0};
    struct end client = {0};
    struct hole hole;
    char address[64];
    server_listen(&s, w);
    hole_open(&hole, "127.0.0.2", env_uv_listener_port(s.listener));
    snprintf(address, sizeof address, "hole.test:%u", hole.port);

    end_connect(&client, w, address);
    run_until(w, &client.opened, 1);
    run_until(w, &s.accepted, 1);

    assert_int_equal(client.closed, 0);
    hole_close(&hole);
    world_close(w);
}

static void a_close_between_two_addresses_is_told_once(void **state)
{
    (void)state;
    struct world *w = open_world(0);
    struct server s = {0};
    struct end client = {0};
    char address[64];
    server_listen(&s, w);
    snprintf(address, sizeof address, "two.test:%u", env_uv_listener_port(s.listener));
    env_listener_close(w->env, s.listener);

    /* Wherever it is by then: it is closed some iterations of the loop later each time. */
    for (unsigned i = 0; i < 8; i++) {
        client = (struct end){0};
        end_connect(&client, w, address);
        for (unsigned j = 0; j < i && client.closed == 0; j++) {
            uv_run(&w->loop, UV_RUN_ONCE);
        }
        if (client.closed == 0) {
            env_conn_close(w->env, client.conn);
            run_until(w, &client.closed, 1);
            assert_int_equal(client.why, -1);
        }
        assert_int_equal(client.closed, 1);
    }
    world_close(w);
    assert_int_equal(client.closed, 1);
}

static void a_connection_may_be_refused_when_it_comes(void **state)
{
    (void)state;
    struct world *w = open_world(0);
    struct server s = {.refuse = true};
    struct end client = {0};
    server_listen(&s, w);

    end_connect(&client, w, s.address);
    run_until(w, &client.closed, 1);

    assert_int_equal(s.accepted, 1);
    assert_int_equal(client.opened, 1);
    assert_true(client.why > 0);
    world_close(w);
}

static void an_address_in_use_or_malformed_cannot_be_listened_on(void **state)
{
    (void)state;
    struct world *w = open_world(0);
    struct server s = {0};
    struct env_listener *l = NULL;
    struct error e;
    server_listen(&s, w);

    assert_int_equal(env_listen(w->env, s.address, on_accepted, &s, &l, &e), Q_CONFLICT);
    assert_non_null(strstr(e.text, s.address));
    assert_int_equal(env_listen(w->env, "nonsense", on_accepted, &s, &l, &e), Q_INVALID);
    assert_null(l);

    env_listener_close(w->env, s.listener);
    assert_int_equal(env_listen(w->env, s.address, on_accepted, &s, &l, &e), 0);
    world_close(w);
}

static void without_descriptors_the_listener_pauses_and_goes_on_later(void **state)
{
    (void)state;
    struct world *w = open_world(0);
    struct server s = {0};
    struct rlimit was, none;
    server_listen(&s, w);
    int fd = raw_socket();
    getrlimit(RLIMIT_NOFILE, &was);
    none = was;
    none.rlim_cur = (rlim_t)fd + 1;

    setrlimit(RLIMIT_NOFILE, &none);
    raw_connect(fd, &s);
    uint64_t until = env_now_us(w->env) + 250000;
    while (env_now_us(w->env) < until) {
        uv_run(&w->loop, UV_RUN_ONCE);
    }
    uint64_t pauses = s.listener->pauses;
    setrlimit(RLIMIT_NOFILE, &was);

    assert_int_equal(s.accepted, 0);
    assert_true(pauses >= 1 && pauses <= 4);
    run_until(w, &s.accepted, 1);
    close(fd);
    run_until(w, &s.ends[0].closed, 1);
    world_close(w);
}

static void a_version_six_address_works_where_there_is_one(void **state)
{
    (void)state;
    struct world *w = open_world(0);
    struct server s = {.w = w};
    struct end client = {0};
    char peer[64];

    if (env_listen(w->env, "[::1]:0", on_accepted, &s, &s.listener, NULL) != 0) {
        world_close(w);
        skip();
    }
    snprintf(s.address, sizeof s.address, "[::1]:%u", env_uv_listener_port(s.listener));
    end_connect(&client, w, s.address);
    run_until(w, &client.opened, 1);
    run_until(w, &s.accepted, 1);

    env_conn_peer(w->env, s.ends[0].conn, peer, sizeof peer);
    assert_int_equal(strncmp(peer, "[::1]:", 6), 0);
    world_close(w);
}

static void the_end_closes_what_is_open_and_tells_it(void **state)
{
    (void)state;
    struct world *w = open_world(0);
    struct server s = {0};
    struct end open = {0}, connecting = {0}, resolving = {0};
    server_listen(&s, w);
    end_connect(&open, w, s.address);
    run_until(w, &open.opened, 1);
    run_until(w, &s.accepted, 1);
    send_pattern(&open, 16 << 20);
    end_connect(&connecting, w, s.address);
    end_connect(&resolving, w, "two.test:1");
    send_pattern(&connecting, 1000);

    world_end(w);
    run_until(w, &w->closed, 1);

    assert_int_equal(open.closed + connecting.closed + resolving.closed + s.ends[0].closed, 4);
    assert_int_equal(open.why, -1);
    assert_int_equal(connecting.why, -1);
    assert_int_equal(resolving.why, -1);
    assert_int_equal(s.ends[0].why, -1);
    world_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refused_connection_is_told_by_closed),
        cmocka_unit_test(a_bad_address_is_told_by_closed),
        cmocka_unit_test(the_addresses_of_a_name_are_tried_in_turn),
        cmocka_unit_test(the_last_address_of_a_name_tells_the_failure),
        cmocka_unit_test(a_name_without_address_is_not_found),
        cmocka_unit_test(a_close_does_not_wait_for_the_resolver),
        cmocka_unit_test(a_slow_resolver_is_a_timeout),
        cmocka_unit_test(no_answer_is_a_timeout),
        cmocka_unit_test(an_address_that_never_answers_leaves_time_for_the_next),
        cmocka_unit_test(a_close_between_two_addresses_is_told_once),
        cmocka_unit_test(a_connection_may_be_refused_when_it_comes),
        cmocka_unit_test(an_address_in_use_or_malformed_cannot_be_listened_on),
        cmocka_unit_test(without_descriptors_the_listener_pauses_and_goes_on_later),
        cmocka_unit_test(a_version_six_address_works_where_there_is_one),
        cmocka_unit_test(the_end_closes_what_is_open_and_tells_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
