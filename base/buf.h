/* buf: a growing byte buffer with a maximum that it gets at birth, and a cursor that reads such bytes back.
 * Integers are little-endian. They do not know what the bytes mean.
 *
 * Errors are sticky: after the first put that would pass the maximum, or the first get past the end, every
 * further call does nothing (gets return 0), and the caller asks once, at the end. */
#ifndef QUORATE_BASE_BUF_H
#define QUORATE_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct buf {
    uint8_t *data;
    size_t len, cap, max;
    enum error_code failed; /* Q_OK, Q_TOO_BIG or Q_NOMEM */
};

/* No memory is taken before the first put. MAX is in bytes. */
void buf_init(struct buf *b, size_t max);
/* Frees the bytes; the buffer is then as after buf_init(). A zeroed struct may be closed. */
void buf_close(struct buf *b);
/* Empties it and forgets a failure; keeps the memory. */
void buf_clear(struct buf *b);
/* The bytes are returned (caller frees with free()); the buffer is then empty. NULL when nothing was ever
 * put. */
uint8_t *buf_detach(struct buf *b, size_t *ret_len);
/* Makes room for N more bytes and returns where they go, NULL on failure. The caller adds what it wrote to
 * len. */
uint8_t *buf_reserve(struct buf *b, size_t n);
/* How much cap would grow by if N more bytes were put now; 0 where that would be refused. */
size_t buf_growth(const struct buf *b, size_t n);

void buf_put_u8(struct buf *b, uint8_t v);
void buf_put_u16(struct buf *b, uint16_t v);
void buf_put_u32(struct buf *b, uint32_t v);
void buf_put_u64(struct buf *b, uint64_t v);
void buf_put_bytes(struct buf *b, const void *p, size_t n);
void buf_put_zeros(struct buf *b, size_t n);
/* A length (u32) and that many bytes. */
void buf_put_blob(struct buf *b, const void *p, size_t n);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Overwrites bytes that are already there; AT + 4 must be within len. For lengths known only at the end. */
void buf_set_u32(struct buf *b, size_t at, uint32_t v);
/* 0, or explains what failed: "WHAT is larger than N bytes" or out of memory. */
int buf_check(const struct buf *b, const char *what, struct error *e);

struct cursor {
    const uint8_t *p, *end;
    bool bad; /* a get went past the end */
};

/* The bytes are borrowed for the cursor's life. */
struct cursor cursor_of(const void *p, size_t n);
size_t cursor_left(const struct cursor *c);
uint8_t cursor_u8(struct cursor *c);
uint16_t cursor_u16(struct cursor *c);
uint32_t cursor_u32(struct cursor *c);
uint64_t cursor_u64(struct cursor *c);
/* N bytes inside the cursor's memory, NULL and bad if there are fewer. */
const uint8_t *cursor_bytes(struct cursor *c, size_t n);
/* What buf_put_blob() wrote: a cursor over the bytes, empty when bad. */
struct cursor cursor_blob(struct cursor *c);

/* Fixed little-endian fields in memory that is known to be large enough. */
uint16_t get_le16(const void *p);
uint32_t get_le32(const void *p);
uint64_t get_le64(const void *p);
void put_le16(void *p, uint16_t v);
void put_le32(void *p, uint32_t v);
void put_le64(void *p, uint64_t v);

#endif
