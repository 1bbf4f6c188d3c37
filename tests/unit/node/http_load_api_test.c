/* POST /db/load. The replica is a fake one; the files are real. */
#include "tests/unit/node/copy_world.h"

static void post_text(struct copy_world *s, const char *text)
{
    copy_world_post(s, "/db/load", text, strlen(text));
}

/* Rows of SQL as JSON, from the store. */
static void expect_rows(struct copy_world *s, const char *target, const char *body)
{
    copy_world_get(s, target);
    copy_world_expect(s, 200, body);
}

/* The file that SQL makes; the caller frees it. */
static uint8_t *make_file(struct copy_world *s, const char *sql, size_t *ret_n)
{
    char path[300], *why = NULL;
    sqlite3 *db;
    FILE *f;

    snprintf(path, sizeof path, "%s/made", s->dir);
    unlink(path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK) {
        fail_msg("%s", why);
    }
    sqlite3_close(db);
    f = fopen(path, "r");
    fseek(f, 0, SEEK_END);
    *ret_n = (size_t)ftell(f);
    rewind(f);
    uint8_t *p = malloc(*ret_n);
    assert_int_equal(fread(p, 1, *ret_n, f), *ret_n);
    fclose(f);
    return p;
}

static void post_file(struct copy_world *s, const char *sql)
{
    size_t n;
    uint8_t *p = make_file(s, sql, &n);

    copy_world_post(s, "/db/load", p, n);
    free(p);
}

static void a_script_gives_one_result(void **state)
{
    struct copy_world *s = *state;

    post_text(s, "CREATE TABLE t (a); INSERT INTO t VALUES (1), (2);");
    copy_world_expect(s, 200, "{\"results\":[{\"last_insert_id\":2,\"rows_affected\":2}]}");
    assert_non_null(strstr((char *)s->heard.data, "Content-Type: text/plain"));
    expect_rows(s, "/db/query?q=SELECT+count(*)+AS+n+FROM+t",
                "{\"results\":[{\"columns\":[\"n\"],\"types\":[\"integer\"],\"values\":[[2]]}]}");
}

static void a_script_that_fails_leaves_nothing(void **state)
{
    struct copy_world *s = *state;

    post_text(s, "CREATE TABLE t (a); INSERT INTO t VALUES (1); INSERT INTO nope VALUES (2);");
    copy_world_expect(s, 200, "{\"results\":[{\"error\":\"no such table: nope\"}]}");
    expect_rows(s, "/db/query?q=SELECT+*+FROM+t", "{\"results\":[{\"error\":\"no such table: t\"}]}");
    post_text(s, "");
    copy_world_expect(s, 200, "{\"results\":[]}");
}

static void a_dump_is_a_script(void **state)
{
    struct copy_world *s = *state;

    post_text(s,
              "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE t (a);\n"
              "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT CASE WHEN 1 THEN 2 END; SELECT 'end'; END;\n"
              "INSERT INTO \"t\" VALUES('begin; commit;');\nCOMMIT;\n");
    copy_world_expect(s, 200, "{\"results\":[{\"last_insert_id\":1,\"rows_affected\":1}]}");
    expect_rows(
        s, "/db/query?q=SELECT+a+FROM+t",
        "{\"results\":[{\"columns\":[\"a\"],\"types\":[\"text\"],\"values\":[[\"begin; commit;\"]]}]}");
}

static void a_file_replaces_the_content(void **state)
{
    struct copy_world *s = *state;
    post_text(s, "CREATE TABLE old (a)");

    /* More than one window of pieces. */
    post_file(s,
              "CREATE TABLE t (a INTEGER PRIMARY KEY, b); WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT"
              " x + 1 FROM c LIMIT 1500) INSERT INTO t SELECT x * 2, zeroblob(500) FROM c");

    copy_world_expect(s, 200, "{\"results\":[]}");
    assert_non_null(strstr((char *)s->heard.data, "Content-Type: text/plain"));
    expect_rows(
        s, "/db/query?q=SELECT+count(*)+AS+n,max(a)+AS+m,sum(length(b))+AS+l+FROM+t",
        "{\"results\":[{\"columns\":[\"n\",\"m\",\"l\"],\"types\":[\"integer\",\"integer\",\"integer\"],"
        "\"values\":[[1500,3000,750000]]}]}");
    expect_rows(s, "/db/query?q=SELECT+*+FROM+old", "{\"results\":[{\"error\":\"no such table: old\"}]}");
    world_until(&s->w->http, copy_world_spool_is_empty, s);
}

