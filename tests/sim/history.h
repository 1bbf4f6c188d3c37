/* history: what clients asked, when, and what they were told; and the search for a contradiction in it that
 * looks at values and times only, so that a cluster that lies about its log is caught too (oracle.h is the
 * other way round). It does not know how requests travel. Times are virtual microseconds.
 *
 * Versions of a key count its puts, so they give the order of all writes to it; a list holds its appends in
 * their order: a contradiction needs no search. Checked:
 *   - a version names one value, and an acknowledged put has a version of its own;
 *   - what was said not to be done is never seen;
 *   - a value is not seen before its put or append began;
 *   - real time: what ended before another operation began has no higher version and no higher log index
 *     (linearizable and strong reads and all writes as the later one, writes with a strictly higher index;
 * every read as the earlier one, since only committed entries are applied);
 *   - every list that was read is the beginning of the final one, which has each acknowledged append once;
 *   - at the end each key has at least the highest acknowledged version, and the value that belongs to its
 * version;
 *   - the sum of all accounts is what it was at the beginning, in every read. */
#ifndef QUORATE_TESTS_SIM_HISTORY_H
#define QUORATE_TESTS_SIM_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HISTORY_KEYS = 6, HISTORY_LISTS = 4, HISTORY_ACCOUNTS = 5, HISTORY_BALANCE = 100 };

enum op_kind { OP_PUT, OP_CAS, OP_GET, OP_APPEND, OP_LIST, OP_TRANSFER, OP_ACCOUNTS, OP_KINDS };

enum op_outcome {
    OP_UNKNOWN, /* also: never heard of again */
    OP_DONE,
    OP_CONFLICT, /* a CAS whose condition did not hold */
    OP_NOTHING,  /* refused: nothing was done */
};

/* An account with the operation that touched it last. */
struct account {
    int64_t balance;
    uint64_t last;
};

struct op {
    enum op_kind kind;
    unsigned key;      /* or list */
    unsigned from, to; /* accounts of a transfer */
    uint64_t amount;   /* of a transfer */
    uint64_t expected; /* of a CAS: the version; 0: there is none */
    uint64_t value;    /* unique to the operation; of a write */
    uint32_t command;  /* CRC32C of the command's bytes */
    bool current;      /* a read that must not be stale */
    unsigned tries;
    uint64_t start_us, end_us;
    enum op_outcome outcome;
    bool logged;            /* the answer came through the log */
    uint64_t index;         /* of the log, that the answer reflects */
    uint64_t version, seen; /* of the key; the value that a read saw (0: none) */
    uint32_t items;         /* of a list that was read */
    uint64_t *list;         /* the values in it; free() */
    struct account accounts[HISTORY_ACCOUNTS];
};

struct history {
    struct op *ops;
    size_t count, capacity;
};

/* What every node holds at the end. */
struct final_state {
    struct {
        uint64_t version, value;
    } keys[HISTORY_KEYS];
    struct {
        uint64_t items, *list; /* free() */
    } lists[HISTORY_LISTS];
};

/* Returns the number of the operation. */
size_t history_begin(struct history *h, const struct op *op);
void history_close(struct history *h);
bool op_is_write(const struct op *op);
bool op_is_put(const struct op *op); /* PUT or CAS */
const char *op_name(enum op_kind kind);

/* False with a sentence in TEXT. FINAL: NULL if the end is not known. */
bool history_check(const struct history *h, const struct final_state *final, char *text, size_t n);
uint64_t history_count(const struct history *h, enum op_outcome outcome);

#endif
