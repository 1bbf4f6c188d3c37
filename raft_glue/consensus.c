#include "raft_glue/consensus.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/object.h"
#include "raft_glue/driver.h"
#include "raft_glue/envelope.h"
#include "raft_glue/message.h"
#include "raft_glue/read_index.h"

enum {
    CONSENSUS_MAGIC = 0x51c0de01,
    INFLIGHT_MAX = 256,         /* AppendEntries messages to one follower */
    APPEND_BYTES = 1024 * 1024, /* of entries in one AppendEntries message */
};

enum counter {
    C_ELECTIONS,
    C_TERM_CHANGES,
    C_LEADER_CHANGES,
    C_MESSAGES_SENT,
    C_MESSAGES_RECEIVED,
    C_MESSAGES_REFUSED,
    C_READ_ROUNDS,
    C_READS,
    G_TERM,
    G_IS_LEADER,
    G_COMMIT,
    G_LAST,
    G_LOG_BYTES,
    G_LOG_WRITES,
    G_COLD_READS,
    CONSENSUS_COUNTERS
};

static const struct metric counter_table[CONSENSUS_COUNTERS] = {
    [C_ELECTIONS] = {METRIC_COUNTER, "quorate_raft_elections_won_total", NULL,
                     "Elections that this node won."},
    [C_TERM_CHANGES] = {METRIC_COUNTER, "quorate_raft_term_changes_total", NULL,
                        "Terms entered since the start."},
    [C_LEADER_CHANGES] = {METRIC_COUNTER, "quorate_raft_leader_changes_total", NULL,
                          "Changes of the known leader."},
    [C_MESSAGES_SENT] = {METRIC_COUNTER, "quorate_raft_messages_sent_total", NULL, "Raft messages sent."},
    [C_MESSAGES_RECEIVED] = {METRIC_COUNTER, "quorate_raft_messages_received_total", NULL,
                             "Raft messages received."},
    [C_MESSAGES_REFUSED] = {METRIC_COUNTER, "quorate_raft_messages_refused_total", NULL,
                            "Raft messages that did not decode."},
    [C_READ_ROUNDS] = {METRIC_COUNTER, "quorate_read_index_rounds_total", NULL,
                       "Rounds of peers for linearizable reads."},
    [C_READS] = {METRIC_COUNTER, "quorate_read_index_reads_total", NULL,
                 "Linearizable reads that asked for an index."},
    [G_TERM] = {METRIC_GAUGE, "quorate_raft_term", NULL, "Current term."},
    [G_IS_LEADER] = {METRIC_GAUGE, "quorate_raft_is_leader", NULL, "1 if this node leads."},
    [G_COMMIT] = {METRIC_GAUGE, "quorate_raft_commit_index", NULL, "Highest index known to be committed."},
    [G_LAST] = {METRIC_GAUGE, "quorate_raft_last_index", NULL, "Highest index in the log."},
    [G_LOG_BYTES] = {METRIC_COUNTER, "quorate_log_written_bytes_total", NULL,
                     "Bytes written to log segments."},
    [G_LOG_WRITES] = {METRIC_COUNTER, "quorate_log_writes_total", NULL, "Group writes to log segments."},
    [G_COLD_READS] = {METRIC_COUNTER, "quorate_log_cold_reads_total", NULL,
                      "Entries read back from segments."},
};

struct consensus {
    OBJECT_MAGIC;
    struct consensus_config config;
    char dir[META_SLOT_BYTES];
    struct meta *meta;
    struct log *log;
    struct driver *driver; /* NULL before consensus_start() */
    struct env_timer *timer;
    struct read_index reads;
    uint64_t read_deadline_ms;
    struct buf out;
    /* What the owner was last told of. */
    bool dirty, settling, dead;
    enum consensus_role role;
    uint64_t term, leader;
    struct metric counters[CONSENSUS_COUNTERS];
};

static struct consensus *consensus_of(void *ctx)
{
    return CAST(struct consensus, ctx, CONSENSUS_MAGIC);
}

static void die(struct consensus *c, const struct error *why)
{
    if (!c->dead) {
        c->dead = true;
        c->config.fatal(c->config.ctx, why);
    }
}

/* driver_io: what the core decided, done. */

