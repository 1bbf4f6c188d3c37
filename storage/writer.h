/* writer: the one connection that changes the database: a log entry in, results out. It does not know readers
 * and checkpoints, nor who must wait for whom.
 *
 * One thread at a time. */
#ifndef QUORATE_STORAGE_WRITER_H
#define QUORATE_STORAGE_WRITER_H

#include <stdatomic.h>

#include "storage/batch.h"
#include "storage/connection.h"
#include "storage/state.h"

struct writer;

/* As in struct store_config where the names are the same. */
struct writer_config {
    struct connection_place place; /* the strings are kept */
    uint64_t result_max;
    bool foreign_keys;
    uint64_t instructions_max;
    bool adopt_sqlite;
    uint64_t (*elapsed_ns)(void *ctx);
    void *ctx;
    _Atomic uint64_t *wal_bytes;       /* kept: gets the bytes of the WAL with each commit */
    _Atomic uint64_t *members_version; /* kept: grows now and with each entry that changes quorate_members */
};

/* Makes the database if there is none, restores its state and digest. Errors: as store_open(). */
int writer_new(const struct writer_config *config, struct writer **ret_writer, struct error *e);
/* The last connection copies the WAL back and deletes it, unless writer_keep_wal() was called. NULL is fine.
 */
void writer_free(struct writer *w);
/* From now on the end of this connection leaves database file and WAL as they are. */
void writer_keep_wal(struct writer *w);

/* As store_apply(). */
int writer_apply(struct writer *w, uint64_t index, uint64_t term, const void *p, size_t n,
                 struct buf *results, struct error *e);

/* As store_forget_members(). */
int writer_forget_members(struct writer *w, struct error *e);

/* Of the last entry that was applied. */
const struct state *writer_state(const struct writer *w);
void writer_digest(const struct writer *w, uint8_t ret_digest[DIGEST_BYTES]);
/* As store_verify(). */
int writer_verify(struct writer *w, struct error *e);

#endif
