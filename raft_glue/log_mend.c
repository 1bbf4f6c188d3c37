#include "raft_glue/log_mend.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/object.h"
#include "base/plant.h"
#include "raft_glue/log_swap.h"

enum { MEND_MAGIC = 0x51c0de20, WINDOW_BYTES = 1024 * 1024, WINDOW_ENTRIES = 4096, IDLE_US = 5000 };

struct log_mend {
    OBJECT_MAGIC;
    struct env *env;
    struct log *old, *made;
    uint64_t end; /* the last entry to have */
    struct log_want want;
    bool wants, detached, done, failed;
    uint64_t step; /* by which the want grows downwards next */
    uint64_t given;
    struct env_timer *timer;
    void (*changed)(void *ctx);
    void (*failed_call)(void *ctx, const struct error *why);
    void *ctx;
};

static void fail(struct log_mend *m, const struct error *why)
{
    if (!m->failed) {
        m->failed = true;
        m->failed_call(m->ctx, why);
    }
}

static void step_soon(struct log_mend *m, uint64_t in_us)
{
    env_timer_start(m->env, m->timer, env_now_us(m->env) + in_us);
}

static void on_durable(void *ctx, uint64_t index)
{
    (void)index;
    step_soon(CAST(struct log_mend, ctx, MEND_MAGIC), 0);
}

static void on_failed(void *ctx, const struct error *why)
{
    fail(CAST(struct log_mend, ctx, MEND_MAGIC), why);
}

static bool window_full(const struct log_mend *m)
{
    uint64_t durable = log_durable(m->made);
    return log_last(m->made) - durable >= WINDOW_ENTRIES ||
           log_bytes_from(m->made, durable + 1) >= WINDOW_BYTES;
}

static void want_next(struct log_mend *m)
{
    struct log_hole hole = {0};
    if (!m->wants && log_hole(m->old, log_last(m->made) + 1, &hole)) {
        m->want = (struct log_want){.from = hole.first, .to = hole.last, .term = hole.term};
        if (hole.term == 0 && hole.last < m->end) {
            /* The entry behind it proves as much. */
            m->want.to = hole.last + 1;
            m->want.term = log_term(m->old, hole.last + 1);
        }
        m->detached = hole.detached;
        m->wants = true;
        m->step = 1;
    }
}

/* Copies entries up to the next hole or the end of the window. */
static int copy(struct log_mend *m, struct error *e)
{
    while (log_last(m->made) < m->end && !m->wants && !window_full(m)) {
        uint64_t index = log_last(m->made) + 1;
        struct log_entry entry;
        int rc = log_get(m->old, index, &entry, e);
        if (rc == Q_CORRUPT) {
            if (log_type(m->old, index) != LOG_LOST) {
                log_lose(m->old, index); /* since it was opened */
            }
            want_next(m);
        } else if (rc != 0) {
            return rc;
        } else {
            rc = log_append(m->made, entry.term, entry.type, entry.data, entry.len, e);
            if (rc != 0) {
                return rc;
            }
        }
    }
    log_flush(m->made);
    return 0;
}

static void step(void *owner)
{
    struct log_mend *m = CAST(struct log_mend, owner, MEND_MAGIC);
    struct error e;
    if (m->failed || m->done) {
        return;
    }
    int rc = copy(m, &e);
    if (rc == 0 && log_last(m->made) >= m->end) {
        if (!log_idle(m->made)) {
            step_soon(m, IDLE_US);
            return;
        }
        rc = log_seal(m->made, &e);
        if (rc == 0) {
            m->done = true;
            log_close(m->made);
            m->made = NULL;
        }
    }
    if (rc != 0) {
        fail(m, &e);
    } else if (m->done || m->wants) {
        m->changed(m->ctx);
    }
}

int log_mend_new(const struct log_mend_config *config, struct log_mend **ret_mend, struct error *e)
{
    struct log_config log = config->log;
    struct log_report report;
    struct log_mend *m = calloc(1, sizeof *m);
    if (m == NULL) {
        return error_set(e, Q_NOMEM, "out of memory to mend the log");
    }
    *m = (struct log_mend){
        .magic = MEND_MAGIC,
        .env = log.env,
        .old = config->old,
        .end = log_last(config->old),
        .changed = config->changed,
        .failed_call = config->failed,
        .ctx = config->ctx,
    };
    log.name = LOG_SWAP_NEW;
    log.durable = on_durable;
    log.failed = on_failed;
    log.ctx = m;
    int rc = log_swap_prepare(m->env, log.dir, e);
    if (rc == 0) {
        rc = log_open(&log, &m->made, &report, e);
    }
    if (rc == 0) {
        m->timer = env_timer_new(m->env, step, m);
        rc = m->timer != NULL ? 0 : error_set(e, Q_NOMEM, "out of memory for a timer");
    }
    if (rc != 0) {
        log_mend_free(m);
        return rc;
    }
    step_soon(m, 0);
    *ret_mend = m;
    return 0;
}

