/* A replica from its configuration to its running parts, and back to nothing. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/plant.h"
#include "cluster/cluster_id.h"
#include "cluster/replica_impl.h"

enum {
    BACKLOG_MAX = 64,             /* entries committed but not yet applied, beyond which commands wait */
    WAL_BYTES = 16 * 1024 * 1024, /* read again at a start in about 30 ms */
    ANSWER_EXTRA = 1024,          /* of a forwarded answer besides its result */
};

static uint64_t elapsed_ns(void *ctx)
{
    return env_now_us(ctx) * 1000;
}

static int open_store(struct replica *r, struct error *e)
{
    struct store_config config = {
        .path = r->config.in_memory ? NULL : r->database,
        .vfs = r->config.vfs,
        .readers = r->config.readers,
        .result_max = r->config.result_max,
        .foreign_keys = r->config.foreign_keys,
        .instructions_max = r->config.instructions_max,
        .elapsed_ns = elapsed_ns,
        .ctx = r->config.env,
        .say = r->config.log,
        .say_ctx = r->config.ctx,
    };
    int rv = store_open(&config, &r->store, e);
    if (rv == Q_CORRUPT && !r->config.in_memory && members_count(r->members) > 1) {
        r->unfit = true; /* the others have it */
        r->unfit_why = *e;
        rv = store_open_absent(&config, &r->store, e);
    }
    return rv;
}

static int open_database(void *ctx, uint64_t *ret_index, uint64_t *ret_term, struct error *e)
{
    struct replica *r = replica_of(ctx);
    struct store_position at;
    int rv = open_store(r, e);
    if (rv == 0) {
        store_position(r->store, &at);
        *ret_index = at.index;
        *ret_term = at.term;
    }
    return rv;
}

static int open_consensus(struct replica *r, struct error *e)
{
    struct consensus_server servers[PEERS_MAX];
    struct log_report report;
    struct consensus_config config = {
        .env = r->config.env,
        .dir = r->dir,
        .id = r->config.id,
        .founder = r->config.joined == NULL,
        .any_cluster = r->config.joined == NULL && r->config.count == 0,
        .incarnation = r->config.incarnation,
        .members = servers,
        .count = r->config.count,
        .election_ms = r->config.election_ms,
        .heartbeat_ms = r->config.heartbeat_ms,
        .segment_bytes = r->config.segment_bytes,
        .cache_bytes = r->config.cache_bytes,
        .swap = r->config.in_memory ? NULL : replica_on_swap,
        .applied = open_database,
        .send = replica_consensus_sends,
        .changed = replica_on_changed,
        .fetch = r->config.in_memory ? NULL : replica_on_fetch,
        .install = replica_on_install,
        .recovering = replica_on_recovering,
        .fatal = replica_on_fatal,
        .ctx = r,
    };
    int rv;

    memcpy(config.cluster_id, r->cluster_id, CLUSTER_ID_BYTES);
    config.count = replica_first_servers(r, servers);
    rv = consensus_open(&config, &r->consensus, &report, e);
    if (rv == 0) {
        r->config.id = consensus_meta(r->consensus)->node_id;
        memcpy(r->cluster_id, consensus_meta(r->consensus)->cluster_id, CLUSTER_ID_BYTES);
        replica_say_opened(r, &report);
    }
    return rv;
}

