#include "storage/determinism.h"

#include <math.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "storage/time_zone.h"
#include "tests/unit/storage/writer.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static void the_clock_shows_the_time_of_the_entry_everywhere(void **state)
{
    struct writer *w = *state;

    assert_string_equal(
        writer_ask(w, "SELECT datetime('now'), CURRENT_TIMESTAMP, CURRENT_DATE, CURRENT_TIME, date()"),
        "2024-02-29 12:34:56|2024-02-29 12:34:56|2024-02-29|12:34:56|2024-02-29");
    assert_string_equal(
        writer_ask(w, "SELECT strftime('%Y %f', 'now'), unixepoch(), round(julianday('now'), 5)"),
        "2024 56.789|1709210096|2460370.02427");
    writer_run(w, "CREATE TABLE log(x)");
    writer_run(w,
               "CREATE TABLE t(a, b DEFAULT CURRENT_TIMESTAMP, c DEFAULT (strftime('%s', 'now', '+1 day')))");
    writer_run(w, "CREATE TRIGGER i AFTER INSERT ON t BEGIN INSERT INTO log VALUES(time('now')); END");
    writer_run(w, "INSERT INTO t(a) VALUES(1)");
    assert_string_equal(writer_ask(w, "SELECT b, c, x FROM t, log"),
                        "2024-02-29 12:34:56|1709296496|12:34:56");

    writer_begin(w, NOON + 1000, 1, 1);
    assert_string_equal(writer_ask(w, "SELECT time('now')"), "12:34:57");
}

static void times_that_dates_do_not_know_are_the_last_one(void **state)
{
    struct writer *w = *state;

    writer_begin(w, UINT64_MAX, 1, 0);
    assert_string_equal(writer_ask(w, "SELECT datetime('now')"), "9999-12-31 23:59:59");
    writer_begin(w, 0, 1, 0);
    assert_string_equal(writer_ask(w, "SELECT datetime('now')"), "1970-01-01 00:00:00");
}

static void sqlite_still_refuses_the_clock_in_indexes_and_checks(void **state)
{
    struct writer *w = *state;

    writer_run(w, "CREATE TABLE t(a CHECK(a < datetime('now')))");
    assert_int_equal(sql_try(w->db, "INSERT INTO t VALUES(1)"), SQLITE_ERROR);
    assert_int_equal(sql_try(w->db, "CREATE INDEX i ON t(random())"), SQLITE_ERROR);
    writer_run(w, "CREATE TABLE u(a, b AS (date(a)) STORED)");
    writer_run(w, "CREATE INDEX i ON u(date(a), sin(a))");
}

static const char *const draws[] = {
    "SELECT random(), random(), hex(randomblob(20)), hex(randomblob(0))",
    "SELECT value FROM json_each('[1,2,3,4,5,6,7,8,9,10,11,12]') ORDER BY random()",
    "SELECT r FROM v",
    "SELECT * FROM t",
};

static void prepare_draws(struct writer *w)
{
    writer_run(w, "CREATE TABLE t(a, b DEFAULT (random()), c DEFAULT (hex(randomblob(8))))");
    writer_run(w, "CREATE VIEW v AS SELECT random() AS r");
    writer_run(w, "CREATE TABLE log(x)");
    writer_run(w, "CREATE TRIGGER i AFTER INSERT ON t BEGIN INSERT INTO log VALUES(random()); END");
}

static void two_nodes_draw_the_same_numbers(void **state)
{
    struct writer other, *w = *state;

    writer_open(&other, ":memory:");
    writer_begin(&other, NOON, 7, 0);
    prepare_draws(w);
    prepare_draws(&other);
    sql_run(other.db, "SELECT random()"); /* what was drawn before does not matter */

    writer_begin(w, NOON, 9, 3);
    writer_begin(&other, NOON, 9, 3);
    writer_run(w, "INSERT INTO t(a) VALUES(1), (2), (3)");
    writer_run(&other, "INSERT INTO t(a) VALUES(1), (2), (3)");

    for (size_t i = 0; i < COUNT(draws); i++) {
        assert_string_equal(writer_ask(w, draws[i]), writer_ask(&other, draws[i]));
    }
    assert_string_equal(
        writer_ask(w, "SELECT count(DISTINCT b), count(DISTINCT c), count(DISTINCT x) FROM t, log"), "3|3|3");
    writer_close(&other);
}

