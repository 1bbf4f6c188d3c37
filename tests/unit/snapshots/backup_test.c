/* A directory of backups: what it takes, what it refuses, and what goes. */
#include "tests/unit/snapshots/backup_kit.h"

enum { PAGES = 20 * CHUNK_PAGES };

static struct rig rig;

static int set_up(void **state)
{
    rig_init(&rig, 7);
    *state = &rig;
    return 0;
}

static int tear_down(void **state)
{
    rig_done(*state);
    return 0;
}

static void expect_text(const struct error *e, const char *text)
{
    if (strstr(e->text, text) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", e->text, text);
    }
}

static void a_backup_holds_the_image(void **state)
{
    struct rig *r = *state;
    struct image image = image_make(PAGES + 3, 1);
    struct backup_totals totals;

    totals = backups_make(r, &image, 10);

    assert_int_equal(totals.chunks_all, 21);
    assert_int_equal(totals.chunks_new, 21);
    assert_true(totals.bytes_new > 0);
    assert_true(backups_restore(r, 10, &image));
    image_close(&image);
}

static void each_further_backup_costs_what_has_changed(void **state)
{
    struct rig *r = *state;
    struct image image = image_make(PAGES, 1), first = image_make(PAGES, 1);
    struct backup_totals totals;

    backups_make(r, &image, 10);
    image_change(&image, 1, 2);
    image_change(&image, 5 * CHUNK_PAGES + 1, 2);
    totals = backups_make(r, &image, 20);

    assert_int_equal(totals.chunks_all, 20);
    assert_int_equal(totals.chunks_new, 2);
    assert_true(backups_restore(r, 20, &image));
    assert_true(backups_restore(r, 10, &first));
    image_close(&image);
    image_close(&first);
}

static void a_little_change_in_each_chunk_costs_little(void **state)
{
    struct rig *r = *state;
    struct image image = image_make(PAGES, 1), first = image_make(PAGES, 1), second;
    struct backup_totals whole, totals;

    whole = backups_make(r, &image, 10);
    for (size_t i = 0; i < PAGES; i += CHUNK_PAGES) {
        image_change(&image, i + 3, 2);
    }
    totals = backups_make(r, &image, 20);
    assert_int_equal(totals.chunks_new, totals.chunks_all);
    assert_true(totals.bytes_new < whole.bytes_new / 20);
    second = image_make(PAGES, 1);
    memcpy(second.p, image.p, image_bytes(&image));
    image_change(&image, 7, 3);
    totals = backups_make(r, &image, 30);
    assert_int_equal(totals.chunks_new, 1);
    assert_true(totals.bytes_new < whole.bytes_new / 100);

    assert_true(backups_restore(r, 10, &first));
    assert_true(backups_restore(r, 20, &second));
    assert_true(backups_restore(r, 30, &image));
    image_close(&image);
    image_close(&first);
    image_close(&second);
}

/* CHUNK of the image as its difference to what the backup before has there. */
static void put_delta(struct backup *b, const struct image *image, const struct manifest *m, uint32_t chunk,
                      struct buf *delta)
{
    uint8_t sums[DELTA_SUMS_BYTES];
    struct error e;

    assert_true(backup_base_sums(b, chunk, sums));
    buf_clear(delta);
    must(delta_encode(image->p + (size_t)chunk * CHUNK_BYTES, CHUNK_BYTES, &m->chunk[chunk], sums, delta, &e),
         &e);
}

static void a_delta_against_the_backup_before_makes_the_chunk(void **state)
{
    struct rig *r = *state;
    struct image image = image_make(PAGES, 1);
    uint8_t sums[DELTA_SUMS_BYTES];
    struct manifest m;
    struct backup *b;
    struct buf delta;
    struct error e;
    uint32_t chunk;

    buf_init(&delta, DELTA_ENCODED_MAX);
    b = backups_open(r);
    assert_false(backup_base_sums(b, 0, sums));
    backup_close(b);
    backups_make(r, &image, 10);
    image_change(&image, 2 * CHUNK_PAGES + 5, 2);
    image_change(&image, 4 * CHUNK_PAGES + 5, 2);
    rig_take(r, &image, 20, &m);
    b = backups_open(r);
    must(backup_begin(b, &m, &e), &e);
    put_delta(b, &image, &m, 2, &delta);
    assert_true(delta.len < 3 * PAGE_BYTES);
    delta.data[0] ^= 1;
    assert_int_equal(backup_put_delta(b, 2, delta.data, delta.len, &e), Q_CORRUPT);
    assert_true(backup_missing(b, 0, &chunk));
    assert_int_equal(chunk, 2);
    delta.data[0] ^= 1;
    must(backup_put_delta(b, 2, delta.data, delta.len, &e), &e);
    assert_int_equal(backup_put_delta(b, 4, delta.data, delta.len, &e), Q_CONFLICT);
    put_delta(b, &image, &m, 4, &delta);
    must(backup_put_delta(b, 4, delta.data, delta.len, &e), &e);
    must(backup_commit(b, &e), &e);
    backup_close(b);

    assert_true(backups_restore(r, 20, &image));
    manifest_close(&m);
    buf_close(&delta);
    image_close(&image);
}