static int make_images(struct replica *r, struct error *e)
{
    struct images_config images = {
        .env = r->config.env,
        .dir = r->dir,
        .store = r->store,
        .consensus = r->consensus,
        .node = r->config.id,
        .cluster_name = r->name,
        .semantics = r->semantics,
        .done = replica_on_taken,
        .held = replica_on_held,
        .corrupt = replica_on_page_bad,
        .swept = replica_on_swept,
        .damaged = replica_on_image_damaged,
        .fatal = replica_on_fatal,
        .ctx = r,
    };
    struct ship_source_config source = {
        .env = r->config.env,
        .dir = r->dir,
        .rate = r->config.ship_rate,
        .answer_type = FRAME_SHIP_ANSWER,
        .send = replica_forward_sends,
        .may_take = replica_may_take,
        .fatal = replica_on_fatal,
        .ctx = r,
    };
    struct ship_target_config target = {
        .env = r->config.env,
        .dir = r->dir,
        .own_path = r->database,
        .question_type = FRAME_SHIP_QUESTION,
        .members = replica_ship_members,
        .send = replica_forward_sends,
        .check = replica_check_manifest,
        .staged = replica_on_staged,
        .said = replica_on_ship_said,
        .fatal = replica_on_fatal,
        .ctx = r,
    };
    int rv;

    memcpy(images.cluster_id, r->cluster_id, sizeof images.cluster_id);
    rv = images_open(&images, &r->images, e);
    if (rv == 0) {
        source.images = target.images = r->images;
        rv = ship_source_new(&source, &r->ship_source, e);
    }
    return rv == 0 ? ship_target_new(&target, &r->ship_target, e) : rv;
}

static int make_parts(struct replica *r, struct error *e)
{
    struct env *env = r->config.env;
    struct batcher_config batcher = {
        .env = env,
        .consensus = r->consensus,
        .inflight_max = r->config.batches_inflight,
        .backlog_max = BACKLOG_MAX,
        .queue_bytes = r->config.queue_bytes,
        .queue_commands = r->config.queue_commands,
        .grace_ms = r->config.election_ms / 2,
        .refuses = replica_refuses,
        .ctx = r,
    };
    struct applier_config applier = {
        .env = env,
        .consensus = r->consensus,
        .store = r->store,
        .applied = replica_on_applied,
        .advanced = replica_on_advanced,
        .differs = replica_on_differs,
        .fatal = replica_on_apply_failed,
        .ctx = r,
    };
    struct divergence_config divergence = {
        .env = env,
        .id = r->config.id,
        .members = r->members,
        .voter = replica_is_voter,
        .voters = replica_voters,
        .digest = replica_own_digest,
        .applied = replica_applied_now,
        .send = replica_divergence_sends,
        .odd = replica_on_odd,
        .settled = replica_on_settled,
        .ctx = r,
    };
    struct forward_config forward = {
        .env = env,
        .grace_ms = r->config.election_ms / 2,
        .send = replica_forward_sends,
        .question_type = FRAME_QUESTION,
        .answer_type = FRAME_ANSWER,
        .asked = replica_on_question,
        .answer_max = r->config.result_max + ANSWER_EXTRA < PEERS_FRAME_MAX
                          ? r->config.result_max + ANSWER_EXTRA
                          : PEERS_FRAME_MAX,
        .ctx = r,
    };
    struct requests_config requests = {
        .env = env,
        .id = r->config.id,
        .consensus = r->consensus,
        .store = r->store,
        .result_max = r->config.result_max,
        .patience_ms = 2 * (uint64_t)r->config.election_ms,
        .applied = replica_applied_now,
        .leader_contact_us = replica_leader_contact_us,
        .lag_us = replica_lag_us,
        .may_answer = replica_may_answer,
        .pushed = replica_on_pushed,
        .ctx = r,
    };
    struct compactor_config compactor = {
        .env = env,
        .consensus = r->consensus,
        .store = r->store,
        /* A database in memory is rebuilt from the log: nothing of it may go. */
        .log_bytes = r->config.in_memory ? UINT64_MAX : r->config.compact_bytes,
        .wal_bytes = WAL_BYTES,
        .keep_bytes = r->config.log_keep_bytes > 0 ? r->config.log_keep_bytes : UINT64_MAX,
        .limit = replica_log_limit,
        .last = replica_log_last,
        .done = replica_on_compacted,
        .ctx = r,
    };
    int rv = batcher_new(&batcher, &r->batcher, e);

    if (rv == 0) {
        rv = applier_new(&applier, &r->applier, e);
    }
    if (rv == 0) {
        rv = divergence_new(&divergence, &r->divergence, e);
    }
    if (rv == 0) {
        rv = forward_new(&forward, &r->forward, e);
    }
    if (rv == 0) {
        requests.batcher = r->batcher;
        requests.forward = r->forward;
        rv = requests_new(&requests, &r->requests, e);
    }
    if (rv == 0) {
        struct served_config served = {r->consensus, r->batcher, r->forward};
        rv = served_new(&served, &r->served, e);
    }
    if (rv == 0) {
        struct calls_config calls = {.env = env,
                                     .id = r->config.id,
                                     .forward = r->forward,
                                     .leader = replica_leader,
                                     .transfer = replica_hand_over,
                                     .ctx = r};
        rv = calls_new(&calls, &r->calls, e);
    }
    if (rv == 0) {
        struct repair_config repair = {.env = env,
                                       .consensus = r->consensus,
                                       .id = r->config.id,
                                       .members = r->members,
                                       .question_type = FRAME_REPAIR_QUESTION,
                                       .answer_type = FRAME_REPAIR_ANSWER,
                                       .send = replica_forward_sends,
                                       .stuck = replica_on_stuck,
                                       .compacted = replica_on_lost_compacted,
                                       .ctx = r};
        rv = repair_new(&repair, &r->repair, e);
    }
    if (rv == 0) {
        rv = compactor_new(&compactor, &r->compactor, e);
    }
    return rv == 0 && !r->config.in_memory ? make_images(r, e) : rv;
}

