#include "tests/lib/sim_disk.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "tests/lib/sched.h"
#include "tests/lib/sim_misdirect.h"
#include "tests/lib/sim_tree.h"

struct sim_disk {
    struct rng *rng;
    struct sim_tree tree;
    struct sim_disk_faults faults;
    struct sim_disk_counters counters;
    bool (*may_misdirect)(void *ctx, const struct sim_disk_place *right, const struct sim_disk_place *wrong);
    void *ctx;
};

struct sim_disk_copy {
    struct sim_tree tree;
};

struct sim_disk *sim_disk_new(struct rng *rng)
{
    struct sim_disk *d = sim_alloc(sizeof *d);
    d->rng = rng;
    sim_tree_init(&d->tree);
    return d;
}

void sim_disk_free(struct sim_disk *d)
{
    if (d != NULL) {
        sim_tree_close(&d->tree);
        free(d);
    }
}

void sim_disk_set_faults(struct sim_disk *d, const struct sim_disk_faults *faults)
{
    d->faults = *faults;
}

struct sim_disk_faults sim_disk_faults(const struct sim_disk *d)
{
    return d->faults;
}

struct sim_disk_counters sim_disk_counters(const struct sim_disk *d)
{
    return d->counters;
}

static uint64_t whole_pages(uint64_t n)
{
    return (n + SIM_PAGE - 1) / SIM_PAGE * SIM_PAGE;
}

uint64_t sim_disk_used(const struct sim_disk *d)
{
    uint64_t used = 0;
    LIST_EACH (&d->tree.all, l) {
        const struct sim_inode *inode = CONTAINER_OF(l, struct sim_inode, all);
        if (inode->links > 0 || inode->handles > 0) {
            used += whole_pages(inode->file.size_now);
        }
    }
    return used;
}

uint64_t sim_disk_space(const struct sim_disk *d)
{
    if (d->faults.capacity == 0) {
        return UINT64_MAX;
    }
    uint64_t used = sim_disk_used(d);
    return used < d->faults.capacity ? d->faults.capacity - used : 0;
}

/* Draws nothing from a healthy disk, so that switching a fault on is the only thing that changes a run. */
static bool strikes(struct sim_disk *d, unsigned ppm, uint64_t *counter)
{
    if (ppm == 0 || rng_between(d->rng, 0, 999999) >= ppm) {
        return false;
    }
    *counter += 1;
    return true;
}

static int find_file(struct sim_disk *d, const char *path, struct sim_inode **ret_inode, struct error *e)
{
    struct sim_inode *inode = NULL;
    int rc = sim_tree_find(&d->tree, path, &inode, e);
    if (rc != 0) {
        return rc;
    }
    if (inode->is_dir) {
        return error_errno(e, EISDIR, "%s", path);
    }
    *ret_inode = inode;
    return 0;
}

int sim_disk_flip(struct sim_disk *d, const char *path, uint64_t offset, unsigned bit, struct error *e)
{
    struct sim_inode *inode = NULL;
    int rc = find_file(d, path, &inode, e);
    if (rc != 0) {
        return rc;
    }
    if (offset >= inode->file.size_now) {
        return error_set(e, Q_INVALID, "%s has no byte %llu", path, (unsigned long long)offset);
    }
    sim_file_flip(&inode->file, offset, bit);
    d->counters.flips++;
    return 0;
}

int sim_disk_flip_in(struct sim_disk *d, const struct sim_disk_place *place, uint64_t *ret_offset,
                     struct error *e)
{
    uint64_t size = 0;
    int rc = sim_disk_stat(d, place->path, &size, e);
    if (rc != 0) {
        return rc;
    }
    uint64_t end = place->len < size && place->offset < size - place->len ? place->offset + place->len : size;
    if (place->offset >= end) {
        return error_set(e, Q_INVALID, "%s has no byte %llu", place->path, (unsigned long long)place->offset);
    }
    uint64_t offset = rng_between(d->rng, place->offset, end - 1);
    rc = sim_disk_flip(d, place->path, offset, (unsigned)rng_between(d->rng, 0, 7), e);
    if (rc == 0) {
        *ret_offset = offset;
    }
    return rc;
}

void sim_disk_on_misdirect(struct sim_disk *d,
                           bool (*may)(void *ctx, const struct sim_disk_place *right,
                                       const struct sim_disk_place *wrong),
                           void *ctx)
{
    d->may_misdirect = may;
    d->ctx = ctx;
}

void sim_disk_each_file(struct sim_disk *d, void (*each)(void *ctx, const char *path, uint64_t size),
                        void *ctx)
{
    sim_tree_each_file(&d->tree, each, ctx);
}

void sim_disk_crash(struct sim_disk *d)
{
    struct sim_torn names = {0}, sectors = {0};
    sim_tree_crash(&d->tree, d->rng, &names, &sectors);
    d->counters.crashes++;
    d->counters.names_kept += names.kept;
    d->counters.names_dropped += names.dropped;
    d->counters.sectors_kept += sectors.kept;
    d->counters.sectors_dropped += sectors.dropped;
}

