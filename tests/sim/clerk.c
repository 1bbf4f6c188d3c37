#include "tests/sim/clerk.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/newcomer.h"
#include "tests/sim/peek.h"

enum {
    SPARES = 2,
    LOOK_US = 500000,
    WISH_MS = 5000,
    MEMBERS_WANTED = 3, /* fewer are not made */
    RETIRED_US = 3000000,
    GONE_US = 20000000,
    ASKS_US = 8000000,
};

static uint64_t now_of(const struct clerk *o)
{
    return sim_now_us(o->group->sim);
}

static bool one_in(struct clerk *o, unsigned n)
{
    return rng_between(&o->rng, 1, n) == 1;
}

/* Any machine that is as wanted, by chance; NULL if there is none. */
static struct group_node *any(struct clerk *o, bool (*is)(const struct group_node *))
{
    unsigned start = (unsigned)rng_between(&o->rng, 0, o->group->count - 1);
    for (unsigned i = 0; i < o->group->count; i++) {
        struct group_node *node = &o->group->nodes[(start + i) % o->group->count];
        if (is(node)) {
            return node;
        }
    }
    return NULL;
}

static bool is_removed(const struct group_node *node)
{
    struct peek at = {.removed = false};
    if (node->replica != NULL && !node->broken) {
        peek(node->replica, &at);
    }
    return at.removed;
}

/* Whether the leader knows that member ID was removed. */
static bool is_gone(const struct clerk *o, uint64_t id)
{
    const struct group_node *leader = group_leader(o->group);
    struct member member;

    for (unsigned i = 0; leader != NULL && replica_removed(leader->replica, i, &member); i++) {
        if (member.id == id) {
            return true;
        }
    }
    return false;
}

static bool is_member(const struct group_node *node)
{
    return node->id != 0 && node->newcomer == NULL && !is_removed(node);
}

static bool can_be_asked(const struct group_node *node)
{
    return group_alive(node) && !is_removed(node);
}

static bool is_spare(const struct group_node *node)
{
    return node->id == 0 && node->newcomer == NULL;
}

static unsigned members(const struct clerk *o)
{
    unsigned n = 0;
    for (unsigned i = 0; i < o->group->count; i++) {
        n += is_member(&o->group->nodes[i]);
    }
    return n;
}

/* Machines that go and come. */

/* It knows that it was removed, or nothing of it is left. */
static void take_away(struct clerk *o, struct keeper_node *kn)
{
    kn->lost_id = kn->given_up ? kn->node->id : kn->lost_id;
    keeper_retire(o->keeper, kn->node);
}

/* Whether member ID is still to be one, as any node that can be asked knows it. */
static bool still_wanted(struct clerk *o, uint64_t id)
{
    const struct group_node *node = any(o, can_be_asked);
    struct replica_status status;

    if (node == NULL) {
        return true;
    }
    replica_status(node->replica, &status);
    for (unsigned i = 0; i < status.count; i++) {
        if (status.members[i].id == id && status.members[i].wanted != MEMBER_LEAVING) {
            return true;
        }
    }
    return false;
}

static void look_at(struct clerk *o, struct keeper_node *kn)
{
    struct group_node *node = kn->node;

    if (kn->given_up && node->id != 0) {
        take_away(o, kn);
    } else if (node->newcomer != NULL && node->newcomer->join != NULL &&
               now_of(o) - node->newcomer->since_us > ASKS_US) {
        /* Those that it knew may be gone, or elsewhere. */
        group_say(o->group, "operator: %s is started again", sim_node_name(node->machine));
        sim_node_kill(node->machine);
        newcomer_stop(node);
        group_boot(node);
    } else if (is_member(node) && is_gone(o, node->id)) {
        kn->gone_us = kn->gone_us != 0 ? kn->gone_us : now_of(o);
        if (now_of(o) - kn->gone_us > GONE_US) { /* it may know nobody any more who could tell it */
            coverage_path(o->coverage, PATH_REMOVED_ALONE);
            take_away(o, kn);
        }
    } else if (is_removed(node)) {
        kn->removed_us = kn->removed_us != 0 ? kn->removed_us : now_of(o);
        if (now_of(o) - kn->removed_us > RETIRED_US) {
            coverage_path(o->coverage, PATH_REMOVED);
            take_away(o, kn);
        }
    } else if (kn->lost_id != 0 && is_spare(node) && any(o, can_be_asked) != NULL) {
        bool wanted = still_wanted(o, kn->lost_id);
        if (wanted) {
            newcomer_start(node, kn->lost_id);
        } else {
            kn->lost_id = 0;
        }
    }
}

