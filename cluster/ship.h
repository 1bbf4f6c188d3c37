/* ship: what a member that needs an image of the database, and one that has it, say to each other: the bodies
 * of two kinds of frames. It does not know what is done with them (ship_source.h, ship_target.h), nor the
 * formats of manifest, chunk and delta (snapshots/).
 *
 * Little-endian. The session is drawn by the asking process and numbers grow, so a late or doubled answer
 * finds nobody.
 *
 *     Question:  u64 session, u64 number, u8 kind, then
 *       MANIFEST:  u64 at least (the lowest index that helps), u64 index, u64 term (0, 0: of any image; else
 *                  a further part of this one's), u64 offset
 *       CHUNK:     u64 index, u64 term (of the image), u32 chunk (its number in it), 32 bytes name,
 *                  u8 has base, and if it is 1: 2048 bytes, the sums of the asker's own version
 *     Answer:    u64 session, u64 number, u8 kind, u16 code (enum error_code), then
 *       not Q_OK:  blob text, for the operator
 *       MANIFEST:  u64 index, u64 term, u64 bytes of the whole manifest, u64 offset, blob part
 *       CHUNK:     blob, as it is in the chunk store
 *       DELTA:     blob: what is new in the chunk, for who has the base in the question
 *
 * What an answer may say besides Q_OK: Q_BUSY (an image is being taken, or too much is asked at once: ask
 * again), Q_NOT_FOUND (not here, or not any more), and others, all of which mean: ask somebody else. */
#ifndef QUORATE_CLUSTER_SHIP_H
#define QUORATE_CLUSTER_SHIP_H

#include "snapshots/delta.h"

enum ship_kind { SHIP_MANIFEST = 1, SHIP_CHUNK = 2, SHIP_DELTA = 3 };

enum {
    SHIP_PART_BYTES = 256 * 1024, /* of a manifest in one answer */
    SHIP_MANIFEST_MAX = 20 * 1024 * 1024,
    SHIP_BLOB_MAX = CHUNK_ENCODED_MAX + 1024, /* of a chunk or a delta */
    SHIP_FRAME_MAX = SHIP_BLOB_MAX + 1024,
};

struct ship_question {
    uint64_t session, number;
    enum ship_kind kind; /* SHIP_MANIFEST or SHIP_CHUNK */
    uint64_t index, term;
    uint64_t at_least, offset; /* MANIFEST */
    uint32_t chunk;            /* CHUNK, and so are the following */
    struct chunk_name name;
    bool has_base;
    uint8_t base[DELTA_SUMS_BYTES];
};

struct ship_answer {
    uint64_t session, number;
    enum ship_kind kind;
    struct error error;
    uint64_t index, term, bytes, offset; /* MANIFEST */
    const uint8_t *blob;                 /* borrowed */
    size_t len;
};

void ship_put_question(struct buf *b, const struct ship_question *question);
void ship_put_answer(struct buf *b, const struct ship_answer *answer);
/* Q_CORRUPT: not understood. */
int ship_get_question(const uint8_t *body, size_t n, struct ship_question *ret_question, struct error *e);
int ship_get_answer(const uint8_t *body, size_t n, struct ship_answer *ret_answer, struct error *e);

#endif
