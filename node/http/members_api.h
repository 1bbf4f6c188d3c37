/* members_api: who is in the cluster and who leads: /nodes and /leader. Each member that is shown was asked
 * whether it is there. It does not know how members are reached. */
#ifndef QUORATE_NODE_HTTP_MEMBERS_API_H
#define QUORATE_NODE_HTTP_MEMBERS_API_H

#include "node/http/http.h"

enum { MEMBERS_API_TIMEOUT_MS = 2000 }; /* for members that do not answer, unless `timeout` says another */

/* Handlers; CTX is the struct api. */
/* An object keyed by node id; with ver=2 {"nodes":[...]}; members without a vote only with `nonvoters`. */
void members_api_nodes(void *ctx, struct http_request *r);
/* GET: the leader as /nodes shows it. POST: stepdown_api.h. */
void members_api_leader(void *ctx, struct http_request *r);

#endif
