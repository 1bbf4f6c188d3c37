#include "node/http/connection.h"

#include <stdlib.h>
#include <string.h>

#include "base/plant.h"
#include "node/http/answer.h"
#include "node/http/line.h"
#include "node/http/parser.h"

enum { CONNECTION_MAGIC = 0x48434f31 };

struct connection {
    OBJECT_MAGIC;
    struct list link; /* the owner's */
    struct connection_owner *owner;
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_shutdown_t shutdown;
    unsigned handles; /* that must close before it can be freed */
    struct parser *parser;

    struct line line;
    struct http_request *incoming; /* the one that arrives, at the line's end; NULL between requests */
    struct cursor input;           /* bytes that are not parsed yet, in the read buffer or in REST */
    uint8_t *rest;                 /* those that had to be kept because the line is full */
    size_t rest_len;

    bool stepping; /* inside step(): what happens meanwhile is seen by its loop */
    bool reading, lingering, closing;
    bool eof;  /* the client sends no more */
    bool last; /* no request is taken any more; the line's end is the connection's */

    uint64_t arrive_ms, idle_ms, write_ms, linger_ms; /* deadlines in uv_now() time; 0: not running */
    size_t unsent_seen; /* bytes waiting for the client, when write_ms was set */
    char peer[HTTP_REQUEST_PEER_MAX];
};

static void step(struct connection *c);

struct list *http_connection_link(struct connection *c)
{
    return &c->link;
}

struct connection *http_connection_of(struct list *link)
{
    return CAST(struct connection, CONTAINER_OF(link, struct connection, link), CONNECTION_MAGIC);
}

static const struct http_server_config *config_of(const struct connection *c)
{
    return c->owner->config;
}

static uint64_t now_of(const struct connection *c)
{
    return uv_now(config_of(c)->loop);
}

/* ---- the end ---- */

