/* A delta carries the blocks that differ, and gives the chunk or nothing. */
#include "snapshots/delta.h"
#include "storage/page_sum.h"
#include "tests/unit/test.h"

struct scene {
    uint8_t plain[CHUNK_BYTES], base[CHUNK_BYTES], back[CHUNK_BYTES];
    size_t n, base_n, back_n;
    uint32_t chunk; /* its number in the image */
    uint8_t sums[DELTA_SUMS_BYTES];
    struct chunk_name name;
    struct buf delta;
    struct error error;
};

/* Bytes that LZ4 cannot make shorter, so that lengths say what travels. */
static void fill(uint8_t *p, size_t n, uint64_t x)
{
    for (size_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        p[i] = (uint8_t)x;
    }
}

/* What a delta is without its blocks, which LZ4 has made shorter by a little or nothing. */
enum { MAPS_BYTES = 8 + DELTA_BLOCKS / 8, AROUND = DELTA_HEADER_BYTES + CHUNK_HEADER_BYTES + MAPS_BYTES };

static void set_sum(struct scene *s, size_t page)
{
    page_sum_set(s->plain + page * PAGE_BYTES, (uint64_t)s->chunk * CHUNK_PAGES + page + 1);
}

/* One bit, and the sum of its page. */
static void change(struct scene *s, size_t at)
{
    s->plain[at] ^= 1;
    set_sum(s, at / PAGE_BYTES);
}

/* A page that was never written, or one of zeros that was. */
static void make_zero(struct scene *s, size_t page, bool written)
{
    memset(s->plain + page * PAGE_BYTES, 0, PAGE_BYTES);
    if (written) {
        set_sum(s, page);
    }
}

/* A chunk that is its base. */
static struct scene *scene_new(size_t n, size_t base_n)
{
    struct scene *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->chunk = 7;
    fill(s->plain, n, 88172645463325252u);
    for (size_t page = 0; page < n / PAGE_BYTES; page++) {
        set_sum(s, page);
    }
    memcpy(s->base, s->plain, base_n < n ? base_n : n);
    s->n = n;
    s->base_n = base_n;
    buf_init(&s->delta, DELTA_ENCODED_MAX);
    return s;
}

static void scene_free(struct scene *s)
{
    buf_close(&s->delta);
    free(s);
}

static void encode(struct scene *s)
{
    chunk_name_of(s->plain, s->n, &s->name);
    delta_sums(s->base, s->base_n, &s->name, s->sums);
    buf_clear(&s->delta);
    assert_int_equal(delta_encode(s->plain, s->n, &s->name, s->sums, &s->delta, &s->error), 0);
}

static int apply(struct scene *s)
{
    return delta_apply(s->delta.data, s->delta.len, s->base, s->base_n, s->chunk, &s->name, s->back,
                       &s->back_n, &s->error);
}

static void expect_chunk(struct scene *s)
{
    assert_int_equal(apply(s), 0);
    assert_int_equal(s->back_n, s->n);
    assert_memory_equal(s->back, s->plain, s->n);
}

static void only_the_blocks_that_differ_travel(void **state)
{
    struct scene *s = scene_new(CHUNK_BYTES, CHUNK_BYTES);
    (void)state;
    encode(s);
    assert_true(s->delta.len < AROUND);
    expect_chunk(s);

    change(s, 0);
    change(s, 17 * PAGE_BYTES + 1000);
    change(s, 17 * PAGE_BYTES + 1023); /* in the same block */
    change(s, 63 * PAGE_BYTES + 4087); /* in a short one */
    encode(s);
    assert_in_range(s->delta.len, AROUND + 3 * DELTA_BLOCK_BYTES - PAGE_SUM_BYTES - MAPS_BYTES,
                    AROUND + 3 * DELTA_BLOCK_BYTES - PAGE_SUM_BYTES);
    expect_chunk(s);
    scene_free(s);
}

static void a_chunk_that_differs_everywhere_fits_the_limit(void **state)
{
    struct scene *s = scene_new(CHUNK_BYTES, CHUNK_BYTES);
    (void)state;
    fill(s->base, CHUNK_BYTES, 5);
    encode(s);
    assert_in_range(s->delta.len, CHUNK_BYTES - CHUNK_PAGES * PAGE_SUM_BYTES - 16, DELTA_ENCODED_MAX);
    expect_chunk(s);
    scene_free(s);
}

