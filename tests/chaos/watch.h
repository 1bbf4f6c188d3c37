/* watch: asks every node for its /status all the time, over wires that are always good, and holds what they
 * say against each other: one leader a term, terms that never fall, and equal digests at equal indexes, at
 * every moment of the run. It does not know which faults come.
 *
 * Any thread may ask it. */
#ifndef QUORATE_TESTS_CHAOS_WATCH_H
#define QUORATE_TESTS_CHAOS_WATCH_H

#include "tests/chaos/machines.h"
#include "tests/chaos/record.h"

struct watch;

struct watch_view {
    bool has_leader; /* somebody says so, in the highest term that was seen */
    unsigned leader; /* its place */
    uint64_t term, applied;
    uint64_t leaders; /* different terms that had one */
};

/* The machines and the record are kept. Starts a thread for each node, in the caller's namespace. */
struct watch *watch_start(const struct machines *ms, struct record *record);
void watch_stop(struct watch *w);
struct watch_view watch_view(struct watch *w);

#endif
