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

static void a_command_that_fails_does_not_touch_its_neighbours(void **state)
{
    (void)state;
    struct kit k;
    kit_open_memory(&k);
    kit_execute(&k, "CREATE TABLE t (id INTEGER PRIMARY KEY)");

    kit_add_sql(&k, EXECUTE, 0, "INSERT INTO t VALUES (1)", NULL);
    kit_add_sql(&k, EXECUTE, 0, "INSERT INTO t VALUES (2), (1)", NULL);
    kit_add_sql(&k, EXECUTE, 0, "not sql", NULL);
    kit_add_put(&k, "ns", "key", "value", KV_IF_PRESENT, 0);
    kit_add_sql(&k, EXECUTE, 0, "INSERT INTO t VALUES (3)", NULL);
    kit_apply(&k);

    assert_string_equal(kit_result(&k, 0), "write 1/1");
    assert_string_equal(kit_result(&k, 1), "error UNIQUE constraint failed: t.id");
    assert_string_equal(kit_result(&k, 2), "error near \"not\": syntax error");
    assert_string_equal(kit_result(&k, 3), "put refused v0");
    assert_string_equal(kit_result(&k, 4), "write 3/1");
    assert_string_equal(kit_query(&k, "SELECT id FROM t"), "rows id:INTEGER | 1 | 3");
    assert_int_equal(store_verify(k.s, NULL), 0);
    kit_close(&k);
}

static void a_statement_that_fails_changes_nothing_and_the_others_stand(void **state)
{
    (void)state;
    struct kit k;
    kit_open_memory(&k);
    kit_execute(&k, "CREATE TABLE t (id INTEGER PRIMARY KEY)");

    kit_add_sql(&k, EXECUTE, 0, "INSERT INTO t VALUES (1)", "INSERT OR FAIL INTO t VALUES (2), (1)",
                "INSERT INTO t VALUES (3)", NULL);
    kit_apply(&k);

    assert_string_equal(kit_result(&k, 0), "write 1/1; error UNIQUE constraint failed: t.id; write 3/1");
    assert_string_equal(kit_query(&k, "SELECT id FROM t"), "rows id:INTEGER | 1 | 3");
    assert_int_equal(store_verify(k.s, NULL), 0);
    kit_close(&k);
}

static void a_single_statement_that_keeps_rows_before_its_failure_keeps_none(void **state)
{
    (void)state;
    struct kit k;
    kit_open_memory(&k);
    kit_execute(&k, "CREATE TABLE t (id INTEGER PRIMARY KEY)");

    assert_string_equal(kit_execute(&k, "INSERT OR FAIL INTO t VALUES (2), (2)"),
                        "error UNIQUE constraint failed: t.id");

    assert_string_equal(kit_query(&k, "SELECT id FROM t"), "rows id:INTEGER");
    assert_int_equal(store_verify(k.s, NULL), 0);
    kit_close(&k);
}

static void several_statements_in_one_string_are_done_together_or_not(void **state)
{
    (void)state;
    struct kit k;
    kit_open_memory(&k);
    kit_execute(&k, "CREATE TABLE t (id INTEGER PRIMARY KEY)");

    assert_string_equal(kit_execute(&k, "INSERT INTO t VALUES (1); INSERT INTO t VALUES (1)"),
                        "error UNIQUE constraint failed: t.id");

    assert_string_equal(kit_query(&k, "SELECT id FROM t"), "rows id:INTEGER");
    kit_close(&k);
}

