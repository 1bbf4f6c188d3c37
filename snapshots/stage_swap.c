#include "snapshots/stage_swap.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/plant.h"
#include "snapshots/whole_file.h"

enum { NAME_MAX_BYTES = 64, NAMES_MAX = 64 * 1024 };

static const char ready_end[] = "ready", done_end[] = "done";

static void marker(uint64_t index, uint64_t term, const char *end, char ret_name[NAME_MAX_BYTES])
{
    snprintf(ret_name, NAME_MAX_BYTES, "%" PRIu64 "-%" PRIu64 ".%s", index, term, end);
}

static bool ends_in(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n > m && name[n - m - 1] == '.' && strcmp(name + n - m, end) == 0;
}

static int stage_dir(const char *dir, char ret_path[WHOLE_FILE_PATH_MAX], struct error *e)
{
    return whole_file_path(dir, "stage", ret_path, e);
}

/* ---- names that are listed ---- */

/* Each with its end, one after the other: files that go are not listed at the same time. */
static void collect(void *ctx, const char *name)
{
    buf_put_bytes(ctx, name, strlen(name) + 1);
}

static int list(struct env *env, const char *stage, struct buf *names, struct error *e)
{
    buf_init(names, NAMES_MAX);
    int rc = env_list_dir(env, stage, collect, names, e);
    return rc != 0 ? rc : buf_check(names, "the list of staged files", e);
}

static const char *first(const struct buf *names)
{
    return names->len > 0 ? (const char *)names->data : NULL;
}

static const char *next(const struct buf *names, const char *name)
{
    name += strlen(name) + 1;
    return name < (const char *)names->data + names->len ? name : NULL;
}

static bool holds(const struct buf *names, const char *wanted)
{
    for (const char *name = first(names); name != NULL; name = next(names, name)) {
        if (strcmp(name, wanted) == 0) {
            return true;
        }
    }
    return false;
}

/* Unlinks the markers, and with ALL everything else; durable. */
static int clear(struct env *env, const char *stage, bool all, struct error *e)
{
    char path[WHOLE_FILE_PATH_MAX];
    struct buf names;
    int rc = list(env, stage, &names, e);
    for (const char *name = first(&names); rc == 0 && name != NULL; name = next(&names, name)) {
        if (all || ends_in(name, ready_end) || ends_in(name, done_end)) {
            rc = whole_file_path(stage, name, path, e);
            rc = rc == 0 ? env_unlink(env, path, e) : rc;
        }
    }
    buf_close(&names);
    return rc != 0 ? rc : env_sync_dir(env, stage, e);
}

int stage_clear(struct env *env, const char *dir, struct error *e)
{
    char stage[WHOLE_FILE_PATH_MAX];
    int rc = stage_dir(dir, stage, e);
    rc = rc == 0 ? clear(env, stage, true, e) : rc;
    return rc == Q_NOT_FOUND ? 0 : rc;
}

int stage_swap_begin(struct env *env, const char *dir, struct error *e)
{
    char stage[WHOLE_FILE_PATH_MAX];
    int rc = stage_dir(dir, stage, e);
    if (rc != 0 || (rc = env_make_dir(env, stage, e)) != 0 || (rc = env_sync_dir(env, dir, e)) != 0) {
        return rc;
    }
    return clear(env, stage, false, e);
}

int stage_swap_ready(struct env *env, const char *dir, uint64_t index, uint64_t term, struct error *e)
{
    char stage[WHOLE_FILE_PATH_MAX], name[NAME_MAX_BYTES];
    marker(index, term, ready_end, name);
    int rc = stage_dir(dir, stage, e);
    if (rc != 0 || (rc = whole_file_write(env, stage, name, NULL, 0, e)) != 0) {
        return rc;
    }
    return env_sync_dir(env, stage, e);
}

/* ---- the swap ---- */

