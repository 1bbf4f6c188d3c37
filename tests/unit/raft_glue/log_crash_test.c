/* Power loss and kills at random moments: what comes back is the log as it was after one of the steps that
 * led to it, and no step that was reported durable is missing.
 *
 * The model writes down each step (entry, truncation, reset). A report that index I is durable says that the
 * step which made the present entry I must survive, and all before it. */
#include "raft_glue/log.h"
#include "tests/unit/raft_glue/log_rig.h"

enum { ENTRIES_MAX = 4096, STEPS_MAX = 4096, LIVES = 8 };

struct entry {
    uint64_t term;
    uint32_t len;
    unsigned step; /* that made it, counted from 1; 0: it was there when the log was opened */
};

struct step {
    enum { STEP_ENTRY, STEP_TRUNCATE, STEP_RESET } kind;
    uint64_t index; /* of the entry; first that is dropped; next */
    uint64_t term;  /* of the entry; before the next */
    uint32_t len;
};

struct model {
    uint64_t first, last, before_term;
    struct entry entry[ENTRIES_MAX]; /* by index */
};

struct run {
    struct rig rig;
    struct model start; /* at the last open */
    struct model now;
    struct step steps[STEPS_MAX];
    unsigned n_steps, n_durable; /* steps; those that must survive */
    uint64_t term;
    uint64_t snapshot, snapshot_term; /* what the node's metadata says */
};

static void apply(struct model *m, const struct step *s, unsigned number)
{
    switch (s->kind) {
    case STEP_ENTRY:
        assert_int_equal(s->index, m->last + 1);
        assert_true(s->index < ENTRIES_MAX);
        m->entry[s->index] = (struct entry){.term = s->term, .len = s->len, .step = number};
        m->last = s->index;
        break;
    case STEP_TRUNCATE: m->last = s->index - 1; break;
    case STEP_RESET:
        m->first = s->index;
        m->last = s->index - 1;
        m->before_term = s->term;
        break;
    }
}

static void step(struct run *run, const struct step *s)
{
    assert_true(run->n_steps < STEPS_MAX);
    run->steps[run->n_steps++] = *s;
    apply(&run->now, s, run->n_steps);
}

static void on_durable(struct rig *r, uint64_t index)
{
    struct run *run = (struct run *)r->on_durable_ctx;
    assert_in_range(index, run->now.first, run->now.last);
    unsigned number = run->now.entry[index].step;
    run->n_durable = number > run->n_durable ? number : run->n_durable;
}

/* Whether the log that was opened is M, as far as the snapshot leaves it. */
static bool is_log(struct run *run, const struct model *m)
{
    struct log *l = run->rig.log;
    uint64_t first = run->rig.config.first_index;
    if (m->last < first - 1 || m->first > first) {
        /* The snapshot is beyond it. */
        return log_last(l) == first - 1;
    }
    if (log_last(l) != m->last) {
        return false;
    }
    for (uint64_t i = first; i <= m->last; i++) {
        struct log_entry entry;
        assert_int_equal(log_get(l, i, &entry, NULL), 0);
        if (entry.term != m->entry[i].term || entry.len != m->entry[i].len) {
            return false;
        }
        rig_expect_entry(&run->rig, i, entry.term, entry.len);
    }
    return true;
}

static void expect_a_legal_log(struct run *run)
{
    static struct model m;
    m = run->start;
    bool found = false;
    for (unsigned i = 0; i <= run->n_steps && !found; i++) {
        if (i > 0) {
            apply(&m, &run->steps[i - 1], 0);
        }
        found = i >= run->n_durable && is_log(run, &m);
    }
    if (!found) {
        fail_msg("log %llu to %llu: of %u steps %u had to survive",
                 (unsigned long long)log_first(run->rig.log), (unsigned long long)log_last(run->rig.log),
                 run->n_steps, run->n_durable);
    }
    m.first = log_first(run->rig.log);
    m.last = log_last(run->rig.log);
    m.before_term = log_term(run->rig.log, m.first - 1);
    for (uint64_t i = m.first; i <= m.last; i++) {
        m.entry[i].step = 0;
    }
    run->start = run->now = m;
    run->n_steps = run->n_durable = 0;
}

static uint64_t draw(struct run *run, uint64_t low, uint64_t high)
{
    return sim_random(run->rig.sim, low, high);
}

static uint32_t draw_len(struct run *run)
{
    switch (draw(run, 0, 9)) {
    case 0: return 0;
    case 1: return (uint32_t)draw(run, 3000, 20000);
    case 2: return (uint32_t)draw(run, 400, 5000);
    default: return (uint32_t)draw(run, 1, 400);
    }
}

static void do_append(struct run *run)
{
    for (uint64_t n = draw(run, 1, 6); n > 0; n--) {
        uint32_t len = draw_len(run);
        rig_append(&run->rig, run->term, len);
        step(run, &(struct step){STEP_ENTRY, log_last(run->rig.log), run->term, len});
    }
    if (draw(run, 0, 3) > 0) {
        log_flush(run->rig.log);
    }
}

