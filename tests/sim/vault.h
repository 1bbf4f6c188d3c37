/* vault: now and then an image of the database of some node is taken and carried into a directory of backups
 * on a machine of its own, and of what lies there another cluster of one node is made, which has to lead with
 * exactly what the history says. It breaks nothing. */
#ifndef QUORATE_TESTS_SIM_VAULT_H
#define QUORATE_TESTS_SIM_VAULT_H

#include "snapshots/backup.h"
#include "tests/sim/coverage.h"
#include "tests/sim/group.h"
#include "tests/sim/ledger.h"

/* All are kept. */
struct vault_config {
    struct group *group;
    struct ledger *ledger;
    struct coverage *coverage;
    uint64_t seed;
    bool images_break; /* chunks and manifests may be damaged on the nodes' disks */
};

struct vault {
    struct vault_config config;
    struct rng rng;
    struct sim_node *machine; /* with the backups */
    struct env *env;
    struct backup *backup;
    struct replica_take take;
    struct group_node *asked; /* that takes an image; NULL: none does */
    uint64_t asked_boots, at_least, next_us;
    struct sim_node *lab; /* where they are restored */
    struct replica *restored;
    uint64_t restored_index, deadline_us;
    uint64_t newest; /* index of the newest backup: an older one may have been pruned at once */
    bool over;
};

/* On a group whose databases are on disks. */
void vault_start(struct vault *v, const struct vault_config *config);
/* No new backups. */
void vault_end(struct vault *v);
bool vault_idle(const struct vault *v);
void vault_close(struct vault *v); /* one that was not started is fine */

#endif
