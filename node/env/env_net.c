#include "node/env/env_net.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/env/address.h"

enum { NET_MAGIC = 0x4e700001, CONN_MAGIC = 0xc0440001 };

enum conn_state { CONN_NEW, CONN_CONNECTING, CONN_OPEN, CONN_CLOSING, CONN_CLOSED };

/* What one env_send() gave. */
struct chunk {
    struct list link;
    uint8_t *bytes;
    size_t n;
};

struct env_conn {
    OBJECT_MAGIC;
    struct env_net *net;
    struct list link; /* in net->conns */
    enum conn_state state;
    struct env_conn_callbacks callbacks;
    void *owner;
    uv_tcp_t tcp;
    uv_timer_t timeout; /* of connecting */
    unsigned handles;   /* of the two, those that are not closed */

    uv_getaddrinfo_t resolve;
    bool resolving; /* the request is the library's; it may outlive closed() */
    struct sockaddr_storage addresses[NET_ADDRESSES_MAX];
    unsigned address_count, address_next;
    uv_connect_t connect;

    struct list chunks; /* not sent, in order; the first WRITING of them are in uv_write() */
    size_t queued;      /* bytes of those behind them */
    size_t writing;
    uv_write_t write;

    bool failed;
    struct error why;
    char peer[ADDRESS_TEXT_MAX];
};

static void connect_next(struct env_conn *c);

/* ---- the end */

static void release(struct env_conn *c)
{
    struct env_net *net = c->net;

    list_remove(&c->link);
    c->magic = 0;
    free(c);
    if (list_empty(&net->conns)) {
        net->settled(net->owner);
    }
}

static void drop_chunks(struct env_conn *c)
{
    struct list *item;

    while ((item = list_pop(&c->chunks)) != NULL) {
        struct chunk *chunk = CONTAINER_OF(item, struct chunk, link);

        free(chunk->bytes);
        free(chunk);
    }
    c->queued = c->writing = 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct env_conn *c = CAST(struct env_conn, handle->data, CONN_MAGIC);

    if (--c->handles > 0) {
        return;
    }
    /* libuv has given the write back by now. */
    drop_chunks(c);
    c->state = CONN_CLOSED;
    if (c->callbacks.closed != NULL) {
        c->callbacks.closed(c->owner, c->failed ? &c->why : NULL);
    }
    if (!c->resolving) {
        release(c);
    }
}

static void on_attempt_closed(uv_handle_t *handle)
{
    struct env_conn *c = CAST(struct env_conn, handle->data, CONN_MAGIC);

    if (c->state != CONN_CONNECTING) {
        on_handle_closed(handle);
        return;
    }
    uv_tcp_init(c->net->loop, &c->tcp);
    connect_next(c);
}

static void begin_close(struct env_conn *c)
{
    c->state = CONN_CLOSING;
    if (c->resolving) {
        uv_cancel((uv_req_t *)&c->resolve);
    }
    /* Between two addresses the socket is closing already. */
    if (!uv_is_closing((uv_handle_t *)&c->tcp)) {
        uv_close((uv_handle_t *)&c->tcp, on_handle_closed);
    }
    uv_close((uv_handle_t *)&c->timeout, on_handle_closed);
}

/* The first failure is the one that closed() tells. */
static void fail(struct env_conn *c, const struct error *why)
{
    if (c->state < CONN_CLOSING) {
        c->failed = true;
        c->why = *why;
        begin_close(c);
    }
}

static void fail_uv(struct env_conn *c, int status, const char *what)
{
    struct error e;

    if (status == UV_EOF) {
        error_set(&e, Q_CLOSED, "%s closed the connection", c->peer);
    } else {
        error_errno(&e, -status, "%s %s", what, c->peer);
    }
    fail(c, &e);
}

void env_net_conn_close(struct env_conn *c)
{
    assert(c->magic == CONN_MAGIC);
    c->failed = false;
    if (c->state < CONN_CLOSING) {
        begin_close(c);
    }
}

