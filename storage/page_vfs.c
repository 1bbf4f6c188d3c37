#include "storage/page_vfs.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/object.h"
#include "base/plant.h"
#include "storage/page_sum.h"
#include "storage/vfs_layer.h"
#include "storage/wal_sums.h"

enum {
    PAGE_VFS_MAGIC = 0x51505653,
    LAST_BAD = 0x51425044, /* an opcode for sqlite3_file_control() that nobody else has */
    HEADER_BYTES = 100,
};

struct page_vfs {
    OBJECT_MAGIC;
    struct vfs_layer layer;
    struct wal_sums wal;
    atomic_uint wal_users; /* open files */
    _Atomic uint64_t bad_pages;
    pthread_mutex_t lock; /* of what follows */
    char last_bad[PAGE_VFS_TEXT_MAX];
};

struct page_file {
    struct vfs_layer_file file;
    struct page_vfs *vfs;
    const char *name; /* SQLite's, which outlives the file */
    bool is_wal;
};

static struct page_file *self(sqlite3_file *f)
{
    return (struct page_file *)(void *)f;
}

static int bad(struct page_file *f, const char *what, uint64_t number)
{
    struct page_vfs *v = f->vfs;

    atomic_fetch_add(&v->bad_pages, 1);
    pthread_mutex_lock(&v->lock);
    snprintf(v->last_bad, sizeof v->last_bad, "%s %llu of %s fails its checksum", what,
             (unsigned long long)number, f->name);
    pthread_mutex_unlock(&v->lock);
    return SQLITE_IOERR_DATA;
}

/* One page, verified. */
static int read_page(struct page_file *f, uint8_t *page, sqlite3_int64 offset)
{
    sqlite3_file *b = f->file.below;
    int rc = b->pMethods->xRead(b, page, PAGE_BYTES, offset);
    uint64_t number = (uint64_t)offset / PAGE_BYTES + 1;

    if (rc != SQLITE_OK && rc != SQLITE_IOERR_SHORT_READ) {
        return rc;
    }
    if (page_sum_ok(page, number) || PLANTED("pages_are_not_verified")) {
        return rc;
    }
    memset(page, 0, PAGE_BYTES);
    return bad(f, "page", number);
}

static int read_pieces(struct page_file *f, uint8_t *p, int n, sqlite3_int64 offset)
{
    uint8_t page[PAGE_BYTES];
    int rc = SQLITE_OK;

    while (n > 0 && rc == SQLITE_OK) {
        int skip = (int)(offset % PAGE_BYTES), part = PAGE_BYTES - skip < n ? PAGE_BYTES - skip : n;

        rc = read_page(f, page, offset - skip);
        if (rc == SQLITE_OK || rc == SQLITE_IOERR_SHORT_READ) {
            memcpy(p, page + skip, (size_t)part);
        }
        p += part;
        offset += part;
        n -= part;
    }
    if (rc == SQLITE_IOERR_SHORT_READ) {
        memset(p, 0, (size_t)n);
    }
    return rc;
}

static int read_wal(struct page_file *f, void *p, int n, sqlite3_int64 offset)
{
    sqlite3_file *b = f->file.below;
    int rc = b->pMethods->xRead(b, p, n, offset);
    uint64_t frame;

    if (rc == SQLITE_OK && !wal_sums_read(&f->vfs->wal, (uint64_t)offset, p, (size_t)n, &frame)) {
        memset(p, 0, (size_t)n);
        rc = bad(f, "frame", frame);
    }
    return rc;
}

static int page_read(sqlite3_file *file, void *p, int n, sqlite3_int64 offset)
{
    struct page_file *f = self(file);

    if (f->is_wal) {
        return read_wal(f, p, n, offset);
    }
    if (offset + n <= HEADER_BYTES) {
        return f->file.below->pMethods->xRead(f->file.below, p, n, offset);
    }
    return n == PAGE_BYTES && offset % PAGE_BYTES == 0 ? read_page(f, p, offset)
                                                       : read_pieces(f, p, n, offset);
}

static int write_wal(struct page_file *f, const void *p, int n, sqlite3_int64 offset)
{
    sqlite3_file *b = f->file.below;
    int rc = b->pMethods->xWrite(b, p, n, offset);

    if (rc != SQLITE_OK) {
        wal_sums_doubt(&f->vfs->wal, (uint64_t)offset, (size_t)n);
        return rc;
    }
    return wal_sums_written(&f->vfs->wal, (uint64_t)offset, p, (size_t)n) ? SQLITE_OK : SQLITE_IOERR_NOMEM;
}

