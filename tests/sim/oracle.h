/* oracle: the index oracle. Every write says at which log index it was done, every read what it had applied;
 * and the ledger has the log. So the history is right if a plain model of the database, fed with the log in
 * its order, gives every answer that clients got. It does not know SQLite, nodes or time (history.h checks
 * real time).
 *
 *   - A write that was acknowledged is in the log once, at the index that was named; one with an unknown
 * outcome once or not at all; one that was refused not at all, however often it was tried.
 *   - A compare-and-set at its place in the log has the outcome and the version that its client was told.
 *   - A read shows the model as it is after the index that it named.
 * Its blind spot is a cluster whose log is wrong and whose answers agree with it: history.h looks at values
 * alone. */
#ifndef QUORATE_TESTS_SIM_ORACLE_H
#define QUORATE_TESTS_SIM_ORACLE_H

#include "tests/sim/history.h"
#include "tests/sim/ledger.h"

/* False with a sentence in TEXT. */
bool oracle_check(const struct history *h, const struct ledger *ledger, char *text, size_t n);

#endif
