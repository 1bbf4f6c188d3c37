/* Power loss at every step of taking, staging and swapping: what is there afterwards is whole, and doing it
 * again ends well. */
#include "tests/unit/snapshots/kit.h"
#include "tests/unit/test.h"

enum { PAGES = CHUNK_PAGES + 5, CHUNKS = 2, SEEDS = 8, STEPS_MAX = 200 };

/* Every chunk that has a name can be decoded, and every manifest's chunks are there. */
static void expect_whole_chunks(void *ctx, const struct chunk_name *name)
{
    static uint8_t plain[CHUNK_BYTES];
    struct rig *r = ctx;
    struct buf encoded;
    struct error e;
    size_t n;
    buf_init(&encoded, CHUNK_ENCODED_MAX);
    must(chunk_store_read(r->env, "a", name, &encoded, &e), &e);
    must(chunk_decode(encoded.data, encoded.len, name, plain, &n, &e), &e);
    buf_close(&encoded);
}

/* Returns how many images are there. */
static unsigned expect_whole_images(struct rig *r)
{
    struct chunk_store *store;
    struct catalog *catalog;
    struct error e;
    must(chunk_store_open(r->env, "a", &store, &e), &e);
    must(catalog_open(r->env, "a", &catalog, &e), &e);
    chunk_store_each(store, expect_whole_chunks, r);
    unsigned count = catalog_count(catalog);
    for (unsigned i = 0; i < count; i++) {
        struct manifest m;
        must(catalog_load(catalog, catalog_at(catalog, i)->index, catalog_at(catalog, i)->term, &m, &e), &e);
        for (uint32_t c = 0; c < m.chunks; c++) {
            assert_true(chunk_store_has(store, &m.chunk[c]));
        }
        manifest_close(&m);
    }
    catalog_close(catalog);
    chunk_store_close(store);
    return count;
}

/* Takes a/db.sqlite. Stops at the first failure, as the process does. True: it was finished. */
static bool try_to_take(struct rig *r, const struct image *image)
{
    struct chunk_store *store = NULL;
    struct catalog *catalog = NULL;
    struct take *t = NULL;
    struct error e;
    bool copied = false;
    int rc = chunk_store_open(r->env, "a", &store, &e);
    rc = rc == 0 ? catalog_open(r->env, "a", &catalog, &e) : rc;
    struct take_config config = rig_take_config(r, store, image, 100);
    rc = rc == 0 ? take_new(&config, &t, &e) : rc;
    while (rc == 0 && !copied) {
        rc = take_step(t, 1, &copied, &e);
    }
    rc = rc == 0 ? take_finish(t, catalog, &e) : rc;
    take_free(t);
    catalog_close(catalog);
    chunk_store_close(store);
    assert_true(rc == 0 || rc == Q_CLOSED);
    return rc == 0;
}

static void a_take_that_loses_power_leaves_whole_chunks_and_no_unfinished_image(void **state)
{
    struct image image = image_make(PAGES, 1);
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        bool finished = false;
        for (unsigned step = 1; !finished; step++) {
            struct rig r;
            assert_true(step < STEPS_MAX);
            rig_init(&r, seed);
            rig_put(&r, "a/db.sqlite", image.p, image_bytes(&image));
            sim_node_crash_in(r.node, step);
            finished = try_to_take(&r, &image);
            if (finished) { /* durable, so power may be lost now */
                sim_node_crash_in(r.node, 0);
                sim_node_crash(r.node);
            }
            rig_boot(&r);
            assert_true(expect_whole_images(&r) == 1 || !finished);
            assert_true(try_to_take(&r, &image));
            rig_crash(&r);
            assert_int_equal(expect_whole_images(&r), 1);
            rig_done(&r);
        }
    }
    image_close(&image);
}

/* What an earlier process has put may not be durable, although this one sees it. */
static void a_manifest_does_not_outlive_chunks_that_an_earlier_process_put(void **state)
{
    struct image image = image_make(PAGES, 1);
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct rig r;
        struct chunk_store *store;
        struct take *t;
        bool copied;
        rig_init(&r, seed);
        rig_put(&r, "a/db.sqlite", image.p, image_bytes(&image));
        must(chunk_store_open(r.env, "a", &store, &r.error), &r.error);
        struct take_config config = rig_take_config(&r, store, &image, 99);
        must(take_new(&config, &t, &r.error), &r.error);
        must(take_step(t, CHUNKS, &copied, &r.error), &r.error);
        sim_node_kill(r.node);
        take_free(t);
        chunk_store_close(store);
        rig_boot(&r);

        assert_true(try_to_take(&r, &image));
        rig_crash(&r);
        assert_int_equal(expect_whole_images(&r), 1);
        rig_done(&r);
    }
    image_close(&image);
}

/* ---- stage and swap ---- */

struct scene {
    struct rig r;
    struct image image, old;
    struct manifest m;
};

static void begin(struct scene *s, uint64_t seed)
{
    rig_init(&s->r, seed);
    s->image = image_make(PAGES, 1);
    s->old = image_make(3, 2);
    rig_take(&s->r, &s->image, 100, &s->m);
    rig_put(&s->r, "b/db.sqlite", s->old.p, image_bytes(&s->old));
    rig_put(&s->r, "b/db.sqlite-wal", "old", 3);
}

static void end(struct scene *s)
{
    manifest_close(&s->m);
    image_close(&s->image);
    image_close(&s->old);
    rig_done(&s->r);
}

