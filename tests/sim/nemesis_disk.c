/* Acts on disks. */
#include <inttypes.h>

#include "tests/sim/nemesis_acts.h"
#include "tests/sim/peek.h"

enum { FLIPS_MAX = 3 };

static struct sim_disk_faults *disk_of(struct nemesis *n, const struct group_node *node)
{
    return &n->disks[group_number(node)];
}

static struct errand *on_disk_for(struct nemesis *n, struct group_node *node, uint64_t low_us,
                                  uint64_t high_us, void (*end)(struct errand *))
{
    struct errand *errand = errand_new(n, nemesis_between(n, low_us, high_us), end);
    nemesis_set_disk(n, node);
    errand->node = node;
    return errand;
}

static void end_slow(struct errand *errand)
{
    disk_of(errand->nemesis, errand->node)->slow_us = 0;
    nemesis_set_disk(errand->nemesis, errand->node);
    nemesis_finish(errand->nemesis, FAULT_SLOW_DISK);
}

void act_SLOW_DISK(struct nemesis *n)
{
    struct group_node *node = nemesis_victim(n);
    nemesis_begin(n, FAULT_SLOW_DISK);
    disk_of(n, node)->slow_us = nemesis_between(n, 1000, 200000);
    group_say(n->group, "the disk of node %" PRIu64 " is slower by up to %" PRIu64 " us", node->id,
              disk_of(n, node)->slow_us);
    on_disk_for(n, node, 500000, 10000000, end_slow);
}

static void end_stuck(struct errand *errand)
{
    disk_of(errand->nemesis, errand->node)->stuck = false;
    nemesis_set_disk(errand->nemesis, errand->node);
    nemesis_finish(errand->nemesis, FAULT_STUCK_DISK);
}

void act_STUCK_DISK(struct nemesis *n)
{
    struct group_node *node = nemesis_victim(n);
    nemesis_begin(n, FAULT_STUCK_DISK);
    group_say(n->group, "the disk of node %" PRIu64 " is stuck", node->id);
    disk_of(n, node)->stuck = true;
    on_disk_for(n, node, 50000, 5000000, end_stuck);
}

static void end_full(struct errand *errand)
{
    struct nemesis *n = errand->nemesis;
    disk_of(n, errand->node)->capacity = 0;
    nemesis_set_disk(n, errand->node);
    keeper_disk_fails(n->keeper, errand->node, disk_of(n, errand->node)->write_eio > 0);
    nemesis_finish(n, FAULT_FULL_DISK);
    group_say(n->group, "the disk of node %" PRIu64 " has room again", errand->node->id);
}

void act_FULL_DISK(struct nemesis *n)
{
    struct group_node *node = nemesis_victim(n);
    uint64_t left = nemesis_between(n, 0, 128) * 1024;
    nemesis_begin(n, FAULT_FULL_DISK);
    disk_of(n, node)->capacity = sim_disk_used(sim_node_disk(node->machine)) + left;
    group_say(n->group, "the disk of node %" PRIu64 " has %" PRIu64 " bytes left", node->id, left);
    keeper_disk_fails(n->keeper, node, true);
    on_disk_for(n, node, 500000, 8000000, end_full);
}

static void end_error(struct errand *errand)
{
    struct nemesis *n = errand->nemesis;
    struct sim_disk_faults *faults = disk_of(n, errand->node);
    faults->read_eio = faults->write_eio = faults->sync_eio = 0;
    nemesis_set_disk(n, errand->node);
    keeper_disk_fails(n->keeper, errand->node, faults->capacity > 0);
    nemesis_finish(n, FAULT_DISK_ERROR);
}

void act_DISK_ERROR(struct nemesis *n)
{
    struct group_node *node = nemesis_victim(n);
    struct sim_disk_faults *faults = disk_of(n, node);
    unsigned which = (unsigned)nemesis_between(n, 1, 7);

    nemesis_begin(n, FAULT_DISK_ERROR);
    faults->read_eio = which & 1 ? (unsigned)nemesis_between(n, 1000, 200000) : 0;
    faults->write_eio = which & 2 ? (unsigned)nemesis_between(n, 1000, 200000) : 0;
    faults->sync_eio = which & 4 ? (unsigned)nemesis_between(n, 1000, 200000) : 0;
    group_say(n->group, "the disk of node %" PRIu64 " fails: read %u, write %u, sync %u in a million",
              node->id, faults->read_eio, faults->write_eio, faults->sync_eio);
    keeper_disk_fails(n->keeper, node, true);
    on_disk_for(n, node, 100000, 4000000, end_error);
}

/* The node is off while its bits flip, so that it has to find out when it starts. */
void act_FLIP(struct nemesis *n)
{
    struct group_node *node = nemesis_victim(n);
    struct atlas_place places[FLIPS_MAX];
    unsigned wanted = n->swarm->ruthless ? (unsigned)nemesis_between(n, 1, FLIPS_MAX) : 1, found = 0;

    while (node->replica != NULL && found < wanted && atlas_choose(n->atlas, node, &n->rng, &places[found])) {
        found++;
    }
    if (found == 0) {
        return;
    }
    nemesis_begin(n, FAULT_FLIP);
    keeper_take_down(n->keeper, node, DOWN_KILL, nemesis_between(n, 1000, 3000000));
    for (unsigned i = 0; i < found; i++) {
        atlas_flip(n->atlas, node, &places[i]);
    }
    nemesis_finish(n, FAULT_FLIP);
}

