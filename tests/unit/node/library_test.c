/* The embedder's calls, on a node of its own. */
#include <math.h>

#include "tests/unit/node/embedded.h"

static int set_up(void **state)
{
    static struct embedded n;
    embedded_open(&n);
    embedded_start(&n);
    *state = &n;
    return 0;
}

static int tear_down(void **state)
{
    embedded_close(*state);
    return 0;
}

static void expect_error(const struct embedded *n, int rv, enum quorate_code code, const char *text)
{
    assert_int_equal(rv, code);
    assert_int_equal(n->e.code, code);
    if (strstr(n->e.text, text) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", n->e.text, text);
    }
}

/* SQL. */

static void a_write_tells_what_it_did(void **state)
{
    struct embedded *n = *state;
    uint64_t index;

    embedded_execute(n, "CREATE TABLE t (id INTEGER PRIMARY KEY, x)");
    index = quorate_result_index(n->result);
    embedded_execute(n, "INSERT INTO t (id, x) VALUES (7, 1), (8, 2)");
    assert_int_equal(quorate_result_last_insert_id(n->result), 8);
    assert_int_equal(quorate_result_rows_affected(n->result), 2);
    assert_int_equal(quorate_result_index(n->result), index + 1);
    assert_int_equal(quorate_result_columns(n->result), 0);
    assert_int_equal(quorate_result_rows(n->result), 0);
}

static void a_query_returns_columns_and_rows(void **state)
{
    struct embedded *n = *state;
    struct quorate_value v;

    embedded_execute(n, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)");
    embedded_execute(n, "INSERT INTO t (name) VALUES ('Ada'), ('Grace'), (NULL)");
    quorate_result_free(n->result);
    assert_int_equal(quorate_query(n->node, QUORATE_LINEARIZABLE, "SELECT id, name AS who FROM t ORDER BY id",
                                   NULL, 0, &n->result, &n->e),
                     0);
    assert_int_equal(quorate_result_columns(n->result), 2);
    assert_int_equal(quorate_result_rows(n->result), 3);
    assert_string_equal(quorate_result_name(n->result, 0), "id");
    assert_string_equal(quorate_result_name(n->result, 1), "who");
    v = quorate_result_value(n->result, 1, 1);
    assert_int_equal(v.type, QUORATE_TEXT);
    assert_int_equal(v.len, 5);
    assert_memory_equal(v.bytes, "Grace", 5);
    assert_int_equal(quorate_result_value(n->result, 2, 0).integer, 3);
    assert_int_equal(quorate_result_value(n->result, 2, 1).type, QUORATE_NULL);
}

static void many_rows_come_whole(void **state)
{
    struct embedded *n = *state;

    quorate_result_free(n->result);
    assert_int_equal(quorate_query(n->node, QUORATE_NONE,
                                   "WITH RECURSIVE c(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM c LIMIT "
                                   "1000) SELECT x, x * 2, 'row ' || x FROM c",
                                   NULL, 0, &n->result, &n->e),
                     0);
    assert_int_equal(quorate_result_rows(n->result), 1000);
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(quorate_result_value(n->result, i, 1).integer, 2 * i);
    }
}

static void values_of_every_type_go_in_and_come_out(void **state)
{
    struct embedded *n = *state;
    const struct quorate_value values[] = {
        {.type = QUORATE_NULL},
        {.type = QUORATE_INTEGER, .integer = INT64_MIN},
        {.type = QUORATE_INTEGER, .integer = INT64_MAX},
        {.type = QUORATE_REAL, .real = 0.1},
        {.type = QUORATE_TEXT, .bytes = "h\xc3\xa9llo", .len = 6},
        {.type = QUORATE_TEXT, .bytes = "", .len = 0},
        {.type = QUORATE_BLOB, .bytes = "\0\1\2\0", .len = 4},
        {.type = QUORATE_BLOB, .bytes = NULL, .len = 0},
    };
    enum { COUNT = sizeof values / sizeof values[0] };

    quorate_result_free(n->result);
    for (enum quorate_level level = QUORATE_NONE; level <= QUORATE_STRONG; level++) {
        assert_int_equal(
            quorate_query(n->node, level, "SELECT ?, ?, ?, ?, ?, ?, ?, ?", values, COUNT, &n->result, &n->e),
            0);
        for (size_t i = 0; i < COUNT; i++) {
            struct quorate_value v = quorate_result_value(n->result, 0, i);
            assert_int_equal(v.type, values[i].type);
            assert_true(v.integer == values[i].integer);
            assert_true(fabs(v.real - values[i].real) == 0);
            assert_int_equal(v.len, values[i].len);
            assert_memory_equal(v.bytes ? v.bytes : "", values[i].bytes ? values[i].bytes : "", v.len);
        }
        quorate_result_free(n->result);
    }
    n->result = NULL;
}

