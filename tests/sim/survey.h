/* survey: what every node holds in the end, asked of each as it is there. */
#ifndef QUORATE_TESTS_SIM_SURVEY_H
#define QUORATE_TESTS_SIM_SURVEY_H

#include "tests/sim/group.h"
#include "tests/sim/history.h"
#include "tests/sim/invariants.h"

/* Reads everything from every node that runs; group_fail() if they differ or do not answer, and then false.
 * The lists only if LISTS: there may be none. Runs the simulation until it has it. */
bool survey(struct group *g, struct invariants *invariants, bool lists, struct final_state *ret_final);
void final_state_close(struct final_state *f);

#endif
