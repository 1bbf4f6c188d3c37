#include "storage/clock_vfs.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/object.h"
#include "base/plant.h"
#include "storage/file_watch.h"

enum { CLOCK_VFS_MAGIC = 0x51434c4b };

/* The Julian day that SQLite counts from, in ms before 1970, and the last ms of the year 9999. */
#define JULIAN_MS_OF_1970 INT64_C(210866760000000)
#define UNIX_MS_MAX       UINT64_C(253402300799999)
#define MS_A_DAY          86400000.0

struct clock_vfs {
    OBJECT_MAGIC;
    sqlite3_vfs vfs;
    sqlite3_vfs *under;
    sqlite3_int64 julian_ms;
    struct file_failure failure; /* of its files */
    char name[CLOCK_VFS_NAME_MAX];
};

static struct clock_vfs *self(sqlite3_vfs *vfs)
{
    return CAST(struct clock_vfs, vfs->pAppData, CLOCK_VFS_MAGIC);
}

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
    struct clock_vfs *v = self(vfs);
    return file_watch_open(v->under, &v->failure, name, file, flags, ret_flags);
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

static int vfs_current_time(sqlite3_vfs *vfs, double *ret_days)
{
    *ret_days = (double)self(vfs)->julian_ms / MS_A_DAY;
    return SQLITE_OK;
}

static int vfs_last_error(sqlite3_vfs *vfs, int n, char *ret_text)
{
    sqlite3_vfs *u = self(vfs)->under;
    return u->xGetLastError != NULL ? u->xGetLastError(u, n, ret_text) : 0;
}

static int vfs_current_time_ms(sqlite3_vfs *vfs, sqlite3_int64 *ret_ms)
{
    sqlite3_vfs *u = self(vfs)->under;
    if (PLANTED("apply_sees_the_machines_clock")) {
        return u->xCurrentTimeInt64(u, ret_ms);
    }
    *ret_ms = self(vfs)->julian_ms;
    return SQLITE_OK;
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

int clock_vfs_new(const char *under, struct clock_vfs **ret_vfs, struct error *e)
{
    sqlite3_vfs *u = sqlite3_vfs_find(under);
    struct clock_vfs *v;
    bool has_system_calls;

    if (u == NULL) {
        return error_set(e, Q_NOT_FOUND, "there is no SQLite VFS named %s",
                         under != NULL ? under : "(default)");
    }
    v = calloc(1, sizeof *v);
    if (v == NULL) {
        return error_set(e, Q_NOMEM, "out of memory");
    }
    /* The address is unique among the objects that live. */
    snprintf(v->name, sizeof v->name, "quorate-clock-%p", (void *)v);
    has_system_calls = u->iVersion >= 3 && u->xSetSystemCall != NULL && u->xGetSystemCall != NULL &&
                       u->xNextSystemCall != NULL;
    v->magic = CLOCK_VFS_MAGIC;
    v->under = u;
    v->vfs = (sqlite3_vfs){
        .iVersion = has_system_calls ? 3 : 2,
        .szOsFile = file_watch_size(u),
        .mxPathname = u->mxPathname,
        .zName = v->name,
        .pAppData = v,
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
    clock_vfs_set(v, 0);
    if (sqlite3_vfs_register(&v->vfs, 0) != SQLITE_OK) {
        free(v);
        return error_set(e, Q_NOMEM, "SQLite cannot register the clock VFS");
    }
    *ret_vfs = v;
    return Q_OK;
}

void clock_vfs_free(struct clock_vfs *v)
{
    if (v != NULL) {
        sqlite3_vfs_unregister(&v->vfs);
        v->magic = 0;
        free(v);
    }
}

const char *clock_vfs_name(const struct clock_vfs *v)
{
    return v->name;
}

void clock_vfs_set(struct clock_vfs *v, uint64_t time_ms)
{
    v->julian_ms = JULIAN_MS_OF_1970 + (sqlite3_int64)(time_ms < UNIX_MS_MAX ? time_ms : UNIX_MS_MAX);
}
