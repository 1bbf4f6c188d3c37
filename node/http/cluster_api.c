#include "node/http/cluster_api.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "node/http/change_request.h"
#include "node/http/exchange.h"
#include "node/http/json.h"
#include "node/http/member_list.h"
#include "node/http/params.h"
#include "node/http/stepdown_api.h"

enum { CHANGE_MAGIC = 0x4d434831, CHANGE_LOOK_MS = 25, LIST_MAX = 1024 * 1024, ANSWER_MAX = 4096 };

/* A client whose change is under way: first it is decided; then, with `wait`, the timer looks until it is
 * done. */
struct change {
    OBJECT_MAGIC;
    struct list link; /* the api's, while the timer runs */
    struct api *api;
    struct http_request *http;
    struct replica_change change;
    bool plain;              /* answers as rqlite's /remove */
    struct env_timer *timer; /* NULL without `wait` */
    uint64_t deadline_us;
};

/* ---- answers ---- */

void cluster_api_respond_error(struct http_request *r, const struct error *why)
{
    struct buf body;
    struct json j;

    buf_init(&body, 8 * ERROR_TEXT_MAX);
    js_init(&j, &body, params_flag(r, "pretty"));
    js_begin_object(&j);
    js_key(&j, "error");
    js_string(&j, why->text);
    js_key(&j, "code");
    js_string(&j, error_name(why->code));
    if (why->code == Q_UNKNOWN) {
        js_key(&j, "outcome");
        js_string(&j, "unknown");
    }
    js_end_object(&j);
    if (why->code == Q_BUSY) {
        http_set_header(r, "Retry-After", "1");
    }
    http_respond(r, why->code == Q_CONFLICT ? 409 : exchange_status(why->code), API_JSON, &body);
}

static void respond_no_memory(struct http_request *r)
{
    struct error e;
    error_set(&e, Q_NOMEM, "out of memory");
    cluster_api_respond_error(r, &e);
}

static void respond_done(struct http_request *r, uint64_t index, bool done)
{
    struct buf body;
    struct json j;

    buf_init(&body, ANSWER_MAX);
    js_init(&j, &body, params_flag(r, "pretty"));
    js_begin_object(&j);
    js_key(&j, "index");
    js_unsigned(&j, index);
    js_key(&j, "done");
    js_bool(&j, done);
    js_end_object(&j);
    http_respond(r, done ? 200 : 202, API_JSON, &body);
}

/* ---- a change on its way ---- */

static void change_free(struct change *c)
{
    list_remove(&c->link);
    if (c->timer != NULL) {
        env_timer_free(c->api->config.env, c->timer);
    }
    c->magic = 0;
    free(c);
}

static void on_look(void *owner)
{
    struct change *c = CAST(struct change, owner, CHANGE_MAGIC);
    struct env *env = c->api->config.env;
    uint64_t now = env_now_us(env);
    struct replica_status status;
    bool done;

    replica_status(c->api->config.replica, &status);
    done = member_list_shows(&status, &c->change);

    if (!done && now < c->deadline_us) {
        env_timer_start(env, c->timer, now + CHANGE_LOOK_MS * 1000);
        return;
    }
    respond_done(c->http, c->change.index, done);
    change_free(c);
}

static void on_decided(struct replica_change *change, const struct error *failed)
{
    struct change *c = CAST(struct change, CONTAINER_OF(change, struct change, change), CHANGE_MAGIC);

    if (failed == NULL && c->timer != NULL) {
        list_push(&c->api->changes, &c->link);
        on_look(c);
        return;
    }
    if (failed == NULL && !c->plain) {
        respond_done(c->http, change->index, false);
    } else if (!c->plain) {
        cluster_api_respond_error(c->http, failed);
    } else if (failed == NULL || failed->code == Q_NOT_FOUND) {
        http_respond(c->http, 200, NULL, NULL);
    } else if (failed->code == Q_NO_LEADER || failed->code == Q_NOT_LEADER) {
        http_respond_text(c->http, 503, "leader not found");
    } else {
        http_respond_text(c->http, failed->code == Q_CONFLICT ? 409 : exchange_status(failed->code),
                          failed->text);
    }
    change_free(c);
}

void cluster_api_close(struct api *api)
{
    LIST_EACH_SAFE (&api->changes, item) {
        struct change *c = CAST(struct change, CONTAINER_OF(item, struct change, link), CHANGE_MAGIC);
        respond_done(c->http, c->change.index, false);
        change_free(c);
    }
}

