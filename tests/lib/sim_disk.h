/* sim_disk: the disk of one simulated machine: a tree of directories and files that outlives the process, and
 * what may go wrong with it. It does not know about time or who uses it.
 *
 * Names are durable only after a sync of their directory: making, renaming and unlinking change the tree that
 * the process sees at once, and wait in a list until sim_disk_sync_dir(). A crash keeps some of that list:
 * either a prefix (a journal), or any subset in which no kept operation follows a dropped one on the same
 * name or the same file. A rename is kept or dropped as a whole. A file whose only name was dropped is gone.
 *
 * Paths are cut at '/'; empty parts and "." do not count, so "a", "/a" and "./a/" are the same. Errors carry
 * the codes that error_errno() gives for what Linux would say. Whatever is drawn comes from the RNG given at
 * birth. */
#ifndef QUORATE_TESTS_LIB_SIM_DISK_H
#define QUORATE_TESTS_LIB_SIM_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/rng.h"

struct sim_disk;
struct sim_disk_copy;
struct sim_inode;

/* Chances are in a million of each operation. All zero is a healthy disk. */
struct sim_disk_faults {
    unsigned read_eio, write_eio, sync_eio;
    unsigned misdirect; /* bytes that reach the disk land at another block; the right place stays as it was */
    uint64_t capacity;  /* bytes; a file cannot grow past it (ENOSPC); 0 is no limit */
    uint64_t slow_us;   /* every operation takes up to this much longer */
    bool stuck;         /* nothing completes until this is false again */
};

/* A range of bytes of a file. */
struct sim_disk_place {
    const char *path;
    uint64_t offset, len;
};

/* What happened so far. */
struct sim_disk_counters {
    uint64_t reads, writes, syncs, dir_syncs;
    uint64_t read_eio, write_eio, sync_eio, no_space, flips, misdirects;
    uint64_t crashes, sectors_kept, sectors_dropped, names_kept, names_dropped;
};

/* RNG is kept. */
struct sim_disk *sim_disk_new(struct rng *rng);
/* No inode is held. NULL is fine. */
void sim_disk_free(struct sim_disk *d);

/* For tests, at any time unless said otherwise. Faults are set with sim_node_disk_faults() (sim.h). */
struct sim_disk_faults sim_disk_faults(const struct sim_disk *d);
struct sim_disk_counters sim_disk_counters(const struct sim_disk *d);
/* The bytes of all files that have a name or are open, in whole pages. */
uint64_t sim_disk_used(const struct sim_disk *d);
/* What is left of the capacity; UINT64_MAX without one. */
uint64_t sim_disk_space(const struct sim_disk *d);
/* Flips one bit (0 to 7) of a byte, on the disk and in the page cache. Q_NOT_FOUND; Q_INVALID past the end.
 */
int sim_disk_flip(struct sim_disk *d, const char *path, uint64_t offset, unsigned bit, struct error *e);
/* Flips one random bit of PLACE, cut off at the end of the file, and says in which byte. Errors as above. */
int sim_disk_flip_in(struct sim_disk *d, const struct sim_disk_place *place, uint64_t *ret_offset,
                     struct error *e);
/* MAY is asked before each misdirected write, with the place that will keep its old bytes (RIGHT) and the one
 * that will be overwritten (WRONG; len 0: no file is there); false: the write goes where it should. Paths are
 * borrowed. CTX is kept. Only overwrites are misdirected, not what makes a file longer. Buffered writes are
 * when they are synced: the process goes on reading what it wrote until the machine loses power. */
void sim_disk_on_misdirect(struct sim_disk *d,
                           bool (*may)(void *ctx, const struct sim_disk_place *right,
                                       const struct sim_disk_place *wrong),
                           void *ctx);
/* Calls EACH for every file, in the order of their paths. EACH may flip bits but not change names. */
void sim_disk_each_file(struct sim_disk *d, void (*each)(void *ctx, const char *path, uint64_t size),
                        void *ctx);
/* A new, empty disk; only while the node has no process. */
void sim_disk_wipe(struct sim_disk *d);
/* The names and bytes that a process sees now. */
struct sim_disk_copy *sim_disk_take(const struct sim_disk *d);
/* Everything becomes as it was, and durable; only while the node has no process. */
void sim_disk_put(struct sim_disk *d, const struct sim_disk_copy *copy);
/* NULL is fine. */
void sim_disk_copy_free(struct sim_disk_copy *copy);

/* For the simulator. */
void sim_disk_set_faults(struct sim_disk *d, const struct sim_disk_faults *faults);
/* Power loss. No inode is held. */
void sim_disk_crash(struct sim_disk *d);
/* An inode is held from sim_disk_open() or sim_disk_lock() to sim_disk_close(). FLAGS as in env_open(); of
 * them only ENV_CREATE counts here. */
int sim_disk_open(struct sim_disk *d, const char *path, unsigned flags, struct sim_inode **ret_inode,
                  struct error *e);
void sim_disk_close(struct sim_disk *d, struct sim_inode *inode);
/* Q_CONFLICT when locked already. Unlocked by the close of the inode that was locked. */
int sim_disk_lock(struct sim_disk *d, const char *path, struct sim_inode **ret_inode, struct error *e);
void sim_disk_unlock(struct sim_inode *inode);
uint64_t sim_disk_size(const struct sim_inode *inode);
int sim_disk_read(struct sim_disk *d, struct sim_inode *inode, uint64_t offset, void *p, size_t n,
                  size_t *ret_n, struct error *e);
/* SAFE: durable when it returns. A failed one may have changed any of its sectors. */
int sim_disk_write(struct sim_disk *d, struct sim_inode *inode, uint64_t offset, const void *p, size_t n,
                   bool safe, struct error *e);
/* A durable write that the end of the machine cut short. */
void sim_disk_tear(struct sim_disk *d, struct sim_inode *inode, uint64_t offset, const void *p, size_t n);
int sim_disk_sync(struct sim_disk *d, struct sim_inode *inode, struct error *e);
/* Shorter or longer; durable after a sync. */
int sim_disk_truncate(struct sim_disk *d, struct sim_inode *inode, uint64_t size, struct error *e);
/* The size of a file. Q_NOT_FOUND. */
int sim_disk_stat(struct sim_disk *d, const char *path, uint64_t *ret_size, struct error *e);
int sim_disk_rename(struct sim_disk *d, const char *from, const char *to, struct error *e);
int sim_disk_unlink(struct sim_disk *d, const char *path, struct error *e);
int sim_disk_make_dir(struct sim_disk *d, const char *path, struct error *e);
int sim_disk_sync_dir(struct sim_disk *d, const char *path, struct error *e);
/* In random order. EACH may change the disk. */
int sim_disk_list_dir(struct sim_disk *d, const char *path, void (*each)(void *ctx, const char *name),
                      void *ctx, struct error *e);

#endif
