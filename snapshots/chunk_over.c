#include "snapshots/chunk_over.h"

#include <assert.h>
#include <string.h>

#include <lz4.h>

#include "storage/page_sum.h"

static const char magic[4] = "QCO1";

static_assert(PAGE_BYTES < UINT16_MAX, "lengths of pages are 16 bits");

/* Bytes of the page at AT of a chunk of N bytes. */
static size_t page_at(size_t n, size_t at)
{
    if (at >= n) {
        return 0;
    }
    return n - at < PAGE_BYTES ? n - at : PAGE_BYTES;
}

/* Appends one page. There is room. */
static void encode_page(const uint8_t *page, size_t n, const uint8_t *base, size_t base_n, struct buf *out)
{
    LZ4_stream_t state;
    if (n == base_n && memcmp(page, base, n) == 0) {
        buf_put_u16(out, 0);
        return;
    }
    LZ4_initStream(&state, sizeof state);
    if (base_n > 0) {
        LZ4_loadDict(&state, (const char *)base, (int)base_n);
    }
    uint8_t *to = out->data + out->len + 2;
    int packed = LZ4_compress_fast_continue(&state, (const char *)page, (char *)to, (int)n, (int)n - 1, 1);
    if (packed <= 0) {
        memcpy(to, page, n);
        packed = (int)n;
    }
    buf_put_u16(out, (uint16_t)packed);
    out->len += (size_t)packed;
}

int chunk_over_encode(const uint8_t *plain, size_t n, const struct chunk_name *base_name, const uint8_t *base,
                      size_t base_n, struct buf *out, struct error *e)
{
    assert(n > 0 && n <= CHUNK_BYTES && base_n <= CHUNK_BYTES);
    if (buf_reserve(out, CHUNK_OVER_HEADER_BYTES + n + 2 * CHUNK_PAGES) == NULL) {
        return buf_check(out, "a chunk as a difference", e);
    }
    buf_put_bytes(out, magic, sizeof magic);
    buf_put_u32(out, (uint32_t)n);
    buf_put_bytes(out, base_name, sizeof *base_name);
    for (size_t at = 0; at < n; at += PAGE_BYTES) {
        size_t of_base = page_at(base_n, at);
        encode_page(plain + at, page_at(n, at), of_base > 0 ? base + at : NULL, of_base, out);
    }
    return 0;
}

bool chunk_over_base(const void *p, size_t len, struct chunk_name *ret_base_name)
{
    const uint8_t *header = p;
    if (len < CHUNK_OVER_HEADER_BYTES || memcmp(header, magic, sizeof magic) != 0) {
        return false;
    }
    memcpy(ret_base_name, header + 8, sizeof *ret_base_name);
    return true;
}

/* False: the bytes are none that encode_page() could have written. */
static bool decode_page(struct cursor *c, const uint8_t *base, size_t base_n, uint8_t *ret_page, size_t n)
{
    size_t stored = cursor_u16(c);
    const uint8_t *from = cursor_bytes(c, stored);
    if (c->bad || stored > n || (stored == 0 && n != base_n)) {
        return false;
    }
    if (stored == 0) {
        memcpy(ret_page, base, n);
        return true;
    }
    if (stored == n) {
        memcpy(ret_page, from, n);
        return true;
    }
    return LZ4_decompress_safe_usingDict((const char *)from, (char *)ret_page, (int)stored, (int)n,
                                         (const char *)base, (int)base_n) == (int)n;
}

int chunk_over_decode(const void *p, size_t len, const uint8_t *base, size_t base_n, uint8_t *ret_plain,
                      size_t *ret_n, struct error *e)
{
    struct cursor c = cursor_of(p, len);
    assert(base_n <= CHUNK_BYTES);
    const uint8_t *begin = cursor_bytes(&c, sizeof magic);
    uint32_t n = cursor_u32(&c);
    cursor_bytes(&c, CHUNK_NAME_BYTES);
    bool good = !c.bad && memcmp(begin, magic, sizeof magic) == 0 && n > 0 && n <= CHUNK_BYTES;
    for (size_t at = 0; good && at < n; at += PAGE_BYTES) {
        size_t of_base = page_at(base_n, at);
        good = decode_page(&c, of_base > 0 ? base + at : NULL, of_base, ret_plain + at, page_at(n, at));
    }
    if (!good || cursor_left(&c) > 0) {
        return error_set(e, Q_CORRUPT, "a chunk that is stored as a difference cannot be decoded");
    }
    *ret_n = n;
    return 0;
}
