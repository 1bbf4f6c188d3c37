/* connection: one client's TCP connection: bytes in, requests out in order, answers back in order, and every
 * deadline. It does not know routes; what it needs of the server it gets as struct connection_owner.
 *
 *      read -> parser -> incoming request -> whole -> owner's `request` -> handler
 *                                                                            | http_respond, in any order
 *      write <- [front of the line answered?] <- requests in order of arrival <'
 *
 * The line holds requests that arrive, are under way, are answered, or are being written. Reading stops while
 * it holds pipeline_max whole ones, so what a client can make us keep is bounded by that and by output_max;
 * what all of them can, by the owner's memory.
 * After the last answer the connection lingers: it says that it will send no more, and throws away what still
 * comes until the client closes, so that the answer is not lost to a reset. */
#ifndef QUORATE_NODE_HTTP_CONNECTION_H
#define QUORATE_NODE_HTTP_CONNECTION_H

#include "node/http/request.h"
#include "node/http/server.h"

struct connection;

enum {
    CONNECTION_READ_MAX = 64 * 1024, /* bytes taken from the socket at once */
    CONNECTION_LINGER_MS = 1000,
};

/* The server, as its connections see it. It outlives them. */
struct connection_owner {
    const struct http_server_config *config;
    struct http_memory *memory;
    uint8_t
        *read_buffer; /* CONNECTION_READ_MAX bytes, shared: what is in it is used up before the next read */
    bool draining;    /* answers end their connections */
    const char *(*date)(struct connection_owner *);
    /* R is whole and under way. */
    void (*request)(struct connection_owner *, struct http_request *r);
    /* R has its status and headers and is about to be sent. */
    void (*answered)(struct connection_owner *, struct http_request *r);
    void (*moved)(struct connection_owner *, size_t received, size_t sent); /* bytes, for the counters */
    /* C is gone when this returns. */
    void (*closed)(struct connection_owner *, struct connection *c);
};

/* Accepts the client that waits on LISTENER. 0, or a negative uv code; then nothing is left behind but,
 * possibly, a handle that closes on its own. */
int http_connection_accept(struct connection_owner *owner, uv_stream_t *listener,
                           struct connection **ret_connection);
/* The link by which its owner keeps it in a list. */
struct list *http_connection_link(struct connection *c);
struct connection *http_connection_of(struct list *link);

/* No further requests: closes once those under way are answered. */
void http_connection_drain(struct connection *c);
/* Closes at once; `closed` comes later. */
void http_connection_close(struct connection *c);

/* The next piece of R's answer is in its body: sends it. */
void http_connection_continue(struct http_request *r);
/* R, which is under way or streams, will have no answer: ends its connection and frees it. */
void http_connection_abort(struct http_request *r);
/* R has its answer: sends it when its turn comes, or frees it if the client is gone. */
void http_connection_answered(struct http_request *r);

#endif
