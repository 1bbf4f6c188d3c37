/* A page that is not what was written is never served: not from the file, not from the WAL. */
#include <sqlite3.h>
#include <sys/stat.h>

#include "storage/page_sum.h"
#include "storage/page_vfs.h"
#include "tests/unit/storage/kit.h"

enum { FRAME_BYTES = 24 + PAGE_BYTES };

static long file_pages(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return (long)st.st_size / PAGE_BYTES;
}

static void flip(const char *path, long at)
{
    FILE *f = fopen(path, "r+b");

    assert_non_null(f);
    fseek(f, at, SEEK_SET);
    int byte = fgetc(f);
    fseek(f, at, SEEK_SET);
    fputc(byte ^ 0x10, f);
    fclose(f);
}

static void read_page(const char *path, long number, uint8_t page[PAGE_BYTES])
{
    FILE *f = fopen(path, "rb");

    assert_non_null(f);
    fseek(f, (number - 1) * PAGE_BYTES, SEEK_SET);
    assert_int_equal(fread(page, 1, PAGE_BYTES, f), PAGE_BYTES);
    fclose(f);
}

static void write_page(const char *path, long number, const uint8_t page[PAGE_BYTES])
{
    FILE *f = fopen(path, "r+b");

    assert_non_null(f);
    fseek(f, (number - 1) * PAGE_BYTES, SEEK_SET);
    assert_int_equal(fwrite(page, 1, PAGE_BYTES, f), PAGE_BYTES);
    fclose(f);
}

/* Tables of every kind, on about two dozen pages. */
static void fill(struct kit *k)
{
    kit_open_file(k);
    kit_execute(k, "CREATE TABLE t (id INTEGER PRIMARY KEY, x)");
    kit_execute(k, "CREATE INDEX i ON t (x)");
    kit_execute(k, "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 200)"
                   " INSERT INTO t SELECT x, hex(randomblob(100)) FROM c");
    kit_execute(k, "CREATE TABLE large (x)");
    kit_execute(k, "INSERT INTO large VALUES (randomblob(20000))");
    kit_put(k, "ns", "key", "value");
}

static void assert_names(const struct error *e, const char *what, long number, const char *path)
{
    char text[200];

    snprintf(text, sizeof text, "%s %ld of %s fails its checksum", what, number, path);
    if (strstr(e->text, text) == NULL) {
        fail_msg("not \"%s\", but: %s", text, e->text);
    }
}

static void every_page_of_the_file_carries_its_checksum(void **state)
{
    struct kit k;
    uint8_t page[PAGE_BYTES];
    (void)state;
    fill(&k);
    store_close(k.s);

    read_page(k.path, 1, page);
    assert_int_equal(page[20], PAGE_SUM_BYTES);
    for (long i = 1; i <= file_pages(k.path); i++) {
        read_page(k.path, i, page);
        assert_true(page_sum_ok(page, (uint64_t)i));
        page[i] ^= 1;
        assert_false(page_sum_ok(page, (uint64_t)i));
    }
    assert_int_equal(store_open(&k.config, &k.s, NULL), 0);
    assert_int_equal(store_bad_pages(k.s), 0);
    kit_close(&k);
}

/* Opening, or a scan and the index that no scan reads, come upon it. */
static void assert_found(struct kit *k, long number)
{
    struct store_check check;
    struct error e;

    if (store_open(&k->config, &k->s, &e) != 0) {
        k->s = NULL;
    } else {
        int rc = store_check(k->s, &check, &e);
        if (rc == 0) {
            kit_add_sql(k, COMMAND_SQL_EXECUTE, 0, "UPDATE t SET x = x || 'y'", NULL);
            assert_int_not_equal(kit_try(k, &e), 0);
        }
        assert_true(store_bad_pages(k->s) > 0);
        store_close(k->s);
        k->s = NULL;
        buf_clear(&k->commands);
        k->count = 0;
    }
    assert_int_equal(e.code, Q_CORRUPT);
    assert_names(&e, "page", number, k->path);
}

static void a_flipped_bit_in_any_page_is_found_and_named(void **state)
{
    struct kit k;
    (void)state;
    fill(&k);
    store_close(k.s);
    long pages = file_pages(k.path);
    assert_true(pages > 15);

    for (long i = 1; i <= pages; i++) {
        long at = (i - 1) * PAGE_BYTES + 200 + i * 97 % 3800;

        flip(k.path, at);
        assert_found(&k, i);
        flip(k.path, at);
    }

    assert_int_equal(store_open(&k.config, &k.s, NULL), 0);
    assert_int_equal(store_verify(k.s, NULL), 0);
    kit_close(&k);
}

