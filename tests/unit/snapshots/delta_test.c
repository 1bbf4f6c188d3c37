/* A delta carries the pages that differ, and gives the chunk or nothing. */
#include "snapshots/delta.h"
#include "storage/page_sum.h"
#include "tests/unit/test.h"

struct scene {
    uint8_t plain[CHUNK_BYTES], base[CHUNK_BYTES], back[CHUNK_BYTES];
    size_t n, base_n, back_n;
    uint64_t sums[CHUNK_PAGES];
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

static void change(struct scene *s, unsigned page)
{
    s->plain[(size_t)page * PAGE_BYTES + page] ^= 1;
}

/* A chunk that is its base. */
static struct scene *scene_new(size_t n, size_t base_n)
{
    struct scene *s = calloc(1, sizeof *s);
    assert_non_null(s);
    fill(s->plain, n, 88172645463325252u);
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
    delta_sums(s->base, s->base_n, s->sums);
    buf_clear(&s->delta);
    assert_int_equal(delta_encode(s->plain, s->n, s->sums, &s->delta, &s->error), 0);
}

static int apply(struct scene *s)
{
    return delta_apply(s->delta.data, s->delta.len, s->base, s->base_n, &s->name, s->back, &s->back_n,
                       &s->error);
}

static void expect_chunk(struct scene *s)
{
    assert_int_equal(apply(s), 0);
    assert_int_equal(s->back_n, s->n);
    assert_memory_equal(s->back, s->plain, s->n);
}

static void only_the_pages_that_differ_travel(void **state)
{
    struct scene *s = scene_new(CHUNK_BYTES, CHUNK_BYTES);
    (void)state;
    encode(s);
    assert_int_equal(s->delta.len, DELTA_HEADER_BYTES);
    expect_chunk(s);

    change(s, 0);
    change(s, 17);
    change(s, 63);
    encode(s);
    assert_int_equal(s->delta.len, DELTA_HEADER_BYTES + CHUNK_HEADER_BYTES + 3 * PAGE_BYTES);
    expect_chunk(s);
    scene_free(s);
}

static void a_chunk_that_differs_everywhere_fits_the_limit(void **state)
{
    struct scene *s = scene_new(CHUNK_BYTES, CHUNK_BYTES);
    (void)state;
    fill(s->base, CHUNK_BYTES, 5);
    encode(s);
    assert_int_equal(s->delta.len, DELTA_ENCODED_MAX);
    expect_chunk(s);
    scene_free(s);
}

static void base_and_chunk_may_have_different_lengths(void **state)
{
    static const size_t lengths[] = {1, 4095, 4096, 4097, 3 * PAGE_BYTES, CHUNK_BYTES};
    enum { N = sizeof lengths / sizeof lengths[0] };
    (void)state;
    for (unsigned i = 0; i < N * N; i++) {
        struct scene *s = scene_new(lengths[i / N], lengths[i % N]);
        encode(s);
        expect_chunk(s);
        scene_free(s);
    }
}

static void a_base_that_changed_meanwhile_is_a_conflict_and_no_damage(void **state)
{
    struct scene *s = scene_new(CHUNK_BYTES, CHUNK_BYTES);
    (void)state;
    change(s, 3);
    encode(s);
    s->base[40 * PAGE_BYTES] ^= 1;
    assert_int_equal(apply(s), Q_CONFLICT);
    scene_free(s);
}

static void a_flipped_bit_anywhere_is_found(void **state)
{
    struct scene *s = scene_new(3 * PAGE_BYTES, 3 * PAGE_BYTES);
    char text[CHUNK_HEX];
    (void)state;
    change(s, 1);
    encode(s);
    chunk_name_text(&s->name, text);
    for (size_t at = 0; at < s->delta.len; at++) {
        s->delta.data[at] ^= (uint8_t)(1u << at % 8);
        int rc = apply(s);
        assert_int_equal(rc, at >= 16 && at < 24 ? Q_CONFLICT : Q_CORRUPT);
        assert_non_null(strstr(s->error.text, text));
        s->delta.data[at] ^= (uint8_t)(1u << at % 8);
    }
    expect_chunk(s);
    scene_free(s);
}

static void a_delta_that_was_cut_or_says_other_pages_than_it_has_is_refused(void **state)
{
    struct scene *s = scene_new(3 * PAGE_BYTES, 3 * PAGE_BYTES);
    (void)state;
    change(s, 1);
    encode(s);
    put_le64(s->delta.data + 8, UINT64_MAX);
    assert_int_equal(apply(s), Q_CORRUPT);
    put_le64(s->delta.data + 8, 0);
    assert_int_equal(apply(s), Q_CORRUPT);
    put_le64(s->delta.data + 8, 2);
    put_le32(s->delta.data + 4, CHUNK_BYTES + 1);
    assert_int_equal(apply(s), Q_CORRUPT);
    put_le32(s->delta.data + 4, 3 * PAGE_BYTES);
    expect_chunk(s);
    for (size_t n = 0; n < s->delta.len; n++) { /* exactly as long as said, so that a read behind it shows */
        uint8_t *cut = malloc(n + 1);
        memcpy(cut, s->delta.data, n);
        assert_int_equal(delta_apply(cut, n, s->base, s->base_n, &s->name, s->back, &s->back_n, &s->error),
                         Q_CORRUPT);
        free(cut);
    }
    scene_free(s);
}

static void a_delta_of_another_chunk_is_refused(void **state)
{
    struct scene *s = scene_new(CHUNK_BYTES, CHUNK_BYTES);
    (void)state;
    change(s, 3);
    encode(s);
    s->name.sha256[0] ^= 1;
    assert_int_equal(apply(s), Q_CORRUPT);
    scene_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_pages_that_differ_travel),
        cmocka_unit_test(a_chunk_that_differs_everywhere_fits_the_limit),
        cmocka_unit_test(base_and_chunk_may_have_different_lengths),
        cmocka_unit_test(a_base_that_changed_meanwhile_is_a_conflict_and_no_damage),
        cmocka_unit_test(a_flipped_bit_anywhere_is_found),
        cmocka_unit_test(a_delta_that_was_cut_or_says_other_pages_than_it_has_is_refused),
        cmocka_unit_test(a_delta_of_another_chunk_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
