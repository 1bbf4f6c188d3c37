#include "node/http/load_run.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/object.h"
#include "storage/load_source.h"
#include "storage/result.h"

enum { RUN_MAGIC = 0x4c525531 };

enum phase { PHASE_CHECK, PHASE_BEGIN, PHASE_PIECES, PHASE_FINISH, PHASE_ABORT, PHASE_DONE };

/* A command on its way. */
struct slot {
    struct load_run *run;
    struct replica_request request;
    struct buf command;
    bool busy;  /* it holds a command that is not answered for good */
    bool again; /* it waits to be sent once more */
};

struct load_run {
    OBJECT_MAGIC;
    struct load_run_config config;
    enum phase phase;
    uint64_t load; /* its number */
    struct slot slot[LOAD_RUN_WINDOW];
    struct load_source *source;
    struct buf stream; /* what was read and not sent; from AT on */
    size_t at;
    bool read_all;
    uint64_t pieces, bytes;
    struct env_timer *timer;
    uint64_t progress_ms, said_ms, begun_ms;
    struct env_work work;
    bool on_lane;
    bool stopped;
    bool begun; /* something may be in the database that has to go if this fails */
    int rv;     /* of the lane */
    struct error lane_error, failed;
};

static void go_on(struct load_run *r);

static void say(struct load_run *r, const char *event, const char *rest)
{
    struct load_source_progress p = {.rows = 0};
    char line[ERROR_TEXT_MAX + 256];

    if (r->config.log != NULL) {
        if (r->source != NULL && !r->on_lane) {
            load_source_progress(r->source, &p);
        }
        snprintf(line, sizeof line,
                 "%s load=%016" PRIx64 " pieces=%" PRIu64 " bytes=%" PRIu64 " rows=%" PRIu64
                 " tables=%" PRIu64 "/%" PRIu64 " ms=%" PRIu64 "%s",
                 event, r->load, r->pieces, r->bytes, p.rows, p.tables, p.tables_all,
                 env_now_ms(r->config.env) - r->begun_ms, rest);
        r->config.log(r->config.log_ctx, line);
    }
    r->said_ms = env_now_ms(r->config.env);
}

static bool is_idle(const struct load_run *r)
{
    for (unsigned i = 0; i < LOAD_RUN_WINDOW; i++) {
        if (r->slot[i].busy) {
            return false;
        }
    }
    return !r->on_lane;
}

/* The first reason counts. */
static void fail(struct load_run *r, enum error_code code, const char *text)
{
    if (r->failed.code == Q_OK) {
        error_set(&r->failed, code, "%s", text);
    }
}

/* ---- commands ---- */

static void on_answer(struct replica_request *request, const struct replica_answer *answer);

static void send_slot(struct slot *s)
{
    struct load_run *r = s->run;

    s->again = false;
    s->request = (struct replica_request){
        .command = s->command.data,
        .len = s->command.len,
        .timeout_ms = r->phase == PHASE_FINISH ? LOAD_RUN_FINISH_MS : r->config.patience_ms,
        .done = on_answer,
    };
    replica_submit(r->config.replica, &s->request);
}

static void put_command(struct slot *s, enum load_step step, uint64_t number, const uint8_t *p, size_t n)
{
    struct load_run *r = s->run;
    struct load_command load = {.step = step, .load = r->load, .number = number, .bytes = cursor_of(p, n)};

    buf_clear(&s->command);
    command_put_load(&s->command, &load);
    if (s->command.failed != Q_OK) {
        fail(r, Q_NOMEM, "out of memory for a piece of the load");
        return;
    }
    s->busy = true;
    send_slot(s);
}

/* What may be otherwise a moment later. An unknown outcome is made known by asking once more. */
static bool passes(enum error_code code)
{
    return code == Q_NO_LEADER || code == Q_NOT_LEADER || code == Q_BUSY || code == Q_TIMEOUT ||
           code == Q_UNKNOWN;
}

