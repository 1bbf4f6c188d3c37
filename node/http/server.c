#include "node/http/server.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/http/answer.h"
#include "node/http/connection.h"

enum { SERVER_MAGIC = 0x48535631, SERVER_BACKLOG = 511, SERVER_DATE_MS = 500 };

enum {
    COUNT_1XX_2XX,
    COUNT_3XX,
    COUNT_4XX,
    COUNT_5XX,
    COUNT_RECEIVED,
    COUNT_SENT,
    COUNT_ACCEPTED,
    COUNT_CONNECTIONS,
    COUNT_SECONDS,
    COUNTS
};

struct http_server {
    OBJECT_MAGIC;
    struct connection_owner owner;
    struct http_server_config config;
    uv_tcp_t listener;
    uv_timer_t grace;
    unsigned handles;
    struct list connections;
    unsigned count;
    bool held_back; /* a client waits to be accepted until another one leaves */
    bool closing;
    void (*closed)(void *ctx);
    char date[64];
    uint64_t date_ms; /* uv_now() when it was made */
    uint8_t read_buffer[CONNECTION_READ_MAX];
    struct metric metrics[COUNTS];
    struct histogram seconds;
};

static struct http_server *server_of(struct connection_owner *owner)
{
    return CAST(struct http_server, CONTAINER_OF(owner, struct http_server, owner), SERVER_MAGIC);
}

/* ---- routes ---- */

static bool fits(const struct http_route *route, const char *path)
{
    return route->prefix ? strncmp(path, route->path, strlen(route->path)) == 0
                         : strcmp(path, route->path) == 0;
}

static bool allows(const struct http_route *route, enum http_method method)
{
    unsigned bit = 1U << (method == HTTP_METHOD_HEAD ? HTTP_METHOD_GET : method);
    return (route->methods & (bit | 1U << method)) != 0;
}

static void refuse_method(const struct http_route *route, struct http_request *r)
{
    static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"};
    char allow[64] = "";

    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (allows(route, (enum http_method)i)) {
            size_t n = strlen(allow);
            snprintf(allow + n, sizeof allow - n, "%s%s", n > 0 ? ", " : "", names[i]);
        }
    }
    http_set_header(r, "Allow", allow);
    http_respond(r, 405, NULL, NULL);
}

static void on_request(struct connection_owner *owner, struct http_request *r)
{
    const struct http_server_config *config = owner->config;

    if (config->gate != NULL && config->gate(config->ctx, r)) {
        return;
    }
    for (unsigned i = 0; i < config->route_count; i++) {
        const struct http_route *route = &config->routes[i];
        if (fits(route, r->path)) {
            if (allows(route, r->method)) {
                route->handler(config->ctx, r);
            } else {
                refuse_method(route, r);
            }
            return;
        }
    }
    http_respond(r, 404, NULL, NULL);
}

/* ---- what connections tell ---- */

static const char *on_date(struct connection_owner *owner)
{
    struct http_server *s = server_of(owner);
    uint64_t now = uv_now(s->config.loop);
    if (s->date[0] == '\0' || now - s->date_ms >= SERVER_DATE_MS) {
        answer_date(s->date);
        s->date_ms = now;
    }
    return s->date;
}

static void on_answered(struct connection_owner *owner, struct http_request *r)
{
    struct http_server *s = server_of(owner);
    unsigned class = r->status < 300   ? COUNT_1XX_2XX
                     : r->status < 400 ? COUNT_3XX
                     : r->status < 500 ? COUNT_4XX
                                       : COUNT_5XX;
    metric_add(&s->metrics[class], 1);
    histogram_add(&s->seconds, (uv_hrtime() - r->whole_ns) / 1000);
    if (s->config.prepare != NULL) {
        s->config.prepare(s->config.ctx, r);
    }
}

static void on_moved(struct connection_owner *owner, size_t received, size_t sent)
{
    struct http_server *s = server_of(owner);
    metric_add(&s->metrics[COUNT_RECEIVED], (int64_t)received);
    metric_add(&s->metrics[COUNT_SENT], (int64_t)sent);
}

