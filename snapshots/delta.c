#include "snapshots/delta.h"

#include <assert.h>
#include <string.h>

#include <xxhash.h>

#include "base/plant.h"
#include "storage/page_sum.h"

static const char magic[4] = "QDL1";

enum {
    PAGE_BLOCKS = PAGE_BYTES / DELTA_BLOCK_BYTES,
    CONTENT_BYTES = PAGE_BYTES - PAGE_SUM_BYTES, /* of a page */
    MAP_BYTES = DELTA_BLOCKS / 8,
    MAPS_BYTES = 8 + MAP_BYTES, /* what is before the blocks */
};

static_assert(CHUNK_PAGES == 64, "a bit of a u64 for each page");
static_assert(MAPS_BYTES + CHUNK_PAGES * CONTENT_BYTES <= CHUNK_BYTES, "a chunk holds maps and all blocks");

static size_t block_at(unsigned i)
{
    return (size_t)i * DELTA_BLOCK_BYTES;
}

static size_t block_bytes(unsigned i)
{
    return i % PAGE_BLOCKS == PAGE_BLOCKS - 1 ? DELTA_BLOCK_BYTES - PAGE_SUM_BYTES : DELTA_BLOCK_BYTES;
}

static uint16_t block_sum(const uint8_t *p, size_t n, unsigned i, uint64_t seed)
{
    uint8_t filled[DELTA_BLOCK_BYTES] = {0};
    size_t at = block_at(i), length = block_bytes(i);
    const uint8_t *block = filled;
    if (at + length <= n) {
        block = p + at;
    } else if (at < n) {
        memcpy(filled, p + at, n - at);
    }
    return (uint16_t)XXH3_64bits_withSeed(block, length, seed);
}

static uint64_t seed_of(const struct chunk_name *name)
{
    return get_le64(name->sha256);
}

void delta_sums(const void *base, size_t n, const struct chunk_name *wanted,
                uint8_t ret_sums[DELTA_SUMS_BYTES])
{
    assert(n <= CHUNK_BYTES);
    for (unsigned i = 0; i < DELTA_BLOCKS; i++) {
        put_le16(ret_sums + (size_t)i * 2, block_sum(base, n, i, seed_of(wanted)));
    }
}

static uint64_t sum_of_sums(const uint8_t sums[DELTA_SUMS_BYTES])
{
    return XXH3_64bits(sums, DELTA_SUMS_BYTES);
}

/* Maps and blocks. Returns how many bytes. */
static size_t collect(const uint8_t *p, size_t n, uint64_t seed, const uint8_t base_sums[DELTA_SUMS_BYTES],
                      uint8_t ret_body[CHUNK_BYTES])
{
    uint8_t *follow = ret_body + 8;
    uint64_t zeros = 0;
    size_t len = MAPS_BYTES;
    memset(follow, 0, MAP_BYTES);
    for (unsigned i = 0; block_at(i) < n; i++) {
        if (block_sum(p, n, i, seed) != get_le16(base_sums + (size_t)i * 2)) {
            memcpy(ret_body + len, p + block_at(i), block_bytes(i));
            len += block_bytes(i);
            follow[i / 8] |= (uint8_t)(1u << i % 8);
        }
    }
    for (size_t page = 0; page < n / PAGE_BYTES; page++) {
        zeros |= (uint64_t)(get_le64(p + page * PAGE_BYTES + CONTENT_BYTES) == 0) << page;
    }
    put_le64(ret_body, zeros);
    return len;
}

int delta_encode(const void *plain, size_t n, const struct chunk_name *name,
                 const uint8_t base_sums[DELTA_SUMS_BYTES], struct buf *out, struct error *e)
{
    uint8_t body[CHUNK_BYTES];
    if (n == 0 || n > CHUNK_BYTES || n % PAGE_BYTES != 0) {
        return error_set(e, Q_CORRUPT, "a chunk of %zu bytes is not whole pages", n);
    }
    size_t len = collect(plain, n, seed_of(name), base_sums, body);
    buf_put_bytes(out, magic, sizeof magic);
    buf_put_u32(out, (uint32_t)n);
    buf_put_u64(out, sum_of_sums(base_sums));
    int rc = buf_check(out, "a delta", e);
    return rc != 0 ? rc : chunk_encode(body, len, out, e);
}

