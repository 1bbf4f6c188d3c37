/* call: one HTTP request on its way through the replica and back: deadlines and levels out of the parameters,
 * errors into statuses. It does not know what the command means or how its result looks; the API that makes
 * it says so in two functions.
 *
 *     exchange_new -> the API puts the command -> exchange_submit -> replica -> render (any lane)
 *                                                                         -> finish (loop) -> http_respond
 *                                                            `-> error   -> the error's answer
 *
 * The API embeds struct exchange as the first member of its own struct, which exchange_new() makes and which
 * is freed when it has answered. */
#ifndef QUORATE_NODE_HTTP_EXCHANGE_H
#define QUORATE_NODE_HTTP_EXCHANGE_H

#include "node/http/api.h"

enum { EXCHANGE_MAGIC = 0x43414c31, EXCHANGE_LINEARIZABLE_TIMEOUT_MS = 10000 };

/* How an error of the replica is told to the client. */
enum exchange_style {
    EXCHANGE_SQL,  /* as rqlite: text, or 200 with {"results":[],"error":...} where it does that */
    EXCHANGE_JSON, /* {"error":...} */
};

struct exchange {
    OBJECT_MAGIC;
    struct api *api;
    struct http_request *http;
    struct replica_request request; /* the API may change what exchange_new() filled */
    struct buf command, body;
    uint64_t started_us;
    enum exchange_style style;
    bool pretty, queued; /* queued: a timeout is 408 */
    struct error failed; /* of render */
    /* Turns the result's N bytes into body or whatever finish needs. For reads on a reader lane, else on the
     * loop; at most once. An error becomes the answer. */
    int (*render)(struct exchange *x, const uint8_t *result, size_t n, struct error *e);
    /* On the loop, after a render that did not fail: answers with http_respond(). */
    void (*finish)(struct exchange *x, const struct replica_answer *answer);
};

/* The status that tells a client of this error. */
int exchange_status(enum error_code code);
/* SIZE bytes, zeroed, with the exchange at their beginning. Fills the request from the parameters timeout,
 * db_timeout, freshness, redirect. NULL: out of memory, and R has its answer. */
void *exchange_new(size_t size, struct api *api, struct http_request *r, enum exchange_style style);
/* Ends an exchange that was not submitted with an error's answer. */
void exchange_refuse(struct exchange *x, const struct error *why);
/* Frees an exchange that was not submitted and whose request the caller has answered. */
void exchange_free(struct exchange *x);
/* Checks the command and hands it to the replica. */
void exchange_submit(struct exchange *x);
/* Reads happen at LEVEL; its own timeout is heeded. ON_READER: render runs on a reader lane, where the
 * replica reads there. */
void exchange_set_level(struct exchange *x, enum read_level level, bool on_reader);

#endif
