/* embedded: one node inside the test, on loopback and in a temporary directory, through the public API. */
#ifndef QUORATE_TEST_EMBEDDED_H
#define QUORATE_TEST_EMBEDDED_H

#include "node/quorate.h"
#include "tests/unit/node/scratch.h"

struct embedded {
    struct scratch scratch;
    struct quorate_options *options;
    struct quorate *node; /* NULL: not started */
    struct quorate_error e;
    struct quorate_result *result; /* of the last question */
};

/* Options of a sole member without HTTP; nothing is started. */
void embedded_open(struct embedded *n);
/* Stops it if it runs. */
void embedded_close(struct embedded *n);
void embedded_set(struct embedded *n, const char *name, const char *value);
/* Starts, and waits until it is ready; fails the test if it does not. */
void embedded_start(struct embedded *n);
/* Starts it as one of two members, of whom the other never comes. */
void embedded_start_alone(struct embedded *n);
void embedded_stop(struct embedded *n);

/* The last result is freed by the next of these, and by embedded_close(). A failure fails the test. */
void embedded_execute(struct embedded *n, const char *sql);
int64_t embedded_number(struct embedded *n, const char *sql);

#endif
