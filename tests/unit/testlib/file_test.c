#include "tests/lib/sim_file.h"

#include "tests/unit/test.h"

enum { SEEDS = 300, PAGES = 4, WHOLE = PAGES * SIM_PAGE, CUT = SIM_PAGE + 700 };

/* A file of PAGES pages of 'a', safe. */
struct bench {
    struct sim_file file;
    struct rng rng;
};

static void put(struct bench *b, uint64_t offset, char byte, size_t n)
{
    uint8_t *bytes = malloc(n);
    memset(bytes, byte, n);
    sim_file_write(&b->file, offset, bytes, n, &b->rng);
    free(bytes);
}

static void bench_start(struct bench *b, uint64_t seed)
{
    memset(b, 0, sizeof *b);
    rng_init(&b->rng, seed);
    put(b, 0, 'a', WHOLE);
    sim_file_sync(&b->file);
}

static void crash(struct bench *b)
{
    struct sim_torn torn = {0};
    sim_file_crash(&b->file, &b->rng, &torn);
}

static char byte_at(struct bench *b, uint64_t offset)
{
    char byte;
    return sim_file_read(&b->file, offset, &byte, 1) == 0 ? '-' : byte == 0 ? '0' : byte;
}

/* All of [from, to) is that byte. */
static bool all_are(struct bench *b, uint64_t from, uint64_t to, char byte)
{
    while (from < to && byte_at(b, from) == byte) {
        from++;
    }
    return from == to;
}

static void a_truncated_file_is_shorter_at_once_and_shows_zeros_when_it_grows(void **state)
{
    (void)state;
    struct bench b;
    bench_start(&b, 1);

    sim_file_truncate(&b.file, CUT);
    assert_int_equal(b.file.size_now, CUT);
    assert_int_equal(byte_at(&b, CUT - 1), 'a');
    assert_int_equal(byte_at(&b, CUT), '-');
    sim_file_truncate(&b.file, WHOLE);

    assert_true(all_are(&b, 0, CUT, 'a'));
    assert_true(all_are(&b, CUT, WHOLE, '0'));
    sim_file_close(&b.file);
}

static void a_crash_keeps_a_truncation_or_drops_it_as_a_whole(void **state)
{
    (void)state;
    unsigned kept = 0, dropped = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct bench b;
        bench_start(&b, seed);
        sim_file_truncate(&b.file, CUT);

        crash(&b);

        bool old = b.file.size_now == WHOLE;
        old ? dropped++ : kept++;
        assert_true(old ? all_are(&b, 0, WHOLE, 'a') : b.file.size_now == CUT && all_are(&b, 0, CUT, 'a'));
        sim_file_truncate(&b.file, WHOLE);
        assert_true(old || all_are(&b, CUT, WHOLE, '0'));
        sim_file_close(&b.file);
    }
    assert_true(kept > SEEDS / 3 && dropped > SEEDS / 3);
}

static void what_was_written_behind_a_truncation_is_not_kept_without_it(void **state)
{
    (void)state;
    unsigned new_bytes = 0, old_bytes = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct bench b;
        bench_start(&b, seed);
        sim_file_truncate(&b.file, SIM_PAGE);
        put(&b, SIM_PAGE, 'b', WHOLE - SIM_PAGE);
        put(&b, SIM_PAGE, 'c', SIM_PAGE); /* what was there may have been written back meanwhile */

        crash(&b);

        bool any_new = false, any_old = false;
        for (uint64_t i = SIM_PAGE; i < b.file.size_now; i += SIM_SECTOR) {
            any_new = any_new || byte_at(&b, i) == 'b' || byte_at(&b, i) == 'c';
            any_old = any_old || byte_at(&b, i) == 'a';
        }
        assert_false(any_new && any_old);
        new_bytes += any_new;
        old_bytes += any_old;
        sim_file_close(&b.file);
    }
    assert_true(new_bytes > SEEDS / 10 && old_bytes > SEEDS / 10);
}

static void a_synced_truncation_lasts(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct bench b;
        bench_start(&b, seed);
        sim_file_truncate(&b.file, CUT);
        sim_file_sync(&b.file);
        crash(&b);
        assert_int_equal(b.file.size_now, CUT);

        /* So it does when a durable write stands on it. */
        sim_file_truncate(&b.file, 100);
        sim_file_write_safe(&b.file, SIM_PAGE, "x", 1);
        crash(&b);
        assert_int_equal(b.file.size_now, SIM_PAGE + 1);
        assert_true(all_are(&b, 100, SIM_PAGE, '0'));
        assert_int_equal(byte_at(&b, SIM_PAGE), 'x');
        sim_file_close(&b.file);
    }
}

static void a_truncation_after_a_failed_sync_is_still_whole_or_not_there(void **state)
{
    (void)state;
    unsigned kept = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct bench b;
        bench_start(&b, seed);
        sim_file_truncate(&b.file, CUT);
        sim_file_sync_failed(&b.file, &b.rng);

        crash(&b);

        kept += b.file.size_now == CUT;
        assert_true(b.file.size_now == CUT ? all_are(&b, 0, CUT, 'a') : all_are(&b, 0, WHOLE, 'a'));
        sim_file_close(&b.file);
    }
    assert_in_range(kept, SEEDS / 3, SEEDS - SEEDS / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_truncated_file_is_shorter_at_once_and_shows_zeros_when_it_grows),
        cmocka_unit_test(a_crash_keeps_a_truncation_or_drops_it_as_a_whole),
        cmocka_unit_test(what_was_written_behind_a_truncation_is_not_kept_without_it),
        cmocka_unit_test(a_synced_truncation_lasts),
        cmocka_unit_test(a_truncation_after_a_failed_sync_is_still_whole_or_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