int log_mend_restart(struct log_mend *m, struct error *e)
{
    uint64_t first = log_first(m->old);
    int rc = m->made != NULL ? log_reset(m->made, first, log_term(m->old, first - 1), e) : 0;
    m->wants = false;
    m->detached = false;
    m->end = log_last(m->old);
    step_soon(m, 0);
    return rc;
}

void log_mend_free(struct log_mend *m)
{
    if (m != NULL) {
        env_timer_free(m->env, m->timer);
        log_close(m->made);
        m->magic = 0;
        free(m);
    }
}

const struct log_want *log_mend_want(const struct log_mend *m)
{
    return m->wants && !window_full(m) ? &m->want : NULL;
}

/* The entry before what is wanted is not the giver's: what is below may have been replaced by what is lost.
 */
static int grow(struct log_mend *m, struct error *e)
{
    uint64_t room = m->want.from - log_first(m->made);
    uint64_t by = m->step < room ? m->step : room;
    if (by == 0) {
        return error_set(e, Q_CORRUPT,
                         "the entry before the log's first, %" PRIu64 ", is said to be another one",
                         m->want.from);
    }
    m->step *= 2;
    m->want.from -= by;
    m->detached = true;
    log_truncate(m->made, m->want.from);
    return 0;
}

static int check(const struct log_mend *m, enum log_proof proof, uint64_t before_term,
                 const struct log_entry *entries, uint32_t n, struct error *e)
{
    uint64_t term = before_term;
    for (uint32_t i = 0; i < n; i++) {
        const struct log_entry *entry = &entries[i];
        if (entry->index != m->want.from + i || entry->index > m->want.to || entry->term < term ||
            entry->type < LOG_COMMANDS || entry->type > LOG_CONFIGURATION) {
            return error_set(e, Q_CORRUPT, "entry %" PRIu64 " (term %" PRIu64 ") is not what was asked for",
                             entry->index, entry->term);
        }
        if (entry->len > log_entry_max(m->made)) {
            return error_set(e, Q_TOO_BIG,
                             "entry %" PRIu64
                             " of %u bytes does not fit into a segment: segment-bytes is smaller "
                             "here than elsewhere",
                             entry->index, entry->len);
        }
        if (proof == LOG_PROOF_MATCH &&
            (entry->term > m->want.term || (entry->index == m->want.to && entry->term != m->want.term)) &&
            !PLANTED("mend_without_matching_term")) {
            return error_set(e, Q_CORRUPT,
                             "entry %" PRIu64 " is of term %" PRIu64
                             ", but what was lost ended with term %" PRIu64,
                             entry->index, entry->term, m->want.term);
        }
        term = entry->term;
    }
    return 0;
}

int log_mend_give(struct log_mend *m, enum log_proof proof, uint64_t before_term,
                  const struct log_entry *entries, uint32_t n, uint32_t *ret_taken, struct error *e)
{
    int rc;
    assert(m->wants);
    *ret_taken = 0;
    if (before_term != log_term(m->made, m->want.from - 1) && (before_term != 0 || m->detached)) {
        if (proof == LOG_PROOF_MATCH && !m->detached) {
            return error_set(e, Q_CORRUPT, "the entry before %" PRIu64 " is said to be of term %" PRIu64,
                             m->want.from, before_term);
        }
        return grow(m, e);
    }
    rc = check(m, proof, before_term, entries, n, e);
    if (rc != 0) {
        return rc;
    }
    for (uint32_t i = 0; i < n; i++) {
        rc = log_append(m->made, entries[i].term, entries[i].type, entries[i].data, entries[i].len, e);
        if (rc != 0) {
            return rc;
        }
    }
    m->given += n;
    m->want.from += n;
    m->detached = m->detached && n == 0;
    if (m->want.from > m->want.to) {
        m->wants = false;
        if (log_term(m->made, m->want.to) != m->want.term && !PLANTED("mended_log_keeps_what_never_was")) {
            m->end =
                m->want.to; /* the committed entry is another one: ours, and what followed it, never was */
        }
    }
    log_flush(m->made);
    step_soon(m, 0);
    *ret_taken = n;
    return 0;
}

bool log_mend_done(const struct log_mend *m)
{
    return m->done;
}

bool log_mend_lacks_room(const struct log_mend *m)
{
    return m->made != NULL && log_lacks_room(m->made);
}

void log_mend_retry(struct log_mend *m)
{
    if (m->made != NULL && !PLANTED("repair_without_room_waits_for_ever")) {
        log_retry(m->made);
    }
}

uint64_t log_mend_given(const struct log_mend *m)
{
    return m->given;
}
