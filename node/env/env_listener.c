#include "node/env/env_listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "node/env/address.h"

enum { LISTENER_MAGIC = 0x115e0001 };

static void on_readable(uv_poll_t *readable, int status, int events);

static void on_pause_over(uv_timer_t *pause)
{
    struct env_listener *l = CAST(struct env_listener, pause->data, LISTENER_MAGIC);

    uv_poll_start(&l->readable, UV_READABLE, on_readable);
}

static void begin_pause(struct env_listener *l)
{
    l->pauses++;
    uv_poll_stop(&l->readable);
    uv_timer_start(&l->pause, on_pause_over, LISTENER_PAUSE_MS, 0);
}

/* True for errors of accept() that say something about one connection, which is gone, and not about us. */
static bool is_of_the_connection(int errno_value)
{
    switch (errno_value) {
    case ECONNABORTED:
    case EINTR:
    case EPROTO:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENETDOWN:
    case ENETUNREACH:
    case ENONET: return true;
    }
    return false;
}

static void on_readable(uv_poll_t *readable, int status, int events)
{
    struct env_listener *l = CAST(struct env_listener, readable->data, LISTENER_MAGIC);

    (void)status; /* an error shows in accept() too */
    (void)events;
    for (int i = 0; i < LISTENER_BURST && l->fd >= 0; i++) {
        struct env_conn *c;
        int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            return;
        }
        if (fd < 0 && is_of_the_connection(errno)) {
            continue;
        }
        if (fd < 0 || env_net_adopt(l->net, fd, &c, NULL) != 0) {
            begin_pause(l);
            return;
        }
        l->accepted(l->owner, c);
        assert(!env_net_is_new(c)); /* freed no sooner than in a later callback of the loop */
    }
}

static int listen_on(const struct addrinfo *a, const char *text, int *ret_fd, struct error *e)
{
    const int on = 1;
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
    int rc;

    if (fd < 0) {
        return error_errno(e, errno, "cannot make a socket for %s", text);
    }
    /* After a restart the connections of the last run may still be dying. */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, LISTENER_BACKLOG) != 0) {
        rc = errno == EADDRINUSE ? error_set(e, Q_CONFLICT, "cannot listen on %s: it is in use", text)
                                 : error_errno(e, errno, "cannot listen on %s", text);
        close(fd);
        return rc;
    }
    *ret_fd = fd;
    return 0;
}

/* The first address of the name that can be had. */
static int open_socket(const char *text, int *ret_fd, struct error *e)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    struct address address;
    char port[8];
    int rc = address_parse(text, &address, e);

    if (rc != 0) {
        return error_wrap(e, "cannot listen");
    }
    snprintf(port, sizeof port, "%u", address.port);
    rc = getaddrinfo(address.host, port, &hints, &found);
    if (rc != 0) {
        return error_set(e, Q_NOT_FOUND, "cannot find the address of %s: %s", text, gai_strerror(rc));
    }
    rc = Q_NOT_FOUND;
    for (struct addrinfo *i = found; i != NULL && rc != 0; i = i->ai_next) {
        rc = listen_on(i, text, ret_fd, e);
    }
    freeaddrinfo(found);
    return rc;
}

int env_listener_new(struct env_net *net, const char *address,
                     void (*accepted)(void *owner, struct env_conn *), void *owner,
                     void (*ended)(void *ended_owner), void *ended_owner, struct env_listener **ret_listener,
                     struct error *e)
{
    struct env_listener *l = calloc(1, sizeof *l);
    int rc;

    if (l == NULL) {
        return error_set(e, Q_NOMEM, "cannot listen on %s: out of memory", address);
    }
    rc = open_socket(address, &l->fd, e);
    if (rc != 0) {
        free(l);
        return rc;
    }
    rc = uv_poll_init(net->loop, &l->readable, l->fd);
    if (rc != 0) {
        rc = error_errno(e, -rc, "cannot listen on %s", address);
        close(l->fd);
        free(l);
        return rc;
    }
    uv_timer_init(net->loop, &l->pause);
    l->magic = LISTENER_MAGIC;
    l->net = net;
    l->handles = 2;
    l->accepted = accepted;
    l->owner = owner;
    l->ended = ended;
    l->ended_owner = ended_owner;
    list_init(&l->link);
    l->readable.data = l->pause.data = l;
    uv_poll_start(&l->readable, UV_READABLE, on_readable);
    *ret_listener = l;
    return 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct env_listener *l = CAST(struct env_listener, handle->data, LISTENER_MAGIC);
    void (*ended)(void *) = l->ended;
    void *ended_owner = l->ended_owner;

    if (--l->handles == 0) {
        l->magic = 0;
        free(l);
        ended(ended_owner);
    }
}

void env_listener_stop(struct env_listener *l)
{
    assert(l->magic == LISTENER_MAGIC);
    if (l->fd < 0) {
        return;
    }
    uv_timer_stop(&l->pause);
    /* Closed and not only stopped: a handle that is closed later would take the descriptor's number, which
     * may be somebody else's by then, out of the loop's poll set. */
    uv_close((uv_handle_t *)&l->readable, on_handle_closed);
    close(l->fd);
    l->fd = -1;
}

void env_listener_end(struct env_listener *l)
{
    env_listener_stop(l);
    uv_close((uv_handle_t *)&l->pause, on_handle_closed);
}

uint16_t env_listener_port(const struct env_listener *l)
{
    struct sockaddr_storage s = {0};
    socklen_t n = sizeof s;

    (void)getsockname(l->fd, (struct sockaddr *)&s, &n);
    return s.ss_family == AF_INET6 ? ntohs(((const struct sockaddr_in6 *)(const void *)&s)->sin6_port)
                                   : ntohs(((const struct sockaddr_in *)(const void *)&s)->sin_port);
}
