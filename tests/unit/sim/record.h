/* record: a history of operations and the log that belongs to it, made by hand, and what the judges say of
 * them. */
#ifndef QUORATE_TESTS_UNIT_SIM_RECORD_H
#define QUORATE_TESTS_UNIT_SIM_RECORD_H

#include "tests/sim/history.h"
#include "tests/sim/ledger.h"

struct record {
    struct history history;
    struct ledger ledger;
    uint64_t last; /* index of the log */
    char why[512];
};

void record_close(struct record *r);

/* An operation that has not been answered yet; borrowed until the next one. Each begins and ends 10 us after
 * the one before. */
struct op *record_op(struct record *r, struct op op);
/* An operation that was answered with DONE at INDEX. */
struct op *record_done(struct record *r, struct op op, uint64_t index);
/* A committed entry with the commands of these operations, by number. Returns its index. */
uint64_t record_entry(struct record *r, const size_t *ops, size_t count);
/* The same, of the newest operation. */
uint64_t record_logged(struct record *r);

#endif