static void other_seeds_and_positions_draw_other_numbers(void **state)
{
    struct writer *w = *state;
    char first[200];

    writer_begin(w, NOON, 9, 3);
    sql_ask(w->db, "SELECT random()", first, sizeof first);
    writer_begin(w, NOON, 9, 4);
    assert_string_not_equal(writer_ask(w, "SELECT random()"), first);
    writer_begin(w, NOON, 8, 3);
    assert_string_not_equal(writer_ask(w, "SELECT random()"), first);
    writer_begin(w, NOON, 9, 3);
    assert_string_equal(writer_ask(w, "SELECT random()"), first);
}

static void values_have_a_limit(void **state)
{
    struct writer *w = *state;

    assert_int_equal(sql_try(w->db, "SELECT randomblob(70000000)"), SQLITE_TOOBIG);
    assert_int_equal(sql_try(w->db, "SELECT hex(zeroblob(40000000))"), SQLITE_TOOBIG);
    assert_string_equal(writer_ask(w, "SELECT length(randomblob(1000000)), length(randomblob(-5))"),
                        "1000000|1");
}

static void *ask_elsewhere(void *context)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    sql_ask(db, "SELECT datetime(0, 'unixepoch', 'localtime')", context, 100);
    sqlite3_close(db);
    return NULL;
}

static void local_time_is_utc_here_and_the_machines_elsewhere(void **state)
{
    struct writer *w = *state;
    struct authorizer a;
    struct error e;
    sqlite3 *reader;
    pthread_t thread;
    char elsewhere[100], read[100];

    setenv("TZ", "JST-9", 1);
    tzset();

    assert_string_equal(
        writer_ask(w, "SELECT datetime(0, 'unixepoch', 'localtime'), datetime(0, 'unixepoch', 'utc')"),
        "1970-01-01 00:00:00|1970-01-01 00:00:00");
    assert_int_equal(sqlite3_open(":memory:", &reader), SQLITE_OK);
    assert_int_equal(determinism_attach_reader(&a, reader, &e), Q_OK);
    assert_string_equal(sql_ask(reader, "SELECT datetime(0, 'unixepoch', 'localtime')", read, sizeof read),
                        "1970-01-01 00:00:00");
    assert_int_equal(pthread_create(&thread, NULL, ask_elsewhere, elsewhere), 0);
    pthread_join(thread, NULL);
    assert_string_equal(elsewhere, "1970-01-01 09:00:00");
    sqlite3_close(reader);
    unsetenv("TZ");
    tzset();
}

static void a_reader_keeps_the_clock_of_the_machine(void **state)
{
    struct authorizer a;
    struct error e;
    sqlite3 *reader, *plain;
    char before[100], read[100], after[100];

    (void)state;
    assert_int_equal(sqlite3_open(":memory:", &reader), SQLITE_OK);
    assert_int_equal(sqlite3_open(":memory:", &plain), SQLITE_OK);
    assert_int_equal(determinism_attach_reader(&a, reader, &e), Q_OK);
    sql_ask(plain, "SELECT julianday()", before, sizeof before);
    sql_ask(reader, "SELECT julianday()", read, sizeof read);
    sql_ask(plain, "SELECT julianday()", after, sizeof after);
    assert_true(strtod(before, NULL) <= strtod(read, NULL) && strtod(read, NULL) <= strtod(after, NULL));
    sqlite3_close(plain);
    sqlite3_close(reader);
}

static void counters_start_from_zero_with_each_command(void **state)
{
    struct writer *w = *state;

    writer_run(w, "CREATE TABLE t(a)");
    writer_run(w, "INSERT INTO t VALUES(1), (2), (3)");
    assert_string_equal(writer_ask(w, "SELECT changes(), total_changes(), last_insert_rowid()"), "3|3|3");

    writer_begin(w, NOON, 1, 1);
    assert_string_equal(writer_ask(w, "SELECT changes(), total_changes(), last_insert_rowid()"), "0|0|0");
    assert_int_equal(sqlite3_changes(w->db), 0);
    assert_int_equal(sqlite3_last_insert_rowid(w->db), 0);

    writer_run(w, "UPDATE t SET a = 0 WHERE a > 1");
    writer_run(w, "DELETE FROM t WHERE a = 1");
    assert_string_equal(writer_ask(w, "SELECT changes(), total_changes(), last_insert_rowid()"), "1|3|0");
}

static void a_trigger_does_not_see_the_counters_of_the_command_before(void **state)
{
    struct writer *w = *state;

    writer_run(w, "CREATE TABLE t(a)");
    writer_run(w, "CREATE TABLE log(changes, total, rowid_)");
    writer_run(w, "CREATE TRIGGER i BEFORE INSERT ON t BEGIN "
                  "INSERT INTO log VALUES(changes(), total_changes(), last_insert_rowid()); END");
    writer_run(w, "INSERT INTO log VALUES(1, 1, 1), (2, 2, 2), (3, 3, 3)");

    writer_begin(w, NOON, 1, 1);
    writer_run(w, "INSERT INTO t VALUES(1), (2)");

    assert_string_equal(writer_ask(w, "SELECT * FROM log WHERE rowid > 3"), "0|0|0\n0|1|1");
}

