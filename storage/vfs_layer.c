#include "storage/vfs_layer.h"

#include <stdbool.h>
#include <stdio.h>

#include "base/object.h"

static struct vfs_layer *self(sqlite3_vfs *vfs)
{
    return CONTAINER_OF(vfs, struct vfs_layer, vfs);
}

static sqlite3_file *below(sqlite3_file *f)
{
    return ((struct vfs_layer_file *)(void *)f)->below;
}

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
    return vfs_layer_open(self(vfs), name, (struct vfs_layer_file *)(void *)file, flags, ret_flags);
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync_dir)
{
    sqlite3_vfs *u = self(vfs)->under;
    return u->xDelete(u, name, sync_dir);
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret_answer)
{
    sqlite3_vfs *u = self(vfs)->under;
    return u->xAccess(u, name, flags, ret_answer);
}

static int vfs_full_pathname(sqlite3_vfs *vfs, const char *name, int n, char *ret_path)
{
    sqlite3_vfs *u = self(vfs)->under;
    return u->xFullPathname(u, name, n, ret_path);
}

static void *vfs_dl_open(sqlite3_vfs *vfs, const char *name)
{
    sqlite3_vfs *u = self(vfs)->under;
    return u->xDlOpen(u, name);
}

static void vfs_dl_error(sqlite3_vfs *vfs, int n, char *ret_text)
{
    sqlite3_vfs *u = self(vfs)->under;
    u->xDlError(u, n, ret_text);
}

static void (*vfs_dl_sym(sqlite3_vfs *vfs, void *library, const char *symbol))(void)
{
    sqlite3_vfs *u = self(vfs)->under;
    return u->xDlSym(u, library, symbol);
}

static void vfs_dl_close(sqlite3_vfs *vfs, void *library)
{
    sqlite3_vfs *u = self(vfs)->under;
    u->xDlClose(u, library);
}

static int vfs_randomness(sqlite3_vfs *vfs, int n, char *ret_bytes)
{
    sqlite3_vfs *u = self(vfs)->under;
    return u->xRandomness(u, n, ret_bytes);
}

static int vfs_sleep(sqlite3_vfs *vfs, int us)
{
    sqlite3_vfs *u = self(vfs)->under;
    return u->xSleep(u, us);
}

static int vfs_last_error(sqlite3_vfs *vfs, int n, char *ret_text)
{
    sqlite3_vfs *u = self(vfs)->under;
    return u->xGetLastError != NULL ? u->xGetLastError(u, n, ret_text) : 0;
}

static int vfs_set_system_call(sqlite3_vfs *vfs, const char *name, sqlite3_syscall_ptr call)
{
    sqlite3_vfs *u = self(vfs)->under;
    return u->xSetSystemCall(u, name, call);
}

static sqlite3_syscall_ptr vfs_get_system_call(sqlite3_vfs *vfs, const char *name)
{
    sqlite3_vfs *u = self(vfs)->under;
    return u->xGetSystemCall(u, name);
}

static const char *vfs_next_system_call(sqlite3_vfs *vfs, const char *name)
{
    sqlite3_vfs *u = self(vfs)->under;
    return u->xNextSystemCall(u, name);
}

static int vfs_current_time(sqlite3_vfs *vfs, double *ret_days)
{
    sqlite3_vfs *u = self(vfs)->under;
    return u->xCurrentTime(u, ret_days);
}

static int vfs_current_time_ms(sqlite3_vfs *vfs, sqlite3_int64 *ret_ms)
{
    sqlite3_vfs *u = self(vfs)->under;
    return u->xCurrentTimeInt64(u, ret_ms);
}

static int file_close(sqlite3_file *f)
{
    sqlite3_file *b = below(f);
    return b->pMethods->xClose(b);
}

static int file_read(sqlite3_file *f, void *p, int n, sqlite3_int64 offset)
{
    sqlite3_file *b = below(f);
    return b->pMethods->xRead(b, p, n, offset);
}

static int file_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 offset)
{
    sqlite3_file *b = below(f);
    return b->pMethods->xWrite(b, p, n, offset);
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    sqlite3_file *b = below(f);
    return b->pMethods->xTruncate(b, size);
}

static int file_sync(sqlite3_file *f, int flags)
{
    sqlite3_file *b = below(f);
    return b->pMethods->xSync(b, flags);
}

static int file_file_size(sqlite3_file *f, sqlite3_int64 *ret_size)
{
    sqlite3_file *b = below(f);
    return b->pMethods->xFileSize(b, ret_size);
}

static int file_lock(sqlite3_file *f, int level)
{
    sqlite3_file *b = below(f);
    return b->pMethods->xLock(b, level);
}

static int file_unlock(sqlite3_file *f, int level)
{
    sqlite3_file *b = below(f);
    return b->pMethods->xUnlock(b, level);
}

static int file_check_lock(sqlite3_file *f, int *ret_answer)
{
    sqlite3_file *b = below(f);
    return b->pMethods->xCheckReservedLock(b, ret_answer);
}

static int file_control(sqlite3_file *f, int op, void *p)
{
    sqlite3_file *b = below(f);
    return b->pMethods->xFileControl(b, op, p);
}

static int file_sector_size(sqlite3_file *f)
{
    sqlite3_file *b = below(f);
    return b->pMethods->xSectorSize(b);
}

static int file_characteristics(sqlite3_file *f)
{
    sqlite3_file *b = below(f);
    return b->pMethods->xDeviceCharacteristics(b);
}

static int file_shm_map(sqlite3_file *f, int page, int page_bytes, int extend, void volatile **ret_p)
{
    sqlite3_file *b = below(f);
    return b->pMethods->xShmMap(b, page, page_bytes, extend, ret_p);
}

