#include "tests/unit/node/world.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <semaphore.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "node/env_listener.h"

/* Stands in front of the C library's resolver, for names that no network knows:
 *   two.test   ::1 first, then 127.0.0.1
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
    if (strcmp(name, "two.test") != 0) {
        return real(name, port, hints, ret);
    }
    rc = real("::1", port, hints, &first);
    if (rc == 0) {
        rc = real("127.0.0.1", port, hints, &first->ai_next);
        *ret = first;
    }
    return rc;
}

/* One end of a connection, and what happened to it. */
struct end {
    struct world *w;
    struct env_conn *conn; /* NULL when closed */
    unsigned opened, drained, closed;
    int why; /* -1: NULL */
    char text[ERROR_TEXT_MAX];
    uint64_t received;
    unsigned got; /* bytes received, in units of STEP */
    uint64_t sum; /* of the bytes, weighed by their places */
    bool echo, close_when_opened, close_when_received;
};

enum { STEP = 1024 };

/* A listener that makes each connection the next of ENDS. */
struct server {
    struct world *w;
    struct env_listener *listener;
    char address[64];
    struct end ends[8];
    unsigned accepted;
    bool refuse;
};

static uint64_t weigh(uint64_t sum, uint64_t at, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        sum = sum * 31 + bytes[i] + (at + i) % 7;
    }
    return sum;
}

static void on_opened(void *owner)
{
    struct end *end = owner;

    assert_int_equal(end->received, 0);
    end->opened++;
    if (end->close_when_opened) {
        env_conn_close(end->w->env, end->conn);
    }
}

static void on_received(void *owner, const uint8_t *bytes, size_t n)
{
    struct end *end = owner;

    assert_int_equal(end->closed, 0);
    assert_true(n <= NET_READ_MAX);
    end->sum = weigh(end->sum, end->received, bytes, n);
    end->received += n;
    end->got = (unsigned)(end->received / STEP);
    if (end->echo) {
        uint8_t *copy = malloc(n);
        assert_non_null(copy);
        memcpy(copy, bytes, n);
        env_send(end->w->env, end->conn, copy, n);
    }
    if (end->close_when_received) {
        env_conn_close(end->w->env, end->conn);
    }
}

static void on_drained(void *owner)
{
    struct end *end = owner;

    assert_int_equal(env_unsent(end->w->env, end->conn), 0);
    end->drained++;
}

static void on_closed(void *owner, const struct error *why)
{
    struct end *end = owner;

    end->closed++;
    end->conn = NULL;
    end->why = why != NULL ? (int)why->code : -1;
    if (why != NULL) {
        snprintf(end->text, sizeof end->text, "%s", why->text);
    }
}

static const struct env_conn_callbacks callbacks = {
    .opened = on_opened,
    .received = on_received,
    .drained = on_drained,
    .closed = on_closed,
};

static void on_accepted(void *owner, struct env_conn *conn)
{
    struct server *s = owner;
    struct end *end = &s->ends[s->accepted++];

    if (s->refuse) {
        env_conn_close(s->w->env, conn);
        return;
    }
    end->w = s->w;
    end->conn = conn;
    env_conn_accept(s->w->env, conn, &callbacks, end);
}

static void server_listen(struct server *s, struct world *w)
{
    struct error e;

    s->w = w;
    assert_int_equal(env_listen(w->env, "127.0.0.1:0", on_accepted, s, &s->listener, &e), 0);
    snprintf(s->address, sizeof s->address, "127.0.0.1:%u", env_uv_listener_port(s->listener));
}

static void end_connect(struct end *end, struct world *w, const char *address)
{
    end->w = w;
    end->conn = env_connect(w->env, address, &callbacks, end);
    assert_non_null(end->conn);
    assert_int_equal(end->opened + end->closed, 0);
}

static uint8_t *pattern(size_t n)
{
    uint8_t *bytes = malloc(n);

    assert_non_null(bytes);
    for (size_t i = 0; i < n; i++) {
        bytes[i] = (uint8_t)(i * 7 + i / 251);
    }
    return bytes;
}

