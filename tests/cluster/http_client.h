/* http_client: a small blocking HTTP/1.1 client: one connection, kept alive, with a deadline on every step.
 * It does not know what the paths mean, and nothing of this product's server.
 *
 * It tells apart what a test must tell apart: a request that surely never arrived, and one that may have.
 *
 * Threads: one client belongs to one thread. Nothing here fails a test, so that load threads may use it. */
#ifndef QUORATE_TESTS_CLUSTER_HTTP_CLIENT_H
#define QUORATE_TESTS_CLUSTER_HTTP_CLIENT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "tests/cluster/deadline.h"

enum { HTTP_CLIENT_ANSWER_MAX = 128 * 1024 * 1024 };

enum http_outcome {
    HTTP_ANSWERED,
    HTTP_NOT_SENT, /* not one byte was taken: nothing can have been done */
    HTTP_LOST,     /* the connection broke, or time ran out, before the whole answer was there */
};

struct http_client {
    struct sockaddr_in to;
    int fd; /* -1: not connected */
    struct buf input;
};

struct http_ask {
    const char *method, *target;
    const char *headers; /* further lines, each with its \r\n; may be NULL */
    const void *body;    /* NULL: none, also no Content-Length */
    size_t len;
};

struct http_reply {
    int status;
    char *head; /* status line and headers, terminated; owned */
    char *body; /* owned, terminated behind its len bytes */
    size_t len;
};

void http_client_init(struct http_client *c, const struct sockaddr_in *to);
/* Also in between: the next request opens a new connection. */
void http_client_close(struct http_client *c);

/* The whole exchange. HTTP_ANSWERED: REPLY is to be closed. In any other case the connection is closed. */
enum http_outcome http_client_ask(struct http_client *c, const struct http_ask *ask,
                                  const struct deadline *deadline, struct http_reply *ret_reply);
/* Its halves: several requests may be sent before the first answer is taken. http_client_send() is
 * HTTP_ANSWERED when the system took the whole request. */
enum http_outcome http_client_send(struct http_client *c, const struct http_ask *ask,
                                   const struct deadline *deadline);
enum http_outcome http_client_receive(struct http_client *c, const struct deadline *deadline,
                                      struct http_reply *ret_reply);
/* Bytes as they are, for requests that are none. */
enum http_outcome http_client_send_bytes(struct http_client *c, const void *bytes, size_t n,
                                         const struct deadline *deadline);
/* Waits until the server has closed the connection, and throws away what it still says. */
bool http_client_wait_closed(struct http_client *c, const struct deadline *deadline);

/* Copies a header's value, terminated. False: there is no such header, or it does not fit. */
bool http_reply_header(const struct http_reply *r, const char *name, char *value, size_t size);
void http_reply_close(struct http_reply *r);

#endif
