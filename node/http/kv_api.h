/* kv_api: the key-value store over HTTP. It does not know how keys are kept.
 *
 *     PUT    /v1/kv/{namespace}/{key}   body: the value         {"version":N,"index":N}
 *     DELETE /v1/kv/{namespace}/{key}                           {"version":N,"index":N}
 *     GET    /v1/kv/{namespace}/{key}   ?level=                 the value's bytes, ETag: "N"
 *     GET    /v1/kv/{namespace}?prefix=&after=&after_base64=&limit=&values&level=
 *            {"keys":[{"key":...,"version":N,"value":base64}],"more":bool,"next":...}
 *
 * Namespace and key are percent-encoded; everything behind the namespace's slash is the key, so it may hold
 * slashes as they are. A key that is not UTF-8 appears as "key_base64" (and "next_base64", for
 * after_base64=). Conditions of PUT and DELETE: If-None-Match: * (there is no such key), If-Match: * (there
 * is one), If-Match: "N" (it has this version); 412 with {"error":...,"version":N} if they do not hold. GET
 * knows If-None-Match: "N" (304). Levels: none, weak, linearizable (default), strong. Errors are
 * {"error":...}; a write whose outcome is unknown is 503 with "outcome":"unknown". */
#ifndef QUORATE_NODE_HTTP_KV_API_H
#define QUORATE_NODE_HTTP_KV_API_H

#include "node/http/http.h"

/* For all of /v1/kv/; CTX is the struct api. */
void kv_api_handle(void *ctx, struct http_request *r);

#endif
