/* door: the HTTP door of a node, whole: server and API over fake_uv, and behind them, in place of the
 * replica, something that answers each request when and as it is told to. */
#ifndef QUORATE_TESTS_FUZZ_DOOR_H
#define QUORATE_TESTS_FUZZ_DOOR_H

#include "base/buf.h"
#include "node/http/api.h"
#include "node/http/server.h"

struct door {
    struct api *api;
    struct http_server *server;
    struct metrics metrics;
};

/* CHOICES (borrowed) say in turn how requests are answered: an error's code; anything else is success. None:
 * all succeed. MEMORY: bytes that all clients may make the server keep. */
void door_open(struct door *d, struct cursor choices, size_t memory);
/* Answers what is under way, and closes. */
void door_close(struct door *d);

/* How many requests wait for their answer. */
unsigned door_pending(void);
/* Answers the WHICHth of them. */
void door_answer(unsigned which);

#endif
