/* net_world: a world with a server and clients that count what happens to them, for the tests of
 * node/env_net. */
#ifndef QUORATE_TEST_NET_WORLD_H
#define QUORATE_TEST_NET_WORLD_H

#include "tests/unit/node/world.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "node/env/env_net.h"

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

static inline uint64_t weigh(uint64_t sum, uint64_t at, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        sum = sum * 31 + bytes[i] + (at + i) % 7;
    }
    return sum;
}

static inline void on_opened(void *owner)
{
    struct end *end = owner;

    assert_int_equal(end->received, 0);
    end->opened++;
    if (end->close_when_opened) {
        env_conn_close(end->w->env, end->conn);
    }
}

static inline void on_received(void *owner, const uint8_t *bytes, size_t n)
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

static inline void on_drained(void *owner)
{
    struct end *end = owner;

    assert_int_equal(env_unsent(end->w->env, end->conn), 0);
    end->drained++;
}

static inline void on_closed(void *owner, const struct error *why)
{
    struct end *end = owner;

    end->closed++;
    end->conn = NULL;
    end->why = why != NULL ? (int)why->code : -1;
    if (why != NULL) {
        snprintf(end->text, sizeof end->text, "%s", why->text);
    }
}

static const struct env_conn_callbacks end_callbacks = {
    .opened = on_opened,
    .received = on_received,
    .drained = on_drained,
    .closed = on_closed,
};

static inline void on_accepted(void *owner, struct env_conn *conn)
{
    struct server *s = owner;
    struct end *end = &s->ends[s->accepted++];

    if (s->refuse) {
        env_conn_close(s->w->env, conn);
        return;
    }
    end->w = s->w;
    end->conn = conn;
    env_conn_accept(s->w->env, conn, &end_callbacks, end);
}

static inline void server_listen(struct server *s, struct world *w)
{
    struct error e;

    s->w = w;
    assert_int_equal(env_listen(w->env, "127.0.0.1:0", on_accepted, s, &s->listener, &e), 0);
    snprintf(s->address, sizeof s->address, "127.0.0.1:%u", env_uv_listener_port(s->listener));
}

static inline void end_connect(struct end *end, struct world *w, const char *address)
{
    end->w = w;
    end->conn = env_connect(w->env, address, &end_callbacks, end);
    assert_non_null(end->conn);
    assert_int_equal(end->opened + end->closed, 0);
}

static inline uint8_t *pattern(size_t n)
{
    uint8_t *bytes = malloc(n);

    assert_non_null(bytes);
    for (size_t i = 0; i < n; i++) {
        bytes[i] = (uint8_t)(i * 7 + i / 251);
    }
    return bytes;
}

static inline void send_pattern(struct end *end, size_t n)
{
    env_send(end->w->env, end->conn, pattern(n), n);
}

/* A client that is not of the env, so that it reads only when told; -1 if there is no room for it. */
static inline int raw_socket(void)
{
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static inline void raw_connect(int fd, const struct server *s)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(env_uv_listener_port(s->listener))};

    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
}

static inline struct world *open_world(unsigned connect_timeout_ms)
{
    static struct world w;

    world_open(&w, &(struct env_uv_config){.connect_timeout_ms = connect_timeout_ms});
    return &w;
}

#endif
