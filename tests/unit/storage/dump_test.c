/* The database as SQL text. */
#include "storage/dump.h"

#include "tests/unit/storage/kit.h"
#include "tests/unit/storage/nasty.h"

struct out {
    struct buf text;
    size_t largest;
    bool full;
};

static int put(void *ctx, const void *p, size_t n, struct error *e)
{
    struct out *o = ctx;

    if (o->full) {
        return error_set(e, Q_NO_SPACE, "the disk is full");
    }
    o->largest = n > o->largest ? n : o->largest;
    buf_put_bytes(&o->text, p, n);
    return 0;
}

static sqlite3 *open_memory(const char *sql)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    nasty_run(db, sql);
    return db;
}

/* The dump as text; the caller frees it. */
static char *dump(sqlite3 *db, const char *tables)
{
    struct out o = {.largest = 0};
    struct dump_out out = {put, &o};
    struct error e;
    size_t n;

    buf_init(&o.text, SIZE_MAX);
    if (dump_sql(db, tables, &out, &e) != 0) {
        fail_msg("%s", e.text);
    }
    buf_put_u8(&o.text, 0);
    return (char *)buf_detach(&o.text, &n);
}

static void expect_dump(const char *made_by, const char *tables, const char *text)
{
    sqlite3 *db = open_memory(made_by);
    char *found = dump(db, tables);

    assert_string_equal(found, text);
    free(found);
    sqlite3_close(db);
}

#define BEGIN "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n"

static void a_dump_looks_like_that_of_the_shell(void **state)
{
    (void)state;

    expect_dump("", NULL, BEGIN "COMMIT;\n");
    expect_dump("CREATE TABLE foo (id integer not null primary key, name text);"
                "INSERT INTO foo VALUES (1, 'fiona'), (3, NULL); CREATE INDEX i ON foo (name)",
                NULL,
                BEGIN "CREATE TABLE foo (id integer not null primary key, name text);\n"
                      "INSERT INTO \"foo\" VALUES(1,'fiona');\n"
                      "INSERT INTO \"foo\" VALUES(3,NULL);\n"
                      "CREATE INDEX i ON foo (name);\nCOMMIT;\n");
}

static void a_rowid_is_written_down_where_it_is_not_the_next(void **state)
{
    (void)state;

    expect_dump(
        "CREATE TABLE t (a); INSERT INTO t (rowid, a) VALUES (1, 'x'), (2, 'y'), (7, 'z'), (8, 'u')", "",
        BEGIN "CREATE TABLE t (a);\n"
              "INSERT INTO \"t\" VALUES('x');\nINSERT INTO \"t\" VALUES('y');\n"
              "INSERT INTO \"t\"(rowid,\"a\") VALUES(7,'z');\nINSERT INTO \"t\" VALUES('u');\nCOMMIT;\n");
}

static void tables_can_be_chosen(void **state)
{
    static const char made_by[] = "CREATE TABLE a (x); CREATE TABLE b (x); CREATE TABLE ab (x);"
                                  "CREATE INDEX ia ON a (x); CREATE INDEX ib ON b (x)";
    (void)state;

    expect_dump(made_by, "B,ab",
                BEGIN "CREATE TABLE b (x);\nCREATE TABLE ab (x);\nCREATE INDEX ib ON b (x);\nCOMMIT;\n");

    sqlite3 *db = open_memory(made_by);
    struct dump_out out = {put, NULL};
    struct error e;
    assert_int_equal(dump_sql(db, "a,nope", &out, &e), Q_NOT_FOUND);
    assert_string_equal(e.text, "no such table: nope");
    sqlite3_close(db);
}

