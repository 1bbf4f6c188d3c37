/* load: clients that write and read while nodes come and go, and that remember what each was told. It does
 * not know what happens to the nodes.
 *
 * A writer puts keys that nobody else ever puts, "w<writer>-<number>", each with a value that follows from
 * the key (load_value()), through one node until that one does not serve it, then through the next. A put is
 * tried a few times; in the end it is
 *     acknowledged  one attempt was answered 200: the key is there from now on, for everybody,
 *     refused       every attempt was answered, by the node or by the lack of a connection, that nothing was
 *                   done: the key must never appear,
 *     unknown       anything else: the key may be there or not.
 * A reader asks some node at level linearizable for the key that some writer was acknowledged last: from a
 * node that answers, nothing but the value will do.
 *
 * Threads: the functions here are for the main thread. */
#ifndef QUORATE_TESTS_CLUSTER_LOAD_H
#define QUORATE_TESTS_CLUSTER_LOAD_H

#include <stdint.h>

#include "base/buf.h"
#include "tests/cluster/processes.h"

struct load;

enum { LOAD_KEY_MAX = 32 };

#define LOAD_NAMESPACE "load"

enum load_outcome { LOAD_ACKNOWLEDGED, LOAD_REFUSED, LOAD_UNKNOWN };

struct load_config {
    const struct processes *nodes; /* kept; ports are all that is read of it */
    unsigned writers, readers;
    unsigned value_bytes;
    unsigned name; /* tells the keys of several loads in one test apart */
};

struct load *load_start(const struct load_config *config);
/* Ends and joins the threads; what they remember stays. Twice is fine. */
void load_stop(struct load *l);
void load_free(struct load *l); /* NULL is fine */

/* How many writes are acknowledged by now. */
uint64_t load_acknowledged(struct load *l);
/* Waits until so many MORE writes than now are acknowledged. */
void load_wait_acknowledged(struct load *l, uint64_t more);
/* As above, for linearizable reads that were answered. */
void load_wait_read(struct load *l, uint64_t more);

/* After load_stop(). What the readers complained of, or NULL. */
const char *load_complaint(const struct load *l);
/* Calls EACH with every write. */
void load_each(const struct load *l, void (*each)(void *ctx, const char *key, enum load_outcome outcome),
               void *ctx);
uint64_t load_count(const struct load *l, enum load_outcome outcome);
/* The value of KEY: its own name, and then bytes that follow from it. Not terminated. */
void load_value(const struct load *l, const char *key, struct buf *ret_value);

#endif
