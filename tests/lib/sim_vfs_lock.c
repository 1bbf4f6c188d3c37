#include "tests/lib/sim_vfs_lock.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/sched.h"

struct sim_database *sim_database_join(struct list *databases, struct sim_world *world, const char *path)
{
    struct sim_database *b;
    LIST_EACH (databases, l) {
        b = CONTAINER_OF(l, struct sim_database, link);
        if (b->world == world && strcmp(b->path, path) == 0) {
            b->users++;
            return b;
        }
    }
    b = sim_alloc(sizeof *b);
    b->world = world;
    b->path = sim_strdup(path);
    b->users = 1;
    list_push(databases, &b->link);
    return b;
}

static void forget_index(struct sim_database *b)
{
    for (int i = 0; i < b->n_regions; i++) {
        free(b->regions[i]);
    }
    free(b->regions);
    b->regions = NULL;
    b->n_regions = 0;
}

void sim_database_leave(struct sim_holder *holder)
{
    struct sim_database *b = holder->database;
    sim_database_unmap(holder);
    sim_database_unlock(holder, SQLITE_LOCK_NONE);
    holder->database = NULL;
    if (--b->users == 0) {
        list_remove(&b->link);
        free(b->path);
        free(b);
    }
}

int sim_database_lock(struct sim_holder *holder, int level)
{
    struct sim_database *b = holder->database;
    bool other = b->most != NULL && b->most != holder;
    if (holder->level >= level) {
        return SQLITE_OK;
    }
    if (level == SQLITE_LOCK_SHARED) {
        if (other && b->most->level >= SQLITE_LOCK_PENDING) {
            return SQLITE_BUSY;
        }
        b->shared++;
        holder->level = SQLITE_LOCK_SHARED;
        return SQLITE_OK;
    }
    assert(holder->level >= SQLITE_LOCK_SHARED);
    if (other) {
        return SQLITE_BUSY;
    }
    b->most = holder;
    if (level == SQLITE_LOCK_EXCLUSIVE && b->shared > 1) {
        holder->level = SQLITE_LOCK_PENDING; /* nobody new may read; the others finish */
        return SQLITE_BUSY;
    }
    holder->level = level;
    return SQLITE_OK;
}

void sim_database_unlock(struct sim_holder *holder, int level)
{
    struct sim_database *b = holder->database;
    if (holder->level <= level) {
        return;
    }
    if (b->most == holder) {
        b->most = NULL;
    }
    b->shared -= level == SQLITE_LOCK_NONE;
    holder->level = level;
}

bool sim_database_reserved(const struct sim_holder *holder)
{
    return holder->database->most != NULL;
}

void sim_database_map(struct sim_holder *holder, int region, int bytes, bool made, volatile void **ret_region)
{
    struct sim_database *b = holder->database;
    b->mapped += !holder->maps;
    holder->maps = true;
    if (region >= b->n_regions && made) {
        b->regions = realloc(b->regions, (size_t)(region + 1) * sizeof *b->regions);
        assert(b->regions != NULL);
        while (b->n_regions <= region) {
            b->regions[b->n_regions++] = sim_alloc((size_t)bytes);
        }
    }
    *ret_region = region < b->n_regions ? b->regions[region] : NULL;
}

void sim_database_unmap(struct sim_holder *holder)
{
    struct sim_database *b = holder->database;
    if (!holder->maps) {
        return;
    }
    sim_database_shm_unlock(holder, 0, SQLITE_SHM_NLOCK);
    holder->maps = false;
    if (--b->mapped == 0) {
        forget_index(b);
    }
}

int sim_database_shm_lock(struct sim_holder *holder, int first, int n, bool alone)
{
    struct sim_database *b = holder->database;
    for (int i = first; i < first + n; i++) {
        bool mine = (holder->reads >> i & 1) != 0;
        bool taken = b->alone[i] != NULL && b->alone[i] != holder;
        if (taken || (alone && b->readers[i] > mine)) {
            return SQLITE_BUSY;
        }
    }
    for (int i = first; i < first + n; i++) {
        if (alone) {
            b->alone[i] = holder;
        } else if ((holder->reads >> i & 1) == 0) {
            holder->reads |= 1u << i;
            b->readers[i]++;
        }
    }
    return SQLITE_OK;
}

void sim_database_shm_unlock(struct sim_holder *holder, int first, int n)
{
    struct sim_database *b = holder->database;
    for (int i = first; i < first + n; i++) {
        if (b->alone[i] == holder) {
            b->alone[i] = NULL;
        }
        if ((holder->reads >> i & 1) != 0) {
            holder->reads &= ~(1u << i);
            b->readers[i]--;
        }
    }
}
