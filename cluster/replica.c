#include "cluster/replica.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/object.h"
#include "cluster/cluster_id.h"
#include "cluster/compactor.h"
#include "cluster/requests.h"
#include "raft_glue/applier.h"

enum {
    REPLICA_MAGIC = 0x51c0de06,
    TICK_MS = 50,
    BACKLOG_MAX = 64,    /* entries committed but not yet applied, beyond which commands wait */
    STOP_MS = 2000,      /* for handing over and for what is under way */
    ANSWER_EXTRA = 1024, /* of a forwarded answer besides its result */
};

enum frame_type { FRAME_CONSENSUS = 1, FRAME_QUESTION = 2, FRAME_ANSWER = 3 };

struct replica {
    OBJECT_MAGIC;
    struct replica_config config;
    char dir[REPLICA_DIR_MAX], name[256], listen[PEERS_ADDRESS_MAX + 1], api[PEERS_ADDRESS_MAX + 1];
    struct peers_member members[PEERS_MAX];
    uint8_t secret[PEERS_SECRET_MAX];
    uint8_t cluster_id[CLUSTER_ID_BYTES];

    struct env_file *lock;
    struct store *store;
    struct consensus *consensus;
    struct batcher *batcher;
    struct applier *applier;
    struct forward *forward;
    struct requests *requests;
    struct compactor *compactor;
    struct peers *peers;
    struct env_timer *tick, *kick;
    struct list waits; /* struct replica_wait */

    enum consensus_role told_role; /* what the operator's log said last */
    uint64_t told_term, told_leader;
    uint64_t term_changes, leader_changes;
    bool fenced, dead;
    void (*stopped)(void *ctx);
    void *stopped_ctx;
    uint64_t stop_deadline_ms;
    bool peers_closing;
};

static struct replica *replica_of(void *ctx)
{
    return CAST(struct replica, ctx, REPLICA_MAGIC);
}

static void say(struct replica *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct replica *r, const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    r->config.log(r->config.ctx, line);
}

static void on_fatal(void *ctx, const struct error *why)
{
    struct replica *r = replica_of(ctx);
    if (!r->dead) {
        r->dead = true;
        r->config.fatal(r->config.ctx, why);
    }
}

/* The parts, tied together. */

static void poll_batcher(struct replica *r)
{
    const struct store_position *at = applier_position(r->applier);
    struct batcher_position position = {
        .applied = at->index, .time_ms = at->time_ms, .digest_index = at->index};
    memcpy(position.digest, at->digest, DIGEST_BYTES);
    batcher_poll(r->batcher, &position);
}

static void on_kick(void *owner)
{
    struct replica *r = replica_of(owner);
    if (!r->dead) {
        poll_batcher(r);
    }
}

/* From a timer, not at once: requests that arrive together share a batch, and no answer comes inside
 * replica_submit(). */
static void kick(struct replica *r)
{
    env_timer_start(r->config.env, r->kick, 0);
}

static void tell_role(struct replica *r)
{
    static const char *const names[] = {"follower", "candidate", "leader"};
    enum consensus_role role = consensus_role(r->consensus);
    uint64_t term = consensus_term(r->consensus), leader = consensus_leader(r->consensus);

    if (role == r->told_role && term == r->told_term && leader == r->told_leader) {
        return;
    }
    r->term_changes += term != r->told_term;
    r->leader_changes += leader != r->told_leader && leader != 0;
    if (role != r->told_role || leader != r->told_leader) {
        say(r, "role state=%s term=%" PRIu64 " leader=%" PRIu64 " last=%" PRIu64 " commit=%" PRIu64,
            names[role], term, leader, consensus_last(r->consensus), consensus_commit(r->consensus));
    }
    r->told_role = role;
    r->told_term = term;
    r->told_leader = leader;
}

static void on_changed(void *ctx)
{
    struct replica *r = replica_of(ctx);
    if (r->dead) {
        return;
    }
    tell_role(r);
    applier_poll(r->applier);
    poll_batcher(r);
}

static void on_applied(void *ctx, uint64_t index, uint64_t term, struct cursor results)
{
    batcher_applied(replica_of(ctx)->batcher, index, term, results);
}

static void reach_waits(struct replica *r)
{
    uint64_t applied = applier_position(r->applier)->index;
    uint64_t now = env_now_ms(r->config.env);
    struct error late;

    error_set(&late, Q_TIMEOUT, "this node did not reach the index in time");
    LIST_EACH_SAFE (&r->waits, item) {
        struct replica_wait *wait = CONTAINER_OF(item, struct replica_wait, link);
        bool reached = applied >= wait->index;
        if (reached || now >= wait->deadline_ms) {
            list_remove(&wait->link);
            wait->reached(wait, reached ? NULL : &late);
        }
    }
}

