#include "tests/lib/sim_vfs.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/sim_env.h"
#include "tests/lib/sim_file.h"
#include "tests/lib/sim_handle.h"
#include "tests/lib/sim_vfs_lock.h"

#define VFS_MAGIC 0x5eed0008u

/* Ms before 1970 of the day that SQLite counts from. */
#define JULIAN_MS_OF_1970 INT64_C(210866760000000)
#define MS_A_DAY          86400000.0

enum {
    PATH_BYTES_MAX = 512,
    WRITE_BYTES_MAX = 0x1ffff, /* at once, as with SQLite's own VFS, which takes more for a full disk */
    FIRST_READER_LOCK = 3, /* of a WAL's index, behind those of the writer, the checkpoint and the recovery */
};

struct sim_vfs {
    OBJECT_MAGIC;
    sqlite3_vfs vfs;
    struct sim_node *node;
    struct list databases; /* struct sim_database */
    char name[40];
};

/* A file that SQLite has open. */
struct vfs_file {
    sqlite3_file base;
    struct sim_vfs *vfs;
    struct sim_world *world; /* of the process that opened it */
    struct env_file *file;   /* NULL: a temporary file that has no name: in MEMORY */
    struct sim_file memory;
    struct sim_holder holder; /* of a main database */
    char *unsynced; /* directory in which its name is to be made durable with the next sync, or NULL */
    char *doomed;   /* path to unlink at the close, or NULL */
};

static struct sim_vfs *self(sqlite3_vfs *vfs)
{
    return CAST(struct sim_vfs, vfs->pAppData, VFS_MAGIC);
}

static struct vfs_file *open_one(sqlite3_file *file)
{
    return (struct vfs_file *)(void *)file;
}

/* Of the process that runs now; NULL: there is none. */
static struct env *env_of(sqlite3_vfs *vfs)
{
    struct sim_world *w = self(vfs)->node->world;
    return w != NULL ? &w->env : NULL;
}

/* What SQLite hears of a failure: its own name for the operation, unless the disk is full. */
static int code_of(int rc, int ioerr)
{
    return rc == 0 ? SQLITE_OK : rc == Q_NO_SPACE ? SQLITE_FULL : rc == Q_NOMEM ? SQLITE_NOMEM : ioerr;
}

static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir = sim_strdup(path);
    dir[slash == NULL || slash == path ? 0 : slash - path] = '\0';
    if (dir[0] == '\0') {
        free(dir);
        dir = sim_strdup("/");
    }
    return dir;
}

static int file_close(sqlite3_file *file)
{
    struct vfs_file *f = open_one(file);
    if (f->holder.database != NULL) {
        sim_database_leave(&f->holder);
    }
    sim_handle_close(f->file);
    sim_file_close(&f->memory);
    free(f->unsynced);
    f->base.pMethods = NULL;
    return SQLITE_OK;
}

static int file_read(sqlite3_file *file, void *p, int n, sqlite3_int64 offset)
{
    struct vfs_file *f = open_one(file);
    size_t wanted = (size_t)n, got = 0;
    if (f->file == NULL) {
        got = sim_file_read(&f->memory, (uint64_t)offset, p, wanted);
    } else if (sim_handle_read(f->file, (uint64_t)offset, p, wanted, &got, NULL) != 0) {
        return SQLITE_IOERR_READ;
    }
    memset((uint8_t *)p + got, 0, wanted - got);
    return got < wanted ? SQLITE_IOERR_SHORT_READ : SQLITE_OK;
}

static int file_write(sqlite3_file *file, const void *p, int n, sqlite3_int64 offset)
{
    struct vfs_file *f = open_one(file);
    if (n > WRITE_BYTES_MAX) {
        return SQLITE_FULL;
    }
    if (f->file == NULL) {
        sim_file_write_safe(&f->memory, (uint64_t)offset, p, (size_t)n);
        return SQLITE_OK;
    }
    return code_of(sim_handle_write(f->file, (uint64_t)offset, p, (size_t)n, NULL), SQLITE_IOERR_WRITE);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct vfs_file *f = open_one(file);
    if (f->file == NULL) {
        sim_file_truncate(&f->memory, (uint64_t)size);
        return SQLITE_OK;
    }
    return code_of(sim_handle_truncate(f->file, (uint64_t)size, NULL), SQLITE_IOERR_TRUNCATE);
}