/* The plan of QUERY on W, and on a connection that opens the same content now. */
static void assert_same_plan(struct writer *w, const char *path, const char *query)
{
    struct writer fresh;
    char mine[500], theirs[500];

    writer_open(&fresh, path);
    sql_ask(w->db, query, mine, sizeof mine);
    sql_ask(fresh.db, query, theirs, sizeof theirs);
    assert_string_equal(mine, theirs);
    writer_close(&fresh);
}

static void plans_are_those_of_a_node_that_opens_the_file_now(void **state)
{
    static const char query[] = "EXPLAIN QUERY PLAN SELECT * FROM t WHERE a = 1 AND b = 1";
    char directory[] = "/tmp/quorate-plan-XXXXXX", path[100];
    struct writer w;

    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/db", directory);
    writer_open(&w, path);
    writer_begin(&w, NOON, 1, 0);
    writer_run(&w, "CREATE TABLE t(a, b)");
    writer_run(&w, "CREATE INDEX ia ON t(a)");
    writer_run(&w, "CREATE INDEX ib ON t(b)");
    writer_run(&w, "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 1000) "
                   "INSERT INTO t SELECT x % 2, x FROM c");
    writer_own(&w, "COMMIT");

    /* ANALYZE that is rolled back leaves its statistics in memory. */
    writer_begin(&w, NOON, 1, 0);
    writer_run(&w, "ANALYZE");
    writer_own(&w, "COMMIT");
    writer_begin(&w, NOON, 1, 0);
    writer_own(&w, "SAVEPOINT s");
    writer_run(&w, "UPDATE t SET a = rowid, b = 1");
    writer_run(&w, "ANALYZE");
    writer_own(&w, "ROLLBACK TO s");
    writer_own(&w, "COMMIT");
    writer_begin(&w, NOON, 1, 0);
    writer_own(&w, "COMMIT");
    assert_same_plan(&w, path, query);

    /* Statistics that a client writes are only seen when the schema is read. */
    writer_begin(&w, NOON, 1, 0);
    writer_run(&w, "UPDATE sqlite_stat1 SET stat = CASE idx WHEN 'ia' THEN '1000 1' ELSE '1000 500' END");
    writer_own(&w, "COMMIT");
    writer_begin(&w, NOON, 1, 0);
    writer_own(&w, "COMMIT");
    assert_same_plan(&w, path, query);

    writer_close(&w);
    unlink(path);
    rmdir(directory);
}

static void mathematics_agrees_with_sqlite_to_the_last_digits(void **state)
{
    static const char *const calls[] = {
        "acos(x)",      "acosh(x)",    "asin(x)",     "asinh(x)",  "atan(x)",   "atanh(x)",
        "cos(x)",       "cosh(x)",     "exp(x)",      "ln(x)",     "log(x)",    "log10(x)",
        "log2(x)",      "sin(x)",      "sinh(x)",     "tan(x)",    "tanh(x)",   "atan2(x, 2)",
        "atan2(-1, x)", "pow(x, 1.5)", "power(2, x)", "log(x, 7)", "log(7, x)",
    };
    static const char *const arguments[] = {"0",     "1",   "-1",  "0.5",  "-0.25", "2",     "10",
                                            "700.5", "'3'", "'x'", "NULL", "x'31'", "1e300", "-1e300"};
    struct writer *w = *state;
    sqlite3 *plain;

    assert_int_equal(sqlite3_open(":memory:", &plain), SQLITE_OK);
    for (size_t i = 0; i < COUNT(calls); i++) {
        for (size_t k = 0; k < COUNT(arguments); k++) {
            char sql[200], theirs[100];
            double a, b;

            snprintf(sql, sizeof sql,
                     "SELECT typeof(f), printf('%%!.17g', f) FROM (SELECT %s AS f FROM (SELECT %s AS x))",
                     calls[i], arguments[k]);
            writer_ask(w, sql);
            sql_ask(plain, sql, theirs, sizeof theirs);
            a = strchr(w->answer, '|') != NULL ? strtod(strchr(w->answer, '|') + 1, NULL) : 0;
            b = strchr(theirs, '|') != NULL ? strtod(strchr(theirs, '|') + 1, NULL) : 0;
            if (strncmp(w->answer, theirs, 4) != 0 || (a != b && !(fabs(a - b) <= 1e-14 * fabs(b)))) {
                fail_msg("%s: %s here, %s in SQLite", sql, w->answer, theirs);
            }
        }
    }
    sqlite3_close(plain);
}