/* Before what needs room: on a disk that is full the ballast makes some. */
static int open_space(struct replica *r, struct error *e)
{
    struct space_config config = {
        .env = r->config.env,
        .dir = r->dir,
        .ballast_bytes = r->config.ballast_bytes,
        .low_bytes = r->config.space_min_bytes,
        .lacks_room = replica_lacks_room,
        .retry = replica_retry_room,
        .changed = replica_on_space_changed,
        .failed = replica_on_fatal,
        .ctx = r,
    };
    int rv;

    if (config.low_bytes == 0) {
        config.low_bytes = 2 * r->config.segment_bytes + 2 * WAL_BYTES;
    }
    rv = space_open(&config, &r->space, e);
    if (rv == 0 && space_is_full(r->space)) {
        replica_say(r, "disk_full free=%" PRIu64 " needed=%" PRIu64, space_free_bytes(r->space),
                    space_needed_bytes(r->space));
    }
    return rv;
}

/* The directory's name is durable only when its parent is synced. */
static int make_dir(struct replica *r, struct error *e)
{
    char parent[REPLICA_DIR_MAX];
    size_t n = strlen(r->dir);
    int rv = env_make_dir(r->config.env, r->dir, e);

    while (n > 1 && r->dir[n - 1] == '/') {
        n--;
    }
    while (n > 0 && r->dir[n - 1] != '/') {
        n--;
    }
    snprintf(parent, sizeof parent, "%.*s", (int)n, r->dir);
    bool sync = rv == 0 && !PLANTED("name_of_the_node_is_not_synced");
    return sync ? env_sync_dir(r->config.env, n == 0 ? "." : parent, e) : rv;
}

