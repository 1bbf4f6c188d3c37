#include "snapshots/delta.h"

#include <assert.h>
#include <string.h>

#include <xxhash.h>

#include "base/plant.h"
#include "storage/page_sum.h"

static const char magic[4] = "QDL1";

enum {
    PAGE_BLOCKS = PAGE_BYTES / DELTA_BLOCK_BYTES,
    CONTENT_BYTES = PAGE_BYTES - PAGE_SUM_BYTES,      /* of a page */
    SHORT_BYTES = DELTA_BLOCK_BYTES - PAGE_SUM_BYTES, /* of its last block */
    WINDOWS = CONTENT_BYTES - DELTA_BLOCK_BYTES + 1,  /* where in a page a block may be */
    COPY_BYTES = 3,
};

static_assert(CHUNK_PAGES == 64, "a bit of a u64 for each page");
static_assert(PAGE_BLOCKS == 16, "half a byte for a block of a page");
static_assert(COPY_BYTES < SHORT_BYTES && 8 + CHUNK_PAGES * (1 + CONTENT_BYTES) <= CHUNK_BYTES,
              "the more copies the shorter, and without any it fits into a chunk");

static size_t copied_bytes(unsigned first, unsigned count)
{
    return (size_t)count * DELTA_BLOCK_BYTES - (first + count == PAGE_BLOCKS ? PAGE_SUM_BYTES : 0);
}

/* ---- sums ---- */

struct key {
    uint64_t base, factor;
    uint64_t power; /* BASE to the number of bytes of a block */
};

static struct key key_of(const struct chunk_name *name)
{
    struct key k = {.base = (get_le64(name->sha256) & ~UINT64_C(7)) | 5,
                    .factor = get_le64(name->sha256 + 8) | 1,
                    .power = 1};
    for (unsigned i = 0; i < DELTA_BLOCK_BYTES; i++) {
        k.power *= k.base;
    }
    return k;
}

static uint16_t fold(const struct key *k, uint64_t h)
{
    return (uint16_t)(h * k->factor >> 48);
}

/* All blocks of a page side by side, as each step of one waits for the step before. */
static void sum_page(const struct key *k, const uint8_t *page, uint16_t ret_sums[PAGE_BLOCKS])
{
    uint64_t h[PAGE_BLOCKS] = {0};
    for (unsigned at = 0; at < DELTA_BLOCK_BYTES; at++) {
        unsigned blocks = at < SHORT_BYTES ? PAGE_BLOCKS : PAGE_BLOCKS - 1;
        for (unsigned i = 0; i < blocks; i++) {
            h[i] = h[i] * k->base + page[i * DELTA_BLOCK_BYTES + at];
        }
    }
    for (unsigned i = 0; i < PAGE_BLOCKS; i++) {
        ret_sums[i] = fold(k, h[i]);
    }
}

/* The page at AT of N bytes, with zeros where they end. */
static void get_page(const uint8_t *p, size_t n, size_t at, uint8_t ret_page[PAGE_BYTES])
{
    size_t there = at >= n ? 0 : n - at;
    there = there > PAGE_BYTES ? PAGE_BYTES : there;
    if (there > 0) {
        memcpy(ret_page, p + at, there);
    }
    memset(ret_page + there, 0, PAGE_BYTES - there);
}

void delta_sums(const void *base, size_t n, const struct chunk_name *wanted,
                uint8_t ret_sums[DELTA_SUMS_BYTES])
{
    struct key k = key_of(wanted);
    assert(n <= CHUNK_BYTES);
    memset(ret_sums, 0, DELTA_SUMS_BYTES); /* that of zeros */
    for (size_t page = 0; page * PAGE_BYTES < n; page++) {
        uint8_t bytes[PAGE_BYTES];
        uint16_t sums[PAGE_BLOCKS];
        get_page(base, n, page * PAGE_BYTES, bytes);
        sum_page(&k, bytes, sums);
        for (size_t i = 0; i < PAGE_BLOCKS; i++) {
            put_le16(ret_sums + (page * PAGE_BLOCKS + i) * 2, sums[i]);
        }
    }
}

static uint64_t sum_of_sums(const uint8_t sums[DELTA_SUMS_BYTES])
{
    return XXH3_64bits(sums, DELTA_SUMS_BYTES);
}

/* ---- what is new ---- */

