#include "tests/cluster/small_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/test.h"

static bool give_up(struct small_disk *d, const char *what)
{
    snprintf(d->why, sizeof d->why, "%s: %s", what, strerror(errno));
    return false;
}

/* Writes one line of /proc/self. */
static bool tell_kernel(const char *path, const char *format, ...)
{
    char line[64];
    va_list args;
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    bool told = fd >= 0 && write(fd, line, (size_t)n) == n;
    if (fd >= 0) {
        close(fd);
    }
    return told;
}

static bool enter_namespace(struct small_disk *d)
{
    static bool entered;
    uid_t user = getuid();
    gid_t group = getgid();

    if (entered) {
        return true;
    }
    if (geteuid() == 0) {
        if (unshare(CLONE_NEWNS) != 0) {
            return give_up(d, "unshare of mounts");
        }
    } else if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
        return give_up(d, "unshare of users and mounts");
    } else if (!tell_kernel("/proc/self/setgroups", "deny") ||
               !tell_kernel("/proc/self/uid_map", "%u %u 1", (unsigned)user, (unsigned)user) ||
               !tell_kernel("/proc/self/gid_map", "%u %u 1", (unsigned)group, (unsigned)group)) {
        return give_up(d, "a map of users");
    }
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        return give_up(d, "private mounts");
    }
    entered = true;
    return true;
}

/* Runs a program to its end; whether it said that all is well. */
static bool run(const char *const *words)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        execvp(words[0], (char *const *)(uintptr_t)words);
        _exit(127);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool mount_ext4(struct small_disk *d, unsigned megabytes)
{
    const char *make[] = {"mkfs.ext4", "-q", "-F", d->image, NULL};
    const char *attach[] = {"mount", "-t", "ext4", "-o", "loop", d->image, d->dir, NULL};
    int fd;

    snprintf(d->image, sizeof d->image, "%.100s.ext4", d->dir);
    fd = open(d->image, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)megabytes << 20) != 0) {
        return give_up(d, d->image);
    }
    close(fd);
    errno = ENOTSUP;
    return (run(make) && run(attach)) || give_up(d, "mkfs.ext4 and mount -o loop");
}

static bool mount_tmpfs(struct small_disk *d, unsigned megabytes)
{
    char size[32];
    snprintf(size, sizeof size, "size=%um", megabytes);
    return mount("quorate-test", d->dir, "tmpfs", 0, size) == 0 || give_up(d, "mount of a tmpfs");
}

static void forget(struct small_disk *d)
{
    rmdir(d->dir);
    if (d->image[0] != 0) {
        unlink(d->image);
    }
}

bool small_disk_mount(struct small_disk *d, enum small_disk_kind kind, unsigned megabytes)
{
    bool mounted = false;

    memset(d, 0, sizeof *d);
    d->kind = kind;
    snprintf(d->dir, sizeof d->dir, "/tmp/quorate-disk-XXXXXX");
    assert_non_null(mkdtemp(d->dir));
    if (enter_namespace(d)) {
        mounted = kind == SMALL_DISK_EXT4 ? mount_ext4(d, megabytes) : mount_tmpfs(d, megabytes);
    }
    if (!mounted) {
        forget(d);
        return false;
    }
    snprintf(d->filler, sizeof d->filler, "%.100s/filler", d->dir);
    return true;
}

void small_disk_unmount(struct small_disk *d)
{
    assert_int_equal(umount2(d->dir, MNT_DETACH), 0);
    forget(d);
}

uint64_t small_disk_free_bytes(const struct small_disk *d)
{
    struct statvfs st;
    assert_int_equal(statvfs(d->dir, &st), 0);
    return (uint64_t)st.f_bavail * st.f_frsize;
}

void small_disk_fill(struct small_disk *d)
{
    static const char zeros[256 * 1024];
    int fd = open(d->filler, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    ssize_t n = sizeof zeros;

    assert_true(fd >= 0);
    while (n > 0 || errno == EINTR) {
        n = write(fd, zeros, sizeof zeros);
    }
    close(fd);
}

void small_disk_empty(struct small_disk *d)
{
    assert_int_equal(unlink(d->filler), 0);
}
