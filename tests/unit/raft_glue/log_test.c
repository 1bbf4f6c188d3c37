#include "raft_glue/log.h"

#include "raft_glue/segment_pool.h"
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

static void a_record_damaged_while_the_log_is_open_is_found_when_read(void **state)
{
    struct rig r;
    struct log_entry entry;
    (void)state;
    rig_init(&r, 10);
    rig_open_ok(&r);

    rig_append_durable(&r, 1, 20, 3000);
    rig_flip(&r, "segment-0000000000000001", ENV_BLOCK + 72 + 40 + 100, 3);

    assert_int_equal(log_get(r.log, 1, &entry, &r.error), Q_CORRUPT);
    assert_non_null(strstr(r.error.text, "segment-0000000000000001: offset 4168: the record of index 1 "));
    rig_expect_entry(&r, 2, 1, 3000);
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

static void segments_are_recycled_many_times_over(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 13);
    rig_open_ok(&r);

    for (uint64_t round = 1; round <= 60; round++) {
        rig_append_durable(&r, round, 10, 5000);
        log_trim(r.log, log_last(r.log) - 4);
        assert_int_equal(log_term(r.log, log_first(r.log) - 1), round);
    }
    rig_settle(&r);

    /* 3 MB went through segments of 64 KiB. */
    assert_in_range(rig_count_files(&r, "segment-"), 3, 4);
    assert_in_range(rig_count_files(&r, "spare-"), 0, POOL_SPARES);
    assert_in_range(sim_disk_used(sim_node_disk(r.node)), 1, 10 * 64 * 1024);
    r.config.first_index = log_first(r.log);
    r.config.before_term = 60;
    rig_reopen_ok(&r);
    assert_int_equal(log_first(r.log), 596);
    assert_int_equal(log_last(r.log), 600);
    assert_int_equal(log_term(r.log, 595), 60);
    for (uint64_t i = 596; i <= 600; i++) {
        rig_expect_entry(&r, i, 60, 5000);
    }
    rig_close(&r);
}

static void a_log_trimmed_to_nothing_goes_on_where_it_was(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 14);
    rig_open_ok(&r);

    /* The last group ends near the end of its segment, so that the next is in a fresh one. */
    rig_append_durable(&r, 1, 1, 50000);
    rig_append_durable(&r, 2, 1, 50000);
    log_trim(r.log, 3);
    rig_settle(&r);
    assert_int_equal(log_first(r.log), 3);
    assert_int_equal(log_last(r.log), 2);
    r.config.first_index = 3;
    r.config.before_term = 2;
    rig_reopen_ok(&r);
    rig_settle(&r);
    rig_append_durable(&r, 3, 1, 50000);
    log_trim(r.log, 4);
    rig_settle(&r);
    r.config.first_index = 4;
    r.config.before_term = 3;
    rig_crash(&r);
    rig_open_ok(&r);

    assert_int_equal(log_first(r.log), 4);
    assert_int_equal(log_last(r.log), 3);
    rig_append_durable(&r, 4, 5, 100);
    rig_crash(&r);
    rig_open_ok(&r);
    assert_int_equal(log_last(r.log), 8);
    rig_expect_entry(&r, 4, 4, 100);
    rig_close(&r);
}

static void entries_below_the_snapshot_are_skipped(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 15);
    rig_open_ok(&r);

    rig_append_durable(&r, 1, 20, 100);
    r.config.first_index = 11;
    r.config.before_term = 1;
    rig_reopen_ok(&r);

    assert_int_equal(log_first(r.log), 11);
    assert_int_equal(log_last(r.log), 20);
    assert_int_equal(log_term(r.log, 10), 1);
    assert_int_equal(log_term(r.log, 9), 0);
    rig_close(&r);
}

static void a_log_behind_the_snapshot_is_begun_anew(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 16);
    rig_open_ok(&r);

    rig_append_durable(&r, 1, 20, 100);
    r.config.first_index = 31;
    r.config.before_term = 4;
    rig_reopen_ok(&r);

    assert_int_equal(log_first(r.log), 31);
    assert_int_equal(log_last(r.log), 30);
    assert_int_equal(log_term(r.log, 30), 4);
    rig_append_durable(&r, 5, 1, 100);
    rig_crash(&r);
    rig_open_ok(&r);
    rig_expect_entry(&r, 31, 5, 100);
    rig_close(&r);
}

static void a_log_of_another_term_at_the_snapshot_is_begun_anew(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 17);
    rig_open_ok(&r);

    rig_append_durable(&r, 1, 20, 100);
    r.config.first_index = 11;
    r.config.before_term = 2;
    rig_reopen_ok(&r);

    assert_int_equal(log_first(r.log), 11);
    assert_int_equal(log_last(r.log), 10);
    assert_int_equal(log_term(r.log, 10), 2);
    rig_close(&r);
}

