/* stepdown_api: POST /leader and POST /v1/cluster/transfer: leadership moves to another member, whichever
 * node is asked. It does not know how leadership moves. */
#ifndef QUORATE_NODE_HTTP_STEPDOWN_API_H
#define QUORATE_NODE_HTTP_STEPDOWN_API_H

#include "node/http/api.h"

/* Asks the leader to hand over, to the member {"id":"N"} if the body is application/json: 200 when it has
 * begun, with `wait` when another member leads. A node that does not lead passes it on, or with `redirect`
 * sends the client to the leader. 400: no such member; 503: no leader, or not in time. */
void stepdown_api_begin(struct api *api, struct http_request *r);
/* The same, to member TO (0: any), answered as JSON: 202 {"done":false} when it has begun, with `wait` 200
 * {"done":true,"leader":N}. Errors as cluster_api's. */
void stepdown_api_transfer(struct api *api, struct http_request *r, uint64_t to);
/* Ends what waits, with an answer that nobody hears any more. */
void stepdown_api_close(struct api *api);

#endif
