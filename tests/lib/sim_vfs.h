/* sim_vfs: an SQLite VFS whose files are on a simulated machine's disk, so that database and WAL meet what
 * the disk does to them: lost and torn writes, errors, a full disk. It does not know what is in the database.
 * The simulator's own header; tests ask sim_node_vfs() (sim.h).
 *
 * A connection belongs to the process that was running when it was opened. When that is gone, every call on
 * it fails or, where it lets something go, only does that: so a connection is closed after a crash by the
 * ordinary sqlite3_close(), and touches nothing. Locks and shared memory die with the process, after a kill
 * too: the next process that opens the database recovers its WAL. Shared memory takes no room on the disk.
 *
 * Nobody waits: all connections run in one thread, so a lock that another holds is SQLITE_BUSY, and the busy
 * handler's sleep only adds to the time that the piece of work takes.
 *
 * What it tells SQLite about the disk is what sim_file.h does: sectors of 512 bytes, and a write leaves the
 * bytes beside it alone (SQLITE_IOCAP_POWERSAFE_OVERWRITE). Like SQLite's own VFS it refuses a write of 128
 * KiB or more, with SQLITE_FULL. SQLite's own random numbers (the salts of a WAL)
 * come from the simulation's generator. */
#ifndef QUORATE_TESTS_LIB_SIM_VFS_H
#define QUORATE_TESTS_LIB_SIM_VFS_H

struct sim_node;
struct sim_vfs;

/* Registers it, under a name that no other VFS of the process has. */
struct sim_vfs *sim_vfs_new(struct sim_node *node);
/* Unregisters it. Every connection is closed. NULL is fine. */
void sim_vfs_free(struct sim_vfs *v);
const char *sim_vfs_name(const struct sim_vfs *v);

#endif
