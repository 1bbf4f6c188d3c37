/* A sweep removes what no kept manifest names, and nothing else. */
#include "snapshots/sweep.h"
#include "tests/unit/snapshots/kit.h"
#include "tests/unit/test.h"

enum { PAGES = 4 * CHUNK_PAGES, CHUNKS = 4 };

struct scene {
    struct rig r;
    struct image image;
    struct manifest m[3]; /* each differs from the one before in one chunk */
    struct chunk_store *store;
    uint64_t chunks, bytes;
};

static void begin(struct scene *s, uint64_t seed)
{
    struct error e;
    rig_init(&s->r, seed);
    s->image = image_make(PAGES, 1);
    for (unsigned i = 0; i < 3; i++) {
        image_change(&s->image, i * CHUNK_PAGES + 1, 100 + i);
        rig_take(&s->r, &s->image, 100 + i, &s->m[i]);
    }
    must(chunk_store_open(s->r.env, "a", &s->store, &e), &e);
    assert_int_equal(chunk_store_count(s->store), CHUNKS + 2);
    s->chunks = s->bytes = UINT64_MAX;
}

static void end(struct scene *s)
{
    chunk_store_close(s->store);
    for (unsigned i = 0; i < 3; i++) {
        manifest_close(&s->m[i]);
    }
    image_close(&s->image);
    rig_done(&s->r);
}

static void sweep(struct scene *s, const struct manifest *const *kept, unsigned count)
{
    must(sweep_run(s->store, kept, count, &s->chunks, &s->bytes, &s->r.error), &s->r.error);
}

static bool has_all(const struct scene *s, const struct manifest *m)
{
    for (uint32_t i = 0; i < m->chunks; i++) {
        if (!chunk_store_has(s->store, &m->chunk[i])) {
            return false;
        }
    }
    return true;
}

static void all_chunks_of_kept_manifests_stay(void **state)
{
    struct scene s;
    (void)state;
    begin(&s, 1);
    const struct manifest *kept[] = {&s.m[0], &s.m[1], &s.m[2]};
    sweep(&s, kept, 3);
    assert_int_equal(s.chunks, 0);
    assert_int_equal(s.bytes, 0);
    assert_true(has_all(&s, &s.m[0]) && has_all(&s, &s.m[1]) && has_all(&s, &s.m[2]));

    sweep(&s, kept, 2);
    assert_int_equal(s.chunks, 1);
    assert_true(has_all(&s, &s.m[0]) && has_all(&s, &s.m[1]));
    assert_false(has_all(&s, &s.m[2]));
    end(&s);
}

static void chunks_that_nobody_names_go_and_are_counted(void **state)
{
    struct scene s;
    uint64_t bytes = 0, n;
    (void)state;
    begin(&s, 2);
    for (unsigned i = 0; i < 2; i++) { /* those of the first two alone: what the next one changed */
        must(chunk_store_bytes(s.store, &s.m[i].chunk[i + 1], &n, &s.r.error), &s.r.error);
        bytes += n;
    }
    const struct manifest *kept[] = {&s.m[2]};
    sweep(&s, kept, 1);
    assert_int_equal(s.chunks, 2);
    assert_int_equal(s.bytes, bytes);
    assert_int_equal(chunk_store_count(s.store), CHUNKS);
    assert_true(has_all(&s, &s.m[2]));
    end(&s);
}

static void without_any_kept_manifest_everything_goes(void **state)
{
    struct scene s;
    (void)state;
    begin(&s, 3);
    sweep(&s, NULL, 0);
    assert_int_equal(s.chunks, CHUNKS + 2);
    assert_int_equal(chunk_store_count(s.store), 0);
    sweep(&s, NULL, 0);
    assert_int_equal(s.chunks, 0);
    end(&s);
}

static void a_file_that_is_gone_already_is_no_obstacle(void **state)
{
    struct scene s;
    char path[128], text[CHUNK_HEX];
    (void)state;
    begin(&s, 4);
    chunk_name_text(&s.m[0].chunk[1], text);
    snprintf(path, sizeof path, "a/chunks/%s", text);
    must(env_unlink(s.r.env, path, &s.r.error), &s.r.error);
    const struct manifest *kept[] = {&s.m[2]};
    sweep(&s, kept, 1);
    assert_int_equal(chunk_store_count(s.store), CHUNKS);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_chunks_of_kept_manifests_stay),
        cmocka_unit_test(chunks_that_nobody_names_go_and_are_counted),
        cmocka_unit_test(without_any_kept_manifest_everything_goes),
        cmocka_unit_test(a_file_that_is_gone_already_is_no_obstacle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
