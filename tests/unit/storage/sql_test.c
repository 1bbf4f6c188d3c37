#include "tests/unit/storage/kit.h"

static const enum command_op EXECUTE = COMMAND_SQL_EXECUTE, QUERY = COMMAND_SQL_QUERY,
                             REQUEST = COMMAND_SQL_REQUEST;

static void open_with_table(struct kit *k)
{
    kit_open_memory(k);
    kit_execute(k, "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b REAL)");
}

/* Through the log. */
static const char *run(struct kit *k, enum command_op op, const char *sql)
{
    kit_add_sql(k, op, 0, sql, NULL);
    kit_apply(k);
    return kit_result(k, 0);
}

static void execute_answers_with_id_and_rows_and_drops_what_is_read(void **state)
{
    (void)state;
    struct kit k;
    open_with_table(&k);

    assert_string_equal(run(&k, EXECUTE, "INSERT INTO t (a) VALUES ('x'), ('y')"), "write 2/2");
    assert_string_equal(run(&k, EXECUTE, "SELECT * FROM t"), "write 0/0");
    assert_string_equal(run(&k, EXECUTE, "UPDATE t SET a = 'z' WHERE id = 7"), "write 0/0");
    assert_string_equal(run(&k, EXECUTE, "DELETE FROM t"), "write 0/2");
    assert_string_equal(run(&k, EXECUTE, "PRAGMA table_info(t)"), "write 0/0");
    kit_close(&k);
}

static void counters_go_on_within_a_command_and_start_anew_with_the_next(void **state)
{
    (void)state;
    struct kit k;
    open_with_table(&k);

    kit_add_sql(&k, EXECUTE, 0, "INSERT INTO t (a) VALUES ('x'), ('y')", "CREATE TABLE u (a)",
                "INSERT INTO u SELECT last_insert_rowid() + changes()", NULL);
    kit_add_sql(&k, EXECUTE, 0, "CREATE TABLE v (a)",
                "INSERT INTO v SELECT last_insert_rowid() + changes() + total_changes()", NULL);
    kit_apply(&k);

    assert_string_equal(kit_result(&k, 0), "write 2/2; write 2/2; write 1/1");
    assert_string_equal(kit_result(&k, 1), "write 0/0; write 1/1");
    assert_string_equal(kit_query(&k, "SELECT (SELECT a FROM u) AS u, (SELECT a FROM v) AS v"),
                        "rows u,v | 4,0");
    kit_close(&k);
}

static void returning_answers_with_rows(void **state)
{
    (void)state;
    struct kit k;
    open_with_table(&k);

    assert_string_equal(run(&k, EXECUTE, "INSERT INTO t (a) VALUES ('x') RETURNING id, a"),
                        "rows id:INTEGER,a:TEXT | 1,'x'");
    assert_string_equal(run(&k, REQUEST, "UPDATE t SET b = 1.5 RETURNING b"), "rows b:REAL | 1.5");
    assert_string_equal(run(&k, EXECUTE, "DELETE FROM t WHERE id = 9 RETURNING id"), "rows id:INTEGER");
    kit_close(&k);
}

static void a_request_answers_to_each_statement_as_what_it_is(void **state)
{
    (void)state;
    struct kit k;
    open_with_table(&k);

    kit_add_sql(&k, REQUEST, 0, "INSERT INTO t (a) VALUES ('x')", "SELECT a FROM t", "SELECT a FROM nowhere",
                "", "-- nothing", "SELECT count(*) FROM t", NULL);
    kit_apply(&k);

    assert_string_equal(kit_result(&k, 0), "write 1/1; rows a:TEXT | 'x'; error no such table: nowhere; "
                                           "empty; rows count(*) | 1");
    kit_close(&k);
}

static void an_empty_statement_has_no_item_and_a_comment_an_empty_one(void **state)
{
    (void)state;
    struct kit k;
    open_with_table(&k);

    assert_string_equal(run(&k, EXECUTE, ""), "");
    assert_string_equal(run(&k, EXECUTE, "-- nothing"), "empty");
    assert_string_equal(run(&k, QUERY, " /* nothing */ ; ; "), "empty");
    assert_string_equal(kit_query(&k, "-- nothing"), "empty");
    kit_close(&k);
}

static void several_statements_in_a_string_all_run_and_the_last_answers(void **state)
{
    (void)state;
    struct kit k;
    open_with_table(&k);

    assert_string_equal(
        run(&k, EXECUTE, "INSERT INTO t (a) VALUES ('x'); INSERT INTO t (a) VALUES ('y'), ('z'); -- done"),
        "write 3/2");
    assert_string_equal(run(&k, REQUEST, "SELECT 1 AS n; DELETE FROM t WHERE id = 1;"), "write 0/1");
    assert_string_equal(run(&k, QUERY, "SELECT 1 AS n; SELECT a FROM t"), "rows a:TEXT | 'y' | 'z'");
    assert_string_equal(run(&k, QUERY, "SELECT 1 AS n; SELECT a FROM nowhere"),
                        "error no such table: nowhere");
    assert_string_equal(kit_query(&k, "SELECT a FROM t; SELECT 2 AS n"), "rows n | 2");
    kit_close(&k);
}

