
#include "tests/unit/storage/behind.h"
#include "tests/unit/storage/kit.h"

static const enum command_op EXECUTE = COMMAND_SQL_EXECUTE;

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

static void a_full_text_table_that_goes_back_with_its_words_harms_nobody(void **state)
{
    (void)state;
    struct kit k;
    kit_open_memory(&k);

    kit_add_sql(&k, EXECUTE, COMMAND_TRANSACTION, "CREATE VIRTUAL TABLE f USING fts5(words)",
                "INSERT INTO f VALUES ('some words')", "nonsense", NULL);
    kit_add_put(&k, "ns", "key", "value", KV_ALWAYS, 0);
    kit_add_sql(&k, EXECUTE, 0, "CREATE TABLE t (a UNIQUE)", "INSERT INTO t VALUES (1), (2)", NULL);
    kit_apply(&k);

    assert_string_equal(kit_result(&k, 0), "write 10/1; write 1/1; error near \"nonsense\": syntax error");
    assert_string_equal(kit_result(&k, 1), "put done v1");
    assert_string_equal(kit_result(&k, 2), "write 0/0; write 2/2");
    assert_string_equal(kit_query(&k, "SELECT * FROM f"), "error no such table: f");
    assert_int_equal(store_verify(k.s, NULL), 0);
    kit_close(&k);
}

static void a_full_text_table_that_cannot_be_saved_fails_its_own_command(void **state)
{
    (void)state;
    struct kit k;
    kit_open_file(&k);
    kit_execute(&k, "CREATE VIRTUAL TABLE f USING fts5(words)");
    kit_execute(&k, "INSERT INTO f VALUES ('some words')");
    store_close(k.s);
    /* The row that says where its parts are: read only when it writes what it holds in memory. */
    behind_run(k.path, "UPDATE f_data SET block = x'00' WHERE id = 10");
    assert_int_equal(store_open(&k.config, &k.s, NULL), 0);

    kit_add_put(&k, "ns", "key", "value", KV_ALWAYS, 0);
    kit_add_sql(&k, EXECUTE, 0, "INSERT INTO f VALUES ('more words')", NULL);
    kit_add_put(&k, "ns", "key", "value", KV_ALWAYS, 0);
    kit_apply(&k);

    assert_string_equal(kit_result(&k, 0), "put done v1");
    assert_int_equal(strncmp(kit_result(&k, 1), "failed sql: ", 12), 0);
    assert_string_equal(kit_result(&k, 2), "put done v2");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_that_fails_does_not_touch_its_neighbours),
        cmocka_unit_test(a_statement_that_fails_changes_nothing_and_the_others_stand),
        cmocka_unit_test(a_single_statement_that_keeps_rows_before_its_failure_keeps_none),
        cmocka_unit_test(several_statements_in_one_string_are_done_together_or_not),
        cmocka_unit_test(a_transaction_stops_at_its_first_failure_and_leaves_nothing),
        cmocka_unit_test(a_statement_that_rolls_back_everything_loses_no_neighbour),
        cmocka_unit_test(a_request_whose_statement_rolls_back_everything_is_not_done_at_all),
        cmocka_unit_test(a_full_text_table_that_goes_back_with_its_words_harms_nobody),
        cmocka_unit_test(a_full_text_table_that_cannot_be_saved_fails_its_own_command),
        cmocka_unit_test(a_deferred_constraint_fails_its_own_command),
        cmocka_unit_test(foreign_keys_are_not_enforced_unless_asked_for),
        cmocka_unit_test(what_would_leave_the_transaction_or_the_file_is_refused),
        cmocka_unit_test(a_result_over_the_limit_is_an_error_and_undoes_its_command),
        cmocka_unit_test(no_room_for_results_is_an_error_and_applies_nothing),
        cmocka_unit_test(a_command_of_a_newer_version_stops_this_node),
        cmocka_unit_test(a_command_that_breaks_a_bound_gets_an_error_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
