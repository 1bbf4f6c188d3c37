/* disk_faults: one node's disk, as the side that breaks it sees it: the other end of the fault shim. It does
 * not know what the node makes of it. */
#ifndef QUORATE_TESTS_CHAOS_DISK_FAULTS_H
#define QUORATE_TESTS_CHAOS_DISK_FAULTS_H

#include <stdbool.h>

#include "base/error.h"
#include "tests/chaos/fault_control.h"

struct disk_faults {
    struct fault_control *control;
};

/* Makes the control file at PATH, for a node whose data are in DIRECTORY. Errors: Q_IO. */
int disk_faults_open(struct disk_faults *d, const char *path, const char *directory, struct error *e);
void disk_faults_close(struct disk_faults *d);

/* The N-th of CALLS (enum fault_call) on a file whose path has PATTERN in it fails with EIO, once. */
void disk_faults_error(struct disk_faults *d, unsigned calls, const char *pattern, int n);
/* The process is killed at the N-th such call, in the middle of it if it is a write. */
void disk_faults_kill(struct disk_faults *d, unsigned calls, const char *pattern, int n);
/* It is not to happen any more. False: too late, it is happening. */
bool disk_faults_disarm(struct disk_faults *d);
/* True once that has happened; then the path. */
bool disk_faults_has_failed(const struct disk_faults *d, const char **ret_path);
/* How often the file that failed was synced again afterwards. */
unsigned disk_faults_synced_after(const struct disk_faults *d);
/* Writes and syncs of files whose path has PATTERN in it; 0: not. */
void disk_faults_slow(struct disk_faults *d, const char *pattern, unsigned us);
/* Files can grow by ROOM bytes together. */
void disk_faults_full(struct disk_faults *d, long room);
void disk_faults_not_full(struct disk_faults *d);
/* A new disk; what is slow or full stays so. For the next life of the process, before it starts. */
void disk_faults_forget_error(struct disk_faults *d);
/* The wall clock of the node, against ours. */
void disk_faults_clock(struct disk_faults *d, int64_t ahead_s);
/* In all lives: calls that failed with EIO, that were the last, and for which there was no room; added. */
void disk_faults_count(const struct disk_faults *d, uint64_t *errors, uint64_t *kills, uint64_t *refused);

#endif
