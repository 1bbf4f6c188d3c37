#include "node/http/call.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/http/json.h"
#include "node/http/params.h"
#include "storage/command.h"

/* The one place where the product's errors become HTTP statuses. */
static int status_of(enum error_code code)
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

void *call_new(size_t size, struct api *api, struct http_request *r, enum call_style style)
{
    struct call *c = calloc(1, size);
    if (c == NULL) {
        http_respond_text(r, 503, "out of memory");
        return NULL;
    }
    c->magic = CALL_MAGIC;
    c->api = api;
    c->http = r;
    c->style = style;
    c->pretty = params_flag(r, "pretty");
    c->started_us = env_now_us(api->env);
    buf_init(&c->command, api->command_max);
    buf_init(&c->body, api->reply_max);
    c->request.timeout_ms = params_duration_ms(r, "timeout", CALL_TIMEOUT_MS);
    c->request.sql_timeout_ms = params_duration_ms(r, "db_timeout", 0);
    c->request.freshness_ms = params_duration_ms(r, "freshness", 0);
    c->request.only_here = params_flag(r, "redirect");
    return c;
}

static void on_reader(struct replica_request *request, const uint8_t *result, size_t n)
{
    struct call *c = CAST(struct call, CONTAINER_OF(request, struct call, request), CALL_MAGIC);
    c->render(c, result, n, &c->failed);
}

void call_set_level(struct call *c, enum read_level level, bool read_there)
{
    c->request.level = level;
    if (level == READ_LINEARIZABLE) {
        uint64_t own =
            params_duration_ms(c->http, "linearizable_timeout", CALL_LINEARIZABLE_TIMEOUT_MS);
        c->request.timeout_ms = own < c->request.timeout_ms ? own : c->request.timeout_ms;
    }
    c->request.format = read_there ? on_reader : NULL;
}

void call_free(struct call *c)
{
    buf_close(&c->command);
    buf_close(&c->body);
    c->magic = 0;
    free(c);
}

/* ---- errors ---- */

/* The leader told us its address itself: it must not break our header. */
static bool is_plain(const char *s)
{
    while ((unsigned char)*s > ' ' && *s != 0x7f) {
        s++;
    }
    return *s == '\0';
}

/* 301 to the leader, with the request's path and query. False if it is not known where that is. */
static bool redirect(struct call *c)
{
    struct replica_status status;
    const struct replica_member *leader;
    struct buf location;
    bool done;

    replica_status(c->api->replica, &status);
    leader = api_member(&status, status.leader);
    if (leader == NULL || leader->api_address[0] == '\0') {
        return false;
    }
    buf_init(&location, 70000);
    buf_printf(&location, "%s%s%s%s", leader->api_address, http_path(c->http),
               http_raw_query(c->http)[0] != '\0' ? "?" : "", http_raw_query(c->http));
    buf_put_u8(&location, 0);
    done = location.failed == Q_OK && is_plain((const char *)location.data);
    if (done) {
        http_set_header(c->http, "Location", (const char *)location.data);
        http_respond(c->http, 301, NULL, NULL);
    }
    buf_close(&location);
    return done;
}

/* What the clients of rqlite read for an error, where it has words for it. */
static const char *text_of(const struct call *c, const struct error *why)
{
    switch (why->code) {
    case Q_NO_LEADER: return "leader not found";
    case Q_UNKNOWN:
        return c->style == CALL_SQL
                   ? "leadership lost while committing log: the outcome is unknown, the write may or may not "
                     "have been done"
                   : "the outcome is unknown: the write may or may not have been done";
    default: return why->text;
    }
}

static void respond_json(struct call *c, int status, const struct error *why)
{
    struct json j;

    buf_clear(&c->body);
    json_init(&j, &c->body, c->pretty);
    json_begin_object(&j);
    if (c->style == CALL_SQL) {
        json_key(&j, "results");
        json_begin_array(&j);
        json_end_array(&j);
    }
    json_key(&j, "error");
    json_string(&j, text_of(c, why));
    if (why->code == Q_UNKNOWN) {
        json_key(&j, "outcome");
        json_string(&j, "unknown");
    }
    json_end_object(&j);
    http_respond(c->http, status, API_JSON, &c->body);
}

void call_refuse(struct call *c, const struct error *why)
{
    bool in_band = why->code == Q_UNKNOWN || why->code == Q_CONFLICT;

    if (why->code == Q_BUSY) {
        http_set_header(c->http, "Retry-After", "1");
    }
    if (why->code == Q_NOT_LEADER && redirect(c)) {
        /* answered */
    } else if (c->style == CALL_JSON || in_band) {
        respond_json(c, c->style == CALL_SQL ? 200 : status_of(why->code), why);
    } else if (why->code == Q_TIMEOUT && c->queued) {
        http_respond_text(c->http, 408, "queue wait timeout");
    } else if (why->code == Q_NOT_LEADER) {
        http_respond_text(c->http, 500, "leader not found"); /* what rqlite says to `redirect` */
    } else {
        http_respond_text(c->http, status_of(why->code), text_of(c, why));
    }
    call_free(c);
}

/* ---- through the replica ---- */

static void set_index(struct call *c, uint64_t index)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, index);
    http_set_header(c->http, "X-Quorate-Index", text);
}

/* The leader's raft address where it ran there, else this node's own API address. */
static void set_served_by(struct call *c, uint64_t id)
{
    const char *scheme = strstr(c->api->api_address, "://");
    const char *own = scheme != NULL ? scheme + 3 : c->api->api_address;

    if (id == c->api->id || id == 0) {
        http_set_header(c->http, "X-RQLITE-SERVED-BY", own);
    } else {
        struct replica_status status;
        const struct replica_member *member;
        replica_status(c->api->replica, &status);
        member = api_member(&status, id);
        http_set_header(c->http, "X-RQLITE-SERVED-BY", member != NULL ? member->address : own);
    }
}

static void on_done(struct replica_request *request, const struct replica_answer *answer)
{
    struct call *c = CAST(struct call, CONTAINER_OF(request, struct call, request), CALL_MAGIC);

    if (answer->index != 0) {
        set_index(c, answer->index);
    }
    if (answer->error.code != Q_OK) {
        call_refuse(c, &answer->error);
        return;
    }
    set_served_by(c, answer->served_by);
    if (answer->result != NULL) {
        c->render(c, answer->result, answer->len, &c->failed);
    }
    if (c->failed.code != Q_OK) {
        call_refuse(c, &c->failed);
        return;
    }
    c->finish(c, answer);
    call_free(c);
}

void call_submit(struct call *c)
{
    struct command command;
    struct error e;

    if (buf_check(&c->command, "the command", &e) != 0 ||
        command_decode(c->command.data, c->command.len, &command, &e) != 0) {
        call_refuse(c, &e);
        return;
    }
    c->request.command = c->command.data;
    c->request.len = c->command.len;
    c->request.done = on_done;
    replica_submit(c->api->replica, &c->request);
}
