/* faulty_vfs: an SQLite VFS on the default one whose writes or syncs fail when told to. */
#ifndef QUORATE_TEST_STORAGE_FAULTY_VFS_H
#define QUORATE_TEST_STORAGE_FAULTY_VFS_H

#define FAULTY_VFS "faulty"

void faulty_vfs_register(void);
void faulty_vfs_unregister(void);
/* From now on writes (syncs) return RC, an SQLite code; SQLITE_OK ends that. */
void faulty_vfs_fail_writes(int rc);
void faulty_vfs_fail_syncs(int rc);

#endif