/* Puts the blocks into RET_PLAIN, which holds the base. False: they are not what the map says. */
static bool lay_blocks(const uint8_t *body, size_t len, uint8_t *ret_plain, size_t n)
{
    const uint8_t *follow = body + 8;
    size_t from = MAPS_BYTES;
    for (unsigned i = 0; i < DELTA_BLOCKS; i++) {
        if ((follow[i / 8] >> i % 8 & 1) == 0) {
            continue;
        }
        if (block_at(i) >= n || block_bytes(i) > len - from) {
            return false;
        }
        memcpy(ret_plain + block_at(i), body + from, block_bytes(i));
        from += block_bytes(i);
    }
    return from == len;
}

static void set_page_sums(uint8_t *plain, size_t n, uint32_t chunk, uint64_t zeros)
{
    for (size_t page = 0; page < n / PAGE_BYTES; page++) {
        if ((zeros >> page & 1) != 0 && !PLANTED("delta_gives_every_page_a_sum")) {
            memset(plain + page * PAGE_BYTES + CONTENT_BYTES, 0, PAGE_SUM_BYTES);
        } else {
            page_sum_set(plain + page * PAGE_BYTES, (uint64_t)chunk * CHUNK_PAGES + page + 1);
        }
    }
}

static int apply(struct cursor *c, const uint8_t *base, size_t base_n, uint32_t chunk,
                 const struct chunk_name *name, uint8_t *ret_plain, size_t *ret_n, struct error *e)
{
    uint8_t body[CHUNK_BYTES], sums[DELTA_SUMS_BYTES];
    size_t len = 0;
    const uint8_t *begin = cursor_bytes(c, sizeof magic);
    uint32_t n = cursor_u32(c);
    uint64_t of = cursor_u64(c);
    if (c->bad || memcmp(begin, magic, sizeof magic) != 0 || n == 0 || n > CHUNK_BYTES ||
        n % PAGE_BYTES != 0) {
        return error_set(e, Q_CORRUPT, "not a delta");
    }
    delta_sums(base, base_n, name, sums);
    if (of != sum_of_sums(sums)) {
        return error_set(e, Q_CONFLICT, "the delta was made for another base");
    }
    if (chunk_unpack(c->p, cursor_left(c), body, &len, e) != 0) {
        return error_wrap(e, "blocks of a delta");
    }
    memset(ret_plain, 0, CHUNK_BYTES);
    memcpy(ret_plain, base, base_n);
    if (len < MAPS_BYTES || !lay_blocks(body, len, ret_plain, n)) {
        return error_set(e, Q_CORRUPT, "a delta has other blocks than it says");
    }
    set_page_sums(ret_plain, n, chunk, get_le64(body));
    *ret_n = n;
    return 0;
}

int delta_apply(const void *p, size_t len, const uint8_t *base, size_t base_n, uint32_t chunk,
                const struct chunk_name *name, uint8_t *ret_plain, size_t *ret_n, struct error *e)
{
    struct cursor c = cursor_of(p, len);
    struct chunk_name found;
    char text[CHUNK_HEX];
    size_t n;
    assert(base_n <= CHUNK_BYTES);
    chunk_name_text(name, text);
    if (apply(&c, base, base_n, chunk, name, ret_plain, &n, e) != 0) {
        return error_wrap(e, "chunk %s", text);
    }
    chunk_name_of(ret_plain, n, &found);
    if (!chunk_name_equal(&found, name) && !PLANTED("delta_is_not_verified")) {
        return error_set(e, Q_CONFLICT, "chunk %s: a delta makes something else of what is here", text);
    }
    *ret_n = n;
    return 0;
}