static void io_save_vote(void *ctx, uint64_t term, uint64_t vote)
{
    struct consensus *c = consensus_of(ctx);
    struct meta_state state = *meta_state(c->meta);
    struct error e;

    state.term = term;
    state.vote = vote;
    if (!c->dead && meta_save(c->meta, &state, &e) != 0) {
        error_wrap(&e, "term %" PRIu64, term);
        die(c, &e);
    }
}

static uint64_t io_first(void *ctx)
{
    return log_first(consensus_of(ctx)->log);
}

static uint64_t io_last(void *ctx)
{
    return log_last(consensus_of(ctx)->log);
}

static uint64_t io_term(void *ctx, uint64_t index)
{
    return log_term(consensus_of(ctx)->log, index);
}

static bool io_get(void *ctx, uint64_t index, struct log_entry *ret_entry)
{
    struct error e;
    return log_get(consensus_of(ctx)->log, index, ret_entry, &e) == 0;
}

static void io_append(void *ctx, uint64_t term, enum log_entry_type type, const void *p, uint32_t len)
{
    struct consensus *c = consensus_of(ctx);
    struct error e;
    if (!c->dead && log_append(c->log, term, type, p, len, &e) != 0) {
        die(c, &e);
    }
}

static void io_truncate(void *ctx, uint64_t index)
{
    log_truncate(consensus_of(ctx)->log, index);
}

static void io_flush(void *ctx)
{
    log_flush(consensus_of(ctx)->log);
}

static void io_send(void *ctx, const struct raft_message *message)
{
    struct consensus *c = consensus_of(ctx);
    if (c->dead) {
        return; /* what would be said may depend on what could not be written */
    }
    buf_clear(&c->out);
    buf_put_u8(&c->out, ENVELOPE_CORE);
    message_encode(message, &c->out);
    if (c->out.failed == Q_OK) {
        metric_add(&c->counters[C_MESSAGES_SENT], 1);
        c->config.send(c->config.ctx, message->server_id, c->out.data, c->out.len);
    }
}

static void io_applicable(void *ctx, uint64_t index)
{
    (void)index;
    consensus_of(ctx)->dirty = true;
}

static void io_role(void *ctx, int state, uint64_t term, uint64_t leader)
{
    struct consensus *c = consensus_of(ctx);
    enum consensus_role role = state == RAFT_LEADER      ? CONSENSUS_LEADER
                               : state == RAFT_CANDIDATE ? CONSENSUS_CANDIDATE
                                                         : CONSENSUS_FOLLOWER;
    if (role == CONSENSUS_LEADER && c->role != CONSENSUS_LEADER) {
        metric_add(&c->counters[C_ELECTIONS], 1);
    }
    metric_add(&c->counters[C_TERM_CHANGES], term != c->term);
    metric_add(&c->counters[C_LEADER_CHANGES], leader != c->leader && leader != 0);
    c->role = role;
    c->term = term;
    c->leader = leader;
    c->dirty = true;
}

static void io_configuration(void *ctx, uint64_t index, const struct raft_configuration *configuration)
{
    (void)index;
    (void)configuration;
    consensus_of(ctx)->dirty = true;
}

/* The log is trimmed only below what every member has, so a leader of this version never has to send a
 * snapshot. */
static void io_fetch_snapshot(void *ctx, uint64_t from, uint64_t index, uint64_t term)
{
    struct consensus *c = consensus_of(ctx);
    struct error e;
    error_set(&e, Q_MISMATCH,
              "member %" PRIu64 " offers a snapshot at index %" PRIu64 " (term %" PRIu64
              ") because this node lacks entries before it: its directory must be replaced",
              from, index, term);
    die(c, &e);
}

static void io_install_snapshot(void *ctx, const struct raft_snapshot_metadata *metadata)
{
    (void)ctx;
    (void)metadata;
    assert(!"a snapshot that was never staged cannot be installed");
}

static const struct driver_io io = {
    .save_vote = io_save_vote,
    .first = io_first,
    .last = io_last,
    .term = io_term,
    .get = io_get,
    .append = io_append,
    .truncate = io_truncate,
    .flush = io_flush,
    .send = io_send,
    .applicable = io_applicable,
    .role = io_role,
    .configuration = io_configuration,
    .fetch_snapshot = io_fetch_snapshot,
    .install_snapshot = io_install_snapshot,
};

