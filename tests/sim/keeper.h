/* keeper: what an operator and his supervisor do: takes nodes down, starts again what is off or has stopped
 * itself, and judges a node that will not start. It does not decide what breaks. */
#ifndef QUORATE_TESTS_SIM_KEEPER_H
#define QUORATE_TESTS_SIM_KEEPER_H

#include "tests/sim/coverage.h"
#include "tests/sim/group.h"

enum keeper_down { DOWN_KILL, DOWN_POWER, DOWN_POWER_ALL, DOWN_FATAL };

struct keeper;

struct keeper_node {
    struct keeper *keeper;
    struct group_node *node;
    enum keeper_down how;     /* it went down */
    uint64_t due_us;          /* when it is started; 0: not */
    uint64_t compacted_us;    /* when it did that last; 0: never */
    unsigned boot_operations; /* its next start loses power in this disk operation; 0: not */
    bool failing_disk;        /* errors, or no room: it may stop itself, and need not start */
    uint64_t failed_us;       /* until when what its disk did may still show */
    bool refuses;             /* its last start was refused */
    bool given_up;            /* refused for good: damage that it cannot heal alone */
    uint64_t lost_id;         /* the member that it was when its disk was lost, and whom it is to replace */
    uint64_t gone_us;         /* since when the leader knows that it was removed */
    uint64_t removed_us;      /* since when it knows that itself */
    bool scrubbing;           /* its database is being read as a whole */
    struct replica_check check;
    /* What it said of images. */
    bool shipping, cut_off, installing; /* a shipment to it is open; it went down in one; an install is */
};

struct keeper {
    struct group *group;
    struct coverage *coverage;
    struct rng rng;
    bool may_refuse; /* for good, because of damage */
    struct keeper_node nodes[GROUP_MAX];
};

/* Takes over group->watch; before group_init(). All are kept. */
void keeper_init(struct keeper *k, struct group *g, struct coverage *coverage, uint64_t seed,
                 bool may_refuse);

struct keeper_node *keeper_of(struct keeper *k, const struct group_node *node);
/* Its disk has errors or no room from now on, or no more. */
void keeper_disk_fails(struct keeper *k, const struct group_node *node, bool fails);
/* Has its database read as a whole, if it runs and that is not under way; what is found must have been
 * damaged. */
void keeper_scrub(struct keeper *k, struct group_node *node);
/* Off, its disk is empty, and it is a spare machine. */
void keeper_retire(struct keeper *k, struct group_node *node);
/* The same by an accident: it is to be replaced. */
void keeper_lose(struct keeper *k, struct group_node *node);
/* Off, and on again after that time. Nothing if it is off. */
void keeper_take_down(struct keeper *k, struct group_node *node, enum keeper_down how, uint64_t after_us);
/* After each event: a node that lost power in its middle is taken down. */
void keeper_look(struct keeper *k);
/* Everything runs that can run, now. */
void keeper_end(struct keeper *k);

#endif
