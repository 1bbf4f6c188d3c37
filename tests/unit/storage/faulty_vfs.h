/* faulty_vfs: an SQLite VFS on the default one whose writes, syncs or shared memory fail when told to, and
 * which knows what is not synced. */
#ifndef QUORATE_TEST_STORAGE_FAULTY_VFS_H
#define QUORATE_TEST_STORAGE_FAULTY_VFS_H

#include <stdbool.h>

#define FAULTY_VFS "faulty"

void faulty_vfs_register(void);
void faulty_vfs_unregister(void);
/* From now on writes (syncs) return RC, an SQLite code; SQLITE_OK ends that. */
void faulty_vfs_fail_writes(int rc);
void faulty_vfs_fail_syncs(int rc);
/* The same for shared memory, with what the system says of it. */
void faulty_vfs_fail_shared_memory(int rc, int errno_value);
/* A WAL was written to since it was synced last. */
bool faulty_vfs_wal_is_dirty(void);
/* A database was written to while a WAL was dirty, since the last call. */
bool faulty_vfs_database_ran_ahead(void);

#endif