static void several_statements_are_done_together_or_not_at_all(void **state)
{
    struct embedded *n = *state;

    embedded_execute(n, "CREATE TABLE t (x UNIQUE)");
    expect_error(
        n,
        quorate_execute(n->node, "INSERT INTO t VALUES (1); INSERT INTO t VALUES (1)", NULL, 0, NULL, &n->e),
        QUORATE_SQL, "UNIQUE constraint failed: t.x");
    assert_int_equal(embedded_number(n, "SELECT count(*) FROM t"), 0);

    embedded_execute(n, "INSERT INTO t VALUES (1); INSERT INTO t VALUES (2), (3)");
    assert_int_equal(quorate_result_rows_affected(n->result), 2); /* the last one answers */
    assert_int_equal(embedded_number(n, "SELECT count(*) FROM t"), 3);
}

static void mistakes_are_told_in_sqlites_words(void **state)
{
    struct embedded *n = *state;
    const struct quorate_value one = {.type = QUORATE_INTEGER, .integer = 1};

    expect_error(n, quorate_execute(n->node, "INSERT INTO nowhere VALUES (1)", NULL, 0, NULL, &n->e),
                 QUORATE_SQL, "no such table: nowhere");
    expect_error(n, quorate_query(n->node, QUORATE_WEAK, "SELEC 1", NULL, 0, &n->result, &n->e), QUORATE_SQL,
                 "syntax error");
    assert_null(n->result); /* untouched */
    expect_error(n, quorate_query(n->node, QUORATE_STRONG, "SELECT ?, ?", &one, 1, &n->result, &n->e),
                 QUORATE_SQL, "not enough args");
}

static void a_query_does_not_write(void **state)
{
    struct embedded *n = *state;

    embedded_execute(n, "CREATE TABLE t (x)");
    for (enum quorate_level level = QUORATE_NONE; level <= QUORATE_STRONG; level++) {
        int rv = quorate_query(n->node, level, "INSERT INTO t VALUES (1)", NULL, 0, NULL, &n->e);
        assert_int_equal(rv, QUORATE_SQL);
    }
    assert_int_equal(embedded_number(n, "SELECT count(*) FROM t"), 0);
}

static void a_read_that_never_ends_ends_with_its_request(void **state)
{
    struct embedded *n = *state;

    embedded_stop(n);
    embedded_set(n, "request-timeout", "500ms");
    embedded_start(n);

    expect_error(n,
                 quorate_query(n->node, QUORATE_NONE,
                               "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "
                               "SELECT count(*) FROM c",
                               NULL, 0, NULL, &n->e),
                 QUORATE_SQL, "query timeout");
}

static void a_write_that_never_ends_is_refused_by_its_budget(void **state)
{
    struct embedded *n = *state;

    embedded_stop(n);
    snprintf(n->scratch.path, sizeof n->scratch.path, "%s/small-budget", n->scratch.dir);
    embedded_set(n, "dir", n->scratch.path);
    embedded_set(n, "sql-instructions", "100000");
    embedded_start(n);
    embedded_execute(n, "CREATE TABLE t (x)");

    expect_error(n,
                 quorate_execute(n->node,
                                 "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "
                                 "INSERT INTO t SELECT x FROM c",
                                 NULL, 0, NULL, &n->e),
                 QUORATE_SQL, "more than 100000 instructions");
    assert_int_equal(embedded_number(n, "SELECT count(*) FROM t"), 0);
}

static void bad_arguments_are_refused(void **state)
{
    static struct quorate_value many[40000];
    struct embedded *n = *state;
    struct quorate_value odd = {.type = (enum quorate_type)99};

    expect_error(n, quorate_execute(n->node, "SELECT 1", many, 40000, NULL, &n->e), QUORATE_TOO_BIG,
                 "40000 parameters are over the limit of 32766");
    expect_error(n, quorate_execute(n->node, "SELECT ?", &odd, 1, NULL, &n->e), QUORATE_INVALID,
                 "parameter 1 has the unknown type 99");
    expect_error(n, quorate_query(n->node, (enum quorate_level)17, "SELECT 1", NULL, 0, NULL, &n->e),
                 QUORATE_INVALID, "17 is not a read level");
}