static void a_backup_that_was_broken_off_goes_on_where_it_was(void **state)
{
    struct rig *r = *state;
    struct image image = image_make(PAGES, 1);
    struct backup_totals totals;
    struct manifest m;
    struct backup *b;
    struct error e;

    rig_take(r, &image, 10, &m);
    b = backups_open(r);
    must(backup_begin(b, &m, &e), &e);
    assert_int_equal(backups_copy(r, b, &m, 13), 13);
    assert_int_equal(backup_commit(b, &e), Q_CONFLICT);
    expect_text(&e, "chunk 13 of backup 10-1 is missing");
    backup_close(b);
    assert_int_equal(backups_try(r, &m, &totals), 0);

    assert_int_equal(totals.chunks_new, 7);
    assert_true(backups_restore(r, 10, &image));
    manifest_close(&m);
    image_close(&image);
}

static void a_chunk_that_is_not_what_the_manifest_says_is_not_kept(void **state)
{
    struct rig *r = *state;
    struct image image = image_make(PAGES, 1);
    struct buf encoded;
    struct manifest m;
    struct backup *b;
    struct error e;
    uint32_t chunk;

    buf_init(&encoded, CHUNK_ENCODED_MAX);
    rig_take(r, &image, 10, &m);
    b = backups_open(r);
    must(backup_begin(b, &m, &e), &e);
    must(chunk_store_read(r->env, "a", &m.chunk[3], &encoded, &e), &e);
    assert_int_equal(backup_put(b, 4, encoded.data, encoded.len, &e), Q_CORRUPT);
    encoded.data[encoded.len / 2] ^= 1;
    assert_int_equal(backup_put(b, 3, encoded.data, encoded.len, &e), Q_CORRUPT);

    assert_true(backup_missing(b, 3, &chunk));
    assert_int_equal(chunk, 3);
    assert_true(backup_missing(b, 4, &chunk));
    assert_int_equal(chunk, 4);
    backup_close(b);
    manifest_close(&m);
    buf_close(&encoded);
    image_close(&image);
}

static void backups_of_another_cluster_do_not_mix(void **state)
{
    struct rig *r = *state;
    struct image image = image_make(PAGES, 1);
    struct manifest m;
    struct backup *b;
    struct error e;

    backups_make(r, &image, 10);
    rig_take(r, &image, 20, &m);
    m.cluster_id[0] ^= 1;
    b = backups_open(r);

    assert_int_equal(backup_begin(b, &m, &e), Q_MISMATCH);
    expect_text(&e, "backups of another cluster");
    backup_close(b);
    manifest_close(&m);
    image_close(&image);
}

static void what_is_there_is_not_made_again(void **state)
{
    struct rig *r = *state;
    struct image image = image_make(PAGES, 1);
    struct manifest m;
    struct backup *b;
    struct error e;

    backups_make(r, &image, 10);
    rig_take(r, &image, 10, &m);
    b = backups_open(r);

    assert_int_equal(backup_begin(b, &m, &e), Q_CONFLICT);
    expect_text(&e, "backup 10-1 is there already");
    backup_close(b);
    manifest_close(&m);
    image_close(&image);
}

static void another_history_with_the_same_indexes_is_noticed(void **state)
{
    struct rig *r = *state;
    struct image image = image_make(PAGES, 1);
    struct manifest m;
    struct backup *b;
    struct error e;

    backups_make(r, &image, 10);
    rig_take(r, &image, 10, &m);
    m.digest[3] ^= 1;
    b = backups_open(r);

    assert_int_equal(backup_begin(b, &m, &e), Q_MISMATCH);
    expect_text(&e, "another cluster that was begun with the same members");
    backup_close(b);
    manifest_close(&m);
    image_close(&image);
}

static void two_do_not_meet(void **state)
{
    struct rig *r = *state;
    struct backup *b = backups_open(r), *second = NULL;
    struct error e;

    assert_int_equal(backup_open(r->env, "backups", &second, &e), Q_CONFLICT);
    expect_text(&e, "backup directory backups: another process works on it");
    backup_close(b);
    b = backups_open(r);
    backup_close(b);
}

static void what_is_no_directory_of_backups_is_left_alone(void **state)
{
    struct rig *r = *state;
    struct backup *b = NULL;
    struct error e;

    rig_put(r, "a/meta", "x", 1);
    assert_int_equal(backup_open(r->env, "a", &b, &e), Q_CONFLICT);
    expect_text(&e, "it is the directory of a node");
    assert_int_equal(backup_open_existing(r->env, "b", &b, &e), Q_NOT_FOUND);
    expect_text(&e, "b holds no backups");
    assert_int_equal(backup_open_existing(r->env, "nowhere", &b, &e), Q_NOT_FOUND);
    assert_false(rig_exists(r, "b/lock"));
}

