/* wal_sums: what the pages in a WAL should read as: a table in memory of XXH3-64 by the number of the frame.
 * SQLite checks its own checksums of a WAL only when it recovers one, and believes a page that it reads from
 * there later. It does not know files.
 *
 * A WAL is a header of 32 bytes and frames of 24 + 4096: the frame's own header, and a page. A sum is known
 * from the moment the page is written, or a whole frame is read (a recovery, in which SQLite compares its
 * checksums, reads whole frames). Where a page is written or read by pieces, nothing is known of it.
 *
 * Threads: any, many at a time. */
#ifndef QUORATE_STORAGE_WAL_SUMS_H
#define QUORATE_STORAGE_WAL_SUMS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WAL_HEADER_BYTES = 32, WAL_FRAME_HEADER_BYTES = 24 };

/* Memory of the caller; fields are private. */
struct wal_sums {
    pthread_mutex_t lock;
    uint64_t *sum; /* by frame, from 0; 0: not known */
    size_t n, cap;
};

void wal_sums_init(struct wal_sums *w);
void wal_sums_close(struct wal_sums *w);

/* N bytes of P were written at OFFSET. False: no memory for the sums; nothing is known of what they cover. */
bool wal_sums_written(struct wal_sums *w, uint64_t offset, const uint8_t *p, size_t n);
/* A write of N bytes at OFFSET failed: nothing is known of what they cover. */
void wal_sums_doubt(struct wal_sums *w, uint64_t offset, size_t n);
/* The file now ends at SIZE. */
void wal_sums_cut(struct wal_sums *w, uint64_t size);

/* N bytes of P were read at OFFSET, the file went so far. False: the page of frame ret_frame (from 1) is not
 * what was written. */
bool wal_sums_read(struct wal_sums *w, uint64_t offset, const uint8_t *p, size_t n, uint64_t *ret_frame);

#endif
