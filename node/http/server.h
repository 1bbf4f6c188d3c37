/* server: HTTP/1.1 over TCP on the loop: keep-alive, pipelining (answers in order), chunked bodies, Expect:
 * 100-continue, limits and timeouts. It does not know what the paths mean.
 *
 * Bad requests get a status (400, 405, 408, 413, 414, 417, 431, 501, 505) and the connection is closed where
 * the next request's beginning cannot be known. A request with both Content-Length and Transfer-Encoding is
 * refused (RFC 9112, section 6.3). A client that does not read is cut off when more than output_max bytes
 * wait for it, or after write_ms without progress.
 *
 * What all clients together make the server keep is bounded by memory_max: a request that would pass it gets
 * 503 with Retry-After before its memory is taken. Where little of it is still to come, that is thrown away
 * and the connection goes on. An answer that would pass it becomes a 503 too, unless asking again could do
 * harm (http_set_repeatable()): then the connection ends without an answer. */
#ifndef QUORATE_NODE_HTTP_SERVER_H
#define QUORATE_NODE_HTTP_SERVER_H

#include <uv.h>

#include "base/error.h"
#include "base/metrics.h"
#include "node/http/http.h"

struct http_server;

struct http_server_config {
    uv_loop_t *loop;
    const char *address;             /* "host:port"; port 0 picks a free one */
    const struct http_route *routes; /* kept; the first that fits wins; none: 404 */
    unsigned route_count;
    void *ctx; /* for the handlers */
    /* Called with each whole request before its route is sought, to refuse what no route may see. True: it
     * has answered. May be NULL. */
    bool (*gate)(void *ctx, struct http_request *r);
    /* Called once with each answer before it is sent, to set headers that every answer carries (also 404 and
     * the like). May be NULL. */
    void (*prepare)(void *ctx, struct http_request *r);
    /* Called when the head of a request is whole: makes the sink that its body goes to, whose size body_max
     * does not bound then. NULL and RET_STATUS 0: it stays in memory; else the request is refused with
     * RET_WHY (static). May be NULL. */
    struct http_sink *(*sink)(void *ctx, struct http_request *r, int *ret_status, const char **ret_why);
    unsigned connections_max; /* more wait in the listen queue */
    unsigned pipeline_max;    /* requests of one connection that may be under way; then reading stops */
    size_t head_max;          /* bytes of request line and headers: 431 (414 for the line); up to 64 KiB */
    size_t body_max;          /* 413, before memory is taken where Content-Length tells */
    size_t output_max;
    size_t memory_max;         /* bytes of requests and of answers not yet taken, over all connections */
    uint64_t head_ms, body_ms; /* from the first byte to the whole head; from there to the whole body: 408 */
    uint64_t idle_ms, write_ms;
};

int http_server_open(const struct http_server_config *config, struct http_server **ret_server,
                     struct error *e);
/* The port that is listened on. */
int http_server_port(const struct http_server *s);
/* Stops accepting; connections close after the answers that are under way, or after GRACE_MS. CLOSED comes
 * once, then the object is freed. */
void http_server_close(struct http_server *s, uint64_t grace_ms, void (*closed)(void *ctx));
/* Counters by status class, connections, bytes, memory, latency histogram. They live in S: METRICS must not
 * be rendered once S is closed. */
void http_server_metrics(struct http_server *s, struct metrics *metrics);

#endif
