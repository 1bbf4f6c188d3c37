/* What the core decided, done: log, meta and messages. */
#include <assert.h>
#include <inttypes.h>

#include "base/plant.h"
#include "raft_glue/consensus_impl.h"
#include "raft_glue/envelope.h"

static bool io_save_vote(void *ctx, uint64_t term, uint64_t vote)
{
    struct consensus *c = consensus_of(ctx);
    struct meta_state state = *meta_state(c->meta);
    struct error e;

    state.term = term;
    state.vote = vote;
    if (!c->dead && consensus_save(c, &state, &e) != 0 && !PLANTED("vote_that_cannot_be_saved_is_given")) {
        error_wrap(&e, "term %" PRIu64, term);
        consensus_die(c, &e);
    }
    return !c->dead;
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

static enum log_entry_type io_type(void *ctx, uint64_t index)
{
    return log_type(consensus_of(ctx)->log, index);
}

/* An entry that cannot be read back stops the process; the next start finds the damage and repairs it. */
static bool io_get(void *ctx, uint64_t index, struct log_entry *ret_entry)
{
    struct consensus *c = consensus_of(ctx);
    struct error e;
    int rv = log_get(c->log, index, ret_entry, &e);
    if (rv != 0 && rv != Q_NOT_FOUND && !PLANTED("damage_when_read_back_is_ignored")) {
        consensus_die(c, &e);
    }
    return rv == 0;
}

static bool io_append(void *ctx, uint64_t term, enum log_entry_type type, const void *p, uint32_t len)
{
    struct consensus *c = consensus_of(ctx);
    struct error e;
    if (!c->dead && log_append(c->log, term, type, p, len, &e) != 0) {
        consensus_die(c, &e);
    }
    return !c->dead;
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
    if (c->dead || c->removed) {
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
    if (c->removed) {
        return;
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

static void io_fetch_snapshot(void *ctx, uint64_t from, uint64_t index, uint64_t term)
{
    struct consensus *c = consensus_of(ctx);
    struct error e;
    if (c->config.fetch != NULL) {
        c->fetch = (struct consensus_fetch){from, index, term};
        return;
    }
    error_set(&e, Q_MISMATCH,
              "member %" PRIu64 " offers a snapshot at index %" PRIu64 " (term %" PRIu64
              ") because this node lacks entries before it: its directory must be replaced",
              from, index, term);
    consensus_die(c, &e);
}

const struct driver_io consensus_io = {
    .save_vote = io_save_vote,
    .first = io_first,
    .last = io_last,
    .term = io_term,
    .type = io_type,
    .get = io_get,
    .append = io_append,
    .truncate = io_truncate,
    .flush = io_flush,
    .send = io_send,
    .applicable = io_applicable,
    .role = io_role,
    .configuration = io_configuration,
    .fetch_snapshot = io_fetch_snapshot,
    .install_snapshot = consensus_io_install,
};