static void a_query_that_writes_is_refused_through_the_log_and_on_a_reader(void **state)
{
    (void)state;
    static const char refused[] = "error attempt to change database via query operation";
    struct kit k;
    open_with_table(&k);

    assert_string_equal(run(&k, QUERY, "INSERT INTO t (a) VALUES ('x')"), refused);
    assert_string_equal(run(&k, QUERY, "SELECT 1; DELETE FROM t"), refused);
    assert_string_equal(kit_query(&k, "INSERT INTO t (a) VALUES ('x')"), refused);
    assert_string_equal(kit_query(&k, "CREATE TABLE IF NOT EXISTS t (a)"), refused);
    assert_string_equal(kit_query(&k, "SELECT count(*) FROM t"), "rows count(*) | 0");
    assert_int_equal(store_verify(k.s, NULL), 0);
    kit_close(&k);
}

static void explain_only_reads_whatever_it_explains(void **state)
{
    (void)state;
    struct kit k;
    open_with_table(&k);

    assert_int_equal(strncmp(kit_query(&k, "EXPLAIN QUERY PLAN DELETE FROM t"), "rows ", 5), 0);
    assert_int_equal(strncmp(kit_query(&k, "EXPLAIN DELETE FROM t"), "rows ", 5), 0);
    assert_string_equal(run(&k, EXECUTE, "EXPLAIN DELETE FROM t"), "write 0/0");
    kit_close(&k);
}

static void values_keep_their_types_and_bytes(void **state)
{
    (void)state;
    struct kit k;
    open_with_table(&k);

    assert_string_equal(
        kit_query(&k, "SELECT NULL, 9223372036854775807, -9223372036854775808, 2.0, 1e300, '', 'grün', "
                      "x'', x'00ff', zeroblob(2)"),
        "rows NULL,9223372036854775807,-9223372036854775808,2.0,1e300,'','grün',x'',x'00ff',zeroblob(2) | "
        "NULL,9223372036854775807,-9223372036854775808,2,1.0000000000000001e+300,'','grün',x'',x'00ff',x'"
        "0000'");
    kit_close(&k);
}

static void a_query_without_rows_still_has_its_columns(void **state)
{
    (void)state;
    struct kit k;
    open_with_table(&k);

    assert_string_equal(kit_query(&k, "SELECT id, a, b + 1 AS c FROM t"), "rows id:INTEGER,a:TEXT,c");
    kit_close(&k);
}

static void pragmas_that_only_read_pass(void **state)
{
    (void)state;
    struct kit k;
    open_with_table(&k);

    assert_string_equal(kit_query(&k, "SELECT name FROM pragma_table_info('t')"),
                        "rows name | 'id' | 'a' | 'b'");
    assert_int_equal(strncmp(kit_query(&k, "PRAGMA table_info(t)"), "rows cid", 8), 0);
    assert_int_equal(strncmp(run(&k, REQUEST, "PRAGMA index_list(t)"), "rows seq", 8), 0);
    assert_int_equal(strncmp(run(&k, REQUEST, "PRAGMA foreign_key_list(t)"), "rows id", 7), 0);
    kit_close(&k);
}

/* One statement with parameters: "name=value" sets by name, any other text is positional. */
static const char *bind(struct kit *k, const char *sql, unsigned n, const char *const *parameters)
{
    struct buf b;

    buf_init(&b, SIZE_MAX);
    command_put_sql(&b, REQUEST, 0, 1);
    command_put_statement(&b, sql, strlen(sql), n);
    for (unsigned i = 0; i < n; i++) {
        const char *equals = strchr(parameters[i], '=');
        struct value v = {.type = VALUE_TEXT, .bytes = kit_cursor(equals ? equals + 1 : parameters[i])};

        command_put_parameter(&b, parameters[i], equals ? (size_t)(equals - parameters[i]) : 0, &v);
    }
    kit_add_bytes(k, &b);
    buf_close(&b);
    kit_apply(k);
    return kit_result(k, 0);
}

#define BIND(k, sql, ...)                                                                                    \
    bind(k, sql, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), (const char *[]){__VA_ARGS__})