static void on_advanced(void *ctx)
{
    struct replica *r = replica_of(ctx);
    if (r->dead) {
        return;
    }
    requests_advanced(r->requests);
    reach_waits(r);
    poll_batcher(r);
    compactor_poll(r->compactor, applier_position(r->applier)->index, applier_floor(r->applier));
}

static void on_diverged(void *ctx, uint64_t index)
{
    struct replica *r = replica_of(ctx);
    r->fenced = true;
    say(r, "diverged index=%" PRIu64 " action=fenced", index);
}

static void consensus_sends(void *ctx, uint64_t to, const uint8_t *bytes, size_t n)
{
    struct replica *r = replica_of(ctx);
    if (r->peers != NULL) {
        peers_send(r->peers, to, PEERS_URGENT, FRAME_CONSENSUS, bytes, n);
    }
}

static bool forward_sends(void *ctx, uint64_t to, uint8_t type, const void *body, size_t n)
{
    struct replica *r = replica_of(ctx);
    return r->peers != NULL && peers_send(r->peers, to, PEERS_BULK, type, body, n);
}

static void on_question(void *ctx, const struct forward_question *question, const uint8_t *command, size_t n)
{
    struct replica *r = replica_of(ctx);
    requests_serve(r->requests, question, command, n);
    kick(r);
}

static uint64_t applied_now(void *ctx)
{
    return applier_position(replica_of(ctx)->applier)->index;
}

static uint64_t leader_contact_ms(void *ctx)
{
    struct replica *r = replica_of(ctx);
    uint64_t leader = consensus_leader(r->consensus);
    uint64_t heard;
    if (consensus_role(r->consensus) == CONSENSUS_LEADER) {
        return 0;
    }
    heard = leader && r->peers ? peers_last_received_ms(r->peers, leader) : 0;
    return heard ? env_now_ms(r->config.env) - heard : UINT64_MAX;
}

static bool is_fenced(void *ctx)
{
    return replica_of(ctx)->fenced;
}

static int on_admit(void *ctx, uint64_t id, uint64_t incarnation, struct error *e)
{
    return consensus_admit(replica_of(ctx)->consensus, id, incarnation, e);
}

static void on_received(void *ctx, uint64_t from, uint8_t type, const uint8_t *body, size_t n)
{
    struct replica *r = replica_of(ctx);
    struct error e;
    int rv = 0;

    if (r->dead) {
        return;
    }
    if (type == FRAME_CONSENSUS) {
        rv = consensus_receive(r->consensus, from, body, n, &e);
    } else if (type == FRAME_QUESTION || type == FRAME_ANSWER) {
        rv = forward_received(r->forward, from, type, body, n, &e);
    } else {
        rv = error_set(&e, Q_MISMATCH, "frame type %u is not known", type);
    }
    if (rv != 0) {
        say(r, "frame_refused from=%" PRIu64 " error=\"%s\"", from, e.text);
    }
}

static void on_up(void *ctx, uint64_t id)
{
    say(replica_of(ctx), "peer_up id=%" PRIu64, id);
}

static void on_down(void *ctx, uint64_t id)
{
    struct replica *r = replica_of(ctx);
    say(r, "peer_down id=%" PRIu64, id);
    forward_down(r->forward, id);
}

static void on_refused(void *ctx, const char *who, const struct error *why)
{
    say(replica_of(ctx), "peer_refused who=%s error=\"%s\"", who, why->text);
}

static void on_compacted(void *ctx, uint64_t index, const struct error *failed)
{
    struct replica *r = replica_of(ctx);
    if (failed != NULL) {
        on_fatal(r, failed);
    } else {
        say(r, "compacted index=%" PRIu64 " log_first=%" PRIu64, index, consensus_first(r->consensus));
    }
}

/* Opening. */

