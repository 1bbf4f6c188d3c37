/* dump_api: GET /db/backup: the whole database as one SQLite file, or as SQL, as rqlite's clients know it. It
 * does not know how images and dumps are made.
 *
 *     GET /db/backup                   an SQLite file, application/octet-stream: an image (snapshots/) of
 * this node, sent chunk by chunk. It has the store's own tables (quorate_*) and 8 bytes of checksum at the
 * end of each page; any SQLite opens it fmt=delete                     its header says that there is no WAL
 *       fmt=sql                        the content as SQL (storage/dump.h), application/sql
 *       tables=a,b                     with fmt=sql: only these
 *       compress                       as a gzip file
 *       vacuum                         with fmt=sql 500; else the image is as it is
 *       noleader                       what this node has; else nothing older than the request: the node asks
 *                                      the leader how far the log is and waits until it is there itself, so a
 *                                      copy costs the leader nothing. 503 if there is none
 *       redirect                       on a follower: 301 to the leader
 *
 * A storage=memory node has no image: 400, but for fmt=sql. The SQL goes to a file in the node's directory
 * first, so that a slow client keeps neither a reader nor the WAL; X-Quorate-Index is the index of the
 * content. What fails on the way cuts the client off: its body is then shorter than Content-Length, or has no
 * last chunk. */
#ifndef QUORATE_NODE_HTTP_DUMP_API_H
#define QUORATE_NODE_HTTP_DUMP_API_H

#include "node/http/api.h"

/* For the routes; CTX is the struct api. */
void dump_api_backup(void *ctx, struct http_request *r);
/* The replica has stopped: nobody looks at it any more. */
void dump_api_close(struct api *api);

#endif
