/* cluster_api: who is a member, over HTTP: /v1/cluster/... and rqlite's /remove. It does not know how members
 * come and go; each change is decided by the log and done by the leader, whichever node is asked.
 *
 *     GET    /v1/cluster/members                  member_list.h; `all`: those that were removed, too;
 *                                                 `redirect`: to the leader, which knows how far each one is
 *     POST   /v1/cluster/members                  {"id":4,"address":"host:port"}: it may join
 *     DELETE /v1/cluster/members/4
 *     POST   /v1/cluster/members/4/promote        it is to vote; .../demote: it is not to vote
 *     POST   /v1/cluster/members/4/move           {"address":"host:port"}
 *     POST   /v1/cluster/members/4/replace        {"with":5}, or no body: the next machine that joins
 *     POST   /v1/cluster/transfer                 {"to":2}, or no body: stepdown_api.h
 *
 * A change answers 202 {"index":N,"done":false} when it is decided. With `wait` it answers 200, "done":true,
 * when it is done, or 202 if it is not after `timeout`: it goes on all the same. Whatever asks for what is so
 * already succeeds. Errors are {"error":SENTENCE,"code":NAME}: 400; 404 no such member; 409 it would do harm
 * now, and the sentence says what to do first; 503 nothing was done, or with "outcome":"unknown" perhaps. */
#ifndef QUORATE_NODE_HTTP_CLUSTER_API_H
#define QUORATE_NODE_HTTP_CLUSTER_API_H

#include "node/http/api.h"

/* Handlers; CTX is the struct api. */
void cluster_api_handle(void *ctx, struct http_request *r);
/* DELETE of {"id":"4"}: 200 and no body when it is decided, or if there is no such member. */
void cluster_api_remove(void *ctx, struct http_request *r);
/* Ends what waits, with an answer that nobody hears any more. */
void cluster_api_close(struct api *api);
/* {"error":...,"code":...} and its status. */
void cluster_api_respond_error(struct http_request *r, const struct error *why);

#endif
