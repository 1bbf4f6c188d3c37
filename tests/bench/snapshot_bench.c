/* snapshot_bench: what an image costs, on a real disk, and where the time goes. */
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "node/env/env_uv.h"
#include "snapshots/delta.h"
#include "snapshots/stage.h"
#include "snapshots/sweep.h"
#include "snapshots/take.h"
#include "storage/page_sum.h"

enum { STEP = 4 };

struct bench {
    struct env *env;
    char source[512], target[512], database[600];
    uint64_t rows;
};

static void must(int rc, const struct error *e)
{
    if (rc != 0) {
        fprintf(stderr, "snapshot_bench: %s\n", e->text);
        exit(1);
    }
}

static void sql(sqlite3 *db, const char *text)
{
    char *why = NULL;
    if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK) {
        fprintf(stderr, "snapshot_bench: %s\n", why);
        exit(1);
    }
}

static sqlite3 *open_database(struct bench *b)
{
    sqlite3 *db;
    int reserved = PAGE_SUM_BYTES;
    if (sqlite3_open(b->database, &db) != SQLITE_OK) {
        fprintf(stderr, "snapshot_bench: %s: %s\n", b->database, sqlite3_errmsg(db));
        exit(1);
    }
    sqlite3_file_control(db, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved);
    return db;
}

/* Every page gets its sum, as the node's own VFS would have given it. */
static uint64_t sum_pages(struct bench *b)
{
    uint8_t page[PAGE_BYTES];
    struct env_file *file;
    struct error e;
    uint64_t size;
    size_t n;
    must(env_open(b->env, b->database, ENV_WRITE, &file, &e), &e);
    must(env_size(b->env, file, &size, &e), &e);
    for (uint64_t at = 0; at < size; at += PAGE_BYTES) {
        must(env_read(b->env, file, at, page, PAGE_BYTES, &n, &e), &e);
        page_sum_set(page, at / PAGE_BYTES + 1);
        must(env_write(b->env, file, at, page, PAGE_BYTES, &e), &e);
    }
    must(env_sync(b->env, file, &e), &e);
    env_close(b->env, file);
    return size;
}

static uint64_t make_database(struct bench *b)
{
    char text[512];
    sqlite3 *db = open_database(b);
    sql(db, "PRAGMA page_size = 4096; CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, mail TEXT, n REAL)");
    snprintf(
        text, sizeof text,
        "WITH RECURSIVE c(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < %" PRIu64
        ") INSERT INTO t "
        "SELECT i, 'customer number ' || i, lower(hex(randomblob(16))) || '@example.org', i * 1.25 FROM c",
        b->rows);
    sql(db, text);
    sqlite3_close(db);
    return sum_pages(b);
}

static uint64_t change_rows(struct bench *b, const char *which)
{
    char text[256];
    sqlite3 *db = open_database(b);
    snprintf(text, sizeof text, "UPDATE t SET name = 'was ' || name WHERE %s", which);
    sql(db, text);
    sqlite3_close(db);
    return sum_pages(b);
}

static double seconds(struct bench *b, uint64_t since_us)
{
    return (double)(env_now_us(b->env) - since_us) / 1e6;
}

static void tell(const char *what, uint64_t bytes, double took)
{
    printf("%-44s %8.3f s  %7.0f MiB/s\n", what, took, (double)bytes / 1048576.0 / took);
}

/* ---- the parts by themselves ---- */

enum part { PART_READ, PART_SUM, PART_HASH, PART_PACK, PARTS };

static uint64_t do_part(enum part part, const uint8_t *plain, size_t n, struct buf *out)
{
    struct chunk_name name;
    struct error e;
    uint64_t count = 0;
    switch (part) {
    case PART_READ: break;
    case PART_SUM:
        for (size_t at = 0; at < n; at += PAGE_BYTES) {
            count += page_sum_ok(plain + at, 1);
        }
        break;
    case PART_HASH: chunk_name_of(plain, n, &name); break;
    case PART_PACK:
        buf_clear(out);
        must(chunk_encode(plain, n, out, &e), &e);
        count = out->len;
        break;
    case PARTS: break;
    }
    return count;
}

static void measure_parts(struct bench *b, uint64_t bytes)
{
    static const char *const names[PARTS] = {"reading alone", "page sums alone, with reading",
                                             "SHA-256 alone, with reading", "LZ4 alone, with reading"};
    static uint8_t plain[CHUNK_BYTES];
    struct env_file *file;
    struct buf out;
    struct error e;
    size_t n;
    buf_init(&out, CHUNK_ENCODED_MAX);
    must(env_open(b->env, b->database, 0, &file, &e), &e);
    for (unsigned part = 0; part < PARTS; part++) {
        uint64_t begin = env_now_us(b->env), sum = 0;
        for (uint64_t at = 0; at < bytes; at += n) {
            must(env_read(b->env, file, at, plain, CHUNK_BYTES, &n, &e), &e);
            sum += do_part((enum part)part, plain, n, &out);
        }
        tell(names[part], bytes, seconds(b, begin));
        if (part == PART_PACK) {
            printf("%-44s %8.1f %% of the plain bytes\n", "LZ4 leaves", 100.0 * (double)sum / (double)bytes);
        }
    }
    env_close(b->env, file);
    buf_close(&out);
}

