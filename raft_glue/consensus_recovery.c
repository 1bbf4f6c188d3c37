/* A member whose log is damaged: how it opens, lends from what is left, and becomes whole again. */
#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "raft_glue/consensus_impl.h"
#include "raft_glue/log_swap.h"

struct log_config consensus_log_config(struct consensus *c)
{
    const struct meta_state *state = meta_state(c->meta);
    return (struct log_config){
        .env = c->config.env,
        .dir = c->dir,
        .cluster = get_le64(state->cluster_id),
        .segment_bytes = c->config.segment_bytes,
        .cache_bytes = c->config.cache_bytes,
        .first_index = state->log_first,
        .before_term = state->log_before_term,
        .known_index = c->known_index,
        .known_term = c->known_term,
        .durable = consensus_on_durable,
        .failed = consensus_on_log_failed,
        .ctx = c,
    };
}

int consensus_open_log(struct consensus *c, struct log_report *ret_report, struct error *e)
{
    struct log_config config = consensus_log_config(c);
    struct log_report report;
    struct log *log;
    int rv = log_swap_recover(c->config.env, c->dir, e);
    if (rv == 0) {
        rv = log_open(&config, &log, &report, e);
    }
    if (rv != 0) {
        return rv;
    }
    rv = report.damaged ? 0 : log_swap_forget(c->config.env, c->dir, e);
    if (rv != 0) {
        log_close(log);
        return rv;
    }
    c->log = log;
    *ret_report = report;
    return 0;
}

bool consensus_recovering(const struct consensus *c)
{
    return log_damaged(c->log) && c->driver == NULL;
}

static void on_mend_changed(void *ctx)
{
    struct consensus *c = consensus_of(ctx);
    if (!c->dead) {
        c->config.recovering(c->config.ctx);
    }
}

/* What the log kept only for others is not worth a repair. */
static int drop_kept(struct consensus *c, struct error *e)
{
    struct meta_state state = *meta_state(c->meta);

    if (state.log_first > state.snapshot_index) {
        return 0;
    }
    if (log_last(c->log) < state.snapshot_index) {
        return error_set(e, Q_CORRUPT,
                         "%s/log is damaged, ends at index %" PRIu64
                         " and does not reach the snapshot at index %" PRIu64,
                         c->dir, log_last(c->log), state.snapshot_index);
    }
    state.log_first = state.snapshot_index + 1;
    state.log_before_term = state.snapshot_term;
    int rv = consensus_save(c, &state, e);
    if (rv == 0) {
        log_skip(c->log, state.snapshot_index, state.snapshot_term);
    }
    return rv;
}

int consensus_recover(struct consensus *c, struct error *e)
{
    int rv = drop_kept(c, e);
    if (rv != 0) {
        return rv;
    }
    if (c->mend != NULL) {
        return log_mend_restart(c->mend, e);
    }
    struct log_mend_config config = {
        .log = consensus_log_config(c),
        .old = c->log,
        .changed = on_mend_changed,
        .failed = consensus_on_log_failed,
        .ctx = c,
    };
    return log_mend_new(&config, &c->mend, e);
}

const struct log_want *consensus_wanted(const struct consensus *c)
{
    return c->mend != NULL && !c->dead ? log_mend_want(c->mend) : NULL;
}

int consensus_give(struct consensus *c, enum log_proof proof, uint64_t before_term,
                   const struct log_entry *entries, uint32_t n, uint32_t *ret_taken, struct error *e)
{
    int rv = log_mend_give(c->mend, proof, before_term, entries, n, ret_taken, e);
    if (rv == Q_NOMEM) {
        consensus_die(c, e);
    }
    return rv;
}

bool consensus_mended(const struct consensus *c)
{
    return c->mend != NULL && log_mend_done(c->mend);
}

int consensus_adopt(struct consensus *c, struct log_report *ret_report, uint64_t *ret_given, struct error *e)
{
    struct log *damaged = c->log;
    uint64_t given = log_mend_given(c->mend);
    int rv = log_swap_finish(c->config.env, c->dir, e);
    if (rv == 0) {
        rv = consensus_open_log(c, ret_report, e);
    }
    if (rv == 0) {
        log_mend_free(c->mend);
        c->mend = NULL;
        log_close(damaged);
        *ret_given = given;
    }
    return rv;
}

uint64_t consensus_lost(const struct consensus *c)
{
    return log_lost(c->log);
}

uint64_t consensus_term_at(const struct consensus *c, uint64_t index)
{
    return log_term(c->log, index);
}

bool consensus_linked(const struct consensus *c, uint64_t first, uint64_t last)
{
    return log_linked(c->log, first, last);
}
