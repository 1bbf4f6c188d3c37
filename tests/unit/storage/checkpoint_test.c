#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "tests/unit/storage/faulty_vfs.h"
#include "tests/unit/storage/kit.h"

static void copy_file(const char *from, const char *to)
{
    char bytes[65536];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    size_t n;

    assert_non_null(in);
    assert_non_null(out);
    while ((n = fread(bytes, 1, sizeof bytes, in)) > 0) {
        assert_int_equal(fwrite(bytes, 1, n, out), n);
    }
    fclose(in);
    fclose(out);
}

/* The applied index in a copy of the database file, and of its WAL if wanted. */
static uint64_t index_on_disk(struct kit *k, bool with_wal)
{
    char path[100], from[100], to[120];
    sqlite3 *db;
    sqlite3_stmt *statement;

    snprintf(path, sizeof path, "%s/copy", k->dir);
    copy_file(k->path, path);
    if (with_wal) {
        snprintf(from, sizeof from, "%s-wal", k->path);
        snprintf(to, sizeof to, "%s-wal", path);
        copy_file(from, to);
    }
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(db, "SELECT value FROM quorate_state WHERE key = 'index'", -1, &statement, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    uint64_t index = (uint64_t)sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    remove(path);
    return index;
}

static off_t wal_bytes(struct kit *k)
{
    char path[100];
    struct stat st;

    snprintf(path, sizeof path, "%s-wal", k->path);
    return stat(path, &st) == 0 ? st.st_size : 0;
}

/* How often it has started anew: bytes 12 to 15 of its header, big-endian. */
static uint32_t wal_sequence(struct kit *k)
{
    char path[100];
    uint8_t header[16];

    snprintf(path, sizeof path, "%s-wal", k->path);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fread(header, 1, sizeof header, f), sizeof header);
    fclose(f);
    return (uint32_t)header[12] << 24 | (uint32_t)header[13] << 16 | (uint32_t)header[14] << 8 | header[15];
}

static void put_some(struct kit *k, unsigned entries)
{
    char key[20], value[500];

    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    for (unsigned i = 0; i < entries; i++) {
        for (unsigned j = 0; j < 10; j++) {
            snprintf(key, sizeof key, "%u", (i * 10 + j) % 500);
            kit_add_put(k, "ns", key, value, KV_ALWAYS, 0);
        }
        kit_apply(k);
    }
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

static void after_a_checkpoint_the_database_file_alone_holds_its_index(void **state)
{
    (void)state;
    struct kit k;
    kit_open_file(&k);
    put_some(&k, 20);
    assert_int_equal(checkpoint(&k), 20);
    put_some(&k, 5);

    assert_int_equal(index_on_disk(&k, false), 20);
    assert_int_equal(checkpoint(&k), 25);
    assert_int_equal(index_on_disk(&k, false), 25);
    assert_int_equal(checkpoint(&k), 25);
    assert_int_equal(store_verify(k.s, NULL), 0);
    kit_close(&k);
}

static void nothing_is_copied_without_a_checkpoint(void **state)
{
    (void)state;
    struct kit k;
    kit_open_file(&k);
    assert_int_equal(checkpoint(&k), 0);

    put_some(&k, 300);

    assert_int_equal(index_on_disk(&k, false), 0);
    assert_int_equal(index_on_disk(&k, true), 300);
    kit_close(&k);
}

static void the_wal_starts_anew_after_a_checkpoint(void **state)
{
    (void)state;
    struct kit k;
    kit_open_file(&k);
    put_some(&k, 50);
    checkpoint(&k);
    off_t once = wal_bytes(&k);

    for (unsigned i = 0; i < 10; i++) {
        put_some(&k, 40);
        checkpoint(&k);
    }

    assert_true(once > 0);
    assert_true(wal_bytes(&k) <= once);
    kit_close(&k);
}

/* A writer that never rests. */
struct writer {
    struct kit *k;
    atomic_bool stop;
};

static void *write_on(void *arg)
{
    struct writer *w = arg;

    while (!w->stop) {
        put_some(w->k, 1);
    }
    return NULL;
}

static void wait_for_entries(struct kit *k, uint64_t n)
{
    struct store_position position;

    kit_position(k, &position);
    for (uint64_t last = position.index + n; position.index < last; kit_position(k, &position)) {
        sched_yield();
    }
}

static void checkpoints_keep_up_with_a_writer_that_never_rests(void **state)
{
    (void)state;
    struct kit k;
    struct writer writer = {.k = &k};
    struct store_position position;
    pthread_t thread;
    kit_open_file(&k);
    put_some(&k, 1);
    assert_int_equal(pthread_create(&thread, NULL, write_on, &writer), 0);

    for (unsigned i = 0; i < 6; i++) {
        struct store_position before;

        kit_position(&k, &before);
        uint64_t index = checkpoint(&k);
        kit_position(&k, &position);
        assert_true(index >= before.index && index <= position.index);
        assert_int_equal(index_on_disk(&k, false), index);
        wait_for_entries(&k, 20);
    }

    writer.stop = true;
    pthread_join(thread, NULL);
    kit_position(&k, &position);
    /* An entry writes ten pages or more, so without new starts the WAL would be larger by far. */
    assert_true((uint64_t)wal_bytes(&k) < position.index * 4096 * 5);
    assert_int_equal(checkpoint(&k), position.index);
    assert_int_equal(index_on_disk(&k, false), position.index);
    kit_close(&k);
}

/* Readers of which there is always one in the middle of its query. */
static void *read_on(void *arg)
{
    struct writer *w = arg;
    struct command command;
    struct buf b, result;
    struct error e;
    uint64_t index;
    static const char sql[] =
        "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 1000)"
        " SELECT count(*) FROM c";

    buf_init(&b, SIZE_MAX);
    buf_init(&result, SIZE_MAX);
    command_put_sql(&b, COMMAND_SQL_QUERY, 0, 1);
    command_put_statement(&b, sql, strlen(sql), 0);
    int rc = command_decode(b.data, b.len, &command, &e);
    while (rc == 0 && !w->stop) {
        rc = store_read(w->k->s, &command, 0, &result, &index, &e);
        buf_clear(&result);
    }
    buf_close(&b);
    buf_close(&result);
    return NULL;
}

static void checkpoints_start_the_wal_anew_under_readers_that_never_rest(void **state)
{
    (void)state;
    struct kit k;
    struct writer others = {.k = &k};
    pthread_t threads[5];
    kit_open_file(&k);
    k.config.readers = 4;
    kit_reopen(&k);
    put_some(&k, 1);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, i == 0 ? write_on : read_on, &others), 0);
    }

    uint32_t before = wal_sequence(&k);
    for (unsigned i = 0; i < 200 && wal_sequence(&k) - before < 3; i++) {
        wait_for_entries(&k, 5);
        checkpoint(&k);
    }

    others.stop = true;
    for (size_t i = 0; i < 5; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_true(wal_sequence(&k) - before >= 3);
    kit_close(&k);
}