static void scrub(struct errand *errand)
{
    keeper_scrub(errand->nemesis->keeper, errand->node);
}

/* Some time later an operator has the whole database read: nobody may have come upon the page before. */
void act_FLIP_PAGE(struct nemesis *n)
{
    struct group_node *node = nemesis_victim(n);
    struct atlas_place place;

    if (!n->group->on_disk || node->replica == NULL || !atlas_choose_page(n->atlas, node, &n->rng, &place)) {
        return;
    }
    nemesis_begin(n, FAULT_FLIP_PAGE);
    keeper_take_down(n->keeper, node, DOWN_KILL, nemesis_between(n, 1000, 3000000));
    atlas_flip(n->atlas, node, &place);
    errand_new(n, nemesis_between(n, 100000, 15000000), scrub)->node = node;
    nemesis_finish(n, FAULT_FLIP_PAGE);
}

void act_FLIP_IMAGE(struct nemesis *n)
{
    struct group_node *node = nemesis_any(n);
    struct atlas_place place;

    if (atlas_choose_image(node, &n->rng, &place)) {
        nemesis_begin(n, FAULT_FLIP_IMAGE);
        atlas_flip(n->atlas, node, &place);
        nemesis_finish(n, FAULT_FLIP_IMAGE);
    }
}

/* Nobody has everything, and there is no leader to ask. */
void act_FLIP_ALL(struct nemesis *n)
{
    struct atlas_place places[GROUP_MAX];
    bool found[GROUP_MAX] = {false};

    nemesis_begin(n, FAULT_FLIP_ALL);
    for (unsigned i = 0; i < n->group->count; i++) {
        struct group_node *node = &n->group->nodes[i];
        found[i] = node->replica != NULL && !node->broken &&
                   atlas_choose_record(n->atlas, node, &n->rng, &places[i]);
    }
    for (unsigned i = 0; i < n->group->count; i++) {
        keeper_take_down(n->keeper, &n->group->nodes[i], DOWN_KILL, nemesis_between(n, 1000, 1000000));
        if (found[i]) {
            atlas_flip(n->atlas, &n->group->nodes[i], &places[i]);
        }
    }
    nemesis_finish(n, FAULT_FLIP_ALL);
}

/* Whether everybody else runs and has durably noted a life of NODE that began after the copy was taken: only
 * such a copy is promised to be found out. */
static bool others_know_better(const struct nemesis *n, const struct group_node *node)
{
    for (unsigned i = 0; i < n->group->count; i++) {
        const struct group_node *other = &n->group->nodes[i];
        if (other != node && other->id != 0 &&
            (other->replica == NULL || other->broken || other->stale ||
             peek_remembered_boots(other->replica, node->id) <= n->copied_boots[group_number(node)])) {
            return false;
        }
    }
    return true;
}

/* At first a copy is taken, and a later time it is put back. */
void act_STALE(struct nemesis *n)
{
    struct group_node *node = nemesis_any(n);
    struct sim_disk_copy **copy = &n->copies[group_number(node)];

    if (node->replica == NULL || node->broken || node->stale) {
        return;
    }
    if (*copy != NULL && n->copied_lives[group_number(node)] != node->lives) {
        sim_disk_copy_free(*copy); /* of another member */
        *copy = NULL;
    }
    if (*copy == NULL) {
        n->copied_lives[group_number(node)] = node->lives;
        group_say(n->group, "a copy of the disk of node %" PRIu64 " is taken", node->id);
        *copy = sim_disk_copy(node->machine);
        n->copied_boots[group_number(node)] = peek_boots(node->replica);
        return;
    }
    if (!others_know_better(n, node) || !atlas_give_up(n->atlas, node)) {
        return;
    }
    nemesis_begin(n, FAULT_STALE);
    keeper_take_down(n->keeper, node, DOWN_KILL, nemesis_between(n, 1000, 3000000));
    node->stale = true;
    sim_disk_restore(node->machine, *copy);
    group_say(n->group, "the disk of node %" PRIu64 " is put back to the copy", node->id);
    nemesis_finish(n, FAULT_STALE);
}

/* Only where somebody is there to replace the member. */
void act_LOSE_DISK(struct nemesis *n)
{
    struct group_node *node = nemesis_victim(n);

    if (n->swarm->wish_us == 0 || node->replica == NULL || node->broken || !atlas_give_up(n->atlas, node)) {
        return;
    }
    nemesis_begin(n, FAULT_LOSE_DISK);
    group_say(n->group, "node %" PRIu64 " loses its disk", node->id);
    keeper_lose(n->keeper, node);
    nemesis_finish(n, FAULT_LOSE_DISK);
}

static void end_misdirect(struct errand *errand)
{
    disk_of(errand->nemesis, errand->node)->misdirect = 0;
    nemesis_set_disk(errand->nemesis, errand->node);
    nemesis_finish(errand->nemesis, FAULT_MISDIRECT);
}

void act_MISDIRECT(struct nemesis *n)
{
    struct group_node *node = nemesis_victim(n);
    nemesis_begin(n, FAULT_MISDIRECT);
    disk_of(n, node)->misdirect = (unsigned)nemesis_between(n, 10000, 500000);
    group_say(n->group, "the disk of node %" PRIu64 " misdirects %u writes in a million", node->id,
              disk_of(n, node)->misdirect);
    on_disk_for(n, node, 500000, 8000000, end_misdirect);
}