static void wait_a_little(struct load_run *r)
{
    env_timer_start(r->config.env, r->timer, env_now_us(r->config.env) + LOAD_RUN_AGAIN_MS * 1000);
}

static void read_result(struct load_run *r, const struct replica_answer *answer)
{
    struct cursor c = cursor_of(answer->result, answer->len);
    enum result_kind kind;
    struct error why, e;

    if (result_decode(&c, &kind, &why, &e) != 0) {
        fail(r, e.code, e.text);
    } else if (kind == RESULT_ERROR) {
        fail(r, why.code, why.text);
    } else {
        r->progress_ms = env_now_ms(r->config.env);
    }
}

static void on_answer(struct replica_request *request, const struct replica_answer *answer)
{
    struct slot *s = CONTAINER_OF(request, struct slot, request);
    struct load_run *r = CAST(struct load_run, s->run, RUN_MAGIC);
    bool in_time = env_now_ms(r->config.env) - r->progress_ms < r->config.patience_ms;

    if (passes(answer->error.code) && in_time && !r->stopped &&
        (r->failed.code == Q_OK || r->phase == PHASE_ABORT)) {
        s->again = true;
        wait_a_little(r);
        return;
    }
    s->busy = false;
    if (answer->error.code != Q_OK) {
        fail(r, answer->error.code, answer->error.text);
    } else {
        read_result(r, answer);
    }
    go_on(r);
}

static void on_timer(void *owner)
{
    struct load_run *r = CAST(struct load_run, owner, RUN_MAGIC);

    for (unsigned i = 0; i < LOAD_RUN_WINDOW; i++) {
        if (r->slot[i].again) {
            send_slot(&r->slot[i]);
        }
    }
}

/* ---- the lane ---- */

static void lane_run(struct env_work *work)
{
    struct load_run *r = CAST(struct load_run, CONTAINER_OF(work, struct load_run, work), RUN_MAGIC);

    r->rv = r->phase == PHASE_CHECK
                ? load_source_open(r->config.path, NULL, &r->source, &r->lane_error)
                : load_source_read(r->source, LOAD_PIECE_MAX, &r->stream, &r->read_all, &r->lane_error);
}

static void lane_done(struct env_work *work)
{
    struct load_run *r = CAST(struct load_run, CONTAINER_OF(work, struct load_run, work), RUN_MAGIC);

    r->on_lane = false;
    if (r->rv != 0) {
        fail(r, r->lane_error.code, r->lane_error.text);
    } else if (r->phase == PHASE_CHECK) {
        r->phase = PHASE_BEGIN;
        say(r, "load_started", "");
        r->progress_ms = env_now_ms(r->config.env);
        r->begun = true;
        put_command(&r->slot[0], LOAD_BEGIN, 0, NULL, 0);
        return;
    }
    r->progress_ms = env_now_ms(r->config.env);
    go_on(r);
}

static void to_lane(struct load_run *r)
{
    r->on_lane = true;
    r->work = (struct env_work){.run = lane_run, .done = lane_done, .lane = ENV_READER};
    env_run(r->config.env, &r->work);
}

/* ---- what comes next ---- */

static void send_pieces(struct load_run *r)
{
    for (unsigned i = 0; i < LOAD_RUN_WINDOW && r->at < r->stream.len && r->failed.code == Q_OK; i++) {
        size_t left = r->stream.len - r->at, n = left < LOAD_PIECE_MAX ? left : LOAD_PIECE_MAX;

        /* A short piece waits for what follows it. */
        if (!r->slot[i].busy && (n == LOAD_PIECE_MAX || r->read_all)) {
            r->pieces++;
            r->bytes += n;
            put_command(&r->slot[i], LOAD_PIECE, r->pieces, r->stream.data + r->at, n);
            r->at += n;
        }
    }
}

