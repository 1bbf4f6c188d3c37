/* Appending, truncating, reading; the order of writes. */
#include "tests/unit/raft_glue/log_rig.h"

static void a_new_log_is_empty_and_stays_so(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 1);

    rig_open_ok(&r);
    assert_int_equal(r.report.first, 1);
    assert_int_equal(r.report.last, 0);
    assert_int_equal(r.report.torn_bytes, 0);
    rig_reopen_ok(&r);

    assert_int_equal(log_first(r.log), 1);
    assert_int_equal(log_last(r.log), 0);
    assert_int_equal(log_durable(r.log), 0);
    assert_int_equal(log_term(r.log, 0), 0);
    rig_close(&r);
}

static void appended_entries_are_read_back_after_a_reopen(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 2);
    rig_open_ok(&r);

    rig_append_durable(&r, 1, 3, 100);
    rig_append_durable(&r, 2, 2, 0);
    rig_append_durable(&r, 3, 40, 5000);
    rig_reopen_ok(&r);

    assert_int_equal(r.report.first, 1);
    assert_int_equal(r.report.last, 45);
    assert_int_equal(log_durable(r.log), 45);
    assert_int_equal(log_term(r.log, 5), 2);
    assert_int_equal(log_term(r.log, 46), 0);
    for (uint64_t i = 1; i <= 45; i++) {
        rig_expect_entry(&r, i, i <= 3 ? 1 : i <= 5 ? 2 : 3, i <= 3 ? 100 : i <= 5 ? 0 : 5000);
    }
    rig_close(&r);
}

static void types_survive_a_reopen(void **state)
{
    struct rig r;
    struct log_entry entry;
    (void)state;
    rig_init(&r, 3);
    rig_open_ok(&r);

    log_append(r.log, 1, LOG_CONFIGURATION, "abc", 3, NULL);
    log_append(r.log, 1, LOG_BARRIER, NULL, 0, NULL);
    log_flush(r.log);
    rig_wait_durable(&r);
    rig_reopen_ok(&r);

    assert_int_equal(log_get(r.log, 1, &entry, NULL), 0);
    assert_int_equal(entry.type, LOG_CONFIGURATION);
    assert_memory_equal(entry.data, "abc", 3);
    assert_int_equal(log_get(r.log, 2, &entry, NULL), 0);
    assert_int_equal(entry.type, LOG_BARRIER);
    assert_int_equal(entry.len, 0);
    assert_int_equal(log_get(r.log, 3, &entry, &r.error), Q_NOT_FOUND);
    assert_int_equal(log_get(r.log, 0, &entry, &r.error), Q_NOT_FOUND);
    rig_close(&r);
}

static void what_waits_while_writes_are_under_way_goes_out_in_one_write(void **state)
{
    struct rig r;
    struct log_stats stats;
    (void)state;
    rig_init(&r, 4);
    rig_open_ok(&r);

    for (unsigned i = 0; i < 100; i++) {
        rig_append(&r, 1, 50);
        log_flush(r.log);
    }
    rig_wait_durable(&r);

    /* One, a second beside it, and all the rest. */
    log_stats(r.log, &stats);
    assert_int_equal(stats.writes, 3);
    assert_int_equal(stats.written_bytes, 2 * ENV_BLOCK + 3 * ENV_BLOCK);
    rig_close(&r);
}

/* Writes that the test lets go one by one. */
static struct {
    const struct env_ops *real;
    struct env_ops ops;
    struct env_write *write[8];
    unsigned n;
} held;

static void hold_write(struct env *env, struct env_write *write)
{
    (void)env;
    held.write[held.n++] = write;
}

static void hold_writes(struct rig *r)
{
    held.real = r->env->ops;
    held.ops = *held.real;
    held.ops.submit_write = hold_write;
    held.n = 0;
    r->env->ops = &held.ops;
}

static void let_go(struct rig *r, unsigned i)
{
    held.real->submit_write(r->env, held.write[i]);
    sim_run_until(r->sim, sim_now_us(r->sim) + 5000);
}

