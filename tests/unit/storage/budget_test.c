#include "tests/unit/storage/kit.h"

#include <sqlite3.h>

#include "storage/budget.h"

static const enum command_op EXECUTE = COMMAND_SQL_EXECUTE;

#define OVER                                                                                                 \
    "this takes more than 100000 instructions of SQLite, the limit of one request (option sql-instructions)"
#define ENDLESS "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "

static void open_small(struct kit *k)
{
    kit_open_memory(k);
    k->config.instructions_max = STORE_INSTRUCTIONS_MIN;
    kit_reopen(k);
    kit_execute(k, "CREATE TABLE t (id INTEGER PRIMARY KEY, x)");
}

static void a_write_that_never_ends_is_a_result_and_its_neighbours_stand(void **state)
{
    (void)state;
    struct kit k;
    open_small(&k);

    kit_add_sql(&k, EXECUTE, 0, "INSERT INTO t VALUES (1, 'before')", NULL);
    kit_add_sql(&k, EXECUTE, 0, ENDLESS "INSERT INTO t (x) SELECT x FROM c", NULL);
    kit_add_sql(&k, EXECUTE, 0, "INSERT INTO t VALUES (2, 'after')", NULL);
    kit_apply(&k);

    assert_string_equal(kit_result(&k, 0), "write 1/1");
    assert_string_equal(kit_result(&k, 1), "error " OVER);
    assert_string_equal(kit_result(&k, 2), "write 2/1");
    assert_string_equal(kit_query(&k, "SELECT id, x FROM t"), "rows id:INTEGER,x | 1,'before' | 2,'after'");
    assert_int_equal(store_verify(k.s, NULL), 0);
    kit_close(&k);
}

static void a_read_through_the_log_that_never_ends_is_a_result(void **state)
{
    (void)state;
    struct kit k;
    open_small(&k);

    kit_add_sql(&k, COMMAND_SQL_REQUEST, 0, ENDLESS "SELECT sum(x) FROM c", "INSERT INTO t VALUES (1, 1)",
                NULL);
    kit_apply(&k);
    kit_add_sql(&k, COMMAND_SQL_REQUEST, 0, "INSERT INTO t VALUES (2, 2)", NULL);
    kit_apply(&k);

    assert_string_equal(kit_result(&k, 0), "write 2/1");
    assert_string_equal(kit_query(&k, "SELECT id FROM t"), "rows id:INTEGER | 2");
    kit_close(&k);
}

static void what_follows_in_the_request_fails_too(void **state)
{
    (void)state;
    struct kit k;
    open_small(&k);

    kit_add_sql(&k, COMMAND_SQL_REQUEST, 0, ENDLESS "SELECT sum(x) FROM c", "INSERT INTO t VALUES (1, 1)",
                NULL);
    kit_apply(&k);

    assert_string_equal(kit_result(&k, 0), "error " OVER "; error " OVER);
    assert_string_equal(kit_query(&k, "SELECT id FROM t"), "rows id:INTEGER");
    assert_int_equal(store_verify(k.s, NULL), 0);
    kit_close(&k);
}

static void a_trigger_counts_with_its_statement(void **state)
{
    (void)state;
    struct kit k;
    open_small(&k);
    kit_execute(&k, "CREATE TABLE u (x)");
    kit_execute(&k, "CREATE TRIGGER tr AFTER INSERT ON u BEGIN INSERT INTO t (x) SELECT value FROM "
                    "json_each('[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]'); END");

    assert_string_equal(
        kit_execute(&k, "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 100) "
                        "INSERT INTO u SELECT x FROM c"),
        "write 100/100");
    assert_string_equal(
        kit_execute(&k, "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 2000) "
                        "INSERT INTO u SELECT x FROM c"),
        "error " OVER);

    assert_string_equal(kit_query(&k, "SELECT count(*) FROM t"), "rows count(*) | 1600");
    assert_int_equal(store_verify(k.s, NULL), 0);
    kit_close(&k);
}

static void many_small_statements_count_like_a_large_one(void **state)
{
    (void)state;
    struct kit k;
    open_small(&k);
    char sql[200];
    struct buf text;

    buf_init(&text, 1024 * 1024);
    for (int i = 0; i < 200; i++) { /* about 2,000 instructions each: none of them makes SQLite look up */
        snprintf(sql, sizeof sql,
                 "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 150) "
                 "INSERT INTO t (x) SELECT count(*) FROM c; ");
        buf_put_bytes(&text, sql, strlen(sql));
    }
    buf_put_u8(&text, 0);
    assert_string_equal(kit_execute(&k, (const char *)text.data), "error " OVER);
    buf_close(&text);

    assert_string_equal(kit_query(&k, "SELECT count(*) FROM t"), "rows count(*) | 0");
    kit_close(&k);
}

