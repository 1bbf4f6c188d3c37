/* One flipped bit at every byte of a small log: the entries that it costs are known to be lost, or it cuts a
 * tail that nobody was told about, or it hit a byte that means nothing. Never a wrong entry, never a shorter
 * log. */
#include "raft_glue/log_format.h"
#include "tests/unit/raft_glue/log_rig.h"

enum { GROUPS = 8, PER_GROUP = 2, ENTRY_BYTES = 24, BEHIND_MARK = 3 };

static const char first_segment[] = "segment-0000000000000001", second_segment[] = "segment-0000000000000002";

/* Groups of one block: four in the first segment, the others in the second. */
static void write_small_log(struct rig *r, unsigned groups)
{
    for (unsigned i = 0; i < groups; i++) {
        rig_append_durable(r, 1, PER_GROUP, ENTRY_BYTES);
    }
}

static void init(struct rig *r)
{
    rig_init(r, 1);
    r->config.segment_bytes = 5 * ENV_BLOCK;
    rig_open_ok(r);
}

/* Everything up to LAST is there and right. */
static void expect_log_to(struct rig *r, uint64_t last)
{
    assert_int_equal(log_last(r->log), last);
    for (uint64_t i = 1; i <= last; i++) {
        rig_expect_entry(r, i, 1, ENTRY_BYTES);
    }
}

/* The bytes of a group that say something; the others are padding. */
static bool means_something(uint64_t offset)
{
    return offset % ENV_BLOCK < FORMAT_GROUP_BYTES + PER_GROUP * (FORMAT_RECORD_BYTES + ENTRY_BYTES);
}

static void close_log(struct rig *r)
{
    log_close(r->log);
    r->log = NULL;
    rig_settle(r);
}

/* Every entry to LAST is right or known to be lost, and MAX at most are. */
static void expect_right_or_lost(struct rig *r, uint64_t last, uint64_t max)
{
    uint64_t lost = 0;
    assert_int_equal(log_last(r->log), last);
    for (uint64_t i = 1; i <= last; i++) {
        struct log_hole hole;
        if (log_hole(r->log, i, &hole) && hole.first == i) {
            struct log_entry entry;
            assert_int_equal(log_get(r->log, i, &entry, &r->error), Q_CORRUPT);
            assert_int_equal(hole.term, 1);
            lost++;
        } else {
            rig_expect_entry(r, i, 1, ENTRY_BYTES);
        }
    }
    assert_int_equal(log_lost(r->log), lost);
    assert_int_equal(r->report.lost, lost);
    assert_true(lost <= max);
}

static void expect_found(struct rig *r, const char *name, uint64_t offset, unsigned bit, uint64_t max)
{
    rig_flip(r, name, offset, bit);
    rig_open_ok(r);
    if (!r->report.damaged) {
        fail_msg("%s offset %llu is not found", name, (unsigned long long)offset);
    }
    assert_non_null(strstr(r->report.damage.text, name));
    expect_right_or_lost(r, GROUPS * PER_GROUP, max);
    close_log(r);
    rig_flip(r, name, offset, bit);
}

static void expect_no_harm(struct rig *r, const char *name, uint64_t offset, unsigned bit)
{
    rig_flip(r, name, offset, bit);
    rig_open_ok(r);
    assert_false(r->report.damaged);
    expect_log_to(r, GROUPS * PER_GROUP);
    close_log(r);
}

static void a_flip_below_the_mark_is_found_and_named(void **state)
{
    struct rig r;
    (void)state;
    init(&r);
    write_small_log(&r, GROUPS);
    rig_settle(&r);
    log_close(r.log);
    r.log = NULL;

    for (uint64_t offset = ENV_BLOCK; offset < 5 * ENV_BLOCK; offset++) {
        if (means_something(offset)) {
            uint64_t max = offset % ENV_BLOCK < FORMAT_GROUP_BYTES ? PER_GROUP : 1;
            expect_found(&r, first_segment, offset, offset % 8, max);
            expect_found(&r, second_segment, offset, (offset + 3) % 8, max);
        }
    }
    for (uint64_t offset = 0; offset < FORMAT_SEGMENT_BYTES; offset++) {
        expect_found(&r, first_segment, offset, offset % 8, 0);
        expect_found(&r, second_segment, offset, offset % 8, 0);
    }
    rig_open_ok(&r);
    expect_log_to(&r, GROUPS * PER_GROUP);
    rig_close(&r);
}

