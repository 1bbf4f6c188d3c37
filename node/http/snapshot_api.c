#include "node/http/snapshot_api.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/plant.h"
#include "node/http/json.h"
#include "node/http/params.h"
#include "snapshots/catalog.h"
#include "snapshots/chunk_store.h"
#include "snapshots/delta.h"

enum {
    TAKE_MAGIC = 0x534e5431,
    LOOK_MAGIC = 0x534e4c31,
    ENTRIES_MAX = 1024 * 1024,
    LISTED_MAX = 64,
    LATE_MS = 1000, /* who waits for an index has had his 202 by then */
};

struct image {
    uint64_t index, term;
};

/* A client that waits for files to be read. */
struct look {
    OBJECT_MAGIC;
    struct api *api;
    struct http_request *http;
    struct env_work work;
    char dir[REPLICA_DIR_MAX];
    /* On the lane: fills BODY. */
    int (*read)(struct look *l, struct error *e);
    const char *type;
    bool pretty;
    struct image image; /* index 0: none is named */
    struct chunk_name chunk;
    bool delta; /* of the chunk, against: */
    uint8_t base_sums[DELTA_SUMS_BYTES];
    bool damaged; /* what was read is not what it should be */
    struct image listed[LISTED_MAX];
    unsigned listed_count;
    struct buf body;
    int rv;
    struct error error;
};

static int status_of(int rv)
{
    switch ((enum error_code)rv) {
    case Q_NOT_FOUND: return 404;
    case Q_INVALID: return 400;
    case Q_BUSY:
    case Q_CLOSED:
    case Q_TIMEOUT:
    case Q_NOMEM: return 503;
    case Q_NO_SPACE: return 507;
    default: return 500;
    }
}

static int read_chunk(struct look *l, struct error *e);

static void look_free(struct look *l)
{
    buf_close(&l->body);
    l->magic = 0;
    free(l);
}

static void on_lane(struct env_work *work)
{
    struct look *l = CAST(struct look, CONTAINER_OF(work, struct look, work), LOOK_MAGIC);
    l->rv = l->read(l, &l->error);
    if (l->rv == 0) {
        l->rv = buf_check(&l->body, "the answer", &l->error);
    }
}

static void on_looked(struct env_work *work)
{
    struct look *l = CAST(struct look, CONTAINER_OF(work, struct look, work), LOOK_MAGIC);

    if (l->damaged) {
        replica_snapshot_damaged(l->api->config.replica, l->image.index, l->image.term,
                                 l->read == read_chunk ? &l->chunk : NULL, &l->error);
    }
    if (l->rv != 0) {
        api_respond_error(l->http, status_of(l->rv), l->error.text);
    } else {
        http_respond(l->http, 200, l->type, &l->body);
    }
    look_free(l);
}

/* NULL: R has its answer. */
static struct look *look_new(struct api *api, struct http_request *r, size_t body_max, const char *type)
{
    const char *dir = replica_snapshot_dir(api->config.replica);
    struct look *l = dir != NULL ? calloc(1, sizeof *l) : NULL;

    if (l == NULL) {
        api_respond_error(r, 503, dir != NULL ? "out of memory" : "this node keeps no database on disk");
        return NULL;
    }
    l->magic = LOOK_MAGIC;
    l->api = api;
    l->http = r;
    l->type = type;
    l->pretty = params_flag(r, "pretty");
    snprintf(l->dir, sizeof l->dir, "%s", dir);
    l->work = (struct env_work){.run = on_lane, .done = on_looked, .lane = ENV_READER};
    buf_init(&l->body, body_max);
    return l;
}

static void look_start(struct look *l, int (*read)(struct look *l, struct error *e))
{
    l->read = read;
    env_run(l->api->config.env, &l->work);
}

/* ---- entries ---- */

static void put_hex(struct json *j, const char *key, const uint8_t *p, size_t n)
{
    char hex[2 * CHUNK_NAME_BYTES + 1];

    for (size_t i = 0; i < n; i++) {
        snprintf(hex + 2 * i, 3, "%02x", p[i]);
    }
    js_key(j, key);
    js_string(j, hex);
}

static void put_number(struct json *j, const char *key, uint64_t v)
{
    js_key(j, key);
    js_unsigned(j, v);
}

static void put_entry(struct json *j, const struct manifest *m)
{
    js_begin_object(j);
    put_number(j, "node", m->node);
    put_number(j, "index", m->index);
    put_number(j, "term", m->term);
    put_number(j, "made_ms", m->made_ms);
    put_number(j, "bytes", m->image_bytes);
    put_number(j, "chunks", m->chunks);
    put_hex(j, "digest", m->digest, sizeof m->digest);
    put_hex(j, "hash", m->hash, sizeof m->hash);
    js_end_object(j);
}

static int load(const struct look *l, const struct image *image, struct manifest *ret_m, struct error *e)
{
    struct buf bytes;
    int rv;

    buf_init(&bytes, MANIFEST_BYTES_MAX);
    rv = catalog_read(l->api->config.env, l->dir, image->index, image->term, &bytes, e);
    rv = rv == 0 ? manifest_decode(bytes.data, bytes.len, ret_m, e) : rv;
    buf_close(&bytes);
    return rv;
}

