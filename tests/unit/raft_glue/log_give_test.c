/* What a log that is being mended takes from others, and what it refuses. */
#include "raft_glue/log_mend.h"
#include "raft_glue/log_swap.h"
#include "tests/unit/raft_glue/log_rig.h"

enum { LEN = 100, HOLE = 8, LAST = 10 };

/* Entries 1 to 5 are of term 1, 6 to 10 of term 2, each in a block of its own; the payload of 8 is damaged.
 */
struct scene {
    struct rig r;
    struct log_mend *mend;
    unsigned changes;
};

static void on_changed(void *ctx)
{
    ((struct scene *)ctx)->changes++;
}

static void on_failed(void *ctx, const struct error *why)
{
    (void)ctx;
    fail_msg("%s", why->text);
}

static bool nothing_new(void *ctx)
{
    struct scene *s = ctx;
    return log_mend_want(s->mend) == NULL && !log_mend_done(s->mend);
}

static void wait_for_news(struct scene *s)
{
    assert_true(sim_run_while(s->r.sim, nothing_new, s, sim_now_us(s->r.sim) + 60000000));
}

static void damage(struct rig *r, uint64_t index)
{
    rig_flip(r, "segment-0000000000000001", index * ENV_BLOCK + 72 + 40 + LEN / 2, 1);
}

static void begin(struct scene *s)
{
    struct rig *r = &s->r;
    memset(s, 0, sizeof *s);
    rig_init(r, 51);
    rig_open_ok(r);
    for (unsigned i = 1; i <= LAST; i++) {
        rig_append_durable(r, i <= 5 ? 1 : 2, 1, LEN);
    }
    rig_settle(r);
    rig_crash(r);
    damage(r, HOLE);
    rig_open_ok(r);
    struct log_mend_config config = {
        .log = r->config, .old = r->log, .changed = on_changed, .failed = on_failed, .ctx = s};
    assert_int_equal(log_mend_new(&config, &s->mend, &r->error), 0);
    wait_for_news(s);
    const struct log_want *want = log_mend_want(s->mend);
    assert_non_null(want);
    assert_int_equal(want->from, HOLE);
    assert_int_equal(want->to, HOLE);
    assert_int_equal(want->term, 2);
}

static int give(struct scene *s, enum log_proof proof, uint64_t before_term, uint64_t index, uint64_t term)
{
    static uint8_t payload[LEN];
    uint32_t taken;
    rig_payload(index, term, payload, LEN);
    struct log_entry entry = {
        .index = index, .term = term, .type = LOG_COMMANDS, .data = payload, .len = LEN};
    return log_mend_give(s->mend, proof, before_term, &entry, 1, &taken, &s->r.error);
}

/* The mended log takes its place and is opened. */
static void adopt(struct scene *s)
{
    struct rig *r = &s->r;
    wait_for_news(s);
    assert_true(log_mend_done(s->mend));
    log_mend_free(s->mend);
    log_close(r->log);
    r->log = NULL;
    assert_int_equal(log_swap_finish(r->env, "data", &r->error), 0);
    rig_open_ok(r);
    assert_false(r->report.damaged);
}

static void give_up(struct scene *s)
{
    log_mend_free(s->mend);
    rig_settle(&s->r);
}

static void end(struct scene *s)
{
    rig_close(&s->r);
}

static void an_entry_of_another_term_is_no_proof(void **state)
{
    struct scene s;
    (void)state;
    begin(&s);

    assert_int_equal(give(&s, LOG_PROOF_MATCH, 2, HOLE, 3), Q_CORRUPT);
    assert_non_null(strstr(s.r.error.text, "entry 8 is of term 3, but what was lost ended with term 2"));
    assert_int_equal(give(&s, LOG_PROOF_MATCH, 2, HOLE + 1, 2), Q_CORRUPT);
    assert_int_equal(give(&s, LOG_PROOF_COMMITTED, 2, HOLE, 1), Q_CORRUPT); /* terms never fall */
    assert_int_equal(log_mend_want(s.mend)->from, HOLE);
    assert_int_equal(give(&s, LOG_PROOF_MATCH, 2, HOLE, 2), 0);

    adopt(&s);
    assert_int_equal(log_last(s.r.log), LAST);
    for (unsigned i = 1; i <= LAST; i++) {
        rig_expect_entry(&s.r, i, i <= 5 ? 1 : 2, LEN);
    }
    end(&s);
}

