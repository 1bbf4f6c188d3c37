/* manifest: manifests of any bytes, with their own hash put right or not: one that is taken is within its
 * limits and gives the same bytes again. */
#include <string.h>

#include "snapshots/manifest.h"
#include "storage/page_sum.h"
#include "tests/fuzz/target.h"

static void check(const uint8_t *p, size_t n)
{
    struct manifest m, copy;
    struct buf again;
    struct error e;
    if (manifest_decode(p, n, &m, &e) != 0) {
        FUZZ_CHECK(e.code == Q_CORRUPT || e.code == Q_MISMATCH || e.code == Q_TOO_BIG,
                   "a refusal has a promised code");
        return;
    }
    FUZZ_CHECK(m.chunks > 0 && m.chunks <= MANIFEST_CHUNKS_MAX && m.page_bytes == PAGE_BYTES &&
                   m.configuration_len <= MANIFEST_CONFIGURATION_MAX &&
                   (uint64_t)(m.chunks - 1) * CHUNK_BYTES + manifest_chunk_bytes(&m, m.chunks - 1) ==
                       m.image_bytes,
               "it is within its limits");
    FUZZ_CHECK(manifest_copy(&m, &copy, &e) == 0, "it can be copied");
    buf_init(&again, MANIFEST_BYTES_MAX);
    FUZZ_CHECK(manifest_encode(&copy, &again, &e) == 0 && again.len == n && memcmp(again.data, p, n) == 0,
               "and encoded as it was");
    buf_close(&again);
    manifest_close(&copy);
    manifest_close(&m);
}

static void check_with_hash(const uint8_t *p, size_t n)
{
    uint8_t *bytes = malloc(n + CHUNK_NAME_BYTES);
    struct chunk_name hash;
    FUZZ_CHECK(bytes != NULL, "there is memory");
    memcpy(bytes, p, n);
    chunk_name_of(p, n, &hash);
    memcpy(bytes + n, &hash, sizeof hash);
    check(bytes, n + sizeof hash);
    free(bytes);
}

/* Fields from the input, in a manifest whose lengths are right. */
static void check_built(struct cursor *input)
{
    struct manifest m = {.page_bytes = PAGE_BYTES};
    struct chunk_name chunk[8];
    struct cursor text = input_bytes(input, sizeof m.sqlite - 1);
    struct cursor configuration = input_bytes(input, 300);
    struct buf bytes;
    struct error e;
    m.index = cursor_u64(input);
    m.term = cursor_u64(input);
    m.image_bytes = (uint64_t)PAGE_BYTES * input_range(input, 1, 8 * CHUNK_PAGES);
    m.chunks = (uint32_t)manifest_chunks_of(m.image_bytes);
    m.chunk = chunk;
    m.configuration_len = (uint32_t)cursor_left(&configuration);
    memcpy(m.configuration, configuration.p, m.configuration_len);
    memcpy(m.sqlite, text.p, cursor_left(&text));
    for (unsigned i = 0; i < sizeof chunk / sizeof chunk[0]; i++) {
        chunk_name_of(&i, sizeof i, &chunk[i]);
    }
    buf_init(&bytes, MANIFEST_BYTES_MAX);
    FUZZ_CHECK(manifest_encode(&m, &bytes, &e) == 0, "any manifest can be encoded");
    check(bytes.data, bytes.len);
    uint32_t at = input_range(input, 0, (uint32_t)bytes.len - CHUNK_NAME_BYTES - 1);
    bytes.data[at] ^= cursor_u8(input);
    check_with_hash(bytes.data, bytes.len - CHUNK_NAME_BYTES);
    buf_close(&bytes);
}

static void run(const uint8_t *p, size_t n)
{
    struct cursor input = cursor_of(p, n);
    check(p, n);
    check_with_hash(p, n);
    check_built(&input);
}

static void seeds(struct seeds *s)
{
    struct chunk_name chunk[2] = {{{1}}, {{2}}};
    struct manifest m = {.index = 100,
                         .term = 2,
                         .configuration_len = 3,
                         .configuration = "abc",
                         .page_bytes = PAGE_BYTES,
                         .image_bytes = CHUNK_BYTES + PAGE_BYTES,
                         .sqlite = "3.40.1",
                         .cluster_name = "fuzz",
                         .chunks = 2,
                         .chunk = chunk};
    struct buf bytes;
    struct error e;
    buf_init(&bytes, FUZZ_INPUT_MAX);
    manifest_encode(&m, &bytes, &e);
    seeds_add(s, "whole", bytes.data, bytes.len);
    seeds_add(s, "without_its_hash", bytes.data, bytes.len - CHUNK_NAME_BYTES);
    buf_close(&bytes);
}

const struct fuzz_target fuzz_target = {.run = run, .seeds = seeds};