/* SQLite writes whole pages to a database file. */
static int page_write(sqlite3_file *file, const void *p, int n, sqlite3_int64 offset)
{
    struct page_file *f = self(file);
    sqlite3_file *b = f->file.below;
    uint8_t page[PAGE_BYTES];
    int rc = SQLITE_OK;

    if (f->is_wal) {
        return write_wal(f, p, n, offset);
    }
    if (n % PAGE_BYTES != 0 || offset % PAGE_BYTES != 0) {
        return SQLITE_IOERR_WRITE;
    }
    for (int at = 0; at < n && rc == SQLITE_OK; at += PAGE_BYTES) {
        memcpy(page, (const uint8_t *)p + at, PAGE_BYTES);
        page_sum_set(page, (uint64_t)(offset + at) / PAGE_BYTES + 1);
        rc = b->pMethods->xWrite(b, page, PAGE_BYTES, offset + at);
    }
    return rc;
}

static int page_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct page_file *f = self(file);

    if (f->is_wal) {
        wal_sums_cut(&f->vfs->wal, (uint64_t)size);
    }
    return f->file.below->pMethods->xTruncate(f->file.below, size);
}

static int page_close(sqlite3_file *file)
{
    struct page_file *f = self(file);

    if (f->is_wal && atomic_fetch_sub(&f->vfs->wal_users, 1) == 1) {
        wal_sums_cut(&f->vfs->wal, 0); /* the next to open it recovers it */
    }
    return f->file.below->pMethods->xClose(f->file.below);
}

static int page_control(sqlite3_file *file, int op, void *p)
{
    struct page_file *f = self(file);
    struct page_vfs *v = f->vfs;

    if (op != LAST_BAD) {
        return f->file.below->pMethods->xFileControl(f->file.below, op, p);
    }
    pthread_mutex_lock(&v->lock);
    snprintf(p, PAGE_VFS_TEXT_MAX, "%s", v->last_bad);
    pthread_mutex_unlock(&v->lock);
    return SQLITE_OK;
}

/* What is mapped into memory is not read through here: nothing is. */
static int page_fetch(sqlite3_file *file, sqlite3_int64 offset, int n, void **ret_p)
{
    (void)file;
    (void)offset;
    (void)n;
    *ret_p = NULL;
    return SQLITE_OK;
}

static const sqlite3_io_methods methods = {
    .xClose = page_close,
    .xRead = page_read,
    .xWrite = page_write,
    .xTruncate = page_truncate,
    .xFileControl = page_control,
    .xFetch = page_fetch,
};

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
    struct page_vfs *v = CAST(struct page_vfs, vfs->pAppData, PAGE_VFS_MAGIC);
    struct page_file *f = self(file);

    if ((flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)) == 0) {
        return v->layer.under->xOpen(v->layer.under, name, file, flags, ret_flags);
    }
    *f = (struct page_file){.vfs = v, .name = name, .is_wal = (flags & SQLITE_OPEN_WAL) != 0};
    int rc = vfs_layer_open(&v->layer, name, &f->file, flags, ret_flags);
    if (rc == SQLITE_OK && f->is_wal) {
        atomic_fetch_add(&v->wal_users, 1);
    }
    return rc;
}

int page_vfs_new(const char *under, struct page_vfs **ret_vfs, struct error *e)
{
    struct page_vfs *v = calloc(1, sizeof *v);

    if (v == NULL) {
        return error_set(e, Q_NOMEM, "out of memory");
    }
    v->magic = PAGE_VFS_MAGIC;
    pthread_mutex_init(&v->lock, NULL);
    wal_sums_init(&v->wal);
    int rc = vfs_layer_init(&v->layer, under, "page", v, (int)sizeof(struct page_file), &methods, e);
    if (rc == 0) {
        v->layer.vfs.xOpen = vfs_open;
        rc = vfs_layer_register(&v->layer, e);
    }
    if (rc != 0) {
        page_vfs_free(v);
        return rc;
    }
    *ret_vfs = v;
    return 0;
}

void page_vfs_free(struct page_vfs *v)
{
    if (v != NULL) {
        vfs_layer_close(&v->layer);
        wal_sums_close(&v->wal);
        pthread_mutex_destroy(&v->lock);
        v->magic = 0;
        free(v);
    }
}

const char *page_vfs_name(const struct page_vfs *v)
{
    return v->layer.name;
}

uint64_t page_vfs_bad_pages(const struct page_vfs *v)
{
    return atomic_load(&v->bad_pages);
}

bool page_vfs_last_bad(sqlite3 *db, char ret_text[PAGE_VFS_TEXT_MAX])
{
    ret_text[0] = '\0';
    return sqlite3_file_control(db, "main", LAST_BAD, ret_text) == SQLITE_OK && ret_text[0] != '\0';
}
