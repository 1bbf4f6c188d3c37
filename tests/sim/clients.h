/* clients: a few clients that each ask one thing at a time of any node, think, and ask again; everything goes
 * into the history. They do not know which faults come. */
#ifndef QUORATE_TESTS_SIM_CLIENTS_H
#define QUORATE_TESTS_SIM_CLIENTS_H

#include "tests/sim/group.h"
#include "tests/sim/history.h"

enum { CLIENTS_MAX = 8 };

struct clients;

/* Takes over g->vanished. Begins with the table of accounts, again and again until it is there. */
struct clients *clients_new(struct group *g, unsigned count, struct history *history);
/* No new operations; those under way end. */
void clients_stop(struct clients *c);
bool clients_idle(const struct clients *c);
/* All machines are off. */
void clients_free(struct clients *c);

/* Reads every key from every node as it is there; group_fail() if they differ. Runs the simulation until it
 * has them. */
void clients_read_final(struct clients *c, struct final_key ret_final[HISTORY_KEYS]);

#endif