/* CHANGE's public part is what is asked for. */
static void begin(struct api *api, struct http_request *r, const struct replica_change *change, bool plain)
{
    struct change *c = calloc(1, sizeof *c);

    if (c != NULL && params_flag(r, "wait") && !plain) {
        c->timer = env_timer_new(api->config.env, on_look, c);
    }
    if (c == NULL || (c->timer == NULL && params_flag(r, "wait") && !plain)) {
        free(c);
        respond_no_memory(r);
        return;
    }
    c->magic = CHANGE_MAGIC;
    c->api = api;
    c->http = r;
    c->change = *change;
    c->change.timeout_ms = params_duration_ms(r, "timeout", api->config.request_timeout_ms);
    c->change.done = on_decided;
    c->plain = plain;
    c->deadline_us = env_now_us(api->config.env) + c->change.timeout_ms * 1000;
    list_init(&c->link);
    replica_change_member(api->config.replica, &c->change);
}

/* ---- what is asked ---- */

static void change_member(struct api *api, struct http_request *r, const char *rest)
{
    struct replica_change change;
    enum http_method method;
    struct error e;

    if (!change_request_find(rest, &change, &method)) {
        http_respond(r, 404, NULL, NULL);
    } else if (http_method(r) != method) {
        http_respond(r, 405, NULL, NULL);
    } else if (change_request_read(r, &change, &e) != 0) {
        cluster_api_respond_error(r, &e);
    } else {
        begin(api, r, &change, false);
    }
}

static void add_member(struct api *api, struct http_request *r)
{
    struct replica_change change = {.verb = REPLICA_ADD};
    struct error e;

    if (change_request_read(r, &change, &e) != 0) {
        cluster_api_respond_error(r, &e);
    } else {
        begin(api, r, &change, false);
    }
}

static void transfer(struct api *api, struct http_request *r)
{
    struct error e;
    uint64_t to;

    if (change_request_read_target(r, &to, &e) != 0) {
        cluster_api_respond_error(r, &e);
    } else {
        stepdown_api_transfer(api, r, to);
    }
}

/* True, and answered, if the client wants the leader and this node is not it. */
static bool redirected(struct api *api, struct http_request *r)
{
    struct replica_role role;

    replica_role(api->config.replica, &role);
    if (!params_flag(r, "redirect") || role.leads) {
        return false;
    }
    if (!api_redirect(api, r)) {
        struct error e;
        error_set(&e, Q_NO_LEADER, "leader not found");
        cluster_api_respond_error(r, &e);
    }
    return true;
}

static void list_members(struct api *api, struct http_request *r)
{
    struct buf body;
    struct json j;

    if (redirected(api, r)) {
        return;
    }
    buf_init(&body, LIST_MAX);
    js_init(&j, &body, params_flag(r, "pretty"));
    member_list_put(&j, api->config.replica, params_flag(r, "all"));
    http_respond(r, 200, API_JSON, &body);
}

void cluster_api_handle(void *ctx, struct http_request *r)
{
    const char *path = http_path(r) + strlen("/v1/cluster/");
    bool members = strcmp(path, "members") == 0, post = http_method(r) == HTTP_METHOD_POST;

    if (members && http_method(r) != HTTP_METHOD_DELETE) {
        post ? add_member(ctx, r) : list_members(ctx, r);
    } else if (strcmp(path, "transfer") == 0 && post) {
        transfer(ctx, r);
    } else if (members || strcmp(path, "transfer") == 0) {
        http_respond(r, 405, NULL, NULL);
    } else if (strncmp(path, "members/", 8) == 0) {
        change_member(ctx, r, path + 8);
    } else {
        http_respond(r, 404, NULL, NULL);
    }
}

void cluster_api_remove(void *ctx, struct http_request *r)
{
    struct replica_change change = {.verb = REPLICA_REMOVE};
    size_t n;
    const uint8_t *body = http_body(r, &n);
    json_t *root = json_loadb((const char *)body, n, JSON_REJECT_DUPLICATES, NULL);
    const char *text = json_object_size(root) == 1 ? json_string_value(json_object_get(root, "id")) : NULL;
    bool known = text != NULL && change_request_read_id(text, &change.id);

    if (text == NULL) {
        http_respond(r, 400, NULL, NULL);
    } else if (!known) {
        http_respond(r, 200, NULL, NULL); /* rqlite's ids are any text: nobody here has this one */
    } else if (!redirected(ctx, r)) {
        begin(ctx, r, &change, true);
    }
    json_decref(root);
}
