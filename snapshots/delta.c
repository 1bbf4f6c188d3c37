#include "snapshots/delta.h"

#include <assert.h>
#include <string.h>

#include <xxhash.h>

#include "base/plant.h"
#include "storage/page_sum.h"

static const char magic[4] = "QDL1";

static_assert(CHUNK_PAGES == 64, "a bit of a u64 for each page");

/* Bytes of page I of a chunk of N bytes. */
static size_t page_bytes(size_t n, unsigned i)
{
    size_t at = (size_t)i * PAGE_BYTES;
    if (at >= n) {
        return 0;
    }
    return n - at < PAGE_BYTES ? n - at : PAGE_BYTES;
}

void delta_sums(const void *plain, size_t n, uint64_t ret_sums[CHUNK_PAGES])
{
    const uint8_t *p = plain;
    assert(n <= CHUNK_BYTES);
    for (unsigned i = 0; i < CHUNK_PAGES; i++) {
        size_t length = page_bytes(n, i);
        ret_sums[i] = length == 0 ? 0 : XXH3_64bits(p + (size_t)i * PAGE_BYTES, length);
    }
}

static uint64_t sum_of_sums(const uint64_t sums[CHUNK_PAGES])
{
    uint8_t bytes[CHUNK_PAGES * 8];
    for (unsigned i = 0; i < CHUNK_PAGES; i++) {
        put_le64(bytes + (size_t)i * 8, sums[i]);
    }
    return XXH3_64bits(bytes, sizeof bytes);
}

int delta_encode(const void *plain, size_t n, const uint64_t base_sums[CHUNK_PAGES], struct buf *out,
                 struct error *e)
{
    const uint8_t *p = plain;
    uint8_t pages[CHUNK_BYTES];
    uint64_t sums[CHUNK_PAGES], follow = 0;
    size_t len = 0;
    assert(n > 0 && n <= CHUNK_BYTES);
    delta_sums(plain, n, sums);
    for (unsigned i = 0; i < CHUNK_PAGES; i++) {
        size_t length = page_bytes(n, i);
        if (length > 0 && sums[i] != base_sums[i]) {
            memcpy(pages + len, p + (size_t)i * PAGE_BYTES, length);
            len += length;
            follow |= UINT64_C(1) << i;
        }
    }
    buf_put_bytes(out, magic, sizeof magic);
    buf_put_u32(out, (uint32_t)n);
    buf_put_u64(out, follow);
    buf_put_u64(out, sum_of_sums(base_sums));
    int rc = buf_check(out, "a delta", e);
    return rc != 0 || len == 0 ? rc : chunk_encode(pages, len, out, e);
}

/* Puts the pages that FOLLOW into RET_PLAIN, which holds the base. PAGES are LEN bytes. */
static int lay(const uint8_t *pages, size_t len, uint64_t follow, uint8_t *ret_plain, size_t n)
{
    size_t at = 0;
    for (unsigned i = 0; i < CHUNK_PAGES; i++) {
        if ((follow >> i & 1) == 0) {
            continue;
        }
        size_t length = page_bytes(n, i);
        if (length == 0 || length > len - at) {
            return Q_CORRUPT;
        }
        memcpy(ret_plain + (size_t)i * PAGE_BYTES, pages + at, length);
        at += length;
    }
    return at == len ? 0 : Q_CORRUPT;
}

static int apply(struct cursor *c, const uint8_t *base, size_t base_n, uint8_t *ret_plain, size_t *ret_n,
                 struct error *e)
{
    uint8_t pages[CHUNK_BYTES];
    uint64_t sums[CHUNK_PAGES];
    size_t len = 0;
    const uint8_t *begin = cursor_bytes(c, sizeof magic);
    uint32_t n = cursor_u32(c);
    uint64_t follow = cursor_u64(c), of = cursor_u64(c);
    if (c->bad || memcmp(begin, magic, sizeof magic) != 0 || n == 0 || n > CHUNK_BYTES) {
        return error_set(e, Q_CORRUPT, "not a delta");
    }
    delta_sums(base, base_n, sums);
    if (of != sum_of_sums(sums)) {
        return error_set(e, Q_CONFLICT, "the delta was made for another base");
    }
    if (cursor_left(c) > 0 && chunk_unpack(c->p, cursor_left(c), pages, &len, e) != 0) {
        return error_wrap(e, "pages of a delta");
    }
    memset(ret_plain, 0, CHUNK_BYTES);
    memcpy(ret_plain, base, base_n);
    if (lay(pages, len, follow, ret_plain, n) != 0) {
        return error_set(e, Q_CORRUPT, "a delta has other pages than it says");
    }
    *ret_n = n;
    return 0;
}

int delta_apply(const void *p, size_t len, const uint8_t *base, size_t base_n, const struct chunk_name *name,
                uint8_t *ret_plain, size_t *ret_n, struct error *e)
{
    struct cursor c = cursor_of(p, len);
    struct chunk_name found;
    char text[CHUNK_HEX];
    size_t n;
    assert(base_n <= CHUNK_BYTES);
    chunk_name_text(name, text);
    if (apply(&c, base, base_n, ret_plain, &n, e) != 0) {
        return error_wrap(e, "chunk %s", text);
    }
    chunk_name_of(ret_plain, n, &found);
    if (!chunk_name_equal(&found, name) && !PLANTED("delta_is_not_verified")) {
        return error_set(e, Q_CORRUPT, "chunk %s: a delta gives content of another hash", text);
    }
    *ret_n = n;
    return 0;
}
