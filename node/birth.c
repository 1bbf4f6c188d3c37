#include "node/birth.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/plant.h"

enum { PATH_BYTES = 4096 + 32, LINE_BYTES = 64 };

static const char magic[] = "quorate-joining-1 ";

static int path_of(const char *dir, const char *name, char to[PATH_BYTES], struct error *e)
{
    return snprintf(to, PATH_BYTES, "%s/%s", dir, name) < PATH_BYTES
               ? 0
               : error_set(e, Q_INVALID, "the directory's name is longer than %d bytes", PATH_BYTES);
}

/* The directory's name is durable only when its parent is synced. */
static int make_dir(struct env *env, const char *dir, struct error *e)
{
    size_t n = strlen(dir);
    char parent[PATH_BYTES];
    int rv = env_make_dir(env, dir, e);

    while (n > 1 && dir[n - 1] == '/') {
        n--;
    }
    while (n > 0 && dir[n - 1] != '/') {
        n--;
    }
    snprintf(parent, sizeof parent, "%.*s", (int)n, dir);
    return rv == 0 ? env_sync_dir(env, n == 0 ? "." : parent, e) : rv;
}

static int parse(const char *path, const char *line, size_t n, uint64_t *ret_incarnation, struct error *e)
{
    const char *digits = line + sizeof magic - 1;
    char *end;
    uint64_t incarnation;

    if (n != sizeof magic - 1 + 17 || memcmp(line, magic, sizeof magic - 1) != 0 || line[n - 1] != '\n' ||
        strspn(digits, "0123456789abcdef") != 16) {
        return error_set(e, Q_CORRUPT,
                         "%s is damaged: if this machine was not let in yet, remove the file and start again",
                         path);
    }
    incarnation = strtoull(digits, &end, 16);
    if (incarnation == 0) {
        return error_set(e, Q_CORRUPT, "%s holds no incarnation", path);
    }
    *ret_incarnation = incarnation;
    return 0;
}

static int read_file(struct env *env, const char *path, uint64_t *ret_incarnation, struct error *e)
{
    char line[LINE_BYTES + 1] = "";
    struct env_file *f;
    size_t n = 0;
    int rv = env_open(env, path, 0, &f, e);

    if (rv != 0) {
        return rv;
    }
    rv = env_read(env, f, 0, line, LINE_BYTES, &n, e);
    env_close(env, f);
    return rv == 0 ? parse(path, line, n, ret_incarnation, e) : rv;
}

static int write_file(struct env *env, const char *dir, const char *path, uint64_t incarnation,
                      struct error *e)
{
    char fresh[PATH_BYTES], line[LINE_BYTES];
    struct env_file *f;
    int n = snprintf(line, sizeof line, "%s%016" PRIx64 "\n", magic, incarnation);
    int rv = path_of(dir, "joining.new", fresh, e);

    if (rv == 0) {
        rv = env_unlink(env, fresh, e);
        rv = rv == Q_NOT_FOUND ? 0 : rv;
    }
    if (rv == 0) {
        rv = env_open(env, fresh, ENV_CREATE | ENV_WRITE, &f, e);
    }
    if (rv != 0) {
        return rv;
    }
    rv = env_write(env, f, 0, line, (size_t)n, e);
    if (rv == 0) {
        rv = env_sync(env, f, e);
    }
    env_close(env, f);
    if (rv == 0) {
        rv = env_rename(env, fresh, path, e);
    }
    return rv == 0 && !PLANTED("who_asks_to_join_is_not_durable") ? env_sync_dir(env, dir, e) : rv;
}

int birth_take(struct env *env, const char *dir, uint64_t *ret_incarnation, struct error *e)
{
    char path[PATH_BYTES];
    uint64_t made = 0;
    int rv = path_of(dir, "joining", path, e);

    if (rv == 0) {
        rv = make_dir(env, dir, e);
    }
    if (rv == 0) {
        rv = read_file(env, path, ret_incarnation, e);
    }
    if (rv != Q_NOT_FOUND) {
        return rv;
    }
    while (made == 0) {
        env_random(env, &made, sizeof made);
    }
    rv = write_file(env, dir, path, made, e);
    if (rv == 0) {
        *ret_incarnation = made;
    }
    return rv;
}

int birth_forget(struct env *env, const char *dir, struct error *e)
{
    char path[PATH_BYTES];
    int rv = path_of(dir, "joining", path, e);

    if (rv == 0) {
        rv = env_unlink(env, path, e);
        rv = rv == Q_NOT_FOUND ? 0 : rv;
    }
    return rv == 0 ? env_sync_dir(env, dir, e) : rv;
}