void sim_disk_wipe(struct sim_disk *d)
{
    sim_tree_close(&d->tree);
    sim_tree_init(&d->tree);
}

struct sim_disk_copy *sim_disk_take(const struct sim_disk *d)
{
    struct sim_disk_copy *copy = sim_alloc(sizeof *copy);
    sim_tree_copy(&copy->tree, &d->tree);
    return copy;
}

void sim_disk_put(struct sim_disk *d, const struct sim_disk_copy *copy)
{
    sim_tree_close(&d->tree);
    sim_tree_copy(&d->tree, &copy->tree);
}

void sim_disk_copy_free(struct sim_disk_copy *copy)
{
    if (copy != NULL) {
        sim_tree_close(&copy->tree);
        free(copy);
    }
}

int sim_disk_open(struct sim_disk *d, const char *path, unsigned flags, struct sim_inode **ret_inode,
                  struct error *e)
{
    struct sim_inode *inode = NULL;
    int rc;
    if (flags & ENV_CREATE) {
        if (d->faults.capacity != 0 && sim_disk_used(d) >= d->faults.capacity) {
            d->counters.no_space++;
            return error_errno(e, ENOSPC, "create %s", path);
        }
        rc = sim_tree_make(&d->tree, path, false, &inode, e);
    } else {
        rc = find_file(d, path, &inode, e);
    }
    if (rc != 0) {
        return rc;
    }
    sim_inode_hold(inode);
    inode->handles++;
    *ret_inode = inode;
    return 0;
}

void sim_disk_close(struct sim_disk *d, struct sim_inode *inode)
{
    (void)d;
    assert(inode->handles > 0);
    inode->handles--;
    sim_inode_drop(inode);
}

int sim_disk_lock(struct sim_disk *d, const char *path, struct sim_inode **ret_inode, struct error *e)
{
    struct sim_inode *inode = NULL;
    int rc = find_file(d, path, &inode, e);
    if (rc == Q_NOT_FOUND) {
        rc = sim_tree_make(&d->tree, path, false, &inode, e);
    }
    if (rc != 0) {
        return rc;
    }
    if (inode->locked) {
        return error_set(e, Q_CONFLICT, "%s is locked by another process", path);
    }
    inode->locked = true;
    sim_inode_hold(inode);
    inode->handles++;
    *ret_inode = inode;
    return 0;
}

void sim_disk_unlock(struct sim_inode *inode)
{
    inode->locked = false;
}

uint64_t sim_disk_size(const struct sim_inode *inode)
{
    return inode->file.size_now;
}

int sim_disk_read(struct sim_disk *d, struct sim_inode *inode, uint64_t offset, void *p, size_t n,
                  size_t *ret_n, struct error *e)
{
    d->counters.reads++;
    if (strikes(d, d->faults.read_eio, &d->counters.read_eio)) {
        return error_errno(e, EIO, "read");
    }
    *ret_n = sim_file_read(&inode->file, offset, p, n);
    return 0;
}

static bool fits(struct sim_disk *d, const struct sim_inode *inode, uint64_t end)
{
    uint64_t had = whole_pages(inode->file.size_now);
    uint64_t wants = whole_pages(end);
    return d->faults.capacity == 0 || wants <= had || sim_disk_used(d) - had + wants <= d->faults.capacity;
}

/* Whether N bytes at OFFSET are to land elsewhere; then they have, as far as there is a file. */
static bool misdirect(struct sim_disk *d, struct sim_inode *inode, uint64_t offset, const void *p, size_t n)
{
    struct sim_misdirect place;
    char right_path[PATH_MAX] = "", wrong_path[PATH_MAX] = "";
    if (!sim_misdirect_draw(&d->tree, d->rng, inode, offset, n, &place) ||
        !sim_tree_path(&d->tree, inode, right_path, sizeof right_path)) {
        return false;
    }
    if (place.file != NULL) {
        sim_tree_path(&d->tree, place.file, wrong_path, sizeof wrong_path);
    }
    struct sim_disk_place right = {right_path, offset, n};
    struct sim_disk_place wrong = {wrong_path, place.offset, place.len};
    if (d->may_misdirect != NULL && !d->may_misdirect(d->ctx, &right, &wrong)) {
        return false;
    }
    d->counters.misdirects++;
    if (place.file != NULL) {
        sim_file_write_safe(&place.file->file, place.offset, p, place.len);
    }
    return true;
}

static bool wants_misdirect(struct sim_disk *d)
{
    return d->faults.misdirect != 0 && rng_between(d->rng, 0, 999999) < d->faults.misdirect;
}

