/* change_request: what a request to /v1/cluster/... wants of the members: its path and its body, taken apart.
 * It does not know what becomes of it. */
#ifndef QUORATE_NODE_HTTP_CHANGE_REQUEST_H
#define QUORATE_NODE_HTTP_CHANGE_REQUEST_H

#include "cluster/replica.h"
#include "node/http/http.h"

/* An id from 1, decimal, and nothing behind it. TEXT may be NULL. */
bool change_request_read_id(const char *text, uint64_t *ret_id);
/* REST is what stands behind .../members/ in a path: ID or ID/VERB. False: there is no such path. */
bool change_request_find(const char *rest, struct replica_change *ret_change, enum http_method *ret_method);
/* Reads the body's fields as CHANGE's verb has them. Q_INVALID: they are not what it needs, or more. */
int change_request_read(const struct http_request *r, struct replica_change *change, struct error *e);
/* {"to":N}, or no body: then 0. */
int change_request_read_target(const struct http_request *r, uint64_t *ret_to, struct error *e);

#endif