/* A page, and where the blocks of the base's page are in it. */
struct search {
    struct key key;
    const uint8_t *page;
    uint16_t base[PAGE_BLOCKS];
    uint16_t window[WINDOWS]; /* the sum of the block that begins there */
    uint16_t like[256];       /* which blocks have a sum with this lower half */
};

static void search_begin(struct search *s, const uint8_t *page)
{
    uint64_t h = 0;
    s->page = page;
    for (unsigned i = 0; i < DELTA_BLOCK_BYTES; i++) {
        h = h * s->key.base + page[i];
    }
    for (unsigned at = 0; at < WINDOWS; at++) {
        s->window[at] = fold(&s->key, h);
        h = h * s->key.base + page[at + DELTA_BLOCK_BYTES] - page[at] * s->key.power;
    }
    memset(s->like, 0, sizeof s->like);
    for (unsigned i = 0; i < PAGE_BLOCKS; i++) {
        s->like[s->base[i] & 255] |= (uint16_t)(1u << i);
    }
}

static bool is_block(const struct search *s, size_t at, unsigned i)
{
    if (i < PAGE_BLOCKS - 1) {
        return at < WINDOWS && s->window[at] == s->base[i];
    }
    uint64_t h = 0;
    for (unsigned k = 0; k < SHORT_BYTES && at + SHORT_BYTES <= CONTENT_BYTES; k++) {
        h = h * s->key.base + s->page[at + k];
    }
    return at + SHORT_BYTES <= CONTENT_BYTES && fold(&s->key, h) == s->base[i];
}

/* How many blocks of the base are at AT, from block *RET_FIRST on; the most that there are. */
static unsigned search_at(const struct search *s, size_t at, unsigned *ret_first)
{
    unsigned best = 0, last = PAGE_BLOCKS - 1;
    unsigned like = at < WINDOWS ? s->like[s->window[at] & 255] : 0;
    if (at == (size_t)last * DELTA_BLOCK_BYTES) {
        like = 1u << last;
    }
    for (unsigned i = 0; like >> i != 0; i++) {
        unsigned count = 0;
        while ((like >> i & 1) != 0 && i + count < PAGE_BLOCKS &&
               is_block(s, at + (size_t)count * DELTA_BLOCK_BYTES, i + count)) {
            count++;
        }
        if (count > best && (count > 1 || at == (size_t)i * DELTA_BLOCK_BYTES)) {
            best = count;
            *ret_first = i;
        }
    }
    return best;
}

/* What a delta is packed from. */
struct parts {
    uint8_t copies[CHUNK_PAGES * (1 + PAGE_BLOCKS * COPY_BYTES)];
    size_t copies_len, fresh_len;
    uint8_t fresh[CHUNK_BYTES];
};

static void put_fresh(struct parts *parts, const uint8_t *p, size_t n)
{
    memcpy(parts->fresh + parts->fresh_len, p, n);
    parts->fresh_len += n;
}

static void put_copy(struct parts *parts, size_t fresh, unsigned first, unsigned count)
{
    uint8_t *copy = parts->copies + parts->copies_len;
    put_le16(copy, (uint16_t)fresh);
    copy[2] = (uint8_t)(first << 4 | (count - 1));
    parts->copies_len += COPY_BYTES;
}

/* Of a page that is not as the base's. */
static void encode_page(struct search *s, const uint8_t *page, struct parts *parts)
{
    size_t at = 0, done = 0;
    size_t counted = parts->copies_len++;
    uint8_t copies = 0;
    search_begin(s, page);
    while (at + SHORT_BYTES <= CONTENT_BYTES) {
        unsigned first = 0, count = search_at(s, at, &first);
        if (count == 0) {
            at++;
            continue;
        }
        put_fresh(parts, page + done, at - done);
        put_copy(parts, at - done, first, count);
        copies++;
        done = at += copied_bytes(first, count);
    }
    put_fresh(parts, page + done, CONTENT_BYTES - done);
    parts->copies[counted] = copies;
}

