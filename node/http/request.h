/* request: the inside of struct http_request: what arrived, and the answer that will leave. For this folder's
 * connection and answer; handlers see it through http.h alone. It does not know routes or sockets' life. */
#ifndef QUORATE_NODE_HTTP_REQUEST_H
#define QUORATE_NODE_HTTP_REQUEST_H

#include <uv.h>

#include "base/list.h"
#include "node/http/http.h"
#include "node/http/memory.h"

enum {
    HTTP_REQUEST_MAGIC = 0x48525131,
    HTTP_REQUEST_HEADERS_MAX = 100,
    HTTP_REQUEST_PEER_MAX = 64,
    HTTP_REQUEST_ANSWER_HEAD_MAX =
        128 * 1024,                 /* bytes of an answer's headers; a Location may repeat the target */
    HTTP_REQUEST_ANSWER_MIN = 4096, /* bytes of an answer that each request has room for from its beginning */
};

struct connection;
struct line;

/* RECEIVING -> UNDER_WAY (whole, with its handler) -> ANSWERED (waits for those before it) -> SENDING.
 * With a stream, from SENDING, or from ANSWERED at once, to STREAMING (the next piece is to come), and with
 * it back to ANSWERED. */
enum http_request_state { HTTP_RECEIVING, HTTP_UNDER_WAY, HTTP_ANSWERED, HTTP_SENDING, HTTP_STREAMING };

struct http_request {
    OBJECT_MAGIC;
    enum http_request_state state;
    struct list link;              /* in its connection, in order of arrival */
    struct connection *connection; /* NULL once that is gone */
    char peer[HTTP_REQUEST_PEER_MAX];
    uint64_t whole_ns;          /* uv_hrtime() when it was whole */
    struct http_memory *memory; /* the server's */
    size_t taken;               /* of it */

    /* Filled while it arrives. */
    enum http_method method;
    struct buf target;  /* as sent; terminated by http_request_finish_head() */
    struct buf headers; /* name 0 value 0, over and over */
    unsigned header_count;
    bool in_value, in_trailer;
    size_t trailer_bytes;
    struct buf body;
    uint64_t announced;      /* bytes of the body; UINT64_MAX: not known before its end */
    bool expects, continued; /* 100-continue is asked for; was sent */
    struct http_sink *sink;  /* the body goes there; NULL: to BODY */
    bool unwanted;           /* there is no memory for it: its body is thrown away, its answer is 503 */
    bool http_1_0;

    /* Filled by http_request_finish_head(). */
    const char *path, *query; /* in target */
    struct buf params;        /* query.h */
    char query_error[64];

    /* The answer. */
    bool repeatable; /* asking again does no harm */
    bool close;      /* the connection ends with it */
    int status;
    struct buf answer_headers; /* "Name: value\r\n", over and over */
    struct buf answer_head, answer_body;
    bool streams;               /* the body comes in pieces: */
    uint64_t stream_length;     /* UINT64_MAX: chunked, or to HTTP/1.0 until the connection's end */
    struct http_stream *stream; /* NULL when the last callback has been made */
    bool asked;                 /* for the next piece */
    size_t piece_bytes;         /* that are counted for the last one */
    struct line *line;          /* while it is being written */
    uv_write_t write;
};

/* Who is at the other end of TCP, for http_peer(). */
void http_request_name_peer(const uv_tcp_t *tcp, char peer[HTTP_REQUEST_PEER_MAX]);
/* HEAD_MAX and BODY_MAX as in struct http_server_config. What it holds is counted in MEMORY once
 * http_request_admit() has been called. NULL: out of memory. */
struct http_request *http_request_new(struct connection *connection, const char *peer,
                                      struct http_memory *memory, size_t head_max, size_t body_max);
/* NULL is fine. It must not be in a list. */
void http_request_free(struct http_request *r);

/* Counts the request itself and its smallest answer. False: there is no room for it; it may be answered, but
 * nothing may be put into it. */
bool http_request_admit(struct http_request *r);

/* Pieces of it, as the parser finds them. They return 0, or the status that refuses the request: 503 where
 * there is no memory for the piece, nothing of which is kept then. */
int http_request_add_target(struct http_request *r, const char *p, size_t n);
int http_request_add_field(struct http_request *r, const char *p, size_t n);
int http_request_add_value(struct http_request *r, const char *p, size_t n);
int http_request_add_body(struct http_request *r, const char *p, size_t n);
/* The head is whole: checks what RFC 9112 wants checked beyond the grammar, splits the target. 0, or a status
 * and why (static). */
int http_request_finish_head(struct http_request *r, const char *method, unsigned major, unsigned minor,
                             const char **ret_why);
/* After that: whether its body may come into memory. 0, or a status and why (static). */
int http_request_check_body(const struct http_request *r, const char **ret_why);
/* Frees what has arrived: it is not needed any more, or not wanted. */
void http_request_drop_input(struct http_request *r);
/* The same, and counts its answer, whose body is BODY (NULL: none). False: there is no room for that. */
bool http_request_turn(struct http_request *r, const struct buf *body);
/* Counts a piece of the answer of N bytes in place of the one before, which is not needed any more. False:
 * there is no room. */
bool http_request_turn_piece(struct http_request *r, size_t n);

#endif
