#include "node/http/intake.h"

#include <stdlib.h>
#include <string.h>

#include "base/plant.h"

void intake_drop_rest(struct connection *c)
{
    if (c->rest != NULL) {
        free(c->rest);
        http_memory_give(c->owner->memory, c->rest_len);
        c->rest = NULL;
    }
}

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

bool intake_refuse(struct connection *c, int status, const char *why)
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
        return intake_refuse(c, 503, no_room);
    }
    http_request_drop_input(r);
    r->unwanted = true;
    return true;
}

static bool head_status(struct connection *c, int status)
{
    return status == 0     ? true
           : status == 400 ? intake_refuse(c, status, "control characters in a header")
           : status == 414 ? intake_refuse(c, status, "request target too long")
           : status == 431 ? intake_refuse(c, status, "request header too large")
                           : intake_refuse(c, status, no_room);
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
    const struct http_server_config *config = connection_config(c);
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
        c->arrive_ms = connection_now(c) + connection_config(c)->body_ms;
        connection_step(c);
    }
}

static bool on_head(void *ctx, const struct parser_head *head)
{
    struct connection *c = ctx;
    const char *why = "";
    int status = http_request_finish_head(c->incoming, head->method, head->major, head->minor, &why);

    c->incoming->close = !head->keep_alive;
    c->arrive_ms = connection_now(c) + connection_config(c)->body_ms;
    if (status == 0) {
        int refused = open_sink(c, &why);
        if (refused != 0) {
            return intake_refuse(c, refused, why);
        }
    }
    status = status == 0 && c->incoming->sink == NULL ? http_request_check_body(c->incoming, &why) : status;
    return status == 0 ? true : status == 503 ? refuse_body(c) : intake_refuse(c, status, why);
}

static bool on_body(void *ctx, const char *p, size_t n)
{
    struct connection *c = ctx;
    struct http_request *r = c->incoming;
    const char *why = "";

    if (r->sink != NULL) {
        int refused = r->sink->put(r->sink, p, n, &why);
        c->arrive_ms = connection_now(c) +
                       connection_config(c)->body_ms; /* it may be long: what counts is that it comes */
        return refused == 0 ? true : intake_refuse(c, refused, why);
    }
    int status = c->incoming->unwanted ? 0 : http_request_add_body(c->incoming, p, n);
    return status == 0     ? true
           : status == 413 ? intake_refuse(c, status, "request body too large")
                           : refuse_body(c);
}

const struct parser_events intake_events = {
    .target = on_target, .field = on_field, .value = on_value, .head = on_head, .body = on_body};

/* Starts a request with the first byte of it; stray line ends between requests are skipped (RFC 9112,
 * section 2.2). False when there is no such byte. */
static bool begin(struct connection *c)
{
    const struct http_server_config *config = connection_config(c);
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
    c->arrive_ms = connection_now(c) + config->head_ms;
    return http_request_admit(r) || intake_refuse(c, 503, no_room);
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

bool intake_wants(const struct connection *c)
{
    return !c->closing && !c->last && c->line.whole < connection_config(c)->pipeline_max && !sink_is_full(c);
}

void intake_parse(struct connection *c)
{
    while (intake_wants(c) && cursor_left(&c->input) > 0 && (c->incoming != NULL || begin(c))) {
        size_t used;
        enum parser_result result = parser_feed(c->parser, c->input.p, cursor_left(&c->input), &used);
        c->input.p += used;
        switch (result) {
        case PARSER_MORE:
        case PARSER_STOPPED: break;
        case PARSER_DONE: hand_over(c); break;
        case PARSER_BAD: intake_refuse(c, 400, "malformed HTTP request"); break;
        case PARSER_BAD_METHOD:
            /* Methods are upper case; anything else is not HTTP at all. */
            if (cursor_left(&c->input) > 0 && *c->input.p >= 'A' && *c->input.p <= 'Z') {
                intake_refuse(c, 501, "method not implemented");
            } else {
                intake_refuse(c, 400, "malformed HTTP request");
            }
            break;
        case PARSER_BAD_VERSION: intake_refuse(c, 505, "HTTP version not supported"); break;
        case PARSER_TOO_LONG: intake_refuse(c, 431, "request header too large"); break;
        }
    }
}

bool intake_keep_rest(struct connection *c)
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
        intake_drop_rest(c);
        c->input = cursor_of(NULL, 0);
    }
    return true;
}

void intake_drop(struct connection *c)
{
    if (c->incoming != NULL) {
        list_remove(&c->incoming->link);
        http_request_free(c->incoming);
        c->incoming = NULL;
    }
}
