#include "snapshots/chunk_store.h"

#include <stdlib.h>
#include <string.h>

#include "base/plant.h"
#include "snapshots/chunk_over.h"
#include "snapshots/name_set.h"
#include "snapshots/whole_file.h"

/* What a chunk is a difference to is whole when the difference is made. It may become one itself only when it
 * was damaged, removed, and put again: that does not happen often to the same few. */
enum { DEPTH_MAX = 4 };

/* Files that are written and wait for their sync: the first one of them pays for all. */
enum { WAITING_MAX = 32 };

struct waiting {
    struct chunk_name name;
    struct env_file *file;
};

struct chunk_store {
    struct env *env;
    char dir[WHOLE_FILE_PATH_MAX];
    struct name_set names;
    struct waiting waiting[WAITING_MAX];
    unsigned waiting_count;
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

/* Those from FROM on, as if they had never been put. */
static void drop_waiting(struct chunk_store *s, unsigned from)
{
    for (unsigned i = from; i < s->waiting_count; i++) {
        char text[CHUNK_HEX];
        chunk_name_text(&s->waiting[i].name, text);
        whole_file_drop(s->env, s->dir, text, s->waiting[i].file);
        name_set_remove(&s->names, &s->waiting[i].name);
    }
    s->waiting_count = 0;
}

/* Makes those that wait durable. After a failure none of the rest was put. */
static int settle(struct chunk_store *s, struct error *e)
{
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < s->waiting_count; i++) {
        char text[CHUNK_HEX];
        chunk_name_text(&s->waiting[i].name, text);
        rc = whole_file_end(s->env, s->dir, text, s->waiting[i].file, e);
        if (rc != 0) {
            error_wrap(e, "chunk %s", text);
            name_set_remove(&s->names, &s->waiting[i].name);
            drop_waiting(s, i + 1);
        }
    }
    s->waiting_count = 0;
    return rc;
}

