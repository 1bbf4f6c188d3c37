/* status_api: what the node says of itself to a person or a monitor: /status, /metrics, /healthz. It asks the
 * replica and changes nothing.
 *
 * /status has the shape that rqlite's clients read (store.leader, store.node_id, store.nodes, store.raft,
 * http.queue); node ids are strings in it. What is ours stands under "quorate", with ids as numbers; the
 * incarnation is 16 hexadecimal digits, and last_leader_contact_ms null if no leader was ever heard of.
 * key=a.b.c selects a part, {} if there is none. /healthz says that the process answers, nothing more. */
#ifndef QUORATE_NODE_HTTP_STATUS_API_H
#define QUORATE_NODE_HTTP_STATUS_API_H

#include "node/http/http.h"

/* Handlers; CTX is the struct api. */
void status_api_status(void *ctx, struct http_request *r);
void status_api_metrics(void *ctx, struct http_request *r);
void status_api_healthz(void *ctx, struct http_request *r);

#endif