static void reset_forgets_everything_durably(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 18);
    rig_open_ok(&r);

    rig_append_durable(&r, 1, 60, 5000);
    rig_append(&r, 1, 100);
    log_flush(r.log);
    assert_int_equal(log_reset(r.log, 1000, 7, &r.error), 0);
    assert_int_equal(log_first(r.log), 1000);
    assert_int_equal(log_last(r.log), 999);
    assert_int_equal(log_durable(r.log), 999);
    assert_int_equal(log_term(r.log, 999), 7);
    r.config.first_index = 1000;
    r.config.before_term = 7;
    rig_crash(&r);
    rig_open_ok(&r);

    assert_int_equal(log_last(r.log), 999);
    rig_append_durable(&r, 8, 3, 100);
    rig_settle(&r);
    assert_int_equal(rig_count_files(&r, "segment-"), 3);
    rig_reopen_ok(&r);
    assert_int_equal(log_last(r.log), 1002);
    rig_expect_entry(&r, 1002, 8, 100);
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

static void the_size_of_segments_may_change(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 21);
    rig_open_ok(&r);

    rig_append_durable(&r, 1, 30, 5000);
    r.config.segment_bytes = 256 * 1024;
    rig_reopen_ok(&r);
    rig_append_durable(&r, 2, 1, log_entry_max(r.log));
    rig_append_durable(&r, 2, 30, 5000);
    r.config.segment_bytes = 32 * 1024;
    rig_reopen_ok(&r);
    rig_append_durable(&r, 3, 30, 5000);
    rig_reopen_ok(&r);

    assert_int_equal(log_last(r.log), 91);
    for (uint64_t i = 1; i <= 91; i++) {
        if (i != 31) {
            rig_expect_entry(&r, i, i <= 30 ? 1 : i <= 61 ? 2 : 3, 5000);
        }
    }
    rig_close(&r);
}

static void a_write_error_is_reported_once_and_ends_writing(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 22);
    rig_open_ok(&r);
    rig_append_durable(&r, 1, 3, 100);
    rig_settle(&r);

    sim_node_disk_faults(r.node, &(struct sim_disk_faults){.write_eio = 1000000});
    for (unsigned i = 0; i < 5; i++) {
        rig_append(&r, 1, 100);
        log_flush(r.log);
    }
    rig_settle(&r);
    sim_node_disk_faults(r.node, &(struct sim_disk_faults){0});
    rig_append(&r, 1, 100);
    log_flush(r.log);
    rig_settle(&r);

    assert_int_equal(r.failures, 1);
    assert_int_equal(r.failed.code, Q_IO);
    assert_int_equal(log_durable(r.log), 3);
    rig_close(&r);
}

static void a_full_disk_is_reported_when_the_log_needs_a_segment(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 23);
    rig_open_ok(&r);
    rig_settle(&r);

    sim_node_disk_faults(
        r.node, &(struct sim_disk_faults){.capacity = sim_disk_used(sim_node_disk(r.node)) + 2 * ENV_BLOCK});
    for (unsigned i = 0; i < 3; i++) {
        rig_append_durable(&r, 1, 10, 5000);
        rig_settle(&r);
        assert_int_equal(r.failures, 0);
    }
    for (unsigned i = 0; i < 20; i++) {
        rig_append(&r, 1, 5000);
    }
    log_flush(r.log);
    rig_settle(&r);

    assert_int_equal(r.failures, 1);
    assert_int_equal(r.failed.code, Q_NO_SPACE);
    assert_in_range(log_durable(r.log), 30, 40);
    rig_close(&r);
}

static void trimming_makes_room_on_a_full_disk(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 24);
    rig_open_ok(&r);
    rig_settle(&r);

    sim_node_disk_faults(r.node, &(struct sim_disk_faults){.capacity = sim_disk_used(sim_node_disk(r.node))});
    for (unsigned i = 0; i < 30; i++) {
        rig_append_durable(&r, 1, 10, 5000);
        log_trim(r.log, log_last(r.log));
        rig_settle(&r);
    }

    assert_int_equal(r.failures, 0);
    assert_int_equal(log_durable(r.log), 300);
    rig_close(&r);
}

static void another_clusters_segment_is_refused(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 25);
    rig_open_ok(&r);
    rig_append_durable(&r, 1, 3, 100);
    log_close(r.log);
    r.log = NULL;
    rig_settle(&r);

    r.config.cluster = RIG_CLUSTER + 1;
    assert_int_equal(rig_open(&r), Q_MISMATCH);
    rig_close(&r);
}

static void remove_file(struct rig *r, const char *path)
{
    assert_int_equal(env_unlink(r->env, path, &r->error), 0);
}

