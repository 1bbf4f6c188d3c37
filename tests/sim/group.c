#include "tests/sim/group.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/newcomer.h"

const uint8_t group_secret[GROUP_SECRET_BYTES] = "a secret that is long enough";

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

static struct replica_config config_of(struct group_node *node)
{
    struct group *g = node->group;
    struct replica_config config = {
        .dir = "/node",
        .cluster_name = GROUP_NAME,
        .api_address = GROUP_API_ADDRESS,
        .listen = node->address,
        .advertise = node->moved ? node->address : NULL,
        .secret = group_secret,
        .secret_len = sizeof group_secret,
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

    if (node->founder) {
        config.id = node->id;
        config.members = g->members;
        config.count = g->founders;
    } else if (node->newcomer != NULL) {
        config.id = node->id;
        config.joined = &node->newcomer->answer;
        config.incarnation = node->newcomer->ask.incarnation;
    }
    if (g->tune != NULL) {
        g->tune(node, &config);
    }
    config.env = sim_node_env(node->machine);
    return config;
}

static void run(struct group_node *node)
{
    struct group *g = node->group;
    struct replica_config config = config_of(node);
    struct error e;
    int rv;

    node->boots++;
    node->broken = false;
    node->cut_short = false;
    g->boots++;
    rv = replica_open(&config, &node->replica, &e);
    if (rv == 0) {
        newcomer_free(node);
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

void group_boot(struct group_node *node)
{
    if (node->newcomer != NULL) {
        newcomer_again(node);
    } else {
        sim_node_boot(node->machine);
        run(node);
    }
}

void group_boot_joined(struct group_node *node)
{
    run(node);
}

static void vanish(struct group_node *node, void (*how)(struct sim_node *))
{
    how(node->machine);
    newcomer_stop(node);
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

struct group_node *group_add_spare(struct group *g)
{
    struct group_node *node = &g->nodes[g->count];
    char name[16];

    snprintf(name, sizeof name, "node%u", ++g->count);
    *node = (struct group_node){.group = g, .machine = sim_node_new(g->sim, name)};
    snprintf(node->address, sizeof node->address, "%s:7000", name);
    return node;
}

void group_init(struct group *g, struct sim *sim, unsigned count)
{
    *g = (struct group){.sim = sim,
                        .founders = count,
                        .vanished = nobody,
                        .tune = g->tune,
                        .watch = g->watch,
                        .on_disk = g->on_disk,
                        .story = g->story};
    for (unsigned i = 0; i < count; i++) {
        struct group_node *node = group_add_spare(g);
        node->founder = true;
        g->members[i].id = node->id = i + 1;
        snprintf(g->members[i].address, sizeof g->members[i].address, "%s", node->address);
    }
    for (unsigned i = 0; i < count; i++) {
        group_boot(&g->nodes[i]);
    }
}

unsigned group_number(const struct group_node *node)
{
    return (unsigned)(node - node->group->nodes);
}

void group_wipe(struct group_node *node)
{
    newcomer_free(node);
    sim_disk_wipe(sim_node_disk(node->machine));
    node->id = 0;
    node->founder = node->moved = false;
    node->stale = node->damaged = node->bad_pages = node->broken = false;
}

void group_close(struct group *g)
{
    for (unsigned i = 0; i < g->count; i++) {
        if (sim_node_env(g->nodes[i].machine) != NULL || g->nodes[i].replica != NULL) {
            vanish(&g->nodes[i], sim_node_kill);
        }
        newcomer_free(&g->nodes[i]);
    }
    g->count = 0; /* to close it again is fine, also when its world is gone */
}
