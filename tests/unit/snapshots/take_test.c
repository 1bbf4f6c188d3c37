/* An image is taken as the file is, only if all of it is whole, and only what is new is stored. */
#include "tests/unit/snapshots/kit.h"
#include "tests/unit/test.h"

enum { PAGES = 5 * CHUNK_PAGES + 3, CHUNKS = 6 };

struct scene {
    struct rig r;
    struct image image;
    struct chunk_store *store;
    struct catalog *catalog;
    struct take *take;
};

/* a/db.sqlite is an image of PAGES. */
static void begin(struct scene *s, uint64_t seed)
{
    struct error e;
    rig_init(&s->r, seed);
    s->image = image_make(PAGES, 1);
    s->take = NULL;
    rig_put(&s->r, "a/db.sqlite", s->image.p, image_bytes(&s->image));
    must(chunk_store_open(s->r.env, "a", &s->store, &e), &e);
    must(catalog_open(s->r.env, "a", &s->catalog, &e), &e);
}

static void end(struct scene *s)
{
    take_free(s->take);
    catalog_close(s->catalog);
    chunk_store_close(s->store);
    image_close(&s->image);
    rig_done(&s->r);
}

static int start(struct scene *s, uint64_t index)
{
    struct take_config config = rig_take_config(&s->r, s->store, &s->image, index);
    take_free(s->take);
    s->take = NULL;
    return take_new(&config, &s->take, &s->r.error);
}

/* Copies it all; returns what the step that failed said. */
static int copy(struct scene *s)
{
    bool copied = false;
    int rc = 0;
    while (rc == 0 && !copied) {
        rc = take_step(s->take, 2, &copied, &s->r.error);
    }
    return rc;
}

static struct take_progress take_all(struct scene *s, uint64_t index)
{
    struct take_progress progress;
    must(start(s, index), &s->r.error);
    must(copy(s), &s->r.error);
    must(take_finish(s->take, s->catalog, &s->r.error), &s->r.error);
    take_progress(s->take, &progress);
    return progress;
}

static void the_manifest_names_the_image_and_the_store_has_its_chunks(void **state)
{
    struct scene s;
    struct manifest m;
    static uint8_t plain[CHUNK_BYTES];
    struct buf encoded;
    (void)state;
    begin(&s, 1);
    take_all(&s, 100);

    must(catalog_load(s.catalog, 100, 1, &m, &s.r.error), &s.r.error);
    assert_int_equal(m.image_bytes, image_bytes(&s.image));
    assert_int_equal(m.page_bytes, PAGE_BYTES);
    assert_int_equal(m.chunks, CHUNKS);
    assert_int_equal(m.node, 7);
    assert_int_equal(m.configuration_len, 3);
    assert_string_equal(m.sqlite, "3.40.1");
    buf_init(&encoded, CHUNK_ENCODED_MAX);
    for (uint32_t i = 0; i < m.chunks; i++) {
        size_t n;
        must(chunk_store_get(s.store, &m.chunk[i], &encoded, &s.r.error), &s.r.error);
        must(chunk_decode(encoded.data, encoded.len, &m.chunk[i], plain, &n, &s.r.error), &s.r.error);
        assert_int_equal(n, manifest_chunk_bytes(&m, i));
        assert_memory_equal(plain, s.image.p + (size_t)i * CHUNK_BYTES, n);
    }
    buf_close(&encoded);
    manifest_close(&m);
    end(&s);
}

static void only_chunks_that_are_new_are_stored(void **state)
{
    struct scene s;
    (void)state;
    begin(&s, 2);
    struct take_progress first = take_all(&s, 100);
    assert_int_equal(first.chunks_new, CHUNKS);
    assert_true(first.bytes_new > 0 && first.bytes_new < first.bytes_all);
    assert_int_equal(first.bytes_done, image_bytes(&s.image));
    assert_int_equal(first.bytes_all, image_bytes(&s.image));

    struct take_progress again = take_all(&s, 101);
    assert_int_equal(again.chunks_new, 0);
    assert_int_equal(again.bytes_new, 0);

    image_change(&s.image, 2 * CHUNK_PAGES + 1, 5);
    rig_put(&s.r, "a/db.sqlite", s.image.p, image_bytes(&s.image));
    assert_int_equal(take_all(&s, 102).chunks_new, 1);
    assert_int_equal(catalog_count(s.catalog), 3);
    end(&s);
}

