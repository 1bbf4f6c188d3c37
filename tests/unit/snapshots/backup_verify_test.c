/* Every damage to a directory of backups is found and named. */
#include "tests/unit/snapshots/backup_kit.h"

enum { PAGES = 4 * CHUNK_PAGES + 3 };

static struct rig rig;
static struct image image;

static int set_up(void **state)
{
    rig_init(&rig, 8);
    image = image_make(PAGES, 1);
    *state = &rig;
    return 0;
}

static int tear_down(void **state)
{
    rig_done(*state);
    image_close(&image);
    return 0;
}

static void flip(struct rig *r, const char *path, size_t at)
{
    size_t n;
    uint8_t *p = rig_get(r, path, &n);

    assert_non_null(p);
    p[at % n] ^= 1;
    rig_put(r, path, p, n);
    free(p);
}

static void chunk_path(struct rig *r, uint64_t index, uint32_t chunk, char path[120])
{
    struct backup *b = backups_open(r);
    struct manifest m;
    struct error e;
    char hex[CHUNK_HEX];

    must(catalog_load(backup_catalog(b), index, 1, &m, &e), &e);
    chunk_name_text(&m.chunk[chunk], hex);
    snprintf(path, 120, "backups/chunks/%s", hex);
    manifest_close(&m);
    backup_close(b);
}

static void expect_damage(struct rig *r, const char *first, const char *second)
{
    struct backup_verify verify = {.backups = 0};
    const char *found = backups_verify(r, &verify);

    if (strstr(found, first) == NULL || strstr(found, second) == NULL) {
        fail_msg("\"%s\" does not say \"%s\" and \"%s\"", found, first, second);
    }
    assert_int_equal(verify.damaged_backups, 1);
}

static void what_is_whole_is_read_once_and_said_to_be_whole(void **state)
{
    struct rig *r = *state;
    struct backup_verify verify = {.backups = 0};

    backups_make(r, &image, 10);
    image_change(&image, 1, 2);
    backups_make(r, &image, 20);

    assert_string_equal(backups_verify(r, &verify), "");
    assert_int_equal(verify.backups, 2);
    assert_int_equal(verify.damaged_backups, 0);
    assert_int_equal(verify.chunks_read, 6);
}

/* Some say the same in other words to the decompressor. */
static void a_flipped_bit_anywhere_in_a_chunk_is_found_or_does_no_harm(void **state)
{
    struct rig *r = *state;
    unsigned found = 0;
    char path[120];

    backups_make(r, &image, 10);
    chunk_path(r, 10, 2, path);
    for (size_t at = 0; at < 20000; at += 1777) {
        struct backup_verify verify = {.backups = 0};
        flip(r, path, at);
        if (backups_verify(r, &verify)[0] == 0) {
            assert_true(backups_restore(r, 10, &image));
        } else {
            expect_damage(r, "backup 10-1: chunk 2, chunks/", path + strlen("backups/chunks/"));
            found++;
        }
        flip(r, path, at);
    }
    assert_true(found >= 8);
}

static void a_chunk_that_is_missing_or_cut_is_found(void **state)
{
    struct rig *r = *state;
    char path[120];
    uint8_t *p;
    size_t n;
    struct error e;

    backups_make(r, &image, 10);
    chunk_path(r, 10, 4, path);
    p = rig_get(r, path, &n);
    rig_put(r, path, p, n - 1);
    expect_damage(r, "backup 10-1: chunk 4", "");
    must(env_unlink(r->env, path, &e), &e);
    expect_damage(r, "backup 10-1: chunk 4", "");
    rig_put(r, path, p, n);
    free(p);
}

static void a_flipped_bit_in_a_manifest_is_found(void **state)
{
    struct rig *r = *state;

    backups_make(r, &image, 10);
    flip(r, "backups/manifests/10-1.manifest", 60);

    expect_damage(r, "backup 10-1", "manifest");
}

/* A chunk with the right name whose page is wrong: the image was damaged when its hash was made. */
static void a_page_that_was_bad_from_the_beginning_is_found(void **state)
{
    struct rig *r = *state;
    struct manifest m;
    struct backup *b;
    struct buf encoded;
    struct error e;
    uint8_t *plain = malloc(CHUNK_BYTES);

    rig_take(r, &image, 10, &m);
    memcpy(plain, image.p, CHUNK_BYTES);
    plain[5 * PAGE_BYTES + 17] ^= 1;
    chunk_name_of(plain, CHUNK_BYTES, &m.chunk[0]);
    buf_init(&encoded, CHUNK_ENCODED_MAX);
    must(chunk_encode(plain, CHUNK_BYTES, &encoded, &e), &e);
    b = backups_open(r);
    must(backup_begin(b, &m, &e), &e);
    must(backup_put(b, 0, encoded.data, encoded.len, &e), &e);
    assert_int_equal(backups_copy(r, b, &m, UINT32_MAX), 4);
    must(backup_commit(b, &e), &e);
    backup_close(b);

    expect_damage(r, "backup 10-1: chunk 0", "page 6 of the image fails its checksum");
    free(plain);
    buf_close(&encoded);
    manifest_close(&m);
}

static void damage_that_two_backups_share_is_told_of_both_chunks_once(void **state)
{
    struct rig *r = *state;
    struct backup_verify verify = {.backups = 0};
    char path[120];

    backups_make(r, &image, 10);
    image_change(&image, 1, 2);
    backups_make(r, &image, 20);
    chunk_path(r, 10, 2, path);
    flip(r, path, 1000);

    assert_non_null(strstr(backups_verify(r, &verify), "backup 20-1: chunk 2"));
    assert_int_equal(verify.damaged_backups, 2);
    assert_int_equal(verify.chunks_damaged, 1);
}

static void a_damaged_chunk_that_was_removed_comes_back_with_the_next_backup(void **state)
{
    struct rig *r = *state;
    struct backup_verify verify = {.remove_damaged = true};
    struct backup_totals totals;
    char path[120];

    backups_make(r, &image, 10);
    chunk_path(r, 10, 2, path);
    flip(r, path, 1000);
    backups_verify(r, &verify);
    assert_int_equal(verify.chunks_damaged, 1);
    assert_false(rig_exists(r, path));
    image_change(&image, 1, 2);
    totals = backups_make(r, &image, 20);

    assert_int_equal(totals.chunks_new, 2);
    verify = (struct backup_verify){.backups = 0};
    assert_string_equal(backups_verify(r, &verify), "");
    assert_int_equal(verify.backups, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_whole_is_read_once_and_said_to_be_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_flipped_bit_anywhere_in_a_chunk_is_found_or_does_no_harm, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_chunk_that_is_missing_or_cut_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_flipped_bit_in_a_manifest_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_page_that_was_bad_from_the_beginning_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damage_that_two_backups_share_is_told_of_both_chunks_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_chunk_that_was_removed_comes_back_with_the_next_backup,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
