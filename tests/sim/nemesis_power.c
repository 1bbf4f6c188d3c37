/* Acts on machines and processes: power, signals, clocks. */
#include <inttypes.h>

#include "tests/sim/nemesis_acts.h"

/* A short absence is another test than a long one. */
static uint64_t absence(struct nemesis *n)
{
    return nemesis_between(n, 0, 2) ? nemesis_between(n, 50000, 8000000) : nemesis_between(n, 1000, 50000);
}

/* Between two events, or in the middle of one; and now and then once more while the node starts. */
void act_POWER(struct nemesis *n)
{
    struct group_node *node = nemesis_victim(n);
    nemesis_begin(n, FAULT_POWER);
    if (nemesis_between(n, 0, 1)) {
        sim_node_crash_in(node->machine, (unsigned)nemesis_between(n, 1, n->group->on_disk ? 60 : 12));
    } else {
        keeper_take_down(n->keeper, node, DOWN_POWER, absence(n));
    }
    if (nemesis_between(n, 0, 3) == 0) {
        keeper_of(n->keeper, node)->boot_operations = (unsigned)nemesis_between(n, 1, 30);
    }
    nemesis_finish(n, FAULT_POWER);
}

void act_KILL(struct nemesis *n)
{
    nemesis_begin(n, FAULT_KILL);
    keeper_take_down(n->keeper, nemesis_victim(n), DOWN_KILL, absence(n));
    nemesis_finish(n, FAULT_KILL);
}

void act_POWER_ALL(struct nemesis *n)
{
    nemesis_begin(n, FAULT_POWER_ALL);
    for (unsigned i = 0; i < n->group->count; i++) {
        keeper_take_down(n->keeper, &n->group->nodes[i], DOWN_POWER_ALL, nemesis_between(n, 1000, 3000000));
    }
    nemesis_finish(n, FAULT_POWER_ALL);
}

static void resume(struct errand *errand)
{
    struct nemesis *n = errand->nemesis;
    unsigned i = (unsigned)(errand->node - n->group->nodes);
    if (n->paused[i] && errand->number == errand->node->boots) {
        group_say(n->group, "node %" PRIu64 " resumes", errand->node->id);
        sim_node_resume(errand->node->machine);
        n->paused[i] = false;
        nemesis_finish(n, FAULT_PAUSE);
    }
}

void act_PAUSE(struct nemesis *n)
{
    struct group_node *node = nemesis_victim(n);
    unsigned i = (unsigned)(node - n->group->nodes);
    struct errand *errand;

    if (node->replica == NULL || n->paused[i]) {
        return;
    }
    group_say(n->group, "node %" PRIu64 " pauses", node->id);
    nemesis_begin(n, FAULT_PAUSE);
    n->paused[i] = true;
    sim_node_pause(node->machine);
    errand = errand_new(n, absence(n), resume);
    errand->node = node;
    errand->number = node->boots;
}

void act_JUMP(struct nemesis *n)
{
    nemesis_begin(n, FAULT_JUMP);
    sim_node_wall_jump(nemesis_any(n)->machine, (int64_t)nemesis_between(n, 0, 7200000) - 3600000);
    nemesis_finish(n, FAULT_JUMP);
}

static void end_rate(struct errand *errand)
{
    sim_node_clock_rate(errand->node->machine, 1000);
    nemesis_finish(errand->nemesis, FAULT_RATE);
}

void act_RATE(struct nemesis *n)
{
    struct errand *errand;
    unsigned permille =
        (unsigned)(nemesis_between(n, 0, 1) ? nemesis_between(n, 500, 1000) : nemesis_between(n, 1000, 2000));

    nemesis_begin(n, FAULT_RATE);
    errand = errand_new(n, nemesis_between(n, 1000000, 20000000), end_rate);
    errand->node = nemesis_any(n);
    sim_node_clock_rate(errand->node->machine, permille);
    group_say(n->group, "the clock of node %" PRIu64 " runs at %u permille", errand->node->id, permille);
}