static void a_committed_entry_of_another_term_ends_the_log(void **state)
{
    struct scene s;
    (void)state;
    begin(&s);

    assert_int_equal(give(&s, LOG_PROOF_COMMITTED, 2, HOLE, 3), 0);

    adopt(&s);
    assert_int_equal(log_last(s.r.log), HOLE);
    rig_expect_entry(&s.r, HOLE, 3, LEN);
    rig_expect_entry(&s.r, HOLE - 1, 2, LEN);
    end(&s);
}

static void a_committed_entry_before_that_is_another_one_makes_the_hole_grow(void **state)
{
    struct scene s;
    (void)state;
    begin(&s);

    assert_int_equal(give(&s, LOG_PROOF_MATCH, 3, HOLE, 3), Q_CORRUPT);
    assert_int_equal(give(&s, LOG_PROOF_COMMITTED, 3, HOLE, 3), 0);
    wait_for_news(&s);
    assert_int_equal(log_mend_want(s.mend)->from, HOLE - 1);
    assert_int_equal(give(&s, LOG_PROOF_COMMITTED, 3, HOLE - 1, 3), 0);
    wait_for_news(&s);
    assert_int_equal(log_mend_want(s.mend)->from, HOLE - 3);
    for (unsigned i = HOLE - 3; i <= HOLE; i++) {
        assert_int_equal(give(&s, LOG_PROOF_COMMITTED, i == HOLE - 3 ? 1 : 3, i, 3), 0);
    }

    adopt(&s);
    assert_int_equal(log_last(s.r.log), HOLE);
    for (unsigned i = 1; i <= HOLE; i++) {
        rig_expect_entry(&s.r, i, i < HOLE - 3 ? 1 : 3, LEN);
    }
    end(&s);
}

static void what_contradicts_the_beginning_of_the_log_is_refused(void **state)
{
    struct scene s;
    (void)state;
    begin(&s);

    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(give(&s, LOG_PROOF_COMMITTED, 9, log_mend_want(s.mend)->from, 9), 0);
    }
    assert_int_equal(log_mend_want(s.mend)->from, 1);
    assert_int_equal(give(&s, LOG_PROOF_COMMITTED, 9, 1, 9), Q_CORRUPT);

    give_up(&s);
    end(&s);
}

/* Whichever slot of the new mark is left. */
static void a_mended_log_tells_damage_from_a_torn_tail(void **state)
{
    (void)state;
    for (uint64_t slot = 0; slot < 2; slot++) {
        struct scene s;
        begin(&s);
        assert_int_equal(give(&s, LOG_PROOF_MATCH, 2, HOLE, 2), 0);
        adopt(&s);
        assert_int_equal(log_last(s.r.log), LAST);

        rig_crash(&s.r);
        rig_flip(&s.r, "durable", slot * ENV_BLOCK + 30, 0);
        for (unsigned block = 1; block < 15; block++) {
            rig_flip(&s.r, "segment-0000000000000001", block * ENV_BLOCK + 3, 1);
        }
        rig_open_ok(&s.r);

        assert_true(s.r.report.damaged);
        assert_int_equal(log_last(s.r.log), LAST);
        assert_int_equal(log_lost(s.r.log), LAST);
        end(&s);
    }
}

static void an_entry_that_no_segment_takes_is_refused(void **state)
{
    struct scene s;
    (void)state;
    begin(&s);
    uint32_t n = log_entry_max(s.r.log) + 1, taken;
    uint8_t *payload = calloc(1, n);
    struct log_entry entry = {.index = HOLE, .term = 2, .type = LOG_COMMANDS, .data = payload, .len = n};

    assert_int_equal(log_mend_give(s.mend, LOG_PROOF_MATCH, 2, &entry, 1, &taken, &s.r.error), Q_TOO_BIG);

    free(payload);
    give_up(&s);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_of_another_term_is_no_proof),
        cmocka_unit_test(a_committed_entry_of_another_term_ends_the_log),
        cmocka_unit_test(a_committed_entry_before_that_is_another_one_makes_the_hole_grow),
        cmocka_unit_test(what_contradicts_the_beginning_of_the_log_is_refused),
        cmocka_unit_test(a_mended_log_tells_damage_from_a_torn_tail),
        cmocka_unit_test(an_entry_that_no_segment_takes_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
