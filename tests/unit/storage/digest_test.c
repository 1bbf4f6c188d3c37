#include "storage/digest.h"

#include "tests/unit/storage/hashed.h"

static void inserts_updates_and_deletes_are_followed(void **state)
{
    RUN(state, "CREATE TABLE t(a, b TEXT, c REAL, d BLOB)",
        "INSERT INTO t VALUES(1, 'one', 1.5, x'01'), (NULL, '', -0.0, zeroblob(10)), (2, 'zwei', 1, NULL)",
        "UPDATE t SET a = 3 WHERE b = 'one'", "UPDATE t SET c = c + 1", "DELETE FROM t WHERE a = 2",
        "UPDATE t SET rowid = rowid + 100", "DELETE FROM t WHERE rowid > 101");
}

static void a_delete_of_all_rows_at_once_is_followed(void **state)
{
    uint8_t empty[DIGEST_BYTES], again[DIGEST_BYTES];

    RUN(state, "CREATE TABLE t(a)");
    hashed_value(*state, empty);
    RUN(state, "INSERT INTO t VALUES(1), (2), (3)", "DELETE FROM t");

    hashed_value(*state, again);
    assert_digests(true, empty, again);
}

static void replace_and_upsert_are_followed(void **state)
{
    RUN(state, "CREATE TABLE t(a INTEGER PRIMARY KEY, b UNIQUE, c)",
        "INSERT INTO t VALUES(1, 1, 1), (2, 2, 2), (3, 3, 3)", "REPLACE INTO t VALUES(1, 10, 10)",
        "REPLACE INTO t VALUES(2, 3, 'takes the place of two rows')",
        "UPDATE OR REPLACE t SET b = 3 WHERE a = 1",
        "INSERT INTO t VALUES(1, 5, 6) ON CONFLICT(a) DO UPDATE SET c = 7",
        "INSERT INTO t VALUES(1, 5, 6) ON CONFLICT DO NOTHING", "INSERT OR IGNORE INTO t VALUES(1, 5, 6)");
}

static void tables_without_rowid_are_followed(void **state)
{
    RUN(state, "CREATE TABLE w(a TEXT, b INT, c, PRIMARY KEY(b, a)) WITHOUT ROWID",
        "INSERT INTO w VALUES('x', 1, 1), ('y', 1, 2), ('z', 2, 3)", "UPDATE w SET c = 9",
        "UPDATE w SET b = b + 5", "REPLACE INTO w VALUES('x', 6, 'new')",
        "INSERT INTO w VALUES('x', 6, 0) ON CONFLICT DO UPDATE SET a = 'xx'", "DELETE FROM w WHERE a = 'y'",
        "CREATE TABLE w2(a TEXT, b INT, c, PRIMARY KEY(b, a)) WITHOUT ROWID",
        "INSERT INTO w2 SELECT * FROM w", "DELETE FROM w", "DROP TABLE w2");
}

static void triggers_are_followed(void **state)
{
    RUN(state, "CREATE TABLE t(a)", "CREATE TABLE log(id INTEGER PRIMARY KEY, what)",
        "CREATE TRIGGER i AFTER INSERT ON t BEGIN INSERT INTO log(what) VALUES('i' || new.a); END",
        "CREATE TRIGGER u BEFORE UPDATE ON t BEGIN INSERT INTO log(what) VALUES('u' || old.a || new.a); END",
        "CREATE TRIGGER d AFTER DELETE ON t BEGIN DELETE FROM log WHERE what = 'i' || old.a; END",
        "CREATE VIEW v AS SELECT a FROM t",
        "CREATE TRIGGER vi INSTEAD OF INSERT ON v BEGIN INSERT INTO t VALUES(new.a + 100); END",
        "INSERT INTO t VALUES(1), (2), (3)", "INSERT INTO v VALUES(4), (5)", "UPDATE t SET a = a * 2",
        "DELETE FROM t WHERE a < 5", "DELETE FROM t",
        "CREATE TRIGGER x BEFORE INSERT ON t WHEN new.a = 13 BEGIN SELECT RAISE(IGNORE); END",
        "INSERT INTO t VALUES(12), (13), (14)");
}