/* A journal's name must be as durable as what is in it. */
static int file_sync(sqlite3_file *file, int flags)
{
    struct vfs_file *f = open_one(file);
    int rc;
    (void)flags;
    if (f->file == NULL) {
        return SQLITE_OK;
    }
    rc = code_of(sim_handle_sync(f->file, NULL), SQLITE_IOERR_FSYNC);
    if (rc == SQLITE_OK && f->unsynced != NULL) {
        rc = code_of(sim_handle_sync_dir(&f->world->env, f->unsynced, NULL), SQLITE_IOERR_DIR_FSYNC);
        free(f->unsynced);
        f->unsynced = NULL;
    }
    return rc;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *ret_size)
{
    struct vfs_file *f = open_one(file);
    uint64_t size = f->memory.size_now;
    int rc = f->file == NULL ? 0 : sim_handle_size(f->file, &size, NULL);
    *ret_size = (sqlite3_int64)size;
    return code_of(rc, SQLITE_IOERR_FSTAT);
}

static int file_lock(sqlite3_file *file, int level)
{
    struct vfs_file *f = open_one(file);
    if (f->world->dead) {
        return SQLITE_IOERR_LOCK;
    }
    return f->holder.database == NULL ? SQLITE_OK : sim_database_lock(&f->holder, level);
}

static int file_unlock(sqlite3_file *file, int level)
{
    struct vfs_file *f = open_one(file);
    if (f->holder.database != NULL) {
        sim_database_unlock(&f->holder, level);
    }
    return SQLITE_OK;
}

static int file_check_reserved(sqlite3_file *file, int *ret_answer)
{
    struct vfs_file *f = open_one(file);
    if (f->world->dead) {
        return SQLITE_IOERR_CHECKRESERVEDLOCK;
    }
    *ret_answer = f->holder.database != NULL && sim_database_reserved(&f->holder);
    return SQLITE_OK;
}

static int file_control(sqlite3_file *file, int op, void *argument)
{
    (void)file;
    (void)op;
    (void)argument;
    return SQLITE_NOTFOUND;
}

static int file_sector_size(sqlite3_file *file)
{
    (void)file;
    return SIM_SECTOR;
}

