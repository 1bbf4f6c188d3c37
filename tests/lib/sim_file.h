/* sim_file: the bytes of one simulated file, as the page cache shows them and as the disk has them. It does
 * not know about names, faults or time.
 *
 * Each page (4 KiB) has two images: NOW, what a read sees, and SAFE, what survives a power loss. They are the
 * same memory while the page is clean, and no memory at all while it is all zeros, so large zero-filled files
 * are cheap. A buffered write changes NOW and marks its sectors (512 bytes) dirty; a sync copies dirty
 * sectors to SAFE; a crash keeps some dirty sectors and drops others, then NOW becomes SAFE again. A sector
 * that is written again while dirty may have reached the disk in between, at random. A truncation is kept or
 * dropped by a crash as a whole, and without it nothing is kept that was written behind it. */
#ifndef QUORATE_TESTS_LIB_SIM_FILE_H
#define QUORATE_TESTS_LIB_SIM_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"

enum { SIM_PAGE = 4096, SIM_SECTOR = 512 };

struct sim_page {
    uint8_t *now, *safe; /* NULL: zeros */
    uint8_t dirty;       /* one bit per sector: differs, and the next sync will save it */
    uint8_t lost;        /* differs, but a failed sync has forgotten it: no later sync will save it */
    bool listed;         /* in unsettled */
};

struct sim_file {
    struct sim_page *pages;
    size_t n_pages;
    uint64_t size_now, size_safe;
    bool cut;          /* a truncation is not safe yet */
    uint64_t cut_at;   /* the smallest size since the last one that was */
    size_t *unsettled; /* pages whose images may differ */
    size_t n_unsettled, cap_unsettled;
};

/* What a crash did to un-synced sectors. */
struct sim_torn {
    uint64_t kept, dropped;
};

/* A zeroed struct is an empty file. */
void sim_file_close(struct sim_file *f);

/* Returns how many bytes there were, at most N. */
size_t sim_file_read(const struct sim_file *f, uint64_t offset, void *p, size_t n);
/* Buffered. */
void sim_file_write(struct sim_file *f, uint64_t offset, const void *p, size_t n, struct rng *rng);
/* The sectors it touches are safe when it returns. */
void sim_file_write_safe(struct sim_file *f, uint64_t offset, const void *p, size_t n);
/* A durable write that was cut short: any of its sectors may be safe, any may be as before. */
void sim_file_write_torn(struct sim_file *f, uint64_t offset, const void *p, size_t n, struct rng *rng,
                         struct sim_torn *torn);
void sim_file_sync(struct sim_file *f);
/* Buffered. A file that becomes longer shows zeros there. */
void sim_file_truncate(struct sim_file *f, uint64_t size);
/* Some dirty sectors are saved; the others still read as written but are never saved, unless written again:
 * what Linux does after a failed fsync. */
void sim_file_sync_failed(struct sim_file *f, struct rng *rng);
/* Power loss. */
void sim_file_crash(struct sim_file *f, struct rng *rng, struct sim_torn *torn);
/* A random page of which some sectors are dirty and all lie before the safe end; false when there is none. */
bool sim_file_unsynced(const struct sim_file *f, struct rng *rng, size_t *ret_page);
/* Its dirty sectors still read as written but are never saved, unless written again. */
void sim_file_lose(struct sim_file *f, size_t page);
/* TO, an empty file, becomes what FROM reads as now, and safe. */
void sim_file_copy(struct sim_file *to, const struct sim_file *from);
/* Flips one bit (0 to 7) in both images. OFFSET must be inside the file. */
void sim_file_flip(struct sim_file *f, uint64_t offset, unsigned bit);

#endif
