/* totals: the sums over many lives, and how they are told. */
#ifndef QUORATE_TESTS_SIM_TOTALS_H
#define QUORATE_TESTS_SIM_TOTALS_H

#include "tests/sim/life.h"

struct totals {
    uint64_t seeds, simulated_us, events, entries, violations;
    uint64_t boots, crashes, kills, stops, elections;
    uint64_t done, refused, unknown;
    struct coverage coverage;
};

void totals_add(struct totals *t, const struct life_result *r);
double totals_hours(const struct totals *t);
/* A line of progress; on a terminal in the place of the one before. */
void totals_progress(const struct totals *t, double seconds);
/* The last line is `seeds N, simulated H h, speed xS, violations V`. */
void totals_report(const struct totals *t, double seconds);

#endif