/* ---- pruning ---- */

/* Backups 10, 20, ... of an image whose page 1 changes each time; made 1000 ms apart from 1000 on. */
static void make_some(struct rig *r, struct image *image, unsigned count)
{
    for (unsigned i = 1; i <= count; i++) {
        struct backup_totals totals;
        struct manifest m;

        image_change(image, 1, i);
        rig_take(r, image, i * 10, &m);
        m.made_ms = i * 1000;
        assert_int_equal(backups_try(r, &m, &totals), 0);
        manifest_close(&m);
    }
}

static struct backup_prune prune(struct rig *r, unsigned keep, uint64_t before_ms)
{
    struct backup_prune prune = {.keep = keep, .before_ms = before_ms};
    struct backup *b = backups_open(r);
    struct error e;

    must(backup_prune(b, &prune, &e), &e);
    backup_close(b);
    return prune;
}

static void all_but_the_newest_few_go(void **state)
{
    struct rig *r = *state;
    struct image image = image_make(PAGES, 0);
    struct backup_verify verify = {.backups = 0};
    struct backup_prune p;

    make_some(r, &image, 5);
    p = prune(r, 2, 0);

    assert_int_equal(p.backups, 3);
    assert_int_equal(p.kept, 2);
    assert_int_equal(p.chunks, 2); /* what the others are differences to stays */
    assert_true(p.bytes > 0);
    assert_int_equal(backups_count(r, "chunks"), 22);
    assert_string_equal(backups_verify(r, &verify), "");
    assert_int_equal(verify.backups, 2);
    assert_true(backups_restore(r, 50, &image));
    image_change(&image, 1, 4);
    assert_true(backups_restore(r, 40, &image));
    image_close(&image);
}

static void those_that_are_older_go_but_never_the_newest(void **state)
{
    struct rig *r = *state;
    struct image image = image_make(PAGES, 0);

    make_some(r, &image, 4);

    assert_int_equal(prune(r, 0, 1000).backups, 0);
    assert_int_equal(prune(r, 0, 2001).backups, 2);
    assert_int_equal(prune(r, 0, 1000000).backups, 1);
    assert_int_equal(backups_count(r, "manifests"), 1);
    assert_true(backups_restore(r, 40, &image));
    image_close(&image);
}

static void what_a_broken_off_backup_left_goes_too(void **state)
{
    struct rig *r = *state;
    struct image image = image_make(PAGES, 0), other = image_make(PAGES, 99);
    struct manifest m;
    struct backup *b;
    struct error e;

    make_some(r, &image, 1);
    rig_take(r, &other, 20, &m);
    b = backups_open(r);
    must(backup_begin(b, &m, &e), &e);
    assert_int_equal(backups_copy(r, b, &m, 5), 5);
    backup_close(b);

    assert_int_equal(prune(r, 5, 0).chunks, 5);
    assert_true(backups_restore(r, 10, &image));
    manifest_close(&m);
    image_close(&image);
    image_close(&other);
}

static void flip(struct rig *r, const char *path, size_t at)
{
    size_t n;
    uint8_t *p = rig_get(r, path, &n);

    assert_non_null(p);
    p[at < n ? at : n - 1] ^= 1;
    rig_put(r, path, p, n);
    free(p);
}

static void nothing_is_swept_while_nobody_knows_what_a_backup_needs(void **state)
{
    struct rig *r = *state;
    struct image image = image_make(PAGES, 0);
    struct backup_prune p;

    make_some(r, &image, 4);
    flip(r, "backups/manifests/30-1.manifest", 100);
    p = prune(r, 2, 0);
    assert_int_equal(p.backups, 1);
    assert_int_equal(p.damaged, 1);
    assert_int_equal(p.chunks, 0);

    p = prune(r, 1, 0);
    assert_int_equal(p.damaged, 0);
    assert_int_equal(p.kept, 1);
    assert_int_equal(p.chunks, 2);
    assert_true(backups_restore(r, 40, &image));
    image_close(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_backup_holds_the_image, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_further_backup_costs_what_has_changed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_little_change_in_each_chunk_costs_little, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_delta_against_the_backup_before_makes_the_chunk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_backup_that_was_broken_off_goes_on_where_it_was, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_chunk_that_is_not_what_the_manifest_says_is_not_kept, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(backups_of_another_cluster_do_not_mix, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_there_is_not_made_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_history_with_the_same_indexes_is_noticed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_do_not_meet, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_directory_of_backups_is_left_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(all_but_the_newest_few_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(those_that_are_older_go_but_never_the_newest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_broken_off_backup_left_goes_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_swept_while_nobody_knows_what_a_backup_needs, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