/* ---- life ---- */

static void finish(struct http_server *s)
{
    if (s->closing && s->handles == 0 && list_empty(&s->connections)) {
        void (*closed)(void *) = s->closed;
        void *ctx = s->config.ctx;
        http_memory_free(s->owner.memory);
        s->magic = 0;
        free(s);
        if (closed != NULL) {
            closed(ctx);
        }
    }
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct http_server *s = CAST(struct http_server, handle->data, SERVER_MAGIC);
    s->handles--;
    finish(s);
}

static void accept_one(struct http_server *s)
{
    struct connection *c;
    s->held_back = s->count >= s->config.connections_max;
    if (s->held_back || s->closing) {
        return;
    }
    if (http_connection_accept(&s->owner, (uv_stream_t *)&s->listener, &c) != 0) {
        s->held_back = true; /* out of memory: the client waits until another one leaves */
        return;
    }
    s->count++;
    metric_add(&s->metrics[COUNT_ACCEPTED], 1);
    metric_set(&s->metrics[COUNT_CONNECTIONS], s->count);
    list_push(&s->connections, http_connection_link(c));
}

static void on_connection(uv_stream_t *listener, int status)
{
    if (status == 0) { /* else the client left before it was accepted, or there are no descriptors */
        accept_one(CAST(struct http_server, listener->data, SERVER_MAGIC));
    }
}

static void on_connection_closed(struct connection_owner *owner, struct connection *c)
{
    struct http_server *s = server_of(owner);
    list_remove(http_connection_link(c));
    s->count--;
    metric_set(&s->metrics[COUNT_CONNECTIONS], s->count);
    if (s->held_back) {
        accept_one(s);
    }
    if (s->closing && list_empty(&s->connections) && !uv_is_closing((uv_handle_t *)&s->grace)) {
        uv_close((uv_handle_t *)&s->grace, on_handle_closed);
    }
    finish(s);
}

static void init_metrics(struct http_server *s)
{
    static const char answers[] = "HTTP answers by status class.";
    const struct metric table[COUNTS] = {
        [COUNT_1XX_2XX] = {.name = "quorate_http_answers_total", .labels = "class=\"2xx\"", .help = answers},
        [COUNT_3XX] = {.name = "quorate_http_answers_total", .labels = "class=\"3xx\"", .help = answers},
        [COUNT_4XX] = {.name = "quorate_http_answers_total", .labels = "class=\"4xx\"", .help = answers},
        [COUNT_5XX] = {.name = "quorate_http_answers_total", .labels = "class=\"5xx\"", .help = answers},
        [COUNT_RECEIVED] = {.name = "quorate_http_received_bytes_total", .help = "Bytes read from clients."},
        [COUNT_SENT] = {.name = "quorate_http_sent_bytes_total", .help = "Answer bytes for clients."},
        [COUNT_ACCEPTED] = {.name = "quorate_http_accepted_total", .help = "Client connections accepted."},
        [COUNT_CONNECTIONS] = {.kind = METRIC_GAUGE,
                               .name = "quorate_http_connections",
                               .help = "Client connections open now."},
        [COUNT_SECONDS] = {.kind = METRIC_HISTOGRAM,
                           .name = "quorate_http_answer_seconds",
                           .help = "From a request's last byte to its answer.",
                           .histogram = &s->seconds},
    };
    memcpy(s->metrics, table, sizeof table);
}

