/* The catalog lists the manifests that are there, names the damaged ones, and loads none of those. */
#include "tests/unit/snapshots/kit.h"
#include "tests/unit/test.h"

static struct catalog *open_catalog(struct rig *r)
{
    struct catalog *c;
    struct error e;
    must(catalog_open(r->env, "a", &c, &e), &e);
    return c;
}

static void save(struct rig *r, struct catalog *c, uint64_t index, uint64_t term)
{
    struct chunk_name chunk[2];
    struct error e;
    struct manifest m = {.index = index,
                         .term = term,
                         .made_ms = index * 10,
                         .node = 7,
                         .page_bytes = PAGE_BYTES,
                         .image_bytes = CHUNK_BYTES + PAGE_BYTES,
                         .chunks = 2,
                         .chunk = chunk};
    (void)r;
    chunk_name_of(&index, sizeof index, &chunk[0]);
    chunk_name_of(&term, sizeof term, &chunk[1]);
    must(catalog_save(c, &m, &e), &e);
    assert_memory_equal(m.hash, catalog_find(c, index, term)->hash, sizeof m.hash);
}

static void expect(const struct catalog *c, unsigned at, uint64_t index, uint64_t term)
{
    assert_int_equal(catalog_at(c, at)->index, index);
    assert_int_equal(catalog_at(c, at)->term, term);
}

static void what_was_saved_is_listed_in_order_and_loaded_also_after_power_loss(void **state)
{
    struct rig r;
    struct manifest m = {0};
    (void)state;
    rig_init(&r, 1);
    struct catalog *c = open_catalog(&r);
    save(&r, c, 100, 2);
    save(&r, c, 9, 1);
    save(&r, c, 100, 1);
    save(&r, c, 100, 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(catalog_count(c), 3);
        expect(c, 0, 9, 1);
        expect(c, 1, 100, 1);
        expect(c, 2, 100, 2);
        assert_false(catalog_at(c, 2)->damaged);
        assert_int_equal(catalog_at(c, 2)->made_ms, 1000);
        assert_int_equal(catalog_at(c, 2)->node, 7);
        assert_int_equal(catalog_at(c, 2)->image_bytes, CHUNK_BYTES + PAGE_BYTES);
        assert_int_equal(catalog_at(c, 2)->chunks, 2);
        must(catalog_load(c, 100, 2, &m, &r.error), &r.error);
        assert_int_equal(m.index, 100);
        assert_int_equal(m.term, 2);
        assert_memory_equal(m.hash, catalog_at(c, 2)->hash, sizeof m.hash);
        manifest_close(&m);
        assert_int_equal(catalog_load(c, 100, 3, &m, &r.error), Q_NOT_FOUND);
        catalog_close(c);
        rig_crash(&r);
        c = open_catalog(&r);
    }
    catalog_close(c);
    rig_done(&r);
}

static void what_was_removed_does_not_come_back_by_power_loss(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 20; seed++) {
        struct rig r;
        rig_init(&r, seed);
        struct catalog *c = open_catalog(&r);
        save(&r, c, 1, 1);
        save(&r, c, 2, 1);
        save(&r, c, 3, 1);
        must(catalog_remove(c, 2, 1, &r.error), &r.error);
        must(catalog_remove(c, 2, 1, &r.error), &r.error);
        for (unsigned i = 0; i < 2; i++) {
            assert_int_equal(catalog_count(c), 2);
            expect(c, 0, 1, 1);
            expect(c, 1, 3, 1);
            assert_null(catalog_find(c, 2, 1));
            catalog_close(c);
            rig_crash(&r);
            c = open_catalog(&r);
        }
        catalog_close(c);
        rig_done(&r);
    }
}

