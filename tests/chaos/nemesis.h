/* nemesis: breaks one to four things at a time, by the seed, leaves everything in peace now and then, and in
 * the end makes everything whole. It does not know what clients do. */
#ifndef QUORATE_TESTS_CHAOS_NEMESIS_H
#define QUORATE_TESTS_CHAOS_NEMESIS_H

#include "base/buf.h"
#include "tests/chaos/act.h"

enum { NEMESIS_ACTS = 4, NEMESIS_KINDS_MAX = 32 };

struct nemesis {
    struct act_world world;
    struct rng rng;
    const struct act_kind *kinds[NEMESIS_KINDS_MAX];
    uint64_t counts[NEMESIS_KINDS_MAX];
    unsigned kind_count;
    struct act acts[NEMESIS_ACTS];
    unsigned at_once;   /* so many may be broken now */
    uint64_t next_ms;   /* when the next may begin */
    struct wires wires; /* as the switch has them */
    bool story;         /* print what begins and ends */
};

/* ONLY, unless NULL, is a list of kinds with commas. Errors: Q_INVALID if there is no such kind. All is kept.
 */
int nemesis_init(struct nemesis *n, struct machines *ms, struct watch *watch, struct record *record,
                 uint64_t seed, const char *only, struct error *e);
/* To be called every few milliseconds. */
void nemesis_step(struct nemesis *n);
/* Nothing new; what is broken is made whole; every node runs. */
void nemesis_end(struct nemesis *n);
/* The names of what is broken now; how often each kind was. */
void nemesis_put_now(const struct nemesis *n, struct buf *out);
void nemesis_put_counts(const struct nemesis *n, struct buf *out);

#endif