static void parameters_are_bound_by_position_and_by_name(void **state)
{
    (void)state;
    struct kit k;
    open_with_table(&k);

    assert_string_equal(BIND(&k, "SELECT ? AS x, ? AS y", "a", "b"), "rows x,y | 'a','b'");
    assert_string_equal(BIND(&k, "SELECT :k AS x, @k AS y, $k AS z", "k=v"), "rows x,y,z | 'v','v','v'");
    assert_string_equal(BIND(&k, "SELECT ? AS x, :k AS y", "a", "k=v"), "rows x,y | 'a','v'");
    assert_string_equal(BIND(&k, "SELECT :k AS x, ? AS y", "k=v", "a"), "rows x,y | 'v','a'");
    assert_string_equal(BIND(&k, "SELECT :k AS x, :l AS y", "a", "b"), "rows x,y | 'a','b'");
    assert_string_equal(BIND(&k, "SELECT ?2 AS x, ?1 AS y", "a", "b"), "rows x,y | 'b','a'");
    assert_string_equal(BIND(&k, "SELECT :k AS x, :k AS y", "k=1", "k=2"), "rows x,y | '2','2'");
    assert_string_equal(BIND(&k, "SELECT :k AS x", "k=1", "other=2"), "rows x | '1'");
    kit_close(&k);
}

static void too_few_parameters_are_an_error_and_extra_ones_are_not(void **state)
{
    (void)state;
    struct kit k;
    open_with_table(&k);

    assert_string_equal(BIND(&k, "SELECT ?, ?", "a"), "error not enough args to execute query: want 2 got 1");
    assert_string_equal(BIND(&k, "SELECT :a, :b", "a=1"),
                        "error not enough args to execute query: want 2 got 1");
    assert_string_equal(BIND(&k, "SELECT ? AS x", "a", "b"), "rows x | 'a'");
    assert_string_equal(BIND(&k, "SELECT 1 AS x", "a"), "rows x | 1");
    assert_string_equal(run(&k, REQUEST, "SELECT ? AS x, :y AS y"),
                        "error not enough args to execute query: want 2 got 0");
    kit_close(&k);
}

static void statements_of_one_string_share_its_parameters(void **state)
{
    (void)state;
    struct kit k;
    open_with_table(&k);

    assert_string_equal(BIND(&k, "INSERT INTO t (a) VALUES (?); SELECT a, ? AS x FROM t", "a", "b"),
                        "rows a:TEXT,x | 'a','b'");
    assert_string_equal(BIND(&k, "DELETE FROM t WHERE a = :k; SELECT :k AS x", "k=a"), "rows x | 'a'");
    assert_string_equal(BIND(&k, "INSERT INTO t (a) VALUES (?); SELECT ?", "a"),
                        "error not enough args to execute query: want 1 got 1");
    assert_string_equal(kit_query(&k, "SELECT count(*) FROM t"), "rows count(*) | 0");
    kit_close(&k);
}

static void every_type_of_parameter_arrives_as_it_was_sent(void **state)
{
    (void)state;
    const struct value values[] = {
        {.type = VALUE_NULL},
        {.type = VALUE_INTEGER, .integer = INT64_MAX},
        {.type = VALUE_REAL, .real = 0.5},
        {.type = VALUE_TEXT, .bytes = cursor_of("a\0b", 3)},
        {.type = VALUE_TEXT, .bytes = cursor_of("", 0)},
        {.type = VALUE_BLOB, .bytes = cursor_of("\0\1", 2)},
        {.type = VALUE_BLOB, .bytes = cursor_of(NULL, 0)},
    };
    struct kit k;
    struct buf b;
    open_with_table(&k);
    buf_init(&b, SIZE_MAX);
    static const char sql[] = "SELECT ?1 AS a, ?2 AS b, ?3 AS c, hex(?4) AS d, ?5 AS e, ?6 AS f, ?7 AS g";
    command_put_sql(&b, REQUEST, 0, 1);
    command_put_statement(&b, sql, strlen(sql), 7);
    for (size_t i = 0; i < 7; i++) {
        command_put_parameter(&b, NULL, 0, &values[i]);
    }
    kit_add_bytes(&k, &b);

    kit_apply(&k);

    assert_string_equal(kit_result(&k, 0),
                        "rows a,b,c,d,e,f,g | NULL,9223372036854775807,0.5,'610062','',x'0001',x''");
    buf_close(&b);
    kit_close(&k);
}

static void errors_are_in_sqlites_own_words(void **state)
{
    (void)state;
    struct kit k;
    open_with_table(&k);

    assert_string_equal(run(&k, EXECUTE, "INSERT INTO t (nope) VALUES (1)"),
                        "error table t has no column named nope");
    assert_string_equal(run(&k, EXECUTE, "SELEC 1"), "error near \"SELEC\": syntax error");
    assert_string_equal(run(&k, EXECUTE, "SELECT 'open"), "error unrecognized token: \"'open\"");
    assert_string_equal(run(&k, EXECUTE, "INSERT INTO t (id) VALUES ('text')"), "error datatype mismatch");
    assert_string_equal(run(&k, REQUEST, "SELECT abs(-9223372036854775808)"), "error integer overflow");
    kit_close(&k);
}

