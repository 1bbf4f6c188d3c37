#include "node/http/dump_api.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/plant.h"
#include "node/http/exchange.h"
#include "node/http/gzip.h"
#include "node/http/params.h"
#include "node/http/spool.h"
#include "snapshots/catalog.h"
#include "snapshots/chunk_store.h"
#include "storage/page_sum.h"

enum {
    BACKUP_MAGIC = 0x44504231,
    BACKUP_KEEP_MS = 10 * 60 * 1000, /* for a client that takes nothing */
    TABLES_MAX = 4096,
    PIECE_BYTES = CHUNK_BYTES, /* of a file, too */
    JOURNAL_AT = 18,           /* in an SQLite file: how it is written and read, two bytes */
    JOURNAL_ROLLBACK = 1,
};

enum format { FORMAT_WAL, FORMAT_DELETE, FORMAT_SQL };

struct options {
    enum format format;
    bool compress;
    char tables[TABLES_MAX]; /* "": all */
};

/* One client that gets a copy. */
struct backup {
    OBJECT_MAGIC;
    struct list link; /* in the api */
    struct api *api;  /* NULL: it has been closed; the lanes do not look at it */
    struct env *env;
    char dir[REPLICA_DIR_MAX]; /* the node's */
    struct http_request *http;
    struct options options;
    struct http_stream stream;
    bool gone, damaged;
    struct replica_take take;
    struct replica_dump dump;
    char path[SPOOL_PATH_MAX]; /* of a dump; "" while there is none */
    struct manifest manifest;
    uint32_t chunk; /* the next one */
    struct env_file *file;
    uint64_t offset;
    struct gzip *gzip; /* NULL: as it is */
    uint8_t *plain;    /* CHUNK_BYTES */
    struct env_work work;
    struct buf piece;
    bool last;
    int rv;
    struct error error;
};

static struct backup *backup_of(struct env_work *work)
{
    return CAST(struct backup, CONTAINER_OF(work, struct backup, work), BACKUP_MAGIC);
}

static void run(struct backup *b, void (*on_lane)(struct env_work *), void (*done)(struct env_work *))
{
    b->work = (struct env_work){.run = on_lane, .done = done, .lane = ENV_READER};
    env_run(b->env, &b->work);
}

/* ---- the end ---- */

static void clean_on_lane(struct env_work *work)
{
    struct backup *b = backup_of(work);

    env_close(b->env, b->file);
    if (b->path[0] != '\0') {
        env_unlink(b->env, b->path, NULL);
    }
}

static void cleaned(struct env_work *work)
{
    struct backup *b = backup_of(work);

    list_remove(&b->link);
    gzip_free(b->gzip);
    manifest_close(&b->manifest);
    buf_close(&b->piece);
    free(b->plain);
    b->magic = 0;
    free(b);
}

static void backup_end(struct backup *b)
{
    run(b, clean_on_lane, cleaned);
}

static void refuse(struct backup *b, const struct error *why)
{
    http_respond_text(b->http, why->code == Q_CONFLICT ? 503 : exchange_status(why->code), why->text);
    backup_end(b);
}

/* ---- pieces, on the lane ---- */

static int read_chunk(struct backup *b, const uint8_t **ret_p, size_t *ret_n, struct error *e)
{
    const struct chunk_name *name = &b->manifest.chunk[b->chunk];
    struct buf encoded;
    int rv;

    buf_init(&encoded, CHUNK_ENCODED_MAX);
    rv = chunk_store_read(b->env, b->dir, name, &encoded, e);
    if (rv == 0) {
        rv = chunk_decode(encoded.data, encoded.len, name, b->plain, ret_n, e);
        b->damaged = rv == Q_CORRUPT;
    }
    buf_close(&encoded);
    if (rv != 0) {
        return rv;
    }
    if (b->chunk == 0 && b->options.format == FORMAT_DELETE) {
        b->plain[JOURNAL_AT] = b->plain[JOURNAL_AT + 1] = JOURNAL_ROLLBACK;
        page_sum_set(b->plain, 1);
    }
    b->chunk++;
    b->last = b->chunk == b->manifest.chunks || PLANTED("a_backup_ends_with_its_first_chunk");
    *ret_p = b->plain;
    return 0;
}

static int read_file(struct backup *b, const uint8_t **ret_p, size_t *ret_n, struct error *e)
{
    int rv = b->file != NULL ? 0 : env_open(b->env, b->path, 0, &b->file, e);

    rv = rv == 0 ? env_read(b->env, b->file, b->offset, b->plain, PIECE_BYTES, ret_n, e) : rv;
    if (rv == 0) {
        b->offset += *ret_n;
        b->last = b->offset >= b->dump.bytes;
        *ret_p = b->plain;
        rv = *ret_n > 0 || b->last ? 0 : error_set(e, Q_IO, "%s is shorter than it was", b->path);
    }
    return rv;
}

