/* http: what a request handler sees of HTTP: the request, and one way to answer it.
 * It does not know sockets (server.c), the parser library (parser.c) nor what the paths mean (the APIs). */
#ifndef QUORATE_NODE_HTTP_HTTP_H
#define QUORATE_NODE_HTTP_HTTP_H

#include "base/buf.h"

enum http_method {
    HTTP_METHOD_GET,
    HTTP_METHOD_HEAD,
    HTTP_METHOD_POST,
    HTTP_METHOD_PUT,
    HTTP_METHOD_DELETE,
    HTTP_METHOD_OPTIONS,
    HTTP_METHOD_OTHER
};

/* A request whose head and body have arrived whole. It lives until http_respond(), also if the client has
 * gone. */
struct http_request;

enum http_method http_method(const struct http_request *r);
/* The path as sent, without the query, still percent-encoded; terminated. */
const char *http_path(const struct http_request *r);
/* The raw query, without '?'; "" if none. */
const char *http_raw_query(const struct http_request *r);
/* The first value of a query parameter, decoded ('+' is a space); NULL if it is not there; "" if it has no
 * value. */
const char *http_param(const struct http_request *r, const char *name);
/* As http_param(), with the length of the value, which may hold zero bytes. */
const char *http_param_bytes(const struct http_request *r, const char *name, size_t *ret_len);
/* The value of a header, by any case of NAME; NULL if it is not there. */
const char *http_header(const struct http_request *r, const char *name);
const uint8_t *http_body(const struct http_request *r, size_t *ret_len);
/* What is wrong with the raw query, in the words that rqlite's clients know ("invalid semicolon separator in
 * query", "invalid URL escape ..."); NULL if nothing is. The parameters that are sound can be read all the
 * same. */
const char *http_query_error(const struct http_request *r);
/* The remote address, for log lines. */
const char *http_peer(const struct http_request *r);

/* Decodes %XX in N bytes of a path segment; TO needs N bytes. False on a malformed escape. */
bool http_decode_segment(const char *from, size_t n, char *to, size_t *ret_len);

/* Sets a header of the answer, in place of an earlier one of that name. Name and value are copied; a value
 * with control characters is refused by assert (they come from us). */
void http_set_header(struct http_request *r, const char *name, const char *value);
bool http_header_is_set(const struct http_request *r, const char *name);
/* Answers, exactly once; R is gone when it returns. The bytes of BODY are taken (the buffer is left empty);
 * NULL is an empty one; one that failed (buf_check) becomes a 500. TYPE NULL: no Content-Type. May be called
 * inside the handler or later, on the loop. */
void http_respond(struct http_request *r, int status, const char *type, struct buf *body);
/* The request changed nothing, whatever its method (GET and HEAD never do): if the server has no memory for
 * the answer, it may say so, and the client may ask again. */
void http_set_repeatable(struct http_request *r);
/* A text/plain answer: TEXT and a newline. */
void http_respond_text(struct http_request *r, int status, const char *text);

/* An answer whose body is made piece by piece. The handler embeds it and fills the first part. */
struct http_stream {
    uint64_t length; /* bytes of all pieces; UINT64_MAX: not known before the end */
    /* The client has taken what there is: the next http_stream_put() is due, later than this call. */
    void (*wanted)(struct http_stream *);
    /* The last callback, once, but for where a call says otherwise: all was taken, or the client has gone. */
    void (*ended)(struct http_stream *);
    /* Private. */
    struct http_request *request;
    bool last;
};

/* Answers with a stream, in place of http_respond(). S is kept until ENDED; both callbacks may come before
 * this returns, as in http_stream_put(). False: there is nobody to send a
 * body to (the client has gone, or asked by HEAD): no callback follows. */
bool http_respond_stream(struct http_request *r, int status, const char *type, struct http_stream *s);
/* Once for each WANTED: the bytes of PIECE are taken (the buffer is left empty), at least one unless it is
 * LAST. False: there was no memory for it, and the client was cut off: no callback follows. */
bool http_stream_put(struct http_stream *s, struct buf *piece, bool last);
/* In place of a put: there is no more, and the client is cut off, so that it knows. No callback follows. */
void http_stream_fail(struct http_stream *s);

/* Where the body of a request goes that is too large for memory. Its maker embeds it and fills the first
 * part.
 */
struct http_sink {
    /* The next N bytes, borrowed. Returns 0, or the status that refuses the request, and RET_WHY (static). */
    int (*put)(struct http_sink *, const void *p, size_t n, const char **ret_why);
    /* Whether nothing more should come until http_sink_drained(). */
    bool (*full)(struct http_sink *);
    /* The last callback: the request will not become whole, or it was refused before its handler saw it. */
    void (*abandoned)(struct http_sink *);
    /* Private. */
    struct http_request *request;
};

/* It is not full any more. */
void http_sink_drained(struct http_sink *s);
/* In the handler: the sink is the caller's now, no callback follows. NULL: the body is in memory. */
struct http_sink *http_take_sink(struct http_request *r);
/* How long the body will be; UINT64_MAX: not known before its end. */
uint64_t http_body_announced(const struct http_request *r);

typedef void (*http_handler)(void *ctx, struct http_request *r);

struct http_route {
    const char *path;
    bool prefix;      /* PATH is the beginning of the request's path */
    unsigned methods; /* bits 1 << enum http_method; others get 405. HEAD follows GET */
    http_handler handler;
};

#endif
