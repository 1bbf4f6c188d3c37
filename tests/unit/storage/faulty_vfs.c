#include "tests/unit/storage/faulty_vfs.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stddef.h>

/* Files are those of the VFS below; only two of their methods are replaced, which databases and WALs have in
 * common. */
static sqlite3_vfs vfs, *under;
static sqlite3_io_methods database_methods, wal_methods;
static int (*original_write)(sqlite3_file *, const void *, int, sqlite3_int64);
static int (*original_sync)(sqlite3_file *, int);
static int (*original_shm_map)(sqlite3_file *, int, int, int, void volatile **);
static atomic_int write_rc, sync_rc, shm_rc, shm_errno;
static atomic_bool wal_dirty, ran_ahead;

static int faulty_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 offset)
{
    int rc = write_rc;

    errno = (rc & 0xff) == SQLITE_FULL ? ENOSPC : EIO;
    if (f->pMethods == &wal_methods) {
        wal_dirty = true;
    } else if (wal_dirty) {
        ran_ahead = true;
    }
    return rc != SQLITE_OK ? rc : original_write(f, p, n, offset);
}

static int faulty_sync(sqlite3_file *f, int flags)
{
    int rc = sync_rc;

    errno = EIO;
    rc = rc != SQLITE_OK ? rc : original_sync(f, flags);
    if (rc == SQLITE_OK && f->pMethods == &wal_methods) {
        wal_dirty = false;
    }
    return rc;
}

static int faulty_shm_map(sqlite3_file *f, int page, int bytes, int extend, void volatile **ret_p)
{
    int rc = shm_rc;

    errno = shm_errno;
    return rc != SQLITE_OK ? rc : original_shm_map(f, page, bytes, extend, ret_p);
}

static int faulty_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *ret_flags)
{
    int rc = under->xOpen(under, name, f, flags, ret_flags);

    (void)v;
    if (rc == SQLITE_OK && (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL))) {
        sqlite3_io_methods *mine = (flags & SQLITE_OPEN_WAL) ? &wal_methods : &database_methods;

        original_write = f->pMethods->xWrite;
        original_sync = f->pMethods->xSync;
        *mine = *f->pMethods;
        mine->xWrite = faulty_write;
        mine->xSync = faulty_sync;
        if (flags & SQLITE_OPEN_MAIN_DB) {
            original_shm_map = f->pMethods->xShmMap;
            mine->xShmMap = faulty_shm_map;
        }
        f->pMethods = mine;
    }
    return rc;
}

void faulty_vfs_register(void)
{
    under = sqlite3_vfs_find(NULL);
    vfs = *under;
    vfs.pNext = NULL;
    vfs.zName = FAULTY_VFS;
    vfs.xOpen = faulty_open;
    sqlite3_vfs_register(&vfs, 0);
}

void faulty_vfs_unregister(void)
{
    sqlite3_vfs_unregister(&vfs);
}

void faulty_vfs_fail_writes(int rc)
{
    write_rc = rc;
}

void faulty_vfs_fail_syncs(int rc)
{
    sync_rc = rc;
}

void faulty_vfs_fail_shared_memory(int rc, int errno_value)
{
    shm_errno = errno_value;
    shm_rc = rc;
}

bool faulty_vfs_wal_is_dirty(void)
{
    return wal_dirty;
}

bool faulty_vfs_database_ran_ahead(void)
{
    return atomic_exchange(&ran_ahead, false);
}