static int make_piece(struct backup *b, struct error *e)
{
    const uint8_t *p;
    size_t n;

    while (b->piece.len == 0 && !b->last) {
        int rv = b->options.format == FORMAT_SQL ? read_file(b, &p, &n, e) : read_chunk(b, &p, &n, e);
        if (rv != 0) {
            return rv;
        }
        if (b->gzip != NULL) {
            gzip_put(b->gzip, p, n, b->last, &b->piece, NULL);
        } else {
            buf_put_bytes(&b->piece, p, n);
        }
        if (buf_check(&b->piece, "a piece of the backup", e) != 0) {
            return (int)e->code;
        }
    }
    return 0;
}

static void piece_on_lane(struct env_work *work)
{
    struct backup *b = backup_of(work);

    b->rv = make_piece(b, &b->error);
}

/* CHUNK NULL: of the manifest. */
static void tell_damage(struct backup *b, const struct chunk_name *chunk)
{
    if (b->damaged && b->api != NULL) {
        replica_snapshot_damaged(b->api->config.replica, b->take.index, b->take.term, chunk, &b->error);
    }
}

static void piece_made(struct env_work *work)
{
    struct backup *b = backup_of(work);

    if (b->gone) {
        backup_end(b);
        return;
    }
    if (b->rv != 0) {
        tell_damage(b, &b->manifest.chunk[b->chunk]);
        http_stream_fail(&b->stream);
        backup_end(b);
    } else {
        b->work.run = NULL; /* the lane is free: the stream may end */
        if (!http_stream_put(&b->stream, &b->piece, b->last)) {
            backup_end(b);
        }
    }
}

static void on_wanted(struct http_stream *stream)
{
    struct backup *b = CAST(struct backup, CONTAINER_OF(stream, struct backup, stream), BACKUP_MAGIC);

    if (b->options.format != FORMAT_SQL) {
        /* If it is gone all the same, a chunk will be missing, which is seen then. */
        replica_touch_snapshot(b->api->config.replica, b->take.index, b->take.term);
    }
    run(b, piece_on_lane, piece_made);
}

static void on_ended(struct http_stream *stream)
{
    struct backup *b = CAST(struct backup, CONTAINER_OF(stream, struct backup, stream), BACKUP_MAGIC);

    if (b->work.run != NULL) {
        b->gone = true; /* the lane still has it */
    } else {
        backup_end(b);
    }
}

static void respond(struct backup *b, const char *type, uint64_t index, uint64_t bytes)
{
    char text[24];

    b->work.run = NULL;
    snprintf(text, sizeof text, "%" PRIu64, index);
    http_set_header(b->http, "X-Quorate-Index", text);
    b->stream = (struct http_stream){
        .length = b->gzip != NULL ? UINT64_MAX : bytes, .wanted = on_wanted, .ended = on_ended};
    if (!http_respond_stream(b->http, 200, type, &b->stream)) {
        backup_end(b);
    }
}

/* ---- an image ---- */

static int read_manifest(struct backup *b, struct error *e)
{
    struct buf bytes;
    int rv;

    buf_init(&bytes, MANIFEST_BYTES_MAX);
    rv = catalog_read(b->env, b->dir, b->take.index, b->take.term, &bytes, e);
    rv = rv == 0 ? manifest_decode(bytes.data, bytes.len, &b->manifest, e) : rv;
    b->damaged = rv == Q_CORRUPT;
    buf_close(&bytes);
    return rv;
}

static void manifest_on_lane(struct env_work *work)
{
    struct backup *b = backup_of(work);

    b->rv = read_manifest(b, &b->error);
}

static void manifest_read(struct env_work *work)
{
    struct backup *b = backup_of(work);

    tell_damage(b, NULL);
    if (b->rv != 0) {
        refuse(b, &b->error);
    } else {
        respond(b, "application/octet-stream", b->take.index, b->manifest.image_bytes);
    }
}

static void on_taken(struct replica_take *take, const struct error *failed)
{
    struct backup *b = CAST(struct backup, CONTAINER_OF(take, struct backup, take), BACKUP_MAGIC);

    if (failed != NULL) {
        refuse(b, failed);
    } else {
        run(b, manifest_on_lane, manifest_read);
    }
}

/* ---- SQL ---- */

