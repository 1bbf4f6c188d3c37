#include "snapshots/chunk_store.h"

#include <stdlib.h>
#include <string.h>

#include "base/plant.h"
#include "snapshots/name_set.h"
#include "snapshots/whole_file.h"

struct chunk_store {
    struct env *env;
    char dir[WHOLE_FILE_PATH_MAX];
    struct name_set names;
    bool unsynced;   /* names may have been made since the last sync, also by an earlier process */
    struct error *e; /* of the open that is running: the first failure of a listed name */
    int failed;
};

static void see(void *ctx, const char *text)
{
    struct chunk_store *s = ctx;
    struct chunk_name name;
    if (s->failed == 0 && chunk_name_parse(text, &name)) {
        s->failed = name_set_add(&s->names, &name, s->e);
    }
}

static int list(struct chunk_store *s, struct error *e)
{
    s->e = e;
    int rc = whole_file_list(s->env, s->dir, see, s, e);
    s->e = NULL;
    return rc != 0 ? rc : s->failed;
}

int chunk_store_open(struct env *env, const char *dir, struct chunk_store **ret_store, struct error *e)
{
    struct chunk_store *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for a chunk store");
    }
    s->env = env;
    s->unsynced = true;
    int rc = whole_file_path(dir, "chunks", s->dir, e);
    if (rc != 0 || (rc = env_make_dir(env, s->dir, e)) != 0 || (rc = env_sync_dir(env, dir, e)) != 0 ||
        (rc = list(s, e)) != 0) {
        chunk_store_close(s);
        return rc;
    }
    *ret_store = s;
    return 0;
}

void chunk_store_close(struct chunk_store *s)
{
    if (s != NULL) {
        name_set_close(&s->names);
        free(s);
    }
}

bool chunk_store_has(const struct chunk_store *s, const struct chunk_name *name)
{
    return name_set_has(&s->names, name);
}

size_t chunk_store_count(const struct chunk_store *s)
{
    return s->names.count;
}

int chunk_store_put(struct chunk_store *s, const struct chunk_name *name, const void *encoded, size_t n,
                    struct error *e)
{
    char text[CHUNK_HEX];
    if (chunk_store_has(s, name)) {
        return 0;
    }
    /* First: what cannot be remembered is not written. */
    int rc = name_set_add(&s->names, name, e);
    if (rc != 0) {
        return rc;
    }
    chunk_name_text(name, text);
    if ((rc = whole_file_write(s->env, s->dir, text, encoded, n, e)) != 0) {
        name_set_remove(&s->names, name);
        return error_wrap(e, "chunk %s", text);
    }
    s->unsynced = true;
    return 0;
}

int chunk_store_sync(struct chunk_store *s, struct error *e)
{
    if (!s->unsynced || PLANTED("names_of_chunks_are_not_synced")) {
        return 0;
    }
    int rc = env_sync_dir(s->env, s->dir, e);
    s->unsynced = rc != 0;
    return rc;
}

static int read_chunk(struct env *env, const char *chunks, const struct chunk_name *name,
                      struct buf *ret_encoded, struct error *e)
{
    char text[CHUNK_HEX], path[WHOLE_FILE_PATH_MAX];
    struct buf bytes;
    chunk_name_text(name, text);
    int rc = whole_file_path(chunks, text, path, e);
    if (rc != 0) {
        return rc;
    }
    buf_init(&bytes, CHUNK_ENCODED_MAX);
    rc = whole_file_read(env, path, &bytes, e);
    if (rc == 0) {
        buf_clear(ret_encoded);
        buf_put_bytes(ret_encoded, bytes.data, bytes.len);
        rc = buf_check(ret_encoded, "an encoded chunk", e);
    } else if (rc == Q_TOO_BIG) {
        rc = error_set(e, Q_CORRUPT, "chunk %s: its file is longer than any chunk", text);
    } else {
        error_wrap(e, "chunk %s", text);
    }
    buf_close(&bytes);
    return rc;
}

int chunk_store_get(struct chunk_store *s, const struct chunk_name *name, struct buf *ret_encoded,
                    struct error *e)
{
    return read_chunk(s->env, s->dir, name, ret_encoded, e);
}

int chunk_store_read(struct env *env, const char *dir, const struct chunk_name *name, struct buf *ret_encoded,
                     struct error *e)
{
    char chunks[WHOLE_FILE_PATH_MAX];
    int rc = whole_file_path(dir, "chunks", chunks, e);
    return rc != 0 ? rc : read_chunk(env, chunks, name, ret_encoded, e);
}

int chunk_store_remove(struct chunk_store *s, const struct chunk_name *name, struct error *e)
{
    char text[CHUNK_HEX], path[WHOLE_FILE_PATH_MAX];
    chunk_name_text(name, text);
    int rc = whole_file_path(s->dir, text, path, e);
    if (rc != 0 || ((rc = env_unlink(s->env, path, e)) != 0 && rc != Q_NOT_FOUND)) {
        return rc;
    }
    name_set_remove(&s->names, name);
    return 0;
}

int chunk_store_bytes(struct chunk_store *s, const struct chunk_name *name, uint64_t *ret_bytes,
                      struct error *e)
{
    char text[CHUNK_HEX], path[WHOLE_FILE_PATH_MAX];
    struct env_file *file;
    chunk_name_text(name, text);
    int rc = whole_file_path(s->dir, text, path, e);
    if (rc != 0 || (rc = env_open(s->env, path, 0, &file, e)) != 0) {
        return rc;
    }
    rc = env_size(s->env, file, ret_bytes, e);
    env_close(s->env, file);
    return rc;
}

void chunk_store_each(const struct chunk_store *s, void (*each)(void *ctx, const struct chunk_name *name),
                      void *ctx)
{
    name_set_each(&s->names, each, ctx);
}
