/* A member's life of many terms, then damage at random places of its log: what it reads back is right or
 * known to be lost, and with what the leaders of those terms had it is mended to what it was.
 *
 * The leader of each term has one log: a beginning of an earlier leader's, and entries of its own. The
 * member's log is at any time the beginning of the newest leader's. So the terms obey what Raft promises of
 * them, with truncations at every other election. */
#include "raft_glue/log_mend.h"

#include "base/rng.h"
#include "raft_glue/log_swap.h"
#include "tests/unit/raft_glue/log_rig.h"

enum { ENTRIES_MAX = 2048, TERMS_MAX = 64, BLOCKS_MAX = 4096 };

struct leader {
    uint64_t last;
    uint64_t term[ENTRIES_MAX];
};

struct life {
    struct rig r;
    struct leader leaders[TERMS_MAX]; /* by term */
    uint64_t term;
    bool settled; /* the mark has followed */
    struct log_mend *mend;
    bool changed;
    unsigned failures;
    uint64_t lost, asked, grown, committed, detached;
};

static uint64_t draw(struct life *life, uint64_t low, uint64_t high)
{
    return sim_random(life->r.sim, low, high);
}

/* The bytes of an entry follow from its index and term. */
static uint32_t len_of(uint64_t index, uint64_t term)
{
    struct rng rng;
    rng_init(&rng, index * 7919 + term);
    uint64_t kind = rng_between(&rng, 0, 9);
    return (uint32_t)(kind == 0  ? 0
                      : kind < 3 ? rng_between(&rng, 3000, 9000)
                      : kind < 9 ? rng_between(&rng, 1, 400)
                                 : rng_between(&rng, 9000, 20000));
}

static void append(struct life *life)
{
    struct leader *leader = &life->leaders[life->term];
    uint64_t index = log_last(life->r.log) + 1;
    assert_true(index < ENTRIES_MAX);
    if (index > leader->last) {
        leader->term[index] = life->term;
        leader->last = index;
    }
    rig_append(&life->r, leader->term[index], len_of(index, leader->term[index]));
}

/* A new leader, which has no more than the first K entries of ours. */
static void elect(struct life *life)
{
    struct log *l = life->r.log;
    uint64_t low = log_last(l) > 12 ? log_last(l) - 12 : 0;
    uint64_t k = draw(life, 0, 1) == 0 ? log_last(l) : draw(life, low, log_last(l));
    struct leader *before = &life->leaders[life->term];
    assert_true(life->term + 1 < TERMS_MAX);
    struct leader *leader = &life->leaders[++life->term];
    *leader = *before;
    leader->last = k;
    if (k < log_last(l)) {
        log_truncate(l, k + 1);
    }
}

static void work(struct life *life)
{
    for (uint64_t rounds = draw(life, 3, 25); rounds > 0; rounds--) {
        if (draw(life, 0, 4) == 0) {
            elect(life);
        }
        for (uint64_t n = draw(life, 1, 5); n > 0 && log_last(life->r.log) + 2 < ENTRIES_MAX; n--) {
            append(life);
        }
        log_flush(life->r.log);
        if (draw(life, 0, 2) > 0) {
            rig_wait_durable(&life->r);
        }
        if (draw(life, 0, 3) == 0) {
            rig_settle(&life->r);
        }
    }
}

/* What was not durable may be gone: the next leader has what is left. */
static void crash_and_open(struct life *life)
{
    rig_crash(&life->r);
    rig_open_ok(&life->r);
    assert_false(life->r.report.damaged);
    life->leaders[life->term + 1] = life->leaders[life->term];
    life->term++;
    struct leader *leader = &life->leaders[life->term];
    leader->last = log_last(life->r.log);
    for (uint64_t i = 1; i <= leader->last; i++) {
        leader->term[i] = log_term(life->r.log, i);
    }
}

static void live(struct life *life)
{
    rig_open_ok(&life->r);
    for (uint64_t lives = draw(life, 1, 4); lives > 0; lives--) {
        work(life);
        if (lives > 1) {
            crash_and_open(life);
        }
    }
    life->settled = draw(life, 0, 1) == 0;
    if (life->settled) {
        rig_wait_durable(&life->r);
        rig_settle(&life->r);
    }
    rig_crash(&life->r);
}

/* Damage. */

struct victim {
    char path[BLOCKS_MAX][64];
    uint64_t offset[BLOCKS_MAX];
    unsigned n;
};

