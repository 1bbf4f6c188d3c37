/* lists: the part of history_check() that looks at lists: every list that was read is the beginning of the
 * final one. */
#ifndef QUORATE_TESTS_SIM_LISTS_H
#define QUORATE_TESTS_SIM_LISTS_H

#include "tests/sim/history.h"

/* False with a sentence in TEXT. */
bool lists_check(const struct history *h, const struct final_state *final, char *text, size_t n);

#endif
