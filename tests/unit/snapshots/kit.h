/* kit: a machine with a directory "a" that images are taken in and one "b" that they are staged in, and
 * images with right page sums. It does not know what a test expects. */
#ifndef QUORATE_TESTS_UNIT_SNAPSHOTS_KIT_H
#define QUORATE_TESTS_UNIT_SNAPSHOTS_KIT_H

#include "snapshots/stage.h"
#include "snapshots/take.h"
#include "storage/page_sum.h"
#include "tests/lib/sim.h"

struct rig {
    struct sim *sim;
    struct sim_node *node;
    struct env *env;
    struct error error; /* for calls whose failure the test expects */
};

void rig_init(struct rig *r, uint64_t seed);
void rig_done(struct rig *r);
/* Power loss, and a new process. */
void rig_crash(struct rig *r);
/* The process died in some operation: a new one. */
void rig_boot(struct rig *r);
/* A process ends, a new one starts: what was written is there, what was synced is not known. */
void rig_kill(struct rig *r);

/* Fails the test unless RC is 0. */
void must(int rc, const struct error *e);

/* A database file: pages that LZ4 makes shorter, with their sums. */
struct image {
    uint8_t *p;
    size_t pages;
};

struct image image_make(size_t pages, unsigned seed);
/* Page NUMBER, from 1, gets other content, and its sum. */
void image_change(struct image *image, size_t number, unsigned seed);
size_t image_bytes(const struct image *image);
void image_close(struct image *image);

/* Makes or replaces a file, durably. */
void rig_put(struct rig *r, const char *path, const void *p, size_t n);
/* All of a file; returned (caller frees). NULL if there is none. */
uint8_t *rig_get(struct rig *r, const char *path, size_t *ret_n);
bool rig_exists(struct rig *r, const char *path);
/* Whether the file is the image and nothing else. */
bool rig_holds(struct rig *r, const char *path, const struct image *image);

/* The configuration of a take of a/db.sqlite, all of it. */
struct take_config rig_take_config(struct rig *r, struct chunk_store *store, const struct image *image,
                                   uint64_t index);
/* IMAGE becomes a/db.sqlite and is taken in "a", in term 1: chunks, manifest and all. *RET_M, if not NULL, is
 * the caller's to close. */
void rig_take(struct rig *r, const struct image *image, uint64_t index, struct manifest *ret_m);

/* Opens a stage in "b", whose own database is b/db.sqlite. STORE may be NULL. */
struct stage *rig_stage(struct rig *r, const struct manifest *m, struct chunk_store *store);
void rig_scan(struct rig *r, struct stage *s);
/* Puts what is missing, up to MAX chunks, from the store of "a". Returns how many. */
unsigned rig_fetch(struct rig *r, struct stage *s, const struct manifest *m, unsigned max);

#endif
