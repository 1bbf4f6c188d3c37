/* invariants: what must hold after every single event, whatever breaks: one leader a term, terms and durable
 * indexes that never fall, and content that is the same on every node at the same index. */
#ifndef QUORATE_TESTS_SIM_INVARIANTS_H
#define QUORATE_TESTS_SIM_INVARIANTS_H

#include "tests/sim/group.h"

struct invariants;

struct invariants *invariants_new(struct group *g);
void invariants_free(struct invariants *v);
/* Looks at every node; group_fail() if something is wrong. */
void invariants_check(struct invariants *v);
/* At the end, when all nodes run and are quiet: equal logs, entry by entry, and equal digests. */
void invariants_final(struct invariants *v);
uint64_t invariants_elections(const struct invariants *v);

#endif
