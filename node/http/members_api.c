#include "node/http/members_api.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/http/api.h"
#include "node/http/json.h"
#include "node/http/params.h"
#include "node/http/stepdown_api.h"

enum { MEMBERS_MAX = 1024 * 1024, CENSUS_MAGIC = 0x43454e31 };

/* One member that is asked. */
struct contact {
    struct census *census;
    struct peer_call call;
    uint64_t id;
    struct error failed; /* Q_OK: it answered */
};

/* A client that waits until all its members have answered or not. */
struct census {
    OBJECT_MAGIC;
    struct api *api;
    struct http_request *http;
    bool one;         /* a single node is shown, not a collection */
    bool list;        /* ver=2 */
    unsigned waiting; /* for so many answers */
    unsigned count;
    struct contact contact[PEERS_MAX];
};

/* As Go's durations look: 523µs, 1.5ms, 2s. */
static void put_time(struct json *j, uint64_t us)
{
    static const struct {
        uint64_t us;
        int digits;
        const char *name;
    } units[] = {{1000000, 6, "s"}, {1000, 3, "ms"}, {1, 0, "\xc2\xb5s"}};
    char text[40];
    unsigned i = 0;
    size_t n;

    us = us > 0 ? us : 1;
    while (us < units[i].us) {
        i++;
    }
    n = (size_t)snprintf(text, sizeof text, "%.*f", units[i].digits, (double)us / (double)units[i].us);
    while (units[i].digits > 0 && text[n - 1] == '0') {
        n--;
    }
    n -= text[n - 1] == '.';
    snprintf(text + n, sizeof text - n, "%s", units[i].name);
    js_key(j, "time");
    js_real(j, (double)us / 1e6);
    js_key(j, "time_s");
    js_string(j, text);
}

static void put_member(struct json *j, const struct replica_member *m, const struct contact *contact)
{
    bool reachable = contact->failed.code == Q_OK;
    char id[24], error[ERROR_TEXT_MAX + 60];

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
    js_bool(j, reachable);
    js_key(j, "leader");
    js_bool(j, m->leader && reachable);
    if (reachable) {
        put_time(j, contact->call.elapsed_us);
    } else {
        snprintf(error, sizeof error, "%s, last heard %" PRIu64 " ms ago", contact->failed.text,
                 m->last_heard_ms);
        js_key(j, "error");
        js_string(j, error);
    }
    js_end_object(j);
}

static void put_members(struct json *j, const struct census *c, const struct replica_status *status)
{
    js_begin_object(j);
    if (c->list) {
        js_key(j, "nodes");
        js_begin_array(j);
    }
    for (unsigned i = 0; i < c->count; i++) {
        const struct replica_member *m = api_member(status, c->contact[i].id);
        char id[24];
        if (m != NULL) {
            snprintf(id, sizeof id, "%" PRIu64, m->id);
            if (!c->list) {
                js_key(j, id);
            }
            put_member(j, m, &c->contact[i]);
        }
    }
    if (c->list) {
        js_end_array(j);
    }
    js_end_object(j);
}

static void answer(struct census *c)
{
    struct replica_status status;
    const struct replica_member *only;
    struct buf body;
    struct json j;

    replica_status(c->api->config.replica, &status);
    only = c->one ? api_member(&status, c->contact[0].id) : NULL;
    if (c->one && only == NULL) {
        http_respond_text(c->http, 503, "leader not found");
    } else {
        buf_init(&body, MEMBERS_MAX);
        js_init(&j, &body, params_flag(c->http, "pretty"));
        if (c->one) {
            put_member(&j, only, &c->contact[0]);
        } else {
            put_members(&j, c, &status);
        }
        http_respond(c->http, 200, API_JSON, &body);
    }
    c->magic = 0;
    free(c);
}

static void on_answered(struct peer_call *call, const struct error *failed)
{
    struct contact *contact = CONTAINER_OF(call, struct contact, call);
    struct census *c = CAST(struct census, contact->census, CENSUS_MAGIC);

    contact->failed = failed != NULL ? *failed : (struct error){.code = Q_OK};
    c->waiting--;
    if (c->waiting == 0) {
        answer(c);
    }
}

/* Asks all members, those without a vote too if VOTERS is false; or ONLY that one, if it is not 0. */
static void ask(struct api *api, struct http_request *r, uint64_t only, bool voters)
{
    struct census *c = calloc(1, sizeof *c);
    struct replica_status status;
    const char *version = http_param(r, "ver");
    uint64_t timeout_ms = params_duration_ms(r, "timeout", MEMBERS_API_TIMEOUT_MS);

    if (c == NULL) {
        http_respond_text(r, 503, "out of memory");
        return;
    }
    c->magic = CENSUS_MAGIC;
    c->api = api;
    c->http = r;
    c->one = only != 0;
    c->list = version != NULL && strcmp(version, "2") == 0;
    replica_status(api->config.replica, &status);
    for (unsigned i = 0; i < status.count; i++) {
        const struct replica_member *m = &status.members[i];
        if (only != 0 ? m->id == only : m->voter || !voters) {
            c->contact[c->count++] = (struct contact){
                .census = c, .id = m->id, .call = {.timeout_ms = timeout_ms, .done = on_answered}};
        }
    }
    c->waiting = c->count;
    if (c->count == 0) {
        answer(c);
        return;
    }
    for (unsigned i = 0, n = c->count; i < n; i++) {
        replica_contact(api->config.replica, c->contact[i].id, &c->contact[i].call);
    }
}

void members_api_nodes(void *ctx, struct http_request *r)
{
    ask(ctx, r, 0, !params_flag(r, "nonvoters"));
}

void members_api_leader(void *ctx, struct http_request *r)
{
    struct api *api = ctx;
    struct replica_status status;

    if (http_method(r) == HTTP_METHOD_POST) {
        stepdown_api_begin(api, r);
        return;
    }
    replica_status(api->config.replica, &status);
    if (api_member(&status, status.leader) == NULL) {
        http_respond_text(r, 503, "leader not found");
    } else {
        ask(api, r, status.leader, false);
    }
}
