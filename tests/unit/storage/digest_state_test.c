#include "storage/digest.h"

#include "tests/unit/storage/hashed.h"

static void the_schema_counts(void **state)
{
    uint8_t before[DIGEST_BYTES], with[DIGEST_BYTES], after[DIGEST_BYTES];

    RUN(state, "CREATE TABLE t(a, b)", "INSERT INTO t VALUES(1, 2)");
    hashed_value(*state, before);
    RUN(state, "CREATE INDEX i ON t(a)");
    hashed_value(*state, with);
    RUN(state, "DROP INDEX i");
    hashed_value(*state, after);

    assert_digests(false, before, with);
    assert_digests(true, before, after);
}

static void tables_that_come_go_and_change_are_followed(void **state)
{
    RUN(state, "CREATE TABLE t(a, b)", "INSERT INTO t VALUES(1, 2), (3, 4)",
        "ALTER TABLE t ADD COLUMN c DEFAULT 'dc'", "INSERT INTO t(a) VALUES(5)",
        "UPDATE t SET b = 0 WHERE a = 1", "DELETE FROM t WHERE a = 3", "ALTER TABLE t RENAME COLUMN b TO bb",
        "ALTER TABLE t RENAME TO tt", "UPDATE tt SET bb = 'set'", "ALTER TABLE tt DROP COLUMN bb",
        "INSERT INTO tt VALUES(6, 7)", "CREATE TABLE copy AS SELECT * FROM tt", "UPDATE copy SET a = 8",
        "DROP TABLE tt", "DROP TABLE copy");
}

static void a_table_dropped_and_made_again_starts_empty(void **state)
{
    RUN(state, "CREATE TABLE t(a)", "INSERT INTO t VALUES(1)", "DROP TABLE t", "CREATE TABLE t(a)",
        "INSERT INTO t VALUES(2)");
}

static void a_statement_that_fails_halfway_leaves_the_digest(void **state)
{
    struct hashed *h = *state;

    RUN(state, "CREATE TABLE t(a UNIQUE CHECK(a < 100))", "INSERT INTO t VALUES(1), (2)");
    assert_int_equal(hashed_try(h, "INSERT INTO t VALUES(3), (4), (1)"), SQLITE_CONSTRAINT);
    assert_int_equal(hashed_try(h, "UPDATE t SET a = a + 98"), SQLITE_CONSTRAINT);
    assert_int_equal(hashed_try(h, "INSERT OR FAIL INTO t VALUES(5), (6), (1)"), SQLITE_CONSTRAINT);
    RUN(state, "CREATE TRIGGER x AFTER INSERT ON t WHEN new.a = 9 BEGIN SELECT RAISE(ABORT, 'nine'); END");
    assert_int_equal(hashed_try(h, "INSERT INTO t VALUES(7), (8), (9)"), SQLITE_CONSTRAINT);
    RUN(state, "INSERT INTO t VALUES(10)");
}

