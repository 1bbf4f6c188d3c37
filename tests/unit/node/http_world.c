#include "tests/unit/node/http_world.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "tests/unit/test.h"

enum { HEARD_MAX = 4 * 1024 * 1024 };

static char heard[HEARD_MAX + 1];

void world_init(struct http_world *w, const struct http_route *routes, unsigned count, void *ctx)
{
    memset(w, 0, sizeof *w);
    signal(SIGPIPE, SIG_IGN); /* as in the daemon: clients may leave at any time */
    assert_int_equal(uv_loop_init(&w->loop), 0);
    w->loop.data = w;
    w->config = (struct http_server_config){
        .loop = &w->loop,
        .address = "127.0.0.1:0",
        .routes = routes,
        .route_count = count,
        .ctx = ctx,
        .connections_max = 64,
        .pipeline_max = 8,
        .head_max = 8192,
        .body_max = 1024 * 1024,
        .output_max = 8 * 1024 * 1024,
        .memory_max = 1024 * 1024 * 1024,
        .head_ms = 5000,
        .body_ms = 5000,
        .idle_ms = 5000,
        .write_ms = 5000,
    };
}

void world_open(struct http_world *w)
{
    struct error e;
    if (http_server_open(&w->config, &w->server, &e) != 0) {
        fail_msg("%s", e.text);
    }
}

static bool closed;

static void on_closed(void *ctx)
{
    (void)ctx;
    closed = true;
}

static bool is_closed(void *arg)
{
    (void)arg;
    return closed;
}

void world_stop(struct http_world *w)
{
    closed = false;
    http_server_close(w->server, 0, on_closed);
    w->server = NULL;
    world_until(w, is_closed, NULL);
}

static void still_open(uv_handle_t *handle, void *arg)
{
    (void)arg;
    fail_msg("a %s is left in the loop", uv_handle_type_name(handle->type));
}

void world_close(struct http_world *w)
{
    uint64_t end = uv_hrtime() / 1000000 + WORLD_WAIT_MS;
    if (w->server != NULL) {
        world_stop(w);
    }
    while (uv_run(&w->loop, UV_RUN_NOWAIT) != 0) {
        assert_true(uv_hrtime() / 1000000 < end);
        poll(NULL, 0, 1);
    }
    uv_walk(&w->loop, still_open, NULL);
    assert_int_equal(uv_loop_close(&w->loop), 0);
}

void world_turn(struct http_world *w)
{
    struct pollfd p = {.fd = uv_backend_fd(&w->loop), .events = POLLIN};
    uv_run(&w->loop, UV_RUN_NOWAIT);
    poll(&p, 1, 1);
    uv_run(&w->loop, UV_RUN_NOWAIT);
}

void world_until(struct http_world *w, bool (*wanted)(void *), void *arg)
{
    uint64_t end = uv_hrtime() / 1000000 + WORLD_WAIT_MS;
    while (!wanted(arg)) {
        assert_true(uv_hrtime() / 1000000 < end);
        world_turn(w);
    }
}

int world_dial(struct http_world *w)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    to.sin_port = htons((uint16_t)http_server_port(w->server));
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        assert_int_equal(errno, EINPROGRESS);
        assert_int_equal(poll(&p, 1, WORLD_WAIT_MS), 1);
    }
    return fd;
}

void world_send(struct http_world *w, int fd, const void *bytes, size_t n)
{
    uint64_t end = uv_hrtime() / 1000000 + WORLD_WAIT_MS;
    const char *p = bytes;
    while (n > 0) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent > 0) {
            p += sent;
            n -= (size_t)sent;
        } else {
            assert_true(errno == EAGAIN && uv_hrtime() / 1000000 < end);
        }
        world_turn(w);
    }
}

void world_say(struct http_world *w, int fd, const char *text)
{
    world_send(w, fd, text, strlen(text));
}

/* Reads until NEEDLE (then true) or the end (then false). */
static bool hear(struct http_world *w, int fd, const char *needle)
{
    uint64_t end = uv_hrtime() / 1000000 + WORLD_WAIT_MS;
    size_t len = 0;

    heard[0] = '\0';
    while (needle == NULL || strstr(heard, needle) == NULL) {
        /* Not past the needle: what follows it is for the next call. */
        size_t room = needle != NULL ? 1 : HEARD_MAX - len;
        ssize_t n = recv(fd, heard + len, room, 0);
        assert_true(uv_hrtime() / 1000000 < end && len < HEARD_MAX);
        if (n == 0 || (n < 0 && errno == ECONNRESET)) {
            return false;
        }
        if (n < 0) {
            assert_int_equal(errno, EAGAIN);
            world_turn(w);
            continue;
        }
        for (ssize_t i = 0; i < n; i++) {
            heard[len + (size_t)i] = heard[len + (size_t)i] != '\0' ? heard[len + (size_t)i] : '0';
        }
        len += (size_t)n;
        heard[len] = '\0';
    }
    return true;
}

const char *world_hear(struct http_world *w, int fd, const char *needle)
{
    if (!hear(w, fd, needle)) {
        fail_msg("the server closed after: %s", heard);
    }
    return heard;
}

const char *world_hear_end(struct http_world *w, int fd)
{
    hear(w, fd, NULL);
    return heard;
}

const char *world_ask(struct http_world *w, const char *text)
{
    int fd = world_dial(w);
    char *date;

    world_say(w, fd, text);
    world_hear_end(w, fd);
    close(fd);
    while ((date = strstr(heard, "Date: ")) != NULL) {
        char *rest = strchr(date, '\n') + 1;
        memmove(date, rest, strlen(rest) + 1);
    }
    return heard;
}
