/* When the database is made durable, and what of the log is then let go. Log and store are played by the
 * test. */
#include "cluster/compactor.h"

#include "tests/lib/sim.h"
#include "tests/unit/test.h"

enum { LOG_BYTES = 1000, WAL_BYTES = 500 };

struct consensus {
    uint64_t bytes, applicable, compacted;
    uint64_t per_index; /* bytes of an entry, from the last applicable one backwards */
    unsigned compactions, tried;
    enum error_code refusal;
};

struct store {
    uint64_t applied, wal, durable; /* durable: by the last checkpoint */
    unsigned checkpoints;
    bool failing, full;
};

uint64_t consensus_log_bytes(const struct consensus *c)
{
    return c->bytes;
}

uint64_t consensus_applicable(const struct consensus *c)
{
    return c->applicable;
}

uint64_t consensus_compacted_index(const struct consensus *c)
{
    return c->compacted;
}

int consensus_compact(struct consensus *c, uint64_t index, uint64_t keep_from, struct error *e)
{
    assert_int_equal(keep_from, index + 1);
    c->tried++;
    if (c->refusal != Q_OK) {
        return error_set(e, c->refusal, "not now");
    }
    c->compacted = index;
    c->compactions++;
    return 0;
}

uint64_t consensus_index_within(const struct consensus *c, uint64_t bytes)
{
    return c->applicable - bytes / c->per_index + 1;
}

uint64_t store_wal_bytes(const struct store *s)
{
    return s->wal;
}

int store_checkpoint(struct store *s, uint64_t *ret_index, struct error *e)
{
    s->checkpoints++;
    if (s->full) {
        return error_set(e, Q_NO_SPACE, "the disk is full");
    }
    if (s->failing) {
        return error_set(e, Q_IO, "the disk is gone");
    }
    s->wal = 0;
    s->durable = s->applied;
    *ret_index = s->durable;
    return 0;
}

struct scene {
    struct sim *sim;
    struct sim_node *node;
    struct consensus consensus;
    struct store store;
    struct compactor *compactor;
    uint64_t log_bytes, keep_bytes; /* of the configuration */
    uint64_t limit, last;
    unsigned done, failures, finished;
    uint64_t done_at;
};

static void on_done(void *ctx, uint64_t index, const struct error *failed)
{
    struct scene *s = ctx;
    if (failed != NULL) {
        assert_int_equal(failed->code, Q_IO);
        s->failures++;
    } else {
        s->done++;
        s->done_at = index;
    }
}

static uint64_t limit(void *ctx)
{
    struct scene *s = ctx;
    return s->limit;
}

static uint64_t last(void *ctx)
{
    struct scene *s = ctx;
    return s->last;
}

static void on_finished(void *ctx)
{
    struct scene *s = ctx;
    s->finished++;
}

static void renew(struct scene *s)
{
    struct error e;
    struct compactor_config config = {
        .env = sim_node_env(s->node),
        .consensus = &s->consensus,
        .store = &s->store,
        .log_bytes = s->log_bytes,
        .wal_bytes = WAL_BYTES,
        .keep_bytes = s->keep_bytes,
        .limit = limit,
        .last = last,
        .done = on_done,
        .ctx = s,
    };

    compactor_free(s->compactor);
    assert_int_equal(compactor_new(&config, &s->compactor, &e), 0);
}

static int set_up(void **state)
{
    struct scene *s = calloc(1, sizeof *s);

    s->sim = sim_new(1);
    s->node = sim_node_new(s->sim, "n");
    s->log_bytes = LOG_BYTES;
    s->keep_bytes = s->limit = s->last = UINT64_MAX;
    s->consensus.per_index = 100;
    sim_node_boot(s->node);
    renew(s);
    s->store.applied = s->consensus.applicable = 100;
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;
    sim_node_kill(s->node);
    compactor_free(s->compactor);
    sim_free(s->sim);
    free(s);
    return 0;
}