static void foreign_key_actions_are_followed(void **state)
{
    struct hashed *h = *state;

    sqlite3_exec(h->db, "PRAGMA foreign_keys = ON", NULL, NULL, NULL);
    RUN(state, "CREATE TABLE p(id INTEGER PRIMARY KEY)",
        "CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE)",
        "CREATE TABLE n(p DEFAULT 7 REFERENCES p ON DELETE SET NULL)", "INSERT INTO p VALUES(1), (2), (3)",
        "INSERT INTO c(p) VALUES(1), (1), (2)", "INSERT INTO n VALUES(1), (3)", "DELETE FROM p WHERE id = 1",
        "UPDATE p SET id = 20 WHERE id = 2", "DROP TABLE c", "DROP TABLE p");
}

static void rows_older_than_a_column_are_known_by_its_default(void **state)
{
    RUN(state, "CREATE TABLE t(a, b)", "INSERT INTO t VALUES(1, 2), (3, 4), (5, 6), (7, NULL)",
        "ALTER TABLE t ADD COLUMN c DEFAULT 5", "ALTER TABLE t ADD COLUMN d",
        "ALTER TABLE t ADD COLUMN e TEXT DEFAULT 'e'", "UPDATE t SET a = 0 WHERE a = 1",
        "DELETE FROM t WHERE a = 3", "UPDATE t SET c = NULL, e = NULL WHERE a = 5", "UPDATE t SET a = a + 1",
        "INSERT INTO t VALUES(10, 11, 12, NULL, NULL)", "DELETE FROM t");
}

static void records_copied_short_from_a_twin_are_read_back(void **state)
{
    RUN(state, "CREATE TABLE t(a, b)", "INSERT INTO t VALUES(1, 2), (3, 4)",
        "ALTER TABLE t ADD COLUMN c DEFAULT 5", "CREATE TABLE twin(a, b, c DEFAULT 5)",
        "INSERT INTO twin SELECT * FROM t", "UPDATE twin SET a = 9 WHERE a = 1", "DELETE FROM twin",
        "CREATE TABLE w(a PRIMARY KEY, b) WITHOUT ROWID", "INSERT INTO w VALUES(1, 2), (3, 4)",
        "ALTER TABLE w ADD COLUMN c DEFAULT 5", "UPDATE w SET b = 7 WHERE a = 1",
        "CREATE TABLE wtwin(a PRIMARY KEY, b, c DEFAULT 5) WITHOUT ROWID",
        "INSERT INTO wtwin SELECT * FROM w", "UPDATE wtwin SET b = 8 WHERE a = 3", "DELETE FROM wtwin",
        "DELETE FROM w");
}

static void keys_that_differ_only_in_case_are_told_apart(void **state)
{
    RUN(state,
        "CREATE TABLE w(a TEXT COLLATE NOCASE, b, c DEFAULT 5, PRIMARY KEY(a COLLATE BINARY)) WITHOUT ROWID",
        "INSERT INTO w VALUES('A', 1, NULL), ('a', 2, NULL), ('B', 3, NULL), ('b', 4, NULL)",
        "DELETE FROM w WHERE b = 2", "UPDATE w SET b = 5 WHERE b = 4", "DELETE FROM w WHERE b = 1");
}

static void null_and_the_default_are_told_apart(void **state)
{
    uint8_t null[DIGEST_BYTES], set[DIGEST_BYTES];

    RUN(state, "CREATE TABLE t(a, b DEFAULT 5)", "INSERT INTO t VALUES(1, NULL)");
    hashed_value(*state, null);
    RUN(state, "UPDATE t SET b = 5");
    hashed_value(*state, set);

    assert_digests(false, null, set);
}

