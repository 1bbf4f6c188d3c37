#include "snapshots/catalog.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "snapshots/whole_file.h"

struct catalog {
    struct env *env;
    char dir[WHOLE_FILE_PATH_MAX];
    struct catalog_entry *entry;
    unsigned count, room;
    struct error *e; /* of the open that is running: the first failure of a listed name */
    int failed;
};

void catalog_file_name(uint64_t index, uint64_t term, char ret_name[CATALOG_FILE_MAX])
{
    snprintf(ret_name, CATALOG_FILE_MAX, "%" PRIu64 "-%" PRIu64 ".manifest", index, term);
}

static bool parse_name(const char *text, uint64_t *ret_index, uint64_t *ret_term)
{
    char again[CATALOG_FILE_MAX];
    uint64_t index, term;
    int end = 0;
    if (sscanf(text, "%20" SCNu64 "-%20" SCNu64 ".manifest%n", &index, &term, &end) != 2 || end == 0) {
        return false;
    }
    catalog_file_name(index, term, again);
    if (strcmp(text, again) != 0) {
        return false;
    }
    *ret_index = index;
    *ret_term = term;
    return true;
}

/* Negative, 0 or positive as ENTRY stands before, at or behind the place of (INDEX, TERM). */
static int order(const struct catalog_entry *entry, uint64_t index, uint64_t term)
{
    if (entry->index != index) {
        return entry->index < index ? -1 : 1;
    }
    return entry->term == term ? 0 : entry->term < term ? -1 : 1;
}

static unsigned place_of(const struct catalog *c, uint64_t index, uint64_t term)
{
    unsigned at = 0;
    while (at < c->count && order(&c->entry[at], index, term) < 0) {
        at++;
    }
    return at;
}

static struct catalog_entry *find(const struct catalog *c, uint64_t index, uint64_t term)
{
    unsigned at = place_of(c, index, term);
    return at < c->count && order(&c->entry[at], index, term) == 0 ? &c->entry[at] : NULL;
}

static int reserve(struct catalog *c, struct error *e)
{
    if (c->count == c->room) {
        unsigned room = c->room == 0 ? 16 : c->room * 2;
        struct catalog_entry *entry = realloc(c->entry, room * sizeof *entry);
        if (entry == NULL) {
            return error_set(e, Q_NOMEM, "out of memory for a list of manifests");
        }
        c->entry = entry;
        c->room = room;
    }
    return 0;
}

/* There is room. */
static void put(struct catalog *c, const struct catalog_entry *entry)
{
    unsigned at = place_of(c, entry->index, entry->term);
    if (at == c->count || order(&c->entry[at], entry->index, entry->term) != 0) {
        assert(c->count < c->room);
        memmove(c->entry + at + 1, c->entry + at, (c->count - at) * sizeof *c->entry);
        c->count++;
    }
    c->entry[at] = *entry;
}

static struct catalog_entry entry_of(const struct manifest *m)
{
    struct catalog_entry entry = {.index = m->index,
                                  .term = m->term,
                                  .made_ms = m->made_ms,
                                  .node = m->node,
                                  .image_bytes = m->image_bytes,
                                  .chunks = m->chunks};
    memcpy(entry.hash, m->hash, sizeof entry.hash);
    return entry;
}

static int read_bytes(struct env *env, const char *manifests, uint64_t index, uint64_t term,
                      struct buf *ret_bytes, struct error *e)
{
    char name[CATALOG_FILE_MAX], path[WHOLE_FILE_PATH_MAX];
    catalog_file_name(index, term, name);
    int rc = whole_file_path(manifests, name, path, e);
    return rc != 0 ? rc : whole_file_read(env, path, ret_bytes, e);
}

static int load(struct catalog *c, uint64_t index, uint64_t term, struct manifest *ret_m, struct error *e)
{
    struct manifest m = {0};
    struct buf bytes;
    buf_init(&bytes, MANIFEST_BYTES_MAX);
    int rc = read_bytes(c->env, c->dir, index, term, &bytes, e);
    if (rc == 0) {
        rc = manifest_decode(bytes.data, bytes.len, &m, e);
        if (rc == 0 && (m.index != index || m.term != term)) {
            rc = error_set(e, Q_CORRUPT, "it is the manifest of index %" PRIu64 " and term %" PRIu64, m.index,
                           m.term);
            manifest_close(&m);
        }
        if (rc != 0) {
            char name[CATALOG_FILE_MAX];
            catalog_file_name(index, term, name);
            error_wrap(e, "%.300s/%s", c->dir, name);
        }
    }
    buf_close(&bytes);
    if (rc == 0) {
        *ret_m = m;
    }
    return rc;
}