static int read_entry(struct look *l, struct error *e)
{
    struct manifest m;
    struct json j;
    int rv = load(l, &l->image, &m, e);

    if (rv == 0) {
        js_init(&j, &l->body, l->pretty);
        put_entry(&j, &m);
        manifest_close(&m);
    }
    return rv;
}

/* ---- POST /v1/snapshots ---- */

/* A client that waits for an image. */
struct taking {
    OBJECT_MAGIC;
    struct api *api;
    struct http_request *http; /* NULL: it has its answer */
    struct replica_wait wait;  /* until what the image must hold is applied */
    struct replica_take take;
    struct env_timer *timer;
};

static void taking_free(struct taking *t)
{
    env_timer_free(t->api->config.env, t->timer);
    t->magic = 0;
    free(t);
}

static void on_late(void *owner)
{
    struct taking *t = CAST(struct taking, owner, TAKE_MAGIC);
    struct buf body;

    buf_init(&body, 64);
    buf_printf(&body, "{\"taking\":true}");
    http_respond(t->http, 202, API_JSON, &body);
    t->http = NULL;
}

static void on_taken(struct replica_take *take, const struct error *failed)
{
    struct taking *t = CAST(struct taking, CONTAINER_OF(take, struct taking, take), TAKE_MAGIC);
    struct look *l;

    if (t->http != NULL && failed != NULL) {
        api_respond_error(t->http, status_of((int)failed->code), failed->text);
    } else if (t->http != NULL) {
        l = look_new(t->api, t->http, ENTRIES_MAX, API_JSON);
        if (l != NULL) {
            l->image = (struct image){take->index, take->term};
            look_start(l, read_entry);
        }
    }
    taking_free(t);
}

/* It ends before it began. */
static void refuse_take(struct taking *t, const struct error *why)
{
    if (t->http != NULL) {
        api_respond_error(t->http, status_of((int)why->code), why->text);
    }
    taking_free(t);
}

static void on_applied(struct replica_wait *wait, const struct error *failed)
{
    struct taking *t = CAST(struct taking, CONTAINER_OF(wait, struct taking, wait), TAKE_MAGIC);
    struct error e;

    if (failed != NULL) {
        refuse_take(t, failed);
    } else if (replica_take(t->api->config.replica, &t->take, &e) != 0) {
        refuse_take(t, &e);
    }
}

static void begin_take(struct api *api, struct http_request *r)
{
    uint64_t timeout_ms = params_duration_ms(r, "timeout", api->config.request_timeout_ms), index;
    struct taking *t;
    struct error e;

    if (params_number(r, "index", 0, INT64_MAX, 0, &index, &e) != 0) {
        api_respond_error(r, 400, e.text);
        return;
    }
    t = calloc(1, sizeof *t);
    if (t == NULL) {
        api_respond_error(r, 503, "out of memory");
        return;
    }
    t->magic = TAKE_MAGIC;
    t->api = api;
    t->http = r;
    t->take.keep_ms = SNAPSHOT_API_KEEP_MS;
    t->take.done = on_taken;
    t->timer = env_timer_new(api->config.env, on_late, t);
    if (t->timer == NULL) {
        api_respond_error(r, 503, "out of memory");
        free(t);
        return;
    }
    env_timer_start(api->config.env, t->timer, env_now_us(api->config.env) + timeout_ms * 1000);
    t->wait = (struct replica_wait){.index = index,
                                    .deadline_ms = env_now_ms(api->config.env) + timeout_ms + LATE_MS,
                                    .reached = on_applied};
    replica_wait(api->config.replica, &t->wait);
}

/* ---- GET /v1/snapshots ---- */

/* "<index>-<term>" and then END; false if TEXT is anything else. */
static bool parse_image(const char *text, const char *end, struct image *ret_image)
{
    struct image image;
    int n = 0;

    if (sscanf(text, "%20" SCNu64 "-%20" SCNu64 "%n", &image.index, &image.term, &n) != 2 || text[0] < '0' ||
        text[0] > '9' || strcmp(text + n, end) != 0) {
        return false;
    }
    *ret_image = image;
    return true;
}

static void on_name(void *ctx, const char *name)
{
    struct look *l = ctx;

    if (l->listed_count < LISTED_MAX && parse_image(name, ".manifest", &l->listed[l->listed_count])) {
        l->listed_count++;
    }
}

static int by_index(const void *a, const void *b)
{
    const struct image *x = a, *y = b;
    return (x->index > y->index) - (x->index < y->index);
}

