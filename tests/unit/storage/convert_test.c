/* A database from before there were checksums opens as it was, on pages that have room for them. */
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/page_sum.h"
#include "storage/writer.h"
#include "tests/lib/sim.h"
#include "tests/unit/storage/kit.h"

/* As a store before: no bytes reserved, nothing verified. */
struct old {
    struct writer *writer;
    _Atomic uint64_t wal_bytes, members_version;
};

static const char *const history[] = {
    "CREATE TABLE t (id INTEGER PRIMARY KEY, x)",
    "CREATE TABLE gaps (x)",
    "CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, x)",
    "CREATE TABLE keyed (k TEXT PRIMARY KEY, x REAL) WITHOUT ROWID",
    "CREATE INDEX i ON gaps (lower(x), sin(rowid))",
    "CREATE VIRTUAL TABLE f USING fts5 (words)",
    "CREATE VIEW v AS SELECT x FROM gaps",
    "CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO counted (x) VALUES (new.x); END",
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 300)"
    " INSERT INTO gaps SELECT hex(randomblob(60)) FROM c",
    "INSERT INTO t SELECT rowid, x FROM gaps",
    "DELETE FROM gaps WHERE rowid % 3 <> 0",
    "DELETE FROM counted WHERE id > 250",
    "INSERT INTO keyed SELECT x, rowid / 7.0 FROM gaps",
    "INSERT INTO f SELECT 'word' || rowid || ' and ' || x FROM gaps",
    "INSERT INTO gaps VALUES (randomblob(30000))",
    "ANALYZE",
};

enum { HISTORY = sizeof history / sizeof history[0] };

static void apply_old(struct old *o, uint64_t index, const char *sql)
{
    struct batch head = {.term = 1, .index = index, .time_ms = 1, .commands = 1};
    struct buf command, entry, results;
    struct error e;

    buf_init(&command, SIZE_MAX);
    buf_init(&entry, SIZE_MAX);
    buf_init(&results, SIZE_MAX);
    command_put_sql(&command, COMMAND_SQL_EXECUTE, 0, 1);
    command_put_statement(&command, sql, strlen(sql), 0);
    batch_put_header(&entry, &head);
    buf_put_blob(&entry, command.data, command.len);
    if (writer_apply(o->writer, index, 1, entry.data, entry.len, &results, &e)) {
        fail_msg("%s", e.text);
    }
    buf_close(&command);
    buf_close(&entry);
    buf_close(&results);
}

/* N entries of the history. ret_position: what a store must have after it. */
static void make_old(const char *path, const char *vfs, unsigned n, struct store_position *ret_position)
{
    struct old o = {.writer = NULL};
    struct writer_config config = {
        .place = {.name = path, .vfs = vfs},
        .result_max = STORE_RESULT_MIN,
        .instructions_max = STORE_INSTRUCTIONS_DEFAULT,
        .wal_bytes = &o.wal_bytes,
        .members_version = &o.members_version,
    };
    struct error e;

    if (writer_new(&config, &o.writer, &e)) {
        fail_msg("%s", e.text);
    }
    for (unsigned i = 0; i < n; i++) {
        apply_old(&o, i + 1, history[i]);
    }
    *ret_position = (struct store_position){.index = writer_state(o.writer)->index,
                                            .term = writer_state(o.writer)->term,
                                            .time_ms = writer_state(o.writer)->time_ms};
    writer_digest(o.writer, ret_position->digest);
    writer_free(o.writer);
}

struct said {
    unsigned lines;
    char line[4][600];
};

static void hear(void *ctx, const char *line)
{
    struct said *s = ctx;

    assert_true(s->lines < 4);
    snprintf(s->line[s->lines++], sizeof s->line[0], "%s", line);
}

static void open_old(struct kit *k, unsigned entries, struct store_position *ret_position)
{
    kit_open_file(k);
    store_close(k->s);
    k->s = NULL;
    remove(k->path);
    make_old(k->path, NULL, entries, ret_position);
}

static int file_byte(const char *path, long at)
{
    FILE *f = fopen(path, "rb");

    assert_non_null(f);
    fseek(f, at, SEEK_SET);
    int byte = fgetc(f);
    fclose(f);
    return byte;
}

static void assert_all_pages_have_sums(const char *path)
{
    uint8_t page[PAGE_BYTES];
    FILE *f = fopen(path, "rb");
    uint64_t n = 0;

    assert_non_null(f);
    while (fread(page, 1, sizeof page, f) == sizeof page) {
        assert_true(page_sum_ok(page, ++n));
    }
    assert_true(n > 10);
    fclose(f);
}