/* After every event: reads, the owner, the timer. */

static void view(const struct consensus *c, struct read_index_view *v)
{
    const struct raft_configuration *members = driver_configuration(c->driver);
    *v = (struct read_index_view){
        .leads = driver_own_term_committed(c->driver),
        .may_lead = driver_state(c->driver) == RAFT_LEADER,
        .term = driver_term(c->driver),
        .commit = driver_commit(c->driver),
        .self = c->config.id,
    };
    for (unsigned i = 0; i < members->n && v->count < READ_INDEX_VOTERS_MAX; i++) {
        if (members->servers[i].role == RAFT_VOTER) {
            v->voters[v->count++] = members->servers[i].id;
        }
    }
}

static void arm(struct consensus *c)
{
    uint64_t at = driver_deadline(c->driver);
    at = c->read_deadline_ms < at ? c->read_deadline_ms : at;
    env_timer_start(c->config.env, c->timer, at * 1000);
}

static void settle(struct consensus *c)
{
    struct read_index_view v;
    if (c->settling || c->dead) {
        return; /* the outer call goes round again */
    }
    c->settling = true;
    do {
        view(c, &v);
        c->read_deadline_ms = read_index_poll(&c->reads, &v, env_now_ms(c->config.env),
                                              c->config.heartbeat_ms, c->config.send, c->config.ctx);
        if (c->dirty) {
            c->dirty = false;
            c->config.changed(c->config.ctx);
        }
    } while (c->dirty && !c->dead);
    c->settling = false;
    if (!c->dead) {
        arm(c);
    }
}

/* For calls of the driver that must not fail. */
static void must(struct consensus *c, int rv, struct error *e, const char *what)
{
    if (rv != 0) {
        error_wrap(e, "consensus core, %s", what);
        die(c, e);
    } else {
        settle(c);
    }
}

static void on_timer(void *owner)
{
    struct consensus *c = consensus_of(owner);
    struct error e;
    uint64_t now = env_now_ms(c->config.env);
    if (c->dead) {
        return;
    }
    if (now >= driver_deadline(c->driver)) {
        must(c, driver_timeout(c->driver, now, &e), &e, "timeout");
    } else {
        settle(c);
    }
}

static void on_durable(void *ctx, uint64_t index)
{
    struct consensus *c = consensus_of(ctx);
    struct error e;
    if (!c->dead && c->driver != NULL) {
        must(c, driver_durable(c->driver, env_now_ms(c->config.env), index, &e), &e, "durable entries");
    }
}

static void on_log_failed(void *ctx, const struct error *why)
{
    die(consensus_of(ctx), why);
}

/* Opening. */

static int encode_members(const struct consensus_config *config, struct raft_buffer *ret_bytes,
                          struct error *e)
{
    struct raft_configuration members;
    int rv = 0;

    raft_configuration_init(&members);
    for (unsigned i = 0; i < config->count && rv == 0; i++) {
        rv = raft_configuration_add(&members, config->members[i].id, config->members[i].address, RAFT_VOTER);
    }
    if (rv == 0) {
        rv = raft_configuration_encode(&members, ret_bytes);
    }
    raft_configuration_close(&members);
    if (rv == RAFT_NOMEM) {
        return error_set(e, Q_NOMEM, "out of memory for the member list");
    }
    return rv == 0 ? 0
                   : error_set(e, Q_INVALID, "the member list is refused: an id or address is there twice");
}

static int open_meta(struct consensus *c, struct error *e)
{
    struct env *env = c->config.env;
    struct meta_state state = {.node_id = c->config.id, .term = 1};
    int rv = meta_open(env, c->dir, &c->meta, e);

    if (rv == Q_NOT_FOUND) {
        memcpy(state.cluster_id, c->config.cluster_id, CLUSTER_ID_BYTES);
        env_random(env, &state.incarnation, sizeof state.incarnation);
        return meta_create(env, c->dir, &state, &c->meta, e);
    }
    if (rv != 0) {
        return rv;
    }
    if (memcmp(meta_state(c->meta)->cluster_id, c->config.cluster_id, CLUSTER_ID_BYTES) != 0) {
        return error_set(e, Q_MISMATCH,
                         "%s belongs to another cluster (another name or another list of members)", c->dir);
    }
    if (meta_state(c->meta)->node_id != c->config.id) {
        return error_set(e, Q_MISMATCH, "%s belongs to node %" PRIu64 ", not to node %" PRIu64, c->dir,
                         meta_state(c->meta)->node_id, c->config.id);
    }
    return 0;
}

