#include "tests/chaos/disk_faults.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int disk_faults_open(struct disk_faults *d, const char *path, const char *directory, struct error *e)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    void *mapped = MAP_FAILED;

    if (fd >= 0 && ftruncate(fd, sizeof *d->control) == 0) {
        mapped = mmap(NULL, sizeof *d->control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    if (mapped == MAP_FAILED) {
        error_errno(e, errno, "cannot make %s", path);
        if (fd >= 0) {
            close(fd);
        }
        return (int)e->code;
    }
    close(fd);
    d->control = mapped;
    d->control->magic = FAULT_CONTROL_MAGIC;
    snprintf(d->control->directory, sizeof d->control->directory, "%s", directory);
    return 0;
}

void disk_faults_close(struct disk_faults *d)
{
    if (d->control != NULL) {
        munmap(d->control, sizeof *d->control);
        d->control = NULL;
    }
}

static void arm(struct disk_faults *d, int error, unsigned calls, const char *pattern, int n)
{
    struct fault_control *c = d->control;

    disk_faults_forget_error(d);
    snprintf(c->pattern, sizeof c->pattern, "%s", pattern);
    c->calls = calls;
    c->error = error;
    atomic_store(&c->error_in, n);
}

void disk_faults_error(struct disk_faults *d, unsigned calls, const char *pattern, int n)
{
    arm(d, EIO, calls, pattern, n);
}

void disk_faults_kill(struct disk_faults *d, unsigned calls, const char *pattern, int n)
{
    arm(d, 0, calls, pattern, n);
}

bool disk_faults_disarm(struct disk_faults *d)
{
    return atomic_exchange(&d->control->error_in, 0) != 0;
}

bool disk_faults_has_failed(const struct disk_faults *d, const char **ret_path)
{
    if (!atomic_load(&d->control->failed)) {
        return false;
    }
    *ret_path = d->control->failed_path;
    return true;
}

unsigned disk_faults_synced_after(const struct disk_faults *d)
{
    return atomic_load(&d->control->synced_after);
}

void disk_faults_slow(struct disk_faults *d, const char *pattern, unsigned us)
{
    snprintf(d->control->slow_pattern, sizeof d->control->slow_pattern, "%s", pattern);
    atomic_store(&d->control->delay_us, us);
}

void disk_faults_full(struct disk_faults *d, long room)
{
    atomic_store(&d->control->room, room);
    atomic_store(&d->control->limited, 1);
}

void disk_faults_not_full(struct disk_faults *d)
{
    atomic_store(&d->control->limited, 0);
}

void disk_faults_clock(struct disk_faults *d, int64_t ahead_s)
{
    atomic_store(&d->control->clock_ahead_s, ahead_s);
}

void disk_faults_count(const struct disk_faults *d, uint64_t *errors, uint64_t *kills, uint64_t *refused)
{
    *errors += atomic_load(&d->control->errors);
    *kills += atomic_load(&d->control->kills);
    *refused += atomic_load(&d->control->refused);
}

void disk_faults_forget_error(struct disk_faults *d)
{
    atomic_store(&d->control->error_in, 0);
    atomic_store(&d->control->failed, 0);
    atomic_store(&d->control->synced_after, 0);
}
