#include "snapshots/manifest.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/plant.h"
#include "storage/page_sum.h"

static const char magic[8] = "QRTMANI1";

enum { MAGIC_NAME = sizeof magic - 1 /* without the version */ };

static_assert(sizeof(struct chunk_name) == CHUNK_NAME_BYTES, "chunk names are stored as they are");
static_assert(sizeof((struct manifest *)0)->hash == sizeof(struct chunk_name), "and so is the hash");

uint64_t manifest_chunks_of(uint64_t bytes)
{
    return bytes / CHUNK_BYTES + (bytes % CHUNK_BYTES != 0);
}

size_t manifest_chunk_bytes(const struct manifest *m, uint32_t i)
{
    assert(i < m->chunks);
    uint64_t left = m->image_bytes - (uint64_t)i * CHUNK_BYTES;
    return left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
}

void manifest_close(struct manifest *m)
{
    free(m->chunk);
    m->chunk = NULL;
    m->chunks = 0;
}

static int take_chunks(struct manifest *m, const void *names, struct error *e)
{
    struct chunk_name *chunk = malloc((size_t)m->chunks * sizeof *chunk);
    if (chunk == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for the %u chunks of a manifest", m->chunks);
    }
    memcpy(chunk, names, (size_t)m->chunks * sizeof *chunk);
    m->chunk = chunk;
    return 0;
}

int manifest_copy(const struct manifest *m, struct manifest *ret_m, struct error *e)
{
    struct manifest copy = *m;
    int rc = take_chunks(&copy, m->chunk, e);
    if (rc == 0) {
        *ret_m = copy;
    }
    return rc;
}

static void put_text(struct buf *out, const char *text, size_t room)
{
    buf_put_blob(out, text, strnlen(text, room));
}

int manifest_encode(struct manifest *m, struct buf *out, struct error *e)
{
    size_t begin = out->len;
    if (m->chunks > MANIFEST_CHUNKS_MAX) {
        return error_set(e, Q_TOO_BIG, "an image of %llu bytes is larger than a manifest can name",
                         (unsigned long long)m->image_bytes);
    }
    assert(m->chunks > 0 && m->chunks == manifest_chunks_of(m->image_bytes));
    assert(m->configuration_len <= MANIFEST_CONFIGURATION_MAX);
    buf_put_bytes(out, magic, sizeof magic);
    buf_put_bytes(out, m->cluster_id, sizeof m->cluster_id);
    buf_put_u64(out, m->index);
    buf_put_u64(out, m->term);
    buf_put_u64(out, m->time_ms);
    buf_put_u64(out, m->configuration_index);
    buf_put_blob(out, m->configuration, m->configuration_len);
    buf_put_bytes(out, m->digest, sizeof m->digest);
    buf_put_u64(out, m->node);
    buf_put_u64(out, m->made_ms);
    buf_put_u32(out, m->page_bytes);
    buf_put_u64(out, m->image_bytes);
    put_text(out, m->sqlite, sizeof m->sqlite);
    put_text(out, m->cluster_name, sizeof m->cluster_name);
    put_text(out, m->semantics, sizeof m->semantics);
    buf_put_u32(out, m->chunks);
    buf_put_bytes(out, m->chunk, (size_t)m->chunks * sizeof *m->chunk);
    int rc = buf_check(out, "a manifest", e);
    if (rc == 0) {
        struct chunk_name hash;
        chunk_name_of(out->data + begin, out->len - begin, &hash);
        memcpy(m->hash, &hash, sizeof hash);
        buf_put_bytes(out, m->hash, sizeof m->hash);
        rc = buf_check(out, "a manifest", e);
    }
    return rc;
}

static void get_bytes(struct cursor *c, void *to, size_t n)
{
    const uint8_t *p = cursor_bytes(c, n);
    if (p != NULL) {
        memcpy(to, p, n);
    }
}

/* At most ROOM bytes. */
static uint32_t get_blob(struct cursor *c, void *to, size_t room)
{
    struct cursor blob = cursor_blob(c);
    size_t n = cursor_left(&blob);
    if (n > room) {
        c->bad = true;
        return 0;
    }
    get_bytes(&blob, to, n);
    return (uint32_t)n;
}