static int unlink_beside(struct env *env, const char *dir, struct error *e)
{
    static const char *const beside[] = {STAGE_SWAP_IMAGE "-wal", STAGE_SWAP_IMAGE "-shm",
                                         STAGE_SWAP_IMAGE "-journal"};
    char path[WHOLE_FILE_PATH_MAX];
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < sizeof beside / sizeof beside[0]; i++) {
        rc = whole_file_path(dir, beside[i], path, e);
        rc = rc == 0 ? env_unlink(env, path, e) : rc;
        rc = rc == Q_NOT_FOUND ? 0 : rc;
    }
    return rc != 0 || PLANTED("swap_does_not_sync_between") ? rc : env_sync_dir(env, dir, e);
}

/* Done by an earlier attempt if the image is not in STAGE any more. */
static int rename_image(struct env *env, const char *dir, const char *stage, bool staged, struct error *e)
{
    char from[WHOLE_FILE_PATH_MAX], to[WHOLE_FILE_PATH_MAX];
    int rc = whole_file_path(stage, STAGE_SWAP_IMAGE, from, e);
    if (rc != 0 || (rc = whole_file_path(dir, STAGE_SWAP_IMAGE, to, e)) != 0 ||
        (staged && (rc = env_rename(env, from, to, e)) != 0) || (rc = env_sync_dir(env, dir, e)) != 0) {
        return rc;
    }
    return env_sync_dir(env, stage, e);
}

static int swap_ready(struct env *env, const char *dir, const char *stage, uint64_t index, uint64_t term,
                      bool staged, struct error *e)
{
    char name[NAME_MAX_BYTES], from[WHOLE_FILE_PATH_MAX], to[WHOLE_FILE_PATH_MAX];
    int rc = PLANTED("swap_leaves_the_wal") ? 0 : unlink_beside(env, dir, e);
    if (rc != 0 || (rc = rename_image(env, dir, stage, staged, e)) != 0) {
        return rc;
    }
    marker(index, term, ready_end, name);
    rc = whole_file_path(stage, name, from, e);
    marker(index, term, done_end, name);
    if (rc != 0 || (rc = whole_file_path(stage, name, to, e)) != 0 ||
        (rc = env_rename(env, from, to, e)) != 0 || PLANTED("end_of_swap_is_not_durable")) {
        return rc;
    }
    return env_sync_dir(env, stage, e);
}

static int check_image(struct env *env, const char *dir, uint64_t index, uint64_t term, struct error *e)
{
    char path[WHOLE_FILE_PATH_MAX];
    struct env_file *file;
    int rc = whole_file_path(dir, STAGE_SWAP_IMAGE, path, e);
    if (rc == 0 && (rc = env_open(env, path, 0, &file, e)) == 0) {
        env_close(env, file);
    }
    return rc == 0 ? 0 : error_wrap(e, "the image of index %" PRIu64 ", term %" PRIu64, index, term);
}

int stage_swap(struct env *env, const char *dir, uint64_t index, uint64_t term, struct error *e)
{
    char stage[WHOLE_FILE_PATH_MAX], ready[NAME_MAX_BYTES], done[NAME_MAX_BYTES];
    struct buf names;
    marker(index, term, ready_end, ready);
    marker(index, term, done_end, done);
    int rc = stage_dir(dir, stage, e);
    if (rc != 0) {
        return rc;
    }
    rc = list(env, stage, &names, e);
    bool is_ready = rc == 0 && holds(&names, ready), is_done = rc == 0 && holds(&names, done);
    bool staged = rc == 0 && holds(&names, STAGE_SWAP_IMAGE);
    buf_close(&names);
    if (rc != 0) {
        return rc;
    }
    if (!is_ready && !is_done) {
        return error_set(e, Q_NOT_FOUND, "%.300s holds no image of index %" PRIu64 ", term %" PRIu64, stage,
                         index, term);
    }
    if (!staged && (rc = check_image(env, dir, index, term, e)) != 0) {
        return rc;
    }
    return is_ready ? swap_ready(env, dir, stage, index, term, staged, e) : 0;
}