static int file_characteristics(sqlite3_file *file)
{
    (void)file;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static int file_shm_map(sqlite3_file *file, int region, int bytes, int extend, volatile void **ret_region)
{
    struct vfs_file *f = open_one(file);
    if (f->world->dead) {
        return SQLITE_IOERR_SHMMAP;
    }
    sim_database_map(&f->holder, region, bytes, extend != 0, ret_region);
    return SQLITE_OK;
}

static int file_shm_lock(sqlite3_file *file, int first, int n, int flags)
{
    struct vfs_file *f = open_one(file);
    if ((flags & SQLITE_SHM_UNLOCK) != 0) {
        sim_database_shm_unlock(&f->holder, first, n);
        return SQLITE_OK;
    }
    if (f->world->dead) {
        return SQLITE_IOERR_SHMLOCK;
    }
    if ((flags & SQLITE_SHM_EXCLUSIVE) != 0 && first >= FIRST_READER_LOCK &&
        sched_chance(f->world->sched, f->world->node->wal_readers)) {
        return SQLITE_BUSY;
    }
    return sim_database_shm_lock(&f->holder, first, n, (flags & SQLITE_SHM_EXCLUSIVE) != 0);
}

static void file_shm_barrier(sqlite3_file *file)
{
    (void)file;
}

static int file_shm_unmap(sqlite3_file *file, int delete)
{
    (void)delete;
    sim_database_unmap(&open_one(file)->holder);
    return SQLITE_OK;
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

static int open_named(struct vfs_file *f, const char *path, int flags, bool *ret_made)
{
    bool writes = (flags & SQLITE_OPEN_READWRITE) != 0;
    unsigned how = writes ? ENV_WRITE : 0;
    int rc = sim_handle_open(&f->world->env, path, how, &f->file, NULL);
    *ret_made = rc == Q_NOT_FOUND && (flags & SQLITE_OPEN_CREATE) != 0;
    if (*ret_made) {
        rc = sim_handle_open(&f->world->env, path, how | ENV_CREATE, &f->file, NULL);
    }
    return code_of(rc, SQLITE_CANTOPEN);
}

static int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *ret_flags)
{
    struct vfs_file *f = open_one(file);
    const int journals = SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL;
    bool made = false;
    *f = (struct vfs_file){.vfs = self(vfs), .world = self(vfs)->node->world};
    if (f->world == NULL) {
        return SQLITE_CANTOPEN;
    }
    int rc = path == NULL ? SQLITE_OK : open_named(f, path, flags, &made);
    if (rc != SQLITE_OK) {
        return rc;
    }
    if ((flags & SQLITE_OPEN_MAIN_DB) != 0) {
        f->holder.database = sim_database_join(&f->vfs->databases, f->world, path);
    }
    if (made && (flags & journals) != 0) {
        f->unsynced = directory_of(path);
    }
    f->base.pMethods = &methods;
    if (ret_flags != NULL) {
        *ret_flags = flags;
    }
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *path, int sync_dir)
{
    struct env *env = env_of(vfs);
    int rc = env == NULL ? Q_CLOSED : sim_handle_unlink(env, path, NULL);
    if (rc == Q_NOT_FOUND) {
        return SQLITE_IOERR_DELETE_NOENT;
    }
    if (rc != 0) {
        return SQLITE_IOERR_DELETE;
    }
    if (sync_dir) {
        char *dir = directory_of(path);
        rc = sim_handle_sync_dir(env, dir, NULL);
        free(dir);
    }
    return code_of(rc, SQLITE_IOERR_DIR_FSYNC);
}

/* An empty file counts as none, as with SQLite's own VFS: a journal without a header is none. */
static int vfs_access(sqlite3_vfs *vfs, const char *path, int flags, int *ret_answer)
{
    struct env *env = env_of(vfs);
    uint64_t size = 0;
    int rc = env == NULL ? Q_CLOSED : sim_handle_stat(env, path, &size, NULL);
    if (rc != 0 && rc != Q_NOT_FOUND) {
        return SQLITE_IOERR_ACCESS;
    }
    *ret_answer = rc == 0 && (size > 0 || flags != SQLITE_ACCESS_EXISTS);
    return SQLITE_OK;
}

static int vfs_full_pathname(sqlite3_vfs *vfs, const char *path, int n, char *ret_path)
{
    (void)vfs;
    int length = snprintf(ret_path, (size_t)n, "%s%s", path[0] == '/' ? "" : "/", path);
    return length < n ? SQLITE_OK : SQLITE_CANTOPEN;
}

static int vfs_randomness(sqlite3_vfs *vfs, int n, char *ret_bytes)
{
    rng_fill(&self(vfs)->node->sched->rng, ret_bytes, (size_t)n);
    return n;
}

static int vfs_sleep(sqlite3_vfs *vfs, int us)
{
    struct sim_world *w = self(vfs)->node->world;
    if (w != NULL) {
        w->spent_us += (uint64_t)us;
    }
    return us;
}

static int vfs_current_time_ms(sqlite3_vfs *vfs, sqlite3_int64 *ret_ms)
{
    struct env *env = env_of(vfs);
    *ret_ms = JULIAN_MS_OF_1970 + (env != NULL ? (sqlite3_int64)env_wall_ms(env) : 0);
    return SQLITE_OK;
}

static int vfs_current_time(sqlite3_vfs *vfs, double *ret_days)
{
    sqlite3_int64 ms = 0;
    vfs_current_time_ms(vfs, &ms);
    *ret_days = (double)ms / MS_A_DAY;
    return SQLITE_OK;
}

static int vfs_last_error(sqlite3_vfs *vfs, int n, char *ret_text)
{
    (void)vfs;
    (void)n;
    (void)ret_text;
    return 0;
}

/* SQLite has one generator for the whole process; from here on it starts from SEED, or anew from the machine
 * when that is 0. */
static void seed_sqlite(int seed)
{
    sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, seed, (sqlite3 *)NULL);
}

struct sim_vfs *sim_vfs_new(struct sim_node *node)
{
    struct sim_vfs *v = sim_alloc(sizeof *v);
    v->magic = VFS_MAGIC;
    v->node = node;
    list_init(&v->databases);
    /* The address is unique among the objects that live. */
    snprintf(v->name, sizeof v->name, "sim-%p", (void *)v);
    v->vfs = (sqlite3_vfs){
        .iVersion = 2,
        .szOsFile = sizeof(struct vfs_file),
        .mxPathname = PATH_BYTES_MAX,
        .zName = v->name,
        .pAppData = v,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_pathname,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_current_time,
        .xGetLastError = vfs_last_error,
        .xCurrentTimeInt64 = vfs_current_time_ms,
    };
    int rc = sqlite3_vfs_register(&v->vfs, 0);
    assert(rc == SQLITE_OK);
    seed_sqlite((int)sched_random(node->sched, 1, INT32_MAX));
    return v;
}

void sim_vfs_free(struct sim_vfs *v)
{
    if (v != NULL) {
        assert(list_empty(&v->databases));
        sqlite3_vfs_unregister(&v->vfs);
        seed_sqlite(0);
        v->magic = 0;
        free(v);
    }
}

const char *sim_vfs_name(const struct sim_vfs *v)
{
    return v->name;
}
