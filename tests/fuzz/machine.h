/* machine: a simulated node with a disk, for targets whose bytes come from files. It does not know what is in
 * them. */
#ifndef QUORATE_TESTS_FUZZ_MACHINE_H
#define QUORATE_TESTS_FUZZ_MACHINE_H

#include "tests/fuzz/target.h"
#include "tests/lib/sim.h"

struct machine {
    struct sim *sim;
    struct sim_node *node;
    struct env *env;
};

/* Booted, with the directory "data". */
void machine_init(struct machine *m);
/* Ends the process; what was made on its env can then be freed, before machine_close(). */
void machine_stop(struct machine *m);
void machine_close(struct machine *m);
/* Lets everything happen that was begun, for MS of virtual time. */
void machine_run(struct machine *m, unsigned ms);

/* Makes or replaces a file. */
void machine_put(struct machine *m, const char *path, const void *p, size_t n);
/* All of a file; returned (caller frees), with its length. */
uint8_t *machine_get(struct machine *m, const char *path, size_t *ret_n);

/* Damage as INPUT chooses it: some short runs of its bytes are copied over those at P. True if there was any.
 */
bool machine_damage(struct cursor *input, uint8_t *p, size_t n);

#endif
