/* Which bytes of a WAL are known, and from when on. */
#include "storage/wal_sums.h"

#include "storage/page_sum.h"
#include "tests/unit/test.h"

enum { FRAME = WAL_FRAME_HEADER_BYTES + PAGE_BYTES, FRAMES = 3000 };

static uint64_t frame_at(uint64_t frame)
{
    return WAL_HEADER_BYTES + (frame - 1) * FRAME;
}

static uint64_t page_at(uint64_t frame)
{
    return frame_at(frame) + WAL_FRAME_HEADER_BYTES;
}

struct scene {
    struct wal_sums sums;
    uint8_t page[PAGE_BYTES], other[PAGE_BYTES];
    uint64_t bad; /* the frame that was named last */
};

static int set_up(void **state)
{
    static struct scene s;

    wal_sums_init(&s.sums);
    memset(s.page, 'p', sizeof s.page);
    memset(s.other, 'o', sizeof s.other);
    s.bad = 0;
    *state = &s;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;

    wal_sums_close(&s->sums);
    return 0;
}

static void write_page(struct scene *s, uint64_t frame, const uint8_t *page)
{
    assert_true(wal_sums_written(&s->sums, page_at(frame), page, PAGE_BYTES));
}

static bool reads(struct scene *s, uint64_t frame, const uint8_t *page)
{
    return wal_sums_read(&s->sums, page_at(frame), page, PAGE_BYTES, &s->bad);
}

static void a_page_reads_as_it_was_written_last(void **state)
{
    struct scene *s = *state;

    for (uint64_t i = 1; i <= FRAMES; i++) {
        write_page(s, i, s->page);
    }
    write_page(s, 2, s->other);

    assert_true(reads(s, 1, s->page));
    assert_true(reads(s, 2, s->other));
    assert_true(reads(s, FRAMES, s->page));
    assert_false(reads(s, 2, s->page));
    assert_int_equal(s->bad, 2);
    assert_false(reads(s, FRAMES, s->other));
    assert_int_equal(s->bad, FRAMES);
}

static void a_page_that_nobody_wrote_is_believed(void **state)
{
    struct scene *s = *state;

    assert_true(reads(s, 7, s->page));
    assert_true(reads(s, 7, s->other));
}

static void a_frame_that_is_read_whole_is_known_from_then_on(void **state)
{
    struct scene *s = *state;
    uint8_t frame[FRAME] = {0};

    memcpy(frame + WAL_FRAME_HEADER_BYTES, s->page, PAGE_BYTES);
    assert_true(wal_sums_read(&s->sums, frame_at(5), frame, sizeof frame, &s->bad));

    assert_true(reads(s, 5, s->page));
    assert_false(reads(s, 5, s->other));
    frame[FRAME - 1] ^= 1;
    assert_false(wal_sums_read(&s->sums, frame_at(5), frame, sizeof frame, &s->bad));
}

static void many_frames_at_once_are_each_looked_at(void **state)
{
    struct scene *s = *state;
    static uint8_t frames[4 * FRAME];

    for (int i = 0; i < 4; i++) {
        memcpy(frames + i * FRAME + WAL_FRAME_HEADER_BYTES, i % 2 ? s->page : s->other, PAGE_BYTES);
    }
    assert_true(wal_sums_written(&s->sums, frame_at(10), frames, sizeof frames));

    assert_true(wal_sums_read(&s->sums, frame_at(10), frames, sizeof frames, &s->bad));
    assert_true(reads(s, 11, s->page));
    assert_false(reads(s, 12, s->page));
    frames[2 * FRAME + 100] ^= 1;
    assert_false(wal_sums_read(&s->sums, frame_at(10), frames, sizeof frames, &s->bad));
    assert_int_equal(s->bad, 12);
}

static void the_header_of_a_frame_is_nobodys_page(void **state)
{
    struct scene *s = *state;

    write_page(s, 1, s->page);
    write_page(s, 2, s->page);

    assert_true(wal_sums_written(&s->sums, frame_at(2), s->other, WAL_FRAME_HEADER_BYTES));
    assert_true(wal_sums_written(&s->sums, 0, s->other, WAL_HEADER_BYTES));

    assert_false(reads(s, 1, s->other));
    assert_false(reads(s, 2, s->other));
}

static void of_a_page_that_is_written_by_pieces_nothing_is_known(void **state)
{
    struct scene *s = *state;

    for (uint64_t i = 1; i <= 3; i++) {
        write_page(s, i, s->page);
    }
    assert_true(wal_sums_written(&s->sums, page_at(2) + 4000, s->other, 200));

    assert_false(reads(s, 1, s->other));
    assert_true(reads(s, 2, s->other));
    assert_true(reads(s, 3, s->other));
}

static void of_a_page_whose_write_failed_nothing_is_known(void **state)
{
    struct scene *s = *state;

    write_page(s, 1, s->page);
    write_page(s, 2, s->page);
    wal_sums_doubt(&s->sums, page_at(2), PAGE_BYTES);

    assert_false(reads(s, 1, s->other));
    assert_true(reads(s, 2, s->other));
}

static void what_was_cut_off_is_forgotten(void **state)
{
    struct scene *s = *state;

    for (uint64_t i = 1; i <= 3; i++) {
        write_page(s, i, s->page);
    }
    wal_sums_cut(&s->sums, page_at(2) + PAGE_BYTES - 1);

    assert_false(reads(s, 1, s->other));
    assert_true(reads(s, 2, s->other));
    write_page(s, 3, s->other);
    assert_true(reads(s, 2, s->other));
    assert_true(reads(s, 3, s->other));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_page_reads_as_it_was_written_last),
        TEST(a_page_that_nobody_wrote_is_believed),
        TEST(a_frame_that_is_read_whole_is_known_from_then_on),
        TEST(many_frames_at_once_are_each_looked_at),
        TEST(the_header_of_a_frame_is_nobodys_page),
        TEST(of_a_page_that_is_written_by_pieces_nothing_is_known),
        TEST(of_a_page_whose_write_failed_nothing_is_known),
        TEST(what_was_cut_off_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
