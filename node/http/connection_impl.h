/* connection_impl: the inside of struct connection, for connection.c and intake.c alone. */
#ifndef QUORATE_NODE_HTTP_CONNECTION_IMPL_H
#define QUORATE_NODE_HTTP_CONNECTION_IMPL_H

#include "node/http/connection.h"
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

static inline const struct http_server_config *connection_config(const struct connection *c)
{
    return c->owner->config;
}

static inline uint64_t connection_now(const struct connection *c)
{
    return uv_now(connection_config(c)->loop);
}

/* Does all that can be done now: parses, sends, and settles what to wait for. C may be closing when it
 * returns.
 */
void connection_step(struct connection *c);

#endif
