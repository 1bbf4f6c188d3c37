#include <pthread.h>
#include <stdatomic.h>

#include <sqlite3.h>

#include "tests/unit/storage/behind.h"
#include "tests/unit/storage/kit.h"

static const char endless[] =
    "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c";

/* A clock that goes on by a millisecond whenever it is looked at. */
static uint64_t ticks(void *ctx)
{
    return *(uint64_t *)ctx += 1000000;
}

static void put_query(struct buf *b, unsigned flags, const char *first, const char *second)
{
    buf_clear(b);
    command_put_sql(b, COMMAND_SQL_QUERY, flags, second ? 2 : 1);
    command_put_statement(b, first, strlen(first), 0);
    if (second) {
        command_put_statement(b, second, strlen(second), 0);
    }
}

static void a_statement_that_runs_too_long_is_stopped_and_the_next_one_runs(void **state)
{
    (void)state;
    uint64_t clock = 0, index;
    struct kit k;
    struct buf b;
    kit_open_memory(&k);
    k.config.elapsed_ns = ticks;
    k.config.ctx = &clock;
    kit_reopen(&k);
    buf_init(&b, SIZE_MAX);

    put_query(&b, 0, endless, "SELECT 1 AS x");
    assert_string_equal(kit_read(&k, &b, 50, &index), "error query timeout; rows x | 1");
    put_query(&b, COMMAND_TRANSACTION, endless, "SELECT 1 AS x");
    assert_string_equal(kit_read(&k, &b, 50, &index), "error query timeout");

    buf_close(&b);
    kit_close(&k);
}

static void a_timeout_does_not_outlive_its_statement(void **state)
{
    (void)state;
    uint64_t clock = 0, index;
    struct kit k;
    struct buf b;
    char key[20];
    kit_open_memory(&k);
    k.config.elapsed_ns = ticks;
    k.config.ctx = &clock;
    k.config.readers = 1;
    kit_reopen(&k);
    for (unsigned i = 0; i < 500; i++) {
        snprintf(key, sizeof key, "%03u", i);
        kit_add_put(&k, "ns", key, "x", KV_ALWAYS, 0);
    }
    kit_apply(&k);
    buf_init(&b, SIZE_MAX);
    put_query(&b, 0, endless, NULL);
    kit_read(&k, &b, 50, &index);

    put_query(&b, 0,
              "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 100000)"
              " SELECT count(*) AS n FROM c",
              NULL);
    assert_string_equal(kit_read(&k, &b, 0, &index), "rows n | 100000");
    put_query(&b, 0, "SELECT 1 AS n", NULL);
    kit_read(&k, &b, 50, &index);
    clock += 1000000000;
    buf_clear(&b);
    command_put_kv_list(&b, kit_cursor("ns"), kit_cursor(""), NULL, 1000, false);
    assert_int_equal(strncmp(kit_read(&k, &b, 0, &index), "list 000 v1, 001 v1", 19), 0);
    buf_close(&b);
    kit_close(&k);
}

/* A clock that applies an entry the first time that it is looked at while armed: in the middle of a query. */
struct meddler {
    struct kit *k;
    bool armed;
    uint64_t now;
};

static uint64_t meddle(void *ctx)
{
    struct meddler *m = ctx;

    if (m->armed && ++m->now % 8 == 0) {
        m->armed = false;
        kit_put(m->k, "ns", "a", "meanwhile");
    }
    return m->now;
}

