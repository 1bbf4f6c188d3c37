#include "snapshots/backup.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/object.h"
#include "base/plant.h"
#include "snapshots/sweep.h"
#include "snapshots/whole_file.h"

enum { BACKUP_MAGIC = 0x424b5531 };

struct backup {
    OBJECT_MAGIC;
    struct env *env;
    struct env_file *lock;
    struct chunk_store *chunks;
    struct catalog *catalog;
    struct manifest manifest; /* of the backup that is being made */
    struct manifest before;   /* the newest whole one when it was begun; no chunks: there is none */
    struct backup_totals totals;
    struct buf encoded;
    uint8_t plain[CHUNK_BYTES], base[CHUNK_BYTES];
};

static bool is_there(struct env *env, const char *dir, const char *name)
{
    char path[WHOLE_FILE_PATH_MAX];
    struct env_file *f;

    if (whole_file_path(dir, name, path, NULL) != 0 || env_open(env, path, 0, &f, NULL) != 0) {
        return false;
    }
    env_close(env, f);
    return true;
}

/* The directory's name is durable only when its parent is synced. */
static int make_dir(struct env *env, const char *dir, struct error *e)
{
    char parent[WHOLE_FILE_PATH_MAX];
    size_t n = strlen(dir);
    int rv = env_make_dir(env, dir, e);

    while (n > 1 && dir[n - 1] == '/') {
        n--;
    }
    while (n > 0 && dir[n - 1] != '/') {
        n--;
    }
    snprintf(parent, sizeof parent, "%.*s", (int)n, n > 0 ? dir : ".");
    return rv == 0 ? env_sync_dir(env, n > 0 ? parent : ".", e) : rv;
}

static int lock(struct backup *b, const char *dir, struct error *e)
{
    char path[WHOLE_FILE_PATH_MAX];
    int rv = whole_file_path(dir, "lock", path, e);

    if (rv == 0 && is_there(b->env, dir, "meta")) {
        return error_set(e, Q_CONFLICT, "it is the directory of a node");
    }
    rv = rv == 0 ? env_lock(b->env, path, &b->lock, e) : rv;
    return rv == Q_CONFLICT ? error_set(e, Q_CONFLICT, "another process works on it") : rv;
}

int backup_open(struct env *env, const char *dir, struct backup **ret_backup, struct error *e)
{
    struct backup *b = calloc(1, sizeof *b);
    struct error mine;

    e = e != NULL ? e : &mine;
    if (b == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for a backup");
    }
    b->magic = BACKUP_MAGIC;
    b->env = env;
    buf_init(&b->encoded, CHUNK_ENCODED_MAX);
    int rv = make_dir(env, dir, e);
    rv = rv == 0 ? lock(b, dir, e) : rv;
    rv = rv == 0 ? chunk_store_open(env, dir, &b->chunks, e) : rv;
    rv = rv == 0 ? catalog_open(env, dir, &b->catalog, e) : rv;
    if (rv != 0) {
        backup_close(b);
        return error_wrap(e, "backup directory %s", dir);
    }
    *ret_backup = b;
    return 0;
}

static void nothing(void *ctx, const char *name)
{
    (void)ctx;
    (void)name;
}

int backup_open_existing(struct env *env, const char *dir, struct backup **ret_backup, struct error *e)
{
    char path[WHOLE_FILE_PATH_MAX];
    int rv = whole_file_path(dir, "manifests", path, e);

    rv = rv == 0 ? env_list_dir(env, path, nothing, NULL, e) : rv;
    if (rv == Q_NOT_FOUND) {
        return error_set(e, Q_NOT_FOUND, "%s holds no backups", dir);
    }
    return rv == 0 ? backup_open(env, dir, ret_backup, e) : rv;
}

void backup_close(struct backup *b)
{
    if (b == NULL) {
        return;
    }
    manifest_close(&b->manifest);
    manifest_close(&b->before);
    buf_close(&b->encoded);
    catalog_close(b->catalog);
    chunk_store_close(b->chunks);
    env_close(b->env, b->lock);
    b->magic = 0;
    free(b);
}

struct catalog *backup_catalog(struct backup *b)
{
    return b->catalog;
}

struct chunk_store *backup_chunks(struct backup *b)
{
    return b->chunks;
}

/* ---- making one ---- */

/* The newest whole manifest says whose backups these are. */
static int load_before(struct backup *b, struct error *e)
{
    unsigned i = catalog_count(b->catalog);

    manifest_close(&b->before);
    while (i > 0 && catalog_at(b->catalog, i - 1)->damaged) {
        i--;
    }
    return i == 0 ? 0
                  : catalog_load(b->catalog, catalog_at(b->catalog, i - 1)->index,
                                 catalog_at(b->catalog, i - 1)->term, &b->before, e);
}