static int open_log(struct consensus *c, struct log_report *ret_report, struct error *e)
{
    const struct meta_state *state = meta_state(c->meta);
    struct log_config config = {
        .env = c->config.env,
        .dir = c->dir,
        .cluster = get_le64(state->cluster_id),
        .segment_bytes = c->config.segment_bytes,
        .cache_bytes = c->config.cache_bytes,
        .first_index = state->snapshot_index + 1,
        .before_term = state->snapshot_term,
        .durable = on_durable,
        .failed = on_log_failed,
        .ctx = c,
    };
    return log_open(&config, &c->log, ret_report, e);
}

/* Entry 1 of a new cluster: every member writes the same bytes, so they need not agree on it first. A node
 * that has voted had it once: there its absence is damage. */
static int bootstrap(struct consensus *c, struct error *e)
{
    const struct meta_state *state = meta_state(c->meta);
    struct raft_buffer bytes;
    int rv;

    if (log_last(c->log) > 0) {
        return 0;
    }
    if (state->term > 1 || state->vote != 0) {
        return error_set(e, Q_CORRUPT,
                         "the log in %s is empty, but this node has taken part in term %" PRIu64
                         ": its log is lost and it must not vote any more",
                         c->dir, state->term);
    }
    rv = encode_members(&c->config, &bytes, e);
    if (rv != 0) {
        return rv;
    }
    rv = log_append(c->log, 1, LOG_CONFIGURATION, bytes.base, (uint32_t)bytes.len, e);
    raft_free(bytes.base);
    log_flush(c->log);
    return rv;
}

int consensus_open(const struct consensus_config *config, struct consensus **ret_consensus,
                   struct log_report *ret_report, struct error *e)
{
    struct consensus *c = calloc(1, sizeof *c);
    struct log_report report;
    int rv;

    if (c == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for the consensus member");
    }
    c->magic = CONSENSUS_MAGIC;
    c->config = *config;
    c->role = CONSENSUS_FOLLOWER;
    memcpy(c->counters, counter_table, sizeof counter_table);
    for (unsigned i = 0; i < CONSENSUS_COUNTERS; i++) {
        list_init(&c->counters[i].link);
    }
    read_index_init(&c->reads, &c->counters[C_READ_ROUNDS], &c->counters[C_READS]);
    c->read_deadline_ms = UINT64_MAX;
    buf_init(&c->out, MESSAGE_BYTES_MAX + 1);
    if ((size_t)snprintf(c->dir, sizeof c->dir, "%s", config->dir) >= sizeof c->dir) {
        rv = error_set(e, Q_INVALID, "the directory's name is longer than %zu bytes", sizeof c->dir - 1);
        goto fail;
    }
    rv = open_meta(c, e);
    if (rv == 0) {
        rv = open_log(c, &report, e);
    }
    if (rv == 0) {
        rv = bootstrap(c, e);
    }
    if (rv != 0) {
        goto fail;
    }
    c->config.members = NULL;
    c->config.count = 0;
    *ret_report = report;
    *ret_consensus = c;
    return 0;

fail:
    consensus_free(c);
    return rv;
}

/* The metadata that stands for the log before its first entry. */
static int snapshot_metadata(const struct meta_state *state, struct raft_snapshot_metadata *ret_metadata,
                             struct error *e)
{
    struct raft_buffer bytes = {(void *)(uintptr_t)state->configuration, state->configuration_len};
    ret_metadata->index = state->snapshot_index;
    ret_metadata->term = state->snapshot_term;
    ret_metadata->configuration_index = state->configuration_index;
    if (raft_configuration_decode(&bytes, &ret_metadata->configuration) != 0) {
        return error_set(e, Q_CORRUPT, "the configuration in meta does not decode");
    }
    return 0;
}

