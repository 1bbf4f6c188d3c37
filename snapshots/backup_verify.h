/* backup_verify: reads all that a directory of backups holds, and names what is damaged. It changes nothing.
 *
 * A chunk that several backups share at the same place is read once. Besides each chunk's name, the checksum
 * of each page is looked at: the image was sound when it was taken.
 *
 * Threads: as the backup's. */
#ifndef QUORATE_SNAPSHOTS_BACKUP_VERIFY_H
#define QUORATE_SNAPSHOTS_BACKUP_VERIFY_H

#include "snapshots/backup.h"

struct backup_verify {
    /* For each damage: which backup, what is wrong, in which file. */
    void (*damage)(void *ctx, const struct error *what);
    /* After each chunk: how many bytes of all images are looked at by now, of how many. May be NULL. */
    void (*progress)(void *ctx, uint64_t bytes_done, uint64_t bytes_all);
    void *ctx;
    /* Chunks that are damaged are removed, so that the next backup which needs them fetches them again. */
    bool remove_damaged;
    /* What was found. */
    unsigned backups, damaged_backups;
    uint64_t chunks_read, bytes_read, chunks_damaged;
};

/* 0 also when damage was found. Errors: Q_IO, Q_NOMEM. */
int backup_verify(struct backup *b, struct backup_verify *verify, struct error *e);

#endif