static void fill_five_segments_and_close(struct rig *r)
{
    rig_open_ok(r);
    rig_append_durable(r, 1, 50, 5000);
    rig_settle(r);
    log_close(r->log);
    r->log = NULL;
}

static void a_missing_middle_segment_is_named(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 26);
    fill_five_segments_and_close(&r);

    remove_file(&r, "data/log/segment-0000000000000003");

    assert_int_equal(rig_open(&r), Q_CORRUPT);
    assert_non_null(strstr(r.error.text, "segment-0000000000000003 is missing"));
    rig_close(&r);
}

static void missing_first_segments_are_named_by_their_entries(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 27);
    fill_five_segments_and_close(&r);

    remove_file(&r, "data/log/segment-0000000000000001");

    assert_int_equal(rig_open(&r), Q_CORRUPT);
    assert_non_null(strstr(r.error.text, "the entries 1 to 12 are missing"));
    rig_close(&r);
}

static void missing_last_segments_are_named(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 28);
    fill_five_segments_and_close(&r);

    for (unsigned i = 4; i <= 7; i++) {
        char path[64];
        snprintf(path, sizeof path, "data/log/segment-%016x", i);
        remove_file(&r, path);
    }

    assert_int_equal(rig_open(&r), Q_CORRUPT);
    assert_non_null(
        strstr(r.error.text, "segment-0000000000000004 is missing: the entries from index 37 on"));
    rig_close(&r);
}

static void a_log_without_segments_or_without_mark_is_corrupt(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 29);
    fill_five_segments_and_close(&r);

    assert_int_equal(env_rename(r.env, "data/log/durable", "data/log/away", &r.error), 0);
    assert_int_equal(rig_open(&r), Q_CORRUPT);
    assert_non_null(strstr(r.error.text, "durable is missing"));
    assert_int_equal(env_rename(r.env, "data/log/away", "data/log/durable", &r.error), 0);
    for (unsigned i = 1; i <= 7; i++) {
        char path[64];
        snprintf(path, sizeof path, "data/log/segment-%016x", i);
        remove_file(&r, path);
    }

    assert_int_equal(rig_open(&r), Q_CORRUPT);
    assert_non_null(strstr(r.error.text, "all segments are missing"));
    rig_close(&r);
}

static void a_mark_that_lags_is_made_up_for_by_later_groups(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 30);
    rig_open_ok(&r);
    rig_settle(&r);

    /* Four groups within the 50 ms before the mark follows; the fourth knows that the second was durable. */
    for (unsigned i = 0; i < 4; i++) {
        rig_append_durable(&r, 1, 1, 100);
    }
    rig_crash(&r);
    rig_flip(&r, "segment-0000000000000001", 2 * ENV_BLOCK + 200, 0);

    assert_int_equal(rig_open(&r), Q_CORRUPT);
    assert_non_null(strstr(r.error.text, "segment-0000000000000001: offset 8264: the record of index 2 "));
    rig_close(&r);
}

static void the_mark_follows_when_the_log_is_idle(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 31);
    rig_open_ok(&r);

    rig_append_durable(&r, 1, 1, 100);
    rig_settle(&r);
    rig_crash(&r);
    rig_flip(&r, "segment-0000000000000001", ENV_BLOCK + 200, 0);

    assert_int_equal(rig_open(&r), Q_CORRUPT);
    rig_close(&r);
}

static void payload_that_imitates_a_group_proves_nothing(void **state)
{
    struct rig r;
    static uint8_t payload[8 * ENV_BLOCK];
    struct format_group forged = {.bytes = ENV_BLOCK, .number = 3, .durable = 1000, .first = 2};
    (void)state;
    rig_init(&r, 37);
    rig_open_ok(&r);
    rig_append_durable(&r, 1, 1, 100);
    rig_settle(&r);

    /* A client's entry: wherever a block starts, it looks like a group that says that all was durable. */
    for (size_t at = ENV_BLOCK - FORMAT_GROUP_BYTES - FORMAT_RECORD_BYTES; at + ENV_BLOCK <= sizeof payload;
         at += ENV_BLOCK) {
        format_group_put(&forged, 0, payload + at);
    }
    assert_int_equal(log_append(r.log, 1, LOG_COMMANDS, payload, sizeof payload, &r.error), 0);
    log_flush(r.log);
    rig_wait_durable(&r);
    rig_crash(&r);
    rig_flip(&r, "segment-0000000000000001", 2 * ENV_BLOCK, 0);
    rig_open_ok(&r);

    /* The mark had not followed yet, so this is a torn write. */
    assert_int_equal(log_last(r.log), 1);
    rig_close(&r);
}

