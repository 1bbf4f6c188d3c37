/* manifest: what names a database image: of which cluster and log index it is, and its chunks in order. Who
 * has a manifest whose hash is right can get the chunks from anybody. It does not know files.
 *
 * Format, little-endian:
 *    8 bytes  "QRTMANI1"; the last character is the version
 *   16 bytes  cluster id
 *    u64 u64  index, term: of the last entry that is in the image
 *    u64      time of that entry, Unix ms
 *    u64      index of the configuration that was committed as of INDEX
 *    blob     that configuration, as the consensus core encodes it
 *   16 bytes  digest of the content
 *    u64 u64  node that took it, when (Unix ms)
 *    u32      page size
 *    u64      length of the image
 *    blob     the SQLite that wrote it: its version, and what was compiled in (storage/build.h)
 *    blob     name of the cluster
 *    blob     what must be the same on all members (as the cluster id is made of)
 *    u32      number of chunks: the length over CHUNK_BYTES, rounded up
 *   32 bytes  for each chunk: SHA-256 of its plain bytes
 *   32 bytes  SHA-256 of all before it: the manifest's own hash, in every version
 * A blob is a u32 length and that many bytes; texts have no zero byte in them.
 *
 * Threads: any lane; one at a time per object. */
#ifndef QUORATE_SNAPSHOTS_MANIFEST_H
#define QUORATE_SNAPSHOTS_MANIFEST_H

#include "snapshots/chunk.h"

enum {
    MANIFEST_CHUNKS_MAX = 512 * 1024, /* 128 GiB */
    MANIFEST_CONFIGURATION_MAX = 4096,
    MANIFEST_SQLITE_MAX = 4096,
    MANIFEST_NAME_MAX = 256,
    MANIFEST_SEMANTICS_MAX = 128,
    MANIFEST_CLUSTER_ID_BYTES = 16,
    MANIFEST_DIGEST_BYTES = 16,
    MANIFEST_BYTES_MAX = MANIFEST_CHUNKS_MAX * CHUNK_NAME_BYTES + 16384,
};

struct manifest {
    uint8_t cluster_id[MANIFEST_CLUSTER_ID_BYTES];
    uint64_t index, term, time_ms;
    uint64_t configuration_index;
    uint32_t configuration_len;
    uint8_t configuration[MANIFEST_CONFIGURATION_MAX];
    uint8_t digest[MANIFEST_DIGEST_BYTES];
    uint64_t node, made_ms;
    uint32_t page_bytes;
    uint64_t image_bytes;
    char sqlite[MANIFEST_SQLITE_MAX]; /* with their ends, as the other texts */
    char cluster_name[MANIFEST_NAME_MAX], semantics[MANIFEST_SEMANTICS_MAX];
    uint32_t chunks;
    struct chunk_name *chunk; /* freed by manifest_close() */
    uint8_t hash[CHUNK_NAME_BYTES];
};

/* How many chunks an image of BYTES has. */
uint64_t manifest_chunks_of(uint64_t bytes);
/* Fills the hash and appends the bytes to OUT. CHUNKS fits image_bytes. Errors: Q_TOO_BIG more than
 * MANIFEST_CHUNKS_MAX chunks, or what OUT refuses; Q_NOMEM. */
int manifest_encode(struct manifest *m, struct buf *out, struct error *e);
/* No more memory is taken than N bytes can fill. RET_M is the caller's to manifest_close(). Errors: Q_CORRUPT
 * the hash is not that of the bytes, or they contradict each other; Q_MISMATCH an unknown version, or another
 * page size than PAGE_BYTES; Q_TOO_BIG an image of more than MANIFEST_CHUNKS_MAX chunks; Q_NOMEM. */
int manifest_decode(const void *p, size_t n, struct manifest *ret_m, struct error *e);
/* A copy with chunks of its own. Q_NOMEM. */
int manifest_copy(const struct manifest *m, struct manifest *ret_m, struct error *e);
/* A zeroed struct may be closed; so may one that is closed. */
void manifest_close(struct manifest *m);
/* Plain bytes of chunk I, which is below m->chunks: all have CHUNK_BYTES but the last, which may be short. */
size_t manifest_chunk_bytes(const struct manifest *m, uint32_t i);

#endif