/* ---- the whole ---- */

static void take(struct bench *b, const char *what, uint64_t bytes, uint64_t index, struct manifest *ret_m)
{
    struct chunk_store *store;
    struct catalog *catalog;
    struct take_config config = {.env = b->env, .path = b->database, .bytes = bytes};
    struct take_progress progress;
    struct take *t;
    struct error e;
    bool copied = false;
    double held;
    must(chunk_store_open(b->env, b->source, &store, &e), &e);
    must(catalog_open(b->env, b->source, &catalog, &e), &e);
    config.store = store;
    config.manifest.index = index;
    config.manifest.term = 1;
    uint64_t begin = env_now_us(b->env);
    must(take_new(&config, &t, &e), &e);
    while (!copied) {
        must(take_step(t, STEP, &copied, &e), &e);
    }
    held = seconds(b, begin);
    must(take_finish(t, catalog, &e), &e);
    tell(what, bytes, seconds(b, begin));
    take_progress(t, &progress);
    printf("%-44s %8.3f s, %" PRIu64 " new chunks, %.1f MiB new\n", "  of it held", held, progress.chunks_new,
           (double)progress.bytes_new / 1048576.0);
    must(manifest_copy(take_manifest(t), ret_m, &e), &e);
    take_free(t);
    catalog_close(catalog);
    chunk_store_close(store);
}

/* One chunk from the source's store, as a delta if the stage has something in its place; and whole if that
 * was in vain. Returns what travelled, both ways. */
static size_t fetch(struct bench *b, struct stage *s, const struct manifest *m, uint32_t chunk,
                    unsigned *in_vain)
{
    static uint8_t plain[CHUNK_BYTES];
    uint8_t sums[DELTA_SUMS_BYTES];
    struct buf encoded, delta;
    struct error e;
    bool has_base;
    size_t n, sent = 0;
    int rc = Q_CONFLICT;
    buf_init(&encoded, CHUNK_ENCODED_MAX);
    buf_init(&delta, DELTA_ENCODED_MAX);
    must(chunk_store_read(b->env, b->source, &m->chunk[chunk], &encoded, &e), &e);
    must(stage_base_sums(s, chunk, sums, &has_base, &e), &e);
    if (has_base) {
        must(chunk_decode(encoded.data, encoded.len, &m->chunk[chunk], plain, &n, &e), &e);
        must(delta_encode(plain, n, &m->chunk[chunk], sums, &delta, &e), &e);
        rc = stage_put_delta(s, chunk, delta.data, delta.len, &e);
        must(rc == Q_CONFLICT ? 0 : rc, &e);
        sent = delta.len + sizeof sums;
        *in_vain += rc == Q_CONFLICT;
    }
    if (rc == Q_CONFLICT) {
        must(stage_put(s, chunk, encoded.data, encoded.len, &e), &e);
        sent += encoded.len;
    }
    buf_close(&encoded);
    buf_close(&delta);
    return sent;
}

static void stage(struct bench *b, const char *what, const struct manifest *m)
{
    char own[600];
    snprintf(own, sizeof own, "%s/db.sqlite", b->target);
    struct stage_config config = {.env = b->env, .dir = b->target, .own_path = own};
    struct stage_progress progress;
    struct stage *s;
    struct error e;
    bool done = false;
    uint32_t chunk;
    unsigned in_vain = 0;
    uint64_t sent = 0, begin = env_now_us(b->env);
    must(stage_open(&config, m, &s, &e), &e);
    while (!done) {
        must(stage_step(s, STEP, &done, &e), &e);
    }
    double scanned = seconds(b, begin);
    for (uint32_t from = 0; stage_missing(s, from, &chunk); from = chunk + 1) {
        sent += fetch(b, s, m, chunk, &in_vain);
    }
    double fetched = seconds(b, begin);
    for (done = false; !done;) {
        must(stage_verify(s, STEP, &done, &e), &e);
    }
    double verified = seconds(b, begin);
    must(stage_finish(s, &e), &e);
    stage_progress(s, &progress);
    stage_close(s);
    double finished = seconds(b, begin);
    must(stage_swap(b->env, b->target, m->index, m->term, &e), &e);
    tell(what, m->image_bytes, seconds(b, begin));
    printf("  scan %.3f s, fetch %.3f s, verify %.3f s, finish %.3f s, swap %.3f s; %u of %u chunks reused, "
           "%u deltas in vain, %.2f MiB (%.2f %% of the image) sent\n",
           scanned, fetched - scanned, verified - fetched, finished - verified, seconds(b, begin) - finished,
           progress.chunks_reused, progress.chunks_all, in_vain, (double)sent / 1048576.0,
           100.0 * (double)sent / (double)m->image_bytes);
}

