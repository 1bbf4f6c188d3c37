/* deadline: waiting for a condition, and no longer than a limit. It does not know what is waited for.
 *
 *     struct deadline d = deadline_in(5000);
 *     while (!condition() && deadline_wait(&d)) {
 *     }
 *
 * The limits of tests are generous: they say when a test has failed, not how fast the product is. */
#ifndef QUORATE_TESTS_CLUSTER_DEADLINE_H
#define QUORATE_TESTS_CLUSTER_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

struct deadline {
    uint64_t at_ms; /* CLOCK_MONOTONIC */
};

uint64_t deadline_now_ms(void);
struct deadline deadline_in(unsigned ms);
/* Milliseconds that are left; 0 if it is over. */
int deadline_left_ms(const struct deadline *d);
/* Waits a few milliseconds. False if the deadline is over. */
bool deadline_wait(const struct deadline *d);

#endif
