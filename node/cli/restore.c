#include "node/cli/restore.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cluster/found.h"
#include "node/cli/clock.h"
#include "snapshots/backup.h"
#include "snapshots/stage.h"
#include "storage/adopt.h"

enum {
    STEP_CHUNKS = 16,
    RESULT_MAX = 64 * 1024 * 1024, /* as quorated has it */
    PATH_BYTES = 4096,
    READ_BYTES = 256 * 1024,
};

struct run {
    struct restore *restore;
    struct env *env;
    const char *from, *dir;
    char cluster_name[RESTORE_NAME_MAX];
    uint8_t origin[CLUSTER_ORIGIN_BYTES];
    bool check_digest;
    uint8_t digest[DIGEST_BYTES];
};

/* ---- where to ---- */

static void on_entry(void *ctx, const char *name)
{
    snprintf(ctx, 64, "%s", name);
}

static int make_dir(struct run *r, struct error *e)
{
    char found[64] = "", parent[PATH_BYTES];
    const char *slash = strrchr(r->dir, '/');
    int rv = env_make_dir(r->env, r->dir, e);

    rv = rv == 0 ? env_list_dir(r->env, r->dir, on_entry, found, e) : rv;
    if (rv == 0 && found[0] != 0) {
        rv = error_set(e, Q_CONFLICT,
                       "%s is not empty (%s is there): a node is restored into a directory of its own",
                       r->dir, found);
    }
    snprintf(parent, sizeof parent, "%.*s", slash != NULL ? (int)(slash - r->dir) + 1 : 1,
             slash != NULL ? r->dir : ".");
    return rv == 0 ? env_sync_dir(r->env, parent, e) : rv;
}

/* ---- out of a backup ---- */

static const struct catalog_entry *choose(const struct run *r, const struct catalog *catalog, struct error *e)
{
    uint64_t index = r->restore->index;

    for (unsigned i = catalog_count(catalog); i > 0; i--) {
        const struct catalog_entry *entry = catalog_at(catalog, i - 1);
        if (index == 0 ? !entry->damaged : entry->index == index) {
            return entry;
        }
    }
    if (index == 0) {
        error_set(e, Q_NOT_FOUND, "%s holds no backup", r->from);
    } else {
        error_set(e, Q_NOT_FOUND, "%s holds no backup of index %" PRIu64 " (quorate backup list says which)",
                  r->from, index);
    }
    return NULL;
}

/* Out of the chunks that are there: each is verified, and each page. */
static int assemble(struct run *r, struct backup *backup, const struct manifest *m, struct error *e)
{
    struct stage_config config = {.env = r->env, .dir = r->dir, .store = backup_chunks(backup)};
    struct progress_facts facts = {.bytes_total = m->image_bytes, .unit = "chunks", .done = "restored"};
    struct stage_progress at;
    struct stage *stage;
    uint64_t started_us = clock_us();
    bool scanned = false;
    uint32_t chunk;
    int rv = stage_open(&config, m, &stage, e);

    if (rv != 0) {
        return rv;
    }
    while (rv == 0 && !scanned) {
        rv = stage_step(stage, STEP_CHUNKS, &scanned, e);
        stage_progress(stage, &at);
        facts.rows = at.chunks_reused;
        facts.bytes = (uint64_t)at.chunks_reused * CHUNK_BYTES;
        facts.elapsed_us = clock_us() - started_us;
        progress_show(r->restore->progress, &facts, clock_us());
    }
    progress_end(r->restore->progress);
    if (rv == 0 && stage_missing(stage, 0, &chunk)) {
        char hex[CHUNK_HEX];
        chunk_name_text(&m->chunk[chunk], hex);
        rv = error_set(e, Q_CORRUPT,
                       "chunk %" PRIu32 " (chunks/%s) is missing or damaged: quorate backup verify says "
                       "more, and an older backup may be whole",
                       chunk, hex);
    }
    rv = rv == 0 ? stage_finish(stage, e) : rv;
    stage_close(stage);
    rv = rv == 0 ? stage_swap(r->env, r->dir, m->index, m->term, e) : rv;
    return rv == 0 ? stage_clear(r->env, r->dir, e) : rv;
}