/* The slot of `durable` that counts. */
static unsigned newest_slot(struct rig *r)
{
    struct env_file *file;
    struct format_mark mark[2] = {{0}};
    assert_int_equal(env_open(r->env, "data/log/durable", 0, &file, &r->error), 0);
    for (unsigned i = 0; i < 2; i++) {
        uint8_t block[ENV_BLOCK];
        size_t n;
        assert_int_equal(env_read(r->env, file, i * ENV_BLOCK, block, ENV_BLOCK, &n, &r->error), 0);
        assert_true(format_mark_get(block, &mark[i]));
    }
    env_close(r->env, file);
    return mark[1].version > mark[0].version;
}

static void a_trimmed_log_survives_the_loss_of_either_slot_of_the_mark(void **state)
{
    (void)state;
    for (unsigned newest = 0; newest <= 1; newest++) {
        struct rig r;
        rig_init(&r, 38);
        rig_open_ok(&r);
        rig_append_durable(&r, 1, 50, 5000);
        log_trim(r.log, 50);
        rig_settle(&r);
        log_close(r.log);
        r.log = NULL;

        rig_flip(&r, "durable", (newest_slot(&r) ^ !newest) * ENV_BLOCK + 30, 5);
        r.config.first_index = 50;
        r.config.before_term = 1;
        rig_open_ok(&r);

        assert_int_equal(log_last(r.log), 50);
        rig_expect_entry(&r, 50, 1, 5000);
        rig_close(&r);
    }
}

static void without_both_slots_of_the_mark_the_log_is_corrupt(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 39);
    rig_open_ok(&r);
    rig_append_durable(&r, 1, 5, 100);
    log_close(r.log);
    r.log = NULL;

    rig_flip(&r, "durable", 30, 5);
    rig_flip(&r, "durable", ENV_BLOCK + 31, 6);

    assert_int_equal(rig_open(&r), Q_CORRUPT);
    rig_close(&r);
}

static void odd_configurations_are_refused(void **state)
{
    struct rig r;
    char dir[5000];
    (void)state;
    rig_init(&r, 32);

    r.config.segment_bytes = ENV_BLOCK;
    assert_int_equal(rig_open(&r), Q_INVALID);
    r.config.segment_bytes = 64 * 1024 + 1;
    assert_int_equal(rig_open(&r), Q_INVALID);
    r.config.segment_bytes = 64 * 1024;
    memset(dir, 'd', sizeof dir - 1);
    dir[sizeof dir - 1] = '\0';
    r.config.dir = dir;
    assert_int_equal(rig_open(&r), Q_TOO_BIG);
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
        cmocka_unit_test(durable_entries_that_are_truncated_do_not_come_back),
        cmocka_unit_test(a_truncation_without_new_entries_lasts),
        cmocka_unit_test(old_entries_are_read_back_from_their_segment),
        cmocka_unit_test(a_record_damaged_while_the_log_is_open_is_found_when_read),
        cmocka_unit_test(the_largest_entry_fits_and_takes_a_segment),
        cmocka_unit_test(bytes_from_counts_payload),
        cmocka_unit_test(segments_are_recycled_many_times_over),
        cmocka_unit_test(a_log_trimmed_to_nothing_goes_on_where_it_was),
        cmocka_unit_test(entries_below_the_snapshot_are_skipped),
        cmocka_unit_test(a_log_behind_the_snapshot_is_begun_anew),
        cmocka_unit_test(a_log_of_another_term_at_the_snapshot_is_begun_anew),
        cmocka_unit_test(reset_forgets_everything_durably),
        cmocka_unit_test(writes_in_flight_over_a_reset_are_not_reported),
        cmocka_unit_test(a_reset_between_writes_out_of_order_leaves_no_write_behind),
        cmocka_unit_test(a_log_closed_between_writes_out_of_order_is_freed),
        cmocka_unit_test(a_log_may_be_closed_with_writes_in_flight),
        cmocka_unit_test(the_size_of_segments_may_change),
        cmocka_unit_test(a_write_error_is_reported_once_and_ends_writing),
        cmocka_unit_test(a_full_disk_is_reported_when_the_log_needs_a_segment),
        cmocka_unit_test(trimming_makes_room_on_a_full_disk),
        cmocka_unit_test(another_clusters_segment_is_refused),
        cmocka_unit_test(a_missing_middle_segment_is_named),
        cmocka_unit_test(missing_first_segments_are_named_by_their_entries),
        cmocka_unit_test(missing_last_segments_are_named),
        cmocka_unit_test(a_log_without_segments_or_without_mark_is_corrupt),
        cmocka_unit_test(a_mark_that_lags_is_made_up_for_by_later_groups),
        cmocka_unit_test(the_mark_follows_when_the_log_is_idle),
        cmocka_unit_test(payload_that_imitates_a_group_proves_nothing),
        cmocka_unit_test(a_trimmed_log_survives_the_loss_of_either_slot_of_the_mark),
        cmocka_unit_test(without_both_slots_of_the_mark_the_log_is_corrupt),
        cmocka_unit_test(odd_configurations_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
