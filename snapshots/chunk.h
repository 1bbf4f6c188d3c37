/* chunk: a piece of a database image: CHUNK_BYTES of plain bytes (the last piece of an image may be shorter),
 * named by their SHA-256, and encoded in the same way on disk and on the wire. It does not know where chunks
 * are kept, nor what is in them.
 *
 * An encoded chunk, little-endian:
 *    4 bytes  "QCK1"
 *    u8       0: the bytes follow as they are; 1: as one LZ4 block
 *    3 bytes  zero
 *    u32      plain length, 1 to CHUNK_BYTES
 *    u32      stored length: all that follows
 *    bytes
 * It has no checksum of its own: who reads one knows its name, and what does not hash to it is refused.
 * Another magic is an unknown version, and is refused as damage is: the reader cannot tell them apart and
 * needs not, as manifests carry the version of the whole.
 *
 * Threads: any lane. */
#ifndef QUORATE_SNAPSHOTS_CHUNK_H
#define QUORATE_SNAPSHOTS_CHUNK_H

#include "base/buf.h"

enum {
    CHUNK_BYTES = 256 * 1024,
    CHUNK_NAME_BYTES = 32,
    CHUNK_HEADER_BYTES = 16,
    CHUNK_ENCODED_MAX = CHUNK_BYTES + CHUNK_HEADER_BYTES,
    CHUNK_PAGES = CHUNK_BYTES / 4096,
    CHUNK_HEX = 65, /* a name as text, with its end */
};

struct chunk_name {
    uint8_t sha256[CHUNK_NAME_BYTES];
};

/* N is at most SIZE_MAX: manifests are named by the same hash. */
void chunk_name_of(const void *plain, size_t n, struct chunk_name *ret_name);
/* Lower-case hexadecimal. */
void chunk_name_text(const struct chunk_name *name, char ret_text[CHUNK_HEX]);
/* False if TEXT is not exactly what chunk_name_text() writes. */
bool chunk_name_parse(const char *text, struct chunk_name *ret_name);
bool chunk_name_equal(const struct chunk_name *a, const struct chunk_name *b);

/* Appends the encoded chunk to OUT. N is 1 to CHUNK_BYTES. Errors: what OUT refuses: Q_TOO_BIG, Q_NOMEM. */
int chunk_encode(const void *plain, size_t n, struct buf *out, struct error *e);
/* RET_PLAIN has room for CHUNK_BYTES; its content is undefined after a failure. Errors: Q_CORRUPT it is no
 * encoded chunk, or not the one of NAME; the text begins with the name. */
int chunk_decode(const void *p, size_t n, const struct chunk_name *name, uint8_t *ret_plain, size_t *ret_n,
                 struct error *e);
/* The same for bytes that another format vouches for: nothing is hashed. Q_CORRUPT. */
int chunk_unpack(const void *p, size_t n, uint8_t *ret_plain, size_t *ret_n, struct error *e);

#endif