static void see(void *ctx, const char *name)
{
    struct catalog *c = ctx;
    struct catalog_entry entry = {0};
    if (c->failed == 0 && parse_name(name, &entry.index, &entry.term)) {
        c->failed = reserve(c, c->e);
        if (c->failed == 0) {
            put(c, &entry);
        }
    }
}

/* Lists first, reads then. Only what has nothing to do with the one manifest ends it. */
static int read_all(struct catalog *c, struct error *e)
{
    c->e = e;
    int rc = whole_file_list(c->env, c->dir, see, c, e);
    c->e = NULL;
    rc = rc != 0 ? rc : c->failed;
    for (unsigned i = 0; rc == 0 && i < c->count; i++) {
        struct catalog_entry *entry = &c->entry[i];
        struct manifest m;
        struct error why;
        int loaded = load(c, entry->index, entry->term, &m, &why);
        if (loaded == 0) {
            *entry = entry_of(&m);
            manifest_close(&m);
        } else if (loaded == Q_NOMEM || loaded == Q_CLOSED) {
            rc = error_set(e, why.code, "%s", why.text);
        } else {
            entry->damaged = true;
        }
    }
    return rc;
}

int catalog_open(struct env *env, const char *dir, struct catalog **ret_catalog, struct error *e)
{
    struct catalog *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for a catalog");
    }
    c->env = env;
    int rc = whole_file_path(dir, "manifests", c->dir, e);
    if (rc != 0 || (rc = env_make_dir(env, c->dir, e)) != 0 || (rc = env_sync_dir(env, dir, e)) != 0 ||
        (rc = read_all(c, e)) != 0) {
        catalog_close(c);
        return rc;
    }
    *ret_catalog = c;
    return 0;
}

void catalog_close(struct catalog *c)
{
    if (c != NULL) {
        free(c->entry);
        free(c);
    }
}

unsigned catalog_count(const struct catalog *c)
{
    return c->count;
}

const struct catalog_entry *catalog_at(const struct catalog *c, unsigned i)
{
    assert(i < c->count);
    return &c->entry[i];
}

const struct catalog_entry *catalog_find(const struct catalog *c, uint64_t index, uint64_t term)
{
    return find(c, index, term);
}

int catalog_load(struct catalog *c, uint64_t index, uint64_t term, struct manifest *ret_m, struct error *e)
{
    return load(c, index, term, ret_m, e);
}

int catalog_read(struct env *env, const char *dir, uint64_t index, uint64_t term, struct buf *ret_bytes,
                 struct error *e)
{
    char manifests[WHOLE_FILE_PATH_MAX];
    int rc = whole_file_path(dir, "manifests", manifests, e);
    buf_clear(ret_bytes);
    return rc != 0 ? rc : read_bytes(env, manifests, index, term, ret_bytes, e);
}

int catalog_save(struct catalog *c, struct manifest *m, struct error *e)
{
    char name[CATALOG_FILE_MAX];
    struct buf bytes;
    catalog_file_name(m->index, m->term, name);
    buf_init(&bytes, MANIFEST_BYTES_MAX);
    int rc = reserve(c, e);
    if (rc == 0 && (rc = manifest_encode(m, &bytes, e)) == 0 &&
        (rc = whole_file_write(c->env, c->dir, name, bytes.data, bytes.len, e)) == 0) {
        struct catalog_entry entry = entry_of(m);
        put(c, &entry);
        rc = env_sync_dir(c->env, c->dir, e);
    }
    buf_close(&bytes);
    return rc == 0 ? 0 : error_wrap(e, "manifest %s", name);
}

int catalog_remove(struct catalog *c, uint64_t index, uint64_t term, struct error *e)
{
    char name[CATALOG_FILE_MAX], path[WHOLE_FILE_PATH_MAX];
    catalog_file_name(index, term, name);
    int rc = whole_file_path(c->dir, name, path, e);
    if (rc != 0 || ((rc = env_unlink(c->env, path, e)) != 0 && rc != Q_NOT_FOUND) ||
        (rc = env_sync_dir(c->env, c->dir, e)) != 0) {
        return rc;
    }
    struct catalog_entry *entry = find(c, index, term);
    if (entry != NULL) {
        memmove(entry, entry + 1, (size_t)(c->entry + c->count - entry - 1) * sizeof *entry);
        c->count--;
    }
    return 0;
}