static void a_damaged_one_is_named_and_not_loaded_and_can_be_removed(void **state)
{
    struct rig r;
    struct manifest m;
    (void)state;
    rig_init(&r, 3);
    struct catalog *c = open_catalog(&r);
    save(&r, c, 1, 1);
    save(&r, c, 2, 1);
    must(sim_disk_flip(sim_node_disk(r.node), "a/manifests/2-1.manifest", 60, 1, &r.error), &r.error);
    catalog_close(c);

    c = open_catalog(&r);
    assert_int_equal(catalog_count(c), 2);
    assert_false(catalog_at(c, 0)->damaged);
    assert_true(catalog_at(c, 1)->damaged);
    assert_int_equal(catalog_load(c, 2, 1, &m, &r.error), Q_CORRUPT);
    assert_non_null(strstr(r.error.text, "a/manifests/2-1.manifest"));
    must(catalog_remove(c, 2, 1, &r.error), &r.error);
    assert_int_equal(catalog_count(c), 1);
    catalog_close(c);
    rig_done(&r);
}

static void a_manifest_under_the_name_of_another_is_damaged(void **state)
{
    struct rig r;
    struct manifest m;
    size_t n;
    (void)state;
    rig_init(&r, 4);
    struct catalog *c = open_catalog(&r);
    save(&r, c, 1, 1);
    catalog_close(c);
    uint8_t *bytes = rig_get(&r, "a/manifests/1-1.manifest", &n);
    rig_put(&r, "a/manifests/5-1.manifest", bytes, n);
    free(bytes);

    c = open_catalog(&r);
    assert_true(catalog_find(c, 5, 1)->damaged);
    assert_int_equal(catalog_load(c, 5, 1, &m, &r.error), Q_CORRUPT);
    catalog_close(c);
    rig_done(&r);
}

static void other_files_are_left_alone_and_unfinished_ones_removed(void **state)
{
    static const char *const others[] = {"a/manifests/notes", "a/manifests/1-1.manifest.txt",
                                         "a/manifests/01-1.manifest", "a/manifests/1.manifest",
                                         "a/manifests/-1-1.manifest"};
    struct rig r;
    (void)state;
    rig_init(&r, 5);
    catalog_close(open_catalog(&r));
    for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++) {
        rig_put(&r, others[i], "x", 1);
    }
    rig_put(&r, "a/manifests/1-1.manifest.new", "half", 4);

    struct catalog *c = open_catalog(&r);
    assert_int_equal(catalog_count(c), 0);
    for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_true(rig_exists(&r, others[i]));
    }
    assert_false(rig_exists(&r, "a/manifests/1-1.manifest.new"));
    catalog_close(c);
    rig_done(&r);
}

static void a_full_disk_leaves_all_as_it_was(void **state)
{
    struct rig r;
    struct chunk_name chunk = {{1}};
    struct manifest m = {.index = 2,
                         .term = 1,
                         .page_bytes = PAGE_BYTES,
                         .image_bytes = PAGE_BYTES,
                         .chunks = 1,
                         .chunk = &chunk};
    (void)state;
    rig_init(&r, 6);
    struct catalog *c = open_catalog(&r);
    save(&r, c, 1, 1);
    sim_disk_capacity(r.node, sim_disk_used(sim_node_disk(r.node)));
    assert_int_equal(catalog_save(c, &m, &r.error), Q_NO_SPACE);
    assert_int_equal(catalog_count(c), 1);
    assert_false(rig_exists(&r, "a/manifests/2-1.manifest.new"));
    catalog_close(c);
    rig_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_saved_is_listed_in_order_and_loaded_also_after_power_loss),
        cmocka_unit_test(what_was_removed_does_not_come_back_by_power_loss),
        cmocka_unit_test(a_damaged_one_is_named_and_not_loaded_and_can_be_removed),
        cmocka_unit_test(a_manifest_under_the_name_of_another_is_damaged),
        cmocka_unit_test(other_files_are_left_alone_and_unfinished_ones_removed),
        cmocka_unit_test(a_full_disk_leaves_all_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
