#include "storage/determinism.h"

#include <math.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/storage/writer.h"

/* 2024-02-29 12:34:56.789 UTC */
#define NOON     UINT64_C(1709210096789)
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static int open_one(void **state)
{
    static struct writer w;
    writer_open(&w, ":memory:");
    writer_begin(&w, NOON, 1, 0);
    *state = &w;
    return 0;
}

static int close_one(void **state)
{
    writer_close(*state);
    return 0;
}

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

struct refusal {
    const char *sql, *reason;
};

/* What is refused to writers and readers alike. */
static const struct refusal refused[] = {
    {"ATTACH ':memory:' AS x", "ATTACH is not allowed"},
    {"DETACH main", "DETACH"},
    {"CREATE TEMP TABLE x(a)", "TEMP objects"},
    {"CREATE TABLE temp.x(a)", "TEMP objects"},
    {"CREATE TEMP VIEW x AS SELECT 1", "TEMP objects"},
    {"CREATE VIEW temp.x AS SELECT 1", "TEMP objects"},
    {"CREATE TABLE temp.x AS SELECT 1 AS a", "TEMP objects"},
    {"CREATE VIRTUAL TABLE temp.x USING fts5(a)", "TEMP objects"},
    {"CREATE TRIGGER temp.x AFTER INSERT ON t BEGIN SELECT 1; END", "TEMP objects"},
    {"CREATE TEMP TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END", "TEMP objects"},
    {"BEGIN", "BEGIN is not allowed"},
    {"COMMIT", "COMMIT is not allowed"},
    {"ROLLBACK", "ROLLBACK is not allowed"},
    {"SAVEPOINT x", "SAVEPOINT, RELEASE"},
    {"RELEASE x", "SAVEPOINT, RELEASE"},
    {"SELECT load_extension('x')", "function load_extension"},
    {"SELECT sqlite_log(1, 'x')", "function sqlite_log"},
    {"SELECT fts3_tokenizer('simple')", "function fts3_tokenizer"},
    {"PRAGMA journal_mode = DELETE", "PRAGMA journal_mode may be read but not set"},
    {"PRAGMA synchronous = OFF", "PRAGMA synchronous"},
    {"PRAGMA foreign_keys = ON", "PRAGMA foreign_keys may be read but not set"},
    {"PRAGMA user_version = 5", "PRAGMA user_version may be read but not set"},
    {"PRAGMA application_id = 5", "PRAGMA application_id may be read but not set"},
    {"PRAGMA schema_version = 5", "PRAGMA schema_version may be read but not set"},
    {"PRAGMA encoding = 'UTF-16'", "PRAGMA encoding may be read but not set"},
    {"PRAGMA page_size = 512", "PRAGMA page_size may be read but not set"},
    {"PRAGMA writable_schema = ON", "PRAGMA writable_schema"},
    {"PRAGMA wal_checkpoint", "PRAGMA wal_checkpoint"},
    {"PRAGMA wal_autocheckpoint = 0", "PRAGMA wal_autocheckpoint"},
    {"PRAGMA query_only = ON", "PRAGMA query_only"},
    {"PRAGMA cache_size = 1", "PRAGMA cache_size"},
    {"PRAGMA temp_store = 2", "PRAGMA temp_store"},
    {"PRAGMA locking_mode = EXCLUSIVE", "PRAGMA locking_mode"},
    {"PRAGMA case_sensitive_like = ON", "PRAGMA case_sensitive_like"},
    {"PRAGMA recursive_triggers = ON", "PRAGMA recursive_triggers"},
    {"PRAGMA reverse_unordered_selects = ON", "PRAGMA reverse_unordered_selects"},
    {"PRAGMA ignore_check_constraints = ON", "PRAGMA ignore_check_constraints"},
    {"PRAGMA trusted_schema = ON", "PRAGMA trusted_schema"},
    {"PRAGMA analysis_limit = 10", "PRAGMA analysis_limit"},
    {"PRAGMA optimize", "PRAGMA optimize"},
    {"PRAGMA incremental_vacuum", "PRAGMA incremental_vacuum"},
    {"PRAGMA shrink_memory", "PRAGMA shrink_memory"},
    {"PRAGMA no_such_pragma", NULL},
    {"SELECT * FROM sqlite_stmt", "table sqlite_stmt"},
    {"DELETE FROM sqlite_dbpage", NULL},
    {"INSERT INTO sqlite_dbpage VALUES(1, x'00')", NULL},
    {"CREATE VIRTUAL TABLE x USING fts4(a)", "module fts4"},
    {"CREATE VIRTUAL TABLE x USING dbstat", "module dbstat"},
    {"CREATE TABLE quorate_mine(a)", "quorate_mine is reserved"},
    {"CREATE VIEW Quorate_Mine AS SELECT 1", "Quorate_Mine is reserved"},
    {"CREATE VIRTUAL TABLE quorate_f USING fts5(a)", "quorate_f is reserved"},
    {"CREATE TRIGGER quorate_x AFTER INSERT ON t BEGIN SELECT 1; END", "quorate_x is reserved"},
    {"CREATE TRIGGER x AFTER INSERT ON quorate_kv BEGIN SELECT 1; END", "quorate_kv is reserved"},
    {"CREATE INDEX x ON quorate_kv(a)", "quorate_kv is reserved"},
    {"DROP TABLE quorate_kv", "quorate_kv is reserved"},
    {"ALTER TABLE quorate_kv ADD COLUMN b", "quorate_kv is reserved"},
    {"INSERT INTO quorate_kv VALUES(1)", "quorate_kv is reserved"},
    {"UPDATE quorate_kv SET a = 1", "quorate_kv is reserved"},
    {"DELETE FROM quorate_kv", "quorate_kv is reserved"},
    {"DELETE FROM quorate_void", "quorate_void is reserved"},
    {"INSERT INTO sqlite_master VALUES(1, 2, 3, 4, 5)", NULL},
    {"DELETE FROM sqlite_schema", NULL},
    {"VACUUM", NULL},
    {"VACUUM INTO '/tmp/quorate-must-not-be'", NULL},
};

