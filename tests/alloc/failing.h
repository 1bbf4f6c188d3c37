/* failing: makes an allocation of the product fail, counted from when it was armed: its own and those that
 * SQLite, the consensus core and OpenSSL make for it. The executable is linked with --wrap for malloc and its
 * family; sources that include outside.h are spared. Knows nothing of what is tested. */
#ifndef QUORATE_TESTS_ALLOC_FAILING_H
#define QUORATE_TESTS_ALLOC_FAILING_H

#include <stdbool.h>
#include <stdint.h>

/* Once, before any library has allocated. */
void failing_install(void);
/* The allocations from number NTH on (1: the next one) fail, TIMES of them. NTH 0: none, only count. */
void failing_arm(uint64_t nth, uint64_t times);
/* Nothing fails any more. Returns how many allocations there were. */
uint64_t failing_disarm(void);
/* Whether one has failed since it was armed. */
bool failing_fired(void);

#endif
