/* nemesis_acts: what nemesis.c (when, and which) and the files of acts share. */
#ifndef QUORATE_TESTS_SIM_NEMESIS_ACTS_H
#define QUORATE_TESTS_SIM_NEMESIS_ACTS_H

#include "tests/sim/nemesis.h"

/* Something that an act will do later. Its chance is its own. */
struct errand {
    struct nemesis *nemesis;
    struct rng rng;
    void (*run)(struct errand *);
    struct group_node *node, *other;
    unsigned left; /* times */
    uint64_t number;
    struct errand *next; /* made before */
};

uint64_t nemesis_between(struct nemesis *n, uint64_t low, uint64_t high);
struct group_node *nemesis_any(struct nemesis *n);
/* Half of the time a node that takes part in a shipment, if there is one; else the leader half of the time:
 * that is where it hurts. */
struct group_node *nemesis_victim(struct nemesis *n);
/* RUN is called after that time, unless everything has been made whole by then; again by errand_again(). */
struct errand *errand_new(struct nemesis *n, uint64_t after_us, void (*run)(struct errand *));
void errand_again(struct errand *errand, uint64_t after_us);
void nemesis_begin(struct nemesis *n, enum fault fault);
void nemesis_finish(struct nemesis *n, enum fault fault);
/* Sets n->disks[] of the node. */
void nemesis_set_disk(struct nemesis *n, struct group_node *node);

#define FAULT_ACT(NAME, name, weight, sentence) void act_##NAME(struct nemesis *n);
FAULTS(FAULT_ACT)
#undef FAULT_ACT

#endif
