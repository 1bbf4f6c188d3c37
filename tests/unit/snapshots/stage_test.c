/* An image is put together elsewhere: what is there is reused, what is not is fetched, all of it verified. */
#include "tests/unit/snapshots/kit.h"
#include "tests/unit/test.h"

enum { PAGES = 5 * CHUNK_PAGES + 3 };

static void an_image_that_was_taken_takes_the_place_of_another_database(void **state)
{
    struct rig r;
    struct manifest m;
    struct image image = image_make(PAGES, 1);
    (void)state;
    rig_init(&r, 1);
    rig_take(&r, &image, 100, &m);
    rig_put(&r, "b/db.sqlite", "old", 3);
    rig_put(&r, "b/db.sqlite-wal", "old", 3);

    struct stage *s = rig_stage(&r, &m, NULL);
    rig_scan(&r, s);
    assert_int_equal(rig_fetch(&r, s, &m, UINT32_MAX), 6);
    must(stage_finish(s, &r.error), &r.error);
    stage_close(s);
    must(stage_swap(r.env, "b", 100, 1, &r.error), &r.error);

    assert_true(rig_holds(&r, "b/db.sqlite", &image));
    assert_false(rig_exists(&r, "b/db.sqlite-wal"));
    assert_false(rig_exists(&r, "b/stage/db.sqlite"));
    manifest_close(&m);
    image_close(&image);
    rig_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_that_was_taken_takes_the_place_of_another_database),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