/* A clock that, the first time that it is looked at while armed, writes and checkpoints: while a query runs.
 */
struct meddler {
    struct kit *k;
    unsigned armed; /* how many times it will write and checkpoint */
    uint64_t now, index;
    bool wal_dirty; /* after one of the checkpoints */
};

static uint64_t meddle(void *ctx)
{
    struct meddler *m = ctx;

    if (m->armed > 0 && ++m->now % 8 == 0) {
        for (; m->armed > 0; m->armed--) {
            put_some(m->k, 3);
            m->index = checkpoint(m->k);
            assert_int_equal(index_on_disk(m->k, true), m->index);
            m->wal_dirty = m->wal_dirty || faulty_vfs_wal_is_dirty();
        }
    }
    return m->now;
}

/* Entries 1 and 2, and a query that has their snapshot while M meddles TIMES times. */
static void query_while_meddled_with(struct kit *k, struct meddler *m, unsigned times)
{
    static const char sql[] =
        "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 100000)"
        " SELECT count(*) AS n FROM c";
    struct buf b;
    uint64_t index;

    k->config.elapsed_ns = meddle;
    k->config.ctx = m;
    kit_reopen(k);
    put_some(k, 2);
    buf_init(&b, SIZE_MAX);
    command_put_sql(&b, COMMAND_SQL_QUERY, 0, 1);
    command_put_statement(&b, sql, strlen(sql), 0);

    m->armed = times;
    assert_string_equal(kit_read(k, &b, 10000, &index), "rows n | 100000");

    assert_int_equal(index, 2);
    buf_close(&b);
}

static void a_reader_of_an_old_snapshot_does_not_hinder_durability(void **state)
{
    (void)state;
    struct kit k;
    struct meddler m = {.k = &k};
    kit_open_file(&k);

    query_while_meddled_with(&k, &m, 1);

    assert_int_equal(m.index, 5);
    assert_int_equal(checkpoint(&k), 5);
    assert_int_equal(index_on_disk(&k, false), 5);
    kit_close(&k);
}