static void a_command_that_is_too_large_is_refused(void **state)
{
    struct embedded *n = *state;
    size_t len = 2 * 1024 * 1024;
    char *bytes = calloc(1, len);
    struct quorate_value v = {.type = QUORATE_BLOB, .bytes = bytes, .len = len};

    expect_error(n, quorate_execute(n->node, "SELECT ?", &v, 1, NULL, &n->e), QUORATE_TOO_BIG, "limit of");
    v.len = 900 * 1024;
    embedded_execute(n, "CREATE TABLE t (x)");
    assert_int_equal(quorate_execute(n->node, "INSERT INTO t VALUES (?)", &v, 1, NULL, &n->e), 0);
    free(bytes);
}

static void whoever_does_not_care_passes_null(void **state)
{
    struct embedded *n = *state;

    assert_int_equal(quorate_execute(n->node, "CREATE TABLE t (x)", NULL, 0, NULL, NULL), 0);
    assert_int_equal(quorate_execute(n->node, "CREATE TABLE t (x)", NULL, 0, NULL, NULL), QUORATE_SQL);
    assert_int_equal(quorate_kv_put(n->node, "ns", "k", 1, "v", 1, QUORATE_ANY_VERSION, NULL, NULL), 0);
    assert_int_equal(quorate_kv_delete(n->node, "ns", "k", 1, QUORATE_ANY_VERSION, NULL), 0);
    quorate_result_free(NULL);
    quorate_options_free(NULL);
    quorate_stop(NULL);
}

/* Keys and values. */

static void expect_key(struct embedded *n, enum quorate_level level, const char *key, const char *value,
                       uint64_t version)
{
    void *bytes;
    size_t len;
    uint64_t has;

    if (quorate_kv_get(n->node, level, "ns", key, strlen(key), &bytes, &len, &has, &n->e) != 0) {
        fail_msg("%s", n->e.text);
    }
    assert_int_equal(len, strlen(value));
    assert_memory_equal(bytes, value, len);
    assert_int_equal(has, version);
    free(bytes);
}

static int put(struct embedded *n, const char *key, const char *value, uint64_t if_version, uint64_t *version)
{
    return quorate_kv_put(n->node, "ns", key, strlen(key), value, strlen(value), if_version, version, &n->e);
}

static void a_key_is_put_read_and_deleted(void **state)
{
    struct embedded *n = *state;
    uint64_t version = 0;
    void *bytes = n;
    size_t len = 77;

    assert_int_equal(put(n, "key", "hello", QUORATE_ANY_VERSION, &version), 0);
    assert_int_equal(version, 1);
    for (enum quorate_level level = QUORATE_NONE; level <= QUORATE_STRONG; level++) {
        expect_key(n, level, "key", "hello", 1);
    }
    assert_int_equal(put(n, "key", "", QUORATE_ANY_VERSION, &version), 0);
    assert_int_equal(version, 2);
    expect_key(n, QUORATE_LINEARIZABLE, "key", "", 2);

    assert_int_equal(quorate_kv_delete(n->node, "ns", "key", 3, QUORATE_ANY_VERSION, &n->e), 0);
    expect_error(n, quorate_kv_get(n->node, QUORATE_LINEARIZABLE, "ns", "key", 3, &bytes, &len, NULL, &n->e),
                 QUORATE_NOT_FOUND, "there is no such key");
    assert_ptr_equal(bytes, n);
    assert_int_equal(len, 77);
    expect_error(n, quorate_kv_delete(n->node, "ns", "key", 3, QUORATE_ANY_VERSION, &n->e), QUORATE_NOT_FOUND,
                 "there is no such key");
}

