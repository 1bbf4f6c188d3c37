/* delta: a chunk as what is new in it, for a receiver that has another one, the base. The receiver sends a
 * short sum of each block of its base; the sender needs no base. It does not know files.
 *
 * A block is 256 bytes, as rows that change all over a table touch many pages, but little of each. A row that
 * grows moves others within its page: so the sender looks for a page's blocks everywhere in that page. What a
 * page carries as its own checksum (storage/page_sum.h), its last 8 bytes, changes whenever anything in it
 * does. It belongs to no block: the receiver makes it.
 *
 * Sums are two bytes each, and so may be equal where blocks are not: then what is made is not the chunk,
 * which its name tells, and the whole chunk has to come. A block counts as found elsewhere than in its place
 * only together with the next one. Sums are keyed with the name of the chunk that is wanted, so that nobody
 * can write rows that always look equal, and a later image has other luck.
 *
 * The sums, as they travel: for each block a u16, little-endian: the upper 16 bits of H * K, where H is the
 * block as a number whose digits are its bytes, the first one leading, to the base of B; all modulo 2^64. B
 * is the first 8 bytes of the name, its lowest three bits 101; K the next 8 bytes, its lowest bit 1. Bytes
 * that the base does not have count as zeros.
 *
 * A delta, little-endian:
 *    4 bytes  "QDL1"
 *    u32      plain length of the chunk: 1 to 64 whole pages
 *    u64      XXH3-64 of the base's sums as they were asked with: what base it is for
 *    bytes    an encoded chunk (chunk.h), of which the plain bytes are:
 *       u64      which pages have zeros for a checksum, bit 0 for the first: those that were never written
 *                and SQLite's lock page; the others have the right one
 *       for each page: u8 how many copies, at most 16, and for each
 *          u16   how many new bytes come before it
 *          u8    what is copied, from the same page of the base: the first block in the upper half, how many
 *                follow it in the lower one
 *       bytes    the new bytes of all pages. After its last copy a page has new bytes up to its checksum
 *
 * Threads: any lane. */
#ifndef QUORATE_SNAPSHOTS_DELTA_H
#define QUORATE_SNAPSHOTS_DELTA_H

#include "snapshots/chunk.h"

enum {
    DELTA_BLOCK_BYTES = 256,
    DELTA_BLOCKS = CHUNK_BYTES / DELTA_BLOCK_BYTES,
    DELTA_SUMS_BYTES = 2 * DELTA_BLOCKS,
    DELTA_HEADER_BYTES = 16,
    DELTA_ENCODED_MAX = DELTA_HEADER_BYTES + CHUNK_ENCODED_MAX,
};

/* Of the N bytes of a base, at most CHUNK_BYTES, for a delta that makes the chunk WANTED. */
void delta_sums(const void *base, size_t n, const struct chunk_name *wanted,
                uint8_t ret_sums[DELTA_SUMS_BYTES]);
/* Appends to OUT what a receiver with a base of these sums lacks of the chunk of NAME. Errors: Q_CORRUPT it
 * is not whole pages; what OUT refuses. */
int delta_encode(const void *plain, size_t n, const struct chunk_name *name,
                 const uint8_t base_sums[DELTA_SUMS_BYTES], struct buf *out, struct error *e);
/* CHUNK is its number in the image: pages know their own. RET_PLAIN has room for CHUNK_BYTES and does not
 * overlap BASE; its content is undefined after a failure. Errors: Q_CORRUPT it is no delta; Q_CONFLICT it
 * does not make the chunk of NAME out of this base, which may have changed since its sums were given, or
 * have looked more equal than it is: ask for the whole chunk. */
int delta_apply(const void *p, size_t len, const uint8_t *base, size_t base_n, uint32_t chunk,
                const struct chunk_name *name, uint8_t *ret_plain, size_t *ret_n, struct error *e);

#endif
