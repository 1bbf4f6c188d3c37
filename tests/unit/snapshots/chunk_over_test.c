/* A chunk that is stored as its difference to another one comes back, whatever has moved, and takes little
 * room. */
#include "snapshots/chunk_over.h"
#include "storage/page_sum.h"
#include "tests/unit/test.h"

struct scene {
    uint8_t plain[CHUNK_BYTES], base[CHUNK_BYTES], back[CHUNK_BYTES];
    size_t n, base_n, back_n;
    struct chunk_name name;
    struct buf over;
    struct error error;
};

static void fill(uint8_t *p, size_t n, uint64_t x)
{
    for (size_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        p[i] = (uint8_t)x;
    }
}

/* A chunk that is its base. */
static struct scene *scene_new(size_t n, size_t base_n)
{
    struct scene *s = calloc(1, sizeof *s);
    assert_non_null(s);
    fill(s->base, base_n, 88172645463325252u);
    fill(s->plain, n, 88172645463325252u);
    s->n = n;
    s->base_n = base_n;
    chunk_name_of(s->base, base_n, &s->name);
    buf_init(&s->over, CHUNK_OVER_MAX);
    return s;
}

static void scene_free(struct scene *s)
{
    buf_close(&s->over);
    free(s);
}

static void encode(struct scene *s)
{
    buf_clear(&s->over);
    assert_int_equal(chunk_over_encode(s->plain, s->n, &s->name, s->base, s->base_n, &s->over, &s->error), 0);
}

static int decode(struct scene *s)
{
    return chunk_over_decode(s->over.data, s->over.len, s->base, s->base_n, s->back, &s->back_n, &s->error);
}

static void expect_chunk(struct scene *s)
{
    assert_int_equal(decode(s), 0);
    assert_int_equal(s->back_n, s->n);
    assert_memory_equal(s->back, s->plain, s->n);
}

static void pages_that_are_the_bases_take_two_bytes(void **state)
{
    struct scene *s = scene_new(CHUNK_BYTES, CHUNK_BYTES);
    struct chunk_name base;
    (void)state;
    encode(s);
    assert_int_equal(s->over.len, CHUNK_OVER_HEADER_BYTES + 2 * CHUNK_PAGES);
    expect_chunk(s);
    assert_true(chunk_over_base(s->over.data, s->over.len, &base));
    assert_true(chunk_name_equal(&base, &s->name));
    scene_free(s);
}

/* Every page: a few bytes are other ones, and half of the rest has moved by four. */
static void rows_that_grew_and_moved_others_within_their_page_take_little(void **state)
{
    struct scene *s = scene_new(CHUNK_BYTES, CHUNK_BYTES);
    (void)state;
    for (size_t at = 0; at < CHUNK_BYTES; at += PAGE_BYTES) {
        memmove(s->plain + at + 1004, s->plain + at + 1000, 2000);
        memcpy(s->plain + at + 3000, "some other row", 14);
    }
    encode(s);
    assert_true(s->over.len < CHUNK_BYTES / 20);
    expect_chunk(s);
    scene_free(s);
}

static void a_chunk_that_has_nothing_of_its_base_fits_the_limit(void **state)
{
    struct scene *s = scene_new(CHUNK_BYTES, CHUNK_BYTES);
    (void)state;
    fill(s->plain, CHUNK_BYTES, 5);
    encode(s);
    assert_int_equal(s->over.len, CHUNK_OVER_MAX);
    expect_chunk(s);
    scene_free(s);
}

static void base_and_chunk_may_have_different_lengths(void **state)
{
    static const size_t lengths[] = {1, 2, 4095, 4096, 4097, 3 * PAGE_BYTES, CHUNK_BYTES};
    enum { N = sizeof lengths / sizeof lengths[0] };
    (void)state;
    for (unsigned i = 0; i < N * N; i++) {
        struct scene *s = scene_new(lengths[i / N], lengths[i % N]);
        encode(s);
        expect_chunk(s);
        scene_free(s);
    }
}

static void what_was_cut_or_has_lengths_that_lie_is_refused(void **state)
{
    struct scene *s = scene_new(3 * PAGE_BYTES, 2 * PAGE_BYTES);
    struct chunk_name base;
    (void)state;
    s->plain[PAGE_BYTES + 5] ^= 1;
    encode(s);
    expect_chunk(s);
    for (size_t n = 0; n < s->over.len; n++) { /* exactly as long as said, so that a read behind it shows */
        uint8_t *cut = malloc(n + 1);
        memcpy(cut, s->over.data, n);
        assert_int_equal(chunk_over_decode(cut, n, s->base, s->base_n, s->back, &s->back_n, &s->error),
                         Q_CORRUPT);
        assert_int_equal(chunk_over_base(cut, n, &base), n >= CHUNK_OVER_HEADER_BYTES);
        free(cut);
    }
    for (uint32_t n = 0; n < 70000; n += 997) {
        s->over.data[CHUNK_OVER_HEADER_BYTES + 2] = (uint8_t)n; /* of the second page */
        s->over.data[CHUNK_OVER_HEADER_BYTES + 3] = (uint8_t)(n >> 8);
        if (decode(s) == 0) {
            assert_memory_equal(s->back, s->plain, s->n);
        }
    }
    encode(s);
    put_le32(s->over.data + 4, CHUNK_BYTES + 1);
    assert_int_equal(decode(s), Q_CORRUPT);
    put_le32(s->over.data + 4, 0);
    assert_int_equal(decode(s), Q_CORRUPT);
    put_le32(s->over.data + 4, 2 * PAGE_BYTES);
    assert_int_equal(decode(s), Q_CORRUPT);
    scene_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_that_are_the_bases_take_two_bytes),
        cmocka_unit_test(rows_that_grew_and_moved_others_within_their_page_take_little),
        cmocka_unit_test(a_chunk_that_has_nothing_of_its_base_fits_the_limit),
        cmocka_unit_test(base_and_chunk_may_have_different_lengths),
        cmocka_unit_test(what_was_cut_or_has_lengths_that_lie_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