static void poll(struct scene *s, uint64_t floor)
{
    compactor_poll(s->compactor, s->store.applied, floor);
}

static void settle(struct scene *s)
{
    sim_run_until(s->sim, sim_now_us(s->sim) + 1000000);
}

static void nothing_happens_before_enough_has_come(void **state)
{
    struct scene *s = *state;

    s->consensus.bytes = LOG_BYTES - 1;
    s->store.wal = WAL_BYTES - 1;
    poll(s, 100);
    settle(s);
    assert_int_equal(s->store.checkpoints, 0);
}

static void nothing_happens_before_anything_is_applied(void **state)
{
    struct scene *s = *state;

    s->consensus.bytes = LOG_BYTES;
    s->store.applied = 0;
    poll(s, 100);
    settle(s);
    assert_int_equal(s->store.checkpoints, 0);
}

static void a_grown_log_is_let_go_up_to_what_the_database_holds(void **state)
{
    struct scene *s = *state;

    s->consensus.bytes = LOG_BYTES;
    s->consensus.applicable = 300;
    poll(s, 200);
    assert_int_equal(s->store.checkpoints, 0); /* not inside the call */
    settle(s);
    assert_int_equal(s->store.checkpoints, 1);
    assert_int_equal(s->done, 1);
    assert_int_equal(s->done_at, 100);
    assert_int_equal(s->consensus.compacted, 100);
}

static void a_grown_wal_is_enough(void **state)
{
    struct scene *s = *state;

    s->store.wal = WAL_BYTES;
    poll(s, 100);
    settle(s);
    assert_int_equal(s->store.checkpoints, 1);
    assert_int_equal(s->consensus.compacted, 100);
    poll(s, 100);
    settle(s);
    assert_int_equal(s->store.checkpoints, 1);
}

static void no_more_goes_than_every_member_has(void **state)
{
    struct scene *s = *state;

    s->consensus.bytes = LOG_BYTES;
    poll(s, 40);
    poll(s, 90); /* one is under way, with the floor of its beginning */
    settle(s);
    assert_int_equal(s->consensus.compacted, 40);
    assert_int_equal(s->store.checkpoints, 1);
}

static void no_more_goes_than_is_applicable(void **state)
{
    struct scene *s = *state;

    s->consensus.bytes = LOG_BYTES;
    s->consensus.applicable = 70;
    poll(s, 90);
    settle(s);
    assert_int_equal(s->consensus.compacted, 70);
}

static void a_floor_that_does_not_move_costs_few_checkpoints(void **state)
{
    struct scene *s = *state;

    s->consensus.bytes = LOG_BYTES;
    for (unsigned i = 0; i < 10; i++) {
        poll(s, 0); /* a member has nothing */
        settle(s);
    }
    assert_int_equal(s->store.checkpoints, 1);
    assert_int_equal(s->done + s->consensus.tried, 0);

    s->consensus.bytes = 2 * LOG_BYTES;
    poll(s, 60);
    settle(s);
    assert_int_equal(s->store.checkpoints, 2);
    assert_int_equal(s->consensus.compacted, 60);
}

static void after_a_compaction_growth_counts_from_what_is_left(void **state)
{
    struct scene *s = *state;

    s->consensus.bytes = 10 * LOG_BYTES;
    poll(s, 50);
    settle(s);
    s->consensus.bytes = LOG_BYTES / 2; /* most of it is gone */
    poll(s, 100);
    settle(s);
    assert_int_equal(s->store.checkpoints, 1);

    s->consensus.bytes = LOG_BYTES / 2 + LOG_BYTES;
    poll(s, 100);
    settle(s);
    assert_int_equal(s->store.checkpoints, 2);
}

static void what_is_refused_is_tried_again_later(void **state)
{
    struct scene *s = *state;

    s->consensus.bytes = LOG_BYTES;
    s->consensus.refusal = Q_BUSY;
    poll(s, 100);
    settle(s);
    assert_int_equal(s->consensus.tried, 1);
    assert_int_equal(s->done + s->failures, 0);

    s->consensus.refusal = Q_OK;
    s->consensus.bytes = 2 * LOG_BYTES;
    poll(s, 100);
    settle(s);
    assert_int_equal(s->done, 1);
}