static int file_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    sqlite3_file *b = below(f);
    return b->pMethods->xShmLock(b, offset, n, flags);
}

static void file_shm_barrier(sqlite3_file *f)
{
    sqlite3_file *b = below(f);
    b->pMethods->xShmBarrier(b);
}

static int file_shm_unmap(sqlite3_file *f, int delete_flag)
{
    sqlite3_file *b = below(f);
    return b->pMethods->xShmUnmap(b, delete_flag);
}

static int file_fetch(sqlite3_file *f, sqlite3_int64 offset, int n, void **ret_p)
{
    sqlite3_file *b = below(f);
    return b->pMethods->xFetch(b, offset, n, ret_p);
}

static int file_unfetch(sqlite3_file *f, sqlite3_int64 offset, void *p)
{
    sqlite3_file *b = below(f);
    return b->pMethods->xUnfetch(b, offset, p);
}

/* The methods of a file: OWN's, and those that pass on for the rest. */
static sqlite3_io_methods methods(const sqlite3_io_methods *own, int version, bool shared_memory)
{
#define PICK(method, passing) .method = own->method != NULL ? own->method : (passing)
    sqlite3_io_methods m = {
        .iVersion = version,
        PICK(xClose, file_close),
        PICK(xRead, file_read),
        PICK(xWrite, file_write),
        PICK(xTruncate, file_truncate),
        PICK(xSync, file_sync),
        PICK(xFileSize, file_file_size),
        PICK(xLock, file_lock),
        PICK(xUnlock, file_unlock),
        PICK(xCheckReservedLock, file_check_lock),
        PICK(xFileControl, file_control),
        PICK(xSectorSize, file_sector_size),
        PICK(xDeviceCharacteristics, file_characteristics),
        PICK(xFetch, file_fetch),
        PICK(xUnfetch, file_unfetch),
    };
    if (shared_memory) {
        m.xShmMap = own->xShmMap != NULL ? own->xShmMap : file_shm_map;
        m.xShmLock = own->xShmLock != NULL ? own->xShmLock : file_shm_lock;
        m.xShmBarrier = own->xShmBarrier != NULL ? own->xShmBarrier : file_shm_barrier;
        m.xShmUnmap = own->xShmUnmap != NULL ? own->xShmUnmap : file_shm_unmap;
    }
#undef PICK
    return m;
}

int vfs_layer_open(struct vfs_layer *l, const char *name, struct vfs_layer_file *file, int flags,
                   int *ret_flags)
{
    sqlite3_file *b = (sqlite3_file *)(void *)((char *)file + l->file_bytes);

    file->base.pMethods = NULL;
    file->below = b;
    b->pMethods = NULL;
    int rc = l->under->xOpen(l->under, name, b, flags, ret_flags);
    if (b->pMethods != NULL) {
        int version = b->pMethods->iVersion < VFS_LAYER_VERSIONS ? b->pMethods->iVersion : VFS_LAYER_VERSIONS;
        bool shared_memory = b->pMethods->xShmMap != NULL && version >= 2;
        file->base.pMethods = shared_memory ? &l->with_shared_memory[version - 1] : &l->without[version - 1];
    }
    return rc;
}

int vfs_layer_init(struct vfs_layer *l, const char *under, const char *kind, void *owner, int file_bytes,
                   const sqlite3_io_methods *own, struct error *e)
{
    sqlite3_vfs *u = sqlite3_vfs_find(under);

    if (u == NULL) {
        return error_set(e, Q_NOT_FOUND, "there is no SQLite VFS named %s",
                         under != NULL ? under : "(default)");
    }
    bool has_system_calls = u->iVersion >= 3 && u->xSetSystemCall != NULL && u->xGetSystemCall != NULL &&
                            u->xNextSystemCall != NULL;
    /* The address is unique among the objects that live. */
    snprintf(l->name, sizeof l->name, "quorate-%s-%p", kind, (void *)l);
    l->under = u;
    l->file_bytes = file_bytes;
    l->vfs = (sqlite3_vfs){
        .iVersion = has_system_calls ? 3 : 2,
        .szOsFile = file_bytes + u->szOsFile,
        .mxPathname = u->mxPathname,
        .zName = l->name,
        .pAppData = owner,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_pathname,
        .xDlOpen = u->xDlOpen != NULL ? vfs_dl_open : NULL,
        .xDlError = u->xDlError != NULL ? vfs_dl_error : NULL,
        .xDlSym = u->xDlSym != NULL ? vfs_dl_sym : NULL,
        .xDlClose = u->xDlClose != NULL ? vfs_dl_close : NULL,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_current_time,
        .xGetLastError = vfs_last_error,
        .xCurrentTimeInt64 = vfs_current_time_ms,
        .xSetSystemCall = has_system_calls ? vfs_set_system_call : NULL,
        .xGetSystemCall = has_system_calls ? vfs_get_system_call : NULL,
        .xNextSystemCall = has_system_calls ? vfs_next_system_call : NULL,
    };
    for (int i = 0; i < VFS_LAYER_VERSIONS; i++) {
        l->with_shared_memory[i] = methods(own, i + 1, i > 0);
        l->without[i] = methods(own, i + 1, false);
    }
    return 0;
}

int vfs_layer_register(struct vfs_layer *l, struct error *e)
{
    return sqlite3_vfs_register(&l->vfs, 0) == SQLITE_OK
               ? 0
               : error_set(e, Q_NOMEM, "SQLite cannot register the VFS %s", l->name);
}

void vfs_layer_close(struct vfs_layer *l)
{
    sqlite3_vfs_unregister(&l->vfs);
}