static void note_blocks(void *ctx, const char *path, uint64_t size)
{
    struct victim *v = ctx;
    if (strncmp(path, "/data/log/segment-", 18) != 0) {
        return;
    }
    for (uint64_t at = 0; at + ENV_BLOCK <= size && v->n < BLOCKS_MAX; at += ENV_BLOCK, v->n++) {
        snprintf(v->path[v->n], sizeof v->path[v->n], "%s", path);
        v->offset[v->n] = at;
    }
}

static bool block_read(struct life *life, const struct victim *v, unsigned i, uint8_t *block)
{
    struct env_file *file;
    size_t n;
    bool blank = true;
    assert_int_equal(env_open(life->r.env, v->path[i], 0, &file, &life->r.error), 0);
    assert_int_equal(env_read(life->r.env, file, v->offset[i], block, ENV_BLOCK, &n, &life->r.error), 0);
    env_close(life->r.env, file);
    for (size_t k = 0; k < ENV_BLOCK; k++) {
        blank = blank && block[k] == 0;
    }
    return !blank;
}

static void block_write(struct life *life, const struct victim *v, unsigned i, const uint8_t *block)
{
    struct env_file *file;
    assert_int_equal(env_open(life->r.env, v->path[i], ENV_WRITE | ENV_DURABLE, &file, &life->r.error), 0);
    assert_int_equal(env_write(life->r.env, file, v->offset[i], block, ENV_BLOCK, &life->r.error), 0);
    env_close(life->r.env, file);
}

static void damage(struct life *life)
{
    static struct victim v;
    static uint8_t block[ENV_BLOCK], other[ENV_BLOCK];
    v.n = 0;
    sim_disk_each_file(sim_node_disk(life->r.node), note_blocks, &v);
    for (uint64_t n = draw(life, 1, 4); n > 0;) {
        unsigned i = (unsigned)draw(life, 0, v.n - 1), k = (unsigned)draw(life, 0, v.n - 1);
        if (!block_read(life, &v, i, block)) {
            continue;
        }
        switch (draw(life, 0, 7)) {
        case 0: memset(block, 0, sizeof block); break;
        case 1: /* what was meant for K landed on I */
            block_read(life, &v, k, block);
            block_read(life, &v, i, other);
            block_write(life, &v, k, other);
            break;
        case 2: block_read(life, &v, k, block); break;
        default:
            block[draw(life, 0, draw(life, 0, 1) ? 200 : ENV_BLOCK - 1)] ^= (uint8_t)(1 << draw(life, 0, 7));
        }
        block_write(life, &v, i, block);
        n--;
    }
}

/* The entry is one that a leader made. */
static void expect_authentic(struct life *life, struct log *l, uint64_t index)
{
    uint64_t term = log_term(l, index);
    assert_in_range(term, 1, life->term);
    assert_true(index <= life->leaders[term].last && life->leaders[term].term[index] == term);
    struct log *own = life->r.log;
    life->r.log = l;
    rig_expect_entry(&life->r, index, term, len_of(index, term));
    life->r.log = own;
}

static void expect_right_or_lost(struct life *life)
{
    struct log *l = life->r.log;
    const struct leader *truth = &life->leaders[life->term];
    struct log_hole hole = {0};
    uint64_t certain = 0; /* everything above is as it was */
    for (uint64_t i = 1; log_hole(l, i, &hole); i = hole.last + 1) {
        certain = hole.detached ? hole.first : certain;
        life->detached += hole.detached;
        for (uint64_t k = hole.first; k <= hole.last && life->settled; k++) {
            /* A detached hole inside is seen when one asks from there. */
            struct log_hole inner;
            log_hole(l, k, &inner);
            certain = inner.detached ? k : certain;
        }
    }
    if (life->settled) {
        assert_int_equal(log_last(l), truth->last);
    }
    for (uint64_t i = log_first(l); i <= log_last(l); i++) {
        if (log_type(l, i) == LOG_LOST) {
            assert_true(life->r.report.damaged);
            continue;
        }
        expect_authentic(life, l, i);
        if (life->settled && i >= certain && log_term(l, i) != truth->term[i]) {
            fail_msg("entry %llu has term %llu, it was %llu", (unsigned long long)i,
                     (unsigned long long)log_term(l, i), (unsigned long long)truth->term[i]);
        }
    }
}

/* Mending. */

static void on_changed(void *ctx)
{
    ((struct life *)ctx)->changed = true;
}

static void on_failed(void *ctx, const struct error *why)
{
    fail_msg("%s", why->text);
    ((struct life *)ctx)->failures++;
}

static bool nothing_new(void *ctx)
{
    struct life *life = ctx;
    return log_mend_want(life->mend) == NULL && !log_mend_done(life->mend);
}

/* Gives what was asked for, as the leader of the term of its last entry had it; if that is lost, what the
 * newest has. */
