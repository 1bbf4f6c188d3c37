#include "node/cli/wire.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "node/cli/clock.h"

enum {
    READ_AT_ONCE = 64 * 1024,
    EVENTS_MAX = 256,
    OUT_MAX = 1 << 30,
    IN_MAX = REPLY_HEAD_MAX + REPLY_BODY_MAX
};
enum { TIMEOUT_CHECK_US = 20 * 1000, TIMEOUT_GROWS_MAX = 8 };

struct place {
    struct sockaddr_storage address;
    socklen_t len;
};

struct waiting {
    void *tag;
    uint64_t since_us;
};

struct connection {
    int fd; /* -1: closed */
    bool connecting, writing, dirty, leaving;
    unsigned endpoint, index;
    struct buf out, in;
    size_t out_at; /* bytes of OUT that are written */
    struct waiting waiting[WIRE_DEPTH_MAX];
    unsigned first, count; /* a ring */
    unsigned queued;       /* the last ones of the ring: in OUT, and not all of them written */
};

struct wire {
    struct wire_config config;
    struct endpoints endpoints;
    struct place places[ENDPOINTS_MAX];
    int epoll;
    int preferred; /* an endpoint, or -1 */
    uint64_t checked_us, timeout_us;
    unsigned dirty_count;
    unsigned *dirty; /* connections with something new to write */
    struct connection *connections;
};

/* ---- a connection ---- */

static void fail(struct wire *w, struct connection *c, const struct error *why)
{
    struct waiting waiting[WIRE_DEPTH_MAX];
    unsigned count = c->count;

    for (unsigned i = 0; i < count; i++) {
        waiting[i] = c->waiting[(c->first + i) % WIRE_DEPTH_MAX];
    }
    if (c->fd >= 0) {
        close(c->fd);
    }
    c->fd = -1;
    c->connecting = c->writing = c->leaving = false;
    c->count = c->first = c->queued = 0;
    c->out_at = 0;
    buf_clear(&c->out);
    buf_clear(&c->in);
    if (count > 0) { /* else the node has only closed what was idle */
        w->preferred = w->preferred == (int)c->endpoint ? -1 : w->preferred;
        c->endpoint = (c->endpoint + 1) % w->endpoints.count;
    }
    for (unsigned i = 0; i < count; i++) {
        w->config.done(w->config.ctx, c->index, waiting[i].tag, NULL, why);
    }
}

static void fail_errno(struct wire *w, struct connection *c, int errno_value, const char *what)
{
    struct error why;
    error_set(&why, c->connecting || c->fd < 0 ? Q_NO_LEADER : Q_UNKNOWN, "%s: %s: %s",
              w->endpoints.url[c->endpoint], what, strerror(errno_value));
    fail(w, c, &why);
}

static int watch(struct wire *w, struct connection *c, int op)
{
    struct epoll_event event = {.events = EPOLLIN | (c->writing ? EPOLLOUT : 0u), .data.u32 = c->index};
    return epoll_ctl(w->epoll, op, c->fd, &event);
}

