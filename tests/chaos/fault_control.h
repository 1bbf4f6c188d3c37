/* fault_control: what the fault shim in a node's process and the program that makes faults share: a file that
 * both have mapped. It outlives the process, as a disk does. It does not know how the file is found. */
#ifndef QUORATE_TESTS_CHAOS_FAULT_CONTROL_H
#define QUORATE_TESTS_CHAOS_FAULT_CONTROL_H

#include <stdatomic.h>
#include <stdint.h>

/* The environment variable that names the file. */
#define FAULT_CONTROL_VARIABLE "FAULT_CONTROL"

enum { FAULT_CONTROL_MAGIC = 0x0fa17001, FAULT_PATH_MAX = 256, FAULT_PATTERN_MAX = 32 };

enum fault_call { FAULT_WRITES = 1, FAULT_SYNCS = 2 };

struct fault_control {
    uint32_t magic;
    char directory[FAULT_PATH_MAX]; /* only files below it are touched */

    /* One error: the so-many-th call from now on that fits; 0: none. Written before ERROR_IN. With ERROR 0
     * the process is killed there, in the middle of a write. */
    char pattern[FAULT_PATTERN_MAX]; /* part of the path below the directory; empty: any */
    uint32_t calls;                  /* of enum fault_call */
    int32_t error;
    _Atomic int32_t error_in;
    /* What came of it. */
    _Atomic uint32_t failed; /* 1 once a call has failed, and then FAILED_PATH is set */
    char failed_path[FAULT_PATH_MAX];
    _Atomic uint32_t synced_after; /* calls that synced that same file later, in the same life: a retry */

    /* A slow disk: every write and sync of files with this in their path takes so much longer. */
    char slow_pattern[FAULT_PATTERN_MAX];
    _Atomic uint32_t delay_us;

    /* A full disk: files can grow by so many bytes together, and by what is unlinked or cut. */
    _Atomic uint32_t limited;
    _Atomic int64_t room;
    /* The wall clock is so much ahead. */
    _Atomic int64_t clock_ahead_s;

    /* In all lives. */
    _Atomic uint32_t errors, kills, refused; /* calls that got an error, their end, ENOSPC */
};

#endif