static void each_command_has_the_whole_budget(void **state)
{
    (void)state;
    struct kit k;
    open_small(&k);

    for (int i = 0; i < 20; i++) { /* about a quarter of it each */
        kit_add_sql(&k, EXECUTE, 0,
                    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 2000) "
                    "INSERT INTO t (x) SELECT count(*) FROM c",
                    NULL);
    }
    kit_apply(&k);

    assert_string_equal(kit_query(&k, "SELECT count(*) FROM t"), "rows count(*) | 20");
    kit_close(&k);
}

/* The highest LIMIT that passes, by halving: the edge shows the count to some ten instructions. */
static unsigned edge(struct kit *k, const char *table)
{
    unsigned low = 100, high = 20000;
    char sql[300];

    while (high - low > 1) {
        unsigned middle = (low + high) / 2;
        snprintf(sql, sizeof sql,
                 "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT %u) "
                 "INSERT INTO %s (x) SELECT 'word' || (x %% 5) FROM c",
                 middle, table);
        if (strncmp(kit_execute(k, sql), "error", 5) == 0) {
            high = middle;
        } else {
            low = middle;
        }
    }
    return low;
}

/* A node that was just started, and one that has run for long, draw the line in the same place: also where
 * SQLite runs statements of its own inside, whose state such nodes do not share. */
static void the_line_is_where_it_was_before_the_start(void **state)
{
    (void)state;
    struct kit k;
    kit_open_file(&k);
    k.config.instructions_max = STORE_INSTRUCTIONS_MIN;
    kit_reopen(&k);
    kit_execute(&k, "CREATE TABLE t (id INTEGER PRIMARY KEY, x)");
    kit_execute(&k, "CREATE VIRTUAL TABLE f USING fts5 (x)");
    unsigned plain = edge(&k, "t"), text = edge(&k, "f");

    assert_int_equal(edge(&k, "t"), plain);
    assert_int_equal(edge(&k, "f"), text);
    kit_reopen(&k);
    assert_int_equal(edge(&k, "f"), text);
    kit_reopen(&k);
    assert_int_equal(edge(&k, "t"), plain);
    assert_int_equal(store_verify(k.s, NULL), 0);
    kit_close(&k);
}

static void statements_inside_of_a_virtual_table_do_not_count(void **state)
{
    (void)state;
    struct kit k;
    open_small(&k);
    kit_execute(&k, "CREATE VIRTUAL TABLE f USING fts5 (x)");
    for (int i = 0; i < 20; i++) {
        kit_execute(&k, "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 1000) "
                        "INSERT INTO f SELECT 'a word' FROM c");
    }

    /* One statement of some ten instructions, which makes FTS5 read 20,000 rows. */
    assert_string_equal(kit_execute(&k, "INSERT INTO f (f) VALUES ('rebuild')"), "write 0/1");

    assert_int_equal(store_verify(k.s, NULL), 0);
    kit_close(&k);
}

static void a_budget_too_small_to_work_with_is_refused(void **state)
{
    (void)state;
    struct store_config config = {.readers = 1, .result_max = STORE_RESULT_MIN, .instructions_max = 99999};
    struct store *s;
    struct error e;

    assert_int_equal(store_open(&config, &s, &e), Q_INVALID);
    assert_string_equal(e.text, "the limit of instructions is at least 100000, not 99999");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_that_never_ends_is_a_result_and_its_neighbours_stand),
        cmocka_unit_test(a_read_through_the_log_that_never_ends_is_a_result),
        cmocka_unit_test(what_follows_in_the_request_fails_too),
        cmocka_unit_test(a_trigger_counts_with_its_statement),
        cmocka_unit_test(many_small_statements_count_like_a_large_one),
        cmocka_unit_test(each_command_has_the_whole_budget),
        cmocka_unit_test(the_line_is_where_it_was_before_the_start),
        cmocka_unit_test(statements_inside_of_a_virtual_table_do_not_count),
        cmocka_unit_test(a_budget_too_small_to_work_with_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
