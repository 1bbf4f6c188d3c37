/* delta: a chunk as the pages in which it differs from another one, the base, that the receiver has. The
 * receiver sends a sum of each page of its base; the sender needs no base. It does not know files.
 *
 * A delta, little-endian:
 *    4 bytes  "QDL1"
 *    u32      plain length of the chunk, 1 to CHUNK_BYTES
 *    u64      which pages follow, bit 0 for the first; the others are those of the base
 *    u64      XXH3-64 of the base's sums, as they were asked with, little-endian: what base it is for
 *    bytes    the pages, one after the other, as an encoded chunk (chunk.h); nothing when none follow
 *
 * Threads: any lane. */
#ifndef QUORATE_SNAPSHOTS_DELTA_H
#define QUORATE_SNAPSHOTS_DELTA_H

#include "snapshots/chunk.h"

enum { DELTA_HEADER_BYTES = 24, DELTA_ENCODED_MAX = DELTA_HEADER_BYTES + CHUNK_ENCODED_MAX };

/* XXH3-64 of each page of 4096 bytes, the last may be short; 0 for those beyond N. N is at most CHUNK_BYTES.
 */
void delta_sums(const void *plain, size_t n, uint64_t ret_sums[CHUNK_PAGES]);
/* Appends to OUT what a receiver with a base of these sums lacks of the chunk. Errors: what OUT refuses. */
int delta_encode(const void *plain, size_t n, const uint64_t base_sums[CHUNK_PAGES], struct buf *out,
                 struct error *e);
/* RET_PLAIN has room for CHUNK_BYTES and does not overlap BASE; its content is undefined after a failure.
 * Errors: Q_CORRUPT it is no delta, or what comes out is not the chunk of NAME; Q_CONFLICT it was made for
 * another base than this one (which has changed meanwhile: ask again). */
int delta_apply(const void *p, size_t len, const uint8_t *base, size_t base_n, const struct chunk_name *name,
                uint8_t *ret_plain, size_t *ret_n, struct error *e);

#endif
