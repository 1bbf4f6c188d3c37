#include <inttypes.h>
#include <stdlib.h>

#include "tests/sim/nemesis_acts.h"
#include "tests/sim/peek.h"

enum { HEAL_WEIGHT = 4 };

uint64_t nemesis_between(struct nemesis *n, uint64_t low, uint64_t high)
{
    return rng_between(&n->rng, low, high);
}

struct group_node *nemesis_any(struct nemesis *n)
{
    return &n->group->nodes[nemesis_between(n, 0, n->group->count - 1)];
}

/* The first from START on. */
static struct group_node *one_that_ships(struct nemesis *n, unsigned start)
{
    for (unsigned i = 0; i < n->group->count && n->group->on_disk; i++) {
        struct group_node *node = &n->group->nodes[(start + i) % n->group->count];
        struct peek at;
        if (node->replica == NULL || node->broken) {
            continue;
        }
        peek(node->replica, &at);
        if (at.ships) {
            return node;
        }
    }
    return NULL;
}

struct group_node *nemesis_victim(struct nemesis *n)
{
    struct group_node *leader = group_leader(n->group), *any = nemesis_any(n);
    struct group_node *ships = one_that_ships(n, (unsigned)(any - n->group->nodes));

    if (ships != NULL && nemesis_between(n, 0, 1)) {
        return ships;
    }
    return nemesis_between(n, 0, 1) && leader != NULL ? leader : any;
}

void nemesis_begin(struct nemesis *n, enum fault fault)
{
    coverage_begin(n->coverage, fault, sim_now_us(n->group->sim));
}

void nemesis_finish(struct nemesis *n, enum fault fault)
{
    coverage_end(n->coverage, fault, sim_now_us(n->group->sim));
}

void nemesis_set_disk(struct nemesis *n, struct group_node *node)
{
    sim_node_disk_faults(node->machine, &n->disks[group_number(node)]);
}

static void on_errand(void *ctx)
{
    struct errand *errand = ctx;
    if (!errand->nemesis->over) {
        errand->run(errand);
    }
}

void errand_again(struct errand *errand, uint64_t after_us)
{
    struct sim *sim = errand->nemesis->group->sim;
    sim_call(sim, sim_now_us(sim) + after_us, on_errand, errand);
}

struct errand *errand_new(struct nemesis *n, uint64_t after_us, void (*run)(struct errand *))
{
    struct errand *errand = calloc(1, sizeof *errand);
    if (errand == NULL) {
        abort();
    }
    errand->nemesis = n;
    errand->run = run;
    errand->next = n->errands;
    rng_init(&errand->rng, nemesis_between(n, 0, UINT64_MAX));
    n->errands = errand;
    errand_again(errand, after_us);
    return errand;
}

static void make_whole(struct nemesis *n)
{
    sim_net_heal(sim_network(n->group->sim));
    if (n->cut) {
        n->cut = false;
        nemesis_finish(n, FAULT_CUT);
        nemesis_finish(n, FAULT_ONE_WAY);
    }
    for (unsigned i = 0; i < n->group->count; i++) {
        struct group_node *node = &n->group->nodes[i];
        if (sim_node_paused(node->machine)) {
            sim_node_resume(node->machine);
        }
        if (n->paused[i]) {
            n->paused[i] = false;
            nemesis_finish(n, FAULT_PAUSE);
        }
    }
}

static enum fault choose(struct nemesis *n)
{
    unsigned sum = HEAL_WEIGHT, at;
    for (unsigned i = 0; i < FAULT_COUNT; i++) {
        sum += n->swarm->faults & (UINT32_C(1) << i) ? fault_weight((enum fault)i) : 0;
    }
    at = (unsigned)rng_between(&n->schedule, 0, sum - 1);
    for (unsigned i = 0; i < FAULT_COUNT; i++) {
        unsigned weight = n->swarm->faults & (UINT32_C(1) << i) ? fault_weight((enum fault)i) : 0;
        if (at < weight) {
            return (enum fault)i;
        }
        at -= weight;
    }
    return FAULT_COUNT;
}

static void act(void *ctx)
{
#define FAULT_ENTRY(NAME, name, weight, sentence) act_##NAME,
    static void (*const acts[])(struct nemesis *) = {FAULTS(FAULT_ENTRY)};
    struct nemesis *n = ctx;
    enum fault fault = choose(n);
    unsigned number = n->acts++;

    /* While an image is on its way, power fails more often: at every step of it, in the long run. */
    if (n->swarm->faults & (UINT32_C(1) << FAULT_POWER) && one_that_ships(n, 0) != NULL &&
        rng_between(&n->schedule, 0, 3) == 0) {
        fault = FAULT_POWER;
    }

    if (n->over || number >= NEMESIS_ACTS_MAX) {
        return;
    }
    rng_init(&n->rng, n->swarm->seed ^ (number + 1) * UINT64_C(0x9e3779b97f4a7c15));
    if ((!n->only->some || n->only->acts[number]) && !(n->only->without & (UINT32_C(1) << fault))) {
        n->done[number] = true;
        group_say(n->group, "act %u: %s", number, fault == FAULT_COUNT ? "heal" : fault_name(fault));
        if (fault == FAULT_COUNT) {
            make_whole(n);
        } else {
            acts[fault](n);
        }
    }
    sim_call(n->group->sim, sim_now_us(n->group->sim) + rng_between(&n->schedule, 1, n->swarm->fault_us * 2),
             act, n);
}

void nemesis_start(struct nemesis *n, const struct nemesis_config *config)
{
    *n = (struct nemesis){
        .group = config->group,
        .keeper = config->keeper,
        .atlas = config->atlas,
        .coverage = config->coverage,
        .swarm = config->swarm,
        .only = config->only,
    };
    rng_init(&n->schedule, n->swarm->seed ^ UINT64_C(0x4e454d45));
    sim_call(n->group->sim, sim_now_us(n->group->sim) + n->swarm->fault_us, act, n);
}

void nemesis_end(struct nemesis *n)
{
    struct group *g = n->group;

    n->over = true;
    group_say(g, "everything is made whole");
    make_whole(n);
    n->weather = (struct sim_net_faults){.drop = 0};
    sim_net_set_faults(sim_network(g->sim), &n->weather);
    for (unsigned i = 0; i < g->count; i++) {
        n->disks[i] = (struct sim_disk_faults){.stuck = false};
        nemesis_set_disk(n, &g->nodes[i]);
        sim_node_clock_rate(g->nodes[i].machine, 1000);
        for (unsigned j = 0; j < g->count; j++) {
            sim_net_slow(sim_network(g->sim), g->nodes[i].machine, g->nodes[j].machine, 0);
        }
    }
    keeper_end(n->keeper);
}

void nemesis_close(struct nemesis *n)
{
    for (struct errand *e = n->errands, *next; e != NULL; e = next) {
        next = e->next;
        free(e);
    }
    n->errands = NULL;
    for (unsigned i = 0; i < GROUP_MAX; i++) {
        sim_disk_copy_free(n->copies[i]);
    }
}
