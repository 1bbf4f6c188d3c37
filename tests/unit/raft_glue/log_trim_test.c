/* Where the log begins: trimming, recycled segments, snapshots, resets. */
#include "raft_glue/segment_pool.h"
#include "tests/unit/raft_glue/log_rig.h"

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

static void a_reset_needs_no_more_room_on_a_full_disk(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 43);
    rig_open_ok(&r);
    rig_append_durable(&r, 1, 20, 5000);
    rig_settle(&r);

    sim_node_disk_faults(r.node, &(struct sim_disk_faults){.capacity = sim_disk_used(sim_node_disk(r.node))});
    assert_int_equal(log_reset(r.log, 100, 1, &r.error), 0);
    rig_append_durable(&r, 2, 20, 5000);
    rig_settle(&r);

    assert_int_equal(r.failures, 0);
    assert_int_equal(log_durable(r.log), 119);
    rig_close(&r);
}

static void the_segment_of_a_reset_may_go_unused(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 41);
    rig_open_ok(&r);
    rig_append_durable(&r, 1, 5, 100);
    rig_settle(&r);
    rig_reopen_ok(&r);
    assert_int_equal(log_reset(r.log, 6, 1, &r.error), 0);

    /* The first entry behind it is too large for it, and comes before the mark has followed. */
    r.config.segment_bytes = 256 * 1024;
    r.config.first_index = 6;
    r.config.before_term = 1;
    rig_crash(&r);
    rig_open_ok(&r);
    rig_append_durable(&r, 2, 1, 200000);
    log_trim(r.log, 6);
    sim_run_until(r.sim, sim_now_us(r.sim) + 20000);
    rig_crash(&r);
    rig_open_ok(&r);

    assert_int_equal(log_last(r.log), 6);
    rig_expect_entry(&r, 6, 2, 200000);
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

        assert_false(r.report.damaged);
        assert_int_equal(log_last(r.log), 50);
        rig_expect_entry(&r, 50, 1, 5000);
        rig_close(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segments_are_recycled_many_times_over),
        cmocka_unit_test(a_log_trimmed_to_nothing_goes_on_where_it_was),
        cmocka_unit_test(entries_below_the_snapshot_are_skipped),
        cmocka_unit_test(a_log_behind_the_snapshot_is_begun_anew),
        cmocka_unit_test(a_log_of_another_term_at_the_snapshot_is_begun_anew),
        cmocka_unit_test(reset_forgets_everything_durably),
        cmocka_unit_test(a_reset_needs_no_more_room_on_a_full_disk),
        cmocka_unit_test(the_segment_of_a_reset_may_go_unused),
        cmocka_unit_test(the_size_of_segments_may_change),
        cmocka_unit_test(trimming_makes_room_on_a_full_disk),
        cmocka_unit_test(a_trimmed_log_survives_the_loss_of_either_slot_of_the_mark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