int sim_disk_write(struct sim_disk *d, struct sim_inode *inode, uint64_t offset, const void *p, size_t n,
                   bool safe, struct error *e)
{
    d->counters.writes++;
    if (!fits(d, inode, offset + n)) {
        d->counters.no_space++;
        return error_errno(e, ENOSPC, "write");
    }
    if (strikes(d, d->faults.write_eio, &d->counters.write_eio)) {
        sim_disk_tear(d, inode, offset, p, n);
        return error_errno(e, EIO, "write");
    }
    if (safe && offset + n <= inode->file.size_safe && wants_misdirect(d) &&
        misdirect(d, inode, offset, p, n)) {
        return 0;
    }
    if (safe) {
        sim_file_write_safe(&inode->file, offset, p, n);
    } else {
        sim_file_write(&inode->file, offset, p, n, d->rng);
    }
    return 0;
}

void sim_disk_tear(struct sim_disk *d, struct sim_inode *inode, uint64_t offset, const void *p, size_t n)
{
    struct sim_torn torn = {0};
    sim_file_write_torn(&inode->file, offset, p, n, d->rng, &torn);
    d->counters.sectors_kept += torn.kept;
    d->counters.sectors_dropped += torn.dropped;
}

int sim_disk_sync(struct sim_disk *d, struct sim_inode *inode, struct error *e)
{
    d->counters.syncs++;
    if (strikes(d, d->faults.sync_eio, &d->counters.sync_eio)) {
        sim_file_sync_failed(&inode->file, d->rng);
        return error_errno(e, EIO, "sync");
    }
    size_t page;
    if (wants_misdirect(d) && sim_file_unsynced(&inode->file, d->rng, &page) &&
        misdirect(d, inode, (uint64_t)page * SIM_PAGE, inode->file.pages[page].now, SIM_PAGE)) {
        sim_file_lose(&inode->file, page);
    }
    sim_file_sync(&inode->file);
    return 0;
}

int sim_disk_truncate(struct sim_disk *d, struct sim_inode *inode, uint64_t size, struct error *e)
{
    d->counters.writes++;
    if (!fits(d, inode, size)) {
        d->counters.no_space++;
        return error_errno(e, ENOSPC, "truncate");
    }
    if (strikes(d, d->faults.write_eio, &d->counters.write_eio)) {
        return error_errno(e, EIO, "truncate");
    }
    sim_file_truncate(&inode->file, size);
    return 0;
}

int sim_disk_stat(struct sim_disk *d, const char *path, uint64_t *ret_size, struct error *e)
{
    struct sim_inode *inode = NULL;
    int rc = find_file(d, path, &inode, e);
    if (rc == 0) {
        *ret_size = inode->file.size_now;
    }
    return rc;
}

int sim_disk_rename(struct sim_disk *d, const char *from, const char *to, struct error *e)
{
    return sim_tree_rename(&d->tree, from, to, e);
}

int sim_disk_unlink(struct sim_disk *d, const char *path, struct error *e)
{
    return sim_tree_unlink(&d->tree, path, e);
}

int sim_disk_make_dir(struct sim_disk *d, const char *path, struct error *e)
{
    struct sim_inode *inode = NULL;
    if (sim_tree_find(&d->tree, path, &inode, NULL) == 0) {
        return inode->is_dir ? 0 : error_set(e, Q_CONFLICT, "%s is a file", path);
    }
    return sim_tree_make(&d->tree, path, true, &inode, e);
}

static int find_dir(struct sim_disk *d, const char *path, struct sim_inode **ret_inode, struct error *e)
{
    struct sim_inode *inode = NULL;
    int rc = sim_tree_find(&d->tree, path, &inode, e);
    if (rc != 0) {
        return rc;
    }
    if (!inode->is_dir) {
        return error_errno(e, ENOTDIR, "%s", path);
    }
    *ret_inode = inode;
    return 0;
}

int sim_disk_sync_dir(struct sim_disk *d, const char *path, struct error *e)
{
    struct sim_inode *dir = NULL;
    int rc = find_dir(d, path, &dir, e);
    if (rc != 0) {
        return rc;
    }
    d->counters.dir_syncs++;
    if (strikes(d, d->faults.sync_eio, &d->counters.sync_eio)) {
        return error_errno(e, EIO, "sync %s", path);
    }
    sim_tree_sync(&d->tree, dir);
    return 0;
}

int sim_disk_list_dir(struct sim_disk *d, const char *path, void (*each)(void *ctx, const char *name),
                      void *ctx, struct error *e)
{
    struct sim_inode *dir = NULL;
    int rc = find_dir(d, path, &dir, e);
    if (rc != 0) {
        return rc;
    }
    size_t n = dir->now.n;
    char **names = sim_alloc(n * sizeof *names);
    for (size_t i = 0; i < n; i++) {
        size_t k = rng_between(d->rng, 0, i);
        names[i] = names[k];
        names[k] = sim_strdup(dir->now.v[i].text);
    }
    for (size_t i = 0; i < n; i++) {
        each(ctx, names[i]);
        free(names[i]);
    }
    free(names);
    return 0;
}