/* ---- sending */

static void on_written(uv_write_t *write, int status);

/* Hands the first chunks to libuv, which tries the socket at once and waits for it if need be. */
static void write_more(struct env_conn *c)
{
    uv_buf_t bufs[NET_WRITE_CHUNKS];
    unsigned count = 0;
    int rc;

    LIST_EACH (&c->chunks, item) {
        struct chunk *chunk = CONTAINER_OF(item, struct chunk, link);

        if (count == NET_WRITE_CHUNKS) {
            break;
        }
        bufs[count].base = (char *)chunk->bytes;
        bufs[count++].len = chunk->n;
        c->queued -= chunk->n;
    }
    c->writing = count;
    rc = uv_write(&c->write, (uv_stream_t *)&c->tcp, bufs, count, on_written);
    if (rc < 0) {
        fail_uv(c, rc, "cannot send to");
    }
}

static void on_written(uv_write_t *write, int status)
{
    struct env_conn *c = CAST(struct env_conn, write->data, CONN_MAGIC);

    for (; c->writing > 0; c->writing--) {
        struct chunk *chunk = CONTAINER_OF(list_pop(&c->chunks), struct chunk, link);

        free(chunk->bytes);
        free(chunk);
    }
    if (c->state != CONN_OPEN) {
        return;
    }
    if (status < 0) {
        fail_uv(c, status, "cannot send to");
    } else if (!list_empty(&c->chunks)) {
        write_more(c);
    } else {
        c->callbacks.drained(c->owner);
    }
}

void env_net_send(struct env_conn *c, uint8_t *bytes, size_t n)
{
    struct chunk *chunk;

    assert(c->magic == CONN_MAGIC && c->state != CONN_NEW);
    if (c->state >= CONN_CLOSING || n == 0) {
        free(bytes);
        return;
    }
    chunk = malloc(sizeof *chunk);
    if (chunk == NULL) {
        free(bytes);
        fail_uv(c, UV_ENOMEM, "cannot send to");
        return;
    }
    *chunk = (struct chunk){.bytes = bytes, .n = n};
    list_push(&c->chunks, &chunk->link);
    c->queued += n;
    if (c->state == CONN_OPEN && c->writing == 0) {
        write_more(c);
    }
}

size_t env_net_unsent(struct env_conn *c)
{
    assert(c->magic == CONN_MAGIC);
    if (c->state >= CONN_CLOSING) {
        return 0;
    }
    return c->queued + uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp);
}

/* ---- receiving */

static void on_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct env_conn *c = CAST(struct env_conn, handle->data, CONN_MAGIC);

    (void)suggested;
    /* libuv reads into it and calls on_read() before it asks again, so one buffer serves all. */
    buf->base = c->net->read_buffer;
    buf->len = NET_READ_MAX;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct env_conn *c = CAST(struct env_conn, stream->data, CONN_MAGIC);

    if (n > 0) {
        c->callbacks.received(c->owner, (const uint8_t *)buf->base, (size_t)n);
    } else if (n < 0) {
        fail_uv(c, (int)n, "connection to");
    }
}

static void tune(struct env_conn *c)
{
    static const int values[][3] = {
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, NET_KEEPALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, NET_KEEPALIVE_INTERVAL_S},
        {IPPROTO_TCP, TCP_KEEPCNT, NET_KEEPALIVE_PROBES},
    };
    int fd = -1;

    /* A refusal means that the connection is dying, which the next read tells better. */
    uv_fileno((uv_handle_t *)&c->tcp, &fd);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        (void)setsockopt(fd, values[i][0], values[i][1], &values[i][2], sizeof values[i][2]);
    }
}

static void begin_read(struct env_conn *c)
{
    int rc = uv_read_start((uv_stream_t *)&c->tcp, on_buffer, on_read);

    if (rc < 0) {
        fail_uv(c, rc, "cannot read from");
    }
}

