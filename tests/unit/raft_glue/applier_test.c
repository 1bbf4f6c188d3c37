/* Committed entries go to the store in order, and their results come back. */
#include "raft_glue/applier.h"

#include "tests/lib/sim.h"
#include "tests/unit/raft_glue/fake_consensus.h"
#include "tests/unit/test.h"

enum { TERM = 2, ANSWERS = 4096, RUN_ENTRIES = 64 };

struct scene {
    struct sim *sim;
    struct sim_node *node;
    struct consensus consensus;
    struct store *store;
    struct applier *applier;
    struct applier_config config;
    uint64_t applied; /* the last index that was told */
    unsigned results[ANSWERS];
    unsigned done[ANSWERS]; /* of the results: puts that were done */
    unsigned advances, divergences, fatals;
    uint64_t diverged_at;
    struct error fatal;
    uint64_t stop_at; /* stops the applier when this entry is told */
};

static void on_applied(void *ctx, uint64_t index, uint64_t term, struct cursor results)
{
    struct scene *s = ctx;

    assert_int_equal(index, s->applied + 1);
    assert_int_equal(term, s->consensus.entries[index - 1].term);
    s->applied = index;
    while (cursor_left(&results) > 0) {
        struct cursor result = cursor_blob(&results);
        enum result_kind kind;
        struct error failed, e;
        assert_int_equal(result_decode(&result, &kind, &failed, &e), 0);
        s->results[index]++;
        s->done[index] += kind == RESULT_KV_PUT && cursor_u8(&result) == 1;
    }
    assert_false(results.bad);
    if (index == s->stop_at) {
        applier_stop(s->applier);
    }
}

static void on_advanced(void *ctx)
{
    struct scene *s = ctx;
    assert_int_equal(applier_position(s->applier)->index, s->applied);
    s->advances++;
}

static void on_differs(void *ctx, uint64_t index)
{
    struct scene *s = ctx;
    s->divergences++;
    s->diverged_at = index;
}

static void on_fatal(void *ctx, const struct error *why)
{
    struct scene *s = ctx;
    s->fatals++;
    s->fatal = *why;
}

static void new_applier(struct scene *s)
{
    struct error e;
    assert_int_equal(applier_new(&s->config, &s->applier, &e), 0);
}

static int set_up(void **state)
{
    struct scene *s = calloc(1, sizeof *s);
    struct store_config store = {.readers = 1, .result_max = STORE_RESULT_MIN};
    struct error e;

    s->sim = sim_new(1);
    s->node = sim_node_new(s->sim, "n");
    fake_init(&s->consensus);
    assert_int_equal(store_open(&store, &s->store, &e), 0);
    s->config = (struct applier_config){
        .env = sim_node_boot(s->node),
        .consensus = &s->consensus,
        .store = s->store,
        .applied = on_applied,
        .advanced = on_advanced,
        .differs = on_differs,
        .fatal = on_fatal,
        .ctx = s,
    };
    new_applier(s);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;
    sim_node_kill(s->node);
    applier_free(s->applier);
    store_close(s->store);
    fake_close(&s->consensus);
    sim_free(s->sim);
    free(s);
    return 0;
}

/* An entry of N puts of LEN bytes each, only for keys that are not there; BATCH has the fields of the header
 * that matter. */
static void append_batch(struct scene *s, const struct batch *fields, unsigned n, size_t len)
{
    static uint8_t value[2 * 1024 * 1024];
    struct batch batch = *fields;
    struct buf b, command;

    batch.term = TERM;
    batch.index = batch.index ? batch.index : s->consensus.last + 1;
    batch.time_ms = 1700000000000;
    batch.commands = n;
    buf_init(&b, 4 * 1024 * 1024);
    buf_init(&command, 4 * 1024 * 1024);
    batch_put_header(&b, &batch);
    for (unsigned i = 0; i < n; i++) {
        char key[32];
        snprintf(key, sizeof key, "%d-%u", (int)s->consensus.last + 1, i);
        buf_clear(&command);
        command_put_kv_put(&command, cursor_of("ns", 2), cursor_of(key, strlen(key)), cursor_of(value, len),
                           KV_IF_ABSENT, 0);
        buf_put_blob(&b, command.data, command.len);
    }
    assert_int_equal(b.failed, Q_OK);
    fake_append(&s->consensus, TERM, LOG_COMMANDS, b.data, (uint32_t)b.len);
    buf_close(&b);
    buf_close(&command);
}

static void append(struct scene *s, unsigned n)
{
    append_batch(s, &(struct batch){.commands = 0}, n, 8);
}

static void append_barrier(struct scene *s)
{
    fake_append(&s->consensus, TERM, LOG_BARRIER, "", 0);
}

/* Commits everything and starts what can be started. */
static void commit(struct scene *s)
{
    s->consensus.applicable = s->consensus.last;
    applier_poll(s->applier);
}

static bool busy(void *ctx)
{
    return !applier_idle(((struct scene *)ctx)->applier);
}

