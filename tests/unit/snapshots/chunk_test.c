/* A chunk's bytes come back as they were, or not at all. */
#include "snapshots/chunk.h"
#include "tests/unit/test.h"

struct scene {
    uint8_t plain[CHUNK_BYTES], back[CHUNK_BYTES];
    struct chunk_name name;
    struct buf encoded;
    size_t n;
    struct error error;
};

static struct scene *scene_new(size_t n, bool random)
{
    struct scene *s = calloc(1, sizeof *s);
    uint64_t x = 88172645463325252u;
    assert_non_null(s);
    for (size_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        s->plain[i] = random ? (uint8_t)x : (uint8_t)(i / 100);
    }
    chunk_name_of(s->plain, n, &s->name);
    buf_init(&s->encoded, CHUNK_ENCODED_MAX);
    assert_int_equal(chunk_encode(s->plain, n, &s->encoded, &s->error), 0);
    return s;
}

static int decode(struct scene *s)
{
    return chunk_decode(s->encoded.data, s->encoded.len, &s->name, s->back, &s->n, &s->error);
}

static void scene_free(struct scene *s)
{
    buf_close(&s->encoded);
    free(s);
}

static void what_was_encoded_is_decoded_whatever_its_length_and_content(void **state)
{
    static const size_t lengths[] = {1, 2, 4096, 100000, CHUNK_BYTES - 1, CHUNK_BYTES};
    (void)state;
    for (unsigned i = 0; i < 2 * sizeof lengths / sizeof lengths[0]; i++) {
        size_t n = lengths[i / 2];
        struct scene *s = scene_new(n, i % 2 != 0);
        assert_int_equal(decode(s), 0);
        assert_int_equal(s->n, n);
        assert_memory_equal(s->back, s->plain, n);
        scene_free(s);
    }
}

static void what_lz4_makes_shorter_is_stored_so_and_the_rest_as_it_is(void **state)
{
    struct scene *dull = scene_new(CHUNK_BYTES, false), *wild = scene_new(CHUNK_BYTES, true);
    (void)state;
    assert_true(dull->encoded.len < CHUNK_BYTES / 10);
    assert_int_equal(wild->encoded.len, CHUNK_ENCODED_MAX);
    scene_free(dull);
    scene_free(wild);
}

static void a_chunk_is_not_taken_for_another(void **state)
{
    struct scene *s = scene_new(CHUNK_BYTES, false);
    char text[CHUNK_HEX];
    (void)state;
    s->name.sha256[31] ^= 1;
    chunk_name_text(&s->name, text);
    assert_int_equal(decode(s), Q_CORRUPT);
    assert_non_null(strstr(s->error.text, text));
    scene_free(s);
}

/* LZ4 has more than one way to say the same: what still decodes to the chunk is the chunk. */
static void expect_found_or_harmless(struct scene *s, size_t at)
{
    s->encoded.data[at] ^= (uint8_t)(1u << at % 8);
    int rc = decode(s);
    if (rc == 0) {
        assert_true(at >= CHUNK_HEADER_BYTES && s->encoded.data[4] == 1);
        assert_memory_equal(s->back, s->plain, s->n);
    } else {
        assert_int_equal(rc, Q_CORRUPT);
    }
    s->encoded.data[at] ^= (uint8_t)(1u << at % 8);
}

static void a_flipped_bit_anywhere_is_found(void **state)
{
    struct scene *s = scene_new(5000, false), *wild = scene_new(3000, true);
    (void)state;
    for (size_t at = 0; at < s->encoded.len; at++) {
        expect_found_or_harmless(s, at);
    }
    for (size_t at = 0; at < wild->encoded.len; at++) {
        expect_found_or_harmless(wild, at);
    }
    assert_int_equal(decode(s), 0);
    scene_free(s);
    scene_free(wild);
}

static void lengths_that_lie_are_refused_before_anything_is_written_past_the_end(void **state)
{
    static const uint32_t plain[] = {0, 1, 4999, 5001, CHUNK_BYTES, CHUNK_BYTES + 1, UINT32_MAX};
    struct scene *s = scene_new(5000, false);
    (void)state;
    for (unsigned i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        put_le32(s->encoded.data + 8, plain[i]);
        assert_int_equal(decode(s), Q_CORRUPT);
    }
    put_le32(s->encoded.data + 8, 5000);
    put_le32(s->encoded.data + 12, UINT32_MAX);
    assert_int_equal(decode(s), Q_CORRUPT);
    for (size_t n = 0; n < s->encoded.len;
         n++) { /* exactly as long as said, so that a read behind it shows */
        uint8_t *cut = malloc(n + 1);
        memcpy(cut, s->encoded.data, n);
        assert_int_equal(chunk_decode(cut, n, &s->name, s->back, &s->n, &s->error), Q_CORRUPT);
        free(cut);
    }
    scene_free(s);
}

static void a_name_is_read_as_it_is_written_and_in_no_other_way(void **state)
{
    struct scene *s = scene_new(1, false);
    struct chunk_name back = {{0}};
    char text[CHUNK_HEX + 1] = {0};
    (void)state;
    chunk_name_text(&s->name, text);
    /* SHA-256 of one zero byte. */
    assert_string_equal(text, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    assert_true(chunk_name_parse(text, &back));
    assert_true(chunk_name_equal(&back, &s->name));

    text[64] = '0';
    assert_false(chunk_name_parse(text, &back));
    text[63] = 0;
    assert_false(chunk_name_parse(text, &back));
    chunk_name_text(&s->name, text);
    text[1] = 'E';
    assert_false(chunk_name_parse(text, &back));
    scene_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_encoded_is_decoded_whatever_its_length_and_content),
        cmocka_unit_test(what_lz4_makes_shorter_is_stored_so_and_the_rest_as_it_is),
        cmocka_unit_test(a_chunk_is_not_taken_for_another),
        cmocka_unit_test(a_flipped_bit_anywhere_is_found),
        cmocka_unit_test(lengths_that_lie_are_refused_before_anything_is_written_past_the_end),
        cmocka_unit_test(a_name_is_read_as_it_is_written_and_in_no_other_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
