#include "snapshots/whole_file.h"

#include <stdio.h>
#include <string.h>

#include "base/plant.h"

enum { NAMES_MAX = 256 * 1024 * 1024 };

int whole_file_path(const char *dir, const char *name, char ret_path[WHOLE_FILE_PATH_MAX], struct error *e)
{
    char path[WHOLE_FILE_PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/%s", dir, name);
    if (n < 0 || n >= WHOLE_FILE_PATH_MAX) {
        return error_set(e, Q_TOO_BIG, "the path of %.100s is too long", name);
    }
    memcpy(ret_path, path, (size_t)n + 1);
    return 0;
}

int whole_file_read(struct env *env, const char *path, struct buf *ret_bytes, struct error *e)
{
    struct env_file *file;
    uint64_t size;
    int rc = env_open(env, path, 0, &file, e);
    if (rc != 0) {
        return rc;
    }
    rc = env_size(env, file, &size, e);
    if (rc == 0 && size > ret_bytes->max - ret_bytes->len) {
        rc = error_set(e, Q_TOO_BIG, "%s has %llu bytes", path, (unsigned long long)size);
    } else if (rc == 0 && size > 0) {
        uint8_t *p = buf_reserve(ret_bytes, (size_t)size);
        size_t n = 0;
        rc = p == NULL ? buf_check(ret_bytes, path, e) : env_read(env, file, 0, p, (size_t)size, &n, e);
        ret_bytes->len += rc == 0 ? n : 0;
    }
    env_close(env, file);
    return rc;
}

/* One that a crash left is in the way. */
static int create(struct env *env, const char *path, struct env_file **ret_file, struct error *e)
{
    int rc = env_open(env, path, ENV_CREATE | ENV_WRITE, ret_file, e);
    if (rc == Q_CONFLICT && (rc = env_unlink(env, path, e)) == 0) {
        rc = env_open(env, path, ENV_CREATE | ENV_WRITE, ret_file, e);
    }
    return rc;
}

/* Of DIR/NAME, and of what it is called while it is being written. */
static int paths(const char *dir, const char *name, char ret_path[WHOLE_FILE_PATH_MAX],
                 char ret_fresh[WHOLE_FILE_PATH_MAX], struct error *e)
{
    int rc = whole_file_path(dir, name, ret_path, e);
    size_t len = rc == 0 ? strlen(ret_path) : 0;
    if (rc != 0) {
        return rc;
    }
    if (len + sizeof WHOLE_FILE_NEW > WHOLE_FILE_PATH_MAX) {
        return error_set(e, Q_TOO_BIG, "the path of %.100s is too long", name);
    }
    memcpy(ret_fresh, ret_path, len);
    memcpy(ret_fresh + len, WHOLE_FILE_NEW, sizeof WHOLE_FILE_NEW);
    return 0;
}

void whole_file_drop(struct env *env, const char *dir, const char *name, struct env_file *file)
{
    char path[WHOLE_FILE_PATH_MAX], fresh[WHOLE_FILE_PATH_MAX];
    struct error of_unlink; /* a start finds what is left */
    env_close(env, file);
    if (paths(dir, name, path, fresh, &of_unlink) == 0) {
        env_unlink(env, fresh, &of_unlink);
    }
}

int whole_file_begin(struct env *env, const char *dir, const char *name, const void *p, size_t n,
                     struct env_file **ret_file, struct error *e)
{
    char path[WHOLE_FILE_PATH_MAX], fresh[WHOLE_FILE_PATH_MAX];
    struct env_file *file;
    int rc = paths(dir, name, path, fresh, e);
    if (rc != 0 || (rc = create(env, fresh, &file, e)) != 0) {
        return rc;
    }
    if (n > 0 && (rc = env_write(env, file, 0, p, n, e)) != 0) {
        whole_file_drop(env, dir, name, file);
        return rc;
    }
    *ret_file = file;
    return 0;
}

int whole_file_end(struct env *env, const char *dir, const char *name, struct env_file *file, struct error *e)
{
    char path[WHOLE_FILE_PATH_MAX], fresh[WHOLE_FILE_PATH_MAX];
    int rc = paths(dir, name, path, fresh, e);
    if (rc == 0 && !PLANTED("name_is_durable_before_content")) {
        rc = env_sync(env, file, e);
    }
    if (rc == 0) {
        rc = env_rename(env, fresh, path, e);
    }
    if (rc == 0) {
        env_close(env, file);
    } else {
        whole_file_drop(env, dir, name, file);
    }
    return rc;
}

int whole_file_write(struct env *env, const char *dir, const char *name, const void *p, size_t n,
                     struct error *e)
{
    struct env_file *file;
    int rc = whole_file_begin(env, dir, name, p, n, &file, e);
    return rc == 0 ? whole_file_end(env, dir, name, file, e) : rc;
}

struct listing {
    void (*each)(void *ctx, const char *name);
    void *ctx;
    struct buf left; /* names, each with its end: files that go are not listed at the same time */
};

static void see(void *ctx, const char *name)
{
    struct listing *l = ctx;
    size_t n = strlen(name), end = sizeof WHOLE_FILE_NEW - 1;
    if (n > end && memcmp(name + n - end, WHOLE_FILE_NEW, end) == 0) {
        buf_put_bytes(&l->left, name, n + 1);
    } else {
        l->each(l->ctx, name);
    }
}

int whole_file_list(struct env *env, const char *dir, void (*each)(void *ctx, const char *name), void *ctx,
                    struct error *e)
{
    char path[WHOLE_FILE_PATH_MAX];
    struct listing l = {.each = each, .ctx = ctx};
    buf_init(&l.left, NAMES_MAX);
    int rc = env_list_dir(env, dir, see, &l, e);
    if (rc == 0) {
        rc = buf_check(&l.left, "the list of files that a crash left", e);
    }
    for (size_t at = 0; rc == 0 && at < l.left.len; at += strlen((char *)l.left.data + at) + 1) {
        rc = whole_file_path(dir, (char *)l.left.data + at, path, e);
        rc = rc == 0 ? env_unlink(env, path, e) : rc;
    }
    buf_close(&l.left);
    return rc;
}
