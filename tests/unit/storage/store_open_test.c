#include <errno.h>
#include <sqlite3.h>

#include "tests/unit/storage/behind.h"
#include "tests/unit/storage/faulty_vfs.h"
#include "tests/unit/storage/kit.h"

static void a_row_that_changed_behind_its_back_is_found_by_verify(void **state)
{
    (void)state;
    struct kit k;
    struct error e;
    kit_open_file(&k);
    kit_execute(&k, "CREATE TABLE t (id INTEGER PRIMARY KEY, a)");
    kit_execute(&k, "INSERT INTO t (a) VALUES (1), (2)");
    assert_int_equal(store_verify(k.s, &e), 0);

    behind_run(k.path, "UPDATE t SET a = 3 WHERE id = 2");

    assert_int_equal(store_verify(k.s, &e), Q_CORRUPT);
    assert_non_null(strstr(e.text, "t"));
    kit_close(&k);
}

static int open_after(struct kit *k, const char *sql, struct error *e)
{
    store_close(k->s);
    k->s = NULL;
    behind_run(k->path, sql);
    return store_open(&k->config, &k->s, e);
}

static void a_database_of_a_newer_format_is_refused(void **state)
{
    (void)state;
    struct kit k;
    struct error e;
    kit_open_file(&k);

    assert_int_equal(open_after(&k, "UPDATE quorate_state SET value = 2 WHERE key = 'format'", &e),
                     Q_MISMATCH);

    assert_non_null(strstr(e.text, "its format is 2, this version knows up to 1"));
    kit_close(&k);
}

static void a_database_of_another_sqlite_is_refused_until_it_is_adopted(void **state)
{
    (void)state;
    struct kit k;
    struct error e;
    kit_open_file(&k);

    assert_int_equal(
        open_after(&k, "UPDATE quorate_state SET value = '3.39 ' || substr(value, 6) WHERE key = 'sqlite'",
                   &e),
        Q_MISMATCH);
    assert_non_null(strstr(e.text, "3.39"));
    k.config.adopt_sqlite = true;
    assert_int_equal(store_open(&k.config, &k.s, &e), 0);
    k.config.adopt_sqlite = false;
    kit_reopen(&k);
    kit_close(&k);
}

static void a_state_that_lacks_a_fact_is_corrupt(void **state)
{
    (void)state;
    struct kit k;
    struct error e;
    kit_open_file(&k);

    assert_int_equal(open_after(&k, "DELETE FROM quorate_state WHERE key = 'term'", &e), Q_CORRUPT);
    kit_close(&k);
}

static void a_database_that_is_not_a_stores_is_refused(void **state)
{
    (void)state;
    struct kit k;
    struct error e;
    kit_open_file(&k);

    assert_int_equal(open_after(&k, "DROP TABLE quorate_state", &e), Q_MISMATCH);
    kit_close(&k);
}

static void a_file_that_is_no_database_is_corrupt(void **state)
{
    (void)state;
    struct kit k;
    struct error e;
    kit_open_file(&k);
    store_close(k.s);
    k.s = NULL;
    FILE *f = fopen(k.path, "r+b");
    fwrite("garbage garbage garbage", 1, 23, f);
    fclose(f);

    assert_int_equal(store_open(&k.config, &k.s, &e), Q_CORRUPT);
    assert_non_null(strstr(e.text, k.path));
    kit_close(&k);
}

static void a_directory_that_is_not_there_is_an_error_of_the_disk(void **state)
{
    (void)state;
    struct store_config config = {
        .path = "/nowhere/at/all/db.sqlite", .readers = 1, .result_max = STORE_RESULT_MIN};
    struct store *s;
    struct error e;

    assert_int_equal(store_open(&config, &s, &e), Q_IO);
}

static void a_configuration_out_of_bounds_is_refused(void **state)
{
    (void)state;
    struct store_config config = {.readers = 0, .result_max = STORE_RESULT_MIN};
    struct store *s;
    struct error e;

    assert_int_equal(store_open(&config, &s, &e), Q_INVALID);
    config.readers = STORE_READERS_MAX + 1;
    assert_int_equal(store_open(&config, &s, &e), Q_INVALID);
    config.readers = 1;
    config.result_max = STORE_RESULT_MIN - 1;
    assert_int_equal(store_open(&config, &s, &e), Q_INVALID);
    store_close(NULL);
}

static void a_disk_without_room_for_shared_memory_is_full(void **state)
{
    (void)state;
    struct kit k;
    struct error e;
    char place[200];
    faulty_vfs_register();
    kit_open_file(&k);
    k.config.vfs = FAULTY_VFS;
    store_close(k.s);
    k.s = NULL;

    faulty_vfs_fail_shared_memory(SQLITE_IOERR_SHMSIZE, ENOSPC);
    assert_int_equal(store_open(&k.config, &k.s, &e), Q_NO_SPACE);
    snprintf(place, sizeof place, "shared memory of %s: No space left on device", k.path);
    assert_non_null(strstr(e.text, place));
    faulty_vfs_fail_shared_memory(SQLITE_IOERR_SHMSIZE, EIO);
    assert_int_equal(store_open(&k.config, &k.s, &e), Q_IO);
    faulty_vfs_fail_shared_memory(SQLITE_OK, 0);

    assert_int_equal(store_open(&k.config, &k.s, &e), 0);
    kit_close(&k);
    faulty_vfs_unregister();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_that_changed_behind_its_back_is_found_by_verify),
        cmocka_unit_test(a_database_of_a_newer_format_is_refused),
        cmocka_unit_test(a_database_of_another_sqlite_is_refused_until_it_is_adopted),
        cmocka_unit_test(a_state_that_lacks_a_fact_is_corrupt),
        cmocka_unit_test(a_database_that_is_not_a_stores_is_refused),
        cmocka_unit_test(a_file_that_is_no_database_is_corrupt),
        cmocka_unit_test(a_directory_that_is_not_there_is_an_error_of_the_disk),
        cmocka_unit_test(a_disk_without_room_for_shared_memory_is_full),
        cmocka_unit_test(a_configuration_out_of_bounds_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
