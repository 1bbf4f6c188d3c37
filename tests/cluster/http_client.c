#include "tests/cluster/http_client.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_BYTES = 64 * 1024 };

void http_client_init(struct http_client *c, const struct sockaddr_in *to)
{
    *c = (struct http_client){.to = *to, .fd = -1};
    buf_init(&c->input, HTTP_CLIENT_ANSWER_MAX);
}

void http_client_close(struct http_client *c)
{
    if (c->fd >= 0) {
        close(c->fd);
    }
    c->fd = -1;
    buf_close(&c->input);
    buf_init(&c->input, HTTP_CLIENT_ANSWER_MAX);
}

static bool wait_for(int fd, short events, const struct deadline *deadline)
{
    struct pollfd p = {.fd = fd, .events = events};
    int rv;
    do {
        rv = poll(&p, 1, deadline_left_ms(deadline));
    } while (rv < 0 && errno == EINTR);
    return rv > 0;
}

static bool connect_to(struct http_client *c, const struct deadline *deadline)
{
    int one = 1, failed = 0;
    socklen_t n = sizeof failed;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        return false;
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (const struct sockaddr *)&c->to, sizeof c->to) != 0 && errno != EINPROGRESS) {
        return false;
    }
    return wait_for(c->fd, POLLOUT, deadline) && getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &failed, &n) == 0 &&
           failed == 0;
}

/* Whether a kept connection is still good; the server may have closed it since. */
static bool is_alive(const struct http_client *c)
{
    char byte;
    ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n > 0 || (n < 0 && errno == EAGAIN);
}

enum http_outcome http_client_send_bytes(struct http_client *c, const void *bytes, size_t n,
                                         const struct deadline *deadline)
{
    size_t sent = 0;

    if (c->fd >= 0 && !is_alive(c)) {
        http_client_close(c);
    }
    if (c->fd < 0 && !connect_to(c, deadline)) {
        http_client_close(c);
        return HTTP_NOT_SENT;
    }
    while (sent < n) {
        ssize_t rv = send(c->fd, (const char *)bytes + sent, n - sent, MSG_NOSIGNAL);
        if (rv > 0) {
            sent += (size_t)rv;
        } else if ((errno != EAGAIN && errno != EINTR) || !wait_for(c->fd, POLLOUT, deadline)) {
            return sent == 0 ? HTTP_NOT_SENT : HTTP_LOST;
        }
    }
    return HTTP_ANSWERED;
}

enum http_outcome http_client_send(struct http_client *c, const struct http_ask *ask,
                                   const struct deadline *deadline)
{
    struct buf request;
    enum http_outcome outcome = HTTP_NOT_SENT;

    buf_init(&request, ask->len + 64 * 1024);
    buf_printf(&request, "%s %s HTTP/1.1\r\nHost: quorate\r\n%s", ask->method, ask->target,
               ask->headers ? ask->headers : "");
    if (ask->body != NULL) {
        buf_printf(&request, "Content-Length: %zu\r\n", ask->len);
    }
    buf_put_bytes(&request, "\r\n", 2);
    if (ask->body != NULL) {
        buf_put_bytes(&request, ask->body, ask->len);
    }
    if (request.failed == Q_OK) {
        outcome = http_client_send_bytes(c, request.data, request.len, deadline);
    }
    buf_close(&request);
    return outcome;
}

/* More bytes of the answer; false at the end, at an error and when time is over. */
static bool read_more(struct http_client *c, const struct deadline *deadline)
{
    uint8_t *room = buf_reserve(&c->input, READ_BYTES);
    ssize_t n = -1;

    if (room == NULL || c->fd < 0) {
        return false;
    }
    do {
        if (!wait_for(c->fd, POLLIN, deadline)) {
            return false;
        }
        n = recv(c->fd, room, READ_BYTES, 0);
    } while (n < 0 && (errno == EINTR || errno == EAGAIN));
    if (n <= 0) {
        return false;
    }
    c->input.len += (size_t)n;
    return true;
}

