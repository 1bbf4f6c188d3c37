#include "storage/file_watch.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* An opcode for sqlite3_file_control() that nobody else has. */
enum { TAKE_FAILURE = 0x51464c57 };

struct watched {
    struct vfs_layer_file file;
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
    return self(file)->file.below;
}

int file_watch_bytes(void)
{
    return (int)sizeof(struct watched);
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

static int watch_shm_map(sqlite3_file *f, int page, int page_bytes, int extend, void volatile **ret_p)
{
    sqlite3_file *b = below(f);
    int rc = b->pMethods->xShmMap(b, page, page_bytes, extend, ret_p);
    if ((rc & 0xff) == SQLITE_IOERR || (rc & 0xff) == SQLITE_CANTOPEN) {
        note(self(f), rc, true, "shared memory of ");
    }
    return rc;
}

const sqlite3_io_methods *file_watch_methods(void)
{
    static const sqlite3_io_methods methods = {
        .xRead = watch_read,
        .xWrite = watch_write,
        .xTruncate = watch_truncate,
        .xSync = watch_sync,
        .xFileSize = watch_file_size,
        .xFileControl = watch_control,
        .xShmMap = watch_shm_map,
    };
    return &methods;
}

int file_watch_open(struct vfs_layer *layer, struct file_failure *failure, const char *name,
                    sqlite3_file *file, int flags, int *ret_flags)
{
    struct watched *w = self(file);

    *w = (struct watched){.under = layer->under, .failure = failure, .name = name};
    int rc = vfs_layer_open(layer, name, &w->file, flags, ret_flags);
    if (rc != SQLITE_OK) {
        note(w, rc, (flags & SQLITE_OPEN_CREATE) != 0, "opening of ");
    }
    return rc;
}

bool file_watch_take(sqlite3 *db, struct file_failure *ret_failure)
{
    return sqlite3_file_control(db, "main", TAKE_FAILURE, ret_failure) == SQLITE_OK;
}