static void on_joined(void *ctx, struct group_node *node, const struct error *failed)
{
    struct keeper *k = ctx;
    struct keeper_node *kn = keeper_of(k, node);

    if (failed != NULL) {
        coverage_path(k->coverage, PATH_JOIN_REFUSED);
        keeper_retire(k, node);
    } else if (node->newcomer == NULL) {
        coverage_path(k->coverage, kn->lost_id != 0 ? PATH_REPLACED : PATH_JOINED);
        kn->lost_id = 0;
    }
}

/* Wishes. */

static void on_done(struct replica_change *change, const struct error *failed)
{
    struct clerk *o = CONTAINER_OF(change, struct clerk, change);

    o->asked = NULL;
    group_say(o->group, "operator: %s%s", failed != NULL ? "refused: " : "done",
              failed != NULL ? failed->text : "");
    coverage_path(o->coverage, failed == NULL               ? PATH_CHANGED
                               : failed->code == Q_CONFLICT ? PATH_CHANGE_REFUSED
                                                            : PATH_CHANGE_FAILED);
}

static void wish(struct clerk *o, enum replica_verb verb, uint64_t id, const char *address)
{
    static const char *const verbs[] = {"add", "remove", "promote", "demote", "move", "replace"};

    o->asked = any(o, can_be_asked);
    if (o->asked == NULL) {
        return;
    }
    o->asked_boots = o->asked->boots;
    o->change = (struct replica_change){.verb = verb, .id = id, .timeout_ms = WISH_MS, .done = on_done};
    snprintf(o->change.address, sizeof o->change.address, "%s", address);
    group_say(o->group, "operator: asks node %" PRIu64 " to %s node %" PRIu64, o->asked->id, verbs[verb], id);
    replica_change_member(o->asked->replica, &o->change);
}

static bool knows(const struct group_node *who, const struct group_node *node)
{
    struct replica_status status;

    replica_status(who->replica, &status);
    for (unsigned i = 0; i < status.count; i++) {
        if (status.members[i].id == node->id) {
            return strcmp(status.members[i].address, node->address) == 0;
        }
    }
    return true;
}

/* Whether all members know where it is. */
static bool has_arrived(const struct clerk *o, const struct group_node *node)
{
    for (unsigned i = 0; i < o->group->count; i++) {
        const struct group_node *who = &o->group->nodes[i];
        if (is_member(who) && (who->replica == NULL || who->broken || !knows(who, node))) {
            return false;
        }
    }
    return true;
}

/* A restart at another address, which nobody is told beforehand: one after the other, as nodes that move at
 * the same time would not find each other. */
static void move(struct clerk *o, struct group_node *node)
{
    if (o->moves != NULL && !has_arrived(o, o->moves)) {
        return;
    }
    o->moves = node;
    node->moved = true;
    snprintf(node->address, sizeof node->address, "%s:%" PRIu64, sim_node_name(node->machine),
             rng_between(&o->rng, 7001, 7999));
    group_say(o->group, "operator: node %" PRIu64 " moves to %s", node->id, node->address);
    keeper_take_down(o->keeper, node, DOWN_KILL, rng_between(&o->rng, 1000, 2000000));
    coverage_path(o->coverage, PATH_MOVED);
}

static void hand_over(struct clerk *o)
{
    struct group_node *leader = group_leader(o->group);
    if (leader != NULL) {
        group_say(o->group, "operator: node %" PRIu64 " is to hand over", leader->id);
        peek_transfer(leader->replica);
    }
}

