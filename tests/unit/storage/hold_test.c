/* What a held database file is while the writer goes on, and how another takes its place. */
#include <pthread.h>
#include <sched.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/storage/kit.h"

struct bytes {
    uint8_t *p;
    size_t n;
};

static struct bytes file_bytes(const char *path)
{
    struct stat st;
    FILE *f = fopen(path, "rb");

    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &st), 0);
    struct bytes b = {malloc((size_t)st.st_size + 1), (size_t)st.st_size};
    assert_int_equal(fread(b.p, 1, b.n, f), b.n);
    fclose(f);
    return b;
}

static void assert_file_is(const char *path, const struct bytes *b)
{
    struct bytes now = file_bytes(path);

    assert_int_equal(now.n, b->n);
    assert_memory_equal(now.p, b->p, b->n);
    free(now.p);
}

static void write_file(const char *path, const struct bytes *b)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(b->p, 1, b->n, f), b->n);
    fclose(f);
}

static void put(struct kit *k, unsigned i)
{
    char key[20];

    snprintf(key, sizeof key, "%u", i);
    kit_put(k, "ns", key, "value");
}

static void put_some(struct kit *k, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        put(k, i);
    }
}

static struct store_image hold(struct kit *k)
{
    struct store_image image;
    struct error e;

    if (store_hold(k->s, &image, &e)) {
        fail_msg("store_hold: %s", e.text);
    }
    return image;
}

static uint64_t checkpoint(struct kit *k)
{
    struct error e;
    uint64_t index;

    if (store_checkpoint(k->s, &index, &e)) {
        fail_msg("store_checkpoint: %s", e.text);
    }
    return index;
}

/* Opens BYTES alone as a store of its own. */
static void assert_is_database_at(struct kit *k, const struct bytes *b, const struct store_position *at)
{
    char path[100];
    struct store_config config = k->config;
    struct store_position found;
    struct store *copy;
    struct error e;

    snprintf(path, sizeof path, "%s/copy", k->dir);
    write_file(path, b);
    config.path = path;
    if (store_open(&config, &copy, &e) || store_verify(copy, &e)) {
        fail_msg("the copy: %s", e.text);
    }
    store_position(copy, &found);
    assert_memory_equal(&found, at, sizeof found);
    store_close(copy);
    remove(path);
}

static void a_held_file_stays_as_it_is_while_the_writer_goes_on(void **state)
{
    struct kit k;
    struct store_position at;
    struct error e;
    (void)state;
    kit_open_file(&k);
    put_some(&k, 30);
    kit_position(&k, &at);

    struct store_image image = hold(&k);
    struct bytes held = file_bytes(image.path);
    for (unsigned i = 0; i < 20; i++) {
        put_some(&k, 10);
        assert_int_equal(checkpoint(&k), 30);
    }

    assert_file_is(image.path, &held);
    assert_int_equal(image.bytes, held.n);
    assert_memory_equal(&image.position, &at, sizeof at);
    assert_int_equal(build_check(image.sqlite, &e), 0);
    assert_memory_equal(image.sqlite, sqlite3_libversion(), strlen("3.40"));
    assert_is_database_at(&k, &held, &at);
    free(held.p);
    kit_close(&k);
}

static void a_release_lets_the_wal_go_back(void **state)
{
    struct kit k;
    (void)state;
    kit_open_file(&k);
    put_some(&k, 3);
    struct store_image image = hold(&k);
    struct bytes held = file_bytes(image.path);
    put_some(&k, 5);
    assert_int_equal(checkpoint(&k), 3);

    store_release(k.s);

    assert_int_equal(checkpoint(&k), 8);
    struct bytes now = file_bytes(image.path);
    assert_true(now.n != held.n || memcmp(now.p, held.p, now.n) != 0);
    assert_int_equal(hold(&k).position.index, 8);
    free(now.p);
    free(held.p);
    kit_close(&k);
}

static void a_store_that_is_held_closes_and_opens_again(void **state)
{
    struct kit k;
    struct store_position at;
    (void)state;
    kit_open_file(&k);
    put_some(&k, 3);
    hold(&k);
    put_some(&k, 5);

    kit_reopen(&k);

    kit_position(&k, &at);
    assert_int_equal(at.index, 8);
    assert_int_equal(store_verify(k.s, NULL), 0);
    kit_close(&k);
}