static void base_and_chunk_may_have_different_lengths(void **state)
{
    static const size_t lengths[] = {PAGE_BYTES, 2 * PAGE_BYTES, 3 * PAGE_BYTES, CHUNK_BYTES, 0, 1, 255,
                                     4095};
    enum { N = sizeof lengths / sizeof lengths[0], WHOLE = 4 };
    (void)state;
    for (unsigned i = 0; i < WHOLE * N; i++) {
        struct scene *s = scene_new(lengths[i / N], lengths[i % N]);
        encode(s);
        expect_chunk(s);
        scene_free(s);
    }
}

static void a_chunk_that_is_not_whole_pages_has_no_delta(void **state)
{
    static const size_t lengths[] = {0, 1, PAGE_BYTES - 1, PAGE_BYTES + 1, CHUNK_BYTES + PAGE_BYTES};
    struct scene *s = scene_new(CHUNK_BYTES, CHUNK_BYTES);
    (void)state;
    for (unsigned i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        assert_int_equal(delta_encode(s->plain, lengths[i], &s->name, s->sums, &s->delta, &s->error),
                         Q_CORRUPT);
    }
    scene_free(s);
}

/* Their sums are zeros although no page of zeros has that sum; and a written page of zeros has one. */
static void pages_that_were_never_written_have_no_sums(void **state)
{
    struct scene *s = scene_new(4 * PAGE_BYTES, 4 * PAGE_BYTES);
    (void)state;
    make_zero(s, 0, false);
    make_zero(s, 1, true);
    make_zero(s, 3, false);
    encode(s);
    expect_chunk(s);
    memcpy(s->base, s->plain, s->n); /* and the other way around, with nothing to send but that */
    make_zero(s, 0, true);
    make_zero(s, 1, false);
    encode(s);
    assert_true(s->delta.len < AROUND);
    expect_chunk(s);
    scene_free(s);
}

/* SQLite's lock page is the first one of this chunk. */
static void the_lock_page_has_no_sum(void **state)
{
    struct scene *s = scene_new(3 * PAGE_BYTES, 3 * PAGE_BYTES);
    (void)state;
    s->chunk = (PAGE_LOCK - 1) / CHUNK_PAGES;
    make_zero(s, 0, false);
    set_sum(s, 1);
    set_sum(s, 2);
    encode(s);
    expect_chunk(s);
    scene_free(s);
}

/* Some bytes for the block at AT that have the sum of what the chunk has there. */
static void put_look_alike(struct scene *s, size_t at)
{
    uint8_t sums[DELTA_SUMS_BYTES];
    chunk_name_of(s->plain, s->n, &s->name);
    delta_sums(s->plain, s->n, &s->name, s->sums);
    for (uint32_t i = 1;; i++) {
        put_le32(s->base + at, get_le32(s->plain + at) ^ i);
        delta_sums(s->base, at + DELTA_BLOCK_BYTES, &s->name, sums);
        if (memcmp(sums, s->sums, 2 * (at / DELTA_BLOCK_BYTES + 1)) == 0) {
            return;
        }
    }
}

static void a_base_that_looks_more_equal_than_it_is_is_a_conflict(void **state)
{
    struct scene *s = scene_new(PAGE_BYTES, PAGE_BYTES);
    (void)state;
    put_look_alike(s, 0);
    encode(s);
    assert_int_equal(apply(s), Q_CONFLICT);
    change(s, 3000); /* another chunk: other seeds, and the block does not look alike */
    encode(s);
    expect_chunk(s);
    scene_free(s);
}

static void a_base_that_changed_meanwhile_is_a_conflict_and_no_damage(void **state)
{
    struct scene *s = scene_new(CHUNK_BYTES, CHUNK_BYTES);
    (void)state;
    change(s, 3 * PAGE_BYTES);
    encode(s);
    s->base[40 * PAGE_BYTES] ^= 1;
    assert_int_equal(apply(s), Q_CONFLICT);
    scene_free(s);
}

static void a_flipped_bit_anywhere_is_found_or_harmless(void **state)
{
    struct scene *s = scene_new(3 * PAGE_BYTES, 3 * PAGE_BYTES);
    char text[CHUNK_HEX];
    (void)state;
    change(s, PAGE_BYTES);
    encode(s);
    chunk_name_text(&s->name, text);
    for (size_t at = 0; at < s->delta.len; at++) {
        s->delta.data[at] ^= (uint8_t)(1u << at % 8);
        int rc = apply(s);
        if (rc == 0) { /* LZ4 has two ways to say the same */
            expect_chunk(s);
        } else {
            assert_true(rc == Q_CONFLICT || (rc == Q_CORRUPT && (at < 8 || at >= 16)));
            assert_non_null(strstr(s->error.text, text));
        }
        s->delta.data[at] ^= (uint8_t)(1u << at % 8);
    }
    expect_chunk(s);
    scene_free(s);
}