static int check_cluster(struct backup *b, const struct manifest *m, struct error *e)
{
    const struct manifest *other = &b->before;

    if (other->chunks > 0 && memcmp(other->cluster_id, m->cluster_id, sizeof m->cluster_id) != 0 &&
        !PLANTED("backups_of_two_clusters_are_mixed")) {
        return error_set(e, Q_MISMATCH,
                         "it holds backups of another cluster (\"%s\", backup %" PRIu64 "-%" PRIu64
                         "): give each cluster a directory of its own",
                         other->cluster_name, other->index, other->term);
    }
    return 0;
}

/* Another cluster with the same first members has the same id, and begins with the same indexes. */
static int check_new(struct backup *b, const struct manifest *m, struct error *e)
{
    const struct catalog_entry *entry = catalog_find(b->catalog, m->index, m->term);
    struct manifest there;
    bool same;

    if (entry == NULL || entry->damaged) {
        return 0;
    }
    if (catalog_load(b->catalog, m->index, m->term, &there, e) != 0) {
        return (int)e->code;
    }
    same = memcmp(there.digest, m->digest, sizeof m->digest) == 0;
    manifest_close(&there);
    if (!same && !PLANTED("backups_of_another_history_are_taken_for_ours")) {
        return error_set(e, Q_MISMATCH,
                         "backup %" PRIu64 "-%" PRIu64
                         " is there with other content: it is of another cluster "
                         "that was begun with the same members",
                         m->index, m->term);
    }
    return error_set(e, Q_CONFLICT, "backup %" PRIu64 "-%" PRIu64 " is there already", m->index, m->term);
}

int backup_begin(struct backup *b, const struct manifest *m, struct error *e)
{
    int rv = load_before(b, e);

    rv = rv == 0 ? check_cluster(b, m, e) : rv;
    rv = rv == 0 ? check_new(b, m, e) : rv;
    if (rv != 0) {
        return rv;
    }
    manifest_close(&b->manifest);
    b->totals = (struct backup_totals){.chunks_all = m->chunks};
    return manifest_copy(m, &b->manifest, e);
}

bool backup_missing(const struct backup *b, uint32_t from, uint32_t *ret_chunk)
{
    for (uint32_t i = from; i < b->manifest.chunks; i++) {
        if (!chunk_store_has(b->chunks, &b->manifest.chunk[i])) {
            *ret_chunk = i;
            return true;
        }
    }
    return false;
}

/* Rows that change all over a table touch nearly every chunk, but little of each. */
static int store_chunk(struct backup *b, uint32_t chunk, const void *encoded, size_t n, struct error *e)
{
    const struct chunk_name *name = &b->manifest.chunk[chunk];

    return chunk < b->before.chunks
               ? chunk_store_put_over(b->chunks, name, encoded, n, &b->before.chunk[chunk], e)
               : chunk_store_put(b->chunks, name, encoded, n, e);
}

int backup_put(struct backup *b, uint32_t chunk, const void *encoded, size_t n, struct error *e)
{
    const struct chunk_name *name = &b->manifest.chunk[chunk];
    uint64_t bytes;
    size_t plain;
    int rv = 0;

    if (chunk_store_has(b->chunks, name)) {
        return 0;
    }
    if (!PLANTED("backups_take_any_chunk")) {
        rv = chunk_decode(encoded, n, name, b->plain, &plain, e);
        if (rv == 0 && plain != manifest_chunk_bytes(&b->manifest, chunk)) {
            rv = error_set(e, Q_CORRUPT, "it has %zu bytes instead of %zu", plain,
                           manifest_chunk_bytes(&b->manifest, chunk));
        }
    }
    if (rv == 0) {
        rv = store_chunk(b, chunk, encoded, n, e);
    }
    if (rv == 0) {
        rv = chunk_store_bytes(b->chunks, name, &bytes, e);
    }
    if (rv == 0) {
        b->totals.chunks_new++;
        b->totals.bytes_new += bytes;
    }
    return rv;
}

/* Into b->base. */
static int load_base(struct backup *b, uint32_t chunk, size_t *ret_n, struct error *e)
{
    int rv = chunk < b->before.chunks ? chunk_store_get(b->chunks, &b->before.chunk[chunk], &b->encoded, e)
                                      : error_set(e, Q_CONFLICT, "there is no chunk before it");

    return rv == 0 ? chunk_decode(b->encoded.data, b->encoded.len, &b->before.chunk[chunk], b->base, ret_n, e)
                   : rv;
}

