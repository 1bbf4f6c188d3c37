/* take: an image of the database cut into chunks, which go to the chunk store where they are new, and its
 * manifest to the catalog. It reads the file as a file. It does not know who holds the file still meanwhile,
 * nor of what index it is: whoever starts it does.
 *
 *     take_new, take_step ... until copied     the file must not change
 *     take_finish                              it may change again
 *     take_free
 *
 * A page that fails its checksum ends it: a bad page must not get a good hash. What was put until then is
 * swept by the next sweep, as are the chunks of a take that was freed before it was finished.
 *
 * Threads: any lane, one at a time per object, which is that of its store, too; calls block. */
#ifndef QUORATE_SNAPSHOTS_TAKE_H
#define QUORATE_SNAPSHOTS_TAKE_H

#include "snapshots/catalog.h"
#include "snapshots/chunk_store.h"

struct take;

struct take_config {
    struct env *env;
    const char *path;          /* copied */
    uint64_t bytes;            /* of the file, whole pages; more of it is not looked at */
    struct chunk_store *store; /* kept */
    struct manifest manifest;  /* copied: all but page_bytes, image_bytes, chunks and hash */
};

struct take_progress {
    uint64_t bytes_done, bytes_all; /* of the image */
    uint64_t chunks_new, bytes_new; /* that the store did not have; as they are stored */
};

/* Opens the file. Errors: Q_NOT_FOUND, Q_IO, Q_NOMEM; Q_INVALID no whole number of pages; Q_TOO_BIG. */
int take_new(const struct take_config *config, struct take **ret_take, struct error *e);
/* Up to CHUNKS_MAX more chunks. *RET_COPIED: there are no more, and the file is not needed any longer.
 * Errors: Q_CORRUPT "page 17 of PATH fails its checksum", or the file is too short; Q_NO_SPACE, Q_IO,
 * Q_NOMEM. After one it can only be freed. */
int take_step(struct take *t, unsigned chunks_max, bool *ret_copied, struct error *e);
/* After the last step: the chunks become durable, then the manifest is saved. Errors: as catalog_save(). */
int take_finish(struct take *t, struct catalog *catalog, struct error *e);
/* Its chunks are those that are taken so far: a sweep meanwhile keeps them. Borrowed until the next call. */
const struct manifest *take_manifest(const struct take *t);
void take_progress(const struct take *t, struct take_progress *ret_progress);
void take_free(struct take *t); /* NULL is fine */

#endif
