/* The whole content is replaced by that of an SQLite file, through the log. */
#include "storage/load.h"

#include <unistd.h>

#include "storage/load_source.h"
#include "tests/unit/storage/kit.h"
#include "tests/unit/storage/nasty.h"

struct scene {
    struct kit kit;
    char source[100];
    uint64_t load, pieces;
};

static struct scene scene;

static int set_up(void **state)
{
    struct scene *s = &scene;

    memset(s, 0, sizeof *s);
    kit_open_file(&s->kit);
    snprintf(s->source, sizeof s->source, "%s/so?u#rce", s->kit.dir);
    s->load = 77;
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;

    unlink(s->source);
    kit_close(&s->kit);
    return 0;
}

/* A file that SQL made. */
static void make_source(struct scene *s, const char *sql)
{
    sqlite3 *db;

    unlink(s->source);
    assert_int_equal(sqlite3_open(s->source, &db), SQLITE_OK);
    nasty_run(db, sql);
    sqlite3_close(db);
}

static const char *step(struct scene *s, enum load_step what, uint64_t number, const void *p, size_t n)
{
    struct load_command load = {.step = what, .load = s->load, .number = number, .bytes = cursor_of(p, n)};
    struct buf b;

    buf_init(&b, SIZE_MAX);
    command_put_load(&b, &load);
    kit_add_bytes(&s->kit, &b);
    buf_close(&b);
    kit_apply(&s->kit);
    return kit_result(&s->kit, 0);
}

/* Every piece of the source, of PIECE bytes. */
static void send_pieces(struct scene *s, size_t piece)
{
    struct load_source *source;
    struct buf stream;
    struct error e;
    bool end = false;

    if (load_source_open(s->source, NULL, &source, &e) != 0) {
        fail_msg("%s", e.text);
    }
    buf_init(&stream, SIZE_MAX);
    s->pieces = 0;
    while (!end) {
        if (load_source_read(source, piece, &stream, &end, &e) != 0) {
            fail_msg("%s", e.text);
        }
        for (size_t at = 0; at < stream.len; at += piece) {
            size_t n = stream.len - at < piece ? stream.len - at : piece;
            assert_string_equal(step(s, LOAD_PIECE, ++s->pieces, stream.data + at, n), "load changed");
        }
        buf_clear(&stream);
    }
    buf_close(&stream);
    load_source_close(source);
}

static void load_all(struct scene *s)
{
    assert_string_equal(step(s, LOAD_BEGIN, 0, NULL, 0), "load changed");
    send_pieces(s, LOAD_PIECE_MAX);
    assert_string_equal(step(s, LOAD_FINISH, s->pieces, NULL, 0), "load changed");
}

static void verify(struct scene *s)
{
    struct error e;

    if (store_verify(s->kit.s, &e) != 0) {
        fail_msg("%s", e.text);
    }
}

