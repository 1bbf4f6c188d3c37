#include "storage/file_watch.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* An opcode for sqlite3_file_control() that nobody else has. */
enum { TAKE_FAILURE = 0x51464c57 };

/* The file below lies behind it. */
struct watched {
    sqlite3_file base;
    sqlite3_vfs *under;
    struct file_failure *failure;
    const char *name; /* SQLite's, which outlives the file; NULL: a temporary one */
};

static struct watched *self(sqlite3_file *file)
{
    return (struct watched *)(void *)file;
}

static sqlite3_file *below(sqlite3_file *file)
{
    return (sqlite3_file *)(void *)(self(file) + 1);
}

int file_watch_size(const sqlite3_vfs *under)
{
    return (int)sizeof(struct watched) + under->szOsFile;
}

/* A failed sync says nothing of room: what it should have kept may be lost. */
static void note(const struct watched *w, int rc, bool takes_room, const char *what)
{
    int code = w->under->xGetLastError != NULL ? w->under->xGetLastError(w->under, 0, NULL) : 0;
    bool full = (rc & 0xff) == SQLITE_FULL;

    code = full ? ENOSPC : code;
    w->failure->rc = rc;
    w->failure->no_space = full || (takes_room && (code == ENOSPC || code == EDQUOT));
    snprintf(w->failure->text, sizeof w->failure->text, "%s%s: %s", what,
             w->name != NULL ? w->name : "a temporary file", code != 0 ? strerror(code) : sqlite3_errstr(rc));
}

static void note_place(const struct watched *w, int rc, bool takes_room, const char *verb, int n,
                       sqlite3_int64 offset)
{
    char what[80];
    snprintf(what, sizeof what, "%s of %d bytes at offset %lld of ", verb, n, (long long)offset);
    note(w, rc, takes_room, what);
}

static int watch_close(sqlite3_file *f)
{
    sqlite3_file *b = below(f);
    return b->pMethods->xClose(b);
}

static int watch_read(sqlite3_file *f, void *p, int n, sqlite3_int64 offset)
{
    sqlite3_file *b = below(f);
    int rc = b->pMethods->xRead(b, p, n, offset);
    if (rc != SQLITE_OK && rc != SQLITE_IOERR_SHORT_READ) {
        note_place(self(f), rc, false, "read", n, offset);
    }
    return rc;
}

static int watch_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 offset)
{
    sqlite3_file *b = below(f);
    int rc = b->pMethods->xWrite(b, p, n, offset);
    if (rc != SQLITE_OK) {
        note_place(self(f), rc, true, "write", n, offset);
    }
    return rc;
}

static int watch_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    sqlite3_file *b = below(f);
    int rc = b->pMethods->xTruncate(b, size);
    if (rc != SQLITE_OK) {
        note(self(f), rc, true, "truncation of ");
    }
    return rc;
}

static int watch_sync(sqlite3_file *f, int flags)
{
    sqlite3_file *b = below(f);
    int rc = b->pMethods->xSync(b, flags);
    if (rc != SQLITE_OK) {
        note(self(f), rc, false, "sync of ");
    }
    return rc;
}

static int watch_file_size(sqlite3_file *f, sqlite3_int64 *ret_size)
{
    sqlite3_file *b = below(f);
    int rc = b->pMethods->xFileSize(b, ret_size);
    if (rc != SQLITE_OK) {
        note(self(f), rc, false, "size of ");
    }
    return rc;
}

static int watch_lock(sqlite3_file *f, int level)
{
    sqlite3_file *b = below(f);
    return b->pMethods->xLock(b, level);
}

static int watch_unlock(sqlite3_file *f, int level)
{
    sqlite3_file *b = below(f);
    return b->pMethods->xUnlock(b, level);
}

static int watch_check_lock(sqlite3_file *f, int *ret_answer)
{
    sqlite3_file *b = below(f);
    return b->pMethods->xCheckReservedLock(b, ret_answer);
}

static int watch_control(sqlite3_file *f, int op, void *p)
{
    sqlite3_file *b = below(f);
    if (op == TAKE_FAILURE) {
        struct file_failure *failure = self(f)->failure;
        *(struct file_failure *)p = *failure;
        failure->rc = SQLITE_OK;
        failure->no_space = false;
        return SQLITE_OK;
    }
    return b->pMethods->xFileControl(b, op, p);
}