static void whole_reals_and_integers_do_not_diverge(void **state)
{
    RUN(state, "CREATE TABLE r(x REAL, y, z NUMERIC, i INT, f FLOAT)",
        "INSERT INTO r VALUES(1.0, 1.0, 1.0, 1.0, 1)", "INSERT INTO r VALUES(-0.0, -0.0, -0.0, -0.0, -0.0)",
        "INSERT INTO r VALUES(9007199254740993, 9007199254740993, 9007199254740993, 9007199254740993, "
        "9007199254740993)",
        "INSERT INTO r VALUES(9223372036854775807, 9223372036854775807.0, 1e300, -9223372036854775808, '12')",
        "INSERT INTO r VALUES(1e999, -1e999, 1e999 - 1e999, 'text', 'text')",
        "INSERT INTO r VALUES(140737488355327, 140737488355328, 140737488355329, 0.1, 1e15)",
        "UPDATE r SET x = 9007199254740993, f = 140737488355328",
        "UPDATE r SET x = 5, y = 5.0, z = '5', f = '5'", "UPDATE r SET x = -0.0, y = -0.0, z = -0.0",
        "UPDATE r SET y = x, z = x, i = x, f = y",
        "UPDATE r SET x = i + 0.5, y = 1e18, z = 1e18, i = 1e18, f = 1e18", "DELETE FROM r WHERE rowid % 2",
        "DELETE FROM r");
}

static void values_of_other_types_give_other_digests(void **state)
{
    static const char *const values[] = {"NULL",
                                         "1",
                                         "'1'",
                                         "x'31'",
                                         "1.5",
                                         "''",
                                         "x''",
                                         "0",
                                         "-0.0",
                                         "zeroblob(5000)",
                                         "zeroblob(5001)",
                                         "CAST(zeroblob(5000) AS TEXT)",
                                         "-1",
                                         "1e300"};
    uint8_t seen[14][DIGEST_BYTES];
    char sql[100];

    RUN(state, "CREATE TABLE t(a)", "INSERT INTO t VALUES('start')");
    for (size_t i = 0; i < 14; i++) {
        snprintf(sql, sizeof sql, "UPDATE t SET a = %s", values[i]);
        hashed_run(*state, sql);
        hashed_value(*state, seen[i]);
        for (size_t k = 0; k < i; k++) {
            assert_digests(false, seen[i], seen[k]);
        }
    }
}

static void a_value_counts_in_its_own_column_row_and_table(void **state)
{
    static const char *const states[] = {
        "INSERT INTO t(rowid, a) VALUES(1, 'v')",         "INSERT INTO t(rowid, b) VALUES(1, 'v')",
        "INSERT INTO t(rowid, a) VALUES(2, 'v')",         "INSERT INTO u(rowid, a) VALUES(1, 'v')",
        "INSERT INTO t(rowid, a, b) VALUES(1, 'v', 'v')", "INSERT INTO t(rowid, a) VALUES(1, 'v'), (2, 'v')",
    };
    uint8_t seen[6][DIGEST_BYTES];

    RUN(state, "CREATE TABLE t(a, b)", "CREATE TABLE u(a, b)");
    for (size_t i = 0; i < 6; i++) {
        hashed_run(*state, states[i]);
        hashed_value(*state, seen[i]);
        for (size_t k = 0; k < i; k++) {
            assert_digests(false, seen[i], seen[k]);
        }
        RUN(state, "DELETE FROM t", "DELETE FROM u");
    }
}

static void long_values_are_followed(void **state)
{
    RUN(state, "CREATE TABLE t(a)",
        "INSERT INTO t VALUES(zeroblob(3000000)), (randomblob(4096)), (randomblob(4097))",
        "UPDATE t SET a = hex(a) WHERE length(a) < 5000", "UPDATE t SET a = CAST(a AS TEXT)",
        "DELETE FROM t");
}

static void what_autoincrement_remembers_is_followed(void **state)
{
    RUN(state, "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, u UNIQUE)",
        "INSERT INTO t(u) VALUES('a'), ('b')", "INSERT INTO t VALUES(100, 'c')",
        "INSERT OR IGNORE INTO t VALUES(200, 'a')", "DELETE FROM t", "UPDATE sqlite_sequence SET seq = 7",
        "INSERT INTO t(u) VALUES('d')", "DELETE FROM sqlite_sequence", "INSERT INTO t(u) SELECT 'e' WHERE 0",
        "ALTER TABLE t RENAME TO tt", "INSERT INTO tt(u) VALUES('f')", "DROP TABLE tt");
}

