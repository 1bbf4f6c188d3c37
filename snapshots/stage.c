#include "snapshots/stage.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/plant.h"
#include "snapshots/whole_file.h"
#include "storage/page_sum.h"

struct stage {
    struct env *env;
    struct manifest manifest;
    struct chunk_store *store;
    char dir[WHOLE_FILE_PATH_MAX], stage[WHOLE_FILE_PATH_MAX], path[WHOLE_FILE_PATH_MAX];
    struct env_file *file, *own; /* OWN may be NULL */
    uint8_t *have;               /* a bit for each chunk */
    uint32_t present;            /* of them are set */
    uint32_t scanned, verified;  /* chunks before this one are */
    unsigned unsynced;           /* chunks written since the last sync */
    struct stage_progress progress;
    struct buf encoded;
    uint8_t plain[CHUNK_BYTES], base[CHUNK_BYTES];
};

static bool has(const struct stage *s, uint32_t i)
{
    return (s->have[i / 8] >> i % 8 & 1) != 0;
}

static uint64_t place_of(uint32_t i)
{
    return (uint64_t)i * CHUNK_BYTES;
}

/* The file that is there, or a new one. One that is longer than the image cannot be made shorter. */
static int open_file(struct stage *s, struct error *e)
{
    uint64_t size;
    int rc = env_open(s->env, s->path, ENV_WRITE, &s->file, e);
    if (rc == 0) {
        if ((rc = env_size(s->env, s->file, &size, e)) != 0 || size <= s->manifest.image_bytes) {
            return rc;
        }
        env_close(s->env, s->file);
        s->file = NULL;
        rc = env_unlink(s->env, s->path, e);
    }
    if (rc != 0 && rc != Q_NOT_FOUND) {
        return rc;
    }
    rc = env_open(s->env, s->path, ENV_CREATE | ENV_WRITE, &s->file, e);
    return rc != 0 ? rc : env_sync_dir(s->env, s->stage, e);
}

static int prepare(struct stage *s, const struct stage_config *config, const struct manifest *m,
                   struct error *e)
{
    struct error of_own; /* a database that cannot be read has no chunks to reuse, that is all */
    int rc = manifest_copy(m, &s->manifest, e);
    if (rc != 0) {
        return rc;
    }
    s->progress.chunks_all = m->chunks;
    s->have = calloc(m->chunks / 8 + 1, 1);
    if (s->have == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for staging an image of %u chunks", m->chunks);
    }
    if ((rc = whole_file_path(config->dir, "stage", s->stage, e)) != 0 ||
        (rc = whole_file_path(s->stage, STAGE_SWAP_IMAGE, s->path, e)) != 0) {
        return rc;
    }
    memcpy(s->dir, config->dir, strlen(config->dir) + 1); /* shorter than the paths in it */
    if ((rc = stage_swap_begin(s->env, s->dir, e)) != 0 || (rc = open_file(s, e)) != 0) {
        return rc;
    }
    if (config->own_path != NULL && env_open(s->env, config->own_path, 0, &s->own, &of_own) != 0) {
        s->own = NULL;
    }
    return 0;
}

int stage_open(const struct stage_config *config, const struct manifest *m, struct stage **ret_stage,
               struct error *e)
{
    struct stage *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for staging an image");
    }
    s->env = config->env;
    s->store = config->store;
    buf_init(&s->encoded, CHUNK_ENCODED_MAX);
    int rc = prepare(s, config, m, e);
    if (rc != 0) {
        stage_close(s);
        return rc;
    }
    *ret_stage = s;
    return 0;
}

void stage_close(struct stage *s)
{
    if (s != NULL) {
        env_close(s->env, s->own);
        env_close(s->env, s->file);
        manifest_close(&s->manifest);
        buf_close(&s->encoded);
        free(s->have);
        free(s);
    }
}

/* ---- a chunk is there ---- */

static int check_pages(const struct stage *s, uint32_t chunk, size_t n, struct error *e)
{
    for (size_t at = 0; at < n; at += PAGE_BYTES) {
        uint64_t number = (place_of(chunk) + at) / PAGE_BYTES + 1;
        if (!page_sum_ok(s->plain + at, number) && !PLANTED("stage_does_not_check_pages")) {
            return error_set(e, Q_CORRUPT, "page %llu of the image of index %llu fails its checksum",
                             (unsigned long long)number, (unsigned long long)s->manifest.index);
        }
    }
    return 0;
}