int consensus_start(struct consensus *c, uint64_t applied, uint64_t applied_term, struct error *e)
{
    const struct meta_state *state = meta_state(c->meta);
    struct raft_snapshot_metadata metadata;
    struct driver_config config = {
        .id = c->config.id,
        .address = "self",
        .election_ms = c->config.election_ms,
        .heartbeat_ms = c->config.heartbeat_ms,
        .inflight_max = INFLIGHT_MAX,
        .message_bytes = APPEND_BYTES,
        .io = &io,
        .ctx = c,
        .term = state->term,
        .vote = state->vote,
        .applied = applied,
        .now_ms = env_now_ms(c->config.env),
        .guards = GUARD_ALL,
    };
    char address[32];
    int rv;

    if (applied + 1 < log_first(c->log)) {
        return error_set(e, Q_CORRUPT, "the database is at index %" PRIu64 " but the log begins at %" PRIu64,
                         applied, log_first(c->log));
    }
    if (applied > log_last(c->log)) {
        return error_set(e, Q_CORRUPT, "the database is at index %" PRIu64 " but the log ends at %" PRIu64,
                         applied, log_last(c->log));
    }
    if (applied > 0 && log_term(c->log, applied) != applied_term) {
        return error_set(e, Q_CORRUPT,
                         "the database applied index %" PRIu64 " in term %" PRIu64
                         " but the log has term %" PRIu64 " there",
                         applied, applied_term, log_term(c->log, applied));
    }
    snprintf(address, sizeof address, "%" PRIu64, c->config.id);
    config.address = address;
    env_random(c->config.env, &config.seed, sizeof config.seed);
    raft_configuration_init(&metadata.configuration);
    if (state->snapshot_index > 0) {
        rv = snapshot_metadata(state, &metadata, e);
        if (rv != 0) {
            return rv;
        }
        config.snapshot = &metadata;
    }
    c->timer = env_timer_new(c->config.env, on_timer, c);
    rv = c->timer == NULL ? error_set(e, Q_NOMEM, "out of memory for a timer")
                          : driver_new(&config, &c->driver, e);
    raft_configuration_close(&metadata.configuration);
    if (rv != 0) {
        return rv;
    }
    c->term = driver_term(c->driver);
    c->dirty = true;
    if (log_durable(c->log) > 0) {
        on_durable(
            c, log_durable(c->log)); /* the first entry may have become durable before there was a driver */
    } else {
        arm(c);
    }
    return 0;
}

void consensus_free(struct consensus *c)
{
    if (c == NULL) {
        return;
    }
    env_timer_free(c->config.env, c->timer);
    driver_free(c->driver);
    log_close(c->log);
    meta_close(c->meta);
    buf_close(&c->out);
    c->magic = 0;
    free(c);
}

/* Messages. */

static int receive_core(struct consensus *c, uint64_t from, const uint8_t *bytes, size_t n, struct error *e)
{
    struct raft_message message;
    struct error failed;
    char address[32];
    int rv;

    snprintf(address, sizeof address, "%" PRIu64, from);
    rv = message_decode(bytes, n, from, address, &message, e);
    if (rv != 0) {
        return rv;
    }
    rv = driver_receive(c->driver, env_now_ms(c->config.env), &message, &failed);
    message_close(&message, true);
    must(c, rv, &failed, "message");
    return 0;
}

static void answer_read(struct consensus *c, uint64_t from, uint64_t round)
{
    uint8_t bytes[READ_INDEX_BYTES];
    read_index_put(bytes, ENVELOPE_READ_ANSWER, driver_term(c->driver), round);
    c->config.send(c->config.ctx, from, bytes, sizeof bytes);
}

int consensus_receive(struct consensus *c, uint64_t from, const uint8_t *bytes, size_t n, struct error *e)
{
    struct cursor cursor = cursor_of(bytes, n);
    uint8_t kind = cursor_u8(&cursor);
    uint64_t term, round;

    if (c->dead || c->driver == NULL) {
        return 0; /* as if lost */
    }
    metric_add(&c->counters[C_MESSAGES_RECEIVED], 1);
    if (kind == ENVELOPE_CORE) {
        int rv = receive_core(c, from, bytes + 1, n - 1, e);
        metric_add(&c->counters[C_MESSAGES_REFUSED], rv != 0);
        return rv;
    }
    term = cursor_u64(&cursor);
    round = cursor_u64(&cursor);
    if ((kind != ENVELOPE_READ_ASK && kind != ENVELOPE_READ_ANSWER) || cursor.bad ||
        cursor_left(&cursor) != 0) {
        metric_add(&c->counters[C_MESSAGES_REFUSED], 1);
        return error_set(e, Q_CORRUPT, "a message of kind %u and %zu bytes is not understood", kind, n);
    }
    if (kind == ENVELOPE_READ_ASK) {
        answer_read(c, from, round);
    } else if (read_index_answer(&c->reads, from, term, round)) {
        settle(c);
    }
    return 0;
}