static int copy_config(struct replica *r, const struct replica_config *config, struct error *e)
{
    const char *own = NULL;

    r->config = *config;
    if (config->count == 0 || config->count > PEERS_MAX) {
        return error_set(e, Q_INVALID, "a cluster has 1 to %d members, not %u", PEERS_MAX, config->count);
    }
    memcpy(r->members, config->members, config->count * sizeof *config->members);
    for (unsigned i = 0; i < config->count; i++) {
        own = r->members[i].id == config->id ? r->members[i].address : own;
        for (unsigned j = 0; j < i; j++) {
            if (r->members[i].id == r->members[j].id ||
                strcmp(r->members[i].address, r->members[j].address) == 0) {
                return error_set(e, Q_INVALID,
                                 "members %u and %u have the same id or address (%" PRIu64 ", %s)", j + 1,
                                 i + 1, r->members[i].id, r->members[i].address);
            }
        }
    }
    if (own == NULL) {
        return error_set(e, Q_INVALID, "node id %" PRIu64 " is not in the list of members", config->id);
    }
    if (config->secret_len > sizeof r->secret) {
        return error_set(e, Q_INVALID, "the cluster secret is longer than %zu bytes", sizeof r->secret);
    }
    memcpy(r->secret, config->secret, config->secret_len);
    if ((size_t)snprintf(r->dir, sizeof r->dir, "%s", config->dir) >= sizeof r->dir - 32) {
        return error_set(e, Q_INVALID, "the directory's name is longer than %zu bytes", sizeof r->dir - 33);
    }
    snprintf(r->name, sizeof r->name, "%s", config->cluster_name);
    snprintf(r->listen, sizeof r->listen, "%s", config->listen ? config->listen : own);
    snprintf(r->api, sizeof r->api, "%s", config->api_address ? config->api_address : "");
    r->config.members = r->members;
    r->config.secret = r->secret;
    r->config.dir = r->dir;
    r->config.cluster_name = r->name;
    r->config.listen = r->listen;
    r->config.api_address = r->api;
    cluster_id_make(r->name, r->members, config->count, r->cluster_id);
    return 0;
}

static uint64_t elapsed_ns(void *ctx)
{
    return env_now_us(ctx) * 1000;
}

static int open_store(struct replica *r, struct error *e)
{
    char path[REPLICA_DIR_MAX];
    struct store_config config = {
        .path = r->config.in_memory ? NULL : path,
        .vfs = r->config.vfs,
        .readers = r->config.readers,
        .result_max = r->config.result_max,
        .foreign_keys = r->config.foreign_keys,
        .elapsed_ns = elapsed_ns,
        .ctx = r->config.env,
    };
    snprintf(path, sizeof path, "%.*s/db.sqlite", (int)sizeof path - 16, r->dir);
    return store_open(&config, &r->store, e);
}

static int open_consensus(struct replica *r, struct error *e)
{
    struct consensus_server servers[PEERS_MAX];
    struct log_report report;
    struct consensus_config config = {
        .env = r->config.env,
        .dir = r->dir,
        .id = r->config.id,
        .members = servers,
        .count = r->config.count,
        .election_ms = r->config.election_ms,
        .heartbeat_ms = r->config.heartbeat_ms,
        .segment_bytes = r->config.segment_bytes,
        .cache_bytes = r->config.cache_bytes,
        .send = consensus_sends,
        .changed = on_changed,
        .fatal = on_fatal,
        .ctx = r,
    };
    int rv;

    memcpy(config.cluster_id, r->cluster_id, CLUSTER_ID_BYTES);
    for (unsigned i = 0; i < r->config.count; i++) {
        servers[i] = (struct consensus_server){r->members[i].id, r->members[i].address};
    }
    rv = consensus_open(&config, &r->consensus, &report, e);
    if (rv == 0) {
        say(r, "log_opened first=%" PRIu64 " last=%" PRIu64 " segments=%" PRIu64 " torn_bytes=%" PRIu64,
            report.first, report.last, report.segments, report.torn_bytes);
    }
    return rv;
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
    };
    struct applier_config applier = {
        .env = env,
        .consensus = r->consensus,
        .store = r->store,
        .applied = on_applied,
        .advanced = on_advanced,
        .diverged = on_diverged,
        .fatal = on_fatal,
        .ctx = r,
    };
    struct forward_config forward = {
        .env = env,
        .grace_ms = r->config.election_ms / 2,
        .send = forward_sends,
        .question_type = FRAME_QUESTION,
        .answer_type = FRAME_ANSWER,
        .asked = on_question,
        .answer_max = r->config.result_max + ANSWER_EXTRA,
        .ctx = r,
    };
    struct requests_config requests = {
        .env = env,
        .id = r->config.id,
        .consensus = r->consensus,
        .store = r->store,
        .result_max = r->config.result_max,
        .applied = applied_now,
        .leader_contact_ms = leader_contact_ms,
        .fenced = is_fenced,
        .ctx = r,
    };
    struct compactor_config compactor = {
        .env = env,
        .consensus = r->consensus,
        .store = r->store,
        /* A database in memory is rebuilt from the log: nothing of it may go. */
        .bytes = r->config.in_memory ? UINT64_MAX : r->config.compact_bytes,
        .done = on_compacted,
        .ctx = r,
    };
    int rv = batcher_new(&batcher, &r->batcher, e);

    if (rv == 0) {
        rv = applier_new(&applier, &r->applier, e);
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
        rv = compactor_new(&compactor, &r->compactor, e);
    }
    return rv;
}