static void decide(struct clerk *o)
{
    static const char nowhere[] = "";
    struct group_node *leader = group_leader(o->group), *node = any(o, is_member), *spare = any(o, is_spare);
    bool many = members(o) > MEMBERS_WANTED;

    if (node == NULL) {
        return;
    }
    node = leader != NULL && one_in(o, 3) ? leader : node;
    switch (rng_between(&o->rng, 0, 9)) {
    case 0:
    case 1:
    case 2:
        if (spare != NULL && keeper_of(o->keeper, spare)->lost_id == 0) {
            newcomer_start(spare, !many && one_in(o, 2) ? node->id : 0);
        }
        break;
    case 3:
    case 4:
        if (many) {
            wish(o, REPLICA_REMOVE, node->id, nowhere);
        }
        break;
    case 5:
        if (many) {
            wish(o, REPLICA_DEMOTE, node->id, nowhere);
        }
        break;
    case 6:
    case 7: wish(o, REPLICA_PROMOTE, node->id, nowhere); break;
    case 8: move(o, node); break;
    default: hand_over(o); break;
    }
}

/* A cluster does not grow beside a dead voter: of several that are to be replaced all but one go first. */
static bool make_way(struct clerk *o)
{
    unsigned lost = 0;
    uint64_t id = 0;
    for (unsigned i = 0; i < o->group->count; i++) {
        lost += o->keeper->nodes[i].lost_id != 0;
        id = o->keeper->nodes[i].lost_id != 0 ? o->keeper->nodes[i].lost_id : id;
    }
    if (lost < 2 || !one_in(o, 4) || !still_wanted(o, id)) {
        return false;
    }
    wish(o, REPLICA_REMOVE, id, "");
    return true;
}

static void look(void *ctx)
{
    struct clerk *o = ctx;

    sim_call(o->group->sim, now_of(o) + LOOK_US, look, o);
    if (o->asked != NULL && (o->asked->replica == NULL || o->asked->boots != o->asked_boots)) {
        o->asked = NULL; /* and nobody knows what has become of it */
    }
    for (unsigned i = 0; i < o->group->count; i++) {
        look_at(o, &o->keeper->nodes[i]);
    }
    if (o->asked == NULL && make_way(o)) {
        return;
    }
    if (!o->over && o->asked == NULL && now_of(o) >= o->next_us) {
        o->next_us = now_of(o) + rng_between(&o->rng, 1, o->every_us * 2);
        decide(o);
    }
}

void clerk_start(struct clerk *o, struct group *g, struct keeper *keeper, struct coverage *coverage,
                 const struct swarm *swarm)
{
    *o = (struct clerk){.group = g, .keeper = keeper, .coverage = coverage, .every_us = swarm->wish_us};
    rng_init(&o->rng, swarm->seed ^ UINT64_C(0x4f504552));
    g->watch.joined = on_joined;
    for (unsigned i = 0; i < SPARES; i++) {
        group_add_spare(g);
    }
    o->next_us = now_of(o) + rng_between(&o->rng, 1, o->every_us * 2);
    look(o);
}

void clerk_end(struct clerk *o)
{
    o->over = true;
}

static bool as_wanted(const struct replica_member *m)
{
    return m->role != ROLE_OUT &&
           (m->wanted == MEMBER_AUTO || (m->wanted == MEMBER_VOTER && m->role == ROLE_VOTER) ||
            (m->wanted == MEMBER_STANDBY && m->role == ROLE_STANDBY));
}

bool clerk_is_content(const struct clerk *o, struct group_node *leader, const char **ret_why)
{
    struct replica_status status;

    *ret_why = "";
    if (o->group == NULL) {
        return true; /* there is none */
    }
    if (o->asked != NULL) {
        *ret_why = "a wish is under way";
        return false;
    }
    for (unsigned i = 0; i < o->group->count; i++) {
        const struct group_node *node = &o->group->nodes[i];
        if (node->newcomer != NULL || o->keeper->nodes[i].lost_id != 0) {
            *ret_why = node->newcomer != NULL ? "a machine is not let in" : "a lost member is not replaced";
            return false;
        }
    }
    replica_status(leader->replica, &status);
    for (unsigned i = 0; i < status.count; i++) {
        if (!as_wanted(&status.members[i])) {
            *ret_why = "a member is not what it should be";
            return false;
        }
    }
    return true;
}
