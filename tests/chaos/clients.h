/* clients: threads that ask any node, one operation at a time, over the network that breaks, and record what
 * they were told. They do not know which faults come.
 *
 * Puts, compare-and-sets and reads of a few keys, appends to lists and what is in them, transfers between
 * accounts and what they hold; reads at every level. What was not answered, or is said to be unknown, is
 * unknown; what was never sent, or was refused with 503 or 507, has done nothing; any other answer is a
 * violation. */
#ifndef QUORATE_TESTS_CHAOS_CLIENTS_H
#define QUORATE_TESTS_CHAOS_CLIENTS_H

#include "tests/chaos/machines.h"
#include "tests/chaos/record.h"

enum { CLIENTS_MAX = 16 };

#define CLIENTS_NAMESPACE "chaos"

struct clients;

/* The machines and the record are kept. */
struct clients *clients_start(const struct machines *ms, struct record *record, unsigned count,
                              uint64_t seed);
/* Ends and joins the threads. */
void clients_stop(struct clients *c);

#endif