static void a_reader_of_an_older_snapshot_is_in_the_way_of_a_hold(void **state)
{
    struct kit k;
    struct store_image image = {.bytes = 7};
    struct error e;
    sqlite3 *db;
    (void)state;
    kit_open_file(&k);
    put_some(&k, 3);
    assert_int_equal(sqlite3_open(k.path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN; SELECT * FROM quorate_state", NULL, NULL, NULL), SQLITE_OK);
    put_some(&k, 5);

    assert_int_equal(store_hold(k.s, &image, &e), Q_BUSY);
    assert_int_equal(image.bytes, 7);
    sqlite3_close(db);

    assert_int_equal(hold(&k).position.index, 8);
    kit_close(&k);
}

static void a_database_in_memory_is_neither_held_nor_swapped_nor_absent(void **state)
{
    struct kit k;
    struct store_image image;
    struct store *s;
    struct error e;
    (void)state;
    kit_open_memory(&k);

    assert_int_equal(store_hold(k.s, &image, &e), Q_INVALID);
    assert_int_equal(store_swap(k.s, NULL, NULL, &e), Q_INVALID);
    assert_int_equal(store_open_absent(&k.config, &s, &e), Q_INVALID);

    kit_close(&k);
}

/* A swap, as who has an image does it. */
struct change {
    struct kit *k;
    struct bytes image;
    enum error_code fails;
};

static int replace(void *ctx, struct error *e)
{
    struct change *c = ctx;
    char wal[100];

    if (c->fails != Q_OK) {
        return error_set(e, c->fails, "no");
    }
    snprintf(wal, sizeof wal, "%s-wal", c->k->path);
    unlink(wal);
    unlink(c->k->path);
    write_file(c->k->path, &c->image);
    return 0;
}

static void assert_at(struct kit *k, uint64_t index)
{
    struct store_position at;

    kit_position(k, &at);
    assert_int_equal(at.index, index);
    assert_int_equal(store_verify(k->s, NULL), 0);
}

static void a_swap_puts_another_database_in_the_place_of_this_one(void **state)
{
    struct kit k;
    struct change change = {.k = &k};
    struct error e;
    (void)state;
    kit_open_file(&k);
    put_some(&k, 3);
    change.image = file_bytes(hold(&k).path);
    store_release(k.s);
    kit_execute(&k, "CREATE TABLE late(x)");
    put_some(&k, 50);
    checkpoint(&k);
    put_some(&k, 50);

    assert_int_equal(store_swap(k.s, replace, &change, &e), 0);

    assert_at(&k, 3);
    assert_string_equal(kit_query(&k, "SELECT count(*) AS n FROM quorate_kv"), "rows n | 3");
    put_some(&k, 5);
    assert_int_equal(checkpoint(&k), 8);
    kit_reopen(&k);
    assert_at(&k, 8);
    free(change.image.p);
    kit_close(&k);
}

/* A read that lasts, on a thread of its own. The store asks for the time when it is at work. */
struct reading {
    struct store *s;
    atomic_bool started;
    enum error_code rc;
};

static uint64_t notice_start(void *ctx)
{
    struct reading *r = ctx;

    r->started = true;
    return 0;
}

static void *read_long(void *ctx)
{
    struct reading *r = ctx;
    struct buf command, result;
    struct command decoded;
    struct error e;
    uint64_t index;
    static const char sql[] = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 300000)"
                              " SELECT max(x) FROM c, quorate_state";

    buf_init(&command, SIZE_MAX);
    buf_init(&result, SIZE_MAX);
    command_put_sql(&command, COMMAND_SQL_QUERY, 0, 1);
    command_put_statement(&command, sql, strlen(sql), 0);
    assert_int_equal(command_decode(command.data, command.len, &decoded, &e), 0);
    r->rc = (enum error_code)store_read(r->s, &decoded, 0, &result, &index, &e);
    buf_close(&command);
    buf_close(&result);
    return NULL;
}

static void a_swap_waits_for_the_reads_that_are_running(void **state)
{
    struct kit k;
    struct reading reading = {.rc = Q_UNKNOWN};
    struct change change = {.k = &k};
    struct error e;
    pthread_t thread;
    (void)state;
    kit_open_file(&k);
    put_some(&k, 3);
    change.image = file_bytes(hold(&k).path);
    k.config.elapsed_ns = notice_start;
    k.config.ctx = &reading;
    kit_reopen(&k);
    reading.s = k.s;
    assert_int_equal(pthread_create(&thread, NULL, read_long, &reading), 0);
    while (!reading.started) {
        sched_yield();
    }

    assert_int_equal(store_swap(k.s, replace, &change, &e), 0);
    pthread_join(thread, NULL);

    assert_int_equal(reading.rc, Q_OK);
    assert_at(&k, 3);
    free(change.image.p);
    kit_close(&k);
}

static void after_a_swap_that_failed_there_is_no_database_until_one_succeeds(void **state)
{
    struct kit k;
    struct change change = {.k = &k, .fails = Q_IO};
    struct store_position at;
    struct store_image image;
    struct error e;
    uint64_t index;
    (void)state;
    kit_open_file(&k);
    put_some(&k, 3);
    change.image = file_bytes(hold(&k).path);

    assert_int_equal(store_swap(k.s, replace, &change, &e), Q_IO);

    kit_position(&k, &at);
    assert_int_equal(store_verify(k.s, &e), Q_CORRUPT);
    assert_int_equal(store_apply(k.s, at.index + 1, 1, NULL, 0, &k.results, &e), Q_CORRUPT);
    assert_int_equal(store_checkpoint(k.s, &index, &e), Q_CORRUPT);
    assert_int_equal(store_hold(k.s, &image, &e), Q_CORRUPT);
    assert_non_null(strstr(e.text, "was being replaced when that failed"));

    change.fails = Q_OK;
    assert_int_equal(store_swap(k.s, replace, &change, &e), 0);
    assert_at(&k, 3);
    put_some(&k, 2);
    free(change.image.p);
    kit_close(&k);
}

static void an_absent_database_answers_nothing_until_a_swap_brings_one(void **state)
{
    struct kit k, absent;
    struct change change = {.k = &absent};
    struct store_position at;
    struct store_check check;
    struct error e;
    uint64_t index;
    (void)state;
    kit_open_file(&k);
    put_some(&k, 3);
    change.image = file_bytes(hold(&k).path);
    kit_open_file(&absent);
    store_close(absent.s);
    unlink(absent.path);

    assert_int_equal(store_open_absent(&absent.config, &absent.s, &e), 0);
    kit_position(&absent, &at);
    assert_int_equal(at.index, 0);
    assert_int_equal(store_apply(absent.s, 1, 1, NULL, 0, &absent.results, &e), Q_CORRUPT);
    assert_int_equal(store_check(absent.s, &check, &e), Q_CORRUPT);
    assert_int_equal(store_checkpoint(absent.s, &index, &e), Q_CORRUPT);
    assert_non_null(strstr(e.text, "has no database yet"));
    assert_int_not_equal(access(absent.path, F_OK), 0);

    assert_int_equal(store_swap(absent.s, replace, &change, &e), 0);
    assert_at(&absent, 3);
    put_some(&absent, 2);
    free(change.image.p);
    kit_close(&absent);
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_held_file_stays_as_it_is_while_the_writer_goes_on),
        cmocka_unit_test(a_release_lets_the_wal_go_back),
        cmocka_unit_test(a_store_that_is_held_closes_and_opens_again),
        cmocka_unit_test(a_reader_of_an_older_snapshot_is_in_the_way_of_a_hold),
        cmocka_unit_test(a_database_in_memory_is_neither_held_nor_swapped_nor_absent),
        cmocka_unit_test(a_swap_puts_another_database_in_the_place_of_this_one),
        cmocka_unit_test(a_swap_waits_for_the_reads_that_are_running),
        cmocka_unit_test(after_a_swap_that_failed_there_is_no_database_until_one_succeeds),
        cmocka_unit_test(an_absent_database_answers_nothing_until_a_swap_brings_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
