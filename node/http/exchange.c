#include "node/http/exchange.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/http/json.h"
#include "node/http/params.h"
#include "storage/command.h"

/* The one place where the product's errors become HTTP statuses. */
int exchange_status(enum error_code code)
{
    switch (code) {
    case Q_INVALID: return 400;
    case Q_DENIED: return 401;
    case Q_NOT_FOUND: return 404;
    case Q_TOO_BIG: return 413;
    case Q_NO_SPACE: return 507;
    case Q_CONFLICT: /* only "stale read" comes here: try a fresher node */
    case Q_NOMEM:
    case Q_NO_LEADER:
    case Q_NOT_LEADER:
    case Q_BUSY:
    case Q_TIMEOUT:
    case Q_UNKNOWN:
    case Q_CLOSED: return 503;
    case Q_OK:
    case Q_IO:
    case Q_CORRUPT:
    case Q_MISMATCH:
    case Q_SQL:
    case Q_CODES: return 500;
    }
    return 500;
}

void *exchange_new(size_t size, struct api *api, struct http_request *r, enum exchange_style style)
{
    struct exchange *x = calloc(1, size);
    if (x == NULL) {
        http_respond_text(r, 503, "out of memory");
        return NULL;
    }
    x->magic = EXCHANGE_MAGIC;
    x->api = api;
    x->http = r;
    x->style = style;
    x->pretty = params_flag(r, "pretty");
    x->started_us = env_now_us(api->config.env);
    buf_init(&x->command, api->config.command_max);
    buf_init(&x->body, api->config.reply_max);
    x->request.timeout_ms = params_duration_ms(r, "timeout", api->config.request_timeout_ms);
    x->request.sql_timeout_ms = params_duration_ms(r, "db_timeout", 0);
    x->request.freshness_us = params_duration_us(r, "freshness", 0);
    x->request.freshness_strict = params_flag(r, "freshness_strict");
    x->request.only_here = params_flag(r, "redirect");
    return x;
}

static void on_reader(struct replica_request *request, const uint8_t *result, size_t n)
{
    struct exchange *x =
        CAST(struct exchange, CONTAINER_OF(request, struct exchange, request), EXCHANGE_MAGIC);
    x->render(x, result, n, &x->failed);
}

void exchange_set_level(struct exchange *x, enum read_level level, bool read_there)
{
    x->request.level = level;
    if (level == READ_LINEARIZABLE) {
        uint64_t own = params_duration_ms(x->http, "linearizable_timeout", EXCHANGE_LINEARIZABLE_TIMEOUT_MS);
        x->request.timeout_ms = own < x->request.timeout_ms ? own : x->request.timeout_ms;
    }
    x->request.format = read_there ? on_reader : NULL;
}

void exchange_free(struct exchange *x)
{
    buf_close(&x->command);
    buf_close(&x->body);
    x->magic = 0;
    free(x);
}

/* ---- errors ---- */

/* What the clients of rqlite read for an error, where it has words for it. */
static const char *text_of(const struct exchange *x, const struct error *why)
{
    switch (why->code) {
    case Q_NO_LEADER: return "leader not found";
    case Q_NOT_LEADER: return x->style == EXCHANGE_SQL ? "leader not found" : why->text;
    case Q_UNKNOWN:
        return x->style == EXCHANGE_SQL
                   ? "leadership lost while committing log: the outcome is unknown, the write may or may not "
                     "have been done"
                   : "the outcome is unknown: the write may or may not have been done";
    default: return why->text;
    }
}

static void respond_json(struct exchange *x, int status, const struct error *why)
{
    struct json j;

    buf_clear(&x->body);
    js_init(&j, &x->body, x->pretty);
    js_begin_object(&j);
    if (x->style == EXCHANGE_SQL) {
        js_key(&j, "results");
        js_begin_array(&j);
        js_end_array(&j);
    }
    js_key(&j, "error");
    js_string(&j, text_of(x, why));
    if (why->code == Q_UNKNOWN) {
        js_key(&j, "outcome");
        js_string(&j, "unknown");
    }
    js_end_object(&j);
    http_respond(x->http, status, API_JSON, &x->body);
}

void exchange_refuse(struct exchange *x, const struct error *why)
{
    bool in_band = why->code == Q_UNKNOWN || why->code == Q_CONFLICT;
    bool no_leader = why->code == Q_NO_LEADER || why->code == Q_NOT_LEADER;

    if (why->code == Q_BUSY) {
        http_set_header(x->http, "Retry-After", "1");
    }
    if (no_leader && x->request.only_here && api_redirect(x->api, x->http)) {
        /* answered */
    } else if (x->style == EXCHANGE_JSON || in_band) {
        respond_json(x, x->style == EXCHANGE_SQL ? 200 : exchange_status(why->code), why);
    } else if (why->code == Q_TIMEOUT && x->queued) {
        http_respond_text(x->http, 408, "queue wait timeout");
    } else {
        /* 500 is what rqlite says to `redirect`. */
        http_respond_text(x->http, no_leader && x->request.only_here ? 500 : exchange_status(why->code),
                          text_of(x, why));
    }
    exchange_free(x);
}

/* ---- through the replica ---- */

static void set_index(struct exchange *x, uint64_t index)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, index);
    http_set_header(x->http, "X-Quorate-Index", text);
}

/* The leader's raft address where it ran there, else this node's own API address. */
static void set_served_by(struct exchange *x, uint64_t id)
{
    const char *scheme = strstr(x->api->address, "://");
    const char *own = scheme != NULL ? scheme + 3 : x->api->address;

    if (id == x->api->id || id == 0) {
        http_set_header(x->http, "X-RQLITE-SERVED-BY", own);
    } else {
        struct replica_status status;
        const struct replica_member *member;
        replica_status(x->api->config.replica, &status);
        member = api_member(&status, id);
        http_set_header(x->http, "X-RQLITE-SERVED-BY", member != NULL ? member->address : own);
    }
}

static void on_done(struct replica_request *request, const struct replica_answer *answer)
{
    struct exchange *x =
        CAST(struct exchange, CONTAINER_OF(request, struct exchange, request), EXCHANGE_MAGIC);

    if (answer->index != 0) {
        set_index(x, answer->index);
    }
    if (answer->error.code == Q_OK && !answer->logged) {
        http_set_repeatable(x->http);
    }
    if (answer->error.code != Q_OK) {
        exchange_refuse(x, &answer->error);
        return;
    }
    set_served_by(x, answer->served_by);
    if (answer->result != NULL) {
        x->render(x, answer->result, answer->len, &x->failed);
    }
    if (x->failed.code != Q_OK) {
        exchange_refuse(x, &x->failed);
        return;
    }
    x->finish(x, answer);
    exchange_free(x);
}

void exchange_submit(struct exchange *x)
{
    struct command command;
    struct error e;

    if (buf_check(&x->command, "the command", &e) != 0 ||
        command_decode(x->command.data, x->command.len, &command, &e) != 0) {
        exchange_refuse(x, &e);
        return;
    }
    x->request.command = x->command.data;
    x->request.len = x->command.len;
    x->request.done = on_done;
    replica_submit(x->api->config.replica, &x->request);
}
