/* roster: who is in the cluster, as its leader says at /v1/cluster/members. It does not know why. */
#ifndef QUORATE_TESTS_CLUSTER_ROSTER_H
#define QUORATE_TESTS_CLUSTER_ROSTER_H

#include "tests/cluster/processes.h"

/* Waits until the leader's list is WANTED and every member is what is wanted of it. WANTED names the members
 * in the order of their ids, such as "1:voter 2:voter 4:standby". */
void roster_wait(struct processes *ps, const char *wanted);
/* Waits until node I, which runs, has learned that it was removed. */
void roster_wait_removed(struct processes *ps, unsigned i);
/* The address of member ID in the list of node I. */
void roster_address(struct processes *ps, unsigned i, uint64_t id, char *address, size_t size);
/* Asks node I for a change, and again while there is no leader; it must be decided. BODY may be NULL. */
void roster_change(struct processes *ps, unsigned i, const char *method, const char *target,
                   const char *body);

#endif