static void a_disk_that_fails_is_told(void **state)
{
    struct scene *s = *state;

    s->consensus.bytes = LOG_BYTES;
    s->store.failing = true;
    poll(s, 100);
    settle(s);
    assert_int_equal(s->failures, 1);
    assert_int_equal(s->consensus.tried, 0);
}

static void a_checkpoint_without_room_waits_until_it_is_told_to_try_again(void **state)
{
    struct scene *s = *state;

    s->store.wal = WAL_BYTES;
    s->store.full = true;
    for (unsigned i = 0; i < 3; i++) {
        poll(s, 100);
        settle(s);
    }
    assert_int_equal(s->store.checkpoints, 1);
    assert_int_equal(s->failures + s->done + s->consensus.tried, 0);
    assert_true(compactor_lacks_room(s->compactor));

    compactor_make_room(s->compactor, 100);
    settle(s);
    assert_int_equal(s->store.checkpoints, 2);
    assert_true(compactor_lacks_room(s->compactor));
    s->store.full = false;
    compactor_make_room(s->compactor, 100);
    settle(s);
    assert_false(compactor_lacks_room(s->compactor));
    assert_int_equal(s->done_at, 100);
}

static void room_is_made_although_nothing_is_due(void **state)
{
    struct scene *s = *state;

    compactor_make_room(s->compactor, 60);
    settle(s);
    assert_int_equal(s->store.checkpoints, 1);
    assert_int_equal(s->consensus.compacted, 60);
}

static void a_log_that_never_goes_is_not_let_go_for_room(void **state)
{
    struct scene *s = *state;

    s->log_bytes = UINT64_MAX; /* a database in memory */
    renew(s);
    compactor_make_room(s->compactor, 100);
    settle(s);
    assert_int_equal(s->store.checkpoints, 0);
    assert_int_equal(s->consensus.compacted, 0);
}

static void a_last_checkpoint_without_room_ends_and_is_no_failure(void **state)
{
    struct scene *s = *state;

    s->store.full = true;
    compactor_finish(s->compactor, on_finished, s);
    settle(s);
    assert_int_equal(s->failures, 0);
    assert_int_equal(s->finished, 1);
}

static void the_last_checkpoint_holds_everything(void **state)
{
    struct scene *s = *state;

    compactor_finish(s->compactor, on_finished, s);
    assert_int_equal(s->finished, 0);
    settle(s);
    assert_int_equal(s->finished, 1);
    assert_int_equal(s->store.durable, 100);
    assert_int_equal(s->consensus.tried, 0); /* the log is closed by others now */
}

static void the_last_checkpoint_comes_after_the_one_that_is_under_way(void **state)
{
    struct scene *s = *state;

    s->consensus.bytes = LOG_BYTES;
    poll(s, 100);
    while (s->store.checkpoints == 0) {
        assert_true(sim_step(s->sim));
    }
    s->store.applied = 120; /* what it has not seen */
    compactor_finish(s->compactor, on_finished, s);
    settle(s);
    assert_int_equal(s->finished, 1);
    assert_int_equal(s->store.durable, 120);
}

static void after_a_failure_there_is_no_other_try(void **state)
{
    struct scene *s = *state;

    s->consensus.bytes = LOG_BYTES;
    s->store.failing = true;
    poll(s, 100);
    compactor_finish(s->compactor, on_finished, s);
    settle(s);
    assert_int_equal(s->store.checkpoints, 1);
    assert_int_equal(s->failures, 1);
    assert_int_equal(s->finished, 1);
}

static void a_last_checkpoint_that_fails_is_told_and_ends(void **state)
{
    struct scene *s = *state;

    s->store.failing = true;
    compactor_finish(s->compactor, on_finished, s);
    settle(s);
    assert_int_equal(s->failures, 1);
    assert_int_equal(s->finished, 1);
}

