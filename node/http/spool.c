#include "node/http/spool.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/plant.h"

enum { SPOOL_MAGIC = 0x53504f31 };

static const char no_room[] = "the disk has no room for this body";

struct spool {
    OBJECT_MAGIC;
    struct env *env;
    struct http_sink sink;
    char path[SPOOL_PATH_MAX];
    uint64_t spare; /* bytes of the disk that are not for bodies */
    struct env_file *file;
    uint64_t bytes; /* in the file */
    struct buf pending, writing;
    bool busy;  /* the lane has WRITING */
    bool gone;  /* to be freed when the lane is done */
    bool taken; /* the sink was */
    struct env_work work;
    struct error error;
    void (*done)(void *ctx, const struct error *failed);
    void *ctx;
};

/* ---- the directory ---- */

struct emptying {
    struct env *env;
    char dir[SPOOL_PATH_MAX];
    int failed;
    struct error *e;
};

static void remove_one(void *ctx, const char *name)
{
    struct emptying *x = ctx;
    char path[SPOOL_PATH_MAX + 256];

    snprintf(path, sizeof path, "%s/%s", x->dir, name);
    if (x->failed == 0 && !PLANTED("the_spool_is_not_emptied")) {
        x->failed = env_unlink(x->env, path, x->e);
    }
}

int spool_open(struct api *api, struct error *e)
{
    const char *dir = replica_snapshot_dir(api->config.replica);
    struct emptying x = {.env = api->config.env, .e = e};

    if (dir == NULL) {
        return 0;
    }
    snprintf(x.dir, sizeof x.dir, "%s/spool", dir);
    int rv = env_make_dir(x.env, x.dir, e);
    rv = rv == 0 ? env_list_dir(x.env, x.dir, remove_one, &x, e) : rv;
    return rv == 0 ? x.failed : rv;
}

void spool_path(struct api *api, char ret_path[SPOOL_PATH_MAX])
{
    snprintf(ret_path, SPOOL_PATH_MAX, "%s/spool/%" PRIu64, replica_snapshot_dir(api->config.replica),
             ++api->spooled);
}

/* ---- a body ---- */

static struct spool *spool_with(struct env_work *work)
{
    return CAST(struct spool, CONTAINER_OF(work, struct spool, work), SPOOL_MAGIC);
}

struct spool *spool_of(struct http_sink *sink)
{
    return CAST(struct spool, CONTAINER_OF(sink, struct spool, sink), SPOOL_MAGIC);
}

struct http_sink *spool_sink(struct spool *s)
{
    return &s->sink;
}

static int write_out(struct spool *s, struct error *e)
{
    uint64_t free_bytes;
    int rv = s->file != NULL ? 0 : env_open(s->env, s->path, ENV_CREATE | ENV_WRITE, &s->file, e);

    rv = rv == 0 ? env_space(s->env, s->path, &free_bytes, e) : rv;
    if (rv == 0 && free_bytes - (free_bytes == UINT64_MAX ? 0 : s->writing.len) < s->spare) {
        rv = error_set(e, Q_NO_SPACE, "%s: %" PRIu64 " bytes are free", no_room, free_bytes);
    }
    rv = rv == 0 && s->writing.len > 0
             ? env_write(s->env, s->file, s->bytes, s->writing.data, s->writing.len, e)
             : rv;
    s->bytes += rv == 0 ? s->writing.len : 0;
    return rv;
}

static void write_on_lane(struct env_work *work)
{
    struct spool *s = spool_with(work);
    write_out(s, &s->error);
}

static void flush(struct spool *s);

static void free_now(struct spool *s)
{
    buf_close(&s->pending);
    buf_close(&s->writing);
    s->magic = 0;
    free(s);
}

static void end_on_lane(struct env_work *work)
{
    struct spool *s = spool_with(work);

    if (s->file != NULL) {
        env_close(s->env, s->file);
        env_unlink(s->env, s->path, NULL);
    }
}

