/* client: one request at a time to whichever node answers. It does not know what the requests mean, nor who
 * leads: every node forwards, and a redirect is followed.
 *
 * What may be tried again is said by each call, in its policy:
 *
 *     what happened                                    ONCE      REPEATABLE   PROBE
 *     connection refused, host unknown                 next      next         error
 *     503 (nothing was done), 429                      next      next         error
 *     connection lost or silent after the request      UNKNOWN   next         UNKNOWN
 *     the node says itself that it does not know       UNKNOWN   next         UNKNOWN
 *     any other status                                 an answer
 *
 * "next": the next endpoint, after a pause that grows once all of them were tried, until the timeout. UNKNOWN
 * is an error that says so; it is also what a repeatable request ends with if the time runs out after an
 * attempt of unknown outcome. */
#ifndef QUORATE_NODE_CLI_CLIENT_H
#define QUORATE_NODE_CLI_CLIENT_H

#include "base/buf.h"
#include "node/cli/endpoints.h"

struct client;

enum client_policy { CLIENT_ONCE, CLIENT_REPEATABLE, CLIENT_PROBE };

enum { CLIENT_HEADERS_MAX = 4, CLIENT_BODY_MAX = 1 << 30 };

struct client_request {
    const char *method;
    const char *target; /* path and query, already percent-encoded */
    const void *body;   /* NULL: none */
    size_t len;
    const char *headers[CLIENT_HEADERS_MAX]; /* "Name: value"; NULL ends them early */
    enum client_policy policy;
    const char *endpoint; /* only this one; NULL: any */
    uint64_t timeout_ms;  /* 0: the client's */
};

struct client_response {
    int status;
    struct buf body; /* terminated by a zero byte behind len */
    uint64_t index;  /* X-Quorate-Index, 0 if there is none */
    char etag[64];   /* "" if there is none */
    char endpoint[ENDPOINT_MAX];
    unsigned attempts;
};

/* ENDPOINTS is copied. Errors: Q_INVALID no endpoint, Q_NOMEM. */
int client_new(const struct endpoints *endpoints, uint64_t timeout_ms, struct client **ret_client,
               struct error *e);
void client_free(struct client *c); /* NULL is fine */
const struct endpoints *client_endpoints(const struct client *c);

/* Errors: Q_NO_LEADER (no node took the request in time: nothing was done), Q_UNKNOWN, Q_TOO_BIG (the
 * answer), Q_NOMEM. On success the response is to be closed by the caller. */
int client_call(struct client *c, const struct client_request *request, struct client_response *ret_response,
                struct error *e);
void client_response_close(struct client_response *response);

/* Turns a status of 400 and above into an error with the node's own words; 0 for all others. */
int client_refusal(const struct client_response *response, struct error *e);

#endif
