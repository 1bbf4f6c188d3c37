/* api_world: the HTTP server with the node's API over the fake replica, and one call that asks it. */
#ifndef QUORATE_TEST_API_WORLD_H
#define QUORATE_TEST_API_WORLD_H

#include "node/http/api.h"
#include "tests/unit/node/fake_replica.h"
#include "tests/unit/node/http_world.h"

struct api_world {
    struct http_world http;
    struct replica replica;
    struct metrics metrics;
    struct api *api;
};

struct reply {
    int status;
    const char *head, *body; /* static until the next ask() */
};

/* cmocka set-up and tear-down; the state is the struct api_world. */
int api_world_open(void **state);
int api_world_close(void **state);

/* HEADERS: lines that end in \r\n; may be "". A body of NULL is none. */
struct reply ask(struct api_world *w, const char *method, const char *target, const char *headers,
                 const char *body);
struct reply get(struct api_world *w, const char *target);
struct reply post(struct api_world *w, const char *target, const char *body);
/* The value of a header of the reply, or NULL; static until the next call. */
const char *reply_header(const struct reply *r, const char *name);

/* Fails unless the reply is 200, or STATUS, with exactly this body. */
void expect(const struct reply *r, int status, const char *body);

#endif