static void writes_that_end_out_of_order_count_in_order(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 5);
    rig_open_ok(&r);
    rig_settle(&r);
    hold_writes(&r);

    rig_append(&r, 1, 10);
    log_flush(r.log);
    rig_append(&r, 1, 10);
    log_flush(r.log);
    rig_append(&r, 1, 10);
    log_flush(r.log);
    assert_int_equal(held.n, 2);
    let_go(&r, 1);
    assert_int_equal(r.reports, 0);
    assert_int_equal(log_durable(r.log), 0);
    assert_int_equal(held.n, 2);
    let_go(&r, 0);

    assert_int_equal(r.reports, 1);
    assert_int_equal(r.durable[0], 2);
    assert_int_equal(held.n, 3);
    let_go(&r, 2);
    assert_int_equal(r.reports, 2);
    assert_int_equal(r.durable[1], 3);
    rig_close(&r);
}

static void entries_truncated_in_flight_are_never_reported(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 6);
    rig_open_ok(&r);
    rig_settle(&r);
    hold_writes(&r);

    for (unsigned i = 0; i < 4; i++) {
        rig_append(&r, 1, 10);
    }
    log_flush(r.log);
    log_truncate(r.log, 3);
    rig_append(&r, 2, 10);
    log_flush(r.log);
    let_go(&r, 0);

    assert_int_equal(r.reports, 1);
    assert_int_equal(r.durable[0], 2);
    let_go(&r, 1);
    assert_int_equal(r.reports, 2);
    assert_int_equal(r.durable[1], 3);
    r.env->ops = held.real;
    rig_settle(&r);
    rig_reopen_ok(&r);
    assert_int_equal(log_last(r.log), 3);
    rig_expect_entry(&r, 2, 1, 10);
    rig_expect_entry(&r, 3, 2, 10);
    rig_close(&r);
}

static void an_orphan_does_not_come_back_when_the_gap_is_filled_with_the_same_entry(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 36);
    rig_open_ok(&r);
    rig_settle(&r);
    rig_append_durable(&r, 1, 1, 100);

    /* Entry 3 arrives, entry 2 does not. */
    hold_writes(&r);
    for (unsigned i = 0; i < 2; i++) {
        rig_append(&r, 1, 100);
        log_flush(r.log);
    }
    let_go(&r, 1);
    rig_crash(&r);
    rig_open_ok(&r);
    assert_int_equal(log_last(r.log), 1);
    assert_int_equal(r.report.torn_bytes, ENV_BLOCK);
    rig_append_durable(&r, 1, 1, 100);
    rig_crash(&r);
    rig_open_ok(&r);

    assert_int_equal(log_last(r.log), 2);
    rig_close(&r);
}

static void what_a_killed_process_wrote_lasts_once_it_was_read_back(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct rig r;
        rig_init(&r, seed);
        rig_open_ok(&r);
        rig_append_durable(&r, 1, 1, 100);
        rig_append(&r, 1, 100);
        log_flush(r.log);

        sim_node_kill(r.node);
        log_close(r.log);
        r.config.env = r.env = sim_node_boot(r.node);
        rig_open_ok(&r);
        uint64_t last = log_last(r.log);
        rig_crash(&r);
        rig_open_ok(&r);

        assert_false(r.report.damaged);
        assert_int_equal(log_last(r.log), last);
        assert_false(log_damaged(r.log));
        rig_close(&r);
    }
}

/* A failed sync makes clean pages of what is not on the disk: the next one would say that all is well. */
static void a_failed_sync_does_not_hide_that_what_is_read_back_is_not_on_the_disk(void **state)
{
    struct sim_disk_faults failing = {.sync_eio = 400000}, healthy = {.sync_eio = 0};
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct rig r;
        rig_init(&r, seed);
        rig_open_ok(&r);
        rig_append_durable(&r, 1, 1, 100);
        rig_append(&r, 1, 100);
        log_flush(r.log);
        sim_node_kill(r.node);
        log_close(r.log);

        r.config.env = r.env = sim_node_boot(r.node);
        sim_node_disk_faults(r.node, &failing);
        while (rig_open(&r) != 0) {
        }
        sim_node_disk_faults(r.node, &healthy);
        uint64_t last = log_last(r.log);
        rig_crash(&r);
        rig_open_ok(&r);

        assert_false(r.report.damaged);
        assert_int_equal(log_last(r.log), last);
        rig_close(&r);
    }
}