static void a_virtual_table_comes_with_what_is_behind_it(void **state)
{
    sqlite3 *db = open_memory(nasty_sql), *copy = open_memory("");
    char *text = dump(db, "words");
    (void)state;

    nasty_run(copy, text);
    sqlite3_exec(copy, "PRAGMA writable_schema = RESET", NULL, NULL, NULL); /* as if it were opened anew */

    free(text);
    text = dump(copy, NULL);
    assert_non_null(strstr(text, "CREATE TABLE 'words_data'"));
    assert_null(strstr(text, "plain"));
    free(text);
    sqlite3_close(db);
    sqlite3_close(copy);
}

static void what_is_hard_to_copy_comes_back_as_it_was(void **state)
{
    sqlite3 *db = open_memory(nasty_sql), *copy;
    char *text = dump(db, NULL), *again;
    (void)state;

    copy = open_memory("");
    nasty_run(copy, text);
    sqlite3_exec(copy, "PRAGMA writable_schema = RESET", NULL, NULL, NULL);

    nasty_same(db, copy);
    again = dump(copy, NULL);
    assert_string_equal(text, again);
    free(text);
    free(again);
    sqlite3_close(db);
    sqlite3_close(copy);
}

static void no_line_of_a_dump_loses_its_end_in_the_shell(void **state)
{
    sqlite3 *db = open_memory(nasty_sql);
    char *text = dump(db, NULL);
    (void)state;

    assert_null(strchr(text, '\r'));
    free(text);
    sqlite3_close(db);
}

static void pieces_are_small_whatever_the_values_are(void **state)
{
    sqlite3 *db = open_memory("CREATE TABLE t (a, b); INSERT INTO t VALUES (zeroblob(1000000),"
                              " replace(hex(zeroblob(500000)), '0', ''''))");
    struct out o = {.largest = 0};
    struct dump_out out = {put, &o};
    (void)state;

    buf_init(&o.text, SIZE_MAX);
    assert_int_equal(dump_sql(db, NULL, &out, NULL), 0);
    assert_true(o.largest <= 64 * 1024);
    assert_true(o.text.len > 4000000);
    buf_close(&o.text);
    sqlite3_close(db);
}

static void a_dump_that_nobody_can_take_ends(void **state)
{
    sqlite3 *db = open_memory("CREATE TABLE t (a); INSERT INTO t VALUES (1)");
    struct out o = {.full = true};
    struct dump_out out = {put, &o};
    struct error e;
    (void)state;

    assert_int_equal(dump_sql(db, NULL, &out, &e), Q_NO_SPACE);
    assert_string_equal(e.text, "the disk is full");
    sqlite3_close(db);
}

static void a_store_leaves_its_own_tables_out(void **state)
{
    struct kit k = {.s = NULL};
    struct out o = {.largest = 0};
    struct dump_out out = {put, &o};
    uint64_t index = 0;
    struct error e;
    (void)state;

    buf_init(&o.text, SIZE_MAX);
    kit_open_memory(&k);
    kit_execute(&k, "CREATE TABLE t (a)");
    kit_put(&k, "app", "key", "value");
    if (store_dump(k.s, NULL, &out, &index, &e) != 0) {
        fail_msg("%s", e.text);
    }
    buf_put_u8(&o.text, 0);
    assert_string_equal((char *)o.text.data, BEGIN "CREATE TABLE t (a);\nCOMMIT;\n");
    assert_int_equal(index, 2);
    buf_close(&o.text);
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dump_looks_like_that_of_the_shell),
        cmocka_unit_test(a_rowid_is_written_down_where_it_is_not_the_next),
        cmocka_unit_test(tables_can_be_chosen),
        cmocka_unit_test(a_virtual_table_comes_with_what_is_behind_it),
        cmocka_unit_test(what_is_hard_to_copy_comes_back_as_it_was),
        cmocka_unit_test(no_line_of_a_dump_loses_its_end_in_the_shell),
        cmocka_unit_test(pieces_are_small_whatever_the_values_are),
        cmocka_unit_test(a_dump_that_nobody_can_take_ends),
        cmocka_unit_test(a_store_leaves_its_own_tables_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