static void ended(struct env_work *work)
{
    free_now(spool_with(work));
}

static void run(struct spool *s, void (*on_lane)(struct env_work *), void (*done)(struct env_work *))
{
    s->busy = true;
    s->work = (struct env_work){.run = on_lane, .done = done, .lane = ENV_READER};
    env_run(s->env, &s->work);
}

static void tell(struct spool *s)
{
    void (*done)(void *, const struct error *) = s->done;

    s->done = NULL;
    done(s->ctx, s->error.code != Q_OK ? &s->error : NULL);
}

static void written(struct env_work *work)
{
    struct spool *s = spool_with(work);
    bool was_full = s->pending.len >= SPOOL_PENDING_MAX;

    s->busy = false;
    buf_clear(&s->writing);
    if (s->gone) {
        run(s, end_on_lane, ended);
        return;
    }
    if (s->error.code == Q_OK && s->pending.len > 0) {
        flush(s);
    } else if (s->done != NULL) {
        tell(s);
        return;
    }
    if (was_full && !s->taken) {
        http_sink_drained(&s->sink);
    }
}

static void flush(struct spool *s)
{
    struct buf swapped = s->writing;

    s->writing = s->pending;
    s->pending = swapped;
    run(s, write_on_lane, written);
}

static int on_put(struct http_sink *sink, const void *p, size_t n, const char **ret_why)
{
    struct spool *s = spool_of(sink);

    buf_put_bytes(&s->pending, p, n);
    if (s->pending.failed != Q_OK || s->error.code != Q_OK) {
        bool full = s->error.code == Q_NO_SPACE;
        *ret_why = full ? no_room : "the body cannot be written to a file";
        return full ? 507 : 503;
    }
    if (!s->busy) {
        flush(s);
    }
    return 0;
}

static bool is_full(struct http_sink *sink)
{
    struct spool *s = spool_of(sink);
    return s->busy && s->pending.len >= SPOOL_PENDING_MAX;
}

static void on_abandoned(struct http_sink *sink)
{
    spool_free(spool_of(sink));
}

struct spool *spool_new(struct api *api, uint64_t announced, int *ret_status, const char **ret_why)
{
    struct spool *s = calloc(1, sizeof *s);
    struct replica_status status;

    if (s == NULL || replica_snapshot_dir(api->config.replica) == NULL) {
        *ret_status = 503;
        *ret_why = s == NULL ? "out of memory" : "this node keeps no files";
        free(s);
        return NULL;
    }
    replica_status(api->config.replica, &status);
    if (status.disk_free != UINT64_MAX && announced != UINT64_MAX &&
        (status.disk_free < status.disk_needed || announced > status.disk_free - status.disk_needed)) {
        free(s);
        *ret_status = 507;
        *ret_why = no_room;
        return NULL;
    }
    s->magic = SPOOL_MAGIC;
    s->env = api->config.env;
    s->spare = status.disk_needed;
    s->sink = (struct http_sink){.put = on_put, .full = is_full, .abandoned = on_abandoned};
    spool_path(api, s->path);
    buf_init(&s->pending, SIZE_MAX);
    buf_init(&s->writing, SIZE_MAX);
    return s;
}

void spool_finish(struct spool *s, void (*done)(void *ctx, const struct error *failed), void *ctx)
{
    s->taken = true;
    s->done = done;
    s->ctx = ctx;
    if (!s->busy) {
        flush(s); /* of nothing, if all is written: DONE comes later in any case */
    }
}

const char *spool_file(const struct spool *s)
{
    return s->path;
}

uint64_t spool_bytes(const struct spool *s)
{
    return s->bytes;
}

void spool_free(struct spool *s)
{
    if (s == NULL) {
        return;
    }
    if (s->busy) {
        s->gone = true;
    } else {
        run(s, end_on_lane, ended);
    }
}