static void a_transaction_stops_at_its_first_failure_and_leaves_nothing(void **state)
{
    (void)state;
    struct kit k;
    kit_open_memory(&k);
    kit_execute(&k, "CREATE TABLE t (id INTEGER PRIMARY KEY)");

    kit_add_sql(&k, EXECUTE, COMMAND_TRANSACTION, "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (1)",
                "INSERT INTO t VALUES (2)", NULL);
    kit_add_sql(&k, COMMAND_SQL_REQUEST, COMMAND_TRANSACTION, "INSERT INTO t VALUES (5)",
                "SELECT * FROM nowhere", "INSERT INTO t VALUES (6)", NULL);
    kit_add_sql(&k, EXECUTE, COMMAND_TRANSACTION, "INSERT INTO t VALUES (7)", "INSERT INTO t VALUES (8)",
                NULL);
    kit_apply(&k);

    assert_string_equal(kit_result(&k, 0), "write 1/1; error UNIQUE constraint failed: t.id");
    assert_string_equal(kit_result(&k, 1), "write 5/1; error no such table: nowhere");
    assert_string_equal(kit_result(&k, 2), "write 7/1; write 8/1");
    assert_string_equal(kit_query(&k, "SELECT id FROM t"), "rows id:INTEGER | 7 | 8");
    assert_int_equal(store_verify(k.s, NULL), 0);
    kit_close(&k);
}