static bool try_to_stage(struct scene *s)
{
    struct stage_config config = {.env = s->r.env, .dir = "b", .own_path = "b/db.sqlite"};
    struct stage *stage = NULL;
    struct buf encoded;
    struct error e;
    bool scanned = false;
    uint32_t chunk;
    buf_init(&encoded, CHUNK_ENCODED_MAX);
    int rc = stage_open(&config, &s->m, &stage, &e);
    while (rc == 0 && !scanned) {
        rc = stage_step(stage, 1, &scanned, &e);
    }
    while (rc == 0 && stage_missing(stage, 0, &chunk)) {
        rc = chunk_store_read(s->r.env, "a", &s->m.chunk[chunk], &encoded, &e);
        rc = rc == 0 ? stage_put(stage, chunk, encoded.data, encoded.len, &e) : rc;
    }
    rc = rc == 0 ? stage_finish(stage, &e) : rc;
    stage_close(stage);
    buf_close(&encoded);
    if (rc != 0 && rc != Q_CLOSED) {
        fail_msg("%s: %s", error_name(e.code), e.text);
    }
    return rc == 0;
}

static bool old_is_there(struct scene *s)
{
    return rig_holds(&s->r, "b/db.sqlite", &s->old);
}

static bool new_is_there(struct scene *s)
{
    return rig_holds(&s->r, "b/db.sqlite", &s->image);
}

static bool wal_is_there(struct scene *s)
{
    return rig_exists(&s->r, "b/db.sqlite-wal");
}

static void an_image_that_lost_power_while_it_was_staged_is_ready_only_if_whole(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        bool finished = false;
        for (unsigned step = 1; !finished; step++) {
            struct scene s;
            assert_true(step < STEPS_MAX);
            begin(&s, seed);
            sim_node_crash_in(s.r.node, step);
            finished = try_to_stage(&s);
            if (finished) {
                sim_node_crash_in(s.r.node, 0);
                sim_node_crash(s.r.node);
            }
            rig_boot(&s.r);
            assert_true(old_is_there(&s) && wal_is_there(&s));
            int rc = stage_swap(s.r.env, "b", 100, 1, &s.r.error);
            assert_int_equal(rc, rc == 0 || finished ? 0 : Q_NOT_FOUND);
            if (rc == 0) {
                assert_true(new_is_there(&s) && !wal_is_there(&s));
            } else {
                assert_true(old_is_there(&s) && wal_is_there(&s));
                assert_true(try_to_stage(&s));
                must(stage_swap(s.r.env, "b", 100, 1, &s.r.error), &s.r.error);
                assert_true(new_is_there(&s));
            }
            end(&s);
        }
    }
}

static void a_swap_that_loses_power_leaves_the_old_or_the_new_one_and_is_done_again(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 4 * SEEDS; seed++) {
        bool finished = false;
        for (unsigned step = 1; !finished; step++) {
            struct scene s;
            assert_true(step < STEPS_MAX);
            begin(&s, seed);
            assert_true(try_to_stage(&s));
            sim_node_crash_in(s.r.node, step);
            finished = stage_swap(s.r.env, "b", 100, 1, &s.r.error) == 0;
            if (finished) { /* the new database lives on */
                sim_node_crash_in(s.r.node, 0);
                rig_put(&s.r, "b/db.sqlite-wal", "new", 3);
                sim_node_crash(s.r.node);
            }
            rig_boot(&s.r);
            if (finished) {
                assert_true(new_is_there(&s) && wal_is_there(&s));
            } else {
                assert_true(old_is_there(&s) || (new_is_there(&s) && !wal_is_there(&s)));
            }
            must(stage_swap(s.r.env, "b", 100, 1, &s.r.error), &s.r.error);
            assert_true(new_is_there(&s));
            assert_int_equal(wal_is_there(&s), finished);
            end(&s);
        }
    }
}

/* A sync that failed once: what it should have saved still reads as written, and the next sync saves nothing
 * of it. */
static void what_was_staged_before_a_sync_failed_is_written_again(void **state)
{
    struct sim_disk_faults sick = {.sync_eio = 1000000}, well = {0};
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct scene s;
        begin(&s, seed);
        struct stage *stage = rig_stage(&s.r, &s.m, NULL);
        rig_scan(&s.r, stage);
        rig_fetch(&s.r, stage, &s.m, UINT32_MAX);
        sim_node_disk_faults(s.r.node, &sick);
        assert_int_equal(stage_finish(stage, &s.r.error), Q_IO);
        sim_node_disk_faults(s.r.node, &well);
        sim_node_kill(s.r.node);
        stage_close(stage);
        rig_boot(&s.r);

        assert_true(try_to_stage(&s));
        rig_crash(&s.r);
        must(stage_swap(s.r.env, "b", 100, 1, &s.r.error), &s.r.error);
        assert_true(new_is_there(&s));
        end(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_take_that_loses_power_leaves_whole_chunks_and_no_unfinished_image),
        cmocka_unit_test(a_manifest_does_not_outlive_chunks_that_an_earlier_process_put),
        cmocka_unit_test(an_image_that_lost_power_while_it_was_staged_is_ready_only_if_whole),
        cmocka_unit_test(a_swap_that_loses_power_leaves_the_old_or_the_new_one_and_is_done_again),
        cmocka_unit_test(what_was_staged_before_a_sync_failed_is_written_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