int replica_open(const struct replica_config *config, struct replica **ret_replica, struct error *e)
{
    struct replica *r = calloc(1, sizeof *r);
    char lock[REPLICA_DIR_MAX];
    int rv;

    if (r == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for the replica");
    }
    r->magic = REPLICA_MAGIC;
    list_init(&r->waits);
    list_init(&r->membership.applicants);
    list_init(&r->takes);
    rv = replica_copy_config(r, config, e);
    if (rv == 0) {
        rv = replica_check_begun(r, e);
    }
    if (rv == 0) {
        rv = make_dir(r, e);
    }
    if (rv == 0) {
        snprintf(lock, sizeof lock, "%.*s/lock", (int)sizeof lock - 8, r->dir);
        rv = env_lock(config->env, lock, &r->lock, e);
    }
    if (rv == 0 && r->config.count > 0) {
        rv = replica_make_cluster_id(r, e);
    }
    if (rv == 0) {
        rv = open_space(r, e);
    }
    if (rv == 0) {
        rv = replica_open_members(r, e);
    }
    if (rv == 0) {
        rv = replica_open_charter(r, e);
    }
    if (rv == 0) {
        rv = open_consensus(r, e);
    }
    if (rv == 0) {
        rv = replica_find_self(r, e);
    }
    if (rv == 0) {
        rv = replica_save_members(r, e);
    }
    if (rv == 0) {
        rv = replica_save_charter(r, e);
    }
    if (rv == 0) {
        rv = make_parts(r, e);
    }
    if (rv == 0) {
        rv = replica_membership_open(r, e);
    }
    if (rv == 0) {
        r->tick = env_timer_new(config->env, replica_on_tick, r);
        r->kick = env_timer_new(config->env, replica_on_kick, r);
        rv = r->tick && r->kick ? 0 : error_set(e, Q_NOMEM, "out of memory for a timer");
    }
    if (rv != 0) {
        replica_free(r);
        return rv;
    }
    r->config.joined = NULL; /* it was borrowed */
    *ret_replica = r;
    return 0;
}

int replica_start(struct replica *r, struct error *e)
{
    const struct store_position *at = applier_position(r->applier);
    struct peers_member members[PEERS_MAX];
    struct peers_config peers = {
        .env = r->config.env,
        .id = r->config.id,
        .incarnation = consensus_meta(r->consensus)->incarnation,
        .listen = r->listen,
        .api_address = r->api,
        .advertise = r->config.advertise,
        .members = members,
        .count = replica_dialled(r, members),
        .secret = r->secret,
        .secret_len = r->config.secret_len,
        .admit = replica_on_admit,
        .describe = replica_describe,
        .check = replica_on_check,
        .met = replica_on_met,
        .received = replica_on_received,
        .moved = replica_on_moved,
        .removed = replica_on_removed,
        .told_removed = replica_on_told_removed,
        .introduced = replica_on_introduced,
        .asked_to_join = replica_on_asked_to_join,
        .up = replica_on_up,
        .down = replica_on_down,
        .refused = replica_on_refused,
        .ctx = r,
    };
    int rv;

    memcpy(peers.cluster_id, r->cluster_id, sizeof peers.cluster_id);
    replica_say(
        r, "start id=%" PRIu64 " cluster=%s members=%u applied=%" PRIu64 " last=%" PRIu64 " term=%" PRIu64,
        r->config.id, r->name, members_count(r->members), at->index, consensus_last(r->consensus),
        consensus_term(r->consensus));
    r->told_term = consensus_term(r->consensus);
    replica_fence_at_start(r);
    rv = peers_open(&peers, &r->peers, e);
    if (rv == 0) {
        rv = replica_run(r, e);
    }
    if (rv == 0) {
        env_timer_start(r->config.env, r->tick, env_now_us(r->config.env) + REPLICA_TICK_MS * 1000);
    }
    return rv;
}

void replica_free(struct replica *r)
{
    if (r == NULL) {
        return;
    }
    env_timer_free(r->config.env, r->tick);
    env_timer_free(r->config.env, r->kick);
    peers_free(r->peers);
    replica_membership_free(r);
    ship_target_free(r->ship_target);
    ship_source_free(r->ship_source);
    images_free(r->images);
    compactor_free(r->compactor);
    repair_free(r->repair);
    requests_free(r->requests);
    calls_free(r->calls);
    served_free(r->served);
    forward_free(r->forward);
    divergence_free(r->divergence);
    applier_free(r->applier);
    batcher_free(r->batcher);
    consensus_free(r->consensus);
    store_close(r->store);
    members_free(r->members);
    space_free(r->space);
    env_close(r->config.env, r->lock);
    explicit_bzero(r->secret, sizeof r->secret);
    r->magic = 0;
    free(r);
}