static void a_contradiction_that_a_client_made_does_not_stop_the_node(void **state)
{
    (void)state;
    struct kit k;
    open_with_table(&k);
    run(&k, EXECUTE, "CREATE VIRTUAL TABLE f USING fts5(a, content='t', content_rowid='id')");
    run(&k, EXECUTE, "INSERT INTO t (a) VALUES ('never indexed')");

    assert_string_equal(run(&k, EXECUTE, "INSERT INTO f (f, rank) VALUES ('integrity-check', 1)"),
                        "error database disk image is malformed");

    assert_string_equal(run(&k, EXECUTE, "INSERT INTO t (a) VALUES ('more')"), "write 2/1");
    kit_close(&k);
}

static void limits_of_sqlite_are_results(void **state)
{
    (void)state;
    struct kit k;
    open_with_table(&k);

    assert_string_equal(run(&k, EXECUTE, "INSERT INTO t (a) VALUES (zeroblob(2000000000))"),
                        "error string or blob too big");
    assert_int_equal(store_verify(k.s, NULL), 0);
    kit_close(&k);
}

static bool reads_only(struct kit *k, enum command_op op, const char *first, const char *second)
{
    struct buf b;
    struct command command;

    buf_init(&b, SIZE_MAX);
    command_put_sql(&b, op, 0, 2);
    command_put_statement(&b, first, strlen(first), 0);
    command_put_statement(&b, second, strlen(second), 0);
    assert_int_equal(command_decode(b.data, b.len, &command, NULL), 0);
    bool reads = store_is_read_only(k->s, &command);
    buf_close(&b);
    return reads;
}

static void what_only_reads_is_what_sqlites_compiler_says(void **state)
{
    (void)state;
    struct kit k;
    open_with_table(&k);

    assert_true(reads_only(&k, REQUEST, "SELECT * FROM t", "PRAGMA table_info(t)"));
    assert_true(reads_only(&k, REQUEST, "EXPLAIN DELETE FROM t", "SELECT * FROM t"));
    assert_true(reads_only(&k, EXECUTE, "", "-- nothing"));
    assert_true(reads_only(&k, REQUEST, "WITH d AS (SELECT 1) SELECT * FROM d", "VALUES (1)"));
    assert_false(reads_only(&k, REQUEST, "SELECT 1", "DELETE FROM t"));
    assert_false(reads_only(&k, REQUEST, "SELECT 1; INSERT INTO t (a) VALUES (1)", "SELECT 1"));
    assert_false(reads_only(&k, REQUEST, "CREATE TABLE IF NOT EXISTS t (a)", ""));
    kit_close(&k);
}

static void what_does_not_compile_here_may_write_elsewhere(void **state)
{
    (void)state;
    struct kit k;
    open_with_table(&k);

    assert_false(reads_only(&k, REQUEST, "INSERT INTO not_yet_here VALUES (1)", ""));
    assert_false(reads_only(&k, REQUEST, "SELECT * FROM nowhere", ""));
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_does_not_compile_here_may_write_elsewhere),
        cmocka_unit_test(execute_answers_with_id_and_rows_and_drops_what_is_read),
        cmocka_unit_test(counters_go_on_within_a_command_and_start_anew_with_the_next),
        cmocka_unit_test(returning_answers_with_rows),
        cmocka_unit_test(a_request_answers_to_each_statement_as_what_it_is),
        cmocka_unit_test(an_empty_statement_has_no_item_and_a_comment_an_empty_one),
        cmocka_unit_test(several_statements_in_a_string_all_run_and_the_last_answers),
        cmocka_unit_test(a_query_that_writes_is_refused_through_the_log_and_on_a_reader),
        cmocka_unit_test(explain_only_reads_whatever_it_explains),
        cmocka_unit_test(values_keep_their_types_and_bytes),
        cmocka_unit_test(a_query_without_rows_still_has_its_columns),
        cmocka_unit_test(pragmas_that_only_read_pass),
        cmocka_unit_test(parameters_are_bound_by_position_and_by_name),
        cmocka_unit_test(too_few_parameters_are_an_error_and_extra_ones_are_not),
        cmocka_unit_test(statements_of_one_string_share_its_parameters),
        cmocka_unit_test(every_type_of_parameter_arrives_as_it_was_sent),
        cmocka_unit_test(errors_are_in_sqlites_own_words),
        cmocka_unit_test(a_contradiction_that_a_client_made_does_not_stop_the_node),
        cmocka_unit_test(limits_of_sqlite_are_results),
        cmocka_unit_test(what_only_reads_is_what_sqlites_compiler_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
