#include "tests/sim/keeper.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/peek.h"

enum { RESTART_US = 1000000, SOON_AFTER_US = 1000000, LATE_US = 5000000 };

struct keeper_node *keeper_of(struct keeper *k, const struct group_node *node)
{
    return &k->nodes[group_number(node)];
}

static uint64_t now_of(const struct keeper *k)
{
    return sim_now_us(k->group->sim);
}

void keeper_disk_fails(struct keeper *k, const struct group_node *node, bool fails)
{
    struct keeper_node *kn = keeper_of(k, node);
    if (kn->failing_disk && !fails) {
        kn->failed_us = now_of(k) + LATE_US;
    }
    kn->failing_disk = fails;
}

static bool may_fail(const struct keeper_node *kn)
{
    return kn->failing_disk || kn->failed_us > now_of(kn->keeper);
}

static void boot(struct keeper_node *kn)
{
    static const enum path paths[] = {
        [DOWN_KILL] = PATH_RESTART_KILL,
        [DOWN_POWER] = PATH_RESTART_POWER,
        [DOWN_POWER_ALL] = PATH_RESTART_POWER_ALL,
        [DOWN_FATAL] = PATH_RESTART_FATAL,
    };
    struct coverage *coverage = kn->keeper->coverage;
    bool refused = kn->refuses;

    kn->due_us = 0;
    kn->refuses = false;
    if (kn->boot_operations != 0) {
        sim_node_crash_in(kn->node->machine, kn->boot_operations);
        kn->boot_operations = 0;
    }
    group_boot(kn->node);
    if (kn->node->replica != NULL && !kn->node->broken) {
        kn->node->damaged = false; /* it has read everything */
        coverage_path(coverage, paths[kn->how]);
        if (kn->installing) {
            kn->installing = false;
            coverage_path(coverage, PATH_INSTALLED_AT_START);
        }
        if (refused) {
            coverage_path(coverage, PATH_REFUSED_DISK);
        }
    }
}

/* A machine that could run, and does not. */
static bool is_off(const struct keeper_node *kn)
{
    const struct group_node *node = kn->node;
    return node->replica == NULL && sim_node_env(node->machine) == NULL &&
           (node->id != 0 || node->newcomer != NULL);
}

static void on_due(void *ctx)
{
    struct keeper_node *kn = ctx;
    if (kn->due_us != 0 && kn->due_us <= now_of(kn->keeper) && is_off(kn) && !kn->given_up) {
        boot(kn);
    }
}

static void start_after(struct keeper_node *kn, uint64_t after_us)
{
    kn->due_us = now_of(kn->keeper) + after_us;
    sim_call(kn->keeper->group->sim, kn->due_us, on_due, kn);
}

void keeper_take_down(struct keeper *k, struct group_node *node, enum keeper_down how, uint64_t after_us)
{
    struct keeper_node *kn = keeper_of(k, node);
    if (node->replica == NULL) {
        return;
    }
    if (kn->compacted_us != 0 && now_of(k) - kn->compacted_us < SOON_AFTER_US) {
        coverage_path(k->coverage, PATH_COMPACTED_DOWN);
    }
    kn->how = how;
    kn->scrubbing = false;
    kn->cut_off = kn->shipping;
    if (how == DOWN_POWER || how == DOWN_POWER_ALL) {
        group_crash(node);
    } else {
        group_kill(node);
    }
    start_after(kn, after_us);
}

void keeper_retire(struct keeper *k, struct group_node *node)
{
    struct keeper_node *kn = keeper_of(k, node);
    uint64_t lost_id = kn->lost_id;

    group_say(k->group, "%s is emptied", sim_node_name(node->machine));
    if (node->replica != NULL) {
        group_kill(node);
    } else if (sim_node_env(node->machine) != NULL) {
        sim_node_kill(node->machine);
    }
    group_wipe(node);
    *kn = (struct keeper_node){.keeper = k,
                               .node = node,
                               .failing_disk = kn->failing_disk,
                               .failed_us = kn->failed_us,
                               .lost_id = lost_id};
}