/* The delta with other maps and blocks than it has. */
static int apply_with(struct scene *s, const uint8_t *body, size_t n)
{
    s->delta.len = DELTA_HEADER_BYTES;
    assert_int_equal(chunk_encode(body, n, &s->delta, &s->error), 0);
    return apply(s);
}

static void a_delta_that_says_other_blocks_than_it_has_is_refused(void **state)
{
    struct scene *s = scene_new(3 * PAGE_BYTES, 3 * PAGE_BYTES);
    uint8_t body[CHUNK_BYTES] = {0};
    (void)state;
    encode(s);
    assert_int_equal(apply_with(s, body, MAPS_BYTES), 0);
    assert_int_equal(apply_with(s, body, MAPS_BYTES - 1), Q_CORRUPT);
    assert_int_equal(apply_with(s, body, MAPS_BYTES + 1), Q_CORRUPT);
    body[8 + 1] = 1; /* block 8 */
    memcpy(body + MAPS_BYTES, s->plain + 8 * DELTA_BLOCK_BYTES, DELTA_BLOCK_BYTES);
    assert_int_equal(apply_with(s, body, MAPS_BYTES + DELTA_BLOCK_BYTES), 0);
    assert_int_equal(apply_with(s, body, MAPS_BYTES + DELTA_BLOCK_BYTES - 1), Q_CORRUPT);
    assert_int_equal(apply_with(s, body, MAPS_BYTES + DELTA_BLOCK_BYTES + 1), Q_CORRUPT);
    body[8 + 1] = 0;
    body[8 + 3 * PAGE_BYTES / DELTA_BLOCK_BYTES / 8] = 1; /* behind the end */
    assert_int_equal(apply_with(s, body, MAPS_BYTES + DELTA_BLOCK_BYTES), Q_CORRUPT);
    memset(body + 8, 0xff, DELTA_BLOCKS / 8);
    assert_int_equal(apply_with(s, body, CHUNK_BYTES), Q_CORRUPT);
    scene_free(s);
}

static void a_delta_that_was_cut_is_refused(void **state)
{
    struct scene *s = scene_new(3 * PAGE_BYTES, 3 * PAGE_BYTES);
    static const uint32_t lengths[] = {0, 1, 3 * PAGE_BYTES - 1, CHUNK_BYTES + PAGE_BYTES};
    (void)state;
    change(s, PAGE_BYTES);
    encode(s);
    for (unsigned i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        put_le32(s->delta.data + 4, lengths[i]);
        assert_int_equal(apply(s), Q_CORRUPT);
    }
    put_le32(s->delta.data + 4, 3 * PAGE_BYTES);
    expect_chunk(s);
    for (size_t n = 0; n < s->delta.len; n++) { /* exactly as long as said, so that a read behind it shows */
        uint8_t *cut = malloc(n + 1);
        memcpy(cut, s->delta.data, n);
        assert_int_equal(
            delta_apply(cut, n, s->base, s->base_n, s->chunk, &s->name, s->back, &s->back_n, &s->error),
            Q_CORRUPT);
        free(cut);
    }
    scene_free(s);
}

static void a_delta_of_another_chunk_is_no_use(void **state)
{
    struct scene *s = scene_new(CHUNK_BYTES, CHUNK_BYTES);
    (void)state;
    change(s, 3);
    encode(s);
    s->name.sha256[31] ^= 1; /* not in the seed */
    assert_int_equal(apply(s), Q_CONFLICT);
    scene_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_blocks_that_differ_travel),
        cmocka_unit_test(a_chunk_that_differs_everywhere_fits_the_limit),
        cmocka_unit_test(base_and_chunk_may_have_different_lengths),
        cmocka_unit_test(a_chunk_that_is_not_whole_pages_has_no_delta),
        cmocka_unit_test(pages_that_were_never_written_have_no_sums),
        cmocka_unit_test(the_lock_page_has_no_sum),
        cmocka_unit_test(a_base_that_looks_more_equal_than_it_is_is_a_conflict),
        cmocka_unit_test(a_base_that_changed_meanwhile_is_a_conflict_and_no_damage),
        cmocka_unit_test(a_flipped_bit_anywhere_is_found_or_harmless),
        cmocka_unit_test(a_delta_that_says_other_blocks_than_it_has_is_refused),
        cmocka_unit_test(a_delta_that_was_cut_is_refused),
        cmocka_unit_test(a_delta_of_another_chunk_is_no_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
