#include "tests/sim/vault.h"

#include <inttypes.h>
#include <string.h>

#include "cluster/found.h"
#include "snapshots/stage.h"

#define BACKUPS  "/backups"
#define RESTORED "/node"

enum {
    LOOK_US = 200000,
    EVERY_US = 20000000, /* between two backups, on average */
    KEEP_MS = 20000,
    KEPT = 3,
    LEADS_US = 10000000, /* within which a restored node must lead */
    RESULT_MAX = 64 * 1024,
};

static const struct peers_member alone = {1, "restored:7000"};

static uint64_t now_of(const struct vault *v)
{
    return sim_now_us(v->config.group->sim);
}

static void fail(const struct vault *v, const char *what, const struct error *e)
{
    group_fail(v->config.group, "backup of node %" PRIu64 ": %s: %s", v->asked->id, what, e->text);
}

/* Restoring. */

static int assemble(struct vault *v, struct env *env, const struct manifest *m, struct error *e)
{
    struct stage_config config = {.env = env, .dir = RESTORED, .store = backup_chunks(v->backup)};
    struct stage *stage;
    bool scanned = false;
    uint32_t chunk;
    int rv = stage_open(&config, m, &stage, e);

    if (rv != 0) {
        return rv;
    }
    while (rv == 0 && !scanned) {
        rv = stage_step(stage, 4, &scanned, e);
    }
    if (rv == 0 && stage_missing(stage, 0, &chunk)) {
        rv = error_set(e, Q_NOT_FOUND, "chunk %" PRIu32 " is missing", chunk);
    }
    rv = rv == 0 ? stage_finish(stage, e) : rv;
    stage_close(stage);
    rv = rv == 0 ? stage_swap(env, RESTORED, m->index, m->term, e) : rv;
    return rv == 0 ? stage_clear(env, RESTORED, e) : rv;
}

static int found(struct vault *v, struct env *env, const struct manifest *m, struct error *e)
{
    struct found_config config = {
        .env = env,
        .dir = RESTORED,
        .vfs = sim_node_vfs(v->lab),
        .id = alone.id,
        .members = &alone,
        .count = 1,
        .cluster_name = "restored",
        .result_max = RESULT_MAX,
        .digest = m->digest,
        .scan = true,
    };
    struct store_position at;
    int rv;

    memcpy(config.origin, m->hash, sizeof config.origin);
    rv = found_make(&config, &at, e);
    if (rv == 0 && at.index != m->index) {
        rv = error_set(e, Q_CORRUPT, "it is at index %" PRIu64 ", not at %" PRIu64, at.index, m->index);
    }
    return rv;
}

static void on_log(void *ctx, const char *line)
{
    const struct vault *v = ctx;
    group_say(v->config.group, "restored: %s", line);
}

static void on_fatal(void *ctx, const struct error *why)
{
    const struct vault *v = ctx;
    group_fail(v->config.group, "a restored node stops itself: %s", why->text);
}

static int run(struct vault *v, struct env *env, struct error *e)
{
    struct replica_config config = {
        .env = env,
        .dir = RESTORED,
        .id = alone.id,
        .members = &alone,
        .count = 1,
        .cluster_name = "restored",
        .api_address = GROUP_API_ADDRESS,
        .secret = group_secret,
        .secret_len = sizeof group_secret,
        .vfs = sim_node_vfs(v->lab),
        .readers = 1,
        .election_ms = GROUP_ELECTION_MS,
        .heartbeat_ms = GROUP_HEARTBEAT_MS,
        .batches_inflight = 1,
        .queue_bytes = 64 * 1024,
        .queue_commands = 100,
        .result_max = RESULT_MAX,
        .segment_bytes = 64 * 1024,
        .compact_bytes = 64 * 1024,
        .log = on_log,
        .fatal = on_fatal,
        .ctx = v,
    };
    int rv = replica_open(&config, &v->restored, e);
    return rv == 0 ? replica_start(v->restored, e) : rv;
}

static void restore(struct vault *v, const struct manifest *m)
{
    struct env *env = sim_node_boot(v->lab);
    struct error e;
    int rv = env_make_dir(env, RESTORED, &e);

    rv = rv == 0 ? assemble(v, env, m, &e) : rv;
    rv = rv == 0 ? found(v, env, m, &e) : rv;
    rv = rv == 0 ? run(v, env, &e) : rv;
    if (rv != 0) {
        fail(v, "it cannot be restored", &e);
    }
    v->restored_index = m->index;
    v->deadline_us = now_of(v) + LEADS_US;
}

static void clear_lab(struct vault *v)
{
    sim_node_kill(v->lab);
    replica_free(v->restored);
    v->restored = NULL;
    sim_disk_wipe(sim_node_disk(v->lab));
}

static void look_at_restored(struct vault *v)
{
    struct replica_role role;

    replica_role(v->restored, &role);
    if (role.leads && role.applied > v->restored_index) {
        coverage_path(v->config.coverage, PATH_RESTORED);
        clear_lab(v);
    } else if (now_of(v) > v->deadline_us) {
        group_fail(v->config.group, "a node that was restored at index %" PRIu64 " does not lead",
                   v->restored_index);
    }
}

/* Backing up. */

/* What the source may say about an image that it has just taken. */
static bool may_say(const struct vault *v, enum error_code code)
{
    return code == Q_OK || sim_disk_faults(sim_node_disk(v->asked->machine)).read_eio > 0 ||
           (v->config.images_break &&
            (code == Q_CORRUPT || code == Q_NOT_FOUND || code == Q_MISMATCH || code == Q_TOO_BIG));
}

