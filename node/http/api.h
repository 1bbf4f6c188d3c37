/* api: the doors of the node as one table of routes, and what all of them share: rqlite's headers, parameter
 * checks, and what every endpoint needs to know. It does not know sockets.
 *
 *     http_server -> api_gate (OPTIONS, parameters) -> api_routes -> a handler -> call.h -> replica
 *                 <- api_prepare (headers of every answer) <- http_respond */
#ifndef QUORATE_NODE_HTTP_API_H
#define QUORATE_NODE_HTTP_API_H

#include "base/env.h"
#include "base/metrics.h"
#include "cluster/replica.h"
#include "node/http/http.h"

/* What rqlite's clients look for, and who we are. */
#define API_VERSION "v9.4.5-quorate"

/* Filled by the owner; its address is the ctx of the HTTP server. It must outlive the server, and every call
 * that is under way in the replica: stop the replica before it goes. */
struct api {
    struct replica *replica;
    struct metrics *metrics; /* what /metrics shows */
    struct env *env;
    uint64_t id;             /* of this node */
    const char *api_address; /* this node's URL, as the replica was told */
    uint64_t command_max;    /* bytes of one command, as the replica was told */
    uint64_t reply_max;      /* bytes of one answer's body */
    uint64_t started_ms;     /* env_now_ms() when the process started */
    int64_t sequence_number; /* of the last queued request; 0 before the first */
};

/* For struct http_server_config. */
const struct http_route *api_routes(unsigned *ret_count);
bool api_gate(void *ctx, struct http_request *r);
void api_prepare(void *ctx, struct http_request *r);

/* The member with this id, or NULL. Borrowed from STATUS. */
const struct replica_member *api_member(const struct replica_status *status, uint64_t id);
/* Answers with {"error":TEXT}. */
void api_respond_error(struct http_request *r, int status, const char *text);

#define API_JSON "application/json; charset=utf-8"

#endif
