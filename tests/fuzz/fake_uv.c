#include "tests/fuzz/fake_uv.h"

#include <netinet/in.h>
#include <string.h>

#include "tests/fuzz/target.h"

enum {
    HANDLES_MAX = 64,
    WRITES_MAX = 64,
    OUT_MAX = 64 * 1024 * 1024,
    CLOSING = 1,
    ACTIVE = 2,
    PARTS_MAX = 2
};

struct waiting {
    uv_write_t *request;
    uv_buf_t parts[PARTS_MAX];
    unsigned count;
};

static struct {
    uv_loop_t loop;
    uint64_t now_ms;
    uv_handle_t *handles[HANDLES_MAX]; /* open or closing */
    unsigned count;
    uv_stream_t *listener, *client; /* NULL: none */
    bool reading;
    size_t room;
    struct waiting writes[WRITES_MAX];
    unsigned writes_count;
} fake;

struct buf fake_uv_out;

void fake_uv_begin(void)
{
    FUZZ_CHECK(fake.count == 0, "every handle was closed");
    memset(&fake, 0, sizeof fake);
    fake.now_ms = 1000;
    fake.room = SIZE_MAX;
    buf_close(&fake_uv_out);
    buf_init(&fake_uv_out, OUT_MAX);
}

uv_loop_t *fake_uv_loop(void)
{
    return &fake.loop;
}

bool fake_uv_is_idle(void)
{
    return fake.count == 0;
}

/* ---- handles ---- */

static void add_handle(uv_handle_t *h, uv_handle_type type)
{
    FUZZ_CHECK(fake.count < HANDLES_MAX, "there are few handles");
    h->type = type;
    h->loop = &fake.loop;
    h->flags = 0;
    fake.handles[fake.count++] = h;
}

void uv_close(uv_handle_t *h, uv_close_cb cb)
{
    FUZZ_CHECK((h->flags & CLOSING) == 0, "a handle is closed once");
    h->flags = CLOSING;
    h->close_cb = cb;
    if (h == (uv_handle_t *)fake.listener) {
        fake.listener = NULL;
    }
    if (h == (uv_handle_t *)fake.client) {
        fake.client = NULL;
        fake.reading = false;
    }
}

int uv_is_closing(const uv_handle_t *h)
{
    return (h->flags & CLOSING) != 0;
}

static bool close_one(void)
{
    for (unsigned i = 0; i < fake.count; i++) {
        uv_handle_t *h = fake.handles[i];
        if ((h->flags & CLOSING) != 0) {
            fake.handles[i] = fake.handles[--fake.count];
            if (h->close_cb != NULL) {
                h->close_cb(h);
            }
            return true;
        }
    }
    return false;
}

void fake_uv_settle(void)
{
    if (fake.room == SIZE_MAX) { /* a client that keeps up */
        fake_uv_take(SIZE_MAX);
    }
    /* What was being written to a connection that is closed comes back first. */
    while (fake.client == NULL && fake.writes_count > 0) {
        uv_write_t *request = fake.writes[--fake.writes_count].request;
        request->cb(request, UV_ECANCELED);
    }
    while (close_one()) {
    }
}

/* ---- clock ---- */

uint64_t uv_hrtime(void)
{
    return fake.now_ms * 1000000;
}

uint64_t uv_now(const uv_loop_t *loop)
{
    (void)loop;
    return fake.now_ms;
}

uint64_t fake_uv_now_ms(void)
{
    return fake.now_ms;
}

int uv_timer_init(uv_loop_t *loop, uv_timer_t *t)
{
    (void)loop;
    add_handle((uv_handle_t *)t, UV_TIMER);
    return 0;
}

int uv_timer_start(uv_timer_t *t, uv_timer_cb cb, uint64_t timeout, uint64_t repeat)
{
    FUZZ_CHECK((t->flags & CLOSING) == 0 && repeat == 0, "only an open timer is started");
    t->timer_cb = cb;
    t->timeout = fake.now_ms + timeout;
    t->flags = ACTIVE;
    return 0;
}

int uv_timer_stop(uv_timer_t *t)
{
    t->flags &= ~(unsigned)ACTIVE;
    return 0;
}

static uv_timer_t *next_timer(uint64_t until_ms)
{
    uv_timer_t *next = NULL;

    for (unsigned i = 0; i < fake.count; i++) {
        uv_timer_t *t = (uv_timer_t *)fake.handles[i];
        if (t->type == UV_TIMER && (t->flags & ACTIVE) != 0 && t->timeout <= until_ms &&
            (next == NULL || t->timeout < next->timeout)) {
            next = t;
        }
    }
    return next;
}

void fake_uv_advance(uint64_t ms)
{
    uint64_t until = fake.now_ms + ms;
    uv_timer_t *t;

    while ((t = next_timer(until)) != NULL) {
        fake.now_ms = t->timeout > fake.now_ms ? t->timeout : fake.now_ms;
        t->flags &= ~(unsigned)ACTIVE;
        t->timer_cb(t);
        fake_uv_settle();
    }
    fake.now_ms = until;
}

/* ---- connections ---- */

int uv_tcp_init(uv_loop_t *loop, uv_tcp_t *tcp)
{
    (void)loop;
    add_handle((uv_handle_t *)tcp, UV_TCP);
    tcp->write_queue_size = 0;
    return 0;
}

int uv_tcp_bind(uv_tcp_t *tcp, const struct sockaddr *address, unsigned flags)
{
    (void)tcp;
    (void)address;
    (void)flags;
    return 0;
}

