/* fault_shim: a library for LD_PRELOAD that makes a node's disk fail: an error at the N-th write or sync, the
 * end of the process there, a full disk, a slow one; and a clock that is wrong. It does what fault_control.h
 * says, and without that file nothing. It does not see what goes through io_uring, so nodes under it run with
 * --no-io-uring.
 *
 * Every function here stands in for the C library's of that name, and hands on to it. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "tests/chaos/fault_control.h"

enum { BLOCK = 512 };

static struct fault_control *control;

#define REAL(name)                                                                                           \
    ({                                                                                                       \
        static __typeof__(&name) real_;                                                                      \
        if (real_ == NULL) {                                                                                 \
            real_ = (__typeof__(&name))dlsym(RTLD_NEXT, #name);                                              \
        }                                                                                                    \
        real_;                                                                                               \
    })

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv(FAULT_CONTROL_VARIABLE);
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    struct fault_control *mapped;

    if (fd < 0) {
        return;
    }
    mapped = mmap(NULL, sizeof *mapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped != MAP_FAILED && mapped->magic == FAULT_CONTROL_MAGIC) {
        control = mapped;
    }
}

/* Nothing is asked for: the calls go straight through. */
static bool quiet(void)
{
    return control == NULL || (atomic_load(&control->error_in) == 0 && atomic_load(&control->failed) == 0 &&
                               atomic_load(&control->delay_us) == 0 && atomic_load(&control->limited) == 0);
}

static const char *below_directory(const char *path)
{
    size_t n = strlen(control->directory);
    return strncmp(path, control->directory, n) == 0 && path[n] == '/' ? path + n : NULL;
}

/* False for what is no file of the node. */
static bool path_of(int fd, char path[PATH_MAX])
{
    char link[64];
    ssize_t n;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, PATH_MAX - 1);
    if (n < 0) {
        return false;
    }
    path[n] = 0;
    return below_directory(path) != NULL;
}

static bool hits(const char *path, enum fault_call call)
{
    int32_t left = atomic_load(&control->error_in);

    if (left == 0 || (control->calls & call) == 0 ||
        strstr(below_directory(path), control->pattern) == NULL) {
        return false;
    }
    while (left > 0 && !atomic_compare_exchange_weak(&control->error_in, &left, left - 1)) {
    }
    return left == 1;
}

/* Power goes on, the process does not: what it has given to the kernel stays. */
static void die(void)
{
    atomic_fetch_add(&control->kills, 1);
    kill(getpid(), SIGKILL);
    pause();
}

static void remember(const char *path)
{
    snprintf(control->failed_path, sizeof control->failed_path, "%s", path);
    atomic_fetch_add(&control->errors, 1);
    atomic_store(&control->failed, 1);
}

static void be_slow(const char *path)
{
    uint32_t us = atomic_load(&control->delay_us);
    struct timespec time = {.tv_sec = us / 1000000, .tv_nsec = (long)(us % 1000000) * 1000};

    if (us > 0 && strstr(below_directory(path), control->slow_pattern) != NULL) {
        nanosleep(&time, NULL);
    }
}

/* True: the call on the file must fail with errno as it is now, or, with control->error 0, be the last. */
static bool fails(const char *path, enum fault_call call)
{
    be_slow(path);
    if (hits(path, call)) {
        if (control->error == 0) {
            return true;
        }
        remember(path);
        errno = control->error;
        return true;
    }
    if (call == FAULT_SYNCS && atomic_load(&control->failed) && strcmp(path, control->failed_path) == 0) {
        atomic_fetch_add(&control->synced_after, 1);
    }
    return false;
}

/* A write up to END may make the file longer, if there is room. */
static bool is_full(int fd, off_t end)
{
    struct stat st;
    off_t more;

    if (!atomic_load(&control->limited) || fstat(fd, &st) != 0 || end <= st.st_size) {
        return false;
    }
    more = end - st.st_size;
    if (atomic_fetch_sub(&control->room, more) >= more) {
        return false;
    }
    atomic_fetch_add(&control->room, more);
    atomic_fetch_add(&control->refused, 1);
    errno = ENOSPC;
    return true;
}

