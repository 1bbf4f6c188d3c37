/* record: the history of all clients together (tests/sim/history.h), in microseconds of CLOCK_MONOTONIC, and
 * the first thing that must never happen. It does not know what the operations are.
 *
 * Any thread. */
#ifndef QUORATE_TESTS_CHAOS_RECORD_H
#define QUORATE_TESTS_CHAOS_RECORD_H

#include <pthread.h>

#include "tests/sim/history.h"

struct record {
    pthread_mutex_t lock; /* guards all below */
    struct history history;
    uint64_t done, unknown, refused;
    unsigned violations;
};

void record_init(struct record *r);
void record_close(struct record *r);

uint64_t record_now_us(void);
/* An operation begins; OP has its kind and key. Returns its number, by which a value is unique. */
size_t record_begin(struct record *r, const struct op *op);
/* It has ended: OP has all but its times; its list is given. One that never ends stays unknown. */
void record_end(struct record *r, size_t number, const struct op *op);

/* Says it, unless enough have been said, and counts it. */
void record_violation(struct record *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Writes one JSON object a line, for whoever looks for the reason. */
void record_write(const struct record *r, const char *path);

#endif