int consensus_submit(struct consensus *c, enum log_entry_type type, const void *p, uint32_t len,
                     struct error *e)
{
    struct error failed;
    int rv;
    if (c->dead || c->driver == NULL) {
        return error_set(e, Q_NOT_LEADER, "this node does not lead");
    }
    rv = driver_submit(c->driver, env_now_ms(c->config.env), type, p, len, &failed);
    if (rv == Q_NOT_LEADER) {
        return error_set(e, Q_NOT_LEADER, "%s", failed.text);
    }
    must(c, rv, &failed, "submit");
    return 0;
}

int consensus_transfer(struct consensus *c, uint64_t to, struct error *e)
{
    struct error failed;
    int rv;
    if (c->dead || c->driver == NULL) {
        return error_set(e, Q_NOT_LEADER, "this node does not lead");
    }
    rv = driver_transfer(c->driver, env_now_ms(c->config.env), to, &failed);
    if (rv == Q_NOT_LEADER || rv == Q_NOT_FOUND || rv == Q_INVALID || rv == Q_BUSY) {
        return error_set(e, (enum error_code)rv, "%s", failed.text);
    }
    must(c, rv, &failed, "transfer");
    return 0;
}

void consensus_read(struct consensus *c, struct consensus_read *read)
{
    read_index_add(&c->reads, read);
    /* A round that cannot finish at once may start now; everything else is answered from the timer, not in
     * here. */
    if (c->driver != NULL && !c->dead) {
        struct read_index_view v;
        view(c, &v);
        if (v.leads && v.count > 1 && list_empty(&c->reads.running)) {
            settle(c);
        } else {
            c->read_deadline_ms = v.leads && v.count > 1 ? c->read_deadline_ms : 0;
            arm(c);
        }
    }
}

void consensus_forget(struct consensus_read *read)
{
    list_remove(&read->link);
}

/* Compaction. */

int consensus_compact(struct consensus *c, uint64_t index, struct error *e)
{
    struct meta_state state = *meta_state(c->meta);
    struct raft_snapshot_metadata metadata = {.index = index, .term = log_term(c->log, index)};
    const struct raft_configuration *members =
        driver_committed_configuration(c->driver, &metadata.configuration_index);
    struct raft_buffer bytes;
    struct error failed;
    int rv;

    assert(index <= driver_applicable(c->driver) && metadata.term != 0);
    if (index <= state.snapshot_index) {
        return 0;
    }
    if (metadata.configuration_index > index || metadata.configuration_index == 0) {
        return error_set(e, Q_BUSY, "the configuration at index %" PRIu64 " is newer than index %" PRIu64,
                         metadata.configuration_index, index);
    }
    if (raft_configuration_encode(members, &bytes) != 0) {
        return error_set(e, Q_NOMEM, "out of memory for the configuration");
    }
    rv = bytes.len > sizeof state.configuration
             ? error_set(e, Q_TOO_BIG, "the configuration of %zu bytes is over the limit of %zu", bytes.len,
                         sizeof state.configuration)
             : 0;
    if (rv == 0) {
        memcpy(state.configuration, bytes.base, bytes.len);
        state.configuration_len = (uint32_t)bytes.len;
    }
    raft_free(bytes.base);
    if (rv != 0) {
        return rv;
    }
    state.snapshot_index = index;
    state.snapshot_term = metadata.term;
    state.configuration_index = metadata.configuration_index;
    metadata.configuration = *members; /* borrowed: the driver copies */
    rv = meta_save(c->meta, &state, &failed);
    if (rv != 0) {
        die(c, &failed);
        return error_set(e, failed.code, "%s", failed.text);
    }
    rv = driver_compacted(c->driver, env_now_ms(c->config.env), &metadata, 0, &failed);
    if (rv == 0) {
        log_trim(c->log, index + 1);
    }
    must(c, rv, &failed, "compaction");
    return 0;
}