static void many_writers_each_have_their_own_clock(void **state)
{
    struct writer writers[20];

    (void)state;
    for (size_t i = 0; i < COUNT(writers); i++) {
        writer_open(&writers[i], ":memory:");
        writer_begin(&writers[i], NOON + i * 1000, (uint8_t)i, 0);
    }
    assert_string_equal(writer_ask(&writers[0], "SELECT time('now')"), "12:34:56");
    assert_string_equal(writer_ask(&writers[3], "SELECT time('now')"), "12:34:59");
    for (size_t i = 0; i < COUNT(writers); i++) {
        writer_close(&writers[i]);
    }
}

static void the_clock_stands_on_another_vfs_and_goes_when_it_is_freed(void **state)
{
    struct determinism *first, *second;
    struct error e;
    char name[100];

    (void)state;
    assert_int_equal(determinism_new("no such vfs", &first, &e), Q_NOT_FOUND);
    assert_non_null(strstr(e.text, "no such vfs"));
    assert_int_equal(determinism_new("unix-excl", &first, &e), Q_OK);
    assert_int_equal(determinism_new(determinism_vfs(first), &second, &e), Q_OK);
    snprintf(name, sizeof name, "%s", determinism_vfs(second));
    assert_non_null(sqlite3_vfs_find(name));
    determinism_free(second);
    assert_null(sqlite3_vfs_find(name));
    determinism_free(first);
    determinism_free(NULL);
}

static void a_file_in_wal_mode_works_through_the_clock(void **state)
{
    char directory[] = "/tmp/quorate-wal-XXXXXX", path[100], wal[110], shm[110];
    struct writer w;

    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/db", directory);
    snprintf(wal, sizeof wal, "%s-wal", path);
    snprintf(shm, sizeof shm, "%s-shm", path);
    writer_open(&w, path);
    writer_own(&w, "PRAGMA journal_mode = WAL");
    writer_begin(&w, NOON, 1, 0);
    writer_run(&w, "CREATE TABLE t(a DEFAULT CURRENT_TIME)");
    writer_run(&w, "INSERT INTO t DEFAULT VALUES");
    writer_own(&w, "COMMIT");
    assert_int_equal(access(wal, F_OK), 0);
    writer_close(&w);

    writer_open(&w, path);
    assert_string_equal(writer_ask(&w, "SELECT a FROM t"), "12:34:56");
    writer_close(&w);
    unlink(path);
    unlink(wal);
    unlink(shm);
    rmdir(directory);
}

static int stop_at_once(void *ctx)
{
    (void)ctx;
    return 1;
}

/* It said of this SQLite that it cannot be told the time zone, and a node gave up for good. */
static void a_failure_on_the_way_to_the_time_zone_is_said_as_what_it_is(void **state)
{
    sqlite3 *db;
    struct error e;
    (void)state;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    sqlite3_progress_handler(db, 1, stop_at_once, NULL);

    assert_int_equal(time_zone_attach(db, &e), Q_TIMEOUT);

    sqlite3_progress_handler(db, 0, NULL, NULL);
    assert_int_equal(time_zone_attach(db, &e), 0);
    sqlite3_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WRITER_TEST(the_clock_shows_the_time_of_the_entry_everywhere),
        WRITER_TEST(times_that_dates_do_not_know_are_the_last_one),
        WRITER_TEST(sqlite_still_refuses_the_clock_in_indexes_and_checks),
        WRITER_TEST(two_nodes_draw_the_same_numbers),
        WRITER_TEST(other_seeds_and_positions_draw_other_numbers),
        WRITER_TEST(values_have_a_limit),
        WRITER_TEST(local_time_is_utc_here_and_the_machines_elsewhere),
        cmocka_unit_test(a_reader_keeps_the_clock_of_the_machine),
        WRITER_TEST(counters_start_from_zero_with_each_command),
        WRITER_TEST(a_trigger_does_not_see_the_counters_of_the_command_before),
        cmocka_unit_test(plans_are_those_of_a_node_that_opens_the_file_now),
        WRITER_TEST(mathematics_agrees_with_sqlite_to_the_last_digits),
        cmocka_unit_test(many_writers_each_have_their_own_clock),
        cmocka_unit_test(the_clock_stands_on_another_vfs_and_goes_when_it_is_freed),
        cmocka_unit_test(a_file_in_wal_mode_works_through_the_clock),
        cmocka_unit_test(a_failure_on_the_way_to_the_time_zone_is_said_as_what_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