static void an_answer_and_its_index_come_from_one_snapshot(void **state)
{
    (void)state;
    struct kit k;
    struct meddler m = {.k = &k};
    struct store_position position;
    struct buf b;
    uint64_t index;
    kit_open_file(&k);
    k.config.elapsed_ns = meddle;
    k.config.ctx = &m;
    kit_reopen(&k);
    kit_put(&k, "ns", "a", "before");
    buf_init(&b, SIZE_MAX);
    put_query(&b, 0,
              "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 100000)"
              " SELECT (SELECT count(*) FROM c) AS n, (SELECT version FROM quorate_kv) AS v",
              "SELECT version AS v FROM quorate_kv");

    m.armed = true;
    assert_string_equal(kit_read(&k, &b, 10000, &index), "rows n,v:INTEGER | 100000,1; rows v:INTEGER | 1");

    assert_false(m.armed);
    assert_int_equal(index, 1);
    kit_position(&k, &position);
    assert_int_equal(position.index, 2);
    assert_string_equal(kit_query(&k, "SELECT version AS v FROM quorate_kv"), "rows v:INTEGER | 2");
    buf_close(&b);
    kit_close(&k);
}

static void a_reader_sees_a_table_that_was_altered_since_its_last_query(void **state)
{
    (void)state;
    struct kit k;
    kit_open_file(&k);
    k.config.readers = 1;
    kit_reopen(&k);
    kit_execute(&k, "CREATE TABLE t (a)");
    kit_execute(&k, "INSERT INTO t VALUES (1)");
    assert_string_equal(kit_query(&k, "SELECT * FROM t"), "rows a | 1");

    kit_execute(&k, "ALTER TABLE t ADD COLUMN b DEFAULT 2");

    assert_string_equal(kit_query(&k, "SELECT * FROM t"), "rows a,b | 1,2");
    kit_close(&k);
}

/* Readers that look again and again while entries are applied, each of which puts both keys. */
struct crowd {
    struct kit *k;
    atomic_bool stop;
    atomic_uint looks, wrong;
};

static void *look(void *arg)
{
    struct crowd *crowd = arg;
    struct command command;
    struct buf b, result;
    struct error e;
    static const char sql[] = "SELECT (SELECT version FROM quorate_kv WHERE key = x'61'),"
                              " (SELECT version FROM quorate_kv WHERE key = x'62')";

    buf_init(&b, SIZE_MAX);
    buf_init(&result, SIZE_MAX);
    put_query(&b, 0, sql, NULL);
    if (command_decode(b.data, b.len, &command, &e)) {
        crowd->wrong++;
    }
    while (!crowd->stop) {
        struct result_sql item;
        enum result_kind kind;
        uint64_t index;

        buf_clear(&result);
        if (store_read(crowd->k->s, &command, 0, &result, &index, &e)) {
            crowd->wrong++;
            break;
        }
        struct cursor c = cursor_of(result.data, result.len);
        if (result_decode(&c, &kind, NULL, &e) || !result_next_item(&c, &item) || !result_next_row(&c)) {
            crowd->wrong++;
            break;
        }
        int64_t first = value_get(&c).integer, second = value_get(&c).integer;
        if (first != second || (uint64_t)first != index) {
            crowd->wrong++;
        }
        crowd->looks++;
    }
    buf_close(&b);
    buf_close(&result);
    return NULL;
}

static void check_crowd(struct kit *k)
{
    struct crowd crowd = {.k = k};
    pthread_t threads[4];

    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, look, &crowd), 0);
    }
    for (unsigned i = 0; i < 300 || (crowd.looks < 50 && crowd.wrong == 0); i++) {
        kit_add_put(k, "ns", "a", "x", KV_ALWAYS, 0);
        kit_add_put(k, "ns", "b", "x", KV_ALWAYS, 0);
        kit_apply(k);
    }
    crowd.stop = true;
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(crowd.wrong, 0);
    assert_true(crowd.looks >= 50);
}

static void readers_never_see_half_an_entry_of_a_file(void **state)
{
    (void)state;
    struct kit k;
    kit_open_file(&k);
    check_crowd(&k);
    kit_close(&k);
}

static void readers_never_see_half_an_entry_in_memory(void **state)
{
    (void)state;
    struct kit k;
    kit_open_memory(&k);
    check_crowd(&k);
    kit_close(&k);
}