int consensus_admit(struct consensus *c, uint64_t id, uint64_t incarnation, struct error *e)
{
    struct meta_state state = *meta_state(c->meta);
    struct error failed;

    for (uint32_t i = 0; i < state.peers; i++) {
        if (state.peer[i].id == id) {
            return state.peer[i].incarnation == incarnation
                       ? 0
                       : error_set(e, Q_CONFLICT,
                                   "node id %" PRIu64 " is taken: it was incarnation %016" PRIx64
                                   ", and now another directory (incarnation %016" PRIx64 ") claims it",
                                   id, state.peer[i].incarnation, incarnation);
        }
    }
    if (state.peers == META_PEERS_MAX) {
        return error_set(e, Q_TOO_BIG, "more than %d nodes were met", META_PEERS_MAX);
    }
    state.peer[state.peers++] = (struct meta_peer){id, incarnation};
    if (meta_save(c->meta, &state, &failed) != 0) {
        die(c, &failed);
        return error_set(e, failed.code, "%s", failed.text);
    }
    return 0;
}

/* State. */

enum consensus_role consensus_role(const struct consensus *c)
{
    return c->role;
}

bool consensus_leads(const struct consensus *c)
{
    return c->driver != NULL && !c->dead && driver_state(c->driver) == RAFT_LEADER &&
           !driver_transferring(c->driver);
}

uint64_t consensus_term(const struct consensus *c)
{
    return c->driver ? driver_term(c->driver) : meta_state(c->meta)->term;
}

uint64_t consensus_leader(const struct consensus *c)
{
    return c->driver ? driver_leader(c->driver) : 0;
}

uint64_t consensus_commit(const struct consensus *c)
{
    return c->driver ? driver_commit(c->driver) : 0;
}

uint64_t consensus_applicable(const struct consensus *c)
{
    return c->driver ? driver_applicable(c->driver) : 0;
}

uint64_t consensus_first(const struct consensus *c)
{
    return log_first(c->log);
}

uint64_t consensus_last(const struct consensus *c)
{
    return log_last(c->log);
}

uint64_t consensus_durable(const struct consensus *c)
{
    return log_durable(c->log);
}

uint64_t consensus_compacted_index(const struct consensus *c)
{
    return meta_state(c->meta)->snapshot_index;
}

uint32_t consensus_entry_max(const struct consensus *c)
{
    return log_entry_max(c->log);
}

bool consensus_is_voter(const struct consensus *c, uint64_t id)
{
    const struct raft_configuration *members = c->driver ? driver_configuration(c->driver) : NULL;
    for (unsigned i = 0; members != NULL && i < members->n; i++) {
        if (members->servers[i].id == id) {
            return members->servers[i].role == RAFT_VOTER;
        }
    }
    return false;
}

uint64_t consensus_match(const struct consensus *c, uint64_t id)
{
    if (c->driver == NULL || driver_state(c->driver) != RAFT_LEADER) {
        return 0;
    }
    return id == c->config.id ? log_durable(c->log) : driver_match(c->driver, id);
}

uint64_t consensus_floor(const struct consensus *c)
{
    const struct raft_configuration *members;
    uint64_t floor = UINT64_MAX;
    if (c->driver == NULL || driver_state(c->driver) != RAFT_LEADER) {
        return 0;
    }
    members = driver_configuration(c->driver);
    for (unsigned i = 0; i < members->n; i++) {
        uint64_t match = consensus_match(c, members->servers[i].id);
        floor = match < floor ? match : floor;
    }
    return floor == UINT64_MAX ? 0 : floor;
}

const struct meta_state *consensus_meta(const struct consensus *c)
{
    return meta_state(c->meta);
}

int consensus_entry(struct consensus *c, uint64_t index, struct log_entry *ret_entry, struct error *e)
{
    return log_get(c->log, index, ret_entry, e);
}

uint64_t consensus_bytes_since_compaction(const struct consensus *c)
{
    return log_bytes_from(c->log, log_first(c->log));
}

void consensus_metrics(struct consensus *c, struct metrics *metrics)
{
    metrics_register(metrics, c->counters, CONSENSUS_COUNTERS);
}
