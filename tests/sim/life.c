#include "tests/sim/life.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/clerk.h"
#include "tests/sim/clients.h"
#include "tests/sim/invariants.h"
#include "tests/sim/oracle.h"
#include "tests/sim/peek.h"
#include "tests/sim/survey.h"
#include "tests/sim/vault.h"

enum {
    RESTLESS_US = 4 * 1000 * 1000,
    HEAL_US = 60 * 1000 * 1000,   /* within which everything must be in order again */
    REFUSED_US = 5 * 1000 * 1000, /* how long a cluster is looked at that need not come back */
};

struct life {
    struct swarm swarm;
    struct sim *sim;
    struct group group;
    struct keeper keeper;
    struct atlas atlas;
    struct coverage coverage;
    struct ledger ledger;
    struct invariants *invariants;
    struct clients *clients;
    struct nemesis nemesis;
    struct clerk clerk;
    struct vault vault;
    struct history history;
    uint64_t elections;
    const char *trouble; /* of the operator */
};

/* All there is to see after an event. False: something is wrong. */
static bool look(struct life *life)
{
    uint64_t elections;
    keeper_look(&life->keeper);
    invariants_check(life->invariants);
    elections = invariants_elections(life->invariants);
    if (elections != life->elections && clients_wait(life->clients)) {
        coverage_path(&life->coverage, PATH_PENDING);
    }
    life->elections = elections;
    return life->group.failure[0] == 0;
}

static bool still_fine(void *ctx)
{
    return look(ctx);
}

static bool has_caught_up(const struct keeper_node *kn, const struct replica_role *leader)
{
    struct replica_role role;
    struct peek at;
    if (kn->given_up || (kn->node->id == 0 && kn->node->newcomer == NULL)) {
        return true;
    }
    if (kn->node->replica == NULL) {
        return false;
    }
    peek(kn->node->replica, &at);
    if (at.removed) {
        return true;
    }
    replica_role(kn->node->replica, &role);
    return role.term == leader->term && role.applied == leader->last && role.last == leader->last &&
           !role.fenced && !kn->scrubbing;
}

static bool unsettled(void *ctx)
{
    struct life *life = ctx;
    struct group_node *leader;
    struct replica_role role;

    life->trouble = "";
    if (!look(life)) {
        return false;
    }
    leader = group_leader(&life->group);
    if (leader == NULL || !clients_idle(life->clients) || !vault_idle(&life->vault) ||
        !clerk_is_content(&life->clerk, leader, &life->trouble)) {
        return true;
    }
    replica_role(leader->replica, &role);
    for (unsigned i = 0; i < life->group.count; i++) {
        if (!has_caught_up(&life->keeper.nodes[i], &role)) {
            return true;
        }
    }
    return false;
}

static bool settles(struct life *life)
{
    bool settled = sim_run_while(life->sim, unsettled, life, sim_now_us(life->sim) + HEAL_US);
    if (!settled) {
        group_fail(&life->group, "no leader that everybody follows 60 s after the last fault%s%s",
                   life->trouble[0] != 0 ? ": " : "", life->trouble);
    }
    return settled && life->group.failure[0] == 0;
}

/* Everything must come back, but what was damaged for good; nothing need, where more than that was damaged.
 * Damage that nobody has met yet is looked for. */
static bool converge(struct life *life)
{
    uint64_t now = sim_now_us(life->sim);
    if (life->swarm.ruthless) {
        sim_run_while(life->sim, still_fine, life, now + REFUSED_US);
        return false;
    }
    if (settles(life) && life->group.on_disk) {
        for (unsigned i = 0; i < life->group.count; i++) {
            keeper_scrub(&life->keeper, &life->group.nodes[i]);
        }
        settles(life);
    }
    return true;
}

static void judge(struct life *life, bool whole)
{
    struct final_state final = {.keys[0].version = 0};
    char why[512];
    bool known =
        whole && survey(&life->group, life->invariants, clients_setup_index(life->clients) != 0, &final);

    if (known) {
        invariants_final(life->invariants);
    }
    if (life->group.failure[0] == 0 &&
        !history_check(&life->history, known ? &final : NULL, why, sizeof why)) {
        group_fail(&life->group, "%s", why);
    }
    if (life->group.failure[0] == 0 && !oracle_check(&life->history, &life->ledger, why, sizeof why)) {
        group_fail(&life->group, "%s", why);
    }
    final_state_close(&final);
}

static void live(struct life *life, const struct life_limits *limits)
{
    uint64_t until = limits->until_us ? limits->until_us : life->swarm.faults_us;

    sim_run_while(life->sim, still_fine, life, until);
    if (life->group.failure[0] == 0) {
        bool whole;
        clients_stop(life->clients);
        vault_end(&life->vault);
        if (life->clerk.group != NULL) {
            clerk_end(&life->clerk);
        }
        nemesis_end(&life->nemesis);
        whole = converge(life);
        if (life->group.failure[0] == 0) {
            judge(life, whole);
        }
    }
}