static void drop_input(struct http_client *c, size_t n)
{
    memmove(c->input.data, c->input.data + n, c->input.len - n);
    c->input.len -= n;
}

/* Waits for a whole head, and cuts it off the input. NULL: it did not come. */
static char *receive_head(struct http_client *c, const struct deadline *deadline)
{
    for (;;) {
        const uint8_t *end = c->input.len ? memmem(c->input.data, c->input.len, "\r\n\r\n", 4) : NULL;
        if (end != NULL) {
            size_t n = (size_t)(end - c->input.data) + 4;
            char *head = strndup((const char *)c->input.data, n);
            drop_input(c, n);
            return head;
        }
        if (!read_more(c, deadline)) {
            return NULL;
        }
    }
}

static const char *find_header(const char *head, const char *name)
{
    size_t n = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, n) == 0 && line[n] == ':') {
            return line + n + 1 + strspn(line + n + 1, " ");
        }
    }
    return NULL;
}

static bool receive_body(struct http_client *c, const struct deadline *deadline, struct http_reply *r)
{
    const char *length = find_header(r->head, "Content-Length");
    bool bodiless = r->status == 204 || r->status == 304;

    r->len = length != NULL && !bodiless ? strtoul(length, NULL, 10) : 0;
    while (c->input.len < r->len) {
        if (!read_more(c, deadline)) {
            return false;
        }
    }
    r->body = malloc(r->len + 1);
    if (r->body == NULL) {
        return false;
    }
    if (r->len > 0) {
        memcpy(r->body, c->input.data, r->len);
        drop_input(c, r->len);
    }
    r->body[r->len] = 0;
    return true;
}

enum http_outcome http_client_receive(struct http_client *c, const struct deadline *deadline,
                                      struct http_reply *ret_reply)
{
    struct http_reply r = {.status = 100};
    const char *connection;

    while (r.status == 100) {
        free(r.head);
        r.head = receive_head(c, deadline);
        if (r.head == NULL || strncmp(r.head, "HTTP/1.1 ", 9) != 0) {
            http_reply_close(&r);
            http_client_close(c);
            return HTTP_LOST;
        }
        r.status = (int)strtol(r.head + 9, NULL, 10);
    }
    if (!receive_body(c, deadline, &r)) {
        http_reply_close(&r);
        http_client_close(c);
        return HTTP_LOST;
    }
    connection = find_header(r.head, "Connection");
    if (connection != NULL && strncasecmp(connection, "close", 5) == 0) {
        http_client_close(c);
    }
    *ret_reply = r;
    return HTTP_ANSWERED;
}

enum http_outcome http_client_ask(struct http_client *c, const struct http_ask *ask,
                                  const struct deadline *deadline, struct http_reply *ret_reply)
{
    enum http_outcome outcome = http_client_send(c, ask, deadline);

    if (outcome == HTTP_NOT_SENT) {
        http_client_close(c);
        return outcome;
    }
    /* A server that refuses may stop reading before the body is there; its answer counts all the same. */
    return http_client_receive(c, deadline, ret_reply);
}

bool http_client_wait_closed(struct http_client *c, const struct deadline *deadline)
{
    char bytes[4096];
    ssize_t n;

    do {
        if (!wait_for(c->fd, POLLIN, deadline)) {
            return false;
        }
        n = recv(c->fd, bytes, sizeof bytes, 0);
    } while (n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN)));
    http_client_close(c);
    return true;
}

bool http_reply_header(const struct http_reply *r, const char *name, char *value, size_t size)
{
    const char *found = find_header(r->head, name);
    size_t n = found != NULL ? strcspn(found, "\r") : 0;

    if (found == NULL || n >= size) {
        return false;
    }
    memcpy(value, found, n);
    value[n] = 0;
    return true;
}

void http_reply_close(struct http_reply *r)
{
    free(r->head);
    free(r->body);
    *r = (struct http_reply){.status = 0};
}