static void on_tick(void *owner);

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
    rv = copy_config(r, config, e);
    if (rv == 0) {
        rv = env_make_dir(config->env, r->dir, e);
    }
    if (rv == 0) {
        snprintf(lock, sizeof lock, "%.*s/lock", (int)sizeof lock - 8, r->dir);
        rv = env_lock(config->env, lock, &r->lock, e);
    }
    if (rv == 0) {
        rv = open_consensus(r, e);
    }
    if (rv == 0) {
        rv = open_store(r, e);
    }
    if (rv == 0) {
        rv = make_parts(r, e);
    }
    if (rv == 0) {
        r->tick = env_timer_new(config->env, on_tick, r);
        r->kick = env_timer_new(config->env, on_kick, r);
        rv = r->tick && r->kick ? 0 : error_set(e, Q_NOMEM, "out of memory for a timer");
    }
    if (rv != 0) {
        replica_free(r);
        return rv;
    }
    *ret_replica = r;
    return 0;
}

int replica_start(struct replica *r, struct error *e)
{
    const struct store_position *at = applier_position(r->applier);
    struct peers_config peers = {
        .env = r->config.env,
        .id = r->config.id,
        .incarnation = consensus_meta(r->consensus)->incarnation,
        .listen = r->listen,
        .api_address = r->api,
        .members = r->members,
        .count = r->config.count,
        .secret = r->secret,
        .secret_len = r->config.secret_len,
        .admit = on_admit,
        .received = on_received,
        .up = on_up,
        .down = on_down,
        .refused = on_refused,
        .ctx = r,
    };
    int rv;

    memcpy(peers.cluster_id, r->cluster_id, sizeof peers.cluster_id);
    say(r, "start id=%" PRIu64 " cluster=%s members=%u applied=%" PRIu64 " last=%" PRIu64 " term=%" PRIu64,
        r->config.id, r->name, r->config.count, at->index, consensus_last(r->consensus),
        consensus_term(r->consensus));
    r->told_term = consensus_term(r->consensus);
    rv = peers_open(&peers, &r->peers, e);
    if (rv == 0) {
        rv = consensus_start(r->consensus, at->index, at->term, e);
    }
    if (rv == 0) {
        env_timer_start(r->config.env, r->tick, env_now_us(r->config.env) + TICK_MS * 1000);
    }
    return rv;
}

/* Stopping: hand over, let what is under way end, close the connections, make the database durable. */

static void after_checkpoint(void *ctx)
{
    struct replica *r = replica_of(ctx);
    say(r, "stopped applied=%" PRIu64, applier_position(r->applier)->index);
    r->stopped(r->stopped_ctx);
}

static void on_peers_closed(void *ctx)
{
    struct replica *r = replica_of(ctx);
    r->peers = NULL;
    compactor_finish(r->compactor, after_checkpoint, r);
}

static void continue_stop(struct replica *r)
{
    bool late = env_now_ms(r->config.env) >= r->stop_deadline_ms;
    bool leads = consensus_role(r->consensus) == CONSENSUS_LEADER && r->config.count > 1;

    if (r->peers_closing) {
        return;
    }
    if (late) {
        batcher_stop(r->batcher);
    }
    if ((requests_idle(r->requests) && !leads) || late) {
        applier_stop(r->applier);
        if (applier_idle(r->applier) && requests_idle(r->requests)) {
            r->peers_closing = true;
            env_timer_stop(r->config.env, r->tick);
            peers_close(r->peers, on_peers_closed);
        }
    }
}

void replica_stop(struct replica *r, void (*stopped)(void *ctx))
{
    struct error e;

    r->stopped = stopped;
    r->stopped_ctx = r->config.ctx;
    r->stop_deadline_ms = env_now_ms(r->config.env) + STOP_MS;
    say(r, "stopping");
    requests_stop(r->requests);
    if (consensus_leads(r->consensus) && r->config.count > 1 &&
        consensus_transfer(r->consensus, 0, &e) != 0) {
        say(r, "transfer_failed error=\"%s\"", e.text);
    }
}