static void a_flipped_bit_in_the_header_is_found(void **state)
{
    struct kit k;
    struct error e;
    (void)state;
    fill(&k);
    store_close(k.s);

    for (long i = 0; i < 100; i++) {
        flip(k.path, i);
        assert_int_equal(store_open(&k.config, &k.s, &e), Q_CORRUPT);
        flip(k.path, i);
    }

    assert_int_equal(store_open(&k.config, &k.s, NULL), 0);
    assert_int_equal(store_verify(k.s, NULL), 0);
    kit_close(&k);
}

static void a_whole_page_in_the_place_of_another_is_found(void **state)
{
    struct kit k;
    uint8_t page[PAGE_BYTES], other[PAGE_BYTES];
    (void)state;
    fill(&k);
    store_close(k.s);
    read_page(k.path, 6, page);
    read_page(k.path, 7, other);

    write_page(k.path, 6, other);
    assert_found(&k, 6);
    write_page(k.path, 6, page);

    assert_int_equal(store_open(&k.config, &k.s, NULL), 0);
    kit_close(&k);
}

/* The root of T, which nothing has read since the store was opened. */
static long damage_root(struct kit *k)
{
    char text[40];
    long page;

    store_close(k->s);
    assert_int_equal(store_open(&k->config, &k->s, NULL), 0);
    snprintf(text, sizeof text, "%s", kit_query(k, "SELECT rootpage FROM sqlite_schema WHERE name = 't'"));
    assert_int_equal(sscanf(text, "rows rootpage:INT | %ld", &page), 1);
    flip(k->path, (page - 1) * PAGE_BYTES + 100);
    return page;
}

static void whoever_meets_a_bad_page_says_so(void **state)
{
    struct kit k;
    struct buf command, result;
    struct command decoded;
    struct store_check check;
    struct store_position before, now;
    struct error e;
    uint64_t index;
    (void)state;
    fill(&k);
    long page = damage_root(&k);
    buf_init(&command, SIZE_MAX);
    buf_init(&result, SIZE_MAX);
    command_put_sql(&command, COMMAND_SQL_QUERY, 0, 1);
    command_put_statement(&command, "SELECT count(*) FROM t NOT INDEXED", 34, 0);
    assert_int_equal(command_decode(command.data, command.len, &decoded, &e), 0);

    assert_int_equal(store_read(k.s, &decoded, 0, &result, &index, &e), Q_CORRUPT);
    assert_names(&e, "page", page, k.path);
    assert_int_equal(result.len, 0);

    assert_int_equal(store_check(k.s, &check, &e), Q_CORRUPT);
    assert_names(&e, "page", page, k.path);

    kit_position(&k, &before);
    kit_add_sql(&k, COMMAND_SQL_EXECUTE, 0, "INSERT INTO t VALUES (1000, 'x')", NULL);
    assert_int_equal(kit_try(&k, &e), Q_CORRUPT);
    assert_names(&e, "page", page, k.path);
    kit_position(&k, &now);
    assert_memory_equal(&now, &before, sizeof now);

    assert_int_equal(store_verify(k.s, &e), Q_CORRUPT);
    assert_names(&e, "page", page, k.path);
    assert_true(store_bad_pages(k.s) >= 4);
    buf_close(&command);
    buf_close(&result);
    kit_close(&k);
}

static void a_flipped_bit_in_the_wal_is_found_by_reads_and_checkpoints(void **state)
{
    struct kit k;
    struct store_check check;
    struct error e;
    uint64_t index;
    char wal[100];
    struct stat st;
    (void)state;
    fill(&k);
    snprintf(wal, sizeof wal, "%s-wal", k.path);
    assert_int_equal(stat(wal, &st), 0);
    long frame = ((long)st.st_size - 32) / FRAME_BYTES; /* the last: the applied index */
    flip(wal, 32 + (frame - 1) * FRAME_BYTES + 24 + 1000);

    assert_int_equal(store_check(k.s, &check, &e), Q_CORRUPT);
    assert_names(&e, "frame", frame, wal);
    assert_int_equal(store_checkpoint(k.s, &index, &e), Q_CORRUPT);
    assert_names(&e, "frame", frame, wal);
    assert_true(store_bad_pages(k.s) >= 2);
    kit_close(&k);
}

static int leave_everything(void *ctx, struct error *e)
{
    (void)ctx;
    (void)e;
    return 0;
}

static void a_wal_that_an_earlier_process_left_is_verified_too(void **state)
{
    struct kit k;
    struct store_check check;
    struct error e;
    char wal[100];
    struct stat st;
    (void)state;
    fill(&k);
    snprintf(wal, sizeof wal, "%s-wal", k.path);
    /* Copies nothing back, as if the process had been killed. */
    assert_int_equal(store_swap(k.s, leave_everything, NULL, &e), 0);
    assert_int_equal(stat(wal, &st), 0);
    long frame = ((long)st.st_size - 32) / FRAME_BYTES;
    flip(wal, 32 + (frame - 1) * FRAME_BYTES + 24 + 1000);

    assert_int_equal(store_check(k.s, &check, &e), Q_CORRUPT);
    assert_names(&e, "frame", frame, wal);
    kit_close(&k);
}

