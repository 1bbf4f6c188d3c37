/* shrink: makes a failing life smaller, step by step, as long as it still fails: fewer kinds of faults, fewer
 * acts, less time, fewer clients. */
#ifndef QUORATE_TESTS_SIM_SHRINK_H
#define QUORATE_TESTS_SIM_SHRINK_H

#include "tests/sim/life.h"

/* LIMITS: what is left out already; changed to the smallest that was found. Prints what it tries, and at the
 * end the command line. False: the seed does not fail. */
bool shrink(uint64_t seed, struct life_limits *limits);
/* The options of quorate-sim that say the same. */
void shrink_print_command(uint64_t seed, const struct life_limits *limits);

#endif
