/* Disks that fail, files that are damaged or missing. */
#include "raft_glue/log_format.h"
#include "tests/unit/raft_glue/log_rig.h"

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
    assert_non_null(strstr(r.failed.text, "/segment-0000000000000001"));
    assert_int_equal(log_durable(r.log), 3);
    rig_close(&r);
}

/* The disk takes LEFT bytes more; 0: as many as you like. */
static void limit_disk(struct rig *r, uint64_t left)
{
    uint64_t capacity = left == 0 ? 0 : sim_disk_used(sim_node_disk(r->node)) + left;
    sim_node_disk_faults(r->node, &(struct sim_disk_faults){.capacity = capacity});
}

/* Fills what is ready, and leaves entries waiting for a segment that a full disk does not take. */
static void fill_the_disk(struct rig *r)
{
    rig_open_ok(r);
    rig_settle(r);
    limit_disk(r, 2 * ENV_BLOCK);
    for (unsigned i = 0; i < 3; i++) {
        rig_append_durable(r, 1, 10, 5000);
        rig_settle(r);
    }
    for (unsigned i = 0; i < 20; i++) {
        rig_append(r, 1, 5000);
    }
    log_flush(r->log);
    rig_settle(r);
}

static void on_a_full_disk_entries_wait_for_their_segment(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 23);

    fill_the_disk(&r);

    assert_true(log_lacks_room(r.log));
    assert_int_equal(r.failures, 0);
    assert_in_range(log_durable(r.log), 30, 40);
    assert_int_equal(log_last(r.log), 50);
    assert_int_equal(rig_count_files(&r, "spare-"), 0); /* what was begun is gone */
    rig_close(&r);
}

static void entries_that_waited_become_durable_when_space_is_back(void **state)
{
    struct rig r;
    uint64_t durable;
    (void)state;
    rig_init(&r, 23);
    fill_the_disk(&r);

    durable = log_durable(r.log);
    log_retry(r.log); /* nothing has changed */
    rig_settle(&r);
    assert_int_equal(log_durable(r.log), durable);
    assert_true(log_lacks_room(r.log));
    limit_disk(&r, 0);
    log_retry(r.log);
    rig_wait_durable(&r);

    assert_int_equal(log_durable(r.log), 50);
    assert_int_equal(r.failures, 0);
    rig_settle(&r);
    assert_false(log_lacks_room(r.log));
    rig_crash(&r);
    rig_open_ok(&r);
    assert_int_equal(r.report.last, 50);
    for (uint64_t i = 1; i <= 50; i++) {
        rig_expect_entry(&r, i, 1, 5000);
    }
    rig_close(&r);
}

static void a_trimmed_segment_is_room_enough_on_a_full_disk(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 23);
    fill_the_disk(&r);

    log_trim(r.log, log_durable(r.log));
    rig_wait_durable(&r);

    assert_int_equal(log_durable(r.log), 50);
    assert_int_equal(r.failures, 0);
    rig_close(&r);
}

static void a_log_opens_on_a_full_disk(void **state)
{
    struct rig r;
    uint64_t durable;
    (void)state;
    rig_init(&r, 23);
    fill_the_disk(&r);
    durable = log_durable(r.log);

    rig_crash(&r);
    limit_disk(&r, 1);
    rig_open_ok(&r);

    assert_int_equal(r.report.last, durable);
    rig_expect_entry(&r, durable, 1, 5000);
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

static void expect_hole(struct rig *r, uint64_t first, uint64_t last, const char *damage)
{
    struct log_hole hole;
    rig_open_ok(r);
    assert_true(r->report.damaged);
    if (strstr(r->report.damage.text, damage) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", r->report.damage.text, damage);
    }
    assert_true(log_hole(r->log, 1, &hole));
    assert_int_equal(hole.first, first);
    assert_int_equal(hole.last, last);
    assert_int_equal(hole.term, 1);
    assert_false(hole.detached);
    assert_int_equal(log_last(r->log), 50);
    assert_int_equal(r->report.lost, last - first + 1);
    for (uint64_t i = 1; i <= 50; i++) {
        if (i < first || i > last) {
            rig_expect_entry(r, i, 1, 5000);
        }
    }
    log_close(r->log); /* and changes nothing */
    r->log = NULL;
}

static void the_entries_of_a_missing_middle_segment_are_a_hole(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 26);
    fill_five_segments_and_close(&r);

    remove_file(&r, "data/log/segment-0000000000000003");

    expect_hole(&r, 25, 36, "segment-0000000000000003 is missing");
    expect_hole(&r, 25, 36, "segment-0000000000000003 is missing");
    rig_close(&r);
}

