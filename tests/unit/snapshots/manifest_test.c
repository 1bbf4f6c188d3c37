/* A manifest is read as it was written, or refused for the reason that it has. */
#include "snapshots/manifest.h"
#include "storage/page_sum.h"
#include "tests/unit/test.h"

/* Where fields are, with the configuration and the texts of make(). */
enum {
    VERSION_AT = 7,
    CONFIGURATION_AT = 56,
    PAGE_BYTES_AT = CONFIGURATION_AT + 4 + 3 + 16 + 16,
    IMAGE_BYTES_AT = PAGE_BYTES_AT + 4,
    SQLITE_AT = IMAGE_BYTES_AT + 8,
    CHUNKS_AT = SQLITE_AT + 4 + 6 + 4 + 4 + 4 + 6,
};

struct scene {
    struct manifest m, back;
    struct buf bytes;
    struct error error;
};

static void make(struct scene *s, uint64_t image_bytes)
{
    *s = (struct scene){0};
    s->m = (struct manifest){.cluster_id = "fifteen bytes.",
                             .index = 100,
                             .term = 3,
                             .time_ms = 1700000000000,
                             .configuration_index = 90,
                             .configuration_len = 3,
                             .configuration = "abc",
                             .digest = "of the content",
                             .node = 7,
                             .made_ms = 1700000000001,
                             .page_bytes = PAGE_BYTES,
                             .image_bytes = image_bytes,
                             .sqlite = "3.40.1",
                             .cluster_name = "test",
                             .semantics = "as all"};
    s->m.chunks = (uint32_t)manifest_chunks_of(image_bytes);
    s->m.chunk = calloc(s->m.chunks, sizeof *s->m.chunk);
    assert_non_null(s->m.chunk);
    for (uint32_t i = 0; i < s->m.chunks; i++) {
        chunk_name_of(&i, sizeof i, &s->m.chunk[i]);
    }
    buf_init(&s->bytes, MANIFEST_BYTES_MAX);
    assert_int_equal(manifest_encode(&s->m, &s->bytes, &s->error), 0);
}

static void done(struct scene *s)
{
    manifest_close(&s->m);
    manifest_close(&s->back);
    buf_close(&s->bytes);
}

static int decode(struct scene *s)
{
    manifest_close(&s->back);
    return manifest_decode(s->bytes.data, s->bytes.len, &s->back, &s->error);
}

/* As somebody would who wants to be believed. */
static void put_hash_right(struct scene *s)
{
    struct chunk_name hash;
    size_t n = s->bytes.len - sizeof hash;
    chunk_name_of(s->bytes.data, n, &hash);
    memcpy(s->bytes.data + n, &hash, sizeof hash);
}

static void what_was_encoded_is_decoded(void **state)
{
    struct scene s;
    (void)state;
    make(&s, 5 * CHUNK_BYTES + PAGE_BYTES);
    assert_int_equal(decode(&s), 0);

    struct chunk_name *chunk = s.back.chunk;
    assert_memory_equal(chunk, s.m.chunk, 6 * sizeof *chunk);
    s.back.chunk = s.m.chunk;
    assert_memory_equal(&s.back, &s.m, sizeof s.m);
    s.back.chunk = chunk;
    done(&s);
}

static void all_chunks_are_whole_but_the_last(void **state)
{
    struct scene s;
    (void)state;
    make(&s, 2 * CHUNK_BYTES + PAGE_BYTES);
    assert_int_equal(s.m.chunks, 3);
    assert_int_equal(manifest_chunk_bytes(&s.m, 0), CHUNK_BYTES);
    assert_int_equal(manifest_chunk_bytes(&s.m, 1), CHUNK_BYTES);
    assert_int_equal(manifest_chunk_bytes(&s.m, 2), PAGE_BYTES);
    done(&s);
    make(&s, 2 * CHUNK_BYTES);
    assert_int_equal(s.m.chunks, 2);
    assert_int_equal(manifest_chunk_bytes(&s.m, 1), CHUNK_BYTES);
    done(&s);
}

static void a_flipped_bit_anywhere_is_found(void **state)
{
    struct scene s;
    (void)state;
    make(&s, 3 * CHUNK_BYTES);
    for (size_t at = 0; at < s.bytes.len; at++) {
        s.bytes.data[at] ^= (uint8_t)(1u << at % 8);
        assert_int_equal(decode(&s), Q_CORRUPT);
        s.bytes.data[at] ^= (uint8_t)(1u << at % 8);
    }
    assert_int_equal(decode(&s), 0);
    done(&s);
}

static void one_that_was_cut_anywhere_is_refused_with_a_right_hash_too(void **state)
{
    struct scene s;
    (void)state;
    make(&s, 3 * CHUNK_BYTES);
    for (size_t n = 0; n < s.bytes.len; n++) {
        uint8_t *cut = malloc(n + CHUNK_NAME_BYTES);
        struct chunk_name hash;
        memcpy(cut, s.bytes.data, n);
        assert_int_equal(manifest_decode(cut, n, &s.back, &s.error), Q_CORRUPT);
        chunk_name_of(cut, n, &hash);
        memcpy(cut + n, &hash, sizeof hash);
        if (n != s.bytes.len - sizeof hash) {
            assert_int_equal(manifest_decode(cut, n + sizeof hash, &s.back, &s.error), Q_CORRUPT);
        }
        free(cut);
    }
    done(&s);
}

