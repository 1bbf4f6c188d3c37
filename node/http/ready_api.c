#include "node/http/ready_api.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/http/exchange.h"
#include "node/http/params.h"
#include "storage/command.h"

#define READY_NODE "[+]node ok"
#define READY_ALL  READY_NODE "\n[+]leader ok\n[+]store ok"
#define DISK_FULL  "\n[-]disk full: writes are refused"

enum { READY_MAGIC = 0x52445931 };

/* A client that waits for this node to catch up: a linearizable read learns the index, then we wait until it
 * is applied here, wherever the read itself ran. */
struct ready_wait {
    OBJECT_MAGIC;
    struct http_request *http;
    struct replica_wait wait;
};

static void on_reached(struct replica_wait *wait, const struct error *failed)
{
    struct ready_wait *w = CAST(struct ready_wait, CONTAINER_OF(wait, struct ready_wait, wait), READY_MAGIC);
    if (failed != NULL) {
        http_respond_text(w->http, 503, READY_ALL "\n[+]sync timeout");
    } else {
        http_respond_text(w->http, 200, READY_ALL "\n[+]sync ok");
    }
    w->magic = 0;
    free(w);
}

static int render(struct exchange *x, const uint8_t *result, size_t n, struct error *e)
{
    (void)x;
    (void)result;
    (void)n;
    (void)e;
    return 0; /* only the index matters */
}

static void finish(struct exchange *x, const struct replica_answer *answer)
{
    struct ready_wait *w = calloc(1, sizeof *w);

    if (w == NULL) {
        http_respond_text(x->http, 503, "out of memory");
        return;
    }
    w->magic = READY_MAGIC;
    w->http = x->http;
    w->wait.index = answer->index;
    w->wait.deadline_ms =
        x->started_us / 1000 + params_duration_ms(x->http, "timeout", x->api->config.request_timeout_ms);
    w->wait.reached = on_reached;
    replica_wait(x->api->config.replica, &w->wait);
}

static void sync(struct api *api, struct http_request *r)
{
    static const char ns[] = "quorate", key[] = "readyz"; /* whether it exists does not matter */
    struct exchange *x = exchange_new(sizeof *x, api, r, EXCHANGE_SQL);

    if (x != NULL) {
        command_put_kv_get(&x->command, cursor_of(ns, strlen(ns)), cursor_of(key, strlen(key)));
        exchange_set_level(x, READ_LINEARIZABLE, false);
        x->render = render;
        x->finish = finish;
        exchange_submit(x);
    }
}

static void respond_recovering(struct http_request *r, const struct replica_status *status)
{
    char text[160];
    snprintf(text, sizeof text,
             READY_NODE "\n[-]log damaged: %" PRIu64 " entries between %" PRIu64 " and %" PRIu64
                        " are being repaired from the other members",
             status->log_lost, status->log_lost_first, status->log_lost_last);
    http_respond_text(r, 503, text);
}

/* What this node does about it, and how far it is. */
static void put_rebuild(const struct replica_status *status, char *to, size_t room)
{
    const struct replica_shipment *s = &status->shipment;

    if (status->count == 1) {
        snprintf(to, room, "there is no other member to rebuild it from: restore a backup");
    } else if (strcmp(s->role, "target") != 0) {
        snprintf(to, room, "it will be rebuilt from the other members");
    } else if (s->index == 0) {
        snprintf(to, room, "it is being rebuilt, and asks the other members for an image");
    } else {
        snprintf(to, room,
                 "it is being rebuilt from an image of index %" PRIu64 " (%s, %" PRIu32 " of %" PRIu32
                 " chunks)",
                 s->index, s->state, s->chunks_reused + s->chunks_fetched, s->chunks_all);
    }
}

static void respond_fenced(struct http_request *r, const struct replica_status *status)
{
    char text[600], rebuild[200];

    put_rebuild(status, rebuild, sizeof rebuild);
    snprintf(text, sizeof text, READY_NODE "\n[-]database fenced at index %" PRIu64 ": %s; %s",
             status->fence_index, status->fence_reason, rebuild);
    http_respond_text(r, 503, text);
}

void ready_api_readyz(void *ctx, struct http_request *r)
{
    struct api *api = ctx;
    struct replica_status status;
    const struct replica_member *leader;

    if (params_flag(r, "noleader")) {
        http_respond_text(r, 200, READY_NODE);
        return;
    }
    replica_status(api->config.replica, &status);
    if (status.removed) {
        http_respond_text(r, 503, READY_NODE "\n[-]removed: this node is no member of the cluster any more");
        return;
    }
    if (status.log_damage[0] != 0) {
        respond_recovering(r, &status);
        return;
    }
    leader = api_member(&status, status.leader);
    if (status.fenced) {
        respond_fenced(r, &status);
    } else if (leader == NULL) {
        http_respond_text(r, 503, READY_NODE "\n[+]leader does not exist");
    } else if (!leader->reachable) {
        http_respond_text(r, 503, READY_NODE "\n[+]leader not contactable: not connected");
    } else if (!status.ready) {
        http_respond_text(r, 503, READY_NODE "\n[+]leader ok\n[+]store not ready");
    } else if (params_flag(r, "sync")) {
        sync(api, r);
    } else {
        /* Ready all the same: it reads, votes and forwards, and a restart would help nobody. */
        http_respond_text(r, 200, status.disk_full ? READY_ALL DISK_FULL : READY_ALL);
    }
}
