/* stage_swap: the names in DIR/stage, which say how far an installation is, and the switch of the staged
 * image with the database. It does not know what is in the files.
 *
 *     stage/db.sqlite               the image; unfinished unless a name below says more
 *     stage/<index>-<term>.ready    empty: the image is complete and durable, or the swap has renamed it
 * already stage/<index>-<term>.done     empty: the image of the last swap that is complete
 *
 * The swap: what SQLite keeps beside the old database (-wal, -shm, -journal) is unlinked, and that is made
 * durable, as it would be laid over the new one; stage/db.sqlite is renamed to db.sqlite; that is made
 * durable; .ready becomes .done. At each point either the old file is complete (without its WAL: the caller
 * has passed the point from where only the new one counts) or the new one is, and doing it again ends well.
 *
 * Threads: any lane, one at a time per directory; calls block. */
#ifndef QUORATE_SNAPSHOTS_STAGE_SWAP_H
#define QUORATE_SNAPSHOTS_STAGE_SWAP_H

#include "base/env.h"

#define STAGE_SWAP_IMAGE "db.sqlite" /* in DIR and in DIR/stage */

/* The switch, with the database closed and not to be opened before it has returned 0; at any time again after
 * a crash, also when it is complete: then it does nothing. Errors: Q_NOT_FOUND neither is an image of (INDEX,
 * TERM) ready nor was it put in place last, and nothing has changed; Q_IO. */
int stage_swap(struct env *env, const char *dir, uint64_t index, uint64_t term, struct error *e);
/* Removes all that DIR/stage holds; not there is fine. Not between the commit of an installation and its end.
 * Q_IO. */
int stage_clear(struct env *env, const char *dir, struct error *e);

/* For stage. Makes DIR/stage if need be, and takes the names of any image back, durably. */
int stage_swap_begin(struct env *env, const char *dir, struct error *e);
/* The image is complete and durable: says so, durably. */
int stage_swap_ready(struct env *env, const char *dir, uint64_t index, uint64_t term, struct error *e);

#endif
