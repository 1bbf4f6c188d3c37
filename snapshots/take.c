#include "snapshots/take.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/plant.h"
#include "snapshots/whole_file.h"
#include "storage/page_sum.h"

struct take {
    struct env *env;
    struct env_file *file;
    struct chunk_store *store;
    char path[WHOLE_FILE_PATH_MAX];
    struct manifest manifest; /* CHUNKS counts those taken */
    uint32_t chunks_all;
    struct take_progress progress;
    struct buf encoded;
    uint8_t plain[CHUNK_BYTES];
};

static int prepare(struct take *t, const struct take_config *config, struct error *e)
{
    size_t len = strlen(config->path);
    uint64_t chunks = manifest_chunks_of(config->bytes);
    if (config->bytes == 0 || config->bytes % PAGE_BYTES != 0) {
        return error_set(e, Q_INVALID, "%.300s: %llu bytes are no whole number of pages", config->path,
                         (unsigned long long)config->bytes);
    }
    if (len >= sizeof t->path || chunks > MANIFEST_CHUNKS_MAX) {
        return error_set(e, Q_TOO_BIG, "%.300s: %llu bytes are more than a manifest can name", config->path,
                         (unsigned long long)config->bytes);
    }
    memcpy(t->path, config->path, len + 1);
    t->chunks_all = (uint32_t)chunks;
    t->manifest = config->manifest;
    t->manifest.page_bytes = PAGE_BYTES;
    t->manifest.image_bytes = config->bytes;
    t->manifest.chunks = 0;
    t->manifest.chunk = calloc(chunks, sizeof *t->manifest.chunk);
    t->progress.bytes_all = config->bytes;
    if (t->manifest.chunk == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for an image of %u chunks", t->chunks_all);
    }
    return env_open(t->env, t->path, 0, &t->file, e);
}

int take_new(const struct take_config *config, struct take **ret_take, struct error *e)
{
    struct take *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for taking an image");
    }
    t->env = config->env;
    t->store = config->store;
    buf_init(&t->encoded, CHUNK_ENCODED_MAX);
    int rc = prepare(t, config, e);
    if (rc != 0) {
        take_free(t);
        return rc;
    }
    *ret_take = t;
    return 0;
}

void take_free(struct take *t)
{
    if (t != NULL) {
        env_close(t->env, t->file);
        manifest_close(&t->manifest);
        buf_close(&t->encoded);
        free(t);
    }
}

static int check_pages(const struct take *t, uint64_t offset, size_t n, struct error *e)
{
    for (size_t at = 0; at < n; at += PAGE_BYTES) {
        uint64_t number = (offset + at) / PAGE_BYTES + 1;
        if (!page_sum_ok(t->plain + at, number) && !PLANTED("take_does_not_check_pages")) {
            return error_set(e, Q_CORRUPT, "page %llu of %.300s fails its checksum",
                             (unsigned long long)number, t->path);
        }
    }
    return 0;
}

static int store_chunk(struct take *t, const struct chunk_name *name, size_t n, struct error *e)
{
    if (chunk_store_has(t->store, name)) {
        return 0;
    }
    buf_clear(&t->encoded);
    int rc = chunk_encode(t->plain, n, &t->encoded, e);
    if (rc == 0 && (rc = chunk_store_put(t->store, name, t->encoded.data, t->encoded.len, e)) == 0) {
        t->progress.chunks_new++;
        t->progress.bytes_new += t->encoded.len;
    }
    return rc;
}

static int take_chunk(struct take *t, struct error *e)
{
    struct chunk_name *name = &t->manifest.chunk[t->manifest.chunks];
    uint64_t offset = t->progress.bytes_done, left = t->manifest.image_bytes - offset;
    size_t n = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES, got;
    int rc = env_read(t->env, t->file, offset, t->plain, n, &got, e);
    if (rc == 0 && got < n) {
        rc = error_set(e, Q_CORRUPT, "%.300s ends before byte %llu", t->path,
                       (unsigned long long)t->manifest.image_bytes);
    }
    if (rc != 0 || (rc = check_pages(t, offset, n, e)) != 0) {
        return rc;
    }
    chunk_name_of(t->plain, n, name);
    if ((rc = store_chunk(t, name, n, e)) == 0) {
        t->manifest.chunks++;
        t->progress.bytes_done += n;
    }
    return rc;
}

int take_step(struct take *t, unsigned chunks_max, bool *ret_copied, struct error *e)
{
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < chunks_max && t->manifest.chunks < t->chunks_all; i++) {
        rc = take_chunk(t, e);
    }
    if (rc == 0) {
        *ret_copied = t->manifest.chunks == t->chunks_all;
        if (*ret_copied) {
            env_close(t->env, t->file);
            t->file = NULL;
        }
    }
    return rc;
}

int take_finish(struct take *t, struct catalog *catalog, struct error *e)
{
    assert(t->manifest.chunks == t->chunks_all);
    int rc = chunk_store_sync(t->store, e);
    return rc != 0 ? rc : catalog_save(catalog, &t->manifest, e);
}

const struct manifest *take_manifest(const struct take *t)
{
    return &t->manifest;
}

void take_progress(const struct take *t, struct take_progress *ret_progress)
{
    *ret_progress = t->progress;
}