static int get_manifest(struct vault *v, struct manifest *ret_m, struct error *e)
{
    struct buf bytes;
    int rv;

    buf_init(&bytes, SIZE_MAX);
    rv = catalog_read(sim_node_env(v->asked->machine), replica_snapshot_dir(v->asked->replica), v->take.index,
                      v->take.term, &bytes, e);
    rv = rv == 0 ? manifest_decode(bytes.data, bytes.len, ret_m, e) : rv;
    buf_close(&bytes);
    return rv;
}

static int get_chunks(struct vault *v, const struct manifest *m, struct error *e)
{
    struct buf bytes;
    uint32_t chunk;
    int rv = 0;

    buf_init(&bytes, SIZE_MAX);
    while (rv == 0 && backup_missing(v->backup, 0, &chunk)) {
        rv = chunk_store_read(sim_node_env(v->asked->machine), replica_snapshot_dir(v->asked->replica),
                              &m->chunk[chunk], &bytes, e);
        rv = rv == 0 ? backup_put(v->backup, chunk, bytes.data, bytes.len, e) : rv;
        if (rv == Q_CORRUPT) {
            replica_snapshot_damaged(v->asked->replica, m->index, m->term, &m->chunk[chunk], e);
        }
    }
    buf_close(&bytes);
    return rv;
}

static void keep(struct vault *v, const struct manifest *m)
{
    struct backup_prune prune = {.keep = KEPT};
    char text[256];
    struct error e;
    int rv = backup_commit(v->backup, &e);

    rv = rv == 0 ? backup_prune(v->backup, &prune, &e) : rv;
    if (rv != 0) {
        fail(v, "it cannot be kept", &e);
    } else if (m->index < v->at_least) {
        group_fail(v->config.group, "an image that was to hold index %" PRIu64 " ends with %" PRIu64,
                   v->at_least, m->index);
    } else if (!ledger_digest(v->config.ledger, m->index, m->digest, text, sizeof text)) {
        group_fail(v->config.group, "an image of node %" PRIu64 " %s", v->asked->id, text);
    } else {
        coverage_path(v->config.coverage, PATH_BACKED_UP);
        if (m->index > 1 && m->index >= v->newest) { /* no log can begin behind its first entry */
            v->newest = m->index;
            restore(v, m);
        }
    }
}

static void carry(struct vault *v)
{
    struct manifest m = {.chunks = 0};
    struct error e;
    int rv = get_manifest(v, &m, &e);

    rv = rv == 0 ? backup_begin(v->backup, &m, &e) : rv;
    if (rv == 0) {
        rv = get_chunks(v, &m, &e);
    }
    if (rv == 0) {
        keep(v, &m);
    } else if (rv != Q_CONFLICT && !may_say(v, e.code)) { /* Q_CONFLICT: it is there already */
        fail(v, "it cannot be fetched", &e);
    }
    manifest_close(&m);
}

static void on_taken(struct replica_take *take, const struct error *failed)
{
    struct vault *v = CONTAINER_OF(take, struct vault, take);

    group_say(v->config.group, "vault: node %" PRIu64 " has taken %" PRIu64 "%s%s", v->asked->id, take->index,
              failed != NULL ? ": " : "", failed != NULL ? failed->text : "");
    if (failed == NULL && v->restored == NULL) {
        carry(v);
    }
    v->asked = NULL;
}

static void ask(struct vault *v)
{
    struct group *g = v->config.group;
    struct group_node *node = &g->nodes[rng_between(&v->rng, 0, g->count - 1)];
    struct replica_role role;
    struct error e;

    if (!group_alive(node)) {
        return;
    }
    v->take = (struct replica_take){.keep_ms = KEEP_MS, .done = on_taken};
    replica_role(node->replica, &role);
    if (replica_take(node->replica, &v->take, &e) == 0) {
        v->asked = node;
        v->asked_boots = node->boots;
        v->at_least = role.applied;
    }
}

static void look(void *ctx)
{
    struct vault *v = ctx;

    sim_call(v->config.group->sim, now_of(v) + LOOK_US, look, v);
    if (v->asked != NULL && (v->asked->replica == NULL || v->asked->boots != v->asked_boots)) {
        v->asked = NULL;
    }
    if (v->restored != NULL) {
        look_at_restored(v);
    } else if (v->asked == NULL && !v->over && now_of(v) >= v->next_us) {
        v->next_us = now_of(v) + rng_between(&v->rng, 1, EVERY_US * 2);
        ask(v);
    }
}

void vault_start(struct vault *v, const struct vault_config *config)
{
    struct error e;

    *v = (struct vault){.config = *config};
    rng_init(&v->rng, config->seed ^ UINT64_C(0x5641554c54));
    v->machine = sim_node_new(config->group->sim, "vault");
    v->lab = sim_node_new(config->group->sim, "lab");
    v->env = sim_node_boot(v->machine);
    if (backup_open(v->env, BACKUPS, &v->backup, &e) != 0) {
        group_fail(config->group, "no backups: %s", e.text);
    }
    v->next_us = now_of(v) + rng_between(&v->rng, 1, EVERY_US * 2);
    look(v);
}

void vault_end(struct vault *v)
{
    v->over = true;
}

bool vault_idle(const struct vault *v)
{
    return v->asked == NULL && v->restored == NULL;
}

void vault_close(struct vault *v)
{
    if (v->lab != NULL) {
        if (v->restored != NULL) {
            clear_lab(v);
        }
        sim_node_kill(v->machine);
        backup_close(v->backup);
    }
}
