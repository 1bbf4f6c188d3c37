/* ready_api: /readyz: whether this node can be given work. Lines of text, 200 when all is well, else 503:
 * `noleader` asks only whether the node answers; `sync` waits until this node has applied everything that was
 * committed when it was asked. */
#ifndef QUORATE_NODE_HTTP_READY_API_H
#define QUORATE_NODE_HTTP_READY_API_H

#include "node/http/http.h"

/* Handler; CTX is the struct api. */
void ready_api_readyz(void *ctx, struct http_request *r);

#endif
