#include <sqlite3.h>

#include "tests/unit/storage/faulty_vfs.h"
#include "tests/unit/storage/kit.h"

static const enum command_op EXECUTE = COMMAND_SQL_EXECUTE;

static void an_entry_is_applied_and_read_back(void **state)
{
    (void)state;
    struct kit k;
    kit_open_file(&k);

    assert_string_equal(kit_execute(&k, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)"), "write 0/0");
    assert_string_equal(kit_execute(&k, "INSERT INTO t (name) VALUES ('a'), ('b')"), "write 2/2");

    assert_string_equal(kit_query(&k, "SELECT * FROM t"), "rows id:INTEGER,name:TEXT | 1,'a' | 2,'b'");
    kit_close(&k);
}

static void every_new_store_has_the_same_digest(void **state)
{
    (void)state;
    struct kit a, b;
    struct store_position of_a, of_b;
    kit_open_file(&a);
    kit_open_memory(&b);

    kit_position(&a, &of_a);
    kit_position(&b, &of_b);

    assert_int_equal(of_a.index, 0);
    assert_memory_equal(of_a.digest, of_b.digest, DIGEST_BYTES);
    kit_close(&a);
    kit_close(&b);
}

/* A life of the database with everything that could differ between nodes. */
static void apply_step(struct kit *k, unsigned step)
{
    switch (step) {
    case 0:
        kit_add_sql(k, EXECUTE, 0,
                    "CREATE TABLE t (id INTEGER PRIMARY KEY, at TEXT DEFAULT CURRENT_TIMESTAMP, r, b)",
                    "CREATE VIRTUAL TABLE f USING fts5(words)", NULL);
        break;
    case 1:
        kit_add_sql(k, EXECUTE, 0, "INSERT INTO t (r, b) VALUES (random(), randomblob(8))",
                    "INSERT INTO t (r) SELECT random() FROM t", NULL);
        kit_add_sql(k, EXECUTE, 0, "INSERT INTO t (r) VALUES (datetime('now', 'localtime'))",
                    "INSERT INTO f VALUES ('some words')", NULL);
        kit_add_put(k, "ns", "key", "value", KV_ALWAYS, 0);
        break;
    case 2:
        kit_add_sql(k, EXECUTE, 0, "INSERT INTO t (id) VALUES (1)", "UPDATE t SET r = random() WHERE id > 1",
                    NULL);
        kit_add_sql(k, COMMAND_SQL_REQUEST, 0, "SELECT id, at, r, hex(b) FROM t ORDER BY r", NULL);
        kit_add_delete(k, "ns", "key", KV_ALWAYS, 0);
        break;
    case 3:
        kit_add_sql(k, EXECUTE, 0, "INSERT OR ROLLBACK INTO t (id) VALUES (1)", NULL);
        kit_add_sql(k, EXECUTE, 0, "ALTER TABLE t ADD COLUMN more INTEGER DEFAULT 5", "ANALYZE", NULL);
        kit_add_sql(k, COMMAND_SQL_REQUEST, 0, "DELETE FROM t WHERE id = 2 RETURNING *", NULL);
        break;
    }
    kit_apply(k);
}

static uint64_t ticks(void *ctx)
{
    return *(uint64_t *)ctx += 1000;
}

static void the_same_entries_give_the_same_digest_and_results_everywhere(void **state)
{
    (void)state;
    uint64_t clock = 0;
    struct kit a, b;
    struct store_position of_a, of_b;
    kit_open_file(&a);
    kit_open_memory(&b);
    a.config.elapsed_ns = ticks;
    a.config.ctx = &clock;
    kit_reopen(&a);

    for (unsigned step = 0; step < 4; step++) {
        apply_step(&a, step);
        apply_step(&b, step);

        for (unsigned i = 0; i < (step == 0 ? 1 : 3); i++) {
            char shown[8192];
            snprintf(shown, sizeof shown, "%s", kit_result(&a, i));
            assert_string_equal(kit_result(&b, i), shown);
        }
        kit_position(&a, &of_a);
        kit_position(&b, &of_b);
        assert_memory_equal(of_a.digest, of_b.digest, DIGEST_BYTES);
        assert_int_equal(of_a.index, of_b.index);
        assert_int_equal(of_a.time_ms, of_b.time_ms);
        assert_int_equal(store_verify(a.s, NULL), 0);
        assert_int_equal(store_verify(b.s, NULL), 0);
    }
    assert_true(clock > 0);
    kit_close(&a);
    kit_close(&b);
}

static void results_differ_in_nothing_but_elapsed_times(void **state)
{
    (void)state;
    struct kit a, b;
    kit_open_memory(&a);
    kit_open_memory(&b);

    for (unsigned step = 0; step < 4; step++) {
        apply_step(&a, step);
        apply_step(&b, step);
        assert_int_equal(a.results.len, b.results.len);
        assert_memory_equal(a.results.data, b.results.data, a.results.len);
    }
    kit_close(&a);
    kit_close(&b);
}

static void a_restart_in_the_middle_changes_nothing(void **state)
{
    (void)state;
    struct kit a, b;
    struct store_position of_a, of_b;
    kit_open_file(&a);
    kit_open_memory(&b);

    for (unsigned step = 0; step < 4; step++) {
        apply_step(&a, step);
        apply_step(&b, step);
        kit_position(&a, &of_a);
        kit_reopen(&a);
        kit_position(&a, &of_b);
        assert_memory_equal(&of_a, &of_b, sizeof of_a);
        kit_position(&b, &of_b);
        assert_memory_equal(of_a.digest, of_b.digest, DIGEST_BYTES);
    }
    kit_close(&a);
    kit_close(&b);
}

static void copy_file(const char *from, const char *to)
{
    char bytes[65536];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    size_t n;

    assert_non_null(in);
    assert_non_null(out);
    while ((n = fread(bytes, 1, sizeof bytes, in)) > 0) {
        assert_int_equal(fwrite(bytes, 1, n, out), n);
    }
    fclose(in);
    fclose(out);
}

static void a_node_that_dies_finds_its_last_entry_again(void **state)
{
    (void)state;
    struct kit k, after;
    struct store_position before, now;
    char from[100], to[100];
    kit_open_file(&k);
    kit_open_file(&after);
    apply_step(&k, 0);
    apply_step(&k, 1);
    kit_position(&k, &before);

    /* What the disk has while the store is open is what a killed process leaves behind. */
    store_close(after.s);
    copy_file(k.path, after.path);
    snprintf(from, sizeof from, "%s-wal", k.path);
    snprintf(to, sizeof to, "%s-wal", after.path);
    copy_file(from, to);
    struct error e;
    assert_int_equal(store_open(&after.config, &after.s, &e), 0);

    kit_position(&after, &now);
    assert_memory_equal(&now, &before, sizeof now);
    assert_int_equal(store_verify(after.s, NULL), 0);
    apply_step(&after, 2);
    apply_step(&k, 2);
    kit_position(&after, &now);
    kit_position(&k, &before);
    assert_memory_equal(now.digest, before.digest, DIGEST_BYTES);
    kit_close(&k);
    kit_close(&after);
}

static void check_disk_failure(int sqlite_code, enum error_code wanted, const char *words)
{
    struct kit k;
    char place[200];
    struct error e;
    struct store_position before, after;

    faulty_vfs_register();
    kit_open_file(&k);
    k.config.vfs = FAULTY_VFS;
    kit_reopen(&k);
    kit_execute(&k, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
    kit_position(&k, &before);

    kit_add_sql(&k, EXECUTE, 0, "INSERT INTO t VALUES (1)", NULL);
    faulty_vfs_fail_writes(sqlite_code);
    assert_int_equal(kit_try(&k, &e), wanted);
    faulty_vfs_fail_writes(SQLITE_OK);
    snprintf(place, sizeof place, " of %s-wal: %s", k.path, words);
    assert_non_null(strstr(e.text, "entry 2"));
    assert_non_null(strstr(e.text, ": write of "));
    assert_non_null(strstr(e.text, " bytes at offset "));
    assert_non_null(strstr(e.text, place));

    assert_int_equal(k.results.len, 0);
    kit_position(&k, &after);
    assert_memory_equal(&after, &before, sizeof after);
    assert_int_equal(store_verify(k.s, NULL), 0);
    assert_string_equal(kit_query(&k, "SELECT * FROM t"), "rows id:INTEGER");
    kit_reopen(&k);
    kit_apply(&k);
    assert_string_equal(kit_result(&k, 0), "write 1/1");
    kit_close(&k);
    faulty_vfs_unregister();
}

static void a_full_disk_is_no_result_but_an_error_and_the_entry_can_be_applied_again(void **state)
{
    (void)state;
    check_disk_failure(SQLITE_FULL, Q_NO_SPACE, "No space left on device");
}

/* A statement that is larger than the cache writes before the entry is committed. */
static void a_disk_that_is_full_in_the_middle_of_a_statement_is_no_result_either(void **state)
{
    (void)state;
    struct kit k;
    struct error e;

    faulty_vfs_register();
    kit_open_file(&k);
    k.config.vfs = FAULTY_VFS;
    kit_reopen(&k);
    kit_execute(&k, "CREATE TABLE t (x)");

    kit_add_sql(&k, EXECUTE, 0,
                "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 40000)"
                " INSERT INTO t SELECT zeroblob(1000) FROM c",
                NULL);
    faulty_vfs_fail_writes(SQLITE_FULL);
    assert_int_equal(kit_try(&k, &e), Q_NO_SPACE);
    faulty_vfs_fail_writes(SQLITE_OK);

    assert_non_null(strstr(e.text, "command 0"));
    assert_int_equal(k.results.len, 0);
    assert_string_equal(kit_query(&k, "SELECT count(*) AS n FROM t"), "rows n | 0");
    kit_close(&k);
    faulty_vfs_unregister();
}

static void a_failing_disk_is_no_result_but_an_error(void **state)
{
    (void)state;
    check_disk_failure(SQLITE_IOERR_WRITE, Q_IO, "Input/output error");
}

/* With merging switched off a full text index has at most 2000 segments, and SQLite calls it full then. */
static void a_full_text_index_that_is_full_is_a_result_and_stops_nobody(void **state)
{
    (void)state;
    enum { INSERTS = 4500, AT_ONCE = 500 };
    struct kit k;
    unsigned done = 0, full = 0;
    kit_open_memory(&k);
    kit_execute(&k, "CREATE VIRTUAL TABLE t USING fts5(x)");
    kit_execute(&k, "INSERT INTO t(t, rank) VALUES ('automerge', 0)");
    kit_execute(&k, "INSERT INTO t(t, rank) VALUES ('crisismerge', 1999)");

    for (unsigned i = 0; i < INSERTS && full == 0; i += AT_ONCE) {
        for (unsigned j = 0; j < AT_ONCE; j++) {
            kit_add_sql(&k, EXECUTE, 0, "INSERT INTO t VALUES ('word')", NULL);
        }
        kit_apply(&k);
        for (unsigned j = 0; j < AT_ONCE; j++) {
            const char *result = kit_result(&k, j);
            done += strncmp(result, "write ", 6) == 0;
            full += strstr(result, "database or disk is full") != NULL;
        }
    }

    assert_in_range(done, 3500, INSERTS);
    assert_true(full > 0);
    kit_execute(&k, "CREATE TABLE other (x)");
    assert_string_equal(kit_execute(&k, "INSERT INTO other VALUES (1)"), "write 1/1");
    assert_int_equal(store_verify(k.s, NULL), 0);
    kit_close(&k);
}

static void an_entry_without_commands_only_moves_the_index(void **state)
{
    (void)state;
    struct kit k;
    struct error e;
    struct store_position before, after;
    kit_open_file(&k);
    kit_execute(&k, "CREATE TABLE t (id)");
    kit_position(&k, &before);

    assert_int_equal(store_apply(k.s, 2, 5, NULL, 0, &k.results, &e), 0);

    kit_position(&k, &after);
    assert_int_equal(after.index, 2);
    assert_int_equal(after.term, 5);
    assert_int_equal(after.time_ms, before.time_ms);
    assert_memory_equal(after.digest, before.digest, DIGEST_BYTES);
    kit_reopen(&k);
    kit_position(&k, &before);
    assert_memory_equal(&before, &after, sizeof before);
    kit_close(&k);
}

static void a_batch_of_another_index_or_term_is_corrupt(void **state)
{
    (void)state;
    struct kit k;
    struct error e;
    struct buf b;
    struct batch batch = {.term = 2, .index = 1, .commands = 1};
    kit_open_memory(&k);
    buf_init(&b, SIZE_MAX);
    batch_put_header(&b, &batch);
    buf_put_blob(&b, "", 0);

    assert_int_equal(store_apply(k.s, 1, 3, b.data, b.len, &k.results, &e), Q_CORRUPT);
    put_le64(b.data + 16, 2);
    assert_int_equal(store_apply(k.s, 1, 2, b.data, b.len, &k.results, &e), Q_CORRUPT);
    assert_int_equal(store_apply(k.s, 1, 2, b.data, b.len - 1, &k.results, &e), Q_CORRUPT);
    assert_int_equal(k.results.len, 0);
    buf_close(&b);
    kit_close(&k);
}

static void time_never_falls_even_when_the_leaders_clock_does(void **state)
{
    (void)state;
    struct kit k;
    kit_open_file(&k);
    kit_execute(&k, "CREATE TABLE t (at)");
    k.time_ms = 1600000000000;
    kit_reopen(&k);

    kit_execute(&k, "INSERT INTO t VALUES (unixepoch('now'))");

    assert_string_equal(kit_query(&k, "SELECT at FROM t"), "rows at | 1700000000");
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_is_applied_and_read_back),
        cmocka_unit_test(every_new_store_has_the_same_digest),
        cmocka_unit_test(the_same_entries_give_the_same_digest_and_results_everywhere),
        cmocka_unit_test(results_differ_in_nothing_but_elapsed_times),
        cmocka_unit_test(a_restart_in_the_middle_changes_nothing),
        cmocka_unit_test(a_node_that_dies_finds_its_last_entry_again),
        cmocka_unit_test(a_full_disk_is_no_result_but_an_error_and_the_entry_can_be_applied_again),
        cmocka_unit_test(a_disk_that_is_full_in_the_middle_of_a_statement_is_no_result_either),
        cmocka_unit_test(a_failing_disk_is_no_result_but_an_error),
        cmocka_unit_test(a_full_text_index_that_is_full_is_a_result_and_stops_nobody),
        cmocka_unit_test(an_entry_without_commands_only_moves_the_index),
        cmocka_unit_test(a_batch_of_another_index_or_term_is_corrupt),
        cmocka_unit_test(time_never_falls_even_when_the_leaders_clock_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
