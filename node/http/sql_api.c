#include "node/http/sql_api.h"

#include <string.h>
#include <strings.h>

#include "node/http/exchange.h"
#include "node/http/json.h"
#include "node/http/params.h"
#include "node/http/pragma.h"
#include "node/http/result_json.h"
#include "node/http/sql_json.h"
#include "storage/result.h"

struct sql_exchange {
    struct exchange x;
    struct json json;
    struct result_json_options options;
    const char *type; /* of the answer */
    int64_t sequence; /* of a queued request; 0 for others */
};

/* ---- answers ---- */

static void begin_answer(struct sql_exchange *s)
{
    js_init(&s->json, &s->x.body, s->x.pretty);
    js_begin_object(&s->json);
    js_key(&s->json, "results");
}

static void end_answer(struct sql_exchange *s, uint64_t raft_index)
{
    struct exchange *x = &s->x;
    uint64_t elapsed_us = env_now_us(x->api->config.env) - x->started_us;

    if (s->options.timings && elapsed_us > 0) {
        js_key(&s->json, "time");
        js_real(&s->json, (double)elapsed_us / 1e6);
    }
    if (s->sequence != 0) {
        js_key(&s->json, "sequence_number");
        js_integer(&s->json, s->sequence);
    }
    if (raft_index != 0 && params_flag(x->http, "raft_index")) {
        js_key(&s->json, "raft_index");
        js_unsigned(&s->json, raft_index);
    }
    js_end_object(&s->json);
    http_respond(x->http, 200, s->type, &x->body);
}

static int render(struct exchange *x, const uint8_t *result, size_t n, struct error *e)
{
    struct sql_exchange *s = (struct sql_exchange *)x;
    struct cursor body = cursor_of(result, n);
    enum result_kind kind;
    struct error failed;
    int rc = result_decode(&body, &kind, &failed, e);

    if (rc != 0) {
        return rc;
    }
    begin_answer(s);
    if (kind == RESULT_SQL && s->sequence == 0) {
        return result_json_write(&s->json, body, &s->options, e);
    }
    if (kind != RESULT_SQL && kind != RESULT_ERROR) {
        return error_set(e, Q_CORRUPT, "the result is not one of an SQL command");
    }
    js_begin_array(&s->json);
    js_end_array(&s->json);
    if (kind == RESULT_ERROR) {
        js_key(&s->json, "error");
        js_string(&s->json, failed.text);
    }
    return 0;
}

static void finish(struct exchange *x, const struct replica_answer *answer)
{
    end_answer((struct sql_exchange *)x, answer->logged ? answer->index : 0);
}

/* {"results":[]}, and why, if it is not that nothing was asked: nothing was done. */
static void answer_nothing(struct sql_exchange *s, const char *why)
{
    begin_answer(s);
    js_begin_array(&s->json);
    js_end_array(&s->json);
    if (why != NULL) {
        js_key(&s->json, "error");
        js_string(&s->json, why);
    }
    end_answer(s, 0);
    exchange_free(&s->x);
}

/* ---- requests ---- */

static bool is_plain_text(const struct http_request *r)
{
    const char *type = http_header(r, "Content-Type");
    return type != NULL && strncasecmp(type, "text/plain", strlen("text/plain")) == 0;
}

/* One SQL string. The empty one is no statement. */
static uint32_t put_one(struct exchange *x, enum command_op op, unsigned flags, const void *sql, size_t n)
{
    if (n == 0) {
        return 0;
    }
    command_put_sql(&x->command, op, flags, 1);
    command_put_statement(&x->command, sql, n, 0);
    return 1;
}

static enum read_level read_level(const struct exchange *x)
{
    static const struct {
        const char *name;
        enum read_level level;
    } levels[] = {{"none", READ_NONE},
                  {"weak", READ_WEAK},
                  {"linearizable", READ_LINEARIZABLE},
                  {"strong", READ_STRONG}};
    const char *name = http_param(x->http, "level");

    for (unsigned i = 0; name != NULL && i < sizeof levels / sizeof levels[0]; i++) {
        if (strcasecmp(name, levels[i].name) == 0) {
            return levels[i].level;
        }
    }
    if (name != NULL && strcasecmp(name, "auto") == 0) {
        struct replica_status status;
        const struct replica_member *own;
        replica_status(x->api->config.replica, &status);
        own = api_member(&status, status.id);
        return own != NULL && !own->voter ? READ_NONE : READ_WEAK;
    }
    return READ_WEAK;
}

