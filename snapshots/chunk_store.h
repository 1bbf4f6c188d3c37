/* chunk_store: chunks as files DIR/chunks/<64 hexadecimal digits>, encoded (chunk.h), or as the difference to
 * another one that is there and encoded (chunk_over.h). It knows which ones it has from memory; it does not
 * know which ones are needed.
 *
 * A chunk's content is durable before its name is there; its name is after chunk_store_sync(). So power loss
 * leaves of each chunk all or nothing. What the disk did to one later is found by who decodes it: he removes
 * it, and whoever wants it next puts it again.
 *
 * Threads: any lane, one at a time per object; calls block. One object per directory; chunk_store_read()
 * needs none. */
#ifndef QUORATE_SNAPSHOTS_CHUNK_STORE_H
#define QUORATE_SNAPSHOTS_CHUNK_STORE_H

#include "base/env.h"
#include "snapshots/chunk.h"

struct chunk_store;

/* Makes DIR/chunks if need be (DIR exists), removes what a crash left half written, lists the names. DIR is
 * copied. Errors: Q_IO, Q_NOMEM, Q_NO_SPACE, Q_TOO_BIG. */
int chunk_store_open(struct env *env, const char *dir, struct chunk_store **ret_store, struct error *e);
void chunk_store_close(struct chunk_store *s); /* NULL is fine */

bool chunk_store_has(const struct chunk_store *s, const struct chunk_name *name);
size_t chunk_store_count(const struct chunk_store *s);
/* ENCODED was made by chunk_encode(), or has passed chunk_decode(). Does nothing if the name is there. Files
 * are synced some at a time: after a failure any of those that were put since the last chunk_store_sync() may
 * be missing, and the store says so. Errors: Q_NO_SPACE, Q_IO, Q_NOMEM. */
int chunk_store_put(struct chunk_store *s, const struct chunk_name *name, const void *encoded, size_t n,
                    struct error *e);
/* The same, but as the difference to BASE if that takes less than half: for a store that keeps what it is
 * told for long. What BASE is a difference to becomes the base instead of it. A base that is not there, or
 * damaged, is no error: the chunk is stored whole. */
int chunk_store_put_over(struct chunk_store *s, const struct chunk_name *name, const void *encoded, size_t n,
                         const struct chunk_name *base, struct error *e);
/* All that was put is durable. Q_NO_SPACE; Q_IO: final, as after any failed sync. */
int chunk_store_sync(struct chunk_store *s, struct error *e);
/* RET_ENCODED is emptied first and gets the encoded chunk, whichever way it is stored. It is anything until
 * chunk_decode() has taken it. Errors: Q_NOT_FOUND; Q_CORRUPT its file is longer than any chunk's, or what it
 * is a difference to is damaged or gone; Q_IO, Q_NOMEM. */
int chunk_store_get(struct chunk_store *s, const struct chunk_name *name, struct buf *ret_encoded,
                    struct error *e);
/* The same from DIR without an object, beside one that another thread uses. */
int chunk_store_read(struct env *env, const char *dir, const struct chunk_name *name, struct buf *ret_encoded,
                     struct error *e);
/* Not there is fine. What is removed may come back by a power loss. Q_IO. */
int chunk_store_remove(struct chunk_store *s, const struct chunk_name *name, struct error *e);
/* What the chunk is stored as a difference to; *RET_IS_OVER false: nothing. Errors: Q_NOT_FOUND, Q_IO. */
int chunk_store_base(struct chunk_store *s, const struct chunk_name *name, bool *ret_is_over,
                     struct chunk_name *ret_base, struct error *e);
/* Bytes of the file. Q_NOT_FOUND, Q_IO. */
int chunk_store_bytes(struct chunk_store *s, const struct chunk_name *name, uint64_t *ret_bytes,
                      struct error *e);
/* EACH does not change the store. In no order. */
void chunk_store_each(const struct chunk_store *s, void (*each)(void *ctx, const struct chunk_name *name),
                      void *ctx);

#endif