/* What goes meanwhile, or is damaged, is left out. */
static int read_entries(struct look *l, struct error *e)
{
    char path[REPLICA_DIR_MAX + 16];
    struct json j;
    int rv;

    snprintf(path, sizeof path, "%s/manifests", l->dir);
    rv = env_list_dir(l->api->config.env, path, on_name, l, e);
    if (rv != 0 && rv != Q_NOT_FOUND) {
        return rv;
    }
    qsort(l->listed, l->listed_count, sizeof l->listed[0], by_index);
    js_init(&j, &l->body, l->pretty);
    js_begin_object(&j);
    js_key(&j, "snapshots");
    js_begin_array(&j);
    for (unsigned i = 0; i < l->listed_count; i++) {
        struct manifest m;
        if (load(l, &l->listed[i], &m, NULL) == 0) {
            put_entry(&j, &m);
            manifest_close(&m);
        }
    }
    js_end_array(&j);
    js_end_object(&j);
    return 0;
}

void snapshot_api_collection(void *ctx, struct http_request *r)
{
    struct look *l;

    if (http_method(r) == HTTP_METHOD_POST) {
        begin_take(ctx, r);
        return;
    }
    l = look_new(ctx, r, ENTRIES_MAX, API_JSON);
    if (l != NULL) {
        look_start(l, read_entries);
    }
}

/* ---- GET /v1/snapshots/<index>-<term>/manifest ---- */

static int read_manifest(struct look *l, struct error *e)
{
    struct manifest m;
    int rv = catalog_read(l->api->config.env, l->dir, l->image.index, l->image.term, &l->body, e);

    if (rv == 0) {
        rv = manifest_decode(l->body.data, l->body.len, &m, e);
        l->damaged = rv == Q_CORRUPT;
    }
    if (rv == 0) {
        manifest_close(&m);
    }
    return rv;
}

/* The image is in use: it stays a while longer. */
static bool touch(struct api *api, const struct image *image)
{
    return replica_touch_snapshot(api->config.replica, image->index, image->term);
}

void snapshot_api_manifest(void *ctx, struct http_request *r)
{
    static const char prefix[] = "/v1/snapshots/";
    struct image image;
    struct look *l;

    if (!parse_image(http_path(r) + sizeof prefix - 1, "/manifest", &image)) {
        api_respond_error(r, 404, "not a path of the form /v1/snapshots/<index>-<term>/manifest");
        return;
    }
    if (!touch(ctx, &image)) {
        api_respond_error(r, 404, "this snapshot is not here any more: take one by POST /v1/snapshots");
        return;
    }
    l = look_new(ctx, r, MANIFEST_BYTES_MAX, "application/octet-stream");
    if (l != NULL) {
        l->image = image;
        look_start(l, read_manifest);
    }
}

/* ---- GET /v1/chunks/<hex> ---- */

/* The chunk in PLAIN becomes what differs from the client's base. */
static int make_delta(struct look *l, const uint8_t *plain, size_t n, struct error *e)
{
    buf_clear(&l->body);
    return delta_encode(plain, n, &l->chunk, l->base_sums, &l->body, e);
}

static int read_chunk(struct look *l, struct error *e)
{
    uint8_t *plain = malloc(CHUNK_BYTES);
    size_t n = 0;
    int rv = plain != NULL ? 0 : error_set(e, Q_NOMEM, "out of memory for a chunk");

    rv = rv == 0 ? chunk_store_read(l->api->config.env, l->dir, &l->chunk, &l->body, e) : rv;
    if (rv == 0 && !PLANTED("chunks_leave_unverified")) {
        rv = chunk_decode(l->body.data, l->body.len, &l->chunk, plain, &n, e);
        l->damaged = rv == Q_CORRUPT;
    }
    rv = rv == 0 && l->delta ? make_delta(l, plain, n, e) : rv;
    free(plain);
    return rv;
}

void snapshot_api_chunk(void *ctx, struct http_request *r)
{
    static const char prefix[] = "/v1/chunks/";
    const char *snapshot = http_param(r, "snapshot");
    bool delta = http_method(r) == HTTP_METHOD_POST;
    struct image image = {0, 0};
    struct chunk_name chunk;
    struct look *l;
    size_t n;
    const uint8_t *sums = http_body(r, &n);

    if (!chunk_name_parse(http_path(r) + sizeof prefix - 1, &chunk)) {
        api_respond_error(r, 404, "not a path of the form /v1/chunks/<64 hexadecimal digits>");
        return;
    }
    if (delta && n != DELTA_SUMS_BYTES) {
        api_respond_error(r, 400, "the body must be the sums of 1024 blocks, 2 bytes each");
        return;
    }
    if (snapshot != NULL && !parse_image(snapshot, "", &image)) {
        api_respond_error(r, 400, "parameter snapshot is not of the form <index>-<term>");
        return;
    }
    if (snapshot != NULL && !touch(ctx, &image)) {
        api_respond_error(r, 404, "this snapshot is not here any more: take one by POST /v1/snapshots");
        return;
    }
    l = look_new(ctx, r, DELTA_ENCODED_MAX, "application/octet-stream");
    if (l != NULL) {
        l->delta = delta;
        if (delta) {
            memcpy(l->base_sums, sums, sizeof l->base_sums);
        }
        l->image = image;
        l->chunk = chunk;
        look_start(l, read_chunk);
    }
}