void keeper_lose(struct keeper *k, struct group_node *node)
{
    keeper_of(k, node)->lost_id = node->id;
    keeper_retire(k, node);
}

static bool lost_power(const struct group_node *node)
{
    return sim_node_env(node->machine) == NULL;
}

void keeper_look(struct keeper *k)
{
    for (unsigned i = 0; i < k->group->count; i++) {
        struct group_node *node = &k->group->nodes[i];
        if (node->replica != NULL && lost_power(node)) {
            node->cut_short = true;
            keeper_take_down(k, node, DOWN_POWER, rng_between(&k->rng, 1000, LATE_US));
        }
    }
}

/* What nodes tell. */

static void on_stopped_itself(void *ctx)
{
    struct keeper_node *kn = ctx;
    if (kn->node->replica != NULL && kn->node->broken) {
        keeper_take_down(kn->keeper, kn->node, DOWN_FATAL, rng_between(&kn->keeper->rng, 1000, RESTART_US));
    }
}

static void give_up(struct keeper_node *kn, enum path path)
{
    kn->given_up = true;
    coverage_path(kn->keeper->coverage, path);
}

static void on_broke(void *ctx, struct group_node *node)
{
    struct keeper *k = ctx;
    struct keeper_node *kn = keeper_of(k, node);
    if (lost_power(node)) {
        return; /* nothing that it finds out is true any more */
    }
    if (node->stale) {
        give_up(kn, PATH_REFUSED_STALE);
    }
    if (!may_fail(kn) && !node->damaged && !node->stale) {
        group_fail(k->group, "node %" PRIu64 " stops itself, but its disk is healthy", node->id);
    }
    sim_call(k->group->sim, now_of(k) + 1, on_stopped_itself, kn);
}

static bool names_a_place(const char *text)
{
    return strstr(text, "/node/") != NULL;
}

static bool on_refused(void *ctx, struct group_node *node, const struct error *why)
{
    struct keeper *k = ctx;
    struct keeper_node *kn = keeper_of(k, node);

    if (lost_power(node)) {
        sim_node_crash(node->machine);
        kn->how = DOWN_POWER;
        start_after(kn, rng_between(&k->rng, 1000, LATE_US));
        return true;
    }
    if (node->stale) {
        give_up(kn, PATH_REFUSED_STALE);
        return true;
    }
    if (may_fail(kn)) {
        kn->refuses = true;
        start_after(kn, rng_between(&k->rng, 1000, RESTART_US));
        return true;
    }
    if (node->damaged && strstr(why->text, "reads back differently") != NULL) {
        start_after(kn, rng_between(&k->rng, 1000, RESTART_US)); /* a write has gone astray in the start */
        return true;
    }
    if (node->damaged && why->code == Q_CORRUPT && k->may_refuse) {
        if (!names_a_place(why->text)) {
            group_fail(k->group, "node %" PRIu64 " does not say what is damaged: %s", node->id, why->text);
        }
        give_up(kn, PATH_REFUSED_DAMAGE);
        return true;
    }
    return false;
}

static bool begins(const char *line, const char *with)
{
    return strncmp(line, with, strlen(with)) == 0;
}

static void on_image_said(struct keeper_node *kn, const char *line)
{
    struct coverage *coverage = kn->keeper->coverage;
    struct peek at;

    if (begins(line, "image_taken ")) {
        peek(kn->node->replica, &at);
        coverage_path(coverage, at.leads ? PATH_TAKEN : PATH_TAKEN_BY_FOLLOWER);
    } else if (begins(line, "ship_started ")) {
        if (kn->cut_off) {
            coverage_path(coverage, PATH_SHIP_RESUMED);
        }
        kn->shipping = true;
        kn->cut_off = false;
    } else if (begins(line, "ship_resumed ")) {
        coverage_path(coverage, PATH_SHIP_OVERTAKEN);
    } else if (begins(line, "ship_wrong ")) {
        coverage_path(coverage, PATH_SHIP_WRONG);
    } else if (begins(line, "image_damaged ")) {
        coverage_path(coverage, PATH_IMAGE_DAMAGED);
    } else if (begins(line, "rebuild_started ")) {
        coverage_path(coverage, PATH_SHIPPED);
        kn->shipping = false;
        kn->installing = true;
    } else if (begins(line, "installed ") || begins(line, "rebuilt ")) {
        coverage_path(coverage, line[0] == 'i' ? PATH_INSTALLED : PATH_REBUILT);
        kn->installing = false;
        kn->node->bad_pages = false;
    } else if (begins(line, "page_bad ")) {
        coverage_path(coverage, PATH_PAGE_BAD);
    }
}

