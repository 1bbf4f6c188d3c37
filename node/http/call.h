/* call: one HTTP request on its way through the replica and back: deadlines and levels out of the parameters,
 * errors into statuses. It does not know what the command means or how its result looks; the API that makes
 * it says so in two functions.
 *
 *     call_new -> the API puts the command -> call_submit -> replica -> render (any lane)
 *                                                                         -> finish (loop) -> http_respond
 *                                                            `-> error   -> the error's answer
 *
 * The API embeds struct call as the first member of its own struct, which call_new() makes and the call frees
 * when it has answered. */
#ifndef QUORATE_NODE_HTTP_CALL_H
#define QUORATE_NODE_HTTP_CALL_H

#include "node/http/api.h"

enum { CALL_MAGIC = 0x43414c31, CALL_TIMEOUT_MS = 30000, CALL_LINEARIZABLE_TIMEOUT_MS = 10000 };

/* How an error of the replica is told to the client. */
enum call_style {
    CALL_SQL,  /* as rqlite: text, or 200 with {"results":[],"error":...} where it does that */
    CALL_JSON, /* {"error":...} */
};

struct call {
    OBJECT_MAGIC;
    struct api *api;
    struct http_request *http;
    struct replica_request request; /* the API may change what call_new() filled */
    struct buf command, body;
    uint64_t started_us;
    enum call_style style;
    bool pretty, queued; /* queued: a timeout is 408 */
    struct error failed; /* of render */
    /* Turns the result's N bytes into body or whatever finish needs. For reads on a reader lane, else on the
     * loop; at most once. An error becomes the answer. */
    int (*render)(struct call *c, const uint8_t *result, size_t n, struct error *e);
    /* On the loop, after a render that did not fail: answers with http_respond(). */
    void (*finish)(struct call *c, const struct replica_answer *answer);
};

/* SIZE bytes, zeroed, with the call at their beginning. Fills the request from the parameters timeout,
 * db_timeout, freshness, redirect. NULL: out of memory, and R has its answer. */
void *call_new(size_t size, struct api *api, struct http_request *r, enum call_style style);
/* Ends a call that was not submitted with an error's answer. */
void call_refuse(struct call *c, const struct error *why);
/* Frees a call that was not submitted and whose request the caller has answered. */
void call_free(struct call *c);
/* Checks the command and hands it to the replica. */
void call_submit(struct call *c);
/* Reads happen at LEVEL; its own timeout is heeded. ON_READER: render runs on a reader lane, where the replica reads
 * there. */
void call_set_level(struct call *c, enum read_level level, bool on_reader);

#endif