static void assert_nothing_is_left(struct kit *k)
{
    char path[120];

    snprintf(path, sizeof path, "%s-converted", k->path);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void an_old_database_is_converted_row_for_row_and_says_so(void **state)
{
    struct kit k;
    struct store_position was, is;
    struct said said = {.lines = 0};
    struct error e;
    uint64_t index;
    char expected[200], rowids[8192];
    struct stat st;
    (void)state;
    open_old(&k, HISTORY, &was);
    assert_int_equal(file_byte(k.path, 20), 0);
    assert_int_equal(stat(k.path, &st), 0);
    k.config.say = hear;
    k.config.say_ctx = &said;

    assert_int_equal(store_open(&k.config, &k.s, &e), 0);

    kit_position(&k, &is);
    assert_memory_equal(&is, &was, sizeof is);
    assert_int_equal(store_verify(k.s, NULL), 0);
    snprintf(expected, sizeof expected, "converting database=%s bytes=%ld", k.path, (long)st.st_size);
    assert_string_equal(said.line[0], expected);
    snprintf(expected, sizeof expected, "converted database=%s", k.path);
    assert_string_equal(said.line[1], expected);
    assert_int_equal(said.lines, 2);
    assert_nothing_is_left(&k);
    snprintf(rowids, sizeof rowids, "%s", kit_query(&k, "SELECT group_concat(rowid) AS r FROM gaps"));
    assert_non_null(strstr(rowids, "3,6,9,12"));
    assert_string_equal(kit_query(&k, "PRAGMA integrity_check"), "rows integrity_check | 'ok'");

    assert_int_equal(store_checkpoint(k.s, &index, &e), 0);
    assert_int_equal(file_byte(k.path, 20), PAGE_SUM_BYTES);
    assert_all_pages_have_sums(k.path);
    kit_execute(&k, "INSERT INTO gaps VALUES ('after')");
    kit_reopen(&k);
    assert_int_equal(said.lines, 2);
    assert_int_equal(store_bad_pages(k.s), 0);
    assert_int_equal(store_verify(k.s, NULL), 0);
    kit_close(&k);
}

static void an_old_database_without_an_entry_is_converted(void **state)
{
    struct kit k;
    struct store_position was, is;
    struct error e;
    (void)state;
    open_old(&k, 0, &was);

    assert_int_equal(store_open(&k.config, &k.s, &e), 0);

    kit_position(&k, &is);
    assert_int_equal(is.index, 0);
    assert_memory_equal(is.digest, was.digest, DIGEST_BYTES);
    kit_execute(&k, "CREATE TABLE t (x)");
    kit_close(&k);
}

static void an_old_database_whose_rows_are_not_those_of_its_digest_is_corrupt(void **state)
{
    struct kit k;
    struct store_position was;
    struct error e;
    (void)state;
    open_old(&k, HISTORY, &was);
    char sql[] = "UPDATE t SET x = 'wrong' WHERE id = 7";
    sqlite3 *db;
    assert_int_equal(sqlite3_open(k.path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);

    for (int i = 0; i < 2; i++) {
        assert_int_equal(store_open(&k.config, &k.s, &e), Q_CORRUPT);
        assert_nothing_is_left(&k);
        assert_non_null(strstr(e.text, "converted, its rows differ from its digest: t"));
    }

    k.s = NULL;
    kit_close(&k);
}

static void a_database_of_somebody_else_is_not_touched(void **state)
{
    struct kit k;
    struct error e;
    sqlite3 *db;
    (void)state;
    kit_open_file(&k);
    store_close(k.s);
    k.s = NULL;
    remove(k.path);
    assert_int_equal(sqlite3_open(k.path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE theirs (x)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);

    assert_int_equal(store_open(&k.config, &k.s, &e), Q_MISMATCH);

    assert_non_null(strstr(e.text, "it has tables, but not those of a store"));
    assert_int_equal(file_byte(k.path, 20), 0);
    kit_close(&k);
}

/* One bit of the header says that there is no room for checksums. */
static void a_database_with_checksums_is_not_taken_for_an_old_one(void **state)
{
    struct kit k;
    struct error e;
    char text[200];
    (void)state;
    kit_open_file(&k);
    kit_execute(&k, "CREATE TABLE t (x)");
    store_close(k.s);
    k.s = NULL;
    FILE *f = fopen(k.path, "r+b");
    fseek(f, 20, SEEK_SET);
    fputc(0, f);
    fclose(f);

    assert_int_equal(store_open(&k.config, &k.s, &e), Q_CORRUPT);

    snprintf(text, sizeof text, "page 1 of %s fails its checksum", k.path);
    assert_non_null(strstr(e.text, text));
    kit_close(&k);
}

/* The power goes in the STEPS-th operation on the disk; then the node starts again. False: it came through.
 */
static bool cut_at(unsigned steps)
{
    struct sim *sim = sim_new(steps);
    struct sim_node *node = sim_node_new(sim, "n");
    struct store_config config = {
        .path = "/db", .vfs = sim_node_vfs(node), .readers = 1, .result_max = STORE_RESULT_MIN};
    struct store_position was, is;
    struct store *s = NULL;
    struct error e;
    uint64_t index;

    sim_node_boot(node);
    make_old("/db", config.vfs, HISTORY, &was);
    sim_node_crash_in(node, steps);
    bool cut = store_open(&config, &s, &e) != 0 || store_checkpoint(s, &index, &e) != 0;
    sim_node_kill(node);
    store_close(s);
    sim_node_boot(node);
    if (store_open(&config, &s, &e) != 0 || store_verify(s, &e) != 0 ||
        store_checkpoint(s, &index, &e) != 0) {
        fail_msg("cut in operation %u: %s", steps, e.text);
    }
    store_position(s, &is);
    assert_memory_equal(&is, &was, sizeof is);
    assert_int_equal(store_bad_pages(s), 0);
    sim_node_kill(node);
    store_close(s);
    sim_free(sim);
    return cut;
}

static void a_power_cut_at_any_point_of_a_conversion_leaves_the_old_or_the_new(void **state)
{
    unsigned steps = 1, cuts = 0;
    (void)state;

    while (cut_at(steps)) {
        steps += 1 + steps / 12;
        cuts++;
    }

    assert_true(cuts > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_old_database_is_converted_row_for_row_and_says_so),
        cmocka_unit_test(an_old_database_without_an_entry_is_converted),
        cmocka_unit_test(an_old_database_whose_rows_are_not_those_of_its_digest_is_corrupt),
        cmocka_unit_test(a_database_of_somebody_else_is_not_touched),
        cmocka_unit_test(a_database_with_checksums_is_not_taken_for_an_old_one),
        cmocka_unit_test(a_power_cut_at_any_point_of_a_conversion_leaves_the_old_or_the_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
