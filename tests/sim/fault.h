/* fault: the kinds of things that the nemesis breaks, in one table: name (for --without and the coverage
 * table), weight among the others, and a sentence. */
#ifndef QUORATE_TESTS_SIM_FAULT_H
#define QUORATE_TESTS_SIM_FAULT_H

#define FAULTS(X)                                                                                            \
    X(POWER, "power", 4, "a node loses power")                                                               \
    X(KILL, "kill", 4, "a process is killed")                                                                \
    X(POWER_ALL, "power-all", 1, "all nodes lose power together")                                            \
    X(PAUSE, "pause", 4, "a process is stopped for a while (SIGSTOP)")                                       \
    X(CUT, "cut", 4, "the network falls into two parts")                                                     \
    X(ONE_WAY, "one-way", 2, "a link carries nothing in one direction")                                      \
    X(SWIZZLE, "swizzle", 2, "links stop one by one and come back in another order")                         \
    X(FLAP, "flap", 2, "a link comes and goes every 100 ms")                                                 \
    X(WEATHER, "weather", 4, "units are dropped, doubled, late, split, overtaken")                           \
    X(CORRUPT, "corrupt", 2, "bits of units flip on their way")                                              \
    X(SLOW_LINK, "slow-link", 2, "everything in one direction of a link is late")                            \
    X(CLOG, "clog", 2, "one direction of a link holds everything back")                                      \
    X(RATE, "rate", 2, "a monotonic clock runs too fast or too slow")                                        \
    X(JUMP, "jump", 2, "a wall clock jumps by up to an hour")                                                \
    X(SLOW_DISK, "slow-disk", 2, "a disk is slow")                                                           \
    X(STUCK_DISK, "stuck-disk", 1, "a disk does nothing for a while")                                        \
    X(FULL_DISK, "full-disk", 1, "a disk is full for a while")                                               \
    X(DISK_ERROR, "disk-error", 2, "reads, writes or syncs of a disk fail")                                  \
    X(FLIP, "flip", 3, "a bit of a log, its mark or the meta file flips")                                    \
    X(FLIP_ALL, "flip-all", 1, "all nodes go down, and each loses another record")                           \
    X(FLIP_PAGE, "flip-page", 2, "a bit of a database file flips")                                           \
    X(FLIP_IMAGE, "flip-image", 2, "a bit of a stored chunk, or of a manifest, flips")                       \
    X(LOSE_DISK, "lose-disk", 1, "a disk is lost, with all that is on it; its member has to be replaced")    \
    X(MISDIRECT, "misdirect", 2, "writes of a disk land in another place")                                   \
    X(STALE, "stale", 1, "a disk is put back to what it was some time ago")

#define FAULT_ENUM(NAME, name, weight, sentence) FAULT_##NAME,
enum fault { FAULTS(FAULT_ENUM) FAULT_COUNT };
#undef FAULT_ENUM

const char *fault_name(enum fault fault);
unsigned fault_weight(enum fault fault);
/* FAULT_COUNT: there is none of that name. */
enum fault fault_by_name(const char *name);

#endif
