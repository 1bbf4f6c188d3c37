/* sim_vfs_lock: what the connections of one simulated process share about one database file: SQLite's five
 * lock levels, the locks of a WAL's index, and that index itself, in memory. It does not know files. The
 * simulator's own header. Results are SQLite's codes. */
#ifndef QUORATE_TESTS_LIB_SIM_VFS_LOCK_H
#define QUORATE_TESTS_LIB_SIM_VFS_LOCK_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct sim_world;

struct sim_database {
    struct list link;        /* in sim_vfs */
    struct sim_world *world; /* the process */
    char *path;
    unsigned users;          /* open files */
    unsigned shared;         /* of those, how many hold SHARED or more */
    struct sim_holder *most; /* the one that holds RESERVED or more, or NULL */
    uint8_t **regions;       /* of the WAL's index */
    int n_regions;
    unsigned mapped; /* how many see the index */
    unsigned readers[SQLITE_SHM_NLOCK];
    const struct sim_holder *alone[SQLITE_SHM_NLOCK];
};

/* One connection's part. A zeroed one holds nothing. */
struct sim_holder {
    struct sim_database *database;
    int level; /* SQLITE_LOCK_NONE to SQLITE_LOCK_EXCLUSIVE */
    bool maps;
    unsigned reads; /* one bit per WAL lock that it shares */
};

/* The one of that process and path in LIST, made if need be. */
struct sim_database *sim_database_join(struct list *databases, struct sim_world *world, const char *path);
/* Freed by the last one. Lets go of everything that HOLDER holds. */
void sim_database_leave(struct sim_holder *holder);

int sim_database_lock(struct sim_holder *holder, int level);
void sim_database_unlock(struct sim_holder *holder, int level);
bool sim_database_reserved(const struct sim_holder *holder);

/* NULL in RET_REGION when there is none and it is not to be MADE. */
void sim_database_map(struct sim_holder *holder, int region, int bytes, bool made,
                      volatile void **ret_region);
void sim_database_unmap(struct sim_holder *holder);
int sim_database_shm_lock(struct sim_holder *holder, int first, int n, bool alone);
void sim_database_shm_unlock(struct sim_holder *holder, int first, int n);

#endif
