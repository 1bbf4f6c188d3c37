#include "cluster/charter.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/crc32c.h"

enum { PATH_BYTES = 4096 + 32, FILE_MAX = 1024 };

static const char file_magic[8] = {'Q', 'R', 'T', 'C', 'H', 'A', 'R', '1'};

/* A blob as a text; false if it is too long, or holds a zero byte. */
static bool take_text(struct cursor *c, char *to, size_t size)
{
    struct cursor text = cursor_blob(c);
    size_t n = cursor_left(&text);

    if (c->bad || n >= size || memchr(text.p, 0, n) != NULL) {
        return false;
    }
    memcpy(to, text.p, n);
    to[n] = '\0';
    return true;
}

static int decode(const uint8_t *p, size_t n, struct charter *ret_charter, struct error *e)
{
    struct cursor c = cursor_of(p, n), crc = cursor_of(p + (n >= 4 ? n - 4 : 0), n >= 4 ? 4 : 0);
    struct charter found;
    const uint8_t *magic = cursor_bytes(&c, sizeof file_magic);

    if (c.bad || memcmp(magic, file_magic, sizeof file_magic) != 0 ||
        cursor_u32(&crc) != crc32c(0, p, n - 4)) {
        return error_set(e, Q_CORRUPT, "its beginning or its checksum is wrong");
    }
    if (!take_text(&c, found.name, sizeof found.name) ||
        !take_text(&c, found.semantics, sizeof found.semantics) || cursor_left(&c) != 4) {
        return error_set(e, Q_CORRUPT, "what it says makes no sense");
    }
    *ret_charter = found;
    return 0;
}

int charter_load(struct env *env, const char *dir, struct charter *ret_charter, struct error *e)
{
    char path[PATH_BYTES];
    uint8_t bytes[FILE_MAX];
    struct env_file *f;
    size_t n = 0;
    int rv;

    snprintf(path, sizeof path, "%.*s/charter", PATH_BYTES - 32, dir);
    rv = env_open(env, path, 0, &f, e);
    if (rv != 0) {
        return rv;
    }
    rv = env_read(env, f, 0, bytes, sizeof bytes, &n, e);
    env_close(env, f);
    rv = rv == 0 ? decode(bytes, n, ret_charter, e) : rv;
    return rv == 0 ? 0 : error_wrap(e, "%.200s", path);
}

static int write_file(struct env *env, const char *path, const struct buf *bytes, struct error *e)
{
    struct env_file *f;
    int rv = env_unlink(env, path, e);

    if (rv == 0 || rv == Q_NOT_FOUND) {
        rv = env_open(env, path, ENV_CREATE | ENV_WRITE, &f, e);
    }
    if (rv != 0) {
        return rv;
    }
    rv = env_write(env, f, 0, bytes->data, bytes->len, e);
    rv = rv == 0 ? env_sync(env, f, e) : rv;
    env_close(env, f);
    return rv;
}

int charter_save(struct env *env, const char *dir, const struct charter *charter, struct error *e)
{
    char path[PATH_BYTES], fresh[PATH_BYTES];
    struct buf b;
    int rv;

    snprintf(path, sizeof path, "%.*s/charter", PATH_BYTES - 32, dir);
    snprintf(fresh, sizeof fresh, "%.*s/charter.new", PATH_BYTES - 32, dir);
    buf_init(&b, FILE_MAX);
    buf_put_bytes(&b, file_magic, sizeof file_magic);
    buf_put_blob(&b, charter->name, strlen(charter->name));
    buf_put_blob(&b, charter->semantics, strlen(charter->semantics));
    if (b.failed == Q_OK) {
        buf_put_u32(&b, crc32c(0, b.data, b.len));
    }
    rv = buf_check(&b, "the charter", e);
    rv = rv == 0 ? write_file(env, fresh, &b, e) : rv;
    rv = rv == 0 ? env_rename(env, fresh, path, e) : rv;
    rv = rv == 0 ? env_sync_dir(env, dir, e) : rv;
    buf_close(&b);
    return rv;
}
