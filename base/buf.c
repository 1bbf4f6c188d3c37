#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/plant.h"

enum { BUF_FIRST = 64 };

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_close(struct buf *b)
{
    free(b->data);
    buf_init(b, b->max);
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = Q_OK;
}

uint8_t *buf_detach(struct buf *b, size_t *ret_len)
{
    uint8_t *data = b->data;
    *ret_len = b->len;
    buf_init(b, b->max);
    return data;
}

static bool passes_max(const struct buf *b, size_t n)
{
    return n > b->max || b->len > b->max - n;
}

/* What cap must be for N more bytes, which do not pass the maximum. */
static size_t cap_for(const struct buf *b, size_t n)
{
    size_t cap = b->cap ? b->cap : BUF_FIRST;
    while (cap < b->len + n) {
        cap = cap > b->max / 2 ? b->max : cap * 2;
    }
    return cap;
}

size_t buf_growth(const struct buf *b, size_t n)
{
    bool none = b->failed != Q_OK || passes_max(b, n) || b->len + n <= b->cap;
    return none ? 0 : cap_for(b, n) - b->cap;
}

uint8_t *buf_reserve(struct buf *b, size_t n)
{
    if (b->failed != Q_OK) {
        return NULL;
    }
    if (passes_max(b, n)) {
        b->failed = Q_TOO_BIG;
        return NULL;
    }
    if (b->len + n > b->cap) {
        size_t cap = cap_for(b, n);
        uint8_t *data = realloc(b->data, cap);
        if (data == NULL) {
            b->failed = Q_NOMEM;
            return NULL;
        }
        b->data = data;
        b->cap = cap;
    }
    return b->data == NULL ? NULL : b->data + b->len;
}

void buf_put_bytes(struct buf *b, const void *p, size_t n)
{
    uint8_t *to = n ? buf_reserve(b, n) : NULL;
    if (to != NULL) {
        memcpy(to, p, n);
        b->len += n;
    }
}

void buf_put_zeros(struct buf *b, size_t n)
{
    uint8_t *to = n ? buf_reserve(b, n) : NULL;
    if (to != NULL) {
        memset(to, 0, n);
        b->len += n;
    }
}

void buf_put_u8(struct buf *b, uint8_t v)
{
    buf_put_bytes(b, &v, 1);
}

void buf_put_u16(struct buf *b, uint16_t v)
{
    uint8_t bytes[2];
    put_le16(bytes, v);
    buf_put_bytes(b, bytes, sizeof bytes);
}

void buf_put_u32(struct buf *b, uint32_t v)
{
    uint8_t bytes[4];
    put_le32(bytes, v);
    buf_put_bytes(b, bytes, sizeof bytes);
}

void buf_put_u64(struct buf *b, uint64_t v)
{
    uint8_t bytes[8];
    put_le64(bytes, v);
    buf_put_bytes(b, bytes, sizeof bytes);
}

void buf_put_blob(struct buf *b, const void *p, size_t n)
{
    if (n > UINT32_MAX) {
        b->failed = Q_TOO_BIG;
        return;
    }
    buf_put_u32(b, (uint32_t)n);
    buf_put_bytes(b, p, n);
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    char *text;
    int n;

    va_start(args, format);
    n = vasprintf(&text, format, args);
    va_end(args);
    if (n < 0) {
        b->failed = Q_NOMEM;
        return;
    }
    buf_put_bytes(b, text, (size_t)n);
    free(text);
}

void buf_set_u32(struct buf *b, size_t at, uint32_t v)
{
    if (b->failed == Q_OK) {
        assert(at + 4 <= b->len);
        put_le32(b->data + at, v);
    }
}

int buf_check(const struct buf *b, const char *what, struct error *e)
{
    if (b->failed == Q_OK) {
        return 0;
    }
    if (b->failed == Q_TOO_BIG) {
        return error_set(e, Q_TOO_BIG, "%s is larger than the limit of %zu bytes", what, b->max);
    }
    return error_set(e, Q_NOMEM, "out of memory for %s", what);
}

struct cursor cursor_of(const void *p, size_t n)
{
    const uint8_t *bytes = p;
    return (struct cursor){.p = bytes, .end = n ? bytes + n : bytes};
}

size_t cursor_left(const struct cursor *c)
{
    return c->bad || c->p == NULL ? 0 : (size_t)(c->end - c->p);
}

const uint8_t *cursor_bytes(struct cursor *c, size_t n)
{
    static const uint8_t nothing[1];
    const uint8_t *p = c->p;
    if (c->bad || (n > cursor_left(c) && !PLANTED("cursors_pass_their_end"))) {
        c->bad = true;
        return NULL;
    }
    if (n == 0) {
        return p == NULL ? nothing : p;
    }
    c->p += n;
    return p;
}

uint8_t cursor_u8(struct cursor *c)
{
    const uint8_t *p = cursor_bytes(c, 1);
    return p ? *p : 0;
}

uint16_t cursor_u16(struct cursor *c)
{
    const uint8_t *p = cursor_bytes(c, 2);
    return p ? get_le16(p) : 0;
}

uint32_t cursor_u32(struct cursor *c)
{
    const uint8_t *p = cursor_bytes(c, 4);
    return p ? get_le32(p) : 0;
}

uint64_t cursor_u64(struct cursor *c)
{
    const uint8_t *p = cursor_bytes(c, 8);
    return p ? get_le64(p) : 0;
}

struct cursor cursor_blob(struct cursor *c)
{
    uint32_t n = cursor_u32(c);
    const uint8_t *p = cursor_bytes(c, n);
    return cursor_of(p, p ? n : 0);
}

#define LITTLE(bits)                                                                                         \
    uint##bits##_t get_le##bits(const void *p)                                                               \
    {                                                                                                        \
        const uint8_t *bytes = p;                                                                            \
        uint##bits##_t v = 0;                                                                                \
        for (unsigned i = 0; i < bits / 8; i++) {                                                            \
            v = (uint##bits##_t)(v | (uint##bits##_t)((uint##bits##_t)bytes[i] << (8 * i)));                 \
        }                                                                                                    \
        return v;                                                                                            \
    }                                                                                                        \
    void put_le##bits(void *p, uint##bits##_t v)                                                             \
    {                                                                                                        \
        uint8_t *bytes = p;                                                                                  \
        for (unsigned i = 0; i < bits / 8; i++) {                                                            \
            bytes[i] = (uint8_t)(v >> (8 * i));                                                              \
        }                                                                                                    \
    }

LITTLE(16)
LITTLE(32)
LITTLE(64)
