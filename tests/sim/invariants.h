/* invariants: what must hold after every single event, whatever breaks. Looked at is only what has changed
 * since the event before.
 *
 *   - Election Safety: one leader a term.
 *   - Log Matching: see ledger.h.
 *   - Leader Completeness: what was committed in an earlier term is in the log of a new leader.
 *   - State Machine Safety: only committed entries are applied, the same one at an index everywhere, and
 * nodes that have applied the same have the same digest, however their database came to them.
 *   - Terms never fall and a vote never changes within its term, not even over a crash; commit and applied
 * index never fall within one life.
 *   - What was durable is there after a crash, or an image stands for it; a durable entry goes only by a
 * truncation above the commit index.
 *   - Nobody distrusts a database that nothing has damaged. */
#ifndef QUORATE_TESTS_SIM_INVARIANTS_H
#define QUORATE_TESTS_SIM_INVARIANTS_H

#include "tests/sim/coverage.h"
#include "tests/sim/group.h"
#include "tests/sim/ledger.h"

struct invariants;

/* All are kept. */
struct invariants *invariants_new(struct group *g, struct ledger *ledger, struct coverage *coverage);
void invariants_free(struct invariants *v);
/* Looks at every node; group_fail() if something is wrong. */
void invariants_check(struct invariants *v);
/* At the end: the log of each node that runs, read back from its disk, is that of the ledger. */
void invariants_final(struct invariants *v);
uint64_t invariants_elections(const struct invariants *v);

#endif
