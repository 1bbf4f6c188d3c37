#include "node/http/api.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/http/cluster_api.h"
#include "node/http/dump_api.h"
#include "node/http/json.h"
#include "node/http/kv_api.h"
#include "node/http/load_api.h"
#include "node/http/members_api.h"
#include "node/http/params.h"
#include "node/http/ready_api.h"
#include "node/http/snapshot_api.h"
#include "node/http/spool.h"
#include "node/http/sql_api.h"
#include "node/http/status_api.h"
#include "node/http/stepdown_api.h"
#include "node/http/verify_api.h"

enum {
    GET = 1U << HTTP_METHOD_GET,
    POST = 1U << HTTP_METHOD_POST,
    PUT = 1U << HTTP_METHOD_PUT,
    DELETE = 1U << HTTP_METHOD_DELETE,
    ANY = GET | POST | PUT | DELETE | 1U << HTTP_METHOD_OTHER
};

static void on_root(void *ctx, struct http_request *r)
{
    (void)ctx;
    http_set_header(r, "Location", "/status");
    http_respond(r, 302, NULL, NULL);
}

static const struct http_route routes[] = {
    {.path = "/db/execute", .prefix = true, .methods = POST, .handler = sql_api_execute},
    {.path = "/db/query", .prefix = true, .methods = GET | POST, .handler = sql_api_query},
    {.path = "/db/request", .prefix = true, .methods = POST, .handler = sql_api_request},
    {.path = "/db/backup", .prefix = true, .methods = GET, .handler = dump_api_backup},
    {.path = LOAD_API_PATH, .prefix = true, .methods = POST, .handler = load_api_load},
    {.path = "/v1/kv/", .prefix = true, .methods = GET | PUT | DELETE, .handler = kv_api_handle},
    {.path = "/v1/snapshots", .methods = GET | POST, .handler = snapshot_api_collection},
    {.path = "/v1/snapshots/", .prefix = true, .methods = GET, .handler = snapshot_api_manifest},
    {.path = "/v1/chunks/", .prefix = true, .methods = GET | POST, .handler = snapshot_api_chunk},
    {.path = "/v1/cluster/", .prefix = true, .methods = GET | POST | DELETE, .handler = cluster_api_handle},
    {.path = "/remove", .prefix = true, .methods = DELETE, .handler = cluster_api_remove},
    {.path = "/v1/verify", .methods = POST, .handler = verify_api_handle},
    {.path = "/status", .prefix = true, .methods = GET, .handler = status_api_status},
    {.path = "/nodes", .prefix = true, .methods = GET, .handler = members_api_nodes},
    {.path = "/readyz", .prefix = true, .methods = GET, .handler = ready_api_readyz},
    {.path = "/leader", .methods = GET | POST, .handler = members_api_leader},
    {.path = "/metrics", .methods = GET, .handler = status_api_metrics},
    {.path = "/healthz", .methods = GET, .handler = status_api_healthz},
    {.path = "/", .methods = ANY, .handler = on_root},
};

int api_new(const struct api_config *config, struct api **ret_api, struct error *e)
{
    struct api *api = calloc(1, sizeof *api);
    const struct replica_member *own;
    struct replica_status status;

    if (api == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for the HTTP API");
    }
    api->config = *config;
    if (config->request_timeout_ms == 0) {
        api->config.request_timeout_ms = API_REQUEST_TIMEOUT_MS;
    }
    if (config->command_max == 0) {
        api->config.command_max = API_COMMAND_MAX;
    }
    if (config->reply_max == 0) {
        api->config.reply_max = API_REPLY_MAX;
    }
    list_init(&api->stepdowns);
    list_init(&api->changes);
    list_init(&api->dumps);
    list_init(&api->loads);
    api->started_ms = env_now_ms(config->env);
    replica_status(config->replica, &status);
    own = api_member(&status, status.id);
    api->id = status.id;
    if (own != NULL) {
        memcpy(api->address, own->api_address, sizeof api->address);
    }
    if (spool_open(api, e) != 0) {
        free(api);
        return (int)e->code;
    }
    *ret_api = api;
    return 0;
}

void api_free(struct api *api)
{
    if (api != NULL) {
        stepdown_api_close(api);
        cluster_api_close(api);
        dump_api_close(api);
        load_api_close(api);
        free(api);
    }
}

void *api_owner(void *api)
{
    return ((struct api *)api)->config.ctx;
}

const struct http_route *api_routes(unsigned *ret_count)
{
    *ret_count = sizeof routes / sizeof routes[0];
    return routes;
}

bool api_gate(void *ctx, struct http_request *r)
{
    struct error e;
    (void)ctx;

    if (http_method(r) == HTTP_METHOD_OPTIONS) {
        http_respond(r, 200, NULL, NULL);
        return true;
    }
    if (params_check(r, &e) != 0) {
        http_respond_text(r, 400, e.text);
        return true;
    }
    return false;
}

struct http_sink *api_sink(void *ctx, struct http_request *r, int *ret_status, const char **ret_why)
{
    bool loads = http_method(r) == HTTP_METHOD_POST &&
                 strncmp(http_path(r), LOAD_API_PATH, sizeof LOAD_API_PATH - 1) == 0;

    return loads ? load_api_sink(ctx, r, ret_status, ret_why) : NULL;
}

void api_prepare(void *ctx, struct http_request *r)
{
    struct api *api = ctx;

    http_set_header(r, "X-RQLITE-VERSION", API_VERSION);
    http_set_header(r, "Access-Control-Allow-Methods", "OPTIONS, GET, POST");
    http_set_header(r, "Access-Control-Allow-Headers", "Content-Type");
    if (!http_header_is_set(r, "X-Quorate-Index")) {
        struct replica_status status;
        char index[24];
        replica_status(api->config.replica, &status);
        snprintf(index, sizeof index, "%" PRIu64, status.applied);
        http_set_header(r, "X-Quorate-Index", index);
    }
}

const struct replica_member *api_member(const struct replica_status *status, uint64_t id)
{
    for (unsigned i = 0; i < status->count; i++) {
        if (status->members[i].id == id) {
            return &status->members[i];
        }
    }
    return NULL;
}

/* The leader told us its address itself: it must not break our header. */
static bool is_plain(const char *s)
{
    while ((unsigned char)*s > ' ' && *s != 0x7f) {
        s++;
    }
    return *s == '\0';
}

bool api_redirect(struct api *api, struct http_request *r)
{
    struct replica_status status;
    const struct replica_member *leader;
    struct buf location;
    bool known;

    replica_status(api->config.replica, &status);
    leader = api_member(&status, status.leader);
    buf_init(&location, 70000);
    if (leader != NULL && leader->api_address[0] != '\0') {
        buf_printf(&location, "%s%s%s%s", leader->api_address, http_path(r),
                   http_raw_query(r)[0] != '\0' ? "?" : "", http_raw_query(r));
        buf_put_u8(&location, 0);
    }
    known = location.len > 0 && location.failed == Q_OK && is_plain((const char *)location.data);
    if (known) {
        http_set_header(r, "Location", (const char *)location.data);
        http_respond(r, 301, NULL, NULL);
    }
    buf_close(&location);
    return known;
}

void api_respond_error(struct http_request *r, int status, const char *text)
{
    struct buf body;
    struct json j;

    buf_init(&body, 8 * ERROR_TEXT_MAX);
    js_init(&j, &body, false);
    js_begin_object(&j);
    js_key(&j, "error");
    js_string(&j, text);
    js_end_object(&j);
    http_respond(r, status, API_JSON, &body);
}
