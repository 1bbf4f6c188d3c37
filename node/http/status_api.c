#include "node/http/status_api.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/http/api.h"
#include "node/http/json.h"
#include "node/http/member_list.h"
#include "node/http/params.h"

enum { STATUS_MAX = 1024 * 1024, METRICS_MAX = 4 * 1024 * 1024 };

static void put_string(struct json *j, const char *key, const char *text)
{
    js_key(j, key);
    js_string(j, text);
}

static void put_number(struct json *j, const char *key, uint64_t v)
{
    js_key(j, key);
    js_unsigned(j, v);
}

static void put_bool(struct json *j, const char *key, bool v)
{
    js_key(j, key);
    js_bool(j, v);
}

static void put_id(struct json *j, const char *key, uint64_t id)
{
    char text[24] = "";
    if (id != 0) {
        snprintf(text, sizeof text, "%" PRIu64, id);
    }
    put_string(j, key, text);
}

static void put_hex(struct json *j, const char *key, const uint8_t *p, size_t n)
{
    char text[2 * 32 + 1] = "";
    for (size_t i = 0; i < n && i < 32; i++) {
        snprintf(text + 2 * i, 3, "%02x", p[i]);
    }
    put_string(j, key, text);
}

/* 64 random bits: as a number they would be beyond what JSON readers hold. */
static void put_hex64(struct json *j, const char *key, uint64_t v)
{
    char text[17];
    snprintf(text, sizeof text, "%016" PRIx64, v);
    put_string(j, key, text);
}

/* A number, or null for what has no end: milliseconds since what never was, bytes that nothing limits. */
static void put_finite(struct json *j, const char *key, uint64_t v)
{
    js_key(j, key);
    if (v == UINT64_MAX) {
        js_null(j);
    } else {
        js_unsigned(j, v);
    }
}

static const char *raft_address(const struct replica_status *status, uint64_t id)
{
    const struct replica_member *member = api_member(status, id);
    return member != NULL ? member->address : "";
}

/* rqlite's words for the states of a node. */
static const char *rqlite_state(const char *state)
{
    return strcmp(state, "leader") == 0       ? "Leader"
           : strcmp(state, "follower") == 0   ? "Follower"
           : strcmp(state, "candidate") == 0  ? "Candidate"
           : strcmp(state, "recovering") == 0 ? "Unknown"
                                              : "Shutdown";
}

static void put_members(struct json *j, const struct replica_status *status)
{
    js_key(j, "members");
    js_begin_array(j);
    for (unsigned i = 0; i < status->count; i++) {
        const struct replica_member *m = &status->members[i];
        js_begin_object(j);
        put_number(j, "id", m->id);
        put_string(j, "address", m->address);
        put_string(j, "api_address", m->api_address);
        put_string(j, "role", member_list_role(m->role));
        put_string(j, "wanted", member_list_wanted(m->wanted));
        put_bool(j, "voter", m->voter);
        put_bool(j, "leader", m->leader);
        put_bool(j, "reachable", m->reachable);
        put_bool(j, "disk_full", m->disk_full);
        put_number(j, "match", m->match);
        put_number(j, "last_heard_ms", m->last_heard_ms);
        js_end_object(j);
    }
    js_end_array(j);
}

static void put_disk(struct json *j, const struct replica_status *status)
{
    js_key(j, "disk");
    js_begin_object(j);
    put_bool(j, "full", status->disk_full);
    put_finite(j, "free_bytes", status->disk_free);
    put_number(j, "needed_bytes", status->disk_needed);
    put_number(j, "ballast_bytes", status->disk_ballast);
    js_end_object(j);
}