static void on_tick(void *owner)
{
    struct replica *r = replica_of(owner);
    if (r->dead) {
        return;
    }
    env_timer_start(r->config.env, r->tick, env_now_us(r->config.env) + TICK_MS * 1000);
    forward_tick(r->forward, consensus_leader(r->consensus));
    requests_tick(r->requests);
    reach_waits(r);
    if (r->stopped != NULL) {
        continue_stop(r);
    }
}

void replica_free(struct replica *r)
{
    if (r == NULL) {
        return;
    }
    env_timer_free(r->config.env, r->tick);
    env_timer_free(r->config.env, r->kick);
    if (r->peers != NULL) {
        peers_close(r->peers, NULL);
    }
    compactor_free(r->compactor);
    requests_free(r->requests);
    forward_free(r->forward);
    applier_free(r->applier);
    batcher_free(r->batcher);
    consensus_free(r->consensus);
    store_close(r->store);
    env_close(r->config.env, r->lock);
    explicit_bzero(r->secret, sizeof r->secret);
    r->magic = 0;
    free(r);
}

/* Doors. */

void replica_submit(struct replica *r, struct replica_request *request)
{
    requests_submit(r->requests, request);
    kick(r);
}

void replica_wait(struct replica *r, struct replica_wait *wait)
{
    list_push(&r->waits, &wait->link); /* the next tick looks, at the latest */
}

int replica_transfer(struct replica *r, uint64_t to, struct error *e)
{
    return consensus_transfer(r->consensus, to, e);
}

static void member_status(struct replica *r, const struct peers_member *member, struct replica_member *to)
{
    bool self = member->id == r->config.id;
    uint64_t heard = self || r->peers == NULL ? 0 : peers_last_received_ms(r->peers, member->id);

    *to = (struct replica_member){
        .id = member->id,
        .voter = consensus_is_voter(r->consensus, member->id),
        .leader = member->id == consensus_leader(r->consensus),
        .reachable = self || (r->peers != NULL && peers_connected(r->peers, member->id)),
        .match = consensus_match(r->consensus, member->id),
        .last_heard_ms = heard ? env_now_ms(r->config.env) - heard : 0,
    };
    memcpy(to->address, member->address, sizeof to->address);
    snprintf(to->api_address, sizeof to->api_address, "%s",
             self       ? r->api
             : r->peers ? peers_api_address(r->peers, member->id)
                        : "");
}

void replica_status(struct replica *r, struct replica_status *ret_status)
{
    static const char *const names[] = {"follower", "candidate", "leader"};
    const struct store_position *at = applier_position(r->applier);
    struct replica_status *s = ret_status;

    memset(s, 0, sizeof *s);
    s->id = r->config.id;
    s->term = consensus_term(r->consensus);
    s->leader = consensus_leader(r->consensus);
    s->state = r->stopped ? "stopping" : names[consensus_role(r->consensus)];
    memcpy(s->cluster_id, r->cluster_id, sizeof s->cluster_id);
    memcpy(s->cluster_name, r->name, sizeof s->cluster_name);
    s->incarnation = consensus_meta(r->consensus)->incarnation;
    s->log_first = consensus_first(r->consensus);
    s->log_last = consensus_last(r->consensus);
    s->log_durable = consensus_durable(r->consensus);
    s->commit = consensus_commit(r->consensus);
    s->applied = at->index;
    memcpy(s->digest, at->digest, DIGEST_BYTES);
    s->snapshot_index = consensus_compacted_index(r->consensus);
    s->last_leader_contact_ms = leader_contact_ms(r);
    s->ready = s->leader != 0 && at->term == s->term && !r->fenced && r->stopped == NULL;
    s->term_changes = r->term_changes;
    s->leader_changes = r->leader_changes;
    s->fenced = r->fenced;
    s->count = r->config.count;
    for (unsigned i = 0; i < r->config.count; i++) {
        member_status(r, &r->members[i], &s->members[i]);
    }
}

void replica_metrics(struct replica *r, struct metrics *metrics)
{
    consensus_metrics(r->consensus, metrics);
    batcher_metrics(r->batcher, metrics);
    applier_metrics(r->applier, metrics);
    requests_metrics(r->requests, metrics);
    peers_metrics(r->peers, metrics);
}