static void wait_idle(struct scene *s)
{
    assert_true(sim_run_while(s->sim, busy, s, sim_now_us(s->sim) + 10000000));
}

static void nothing_is_applied_before_it_may_be(void **state)
{
    struct scene *s = *state;

    append(s, 1);
    append(s, 1);
    s->consensus.applicable = 1;
    applier_poll(s->applier);
    wait_idle(s);
    assert_int_equal(s->applied, 1);

    commit(s);
    wait_idle(s);
    assert_int_equal(s->applied, 2);
}

static void callbacks_never_come_inside_a_call(void **state)
{
    struct scene *s = *state;

    append(s, 1);
    commit(s);

    assert_int_equal(s->applied, 0);
    assert_false(applier_idle(s->applier));
}

static void each_entry_brings_the_results_of_its_own_commands(void **state)
{
    struct scene *s = *state;

    append(s, 3);
    append(s, 1);
    append_barrier(s);
    fake_append(&s->consensus, TERM, LOG_CONFIGURATION, "members", 7);
    append(s, 1024);
    commit(s);
    wait_idle(s);

    assert_int_equal(s->applied, 5);
    assert_int_equal(s->results[1], 3);
    assert_int_equal(s->results[2], 1);
    assert_int_equal(s->results[3], 0);
    assert_int_equal(s->results[4], 0);
    assert_int_equal(s->results[5], 1024);
    assert_int_equal(s->done[1] + s->done[2] + s->done[5], 3 + 1 + 1024);
}

static void many_entries_travel_in_runs_and_stay_in_order(void **state)
{
    struct scene *s = *state;

    for (unsigned i = 0; i < 5 * RUN_ENTRIES + 7; i++) {
        append(s, 1);
    }
    commit(s);
    wait_idle(s);

    assert_int_equal(s->applied, 5 * RUN_ENTRIES + 7);
    assert_int_equal(s->advances, 6);
}

static void what_becomes_applicable_while_a_run_is_applied_follows_it(void **state)
{
    struct scene *s = *state;

    append(s, 1);
    commit(s); /* the first run */
    append(s, 1);
    append(s, 1);
    commit(s); /* the second */
    append(s, 1);
    commit(s); /* there is no third */
    wait_idle(s);

    assert_int_equal(s->applied, 4);
    assert_int_equal(s->advances, 3);
}

static void large_entries_travel_alone(void **state)
{
    struct scene *s = *state;

    append_batch(s, &(struct batch){.commands = 0}, 1, 700 * 1024);
    append_batch(s, &(struct batch){.commands = 0}, 1, 700 * 1024);
    append_batch(s, &(struct batch){.commands = 0}, 1, 1500 * 1024);
    commit(s);
    wait_idle(s);

    assert_int_equal(s->applied, 3);
    assert_int_equal(s->advances, 3);
    assert_int_equal(s->done[3], 1);
}

static void the_floor_grows_with_the_headers(void **state)
{
    struct scene *s = *state;

    append_batch(s, &(struct batch){.durable_index = 7}, 1, 8);
    append_batch(s, &(struct batch){.durable_index = 5}, 1, 8);
    commit(s);
    wait_idle(s);

    assert_int_equal(applier_floor(s->applier), 7);
}

/* Digests. */

/* Appends an entry that says the leader's digest at INDEX. */
static void append_digest(struct scene *s, uint64_t index, const uint8_t digest[DIGEST_BYTES])
{
    struct batch fields = {.digest_index = index};
    memcpy(fields.digest, digest, DIGEST_BYTES);
    append_batch(s, &fields, 1, 8);
}

static void apply_all(struct scene *s, struct store_position *ret_position)
{
    commit(s);
    wait_idle(s);
    *ret_position = *applier_position(s->applier);
    assert_int_equal(ret_position->index, s->consensus.last);
}

static void equal_digests_are_no_divergence(void **state)
{
    struct scene *s = *state;
    struct store_position first, second;

    append(s, 1);
    apply_all(s, &first);
    append(s, 1);
    apply_all(s, &second);
    append_digest(s, 1, first.digest);
    append_digest(s, 2, second.digest);
    apply_all(s, &second);

    assert_int_equal(s->divergences, 0);
}

static void another_digest_of_the_leader_is_told_each_time(void **state)
{
    struct scene *s = *state;
    static const uint8_t wrong[DIGEST_BYTES] = {1, 2, 3};
    struct store_position at;

    append(s, 1);
    apply_all(s, &at);
    append_digest(s, 1, wrong);
    append_digest(s, 2, wrong);
    apply_all(s, &at);

    assert_int_equal(s->divergences, 2);
    assert_int_equal(s->diverged_at, 2);
    assert_int_equal(s->fatals, 0);
}

static void a_digest_of_the_same_run_is_compared(void **state)
{
    struct scene *s = *state;
    static const uint8_t wrong[DIGEST_BYTES] = {1, 2, 3};

    append(s, 1);
    append_digest(s, 1, wrong);
    commit(s);
    wait_idle(s);

    assert_int_equal(s->divergences, 1);
}