static void on_said(void *ctx, struct group_node *node, const char *line)
{
    struct keeper *k = ctx;
    const char *torn = strstr(line, "torn_bytes=");
    if (begins(line, "log_opened ") && torn != NULL && strcmp(torn, "torn_bytes=0") != 0) {
        coverage_path(k->coverage, PATH_TORN_TAIL);
    } else if (begins(line, "log_damaged ")) {
        coverage_path(k->coverage, PATH_DAMAGED);
    } else if (begins(line, "log_repaired ")) {
        coverage_path(k->coverage, PATH_REPAIRED);
    } else if (begins(line, "compacted ")) {
        coverage_path(k->coverage, PATH_COMPACTED);
        keeper_of(k, node)->compacted_us = now_of(k);
    } else if (begins(line, "log_repair_waits ") && strstr(line, "snapshot") != NULL) {
        coverage_path(k->coverage, PATH_NEEDS_IMAGE);
    } else {
        on_image_said(keeper_of(k, node), line);
    }
}

/* Scrubs. */

static void on_checked(struct replica_check *check, const struct error *failed)
{
    struct keeper_node *kn = CONTAINER_OF(check, struct keeper_node, check);
    struct group *g = kn->keeper->group;

    kn->scrubbing = false;
    if (failed == NULL && !check->found.ok) {
        group_fail(g, "the content of node %" PRIu64 " is not what its digest says: %s", kn->node->id,
                   check->found.differing);
    } else if (failed == NULL) {
        coverage_path(kn->keeper->coverage, PATH_SCRUBBED);
    } else if (failed->code == Q_CORRUPT && !kn->node->bad_pages) {
        group_fail(g, "node %" PRIu64 " finds its healthy database damaged: %s", kn->node->id, failed->text);
    }
}

void keeper_scrub(struct keeper *k, struct group_node *node)
{
    struct keeper_node *kn = keeper_of(k, node);
    struct peek at;
    struct error e;

    if (node->replica == NULL || node->broken || kn->scrubbing) {
        return;
    }
    peek(node->replica, &at);
    kn->check = (struct replica_check){.done = on_checked};
    kn->scrubbing = at.runs && replica_check(node->replica, &kn->check, &e) == 0;
}

void keeper_init(struct keeper *k, struct group *g, struct coverage *coverage, uint64_t seed, bool may_refuse)
{
    *k = (struct keeper){.group = g, .coverage = coverage, .may_refuse = may_refuse};
    rng_init(&k->rng, seed);
    g->watch = (struct group_watch){.ctx = k, .refused = on_refused, .broke = on_broke, .said = on_said};
    for (unsigned i = 0; i < GROUP_MAX; i++) {
        k->nodes[i] = (struct keeper_node){.keeper = k, .node = &g->nodes[i]};
    }
}

void keeper_end(struct keeper *k)
{
    for (unsigned i = 0; i < k->group->count; i++) {
        struct keeper_node *kn = &k->nodes[i];
        kn->due_us = 0;
        kn->boot_operations = 0;
        sim_node_crash_in(kn->node->machine, 0);
        if (kn->node->replica != NULL && (kn->node->broken || kn->node->damaged)) {
            kn->how = DOWN_FATAL;
            group_kill(kn->node);
        }
        if (is_off(kn) && !kn->given_up) {
            boot(kn);
        }
    }
}
