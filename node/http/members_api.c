#include "node/http/members_api.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/http/api.h"
#include "node/http/exchange.h"
#include "node/http/json.h"
#include "node/http/params.h"

enum { MEMBERS_MAX = 1024 * 1024, STEPDOWN_MAGIC = 0x53544431, STEPDOWN_LOOK_MS = 10 };

static void put_member(struct json *j, const struct replica_member *m)
{
    char id[24], error[80];

    snprintf(id, sizeof id, "%" PRIu64, m->id);
    js_begin_object(j);
    js_key(j, "id");
    js_string(j, id);
    js_key(j, "api_addr");
    js_string(j, m->api_address);
    js_key(j, "addr");
    js_string(j, m->address);
    js_key(j, "version");
    js_string(j, API_VERSION);
    js_key(j, "voter");
    js_bool(j, m->voter);
    js_key(j, "reachable");
    js_bool(j, m->reachable);
    js_key(j, "leader");
    js_bool(j, m->leader);
    if (!m->reachable) {
        snprintf(error, sizeof error, "not connected, last heard %" PRIu64 " ms ago", m->last_heard_ms);
        js_key(j, "error");
        js_string(j, error);
    }
    js_end_object(j);
}

void members_api_nodes(void *ctx, struct http_request *r)
{
    struct api *api = ctx;
    struct replica_status status;
    const char *version = http_param(r, "ver");
    bool list = version != NULL && strcmp(version, "2") == 0;
    struct buf body;
    struct json j;

    replica_status(api->config.replica, &status);
    buf_init(&body, MEMBERS_MAX);
    js_init(&j, &body, params_flag(r, "pretty"));
    js_begin_object(&j);
    if (list) {
        js_key(&j, "nodes");
        js_begin_array(&j);
    }
    for (unsigned i = 0; i < status.count; i++) {
        if (status.members[i].voter || params_flag(r, "nonvoters")) {
            char id[24];
            snprintf(id, sizeof id, "%" PRIu64, status.members[i].id);
            if (!list) {
                js_key(&j, id);
            }
            put_member(&j, &status.members[i]);
        }
    }
    if (list) {
        js_end_array(&j);
    }
    js_end_object(&j);
    http_respond(r, 200, API_JSON, &body);
}

/* ---- stepdown ---- */

/* A client that waits until another member leads. */
struct stepdown {
    OBJECT_MAGIC;
    struct list link; /* the api's */
    struct api *api;
    struct http_request *http;
    struct env_timer *timer;
    uint64_t deadline_us;
};

static void end(struct stepdown *t, int status, const char *text)
{
    if (text != NULL) {
        http_respond_text(t->http, status, text);
    } else {
        http_respond(t->http, status, NULL, NULL);
    }
    list_remove(&t->link);
    env_timer_free(t->api->config.env, t->timer);
    t->magic = 0;
    free(t);
}

static void on_look(void *owner)
{
    struct stepdown *t = CAST(struct stepdown, owner, STEPDOWN_MAGIC);
    struct env *env = t->api->config.env;
    struct replica_status status;
    uint64_t now = env_now_us(env);

    replica_status(t->api->config.replica, &status);
    if (status.leader != 0 && status.leader != status.id) {
        end(t, 200, NULL);
    } else if (now < t->deadline_us) {
        env_timer_start(env, t->timer, now + STEPDOWN_LOOK_MS * 1000);
    } else {
        end(t, 503, "timeout: this node still leads, or no other leader is known yet");
    }
}

void members_api_close(struct api *api)
{
    LIST_EACH_SAFE (&api->stepdowns, item) {
        end(CAST(struct stepdown, CONTAINER_OF(item, struct stepdown, link), STEPDOWN_MAGIC), 503,
            "the node stops");
    }
}

static void wait_for_change(struct api *api, struct http_request *r)
{
    struct stepdown *t = calloc(1, sizeof *t);
    struct env_timer *timer = t != NULL ? env_timer_new(api->config.env, on_look, t) : NULL;
    uint64_t now = env_now_us(api->config.env);

    if (timer == NULL) {
        free(t);
        http_respond_text(r, 503, "out of memory; leadership is being handed over all the same");
        return;
    }
    *t = (struct stepdown){.magic = STEPDOWN_MAGIC, .api = api, .http = r, .timer = timer};
    list_push(&api->stepdowns, &t->link);
    t->deadline_us = now + params_duration_ms(r, "timeout", api->config.request_timeout_ms) * 1000;
    env_timer_start(api->config.env, timer, now + STEPDOWN_LOOK_MS * 1000);
}

/* The member that the body names; 0 if it names none. False: the body is not {"id":"N"}. */
static bool read_target(const struct http_request *r, uint64_t *ret_id)
{
    const char *type = http_header(r, "Content-Type");
    size_t n;
    const uint8_t *body = http_body(r, &n);
    json_t *root;
    const char *text;
    char *end = NULL;

    *ret_id = 0;
    if (type == NULL || strcmp(type, "application/json") != 0 || n == 0) {
        return true;
    }
    root = json_loadb((const char *)body, n, JSON_REJECT_DUPLICATES, NULL);
    text = json_string_value(json_object_get(root, "id"));
    if (text != NULL && *text >= '0' && *text <= '9') {
        errno = 0;
        *ret_id = strtoull(text, &end, 10);
        end = errno != 0 || *end != '\0' || *ret_id == 0 ? NULL : end;
    }
    json_decref(root);
    return end != NULL;
}

static void step_down(struct api *api, struct http_request *r)
{
    uint64_t to;
    struct error e;

    if (!read_target(r, &to)) {
        http_respond_text(r, 400, "invalid request");
        return;
    }
    switch (replica_transfer(api->config.replica, to, &e)) {
    case Q_OK: break;
    case Q_NOT_FOUND: http_respond_text(r, 400, e.text); return;
    default: http_respond_text(r, 503, e.text); return;
    }
    if (params_flag(r, "wait")) {
        wait_for_change(api, r);
    } else {
        http_respond(r, 200, NULL, NULL);
    }
}

void members_api_leader(void *ctx, struct http_request *r)
{
    struct api *api = ctx;
    struct replica_status status;
    const struct replica_member *leader;
    struct buf body;
    struct json j;

    if (http_method(r) == HTTP_METHOD_POST) {
        step_down(api, r);
        return;
    }
    replica_status(api->config.replica, &status);
    leader = api_member(&status, status.leader);
    if (leader == NULL) {
        http_respond_text(r, 503, "leader not found");
        return;
    }
    buf_init(&body, MEMBERS_MAX);
    js_init(&j, &body, params_flag(r, "pretty"));
    put_member(&j, leader);
    http_respond(r, 200, API_JSON, &body);
}
