/* members_api: who is in the cluster and who leads: /nodes, and /leader with its stepdown. It does not know
 * how leadership moves. */
#ifndef QUORATE_NODE_HTTP_MEMBERS_API_H
#define QUORATE_NODE_HTTP_MEMBERS_API_H

#include "node/http/http.h"

/* Handlers; CTX is the struct api. */
/* An object keyed by node id; with ver=2 {"nodes":[...]}; members without a vote only with `nonvoters`. */
void members_api_nodes(void *ctx, struct http_request *r);
/* GET: the leader as /nodes shows it. POST: hands leadership over, to the member {"id":"N"} if the body is
 * application/json; with `wait`, answers when another member leads. */
void members_api_leader(void *ctx, struct http_request *r);

struct api;
/* Ends what waits, with an answer that nobody hears any more. */
void members_api_close(struct api *api);

#endif
