#include "node/http/load_api.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/plant.h"
#include "node/http/exchange.h"
#include "node/http/load_run.h"
#include "node/http/params.h"
#include "node/http/spool.h"
#include "node/http/sql_api.h"
#include "storage/script.h"

enum { LOAD_MAGIC = 0x4c4f4131 };

#define TEXT_PLAIN "text/plain; charset=utf-8"

static const char file_head[] = "SQLite format";

struct load_call {
    OBJECT_MAGIC;
    struct list link; /* in the api */
    struct api *api;  /* NULL: it has been closed; the lanes do not look at it */
    struct env *env;
    uint64_t script_max;
    struct http_request *http;
    struct spool *spool;
    struct load_run *run;
    struct env_work work;
    bool is_file;
    struct buf script;
    int rv;
    struct error error;
};

static void call_free(struct load_call *l)
{
    list_remove(&l->link);
    if (l->run != NULL) {
        load_run_free(l->run);
    }
    spool_free(l->spool);
    buf_close(&l->script);
    l->magic = 0;
    free(l);
}

static void refuse(struct load_call *l, const struct error *why)
{
    enum error_code code = why->code;
    int status = code == Q_SQL ? 400 : code == Q_CONFLICT ? 503 : exchange_status(code);

    http_respond_text(l->http, status, code == Q_NO_LEADER ? "leader not found" : why->text);
    call_free(l);
}

static bool file_under_way(const struct api *api)
{
    LIST_EACH (&api->loads, item) {
        if (CONTAINER_OF(item, struct load_call, link)->run != NULL) {
            return true;
        }
    }
    return false;
}

static void on_run_done(void *ctx, const struct error *failed)
{
    struct load_call *l = CAST(struct load_call, ctx, LOAD_MAGIC);
    struct buf body;

    if (failed != NULL) {
        refuse(l, failed);
        return;
    }
    buf_init(&body, 64);
    buf_printf(&body, "{\"results\":[]}");
    http_respond(l->http, 200, TEXT_PLAIN, &body);
    call_free(l);
}

static void load_file(struct load_call *l)
{
    struct load_run_config config = {
        .env = l->api->config.env,
        .replica = l->api->config.replica,
        .path = spool_file(l->spool),
        .patience_ms = params_duration_ms(l->http, "timeout", l->api->config.request_timeout_ms),
        .log = l->api->config.log,
        .log_ctx = l->api->config.ctx,
        .done = on_run_done,
        .ctx = l,
    };
    struct error e;

    if (file_under_way(l->api)) {
        error_set(&e, Q_BUSY, "another file is being loaded at this node");
        refuse(l, &e);
    } else if (load_run_new(&config, &l->run, &e) != 0) {
        refuse(l, &e);
    }
}

/* ---- what it is ---- */

static int read_body(struct load_call *l, struct error *e)
{
    struct env *env = l->env;
    uint64_t size = spool_bytes(l->spool), most = l->script_max;
    char head[sizeof file_head - 1];
    struct env_file *file;
    uint8_t *room;
    size_t n = 0;
    int rv = env_open(env, spool_file(l->spool), 0, &file, e);

    if (rv != 0) {
        return rv;
    }
    rv = env_read(env, file, 0, head, sizeof head, &n, e);
    l->is_file = rv == 0 && n == sizeof head && memcmp(head, file_head, n) == 0;
    if (rv == 0 && !l->is_file && size > most) {
        rv = error_set(e, Q_TOO_BIG,
                       "a script of %" PRIu64 " bytes is larger than %" PRIu64
                       ", the limit of one request (option request-max)",
                       size, most);
    }
    if (rv == 0 && !l->is_file) {
        room = buf_reserve(&l->script, (size_t)size + 1);
        rv = room != NULL ? env_read(env, file, 0, room, (size_t)size, &l->script.len, e)
                          : buf_check(&l->script, "the script", e);
    }
    env_close(env, file);
    return rv;
}

static void read_on_lane(struct env_work *work)
{
    struct load_call *l = CAST(struct load_call, CONTAINER_OF(work, struct load_call, work), LOAD_MAGIC);

    l->rv = read_body(l, &l->error);
    if (l->rv == 0 && !l->is_file && !PLANTED("scripts_are_not_cleaned")) {
        script_clean((char *)l->script.data, l->script.len);
    }
}

static void was_read(struct env_work *work)
{
    struct load_call *l = CAST(struct load_call, CONTAINER_OF(work, struct load_call, work), LOAD_MAGIC);

    if (l->api == NULL) {
        l->rv = error_set(&l->error, Q_CLOSED, "this node is stopping");
    }
    if (l->rv != 0) {
        refuse(l, &l->error);
    } else if (l->is_file) {
        load_file(l);
    } else {
        sql_api_script(l->api, l->http, l->script.data, l->script.len);
        call_free(l);
    }
}

static void on_spooled(void *ctx, const struct error *failed)
{
    struct load_call *l = CAST(struct load_call, ctx, LOAD_MAGIC);

    if (failed != NULL) {
        refuse(l, failed);
        return;
    }
    l->work = (struct env_work){.run = read_on_lane, .done = was_read, .lane = ENV_READER};
    env_run(l->env, &l->work);
}

/* ---- the door ---- */

void load_api_load(void *ctx, struct http_request *r)
{
    struct http_sink *sink = http_take_sink(r);
    struct load_call *l = sink != NULL ? calloc(1, sizeof *l) : NULL;

    if (l == NULL) {
        http_respond_text(r, 503, sink != NULL ? "out of memory" : "this node keeps no files");
        spool_free(sink != NULL ? spool_of(sink) : NULL);
        return;
    }
    l->magic = LOAD_MAGIC;
    l->api = ctx;
    l->env = l->api->config.env;
    l->script_max = l->api->config.command_max;
    l->http = r;
    l->spool = spool_of(sink);
    buf_init(&l->script, SIZE_MAX);
    list_push(&l->api->loads, &l->link);
    spool_finish(l->spool, on_spooled, l);
}

struct http_sink *load_api_sink(struct api *api, struct http_request *r, int *ret_status,
                                const char **ret_why)
{
    struct spool *s = spool_new(api, http_body_announced(r), ret_status, ret_why);

    return s != NULL ? spool_sink(s) : NULL;
}

void load_api_close(struct api *api)
{
    LIST_EACH_SAFE (&api->loads, item) {
        struct load_call *l = CAST(struct load_call, CONTAINER_OF(item, struct load_call, link), LOAD_MAGIC);

        list_remove(&l->link);
        list_init(&l->link);
        l->api = NULL;
        if (l->run != NULL) {
            load_run_stop(l->run);
        }
    }
}
