/* GET /db/backup. The replica is a fake one; the files are real. */
#include <zlib.h>

#include "snapshots/catalog.h"
#include "snapshots/chunk_store.h"
#include "snapshots/take.h"
#include "tests/unit/node/copy_world.h"

static void must(int rc, const struct error *e)
{
    if (rc != 0) {
        fail_msg("%s", e->text);
    }
}

static void put_entry(struct store *store, const char *sql, uint64_t index)
{
    struct batch batch = {.index = index, .term = 1, .commands = 1, .time_ms = 1};
    struct buf command, entry, results;
    struct error e;

    buf_init(&command, SIZE_MAX);
    buf_init(&entry, SIZE_MAX);
    buf_init(&results, SIZE_MAX);
    command_put_sql(&command, COMMAND_SQL_EXECUTE, 0, 1);
    command_put_statement(&command, sql, strlen(sql), 0);
    batch_put_header(&entry, &batch);
    buf_put_blob(&entry, command.data, command.len);
    must(store_apply(store, index, 1, entry.data, entry.len, &results, &e), &e);
    buf_close(&command);
    buf_close(&entry);
    buf_close(&results);
}

/* A store's file of some chunks, as image 40 of term 3. */
static void take_image(struct copy_world *s)
{
    struct env *env = env_uv_env(s->env);
    char path[300];
    struct store_config config = {.path = path, .readers = 1, .result_max = 1024 * 1024};
    struct chunk_store *chunks;
    struct catalog *catalog;
    struct store *store;
    struct take *take;
    struct error e;
    struct stat st;
    bool copied = false;

    snprintf(path, sizeof path, "%s/db.sqlite", s->dir);
    must(store_open(&config, &store, &e), &e);
    put_entry(store, "CREATE TABLE t (a, b)", 1);
    put_entry(store,
              "WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c LIMIT 700)"
              " INSERT INTO t SELECT x, hex(randomblob(500)) FROM c",
              2);
    store_close(store);
    assert_int_equal(stat(path, &st), 0);
    must(chunk_store_open(env, s->dir, &chunks, &e), &e);
    must(catalog_open(env, s->dir, &catalog, &e), &e);
    struct take_config taking = {.env = env,
                                 .path = path,
                                 .bytes = (uint64_t)st.st_size,
                                 .store = chunks,
                                 .manifest = {.index = 40, .term = 3, .node = 1, .made_ms = 1234}};
    must(take_new(&taking, &take, &e), &e);
    while (!copied) {
        must(take_step(take, 1, &copied, &e), &e);
    }
    must(take_finish(take, catalog, &e), &e);
    assert_true(take_manifest(take)->chunks > 2);
    take_free(take);
    catalog_close(catalog);
    chunk_store_close(chunks);
    s->w->replica.snapshot_index = 40;
    s->w->replica.snapshot_term = 3;
}

static bool has_header(struct copy_world *s, const char *line)
{
    return memmem(s->heard.data, (size_t)(s->body - s->heard.data), line, strlen(line)) != NULL;
}

static size_t image_bytes(struct copy_world *s)
{
    return strtoul(strstr((char *)s->heard.data, "Content-Length: ") + 16, NULL, 10);
}

/* What came opens with SQLite, is sound, and answers. */
static void expect_database(struct copy_world *s, const void *p, size_t n)
{
    const char *path = scratch_file(&s->scratch, "copy", p, n, 0600);
    sqlite3 *db;
    sqlite3_stmt *row;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(db, "SELECT count(*), sum(a), (SELECT * FROM pragma_integrity_check) FROM t", -1,
                           &row, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(row, 0), 700);
    assert_int_equal(sqlite3_column_int(row, 1), 245350);
    assert_string_equal((const char *)sqlite3_column_text(row, 2), "ok");
    sqlite3_finalize(row);
    sqlite3_close(db);
}

static void the_database_comes_as_a_file(void **state)
{
    struct copy_world *s = *state;
    take_image(s);

    copy_world_get(s, "/db/backup");

    assert_int_equal(s->status, 200);
    assert_true(has_header(s, "Content-Type: application/octet-stream\r\n"));
    assert_true(has_header(s, "X-Quorate-Index: 40\r\n"));
    assert_memory_equal(s->body, "SQLite format 3", 16);
    assert_int_equal(s->body[18], 2);
    expect_database(s, s->body, s->body_len);
    assert_int_equal(s->w->replica.seen.level, READ_LINEARIZABLE);
    assert_true(s->w->replica.touched > 2);
}

static void without_a_wal_if_that_is_asked_for(void **state)
{
    struct copy_world *s = *state;
    take_image(s);

    copy_world_get(s, "/db/backup?fmt=delete&noleader");

    assert_int_equal(s->body[18], 1);
    assert_int_equal(s->body[19], 1);
    expect_database(s, s->body, s->body_len);
    assert_int_equal(s->w->replica.submitted, 0);
}

/* The pieces of a chunked body, put together in place. */
static size_t unchunk(uint8_t *p)
{
    uint8_t *to = p, *at = p;
    char *end;
    size_t n;

    while ((n = strtoul((char *)at, &end, 16)) > 0) {
        memmove(to, end + 2, n);
        to += n;
        at = (uint8_t *)end + 2 + n + 2;
    }
    assert_memory_equal(at, "0\r\n\r\n", 5);
    return (size_t)(to - p);
}

