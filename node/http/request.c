#include "node/http/request.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/plant.h"
#include "node/http/query.h"

#define NO_ROOM "the server has no memory for this request now"

static const char *const method_names[] = {
    [HTTP_METHOD_GET] = "GET", [HTTP_METHOD_HEAD] = "HEAD",     [HTTP_METHOD_POST] = "POST",
    [HTTP_METHOD_PUT] = "PUT", [HTTP_METHOD_DELETE] = "DELETE", [HTTP_METHOD_OPTIONS] = "OPTIONS",
};

void http_request_name_peer(const uv_tcp_t *tcp, char peer[HTTP_REQUEST_PEER_MAX])
{
    struct sockaddr_storage address = {0};
    int n = sizeof address;
    char ip[INET6_ADDRSTRLEN] = "?";
    int port = 0;

    if (uv_tcp_getpeername(tcp, (struct sockaddr *)&address, &n) == 0) {
        uv_ip_name((const struct sockaddr *)&address, ip, sizeof ip);
        port = ntohs(address.ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)&address)->sin6_port
                                                   : ((const struct sockaddr_in *)&address)->sin_port);
    }
    snprintf(peer, HTTP_REQUEST_PEER_MAX, address.ss_family == AF_INET6 ? "[%s]:%d" : "%s:%d", ip, port);
}

struct http_request *http_request_new(struct connection *connection, const char *peer,
                                      struct http_memory *memory, size_t head_max, size_t body_max)
{
    struct http_request *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return NULL;
    }
    r->magic = HTTP_REQUEST_MAGIC;
    r->connection = connection;
    r->memory = memory;
    r->path = r->query = "";
    list_init(&r->link);
    strncpy(r->peer, peer, sizeof r->peer - 1);
    buf_init(&r->target, head_max + 1);
    buf_init(&r->headers, head_max + 2 * HTTP_REQUEST_HEADERS_MAX);
    buf_init(&r->params, 8 * head_max);
    buf_init(&r->body, body_max);
    buf_init(&r->answer_headers, HTTP_REQUEST_ANSWER_HEAD_MAX);
    buf_init(&r->answer_head, 2 * HTTP_REQUEST_ANSWER_HEAD_MAX);
    return r;
}

/* ---- what it counts for ---- */

enum { BASE = sizeof(struct http_request) + HTTP_REQUEST_ANSWER_MIN };

static bool take(struct http_request *r, size_t n)
{
    if (!http_memory_take(r->memory, n)) {
        return false;
    }
    r->taken += n;
    return true;
}

static void give(struct http_request *r, size_t n)
{
    if (n > 0) {
        r->taken -= n;
        http_memory_give(r->memory, n);
    }
}

bool http_request_admit(struct http_request *r)
{
    return take(r, BASE);
}

/* Makes room for N more bytes in B, one of the request's. False: nothing was done. Past B's own maximum it is
 * B that fails. */
static bool room_for(struct http_request *r, struct buf *b, size_t n)
{
    if (!take(r, buf_growth(b, n))) {
        return false;
    }
    buf_reserve(b, n);
    return true;
}

struct http_sink *http_take_sink(struct http_request *r)
{
    struct http_sink *s = r->sink;

    r->sink = NULL;
    return s;
}

static void abandon_sink(struct http_request *r)
{
    struct http_sink *s = http_take_sink(r);

    if (s != NULL) {
        s->abandoned(s);
    }
}

void http_request_drop_input(struct http_request *r)
{
    r->path = r->query = "";
    abandon_sink(r);
    buf_close(&r->target);
    buf_close(&r->headers);
    buf_close(&r->params);
    buf_close(&r->body);
    give(r, r->taken > BASE ? r->taken - BASE : 0);
}

bool http_request_turn(struct http_request *r, const struct buf *body)
{
    /* Headers are held twice; what the server adds to them is within the rest of HTTP_REQUEST_ANSWER_MIN. */
    size_t size = 2 * r->answer_headers.cap + (body != NULL ? body->cap : 0);

    http_request_drop_input(r);
    return size <= HTTP_REQUEST_ANSWER_MIN / 2 || take(r, size);
}

bool http_request_turn_piece(struct http_request *r, size_t n)
{
    give(r, r->piece_bytes);
    r->piece_bytes = 0;
    if (!take(r, n)) {
        return false;
    }
    r->piece_bytes = n;
    return true;
}

void http_request_free(struct http_request *r)
{
    if (r != NULL) {
        give(r, r->taken);
        abandon_sink(r);
        r->magic = 0;
        buf_close(&r->target);
        buf_close(&r->headers);
        buf_close(&r->params);
        buf_close(&r->body);
        buf_close(&r->answer_headers);
        buf_close(&r->answer_head);
        buf_close(&r->answer_body);
        free(r);
    }
}

