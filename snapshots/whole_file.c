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

static int fill(struct env *env, struct env_file *file, const void *p, size_t n, struct error *e)
{
    int rc = n == 0 ? 0 : env_write(env, file, 0, p, n, e);
    return rc != 0 || PLANTED("name_is_durable_before_content") ? rc : env_sync(env, file, e);
}

int whole_file_write(struct env *env, const char *dir, const char *name, const void *p, size_t n,
                     struct error *e)
{
    char path[WHOLE_FILE_PATH_MAX], fresh[WHOLE_FILE_PATH_MAX];
    struct env_file *file;
    int rc = whole_file_path(dir, name, path, e);
    if (rc != 0) {
        return rc;
    }
    size_t len = strlen(path);
    if (len + sizeof WHOLE_FILE_NEW > sizeof fresh) {
        return error_set(e, Q_TOO_BIG, "the path of %.100s is too long", name);
    }
    memcpy(fresh, path, len);
    memcpy(fresh + len, WHOLE_FILE_NEW, sizeof WHOLE_FILE_NEW);
    if ((rc = create(env, fresh, &file, e)) != 0) {
        return rc;
    }
    rc = fill(env, file, p, n, e);
    env_close(env, file);
    if (rc == 0) {
        rc = env_rename(env, fresh, path, e);
    }
    if (rc != 0) {
        struct error of_unlink; /* the first failure is the one that counts */
        env_unlink(env, fresh, &of_unlink);
    }
    return rc;
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
