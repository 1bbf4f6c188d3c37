/* fake_node: an HTTP server of one thread that answers by a script, for tests of what talks to nodes. */
#ifndef QUORATE_FAKE_NODE_H
#define QUORATE_FAKE_NODE_H

#include <stddef.h>

enum fake_action {
    FAKE_ANSWER,
    FAKE_CLOSE,  /* reads the request and closes the connection */
    FAKE_SILENT, /* reads the request and never answers */
};

struct fake_step {
    enum fake_action action;
    int status;
    const char *headers; /* "Name: value\r\n"...; NULL: none */
    const char *body;    /* NULL: empty */
};

struct fake_node;

/* Requests take the steps in order, on whatever connection; the last step is for all that follow. STEPS are
 * kept. */
struct fake_node *fake_node_new(const struct fake_step *steps, unsigned count);
void fake_node_free(struct fake_node *f);
/* "http://127.0.0.1:port" */
const char *fake_node_url(const struct fake_node *f);
unsigned fake_node_requests(struct fake_node *f);
/* Request I as it came, head and body, terminated; NULL if there is none. Lives as long as F. */
const char *fake_node_request(struct fake_node *f, unsigned i);

/* A URL where nobody listens. Into 64 bytes. */
void fake_node_nowhere(char *url);

#endif