static struct sql_exchange *new_exchange(struct api *api, struct http_request *r)
{
    struct sql_exchange *s = exchange_new(sizeof *s, api, r, EXCHANGE_SQL);
    if (s != NULL) {
        s->type = API_JSON;
        s->options.timings = params_flag(r, "timings");
        s->options.associative = params_flag(r, "associative");
        s->options.blob_array = params_flag(r, "blob_array");
        s->x.render = render;
        s->x.finish = finish;
    }
    return s;
}

/* The statements of the body, or of the parameter q, as the exchange's command. */
static int put_command(struct sql_exchange *s, enum command_op op, uint32_t *ret_statements, struct error *e)
{
    struct http_request *r = s->x.http;
    unsigned flags = params_flag(r, "transaction") ? COMMAND_TRANSACTION : 0;
    size_t n;
    const void *body = http_body(r, &n);

    if (http_method(r) == HTTP_METHOD_GET || http_method(r) == HTTP_METHOD_HEAD) {
        const char *q = http_param_bytes(r, "q", &n);
        *ret_statements = put_one(&s->x, op, flags, q, q != NULL ? n : 0);
        return 0;
    }
    if (is_plain_text(r) && op != COMMAND_SQL_REQUEST) {
        *ret_statements = put_one(&s->x, op, flags, body, n);
        return 0;
    }
    if (is_plain_text(r)) {
        return error_set(e, Q_INVALID, "invalid JSON body");
    }
    return sql_json_parse(body, n, op, flags, &s->x.command, ret_statements, e);
}

/* The number under which a queued request is known: it grows by one, from a start that no earlier process of
 * this node can have reached. */
static int64_t next_sequence(struct api *api)
{
    if (api->sequence_number == 0) {
        api->sequence_number = (int64_t)env_wall_ms(api->config.env) * 1000000;
    }
    return ++api->sequence_number;
}

static void run(struct api *api, struct http_request *r, enum command_op op)
{
    struct sql_exchange *s = new_exchange(api, r);
    struct command command;
    uint32_t statements;
    struct error e;

    if (s == NULL) {
        return;
    }
    if (op == COMMAND_SQL_EXECUTE && params_flag(r, "queue")) {
        s->sequence = next_sequence(api);
        s->x.queued = true;
    }
    if (put_command(s, op, &statements, &e) != 0) {
        if (e.code == Q_NOT_FOUND && s->x.queued && params_flag(r, "wait")) {
            answer_nothing(s, NULL); /* everything that was queued before is done: see sql_api.h */
            return;
        }
        e.code = e.code == Q_NOT_FOUND ? Q_INVALID : e.code;
        exchange_refuse(&s->x, &e);
        return;
    }
    if (statements == 0) {
        answer_nothing(s, NULL);
        return;
    }
    if (command_decode(s->x.command.data, s->x.command.len, &command, &e) == 0 &&
        pragma_disallowed_in(&command)) {
        s->sequence = 0;
        answer_nothing(s, "disallowed pragma");
        return;
    }
    if (op != COMMAND_SQL_EXECUTE) {
        exchange_set_level(&s->x, read_level(&s->x), true);
    }
    exchange_submit(&s->x);
}

void sql_api_script(struct api *api, struct http_request *r, const void *sql, size_t n)
{
    struct sql_exchange *s = new_exchange(api, r);

    if (s == NULL) {
        return;
    }
    s->type = "text/plain; charset=utf-8";
    if (put_one(&s->x, COMMAND_SQL_EXECUTE, COMMAND_TRANSACTION, sql, n) == 0) {
        answer_nothing(s, NULL);
    } else {
        exchange_submit(&s->x);
    }
}

void sql_api_execute(void *ctx, struct http_request *r)
{
    run(ctx, r, COMMAND_SQL_EXECUTE);
}

void sql_api_query(void *ctx, struct http_request *r)
{
    run(ctx, r, COMMAND_SQL_QUERY);
}

void sql_api_request(void *ctx, struct http_request *r)
{
    run(ctx, r, COMMAND_SQL_REQUEST);
}
