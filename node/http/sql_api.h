/* sql_api: /db/execute, /db/query and /db/request, as rqlite's clients know them. It does not know how
 * statements run, nor how their results look (result_json.h).
 *
 * Answers are 200 with {"results":[...],"error":...,"time":...,"sequence_number":...,"raft_index":...}, where
 * all but results are left out when they have nothing to say, also when statements fail. Flags: transaction,
 * timings, associative, blob_array, pretty, raft_index; level=none|weak|linearizable|strong|auto (weak where
 * it says anything else).
 *
 * A queued write (`queue`, with or without `wait`) is answered when it is done, as any other: group commit
 * makes the batches that rqlite's queue is for, and an answer that comes before the write is durable would be
 * a promise that a crash breaks. What remains of the queue is its form: no results, a sequence_number, 408
 * when `timeout` runs out. */
#ifndef QUORATE_NODE_HTTP_SQL_API_H
#define QUORATE_NODE_HTTP_SQL_API_H

#include "node/http/api.h"

/* Handlers; CTX is the struct api. */
void sql_api_execute(void *ctx, struct http_request *r);
void sql_api_query(void *ctx, struct http_request *r);
/* One SQL string of N bytes, all of it or nothing, whose answer is text/plain as /db/load's is. Answers R. */
void sql_api_script(struct api *api, struct http_request *r, const void *sql, size_t n);
void sql_api_request(void *ctx, struct http_request *r);

#endif
