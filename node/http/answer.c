#include "node/http/answer.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "node/http/connection.h"

static const struct {
    int status;
    const char *text;
} statuses[] = {
    {200, "OK"},
    {201, "Created"},
    {204, "No Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {412, "Precondition Failed"},
    {413, "Payload Too Large"},
    {414, "URI Too Long"},
    {417, "Expectation Failed"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

static const char *status_text(int status)
{
    for (unsigned i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        if (statuses[i].status == status) {
            return statuses[i].text;
        }
    }
    return "Status";
}

static bool is_plain(const char *s)
{
    while ((unsigned char)*s >= ' ' && *s != 0x7f) {
        s++;
    }
    return *s == '\0';
}

/* Where the line of header NAME begins in the answer's headers, and its length; 0 if it is not there. */
static size_t find_line(const struct http_request *r, const char *name, size_t *ret_at)
{
    const char *p = (const char *)r->answer_headers.data;
    size_t n = strlen(name);
    for (size_t at = 0; at < r->answer_headers.len;) {
        const char *line = p + at;
        size_t len = (size_t)((const char *)memchr(line, '\n', r->answer_headers.len - at) - line) + 1;
        if (len > n && strncasecmp(line, name, n) == 0 && line[n] == ':') {
            *ret_at = at;
            return len;
        }
        at += len;
    }
    return 0;
}

void http_set_header(struct http_request *r, const char *name, const char *value)
{
    struct buf *b = &CAST(struct http_request, r, HTTP_REQUEST_MAGIC)->answer_headers;
    size_t at, len = find_line(r, name, &at);

    assert(is_plain(name) && is_plain(value));
    if (len > 0) {
        memmove(b->data + at, b->data + at + len, b->len - at - len);
        b->len -= len;
    }
    buf_printf(b, "%s: %s\r\n", name, value);
}

bool http_header_is_set(const struct http_request *r, const char *name)
{
    size_t at;
    return find_line(r, name, &at) > 0;
}

void http_set_repeatable(struct http_request *r)
{
    r->repeatable = true;
}

/* There is no room for the answer. */
static void refuse_answer(struct http_request *r, struct buf *body)
{
    bool repeatable = r->repeatable || r->method == HTTP_METHOD_GET || r->method == HTTP_METHOD_HEAD;

    if (body != NULL) {
        buf_close(body);
    }
    http_memory_refused(r->memory);
    buf_close(&r->answer_headers);
    if (repeatable) {
        http_set_header(r, "Retry-After", "1");
        http_respond_text(r, 503, "the server has no memory for the answer now");
    } else {
        http_connection_abort(r);
    }
}

void http_respond(struct http_request *r, int status, const char *type, struct buf *body)
{
    struct error why;

    CAST(struct http_request, r, HTTP_REQUEST_MAGIC);
    assert(r->state == HTTP_UNDER_WAY);
    if (body != NULL && buf_check(body, "the answer", &why) != 0) {
        buf_close(body);
        http_respond_text(r, 500, why.text);
        return;
    }
    if (type != NULL) {
        http_set_header(r, "Content-Type", type);
    }
    if (!http_request_turn(r, body)) {
        refuse_answer(r, body);
        return;
    }
    r->status = status;
    if (body != NULL) {
        r->answer_body = *body;
        buf_init(body, body->max);
    }
    http_connection_answered(r);
}

bool http_respond_stream(struct http_request *r, int status, const char *type, struct http_stream *s)
{
    bool sent = r->connection != NULL && r->method != HTTP_METHOD_HEAD;

    r->streams = true;
    r->stream_length = s->length;
    r->stream = sent ? s : NULL;
    r->close = r->close || (r->http_1_0 && s->length == UINT64_MAX);
    s->request = r;
    s->last = false;
    http_respond(r, status, type, NULL);
    return sent;
}

/* RFC 9112, section 7.1: the piece's length before it, a line's end behind it; an empty one ends them. */
static void frame(struct buf *body, bool last)
{
    char length[24];
    int n = snprintf(length, sizeof length, "%zx\r\n", body->len);
    bool empty = body->len == 0;

    body->max = SIZE_MAX;
    if (!empty && buf_reserve(body, (size_t)n) != NULL) {
        memmove(body->data + n, body->data, body->len);
        memcpy(body->data, length, (size_t)n);
        body->len += (size_t)n;
    }
    buf_put_bytes(body, "\r\n", empty ? 0 : 2);
    buf_put_bytes(body, "0\r\n\r\n", last ? 5 : 0);
}

bool http_stream_put(struct http_stream *s, struct buf *piece, bool last)
{
    struct http_request *r = CAST(struct http_request, s->request, HTTP_REQUEST_MAGIC);

    assert(r->state == HTTP_STREAMING && r->stream == s && (piece->len > 0 || last));
    if (r->stream_length == UINT64_MAX && !r->http_1_0) {
        frame(piece, last);
    }
    if (piece->failed != Q_OK || !http_request_turn_piece(r, piece->cap)) {
        buf_close(piece);
        http_memory_refused(r->memory);
        http_stream_fail(s);
        return false;
    }
    s->last = last;
    r->answer_body = *piece;
    buf_init(piece, piece->max);
    http_connection_continue(r);
    return true;
}

void http_stream_fail(struct http_stream *s)
{
    struct http_request *r = CAST(struct http_request, s->request, HTTP_REQUEST_MAGIC);

    r->stream = NULL;
    http_connection_close(r->connection); /* frees R */
}

void http_respond_text(struct http_request *r, int status, const char *text)
{
    struct buf body;
    buf_init(&body, strlen(text) + 1);
    buf_put_bytes(&body, text, strlen(text));
    buf_put_u8(&body, '\n');
    if (body.failed != Q_OK) {
        buf_close(&body);
    }
    http_set_header(r, "X-Content-Type-Options", "nosniff");
    http_respond(r, status, "text/plain; charset=utf-8", &body);
}

void answer_date(char date[ANSWER_DATE_MAX])
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct timespec now;
    struct tm tm;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    snprintf(date, ANSWER_DATE_MAX, "%s, %02d %s %d %02d:%02d:%02d GMT", days[tm.tm_wday % 7], tm.tm_mday,
             months[tm.tm_mon % 12], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

bool answer_build(struct http_request *r, const char *date)
{
    struct buf *head = &r->answer_head;
    bool bodiless = r->status == 204 || r->status == 304;

    buf_printf(head, "HTTP/1.1 %d %s\r\nDate: %s\r\n", r->status, status_text(r->status), date);
    if (r->streams && r->stream_length == UINT64_MAX) {
        buf_printf(head, "%s", r->http_1_0 ? "" : "Transfer-Encoding: chunked\r\n");
    } else if (!bodiless) {
        buf_printf(head, "Content-Length: %" PRIu64 "\r\n",
                   r->streams ? r->stream_length : (uint64_t)r->answer_body.len);
    }
    if (r->close) {
        buf_printf(head, "Connection: close\r\n");
    } else if (r->http_1_0) {
        buf_printf(head, "Connection: keep-alive\r\n");
    }
    buf_put_bytes(head, r->answer_headers.data, r->answer_headers.len);
    buf_put_bytes(head, "\r\n", 2);
    if (bodiless || r->method == HTTP_METHOD_HEAD) {
        buf_close(&r->answer_body);
    }
    return r->answer_headers.failed == Q_OK && head->failed == Q_OK;
}
