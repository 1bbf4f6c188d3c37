/* disk_rig: one simulated node with a directory "/d" that is durable, and short ways to use its files. */
#ifndef QUORATE_TESTS_DISK_RIG_H
#define QUORATE_TESTS_DISK_RIG_H

#include "tests/lib/sim.h"
#include "tests/unit/test.h"

enum { SECOND = 1000000, SEEDS = 200 };

struct machine {
    struct sim *sim;
    struct sim_node *node;
    struct env *env;
};

void machine_start(struct machine *m, uint64_t seed);
/* Power loss and boot. */
void machine_crash(struct machine *m);
struct env_file *open_file(struct machine *m, const char *path, unsigned flags);
/* An empty file whose name is durable. */
struct env_file *make_file(struct machine *m, const char *path, unsigned flags);
/* Writes N times BYTE. */
void put(struct machine *m, struct env_file *f, uint64_t offset, char byte, size_t n);
/* The byte at OFFSET, '.' for zero, ' ' past the end, '-' when there is no such file. */
char look(struct machine *m, const char *path, uint64_t offset);

#endif