static void the_largest_rowid_is_refused(void **state)
{
    struct hashed *h = *state;

    RUN(state, "CREATE TABLE t(a)", "CREATE TABLE i(id INTEGER PRIMARY KEY AUTOINCREMENT, u UNIQUE)",
        "INSERT INTO i VALUES(1, 'u')", "INSERT INTO t(rowid, a) VALUES(9223372036854775806, 1)");

    assert_int_equal(hashed_try(h, "INSERT INTO t VALUES(2)"), SQLITE_MISMATCH);
    assert_non_null(strstr(h->message, "9223372036854775807"));
    assert_int_equal(hashed_try(h, "UPDATE t SET rowid = 9223372036854775807"), SQLITE_MISMATCH);
    assert_int_equal(hashed_try(h, "INSERT INTO i VALUES(9223372036854775807, 'v')"), SQLITE_MISMATCH);
    assert_int_equal(hashed_try(h, "INSERT OR IGNORE INTO i VALUES(9223372036854775807, 'u')"),
                     SQLITE_MISMATCH);
    assert_int_equal(hashed_try(h, "UPDATE sqlite_sequence SET seq = 1e19"), SQLITE_MISMATCH);

    /* A table WITHOUT ROWID may hold the number, and the others go on. */
    RUN(state, "CREATE TABLE w(a INTEGER PRIMARY KEY) WITHOUT ROWID",
        "INSERT INTO w VALUES(9223372036854775807)", "INSERT INTO i(u) VALUES('w')", "DELETE FROM t",
        "INSERT INTO t VALUES(3)");
}

static void a_database_with_the_largest_rowid_is_refused(void **state)
{
    struct hashed *h = *state;
    struct digest *other;
    struct error e;

    sqlite3_exec(h->db, "CREATE TABLE t(a); INSERT INTO t(rowid) VALUES(9223372036854775807)", NULL, NULL,
                 NULL);

    assert_int_equal(digest_new(h->db, NULL, 0, &other, &e), Q_INVALID);
    assert_non_null(strstr(e.text, "table t"));
}

static void fts5_and_rtree_are_followed_through_their_shadow_tables(void **state)
{
    RUN(state, "CREATE VIRTUAL TABLE f USING fts5(title, body)",
        "INSERT INTO f VALUES('hello', 'world'), ('a', 'b c d')",
        "UPDATE f SET body = 'moon' WHERE title = 'hello'", "INSERT INTO f(f) VALUES('optimize')",
        "INSERT INTO f(f, rank) VALUES('automerge', 0)", "INSERT INTO f(f, rank) VALUES('pgsz', 100)",
        "DELETE FROM f WHERE f MATCH 'moon'", "INSERT INTO f(f) VALUES('rebuild')",
        "ALTER TABLE f RENAME TO ff", "CREATE VIRTUAL TABLE r USING rtree(id, x0, x1)",
        "INSERT INTO r VALUES(1, 2, 3), (2, 3, 4)", "UPDATE r SET x1 = 9", "DELETE FROM r WHERE id = 1",
        "WITH RECURSIVE c(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM c LIMIT 300) INSERT INTO r SELECT i, "
        "i, i + 1 FROM c",
        "DROP TABLE r", "DROP TABLE ff");
}

static void generated_columns_are_followed_wherever_they_stand(void **state)
{
    RUN(state,
        "CREATE TABLE g(v AS (b * 2) VIRTUAL, a INTEGER PRIMARY KEY, b, s AS (b + 1) STORED, c DEFAULT 3)",
        "INSERT INTO g(b) VALUES(10), (20), (30)", "UPDATE g SET b = b + 1", "UPDATE g SET a = a + 10",
        "REPLACE INTO g(a, b) VALUES(11, 5), (12, 6)", "DELETE FROM g WHERE a = 13",
        "CREATE TRIGGER twice AFTER UPDATE ON g WHEN new.b < 100 BEGIN UPDATE g SET b = 100 WHERE a = new.a; "
        "END",
        "UPDATE g SET b = 1", "DELETE FROM g", "CREATE TABLE h(v AS (b) VIRTUAL, rowid, oid, _rowid_, b)",
        "INSERT INTO h(b) VALUES(1), (2)", "UPDATE h SET b = 3 WHERE b = 1", "DELETE FROM h WHERE b = 2",
        "CREATE TABLE w(v AS (b * 2) VIRTUAL, b, k TEXT, c, PRIMARY KEY(k, b)) WITHOUT ROWID",
        "INSERT INTO w(b, k, c) VALUES(1, 'k', 'c'), (2, 'l', 'd')", "UPDATE w SET c = 'e'",
        "UPDATE w SET k = 'm' WHERE b = 1", "DELETE FROM w WHERE b = 2");
}

