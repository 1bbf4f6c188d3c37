/* A member from its directory to its running core. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/plant.h"
#include "raft_glue/consensus_impl.h"

enum {
    INFLIGHT_MAX = 8192, /* entries sent to one follower and not acknowledged */
    PAST_MAX = 64,
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

/* The member with the lowest id above AFTER; NULL if there is none. */
static const struct consensus_server *next_member(const struct consensus_config *config, uint64_t after)
{
    const struct consensus_server *next = NULL;
    for (unsigned i = 0; i < config->count; i++) {
        const struct consensus_server *member = &config->members[i];
        if (member->id > after && (next == NULL || member->id < next->id)) {
            next = member;
        }
    }
    return next;
}

/* In the order of their ids, whatever order they were given in. */
int consensus_encode_members(const struct consensus_config *config, struct raft_buffer *ret_bytes,
                             struct error *e)
{
    struct raft_configuration members;
    const struct consensus_server *member = next_member(config, 0);
    int rv = 0;

    raft_configuration_init(&members);
    for (; member != NULL && rv == 0; member = next_member(config, member->id)) {
        rv = raft_configuration_add(&members, member->id, member->address, RAFT_VOTER);
    }
    if (rv == 0 && members.n < config->count) {
        rv = RAFT_DUPLICATEID;
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

/* What is made only after meta was durable. */
static void look_for_past(void *ctx, const char *name)
{
    static const char *const made[] = {"log", "db.sqlite"};
    char *found = ctx;

    for (unsigned i = 0; i < sizeof made / sizeof made[0]; i++) {
        if (strncmp(name, made[i], strlen(made[i])) == 0) {
            snprintf(found, PAST_MAX, "%s", name);
        }
    }
}

/* A directory without meta is a new one, or one that has lost it. */
static int create_meta(struct consensus *c, struct error *e)
{
    struct meta_state state = {
        .node_id = c->config.id,
        .incarnation = c->config.incarnation,
        .term = 1,
        .boots = 1,
        .founder = c->config.founder,
        .log_first = 1,
    };
    char past[PAST_MAX] = "";
    int rv = env_list_dir(c->config.env, c->dir, look_for_past, past, e);

    if (rv == 0 && past[0] != '\0' && !PLANTED("lost_meta_is_a_new_node")) {
        return error_set(
            e, Q_CORRUPT,
            "%s/meta is missing, but %s/%s is there: who this node is, its term and its vote are lost, "
            "and it must not vote any more: replace it by a new member",
            c->dir, c->dir, past);
    }
    if (rv == 0 && c->config.id == 0) {
        rv = error_set(e, Q_INVALID, "%s is a new directory: the node has no id", c->dir);
    }
    if (rv != 0) {
        return rv;
    }
    memcpy(state.cluster_id, c->config.cluster_id, CLUSTER_ID_BYTES);
    memcpy(state.origin, c->config.origin, META_ORIGIN_BYTES);
    if (state.incarnation == 0) {
        env_random(c->config.env, &state.incarnation, sizeof state.incarnation);
    }
    env_random(c->config.env, &state.marks[state.boots % META_MARKS], sizeof state.marks[0]);
    return meta_create(c->config.env, c->dir, &state, &c->meta, e);
}

/* Durable before anybody hears of it, so no two lives of this node have both number and mark. */
static int count_boot(struct consensus *c, struct error *e)
{
    struct meta_state state = *meta_state(c->meta);

    state.boots++;
    env_random(c->config.env, &state.marks[state.boots % META_MARKS], sizeof state.marks[0]);
    return meta_save(c->meta, &state, e);
}

static int open_meta(struct consensus *c, struct error *e)
{
    int rv = meta_open(c->config.env, c->dir, &c->meta, e);

    if (rv == Q_NOT_FOUND) {
        return create_meta(c, e);
    }
    if (rv != 0) {
        return rv;
    }
    if (meta_state(c->meta)->retired) {
        return error_set(
            e, Q_CONFLICT,
            "%s was found to be an old copy of its node's disk: it must not vote any more. Put the "
            "newest disk back, or replace the node by a new member",
            c->dir);
    }
    if (c->config.any_cluster) {
        memcpy(c->config.cluster_id, meta_state(c->meta)->cluster_id, CLUSTER_ID_BYTES);
    }
    if (c->config.id == 0) {
        c->config.id = meta_state(c->meta)->node_id;
    }
    if (memcmp(meta_state(c->meta)->cluster_id, c->config.cluster_id, CLUSTER_ID_BYTES) != 0 &&
        !PLANTED("directory_of_another_cluster_is_taken")) {
        return error_set(e, Q_MISMATCH,
                         "%s belongs to another cluster (another name, another list of members "
                         "or another setting of foreign-keys or sql-instructions)",
                         c->dir);
    }
    if (meta_state(c->meta)->node_id != c->config.id) {
        return error_set(e, Q_MISMATCH, "%s belongs to node %" PRIu64 ", not to node %" PRIu64, c->dir,
                         meta_state(c->meta)->node_id, c->config.id);
    }
    return count_boot(c, e);
}

/* Entry 1 of a new cluster: every founder writes the same bytes, so they need not agree on it first. A
 * founder that has voted had it once: there its absence is damage. Any other node waits for a leader to send
 * it, and may vote before that. */
static int bootstrap(struct consensus *c, struct error *e)
{
    const struct meta_state *state = meta_state(c->meta);
    struct raft_buffer bytes;
    int rv;

    if (log_damaged(c->log) || log_last(c->log) > 0) {
        return 0;
    }
    bool had_entries = state->founder ? state->term > 1 || state->vote != 0 : state->begun;
    if (had_entries && !PLANTED("lost_log_is_begun_anew")) {
        return error_set(e, Q_CORRUPT,
                         "the log in %s is empty, but this node has taken part in term %" PRIu64
                         ": its log is lost and it must not vote any more",
                         c->dir, state->term);
    }
    if (!state->founder) {
        return 0;
    }
    if (c->config.count == 0) {
        return error_set(
            e, Q_NOT_FOUND,
            "%s was made, but its first configuration was not written any more: the list of members is "
            "needed once again",
            c->dir);
    }
    rv = consensus_encode_members(&c->config, &bytes, e);
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
    buf_init(&c->image, META_CONFIGURATION_MAX);
    if ((size_t)snprintf(c->dir, sizeof c->dir, "%s", config->dir) >= sizeof c->dir) {
        rv = error_set(e, Q_INVALID, "the directory's name is longer than %zu bytes", sizeof c->dir - 1);
        goto fail;
    }
    c->timer = env_timer_new(c->config.env, consensus_on_timer, c);
    if (c->timer == NULL) {
        rv = error_set(e, Q_NOMEM, "out of memory for a timer");
        goto fail;
    }
    rv = open_meta(c, e);
    if (rv == 0) {
        consensus_load_met(c);
        c->removed = meta_state(c->meta)->removed && !PLANTED("removed_node_campaigns");
        rv = consensus_finish_install(c, e);
    }
    if (rv == 0 && config->applied != NULL) {
        rv = config->applied(config->ctx, &c->known_index, &c->known_term, e);
    }
    if (rv == 0) {
        rv = consensus_open_log(c, &report, e);
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

int consensus_snapshot(const struct meta_state *state, struct raft_snapshot_metadata *ret_metadata,
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

int consensus_boot(struct consensus *c, struct error *e)
{
    const struct meta_state *state = meta_state(c->meta);
    struct raft_snapshot_metadata metadata;
    struct driver_config config = {
        .id = c->config.id,
        .election_ms = c->config.election_ms,
        .heartbeat_ms = c->config.heartbeat_ms,
        .inflight_max = INFLIGHT_MAX,
        .message_bytes = CONSENSUS_APPEND_BYTES,
        .io = &consensus_io,
        .ctx = c,
        .term = state->term,
        .vote = state->vote,
        .applied = c->applied,
        .now_ms = env_now_ms(c->config.env),
        .guards = GUARD_ALL,
    };
    char address[32];
    int rv = 0;

    snprintf(address, sizeof address, "%" PRIu64, c->config.id);
    config.address = address;
    env_random(c->config.env, &config.seed, sizeof config.seed);
    raft_configuration_init(&metadata.configuration);
    if (state->snapshot_index > 0) {
        rv = consensus_snapshot(state, &metadata, e);
        config.snapshot = &metadata;
    }
    if (rv == 0) {
        rv = driver_new(&config, &c->driver, e);
        if (rv != 0 && c->dead) { /* it says only that we failed it */
            rv = error_set(e, c->cause.code, "%s", c->cause.text);
        }
    }
    raft_configuration_close(&metadata.configuration);
    if (rv != 0) {
        return error_wrap(e, "consensus core, start");
    }
    driver_let_campaign(c->driver, state->fence == META_NO_FENCE);
    c->starting = false;
    c->dirty = true;
    consensus_settle_soon(c);
    return 0;
}

int consensus_start(struct consensus *c, uint64_t applied, uint64_t applied_term, struct error *e)
{
    assert(!log_damaged(c->log));
    if (applied + 1 < log_first(c->log) && !PLANTED("database_may_be_behind_the_log")) {
        return error_set(e, Q_CORRUPT, "the database is at index %" PRIu64 " but the log begins at %" PRIu64,
                         applied, log_first(c->log));
    }
    if (applied > log_last(c->log) && !PLANTED("database_may_be_ahead_of_the_log")) {
        return error_set(e, Q_CORRUPT, "the database is at index %" PRIu64 " but the log ends at %" PRIu64,
                         applied, log_last(c->log));
    }
    if (applied > 0 && log_term(c->log, applied) != applied_term &&
        !PLANTED("database_of_another_history_is_taken")) {
        return error_set(e, Q_CORRUPT,
                         "the database applied index %" PRIu64 " in term %" PRIu64
                         " but the log has term %" PRIu64 " there",
                         applied, applied_term, log_term(c->log, applied));
    }
    c->applied = applied;
    c->starting = true;
    /* The first entry of a new cluster may still be on its way to the disk: then its completion boots. */
    return log_durable(c->log) == log_last(c->log) ? consensus_boot(c, e) : 0;
}

void consensus_free(struct consensus *c)
{
    if (c == NULL) {
        return;
    }
    env_timer_free(c->config.env, c->timer);
    driver_free(c->driver);
    log_mend_free(c->mend);
    log_close(c->log);
    meta_close(c->meta);
    buf_close(&c->out);
    buf_close(&c->image);
    c->magic = 0;
    free(c);
}