static void a_bad_page_is_named_and_ends_it(void **state)
{
    struct scene s;
    (void)state;
    begin(&s, 3);
    must(sim_disk_flip(sim_node_disk(s.r.node), "a/db.sqlite", 199 * PAGE_BYTES + 5, 1, &s.r.error),
         &s.r.error);
    must(start(&s, 100), &s.r.error);
    assert_int_equal(copy(&s), Q_CORRUPT);
    assert_non_null(strstr(s.r.error.text, "page 200 of a/db.sqlite "));
    assert_int_equal(catalog_count(s.catalog), 0);
    end(&s);
}

static void a_page_in_the_place_of_another_is_bad(void **state)
{
    struct scene s;
    (void)state;
    begin(&s, 4);
    memcpy(s.image.p + 10 * PAGE_BYTES, s.image.p + 9 * PAGE_BYTES, PAGE_BYTES);
    rig_put(&s.r, "a/db.sqlite", s.image.p, image_bytes(&s.image));
    must(start(&s, 100), &s.r.error);
    assert_int_equal(copy(&s), Q_CORRUPT);
    assert_non_null(strstr(s.r.error.text, "page 11 "));
    end(&s);
}

static void what_the_file_has_behind_the_image_is_not_looked_at(void **state)
{
    struct scene s;
    (void)state;
    begin(&s, 5);
    s.image.pages -= 2;
    assert_int_equal(take_all(&s, 100).bytes_done, image_bytes(&s.image));
    assert_int_equal(take_manifest(s.take)->image_bytes, image_bytes(&s.image));
    end(&s);
}

static void a_file_that_is_too_short_or_no_whole_pages_or_not_there_is_refused(void **state)
{
    struct scene s;
    (void)state;
    begin(&s, 6);
    s.image.pages += 1;
    must(start(&s, 100), &s.r.error);
    assert_int_equal(copy(&s), Q_CORRUPT);

    struct take_config config = rig_take_config(&s.r, s.store, &s.image, 100);
    struct take *t;
    config.bytes = 0;
    assert_int_equal(take_new(&config, &t, &s.r.error), Q_INVALID);
    config.bytes = PAGE_BYTES + 1;
    assert_int_equal(take_new(&config, &t, &s.r.error), Q_INVALID);
    config.bytes = UINT64_C(4) << 40;
    assert_int_equal(take_new(&config, &t, &s.r.error), Q_TOO_BIG);
    config.bytes = PAGE_BYTES;
    config.path = "a/nothing";
    assert_int_equal(take_new(&config, &t, &s.r.error), Q_NOT_FOUND);
    end(&s);
}

static void a_full_disk_ends_it_and_the_next_take_goes_on_with_what_is_stored(void **state)
{
    struct scene s;
    struct take_progress before, after;
    (void)state;
    begin(&s, 7);
    sim_disk_capacity(s.r.node, sim_disk_used(sim_node_disk(s.r.node)) + 3 * CHUNK_BYTES / 2);
    must(start(&s, 100), &s.r.error);
    assert_int_equal(copy(&s), Q_NO_SPACE);
    take_progress(s.take, &before);
    assert_true(before.chunks_new > 0 && before.chunks_new < CHUNKS);
    assert_int_equal(chunk_store_count(s.store), before.chunks_new);

    sim_disk_capacity(s.r.node, 0);
    after = take_all(&s, 100);
    assert_int_equal(after.chunks_new, CHUNKS - before.chunks_new);
    end(&s);
}

static void the_chunks_so_far_can_be_kept_by_a_sweep(void **state)
{
    struct scene s;
    bool copied;
    (void)state;
    begin(&s, 8);
    must(start(&s, 100), &s.r.error);
    must(take_step(s.take, 2, &copied, &s.r.error), &s.r.error);
    assert_false(copied);
    assert_int_equal(take_manifest(s.take)->chunks, 2);
    assert_true(chunk_store_has(s.store, &take_manifest(s.take)->chunk[1]));
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_manifest_names_the_image_and_the_store_has_its_chunks),
        cmocka_unit_test(only_chunks_that_are_new_are_stored),
        cmocka_unit_test(a_bad_page_is_named_and_ends_it),
        cmocka_unit_test(a_page_in_the_place_of_another_is_bad),
        cmocka_unit_test(what_the_file_has_behind_the_image_is_not_looked_at),
        cmocka_unit_test(a_file_that_is_too_short_or_no_whole_pages_or_not_there_is_refused),
        cmocka_unit_test(a_full_disk_ends_it_and_the_next_take_goes_on_with_what_is_stored),
        cmocka_unit_test(the_chunks_so_far_can_be_kept_by_a_sweep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