/* Half of the write, if the process is to end with it. */
static ssize_t end_or_fail(int fd, const void *p, size_t n, off_t offset)
{
    if (control->error == 0) {
        ssize_t written = REAL(pwrite)(fd, p, n / 2 / BLOCK * BLOCK, offset);
        (void)written; /* a descriptor that takes only larger blocks writes nothing */
        die();
    }
    return -1;
}

static bool write_fails(int fd, const void *p, size_t n, off_t offset)
{
    char path[PATH_MAX];

    if (quiet() || !path_of(fd, path)) {
        return false;
    }
    if (fails(path, FAULT_WRITES)) {
        return end_or_fail(fd, p, n, offset) < 0;
    }
    return is_full(fd, offset + (off_t)n);
}

static bool sync_fails(int fd)
{
    char path[PATH_MAX];

    if (quiet() || !path_of(fd, path) || !fails(path, FAULT_SYNCS)) {
        return false;
    }
    if (control->error == 0) {
        die();
    }
    return true;
}

static void give_back(off_t bytes)
{
    if (control != NULL && atomic_load(&control->limited) && bytes > 0) {
        atomic_fetch_add(&control->room, bytes);
    }
}

ssize_t write(int fd, const void *p, size_t n)
{
    return !quiet() && write_fails(fd, p, n, lseek(fd, 0, SEEK_CUR)) ? -1 : REAL(write)(fd, p, n);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t offset)
{
    return write_fails(fd, p, n, offset) ? -1 : REAL(pwrite)(fd, p, n, offset);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t offset)
{
    return write_fails(fd, p, n, offset) ? -1 : REAL(pwrite64)(fd, p, n, offset);
}

static size_t total(const struct iovec *iov, int count)
{
    size_t n = 0;
    for (int i = 0; i < count; i++) {
        n += iov[i].iov_len;
    }
    return n;
}

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
    char path[PATH_MAX];

    if (!quiet() && path_of(fd, path)) {
        if (fails(path, FAULT_WRITES)) {
            return end_or_fail(fd, iov[0].iov_base, iov[0].iov_len, offset);
        }
        if (is_full(fd, offset + (off_t)total(iov, count))) {
            return -1;
        }
    }
    return REAL(pwritev)(fd, iov, count, offset);
}

int fsync(int fd)
{
    return sync_fails(fd) ? -1 : REAL(fsync)(fd);
}

int fdatasync(int fd)
{
    return sync_fails(fd) ? -1 : REAL(fdatasync)(fd);
}

static off_t size_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? st.st_size : 0;
}

int ftruncate(int fd, off_t size)
{
    off_t before = quiet() ? size : size_of(fd);
    int rv = REAL(ftruncate)(fd, size);
    give_back(rv == 0 ? before - size : 0);
    return rv;
}

int ftruncate64(int fd, off64_t size)
{
    off_t before = quiet() ? size : size_of(fd);
    int rv = REAL(ftruncate64)(fd, size);
    give_back(rv == 0 ? before - size : 0);
    return rv;
}

int unlink(const char *path)
{
    struct stat st;
    bool known = !quiet() && below_directory(path) != NULL && stat(path, &st) == 0;
    int rv = REAL(unlink)(path);
    give_back(rv == 0 && known ? st.st_blocks * BLOCK : 0);
    return rv;
}

static void limit_free(const char *path, unsigned long block, fsblkcnt_t *free_blocks, fsblkcnt_t *available)
{
    int64_t room;

    (void)path;
    if (control == NULL || !atomic_load(&control->limited)) {
        return;
    }
    room = atomic_load(&control->room);
    *free_blocks = *available = room > 0 ? (fsblkcnt_t)room / block : 0;
}

int statvfs(const char *path, struct statvfs *st)
{
    int rv = REAL(statvfs)(path, st);
    if (rv == 0) {
        limit_free(path, st->f_frsize, &st->f_bfree, &st->f_bavail);
    }
    return rv;
}

int statvfs64(const char *path, struct statvfs64 *st)
{
    int rv = REAL(statvfs64)(path, st);
    if (rv == 0) {
        limit_free(path, st->f_frsize, &st->f_bfree, &st->f_bavail);
    }
    return rv;
}

int clock_gettime(clockid_t which, struct timespec *ret_time)
{
    int rv = REAL(clock_gettime)(which, ret_time);
    if (rv == 0 && which == CLOCK_REALTIME && control != NULL) {
        ret_time->tv_sec += atomic_load(&control->clock_ahead_s);
    }
    return rv;
}
