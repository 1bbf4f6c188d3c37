#include "node/env/env_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/plant.h"

enum { FILE_MAGIC = 0xf11e0001, FILE_MODE = 0600, DIR_MODE = 0700 };

static int open_retry(const char *path, int flags)
{
    int fd;

    do {
        fd = open(path, flags | O_CLOEXEC, FILE_MODE);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

static bool same_file(int a, int b)
{
    struct stat x, y;

    return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* A second descriptor of the same file, past the page cache; -1 where that cannot be had. */
static int open_direct(const char *path, int flags, int plain)
{
    int fd = open_retry(path, (flags & ~(O_CREAT | O_EXCL)) | O_DIRECT);

    if (fd >= 0 && !same_file(fd, plain)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static struct env_file *file_new(const char *path)
{
    size_t n = strlen(path) + 1;
    struct env_file *f = calloc(1, sizeof *f + n);

    if (f != NULL) {
        f->magic = FILE_MAGIC;
        f->fd = f->direct_fd = -1;
        memcpy(f->path, path, n);
    }
    return f;
}

int env_disk_open(struct env *env, const char *path, unsigned flags, struct env_file **ret_file,
                  struct error *e)
{
    struct env_file *f = file_new(path);
    int how = flags & ENV_WRITE ? O_RDWR : O_RDONLY;
    int rc;

    (void)env;
    if (f == NULL) {
        return error_set(e, Q_NOMEM, "cannot open %s: out of memory", path);
    }
    how |= flags & ENV_CREATE ? O_CREAT | O_EXCL : 0;
    how |= flags & ENV_DURABLE && !PLANTED("durable_files_are_not_synced") ? O_DSYNC : 0;
    f->durable = (flags & ENV_DURABLE) != 0;
    f->fd = open_retry(path, how);
    if (f->fd < 0) {
        rc = errno == EEXIST ? error_set(e, Q_CONFLICT, "cannot make %s: it exists", path)
                             : error_errno(e, errno, "cannot open %s", path);
        env_disk_close(f);
        return rc;
    }
    if (flags & ENV_DIRECT) {
        f->direct_fd = open_direct(path, how, f->fd);
    }
    *ret_file = f;
    return 0;
}

void env_disk_close(struct env_file *f)
{
    if (f == NULL) {
        return;
    }
    assert(f->magic == FILE_MAGIC && f->writes_in_flight == 0);
    /* What must survive was synced before, so a late error of close() says nothing that matters. */
    if (f->fd >= 0) {
        close(f->fd);
    }
    if (f->direct_fd >= 0) {
        close(f->direct_fd);
    }
    f->magic = 0;
    free(f);
}

int env_disk_size(struct env_file *f, uint64_t *ret_size, struct error *e)
{
    struct stat st;

    if (fstat(f->fd, &st) != 0) {
        return error_errno(e, errno, "cannot get the size of %s", f->path);
    }
    *ret_size = (uint64_t)st.st_size;
    return 0;
}

int env_disk_read(struct env_file *f, uint64_t offset, void *p, size_t n, size_t *ret_n, struct error *e)
{
    size_t got = 0;

    while (got < n) {
        ssize_t r = pread(f->fd, (char *)p + got, n - got, (off_t)(offset + got));

        if (r < 0 && errno == EINTR) {
            continue;
        }
        if (r < 0) {
            return error_errno(e, errno, "read of %zu bytes at offset %" PRIu64 " of %s", n - got,
                               offset + got, f->path);
        }
        if (r == 0) {
            break;
        }
        got += (size_t)r;
    }
    *ret_n = got;
    return 0;
}

int env_disk_write_error(const struct env_file *f, uint64_t offset, size_t n, int errno_value,
                         struct error *e)
{
    return error_errno(e, errno_value, "write of %zu bytes at offset %" PRIu64 " of %s", n, offset, f->path);
}

int env_disk_write(struct env_file *f, uint64_t offset, const void *p, size_t n, struct error *e)
{
    size_t put = 0;

    while (put < n) {
        ssize_t r = pwrite(f->fd, (const char *)p + put, n - put, (off_t)(offset + put));

        if (r < 0 && errno == EINTR) {
            continue;
        }
        if (r <= 0) {
            return env_disk_write_error(f, offset + put, n - put, r < 0 ? errno : EIO, e);
        }
        put += (size_t)r;
    }
    return 0;
}

int env_disk_write_fd(const struct env_file *f, const void *data, size_t len, uint64_t offset)
{
    bool aligned = (uintptr_t)data % ENV_BLOCK == 0 && len % ENV_BLOCK == 0 && offset % ENV_BLOCK == 0;

    assert(f->magic == FILE_MAGIC);
    return aligned && f->direct_fd >= 0 ? f->direct_fd : f->fd;
}

int env_disk_sync(struct env_file *f, struct error *e)
{
    /* Also writes the metadata that is needed to read the data back, such as a new size. */
    if (fdatasync(f->fd) != 0) {
        return error_errno(e, errno, "cannot sync %s", f->path);
    }
    return 0;
}

int env_disk_rename(struct env *env, const char *from, const char *to, struct error *e)
{
    (void)env;
    if (rename(from, to) != 0) {
        return error_errno(e, errno, "cannot rename %s to %s", from, to);
    }
    return 0;
}

int env_disk_unlink(struct env *env, const char *path, struct error *e)
{
    (void)env;
    if (unlink(path) != 0) {
        return error_errno(e, errno, "cannot unlink %s", path);
    }
    return 0;
}

int env_disk_make_dir(struct env *env, const char *path, struct error *e)
{
    struct stat st;

    (void)env;
    if (mkdir(path, DIR_MODE) == 0) {
        return 0;
    }
    if (errno != EEXIST) {
        return error_errno(e, errno, "cannot make directory %s", path);
    }
    if (stat(path, &st) != 0) {
        return error_errno(e, errno, "cannot make directory %s", path);
    }
    if (!S_ISDIR(st.st_mode)) {
        return error_set(e, Q_CONFLICT, "cannot make directory %s: a file of that name exists", path);
    }
    return 0;
}

int env_disk_sync_dir(struct env *env, const char *path, struct error *e)
{
    int fd = open_retry(path, O_RDONLY | O_DIRECTORY);
    int rc = 0;

    (void)env;
    if (fd < 0) {
        return error_errno(e, errno, "cannot open directory %s", path);
    }
    if (fsync(fd) != 0) {
        rc = error_errno(e, errno, "cannot sync directory %s", path);
    }
    close(fd);
    return rc;
}

int env_disk_list_dir(struct env *env, const char *path, void (*each)(void *ctx, const char *name), void *ctx,
                      struct error *e)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    int rc = 0;

    (void)env;
    if (dir == NULL) {
        return error_errno(e, errno, "cannot open directory %s", path);
    }
    while (errno = 0, (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            each(ctx, entry->d_name);
        }
    }
    if (errno != 0) {
        rc = error_errno(e, errno, "cannot list directory %s", path);
    }
    closedir(dir);
    return rc;
}

int env_disk_lock(struct env *env, const char *path, struct env_file **ret_file, struct error *e)
{
    struct env_file *f = file_new(path);
    int rc;

    (void)env;
    if (f == NULL) {
        return error_set(e, Q_NOMEM, "cannot lock %s: out of memory", path);
    }
    f->fd = open_retry(path, O_RDWR | O_CREAT);
    if (f->fd < 0) {
        rc = error_errno(e, errno, "cannot open %s", path);
        goto fail;
    }
    /* Of the open file and not of the process: a second lock in this process conflicts too, and closing some
     * other descriptor of the file does not drop it. */
    if (flock(f->fd, LOCK_EX | LOCK_NB) != 0) {
        rc = errno == EWOULDBLOCK ? error_set(e, Q_CONFLICT, "%s is locked by another process", path)
                                  : error_errno(e, errno, "cannot lock %s", path);
        goto fail;
    }
    *ret_file = f;
    return 0;

fail:
    env_disk_close(f);
    return rc;
}

int env_disk_space(struct env *env, const char *path, uint64_t *ret_free, struct error *e)
{
    struct statvfs st;

    (void)env;
    if (statvfs(path, &st) != 0) {
        return error_errno(e, errno, "cannot get the free space of the file system of %s", path);
    }
    /* Not f_bfree: what is kept for root is not ours, whoever we are. */
    *ret_free = (uint64_t)st.f_bavail * st.f_frsize;
    return 0;
}