static int from_backup(struct run *r, struct error *e)
{
    const struct catalog_entry *entry;
    struct manifest m = {.chunks = 0};
    struct backup *backup;
    int rv = backup_open_existing(r->env, r->from, &backup, e);

    if (rv != 0) {
        return rv;
    }
    entry = choose(r, backup_catalog(backup), e);
    rv =
        entry == NULL ? (int)e->code : catalog_load(backup_catalog(backup), entry->index, entry->term, &m, e);
    rv = rv == 0 ? make_dir(r, e) : rv;
    if (rv == 0) {
        rv = assemble(r, backup, &m, e);
        rv = rv == 0 ? 0 : error_wrap(e, "backup %" PRIu64 "-%" PRIu64, m.index, m.term);
    }
    if (rv == 0) {
        memcpy(r->digest, m.digest, sizeof r->digest);
        r->check_digest = true;
        memcpy(r->origin, m.hash, sizeof r->origin);
        snprintf(r->cluster_name, sizeof r->cluster_name, "%s", m.cluster_name);
    }
    manifest_close(&m);
    backup_close(backup);
    return rv;
}

/* ---- out of a plain file ---- */

/* The same file names the same cluster on each machine. */
static int hash_file(struct run *r, struct error *e)
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    uint8_t *p = malloc(READ_BYTES);
    struct env_file *f = NULL;
    uint64_t at = 0;
    size_t n = READ_BYTES;
    int rv = env_open(r->env, r->from, 0, &f, e);

    if (rv == 0 && (hash == NULL || p == NULL || EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1)) {
        rv = error_set(e, Q_NOMEM, "out of memory to read %s", r->from);
    }
    for (; rv == 0 && n == READ_BYTES; at += n) {
        rv = env_read(r->env, f, at, p, READ_BYTES, &n, e);
        if (rv == 0 && EVP_DigestUpdate(hash, p, n) != 1) {
            rv = error_set(e, Q_NOMEM, "out of memory to read %s", r->from);
        }
    }
    if (rv == 0 && EVP_DigestFinal_ex(hash, r->origin, NULL) != 1) {
        rv = error_set(e, Q_NOMEM, "out of memory to read %s", r->from);
    }
    env_close(r->env, f);
    free(p);
    EVP_MD_CTX_free(hash);
    return rv;
}

static int from_file(struct run *r, struct error *e)
{
    char to[PATH_BYTES];
    int rv = hash_file(r, e);

    if (rv == 0 && (size_t)snprintf(to, sizeof to, "%s/db.sqlite", r->dir) >= sizeof to) {
        rv = error_set(e, Q_INVALID, "the directory's name is too long");
    }
    rv = rv == 0 ? make_dir(r, e) : rv;
    snprintf(r->cluster_name, sizeof r->cluster_name, "quorate");
    return rv == 0 ? store_adopt(r->from, to, NULL, e) : rv;
}

/* ---- both ---- */

static int found(struct run *r, struct store_position *ret_at, struct error *e)
{
    const struct restore *restore = r->restore;
    struct found_config config = {
        .env = r->env,
        .dir = r->dir,
        .id = restore->id,
        .members = restore->members,
        .count = restore->count,
        .cluster_name = r->cluster_name,
        .foreign_keys = restore->foreign_keys,
        .instructions_max = restore->instructions_max,
        .result_max = RESULT_MAX,
        .digest = r->check_digest ? r->digest : NULL,
        .scan = restore->scan,
    };

    memcpy(config.origin, r->origin, sizeof config.origin);
    return found_make(&config, ret_at, e);
}

int restore_run(struct restore *restore, struct error *e)
{
    struct run run = {.restore = restore, .env = restore->env, .from = restore->from, .dir = restore->dir};
    struct run *r = &run;
    struct store_position at;
    struct stat st;
    int rv;

    if (stat(r->from, &st) != 0) {
        return error_set(e, Q_NOT_FOUND, "there is no %s", r->from);
    }
    rv = S_ISDIR(st.st_mode) ? from_backup(r, e) : from_file(r, e);
    if (rv != 0) {
        return rv;
    }
    if (restore->cluster_name != NULL) {
        snprintf(run.cluster_name, sizeof run.cluster_name, "%s", restore->cluster_name);
    }
    rv = found(&run, &at, e);
    if (rv == 0) {
        restore->at_index = at.index;
        restore->at_term = at.term;
        snprintf(restore->name, sizeof restore->name, "%s", run.cluster_name);
    }
    return rv;
}
