#include "snapshots/chunk.h"

#include <assert.h>
#include <string.h>

/* The calls that take no memory, so that a hash cannot fail: deprecated for providers' sake alone. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <lz4.h>
#include <openssl/sha.h>

#include "base/plant.h"
#include "storage/page_sum.h"

static const char magic[4] = "QCK1";

enum { KIND_PLAIN = 0, KIND_LZ4 = 1 };

static_assert(CHUNK_NAME_BYTES == SHA256_DIGEST_LENGTH, "names are SHA-256");
static_assert(CHUNK_PAGES * PAGE_BYTES == CHUNK_BYTES, "a chunk is whole pages");
static_assert(CHUNK_HEX == 2 * CHUNK_NAME_BYTES + 1, "two digits for each byte");

void chunk_name_of(const void *plain, size_t n, struct chunk_name *ret_name)
{
    SHA256_CTX state;
    int good = SHA256_Init(&state) == 1 && SHA256_Update(&state, plain, n) == 1 &&
               SHA256_Final(ret_name->sha256, &state) == 1;
    assert(good);
}

void chunk_name_text(const struct chunk_name *name, char ret_text[CHUNK_HEX])
{
    static const char digits[] = "0123456789abcdef";
    for (unsigned i = 0; i < CHUNK_NAME_BYTES; i++) {
        ret_text[2 * i] = digits[name->sha256[i] >> 4];
        ret_text[2 * i + 1] = digits[name->sha256[i] & 15];
    }
    ret_text[CHUNK_HEX - 1] = 0;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool chunk_name_parse(const char *text, struct chunk_name *ret_name)
{
    struct chunk_name name;
    if (strnlen(text, CHUNK_HEX) != CHUNK_HEX - 1) {
        return false;
    }
    for (unsigned i = 0; i < CHUNK_NAME_BYTES; i++) {
        int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        name.sha256[i] = (uint8_t)(high << 4 | low);
    }
    *ret_name = name;
    return true;
}

bool chunk_name_equal(const struct chunk_name *a, const struct chunk_name *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

int chunk_encode(const void *plain, size_t n, struct buf *out, struct error *e)
{
    assert(n > 0 && n <= CHUNK_BYTES);
    uint8_t *p = buf_reserve(out, CHUNK_HEADER_BYTES + n);
    if (p == NULL) {
        return buf_check(out, "an encoded chunk", e);
    }
    /* One byte less than it has: what LZ4 does not make shorter is stored as it is. */
    int packed = LZ4_compress_default(plain, (char *)p + CHUNK_HEADER_BYTES, (int)n, (int)n - 1);
    size_t stored = packed > 0 ? (size_t)packed : n;
    memset(p, 0, CHUNK_HEADER_BYTES);
    memcpy(p, magic, sizeof magic);
    p[4] = packed > 0 ? KIND_LZ4 : KIND_PLAIN;
    put_le32(p + 8, (uint32_t)n);
    put_le32(p + 12, (uint32_t)stored);
    if (packed <= 0) {
        memcpy(p + CHUNK_HEADER_BYTES, plain, n);
    }
    out->len += CHUNK_HEADER_BYTES + stored;
    return 0;
}

int chunk_unpack(const void *p, size_t n, uint8_t *ret_plain, size_t *ret_n, struct error *e)
{
    const uint8_t *header = p;
    if (n <= CHUNK_HEADER_BYTES || memcmp(header, magic, sizeof magic) != 0) {
        return error_set(e, Q_CORRUPT, "not an encoded chunk");
    }
    uint32_t plain = get_le32(header + 8), stored = get_le32(header + 12);
    if (plain == 0 || plain > CHUNK_BYTES || stored != n - CHUNK_HEADER_BYTES || header[5] != 0 ||
        header[6] != 0 || header[7] != 0) {
        return error_set(e, Q_CORRUPT, "the header of an encoded chunk contradicts itself");
    }
    const uint8_t *body = header + CHUNK_HEADER_BYTES;
    if (header[4] == KIND_PLAIN && stored == plain) {
        memcpy(ret_plain, body, plain);
    } else if (header[4] != KIND_LZ4 || LZ4_decompress_safe((const char *)body, (char *)ret_plain,
                                                            (int)stored, (int)plain) != (int)plain) {
        return error_set(e, Q_CORRUPT, "an encoded chunk cannot be decoded");
    }
    *ret_n = plain;
    return 0;
}

int chunk_decode(const void *p, size_t n, const struct chunk_name *name, uint8_t *ret_plain, size_t *ret_n,
                 struct error *e)
{
    struct chunk_name found;
    char text[CHUNK_HEX];
    size_t plain;
    chunk_name_text(name, text);
    if (chunk_unpack(p, n, ret_plain, &plain, e) != 0) {
        return error_wrap(e, "chunk %s", text);
    }
    chunk_name_of(ret_plain, plain, &found);
    if (!chunk_name_equal(&found, name) && !PLANTED("chunk_hash_is_not_checked")) {
        return error_set(e, Q_CORRUPT, "chunk %s: its content has another hash", text);
    }
    *ret_n = plain;
    return 0;
}