int uv_listen(uv_stream_t *stream, int backlog, uv_connection_cb cb)
{
    (void)backlog;
    fake.listener = stream;
    stream->connection_cb = cb;
    return 0;
}

void fake_uv_connect(void)
{
    FUZZ_CHECK(fake.client == NULL && fake.listener != NULL, "one client at a time");
    fake.listener->connection_cb(fake.listener, 0);
    FUZZ_CHECK(fake.client != NULL, "it is accepted");
}

int uv_accept(uv_stream_t *server, uv_stream_t *client)
{
    (void)server;
    fake.client = client;
    return 0;
}

int uv_tcp_nodelay(uv_tcp_t *tcp, int enable)
{
    (void)tcp;
    (void)enable;
    return 0;
}

static int name(struct sockaddr *to, int *n)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(4001)};

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memcpy(to, &in, sizeof in);
    *n = sizeof in;
    return 0;
}

int uv_tcp_getpeername(const uv_tcp_t *tcp, struct sockaddr *to, int *n)
{
    (void)tcp;
    return name(to, n);
}

int uv_tcp_getsockname(const uv_tcp_t *tcp, struct sockaddr *to, int *n)
{
    (void)tcp;
    return name(to, n);
}

int uv_getaddrinfo(uv_loop_t *loop, uv_getaddrinfo_t *request, uv_getaddrinfo_cb cb, const char *node,
                   const char *service, const struct addrinfo *hints)
{
    static struct sockaddr_in in = {.sin_family = AF_INET};
    static struct addrinfo found = {.ai_addr = (struct sockaddr *)&in, .ai_addrlen = sizeof in};

    (void)loop;
    (void)node;
    (void)service;
    (void)hints;
    FUZZ_CHECK(cb == NULL, "it is waited for");
    request->addrinfo = &found;
    return 0;
}

void uv_freeaddrinfo(struct addrinfo *found)
{
    (void)found;
}

/* ---- in ---- */

bool fake_uv_is_connected(void)
{
    return fake.client != NULL;
}

bool fake_uv_is_read(void)
{
    return fake.client != NULL && fake.reading;
}

int uv_read_start(uv_stream_t *stream, uv_alloc_cb alloc, uv_read_cb read)
{
    stream->alloc_cb = alloc;
    stream->read_cb = read;
    fake.reading = true;
    return 0;
}

int uv_read_stop(uv_stream_t *stream)
{
    (void)stream;
    fake.reading = false;
    return 0;
}

void fake_uv_send(const uint8_t *p, size_t n)
{
    uv_stream_t *stream = fake.client;
    uv_buf_t room = {.len = 0};

    FUZZ_CHECK(fake_uv_is_read(), "bytes come only where they are wanted");
    stream->alloc_cb((uv_handle_t *)stream, 65536, &room);
    FUZZ_CHECK(room.len >= n, "the server takes much at once");
    memcpy(room.base, p, n);
    stream->read_cb(stream, (ssize_t)n, &room);
}

void fake_uv_end(int error)
{
    uv_stream_t *stream = fake.client;
    uv_buf_t room = {.len = 0};

    if (fake_uv_is_read()) {
        stream->alloc_cb((uv_handle_t *)stream, 65536, &room);
        stream->read_cb(stream, error == 0 ? UV_EOF : error, &room);
    }
}

/* ---- out ---- */

void fake_uv_set_room(size_t bytes)
{
    fake.room = bytes;
}

static size_t take_part(uv_buf_t *part, size_t most)
{
    size_t n = part->len < most ? part->len : most;

    if (n > 0) {
        buf_put_bytes(&fake_uv_out, part->base, n);
        part->base += n;
        part->len -= n;
    }
    return n;
}

int uv_try_write(uv_stream_t *stream, const uv_buf_t parts[], unsigned count)
{
    size_t taken = 0;

    if (stream->write_queue_size > 0 || fake.room == 0) {
        return UV_EAGAIN;
    }
    for (unsigned i = 0; i < count; i++) {
        uv_buf_t part = parts[i];
        taken += take_part(&part, fake.room - taken);
    }
    return (int)taken;
}

int uv_write(uv_write_t *request, uv_stream_t *stream, const uv_buf_t parts[], unsigned count, uv_write_cb cb)
{
    struct waiting *w = &fake.writes[fake.writes_count++];

    FUZZ_CHECK(fake.writes_count < WRITES_MAX && count <= PARTS_MAX, "few answers wait");
    *w = (struct waiting){.request = request, .count = count};
    for (unsigned i = 0; i < count; i++) {
        w->parts[i] = parts[i];
        stream->write_queue_size += parts[i].len;
    }
    request->cb = cb;
    return 0;
}

size_t uv_stream_get_write_queue_size(const uv_stream_t *stream)
{
    return stream->write_queue_size;
}

void fake_uv_take(size_t bytes)
{
    while (fake.client != NULL && fake.writes_count > 0) {
        struct waiting *w = &fake.writes[0];
        uv_write_t *request = w->request;
        size_t left = 0;
        for (unsigned i = 0; i < w->count; i++) {
            size_t n = take_part(&w->parts[i], bytes);
            bytes -= n;
            fake.client->write_queue_size -= n;
            left += w->parts[i].len;
        }
        if (left > 0) {
            return;
        }
        memmove(&fake.writes[0], &fake.writes[1], --fake.writes_count * sizeof fake.writes[0]);
        request->cb(request, 0);
    }
}

int uv_shutdown(uv_shutdown_t *request, uv_stream_t *stream, uv_shutdown_cb cb)
{
    (void)request;
    (void)stream;
    (void)cb; /* the server waits for the client's end, not for this */
    return 0;
}