static void do_truncate(struct run *run)
{
    struct log *l = run->rig.log;
    uint64_t low = run->snapshot + 1 > log_first(l) ? run->snapshot + 1 : log_first(l);
    if (log_last(l) < low) {
        return;
    }
    uint64_t index = draw(run, log_last(l) - low > 8 ? log_last(l) - 8 : low, log_last(l));
    log_truncate(l, index);
    step(run, &(struct step){.kind = STEP_TRUNCATE, .index = index});
    /* Sometimes the very same entries come again. */
    run->term += draw(run, 0, 2) > 0;
    if (draw(run, 0, 4) > 0) {
        do_append(run);
    }
}

static void do_trim(struct run *run)
{
    struct log *l = run->rig.log;
    uint64_t durable = log_durable(l);
    if (durable + 1 <= log_first(l)) {
        return;
    }
    /* The metadata are durable first, and may be ahead of the trim. */
    run->snapshot = draw(run, log_first(l), durable);
    run->snapshot_term = log_term(l, run->snapshot);
    uint64_t first = draw(run, log_first(l), run->snapshot + 1);
    log_trim(l, first);
    run->now.before_term = log_term(l, first - 1);
    run->now.first = first;
}

/* False: the power went. */
static bool do_reset(struct run *run)
{
    struct log *l = run->rig.log;
    run->term++;
    run->snapshot = log_last(l) + draw(run, 0, 20);
    run->snapshot_term = run->term;
    step(run, &(struct step){.kind = STEP_RESET, .index = run->snapshot + 1, .term = run->term});
    if (log_reset(l, run->snapshot + 1, run->term, &run->rig.error) != 0) {
        assert_int_equal(run->rig.error.code, Q_CLOSED);
        return false;
    }
    run->n_durable = run->n_steps;
    return true;
}

static void open_whatever_it_takes(struct run *run)
{
    struct rig *r = &run->rig;
    static const uint64_t sizes[] = {32 * 1024, 64 * 1024, 128 * 1024};
    r->config.first_index = run->snapshot + 1;
    r->config.before_term = run->snapshot_term;
    if (draw(run, 0, 5) == 0) {
        r->config.segment_bytes = sizes[draw(run, 0, 2)];
    }
    for (;;) {
        if (draw(run, 0, 3) == 0) {
            sim_node_crash_in(r->node, (unsigned)draw(run, 1, 12));
        }
        int rc = rig_open(r);
        if (rc == 0 && sim_node_env(r->node) != NULL) {
            assert_false(r->report.damaged); /* whatever a crash leaves is whole */
            break;
        }
        if (rc != 0 && rc != Q_CLOSED) {
            fail_msg("%s: %s", error_name(r->error.code), r->error.text);
        }
        log_close(r->log);
        r->log = NULL;
        r->config.env = r->env = sim_node_boot(r->node);
    }
    r->reports = 0;
}

/* Works until it is told to stop or the power goes. */
static void live(struct run *run)
{
    for (uint64_t n = draw(run, 1, 60); n > 0 && sim_node_env(run->rig.node) != NULL; n--) {
        uint64_t what = draw(run, 0, 99);
        if (what < 70) {
            do_append(run);
        } else if (what < 82) {
            do_truncate(run);
        } else if (what < 96) {
            do_trim(run);
        } else if (!do_reset(run)) {
            return;
        }
        uint64_t pause_us = draw(run, 0, 3) == 0 ? draw(run, 0, 20000) : draw(run, 0, 500);
        sim_run_until(run->rig.sim, sim_now_us(run->rig.sim) + pause_us);
    }
}

static void end_life(struct run *run)
{
    struct rig *r = &run->rig;
    if (sim_node_env(r->node) == NULL) {
        log_close(r->log); /* the power went by itself */
        r->log = NULL;
        r->config.env = r->env = sim_node_boot(r->node);
        return;
    }
    switch (draw(run, 0, 5)) {
    case 0:
        sim_node_crash_in(r->node, 0); /* nobody would free what the log left behind */
        log_close(r->log);
        r->log = NULL;
        rig_settle(r);
        break;
    case 1:
        sim_node_kill(r->node);
        log_close(r->log);
        r->log = NULL;
        r->config.env = r->env = sim_node_boot(r->node);
        break;
    default: rig_crash(r); break;
    }
}

static void run_seed(uint64_t seed, unsigned lives)
{
    static struct run run;
    memset(&run, 0, sizeof run);
    rig_init(&run.rig, seed);
    run.rig.on_durable = on_durable;
    run.rig.on_durable_ctx = &run;
    run.rig.config.segment_bytes = 32 * 1024;
    run.term = 1;
    run.start.first = run.now.first = 1;
    for (unsigned i = 0; i < lives; i++) {
        open_whatever_it_takes(&run);
        expect_a_legal_log(&run);
        if (draw(&run, 0, 2) == 0) {
            sim_node_crash_in(run.rig.node, (unsigned)draw(&run, 1, 80));
        }
        live(&run);
        assert_int_equal(run.rig.failures, 0);
        end_life(&run);
    }
    rig_close(&run.rig);
}

static void nothing_durable_is_lost_and_nothing_dropped_comes_back(void **state)
{
    (void)state;
    const char *from = getenv("SEED"), *count = getenv("SEEDS");
    uint64_t seed = from != NULL ? strtoull(from, NULL, 10) : 1;
    uint64_t seeds = count != NULL ? strtoull(count, NULL, 10) : 150;
    for (uint64_t end = seed + seeds; seed < end; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        run_seed(seed, LIVES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_durable_is_lost_and_nothing_dropped_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