/* ---- connecting */

static void on_connected(struct env_conn *c)
{
    c->state = CONN_OPEN;
    uv_timer_stop(&c->timeout);
    tune(c);
    begin_read(c);
    if (c->state == CONN_OPEN && !list_empty(&c->chunks)) {
        write_more(c);
    }
    if (c->state == CONN_OPEN) {
        c->callbacks.opened(c->owner);
    }
}

/* Gives the address up, with its socket: the next one may be of another family. */
static void try_next(struct env_conn *c)
{
    uv_timer_stop(&c->timeout);
    uv_close((uv_handle_t *)&c->tcp, on_attempt_closed);
}

static void attempt_failed(struct env_conn *c, int status)
{
    if (c->address_next < c->address_count) {
        try_next(c);
    } else {
        fail_uv(c, status, "cannot connect to");
    }
}

static void on_timeout(uv_timer_t *timeout)
{
    struct env_conn *c = CAST(struct env_conn, timeout->data, CONN_MAGIC);
    struct error e;

    if (c->address_next < c->address_count) {
        try_next(c);
        return;
    }
    error_set(&e, Q_TIMEOUT, "cannot connect to %s: no answer within %u ms", c->peer,
              c->net->connect_timeout_ms);
    fail(c, &e);
}

static void on_connect(uv_connect_t *connect, int status)
{
    struct env_conn *c = CAST(struct env_conn, connect->data, CONN_MAGIC);

    /* Cancelled: whoever closed the socket goes on. */
    if (c->state != CONN_CONNECTING || status == UV_ECANCELED) {
        return;
    }
    if (status < 0) {
        attempt_failed(c, status);
    } else {
        on_connected(c);
    }
}

static void connect_next(struct env_conn *c)
{
    const struct sockaddr_storage *to = &c->addresses[c->address_next++];
    int rc = uv_tcp_connect(&c->connect, &c->tcp, (const struct sockaddr *)to, on_connect);

    /* An address that never answers leaves time for the others. */
    uv_timer_start(&c->timeout, on_timeout, c->net->connect_timeout_ms / c->address_count, 0);
    if (rc < 0) {
        attempt_failed(c, rc);
    }
}

static void on_resolved(uv_getaddrinfo_t *resolve, int status, struct addrinfo *found)
{
    struct env_conn *c = CAST(struct env_conn, resolve->data, CONN_MAGIC);
    struct error e;

    c->resolving = false;
    for (struct addrinfo *i = found; i != NULL && c->address_count < NET_ADDRESSES_MAX; i = i->ai_next) {
        if (i->ai_addrlen <= sizeof c->addresses[0]) {
            memcpy(&c->addresses[c->address_count++], i->ai_addr, i->ai_addrlen);
        }
    }
    uv_freeaddrinfo(found);
    if (c->state == CONN_CLOSED) {
        release(c);
    } else if (c->state == CONN_CONNECTING && (status < 0 || c->address_count == 0)) {
        error_set(&e, Q_NOT_FOUND, "cannot find the address of %s: %s", c->peer,
                  status < 0 ? uv_strerror(status) : "it has none");
        fail(c, &e);
    } else if (c->state == CONN_CONNECTING) {
        connect_next(c);
    }
}

static int begin_resolve(struct env_conn *c, const struct address *address, struct error *e)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    char port[8];
    int rc;

    snprintf(port, sizeof port, "%u", address->port);
    rc = uv_getaddrinfo(c->net->loop, &c->resolve, on_resolved, address->host, port, &hints);
    if (rc < 0) {
        return error_set(e, rc == UV_ENOMEM ? Q_NOMEM : Q_INVALID, "cannot resolve %s: %s", c->peer,
                         uv_strerror(rc));
    }
    c->resolving = true;
    return 0;
}