static int sync_file(struct stage *s, struct error *e)
{
    int rc = env_sync(s->env, s->file, e);
    s->unsynced = rc == 0 ? 0 : s->unsynced;
    return rc;
}

static int mark(struct stage *s, uint32_t chunk)
{
    s->have[chunk / 8] |= (uint8_t)(1u << chunk % 8);
    s->present++;
    return 0;
}

/* PLAIN is the chunk, whose name is right. */
static int accept(struct stage *s, uint32_t chunk, size_t n, struct error *e)
{
    if (n != manifest_chunk_bytes(&s->manifest, chunk)) {
        return error_set(e, Q_CORRUPT, "chunk %u of the image of index %llu has %zu bytes", chunk,
                         (unsigned long long)s->manifest.index, n);
    }
    int rc = check_pages(s, chunk, n, e);
    if (rc == 0 && (rc = env_write(s->env, s->file, place_of(chunk), s->plain, n, e)) == 0) {
        s->unsynced++;
        rc = s->unsynced >= STAGE_SYNC_CHUNKS ? sync_file(s, e) : 0;
    }
    return rc != 0 ? rc : mark(s, chunk);
}

/* ---- what is there already ---- */

/* Whether FILE holds the chunk in its place; it is in PLAIN then. A place that cannot be read does not. */
static bool holds(struct stage *s, struct env_file *file, uint32_t chunk)
{
    size_t n = manifest_chunk_bytes(&s->manifest, chunk), got;
    struct chunk_name name;
    struct error unreadable;
    if (env_read(s->env, file, place_of(chunk), s->plain, n, &got, &unreadable) != 0 || got != n) {
        return false;
    }
    chunk_name_of(s->plain, n, &name);
    return chunk_name_equal(&name, &s->manifest.chunk[chunk]);
}

/* Whether the store has the chunk, in PLAIN then. One that is damaged goes: it is written anew when it is
 * taken or put again. */
static bool is_stored(struct stage *s, uint32_t chunk, size_t *ret_n)
{
    const struct chunk_name *name = &s->manifest.chunk[chunk];
    struct error damage;
    if (s->store == NULL || !chunk_store_has(s->store, name)) {
        return false;
    }
    int rc = chunk_store_get(s->store, name, &s->encoded, &damage);
    if (rc == 0) {
        rc = chunk_decode(s->encoded.data, s->encoded.len, name, s->plain, ret_n, &damage);
    }
    if (rc == Q_CORRUPT) {
        chunk_store_remove(s->store, name, &damage);
    }
    return rc == 0;
}

static int scan(struct stage *s, uint32_t chunk, struct error *e)
{
    size_t n = manifest_chunk_bytes(&s->manifest, chunk);
    if (has(s, chunk)) {
        return 0;
    }
    bool staged = holds(s, s->file, chunk) || PLANTED("resume_trusts_the_staging_file");
    if (!staged && (s->own == NULL || !holds(s, s->own, chunk)) && !is_stored(s, chunk, &n)) {
        return 0;
    }
    int rc = staged && PLANTED("staged_chunk_is_not_written_again") ? mark(s, chunk) : accept(s, chunk, n, e);
    s->progress.chunks_reused += rc == 0;
    return rc;
}

int stage_step(struct stage *s, unsigned chunks_max, bool *ret_scanned, struct error *e)
{
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < chunks_max && s->scanned < s->manifest.chunks; i++) {
        rc = scan(s, s->scanned, e);
        s->scanned += rc == 0;
    }
    if (rc == 0) {
        *ret_scanned = s->scanned == s->manifest.chunks;
    }
    return rc;
}

bool stage_missing(const struct stage *s, uint32_t from, uint32_t *ret_chunk)
{
    for (uint32_t i = from; i < s->manifest.chunks; i++) {
        if (!has(s, i)) {
            *ret_chunk = i;
            return true;
        }
    }
    return false;
}

/* ---- what comes ---- */

static int check_chunk(const struct stage *s, uint32_t chunk, struct error *e)
{
    return chunk < s->manifest.chunks
               ? 0
               : error_set(e, Q_INVALID, "there is no chunk %u in an image of %u", chunk, s->manifest.chunks);
}

