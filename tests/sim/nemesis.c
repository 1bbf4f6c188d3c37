#include "tests/sim/nemesis.h"

#include <inttypes.h>

static uint64_t between(struct nemesis *n, uint64_t low, uint64_t high)
{
    return rng_between(&n->rng, low, high);
}

static struct group_node *any(struct nemesis *n)
{
    return &n->group->nodes[between(n, 0, n->group->count - 1)];
}

/* The leader half of the time: it is where it hurts. */
static struct group_node *victim(struct nemesis *n)
{
    struct group_node *leader = group_leader(n->group);
    return leader != NULL && between(n, 0, 1) ? leader : any(n);
}

struct later {
    struct nemesis *nemesis;
    struct group_node *node;
};

/* Small fixed pools keep calls of the simulator's queue valid without owning memory: one revival per node is
 * enough. */
static struct later revivals[GROUP_MAX];

static void revive(void *ctx)
{
    struct later *later = ctx;
    if (!later->nemesis->over && later->node->replica == NULL) {
        group_boot(later->node);
    }
}

static void bring_back(struct nemesis *n, struct group_node *node, uint64_t after_us)
{
    struct later *later = &revivals[node->id - 1];
    *later = (struct later){n, node};
    sim_call(n->group->sim, sim_now_us(n->group->sim) + after_us, revive, later);
}

static void take_down(struct nemesis *n, struct group_node *node)
{
    if (node->replica == NULL) {
        return;
    }
    if (between(n, 0, 1)) {
        group_crash(node);
    } else {
        group_kill(node);
    }
    bring_back(n, node, between(n, 0, 2) ? between(n, 50000, 8000000) : between(n, 1000, 50000));
}

static void all_lose_power(struct nemesis *n)
{
    n->power_losses_of_all++;
    for (unsigned i = 0; i < n->group->count; i++) {
        if (n->group->nodes[i].replica != NULL) {
            group_crash(&n->group->nodes[i]);
            bring_back(n, &n->group->nodes[i], between(n, 1000, 3000000));
        }
    }
}

static void pause_or_resume(struct nemesis *n)
{
    struct group_node *node = victim(n);
    if (node->replica == NULL) {
        return;
    }
    if (sim_node_paused(node->machine)) {
        group_say(n->group, "node %" PRIu64 " resumes", node->id);
        sim_node_resume(node->machine);
    } else {
        group_say(n->group, "node %" PRIu64 " pauses", node->id);
        n->pauses++;
        sim_node_pause(node->machine);
    }
}

static void resume_all(struct nemesis *n)
{
    for (unsigned i = 0; i < n->group->count; i++) {
        if (n->group->nodes[i].replica != NULL && sim_node_paused(n->group->nodes[i].machine)) {
            sim_node_resume(n->group->nodes[i].machine);
        }
    }
}

static void cut(struct nemesis *n)
{
    struct group *g = n->group;
    unsigned side = (unsigned)between(n, 1, (1u << g->count) - 2);

    n->cuts++;
    group_say(g, "the network is cut in two (%x)", side);
    for (unsigned i = 0; i < g->count; i++) {
        for (unsigned j = 0; j < g->count; j++) {
            if (((side >> i) & 1) != ((side >> j) & 1)) {
                sim_net_cut(sim_network(g->sim), g->nodes[i].machine, g->nodes[j].machine, true);
            }
        }
    }
}

static void cut_one_way(struct nemesis *n)
{
    struct group_node *from = victim(n), *to = any(n);
    if (from != to) {
        n->one_way_cuts++;
        group_say(n->group, "nothing passes from node %" PRIu64 " to node %" PRIu64, from->id, to->id);
        sim_net_cut(sim_network(n->group->sim), from->machine, to->machine, true);
    }
}

static void change_weather(struct nemesis *n)
{
    struct sim_net_faults faults = {.delay_min_us = 0};
    if (between(n, 0, 1)) {
        n->storms++;
        faults.drop = (unsigned)between(n, 0, 300000);
        faults.duplicate = (unsigned)between(n, 0, 300000);
        faults.reorder = (unsigned)between(n, 0, 300000);
        faults.split = (unsigned)between(n, 0, 300000);
        faults.delay_min_us = between(n, 50, 2000);
        faults.delay_max_us = faults.delay_min_us + between(n, 100, 40000);
    }
    group_say(n->group, "network: drop %u, duplicate %u, reorder %u in a million", faults.drop,
              faults.duplicate, faults.reorder);
    sim_net_set_faults(sim_network(n->group->sim), &faults);
}

static void change_disk(struct nemesis *n)
{
    struct group_node *node = victim(n);
    struct sim_disk_faults faults = {.slow_us = between(n, 0, 1) ? between(n, 1000, 200000) : 0};
    n->slow_disks += faults.slow_us > 0;
    group_say(n->group, "the disk of node %" PRIu64 " is slower by up to %" PRIu64 " us", node->id,
              faults.slow_us);
    sim_node_disk_faults(node->machine, &faults);
}

static void jump_clock(struct nemesis *n)
{
    n->jumps++;
    sim_node_wall_jump(any(n)->machine, (int64_t)between(n, 0, 7200000) - 3600000);
}

/* A process that stopped itself is started again, as an operator's supervisor would. */
static void restart_broken(struct nemesis *n)
{
    for (unsigned i = 0; i < n->group->count; i++) {
        if (n->group->nodes[i].replica != NULL && n->group->nodes[i].broken) {
            group_kill(&n->group->nodes[i]);
            bring_back(n, &n->group->nodes[i], between(n, 1000, 1000000));
        }
    }
}

static void act(void *ctx)
{
    struct nemesis *n = ctx;
    if (n->over) {
        return;
    }
    restart_broken(n);
    switch (between(n, 0, 15)) {
    case 0:
    case 1:
    case 2:
    case 3: take_down(n, victim(n)); break;
    case 4: all_lose_power(n); break;
    case 5:
    case 6: pause_or_resume(n); break;
    case 7:
    case 8: cut(n); break;
    case 9: cut_one_way(n); break;
    case 10:
    case 11: change_weather(n); break;
    case 12: change_disk(n); break;
    case 13: jump_clock(n); break;
    default:
        group_say(n->group, "the network is whole, nobody is paused");
        sim_net_heal(sim_network(n->group->sim));
        resume_all(n);
        break;
    }
    sim_call(n->group->sim, sim_now_us(n->group->sim) + between(n, 1, n->mean_us * 2), act, n);
}

void nemesis_start(struct nemesis *n, struct group *g)
{
    *n = (struct nemesis){.group = g};
    rng_init(&n->rng, sim_random(g->sim, 0, UINT64_MAX));
    n->mean_us = between(n, 200000, 3000000);
    sim_call(g->sim, sim_now_us(g->sim) + n->mean_us, act, n);
}

void nemesis_end(struct nemesis *n)
{
    struct group *g = n->group;
    struct sim_net_faults calm = {.drop = 0};
    struct sim_disk_faults healthy = {.stuck = false};

    n->over = true;
    group_say(g, "everything is made whole");
    sim_net_heal(sim_network(g->sim));
    sim_net_set_faults(sim_network(g->sim), &calm);
    resume_all(n);
    for (unsigned i = 0; i < g->count; i++) {
        sim_node_disk_faults(g->nodes[i].machine, &healthy);
        if (g->nodes[i].replica != NULL && g->nodes[i].broken) {
            group_kill(&g->nodes[i]);
        }
        if (g->nodes[i].replica == NULL) {
            group_boot(&g->nodes[i]);
        }
    }
}