static bool open_connection(struct wire *w, struct connection *c)
{
    const struct place *place = &w->places[c->endpoint];
    int one = 1;

    c->fd = socket(place->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        fail_errno(w, c, errno, "socket");
        return false;
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->connecting = c->writing = true;
    if ((connect(c->fd, (const struct sockaddr *)&place->address, place->len) != 0 && errno != EINPROGRESS) ||
        watch(w, c, EPOLL_CTL_ADD) != 0) {
        fail_errno(w, c, errno, "connecting");
        return false;
    }
    return true;
}

static void want_writing(struct wire *w, struct connection *c, bool writing)
{
    if (c->writing != writing) {
        c->writing = writing;
        if (watch(w, c, EPOLL_CTL_MOD) != 0) {
            fail_errno(w, c, errno, "epoll_ctl");
        }
    }
}

static void flush(struct wire *w, struct connection *c)
{
    while (c->out_at < c->out.len) {
        ssize_t n = send(c->fd, c->out.data + c->out_at, c->out.len - c->out_at, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            want_writing(w, c, true);
            return;
        }
        if (n < 0) {
            fail_errno(w, c, errno, "sending");
            return;
        }
        c->out_at += (size_t)n;
    }
    c->out_at = 0;
    c->queued = 0;
    buf_clear(&c->out);
    want_writing(w, c, false);
}

/* Takes the whole answers out of what came. False: the connection is gone. */
static bool take_replies(struct wire *w, struct connection *c)
{
    size_t used = 0;
    bool whole = true, ended = false;
    struct error e;
    int fd = c->fd;

    while (whole && !ended && used < c->in.len) {
        struct reply reply;
        if (reply_parse((const char *)c->in.data + used, c->in.len - used, &whole, &reply, &e) != 0) {
            e.code = Q_UNKNOWN;
            fail(w, c, &e);
            return false;
        }
        if (whole && c->count == 0) {
            error_set(&e, Q_UNKNOWN, "%s: an answer that nobody asked for", w->endpoints.url[c->endpoint]);
            fail(w, c, &e);
            return false;
        }
        if (whole) {
            struct waiting one = c->waiting[c->first];
            c->first = (c->first + 1) % WIRE_DEPTH_MAX;
            c->count--;
            used += reply.total;
            ended = reply.close;
            w->config.done(w->config.ctx, c->index, one.tag, &reply, NULL);
        }
    }
    assert(c->fd == fd); /* the callback can only queue */
    memmove(c->in.data, c->in.data + used, c->in.len - used);
    c->in.len -= used;
    if (ended) {
        error_set(&e, Q_UNKNOWN, "%s closed the connection", w->endpoints.url[c->endpoint]);
        fail(w, c, &e);
        return false;
    }
    return true;
}

static void receive(struct wire *w, struct connection *c)
{
    struct error e;

    for (;;) {
        uint8_t *p = buf_reserve(&c->in, READ_AT_ONCE);
        ssize_t n = p != NULL ? recv(c->fd, p, READ_AT_ONCE, 0) : -1;

        if (p == NULL) {
            fail_errno(w, c, ENOMEM, "receiving");
            return;
        }
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        if (n < 0) {
            fail_errno(w, c, errno, "receiving");
            return;
        }
        if (n == 0) {
            error_set(&e, Q_UNKNOWN, "%s closed the connection", w->endpoints.url[c->endpoint]);
            fail(w, c, &e);
            return;
        }
        c->in.len += (size_t)n;
        if (!take_replies(w, c) || n < READ_AT_ONCE) {
            return;
        }
    }
}

static void finish_connecting(struct wire *w, struct connection *c)
{
    int failed = 0;
    socklen_t len = sizeof failed;

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &failed, &len) != 0 || failed != 0) {
        fail_errno(w, c, failed != 0 ? failed : errno, "connecting");
        return;
    }
    c->connecting = false;
    flush(w, c);
}

/* ---- all of them ---- */