static void a_virtual_column_is_no_content(void **state)
{
    struct hashed plain, *h = *state;
    sqlite3_stmt *s;
    uint8_t a[DIGEST_BYTES], b[DIGEST_BYTES];

    /* The same rows in the same table, with and without: only the schema row differs, so both change alike.
     */
    hashed_open(&plain);
    RUN(state, "CREATE TABLE t(x, v AS (x || 'v') VIRTUAL)", "INSERT INTO t(x) VALUES(1)");
    hashed_run(&plain, "CREATE TABLE t(x)");
    hashed_run(&plain, "INSERT INTO t(x) VALUES(1)");
    hashed_value(h, a);
    hashed_value(&plain, b);
    assert_digests(false, a, b);
    assert_int_equal(sqlite3_prepare_v2(h->db, "SELECT v FROM t", -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(s, 0), "1v");
    sqlite3_finalize(s);
    hashed_close(&plain);
}

static void columns_named_rowid_hide_nothing_from_the_digest(void **state)
{
    RUN(state, "CREATE TABLE a(rowid, b)", "INSERT INTO a VALUES('x', 1), ('x', 1)",
        "UPDATE a SET b = 2 WHERE _rowid_ = 1", "DELETE FROM a WHERE oid = 2",
        "CREATE TABLE b(rowid, \"oid\", _ROWID_, c DEFAULT 1)",
        "INSERT INTO b VALUES(1, 2, 3, NULL), (1, 2, 3, NULL)", "UPDATE b SET c = 5", "DELETE FROM b",
        "CREATE TABLE \"od\"\"d [name]\"(\"a\"\"b\", 'c d', [select])",
        "INSERT INTO \"od\"\"d [name]\" VALUES(1, 2, 3)", "UPDATE \"od\"\"d [name]\" SET \"select\" = 4",
        "CREATE TABLE k(id INTEGER PRIMARY KEY, rowid, oid, _rowid_)", "INSERT INTO k VALUES(1, 2, 3, 4)",
        "UPDATE k SET id = 5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HASHED_TEST(inserts_updates_and_deletes_are_followed),
        HASHED_TEST(a_delete_of_all_rows_at_once_is_followed),
        HASHED_TEST(replace_and_upsert_are_followed),
        HASHED_TEST(tables_without_rowid_are_followed),
        HASHED_TEST(triggers_are_followed),
        HASHED_TEST(foreign_key_actions_are_followed),
        HASHED_TEST(rows_older_than_a_column_are_known_by_its_default),
        HASHED_TEST(records_copied_short_from_a_twin_are_read_back),
        HASHED_TEST(keys_that_differ_only_in_case_are_told_apart),
        HASHED_TEST(null_and_the_default_are_told_apart),
        HASHED_TEST(whole_reals_and_integers_do_not_diverge),
        HASHED_TEST(values_of_other_types_give_other_digests),
        HASHED_TEST(a_value_counts_in_its_own_column_row_and_table),
        HASHED_TEST(long_values_are_followed),
        HASHED_TEST(what_autoincrement_remembers_is_followed),
        HASHED_TEST(the_largest_rowid_is_refused),
        HASHED_TEST(a_database_with_the_largest_rowid_is_refused),
        HASHED_TEST(fts5_and_rtree_are_followed_through_their_shadow_tables),
        HASHED_TEST(generated_columns_are_followed_wherever_they_stand),
        HASHED_TEST(a_virtual_column_is_no_content),
        HASHED_TEST(columns_named_rowid_hide_nothing_from_the_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
