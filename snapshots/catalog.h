/* catalog: the manifests in a directory, as files DIR/manifests/<index>-<term>.manifest. It does not know
 * whether their chunks are there.
 *
 * Threads: any lane, one at a time per object; calls block. One object per directory; catalog_read() needs
 * none. */
#ifndef QUORATE_SNAPSHOTS_CATALOG_H
#define QUORATE_SNAPSHOTS_CATALOG_H

#include "base/env.h"
#include "snapshots/manifest.h"

enum { CATALOG_FILE_MAX = 64 }; /* a file's name, with its end */

struct catalog;

struct catalog_entry {
    uint64_t index, term; /* as the file is called */
    bool damaged;         /* it is not what its name says, or cannot be read; the rest is 0 */
    uint64_t made_ms, node, image_bytes;
    uint32_t chunks;
    uint8_t hash[CHUNK_NAME_BYTES];
};

/* Makes DIR/manifests if need be (DIR exists), removes what a crash left half written, and reads all
 * manifests once. A damaged one is listed as such. DIR is copied. Errors: Q_IO, Q_NOMEM, Q_NO_SPACE. */
int catalog_open(struct env *env, const char *dir, struct catalog **ret_catalog, struct error *e);
void catalog_close(struct catalog *c); /* NULL is fine */

/* Oldest first: by index, then term. */
unsigned catalog_count(const struct catalog *c);
/* I is below the count. Borrowed until the next save or remove. */
const struct catalog_entry *catalog_at(const struct catalog *c, unsigned i);
/* NULL if there is none. Borrowed as above. */
const struct catalog_entry *catalog_find(const struct catalog *c, uint64_t index, uint64_t term);

/* RET_M is the caller's to manifest_close(). Errors: Q_NOT_FOUND; Q_CORRUPT, Q_MISMATCH, Q_TOO_BIG as
 * manifest_decode(), with the file's path; Q_CORRUPT it is of another index or term; Q_IO, Q_NOMEM. */
int catalog_load(struct catalog *c, uint64_t index, uint64_t term, struct manifest *ret_m, struct error *e);
/* The file's bytes without an object, beside one that another thread uses; RET_BYTES is emptied first. They
 * are anything until manifest_decode() has taken them. Errors: Q_NOT_FOUND, Q_TOO_BIG, Q_IO, Q_NOMEM. */
int catalog_read(struct env *env, const char *dir, uint64_t index, uint64_t term, struct buf *ret_bytes,
                 struct error *e);
/* Durable when it returns; fills M's hash. Replaces one of the same index and term. Its chunks were made
 * durable before. Errors: as manifest_encode(); Q_NO_SPACE, Q_IO. */
int catalog_save(struct catalog *c, struct manifest *m, struct error *e);
/* Durable when it returns, so that its chunks may go then. Not there is fine. Q_IO. */
int catalog_remove(struct catalog *c, uint64_t index, uint64_t term, struct error *e);

/* How the file is called. */
void catalog_file_name(uint64_t index, uint64_t term, char ret_name[CATALOG_FILE_MAX]);

#endif
