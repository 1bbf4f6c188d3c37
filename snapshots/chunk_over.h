/* chunk_over: a chunk as its difference to another one, the base, that the reader has, too. For stores that
 * keep many images: rows that change all over a table touch nearly every chunk, but little of each. It does
 * not know where chunks are kept. (A delta, delta.h, is made by somebody who does not have the base.)
 *
 * Format, little-endian:
 *    4 bytes  "QCO1"
 *    u32      plain length, 1 to CHUNK_BYTES
 *   32 bytes  name of the base
 *    for each page of 4096 bytes (the last may be short):
 *    u16      length: 0, the page is the base's at this place; that of the page, it follows as it is; else
 *    bytes    one LZ4 block, with the base's page at this place as dictionary: so what moved within the page
 * is found, too It has no checksum of its own, as an encoded chunk has none (chunk.h).
 *
 * Threads: any lane. */
#ifndef QUORATE_SNAPSHOTS_CHUNK_OVER_H
#define QUORATE_SNAPSHOTS_CHUNK_OVER_H

#include "snapshots/chunk.h"

enum {
    CHUNK_OVER_HEADER_BYTES = 40,
    CHUNK_OVER_MAX = CHUNK_OVER_HEADER_BYTES + CHUNK_BYTES + 2 * CHUNK_PAGES
};

/* Appends to OUT. N and BASE_N are 1 to CHUNK_BYTES. Errors: what OUT refuses. */
int chunk_over_encode(const uint8_t *plain, size_t n, const struct chunk_name *base_name, const uint8_t *base,
                      size_t base_n, struct buf *out, struct error *e);
/* Whether the bytes begin as such a difference, and then what its base is. */
bool chunk_over_base(const void *p, size_t len, struct chunk_name *ret_base_name);
/* RET_PLAIN has room for CHUNK_BYTES and does not overlap BASE. Nothing is hashed. Q_CORRUPT. */
int chunk_over_decode(const void *p, size_t len, const uint8_t *base, size_t base_n, uint8_t *ret_plain,
                      size_t *ret_n, struct error *e);

#endif
