#include "node/http/connection_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/plant.h"
#include "node/http/answer.h"
#include "node/http/intake.h"

struct list *http_connection_link(struct connection *c)
{
    return &c->link;
}

struct connection *http_connection_of(struct list *link)
{
    return CAST(struct connection, CONTAINER_OF(link, struct connection, link), CONNECTION_MAGIC);
}

/* ---- the end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct connection *c = CAST(struct connection, handle->data, CONNECTION_MAGIC);
    if (--c->handles > 0) {
        return;
    }
    intake_drop_rest(c); /* while the server is there */
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
        connection_step(c);
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
        (line_unsent(&c->line) > connection_config(c)->output_max &&
         !PLANTED("unread_answers_have_no_limit"))) {
        http_connection_close(c);
        return;
    }
    c->line.waiting += r->answer_head.len + r->answer_body.len;
    connection_step(c);
}

void http_connection_continue(struct http_request *r)
{
    struct connection *c = r->connection;

    r->state = HTTP_ANSWERED;
    c->line.waiting += r->answer_body.len;
    connection_step(c);
}

void http_connection_abort(struct http_request *r)
{
    if (r->connection != NULL) {
        http_connection_close(r->connection); /* leaves R alone */
    }
    http_request_free(r);
}

/* ---- in ---- */

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
        intake_drop(c);
    } else if (n < 0) {
        http_connection_close(c);
        return;
    } else {
        c->owner->moved(c->owner, (size_t)n, 0);
        if (!c->last) {
            c->input = cursor_of(room->base, (size_t)n);
        }
    }
    connection_step(c);
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
        c->linger_ms = connection_now(c) + CONNECTION_LINGER_MS;
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
    const struct http_server_config *config = connection_config(c);
    uint64_t now = connection_now(c), first;
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
void connection_step(struct connection *c)
{
    bool read;

    if (c->stepping || c->closing) {
        return;
    }
    c->stepping = true;
    do {
        intake_parse(c);
        if (!c->closing && !line_flush(&c->line)) {
            http_connection_close(c);
        }
    } while (intake_wants(c) && cursor_left(&c->input) > 0);
    c->stepping = false;
    if (c->closing) {
        return;
    }
    if (!intake_keep_rest(c)) {
        http_connection_close(c);
        return;
    }
    if (list_empty(&c->line.requests) && (c->last || c->eof)) {
        linger(c);
        if (c->closing) {
            return;
        }
    }
    read = !c->eof && (c->last || intake_wants(c));
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
    uint64_t now = connection_now(c);
    size_t queued = uv_stream_get_write_queue_size((const uv_stream_t *)&c->tcp);

    if ((c->linger_ms != 0 && now >= c->linger_ms) || (c->idle_ms != 0 && now >= c->idle_ms) ||
        (c->write_ms != 0 && now >= c->write_ms && queued >= c->unsent_seen)) {
        http_connection_close(c);
        return;
    }
    if (c->incoming != NULL && now >= c->arrive_ms) {
        intake_refuse(c, 408, "the request did not arrive in time");
        return;
    }
    watch(c);
}

void http_connection_drain(struct connection *c)
{
    c->last = true;
    intake_drop(c);
    if (list_empty(&c->line.requests)) {
        http_connection_close(c);
    } else {
        connection_step(c);
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
    c->parser = parser_new(&intake_events, c);
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
    connection_step(c);
    return 0;
}
