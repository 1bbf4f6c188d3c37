/* backup: a directory of backups of one cluster: chunks and manifests as in a node's directory, wherever an
 * operator wants them. It does not know nodes, nor how chunks come here.
 *
 *     DIR/lock        held by whoever has it open, so that two do not meet
 *     DIR/chunks      chunk_store.h
 *     DIR/manifests   catalog.h
 *
 * A backup is there when its manifest is, which is written last, when all its chunks are durable; it goes
 * when its manifest goes, first of all. What lies between is chunks that no manifest names: the next backup
 * finds and uses them, and backup_prune() removes them. So whatever ends a run, and at whatever point, each
 * backup is whole or is none.
 *
 * Threads: any lane, one at a time per object; calls block. */
#ifndef QUORATE_SNAPSHOTS_BACKUP_H
#define QUORATE_SNAPSHOTS_BACKUP_H

#include "snapshots/catalog.h"
#include "snapshots/chunk_store.h"
#include "snapshots/delta.h"

struct backup;

/* Makes DIR if need be, but not the directory above it. Errors: Q_CONFLICT another process has it open, or it
 * is the directory of a node; Q_NOT_FOUND, Q_IO, Q_NOMEM, Q_NO_SPACE. */
int backup_open(struct env *env, const char *dir, struct backup **ret_backup, struct error *e);
/* The same for who looks at what is there. Q_NOT_FOUND: DIR holds no backups, and stays as it is. */
int backup_open_existing(struct env *env, const char *dir, struct backup **ret_backup, struct error *e);
void backup_close(struct backup *b); /* NULL is fine */

/* The backups that are there. Borrowed. */
struct catalog *backup_catalog(struct backup *b);
/* For who puts an image together. Borrowed. */
struct chunk_store *backup_chunks(struct backup *b);

/* A new backup, of the image that M names, which is copied; what an earlier attempt at any image left counts.
 * Errors: Q_MISMATCH the backups that are there are of another cluster; Q_CONFLICT this one is there already;
 * Q_CORRUPT, Q_IO what is there cannot be read; Q_NOMEM. */
int backup_begin(struct backup *b, const struct manifest *m, struct error *e);
/* The first chunk at or behind FROM that is not here; false when there is none. */
bool backup_missing(const struct backup *b, uint32_t from, uint32_t *ret_chunk);
/* A chunk as it is encoded; one that is here already is ignored. Errors, and nothing is kept: Q_CORRUPT it is
 * not what the manifest says; Q_NO_SPACE, Q_IO, Q_NOMEM. */
int backup_put(struct backup *b, uint32_t chunk, const void *encoded, size_t n, struct error *e);
/* What a delta of CHUNK (delta.h) may be made against: the sums of the one that the backup before has in its
 * place. False: there is none, or it is damaged; the whole chunk is wanted. */
bool backup_base_sums(struct backup *b, uint32_t chunk, uint8_t ret_sums[DELTA_SUMS_BYTES]);
/* As backup_put(), of such a delta. Q_CONFLICT too: it does not make the chunk, ask for the whole one. */
int backup_put_delta(struct backup *b, uint32_t chunk, const void *delta, size_t n, struct error *e);
/* The backup is there, and durable. Errors: Q_CONFLICT a chunk is missing; Q_NO_SPACE, Q_IO. */
int backup_commit(struct backup *b, struct error *e);

struct backup_totals {
    uint32_t chunks_all, chunks_new; /* of the manifest; put since backup_begin() */
    uint64_t bytes_new;              /* of those, as they are stored */
};
void backup_totals(const struct backup *b, struct backup_totals *ret_totals);

/* Which backups go: all but the newest KEEP; and those that were made before BEFORE_MS (Unix time), but never
 * the newest one. A manifest that is damaged is no backup; it goes with the older ones. While one is among
 * those that stay nobody knows which chunks it names: then no chunk goes. */
struct backup_prune {
    unsigned keep;      /* 0: no limit */
    uint64_t before_ms; /* 0: no limit */
    /* What has happened. */
    unsigned backups;       /* that were removed */
    unsigned kept;          /* that are left */
    unsigned damaged;       /* manifests among them: chunks were not looked at */
    uint64_t chunks, bytes; /* that were removed */
};
/* After an error some may have gone: the same again goes on. Errors: Q_IO, Q_NOMEM, Q_CORRUPT. */
int backup_prune(struct backup *b, struct backup_prune *prune, struct error *e);

#endif