static int begin_connect(struct env_conn *c, const char *text, struct error *e)
{
    struct address address;
    int rc;

    if (c->net->shut) {
        return error_set(e, Q_CLOSED, "cannot connect to %s: stopping", c->peer);
    }
    rc = address_parse(text, &address, e);
    if (rc == 0 && address.port == 0) {
        rc = error_set(e, Q_INVALID, "cannot connect to port 0 of %s", address.host);
    }
    if (rc != 0) {
        return rc;
    }
    if (!address_numeric(&address, &c->addresses[0])) {
        return begin_resolve(c, &address, e);
    }
    c->address_count = 1;
    connect_next(c);
    return 0;
}

/* ---- the object */

static struct env_conn *conn_new(struct env_net *net, enum conn_state state)
{
    struct env_conn *c = calloc(1, sizeof *c);

    if (c == NULL) {
        return NULL;
    }
    c->magic = CONN_MAGIC;
    c->net = net;
    c->state = state;
    list_init(&c->chunks);
    /* Without a socket neither of these can fail. */
    uv_tcp_init(net->loop, &c->tcp);
    uv_timer_init(net->loop, &c->timeout);
    c->handles = 2;
    c->tcp.data = c->timeout.data = c->resolve.data = c->connect.data = c->write.data = c;
    list_push(&net->conns, &c->link);
    return c;
}

struct env_conn *env_net_connect(struct env_net *net, const char *address,
                                 const struct env_conn_callbacks *callbacks, void *owner)
{
    struct env_conn *c = conn_new(net, CONN_CONNECTING);
    struct error e;

    if (c == NULL) {
        return NULL;
    }
    c->callbacks = *callbacks;
    c->owner = owner;
    snprintf(c->peer, sizeof c->peer, "%s", address);
    uv_timer_start(&c->timeout, on_timeout, net->connect_timeout_ms, 0);
    if (begin_connect(c, address, &e) != 0) {
        fail(c, &e);
    }
    return c;
}

int env_net_adopt(struct env_net *net, int fd, struct env_conn **ret_conn, struct error *e)
{
    struct env_conn *c = conn_new(net, CONN_NEW);
    struct sockaddr_storage peer = {0};
    int n = sizeof peer, rc;

    if (c == NULL) {
        close(fd);
        return error_set(e, Q_NOMEM, "cannot take a connection: out of memory");
    }
    rc = uv_tcp_open(&c->tcp, fd);
    if (rc < 0) {
        close(fd);
        begin_close(c);
        return error_errno(e, -rc, "cannot take a connection");
    }
    uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&peer, &n);
    address_print((struct sockaddr *)&peer, c->peer, sizeof c->peer);
    *ret_conn = c;
    return 0;
}

bool env_net_is_new(const struct env_conn *c)
{
    return c->state == CONN_NEW;
}

void env_net_accept(struct env_conn *c, const struct env_conn_callbacks *callbacks, void *owner)
{
    assert(c->magic == CONN_MAGIC && c->state == CONN_NEW);
    c->callbacks = *callbacks;
    c->owner = owner;
    c->state = CONN_OPEN;
    tune(c);
    begin_read(c);
}

void env_net_peer(struct env_conn *c, char *p, size_t n)
{
    assert(c->magic == CONN_MAGIC);
    snprintf(p, n, "%s", c->peer);
}

void env_net_init(struct env_net *net, uv_loop_t *loop, unsigned connect_timeout_ms,
                  void (*settled)(void *owner), void *owner)
{
    net->magic = NET_MAGIC;
    net->loop = loop;
    net->connect_timeout_ms = connect_timeout_ms;
    net->shut = false;
    net->settled = settled;
    net->owner = owner;
    list_init(&net->conns);
}

void env_net_shut(struct env_net *net)
{
    net->shut = true;
    LIST_EACH (&net->conns, item) {
        env_net_conn_close(CONTAINER_OF(item, struct env_conn, link));
    }
}

bool env_net_is_quiet(const struct env_net *net)
{
    return list_empty(&net->conns);
}
