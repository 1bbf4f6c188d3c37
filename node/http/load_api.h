/* load_api: POST /db/load, as rqlite's clients know it.
 *
 * A body that begins with "SQLite format" is an SQLite file, which replaces the whole content of the
 * database: tables, indexes, views, triggers, and nothing of the old ones stays. The content changes in one
 * entry of the log, so all readers of all nodes see all of the old content up to it and all of the new one
 * from it on; an error leaves the old one. What is the store's own (/v1/kv too) stays. The answer,
 * {"results":[]}, comes when it is done. Any size that the disk has room for: the body goes to a file. While
 * the last entry is being applied, which takes about as long as making the tables and indexes does, writes
 * wait.
 *
 * Any other body is one SQL script, all of it or nothing: one result. It is bounded by request-max (413).
 * BEGIN, COMMIT and PRAGMA foreign_keys, as dumps have them, are left out.
 *
 * The reply's Content-Type is text/plain. 400: `invalid SQLite data` and what is wrong, or what a table of
 * the file breaks here; 503 another load is under way at this node, no leader, ...; 507 a full disk. */
#ifndef QUORATE_NODE_HTTP_LOAD_API_H
#define QUORATE_NODE_HTTP_LOAD_API_H

#include "node/http/api.h"

#define LOAD_API_PATH "/db/load"

/* For the routes; CTX is the struct api. */
void load_api_load(void *ctx, struct http_request *r);
/* The body's way to a file. */
struct http_sink *load_api_sink(struct api *api, struct http_request *r, int *ret_status,
                                const char **ret_why);
/* The replica has stopped: nobody is waited for any more. */
void load_api_close(struct api *api);

#endif
