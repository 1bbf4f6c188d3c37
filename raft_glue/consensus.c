#include "raft_glue/consensus_impl.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/plant.h"
#include "raft_glue/envelope.h"

void consensus_die(struct consensus *c, const struct error *why)
{
    if (!c->dead) {
        c->dead = true;
        c->cause = *why;
        c->config.fatal(c->config.ctx, why);
    }
}

/* After every event: reads, the owner, the timer. */

static bool leads(const struct consensus *c)
{
    return consensus_takes_part(c) && driver_state(c->driver) == RAFT_LEADER;
}

static void view(const struct consensus *c, struct read_index_view *v)
{
    const struct raft_configuration *members = driver_configuration(c->driver);
    *v = (struct read_index_view){
        .leads = leads(c) &&
                 (driver_own_term_committed(c->driver) || PLANTED("reads_before_the_own_term_commits")),
        .may_lead = leads(c),
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
    uint64_t at = c->removed ? UINT64_MAX : driver_deadline(c->driver);
    at = c->read_deadline_ms < at ? c->read_deadline_ms : at;
    if (at == UINT64_MAX) {
        env_timer_stop(c->config.env, c->timer);
    } else {
        env_timer_start(c->config.env, c->timer, at * 1000);
    }
}

void consensus_settle_soon(struct consensus *c)
{
    env_timer_start(c->config.env, c->timer, 0);
}

static void update_gauges(struct consensus *c)
{
    struct log_stats stats;
    log_stats(c->log, &stats);
    metric_set(&c->counters[G_TERM], (int64_t)driver_term(c->driver));
    metric_set(&c->counters[G_IS_LEADER], leads(c));
    metric_set(&c->counters[G_COMMIT], (int64_t)driver_commit(c->driver));
    metric_set(&c->counters[G_LAST], (int64_t)log_last(c->log));
    metric_set(&c->counters[G_LOG_BYTES], (int64_t)stats.written_bytes);
    metric_set(&c->counters[G_LOG_WRITES], (int64_t)stats.writes);
    metric_set(&c->counters[G_COLD_READS], (int64_t)stats.cold_reads);
}

static void settle(struct consensus *c)
{
    struct read_index_view v;
    c->unsettled = true; /* in an inner call: the outer one goes round again */
    if (c->settling || c->dead) {
        return;
    }
    c->settling = true;
    update_gauges(c);
    do {
        c->unsettled = false;
        view(c, &v);
        c->read_deadline_ms = read_index_poll(&c->reads, &v, env_now_ms(c->config.env),
                                              c->config.heartbeat_ms, c->config.send, c->config.ctx);
        consensus_tell_images(c);
        if (c->dirty) {
            c->dirty = false;
            c->config.changed(c->config.ctx);
        }
    } while ((c->dirty || c->unsettled || c->install_due || c->fetch.index != 0) && !c->dead);
    c->settling = false;
    if (!c->dead) {
        arm(c);
    }
}

void consensus_must(struct consensus *c, int rv, struct error *e, const char *what)
{
    if (rv != 0) {
        error_wrap(e, "consensus core, %s", what);
        consensus_die(c, e);
    } else {
        settle(c);
    }
}

void consensus_must_soon(struct consensus *c, int rv, struct error *e, const char *what)
{
    if (rv != 0) {
        error_wrap(e, "consensus core, %s", what);
        consensus_die(c, e);
    } else {
        consensus_settle_soon(c);
    }
}

void consensus_on_timer(void *owner)
{
    struct consensus *c = consensus_of(owner);
    struct error e;
    uint64_t now = env_now_ms(c->config.env);
    if (c->dead) {
        return;
    }
    if (c->driver == NULL) {
        consensus_tell_images(c); /* recovering */
    } else if (!c->removed && now >= driver_deadline(c->driver)) {
        consensus_must(c, driver_timeout(c->driver, now, &e), &e, "timeout");
    } else {
        settle(c);
    }
}

/* Before anybody hears of the first entry of a log that was blank. */
static void note_begun(struct consensus *c)
{
    struct meta_state state = *meta_state(c->meta);
    struct error e;

    if (state.begun || state.founder) {
        return;
    }
    state.begun = true;
    if (consensus_save(c, &state, &e) != 0) {
        consensus_die(c, &e);
    }
}

void consensus_on_durable(void *ctx, uint64_t index)
{
    struct consensus *c = consensus_of(ctx);
    struct error e;

    if (c->dead) {
        return;
    }
    if (c->driver != NULL && !c->removed) {
        note_begun(c);
        consensus_must(c, driver_durable(c->driver, env_now_ms(c->config.env), index, &e), &e,
                       "durable entries");
    } else if (c->starting && index == log_last(c->log) && consensus_boot(c, &e) != 0) {
        consensus_die(c, &e);
    }
}

void consensus_on_log_failed(void *ctx, const struct error *why)
{
    consensus_die(consensus_of(ctx), why);
}

/* Messages. */

/* Terms in messages that are sent only after they are durable there: not what a candidate asks for, nor the
 * echo of it. */
static void remember_sender(struct consensus *c, uint64_t from, const struct raft_message *message)
{
    if (message->type == RAFT_APPEND_ENTRIES) {
        consensus_remember_term(c, from, message->append_entries.term);
    } else if (message->type == RAFT_APPEND_ENTRIES_RESULT) {
        consensus_remember_term(c, from, message->append_entries_result.term);
    } else if (message->type == RAFT_REQUEST_VOTE_RESULT && message->request_vote_result.vote_granted &&
               !message->request_vote_result.pre_vote) {
        consensus_remember_term(c, from, message->request_vote_result.term);
    }
}

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
    remember_sender(c, from, &message);
    rv = driver_receive(c->driver, env_now_ms(c->config.env), &message, &failed);
    if (rv == 0 && driver_state(c->driver) == RAFT_LEADER) {
        uint64_t match = driver_match(c->driver, from), commit = driver_commit(c->driver);
        consensus_remember_index(c, from, match < commit ? match : commit);
    }
    message_close(&message, true);
    consensus_must(c, rv, &failed, "message");
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

    if (!consensus_takes_part(c)) {
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
    if (!consensus_takes_part(c)) {
        return error_set(e, Q_NOT_LEADER, "this node does not lead");
    }
    rv = driver_submit(c->driver, env_now_ms(c->config.env), type, p, len, &failed);
    if (rv == Q_NOT_LEADER) {
        return error_set(e, Q_NOT_LEADER, "%s", failed.text);
    }
    consensus_must(c, rv, &failed, "submit");
    return 0;
}

int consensus_transfer(struct consensus *c, uint64_t to, struct error *e)
{
    struct error failed;
    int rv;
    if (!consensus_takes_part(c)) {
        return error_set(e, Q_NOT_LEADER, "this node does not lead");
    }
    rv = driver_transfer(c->driver, env_now_ms(c->config.env), to, &failed);
    if (rv == Q_NOT_LEADER || rv == Q_NOT_FOUND || rv == Q_INVALID || rv == Q_BUSY) {
        return error_set(e, (enum error_code)rv, "%s", failed.text);
    }
    consensus_must(c, rv, &failed, "transfer");
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

/* What this node promises. */

int consensus_admit(struct consensus *c, uint64_t id, uint64_t incarnation, struct error *e)
{
    struct meta_state state = *meta_state(c->meta);
    struct error failed;

    for (uint32_t i = 0; i < state.peers; i++) {
        if (state.peer[i].id == id) {
            return state.peer[i].incarnation == incarnation || PLANTED("incarnation_is_not_checked")
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
    state.peer[state.peers++] = (struct meta_peer){.id = id, .incarnation = incarnation};
    if (consensus_save(c, &state, &failed) != 0) {
        consensus_die(c, &failed);
        return error_set(e, failed.code, "%s", failed.text);
    }
    return 0;
}

void consensus_fence(struct consensus *c, enum meta_fence why, uint64_t index)
{
    struct meta_state state = *meta_state(c->meta);
    struct error e;

    if ((state.fence != META_NO_FENCE) == (why != META_NO_FENCE)) {
        return;
    }
    state.fence = why;
    state.fence_index = index;
    if (consensus_save(c, &state, &e) != 0) {
        error_wrap(&e, "the fence at index %" PRIu64, index);
        consensus_die(c, &e);
    }
    if (c->driver != NULL) {
        driver_let_campaign(c->driver, why == META_NO_FENCE);
    }
}

void consensus_step_down(struct consensus *c)
{
    struct error failed;
    int rv = consensus_takes_part(c) ? driver_step_down(c->driver, env_now_ms(c->config.env), &failed)
                                     : Q_NOT_LEADER;

    if (rv != Q_NOT_LEADER) {
        consensus_must(c, rv, &failed, "step down");
    }
}

/* State. */

enum consensus_role consensus_role(const struct consensus *c)
{
    return c->role;
}

bool consensus_leads(const struct consensus *c)
{
    return leads(c) && !driver_transferring(c->driver) && meta_state(c->meta)->fence == META_NO_FENCE;
}

uint64_t consensus_term(const struct consensus *c)
{
    return c->driver ? driver_term(c->driver) : meta_state(c->meta)->term;
}

uint64_t consensus_leader(const struct consensus *c)
{
    return consensus_takes_part(c) ? driver_leader(c->driver) : 0;
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
    uint32_t max = log_entry_max(c->log);
    return max < CONSENSUS_ENTRY_MAX ? max : CONSENSUS_ENTRY_MAX;
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
    if (!leads(c)) {
        return 0;
    }
    return id == c->config.id ? log_durable(c->log) : driver_match(c->driver, id);
}

uint64_t consensus_floor(const struct consensus *c)
{
    const struct raft_configuration *members;
    uint64_t floor = UINT64_MAX;
    if (!leads(c)) {
        return 0;
    }
    members = driver_configuration(c->driver);
    for (unsigned i = 0; i < members->n; i++) {
        uint64_t match = consensus_match(c, members->servers[i].id);
        if (match == 0 && PLANTED("floor_ignores_who_is_away")) {
            continue;
        }
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

uint64_t consensus_log_bytes(const struct consensus *c)
{
    struct log_stats stats;
    log_stats(c->log, &stats);
    return stats.segments * c->config.segment_bytes;
}

bool consensus_lacks_room(const struct consensus *c)
{
    return log_lacks_room(c->log) || (c->mend != NULL && log_mend_lacks_room(c->mend));
}

void consensus_retry(struct consensus *c)
{
    if (!c->dead) {
        log_retry(c->log);
    }
    if (!c->dead && c->mend != NULL) {
        log_mend_retry(c->mend);
    }
}

void consensus_metrics(struct consensus *c, struct metrics *metrics)
{
    metrics_register(metrics, c->counters, CONSENSUS_COUNTERS);
}