static void a_digest_of_long_ago_is_not_compared(void **state)
{
    struct scene *s = *state;
    static const uint8_t wrong[DIGEST_BYTES] = {1, 2, 3};
    struct store_position at;

    for (unsigned i = 0; i < 1100; i++) {
        append_barrier(s);
    }
    append_digest(s, 50, wrong);
    apply_all(s, &at);
    assert_int_equal(s->divergences, 0);

    append_digest(s, 100, wrong); /* 1002 back */
    apply_all(s, &at);
    assert_int_equal(s->divergences, 1);
}

static void the_digest_that_a_node_starts_with_is_compared(void **state)
{
    struct scene *s = *state;
    static const uint8_t wrong[DIGEST_BYTES] = {1, 2, 3};
    struct store_position at;

    append(s, 1);
    apply_all(s, &at);
    applier_free(s->applier);
    new_applier(s);
    append_digest(s, 1, wrong);
    apply_all(s, &at);

    assert_int_equal(s->divergences, 1);
}

static void a_digest_from_before_the_start_is_not_compared(void **state)
{
    struct scene *s = *state;
    static const uint8_t other[DIGEST_BYTES] = {1, 2, 3};
    struct store_position at;

    append(s, 1);
    append(s, 1);
    apply_all(s, &at);
    applier_free(s->applier);
    new_applier(s);
    append_digest(s, 1, other); /* this node does not know any more what it had there */
    apply_all(s, &at);

    assert_int_equal(s->divergences, 0);
}

/* Failure. */

static void an_entry_that_the_store_cannot_apply_is_fatal(void **state)
{
    struct scene *s = *state;

    append(s, 1);
    append_batch(s, &(struct batch){.index = 77}, 1, 8);
    append(s, 1);
    commit(s);
    wait_idle(s);

    assert_int_equal(s->fatals, 1);
    assert_int_equal(s->fatal.code, Q_CORRUPT);
    assert_non_null(strstr(s->fatal.text, "entry 2"));
    append(s, 1);
    commit(s);
    assert_true(applier_idle(s->applier)); /* nothing more is started */
}

static void a_run_behind_one_that_failed_is_not_applied(void **state)
{
    struct scene *s = *state;

    append_batch(s, &(struct batch){.index = 77}, 1, 8);
    for (unsigned i = 0; i < 2 * RUN_ENTRIES; i++) {
        append(s, 1);
    }
    commit(s);
    wait_idle(s);

    assert_int_equal(s->fatals, 1);
    assert_int_equal(s->applied, 0);
    assert_int_equal(applier_position(s->applier)->index, 0);
}

static void an_entry_that_cannot_be_read_is_fatal(void **state)
{
    struct scene *s = *state;

    append(s, 1);
    append(s, 1);
    s->consensus.damaged = 2;
    commit(s);
    wait_idle(s);

    assert_int_equal(s->fatals, 1);
    assert_int_equal(s->fatal.code, Q_CORRUPT);
    assert_non_null(strstr(s->fatal.text, "entry 2 to be applied: a record is damaged"));
}

static void after_a_failure_nothing_is_told_any_more(void **state)
{
    struct scene *s = *state;

    append(s, 1);
    commit(s); /* under way */
    append(s, 1);
    s->consensus.damaged = 2;
    commit(s);
    assert_int_equal(s->fatals, 1);
    wait_idle(s);

    assert_int_equal(s->applied, 0);
    assert_int_equal(s->advances, 0);
}

static void after_a_stop_runs_under_way_finish_and_no_others_begin(void **state)
{
    struct scene *s = *state;

    for (unsigned i = 0; i < 4 * RUN_ENTRIES; i++) {
        append(s, 1);
    }
    s->stop_at = 1;
    commit(s);
    wait_idle(s);

    assert_int_equal(s->applied, 2 * RUN_ENTRIES);
    commit(s);
    assert_true(applier_idle(s->applier));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_applied_before_it_may_be),
        TEST(callbacks_never_come_inside_a_call),
        TEST(each_entry_brings_the_results_of_its_own_commands),
        TEST(many_entries_travel_in_runs_and_stay_in_order),
        TEST(what_becomes_applicable_while_a_run_is_applied_follows_it),
        TEST(large_entries_travel_alone),
        TEST(the_floor_grows_with_the_headers),
        TEST(equal_digests_are_no_divergence),
        TEST(another_digest_of_the_leader_is_told_each_time),
        TEST(a_digest_of_the_same_run_is_compared),
        TEST(a_digest_of_long_ago_is_not_compared),
        TEST(the_digest_that_a_node_starts_with_is_compared),
        TEST(a_digest_from_before_the_start_is_not_compared),
        TEST(an_entry_that_the_store_cannot_apply_is_fatal),
        TEST(a_run_behind_one_that_failed_is_not_applied),
        TEST(an_entry_that_cannot_be_read_is_fatal),
        TEST(after_a_failure_nothing_is_told_any_more),
        TEST(after_a_stop_runs_under_way_finish_and_no_others_begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
