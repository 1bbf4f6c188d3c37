/* http_world: an event loop, an HTTP server in it, and raw clients, all in the test's one thread. A client's
 * calls turn the loop while they wait, and fail the test after WORLD_WAIT_MS. */
#ifndef QUORATE_TEST_HTTP_WORLD_H
#define QUORATE_TEST_HTTP_WORLD_H

#include "node/http/server.h"

enum { WORLD_WAIT_MS = 10000 };

struct http_world {
    uv_loop_t loop;
    struct http_server_config config; /* with short deadlines; a test changes it before world_open() */
    struct http_server *server;
};

void world_init(struct http_world *w, const struct http_route *routes, unsigned count, void *ctx);
void world_open(struct http_world *w);
/* Closes the server and waits for it. */
void world_stop(struct http_world *w);
/* The same, unless it is done, and checks that nothing is left in the loop. */
void world_close(struct http_world *w);
/* One turn of the loop; waits up to a millisecond for something to happen. */
void world_turn(struct http_world *w);
/* Turns until WANTED says true. */
void world_until(struct http_world *w, bool (*wanted)(void *), void *arg);

/* A connected socket; the test closes it. */
int world_dial(struct http_world *w);
void world_send(struct http_world *w, int fd, const void *bytes, size_t n);
void world_say(struct http_world *w, int fd, const char *text);
/* Everything that came until NEEDLE, which is included; fails if the server closes before. The text is static
 * until the next call; zero bytes in it become '0'. */
const char *world_hear(struct http_world *w, int fd, const char *needle);
/* Everything that comes until the server closes. */
const char *world_hear_end(struct http_world *w, int fd);
/* Says TEXT on a connection of its own and returns all that is answered, without the Date header. TEXT must
 * make the server close. */
const char *world_ask(struct http_world *w, const char *text);

#endif
