/* small_disk: a file system of its own that can be filled to the last byte, in a mount namespace of the
 * test's process: nobody else sees it, and it ends with the process. It does not know what is kept in it.
 *
 * Not every machine permits it: tmpfs needs root or user namespaces, ext4 root and loop devices. */
#ifndef QUORATE_TESTS_CLUSTER_SMALL_DISK_H
#define QUORATE_TESTS_CLUSTER_SMALL_DISK_H

#include <stdbool.h>
#include <stdint.h>

enum { SMALL_DISK_PATH_MAX = 128, SMALL_DISK_WHY_MAX = 256 };

enum small_disk_kind { SMALL_DISK_TMPFS, SMALL_DISK_EXT4 };

struct small_disk {
    enum small_disk_kind kind;
    char dir[SMALL_DISK_PATH_MAX];
    char image[SMALL_DISK_PATH_MAX]; /* of ext4 */
    char filler[SMALL_DISK_PATH_MAX];
    char why[SMALL_DISK_WHY_MAX];
};

/* False: it is not permitted here, and D->why says what failed. The process stays in its own mount namespace.
 */
bool small_disk_mount(struct small_disk *d, enum small_disk_kind kind, unsigned megabytes);
/* Nobody may have a file open in it. */
void small_disk_unmount(struct small_disk *d);

uint64_t small_disk_free_bytes(const struct small_disk *d);
/* Takes what is free now; what others free later stays free until the next call. */
void small_disk_fill(struct small_disk *d);
/* Gives all of that back. */
void small_disk_empty(struct small_disk *d);

#endif