static void after_settling_fts5_writes_nothing_at_commit(void **state)
{
    struct hashed *h = *state;
    uint8_t before[DIGEST_BYTES], after[DIGEST_BYTES];
    struct error e;

    RUN(state, "CREATE VIRTUAL TABLE f USING fts5(x)");
    sqlite3_exec(h->db, "BEGIN", NULL, NULL, NULL);
    RUN(state, "INSERT INTO f VALUES('hello')", "INSERT INTO f VALUES('world')");
    sqlite3_exec(h->db, "INSERT INTO f VALUES('and moon')", NULL, NULL, NULL);
    assert_int_equal(digest_follow(h->digest, &e), Q_OK);

    assert_int_equal(digest_settle(h->digest, &e), Q_OK);
    hashed_value(h, before);
    assert_int_equal(sqlite3_exec(h->db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    hashed_value(h, after);

    assert_digests(true, before, after);
    hashed_check(h, "COMMIT");
}

static void column_names_that_sqlite_draws_are_refused(void **state)
{
    struct hashed *h = *state;

    RUN(state, "CREATE TABLE five AS SELECT 1 AS a, 2 AS a, 3 AS A, 4 AS a, 5 AS a, 6 AS \"b:9\"");
    assert_int_equal(
        hashed_try(h, "CREATE TABLE six AS SELECT 1 AS a, 2 AS a, 3 AS A, 4 AS a, 5 AS a, 6 AS A"),
        SQLITE_MISMATCH);
    assert_non_null(strstr(h->message, "table six"));
    RUN(state, "CREATE TABLE six(a, \"a:4\", \"a:3\", \"a:x5\", \"b:5\")");
}

static void nested_savepoints_come_back_to_what_they_were(void **state)
{
    struct hashed *h = *state;
    uint8_t start[DIGEST_BYTES], inner[DIGEST_BYTES], now[DIGEST_BYTES];
    struct error e;

    RUN(state, "CREATE TABLE t(a)", "CREATE TABLE u(a)", "INSERT INTO t VALUES(1)");
    hashed_value(h, start);

    sqlite3_exec(h->db, "SAVEPOINT a", NULL, NULL, NULL);
    assert_int_equal(digest_savepoint(h->digest, &e), Q_OK);
    RUN(state, "INSERT INTO t VALUES(2)", "DROP TABLE u", "CREATE TABLE n(x)", "INSERT INTO n VALUES(1)");
    hashed_value(h, inner);

    sqlite3_exec(h->db, "SAVEPOINT b", NULL, NULL, NULL);
    assert_int_equal(digest_savepoint(h->digest, &e), Q_OK);
    RUN(state, "DELETE FROM t", "ALTER TABLE n ADD COLUMN y DEFAULT 4", "INSERT INTO n VALUES(5, 6)",
        "CREATE TABLE u(z)");
    sqlite3_exec(h->db, "ROLLBACK TO b", NULL, NULL, NULL);
    digest_rollback(h->digest);
    hashed_check(h, "ROLLBACK TO b");
    hashed_value(h, now);
    assert_digests(true, inner, now);

    RUN(state, "INSERT INTO n VALUES(7)", "CREATE TABLE u(y)", "INSERT INTO u VALUES(1)");
    sqlite3_exec(h->db, "RELEASE b", NULL, NULL, NULL);
    digest_release(h->digest);
    hashed_check(h, "RELEASE b");

    sqlite3_exec(h->db, "ROLLBACK TO a", NULL, NULL, NULL);
    digest_rollback(h->digest);
    hashed_check(h, "ROLLBACK TO a");
    hashed_value(h, now);
    assert_digests(true, start, now);
    RUN(state, "INSERT INTO u VALUES(1)", "INSERT INTO t VALUES(2)");
    sqlite3_exec(h->db, "RELEASE a", NULL, NULL, NULL);
    digest_release(h->digest);
    hashed_check(h, "RELEASE a");
}

static void a_savepoint_can_be_rolled_back_to_again_and_again(void **state)
{
    struct hashed *h = *state;
    struct error e;

    RUN(state, "CREATE TABLE t(a)", "INSERT INTO t VALUES(1)");
    sqlite3_exec(h->db, "SAVEPOINT a", NULL, NULL, NULL);
    assert_int_equal(digest_savepoint(h->digest, &e), Q_OK);
    for (int i = 0; i < 3; i++) {
        sqlite3_exec(h->db, "INSERT INTO t VALUES(2)", NULL, NULL, NULL);
        assert_int_equal(digest_follow(h->digest, &e), Q_OK);
        hashed_check(h, "INSERT");
        sqlite3_exec(h->db, "ROLLBACK TO a", NULL, NULL, NULL);
        digest_rollback(h->digest);
        hashed_check(h, "ROLLBACK TO a");
    }
    sqlite3_exec(h->db, "RELEASE a", NULL, NULL, NULL);
    digest_release(h->digest);
}

static void a_schema_version_that_comes_again_after_a_rollback_is_not_mistaken(void **state)
{
    struct hashed *h = *state;
    struct error e;

    RUN(state, "CREATE TABLE a(x)", "CREATE TABLE b(x)", "INSERT INTO a VALUES(1)",
        "INSERT INTO b VALUES(2)");
    sqlite3_exec(h->db, "SAVEPOINT s", NULL, NULL, NULL);
    assert_int_equal(digest_savepoint(h->digest, &e), Q_OK);
    RUN(state, "DROP TABLE a");
    sqlite3_exec(h->db, "ROLLBACK TO s", NULL, NULL, NULL);
    digest_rollback(h->digest);

    RUN(state, "DROP TABLE b", "INSERT INTO a VALUES(3)");

    sqlite3_exec(h->db, "RELEASE s", NULL, NULL, NULL);
    digest_release(h->digest);
}

static void the_stores_state_and_statistics_are_no_content(void **state)
{
    uint8_t before[DIGEST_BYTES], after[DIGEST_BYTES];

    RUN(state, "CREATE TABLE t(a)", "CREATE INDEX i ON t(a)", "INSERT INTO t VALUES(1)",
        "CREATE TABLE quorate_kv(k)");
    hashed_value(*state, before);
    RUN(state, "CREATE TABLE quorate_state(x)", "INSERT INTO quorate_state VALUES(1)", "ANALYZE");
    hashed_value(*state, after);
    assert_digests(true, before, after);

    RUN(state, "INSERT INTO quorate_kv VALUES(1)");
    hashed_value(*state, after);
    assert_digests(false, before, after);
}

static void saved_sums_take_the_place_of_a_scan(void **state)
{
    struct hashed *h = *state;
    struct buf saved;
    struct error e;
    uint8_t before[DIGEST_BYTES], after[DIGEST_BYTES];

    RUN(state, "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, a)", "INSERT INTO t(a) VALUES(1), (2)",
        "CREATE TABLE w(a PRIMARY KEY) WITHOUT ROWID", "INSERT INTO w VALUES(1)");
    hashed_value(h, before);
    buf_init(&saved, 10000);
    digest_save(h->digest, &saved);
    assert_int_equal(buf_check(&saved, "saved", &e), Q_OK);
    assert_int_equal(saved.len, 24 + 3 * 40);
    digest_free(h->digest);

    assert_int_equal(digest_new(h->db, saved.data, saved.len, &h->digest, &e), Q_OK);

    hashed_value(h, after);
    assert_digests(true, before, after);
    RUN(state, "UPDATE t SET a = 3", "DROP TABLE w", "INSERT INTO t(a) VALUES(4)");
    buf_close(&saved);
}

static void saved_sums_of_another_schema_are_refused(void **state)
{
    struct hashed *h = *state;
    struct digest *other;
    struct buf saved;
    struct error e;

    RUN(state, "CREATE TABLE t(a)", "CREATE TABLE u(a)");
    buf_init(&saved, 10000);
    digest_save(h->digest, &saved);

    assert_int_equal(digest_new(h->db, saved.data, saved.len - 1, &other, &e), Q_CORRUPT);
    assert_int_equal(digest_new(h->db, saved.data, 0, &other, &e), Q_CORRUPT);
    saved.data[0] = 9;
    assert_int_equal(digest_new(h->db, saved.data, saved.len, &other, &e), Q_CORRUPT);
    saved.data[0] = 1;
    sqlite3_exec(h->db, "CREATE INDEX i ON t(a)", NULL, NULL, NULL);
    assert_int_equal(digest_new(h->db, saved.data, saved.len, &other, &e), Q_CORRUPT);
    sqlite3_exec(h->db, "DROP INDEX i; DROP TABLE u", NULL, NULL, NULL);
    assert_int_equal(digest_new(h->db, saved.data, saved.len, &other, &e), Q_CORRUPT);
    sqlite3_exec(h->db, "CREATE TABLE v(a)", NULL, NULL, NULL);
    assert_int_equal(digest_new(h->db, saved.data, saved.len, &other, &e), Q_CORRUPT);
    assert_non_null(strstr(e.text, "table v"));
    buf_close(&saved);
}

static void verify_names_the_table_that_differs(void **state)
{
    struct hashed other, *h = *state;
    struct error e;

    hashed_open(&other);
    RUN(state, "CREATE TABLE a(x)", "CREATE TABLE b(x)", "INSERT INTO b VALUES(1)");
    hashed_run(&other, "CREATE TABLE a(x)");
    hashed_run(&other, "CREATE TABLE b(x)");
    assert_int_equal(digest_verify(h->digest, other.db, &e), Q_CORRUPT);
    assert_non_null(strstr(e.text, ": b"));

    hashed_run(&other, "INSERT INTO b VALUES(1)");
    assert_int_equal(digest_verify(h->digest, other.db, &e), Q_OK);

    hashed_run(&other, "CREATE TABLE aa(x)");
    assert_int_equal(digest_verify(h->digest, other.db, &e), Q_CORRUPT);
    assert_non_null(strstr(e.text, ": aa, sqlite_schema"));

    hashed_run(&other, "DROP TABLE aa");
    hashed_run(&other, "CREATE VIEW v AS SELECT 1");
    assert_int_equal(digest_verify(h->digest, other.db, &e), Q_CORRUPT);
    assert_non_null(strstr(e.text, ": sqlite_schema"));
    hashed_close(&other);
}

static void an_update_that_no_hook_saw_is_found(void **state)
{
    struct hashed *h = *state;
    struct error e;

    RUN(state, "CREATE TABLE a(x)", "INSERT INTO a VALUES(1)");
    sqlite3_preupdate_hook(h->db, NULL, NULL);
    sqlite3_exec(h->db, "UPDATE a SET x = 2", NULL, NULL, NULL);

    assert_int_equal(digest_verify(h->digest, h->db, &e), Q_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HASHED_TEST(the_schema_counts),
        HASHED_TEST(tables_that_come_go_and_change_are_followed),
        HASHED_TEST(a_table_dropped_and_made_again_starts_empty),
        HASHED_TEST(a_statement_that_fails_halfway_leaves_the_digest),
        HASHED_TEST(after_settling_fts5_writes_nothing_at_commit),
        HASHED_TEST(column_names_that_sqlite_draws_are_refused),
        HASHED_TEST(nested_savepoints_come_back_to_what_they_were),
        HASHED_TEST(a_savepoint_can_be_rolled_back_to_again_and_again),
        HASHED_TEST(a_schema_version_that_comes_again_after_a_rollback_is_not_mistaken),
        HASHED_TEST(the_stores_state_and_statistics_are_no_content),
        HASHED_TEST(saved_sums_take_the_place_of_a_scan),
        HASHED_TEST(saved_sums_of_another_schema_are_refused),
        HASHED_TEST(verify_names_the_table_that_differs),
        HASHED_TEST(an_update_that_no_hook_saw_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