/* An image of the database that is on its way, or is being taken. */
static void put_images(struct json *j, const struct replica_status *status)
{
    const struct replica_shipment *s = &status->shipment;

    put_number(j, "images_installed", status->installs);
    if (status->taking) {
        js_key(j, "taking");
        js_begin_object(j);
        put_number(j, "bytes", status->taken_bytes);
        put_number(j, "of_bytes", status->taking_bytes);
        js_end_object(j);
    }
    if (s->role == NULL || s->role[0] == 0) {
        return;
    }
    js_key(j, "shipment");
    js_begin_object(j);
    put_string(j, "role", s->role);
    put_string(j, "state", s->state);
    put_number(j, "peer", s->peer);
    put_number(j, "index", s->index);
    put_number(j, "term", s->term);
    put_number(j, "bytes", s->bytes_all);
    put_number(j, "chunks", s->chunks_all);
    put_number(j, "chunks_reused", s->chunks_reused);
    put_number(j, "chunks_fetched", s->chunks_fetched);
    put_number(j, "bytes_on_the_wire", s->bytes_wire);
    put_number(j, "bytes_per_second", s->bytes_per_s);
    put_finite(j, "eta_ms", s->eta_ms);
    js_end_object(j);
}

/* Our own facts. */
static void put_quorate(struct json *j, const struct api *api, const struct replica_status *status)
{
    js_key(j, "quorate");
    js_begin_object(j);
    put_string(j, "cluster_name", status->cluster_name);
    put_hex(j, "cluster_id", status->cluster_id, sizeof status->cluster_id);
    put_number(j, "id", status->id);
    put_hex64(j, "incarnation", status->incarnation);
    put_string(j, "state", status->state);
    put_number(j, "term", status->term);
    put_number(j, "leader", status->leader);
    put_bool(j, "ready", status->ready);
    put_bool(j, "removed", status->removed);
    put_bool(j, "fenced", status->fenced);
    if (status->fenced) {
        js_key(j, "fence");
        js_begin_object(j);
        put_number(j, "index", status->fence_index);
        put_string(j, "reason", status->fence_reason);
        put_bool(j, "rebuild_needed", status->count == 1);
        js_end_object(j);
    }
    js_key(j, "log");
    js_begin_object(j);
    put_number(j, "first", status->log_first);
    put_number(j, "last", status->log_last);
    put_number(j, "durable", status->log_durable);
    js_end_object(j);
    if (status->log_damage[0] != 0) {
        js_key(j, "recovery");
        js_begin_object(j);
        put_number(j, "lost", status->log_lost);
        put_number(j, "first", status->log_lost_first);
        put_number(j, "last", status->log_lost_last);
        put_string(j, "damage", status->log_damage);
        js_end_object(j);
    }
    put_number(j, "commit", status->commit);
    put_number(j, "applied", status->applied);
    put_hex(j, "digest", status->digest, sizeof status->digest);
    put_number(j, "snapshot_index", status->snapshot_index);
    put_finite(j, "last_leader_contact_ms", status->last_leader_contact_ms);
    put_number(j, "term_changes", status->term_changes);
    put_number(j, "leader_changes", status->leader_changes);
    put_number(j, "uptime_ms", env_now_ms(api->config.env) - api->started_ms);
    put_disk(j, status);
    put_images(j, status);
    if (api->config.put_status != NULL) {
        api->config.put_status(api->config.ctx, j);
    }
    put_members(j, status);
    js_end_object(j);
}

static void put_store(struct json *j, const struct replica_status *status)
{
    const struct replica_member *own = api_member(status, status->id);

    js_key(j, "store");
    js_begin_object(j);
    put_string(j, "addr", raft_address(status, status->id));
    put_number(j, "db_applied_index", status->applied);
    put_number(j, "fsm_index", status->applied);
    js_key(j, "leader");
    js_begin_object(j);
    put_string(j, "addr", raft_address(status, status->leader));
    put_id(j, "node_id", status->leader);
    js_end_object(j);
    put_id(j, "node_id", status->id);
    js_key(j, "nodes");
    js_begin_array(j);
    for (unsigned i = 0; i < status->count; i++) {
        const struct replica_member *m = &status->members[i];
        js_begin_object(j);
        put_id(j, "id", m->id);
        put_string(j, "addr", m->address);
        put_string(j, "suffrage", m->voter ? "Voter" : "Nonvoter");
        js_end_object(j);
    }
    js_end_array(j);
    js_key(j, "raft");
    js_begin_object(j);
    put_number(j, "applied_index", status->applied);
    put_number(j, "commit_index", status->commit);
    put_number(j, "last_log_index", status->log_last);
    put_number(j, "last_snapshot_index", status->snapshot_index);
    put_number(j, "num_peers", status->count > 0 ? status->count - 1 : 0);
    put_string(j, "state", rqlite_state(status->state));
    put_number(j, "term", status->term);
    put_bool(j, "voter", own != NULL && own->voter);
    js_end_object(j);
    put_bool(j, "ready", status->ready);
    js_end_object(j);
}