/* Reads up to N bytes of the chunk's place in FILE; zeros where it ends or cannot be read. */
static void read_place(struct stage *s, struct env_file *file, uint32_t chunk, uint8_t *p, size_t n)
{
    struct error unreadable;
    size_t got = 0;
    if (file == NULL || env_read(s->env, file, place_of(chunk), p, n, &got, &unreadable) != 0) {
        got = 0;
    }
    memset(p + got, 0, n - got);
}

static bool is_zero(const uint8_t *p, size_t n)
{
    return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

/* BASE becomes what stands here: page by page what was staged, or else the own database's. The same as long
 * as nobody writes to either. False: nothing stands here. */
static bool load_base(struct stage *s, uint32_t chunk, size_t n)
{
    read_place(s, s->file, chunk, s->base, n);
    read_place(s, s->own, chunk, s->plain, n);
    for (size_t at = 0; at < n; at += PAGE_BYTES) {
        if (is_zero(s->base + at, PAGE_BYTES)) {
            memcpy(s->base + at, s->plain + at, PAGE_BYTES);
        }
    }
    return !is_zero(s->base, n);
}

int stage_base_sums(struct stage *s, uint32_t chunk, uint8_t ret_sums[DELTA_SUMS_BYTES], bool *ret_has_base,
                    struct error *e)
{
    int rc = check_chunk(s, chunk, e);
    if (rc == 0) {
        size_t n = manifest_chunk_bytes(&s->manifest, chunk);
        *ret_has_base = load_base(s, chunk, n);
        delta_sums(s->base, n, &s->manifest.chunk[chunk], ret_sums);
    }
    return rc;
}

static int accept_fetched(struct stage *s, uint32_t chunk, size_t n, size_t came, struct error *e)
{
    int rc = accept(s, chunk, n, e);
    if (rc == 0) {
        s->progress.chunks_fetched++;
        s->progress.bytes_fetched += came;
    }
    return rc;
}

int stage_put(struct stage *s, uint32_t chunk, const void *encoded, size_t n, struct error *e)
{
    size_t plain;
    int rc = check_chunk(s, chunk, e);
    if (rc != 0 || has(s, chunk) ||
        (rc = chunk_decode(encoded, n, &s->manifest.chunk[chunk], s->plain, &plain, e)) != 0) {
        return rc;
    }
    return accept_fetched(s, chunk, plain, n, e);
}

int stage_put_delta(struct stage *s, uint32_t chunk, const void *delta, size_t n, struct error *e)
{
    size_t plain, base_n;
    int rc = check_chunk(s, chunk, e);
    if (rc != 0 || has(s, chunk)) {
        return rc;
    }
    base_n = manifest_chunk_bytes(&s->manifest, chunk);
    load_base(s, chunk, base_n);
    rc = delta_apply(delta, n, s->base, base_n, chunk, &s->manifest.chunk[chunk], s->plain, &plain, e);
    return rc != 0 ? rc : accept_fetched(s, chunk, plain, n, e);
}

/* ---- the end ---- */

static int verify(struct stage *s, uint32_t chunk, struct error *e)
{
    if (holds(s, s->file, chunk)) {
        return 0;
    }
    s->have[chunk / 8] &= (uint8_t) ~(1u << chunk % 8);
    s->present--;
    s->verified = 0;
    return error_set(e, Q_CORRUPT, "chunk %u of %.300s reads back differently than it was written", chunk,
                     s->path);
}

int stage_verify(struct stage *s, unsigned chunks_max, bool *ret_verified, struct error *e)
{
    int rc = 0;
    if (s->present < s->manifest.chunks) {
        return error_set(e, Q_CONFLICT, "%u chunks of the image are missing",
                         s->manifest.chunks - s->present);
    }
    for (unsigned i = 0; rc == 0 && i < chunks_max && s->verified < s->manifest.chunks; i++) {
        rc = verify(s, s->verified, e);
        s->verified += rc == 0;
    }
    if (rc == 0) {
        *ret_verified = s->verified == s->manifest.chunks;
    }
    return rc;
}

int stage_finish(struct stage *s, struct error *e)
{
    bool verified;
    int rc = stage_verify(s, s->manifest.chunks, &verified, e);
    if (rc != 0 || (!PLANTED("staged_file_is_not_synced") && (rc = sync_file(s, e)) != 0)) {
        return rc;
    }
    return stage_swap_ready(s->env, s->dir, s->manifest.index, s->manifest.term, e);
}

void stage_progress(const struct stage *s, struct stage_progress *ret_progress)
{
    *ret_progress = s->progress;
}