static void the_mark_never_is_ahead_of_a_write_in_flight(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 40);
    rig_open_ok(&r);
    rig_append_durable(&r, 1, 1, 100);

    hold_writes(&r);
    rig_append(&r, 1, 100);
    log_flush(r.log);
    rig_settle(&r);
    assert_int_equal(held.n, 2);
    assert_int_equal(held.write[1]->len, ENV_BLOCK);
    let_go(&r, 1);
    rig_crash(&r);
    rig_open_ok(&r);

    assert_int_equal(log_last(r.log), 1);
    rig_close(&r);
}

static void durable_entries_that_are_truncated_do_not_come_back(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 7);
    rig_open_ok(&r);

    rig_append_durable(&r, 1, 10, 3000);
    log_truncate(r.log, 4);
    assert_int_equal(log_last(r.log), 3);
    assert_int_equal(log_durable(r.log), 3);
    rig_append_durable(&r, 2, 2, 200);
    assert_int_equal(r.durable[r.reports - 1], 5);
    rig_crash(&r);
    rig_open_ok(&r);

    assert_int_equal(log_last(r.log), 5);
    rig_expect_entry(&r, 3, 1, 3000);
    rig_expect_entry(&r, 4, 2, 200);
    rig_expect_entry(&r, 5, 2, 200);
    rig_close(&r);
}

static void a_truncation_without_new_entries_lasts(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 8);
    rig_open_ok(&r);

    rig_append_durable(&r, 1, 10, 300);
    log_truncate(r.log, 4);
    log_flush(r.log);
    rig_settle(&r);
    rig_reopen_ok(&r);
    assert_int_equal(log_last(r.log), 3);
    log_truncate(r.log, 1);
    log_flush(r.log);
    rig_settle(&r);
    rig_reopen_ok(&r);

    assert_int_equal(log_last(r.log), 0);
    rig_append_durable(&r, 5, 1, 10);
    rig_reopen_ok(&r);
    rig_expect_entry(&r, 1, 5, 10);
    rig_close(&r);
}

static void old_entries_are_read_back_from_their_segment(void **state)
{
    struct rig r;
    struct log_stats stats;
    (void)state;
    rig_init(&r, 9);
    rig_open_ok(&r);

    rig_append_durable(&r, 1, 100, 3000);
    rig_settle(&r);

    log_stats(r.log, &stats);
    assert_in_range(stats.cached_bytes, 1, 16 * 1024);
    assert_int_equal(stats.cold_reads, 0);
    for (uint64_t i = 1; i <= 100; i++) {
        rig_expect_entry(&r, i, 1, 3000);
    }
    log_stats(r.log, &stats);
    assert_int_equal(stats.cold_reads, 95);
    rig_close(&r);
}

static void the_largest_entry_fits_and_takes_a_segment(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 11);
    rig_open_ok(&r);
    uint32_t most = log_entry_max(r.log);

    rig_append_durable(&r, 1, 1, 10);
    rig_append_durable(&r, 1, 3, most);
    rig_append_durable(&r, 1, 1, 10);
    rig_reopen_ok(&r);

    assert_int_equal(log_last(r.log), 5);
    rig_expect_entry(&r, 2, 1, most);
    rig_expect_entry(&r, 4, 1, most);
    rig_expect_entry(&r, 5, 1, 10);
    rig_close(&r);
}

static void bytes_from_counts_payload(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 12);
    rig_open_ok(&r);

    for (uint32_t len = 1; len <= 100; len++) {
        rig_append(&r, 1, len);
    }
    log_flush(r.log);
    rig_wait_durable(&r);

    assert_int_equal(log_bytes_from(r.log, 1), 5050);
    assert_int_equal(log_bytes_from(r.log, 100), 100);
    assert_int_equal(log_bytes_from(r.log, 101), 0);
    log_trim(r.log, 50);
    assert_int_equal(log_bytes_from(r.log, 50), 5050 - 49 * 50 / 2);
    log_truncate(r.log, 51);
    assert_int_equal(log_bytes_from(r.log, 50), 50);
    rig_close(&r);
}

