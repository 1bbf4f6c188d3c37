/* SQLite files that become a store's database. */
#include "storage/adopt.h"

#include <sqlite3.h>
#include <unistd.h>

#include "tests/unit/storage/kit.h"

/* A store in a file, beside which other files may be made. */
struct scene {
    struct kit kit;
    char source[100], target[100];
    struct store *s;
};

static struct scene scene;

static int set_up(void **state)
{
    memset(&scene, 0, sizeof scene);
    kit_open_file(&scene.kit);
    snprintf(scene.source, sizeof scene.source, "%s/source", scene.kit.dir);
    snprintf(scene.target, sizeof scene.target, "%s/target", scene.kit.dir);
    *state = &scene;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;

    store_close(s->s);
    unlink(s->source);
    unlink(s->target);
    kit_close(&s->kit);
    return 0;
}

static void make_source(struct scene *s, const char *sql)
{
    sqlite3 *db;
    char *why = NULL;

    unlink(s->source);
    assert_int_equal(sqlite3_open(s->source, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK) {
        fail_msg("%s", why);
    }
    sqlite3_close(db);
}

static void adopt(struct scene *s, const char *from)
{
    struct store_config config = s->kit.config;
    struct error e;

    config.path = s->target;
    if (store_adopt(from, s->target, NULL, &e) != 0 || store_open(&config, &s->s, &e) != 0) {
        fail_msg("%s", e.text);
    }
}

static void expect_refused(struct scene *s, const char *from, enum error_code code, const char *text)
{
    struct error e = {.code = Q_OK};

    assert_int_equal(store_adopt(from, s->target, NULL, &e), code);
    if (strstr(e.text, text) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", e.text, text);
    }
    unlink(s->target);
}

/* The helpers of the kit, on the adopted store. */
static const char *query(struct scene *s, const char *sql)
{
    struct store *own = s->kit.s;
    const char *shown;

    s->kit.s = s->s;
    shown = kit_query(&s->kit, sql);
    s->kit.s = own;
    return shown;
}

static void the_tables_of_a_plain_file_are_there(void **state)
{
    struct scene *s = *state;
    struct store_position at;
    struct error e;

    make_source(s, "CREATE TABLE t (a, b TEXT); INSERT INTO t VALUES (1, 'x'), (2.5, NULL);"
                   "CREATE INDEX i ON t (a); CREATE VIEW v AS SELECT a FROM t;"
                   "DELETE FROM t WHERE a = 1; INSERT INTO t VALUES (7, 'seven')");
    adopt(s, s->source);

    assert_string_equal(query(s, "SELECT rowid, a, b FROM t"),
                        "rows rowid:INTEGER,a,b:TEXT | 2,2.5,NULL | 3,7,'seven'");
    store_position(s->s, &at);
    assert_int_equal(at.index, ADOPT_INDEX);
    assert_int_equal(at.term, ADOPT_TERM);
    assert_int_equal(store_verify(s->s, &e), 0);
}

static void what_another_program_may_write_fits(void **state)
{
    static const char *const settings[] = {
        "PRAGMA page_size = 1024",   "PRAGMA page_size = 65536",
        "PRAGMA journal_mode = WAL", "PRAGMA page_size = 512; PRAGMA journal_mode = WAL",
        "PRAGMA auto_vacuum = FULL", "PRAGMA application_id = 5; PRAGMA user_version = 6",
    };
    struct scene *s = *state;
    struct store_position first, at;

    for (unsigned i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        char sql[300];
        snprintf(sql, sizeof sql, "%s; CREATE TABLE t (a); INSERT INTO t VALUES (1), (2), (3)", settings[i]);
        make_source(s, sql);
        adopt(s, s->source);

        assert_string_equal(query(s, "SELECT sum(a) FROM t"), "rows sum(a) | 6");
        assert_string_equal(query(s, "SELECT * FROM pragma_page_size()"), "rows page_size | 4096");
        assert_string_equal(query(s, "SELECT * FROM pragma_auto_vacuum()"), "rows auto_vacuum | 0");
        store_position(s->s, &at);
        first = i == 0 ? at : first;
        assert_memory_equal(at.digest, first.digest, sizeof at.digest);
        store_close(s->s);
        s->s = NULL;
        unlink(s->target);
    }
}

static void an_empty_file_is_an_empty_database(void **state)
{
    struct scene *s = *state;

    make_source(s, "");
    adopt(s, s->source);

    assert_string_equal(query(s, "SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE '%quorate%'"),
                        "rows count(*) | 0");
}

static void a_copy_of_a_stores_database_keeps_its_place(void **state)
{
    struct scene *s = *state;
    struct store_position was, at;

    kit_execute(&s->kit, "CREATE TABLE t (a)");
    for (unsigned i = 0; i < 5; i++) {
        kit_put(&s->kit, "ns", "key", "value");
    }
    store_position(s->kit.s, &was);
    adopt(s, s->kit.path);

    store_position(s->s, &at);
    assert_int_equal(at.index, was.index);
    assert_int_equal(at.term, was.term);
    assert_memory_equal(at.digest, was.digest, sizeof at.digest);
    assert_string_equal(query(s, "SELECT ns, version FROM quorate_kv"),
                        "rows ns:TEXT,version:INTEGER | 'ns',5");
}

static void what_a_store_cannot_hold_is_refused(void **state)
{
    struct scene *s = *state;
    FILE *f;

    expect_refused(s, "/nonexistent/file", Q_NOT_FOUND, "/nonexistent/file");
    make_source(s, "PRAGMA encoding = 'UTF-16le'; CREATE TABLE t (a)");
    expect_refused(s, s->source, Q_MISMATCH, "UTF-16le");
    make_source(s, "CREATE TABLE quorate_stuff (a)");
    expect_refused(s, s->source, Q_MISMATCH, "something named quorate_stuff");
    make_source(s,
                "CREATE TABLE quorate_state (key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
                "INSERT INTO quorate_state VALUES ('format', 99), ('index', 1), ('term', 1), ('time_ms', 1)");
    expect_refused(s, s->source, Q_MISMATCH, "its format is 99");
    f = fopen(s->source, "w");
    fprintf(f, "this is not a database, but a text that is long enough to look at");
    fclose(f);
    expect_refused(s, s->source, Q_CORRUPT, "not a database");
}

static void flip(const char *path, long at)
{
    FILE *f = fopen(path, "r+");
    int c;

    assert_non_null(f);
    fseek(f, at, SEEK_SET);
    c = fgetc(f);
    fseek(f, at, SEEK_SET);
    fputc(c ^ 1, f);
    fclose(f);
}

static void a_bad_page_of_a_stores_database_is_found(void **state)
{
    struct scene *s = *state;
    struct error e;
    uint64_t index;

    kit_execute(&s->kit, "CREATE TABLE t (a)");
    for (unsigned i = 0; i < 20; i++) {
        kit_execute(&s->kit, "INSERT INTO t VALUES (zeroblob(3000))");
    }
    assert_int_equal(store_checkpoint(s->kit.s, &index, &e), 0);
    flip(s->kit.path, 14 * 4096 + 1000);

    expect_refused(s, s->kit.path, Q_CORRUPT, "page 15 of");
    flip(s->kit.path, 14 * 4096 + 1000);
}

static void pages_that_hold_something_of_another_program_are_refused(void **state)
{
    struct scene *s = *state;
    int reserved = 8;
    sqlite3 *db;

    assert_int_equal(sqlite3_open(s->source, &db), SQLITE_OK);
    sqlite3_file_control(db, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE t (a)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);

    expect_refused(s, s->source, Q_MISMATCH, "another program keeps 8 bytes of its own in each page");
}

/* Two tables that say they are in the same pages: every page is sound. */
static void a_file_that_contradicts_itself_is_refused(void **state)
{
    struct scene *s = *state;

    make_source(s, "CREATE TABLE t (a INTEGER PRIMARY KEY, b); CREATE INDEX i ON t (b);"
                   "INSERT INTO t VALUES (1, 2), (2, 3); PRAGMA writable_schema = ON;"
                   "UPDATE sqlite_schema SET sql = 'CREATE UNIQUE INDEX i ON t (b)' WHERE name = 'i';"
                   "UPDATE sqlite_schema SET sql = 'CREATE TABLE t (a INTEGER PRIMARY KEY, b NOT NULL CHECK "
                   "(b > 2))' WHERE name = 't'");
    expect_refused(s, s->source, Q_CORRUPT, "it is damaged: CHECK constraint failed in t");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_tables_of_a_plain_file_are_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_another_program_may_write_fits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_empty_file_is_an_empty_database, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_copy_of_a_stores_database_keeps_its_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_store_cannot_hold_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bad_page_of_a_stores_database_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pages_that_hold_something_of_another_program_are_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_contradicts_itself_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