static void on_dumped(struct replica_dump *dump, const struct error *failed)
{
    struct backup *b = CAST(struct backup, CONTAINER_OF(dump, struct backup, dump), BACKUP_MAGIC);

    if (failed != NULL) {
        b->path[0] = '\0';
        refuse(b, failed);
    } else {
        respond(b, "application/sql", dump->index, dump->bytes);
    }
}

/* ---- the beginning ---- */

static struct backup *backup_new(struct api *api, struct http_request *r, const struct options *options)
{
    const char *dir = replica_snapshot_dir(api->config.replica);
    struct backup *b = calloc(1, sizeof *b);
    struct gzip *gzip = options->compress ? gzip_new() : NULL;
    uint8_t *plain = malloc(PIECE_BYTES);

    if (b == NULL || plain == NULL || (options->compress && gzip == NULL) || dir == NULL) {
        http_respond_text(r, 503, dir == NULL ? "this node keeps no files" : "out of memory");
        gzip_free(gzip);
        free(plain);
        free(b);
        return NULL;
    }
    b->magic = BACKUP_MAGIC;
    b->api = api;
    list_push(&api->dumps, &b->link);
    snprintf(b->dir, sizeof b->dir, "%s", dir);
    b->env = api->config.env;
    b->http = r;
    b->options = *options;
    b->gzip = gzip;
    b->plain = plain;
    buf_init(&b->piece, SIZE_MAX);
    return b;
}

static void begin(struct api *api, struct http_request *r, const struct options *options)
{
    struct backup *b = backup_new(api, r, options);
    struct error e;
    int rv;

    if (b == NULL) {
        return;
    }
    if (b->options.format == FORMAT_SQL) {
        spool_path(api, b->path);
        b->dump = (struct replica_dump){.path = b->path, .tables = b->options.tables, .done = on_dumped};
        rv = replica_dump(api->config.replica, &b->dump, &e);
        b->path[0] = rv == 0 ? b->path[0] : '\0';
    } else {
        b->take = (struct replica_take){.keep_ms = BACKUP_KEEP_MS, .done = on_taken};
        rv = replica_take(api->config.replica, &b->take, &e);
    }
    if (rv != 0) {
        refuse(b, &e);
    }
}

/* What asks the leader how far the log is. */
struct barrier {
    struct exchange x;
    struct options options;
};

static int ignore(struct exchange *x, const uint8_t *result, size_t n, struct error *e)
{
    (void)x;
    (void)result;
    (void)n;
    (void)e;
    return 0;
}

static void on_reached(struct exchange *x, const struct replica_answer *answer)
{
    struct barrier *barrier = (struct barrier *)x;

    (void)answer;
    begin(x->api, x->http, &barrier->options);
}

void dump_api_backup(void *ctx, struct http_request *r)
{
    static const char sql[] = "SELECT 1";
    const char *fmt = http_param(r, "fmt"), *tables = http_param(r, "tables");
    struct options options = {
        .format = fmt == NULL                  ? FORMAT_WAL
                  : strcmp(fmt, "sql") == 0    ? FORMAT_SQL
                  : strcmp(fmt, "delete") == 0 ? FORMAT_DELETE
                                               : FORMAT_WAL,
        .compress = params_flag(r, "compress"),
    };
    struct barrier *barrier;

    if (options.format == FORMAT_SQL && params_flag(r, "vacuum")) {
        http_respond_text(r, 500, "invalid backup format");
        return;
    }
    if (tables != NULL && strlen(tables) >= TABLES_MAX) {
        http_respond_text(r, 400, "the names of tables are longer than 4095 bytes");
        return;
    }
    snprintf(options.tables, sizeof options.tables, "%s", tables != NULL ? tables : "");
    if (params_flag(r, "noleader")) {
        begin(ctx, r, &options);
        return;
    }
    barrier = exchange_new(sizeof *barrier, ctx, r, EXCHANGE_SQL);
    if (barrier == NULL) {
        return;
    }
    barrier->options = options;
    barrier->x.render = ignore;
    barrier->x.finish = on_reached;
    command_put_sql(&barrier->x.command, COMMAND_SQL_QUERY, 0, 1);
    command_put_statement(&barrier->x.command, sql, sizeof sql - 1, 0);
    exchange_set_level(&barrier->x, READ_LINEARIZABLE, false);
    exchange_submit(&barrier->x);
}

void dump_api_close(struct api *api)
{
    LIST_EACH_SAFE (&api->dumps, item) {
        CAST(struct backup, CONTAINER_OF(item, struct backup, link), BACKUP_MAGIC)->api = NULL;
        list_remove(item);
        list_init(item);
    }
}