static void expect_copy(struct scene *s)
{
    sqlite3 *from, *to;

    assert_int_equal(sqlite3_open_v2(s->source, &from, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_open_v2(s->kit.path, &to, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    nasty_same(from, to);
    sqlite3_close(from);
    sqlite3_close(to);
}

static void the_old_content_goes_and_the_new_one_comes(void **state)
{
    struct scene *s = *state;
    kit_execute(&s->kit, "CREATE TABLE old (a)");
    kit_execute(&s->kit, "INSERT INTO old VALUES (1)");
    kit_execute(&s->kit, "CREATE VIEW older AS SELECT * FROM old");
    make_source(s, "CREATE TABLE new (a); INSERT INTO new VALUES (2), (3)");

    load_all(s);

    assert_string_equal(kit_query(&s->kit, "SELECT a FROM new"), "rows a | 2 | 3");
    assert_string_equal(kit_query(&s->kit, "SELECT name FROM sqlite_schema WHERE name LIKE 'old%'"),
                        "rows name:TEXT");
    verify(s);
}

static void what_is_hard_to_copy_comes_as_it_was(void **state)
{
    struct scene *s = *state;
    make_source(s, nasty_sql);

    load_all(s);

    expect_copy(s);
    verify(s);
}

static void pieces_of_any_size_come_in_any_order_and_twice(void **state)
{
    struct scene *s = *state;
    make_source(s, nasty_sql);
    step(s, LOAD_BEGIN, 0, NULL, 0);

    send_pieces(s, 100);
    assert_true(s->pieces > 20);
    assert_string_equal(step(s, LOAD_BEGIN, 0, NULL, 0), "load as it was");
    send_pieces(s, 100);

    assert_string_equal(step(s, LOAD_FINISH, s->pieces, NULL, 0), "load changed");
    assert_string_equal(step(s, LOAD_FINISH, s->pieces, NULL, 0), "load as it was");
    expect_copy(s);
}

static void the_same_content_again_has_the_same_digest(void **state)
{
    struct scene *s = *state;
    struct store_position once, twice;
    make_source(s, nasty_sql);
    load_all(s);
    kit_position(&s->kit, &once);
    kit_execute(&s->kit, "INSERT INTO plain VALUES (77, 'more', 1, 1)");

    s->load = 77; /* finished: a new one has another number */
    s->load++;
    load_all(s);
    s->load = 77;
    make_source(s, nasty_sql);
    load_all(s);

    kit_position(&s->kit, &twice);
    assert_memory_equal(once.digest, twice.digest, DIGEST_BYTES);
    verify(s);
}

static void clients_go_on_with_what_was_loaded(void **state)
{
    struct scene *s = *state;
    make_source(s, nasty_sql);
    load_all(s);

    assert_string_equal(kit_execute(&s->kit, "INSERT INTO words VALUES ('a quick one', 3)"), "write 3/1");
    assert_string_equal(kit_execute(&s->kit, "INSERT INTO counted (x) VALUES ('next')"), "write 1001/1");
    assert_string_equal(kit_execute(&s->kit, "INSERT INTO boxes VALUES (3, 5, 9)"), "write 3/1");
    assert_string_equal(kit_query(&s->kit, "SELECT rowid FROM words WHERE words MATCH 'quick'"),
                        "rows rowid:INTEGER | 1 | 3");
    assert_string_equal(kit_query(&s->kit, "SELECT count(*) FROM boxes WHERE x0 <= 5 AND x1 >= 7"),
                        "rows count(*) | 3");
    assert_string_equal(kit_execute(&s->kit, "INSERT INTO words (words) VALUES ('integrity-check')"),
                        "write 0/1");
    verify(s);
    kit_reopen(&s->kit);
    assert_string_equal(kit_execute(&s->kit, "INSERT INTO words (words) VALUES ('integrity-check')"),
                        "write 0/1");
}

static void the_store_keeps_what_is_its_own(void **state)
{
    struct scene *s = *state;
    kit_put(&s->kit, "app", "key", "value");
    make_source(s, "CREATE TABLE quorate_kv (ns, key); CREATE TABLE quorate_state (x); CREATE TABLE t (a)");

    load_all(s);

    assert_string_equal(kit_query(&s->kit, "SELECT key, value FROM quorate_kv"),
                        "rows key:BLOB,value:BLOB | x'6b6579',x'76616c7565'");
    assert_string_equal(kit_query(&s->kit, "SELECT count(*) FROM t"), "rows count(*) | 0");
}

/* FINISH fails with TEXT, and everything is as it was. */
static void expect_refusal(struct scene *s, const char *source, const char *text)
{
    struct store_position before, after;
    make_source(s, source);
    step(s, LOAD_BEGIN, 0, NULL, 0);
    send_pieces(s, LOAD_PIECE_MAX);
    kit_position(&s->kit, &before);

    assert_string_equal(step(s, LOAD_FINISH, s->pieces, NULL, 0), text);

    kit_position(&s->kit, &after);
    assert_memory_equal(before.digest, after.digest, DIGEST_BYTES);
    assert_string_equal(kit_query(&s->kit, "SELECT a FROM old"), "rows a | 1");
    assert_string_equal(step(s, LOAD_ABORT, 0, NULL, 0), "load changed");
    verify(s);
}

static void what_cannot_be_here_leaves_everything_as_it_was(void **state)
{
    struct scene *s = *state;
    kit_execute(&s->kit, "CREATE TABLE old (a)");
    kit_execute(&s->kit, "INSERT INTO old VALUES (1)");

    expect_refusal(
        s, "CREATE TABLE t (a); INSERT INTO t (rowid) VALUES (9223372036854775807)",
        "failed invalid: the rowid 9223372036854775807 is not allowed: after it SQLite chooses rowids "
        "at random");
    expect_refusal(
        s, "CREATE VIRTUAL TABLE t USING fts4 (a)",
        "failed sql: virtual tables of module fts4 are not allowed, in: CREATE VIRTUAL TABLE t USING "
        "fts4 (a)");
}

static void the_rules_of_foreign_keys_hold(void **state)
{
    struct scene *s = *state;
    store_close(s->kit.s);
    s->kit.config.foreign_keys = true;
    assert_int_equal(store_open(&s->kit.config, &s->kit.s, NULL), 0);
    kit_execute(&s->kit, "CREATE TABLE old (a)");
    kit_execute(&s->kit, "INSERT INTO old VALUES (1)");

    expect_refusal(
        s,
        "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p); INSERT INTO c VALUES (5)",
        "failed invalid: table c breaks a foreign key");
    make_source(s, "CREATE TABLE c (p REFERENCES p); CREATE TABLE p (id INTEGER PRIMARY KEY);"
                   "INSERT INTO c VALUES (5); INSERT INTO p VALUES (5)");
    load_all(s);
    assert_string_equal(kit_execute(&s->kit, "INSERT INTO c VALUES (6)"),
                        "error FOREIGN KEY constraint failed");
}

static void a_load_with_pieces_missing_is_not_finished(void **state)
{
    struct scene *s = *state;
    kit_execute(&s->kit, "CREATE TABLE old (a)");
    make_source(s, nasty_sql);
    step(s, LOAD_BEGIN, 0, NULL, 0);
    send_pieces(s, 1000);

    assert_string_equal(step(s, LOAD_FINISH, s->pieces + 1, NULL, 0),
                        "failed conflict: pieces of the load are missing");
    assert_string_equal(step(s, LOAD_FINISH, s->pieces - 1, NULL, 0),
                        "failed conflict: pieces of the load are missing");
    assert_string_equal(kit_query(&s->kit, "SELECT count(*) FROM old"), "rows count(*) | 0");
}

static void bytes_that_are_no_stream_change_nothing(void **state)
{
    struct scene *s = *state;
    static const char *const garbage[] = {"x", "\1\0\0\0\0", "\5\0\0\0\0", "\1\x09\0\0\0\1\0\0\0\0\0\0\0\0",
                                          "\2\x09\0\0\0DROP TABL"};
    static const size_t bytes[] = {1, 5, 5, 14, 14};
    kit_execute(&s->kit, "CREATE TABLE old (a)");

    for (unsigned i = 0; i < 5; i++) {
        s->load++;
        step(s, LOAD_BEGIN, 0, NULL, 0);
        step(s, LOAD_PIECE, 1, garbage[i], bytes[i]);
        assert_string_equal(step(s, LOAD_FINISH, 1, NULL, 0),
                            "failed invalid: the pieces are not the stream of a load");
    }
    assert_string_equal(kit_query(&s->kit, "SELECT count(*) FROM old"), "rows count(*) | 0");
    verify(s);
}

/* A pseudo-random number below N; always the same ones. */
static size_t draw(uint64_t *seed, size_t n)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (size_t)(*seed >> 33) % n;
}

/* Damaged in some bytes: it may be refused, or be another content; the store goes on. */
static void a_stream_with_wrong_bytes_harms_nobody(void **state)
{
    struct scene *s = *state;
    struct load_source *source;
    struct buf stream;
    uint64_t seed = 1;
    bool end = false;
    unsigned refused = 0;
    make_source(s, nasty_sql);
    buf_init(&stream, SIZE_MAX);
    assert_int_equal(load_source_open(s->source, NULL, &source, NULL), 0);
    assert_int_equal(load_source_read(source, SIZE_MAX, &stream, &end, NULL), 0);
    load_source_close(source);

    for (unsigned i = 0; i < 100; i++) {
        uint8_t *wrong = malloc(stream.len);

        memcpy(wrong, stream.data, stream.len);
        for (unsigned j = 0; j <= i % 3; j++) {
            wrong[draw(&seed, stream.len)] = (uint8_t)draw(&seed, 256);
        }
        s->load++;
        step(s, LOAD_BEGIN, 0, NULL, 0);
        step(s, LOAD_PIECE, 1, wrong, stream.len - (i % 10 == 0 ? draw(&seed, stream.len) : 0));
        refused += strcmp(step(s, LOAD_FINISH, 1, NULL, 0), "load changed") != 0;
        free(wrong);
        verify(s);
    }
    assert_true(refused > 20 && refused < 100);
    buf_close(&stream);
}

static void who_begins_later_wins(void **state)
{
    struct scene *s = *state;
    make_source(s, "CREATE TABLE t (a)");
    step(s, LOAD_BEGIN, 0, NULL, 0);
    step(s, LOAD_PIECE, 1, "x", 1);
    s->load = 78;
    load_all(s);

    s->load = 77;
    assert_string_equal(step(s, LOAD_PIECE, 2, "x", 1),
                        "failed conflict: another load has begun meanwhile, or this one was given up");
    assert_string_equal(step(s, LOAD_ABORT, 0, NULL, 0), "load as it was");
    assert_string_equal(kit_query(&s->kit, "SELECT count(*) FROM t"), "rows count(*) | 0");
}

static void a_client_does_not_write_the_pieces(void **state)
{
    struct scene *s = *state;
    step(s, LOAD_BEGIN, 0, NULL, 0);

    assert_string_equal(kit_execute(&s->kit, "DELETE FROM quorate_load"),
                        "error quorate_load is reserved: names that begin with quorate_ are the store's own");
}

static void expect_no_source(struct scene *s, const char *begins)
{
    struct load_source *source;
    struct error e;

    assert_int_equal(load_source_open(s->source, NULL, &source, &e), Q_INVALID);
    if (strncmp(e.text, begins, strlen(begins)) != 0) {
        fail_msg("%s", e.text);
    }
}

static void a_file_that_is_damaged_is_no_source(void **state)
{
    struct scene *s = *state;
    FILE *f;
    make_source(
        s, "CREATE TABLE t (a PRIMARY KEY); WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM"
           " c LIMIT 5000) INSERT INTO t SELECT x FROM c");

    f = fopen(s->source, "r+");
    fseek(f, 3 * 4096 + 2000, SEEK_SET);
    for (int i = 0; i < 300; i++) {
        fputc(0x5a, f);
    }
    fclose(f);
    expect_no_source(s, "invalid SQLite data: ");
    f = fopen(s->source, "w");
    fputs("SQLite format 3, it says", f);
    fclose(f);
    expect_no_source(s, "invalid SQLite data: ");
}

static void text_of_another_encoding_becomes_utf_8(void **state)
{
    struct scene *s = *state;
    make_source(s, "PRAGMA encoding = 'UTF-16le'; PRAGMA page_size = 512; CREATE TABLE t (a); INSERT INTO t "
                   "VALUES ('h\xc3\xa9')");

    load_all(s);

    assert_string_equal(kit_query(&s->kit, "SELECT a, hex(a) FROM t"),
                        "rows a,hex(a) | 'h\xc3\xa9','68C3A9'");
}

static void what_the_header_says_comes_along(void **state)
{
    struct scene *s = *state;
    make_source(s, "PRAGMA user_version = -5; PRAGMA application_id = 1234; PRAGMA journal_mode = WAL; "
                   "CREATE TABLE t (a)");

    load_all(s);

    assert_string_equal(kit_query(&s->kit, "PRAGMA user_version"), "rows user_version | -5");
    assert_string_equal(kit_query(&s->kit, "PRAGMA application_id"), "rows application_id | 1234");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_old_content_goes_and_the_new_one_comes),
        TEST(what_is_hard_to_copy_comes_as_it_was),
        TEST(pieces_of_any_size_come_in_any_order_and_twice),
        TEST(the_same_content_again_has_the_same_digest),
        TEST(clients_go_on_with_what_was_loaded),
        TEST(the_store_keeps_what_is_its_own),
        TEST(what_cannot_be_here_leaves_everything_as_it_was),
        TEST(the_rules_of_foreign_keys_hold),
        TEST(a_load_with_pieces_missing_is_not_finished),
        TEST(bytes_that_are_no_stream_change_nothing),
        TEST(a_stream_with_wrong_bytes_harms_nobody),
        TEST(who_begins_later_wins),
        TEST(a_client_does_not_write_the_pieces),
        TEST(a_file_that_is_damaged_is_no_source),
        TEST(text_of_another_encoding_becomes_utf_8),
        TEST(what_the_header_says_comes_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
