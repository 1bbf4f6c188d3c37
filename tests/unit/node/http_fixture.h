/* http_fixture: handlers for the tests of the HTTP server: /echo says what it got, /param one parameter,
 * /big?n= gives N bytes, /later waits until the test answers. */
#ifndef QUORATE_TEST_HTTP_FIXTURE_H
#define QUORATE_TEST_HTTP_FIXTURE_H

#include "tests/unit/node/http_world.h"

enum { LATER_MAX = 64 };

/* What the handlers of these tests know. */
struct fixture {
    struct http_world world;
    struct http_request *later[LATER_MAX];
    unsigned waiting, handled;
};

/* cmocka set-up and tear-down; the state is the struct fixture. The test opens the world. */
int fixture_open(void **state);
int fixture_close(void **state);
/* Answers a request that waits. */
void answer_text(struct http_request *r, const char *text);
/* Until COUNT requests have come to /later. */
void wait_for_later(struct fixture *f, unsigned count);
/* The status of the first answer in TEXT. */
int status_of(const char *text);

#define CLOSE "Host: h\r\nConnection: close\r\n"

#endif