static void another_version_is_a_conflict(void **state)
{
    struct embedded *n = *state;
    uint64_t version = 0;

    assert_int_equal(put(n, "key", "one", QUORATE_ANY_VERSION, &version), 0);
    expect_error(n, put(n, "key", "x", version + 1, &version), QUORATE_CONFLICT, "the key has version 1");
    assert_int_equal(version, 1);
    assert_int_equal(put(n, "key", "two", 1, &version), 0);
    assert_int_equal(version, 2);
    expect_error(n, quorate_kv_delete(n->node, "ns", "key", 3, 1, &n->e), QUORATE_CONFLICT,
                 "the key has version 2");
    expect_error(n, put(n, "other", "x", 5, &version), QUORATE_CONFLICT, "there is no such key");
    assert_int_equal(version, 0);
    expect_error(n, quorate_kv_delete(n->node, "ns", "other", 5, 5, &n->e), QUORATE_NOT_FOUND,
                 "there is no such key");
    assert_int_equal(quorate_kv_delete(n->node, "ns", "key", 3, 2, &n->e), 0);
}

static void a_key_is_created_once(void **state)
{
    struct embedded *n = *state;
    uint64_t version = 0;

    assert_int_equal(quorate_kv_create(n->node, "ns", "key", 3, "v", 1, &version, &n->e), 0);
    assert_int_equal(version, 1);
    version = 0;
    expect_error(n, quorate_kv_create(n->node, "ns", "key", 3, "w", 1, &version, &n->e), QUORATE_CONFLICT,
                 "the key has version 1");
    assert_int_equal(version, 1);
    expect_key(n, QUORATE_LINEARIZABLE, "key", "v", 1);
}

static void keys_and_namespaces_out_of_bounds_are_refused(void **state)
{
    static char key[5000];
    struct embedded *n = *state;
    void *bytes;
    size_t len;

    memset(key, 'k', sizeof key);
    assert_int_equal(quorate_kv_put(n->node, "ns", key, 4096, "v", 1, 0, NULL, &n->e), 0);
    expect_error(n, quorate_kv_put(n->node, "ns", key, 4097, "v", 1, 0, NULL, &n->e), QUORATE_INVALID,
                 "4096");
    expect_error(n, quorate_kv_put(n->node, "ns", "", 0, "v", 1, 0, NULL, &n->e), QUORATE_INVALID, "key");
    expect_error(n, quorate_kv_put(n->node, "n s", "k", 1, "v", 1, 0, NULL, &n->e), QUORATE_INVALID,
                 "namespace");
    expect_error(n, quorate_kv_get(n->node, QUORATE_NONE, "", "k", 1, &bytes, &len, NULL, &n->e),
                 QUORATE_INVALID, "namespace");
    expect_error(n, quorate_kv_delete(n->node, "ns", key, 4097, 0, &n->e), QUORATE_INVALID, "4096");
    expect_error(n, quorate_kv_get(n->node, (enum quorate_level)9, "ns", "k", 1, &bytes, &len, NULL, &n->e),
                 QUORATE_INVALID, "9 is not a read level");
}

static void binary_keys_are_what_they_are(void **state)
{
    struct embedded *n = *state;
    void *bytes;
    size_t len;

    assert_int_equal(quorate_kv_put(n->node, "ns", "a\0b", 3, "\0\xff", 2, 0, NULL, &n->e), 0);
    assert_int_equal(quorate_kv_get(n->node, QUORATE_WEAK, "ns", "a\0b", 3, &bytes, &len, NULL, &n->e), 0);
    assert_int_equal(len, 2);
    assert_memory_equal(bytes, "\0\xff", 2);
    free(bytes);
    assert_int_equal(quorate_kv_get(n->node, QUORATE_WEAK, "ns", "a", 1, &bytes, &len, NULL, &n->e),
                     QUORATE_NOT_FOUND);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_write_tells_what_it_did),
        TEST(a_query_returns_columns_and_rows),
        TEST(many_rows_come_whole),
        TEST(values_of_every_type_go_in_and_come_out),
        TEST(several_statements_are_done_together_or_not_at_all),
        TEST(mistakes_are_told_in_sqlites_words),
        TEST(a_query_does_not_write),
        TEST(a_read_that_never_ends_ends_with_its_request),
        TEST(a_write_that_never_ends_is_refused_by_its_budget),
        TEST(bad_arguments_are_refused),
        TEST(a_command_that_is_too_large_is_refused),
        TEST(whoever_does_not_care_passes_null),
        TEST(a_key_is_put_read_and_deleted),
        TEST(another_version_is_a_conflict),
        TEST(a_key_is_created_once),
        TEST(keys_and_namespaces_out_of_bounds_are_refused),
        TEST(binary_keys_are_what_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