static void what_is_no_database_changes_nothing(void **state)
{
    struct copy_world *s = *state;
    post_text(s, "CREATE TABLE old (a)");

    post_text(s, "SQLite format 3, it says");
    assert_int_equal(s->status, 400);
    assert_memory_equal(s->body, "invalid SQLite data: ", 21);
    post_file(s, "CREATE VIRTUAL TABLE v USING fts4 (a)");
    copy_world_expect(
        s, 400, "virtual tables of module fts4 are not allowed, in: CREATE VIRTUAL TABLE v USING fts4 (a)\n");
    expect_rows(s, "/db/query?q=SELECT+count(*)+AS+n+FROM+old",
                "{\"results\":[{\"columns\":[\"n\"],\"types\":[\"integer\"],\"values\":[[0]]}]}");
    expect_rows(s, "/db/query?q=SELECT+count(*)+AS+n+FROM+sqlite_schema+WHERE+name='quorate_load'",
                "{\"results\":[{\"columns\":[\"n\"],\"types\":[\"integer\"],\"values\":[[0]]}]}");
    world_until(&s->w->http, copy_world_spool_is_empty, s);
}

static void a_script_is_bounded_and_a_file_is_not(void **state)
{
    struct copy_world *s = *state;
    size_t n = 600 * 1024; /* the limit of a command here is 512 KiB */
    char *text = malloc(n);

    memset(text, ' ', n);
    copy_world_post(s, "/db/load", text, n);
    copy_world_expect(s, 413,
                      "a script of 614400 bytes is larger than 524288, the limit of one request (option "
                      "request-max)\n");
    free(text);
    post_file(s, "CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(3000000))");
    copy_world_expect(s, 200, "{\"results\":[]}");
    world_until(&s->w->http, copy_world_spool_is_empty, s);
}

static void a_full_disk_refuses_before_the_body_comes(void **state)
{
    struct copy_world *s = *state;
    int fd = world_dial(&s->w->http);
    s->w->replica.status.disk_free = 10000;
    s->w->replica.status.disk_needed = 5000;

    world_say(&s->w->http, fd,
              "POST /db/load HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5001\r\n\r\n");
    copy_world_hear(s, fd);

    copy_world_expect(s, 507, "the disk has no room for this body\n");
}

static void without_a_leader_it_ends_after_a_while(void **state)
{
    struct copy_world *s = *state;
    size_t n;
    uint8_t *p = make_file(s, "CREATE TABLE t (a)", &n);
    error_set(&s->w->replica.fail, Q_NO_LEADER, "no leader");

    copy_world_post(s, "/db/load?timeout=300ms", p, n);

    copy_world_expect(s, 503, "leader not found\n");
    assert_true(s->w->replica.submitted > 2);
    free(p);
    world_until(&s->w->http, copy_world_spool_is_empty, s);
}

static void a_client_that_stops_sending_leaves_no_file(void **state)
{
    struct copy_world *s = *state;
    int fd = world_dial(&s->w->http);

    world_say(&s->w->http, fd,
              "POST /db/load HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nSQLite format 3");
    copy_world_get(s, "/healthz");
    close(fd);
    copy_world_get(s, "/healthz");
    world_until(&s->w->http, copy_world_spool_is_empty, s);
}

static void what_a_crash_left_goes_at_the_start(void **state)
{
    struct copy_world *s = *state;
    struct error e;
    scratch_file(&s->scratch, "spool/7", "x", 1, 0600);

    assert_int_equal(spool_open(s->w->api, &e), 0);
    assert_true(copy_world_spool_is_empty(s));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, copy_world_open, copy_world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_script_gives_one_result),
        TEST(a_script_that_fails_leaves_nothing),
        TEST(a_dump_is_a_script),
        TEST(a_file_replaces_the_content),
        TEST(what_is_no_database_changes_nothing),
        TEST(a_script_is_bounded_and_a_file_is_not),
        TEST(a_full_disk_refuses_before_the_body_comes),
        TEST(without_a_leader_it_ends_after_a_while),
        TEST(a_client_that_stops_sending_leaves_no_file),
        TEST(what_a_crash_left_goes_at_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
