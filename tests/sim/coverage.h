/* coverage: what runs have really met: faults by kind, pairs of kinds that were there together, and the ways
 * of the product that lead out of trouble. It does not make anything happen. Plain data: sums can be added
 * and sent. */
#ifndef QUORATE_TESTS_SIM_COVERAGE_H
#define QUORATE_TESTS_SIM_COVERAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/fault.h"

/* Ways out of trouble. A long run that never took one of them proves nothing about it. */
#define PATHS(X)                                                                                             \
    X(RESTART_KILL, "restart after kill")                                                                    \
    X(RESTART_POWER, "restart after power loss")                                                             \
    X(RESTART_POWER_ALL, "restart after power loss of all")                                                  \
    X(RESTART_FATAL, "restart after the process stopped itself")                                             \
    X(TORN_TAIL, "torn tail cut")                                                                            \
    X(CONFLICT, "conflicting entries truncated")                                                             \
    X(PENDING, "leader change with pending writes")                                                          \
    X(FORWARD_UNKNOWN, "forwarded write with an unknown outcome")                                            \
    X(WRITE_UNKNOWN, "leader's own write with an unknown outcome")                                           \
    X(ROUND_FAILED, "read index round failed")                                                               \
    X(RETRIED, "refused operation tried again and done")                                                     \
    X(COMPACTED, "log compacted")                                                                            \
    X(COMPACTED_DOWN, "node down within a second of a compaction")                                           \
    X(REFUSED_DISK, "start refused by a failing or full disk, later done")                                   \
    X(DAMAGED, "log found damaged at the start")                                                             \
    X(REPAIRED, "damaged log mended from other members")                                                     \
    X(NEEDS_IMAGE, "damaged log waits for an image, since all others have compacted it")                     \
    X(TAKEN, "image taken by a leader")                                                                      \
    X(TAKEN_BY_FOLLOWER, "image taken by a follower")                                                        \
    X(SHIPPED, "image shipped")                                                                              \
    X(SHIP_RESUMED, "shipment gone on with after its target went down")                                      \
    X(SHIP_OVERTAKEN, "shipment overtaken by a newer image")                                                 \
    X(INSTALLED, "image installed in place of the log")                                                      \
    X(REBUILT, "database rebuilt, log kept")                                                                 \
    X(INSTALLED_AT_START, "install that was cut short finished by the next start")                           \
    X(PAGE_BAD, "damaged page found")                                                                        \
    X(IMAGE_DAMAGED, "damaged chunk or manifest found and dropped")                                          \
    X(SHIP_WRONG, "wrong chunk or manifest from another member refused")                                     \
    X(JOINED, "machine let in as a new member")                                                              \
    X(REPLACED, "machine let in in place of one whose disk was lost")                                        \
    X(JOIN_REFUSED, "machine not let in")                                                                    \
    X(CHANGED, "change of the members granted")                                                              \
    X(CHANGE_REFUSED, "change of the members refused, as it would do harm")                                  \
    X(CHANGE_FAILED, "change of the members without an answer")                                              \
    X(MOVED, "member moved to another address")                                                              \
    X(REMOVED, "removed member learned of it")                                                               \
    X(REMOVED_ALONE, "removed member taken away before it learned of it")                                    \
    X(BACKED_UP, "image carried into a directory of backups")                                                \
    X(RESTORED, "cluster made of a backup")                                                                  \
    X(SCRUBBED, "database read as a whole and found good")                                                   \
    X(REFUSED_STALE, "stale disk refused")                                                                   \
    X(REFUSED_DAMAGE, "start refused because of damage, with the place")

#define PATH_ENUM(NAME, text) PATH_##NAME,
enum path { PATHS(PATH_ENUM) PATH_COUNT };
#undef PATH_ENUM

struct coverage {
    uint64_t faults[FAULT_COUNT], pairs[FAULT_COUNT][FAULT_COUNT], paths[PATH_COUNT];
    /* Of this run. */
    unsigned active[FAULT_COUNT];
    uint64_t until_us[FAULT_COUNT]; /* of what is not active: when it ended, plus one second */
};

/* A fault strikes or sets in; it ends with coverage_end(), at once for one that strikes. */
void coverage_begin(struct coverage *c, enum fault fault, uint64_t now_us);
void coverage_end(struct coverage *c, enum fault fault, uint64_t now_us);
void coverage_path(struct coverage *c, enum path path);

void coverage_add(struct coverage *sum, const struct coverage *of_run);
uint64_t coverage_faults(const struct coverage *c);
/* The three tables. */
void coverage_print(const struct coverage *c);
/* Prints each way that was never taken; false if there is one. */
bool coverage_complete(const struct coverage *c);

#endif