static void drop_rest(struct connection *c)
{
    if (c->rest != NULL) {
        free(c->rest);
        http_memory_give(c->owner->memory, c->rest_len);
        c->rest = NULL;
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct connection *c = CAST(struct connection, handle->data, CONNECTION_MAGIC);
    if (--c->handles > 0) {
        return;
    }
    drop_rest(c); /* while the server is there */
    c->owner->closed(c->owner, c);
    c->magic = 0;
    parser_free(c->parser);
    free(c);
}

void http_connection_close(struct connection *c)
{
    if (c->closing) {
        return;
    }
    c->closing = true;
    line_cut(&c->line);
    c->incoming = NULL;
    uv_close((uv_handle_t *)&c->tcp, on_closed);
    uv_close((uv_handle_t *)&c->timer, on_closed);
}

static struct connection *connection_with(struct line *l)
{
    return CAST(struct connection, CONTAINER_OF(l, struct connection, line), CONNECTION_MAGIC);
}

static void on_sent(struct line *l, bool failed)
{
    struct connection *c = connection_with(l);
    if (failed) {
        http_connection_close(c);
    } else {
        step(c);
    }
}

static void on_counted(struct line *l, size_t bytes)
{
    struct connection *c = connection_with(l);
    c->owner->moved(c->owner, 0, bytes);
}

static void on_shutdown(uv_shutdown_t *shutdown, int status)
{
    (void)shutdown;
    (void)status; /* a failure shows itself to the reader, or the deadline comes */
}

void http_connection_answered(struct http_request *r)
{
    struct connection *c = r->connection;

    if (c == NULL) {
        http_request_free(r);
        return;
    }
    r->close = r->close || ((c->last || c->eof) && r->link.next == &c->line.requests);
    c->last = c->last || r->close;
    r->state = HTTP_ANSWERED;
    c->owner->answered(c->owner, r);
    if (!answer_build(r, c->owner->date(c->owner)) ||
        (line_unsent(&c->line) > config_of(c)->output_max && !PLANTED("unread_answers_have_no_limit"))) {
        http_connection_close(c);
        return;
    }
    c->line.waiting += r->answer_head.len + r->answer_body.len;
    step(c);
}

void http_connection_continue(struct http_request *r)
{
    struct connection *c = r->connection;

    r->state = HTTP_ANSWERED;
    c->line.waiting += r->answer_body.len;
    step(c);
}

void http_connection_abort(struct http_request *r)
{
    if (r->connection != NULL) {
        http_connection_close(r->connection); /* leaves R alone */
    }
    http_request_free(r);
}

/* ---- in ---- */

/* The incoming request has arrived, or no more of it is wanted. */
static struct http_request *take_incoming(struct connection *c)
{
    struct http_request *r = c->incoming;
    c->incoming = NULL;
    c->line.whole++;
    c->last = c->last || r->close;
    r->state = HTTP_UNDER_WAY;
    r->whole_ns = uv_hrtime();
    return r;
}

static void respond_refusal(struct http_request *r, int status, const char *why)
{
    if (status == 503) {
        http_set_header(r, "Retry-After", "1");
        http_memory_refused(r->memory);
    }
    http_respond_text(r, status, why);
}

/* Answers the incoming request with a refusal; nothing behind it can be understood. */
static bool refuse(struct connection *c, int status, const char *why)
{
    c->incoming->close = true;
    respond_refusal(take_incoming(c), status, why);
    return false;
}

static const char no_room[] = "the server has no memory for this request now";

/* There is no memory for the incoming request, whose head is whole. */
static bool refuse_body(struct connection *c)
{
    struct http_request *r = c->incoming;
    bool near = r->announced != UINT64_MAX && r->announced - r->body.len <= CONNECTION_READ_MAX;

    if (!near || (r->expects && !r->continued)) {
        return refuse(c, 503, no_room);
    }
    http_request_drop_input(r);
    r->unwanted = true;
    return true;
}

static bool head_status(struct connection *c, int status)
{
    return status == 0     ? true
           : status == 400 ? refuse(c, status, "control characters in a header")
           : status == 414 ? refuse(c, status, "request target too long")
           : status == 431 ? refuse(c, status, "request header too large")
                           : refuse(c, status, no_room);
}

static bool on_target(void *ctx, const char *p, size_t n)
{
    struct connection *c = ctx;
    return head_status(c, http_request_add_target(c->incoming, p, n));
}

static bool on_field(void *ctx, const char *p, size_t n)
{
    struct connection *c = ctx;
    return head_status(c, http_request_add_field(c->incoming, p, n));
}

static bool on_value(void *ctx, const char *p, size_t n)
{
    struct connection *c = ctx;
    return head_status(c, http_request_add_value(c->incoming, p, n));
}

static int open_sink(struct connection *c, const char **ret_why)
{
    const struct http_server_config *config = config_of(c);
    struct http_request *r = c->incoming;
    int status = 0;

    r->sink = config->sink != NULL ? config->sink(config->ctx, r, &status, ret_why) : NULL;
    if (r->sink != NULL) {
        r->sink->request = r;
    }
    return status;
}

void http_sink_drained(struct http_sink *s)
{
    struct connection *c = s->request->connection;

    if (c != NULL) {
        c->arrive_ms = now_of(c) + config_of(c)->body_ms;
        step(c);
    }
}

static bool on_head(void *ctx, const struct parser_head *head)
{
    struct connection *c = ctx;
    const char *why = "";
    int status = http_request_finish_head(c->incoming, head->method, head->major, head->minor, &why);

    c->incoming->close = !head->keep_alive;
    c->arrive_ms = now_of(c) + config_of(c)->body_ms;
    if (status == 0) {
        int refused = open_sink(c, &why);
        if (refused != 0) {
            return refuse(c, refused, why);
        }
    }
    status = status == 0 && c->incoming->sink == NULL ? http_request_check_body(c->incoming, &why) : status;
    return status == 0 ? true : status == 503 ? refuse_body(c) : refuse(c, status, why);
}

static bool on_body(void *ctx, const char *p, size_t n)
{
    struct connection *c = ctx;
    struct http_request *r = c->incoming;
    const char *why = "";

    if (r->sink != NULL) {
        int refused = r->sink->put(r->sink, p, n, &why);
        c->arrive_ms = now_of(c) + config_of(c)->body_ms; /* it may be long: what counts is that it comes */
        return refused == 0 ? true : refuse(c, refused, why);
    }
    int status = c->incoming->unwanted ? 0 : http_request_add_body(c->incoming, p, n);
    return status == 0 ? true : status == 413 ? refuse(c, status, "request body too large") : refuse_body(c);
}

static const struct parser_events events = {
    .target = on_target, .field = on_field, .value = on_value, .head = on_head, .body = on_body};

/* Starts a request with the first byte of it; stray line ends between requests are skipped (RFC 9112,
 * section 2.2). False when there is no such byte. */
static bool begin(struct connection *c)
{
    const struct http_server_config *config = config_of(c);
    struct http_request *r;

    while (c->input.p < c->input.end && (*c->input.p == '\r' || *c->input.p == '\n')) {
        c->input.p++;
    }
    if (cursor_left(&c->input) == 0) {
        return false;
    }
    r = http_request_new(c, c->peer, c->owner->memory, config->head_max, config->body_max);
    if (r == NULL) {
        http_connection_close(c);
        return false;
    }
    list_push(&c->line.requests, &r->link);
    c->incoming = r;
    c->arrive_ms = now_of(c) + config->head_ms;
    return http_request_admit(r) || refuse(c, 503, no_room);
}

/* The incoming request is whole: the owner's now. */
static void hand_over(struct connection *c)
{
    struct http_request *r = take_incoming(c);
    if (r->unwanted) {
        respond_refusal(r, 503, no_room);
    } else {
        c->owner->request(c->owner, r);
    }
}

static bool sink_is_full(const struct connection *c)
{
    struct http_sink *s = c->incoming != NULL ? c->incoming->sink : NULL;

    return s != NULL && s->full(s);
}

static bool wants_input(const struct connection *c)
{
    return !c->closing && !c->last && c->line.whole < config_of(c)->pipeline_max && !sink_is_full(c);
}

/* Parses what may be parsed of the input. */
static void parse(struct connection *c)
{
    while (wants_input(c) && cursor_left(&c->input) > 0 && (c->incoming != NULL || begin(c))) {
        size_t used;
        enum parser_result result = parser_feed(c->parser, c->input.p, cursor_left(&c->input), &used);
        c->input.p += used;
        switch (result) {
        case PARSER_MORE:
        case PARSER_STOPPED: break;
        case PARSER_DONE: hand_over(c); break;
        case PARSER_BAD: refuse(c, 400, "malformed HTTP request"); break;
        case PARSER_BAD_METHOD:
            /* Methods are upper case; anything else is not HTTP at all. */
            if (cursor_left(&c->input) > 0 && *c->input.p >= 'A' && *c->input.p <= 'Z') {
                refuse(c, 501, "method not implemented");
            } else {
                refuse(c, 400, "malformed HTTP request");
            }
            break;
        case PARSER_BAD_VERSION: refuse(c, 505, "HTTP version not supported"); break;
        case PARSER_TOO_LONG: refuse(c, 431, "request header too large"); break;
        }
    }
}

/* Keeps what is left of the input until the line has room again; what the server has no room for is dropped,
 * and the connection ends with its line. False: out of memory. */
static bool keep_rest(struct connection *c)
{
    size_t n = cursor_left(&c->input);
    uint8_t *rest = NULL;

    if (c->rest == NULL && n > 0 && !c->last) {
        if (!http_memory_take(c->owner->memory, n)) {
            c->last = true; /* those in the line are the last that are answered */
            http_memory_refused(c->owner->memory);
            c->input = cursor_of(NULL, 0);
            return true;
        }
        rest = malloc(n);
        if (rest == NULL) {
            http_memory_give(c->owner->memory, n);
            return false;
        }
        memcpy(rest, c->input.p, n);
        c->rest = rest;
        c->rest_len = n;
        c->input = cursor_of(rest, n);
    } else if (n == 0 || c->last) {
        drop_rest(c);
        c->input = cursor_of(NULL, 0);
    }
    return true;
}

/* It will never be whole. */
static void drop_incoming(struct connection *c)
{
    if (c->incoming != NULL) {
        list_remove(&c->incoming->link);
        http_request_free(c->incoming);
        c->incoming = NULL;
    }
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_room)
{
    struct connection *c = CAST(struct connection, handle->data, CONNECTION_MAGIC);
    (void)suggested;
    *ret_room = uv_buf_init((char *)c->owner->read_buffer, CONNECTION_READ_MAX);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *room)
{
    struct connection *c = CAST(struct connection, stream->data, CONNECTION_MAGIC);

    if (n == UV_EOF) {
        c->eof = true;
        drop_incoming(c);
    } else if (n < 0) {
        http_connection_close(c);
        return;
    } else {
        c->owner->moved(c->owner, (size_t)n, 0);
        if (!c->last) {
            c->input = cursor_of(room->base, (size_t)n);
        }
    }
    step(c);
}

/* ---- what happens next ---- */

static void on_time(uv_timer_t *timer);

/* Says once that no more will be sent, and waits for the client to close. */
static void linger(struct connection *c)
{
    if (c->eof) {
        http_connection_close(c);
    } else if (!c->lingering) {
        c->lingering = true;
        c->linger_ms = now_of(c) + CONNECTION_LINGER_MS;
        if (uv_shutdown(&c->shutdown, (uv_stream_t *)&c->tcp, on_shutdown) != 0) {
            http_connection_close(c);
        }
    }
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a == 0 ? b : b == 0 || a < b ? a : b;
}

/* Sets the deadlines that hold in the present state, and the timer to the first of them. */
static void watch(struct connection *c)
{
    const struct http_server_config *config = config_of(c);
    uint64_t now = now_of(c), first;
    size_t queued = uv_stream_get_write_queue_size((const uv_stream_t *)&c->tcp);

    if (c->incoming == NULL) {
        c->arrive_ms = 0;
    }
    if (!list_empty(&c->line.requests) || c->lingering) {
        c->idle_ms = 0;
    } else if (c->idle_ms == 0) {
        c->idle_ms = now + config->idle_ms;
    }
    if (queued == 0) {
        c->write_ms = 0;
    } else if (c->write_ms == 0 || queued < c->unsent_seen) {
        c->write_ms = now + config->write_ms;
    }
    c->unsent_seen = queued;
    first = earlier(earlier(c->arrive_ms, c->idle_ms), earlier(c->write_ms, c->linger_ms));
    if (first == 0) {
        uv_timer_stop(&c->timer);
    } else {
        uv_timer_start(&c->timer, on_time, first > now ? first - now : 0, 0);
    }
}

/* Does all that can be done now: parses, sends, and settles what to wait for. */
static void step(struct connection *c)
{
    bool read;

    if (c->stepping || c->closing) {
        return;
    }
    c->stepping = true;
    do {
        parse(c);
        if (!c->closing && !line_flush(&c->line)) {
            http_connection_close(c);
        }
    } while (wants_input(c) && cursor_left(&c->input) > 0);
    c->stepping = false;
    if (c->closing) {
        return;
    }
    if (!keep_rest(c)) {
        http_connection_close(c);
        return;
    }
    if (list_empty(&c->line.requests) && (c->last || c->eof)) {
        linger(c);
        if (c->closing) {
            return;
        }
    }
    read = !c->eof && (c->last || wants_input(c));
    if (read != c->reading) {
        c->reading = read;
        if (!read) {
            uv_read_stop((uv_stream_t *)&c->tcp);
        } else if (uv_read_start((uv_stream_t *)&c->tcp, on_room, on_read) != 0) {
            http_connection_close(c);
            return;
        }
    }
    watch(c);
}

static void on_time(uv_timer_t *timer)
{
    struct connection *c = CAST(struct connection, timer->data, CONNECTION_MAGIC);
    uint64_t now = now_of(c);
    size_t queued = uv_stream_get_write_queue_size((const uv_stream_t *)&c->tcp);

    if ((c->linger_ms != 0 && now >= c->linger_ms) || (c->idle_ms != 0 && now >= c->idle_ms) ||
        (c->write_ms != 0 && now >= c->write_ms && queued >= c->unsent_seen)) {
        http_connection_close(c);
        return;
    }
    if (c->incoming != NULL && now >= c->arrive_ms) {
        refuse(c, 408, "the request did not arrive in time");
        return;
    }
    watch(c);
}

void http_connection_drain(struct connection *c)
{
    c->last = true;
    drop_incoming(c);
    if (list_empty(&c->line.requests)) {
        http_connection_close(c);
    } else {
        step(c);
    }
}

int http_connection_accept(struct connection_owner *owner, uv_stream_t *listener,
                           struct connection **ret_connection)
{
    uv_loop_t *loop = owner->config->loop;
    struct connection *c = calloc(1, sizeof *c);
    int rc;

    if (c == NULL) {
        return UV_ENOMEM;
    }
    c->parser = parser_new(&events, c);
    if (c->parser == NULL) {
        free(c);
        return UV_ENOMEM;
    }
    c->magic = CONNECTION_MAGIC;
    c->owner = owner;
    list_init(&c->link);
    line_init(&c->line, (uv_stream_t *)&c->tcp);
    c->line.sent = on_sent;
    c->line.counted = on_counted;
    uv_tcp_init(loop, &c->tcp); /* cannot fail: it makes no socket yet */
    uv_timer_init(loop, &c->timer);
    c->tcp.data = c->timer.data = c;
    c->handles = 2;
    *ret_connection = c;
    rc = uv_accept(listener, (uv_stream_t *)&c->tcp);
    if (rc != 0) {
        http_connection_close(c);
        return 0;
    }
    uv_tcp_nodelay(&c->tcp, 1); /* without it only slower */
    http_request_name_peer(&c->tcp, c->peer);
    step(c);
    return 0;
}
