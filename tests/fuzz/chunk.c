/* chunk: encoded chunks, deltas and stored differences of any bytes: what was encoded is read back, what was
 * damaged gives the chunk or a refusal, and nothing is written past a chunk. */
#include <string.h>

#include "snapshots/chunk_over.h"
#include "snapshots/delta.h"
#include "storage/page_sum.h"
#include "tests/fuzz/target.h"

enum { PAGE = 4096, CONTENT = PAGE - PAGE_SUM_BYTES };

/* Blocks of exactly the promised size, so that the sanitizer sees a byte too far. */
struct scene {
    uint8_t *plain, *base, *back;
    size_t n, base_n;
    uint32_t chunk; /* its number */
    struct chunk_name name;
    struct buf encoded;
};

static bool accepted(int rc, const struct error *e)
{
    FUZZ_CHECK(rc == 0 || e->code == Q_CORRUPT || e->code == Q_CONFLICT, "a refusal has a promised code");
    return rc == 0;
}

static void any_bytes(struct scene *s, const uint8_t *p, size_t n)
{
    uint8_t sums[DELTA_SUMS_BYTES];
    struct error e;
    size_t back;
    if (accepted(chunk_unpack(p, n, s->back, &back, &e), &e)) {
        FUZZ_CHECK(back > 0 && back <= CHUNK_BYTES, "a chunk has a legal length");
    }
    FUZZ_CHECK(!accepted(chunk_decode(p, n, &s->name, s->back, &back, &e), &e) || back == s->n,
               "what is decoded is the chunk that was asked for");
    FUZZ_CHECK(!accepted(delta_apply(p, n, s->base, s->base_n, s->chunk, &s->name, s->back, &back, &e), &e) ||
                   (back == s->n && memcmp(s->back, s->plain, back) == 0),
               "what a delta makes is the chunk that was asked for");
    accepted(chunk_over_decode(p, n, s->base, s->base_n, s->back, &back, &e), &e);
    if (s->n % PAGE != 0) {
        return;
    }
    /* The same as maps and blocks of a delta, behind a header that is right. */
    delta_sums(s->base, s->base_n, &s->name, sums);
    buf_clear(&s->encoded);
    FUZZ_CHECK(delta_encode(s->plain, s->n, &s->name, sums, &s->encoded, &e) == 0,
               "whole pages have a delta");
    s->encoded.len = DELTA_HEADER_BYTES;
    FUZZ_CHECK(n == 0 || chunk_encode(p, n, &s->encoded, &e) == 0, "any bytes can be encoded");
    accepted(delta_apply(s->encoded.data, s->encoded.len, s->base, s->base_n, s->chunk, &s->name, s->back,
                         &back, &e),
             &e);
}

static void damage(struct cursor *input, struct buf *bytes)
{
    for (uint32_t i = input_range(input, 0, 3); i > 0; i--) {
        uint32_t at = input_range(input, 0, (uint32_t)bytes->len - 1);
        bytes->data[at] ^= cursor_u8(input);
    }
}

static void chunk_again(struct scene *s, struct cursor *input)
{
    struct error e;
    size_t back;
    buf_clear(&s->encoded);
    FUZZ_CHECK(chunk_encode(s->plain, s->n, &s->encoded, &e) == 0, "any bytes can be encoded");
    FUZZ_CHECK(chunk_decode(s->encoded.data, s->encoded.len, &s->name, s->back, &back, &e) == 0 &&
                   back == s->n && memcmp(s->back, s->plain, back) == 0,
               "and come back as they were");
    damage(input, &s->encoded);
    if (accepted(chunk_decode(s->encoded.data, s->encoded.len, &s->name, s->back, &back, &e), &e)) {
        FUZZ_CHECK(back == s->n && memcmp(s->back, s->plain, back) == 0, "damage is found or harmless");
    }
}

static void delta_again(struct scene *s, struct cursor *input)
{
    uint8_t sums[DELTA_SUMS_BYTES];
    struct error e;
    size_t back;
    delta_sums(s->base, s->base_n, &s->name, sums);
    buf_clear(&s->encoded);
    if (s->n % PAGE != 0) {
        FUZZ_CHECK(delta_encode(s->plain, s->n, &s->name, sums, &s->encoded, &e) == Q_CORRUPT,
                   "others have none");
        return;
    }
    FUZZ_CHECK(delta_encode(s->plain, s->n, &s->name, sums, &s->encoded, &e) == 0,
               "whole pages have a delta");
    int rc = delta_apply(s->encoded.data, s->encoded.len, s->base, s->base_n, s->chunk, &s->name, s->back,
                         &back, &e);
    FUZZ_CHECK(rc == Q_CONFLICT || (rc == 0 && back == s->n && memcmp(s->back, s->plain, back) == 0),
               "that makes it again, but where two blocks have one sum by chance");
    damage(input, &s->encoded);
    if (accepted(delta_apply(s->encoded.data, s->encoded.len, s->base, s->base_n, s->chunk, &s->name, s->back,
                             &back, &e),
                 &e)) {
        FUZZ_CHECK(back == s->n && memcmp(s->back, s->plain, back) == 0, "damage is found or harmless");
    }
}