static void tune(struct group_node *node, struct replica_config *config)
{
    const struct life *life = CONTAINER_OF(node->group, struct life, group);
    config->election_ms = life->swarm.election_ms;
    config->heartbeat_ms = life->swarm.heartbeat_ms;
    config->batches_inflight = life->swarm.batches;
    config->segment_bytes = life->swarm.segment_bytes;
    config->cache_bytes = life->swarm.cache_bytes;
    config->compact_bytes = life->swarm.compact_bytes;
    config->log_keep_bytes = life->swarm.keep_bytes;
    config->ship_rate = life->swarm.ship_rate;
    config->voters = life->swarm.wish_us > 0 ? life->swarm.voters : life->swarm.nodes;
}

static void sum_up(const struct life *life, struct life_result *r)
{
    *r = (struct life_result){
        .seed = life->swarm.seed,
        .hash = sim_hash(life->sim),
        .simulated_us = sim_now_us(life->sim),
        .events = sim_events(life->sim),
        .entries = life->ledger.commit,
        .boots = life->group.boots,
        .crashes = life->group.crashes,
        .kills = life->group.kills,
        .stops = life->group.fatals,
        .elections = life->elections,
        .done = history_count(&life->history, OP_DONE) + history_count(&life->history, OP_CONFLICT),
        .refused = history_count(&life->history, OP_NOTHING),
        .unknown = history_count(&life->history, OP_UNKNOWN),
        .nodes = life->group.count,
        .clients = life->swarm.clients,
        .acts = life->nemesis.acts,
        .coverage = life->coverage,
    };
    memcpy(r->played, life->nemesis.done, sizeof r->played);
    memcpy(r->failure, life->group.failure, sizeof r->failure);
}

static void apply_limits(struct swarm *s, const struct life_limits *limits)
{
    s->nodes = limits->nodes ? limits->nodes : s->nodes;
    s->clients = limits->clients ? limits->clients : s->clients;
    s->on_disk = (s->on_disk || limits->on_disk) && !limits->in_memory;
    if (limits->settled || s->ruthless) {
        s->wish_us = 0;
    } else if (limits->restless && s->wish_us == 0) {
        s->wish_us = RESTLESS_US;
    }
}

void life_run(uint64_t seed, const struct life_limits *limits, bool story, struct life_result *ret_result)
{
    struct life *life = calloc(1, sizeof *life);
    if (life == NULL) {
        abort();
    }
    swarm_draw(&life->swarm, seed);
    apply_limits(&life->swarm, limits);
    if (story) {
        swarm_print(&life->swarm);
    }
    life->sim = sim_new(seed);
    life->group.story = story;
    life->group.tune = tune;
    life->group.on_disk = life->swarm.on_disk;
    keeper_init(&life->keeper, &life->group, &life->coverage, seed, life->swarm.ruthless);
    group_init(&life->group, life->sim, life->swarm.nodes);
    if (life->swarm.wish_us > 0) {
        clerk_start(&life->clerk, &life->group, &life->keeper, &life->coverage, &life->swarm);
    }
    atlas_init(&life->atlas, &life->group, life->swarm.ruthless);
    life->invariants = invariants_new(&life->group, &life->ledger, &life->coverage);
    life->clients = clients_new(&(struct clients_config){
        .group = &life->group,
        .history = &life->history,
        .ledger = &life->ledger,
        .coverage = &life->coverage,
        .count = life->swarm.clients,
        .bulk = life->swarm.on_disk,
        .think_us = life->swarm.think_us,
    });
    nemesis_start(&life->nemesis, &(struct nemesis_config){
                                      .group = &life->group,
                                      .keeper = &life->keeper,
                                      .atlas = &life->atlas,
                                      .coverage = &life->coverage,
                                      .swarm = &life->swarm,
                                      .only = &limits->only,
                                  });
    if (life->swarm.on_disk) {
        vault_start(&life->vault, &(struct vault_config){
                                      .group = &life->group,
                                      .ledger = &life->ledger,
                                      .coverage = &life->coverage,
                                      .seed = seed,
                                      .images_break = life->swarm.faults & (UINT32_C(1) << FAULT_FLIP_IMAGE),
                                  });
    }
    live(life, limits);
    sum_up(life, ret_result);
    group_close(&life->group);
    vault_close(&life->vault);
    clients_free(life->clients);
    invariants_free(life->invariants);
    nemesis_close(&life->nemesis);
    ledger_close(&life->ledger);
    history_close(&life->history);
    sim_free(life->sim);
    free(life);
}