static void get_text(struct cursor *c, char *to, size_t room)
{
    uint32_t n = get_blob(c, to, room - 1);
    to[n] = 0;
    c->bad |= memchr(to, 0, n) != NULL;
}

/* All but the chunks. */
static void get_fields(struct cursor *c, struct manifest *m)
{
    get_bytes(c, m->cluster_id, sizeof m->cluster_id);
    m->index = cursor_u64(c);
    m->term = cursor_u64(c);
    m->time_ms = cursor_u64(c);
    m->configuration_index = cursor_u64(c);
    m->configuration_len = get_blob(c, m->configuration, sizeof m->configuration);
    get_bytes(c, m->digest, sizeof m->digest);
    m->node = cursor_u64(c);
    m->made_ms = cursor_u64(c);
    m->page_bytes = cursor_u32(c);
    m->image_bytes = cursor_u64(c);
    get_text(c, m->sqlite, sizeof m->sqlite);
    get_text(c, m->cluster_name, sizeof m->cluster_name);
    get_text(c, m->semantics, sizeof m->semantics);
    m->chunks = cursor_u32(c);
}

static int check_hash(const void *p, size_t n, struct manifest *m, struct error *e)
{
    struct chunk_name hash;
    const uint8_t *own = (const uint8_t *)p + n;
    chunk_name_of(p, n, &hash);
    if (memcmp(&hash, own, sizeof hash) != 0 && !PLANTED("manifest_hash_is_not_checked")) {
        return error_set(e, Q_CORRUPT, "the manifest is damaged: it has another hash than it says");
    }
    memcpy(m->hash, own, sizeof m->hash);
    return 0;
}

static int check_magic(const uint8_t *begin, struct error *e)
{
    if (begin == NULL || memcmp(begin, magic, MAGIC_NAME) != 0) {
        return error_set(e, Q_CORRUPT, "not a manifest");
    }
    if (begin[MAGIC_NAME] != (uint8_t)magic[MAGIC_NAME]) {
        return error_set(e, Q_MISMATCH, "a manifest of an unknown version");
    }
    return 0;
}

static int check_sizes(const struct manifest *m, size_t left, struct error *e)
{
    if (m->page_bytes != PAGE_BYTES) {
        return error_set(e, Q_MISMATCH, "the image has pages of %u bytes instead of %d", m->page_bytes,
                         PAGE_BYTES);
    }
    if (manifest_chunks_of(m->image_bytes) > MANIFEST_CHUNKS_MAX) {
        return error_set(e, Q_TOO_BIG, "an image of %llu bytes is larger than a manifest can name",
                         (unsigned long long)m->image_bytes);
    }
    if (m->chunks == 0 || m->chunks != manifest_chunks_of(m->image_bytes) ||
        m->image_bytes % PAGE_BYTES != 0 || left != (uint64_t)m->chunks * CHUNK_NAME_BYTES) {
        return error_set(e, Q_CORRUPT, "a manifest that contradicts itself");
    }
    return 0;
}

int manifest_decode(const void *p, size_t n, struct manifest *ret_m, struct error *e)
{
    struct manifest m = {0};
    if (n < sizeof magic + sizeof m.hash) {
        return error_set(e, Q_CORRUPT, "not a manifest");
    }
    n -= sizeof m.hash;
    struct cursor c = cursor_of(p, n);
    int rc = check_hash(p, n, &m, e);
    if (rc != 0 || (rc = check_magic(cursor_bytes(&c, sizeof magic), e)) != 0) {
        return rc;
    }
    get_fields(&c, &m);
    if (c.bad) {
        return error_set(e, Q_CORRUPT, "a manifest that contradicts itself");
    }
    if ((rc = check_sizes(&m, cursor_left(&c), e)) != 0 || (rc = take_chunks(&m, c.p, e)) != 0) {
        return rc;
    }
    *ret_m = m;
    return 0;
}