static uint64_t encode_pages(const uint8_t *p, size_t n, const struct chunk_name *name,
                             const uint8_t base_sums[DELTA_SUMS_BYTES], struct parts *parts)
{
    struct search s = {.key = key_of(name)};
    uint64_t zeros = 0;
    for (size_t page = 0; page < n / PAGE_BYTES; page++) {
        const uint8_t *bytes = p + page * PAGE_BYTES;
        uint16_t sums[PAGE_BLOCKS];
        sum_page(&s.key, bytes, sums);
        for (size_t i = 0; i < PAGE_BLOCKS; i++) {
            s.base[i] = get_le16(base_sums + (page * PAGE_BLOCKS + i) * 2);
        }
        if (memcmp(sums, s.base, sizeof sums) == 0) {
            parts->copies[parts->copies_len++] = 1;
            put_copy(parts, 0, 0, PAGE_BLOCKS);
        } else {
            encode_page(&s, bytes, parts);
        }
        zeros |= (uint64_t)(get_le64(bytes + CONTENT_BYTES) == 0) << page;
    }
    return zeros;
}

int delta_encode(const void *plain, size_t n, const struct chunk_name *name,
                 const uint8_t base_sums[DELTA_SUMS_BYTES], struct buf *out, struct error *e)
{
    struct parts parts;
    uint8_t body[CHUNK_BYTES];
    if (n == 0 || n > CHUNK_BYTES || n % PAGE_BYTES != 0) {
        return error_set(e, Q_CORRUPT, "a chunk of %zu bytes is not whole pages", n);
    }
    parts.copies_len = parts.fresh_len = 0;
    put_le64(body, encode_pages(plain, n, name, base_sums, &parts));
    memcpy(body + 8, parts.copies, parts.copies_len);
    memcpy(body + 8 + parts.copies_len, parts.fresh, parts.fresh_len);
    buf_put_bytes(out, magic, sizeof magic);
    buf_put_u32(out, (uint32_t)n);
    buf_put_u64(out, sum_of_sums(base_sums));
    int rc = buf_check(out, "a delta", e);
    return rc != 0 ? rc : chunk_encode(body, 8 + parts.copies_len + parts.fresh_len, out, e);
}

/* ---- and back ---- */

static bool move_bytes(struct cursor *from, uint8_t *to, size_t n)
{
    const uint8_t *p = cursor_bytes(from, n);
    if (!from->bad && n > 0) {
        memcpy(to, p, n);
    }
    return !from->bad;
}

/* False: COPIES and FRESH do not make a page. */
static bool make_page(struct cursor *copies, struct cursor *fresh, const uint8_t *base, uint8_t *ret_page)
{
    size_t at = 0;
    for (unsigned left = cursor_u8(copies); left > 0; left--) {
        size_t before = cursor_u16(copies);
        unsigned what = cursor_u8(copies), first = what >> 4, count = (what & 15) + 1;
        size_t length = copied_bytes(first, count);
        if (copies->bad || first + count > PAGE_BLOCKS || before + length > CONTENT_BYTES - at ||
            !move_bytes(fresh, ret_page + at, before)) {
            return false;
        }
        memcpy(ret_page + at + before, base + (size_t)first * DELTA_BLOCK_BYTES, length);
        at += before + length;
    }
    return !copies->bad && move_bytes(fresh, ret_page + at, CONTENT_BYTES - at);
}

static void set_page_sum(uint8_t *page, uint64_t number, bool zeros)
{
    if (zeros && !PLANTED("delta_gives_every_page_a_sum")) {
        memset(page + CONTENT_BYTES, 0, PAGE_SUM_BYTES);
    } else {
        page_sum_set(page, number);
    }
}

/* False: BODY is not what makes so many pages. */
static bool make_pages(struct cursor body, const uint8_t *base, size_t base_n, uint32_t chunk,
                       uint8_t *ret_plain, size_t n)
{
    uint64_t zeros = cursor_u64(&body);
    struct cursor copies = body, fresh = body;
    for (size_t page = 0; page < n / PAGE_BYTES; page++) {
        cursor_bytes(&fresh, (size_t)cursor_u8(&fresh) * COPY_BYTES);
    }
    for (size_t page = 0; page < n / PAGE_BYTES; page++) {
        uint8_t old[PAGE_BYTES], *to = ret_plain + page * PAGE_BYTES;
        get_page(base, base_n, page * PAGE_BYTES, old);
        if (fresh.bad || !make_page(&copies, &fresh, old, to)) {
            return false;
        }
        set_page_sum(to, (uint64_t)chunk * CHUNK_PAGES + page + 1, (zeros >> page & 1) != 0);
    }
    return cursor_left(&fresh) == 0;
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
        return error_wrap(e, "content of a delta");
    }
    if (!make_pages(cursor_of(body, len), base, base_n, chunk, ret_plain, n)) {
        return error_set(e, Q_CORRUPT, "a delta has something else than it says");
    }
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
