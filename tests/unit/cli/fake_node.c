#include "tests/unit/cli/fake_node.h"

#include <arpa/inet.h>
#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 128, BYTES_MAX = 4 * 1024 * 1024, REQUESTS_MAX = 200000 };

struct connection {
    int fd;
    char *bytes; /* BYTES_MAX */
    size_t len;
};

struct fake_node {
    const struct fake_step *steps;
    unsigned count;
    int listener, stop;
    char url[64];
    pthread_t thread;
    pthread_mutex_t mutex;
    char *requests[REQUESTS_MAX];
    unsigned taken;
    struct connection connections[CONNECTIONS_MAX];
    unsigned open;
};

static int listen_anywhere(unsigned *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert(fd >= 0 && bind(fd, (struct sockaddr *)&a, n) == 0 && listen(fd, 128) == 0);
    assert(getsockname(fd, (struct sockaddr *)&a, &n) == 0);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

/* The length of the first request, 0 if it is not whole. */
static size_t request_length(const struct connection *c)
{
    const char *end = c->len > 0 ? memmem(c->bytes, c->len, "\r\n\r\n", 4) : NULL;
    const char *length;
    size_t head, body = 0;

    if (end == NULL) {
        return 0;
    }
    head = (size_t)(end - c->bytes) + 4;
    length = memmem(c->bytes, head, "Content-Length: ", 16);
    if (length != NULL) {
        body = strtoul(length + 16, NULL, 10);
    }
    return c->len >= head + body ? head + body : 0;
}

static const struct fake_step *take(struct fake_node *f, const char *request, size_t n)
{
    unsigned i;

    pthread_mutex_lock(&f->mutex);
    i = f->taken++;
    assert(i < REQUESTS_MAX);
    f->requests[i] = strndup(request, n);
    pthread_mutex_unlock(&f->mutex);
    return &f->steps[i < f->count ? i : f->count - 1];
}

/* False: the connection is to be closed. */
static bool serve(struct fake_node *f, struct connection *c)
{
    size_t n;

    while ((n = request_length(c)) > 0) {
        const struct fake_step *step = take(f, c->bytes, n);
        const char *body = step->body != NULL ? step->body : "";
        char head[1024];
        int len;

        memmove(c->bytes, c->bytes + n, c->len - n);
        c->len -= n;
        if (step->action == FAKE_CLOSE) {
            return false;
        }
        if (step->action == FAKE_SILENT) {
            continue;
        }
        len = snprintf(head, sizeof head, "HTTP/1.1 %d Fake\r\nContent-Length: %zu\r\n%s\r\n", step->status,
                       strlen(body), step->headers != NULL ? step->headers : "");
        if (send(c->fd, head, (size_t)len, MSG_NOSIGNAL | (body[0] != 0 ? MSG_MORE : 0)) < 0 ||
            send(c->fd, body, strlen(body), MSG_NOSIGNAL) < 0) {
            return false;
        }
    }
    return true;
}

static bool read_some(struct fake_node *f, struct connection *c)
{
    ssize_t n = recv(c->fd, c->bytes + c->len, BYTES_MAX - c->len, 0);

    if (n <= 0) {
        return false;
    }
    c->len += (size_t)n;
    return serve(f, c);
}

static void drop(struct fake_node *f, unsigned i)
{
    close(f->connections[i].fd);
    free(f->connections[i].bytes);
    f->connections[i] = f->connections[--f->open];
}

static void *run(void *arg)
{
    struct fake_node *f = arg;

    for (;;) {
        struct pollfd p[CONNECTIONS_MAX + 2] = {{f->stop, POLLIN, 0}, {f->listener, POLLIN, 0}};
        for (unsigned i = 0; i < f->open; i++) {
            p[i + 2] = (struct pollfd){f->connections[i].fd, POLLIN, 0};
        }
        poll(p, f->open + 2, -1);
        if (p[0].revents != 0) {
            return NULL;
        }
        for (unsigned i = f->open; i-- > 0;) {
            if (p[i + 2].revents != 0 && !read_some(f, &f->connections[i])) {
                drop(f, i);
            }
        }
        if (p[1].revents != 0) {
            assert(f->open < CONNECTIONS_MAX);
            f->connections[f->open++] =
                (struct connection){.fd = accept(f->listener, NULL, NULL), .bytes = malloc(BYTES_MAX)};
        }
    }
}

struct fake_node *fake_node_new(const struct fake_step *steps, unsigned count)
{
    struct fake_node *f = calloc(1, sizeof *f);
    unsigned port;

    assert(f != NULL);
    f->steps = steps;
    f->count = count;
    f->listener = listen_anywhere(&port);
    f->stop = eventfd(0, EFD_CLOEXEC);
    snprintf(f->url, sizeof f->url, "http://127.0.0.1:%u", port);
    pthread_mutex_init(&f->mutex, NULL);
    assert(pthread_create(&f->thread, NULL, run, f) == 0);
    return f;
}

void fake_node_free(struct fake_node *f)
{
    uint64_t one = 1;

    assert(write(f->stop, &one, sizeof one) == sizeof one);
    pthread_join(f->thread, NULL);
    while (f->open > 0) {
        drop(f, f->open - 1);
    }
    for (unsigned i = 0; i < f->taken; i++) {
        free(f->requests[i]);
    }
    close(f->listener);
    close(f->stop);
    pthread_mutex_destroy(&f->mutex);
    free(f);
}

const char *fake_node_url(const struct fake_node *f)
{
    return f->url;
}

unsigned fake_node_requests(struct fake_node *f)
{
    unsigned n;
    pthread_mutex_lock(&f->mutex);
    n = f->taken;
    pthread_mutex_unlock(&f->mutex);
    return n;
}

const char *fake_node_request(struct fake_node *f, unsigned i)
{
    const char *request;
    pthread_mutex_lock(&f->mutex);
    request = i < f->taken ? f->requests[i] : NULL;
    pthread_mutex_unlock(&f->mutex);
    return request;
}

void fake_node_nowhere(char *url)
{
    unsigned port;
    int fd = listen_anywhere(&port);
    close(fd);
    snprintf(url, 64, "http://127.0.0.1:%u", port);
}
