/* act: one thing that is broken for a while: a row of a table of kinds, and what is under way of it. It does
 * not know when it comes, nor what else is broken. */
#ifndef QUORATE_TESTS_CHAOS_ACT_H
#define QUORATE_TESTS_CHAOS_ACT_H

#include "base/rng.h"
#include "tests/chaos/machines.h"
#include "tests/chaos/record.h"
#include "tests/chaos/watch.h"

/* What acts are made of, borrowed. */
struct act_world {
    struct machines *machines;
    struct watch *watch;
    struct record *record;
    struct rng *rng;
};

struct act;

struct act_kind {
    const char *name;
    unsigned weight; /* how often it is drawn */
    enum act_takes {
        TAKES_NO_NODE,
        TAKES_A_NODE,
        TAKES_ALL_NODES
    } takes;      /* processes that are its own meanwhile */
    bool may_end; /* the node may end by itself */
    uint64_t least_ms, most_ms;
    /* False: not now. Otherwise it has begun. */
    bool (*begin)(const struct act_world *w, struct act *a);
    /* Every few milliseconds; true: it is over. NULL: over when its time is. */
    bool (*step)(const struct act_world *w, struct act *a);
    /* Makes it whole again. May be NULL. */
    void (*end)(const struct act_world *w, struct act *a);
};

enum { ACT_WAYS = TUNSWITCH_PORTS * TUNSWITCH_PORTS };

struct act {
    const struct act_kind *kind; /* NULL: none */
    unsigned node;               /* of those that take one */
    uint64_t until_ms;
    struct wires wires; /* what it does to the network, as of now */
    bool node_ended;    /* by itself; then its status */
    int status;
    /* Of some kinds. */
    uint64_t next_ms, step_ms, limit_ms;
    struct wires others;
    unsigned ways[ACT_WAYS], way_count, way_done;
};

/* The tables, each with its end. */
extern const struct act_kind acts_on_processes[], acts_on_the_network[], acts_on_disks[];

static inline bool act_time_is_over(const struct act *a)
{
    return deadline_now_ms() >= a->until_ms;
}

static inline uint64_t act_draw(const struct act_world *w, uint64_t low, uint64_t high)
{
    return rng_between(w->rng, low, high);
}

#endif
