/* verify_api: POST /v1/verify: the node that is asked reads its whole database and compares it with its
 * digest. It does not know how.
 *
 * 200: {"node":1,"index":17,"digest":"hex of what was found","ok":true,"differing":""}; what differs fences
 * the node. 503: another one is under way, or the database cannot be read. */
#ifndef QUORATE_NODE_HTTP_VERIFY_API_H
#define QUORATE_NODE_HTTP_VERIFY_API_H

#include "node/http/api.h"

void verify_api_handle(void *ctx, struct http_request *r);

#endif
