#include "snapshots/backup_verify.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/plant.h"
#include "storage/page_sum.h"

/* The manifest that was looked at last, and what was wrong with its chunks. */
struct seen {
    struct manifest manifest;
    bool *bad;
};

struct run {
    struct backup *backup;
    struct backup_verify *verify;
    struct seen last;
    struct buf encoded;
    uint8_t *plain; /* CHUNK_BYTES */
    uint64_t bytes_done, bytes_all;
};

static void tell(struct run *r, const struct catalog_entry *entry, struct error *what)
{
    error_wrap(what, "backup %" PRIu64 "-%" PRIu64, entry->index, entry->term);
    r->verify->damage(r->verify->ctx, what);
}

/* Q_CORRUPT and Q_NOT_FOUND are damage; other errors are this machine's. */
static int check_chunk(struct run *r, const struct manifest *m, uint32_t i, struct error *e)
{
    size_t n;
    int rv = chunk_store_get(backup_chunks(r->backup), &m->chunk[i], &r->encoded, e);

    if (rv != 0) {
        return rv;
    }
    r->verify->chunks_read++;
    r->verify->bytes_read += r->encoded.len;
    rv = chunk_decode(r->encoded.data, r->encoded.len, &m->chunk[i], r->plain, &n, e);
    if (rv != 0) {
        return rv;
    }
    if (n != manifest_chunk_bytes(m, i)) {
        return error_set(e, Q_CORRUPT, "it has %zu bytes instead of %zu", n, manifest_chunk_bytes(m, i));
    }
    for (size_t at = 0; at + PAGE_BYTES <= n; at += PAGE_BYTES) {
        uint64_t page = ((uint64_t)i * CHUNK_BYTES + at) / PAGE_BYTES + 1;
        if (!page_sum_ok(r->plain + at, page)) {
            return error_set(e, Q_CORRUPT, "page %" PRIu64 " of the image fails its checksum", page);
        }
    }
    return 0;
}

static bool same_as_last(const struct run *r, const struct manifest *m, uint32_t i)
{
    return i < r->last.manifest.chunks &&
           memcmp(&r->last.manifest.chunk[i], &m->chunk[i], sizeof m->chunk[i]) == 0;
}

/* *RET_BAD: it is damaged, and that has been told. */
static int look_at_chunk(struct run *r, const struct catalog_entry *entry, const struct manifest *m,
                         uint32_t i, bool *ret_bad, struct error *e)
{
    struct error what;
    char name[CHUNK_HEX];
    int rv;

    if (same_as_last(r, m, i)) {
        *ret_bad = r->last.bad[i];
        return 0;
    }
    rv = check_chunk(r, m, i, &what);
    *ret_bad = rv != 0 && !PLANTED("verify_is_content_with_manifests");
    if (rv == 0 || rv == Q_CORRUPT || rv == Q_NOT_FOUND || rv == Q_TOO_BIG) {
        if (!*ret_bad) {
            return 0;
        }
    } else {
        *e = what;
        return rv;
    }
    chunk_name_text(&m->chunk[i], name);
    error_wrap(&what, "chunk %" PRIu32 ", chunks/%s", i, name);
    tell(r, entry, &what);
    r->verify->chunks_damaged++;
    return r->verify->remove_damaged ? chunk_store_remove(backup_chunks(r->backup), &m->chunk[i], e) : 0;
}

static int look_at(struct run *r, const struct catalog_entry *entry, const struct manifest *m, bool *bad,
                   struct error *e)
{
    unsigned damaged = 0;
    int rv = 0;

    for (uint32_t i = 0; rv == 0 && i < m->chunks; i++) {
        rv = look_at_chunk(r, entry, m, i, &bad[i], e);
        damaged += bad[i];
        r->bytes_done += manifest_chunk_bytes(m, i);
        if (r->verify->progress != NULL) {
            r->verify->progress(r->verify->ctx, r->bytes_done, r->bytes_all);
        }
    }
    if (rv == 0) {
        r->verify->backups++;
        r->verify->damaged_backups += damaged > 0;
    }
    return rv;
}

static int verify_one(struct run *r, const struct catalog_entry *entry, struct error *e)
{
    struct seen next = {.bad = NULL};
    struct error what;
    int rv = catalog_load(backup_catalog(r->backup), entry->index, entry->term, &next.manifest, &what);

    if (rv == Q_CORRUPT || rv == Q_MISMATCH || rv == Q_TOO_BIG) {
        r->verify->backups++;
        r->verify->damaged_backups++;
        tell(r, entry, &what);
        return 0;
    }
    if (rv != 0) {
        *e = what;
        return rv;
    }
    next.bad = calloc(next.manifest.chunks + 1, sizeof *next.bad);
    rv = next.bad != NULL ? look_at(r, entry, &next.manifest, next.bad, e)
                          : error_set(e, Q_NOMEM, "out of memory to verify a backup");
    manifest_close(&r->last.manifest);
    free(r->last.bad);
    r->last = next;
    return rv;
}

int backup_verify(struct backup *b, struct backup_verify *verify, struct error *e)
{
    struct run r = {.backup = b, .verify = verify, .plain = malloc(CHUNK_BYTES)};
    const struct catalog *catalog = backup_catalog(b);
    int rv = r.plain != NULL ? 0 : error_set(e, Q_NOMEM, "out of memory to verify a backup");

    buf_init(&r.encoded, CHUNK_ENCODED_MAX);
    for (unsigned i = 0; i < catalog_count(catalog); i++) {
        r.bytes_all += catalog_at(catalog, i)->image_bytes;
    }
    for (unsigned i = catalog_count(catalog); rv == 0 && i > 0; i--) {
        rv = verify_one(&r, catalog_at(catalog, i - 1), e);
    }
    manifest_close(&r.last.manifest);
    free(r.last.bad);
    buf_close(&r.encoded);
    free(r.plain);
    return rv;
}