bool backup_base_sums(struct backup *b, uint32_t chunk, uint8_t ret_sums[DELTA_SUMS_BYTES])
{
    size_t n;

    if (chunk >= b->manifest.chunks || load_base(b, chunk, &n, NULL) != 0) {
        return false;
    }
    delta_sums(b->base, n, &b->manifest.chunk[chunk], ret_sums);
    return true;
}

int backup_put_delta(struct backup *b, uint32_t chunk, const void *delta, size_t n, struct error *e)
{
    size_t base_n, plain_n;
    int rv;

    if (chunk_store_has(b->chunks, &b->manifest.chunk[chunk])) {
        return 0;
    }
    rv = load_base(b, chunk, &base_n, e);
    rv = rv == 0
             ? delta_apply(delta, n, b->base, base_n, chunk, &b->manifest.chunk[chunk], b->plain, &plain_n, e)
             : rv;
    if (rv == 0) {
        buf_clear(&b->encoded);
        rv = chunk_encode(b->plain, plain_n, &b->encoded, e);
    }
    return rv == 0 ? backup_put(b, chunk, b->encoded.data, b->encoded.len, e) : rv;
}

int backup_commit(struct backup *b, struct error *e)
{
    uint32_t chunk;
    int rv;

    if (backup_missing(b, 0, &chunk)) {
        return error_set(e, Q_CONFLICT, "chunk %" PRIu32 " of backup %" PRIu64 "-%" PRIu64 " is missing",
                         chunk, b->manifest.index, b->manifest.term);
    }
    rv = PLANTED("backups_chunks_are_not_synced") ? 0 : chunk_store_sync(b->chunks, e);
    return rv == 0 ? catalog_save(b->catalog, &b->manifest, e) : rv;
}

void backup_totals(const struct backup *b, struct backup_totals *ret_totals)
{
    *ret_totals = b->totals;
}

/* ---- removing some ---- */

/* How many of the oldest entries go: all behind the oldest backup that stays, if one of them is a backup. */
static unsigned count_old(const struct backup *b, const struct backup_prune *prune)
{
    unsigned newer = 0, stays = 0;

    for (unsigned i = catalog_count(b->catalog); i > 0; i--) {
        const struct catalog_entry *entry = catalog_at(b->catalog, i - 1);
        bool aged = prune->before_ms > 0 && entry->made_ms < prune->before_ms;
        bool many = prune->keep > 0 && newer >= prune->keep;

        if (entry->damaged) {
            continue;
        }
        if (newer > 0 && (aged || many)) {
            return stays;
        }
        newer++;
        stays = i - 1;
    }
    return 0;
}

static int sweep(struct backup *b, struct backup_prune *prune, struct error *e)
{
    unsigned count = catalog_count(b->catalog), loaded = 0;
    struct manifest *manifests = calloc(count + 1, sizeof *manifests);
    const struct manifest **kept = calloc(count + 1, sizeof *kept);
    int rv = manifests != NULL && kept != NULL
                 ? 0
                 : error_set(e, Q_NOMEM, "out of memory for %u manifests", count);

    for (; rv == 0 && loaded < count; loaded += rv == 0) {
        const struct catalog_entry *entry = catalog_at(b->catalog, loaded);
        rv = catalog_load(b->catalog, entry->index, entry->term, &manifests[loaded], e);
        kept[loaded] = &manifests[loaded];
    }
    if (rv == 0) {
        unsigned forgotten = PLANTED("prune_forgets_the_oldest_that_stays") && count > 0;
        rv = sweep_run(b->chunks, kept + forgotten, count - forgotten, &prune->chunks, &prune->bytes, e);
    }
    for (unsigned i = 0; i < loaded; i++) {
        manifest_close(&manifests[i]);
    }
    free(manifests);
    free(kept);
    return rv;
}

int backup_prune(struct backup *b, struct backup_prune *prune, struct error *e)
{
    unsigned old = count_old(b, prune);
    int rv = 0;

    prune->backups = prune->kept = prune->damaged = 0;
    prune->chunks = prune->bytes = 0;
    for (; rv == 0 && old > 0; old--) {
        const struct catalog_entry *entry = catalog_at(b->catalog, 0);
        bool damaged = entry->damaged;
        rv = catalog_remove(b->catalog, entry->index, entry->term, e);
        prune->backups += rv == 0 && !damaged;
    }
    if (rv != 0) {
        return rv;
    }
    for (unsigned i = 0; i < catalog_count(b->catalog); i++) {
        prune->damaged += catalog_at(b->catalog, i)->damaged;
    }
    prune->kept = catalog_count(b->catalog) - prune->damaged;
    return prune->damaged == 0 ? sweep(b, prune, e) : 0;
}