/* Splits "host:port", "[v6]:port" or ":port" and looks the host up. */
static int resolve(uv_loop_t *loop, const char *address, struct sockaddr_storage *ret_address,
                   struct error *e)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    char host[256];
    const char *colon = strrchr(address, ':'), *from = address;
    uv_getaddrinfo_t lookup;
    size_t n;
    int rc;

    if (colon == NULL || colon[1] == '\0') {
        return error_set(e, Q_INVALID, "HTTP address %s: it has no port", address);
    }
    n = (size_t)(colon - address);
    if (n >= 2 && address[0] == '[' && colon[-1] == ']') {
        from++;
        n -= 2;
    }
    if (n >= sizeof host) {
        return error_set(e, Q_INVALID, "HTTP address %s: the host is longer than %zu bytes", address,
                         sizeof host - 1);
    }
    memcpy(host, from, n);
    host[n] = '\0';
    rc = uv_getaddrinfo(loop, &lookup, NULL, n > 0 ? host : NULL, colon + 1, &hints);
    if (rc != 0) {
        return error_set(e, Q_INVALID, "HTTP address %s: %s", address, uv_strerror(rc));
    }
    memcpy(ret_address, lookup.addrinfo->ai_addr, lookup.addrinfo->ai_addrlen);
    uv_freeaddrinfo(lookup.addrinfo);
    return 0;
}

static void forget(uv_handle_t *handle)
{
    struct http_server *s = handle->data;
    if (--s->handles == 0) {
        http_memory_free(s->owner.memory);
        free(s);
    }
}

int http_server_open(const struct http_server_config *config, struct http_server **ret_server,
                     struct error *e)
{
    struct sockaddr_storage address;
    struct http_memory *memory;
    struct http_server *s;
    int rc = resolve(config->loop, config->address, &address, e);

    if (rc != 0) {
        return rc;
    }
    s = calloc(1, sizeof *s);
    memory = http_memory_new(config->memory_max);
    if (s == NULL || memory == NULL) {
        free(s);
        http_memory_free(memory);
        return error_set(e, Q_NOMEM, "out of memory for the HTTP server");
    }
    s->magic = SERVER_MAGIC;
    s->config = *config;
    s->owner = (struct connection_owner){
        .config = &s->config,
        .memory = memory,
        .read_buffer = s->read_buffer,
        .date = on_date,
        .request = on_request,
        .answered = on_answered,
        .moved = on_moved,
        .closed = on_connection_closed,
    };
    list_init(&s->connections);
    init_metrics(s);
    uv_tcp_init(config->loop, &s->listener);
    uv_timer_init(config->loop, &s->grace);
    s->handles = 2;
    s->listener.data = s->grace.data = s;
    rc = uv_tcp_bind(&s->listener, (struct sockaddr *)&address, 0);
    if (rc == 0) {
        rc = uv_listen((uv_stream_t *)&s->listener, SERVER_BACKLOG, on_connection);
    }
    if (rc != 0) {
        uv_close((uv_handle_t *)&s->listener, forget);
        uv_close((uv_handle_t *)&s->grace, forget);
        return error_set(e, Q_IO, "HTTP address %s: %s", config->address, uv_strerror(rc));
    }
    s->config.address = NULL; /* was borrowed */
    *ret_server = s;
    return 0;
}

int http_server_port(const struct http_server *s)
{
    struct sockaddr_storage address = {0};
    int n = sizeof address;

    uv_tcp_getsockname(&s->listener, (struct sockaddr *)&address, &n);
    return ntohs(address.ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)&address)->sin6_port
                                               : ((const struct sockaddr_in *)&address)->sin_port);
}

static void on_grace(uv_timer_t *timer)
{
    struct http_server *s = CAST(struct http_server, timer->data, SERVER_MAGIC);
    LIST_EACH (&s->connections, item) {
        http_connection_close(http_connection_of(item));
    }
}

void http_server_close(struct http_server *s, uint64_t grace_ms, void (*closed)(void *ctx))
{
    assert(!CAST(struct http_server, s, SERVER_MAGIC)->closing);
    s->closing = s->owner.draining = true;
    s->closed = closed;
    uv_close((uv_handle_t *)&s->listener, on_handle_closed);
    LIST_EACH (&s->connections, item) {
        http_connection_drain(http_connection_of(item));
    }
    if (list_empty(&s->connections)) {
        uv_close((uv_handle_t *)&s->grace, on_handle_closed);
    } else {
        uv_timer_start(&s->grace, on_grace, grace_ms, 0);
    }
}

void http_server_metrics(struct http_server *s, struct metrics *metrics)
{
    metrics_register(metrics, s->metrics, COUNTS);
    http_memory_metrics(s->owner.memory, metrics);
}