static void what_a_reader_keeps_in_the_wal_is_synced_there(void **state)
{
    (void)state;
    struct kit k;
    struct meddler m = {.k = &k};
    faulty_vfs_register();
    kit_open_file(&k);
    k.config.vfs = FAULTY_VFS;

    query_while_meddled_with(&k, &m, 3);

    assert_int_equal(m.index, 11);
    assert_false(m.wal_dirty);
    kit_close(&k);
    faulty_vfs_unregister();
}

static void no_page_is_copied_before_the_wal_is_synced(void **state)
{
    (void)state;
    struct kit k;
    faulty_vfs_register();
    kit_open_file(&k);
    k.config.vfs = FAULTY_VFS;
    kit_reopen(&k);
    faulty_vfs_database_ran_ahead(); /* a new database is not a WAL's */

    put_some(&k, 20);
    assert_true(faulty_vfs_wal_is_dirty());
    checkpoint(&k);

    assert_false(faulty_vfs_database_ran_ahead());
    kit_close(&k);
    faulty_vfs_unregister();
}

static void a_sync_that_fails_is_an_error(void **state)
{
    (void)state;
    struct kit k;
    struct error e;
    uint64_t index = 4711;
    faulty_vfs_register();
    kit_open_file(&k);
    k.config.vfs = FAULTY_VFS;
    kit_reopen(&k);
    put_some(&k, 3);

    faulty_vfs_fail_syncs(SQLITE_IOERR_FSYNC);
    assert_int_equal(store_checkpoint(k.s, &index, &e), Q_IO);
    faulty_vfs_fail_syncs(SQLITE_OK);
    assert_non_null(strstr(e.text, "sync of /tmp/"));
    assert_non_null(strstr(e.text, ": Input/output error"));

    assert_int_equal(index, 4711);
    kit_close(&k);
    faulty_vfs_unregister();
}

/* When there is nothing to copy SQLite syncs nothing, but we do. */
static void a_sync_behind_sqlites_back_that_fails_is_told_in_words(void **state)
{
    (void)state;
    struct kit k;
    struct error e;
    uint64_t index;
    faulty_vfs_register();
    kit_open_file(&k);
    k.config.vfs = FAULTY_VFS;
    kit_reopen(&k);
    put_some(&k, 3);
    assert_int_equal(store_checkpoint(k.s, &index, &e), 0);

    faulty_vfs_fail_syncs(SQLITE_IOERR_FSYNC);
    assert_int_equal(store_checkpoint(k.s, &index, &e), Q_IO);
    faulty_vfs_fail_syncs(SQLITE_OK);

    assert_non_null(strstr(e.text, "checkpoint: sync: disk I/O error"));
    assert_non_null(strstr(e.text, k.path));
    kit_close(&k);
    faulty_vfs_unregister();
}

static void a_full_disk_is_an_error(void **state)
{
    (void)state;
    struct kit k;
    struct error e;
    uint64_t index = 4711;
    faulty_vfs_register();
    kit_open_file(&k);
    k.config.vfs = FAULTY_VFS;
    kit_reopen(&k);
    put_some(&k, 3);

    faulty_vfs_fail_writes(SQLITE_FULL);
    assert_int_equal(store_checkpoint(k.s, &index, &e), Q_NO_SPACE);
    faulty_vfs_fail_writes(SQLITE_OK);

    assert_int_equal(index, 4711);
    kit_close(&k);
    faulty_vfs_unregister();
}

static void a_store_in_memory_only_says_its_index(void **state)
{
    (void)state;
    struct kit k;
    kit_open_memory(&k);
    put_some(&k, 3);

    assert_int_equal(checkpoint(&k), 3);
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_a_checkpoint_the_database_file_alone_holds_its_index),
        cmocka_unit_test(nothing_is_copied_without_a_checkpoint),
        cmocka_unit_test(the_wal_starts_anew_after_a_checkpoint),
        cmocka_unit_test(checkpoints_keep_up_with_a_writer_that_never_rests),
        cmocka_unit_test(checkpoints_start_the_wal_anew_under_readers_that_never_rest),
        cmocka_unit_test(a_reader_of_an_old_snapshot_does_not_hinder_durability),
        cmocka_unit_test(what_a_reader_keeps_in_the_wal_is_synced_there),
        cmocka_unit_test(no_page_is_copied_before_the_wal_is_synced),
        cmocka_unit_test(a_sync_that_fails_is_an_error),
        cmocka_unit_test(a_sync_behind_sqlites_back_that_fails_is_told_in_words),
        cmocka_unit_test(a_full_disk_is_an_error),
        cmocka_unit_test(a_store_in_memory_only_says_its_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