/* What only writers are refused. */
static const struct refusal answers_may_differ[] = {
    {"SELECT * FROM dbstat", "table dbstat"},
    {"SELECT count(*) FROM dbstat", "table dbstat"},
    {"SELECT * FROM pragma_data_version", "table pragma_data_version"},
    {"SELECT * FROM pragma_schema_version", "table pragma_schema_version"},
    {"SELECT * FROM pragma_compile_options", "table pragma_compile_options"},
    {"SELECT * FROM pragma_database_list", "table pragma_database_list"},
    {"PRAGMA compile_options", "PRAGMA compile_options"},
    {"PRAGMA database_list", "PRAGMA database_list"},
    {"PRAGMA function_list", "PRAGMA function_list"},
    {"PRAGMA module_list", "PRAGMA module_list"},
    {"PRAGMA page_count", "PRAGMA page_count"},
    {"PRAGMA journal_mode", "PRAGMA journal_mode"},
    {"SELECT sqlite_source_id()", "function sqlite_source_id"},
    {"SELECT sqlite_compileoption_used('x')", "function sqlite_compileoption_used"},
};

static const char *const allowed[] = {
    "PRAGMA table_info(t)",
    "PRAGMA table_info = t",
    "PRAGMA main.table_xinfo(t)",
    "PRAGMA table_list",
    "PRAGMA index_list(t)",
    "PRAGMA index_info(i)",
    "PRAGMA index_xinfo(i)",
    "PRAGMA foreign_key_list(t)",
    "PRAGMA foreign_key_check",
    "PRAGMA foreign_keys",
    "PRAGMA integrity_check",
    "PRAGMA quick_check(5)",
    "PRAGMA collation_list",
    "PRAGMA user_version",
    "PRAGMA application_id",
    "PRAGMA encoding",
    "SELECT * FROM pragma_table_info('t')",
    "SELECT m.name, p.name FROM sqlite_master m, pragma_table_xinfo(m.name) p",
    "SELECT * FROM sqlite_schema",
    "SELECT * FROM quorate_kv",
    "SELECT sqlite_version()",
    "SELECT * FROM json_each('[1]'), json_tree('[1]')",
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 5) SELECT sum(x) FROM c",
    "EXPLAIN QUERY PLAN SELECT * FROM t",
};

static void make_tables(struct writer *w)
{
    writer_own(w, "CREATE TABLE quorate_kv(a)");
    writer_run(w, "CREATE TABLE t(a)");
    writer_run(w, "CREATE INDEX i ON t(a)");
}

static void assert_refused(sqlite3 *db, struct authorizer *a, struct determinism *d, const struct refusal *r)
{
    const char *reason;

    if (sql_try(db, r->sql) == SQLITE_OK) {
        fail_msg("%s was allowed", r->sql);
    }
    reason = d != NULL ? determinism_reason(d) : authorizer_reason(a);
    if (r->reason != NULL && (reason == NULL || strstr(reason, r->reason) == NULL)) {
        fail_msg("%s: %s, but: %s", r->sql, reason != NULL ? reason : "(no reason)", sqlite3_errmsg(db));
    }
    assert_null(d != NULL ? determinism_reason(d) : authorizer_reason(a));
}

