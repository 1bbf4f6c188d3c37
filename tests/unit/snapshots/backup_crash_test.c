/* Power fails, or the disk is full, at every point of making and pruning backups: each that is listed is
 * whole, and the next run ends well. */
#include "tests/unit/snapshots/backup_kit.h"

enum { PAGES = 2 * CHUNK_PAGES + 3, POINTS_MAX = 2000 };

static void expect_whole(struct rig *r, unsigned at, unsigned *ret_backups)
{
    struct backup_verify verify = {.backups = 0};
    const char *found = backups_verify(r, &verify);

    if (found[0] != 0) {
        fail_msg("power failed at %u: %s", at, found);
    }
    *ret_backups = verify.backups;
}

static void power_fails_anywhere_in_making_one(void **state)
{
    unsigned at, backups;
    bool died = true;
    (void)state;

    for (at = 1; died && at < POINTS_MAX; at++) {
        struct image image = image_make(PAGES, 1), first = image_make(PAGES, 1);
        struct backup_totals totals;
        struct manifest m;
        struct rig r;

        rig_init(&r, at);
        backups_make(&r, &image, 10);
        image_change(&image, 1, 2);
        image_change(&image, PAGES, 2);
        rig_take(&r, &image, 20, &m);
        sim_node_crash_in(r.node, at);
        died = backups_try(&r, &m, &totals) != 0;
        if (died) {
            rig_boot(&r);
            expect_whole(&r, at, &backups);
            assert_in_range(backups, 1, 2);
            if (backups == 1) {
                assert_int_equal(backups_try(&r, &m, &totals), 0);
            }
        }
        rig_crash(&r);
        expect_whole(&r, at, &backups);
        assert_int_equal(backups, 2);
        assert_true(backups_restore(&r, 20, &image));
        assert_true(backups_restore(&r, 10, &first));
        manifest_close(&m);
        image_close(&image);
        image_close(&first);
        rig_done(&r);
    }
    assert_in_range(at, 20, POINTS_MAX - 1);
}

static int prune(struct rig *r, unsigned keep)
{
    struct backup_prune prune = {.keep = keep};
    struct backup *b = NULL;
    struct error e;
    int rv = backup_open(r->env, "backups", &b, &e);

    rv = rv == 0 ? backup_prune(b, &prune, &e) : rv;
    backup_close(b);
    return rv;
}

static void power_fails_anywhere_in_pruning(void **state)
{
    unsigned at, backups;
    bool died = true;
    (void)state;

    for (at = 1; died && at < POINTS_MAX; at++) {
        struct image image = image_make(PAGES, 1);
        struct rig r;

        rig_init(&r, at);
        for (unsigned i = 1; i <= 4; i++) {
            image_change(&image, 1, i);
            image_change(&image, CHUNK_PAGES + 1, i / 2);
            backups_make(&r, &image, 10 * i);
        }
        sim_node_crash_in(r.node, at);
        died = prune(&r, 2) != 0;
        if (died) {
            rig_boot(&r);
            expect_whole(&r, at, &backups);
            assert_in_range(backups, 2, 4);
            assert_int_equal(prune(&r, 2), 0);
        }
        rig_crash(&r);
        expect_whole(&r, at, &backups);
        assert_int_equal(backups, 2);
        assert_int_equal(prune(&r, 2), 0);                /* what a crash brought back */
        assert_int_equal(backups_count(&r, "chunks"), 7); /* two of them only as bases */
        assert_true(backups_restore(&r, 40, &image));
        image_close(&image);
        rig_done(&r);
    }
    assert_in_range(at, 10, POINTS_MAX - 1);
}

static void a_disk_that_is_full_costs_nothing_that_is_there(void **state)
{
    struct image image = image_make(10 * CHUNK_PAGES, 1);
    struct backup_totals totals;
    struct manifest m;
    struct rig r;
    unsigned backups, refused = 0;
    (void)state;

    rig_init(&r, 5);
    backups_make(&r, &image, 10);
    for (size_t i = 1; i <= 10 * CHUNK_PAGES; i++) {
        image_change(&image, i, 2);
    }
    rig_take(&r, &image, 20, &m);
    for (uint64_t room = 0;; room += 300 * 1024) {
        sim_disk_capacity(r.node, sim_disk_used(sim_node_disk(r.node)) + room);
        int rv = backups_try(&r, &m, &totals);
        expect_whole(&r, 0, &backups);
        if (rv == 0) {
            break;
        }
        refused++;
        assert_int_equal(backups, 1);
    }
    sim_disk_capacity(r.node, 0);
    assert_true(refused >= 3);
    assert_int_equal(backups, 2);
    assert_true(backups_restore(&r, 20, &image));
    manifest_close(&m);
    image_close(&image);
    rig_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(power_fails_anywhere_in_making_one),
        cmocka_unit_test(power_fails_anywhere_in_pruning),
        cmocka_unit_test(a_disk_that_is_full_costs_nothing_that_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