static void a_flip_where_nothing_is_does_no_harm(void **state)
{
    struct rig r;
    (void)state;
    init(&r);
    write_small_log(&r, GROUPS);
    rig_settle(&r);
    log_close(r.log);
    r.log = NULL;

    for (uint64_t offset = FORMAT_SEGMENT_BYTES; offset < 5 * ENV_BLOCK; offset += 97) {
        if (offset < ENV_BLOCK || !means_something(offset)) {
            expect_no_harm(&r, first_segment, offset, offset % 8);
            rig_flip(&r, first_segment, offset, offset % 8);
        }
    }
    /* A damaged slot of the mark is put right by the next open, so that the other may go then. */
    for (uint64_t offset = 0; offset < FORMAT_MARK_BYTES; offset++) {
        expect_no_harm(&r, "durable", offset, offset % 8);
        expect_no_harm(&r, "durable", ENV_BLOCK + offset, offset % 8);
    }
    rig_close(&r);
}

/* The mark is at group 5 when groups 6 to 8 come; group 8 knows that at least group 6 was durable. */
static void a_flip_above_the_mark_cuts_at_most_the_last_writes(void **state)
{
    (void)state;
    for (uint64_t at = 0; at < BEHIND_MARK * ENV_BLOCK; at++) {
        if (!means_something(at)) {
            continue;
        }
        struct rig r;
        uint64_t offset = 2 * ENV_BLOCK + at; /* group 6 is the second in its segment */
        uint64_t group = GROUPS - BEHIND_MARK + at / ENV_BLOCK;
        init(&r);
        write_small_log(&r, GROUPS - BEHIND_MARK);
        rig_settle(&r);
        write_small_log(&r, BEHIND_MARK);
        rig_crash(&r);

        rig_flip(&r, second_segment, offset, at % 8);
        rig_open_ok(&r);

        assert_int_equal(r.report.damaged, group < GROUPS - 1);
        if (r.report.damaged) {
            expect_right_or_lost(&r, GROUPS * PER_GROUP, PER_GROUP);
        } else {
            expect_log_to(&r, group * PER_GROUP);
        }
        rig_close(&r);
    }
}

/* The group at the end of a segment and the one at the start of the next were in flight together: the second
 * does not say that the first was durable before it, but its chain shows that it follows. */
static void a_flip_at_the_end_of_a_segment_costs_one_entry(void **state)
{
    struct rig r;
    (void)state;
    init(&r);
    write_small_log(&r, 3);
    rig_settle(&r); /* the next segment is ready */
    for (unsigned group = 0; group < 2; group++) {
        for (unsigned i = 0; i < PER_GROUP; i++) {
            rig_append(&r, 1, ENTRY_BYTES);
        }
        log_flush(r.log);
    }
    rig_wait_durable(&r);
    write_small_log(&r, 3);
    rig_settle(&r);
    rig_crash(&r);

    rig_flip(&r, first_segment, 4 * ENV_BLOCK + FORMAT_GROUP_BYTES + FORMAT_RECORD_BYTES, 0);
    rig_open_ok(&r);

    assert_int_equal(r.report.lost, 1);
    assert_int_equal(r.report.lost_first, 3 * PER_GROUP + 1);
    rig_close(&r);
}

static void a_group_that_calls_itself_durable_is_none(void **state)
{
    static uint8_t block[ENV_BLOCK];
    struct format_group group = {.bytes = ENV_BLOCK, .number = 4, .durable = 3, .first = 7}, found;
    uint64_t chain;
    (void)state;

    format_group_put(&group, 42, block);
    assert_true(format_group_get(block, sizeof block, 42, &found, &chain));

    group.durable = 4;
    format_group_put(&group, 42, block);
    assert_false(format_group_get(block, sizeof block, 42, &found, &chain));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flip_below_the_mark_is_found_and_named),
        cmocka_unit_test(a_flip_where_nothing_is_does_no_harm),
        cmocka_unit_test(a_flip_above_the_mark_cuts_at_most_the_last_writes),
        cmocka_unit_test(a_flip_at_the_end_of_a_segment_costs_one_entry),
        cmocka_unit_test(a_group_that_calls_itself_durable_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