static void what_depends_on_the_machine_or_the_connection_is_refused(void **state)
{
    struct writer *w = *state;

    make_tables(w);
    for (size_t i = 0; i < COUNT(refused); i++) {
        if (strcmp(refused[i].sql, "PRAGMA no_such_pragma") != 0) { /* SQLite takes it for nothing */
            assert_refused(w->db, NULL, w->d, &refused[i]);
        }
    }
    for (size_t i = 0; i < COUNT(answers_may_differ); i++) {
        assert_refused(w->db, NULL, w->d, &answers_may_differ[i]);
    }
}

static void what_describes_the_content_is_allowed(void **state)
{
    struct writer *w = *state;

    make_tables(w);
    for (size_t i = 0; i < COUNT(allowed); i++) {
        writer_run(w, allowed[i]);
    }
    assert_null(determinism_reason(w->d));
}

static void what_cannot_be_stored_from_one_node_alone(void **state)
{
    struct writer *w = *state;

    make_tables(w);
    assert_int_equal(sql_try(w->db, "INSERT INTO t SELECT * FROM pragma_data_version"), SQLITE_AUTH);
    assert_int_equal(sql_try(w->db, "INSERT INTO t SELECT count(*) FROM pragma_data_version"), SQLITE_AUTH);
    assert_int_equal(sql_try(w->db, "INSERT INTO t SELECT * FROM pragma_page_count"), SQLITE_AUTH);
    assert_string_equal(writer_ask(w, "SELECT count(*) FROM t"), "0");
}

static void a_reader_may_look_at_its_node_but_not_change_it(void **state)
{
    struct authorizer a;
    struct error e;
    sqlite3 *reader;
    char answer[2000], machine[100];

    (void)state;
    assert_int_equal(sqlite3_open(":memory:", &reader), SQLITE_OK);
    sql_run(reader, "CREATE TABLE quorate_kv(a)");
    sql_run(reader, "CREATE TABLE t(a)");
    sql_run(reader, "CREATE INDEX i ON t(a)");
    assert_int_equal(determinism_attach_reader(&a, reader, &e), Q_OK);

    for (size_t i = 0; i < COUNT(refused); i++) {
        if (strcmp(refused[i].sql, "PRAGMA no_such_pragma") != 0 && strcmp(refused[i].sql, "VACUUM") != 0 &&
            strcmp(refused[i].sql, "DELETE FROM quorate_void") != 0) {
            assert_refused(reader, &a, NULL, &refused[i]);
        }
    }
    for (size_t i = 0; i < COUNT(allowed); i++) {
        sql_run(reader, allowed[i]);
    }
    for (size_t i = 0; i < COUNT(answers_may_differ); i++) {
        sql_run(reader, answers_may_differ[i].sql);
    }
    snprintf(machine, sizeof machine, "%lld", (long long)time(NULL) / 1000);
    sql_ask(reader, "SELECT unixepoch() / 1000", answer, sizeof answer);
    assert_true(labs(atol(answer) - atol(machine)) <= 1);
    sqlite3_close(reader);
}

static void the_store_itself_may_do_anything_while_trusted(void **state)
{
    struct writer *w = *state;

    writer_own(w, "CREATE TABLE quorate_kv(a)");
    writer_own(w, "INSERT INTO quorate_kv VALUES(1)");
    writer_own(w, "SAVEPOINT x");
    writer_own(w, "RELEASE x");
    writer_own(w, "PRAGMA user_version = 7");
    assert_int_equal(sql_try(w->db, "DELETE FROM quorate_kv"), SQLITE_AUTH);
}

static void a_trigger_cannot_write_for_a_client_what_it_may_not(void **state)
{
    struct writer *w = *state;

    make_tables(w);
    writer_run(w, "CREATE TRIGGER x AFTER INSERT ON t BEGIN INSERT INTO quorate_kv VALUES(new.a); END");
    assert_int_equal(sql_try(w->db, "INSERT INTO t VALUES(1)"), SQLITE_AUTH);
    assert_string_equal(determinism_reason(w->d),
                        "quorate_kv is reserved: names that begin with quorate_ are the store's own");
}

static void full_text_and_rtree_tables_work(void **state)
{
    struct writer *w = *state;

    writer_run(w, "CREATE VIRTUAL TABLE f USING fts5(a, b)");
    writer_run(w, "INSERT INTO f VALUES('hello world', 'x'), ('good bye', 'y')");
    assert_string_equal(writer_ask(w, "SELECT rowid, highlight(f, 0, '<', '>') FROM f('hello')"),
                        "1|<hello> world");
    writer_run(w, "CREATE VIRTUAL TABLE fv USING fts5vocab(f, row)");
    assert_string_equal(writer_ask(w, "SELECT count(*) FROM fv"), "6");
    writer_run(w, "INSERT INTO f(f) VALUES('optimize')");
    writer_run(w, "UPDATE f SET a = 'bye' WHERE rowid = 1");
    writer_run(w, "ALTER TABLE f RENAME TO g");
    writer_run(w, "CREATE VIRTUAL TABLE r USING rtree(id, x0, x1)");
    writer_run(w, "INSERT INTO r VALUES(1, 2, 3)");
    assert_string_equal(writer_ask(w, "SELECT id, rtreecheck('r') FROM r WHERE x0 > 1"), "1|ok");
    assert_int_equal(sql_try(w->db, "DELETE FROM g_data"), SQLITE_ERROR);
    writer_run(w, "DROP TABLE r");
    writer_run(w, "DROP TABLE fv");
    writer_run(w, "DROP TABLE g");
    writer_own(w, "COMMIT");
}