void chunk_store_close(struct chunk_store *s)
{
    if (s != NULL) {
        drop_waiting(s, 0);
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

static int put(struct chunk_store *s, const struct chunk_name *name, const void *bytes, size_t n,
               struct error *e)
{
    char text[CHUNK_HEX];
    /* First: what cannot be remembered is not written. */
    int rc = name_set_add(&s->names, name, e);
    if (rc != 0) {
        return rc;
    }
    chunk_name_text(name, text);
    struct env_file *file;
    if ((rc = whole_file_begin(s->env, s->dir, text, bytes, n, &file, e)) != 0) {
        name_set_remove(&s->names, name);
        return error_wrap(e, "chunk %s", text);
    }
    s->waiting[s->waiting_count++] = (struct waiting){.name = *name, .file = file};
    s->unsynced = true;
    return s->waiting_count == WAITING_MAX ? settle(s, e) : 0;
}

int chunk_store_put(struct chunk_store *s, const struct chunk_name *name, const void *encoded, size_t n,
                    struct error *e)
{
    return chunk_store_has(s, name) ? 0 : put(s, name, encoded, n, e);
}

int chunk_store_sync(struct chunk_store *s, struct error *e)
{
    if (!s->unsynced || PLANTED("names_of_chunks_are_not_synced")) {
        return 0;
    }
    int rc = settle(s, e);
    if (rc == 0) {
        rc = env_sync_dir(s->env, s->dir, e);
    }
    s->unsynced = rc != 0;
    return rc;
}

/* ---- chunks that are read ---- */

/* The path of what is called TEXT, which does not wait for its sync any more. */
static int file_of(struct chunk_store *s, const char *text, char ret_path[WHOLE_FILE_PATH_MAX],
                   struct error *e)
{
    int rc = settle(s, e);
    return rc != 0 ? rc : whole_file_path(s->dir, text, ret_path, e);
}

/* BYTES is emptied first. */
static int read_file(struct env *env, const char *chunks, const struct chunk_name *name, struct buf *bytes,
                     struct error *e)
{
    char text[CHUNK_HEX], path[WHOLE_FILE_PATH_MAX];
    chunk_name_text(name, text);
    buf_clear(bytes);
    int rc = whole_file_path(chunks, text, path, e);
    if (rc == 0 && (rc = whole_file_read(env, path, bytes, e)) == Q_TOO_BIG) {
        return error_set(e, Q_CORRUPT, "chunk %s: its file is longer than any chunk's", text);
    }
    return rc == 0 ? 0 : error_wrap(e, "chunk %s", text);
}

/* Memory for a chunk that is a difference, and for its base. */
struct pair {
    struct buf bytes;
    size_t base_n, n;
    uint8_t base[CHUNK_BYTES], plain[CHUNK_BYTES];
};

static int pair_new(struct pair **ret_pair, struct error *e)
{
    struct pair *p = malloc(sizeof *p);
    if (p == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for a chunk and its base");
    }
    buf_init(&p->bytes, CHUNK_OVER_MAX);
    *ret_pair = p;
    return 0;
}

static void pair_free(struct pair *p)
{
    if (p != NULL) {
        buf_close(&p->bytes);
        free(p);
    }
}

static int read_chunk(struct env *env, const char *chunks, const struct chunk_name *name, unsigned depth,
                      struct buf *ret_encoded, struct error *e);

/* The chunk of DIFFERENCE, made with its base, which p->base becomes, and encoded. */
static int resolve(struct env *env, const char *chunks, const struct buf *difference,
                   const struct chunk_name *base, unsigned depth, struct pair *p, struct buf *ret_encoded,
                   struct error *e)
{
    if (depth == DEPTH_MAX) {
        return error_set(e, Q_CORRUPT, "it is a difference to one of %d more", DEPTH_MAX);
    }
    int rc = read_chunk(env, chunks, base, depth + 1, &p->bytes, e);
    if (rc == 0) {
        rc = chunk_decode(p->bytes.data, p->bytes.len, base, p->base, &p->base_n, e);
    }
    if (rc != 0) {
        error_wrap(e, "what it is stored as a difference to");
        return rc == Q_NOT_FOUND ? error_set(e, Q_CORRUPT, "what it is stored as a difference to is gone")
                                 : rc;
    }
    rc = chunk_over_decode(difference->data, difference->len, p->base, p->base_n, p->plain, &p->n, e);
    return rc != 0 ? rc : chunk_encode(p->plain, p->n, ret_encoded, e);
}

static int read_chunk(struct env *env, const char *chunks, const struct chunk_name *name, unsigned depth,
                      struct buf *ret_encoded, struct error *e)
{
    struct buf bytes;
    struct chunk_name base;
    struct pair *p = NULL;
    buf_init(&bytes, CHUNK_ENCODED_MAX); /* a difference that is stored is shorter */
    int rc = read_file(env, chunks, name, &bytes, e);
    buf_clear(ret_encoded);
    if (rc == 0 && chunk_over_base(bytes.data, bytes.len, &base)) {
        rc = pair_new(&p, e);
        rc = rc == 0 ? resolve(env, chunks, &bytes, &base, depth, p, ret_encoded, e) : rc;
        pair_free(p);
        if (rc != 0) {
            char text[CHUNK_HEX];
            chunk_name_text(name, text);
            error_wrap(e, "chunk %s", text);
        }
    } else if (rc == 0) {
        buf_put_bytes(ret_encoded, bytes.data, bytes.len);
        rc = buf_check(ret_encoded, "an encoded chunk", e);
    }
    buf_close(&bytes);
    return rc;
}

int chunk_store_get(struct chunk_store *s, const struct chunk_name *name, struct buf *ret_encoded,
                    struct error *e)
{
    int rc = settle(s, e);
    return rc != 0 ? rc : read_chunk(s->env, s->dir, name, 0, ret_encoded, e);
}

int chunk_store_read(struct env *env, const char *dir, const struct chunk_name *name, struct buf *ret_encoded,
                     struct error *e)
{
    char chunks[WHOLE_FILE_PATH_MAX];
    int rc = whole_file_path(dir, "chunks", chunks, e);
    return rc != 0 ? rc : read_chunk(env, chunks, name, 0, ret_encoded, e);
}

int chunk_store_base(struct chunk_store *s, const struct chunk_name *name, bool *ret_is_over,
                     struct chunk_name *ret_base, struct error *e)
{
    uint8_t header[CHUNK_OVER_HEADER_BYTES];
    char text[CHUNK_HEX], path[WHOLE_FILE_PATH_MAX];
    struct env_file *file;
    size_t n;
    chunk_name_text(name, text);
    int rc = file_of(s, text, path, e);
    if (rc != 0 || (rc = env_open(s->env, path, 0, &file, e)) != 0) {
        return rc;
    }
    rc = env_read(s->env, file, 0, header, sizeof header, &n, e);
    env_close(s->env, file);
    if (rc == 0) {
        *ret_is_over = chunk_over_base(header, n, ret_base);
    }
    return rc;
}

/* p->base becomes what a difference may be made to: the chunk BASE, or what that is a difference to, which
 * *BASE becomes then. */
static int load_base(struct chunk_store *s, struct chunk_name *base, struct pair *p, struct error *e)
{
    struct chunk_name other;
    int rc = read_file(s->env, s->dir, base, &p->bytes, e);
    if (rc == Q_NOT_FOUND && s->waiting_count > 0 && (rc = settle(s, e)) == 0) {
        rc = read_file(s->env, s->dir, base, &p->bytes, e);
    }
    if (rc == 0 && chunk_over_base(p->bytes.data, p->bytes.len, &other)) {
        *base = other;
        rc = read_file(s->env, s->dir, base, &p->bytes, e);
    }
    return rc != 0 ? rc : chunk_decode(p->bytes.data, p->bytes.len, base, p->base, &p->base_n, e);
}

/* p->bytes becomes the difference, if there is one to BASE. */
static int make_over(struct chunk_store *s, const void *encoded, size_t n, const struct chunk_name *base,
                     struct pair *p, bool *ret_made, struct error *e)
{
    struct chunk_name of = *base;
    struct error no_base;
    int rc = chunk_unpack(encoded, n, p->plain, &p->n, e);
    if (rc == 0 && load_base(s, &of, p, &no_base) == 0) {
        buf_clear(&p->bytes);
        rc = chunk_over_encode(p->plain, p->n, &of, p->base, p->base_n, &p->bytes, e);
        *ret_made = rc == 0 && p->bytes.len < n / 2;
    }
    return rc;
}

int chunk_store_put_over(struct chunk_store *s, const struct chunk_name *name, const void *encoded, size_t n,
                         const struct chunk_name *base, struct error *e)
{
    struct pair *p = NULL;
    bool made = false;
    if (chunk_store_has(s, name)) {
        return 0;
    }
    if (!chunk_store_has(s, base)) {
        return put(s, name, encoded, n, e);
    }
    int rc = pair_new(&p, e);
    rc = rc == 0 ? make_over(s, encoded, n, base, p, &made, e) : rc;
    if (rc == 0) {
        rc = made ? put(s, name, p->bytes.data, p->bytes.len, e) : put(s, name, encoded, n, e);
    }
    pair_free(p);
    return rc;
}

int chunk_store_remove(struct chunk_store *s, const struct chunk_name *name, struct error *e)
{
    char text[CHUNK_HEX], path[WHOLE_FILE_PATH_MAX];
    chunk_name_text(name, text);
    int rc = file_of(s, text, path, e);
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
    int rc = file_of(s, text, path, e);
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