static void compressed_it_is_a_gzip_file_of_unknown_length(void **state)
{
    struct copy_world *s = *state;
    static uint8_t plain[4 * 1024 * 1024];
    z_stream z = {.next_out = plain, .avail_out = sizeof plain};
    take_image(s);

    copy_world_get(s, "/db/backup?compress");

    assert_true(has_header(s, "Transfer-Encoding: chunked\r\n"));
    buf_put_u8(&s->heard, 0);
    s->body = memmem(s->heard.data, s->heard.len, "\r\n\r\n", 4);
    z.next_in = (uint8_t *)(uintptr_t)s->body + 4;
    z.avail_in = (unsigned)unchunk(z.next_in);
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(z.avail_in, 0);
    expect_database(s, plain, z.total_out);
    inflateEnd(&z);
}

static void the_content_comes_as_sql(void **state)
{
    struct copy_world *s = *state;
    post(s->w, "/db/execute",
         "[\"CREATE TABLE a (x)\", \"INSERT INTO a VALUES (1)\", \"CREATE TABLE b (x)\"]");

    copy_world_get(s, "/db/backup?fmt=sql");
    copy_world_expect(s, 200,
                      "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE a (x);\n"
                      "INSERT INTO \"a\" VALUES(1);\nCREATE TABLE b (x);\nCOMMIT;\n");
    assert_true(has_header(s, "Content-Type: application/sql\r\n"));
    copy_world_get(s, "/db/backup?fmt=sql&tables=b");
    copy_world_expect(s, 200, "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE b (x);\nCOMMIT;\n");
    world_until(&s->w->http, copy_world_spool_is_empty, s);
}

static void what_cannot_be_is_said(void **state)
{
    struct copy_world *s = *state;

    copy_world_get(s, "/db/backup?fmt=sql&vacuum");
    copy_world_expect(s, 500, "invalid backup format\n");
    copy_world_get(s, "/db/backup?fmt=sql&tables=nope");
    copy_world_expect(s, 404, "no such table: nope\n");
    error_set(&s->w->replica.take_fails, Q_INVALID, "the database is in memory");
    copy_world_get(s, "/db/backup");
    copy_world_expect(s, 400, "the database is in memory\n");
    error_set(&s->w->replica.fail, Q_NO_LEADER, "no leader");
    copy_world_get(s, "/db/backup");
    copy_world_expect(s, 503, "leader not found\n");
    world_until(&s->w->http, copy_world_spool_is_empty, s);
}

static void head_says_how_long_it_is(void **state)
{
    struct copy_world *s = *state;
    int fd = world_dial(&s->w->http);
    take_image(s);

    world_say(&s->w->http, fd, "HEAD /db/backup HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    copy_world_hear(s, fd);

    assert_int_equal(s->status, 200);
    assert_int_equal(s->body_len, 0);
    assert_true(image_bytes(s) > 2 * CHUNK_BYTES);
}

static void the_next_request_of_the_connection_is_answered_behind_it(void **state)
{
    struct copy_world *s = *state;
    int fd = world_dial(&s->w->http);
    take_image(s);

    world_say(&s->w->http, fd,
              "GET /db/backup HTTP/1.1\r\nHost: h\r\n\r\n"
              "GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    copy_world_hear(s, fd);

    size_t image = image_bytes(s);
    assert_true(s->body_len > image);
    assert_memory_equal(s->body + image, "HTTP/1.1 200 OK", 15);
}

/* Flips a bit of the largest chunk's file. */
static void damage_chunks(struct copy_world *s)
{
    char command[400];

    snprintf(command, sizeof command,
             "for f in %s/chunks/*; do printf x | dd of=$f bs=1 seek=40 conv=notrunc 2>/dev/null; done",
             s->dir);
    assert_int_equal(system(command), 0);
}

static void a_damaged_chunk_cuts_the_client_off(void **state)
{
    struct copy_world *s = *state;
    take_image(s);
    damage_chunks(s);

    copy_world_get(s, "/db/backup");

    size_t promised = image_bytes(s);
    assert_int_equal(s->status, 200);
    assert_true(s->body_len < promised);
    assert_int_equal(s->w->replica.damaged, 1);
    assert_true(s->w->replica.damaged_chunk);
}

static void a_client_that_goes_leaves_nothing_behind(void **state)
{
    struct copy_world *s = *state;
    int fd = world_dial(&s->w->http);
    take_image(s);

    world_say(&s->w->http, fd, "GET /db/backup HTTP/1.1\r\nHost: h\r\n\r\n");
    world_hear(&s->w->http, fd, "SQLite format");
    close(fd);
    copy_world_get(s, "/db/backup?noleader");

    expect_database(s, s->body, s->body_len);
    /* What is left would be found at the end. */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, copy_world_open, copy_world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_database_comes_as_a_file),
        TEST(without_a_wal_if_that_is_asked_for),
        TEST(compressed_it_is_a_gzip_file_of_unknown_length),
        TEST(the_content_comes_as_sql),
        TEST(what_cannot_be_is_said),
        TEST(head_says_how_long_it_is),
        TEST(the_next_request_of_the_connection_is_answered_behind_it),
        TEST(a_damaged_chunk_cuts_the_client_off),
        TEST(a_client_that_goes_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