/* Nothing is hashed here: damage gives anything, but a refusal or a chunk of legal length. */
static void over_again(struct scene *s, struct cursor *input)
{
    struct chunk_name base_name = {{1}}, found;
    struct error e;
    size_t back;
    buf_clear(&s->encoded);
    FUZZ_CHECK(chunk_over_encode(s->plain, s->n, &base_name, s->base, s->base_n, &s->encoded, &e) == 0,
               "any chunk has a difference to any other");
    FUZZ_CHECK(chunk_over_decode(s->encoded.data, s->encoded.len, s->base, s->base_n, s->back, &back, &e) ==
                       0 &&
                   back == s->n && memcmp(s->back, s->plain, back) == 0,
               "that makes it again");
    FUZZ_CHECK(chunk_over_base(s->encoded.data, s->encoded.len, &found) &&
                   chunk_name_equal(&found, &base_name),
               "and says to which one");
    damage(input, &s->encoded);
    if (accepted(chunk_over_decode(s->encoded.data, s->encoded.len, s->base, s->base_n, s->back, &back, &e),
                 &e)) {
        FUZZ_CHECK(back > 0 && back <= CHUNK_BYTES, "a chunk has a legal length");
    }
}

static uint8_t *copy_of(const void *p, size_t n)
{
    uint8_t *copy = malloc(n + (n == 0));
    FUZZ_CHECK(copy != NULL, "there is memory");
    memcpy(copy, p, n);
    return copy;
}

static void run(const uint8_t *p, size_t n)
{
    struct cursor input = cursor_of(p, n);
    size_t pages = input_range(&input, 0, 2), more = input_range(&input, 1, PAGE);
    struct cursor content = input_bytes(&input, PAGE), other = input_bytes(&input, PAGE);
    uint8_t plain[3 * PAGE], base[3 * PAGE];
    struct scene s = {.n = pages * PAGE + (more % 2 == 0 ? PAGE : more),
                      .base_n = input_range(&input, 0, 3 * PAGE),
                      .chunk = (uint32_t)more % 3 * (PAGE_LOCK - 1) / CHUNK_PAGES};

    for (size_t i = 0; i < sizeof plain; i++) {
        plain[i] = cursor_left(&content) > 0 ? content.p[i % cursor_left(&content)] : 0;
        base[i] = i / PAGE == 1 && cursor_left(&other) > 0 ? other.p[i % cursor_left(&other)] : plain[i];
    }
    for (size_t page = 0; page < 3; page++) { /* as in an image: one that is all zeros may have no sum */
        memset(plain + page * PAGE + CONTENT, 0, PAGE - CONTENT);
        if (plain[page * PAGE] != 0) {
            page_sum_set(plain + page * PAGE, (uint64_t)s.chunk * CHUNK_PAGES + page + 1);
        }
    }
    s.plain = copy_of(plain, s.n);
    s.base = copy_of(base, s.base_n);
    s.back = malloc(CHUNK_BYTES);
    FUZZ_CHECK(s.back != NULL, "there is memory");
    chunk_name_of(s.plain, s.n, &s.name);
    buf_init(&s.encoded, DELTA_ENCODED_MAX + FUZZ_INPUT_MAX);
    chunk_again(&s, &input);
    delta_again(&s, &input);
    over_again(&s, &input);
    any_bytes(&s, p, n);
    buf_close(&s.encoded);
    free(s.plain);
    free(s.base);
    free(s.back);
}

/* As input_range() reads two bytes. */
static void put_u16_be(struct buf *b, unsigned v)
{
    buf_put_u8(b, (uint8_t)(v >> 8));
    buf_put_u8(b, (uint8_t)v);
}

static void seeds(struct seeds *s)
{
    uint8_t sums[DELTA_SUMS_BYTES];
    uint8_t plain[2 * PAGE];
    struct chunk_name name;
    struct error e;
    struct buf b;

    buf_init(&b, FUZZ_INPUT_MAX);
    memset(plain, 'q', sizeof plain);
    chunk_encode(plain, sizeof plain, &b, &e);
    seeds_add(s, "chunk", b.data, b.len);
    buf_clear(&b);
    chunk_name_of(plain, sizeof plain, &name);
    delta_sums(plain, PAGE, &name, sums);
    delta_encode(plain, sizeof plain, &name, sums, &b, &e);
    seeds_add(s, "delta", b.data, b.len);
    buf_clear(&b);
    buf_put_u8(&b, 1);
    put_u16_be(&b, 5); /* even: two pages */
    for (unsigned i = 0; i < 2; i++) {
        put_u16_be(&b, 23);
        buf_printf(&b, "content with number %03u", i);
    }
    put_u16_be(&b, 2 * PAGE);
    for (unsigned i = 0; i < 3; i++) { /* one damage each */
        buf_put_u8(&b, 1);
        buf_put_u8(&b, 50);
        buf_put_u8(&b, 1);
    }
    seeds_add(s, "built", b.data, b.len);
    buf_close(&b);
}

const struct fuzz_target fuzz_target = {.run = run, .seeds = seeds, .cost = 4};