static void give(struct life *life, const struct log_want *want)
{
    static uint8_t payloads[16][20000];
    struct log_entry entries[16];
    const struct leader *leader = &life->leaders[want->term != 0 ? want->term : life->term];
    enum log_proof proof = want->term != 0 ? LOG_PROOF_MATCH : LOG_PROOF_COMMITTED;
    uint64_t before = want->from, before_term = want->from > 1 ? leader->term[want->from - 1] : 0;
    uint32_t n = 0, taken, most = (uint32_t)draw(life, 1, 16);
    if (want->to > leader->last || (want->term != 0 && leader->term[want->to] != want->term)) {
        fail_msg("entry %llu of term %llu was never anybody's", (unsigned long long)want->to,
                 (unsigned long long)want->term);
    }
    for (uint64_t i = want->from; i <= want->to && n < most; i++, n++) {
        uint32_t len = len_of(i, leader->term[i]);
        rig_payload(i, leader->term[i], payloads[n], len);
        entries[n] = (struct log_entry){
            .index = i, .term = leader->term[i], .type = LOG_COMMANDS, .data = payloads[n], .len = len};
    }
    life->asked++;
    life->committed += proof == LOG_PROOF_COMMITTED;
    if (log_mend_give(life->mend, proof, before_term, entries, n, &taken, &life->r.error) != 0) {
        fail_msg("%s", life->r.error.text);
    }
    const struct log_want *then = log_mend_want(life->mend);
    life->grown += taken == 0 && then != NULL && then->from < before;
}

static void mend(struct life *life)
{
    struct rig *r = &life->r;
    struct log_mend_config config = {
        .log = r->config, .old = r->log, .changed = on_changed, .failed = on_failed, .ctx = life};
    assert_int_equal(log_mend_new(&config, &life->mend, &r->error), 0);
    while (!log_mend_done(life->mend)) {
        const struct log_want *want;
        assert_true(sim_run_while(r->sim, nothing_new, life, sim_now_us(r->sim) + 60000000));
        if ((want = log_mend_want(life->mend)) != NULL) {
            give(life, want);
        }
    }
    log_mend_free(life->mend);
    assert_int_equal(log_swap_finish(r->env, "data", &r->error), 0);
    log_close(r->log);
    r->log = NULL;
    assert_int_equal(log_swap_recover(r->env, "data", &r->error), 0);
    rig_open_ok(r);
    assert_false(r->report.damaged);
}

static void expect_as_it_was(struct life *life)
{
    const struct leader *truth = &life->leaders[life->term];
    struct log *l = life->r.log;
    assert_int_equal(log_first(l), 1);
    if (life->settled) {
        assert_int_equal(log_last(l), truth->last);
    }
    for (uint64_t i = 1; i <= log_last(l); i++) {
        expect_authentic(life, l, i);
        if (life->settled && log_term(l, i) != truth->term[i]) {
            fail_msg("entry %llu has term %llu, it was %llu", (unsigned long long)i,
                     (unsigned long long)log_term(l, i), (unsigned long long)truth->term[i]);
        }
    }
}

static void run_seed(uint64_t seed)
{
    static struct life life;
    memset(&life, 0, sizeof life);
    rig_init(&life.r, seed);
    life.term = 1;
    life.r.config.segment_bytes = draw(&life, 0, 1) ? 32 * 1024 : 128 * 1024;
    life.r.config.cache_bytes = draw(&life, 0, 1) ? 1024 : 1024 * 1024;
    live(&life);
    damage(&life);
    rig_open_ok(&life.r);
    life.lost = life.r.report.lost;
    expect_right_or_lost(&life);
    if (life.r.report.damaged) {
        mend(&life);
        expect_as_it_was(&life);
    }
    print_message("seed %llu: lost %llu of %llu, asked %llu, detached %llu, grown %llu, committed %llu\n",
                  (unsigned long long)seed, (unsigned long long)life.lost,
                  (unsigned long long)log_last(life.r.log), (unsigned long long)life.asked,
                  (unsigned long long)life.detached, (unsigned long long)life.grown,
                  (unsigned long long)life.committed);
    rig_close(&life.r);
}

static void a_damaged_log_is_mended_to_what_it_was(void **state)
{
    (void)state;
    const char *from = getenv("SEED"), *count = getenv("SEEDS");
    uint64_t seed = from != NULL ? strtoull(from, NULL, 10) : 1;
    uint64_t seeds = count != NULL ? strtoull(count, NULL, 10) : 150;
    for (uint64_t end = seed + seeds; seed < end; seed++) {
        run_seed(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_damaged_log_is_mended_to_what_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