static void go_on_with_pieces(struct load_run *r)
{
    if (r->on_lane) {
        return; /* the stream is the lane's */
    }
    send_pieces(r);
    if (!r->read_all && r->stream.len - r->at < LOAD_PIECE_MAX) {
        if (r->at > 0) {
            memmove(r->stream.data, r->stream.data + r->at, r->stream.len - r->at);
        }
        r->stream.len -= r->at;
        r->at = 0;
        to_lane(r);
    } else if (r->read_all && r->at == r->stream.len && is_idle(r)) {
        r->phase = PHASE_FINISH;
        say(r, "load_progress", " sent=all");
        put_command(&r->slot[0], LOAD_FINISH, r->pieces, NULL, 0);
    }
    if (env_now_ms(r->config.env) - r->said_ms >= LOAD_RUN_SAY_MS) {
        say(r, "load_progress", "");
    }
}

static void end(struct load_run *r)
{
    char rest[ERROR_TEXT_MAX + 16];
    bool failed = r->failed.code != Q_OK;

    r->phase = PHASE_DONE;
    snprintf(rest, sizeof rest, " error=\"%s\"", r->failed.text);
    say(r, failed ? "load_failed" : "load_done", failed ? rest : "");
    r->config.done(r->config.ctx, failed ? &r->failed : NULL);
}

/* A load that failed: what is on its way comes back first, then what is in the database goes. */
static void give_up(struct load_run *r)
{
    if (!is_idle(r)) {
        return;
    }
    if (r->begun && !r->stopped && r->phase != PHASE_ABORT) {
        r->phase = PHASE_ABORT;
        r->progress_ms = env_now_ms(r->config.env);
        put_command(&r->slot[0], LOAD_ABORT, 0, NULL, 0);
    }
    if (!r->slot[0].busy) {
        end(r);
    }
}

/* R may be gone when it returns. */
static void go_on(struct load_run *r)
{
    if (r->failed.code == Q_OK && r->phase == PHASE_FINISH && is_idle(r)) {
        end(r);
        return;
    }
    if (r->failed.code == Q_OK && r->phase != PHASE_FINISH) {
        r->phase = PHASE_PIECES;
        go_on_with_pieces(r);
    }
    if (r->failed.code != Q_OK) { /* perhaps just now: there was no memory for a command */
        give_up(r);
    }
}

/* ---- life ---- */

int load_run_new(const struct load_run_config *config, struct load_run **ret_run, struct error *e)
{
    struct load_run *r = calloc(1, sizeof *r);

    if (r != NULL) {
        r->timer = env_timer_new(config->env, on_timer, r);
    }
    if (r == NULL || r->timer == NULL) {
        free(r);
        return error_set(e, Q_NOMEM, "out of memory for a load");
    }
    r->magic = RUN_MAGIC;
    r->config = *config;
    r->begun_ms = r->said_ms = r->progress_ms = env_now_ms(config->env);
    env_random(config->env, &r->load, sizeof r->load);
    r->load |= 1; /* 0 is none */
    buf_init(&r->stream, SIZE_MAX);
    for (unsigned i = 0; i < LOAD_RUN_WINDOW; i++) {
        r->slot[i].run = r;
        buf_init(&r->slot[i].command, SIZE_MAX);
    }
    to_lane(r);
    *ret_run = r;
    return 0;
}

void load_run_free(struct load_run *r)
{
    load_source_close(r->source);
    env_timer_free(r->config.env, r->timer);
    buf_close(&r->stream);
    for (unsigned i = 0; i < LOAD_RUN_WINDOW; i++) {
        buf_close(&r->slot[i].command);
    }
    r->magic = 0;
    free(r);
}

void load_run_stop(struct load_run *r)
{
    r->stopped = true;
    r->config.log = NULL;
    env_timer_stop(r->config.env, r->timer);
    for (unsigned i = 0; i < LOAD_RUN_WINDOW; i++) {
        r->slot[i].busy = r->slot[i].busy && !r->slot[i].again;
        r->slot[i].again = false;
    }
    fail(r, Q_CLOSED, "this node is stopping");
    go_on(r);
}
