#include "tests/sim/group.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const uint8_t secret[] = "a secret that is long enough";

void group_say(struct group *g, const char *format, ...)
{
    va_list args;
    if (g->story) {
        uint64_t now = sim_now_us(g->sim);
        printf("%8" PRIu64 ".%03" PRIu64 " ms  ", now / 1000, now % 1000);
        va_start(args, format);
        vprintf(format, args);
        va_end(args);
        putchar('\n');
    }
}

void group_fail(struct group *g, const char *format, ...)
{
    va_list args;
    if (g->failure[0] == 0) {
        va_start(args, format);
        vsnprintf(g->failure, sizeof g->failure, format, args);
        va_end(args);
        group_say(g, "VIOLATION %s", g->failure);
    }
}

static void on_log(void *ctx, const char *line)
{
    struct group_node *node = ctx;
    const struct group_watch *watch = &node->group->watch;
    group_say(node->group, "node %" PRIu64 ": %s", node->id, line);
    if (watch->said != NULL) {
        watch->said(watch->ctx, node, line);
    }
}

static void on_fatal(void *ctx, const struct error *why)
{
    struct group_node *node = ctx;
    node->broken = true;
    node->group->fatals++;
    group_say(node->group, "node %" PRIu64 ": FATAL %s", node->id, why->text);
    if (node->group->watch.broke != NULL) {
        node->group->watch.broke(node->group->watch.ctx, node);
    }
}

/* Most tries of a checkpoint find a reader in the way, and some give up. */
static const char *vfs_of(struct group_node *node)
{
    sim_node_wal_readers(node->machine, 700000);
    return sim_node_vfs(node->machine);
}

void group_boot(struct group_node *node)
{
    struct group *g = node->group;
    struct replica_config config = {
        .dir = "/node",
        .id = node->id,
        .members = g->members,
        .count = g->count,
        .cluster_name = "simulated",
        .api_address = "http://simulated",
        .secret = secret,
        .secret_len = sizeof secret - 1,
        .in_memory = !g->on_disk,
        .vfs = g->on_disk ? vfs_of(node) : NULL,
        .readers = 1,
        .election_ms = GROUP_ELECTION_MS,
        .heartbeat_ms = GROUP_HEARTBEAT_MS,
        .batches_inflight = 2,
        .queue_bytes = 1024 * 1024,
        .queue_commands = 1000,
        .result_max = 64 * 1024,
        .segment_bytes = g->on_disk ? 64 * 1024 : 256 * 1024,
        .cache_bytes = 64 * 1024,
        .compact_bytes = g->on_disk ? 64 * 1024 : 1024 * 1024,
        .log = on_log,
        .fatal = on_fatal,
        .ctx = node,
    };
    struct error e;
    int rv;

    if (g->tune != NULL) {
        g->tune(node, &config);
    }
    config.env = sim_node_boot(node->machine);
    node->boots++;
    node->broken = false;
    node->cut_short = false;
    g->boots++;
    rv = replica_open(&config, &node->replica, &e);
    if (rv == 0) {
        rv = replica_start(node->replica, &e);
    }
    if (rv != 0 && g->watch.refused != NULL && g->watch.refused(g->watch.ctx, node, &e)) {
        group_say(g, "node %" PRIu64 " refuses to start: %s", node->id, e.text);
        sim_node_kill(node->machine);
        replica_free(node->replica);
        node->replica = NULL;
    } else if (rv != 0) {
        group_fail(g, "node %" PRIu64 " does not start: %s", node->id, e.text);
        node->broken = true;
    }
}

static void vanish(struct group_node *node, void (*how)(struct sim_node *))
{
    how(node->machine);
    replica_free(node->replica);
    node->replica = NULL;
    node->group->vanished(node->group->ctx, node);
}

void group_crash(struct group_node *node)
{
    group_say(node->group, "node %" PRIu64 " loses power", node->id);
    node->group->crashes++;
    vanish(node, sim_node_crash);
}

void group_kill(struct group_node *node)
{
    group_say(node->group, "node %" PRIu64 " is killed", node->id);
    node->group->kills++;
    vanish(node, sim_node_kill);
}

bool group_alive(const struct group_node *node)
{
    return node->replica != NULL && !node->broken && !sim_node_paused(node->machine);
}

struct group_node *group_leader(struct group *g)
{
    struct group_node *best = NULL;
    uint64_t best_term = 0;
    for (unsigned i = 0; i < g->count; i++) {
        struct group_node *node = &g->nodes[i];
        struct replica_role role;
        if (!group_alive(node)) {
            continue;
        }
        replica_role(node->replica, &role);
        if (role.leads && role.term > best_term) {
            best = node;
            best_term = role.term;
        }
    }
    return best;
}

static void nobody(void *ctx, struct group_node *node)
{
    (void)ctx;
    (void)node;
}

void group_init(struct group *g, struct sim *sim, unsigned count)
{
    *g = (struct group){.sim = sim,
                        .count = count,
                        .vanished = nobody,
                        .tune = g->tune,
                        .watch = g->watch,
                        .on_disk = g->on_disk,
                        .story = g->story};
    for (unsigned i = 0; i < count; i++) {
        g->members[i].id = i + 1;
        snprintf(g->members[i].address, sizeof g->members[i].address, "node%u:7000", i + 1);
    }
    for (unsigned i = 0; i < count; i++) {
        char name[16];
        snprintf(name, sizeof name, "node%u", i + 1);
        g->nodes[i] = (struct group_node){.group = g, .machine = sim_node_new(sim, name), .id = i + 1};
    }
    for (unsigned i = 0; i < count; i++) {
        group_boot(&g->nodes[i]);
    }
}

void group_close(struct group *g)
{
    for (unsigned i = 0; i < g->count; i++) {
        if (g->nodes[i].replica != NULL) {
            vanish(&g->nodes[i], sim_node_kill);
        }
    }
}