/* What a store takes that keeps all of these images, each as its difference to the one before. */
static void keep(struct bench *b, const struct manifest *m, unsigned count)
{
    char dir[600];
    struct chunk_store *store;
    struct buf encoded;
    struct error e;
    snprintf(dir, sizeof dir, "%s/../kept", b->target);
    must(env_make_dir(b->env, dir, &e), &e);
    must(chunk_store_open(b->env, dir, &store, &e), &e);
    buf_init(&encoded, CHUNK_ENCODED_MAX);
    for (unsigned i = 0; i < count; i++) {
        uint64_t stored = 0, begin = env_now_us(b->env);
        for (uint32_t c = 0; c < m[i].chunks; c++) {
            const struct chunk_name *name = &m[i].chunk[c];
            uint64_t bytes = 0;
            if (chunk_store_has(store, name)) {
                continue;
            }
            must(chunk_store_read(b->env, b->source, name, &encoded, &e), &e);
            must(i == 0 || c >= m[i - 1].chunks
                     ? chunk_store_put(store, name, encoded.data, encoded.len, &e)
                     : chunk_store_put_over(store, name, encoded.data, encoded.len, &m[i - 1].chunk[c], &e),
                 &e);
            must(chunk_store_bytes(store, name, &bytes, &e), &e);
            stored += bytes;
        }
        must(chunk_store_sync(store, &e), &e);
        printf("image %u kept: %.2f MiB new (%.1f %% of it), %.3f s\n", i + 1, (double)stored / 1048576.0,
               100.0 * (double)stored / (double)m[i].image_bytes, seconds(b, begin));
    }
    buf_close(&encoded);
    chunk_store_close(store);
}

static void run(struct bench *b)
{
    struct manifest m[4];
    struct chunk_store *store;
    struct error e;
    uint64_t chunks, removed;
    uint64_t bytes = make_database(b);
    printf("%" PRIu64 " rows, %.1f MiB\n", b->rows, (double)bytes / 1048576.0);
    measure_parts(b, bytes);
    take(b, "take", bytes, 1, &m[0]);
    take(b, "take again, nothing changed", bytes, 2, &m[1]);
    stage(b, "stage, nothing there", &m[0]);
    bytes = change_rows(b, "id % 100 = 0");
    take(b, "take, every 100th row changed", bytes, 3, &m[2]);
    stage(b, "stage, the older image there", &m[2]);
    bytes = change_rows(b, "id BETWEEN 1000 AND 1000 + (SELECT max(id) FROM t) / 100");
    take(b, "take, 1 % of the rows in a row changed", bytes, 4, &m[3]);
    stage(b, "stage, the older image there", &m[3]);
    keep(b, m, sizeof m / sizeof m[0]);
    must(chunk_store_open(b->env, b->source, &store, &e), &e);
    uint64_t begin = env_now_us(b->env);
    const struct manifest *kept = &m[3];
    must(sweep_run(store, &kept, 1, &chunks, &removed, &e), &e);
    printf("sweep: %" PRIu64 " chunks, %.1f MiB, %.3f s\n", chunks, (double)removed / 1048576.0,
           seconds(b, begin));
    chunk_store_close(store);
    for (unsigned i = 0; i < sizeof m / sizeof m[0]; i++) {
        manifest_close(&m[i]);
    }
}

/* Rows of 1 KiB, each hundredth of which gets another content, as chance will have it. */
static void run_large(struct bench *b)
{
    char text[512];
    struct manifest m[2];
    sqlite3 *db = open_database(b);
    sql(db, "DROP TABLE t; VACUUM; CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB)");
    snprintf(text, sizeof text,
             "WITH RECURSIVE c(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < %" PRIu64
             ") INSERT INTO t SELECT i, randomblob(1000) FROM c",
             b->rows / 10);
    sql(db, text);
    sqlite3_close(db);
    take(b, "take, rows of 1 KiB", sum_pages(b), 5, &m[0]);
    stage(b, "stage, another database there", &m[0]);
    db = open_database(b);
    sql(db, "UPDATE t SET v = randomblob(1000) WHERE abs(random()) % 100 = 0");
    sqlite3_close(db);
    take(b, "take, 1 % of them changed at random", sum_pages(b), 6, &m[1]);
    stage(b, "stage, the older image there", &m[1]);
    manifest_close(&m[0]);
    manifest_close(&m[1]);
}

static void closed(void *owner)
{
    (void)owner;
}

int main(int argc, char **argv)
{
    struct bench b = {.rows = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000};
    uv_loop_t loop;
    struct env_uv *u;
    struct error e;
    if (argc < 2) {
        fprintf(stderr, "usage: snapshot_bench DIR [ROWS]\n");
        return 2;
    }
    uv_loop_init(&loop);
    struct env_uv_config config = {.loop = &loop, .readers = 1};
    must(env_uv_new(&config, &u, &e), &e);
    b.env = env_uv_env(u);
    snprintf(b.source, sizeof b.source, "%s/source", argv[1]);
    snprintf(b.target, sizeof b.target, "%s/target", argv[1]);
    snprintf(b.database, sizeof b.database, "%s/db.sqlite", b.source);
    must(env_make_dir(b.env, b.source, &e), &e);
    must(env_make_dir(b.env, b.target, &e), &e);
    run(&b);
    run_large(&b);
    env_uv_close(u, closed, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    return 0;
}
