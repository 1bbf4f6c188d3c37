/* Acts on the network. */
#include <inttypes.h>

#include "tests/sim/nemesis_acts.h"

enum { FLAP_US = 100000 };

static struct sim_net *net_of(const struct nemesis *n)
{
    return sim_network(n->group->sim);
}

/* Cuts stay until everything is healed. */
static void begin_cut(struct nemesis *n, enum fault fault)
{
    nemesis_begin(n, fault);
    n->cut = true;
}

void act_CUT(struct nemesis *n)
{
    struct group *g = n->group;
    unsigned side = (unsigned)nemesis_between(n, 1, (1u << g->count) - 2);

    begin_cut(n, FAULT_CUT);
    group_say(g, "the network is cut in two (%x)", side);
    for (unsigned i = 0; i < g->count; i++) {
        for (unsigned j = 0; j < g->count; j++) {
            if (((side >> i) & 1) != ((side >> j) & 1)) {
                sim_net_cut(net_of(n), g->nodes[i].machine, g->nodes[j].machine, true);
            }
        }
    }
}

void act_ONE_WAY(struct nemesis *n)
{
    struct group_node *from = nemesis_victim(n), *to = nemesis_any(n);
    if (from != to) {
        begin_cut(n, FAULT_ONE_WAY);
        group_say(n->group, "nothing passes from node %" PRIu64 " to node %" PRIu64, from->id, to->id);
        sim_net_cut(net_of(n), from->machine, to->machine, true);
    }
}

static void set_link(struct nemesis *n, const struct group_node *a, const struct group_node *b, bool cut)
{
    sim_net_cut(net_of(n), a->machine, b->machine, cut);
    sim_net_cut(net_of(n), b->machine, a->machine, cut);
}

static void clog_link(struct nemesis *n, const struct group_node *a, const struct group_node *b, bool clogged)
{
    sim_net_clog(net_of(n), a->machine, b->machine, clogged);
    sim_net_clog(net_of(n), b->machine, a->machine, clogged);
}

static void unswizzle(struct errand *errand)
{
    clog_link(errand->nemesis, errand->node, errand->other, false);
    nemesis_finish(errand->nemesis, FAULT_SWIZZLE);
}

static void swizzle_link(struct errand *errand)
{
    struct errand *back;
    clog_link(errand->nemesis, errand->node, errand->other, true);
    nemesis_begin(errand->nemesis, FAULT_SWIZZLE);
    back = errand_new(errand->nemesis, rng_between(&errand->rng, 100000, 4000000), unswizzle);
    back->node = errand->node;
    back->other = errand->other;
}

/* FoundationDB's swizzle: links stop one after the other and come back in another order. */
void act_SWIZZLE(struct nemesis *n)
{
    struct group *g = n->group;
    group_say(g, "links stop one by one");
    for (unsigned i = 0; i < g->count; i++) {
        for (unsigned j = 0; j < i; j++) {
            if (nemesis_between(n, 0, 2) > 0) {
                struct errand *errand = errand_new(n, nemesis_between(n, 1, 2000000), swizzle_link);
                errand->node = &g->nodes[i];
                errand->other = &g->nodes[j];
            }
        }
    }
}

static void flap(struct errand *errand)
{
    set_link(errand->nemesis, errand->node, errand->other, errand->left % 2 == 1);
    if (errand->left-- > 0) {
        errand_again(errand, FLAP_US);
    } else {
        nemesis_finish(errand->nemesis, FAULT_FLAP);
    }
}

void act_FLAP(struct nemesis *n)
{
    struct group_node *a = nemesis_victim(n), *b = nemesis_any(n);
    struct errand *errand;
    if (a == b) {
        return;
    }
    group_say(n->group, "the link of nodes %" PRIu64 " and %" PRIu64 " flaps", a->id, b->id);
    nemesis_begin(n, FAULT_FLAP);
    errand = errand_new(n, 0, flap);
    errand->node = a;
    errand->other = b;
    errand->left = (unsigned)nemesis_between(n, 5, 50);
}

void act_WEATHER(struct nemesis *n)
{
    struct sim_net_faults faults = {.corrupt = n->weather.corrupt};
    if (n->stormy) {
        nemesis_finish(n, FAULT_WEATHER);
    }
    n->stormy = nemesis_between(n, 0, 1);
    if (n->stormy) {
        nemesis_begin(n, FAULT_WEATHER);
        faults.drop = (unsigned)nemesis_between(n, 0, 300000);
        faults.duplicate = (unsigned)nemesis_between(n, 0, 300000);
        faults.reorder = (unsigned)nemesis_between(n, 0, 300000);
        faults.split = (unsigned)nemesis_between(n, 0, 300000);
        faults.delay_min_us = nemesis_between(n, 50, 2000);
        faults.delay_max_us = faults.delay_min_us + nemesis_between(n, 100, 40000);
    }
    group_say(n->group, "network: drop %u, duplicate %u, reorder %u in a million", faults.drop,
              faults.duplicate, faults.reorder);
    n->weather = faults;
    sim_net_set_faults(net_of(n), &n->weather);
}

static void end_corrupt(struct errand *errand)
{
    errand->nemesis->weather.corrupt = 0;
    sim_net_set_faults(net_of(errand->nemesis), &errand->nemesis->weather);
    nemesis_finish(errand->nemesis, FAULT_CORRUPT);
}

void act_CORRUPT(struct nemesis *n)
{
    nemesis_begin(n, FAULT_CORRUPT);
    n->weather.corrupt = (unsigned)nemesis_between(n, 1000, 100000);
    group_say(n->group, "network: corrupt %u in a million", n->weather.corrupt);
    sim_net_set_faults(net_of(n), &n->weather);
    errand_new(n, nemesis_between(n, 500000, 8000000), end_corrupt);
}

static struct errand *on_a_direction(struct nemesis *n, const char *what, void (*end)(struct errand *))
{
    struct group_node *from = nemesis_victim(n), *to = nemesis_any(n);
    struct errand *errand;
    if (from == to) {
        return NULL;
    }
    group_say(n->group, "from node %" PRIu64 " to node %" PRIu64 " %s", from->id, to->id, what);
    errand = errand_new(n, nemesis_between(n, 100000, 6000000), end);
    errand->node = from;
    errand->other = to;
    return errand;
}

static void end_slow_link(struct errand *errand)
{
    sim_net_slow(net_of(errand->nemesis), errand->node->machine, errand->other->machine, 0);
    nemesis_finish(errand->nemesis, FAULT_SLOW_LINK);
}

void act_SLOW_LINK(struct nemesis *n)
{
    struct errand *errand = on_a_direction(n, "everything is late", end_slow_link);
    if (errand != NULL) {
        nemesis_begin(n, FAULT_SLOW_LINK);
        sim_net_slow(net_of(n), errand->node->machine, errand->other->machine,
                     nemesis_between(n, 1000, 500000));
    }
}

static void end_clog(struct errand *errand)
{
    sim_net_clog(net_of(errand->nemesis), errand->node->machine, errand->other->machine, false);
    nemesis_finish(errand->nemesis, FAULT_CLOG);
}

void act_CLOG(struct nemesis *n)
{
    struct errand *errand = on_a_direction(n, "everything is held back", end_clog);
    if (errand != NULL) {
        nemesis_begin(n, FAULT_CLOG);
        sim_net_clog(net_of(n), errand->node->machine, errand->other->machine, true);
    }
}