/* 0, or the status of a head that grew past its limit. */
static int head_check(const struct http_request *r, int too_long)
{
    const struct buf *full = r->target.failed != Q_OK ? &r->target : &r->headers;
    size_t max = r->target.max - 1;
    if (full->failed == Q_NOMEM) {
        return 503;
    }
    return full->failed != Q_OK || r->target.len + r->headers.len > max ? too_long : 0;
}

int http_request_add_target(struct http_request *r, const char *p, size_t n)
{
    if (!room_for(r, &r->target, n)) {
        return 503;
    }
    buf_put_bytes(&r->target, p, n);
    return head_check(r, 414);
}

static void end_value(struct http_request *r)
{
    while (r->headers.len > 0 &&
           (r->headers.data[r->headers.len - 1] == ' ' || r->headers.data[r->headers.len - 1] == '\t')) {
        r->headers.len--;
    }
    buf_put_u8(&r->headers, 0);
    r->in_value = false;
}

static int add_trailer(struct http_request *r, size_t n)
{
    r->trailer_bytes += n;
    return r->trailer_bytes > r->target.max ? 431 : 0;
}

/* http-parser lets control characters pass in some values; a NUL would also end our own strings. */
static bool is_clean(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        if ((c < ' ' && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

int http_request_add_field(struct http_request *r, const char *p, size_t n)
{
    if (r->in_trailer) {
        return add_trailer(r, n);
    }
    if (!is_clean(p, n)) {
        return 400;
    }
    if (!room_for(r, &r->headers, n + 1)) {
        return 503;
    }
    if (r->in_value) {
        end_value(r);
        r->header_count++;
    }
    buf_put_bytes(&r->headers, p, n);
    return r->header_count >= HTTP_REQUEST_HEADERS_MAX ? 431 : head_check(r, 431);
}

int http_request_add_value(struct http_request *r, const char *p, size_t n)
{
    if (r->in_trailer) {
        return add_trailer(r, n);
    }
    if (!is_clean(p, n)) {
        return 400;
    }
    if (!room_for(r, &r->headers, n + 1)) {
        return 503;
    }
    if (!r->in_value || PLANTED("values_end_with_their_first_piece")) {
        buf_put_u8(&r->headers, 0);
        r->in_value = true;
    }
    buf_put_bytes(&r->headers, p, n);
    return head_check(r, 431);
}

uint64_t http_body_announced(const struct http_request *r)
{
    return r->announced;
}

int http_request_add_body(struct http_request *r, const char *p, size_t n)
{
    if (!room_for(r, &r->body, n)) {
        return 503;
    }
    buf_put_bytes(&r->body, p, n);
    return r->body.failed == Q_OK ? 0 : r->body.failed == Q_TOO_BIG ? 413 : 503;
}

struct header {
    const char *name, *value;
};

/* The next header behind AT; false at the end. */
static bool next_header(const struct http_request *r, size_t *at, struct header *ret_header)
{
    if (*at >= r->headers.len) {
        return false;
    }
    ret_header->name = (const char *)r->headers.data + *at;
    *at += strlen(ret_header->name) + 1;
    ret_header->value = (const char *)r->headers.data + *at;
    *at += strlen(ret_header->value) + 1;
    return true;
}

const char *http_header(const struct http_request *r, const char *name)
{
    struct header h;
    for (size_t at = 0; next_header(r, &at, &h);) {
        if (strcasecmp(h.name, name) == 0) {
            return h.value;
        }
    }
    return NULL;
}

static unsigned count_headers(const struct http_request *r, const char *name)
{
    struct header h;
    unsigned n = 0;
    for (size_t at = 0; next_header(r, &at, &h);) {
        n += strcasecmp(h.name, name) == 0;
    }
    return n;
}

/* A token of RFC 9110, section 5.6.2. */
static bool is_token(const char *s)
{
    static const char letters[] =
        "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    return *s != '\0' && s[strspn(s, letters)] == '\0';
}

/* No control characters: the target may end up in a header of the answer. */
static bool is_plain(const char *s)
{
    while ((unsigned char)*s > ' ' && *s != 0x7f) {
        s++;
    }
    return *s == '\0';
}

/* Splits the target in place: origin-form, the absolute-form that proxies send, or '*'. */
static bool split_target(struct http_request *r)
{
    char *target = (char *)r->target.data;
    char *question;
    static const char root[] = "/";

    if (strncasecmp(target, "http://", 7) == 0 || strncasecmp(target, "https://", 8) == 0) {
        char *host = strstr(target, "//") + 2;
        size_t n = strcspn(host, "/?");
        if (n == 0) {
            return false;
        }
        target = host + n;
    }
    question = strchr(target, '?');
    r->query = question != NULL ? question + 1 : "";
    if (question != NULL) {
        *question = '\0';
    }
    r->path = *target != '\0' ? target : root;
    if (!is_plain(r->path) || !is_plain(r->query)) {
        return false;
    }
    return r->path[0] == '/' || (strcmp(r->path, "*") == 0 && r->method == HTTP_METHOD_OPTIONS);
}

static int refuse(int status, const char *why, const char **ret_why)
{
    *ret_why = why;
    return status;
}

/* The parameters take at most 10 bytes each besides what is written. */
static bool parse_query(struct http_request *r)
{
    size_t most = strlen(r->query) + 10;

    for (const char *p = r->query; *p != '\0'; p++) {
        most += *p == '&' ? 10 : 0;
    }
    if (!room_for(r, &r->params, most)) {
        return false;
    }
    query_parse(r->query, &r->params, r->query_error, sizeof r->query_error);
    return r->params.failed == Q_OK;
}

static int check_framing(const struct http_request *r, unsigned minor, const char **ret_why)
{
    const char *coding = http_header(r, "Transfer-Encoding");
    if (coding == NULL) {
        return 0;
    }
    if (http_header(r, "Content-Length") != NULL) {
        return refuse(400, "both Content-Length and Transfer-Encoding", ret_why);
    }
    if (minor == 0) {
        return refuse(400, "Transfer-Encoding in HTTP/1.0", ret_why);
    }
    if (count_headers(r, "Transfer-Encoding") != 1 || strcasecmp(coding, "chunked") != 0) {
        return refuse(501, "only the transfer coding chunked is understood", ret_why);
    }
    return 0;
}

int http_request_finish_head(struct http_request *r, const char *method, unsigned major, unsigned minor,
                             const char **ret_why)
{
    struct header h;
    const char *expect, *length;

    r->in_trailer = true;
    if (!room_for(r, &r->headers, 1) || !room_for(r, &r->target, 1)) {
        return refuse(503, NO_ROOM, ret_why);
    }
    if (r->in_value) {
        end_value(r);
    }
    buf_put_u8(&r->target, 0);
    if (r->headers.failed == Q_NOMEM || r->target.failed != Q_OK) {
        return refuse(503, NO_ROOM, ret_why);
    }
    r->method = HTTP_METHOD_OTHER;
    for (unsigned i = 0; i < sizeof method_names / sizeof method_names[0]; i++) {
        if (strcmp(method, method_names[i]) == 0) {
            r->method = (enum http_method)i;
        }
    }
    r->http_1_0 = minor == 0;
    if (r->headers.len > 0 && r->headers.data[r->headers.len - 1] != 0) {
        return refuse(400, "a header without a colon", ret_why);
    }
    if (major != 1) {
        return refuse(505, "HTTP version not supported", ret_why);
    }
    for (size_t at = 0; next_header(r, &at, &h);) {
        if (!is_token(h.name)) {
            return refuse(400, "malformed header name", ret_why);
        }
    }
    if (count_headers(r, "Host") > 1 || (minor > 0 && http_header(r, "Host") == NULL)) {
        return refuse(400, "one Host header is required", ret_why);
    }
    if (check_framing(r, minor, ret_why) != 0) {
        return check_framing(r, minor, ret_why);
    }
    if (!split_target(r)) {
        return refuse(400, "malformed request target", ret_why);
    }
    length = http_header(r, "Content-Length");
    r->announced = length != NULL                                ? strtoull(length, NULL, 10)
                   : http_header(r, "Transfer-Encoding") != NULL ? UINT64_MAX
                                                                 : 0;
    expect = http_header(r, "Expect");
    if (expect != NULL && minor > 0) {
        if (strcasecmp(expect, "100-continue") != 0) {
            return refuse(417, "only Expect: 100-continue is understood", ret_why);
        }
        r->expects = true;
    }
    return parse_query(r) ? 0 : refuse(503, NO_ROOM, ret_why);
}

int http_request_check_body(const struct http_request *r, const char **ret_why)
{
    if (r->announced != UINT64_MAX && r->announced > r->body.max) {
        return refuse(413, "request body too large", ret_why);
    }
    if (r->announced != UINT64_MAX && !http_memory_has(r->memory, r->announced)) {
        return refuse(503, NO_ROOM, ret_why);
    }
    return 0;
}

enum http_method http_method(const struct http_request *r)
{
    return r->method;
}

const char *http_path(const struct http_request *r)
{
    return r->path;
}

const char *http_raw_query(const struct http_request *r)
{
    return r->query;
}

const uint8_t *http_body(const struct http_request *r, size_t *ret_len)
{
    static const uint8_t nothing[1];
    *ret_len = r->body.len;
    return r->body.data != NULL ? r->body.data : nothing;
}

const char *http_peer(const struct http_request *r)
{
    return r->peer;
}
