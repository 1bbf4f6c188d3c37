#include "raft_glue/log_swap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/plant.h"

enum { SWAP_PATH_MAX = 4096, SWAP_NAMES_MAX = 16 * 1024 * 1024 };

static const char log_name[] = "log", new_name[] = LOG_SWAP_NEW, mended_name[] = LOG_SWAP_MENDED,
                  damaged_name[] = "log.damaged";

struct presence {
    bool log, made, mended, damaged;
};

static void see(void *ctx, const char *name)
{
    struct presence *p = ctx;
    p->log |= strcmp(name, log_name) == 0;
    p->made |= strcmp(name, new_name) == 0;
    p->mended |= strcmp(name, mended_name) == 0;
    p->damaged |= strcmp(name, damaged_name) == 0;
}

static void path_of(const char *dir, const char *name, char *p)
{
    snprintf(p, SWAP_PATH_MAX, "%.*s/%s", SWAP_PATH_MAX - 32, dir, name);
}

/* Files that go are not listed at the same time: their names are collected first. */
static void collect(void *ctx, const char *name)
{
    buf_put_bytes(ctx, name, strlen(name) + 1);
}

static int empty(struct env *env, const char *dir, const char *name, struct error *e)
{
    char path[SWAP_PATH_MAX], file[SWAP_PATH_MAX];
    struct buf names;
    path_of(dir, name, path);
    buf_init(&names, SWAP_NAMES_MAX);
    int rc = env_list_dir(env, path, collect, &names, e);
    if (rc == 0) {
        rc = buf_check(&names, "the names of a log's files", e);
    }
    for (size_t at = 0; rc == 0 && at < names.len; at += strlen((char *)names.data + at) + 1) {
        path_of(path, (char *)names.data + at, file);
        rc = env_unlink(env, file, e);
    }
    rc = rc == 0 && names.len > 0 ? env_sync_dir(env, path, e) : rc;
    buf_close(&names);
    return rc;
}

static int rename_durably(struct env *env, const char *dir, const char *from, const char *to, struct error *e)
{
    char source[SWAP_PATH_MAX], target[SWAP_PATH_MAX];
    path_of(dir, from, source);
    path_of(dir, to, target);
    int rc = env_rename(env, source, target, e);
    return rc != 0 || PLANTED("swap_is_not_synced") ? rc : env_sync_dir(env, dir, e);
}

int log_swap_recover(struct env *env, const char *dir, struct error *e)
{
    struct presence p = {0};
    int rc = env_list_dir(env, dir, see, &p, e);
    if (rc != 0) {
        return rc;
    }
    if (!p.log && p.mended) {
        return rename_durably(env, dir, mended_name, log_name, e);
    }
    if (!p.log && (p.made || p.damaged)) {
        return error_set(e, Q_CORRUPT, "%s: there is a %s, but no %s: it is lost", dir,
                         p.damaged ? damaged_name : new_name, log_name);
    }
    rc = p.made ? empty(env, dir, new_name, e) : 0;
    return rc == 0 && p.mended ? empty(env, dir, mended_name, e) : rc;
}

int log_swap_under_way(struct env *env, const char *dir, bool *ret_under_way, struct error *e)
{
    struct presence p = {0};
    int rc = env_list_dir(env, dir, see, &p, e);
    if (rc == 0) {
        *ret_under_way = !p.log && p.mended;
    }
    return rc;
}

int log_swap_prepare(struct env *env, const char *dir, struct error *e)
{
    char path[SWAP_PATH_MAX];
    path_of(dir, new_name, path);
    int rc = env_make_dir(env, path, e);
    if (rc == 0) {
        rc = empty(env, dir, new_name, e);
    }
    return rc != 0 ? rc : env_sync_dir(env, dir, e);
}

int log_swap_finish(struct env *env, const char *dir, struct error *e)
{
    int rc = log_swap_forget(env, dir, e);
    if (rc == 0) {
        rc = rename_durably(env, dir, new_name, mended_name, e);
    }
    if (rc == 0) {
        rc = rename_durably(env, dir, log_name, damaged_name, e);
    }
    return rc != 0 ? rc : rename_durably(env, dir, mended_name, log_name, e);
}

int log_swap_clear(struct env *env, const char *dir, struct error *e)
{
    return empty(env, dir, log_name, e);
}

int log_swap_forget(struct env *env, const char *dir, struct error *e)
{
    struct presence p = {0};
    int rc = env_list_dir(env, dir, see, &p, e);
    return rc == 0 && p.damaged ? empty(env, dir, damaged_name, e) : rc;
}