static void a_log_that_is_too_long_goes_although_a_member_lacks_it(void **state)
{
    struct scene *s = *state;

    s->keep_bytes = 2 * LOG_BYTES;
    renew(s);
    s->consensus.bytes = 2 * LOG_BYTES;
    poll(s, 10);
    settle(s);
    assert_int_equal(s->consensus.compacted, 10);

    s->consensus.bytes = 4 * LOG_BYTES;
    poll(s, 10);
    settle(s);
    assert_int_equal(s->consensus.compacted, 80); /* the last 20 entries take what may be kept */
}

static void the_log_stays_for_an_image_that_is_under_way(void **state)
{
    struct scene *s = *state;

    s->limit = 30;
    s->consensus.bytes = LOG_BYTES;
    poll(s, 90);
    settle(s);
    assert_int_equal(s->consensus.compacted, 30);
}

static void an_image_keeps_twice_as_much_log_and_not_more(void **state)
{
    struct scene *s = *state;

    s->keep_bytes = 2 * LOG_BYTES;
    s->limit = 70;
    renew(s);
    s->consensus.bytes = 6 * LOG_BYTES;
    poll(s, 100);
    settle(s);
    assert_int_equal(s->consensus.compacted, 70);

    s->limit = 30;
    s->consensus.applicable = 150;
    s->store.applied = 150;
    s->consensus.bytes = 9 * LOG_BYTES;
    poll(s, 100);
    settle(s);
    assert_int_equal(s->consensus.compacted, 110); /* the last 40 entries take twice what may be kept */
}

static void what_this_node_needs_itself_stays_however_long_it_is(void **state)
{
    struct scene *s = *state;

    s->keep_bytes = 2 * LOG_BYTES;
    s->last = 30;
    renew(s);
    s->consensus.bytes = 4 * LOG_BYTES;
    poll(s, 100);
    settle(s);
    assert_int_equal(s->consensus.compacted, 30);
}

static void nothing_is_started_while_checkpoints_do_nothing(void **state)
{
    struct scene *s = *state;

    compactor_hold(s->compactor, true);
    s->store.wal = WAL_BYTES;
    poll(s, 100);
    compactor_make_room(s->compactor, 100);
    settle(s);
    assert_int_equal(s->store.checkpoints, 0);

    compactor_hold(s->compactor, false);
    poll(s, 100);
    settle(s);
    assert_int_equal(s->store.checkpoints, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_happens_before_enough_has_come),
        TEST(nothing_happens_before_anything_is_applied),
        TEST(a_grown_log_is_let_go_up_to_what_the_database_holds),
        TEST(a_grown_wal_is_enough),
        TEST(no_more_goes_than_every_member_has),
        TEST(no_more_goes_than_is_applicable),
        TEST(a_log_that_is_too_long_goes_although_a_member_lacks_it),
        TEST(the_log_stays_for_an_image_that_is_under_way),
        TEST(an_image_keeps_twice_as_much_log_and_not_more),
        TEST(what_this_node_needs_itself_stays_however_long_it_is),
        TEST(nothing_is_started_while_checkpoints_do_nothing),
        TEST(a_floor_that_does_not_move_costs_few_checkpoints),
        TEST(after_a_compaction_growth_counts_from_what_is_left),
        TEST(what_is_refused_is_tried_again_later),
        TEST(a_disk_that_fails_is_told),
        TEST(a_checkpoint_without_room_waits_until_it_is_told_to_try_again),
        TEST(room_is_made_although_nothing_is_due),
        TEST(a_log_that_never_goes_is_not_let_go_for_room),
        TEST(a_last_checkpoint_without_room_ends_and_is_no_failure),
        TEST(the_last_checkpoint_holds_everything),
        TEST(the_last_checkpoint_comes_after_the_one_that_is_under_way),
        TEST(after_a_failure_there_is_no_other_try),
        TEST(a_last_checkpoint_that_fails_is_told_and_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