static int resolve(struct wire *w, unsigned i, struct error *e)
{
    char host[ENDPOINT_MAX], port[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    int rc;

    endpoint_split(w->endpoints.url[i], host, port);
    rc = getaddrinfo(host, port, &hints, &found);
    if (rc != 0) {
        return error_set(e, Q_INVALID, "endpoint %s: %s", w->endpoints.url[i], gai_strerror(rc));
    }
    memcpy(&w->places[i].address, found->ai_addr, found->ai_addrlen);
    w->places[i].len = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

int wire_new(const struct wire_config *config, struct wire **ret_wire, struct error *e)
{
    struct wire *w = calloc(1, sizeof *w);
    int rv = 0;

    assert(config->connections >= 1 && config->connections <= WIRE_CONNECTIONS_MAX);
    assert(config->depth >= 1 && config->depth <= WIRE_DEPTH_MAX && config->endpoints->count >= 1);
    if (w == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for connections");
    }
    w->config = *config;
    w->endpoints = *config->endpoints;
    w->preferred = -1;
    w->timeout_us = config->timeout_ms * 1000;
    w->dirty = calloc(2 * (size_t)config->connections, sizeof *w->dirty); /* old and new ones in one turn */
    w->connections = calloc(config->connections, sizeof *w->connections);
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (w->dirty == NULL || w->connections == NULL || w->epoll < 0) {
        rv = error_set(e, Q_NOMEM, "%u connections cannot be had", config->connections);
    }
    for (unsigned i = 0; rv == 0 && i < w->endpoints.count; i++) {
        rv = resolve(w, i, e);
    }
    for (unsigned i = 0; w->connections != NULL && i < config->connections; i++) {
        struct connection *c = &w->connections[i];
        *c = (struct connection){
            .fd = -1, .index = i, .endpoint = config->spread ? i % w->endpoints.count : 0};
        buf_init(&c->out, OUT_MAX);
        buf_init(&c->in, IN_MAX);
    }
    if (rv != 0) {
        wire_free(w);
        return rv;
    }
    *ret_wire = w;
    return 0;
}

void wire_free(struct wire *w)
{
    if (w == NULL) {
        return;
    }
    for (unsigned i = 0; w->connections != NULL && i < w->config.connections; i++) {
        struct connection *c = &w->connections[i];
        if (c->fd >= 0) {
            close(c->fd);
        }
        buf_close(&c->out);
        buf_close(&c->in);
    }
    if (w->epoll >= 0) {
        close(w->epoll);
    }
    free(w->connections);
    free(w->dirty);
    free(w);
}

/* It should use another endpoint, and does not yet. */
static bool misplaced(const struct wire *w, const struct connection *c)
{
    return c->leaving || (w->preferred >= 0 && c->endpoint != (unsigned)w->preferred);
}

bool wire_has_room(const struct wire *w, unsigned connection)
{
    const struct connection *c = &w->connections[connection];
    return c->count < w->config.depth && (!misplaced(w, c) || c->count == c->queued);
}

const char *wire_endpoint(const struct wire *w, unsigned connection)
{
    return w->endpoints.url[w->connections[connection].endpoint];
}

void wire_prefer(struct wire *w, const char *url)
{
    for (unsigned i = 0; i < w->endpoints.count; i++) {
        if (strcmp(w->endpoints.url[i], url) == 0) {
            w->preferred = (int)i;
        }
    }
}

/* Goes to the preferred endpoint, or to the next one, if nothing is under way. */
static void move(struct wire *w, struct connection *c)
{
    if (misplaced(w, c) && c->count == c->queued && c->out_at == 0) {
        if (c->fd >= 0) {
            close(c->fd);
            c->fd = -1;
            c->connecting = c->writing = false;
            buf_clear(&c->in);
        }
        c->endpoint = w->preferred >= 0 ? (unsigned)w->preferred : (c->endpoint + 1) % w->endpoints.count;
        c->leaving = false;
    }
}

void wire_leave(struct wire *w, unsigned connection)
{
    struct connection *c = &w->connections[connection];

    c->leaving = true;
    w->preferred = w->preferred == (int)c->endpoint ? -1 : w->preferred;
}

int wire_send(struct wire *w, unsigned connection, const char *method, const char *target, const char *type,
              const void *body, size_t len, void *tag, struct error *e)
{
    struct connection *c = &w->connections[connection];
    size_t before = c->out.len;
    int rv;

    assert(c->count < w->config.depth);
    buf_printf(&c->out, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, target,
               w->endpoints.url[c->endpoint] + strlen("http://"));
    if (type != NULL) {
        buf_printf(&c->out, "Content-Type: %s\r\nContent-Length: %zu\r\n", type, len);
    }
    buf_put_bytes(&c->out, "\r\n", 2);
    buf_put_bytes(&c->out, body, len);
    rv = buf_check(&c->out, "the requests of a connection", e);
    if (rv != 0) {
        c->out.len = before;
        c->out.failed = Q_OK;
        return rv;
    }
    if (!c->dirty) {
        c->dirty = true;
        w->dirty[w->dirty_count++] = connection;
    }
    c->queued++;
    c->waiting[(c->first + c->count++) % WIRE_DEPTH_MAX] = (struct waiting){tag, clock_us()};
    return 0;
}

static void check_timeouts(struct wire *w)
{
    uint64_t now = clock_us(), timeout_us = w->timeout_us;
    bool any = false;

    if (now - w->checked_us < TIMEOUT_CHECK_US) {
        return;
    }
    w->checked_us = now;
    for (unsigned i = 0; i < w->config.connections; i++) {
        struct connection *c = &w->connections[i];
        if (c->count > 0 && now - c->waiting[c->first].since_us > timeout_us) {
            struct error why;
            error_set(&why, c->connecting ? Q_NO_LEADER : Q_UNKNOWN, "%s: no answer within %" PRIu64 " ms",
                      w->endpoints.url[c->endpoint], timeout_us / 1000);
            fail(w, c, &why);
            any = true;
        }
    }
    if (any && w->timeout_us < w->config.timeout_ms * 1000 * TIMEOUT_GROWS_MAX) {
        w->timeout_us *= 2;
    }
}

int wire_poll(struct wire *w, uint64_t timeout_ms, struct error *e)
{
    struct epoll_event events[EVENTS_MAX];
    unsigned dirty = w->dirty_count;
    int n;

    /* Failures call back, and callbacks queue: those are for the next turn, behind the ones that are here. */
    for (unsigned i = 0; i < dirty; i++) {
        struct connection *c = &w->connections[w->dirty[i]];
        c->dirty = false;
        move(w, c);
        if (c->out.len > 0 && c->fd < 0) {
            open_connection(w, c);
        } else if (c->out.len > 0 && !c->connecting) {
            flush(w, c);
        }
    }
    memmove(w->dirty, w->dirty + dirty, (w->dirty_count - dirty) * sizeof *w->dirty);
    w->dirty_count -= dirty;
    n = epoll_wait(w->epoll, events, EVENTS_MAX, w->dirty_count > 0 ? 0 : (int)timeout_ms);
    if (n < 0 && errno != EINTR) {
        return error_errno(e, errno, "epoll_wait");
    }
    for (int i = 0; i < n; i++) {
        struct connection *c = &w->connections[events[i].data.u32];
        if (c->fd >= 0 && c->connecting) {
            finish_connecting(w, c);
        } else if (c->fd >= 0 && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
            receive(w, c);
        } else if (c->fd >= 0) {
            flush(w, c);
        }
    }
    check_timeouts(w);
    return 0;
}