static void the_entries_of_missing_first_segments_are_a_hole(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 27);
    fill_five_segments_and_close(&r);

    remove_file(&r, "data/log/segment-0000000000000001");

    expect_hole(&r, 1, 12, "the entries 1 to 12 before this segment are missing");
    rig_close(&r);
}

static void the_entries_of_missing_last_segments_are_a_hole(void **state)
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

    expect_hole(&r, 37, 50, "the record of index 37 is damaged, and it was durable");
    rig_close(&r);
}

/* What is left of the file: its first BYTES. */
static void cut_off(struct rig *r, const char *path, size_t bytes)
{
    static uint8_t content[16 * ENV_BLOCK];
    struct env_file *file;
    size_t n;
    assert_int_equal(env_open(r->env, path, 0, &file, &r->error), 0);
    assert_int_equal(env_read(r->env, file, 0, content, bytes, &n, &r->error), 0);
    env_close(r->env, file);
    remove_file(r, path);
    assert_int_equal(env_open(r->env, path, ENV_CREATE | ENV_WRITE, &file, &r->error), 0);
    assert_int_equal(env_write(r->env, file, 0, content, n, &r->error), 0);
    env_close(r->env, file);
}

static void the_entries_of_a_segment_that_was_cut_off_are_a_hole(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 26);
    fill_five_segments_and_close(&r);

    cut_off(&r, "data/log/segment-0000000000000003", 7 * ENV_BLOCK);
    expect_hole(&r, 25, 36, "segment-0000000000000003: offset 0");
    cut_off(&r, "data/log/segment-0000000000000003", 0);
    expect_hole(&r, 25, 36, "segment-0000000000000003: offset 0");
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

static void a_torn_write_that_was_cut_does_not_become_whole_later(void **state)
{
    static const uint64_t in_group_2 = 2 * ENV_BLOCK + 3000, in_group_3 = 3 * ENV_BLOCK + 100;
    struct rig r;
    (void)state;
    rig_init(&r, 42);
    rig_open_ok(&r);
    rig_append_durable(&r, 1, 1, 100);
    rig_settle(&r);
    rig_append_durable(&r, 1, 1, 3500);
    rig_crash(&r);

    rig_flip(&r, "segment-0000000000000001", in_group_2, 0);
    rig_open_ok(&r);
    assert_int_equal(log_last(r.log), 1);
    rig_crash(&r);
    rig_flip(&r, "segment-0000000000000001", in_group_2, 0);
    rig_open_ok(&r);
    assert_int_equal(log_last(r.log), 1);

    /* The place is good for the next one. */
    rig_append_durable(&r, 2, 1, 3500);
    rig_crash(&r);
    rig_flip(&r, "segment-0000000000000001", in_group_3, 0);
    rig_open_ok(&r);
    rig_expect_entry(&r, 2, 2, 3500);
    rig_close(&r);
}

/* Overwrites the record of INDEX at OFFSET with one that is whole, but follows something else. */
static void forge_record(struct rig *r, const char *path, uint64_t index, uint32_t len, uint64_t offset)
{
    static uint8_t payload[ENV_BLOCK], record[2 * ENV_BLOCK];
    struct log_entry entry = {.index = index, .term = 1, .type = LOG_COMMANDS, .data = payload, .len = len};
    struct env_file *file;
    format_record_put(&entry, 4711, record);
    assert_int_equal(env_open(r->env, path, ENV_WRITE, &file, &r->error), 0);
    assert_int_equal(env_write(r->env, file, offset, record, FORMAT_RECORD_BYTES + len, &r->error), 0);
    assert_int_equal(env_sync(r->env, file, &r->error), 0);
    env_close(r->env, file);
}

static void a_record_of_another_history_is_none(void **state)
{
    static const uint64_t second = 2 * ENV_BLOCK + FORMAT_GROUP_BYTES + FORMAT_RECORD_BYTES + 3500;
    struct rig r;
    (void)state;
    rig_init(&r, 45);
    rig_open_ok(&r);
    rig_append_durable(&r, 1, 1, 100);
    rig_settle(&r);
    rig_append_durable(&r, 1, 2, 3500);
    rig_crash(&r);

    forge_record(&r, "data/log/segment-0000000000000001", 3, 3500, second);
    rig_open_ok(&r);

    assert_int_equal(log_last(r.log), 1);
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

    rig_open_ok(&r);
    assert_non_null(
        strstr(r.report.damage.text, "segment-0000000000000001: offset 8264: the record of index 2 "));
    assert_int_equal(r.report.lost, 1);
    assert_int_equal(log_last(r.log), 4);
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

    rig_open_ok(&r);
    assert_int_equal(r.report.lost, 1);
    assert_int_equal(log_last(r.log), 1);
    rig_close(&r);
}

