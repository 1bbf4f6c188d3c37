/* world_check: what must hold in a world, whatever happens: one leader a term, logs that match, leaders that
 * have all that is committed, the same entries applied everywhere, and nothing applied that is not durable.
 */
#ifndef QUORATE_TEST_WORLD_CHECK_H
#define QUORATE_TEST_WORLD_CHECK_H

#include "tests/unit/raft_glue/world.h"

#define LLU(x) ((unsigned long long)(x))

/* Prints the seed, the time and what broke, and aborts. */
_Noreturn void world_breach(const struct world *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* After each event of a server; lets it apply what it may. */
void world_check_node(struct world *w, struct world_node *n);
/* All pairs of logs. */
void world_check_logs(struct world *w);

#endif
