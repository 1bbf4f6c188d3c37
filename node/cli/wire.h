/* wire: many HTTP connections in one thread, kept open, with several requests under way on each. For loading
 * and measuring, where the tool must cost less than what it loads. It does not know what requests mean, and
 * never sends one twice.
 *
 * A connection is opened by its first request and again after a failure, then to the next endpoint. Its
 * answers come in the order of its requests. Memory is taken while the buffers grow to what the requests need
 * and not after. */
#ifndef QUORATE_NODE_CLI_WIRE_H
#define QUORATE_NODE_CLI_WIRE_H

#include "node/cli/endpoints.h"
#include "node/cli/reply.h"

struct wire;

/* One call for each request, never inside wire_send(). REPLY is NULL if there was no answer; then WHY says
 * why: Q_NO_LEADER if the request has not left, Q_UNKNOWN if it may have. Both are borrowed. The callback may
 * send. */
typedef void (*wire_done)(void *ctx, unsigned connection, void *tag, const struct reply *reply,
                          const struct error *why);

enum { WIRE_CONNECTIONS_MAX = 4096, WIRE_DEPTH_MAX = 64 };

struct wire_config {
    const struct endpoints *endpoints;
    unsigned connections; /* 1 to WIRE_CONNECTIONS_MAX */
    unsigned depth;       /* requests under way on each, 1 to WIRE_DEPTH_MAX */
    bool spread;          /* connection i begins at endpoint i modulo their number; else all at the first */
    /* Of the oldest request of a connection. Doubled up to 8 times what is given here each time that it
     * passes, so that requests to nodes which are only slow do not all fail for ever. */
    uint64_t timeout_ms;
    wire_done done;
    void *ctx;
};

/* Resolves the endpoints' names, which may block. Errors: Q_INVALID (a name that is not known), Q_IO,
 * Q_NOMEM. */
int wire_new(const struct wire_config *config, struct wire **ret_wire, struct error *e);
/* Requests that are under way get no callback. NULL is fine. */
void wire_free(struct wire *w);

/* Whether the connection can take another request. */
bool wire_has_room(const struct wire *w, unsigned connection);
/* Queues a request; the bytes are copied. TARGET is path and query. TYPE is the body's Content-Type, NULL
 * for no body. Only where there is room. Errors: Q_NOMEM; then there is no callback. */
int wire_send(struct wire *w, unsigned connection, const char *method, const char *target, const char *type,
              const void *body, size_t len, void *tag, struct error *e);
/* Sends what is queued, waits up to TIMEOUT_MS for something to happen, and takes what came. Errors: Q_IO. */
int wire_poll(struct wire *w, uint64_t timeout_ms, struct error *e);
/* The endpoint that the connection uses or will use. Borrowed. */
const char *wire_endpoint(const struct wire *w, unsigned connection);
/* All connections go to URL, if it is an endpoint: each as soon as nothing is under way on it, for which it
 * takes no more requests until then. Forgotten when a connection fails there. */
void wire_prefer(struct wire *w, const char *url);
/* The connection goes to the next endpoint in the same way: the one it uses answers, but is of no use. */
void wire_leave(struct wire *w, unsigned connection);

#endif
