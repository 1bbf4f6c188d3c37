#include "storage/clock_vfs.h"

#include <stdlib.h>

#include "base/object.h"
#include "base/plant.h"
#include "storage/file_watch.h"
#include "storage/vfs_layer.h"

enum { CLOCK_VFS_MAGIC = 0x51434c4b };

/* The Julian day that SQLite counts from, in ms before 1970, and the last ms of the year 9999. */
#define JULIAN_MS_OF_1970 INT64_C(210866760000000)
#define UNIX_MS_MAX       UINT64_C(253402300799999)
#define MS_A_DAY          86400000.0

struct clock_vfs {
    OBJECT_MAGIC;
    struct vfs_layer layer;
    sqlite3_int64 julian_ms;
    struct file_failure failure; /* of its files */
};

static struct clock_vfs *self(sqlite3_vfs *vfs)
{
    return CAST(struct clock_vfs, vfs->pAppData, CLOCK_VFS_MAGIC);
}

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
    struct clock_vfs *v = self(vfs);
    return file_watch_open(&v->layer, &v->failure, name, file, flags, ret_flags);
}

static int vfs_current_time(sqlite3_vfs *vfs, double *ret_days)
{
    *ret_days = (double)self(vfs)->julian_ms / MS_A_DAY;
    return SQLITE_OK;
}

static int vfs_current_time_ms(sqlite3_vfs *vfs, sqlite3_int64 *ret_ms)
{
    struct clock_vfs *v = self(vfs);

    if (PLANTED("apply_sees_the_machines_clock")) {
        return v->layer.under->xCurrentTimeInt64(v->layer.under, ret_ms);
    }
    *ret_ms = v->julian_ms;
    return SQLITE_OK;
}

int clock_vfs_new(const char *under, struct clock_vfs **ret_vfs, struct error *e)
{
    struct clock_vfs *v = calloc(1, sizeof *v);

    if (v == NULL) {
        return error_set(e, Q_NOMEM, "out of memory");
    }
    v->magic = CLOCK_VFS_MAGIC;
    int rc = vfs_layer_init(&v->layer, under, "clock", v, file_watch_bytes(), file_watch_methods(), e);
    if (rc == 0) {
        v->layer.vfs.xOpen = vfs_open;
        v->layer.vfs.xCurrentTime = vfs_current_time;
        v->layer.vfs.xCurrentTimeInt64 = vfs_current_time_ms;
        clock_vfs_set(v, 0);
        rc = vfs_layer_register(&v->layer, e);
    }
    if (rc != 0) {
        free(v);
        return rc;
    }
    *ret_vfs = v;
    return Q_OK;
}

void clock_vfs_free(struct clock_vfs *v)
{
    if (v != NULL) {
        vfs_layer_close(&v->layer);
        v->magic = 0;
        free(v);
    }
}

const char *clock_vfs_name(const struct clock_vfs *v)
{
    return v->layer.name;
}

void clock_vfs_set(struct clock_vfs *v, uint64_t time_ms)
{
    v->julian_ms = JULIAN_MS_OF_1970 + (sqlite3_int64)(time_ms < UNIX_MS_MAX ? time_ms : UNIX_MS_MAX);
}
