/* A delta carries what is new, and gives the chunk or nothing. */
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

/* What a delta of nothing new is at most: LZ4 makes 64 times the same copy short. */
enum {
    AROUND = DELTA_HEADER_BYTES + CHUNK_HEADER_BYTES + 40,
    COPY = 20 /* and each page that differs adds */
};

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
    assert_in_range(s->delta.len, 3 * DELTA_BLOCK_BYTES - PAGE_SUM_BYTES,
                    3 * (DELTA_BLOCK_BYTES + COPY) + AROUND);
    expect_chunk(s);
    scene_free(s);
}

/* SQLite moves rows within a page when one of them grows. */
static void what_moved_within_its_page_does_not_travel(void **state)
{
    enum { AT = 2000, ROW = 85 };
    struct scene *s = scene_new(CHUNK_BYTES, CHUNK_BYTES);
    uint8_t *page = s->plain + 9 * PAGE_BYTES;
    (void)state;
    memmove(page + AT + ROW, page + AT, PAGE_BYTES - PAGE_SUM_BYTES - AT - ROW); /* to the end */
    fill(page + AT, ROW, 77);
    set_sum(s, 9);
    encode(s);
    assert_in_range(s->delta.len, ROW, ROW + 2 * DELTA_BLOCK_BYTES + COPY + AROUND);
    expect_chunk(s);

    page = s->plain + 11 * PAGE_BYTES;
    memmove(page + 500, page + 500 + ROW, AT); /* to the front */
    set_sum(s, 11);
    encode(s);
    assert_in_range(s->delta.len, 2 * ROW, ROW + 5 * DELTA_BLOCK_BYTES + 2 * COPY + AROUND);
    expect_chunk(s);
    scene_free(s);
}

