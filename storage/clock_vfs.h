/* clock_vfs: an SQLite VFS for one connection. It stands on another and differs from it in two things: its
 * clock shows the time that was set, and its files remember how the disk failed them (file_watch.h). It does
 * not know where that time comes from.
 *
 * The connection may be used by one thread at a time, and clock_vfs_set() counts as use. */
#ifndef QUORATE_STORAGE_CLOCK_VFS_H
#define QUORATE_STORAGE_CLOCK_VFS_H

#include <stdint.h>

#include "base/error.h"

struct clock_vfs;

/* Registers it, under a name that no other object of the process has. UNDER is the name of the VFS below
 * (NULL: the default one), which must stay registered. The clock starts at 0. Errors: Q_NOT_FOUND there is no
 * VFS of that name; Q_NOMEM. */
int clock_vfs_new(const char *under, struct clock_vfs **ret_vfs, struct error *e);
/* Unregisters it; no connection may use it any more. NULL is fine. */
void clock_vfs_free(struct clock_vfs *v);

/* For sqlite3_open_v2(); lives as long as V. */
const char *clock_vfs_name(const struct clock_vfs *v);
/* Unix time in ms. SQLite reads it once a statement. Times after the year 9999 are taken for its last ms,
 * because SQLite's date functions know none. */
void clock_vfs_set(struct clock_vfs *v, uint64_t time_ms);

#endif