static void stores_in_memory_know_nothing_of_each_other(void **state)
{
    (void)state;
    struct kit a, b;
    kit_open_memory(&a);
    kit_open_memory(&b);

    kit_execute(&a, "CREATE TABLE t (a)");

    assert_string_equal(kit_query(&b, "SELECT * FROM t"), "error no such table: t");
    kit_close(&a);
    kit_close(&b);
}

static void readers_keep_the_machines_clock(void **state)
{
    (void)state;
    struct kit k;
    kit_open_memory(&k);
    k.time_ms = 1000;
    kit_execute(&k, "CREATE TABLE t AS SELECT unixepoch('now') AS at");

    assert_string_equal(kit_query(&k, "SELECT at, unixepoch('now') > 1700000000 AS now FROM t"),
                        "rows at,now | 1,1");
    kit_close(&k);
}

static void a_result_that_does_not_fit_the_callers_buffer_is_an_error(void **state)
{
    (void)state;
    struct kit k;
    struct buf b, result;
    struct command command;
    struct error e;
    uint64_t index = 4711;
    kit_open_memory(&k);
    buf_init(&b, SIZE_MAX);
    buf_init(&result, 8);
    put_query(&b, 0, "SELECT 1", NULL);
    assert_int_equal(command_decode(b.data, b.len, &command, &e), 0);

    assert_int_equal(store_read(k.s, &command, 0, &result, &index, &e), Q_TOO_BIG);

    assert_int_equal(index, 4711);
    buf_close(&b);
    buf_close(&result);
    kit_close(&k);
}

static void a_scan_finds_what_no_statement_changed(void **state)
{
    (void)state;
    struct kit k;
    struct store_check check;
    struct store_position at;
    kit_open_file(&k);
    assert_int_equal(store_check(k.s, &check, NULL), 0);
    assert_true(check.ok && check.index == 0);
    kit_execute(&k, "CREATE TABLE t (id INTEGER PRIMARY KEY, x)");
    kit_execute(&k, "CREATE TABLE u (x)");
    kit_execute(&k, "INSERT INTO t VALUES (1, 'right'), (2, 'right')");
    kit_execute(&k, "CREATE VIRTUAL TABLE f USING fts5 (x)");
    kit_execute(&k, "INSERT INTO f VALUES ('some words')");
    kit_position(&k, &at);

    assert_int_equal(store_check(k.s, &check, NULL), 0);
    assert_true(check.ok);
    assert_int_equal(check.index, 5);
    assert_memory_equal(check.digest, at.digest, DIGEST_BYTES);
    assert_string_equal(check.differing, "");

    behind_run(k.path, "UPDATE t SET x = 'wrong' WHERE id = 2");
    assert_int_equal(store_check(k.s, &check, NULL), 0);
    assert_false(check.ok);
    assert_string_equal(check.differing, "t");
    assert_memory_not_equal(check.digest, at.digest, DIGEST_BYTES);

    behind_run(k.path, "DELETE FROM f_content; CREATE VIEW v AS SELECT 1");
    assert_int_equal(store_check(k.s, &check, NULL), 0);
    assert_string_equal(check.differing, "f_content, t, sqlite_schema");
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_statement_that_runs_too_long_is_stopped_and_the_next_one_runs),
        cmocka_unit_test(a_timeout_does_not_outlive_its_statement),
        cmocka_unit_test(an_answer_and_its_index_come_from_one_snapshot),
        cmocka_unit_test(a_reader_sees_a_table_that_was_altered_since_its_last_query),
        cmocka_unit_test(readers_never_see_half_an_entry_of_a_file),
        cmocka_unit_test(readers_never_see_half_an_entry_in_memory),
        cmocka_unit_test(stores_in_memory_know_nothing_of_each_other),
        cmocka_unit_test(readers_keep_the_machines_clock),
        cmocka_unit_test(a_result_that_does_not_fit_the_callers_buffer_is_an_error),
        cmocka_unit_test(a_scan_finds_what_no_statement_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