/* Blocks that are alike within a page: zeros, and what repeats. */
static void pages_that_repeat_themselves_are_made_again(void **state)
{
    struct scene *s = scene_new(CHUNK_BYTES, CHUNK_BYTES);
    (void)state;
    for (size_t i = 0; i < 8 * PAGE_BYTES; i++) {
        size_t page = i / PAGE_BYTES, every = page < 4 ? DELTA_BLOCK_BYTES : 100;
        s->base[i] = (uint8_t)(page % 2 == 0 ? 0 : i % every);
        s->plain[i] = i % PAGE_BYTES < 1000 + page ? 7 : s->base[i - 3];
    }
    for (size_t page = 0; page < 8; page++) {
        set_sum(s, page);
    }
    encode(s);
    assert_in_range(s->delta.len, AROUND, 8 * PAGE_BYTES / 4);
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

/* As the header says it. */
static uint16_t sum_of(const uint8_t *block, size_t n, const struct chunk_name *name)
{
    uint64_t h = 0, base = (get_le64(name->sha256) & ~UINT64_C(7)) | 5;
    for (size_t i = 0; i < n; i++) {
        h = h * base + block[i];
    }
    return (uint16_t)(h * (get_le64(name->sha256 + 8) | 1) >> 48);
}

static void sums_are_what_is_said_of_them(void **state)
{
    struct scene *s = scene_new(CHUNK_BYTES, 3 * PAGE_BYTES - 100);
    (void)state;
    encode(s);
    memset(s->base + s->base_n, 0, 100);
    for (size_t i = 0; i < 3 * PAGE_BYTES / DELTA_BLOCK_BYTES; i++) {
        size_t n = i % 16 == 15 ? DELTA_BLOCK_BYTES - PAGE_SUM_BYTES : DELTA_BLOCK_BYTES;
        assert_int_equal(get_le16(s->sums + 2 * i), sum_of(s->base + i * DELTA_BLOCK_BYTES, n, &s->name));
    }
    for (size_t i = 3 * PAGE_BYTES / DELTA_BLOCK_BYTES; i < DELTA_BLOCKS; i++) {
        assert_int_equal(get_le16(s->sums + 2 * i), 0);
    }
    scene_free(s);
}

/* The first block of the base gets some bytes that have the sum of what the chunk has there. */
static void put_look_alike(struct scene *s)
{
    chunk_name_of(s->plain, s->n, &s->name);
    uint16_t wanted = sum_of(s->plain, DELTA_BLOCK_BYTES, &s->name);
    uint32_t i = 0;
    do {
        put_le32(s->base, get_le32(s->plain) ^ ++i);
    } while (sum_of(s->base, DELTA_BLOCK_BYTES, &s->name) != wanted);
}

static void a_base_that_looks_more_equal_than_it_is_is_a_conflict(void **state)
{
    struct scene *s = scene_new(PAGE_BYTES, PAGE_BYTES);
    (void)state;
    put_look_alike(s);
    encode(s);
    assert_int_equal(apply(s), Q_CONFLICT);
    change(s, 3000); /* another chunk: another key, and the block does not look alike */
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

/* The delta of a page, with copies and new bytes of ours, N bytes altogether. */
static int apply_with(struct scene *s, const uint8_t *parts, size_t n)
{
    uint8_t body[CHUNK_BYTES] = {0};
    memcpy(body + 8, parts, n);
    s->delta.len = DELTA_HEADER_BYTES;
    assert_int_equal(chunk_encode(body, 8 + n, &s->delta, &s->error), 0);
    return apply(s);
}

static void a_delta_that_says_something_else_than_it_has_is_refused(void **state)
{
    enum { ALL = PAGE_BYTES - PAGE_SUM_BYTES };
    struct scene *s = scene_new(PAGE_BYTES, PAGE_BYTES);
    uint8_t p[2 * PAGE_BYTES] = {1, 0, 0, 0x0f};
    (void)state;
    encode(s);
    assert_int_equal(apply_with(s, p, 4), 0);
    assert_int_equal(apply_with(s, p, 3), Q_CORRUPT);
    assert_int_equal(apply_with(s, p, 0), Q_CORRUPT);
    assert_int_equal(apply_with(s, p, 5), Q_CORRUPT); /* a new byte too many */
    p[1] = 1;                                         /* one before it, that does not fit */
    assert_int_equal(apply_with(s, p, 5), Q_CORRUPT);
    p[1] = 0;
    p[3] = 0x1f; /* copies a block that there is not */
    assert_int_equal(apply_with(s, p, 4), Q_CORRUPT);
    p[3] = 0xf0; /* the last block, which is short; the rest is new */
    assert_int_equal(apply_with(s, p, 4 + ALL - 248), Q_CONFLICT);
    assert_int_equal(apply_with(s, p, 4 + ALL - 249), Q_CORRUPT);
    assert_int_equal(apply_with(s, p, 4 + ALL - 247), Q_CORRUPT);
    memcpy(p, (uint8_t[]){2, 0, 0, 0x0f, 0, 0, 0x00}, 7); /* a copy behind the end */
    assert_int_equal(apply_with(s, p, 7), Q_CORRUPT);
    p[0] = 0; /* all of it is new */
    memcpy(p + 1, s->plain, ALL);
    assert_int_equal(apply_with(s, p, 1 + ALL), 0);
    p[0] = 255;
    assert_int_equal(apply_with(s, p, 1 + ALL), Q_CORRUPT);
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
    s->name.sha256[31] ^= 1; /* not in the key */
    assert_int_equal(apply(s), Q_CONFLICT);
    scene_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_blocks_that_differ_travel),
        cmocka_unit_test(what_moved_within_its_page_does_not_travel),
        cmocka_unit_test(pages_that_repeat_themselves_are_made_again),
        cmocka_unit_test(a_chunk_that_differs_everywhere_fits_the_limit),
        cmocka_unit_test(base_and_chunk_may_have_different_lengths),
        cmocka_unit_test(a_chunk_that_is_not_whole_pages_has_no_delta),
        cmocka_unit_test(pages_that_were_never_written_have_no_sums),
        cmocka_unit_test(the_lock_page_has_no_sum),
        cmocka_unit_test(sums_are_what_is_said_of_them),
        cmocka_unit_test(a_base_that_looks_more_equal_than_it_is_is_a_conflict),
        cmocka_unit_test(a_base_that_changed_meanwhile_is_a_conflict_and_no_damage),
        cmocka_unit_test(a_flipped_bit_anywhere_is_found_or_harmless),
        cmocka_unit_test(a_delta_that_says_something_else_than_it_has_is_refused),
        cmocka_unit_test(a_delta_that_was_cut_is_refused),
        cmocka_unit_test(a_delta_of_another_chunk_is_no_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