/* More than the writer's cache holds: SQLite writes pages into the WAL before the commit, and writes them
 * there once more when they change again. */
static void a_transaction_that_does_not_fit_the_cache_reads_back_as_written(void **state)
{
    struct kit k;
    struct store_check check;
    uint64_t index;
    (void)state;
    fill(&k);

    for (int i = 0; i < 2; i++) {
        kit_add_sql(&k, COMMAND_SQL_EXECUTE, COMMAND_TRANSACTION,
                    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 15000)"
                    " INSERT INTO large SELECT zeroblob(3000) FROM c",
                    "UPDATE large SET x = randomblob(length(x)) WHERE rowid % 3 = 0",
                    "UPDATE large SET x = zeroblob(length(x)) WHERE rowid % 5 = 0", "DELETE FROM large",
                    NULL);
        kit_apply(&k);
        assert_int_equal(store_check(k.s, &check, NULL), 0);
        assert_true(check.ok);
        assert_int_equal(store_checkpoint(k.s, &index, NULL), 0);
        assert_int_equal(store_check(k.s, &check, NULL), 0);
    }

    assert_int_equal(store_bad_pages(k.s), 0);
    kit_close(&k);
}

static void pieces_of_a_page_are_verified_as_the_whole(void **state)
{
    struct page_vfs *vfs;
    struct kit k;
    struct error e;
    sqlite3 *db;
    sqlite3_file *file;
    uint8_t page[PAGE_BYTES], piece[2 * PAGE_BYTES];
    (void)state;
    fill(&k);
    store_close(k.s);
    k.s = NULL;
    assert_int_equal(page_vfs_new(NULL, &vfs, &e), 0);
    assert_int_equal(sqlite3_open_v2(k.path, &db, SQLITE_OPEN_READWRITE, page_vfs_name(vfs)), SQLITE_OK);
    assert_int_equal(sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file), SQLITE_OK);
    read_page(k.path, 2, page);

    assert_int_equal(file->pMethods->xRead(file, piece, 1000, PAGE_BYTES + 500), SQLITE_OK);
    assert_memory_equal(piece, page + 500, 1000);
    assert_int_equal(file->pMethods->xRead(file, piece, 2 * PAGE_BYTES, 100), SQLITE_OK);
    assert_memory_equal(piece + PAGE_BYTES - 100, page, PAGE_BYTES);
    long end = file_pages(k.path) * PAGE_BYTES;
    assert_int_equal(file->pMethods->xRead(file, piece, 2 * PAGE_BYTES, end - 10), SQLITE_IOERR_SHORT_READ);
    assert_int_equal(piece[10], 0);
    assert_int_equal(piece[2 * PAGE_BYTES - 1], 0);
    assert_int_equal(file->pMethods->xWrite(file, page, 100, PAGE_BYTES), SQLITE_IOERR_WRITE);

    flip(k.path, PAGE_BYTES + 4000);
    assert_int_equal(file->pMethods->xRead(file, piece, 1000, PAGE_BYTES + 500), SQLITE_IOERR_DATA);
    assert_int_equal(file->pMethods->xRead(file, piece, 2 * PAGE_BYTES, 100), SQLITE_IOERR_DATA);
    assert_int_equal(page_vfs_bad_pages(vfs), 2);
    sqlite3_close(db);
    page_vfs_free(vfs);
    kit_close(&k);
}

static void a_vfs_that_is_not_there_is_said(void **state)
{
    struct page_vfs *vfs;
    struct error e;
    (void)state;

    assert_int_equal(page_vfs_new("nobody", &vfs, &e), Q_NOT_FOUND);
    assert_string_equal(e.text, "there is no SQLite VFS named nobody");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_page_of_the_file_carries_its_checksum),
        cmocka_unit_test(a_flipped_bit_in_any_page_is_found_and_named),
        cmocka_unit_test(a_flipped_bit_in_the_header_is_found),
        cmocka_unit_test(a_whole_page_in_the_place_of_another_is_found),
        cmocka_unit_test(whoever_meets_a_bad_page_says_so),
        cmocka_unit_test(a_flipped_bit_in_the_wal_is_found_by_reads_and_checkpoints),
        cmocka_unit_test(a_wal_that_an_earlier_process_left_is_verified_too),
        cmocka_unit_test(a_transaction_that_does_not_fit_the_cache_reads_back_as_written),
        cmocka_unit_test(pieces_of_a_page_are_verified_as_the_whole),
        cmocka_unit_test(a_vfs_that_is_not_there_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