static int watch_sector_size(sqlite3_file *f)
{
    sqlite3_file *b = below(f);
    return b->pMethods->xSectorSize(b);
}

static int watch_characteristics(sqlite3_file *f)
{
    sqlite3_file *b = below(f);
    return b->pMethods->xDeviceCharacteristics(b);
}

static int watch_shm_map(sqlite3_file *f, int page, int page_bytes, int extend, void volatile **ret_p)
{
    sqlite3_file *b = below(f);
    int rc = b->pMethods->xShmMap(b, page, page_bytes, extend, ret_p);
    if ((rc & 0xff) == SQLITE_IOERR || (rc & 0xff) == SQLITE_CANTOPEN) {
        note(self(f), rc, true, "shared memory of ");
    }
    return rc;
}

static int watch_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    sqlite3_file *b = below(f);
    return b->pMethods->xShmLock(b, offset, n, flags);
}

static void watch_shm_barrier(sqlite3_file *f)
{
    sqlite3_file *b = below(f);
    b->pMethods->xShmBarrier(b);
}

static int watch_shm_unmap(sqlite3_file *f, int delete_flag)
{
    sqlite3_file *b = below(f);
    return b->pMethods->xShmUnmap(b, delete_flag);
}

static int watch_fetch(sqlite3_file *f, sqlite3_int64 offset, int n, void **ret_p)
{
    sqlite3_file *b = below(f);
    return b->pMethods->xFetch(b, offset, n, ret_p);
}

static int watch_unfetch(sqlite3_file *f, sqlite3_int64 offset, void *p)
{
    sqlite3_file *b = below(f);
    return b->pMethods->xUnfetch(b, offset, p);
}

#define METHODS(version, ...)                                                                                \
    {                                                                                                        \
        .iVersion = version, .xClose = watch_close, .xRead = watch_read, .xWrite = watch_write,              \
        .xTruncate = watch_truncate, .xSync = watch_sync, .xFileSize = watch_file_size, .xLock = watch_lock, \
        .xUnlock = watch_unlock, .xCheckReservedLock = watch_check_lock, .xFileControl = watch_control,      \
        .xSectorSize = watch_sector_size, .xDeviceCharacteristics = watch_characteristics,                   \
        .xFetch = watch_fetch, .xUnfetch = watch_unfetch, __VA_ARGS__                                        \
    }
#define SHARED_MEMORY                                                                                        \
    .xShmMap = watch_shm_map, .xShmLock = watch_shm_lock, .xShmBarrier = watch_shm_barrier,                  \
    .xShmUnmap = watch_shm_unmap

/* By what the file below can do: SQLite takes no method of a higher version, and for shared memory it looks
 * at the pointers too. */
static const sqlite3_io_methods with_shared_memory[] = {METHODS(1), METHODS(2, SHARED_MEMORY),
                                                        METHODS(3, SHARED_MEMORY)};
static const sqlite3_io_methods without[] = {METHODS(1), METHODS(2), METHODS(3)};

int file_watch_open(sqlite3_vfs *under, struct file_failure *failure, const char *name, sqlite3_file *file,
                    int flags, int *ret_flags)
{
    struct watched *w = self(file);
    sqlite3_file *b = below(file);
    int rc;

    *w = (struct watched){.under = under, .failure = failure, .name = name};
    b->pMethods = NULL;
    rc = under->xOpen(under, name, b, flags, ret_flags);
    if (rc != SQLITE_OK) {
        note(w, rc, (flags & SQLITE_OPEN_CREATE) != 0, "opening of ");
    }
    if (b->pMethods != NULL) {
        int version = b->pMethods->iVersion < 3 ? b->pMethods->iVersion : 3;
        w->base.pMethods = b->pMethods->xShmMap != NULL && version >= 2 ? &with_shared_memory[version - 1]
                                                                        : &without[version - 1];
    }
    return rc;
}

bool file_watch_take(sqlite3 *db, struct file_failure *ret_failure)
{
    return sqlite3_file_control(db, "main", TAKE_FAILURE, ret_failure) == SQLITE_OK;
}
