/* history: what clients asked, when, and what they were told; and the search for a contradiction in it.
 * It does not know how requests travel. Times are virtual microseconds.
 *
 * Versions of a key count its puts, so they give the order of all writes to it: a contradiction needs no
 * search. Checked:
 *   - a version names one value, and an acknowledged put has a version of its own;
 *   - what was said not to be done is never seen;
 *   - a value is not seen before its put began;
 *   - real time: what ended before another operation began has no higher version and no higher log index
 *     (linearizable and strong reads and all writes as the later one; every read as the earlier one, since
 * only committed entries are applied);
 *   - at the end each key has at least the highest acknowledged version, and the value that belongs to its
 * version;
 *   - the sum of all accounts is what it was at the beginning, in every read. */
#ifndef QUORATE_TESTS_SIM_HISTORY_H
#define QUORATE_TESTS_SIM_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HISTORY_KEYS = 6, HISTORY_ACCOUNTS = 5, HISTORY_BALANCE = 100 };

enum op_kind { OP_PUT, OP_CAS, OP_GET, OP_TRANSFER, OP_TOTAL };

enum op_outcome {
    OP_UNKNOWN, /* also: never heard of again */
    OP_DONE,
    OP_CONFLICT, /* a CAS whose condition did not hold */
    OP_NOTHING,  /* refused: nothing was done */
};

struct op {
    enum op_kind kind;
    unsigned key;
    uint64_t value; /* unique to the operation; of a put */
    bool current;   /* a read that must not be stale */
    uint64_t start_us, end_us;
    enum op_outcome outcome;
    uint64_t version, seen; /* of the key; the value that a read saw (0: none) */
    uint64_t index;
    int64_t total;
};

struct history {
    struct op *ops;
    size_t count, capacity;
};

/* Returns the number of the operation. */
size_t history_begin(struct history *h, const struct op *op);
void history_close(struct history *h);

struct final_key {
    uint64_t version, value;
};

/* False with a sentence in TEXT. FINAL is what every node holds at the end. */
bool history_check(const struct history *h, const struct final_key final[HISTORY_KEYS], char *text, size_t n);
uint64_t history_count(const struct history *h, enum op_outcome outcome);

#endif