static void put_status(struct json *j, const struct api *api, const struct replica_status *status)
{
    js_begin_object(j);
    js_key(j, "build");
    js_begin_object(j);
    put_string(j, "version", API_VERSION);
    js_end_object(j);
    js_key(j, "cluster");
    js_begin_object(j);
    put_string(j, "addr", raft_address(status, status->id));
    put_string(j, "api_addr", api->address);
    js_end_object(j);
    js_key(j, "http");
    js_begin_object(j);
    put_string(j, "bind_addr", api->address);
    js_key(j, "queue");
    js_begin_object(j);
    js_key(j, "_default");
    js_begin_object(j);
    js_key(j, "sequence_number");
    js_integer(j, api->sequence_number);
    js_end_object(j);
    js_end_object(j);
    js_end_object(j);
    js_key(j, "node");
    js_begin_object(j);
    js_key(j, "uptime_s");
    js_real(j, (double)(env_now_ms(api->config.env) - api->started_ms) / 1000);
    js_end_object(j);
    js_key(j, "os");
    js_begin_object(j);
    put_number(j, "pid", (uint64_t)getpid());
    js_end_object(j);
    put_quorate(j, api, status);
    js_key(j, "runtime");
    js_begin_object(j);
    put_string(j, "compiler", __VERSION__);
    js_end_object(j);
    put_store(j, status);
    js_end_object(j);
}

/* The part of the document in BODY that the dotted KEY names, in its place. */
static void select_key(struct buf *body, const char *key, bool pretty)
{
    json_t *root = json_loadb((const char *)body->data, body->len, 0, NULL), *part = root;
    char *text;

    while (part != NULL && *key != '\0') {
        size_t n = strcspn(key, ".");
        part = json_object_getn(part, key, n); /* NULL for what is no object, too */
        key += n + (key[n] == '.');
    }
    text = part != NULL ? json_dumps(part, JSON_ENCODE_ANY | (pretty ? JSON_INDENT(4) : JSON_COMPACT))
                        : strdup("{}");
    buf_clear(body);
    buf_printf(body, "%s", text != NULL ? text : "{}");
    free(text);
    json_decref(root);
}

void status_api_status(void *ctx, struct http_request *r)
{
    struct api *api = ctx;
    struct replica_status status;
    bool pretty = params_flag(r, "pretty");
    const char *key = http_param(r, "key");
    struct buf body;
    struct json j;

    replica_status(api->config.replica, &status);
    buf_init(&body, STATUS_MAX);
    js_init(&j, &body, pretty);
    put_status(&j, api, &status);
    if (key != NULL && *key != '\0' && body.failed == Q_OK) {
        select_key(&body, key, pretty);
    }
    http_respond(r, 200, API_JSON, &body);
}

void status_api_metrics(void *ctx, struct http_request *r)
{
    struct api *api = ctx;
    struct buf body;

    buf_init(&body, METRICS_MAX);
    metrics_render(api->config.metrics, &body);
    http_respond(r, 200, "text/plain; version=0.0.4; charset=utf-8", &body);
}

void status_api_healthz(void *ctx, struct http_request *r)
{
    (void)ctx;
    http_respond_text(r, 200, "ok");
}