static void send_pattern(struct end *end, size_t n)
{
    env_send(end->w->env, end->conn, pattern(n), n);
}

/* A client that is not of the env, so that it reads only when told; -1 if there is no room for it. */
static int raw_socket(void)
{
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static void raw_connect(int fd, const struct server *s)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(env_uv_listener_port(s->listener))};

    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
}

static struct world *open_world(unsigned connect_timeout_ms)
{
    static struct world w;

    world_open(&w, &(struct env_uv_config){.connect_timeout_ms = connect_timeout_ms});
    return &w;
}

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
    enum { ALL = 32 << 20 };
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

static void no_answer_is_a_timeout(void **state)
{
    (void)state;
    enum { TRIES = 16 };
    struct world *w = open_world(50);
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t n = sizeof at;
    struct end clients[TRIES] = {0};
    char address[64];
    unsigned timeouts = 0;
    /* A queue of one that nobody serves: the kernel drops further attempts. */
    int fd = raw_socket();
    inet_pton(AF_INET, "127.0.0.1", &at.sin_addr);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 0), 0);
    getsockname(fd, (struct sockaddr *)&at, &n);
    snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(at.sin_port));

    for (unsigned i = 0; i < TRIES; i++) {
        end_connect(&clients[i], w, address);
    }
    for (unsigned i = 0; i < TRIES; i++) {
        while (clients[i].opened + clients[i].closed == 0) {
            assert_false(w->late);
            uv_run(&w->loop, UV_RUN_ONCE);
        }
        if (clients[i].closed == 1) {
            assert_int_equal(clients[i].why, Q_TIMEOUT);
            assert_non_null(strstr(clients[i].text, "no answer within 50 ms"));
            timeouts++;
        }
    }

    assert_true(timeouts > 0);
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

    send_pattern(end, 32 << 20);
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

    send_pattern(end, 32 << 20);
    send_pattern(end, 1000);
    env_conn_close(w->env, end->conn);
    run_until(w, &end->closed, 1);

    assert_int_equal(end->why, -1);
    assert_int_equal(end->drained, 0);
    close(fd);
    world_close(w);
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
    send_pattern(&open, 32 << 20);
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
        cmocka_unit_test(ten_mebibytes_come_back_as_they_were_sent),
        cmocka_unit_test(many_small_frames_of_one_moment_arrive_in_order),
        cmocka_unit_test(unsent_counts_what_the_network_has_not_taken),
        cmocka_unit_test(a_refused_connection_is_told_by_closed),
        cmocka_unit_test(a_bad_address_is_told_by_closed),
        cmocka_unit_test(the_addresses_of_a_name_are_tried_in_turn),
        cmocka_unit_test(the_last_address_of_a_name_tells_the_failure),
        cmocka_unit_test(a_name_without_address_is_not_found),
        cmocka_unit_test(a_close_does_not_wait_for_the_resolver),
        cmocka_unit_test(a_slow_resolver_is_a_timeout),
        cmocka_unit_test(no_answer_is_a_timeout),
        cmocka_unit_test(a_close_of_the_other_side_is_told_with_a_reason),
        cmocka_unit_test(a_reset_is_told_with_a_reason),
        cmocka_unit_test(a_send_into_a_broken_connection_ends_it),
        cmocka_unit_test(a_connection_closed_when_opened_or_received_hears_nothing_more),
        cmocka_unit_test(what_is_sent_after_the_close_is_dropped),
        cmocka_unit_test(a_close_drops_what_is_unsent),
        cmocka_unit_test(a_connection_may_be_refused_when_it_comes),
        cmocka_unit_test(sockets_are_tuned_and_closed_on_exec),
        cmocka_unit_test(an_address_in_use_or_malformed_cannot_be_listened_on),
        cmocka_unit_test(without_descriptors_the_listener_pauses_and_goes_on_later),
        cmocka_unit_test(a_version_six_address_works_where_there_is_one),
        cmocka_unit_test(the_end_closes_what_is_open_and_tells_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