/* The last group holds 2 and 3; the mark has not followed yet. */
static void write_and_damage_the_end(struct rig *r, uint64_t offset)
{
    rig_open_ok(r);
    rig_append_durable(r, 1, 1, 100);
    rig_settle(r);
    rig_append_durable(r, 2, 2, 100);
    rig_crash(r);
    rig_flip(r, "segment-0000000000000001", 2 * ENV_BLOCK + offset, 0);
}

static void what_was_applied_is_known_to_have_been_durable(void **state)
{
    struct rig r;
    struct log_hole hole;
    (void)state;

    /* A group that cannot be read. */
    rig_init(&r, 33);
    write_and_damage_the_end(&r, 20);
    r.config.known_index = 3;
    r.config.known_term = 2;
    rig_open_ok(&r);
    assert_true(r.report.damaged);
    assert_true(log_hole(r.log, 1, &hole));
    assert_int_equal(hole.first, 2);
    assert_int_equal(hole.last, 3);
    assert_int_equal(hole.term, 2);
    rig_close(&r);

    /* A record of it: its group was durable, all of it. */
    rig_init(&r, 33);
    write_and_damage_the_end(&r, 72 + 40 + 50);
    r.config.known_index = 2;
    r.config.known_term = 2;
    rig_open_ok(&r);
    assert_int_equal(log_last(r.log), 3);
    assert_true(log_hole(r.log, 1, &hole));
    assert_int_equal(hole.first, 2);
    rig_close(&r);

    /* Nothing was applied: it may have been torn as well. */
    rig_init(&r, 33);
    write_and_damage_the_end(&r, 20);
    r.config.known_index = 1;
    r.config.known_term = 1;
    rig_open_ok(&r);
    assert_false(r.report.damaged);
    assert_int_equal(log_last(r.log), 1);
    rig_close(&r);
}

static void payload_that_imitates_a_group_proves_nothing(void **state)
{
    struct rig r;
    static uint8_t payload[8 * ENV_BLOCK];
    struct format_group forged = {
        .bytes = ENV_BLOCK, .number = 4, .durable = 3, .first = 3, .before_term = 1};
    (void)state;
    rig_init(&r, 37);
    rig_open_ok(&r);
    rig_append_durable(&r, 1, 1, 100);
    rig_settle(&r);

    /* A client's entry: wherever a block starts, it looks like a group that says that this one was durable.
     */
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

static void without_both_slots_of_the_mark_the_log_is_corrupt(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, 39);
    rig_open_ok(&r);
    rig_append_durable(&r, 1, 5, 100);
    log_close(r.log);
    r.log = NULL;
    rig_settle(&r);

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
        cmocka_unit_test(a_record_damaged_while_the_log_is_open_is_found_when_read),
        cmocka_unit_test(a_write_error_is_reported_once_and_ends_writing),
        cmocka_unit_test(on_a_full_disk_entries_wait_for_their_segment),
        cmocka_unit_test(entries_that_waited_become_durable_when_space_is_back),
        cmocka_unit_test(a_trimmed_segment_is_room_enough_on_a_full_disk),
        cmocka_unit_test(a_log_opens_on_a_full_disk),
        cmocka_unit_test(another_clusters_segment_is_refused),
        cmocka_unit_test(the_entries_of_a_missing_middle_segment_are_a_hole),
        cmocka_unit_test(the_entries_of_missing_first_segments_are_a_hole),
        cmocka_unit_test(the_entries_of_missing_last_segments_are_a_hole),
        cmocka_unit_test(the_entries_of_a_segment_that_was_cut_off_are_a_hole),
        cmocka_unit_test(a_log_without_segments_or_without_mark_is_corrupt),
        cmocka_unit_test(a_torn_write_that_was_cut_does_not_become_whole_later),
        cmocka_unit_test(a_record_of_another_history_is_none),
        cmocka_unit_test(a_mark_that_lags_is_made_up_for_by_later_groups),
        cmocka_unit_test(the_mark_follows_when_the_log_is_idle),
        cmocka_unit_test(what_was_applied_is_known_to_have_been_durable),
        cmocka_unit_test(payload_that_imitates_a_group_proves_nothing),
        cmocka_unit_test(without_both_slots_of_the_mark_the_log_is_corrupt),
        cmocka_unit_test(odd_configurations_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
