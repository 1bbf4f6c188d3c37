/* clients: a few clients that each ask one thing at a time of any node, think, and ask again; everything goes
 * into the history. What was refused they may try again elsewhere. They do not know which faults come. */
#ifndef QUORATE_TESTS_SIM_CLIENTS_H
#define QUORATE_TESTS_SIM_CLIENTS_H

#include "tests/sim/coverage.h"
#include "tests/sim/group.h"
#include "tests/sim/history.h"
#include "tests/sim/ledger.h"

enum { CLIENTS_MAX = 8 };

struct clients;

/* All but THINK_US, an average, are kept. */
struct clients_config {
    struct group *group;
    struct history *history;
    const struct ledger *ledger; /* what is acknowledged must be in it */
    struct coverage *coverage;
    unsigned count;
    bool bulk; /* the database is larger than what they ask about */
    uint64_t think_us;
};

/* Takes over group->vanished. Begins with the tables, again and again until they are there. */
struct clients *clients_new(const struct clients_config *config);
/* No new operations; those under way end. */
void clients_stop(struct clients *c);
bool clients_idle(const struct clients *c);
/* Whether a write is under way whose answer somebody waits for. */
bool clients_wait(const struct clients *c);
/* The index of the entry that made the tables; 0: not yet. */
uint64_t clients_setup_index(const struct clients *c);
/* All machines are off. */
void clients_free(struct clients *c);

#endif
