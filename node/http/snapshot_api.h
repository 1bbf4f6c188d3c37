/* snapshot_api: images of this node's database for clients that make backups: one is taken, its manifest is
 * read, and then the chunks that the client lacks. It does not know what a backup is.
 *
 *     POST /v1/snapshots
 *         takes one, or finds a fresh one: 200 and its entry; 202 if that takes longer than `timeout`: ask
 *         again. It holds at least all up to `index`, if that is given.
 *     GET  /v1/snapshots
 *         what is there: {"snapshots":[entry,...]}
 *     GET  /v1/snapshots/<index>-<term>/manifest
 *         its bytes (snapshots/manifest.h)
 *     GET  /v1/chunks/<64 hex>
 *         a chunk as it is stored (snapshots/chunk.h), verified before it leaves; with
 *         ?snapshot=<index>-<term> that one is in use
 *     POST /v1/chunks/<64 hex>
 *         the same as a delta against a base, the sums of which are the body: 2048 bytes (snapshots/delta.h)
 *
 * An entry: {"node","index","term","made_ms","bytes","chunks","hash"}. An image that was taken or asked for
 * is kept for SNAPSHOT_API_KEEP_MS; then it may be gone (404). Files are read on the reader lane. */
#ifndef QUORATE_NODE_HTTP_SNAPSHOT_API_H
#define QUORATE_NODE_HTTP_SNAPSHOT_API_H

#include "node/http/api.h"

enum { SNAPSHOT_API_KEEP_MS = 10 * 60 * 1000 };

/* For the routes; CTX is the struct api. */
void snapshot_api_collection(void *ctx, struct http_request *r);
void snapshot_api_manifest(void *ctx, struct http_request *r);
void snapshot_api_chunk(void *ctx, struct http_request *r);

#endif
