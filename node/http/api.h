/* api: the doors of the node as one table of routes, and what all of them share: rqlite's headers, parameter
 * checks, and what every endpoint needs to know. It does not know sockets.
 *
 *     http_server -> api_gate (OPTIONS, parameters) -> api_routes -> a handler -> exchange.h -> replica
 *                 <- api_prepare (headers of every answer) <- http_respond */
#ifndef QUORATE_NODE_HTTP_API_H
#define QUORATE_NODE_HTTP_API_H

#include "base/env.h"
#include "base/metrics.h"
#include "cluster/replica.h"
#include "node/http/http.h"

struct json;

/* What rqlite's clients look for, and who we are. */
#define API_VERSION "v9.4.5-quorate"

enum {
    API_REQUEST_TIMEOUT_MS = 30000,
    API_COMMAND_MAX = 16 * 1024 * 1024,
    API_REPLY_MAX = 64 * 1024 * 1024,
};

struct api_config {
    struct replica *replica; /* kept, as are the next two */
    struct metrics *metrics; /* what /metrics shows */
    struct env *env;
    uint64_t request_timeout_ms; /* of requests without `timeout`; 0: API_REQUEST_TIMEOUT_MS */
    uint64_t command_max;        /* bytes of one command; 0: API_COMMAND_MAX */
    uint64_t reply_max;          /* bytes of one answer's body; 0: API_REPLY_MAX */
    /* A line for the operator's log. NULL: nobody hears. */
    void (*log)(void *ctx, const char *line);
    /* Adds what only the owner knows to "quorate" in /status, as keys with values. NULL: nothing. */
    void (*put_status)(void *ctx, struct json *j);
    void *ctx; /* the owner's; see api_owner() */
};

/* For the endpoints of this folder; others only pass it on. */
struct api {
    struct api_config config;
    uint64_t id; /* of this node */
    char address[PEERS_ADDRESS_MAX + 1];
    uint64_t started_ms;     /* env_now_ms() */
    int64_t sequence_number; /* of the last queued request; 0 before the first */
    struct list stepdowns;   /* clients of stepdown_api that wait for another leader */
    struct list dumps;       /* clients of dump_api that get a copy */
    struct list loads;       /* those of load_api that are under way */
    uint64_t spooled;        /* files of spool.h that were named */
    struct list changes;     /* clients of cluster_api that wait until a change is done */
};

/* The replica must be open. Blocking: looks after the spool. Errors: Q_NOMEM; the disk's. */
int api_new(const struct api_config *config, struct api **ret_api, struct error *e);
/* Requests that are under way in the replica lead back here: the HTTP server must be closed and the replica
 * stopped. NULL is fine. */
void api_free(struct api *api);
/* The config's ctx, of what the HTTP server has as its ctx. */
void *api_owner(void *api);

/* For struct http_server_config; its ctx is the struct api. */
const struct http_route *api_routes(unsigned *ret_count);
bool api_gate(void *ctx, struct http_request *r);
struct http_sink *api_sink(void *ctx, struct http_request *r, int *ret_status, const char **ret_why);
void api_prepare(void *ctx, struct http_request *r);

/* The member with this id, or NULL. Borrowed from STATUS. */
const struct replica_member *api_member(const struct replica_status *status, uint64_t id);
/* Answers with 301 to the leader, with the request's path and query. False, and no answer, if it is not known
 * where that is. */
bool api_redirect(struct api *api, struct http_request *r);
/* Answers with {"error":TEXT}. */
void api_respond_error(struct http_request *r, int status, const char *text);

#define API_JSON "application/json; charset=utf-8"

#endif
