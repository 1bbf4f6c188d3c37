#include "node/http/stepdown_api.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "node/http/cluster_api.h"
#include "node/http/json.h"
#include "node/http/params.h"

enum { STEPDOWN_MAGIC = 0x53544431, STEPDOWN_LOOK_MS = 10 };

/* A client whose stepdown is under way: first the leader is asked; then, with `wait`, the timer looks until
 * another member leads. */
struct stepdown {
    OBJECT_MAGIC;
    struct list link; /* the api's, while the timer runs */
    struct api *api;
    struct http_request *http;
    struct peer_call call;
    struct env_timer *timer; /* NULL without `wait` */
    bool as_json;
    uint64_t before; /* who led */
    uint64_t deadline_us;
};

static void forget(struct stepdown *t)
{
    list_remove(&t->link);
    if (t->timer != NULL) {
        env_timer_free(t->api->config.env, t->timer);
    }
    t->magic = 0;
    free(t);
}

static void respond_json(struct http_request *r, uint64_t leader)
{
    struct buf body;
    struct json j;

    buf_init(&body, 1024);
    js_init(&j, &body, params_flag(r, "pretty"));
    js_begin_object(&j);
    js_key(&j, "done");
    js_bool(&j, leader != 0);
    if (leader != 0) {
        js_key(&j, "leader");
        js_unsigned(&j, leader);
    }
    js_end_object(&j);
    http_respond(r, leader != 0 ? 200 : 202, API_JSON, &body);
}

/* LEADER is the new one; 0: nobody has waited for one. */
static void succeed(struct stepdown *t, uint64_t leader)
{
    if (t->as_json) {
        respond_json(t->http, leader);
    } else {
        http_respond(t->http, 200, NULL, NULL);
    }
    forget(t);
}

static void fail(struct stepdown *t, const struct error *why)
{
    if (t->as_json) {
        cluster_api_respond_error(t->http, why);
    } else if (why->code == Q_NO_LEADER || why->code == Q_NOT_LEADER) {
        http_respond_text(t->http, 503, "leader not found");
    } else {
        http_respond_text(t->http, why->code == Q_NOT_FOUND || why->code == Q_INVALID ? 400 : 503, why->text);
    }
    forget(t);
}

static void on_look(void *owner)
{
    struct stepdown *t = CAST(struct stepdown, owner, STEPDOWN_MAGIC);
    struct env *env = t->api->config.env;
    struct replica_status status;
    uint64_t now = env_now_us(env);

    replica_status(t->api->config.replica, &status);
    if (status.leader != 0 && status.leader != t->before) {
        succeed(t, status.leader);
    } else if (now < t->deadline_us) {
        env_timer_start(env, t->timer, now + STEPDOWN_LOOK_MS * 1000);
    } else {
        struct error e;
        error_set(&e, Q_TIMEOUT, "timeout: no other leader is known yet");
        fail(t, &e);
    }
}

void stepdown_api_close(struct api *api)
{
    struct error e;

    error_set(&e, Q_CLOSED, "the node stops");
    LIST_EACH_SAFE (&api->stepdowns, item) {
        fail(CAST(struct stepdown, CONTAINER_OF(item, struct stepdown, link), STEPDOWN_MAGIC), &e);
    }
}

static void on_asked(struct peer_call *call, const struct error *failed)
{
    struct stepdown *t = CAST(struct stepdown, CONTAINER_OF(call, struct stepdown, call), STEPDOWN_MAGIC);

    if (failed == NULL && t->timer == NULL) {
        succeed(t, 0);
    } else if (failed == NULL) {
        list_push(&t->api->stepdowns, &t->link);
        on_look(t);
    } else {
        fail(t, failed);
    }
}

/* The member that the body names; 0 if it names none. False: the body is not {"id":"N"}. */
static bool read_target(const struct http_request *r, uint64_t *ret_id)
{
    const char *type = http_header(r, "Content-Type");
    size_t n;
    const uint8_t *body = http_body(r, &n);
    json_t *root;
    const char *text;
    char *rest = NULL;

    *ret_id = 0;
    if (type == NULL || strcmp(type, "application/json") != 0 || n == 0) {
        return true;
    }
    root = json_loadb((const char *)body, n, JSON_REJECT_DUPLICATES, NULL);
    text = json_string_value(json_object_get(root, "id"));
    if (text != NULL && *text >= '0' && *text <= '9') {
        errno = 0;
        *ret_id = strtoull(text, &rest, 10);
        rest = errno != 0 || *rest != '\0' || *ret_id == 0 ? NULL : rest;
    }
    json_decref(root);
    return rest != NULL;
}

static struct stepdown *new_stepdown(struct api *api, struct http_request *r)
{
    struct stepdown *t = calloc(1, sizeof *t);

    if (t == NULL) {
        return NULL;
    }
    t->magic = STEPDOWN_MAGIC;
    t->api = api;
    t->http = r;
    list_init(&t->link);
    if (params_flag(r, "wait")) {
        t->timer = env_timer_new(api->config.env, on_look, t);
        if (t->timer == NULL) {
            free(t);
            return NULL;
        }
    }
    return t;
}

static void begin(struct api *api, struct http_request *r, uint64_t to, bool as_json)
{
    struct stepdown *t = new_stepdown(api, r);
    struct replica_status status;

    if (t == NULL) {
        http_respond_text(r, 503, "out of memory");
        return;
    }
    replica_status(api->config.replica, &status);
    t->as_json = as_json;
    t->before = status.leader;
    t->call.timeout_ms = params_duration_ms(r, "timeout", api->config.request_timeout_ms);
    t->call.done = on_asked;
    t->deadline_us = env_now_us(api->config.env) + t->call.timeout_ms * 1000;
    replica_transfer(api->config.replica, to, &t->call);
}

void stepdown_api_transfer(struct api *api, struct http_request *r, uint64_t to)
{
    struct replica_role role;

    replica_role(api->config.replica, &role);
    if (to != 0 && to == role.leader) {
        respond_json(r, to); /* it leads already */
    } else {
        begin(api, r, to, true);
    }
}

void stepdown_api_begin(struct api *api, struct http_request *r)
{
    struct replica_status status;
    uint64_t to;

    if (!read_target(r, &to)) {
        http_respond_text(r, 400, "invalid request");
        return;
    }
    replica_status(api->config.replica, &status);
    if (status.leader != status.id && params_flag(r, "redirect")) {
        if (!api_redirect(api, r)) {
            http_respond_text(r, 500, "leader not found");
        }
        return;
    }
    begin(api, r, to, false);
}
