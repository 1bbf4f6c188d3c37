#include "tests/unit/snapshots/kit.h"

#include "tests/unit/test.h"

void must(int rc, const struct error *e)
{
    if (rc != 0) {
        fail_msg("%s: %s", error_name(e->code), e->text);
    }
}

void rig_init(struct rig *r, uint64_t seed)
{
    struct error e;
    *r = (struct rig){.sim = sim_new(seed)};
    r->node = sim_node_new(r->sim, "n");
    r->env = sim_node_boot(r->node);
    must(env_make_dir(r->env, "a", &e), &e);
    must(env_make_dir(r->env, "b", &e), &e);
    must(env_sync_dir(r->env, "/", &e), &e);
}

void rig_done(struct rig *r)
{
    if (sim_node_env(r->node) != NULL) {
        sim_node_kill(r->node);
    }
    sim_free(r->sim);
}

void rig_boot(struct rig *r)
{
    r->env = sim_node_boot(r->node);
}

void rig_crash(struct rig *r)
{
    sim_node_crash(r->node);
    rig_boot(r);
}

void rig_kill(struct rig *r)
{
    sim_node_kill(r->node);
    rig_boot(r);
}

/* ---- images ---- */

static void fill_page(uint8_t *page, size_t number, unsigned seed)
{
    uint64_t x = number * 0x9e3779b97f4a7c15u + seed * 0xbf58476d1ce4e5b9u + 1;
    for (size_t at = 0; at < PAGE_BYTES; at += 16) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        put_le64(page + at, x);
        put_le64(page + at + 8, 0x2020202020202020u);
    }
    page_sum_set(page, number);
}

struct image image_make(size_t pages, unsigned seed)
{
    struct image image = {.p = malloc(pages * PAGE_BYTES), .pages = pages};
    assert_non_null(image.p);
    for (size_t i = 1; i <= pages; i++) {
        image_change(&image, i, seed);
    }
    return image;
}

void image_change(struct image *image, size_t number, unsigned seed)
{
    fill_page(image->p + (number - 1) * PAGE_BYTES, number, seed);
}

size_t image_bytes(const struct image *image)
{
    return image->pages * PAGE_BYTES;
}

void image_close(struct image *image)
{
    free(image->p);
}

/* ---- files ---- */

static void parent_of(const char *path, char *ret_dir, size_t room)
{
    const char *slash = strrchr(path, '/');
    snprintf(ret_dir, room, "%.*s", slash == NULL ? 0 : (int)(slash - path), path);
}

void rig_put(struct rig *r, const char *path, const void *p, size_t n)
{
    struct env_file *file;
    struct error e;
    char dir[256];
    int rc = env_unlink(r->env, path, &e);
    assert_true(rc == 0 || rc == Q_NOT_FOUND);
    must(env_open(r->env, path, ENV_CREATE | ENV_WRITE, &file, &e), &e);
    must(n == 0 ? 0 : env_write(r->env, file, 0, p, n, &e), &e);
    must(env_sync(r->env, file, &e), &e);
    env_close(r->env, file);
    parent_of(path, dir, sizeof dir);
    must(env_sync_dir(r->env, dir, &e), &e);
}

uint8_t *rig_get(struct rig *r, const char *path, size_t *ret_n)
{
    struct env_file *file;
    struct error e;
    uint64_t size;
    if (env_open(r->env, path, 0, &file, &e) != 0) {
        return NULL;
    }
    must(env_size(r->env, file, &size, &e), &e);
    uint8_t *p = malloc((size_t)size + 1);
    assert_non_null(p);
    must(env_read(r->env, file, 0, p, (size_t)size, ret_n, &e), &e);
    env_close(r->env, file);
    return p;
}

bool rig_exists(struct rig *r, const char *path)
{
    size_t n;
    uint8_t *p = rig_get(r, path, &n);
    free(p);
    return p != NULL;
}

bool rig_holds(struct rig *r, const char *path, const struct image *image)
{
    size_t n = 0;
    uint8_t *p = rig_get(r, path, &n);
    bool same = p != NULL && n == image_bytes(image) && memcmp(p, image->p, n) == 0;
    free(p);
    return same;
}

/* ---- take and stage ---- */

struct take_config rig_take_config(struct rig *r, struct chunk_store *store, const struct image *image,
                                   uint64_t index)
{
    return (struct take_config){
        .env = r->env,
        .path = "a/db.sqlite",
        .bytes = image_bytes(image),
        .store = store,
        .manifest = {.cluster_id = "fifteen bytes.",
                     .index = index,
                     .term = 1,
                     .time_ms = 1700000000000,
                     .configuration_index = 1,
                     .configuration_len = 3,
                     .configuration = "abc",
                     .digest = "of the content",
                     .node = 7,
                     .made_ms = 1700000000001,
                     .sqlite = "3.40.1",
                     .cluster_name = "test",
                     .semantics = "as all"},
    };
}

void rig_take(struct rig *r, const struct image *image, uint64_t index, struct manifest *ret_m)
{
    struct chunk_store *store;
    struct catalog *catalog;
    struct take *t;
    struct error e;
    bool copied = false;
    rig_put(r, "a/db.sqlite", image->p, image_bytes(image));
    must(chunk_store_open(r->env, "a", &store, &e), &e);
    must(catalog_open(r->env, "a", &catalog, &e), &e);
    struct take_config config = rig_take_config(r, store, image, index);
    must(take_new(&config, &t, &e), &e);
    while (!copied) {
        must(take_step(t, 1, &copied, &e), &e);
    }
    must(take_finish(t, catalog, &e), &e);
    if (ret_m != NULL) {
        must(manifest_copy(take_manifest(t), ret_m, &e), &e);
    }
    take_free(t);
    catalog_close(catalog);
    chunk_store_close(store);
}

struct stage *rig_stage(struct rig *r, const struct manifest *m, struct chunk_store *store)
{
    struct stage_config config = {.env = r->env, .dir = "b", .own_path = "b/db.sqlite", .store = store};
    struct stage *s;
    struct error e;
    must(stage_open(&config, m, &s, &e), &e);
    return s;
}

void rig_scan(struct rig *r, struct stage *s)
{
    bool scanned = false;
    struct error e;
    (void)r;
    while (!scanned) {
        must(stage_step(s, 1, &scanned, &e), &e);
    }
}

unsigned rig_fetch(struct rig *r, struct stage *s, const struct manifest *m, unsigned max)
{
    struct buf encoded;
    struct error e;
    unsigned count = 0;
    uint32_t chunk;
    buf_init(&encoded, CHUNK_ENCODED_MAX);
    while (count < max && stage_missing(s, 0, &chunk)) {
        must(chunk_store_read(r->env, "a", &m->chunk[chunk], &encoded, &e), &e);
        must(stage_put(s, chunk, encoded.data, encoded.len, &e), &e);
        count++;
    }
    buf_close(&encoded);
    return count;
}