static void add_trigger_that_rolls_back(struct kit *k)
{
    kit_execute(k, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
    kit_execute(k, "CREATE TRIGGER guard BEFORE INSERT ON t WHEN NEW.id < 0"
                   " BEGIN SELECT RAISE(ROLLBACK, 'below zero'); END");
}

static void a_statement_that_rolls_back_everything_loses_no_neighbour(void **state)
{
    (void)state;
    struct kit k;
    kit_open_memory(&k);
    add_trigger_that_rolls_back(&k);

    kit_add_sql(&k, EXECUTE, 0, "INSERT INTO t VALUES (1)", "CREATE TABLE u (a)", NULL);
    kit_add_sql(&k, EXECUTE, 0, "INSERT INTO t VALUES (-1)", NULL);
    kit_add_put(&k, "ns", "key", "value", KV_ALWAYS, 0);
    kit_add_sql(&k, EXECUTE, 0, "INSERT OR ROLLBACK INTO t VALUES (1)", NULL);
    kit_add_sql(&k, EXECUTE, 0, "INSERT OR ROLLBACK INTO t VALUES (2)", NULL);
    kit_apply(&k);

    assert_string_equal(kit_result(&k, 0), "write 1/1; write 1/1");
    assert_string_equal(kit_result(&k, 1), "error below zero");
    assert_string_equal(kit_result(&k, 2), "put done v1");
    assert_string_equal(kit_result(&k, 3), "error UNIQUE constraint failed: t.id");
    assert_string_equal(kit_result(&k, 4), "write 2/1");
    assert_string_equal(kit_query(&k, "SELECT id FROM t"), "rows id:INTEGER | 1 | 2");
    assert_string_equal(kit_query(&k, "SELECT key FROM quorate_kv"), "rows key:BLOB | x'6b6579'");

    kit_add_sql(&k, EXECUTE, 0, "INSERT INTO t VALUES (3)", NULL);
    kit_add_sql(&k, EXECUTE, 0, "INSERT INTO t VALUES (4)", NULL);
    kit_apply(&k);
    assert_string_equal(kit_result(&k, 1), "write 4/1");
    assert_int_equal(store_verify(k.s, NULL), 0);
    kit_close(&k);
}

static void a_request_whose_statement_rolls_back_everything_is_not_done_at_all(void **state)
{
    (void)state;
    struct kit k;
    kit_open_memory(&k);
    add_trigger_that_rolls_back(&k);

    kit_add_sql(&k, EXECUTE, 0, "INSERT INTO t VALUES (1)", NULL);
    kit_add_sql(&k, EXECUTE, 0, "INSERT INTO t VALUES (2)", "INSERT INTO t VALUES (-1)",
                "INSERT INTO t VALUES (3)", NULL);
    kit_add_sql(&k, EXECUTE, COMMAND_TRANSACTION, "INSERT INTO t VALUES (4)", "INSERT INTO t VALUES (-1)",
                "INSERT INTO t VALUES (5)", NULL);
    kit_apply(&k);

    assert_string_equal(kit_result(&k, 0), "write 1/1");
    assert_string_equal(kit_result(&k, 1), "failed sql: below zero: this rolled back the whole request");
    assert_string_equal(kit_result(&k, 2), "write 4/1; error below zero");
    assert_string_equal(kit_query(&k, "SELECT id FROM t"), "rows id:INTEGER | 1");
    assert_int_equal(store_verify(k.s, NULL), 0);
    kit_close(&k);
}

static void a_deferred_constraint_fails_its_own_command(void **state)
{
    (void)state;
    struct kit k;
    kit_open_memory(&k);
    k.config.foreign_keys = true;
    kit_reopen(&k);
    kit_execute(&k, "CREATE TABLE parent (id INTEGER PRIMARY KEY)");
    kit_execute(&k, "CREATE TABLE child (p REFERENCES parent DEFERRABLE INITIALLY DEFERRED)");

    kit_add_sql(&k, EXECUTE, 0, "INSERT INTO child VALUES (1)", NULL);
    kit_add_sql(&k, EXECUTE, 0, "INSERT INTO child VALUES (2)", "INSERT INTO parent VALUES (2)", NULL);
    kit_add_sql(&k, EXECUTE, COMMAND_TRANSACTION, "INSERT INTO child VALUES (3)",
                "INSERT INTO parent VALUES (3)", NULL);
    kit_add_sql(&k, EXECUTE, COMMAND_TRANSACTION, "INSERT INTO child VALUES (4)",
                "INSERT INTO parent VALUES (5)", NULL);
    kit_apply(&k);

    assert_string_equal(kit_result(&k, 0), "error FOREIGN KEY constraint failed");
    assert_string_equal(kit_result(&k, 1), "error FOREIGN KEY constraint failed; write 2/1");
    assert_string_equal(kit_result(&k, 2), "write 1/1; write 3/1");
    assert_string_equal(kit_result(&k, 3), "failed sql: FOREIGN KEY constraint failed");
    assert_string_equal(kit_query(&k, "SELECT p FROM child"), "rows p | 3");
    kit_close(&k);
}

static void foreign_keys_are_not_enforced_unless_asked_for(void **state)
{
    (void)state;
    struct kit k;
    kit_open_memory(&k);
    kit_execute(&k, "CREATE TABLE parent (id INTEGER PRIMARY KEY)");
    kit_execute(&k, "CREATE TABLE child (p REFERENCES parent)");

    assert_string_equal(kit_execute(&k, "INSERT INTO child VALUES (1)"), "write 1/1");
    kit_close(&k);
}

static void what_would_leave_the_transaction_or_the_file_is_refused(void **state)
{
    (void)state;
    const char *const refused[] = {
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT s",
        "RELEASE quorate_command",
        "ROLLBACK TO quorate_command",
        "ATTACH ':memory:' AS other",
        "VACUUM",
        "/* c */ -- d\n vacuum INTO '/tmp/copy'",
        "PRAGMA journal_mode = DELETE",
        "CREATE TEMP TABLE x (a)",
        "INSERT INTO quorate_state VALUES ('a', 1)",
        "UPDATE quorate_kv SET version = 1",
        "DROP TABLE quorate_kv",
        "CREATE TABLE quorate_mine (a)",
        "CREATE TABLE x (a REFERENCES quorate_kv)",
        "ALTER TABLE t RENAME TO quorate_t",
    };
    struct kit k;
    struct store_position before, after;
    kit_open_memory(&k);
    kit_execute(&k, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
    kit_position(&k, &before);

    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        const char *shown = kit_execute(&k, refused[i]);
        if (strncmp(shown, "error ", 6) != 0 || strstr(shown, "not authorized") != NULL) {
            fail_msg("%s: %s", refused[i], shown);
        }
    }
    assert_string_equal(kit_execute(&k, "VACUUM"),
                        "error VACUUM is not allowed: it would rewrite the file on one node alone");

    kit_position(&k, &after);
    assert_memory_equal(after.digest, before.digest, DIGEST_BYTES);
    assert_string_equal(kit_query(&k, "SELECT count(*) FROM quorate_kv"), "rows count(*) | 0");
    kit_close(&k);
}

static void a_result_over_the_limit_is_an_error_and_undoes_its_command(void **state)
{
    (void)state;
    struct kit k;
    kit_open_memory(&k);
    k.config.result_max = STORE_RESULT_MIN;
    kit_reopen(&k);
    kit_execute(&k, "CREATE TABLE t (id INTEGER PRIMARY KEY, b)");

    kit_add_sql(&k, EXECUTE, 0, "INSERT INTO t (b) VALUES (zeroblob(60000)) RETURNING b", NULL);
    kit_add_sql(&k, EXECUTE, 0, "INSERT INTO t (b) VALUES (zeroblob(70000)) RETURNING b", NULL);
    kit_add_sql(&k, COMMAND_SQL_REQUEST, 0, "INSERT INTO t (b) VALUES (1)", "SELECT zeroblob(70000)",
                "INSERT INTO t (b) VALUES (2)", NULL);
    kit_apply(&k);

    assert_int_equal(k.results.len > 60000, true);
    assert_string_equal(kit_result(&k, 1),
                        "failed too_big: the result is larger than the limit of 65536 bytes");
    assert_string_equal(kit_result(&k, 2),
                        "failed too_big: the result is larger than the limit of 65536 bytes");
    assert_string_equal(kit_query(&k, "SELECT id, length(b) FROM t"), "rows id:INTEGER,length(b) | 1,60000");
    assert_int_equal(store_verify(k.s, NULL), 0);
    kit_close(&k);
}

static void no_room_for_results_is_an_error_and_applies_nothing(void **state)
{
    (void)state;
    struct kit k;
    struct error e;
    struct store_position position;
    kit_open_memory(&k);
    k.results.max = 10;

    kit_add_sql(&k, EXECUTE, 0, "CREATE TABLE t (id)", NULL);

    assert_int_equal(kit_try(&k, &e), Q_TOO_BIG);
    assert_int_equal(k.results.len, 0);
    kit_position(&k, &position);
    assert_int_equal(position.index, 0);
    k.results.max = SIZE_MAX;
    kit_apply(&k);
    assert_string_equal(kit_result(&k, 0), "write 0/0");
    kit_close(&k);
}

static void check_disk_failure(int sqlite_code, enum error_code wanted)
{
    struct kit k;
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
    check_disk_failure(SQLITE_FULL, Q_NO_SPACE);
}

static void a_failing_disk_is_no_result_but_an_error(void **state)
{
    (void)state;
    check_disk_failure(SQLITE_IOERR_WRITE, Q_IO);
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

static void a_command_of_a_newer_version_stops_this_node(void **state)
{
    (void)state;
    struct kit k;
    struct error e;
    struct buf b;
    struct store_position position;
    kit_open_memory(&k);
    buf_init(&b, SIZE_MAX);
    command_put_kv_get(&b, kit_cursor("ns"), kit_cursor("key"));
    b.data[1] = 200;
    kit_add_put(&k, "ns", "key", "value", KV_ALWAYS, 0);
    kit_add_bytes(&k, &b);

    assert_int_equal(kit_try(&k, &e), Q_MISMATCH);

    assert_string_equal(e.text, "entry 1: command 1: unknown command 200");
    assert_int_equal(k.results.len, 0);
    kit_position(&k, &position);
    assert_int_equal(position.index, 0);
    assert_string_equal(kit_query(&k, "SELECT count(*) FROM quorate_kv"), "rows count(*) | 0");
    buf_close(&b);
    kit_close(&k);
}

static void a_command_that_breaks_a_bound_gets_an_error_result(void **state)
{
    (void)state;
    struct kit k;
    struct buf b;
    kit_open_memory(&k);
    buf_init(&b, SIZE_MAX);
    command_put_kv_get(&b, kit_cursor("a/b"), kit_cursor("key"));
    kit_add_bytes(&k, &b);
    kit_add_put(&k, "ns", "key", "value", KV_ALWAYS, 0);

    kit_apply(&k);

    assert_string_equal(kit_result(&k, 0),
                        "failed invalid: a namespace holds only letters, digits, '_', '.' and '-'");
    assert_string_equal(kit_result(&k, 1), "put done v1");
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

static void change_behind_its_back(const char *path, const char *sql)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void a_row_that_changed_behind_its_back_is_found_by_verify(void **state)
{
    (void)state;
    struct kit k;
    struct error e;
    kit_open_file(&k);
    kit_execute(&k, "CREATE TABLE t (id INTEGER PRIMARY KEY, a)");
    kit_execute(&k, "INSERT INTO t (a) VALUES (1), (2)");
    assert_int_equal(store_verify(k.s, &e), 0);

    change_behind_its_back(k.path, "UPDATE t SET a = 3 WHERE id = 2");

    assert_int_equal(store_verify(k.s, &e), Q_CORRUPT);
    assert_non_null(strstr(e.text, "t"));
    kit_close(&k);
}

static int open_after(struct kit *k, const char *sql, struct error *e)
{
    store_close(k->s);
    k->s = NULL;
    change_behind_its_back(k->path, sql);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_is_applied_and_read_back),
        cmocka_unit_test(every_new_store_has_the_same_digest),
        cmocka_unit_test(the_same_entries_give_the_same_digest_and_results_everywhere),
        cmocka_unit_test(results_differ_in_nothing_but_elapsed_times),
        cmocka_unit_test(a_restart_in_the_middle_changes_nothing),
        cmocka_unit_test(a_node_that_dies_finds_its_last_entry_again),
        cmocka_unit_test(a_command_that_fails_does_not_touch_its_neighbours),
        cmocka_unit_test(a_statement_that_fails_changes_nothing_and_the_others_stand),
        cmocka_unit_test(a_single_statement_that_keeps_rows_before_its_failure_keeps_none),
        cmocka_unit_test(several_statements_in_one_string_are_done_together_or_not),
        cmocka_unit_test(a_transaction_stops_at_its_first_failure_and_leaves_nothing),
        cmocka_unit_test(a_statement_that_rolls_back_everything_loses_no_neighbour),
        cmocka_unit_test(a_request_whose_statement_rolls_back_everything_is_not_done_at_all),
        cmocka_unit_test(a_deferred_constraint_fails_its_own_command),
        cmocka_unit_test(foreign_keys_are_not_enforced_unless_asked_for),
        cmocka_unit_test(what_would_leave_the_transaction_or_the_file_is_refused),
        cmocka_unit_test(a_result_over_the_limit_is_an_error_and_undoes_its_command),
        cmocka_unit_test(no_room_for_results_is_an_error_and_applies_nothing),
        cmocka_unit_test(a_full_disk_is_no_result_but_an_error_and_the_entry_can_be_applied_again),
        cmocka_unit_test(a_failing_disk_is_no_result_but_an_error),
        cmocka_unit_test(an_entry_without_commands_only_moves_the_index),
        cmocka_unit_test(a_batch_of_another_index_or_term_is_corrupt),
        cmocka_unit_test(a_command_of_a_newer_version_stops_this_node),
        cmocka_unit_test(a_command_that_breaks_a_bound_gets_an_error_result),
        cmocka_unit_test(time_never_falls_even_when_the_leaders_clock_does),
        cmocka_unit_test(a_row_that_changed_behind_its_back_is_found_by_verify),
        cmocka_unit_test(a_database_of_a_newer_format_is_refused),
        cmocka_unit_test(a_database_of_another_sqlite_is_refused_until_it_is_adopted),
        cmocka_unit_test(a_state_that_lacks_a_fact_is_corrupt),
        cmocka_unit_test(a_database_that_is_not_a_stores_is_refused),
        cmocka_unit_test(a_file_that_is_no_database_is_corrupt),
        cmocka_unit_test(a_directory_that_is_not_there_is_an_error_of_the_disk),
        cmocka_unit_test(a_configuration_out_of_bounds_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
