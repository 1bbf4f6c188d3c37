#include "storage/authorizer.h"

#include "tests/unit/storage/writer.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

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
    {"PRAGMA synchronous", "PRAGMA synchronous"},
    {"PRAGMA main.cache_size", "PRAGMA cache_size"},
    {"PRAGMA wal_autocheckpoint", "PRAGMA wal_autocheckpoint"},
    {"PRAGMA query_only", "PRAGMA query_only"},
    {"SELECT * FROM pragma_busy_timeout", NULL},
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
    static const char *const good[] = {
        "",
        "quorate",
        "SELECT 'references quorate_kv'",
        "SELECT 'it''s to quorate_kv'",
        "SELECT 1 -- references quorate_kv",
        "SELECT 1 /* references quorate_kv */ FROM quorate_kv",
        "SELECT xto quorate_kv, to1 quorate_kv FROM t",
        "SELECT :to quorate_kv, @references quorate_kv FROM t",
        "SELECT 'never closed references quorate_kv",
        "SELECT /* never closed references quorate_kv",
        "SELECT * FROM quorate_kv",
        "CREATE TABLE t(a REFERENCES other, quorate_a)",
        "ALTER TABLE t RENAME TO \"quorate\"",
    };
    static const char *const reserved[] = {
        "CREATE TABLE t(a REFERENCES quorate_kv)",
        "CREATE TABLE t(a/**/REFERENCES/**/quorate_kv)",
        "CREATE TABLE t(a REFERENCES Quorate_KV)",
        "CREATE TABLE t(a, FOREIGN KEY(a) REFERENCES\n-- x\n\"quorate_kv\"(a))",
        "CREATE TABLE t(a REFERENCES[quorate_kv])",
        "CREATE TABLE t(a REFERENCES'quorate_kv')",
        "ALTER TABLE t RENAME TO `quorate_t`",
    };
    struct error e;

    (void)state;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        WRITER_TEST(what_depends_on_the_machine_or_the_connection_is_refused),
        WRITER_TEST(what_describes_the_content_is_allowed),
        WRITER_TEST(what_cannot_be_stored_from_one_node_alone),
        cmocka_unit_test(a_reader_may_look_at_its_node_but_not_change_it),
        WRITER_TEST(the_store_itself_may_do_anything_while_trusted),
        WRITER_TEST(a_trigger_cannot_write_for_a_client_what_it_may_not),
        WRITER_TEST(full_text_and_rtree_tables_work),
        cmocka_unit_test(what_the_authorizer_cannot_see_is_refused_by_its_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