static void writes_in_flight_over_a_reset_are_not_reported(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 19);
    rig_open_ok(&r);
    rig_settle(&r);
    hold_writes(&r);

    rig_append(&r, 1, 100);
    log_flush(r.log);
    assert_int_equal(log_reset(r.log, 1, 0, &r.error), 0);
    rig_append(&r, 2, 100);
    log_flush(r.log);
    let_go(&r, 0);
    assert_int_equal(r.reports, 0);
    let_go(&r, 1);

    assert_int_equal(r.reports, 1);
    assert_int_equal(r.durable[0], 1);
    r.env->ops = held.real;
    rig_settle(&r);
    rig_reopen_ok(&r);
    assert_int_equal(log_last(r.log), 1);
    rig_expect_entry(&r, 1, 2, 100);
    rig_close(&r);
}

static void a_reset_between_writes_out_of_order_leaves_no_write_behind(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 34);
    rig_open_ok(&r);
    rig_settle(&r);
    hold_writes(&r);

    for (unsigned i = 0; i < 2; i++) {
        rig_append(&r, 1, 100);
        log_flush(r.log);
    }
    let_go(&r, 1);
    assert_int_equal(log_reset(r.log, 1, 0, &r.error), 0);
    let_go(&r, 0);
    for (unsigned i = 0; i < 2; i++) {
        rig_append(&r, 2, 100);
        log_flush(r.log);
    }

    assert_int_equal(held.n, 4);
    let_go(&r, 3);
    let_go(&r, 2);
    assert_int_equal(log_durable(r.log), 2);
    rig_close(&r);
}

static void a_log_closed_between_writes_out_of_order_is_freed(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 35);
    rig_open_ok(&r);
    rig_settle(&r);
    hold_writes(&r);

    for (unsigned i = 0; i < 2; i++) {
        rig_append(&r, 1, 100);
        log_flush(r.log);
    }
    let_go(&r, 1);
    log_close(r.log);
    r.log = NULL;
    let_go(&r, 0);

    /* The leak sanitizer looks. */
    rig_close(&r);
}

static void a_log_may_be_closed_with_writes_in_flight(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 20);
    rig_open_ok(&r);

    rig_append_durable(&r, 1, 3, 100);
    rig_append(&r, 1, 30000);
    log_flush(r.log);
    unsigned reports = r.reports;
    log_close(r.log);
    r.log = NULL;
    rig_settle(&r);

    assert_int_equal(r.reports, reports);
    rig_open_ok(&r);
    assert_in_range(log_last(r.log), 3, 4);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_log_is_empty_and_stays_so),
        cmocka_unit_test(appended_entries_are_read_back_after_a_reopen),
        cmocka_unit_test(types_survive_a_reopen),
        cmocka_unit_test(what_waits_while_writes_are_under_way_goes_out_in_one_write),
        cmocka_unit_test(writes_that_end_out_of_order_count_in_order),
        cmocka_unit_test(entries_truncated_in_flight_are_never_reported),
        cmocka_unit_test(an_orphan_does_not_come_back_when_the_gap_is_filled_with_the_same_entry),
        cmocka_unit_test(what_a_killed_process_wrote_lasts_once_it_was_read_back),
        cmocka_unit_test(a_failed_sync_does_not_hide_that_what_is_read_back_is_not_on_the_disk),
        cmocka_unit_test(the_mark_never_is_ahead_of_a_write_in_flight),
        cmocka_unit_test(durable_entries_that_are_truncated_do_not_come_back),
        cmocka_unit_test(a_truncation_without_new_entries_lasts),
        cmocka_unit_test(old_entries_are_read_back_from_their_segment),
        cmocka_unit_test(the_largest_entry_fits_and_takes_a_segment),
        cmocka_unit_test(bytes_from_counts_payload),
        cmocka_unit_test(writes_in_flight_over_a_reset_are_not_reported),
        cmocka_unit_test(a_reset_between_writes_out_of_order_leaves_no_write_behind),
        cmocka_unit_test(a_log_closed_between_writes_out_of_order_is_freed),
        cmocka_unit_test(a_log_may_be_closed_with_writes_in_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