static void the_largest_image_has_a_manifest_and_four_tebibytes_have_none(void **state)
{
    struct scene s;
    (void)state;
    make(&s, (uint64_t)MANIFEST_CHUNKS_MAX * CHUNK_BYTES);
    assert_int_equal(decode(&s), 0);
    assert_int_equal(s.back.chunks, MANIFEST_CHUNKS_MAX);

    put_le64(s.bytes.data + IMAGE_BYTES_AT, UINT64_C(4) << 40);
    put_le32(s.bytes.data + CHUNKS_AT, 1u << 24);
    put_hash_right(&s);
    assert_int_equal(decode(&s), Q_TOO_BIG);
    put_le64(s.bytes.data + IMAGE_BYTES_AT, UINT64_MAX);
    put_hash_right(&s);
    assert_int_equal(decode(&s), Q_TOO_BIG);

    s.m.image_bytes += PAGE_BYTES;
    s.m.chunks++;
    buf_clear(&s.bytes);
    assert_int_equal(manifest_encode(&s.m, &s.bytes, &s.error), Q_TOO_BIG);
    done(&s);
}

static void a_number_of_chunks_that_is_not_that_of_the_image_is_refused(void **state)
{
    static const uint32_t chunks[] = {0, 2, 4, MANIFEST_CHUNKS_MAX, UINT32_MAX};
    struct scene s;
    (void)state;
    make(&s, 3 * CHUNK_BYTES);
    for (unsigned i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
        put_le32(s.bytes.data + CHUNKS_AT, chunks[i]);
        put_hash_right(&s);
        assert_int_equal(decode(&s), Q_CORRUPT);
    }
    put_le32(s.bytes.data + CHUNKS_AT, 3);
    put_le64(s.bytes.data + IMAGE_BYTES_AT, 2 * CHUNK_BYTES + 1);
    put_hash_right(&s);
    assert_int_equal(decode(&s), Q_CORRUPT);
    put_le64(s.bytes.data + IMAGE_BYTES_AT, 0);
    put_le32(s.bytes.data + CHUNKS_AT, 0);
    put_hash_right(&s);
    assert_int_equal(decode(&s), Q_CORRUPT);
    done(&s);
}

static void another_version_and_another_page_size_are_named(void **state)
{
    struct scene s;
    (void)state;
    make(&s, CHUNK_BYTES);
    s.bytes.data[VERSION_AT] = '2';
    put_hash_right(&s);
    assert_int_equal(decode(&s), Q_MISMATCH);
    s.bytes.data[VERSION_AT] = '1';
    put_le32(s.bytes.data + PAGE_BYTES_AT, 8192);
    put_hash_right(&s);
    assert_int_equal(decode(&s), Q_MISMATCH);
    assert_non_null(strstr(s.error.text, "8192"));
    done(&s);
}

static void texts_and_configurations_longer_than_their_places_are_refused(void **state)
{
    struct scene s;
    (void)state;
    make(&s, CHUNK_BYTES);
    put_le32(s.bytes.data + CONFIGURATION_AT, MANIFEST_CONFIGURATION_MAX + 1);
    put_hash_right(&s);
    assert_int_equal(decode(&s), Q_CORRUPT);
    put_le32(s.bytes.data + CONFIGURATION_AT, 3);
    s.bytes.data[SQLITE_AT + 4 + 2] = 0; /* a zero within a text */
    put_hash_right(&s);
    assert_int_equal(decode(&s), Q_CORRUPT);
    done(&s);
}

static void the_longest_texts_and_configuration_come_back(void **state)
{
    struct scene s;
    (void)state;
    make(&s, CHUNK_BYTES);
    memset(s.m.sqlite, 's', sizeof s.m.sqlite - 1);
    memset(s.m.cluster_name, 'n', sizeof s.m.cluster_name - 1);
    memset(s.m.semantics, 'm', sizeof s.m.semantics - 1);
    memset(s.m.configuration, 'c', sizeof s.m.configuration);
    s.m.configuration_len = sizeof s.m.configuration;
    buf_clear(&s.bytes);
    assert_int_equal(manifest_encode(&s.m, &s.bytes, &s.error), 0);
    assert_int_equal(decode(&s), 0);
    assert_string_equal(s.back.sqlite, s.m.sqlite);
    assert_string_equal(s.back.cluster_name, s.m.cluster_name);
    assert_string_equal(s.back.semantics, s.m.semantics);
    assert_memory_equal(s.back.configuration, s.m.configuration, sizeof s.m.configuration);
    done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_encoded_is_decoded),
        cmocka_unit_test(all_chunks_are_whole_but_the_last),
        cmocka_unit_test(a_flipped_bit_anywhere_is_found),
        cmocka_unit_test(one_that_was_cut_anywhere_is_refused_with_a_right_hash_too),
        cmocka_unit_test(the_largest_image_has_a_manifest_and_four_tebibytes_have_none),
        cmocka_unit_test(a_number_of_chunks_that_is_not_that_of_the_image_is_refused),
        cmocka_unit_test(another_version_and_another_page_size_are_named),
        cmocka_unit_test(texts_and_configurations_longer_than_their_places_are_refused),
        cmocka_unit_test(the_longest_texts_and_configuration_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