static void what_the_authorizer_cannot_see_is_refused_by_its_words(void **state)
{
    static const char *const bad[] = {
        "INSERT OR ROLLBACK INTO t VALUES(1)",
        "insert or rollback into t values(1)",
        "CREATE TABLE t(a UNIQUE ON CONFLICT RollBack)",
        "CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT RAISE(ROLLBACK, 'no'); END",
        "ROLLBACK",
        "SELECT 'it''s' /* a */ ;ROLLBACK-- b",
        "INSERT OR/**/ROLLBACK/**/INTO t VALUES(1)",
    };
    static const char *const good[] = {
        "",
        "r",
        "rollbac",
        "SELECT 'rollback'",
        "SELECT 'it''s a rollback'",
        "SELECT \"rollback\", `rollback`, [rollback], t.rollback, t . rollback FROM t",
        "SELECT 1 -- rollback",
        "SELECT 1 /* rollback */",
        "SELECT rollback_at, _rollback, xrollback, rollback1 FROM t",
        "SELECT :rollback, @rollback, $rollback, #rollback",
        "SELECT 'never closed rollback",
        "SELECT /* never closed rollback",
        "SELECT * FROM quorate_kv",
        "CREATE TABLE t(a REFERENCES other, quorate_a)",
        "ALTER TABLE t RENAME TO \"quorate\"",
    };
    static const char *const reserved[] = {
        "CREATE TABLE t(a REFERENCES quorate_kv)",
        "CREATE TABLE t(a REFERENCES Quorate_KV)",
        "CREATE TABLE t(a, FOREIGN KEY(a) REFERENCES\n-- x\n\"quorate_kv\"(a))",
        "CREATE TABLE t(a REFERENCES[quorate_kv])",
        "CREATE TABLE t(a REFERENCES'quorate_kv')",
        "ALTER TABLE t RENAME TO `quorate_t`",
    };
    struct error e;

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (determinism_check(bad[i], strlen(bad[i]), &e) != Q_DENIED) {
            fail_msg("%s passed", bad[i]);
        }
        assert_non_null(strstr(e.text, "ROLLBACK"));
    }
    for (size_t i = 0; i < COUNT(reserved); i++) {
        if (determinism_check(reserved[i], strlen(reserved[i]), &e) != Q_DENIED ||
            strstr(e.text, "reserved") == NULL) {
            fail_msg("%s passed", reserved[i]);
        }
    }
    for (size_t i = 0; i < COUNT(good); i++) {
        if (determinism_check(good[i], strlen(good[i]), &e) != Q_OK) {
            fail_msg("%s was refused", good[i]);
        }
    }
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_one, close_one)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_clock_shows_the_time_of_the_entry_everywhere),
        TEST(times_that_dates_do_not_know_are_the_last_one),
        TEST(sqlite_still_refuses_the_clock_in_indexes_and_checks),
        TEST(two_nodes_draw_the_same_numbers),
        TEST(other_seeds_and_positions_draw_other_numbers),
        TEST(values_have_a_limit),
        TEST(local_time_is_utc_here_and_the_machines_elsewhere),
        TEST(counters_start_from_zero_with_each_command),
        TEST(a_trigger_does_not_see_the_counters_of_the_command_before),
        TEST(what_depends_on_the_machine_or_the_connection_is_refused),
        TEST(what_describes_the_content_is_allowed),
        TEST(what_cannot_be_stored_from_one_node_alone),
        cmocka_unit_test(a_reader_may_look_at_its_node_but_not_change_it),
        TEST(the_store_itself_may_do_anything_while_trusted),
        TEST(a_trigger_cannot_write_for_a_client_what_it_may_not),
        TEST(full_text_and_rtree_tables_work),
        cmocka_unit_test(what_the_authorizer_cannot_see_is_refused_by_its_words),
        cmocka_unit_test(plans_are_those_of_a_node_that_opens_the_file_now),
        TEST(mathematics_agrees_with_sqlite_to_the_last_digits),
        cmocka_unit_test(many_writers_each_have_their_own_clock),
        cmocka_unit_test(the_clock_stands_on_another_vfs_and_goes_when_it_is_freed),
        cmocka_unit_test(a_file_in_wal_mode_works_through_the_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
