#include "node/cli/backup_node.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "node/cli/clock.h"
#include "node/cli/cluster_view.h"
#include "node/cli/wire.h"

enum {
    ASK_AGAIN_MS = 200,
    TAKE_TURN_MS = 20000, /* the node answers after so long that it is not done */
    CONNECTIONS = 4,
    DEPTH = 2,
    FETCHES = CONNECTIONS * DEPTH,
    TRIES_MAX = 4, /* of a chunk that comes damaged */
    TURN_MS = 100,
    RETRY_MS = 100,
    SILENCE_MS = 10000,
};

/* ---- which node ---- */

static bool serves(const struct node_view *n)
{
    return n->answered && n->ready && !n->fenced && n->url[0] != 0;
}

static bool is_follower(const struct cluster_view *view, const struct node_view *n)
{
    const struct node_view *leader = cluster_view_leader(view);

    return serves(n) && n->id != view->leader && strcmp(n->state, "follower") == 0 &&
           (leader == NULL || leader->commit <= n->applied + BACKUP_NODE_LAG_MAX);
}

static const struct node_view *best_follower(const struct cluster_view *view)
{
    const struct node_view *best = NULL;

    for (unsigned i = 0; i < view->count; i++) {
        const struct node_view *n = &view->nodes[i];
        best = is_follower(view, n) && (best == NULL || n->applied > best->applied) ? n : best;
    }
    return best;
}

static uint64_t committed(const struct cluster_view *view)
{
    uint64_t index = 0;

    for (unsigned i = 0; i < view->count; i++) {
        index = view->nodes[i].answered && view->nodes[i].commit > index ? view->nodes[i].commit : index;
    }
    return index;
}

static int choose(struct client *client, bool follower, bool leader, struct backup_node *ret_node,
                  struct error *e)
{
    struct cluster_view view;
    const struct node_view *n;

    if (cluster_view_fetch(client, CLUSTER_VIEW_PROBE_MS, &view, e) != 0) {
        return (int)e->code;
    }
    n = follower ? best_follower(&view) : NULL;
    if (n == NULL && leader) {
        n = cluster_view_leader(&view);
        n = n != NULL && serves(n) ? n : NULL;
    }
    if (n == NULL) {
        return error_set(e, Q_NOT_FOUND, "no %s is ready to give a backup (quorate status says more)",
                         follower && leader ? "node"
                         : follower         ? "follower"
                                            : "leader");
    }
    *ret_node = (struct backup_node){
        .client = client, .id = n->id, .leads = n->id == view.leader, .index = committed(&view)};
    snprintf(ret_node->url, sizeof ret_node->url, "%s", n->url);
    return 0;
}

static bool is_word(const char *from)
{
    return strcmp(from, "any") == 0 || strcmp(from, "follower") == 0 || strcmp(from, "leader") == 0;
}

int backup_node_check(const char *from, struct error *e)
{
    struct endpoints one = {0};

    if (is_word(from)) {
        return 0;
    }
    if (strchr(from, ':') == NULL) {
        return error_set(e, Q_INVALID, "--from is one of: any, follower, leader, or the URL of a node");
    }
    return endpoints_add(&one, from, e);
}

int backup_node_choose(struct client *client, const char *from, struct backup_node *ret_node, struct error *e)
{
    struct endpoints one = {0};
    struct cluster_view view;

    if (is_word(from)) {
        return choose(client, from[0] != 'l', from[0] != 'f', ret_node, e);
    }
    if (backup_node_check(from, e) != 0 || endpoints_add(&one, from, e) != 0 ||
        cluster_view_ask(client, one.url[0], CLUSTER_VIEW_PROBE_MS, &view, e) != 0) {
        return (int)e->code;
    }
    *ret_node = (struct backup_node){.client = client, .index = committed(&view)};
    snprintf(ret_node->url, sizeof ret_node->url, "%s", one.url[0]);
    for (unsigned i = 0; i < view.count; i++) {
        if (view.nodes[i].answered) {
            ret_node->id = view.nodes[i].id;
            ret_node->leads = view.nodes[i].id == view.leader;
        }
    }
    return 0;
}

/* ---- the image ---- */

static int read_entry(const struct client_response *response, uint64_t *ret_index, uint64_t *ret_term,
                      struct error *e)
{
    json_t *root = json_loadb((const char *)response->body.data, response->body.len, 0, NULL);
    json_int_t index = json_integer_value(json_object_get(root, "index"));
    json_int_t term = json_integer_value(json_object_get(root, "term"));

    json_decref(root);
    if (index <= 0 || term <= 0) {
        return error_set(e, Q_CORRUPT, "the answer names no snapshot");
    }
    *ret_index = (uint64_t)index;
    *ret_term = (uint64_t)term;
    return 0;
}

/* One question. *RET_AGAIN: it is being taken, or cannot be now. */
static int ask_to_take(struct backup_node *node, uint64_t timeout_ms, bool *ret_again, uint64_t *ret_index,
                       uint64_t *ret_term, struct error *e)
{
    char target[80];
    struct client_request request = {.method = "POST",
                                     .target = target,
                                     .policy = CLIENT_PROBE,
                                     .endpoint = node->url,
                                     .timeout_ms = timeout_ms + SILENCE_MS};
    struct client_response response;
    int rv;

    snprintf(target, sizeof target, "/v1/snapshots?index=%" PRIu64 "&timeout=%" PRIu64 "ms", node->index,
             timeout_ms);
    rv = client_call(node->client, &request, &response, e);
    if (rv != 0) {
        return rv;
    }
    *ret_again = response.status == 202 || response.status == 503;
    if (response.status == 202) {
        rv = error_set(e, Q_TIMEOUT, "node %" PRIu64 " still takes the snapshot", node->id);
    } else {
        rv = client_refusal(&response, e);
    }
    rv = rv == 0 ? read_entry(&response, ret_index, ret_term, e) : rv;
    client_response_close(&response);
    return rv;
}

static int read_manifest(struct backup_node *node, uint64_t index, uint64_t term, uint64_t timeout_ms,
                         struct manifest *ret_manifest, struct error *e)
{
    char target[120];
    struct client_request request = {.method = "GET",
                                     .target = target,
                                     .policy = CLIENT_REPEATABLE,
                                     .endpoint = node->url,
                                     .timeout_ms = timeout_ms};
    struct client_response response;
    int rv;

    snprintf(target, sizeof target, "/v1/snapshots/%" PRIu64 "-%" PRIu64 "/manifest", index, term);
    rv = client_call(node->client, &request, &response, e);
    if (rv != 0) {
        return rv;
    }
    rv = client_refusal(&response, e);
    rv = rv == 0 ? manifest_decode(response.body.data, response.body.len, ret_manifest, e) : rv;
    if (rv == 0 && (ret_manifest->index != index || ret_manifest->term != term)) {
        manifest_close(ret_manifest);
        rv = error_set(e, Q_CORRUPT, "the manifest is of another snapshot than was asked for");
    }
    client_response_close(&response);
    return rv;
}

int backup_node_take(struct backup_node *node, uint64_t timeout_ms, struct manifest *ret_manifest,
                     struct error *e)
{
    uint64_t end_ms = clock_ms() + timeout_ms, index, term, left = timeout_ms;
    bool again = true;
    int rv;

    for (;;) {
        again = false;
        rv = ask_to_take(node, left < TAKE_TURN_MS ? left : TAKE_TURN_MS, &again, &index, &term, e);
        left = end_ms > clock_ms() ? end_ms - clock_ms() : 0;
        if (rv == 0 || !again || left <= ASK_AGAIN_MS) {
            break;
        }
        clock_pause(ASK_AGAIN_MS);
    }
    return rv == 0 ? read_manifest(node, index, term, timeout_ms, ret_manifest, e) : rv;
}

/* ---- the chunks ---- */

/* A chunk that is under way, or waits to be asked for again. */
struct fetch {
    bool used, waiting;
    bool delta, whole; /* a delta was asked for; only the whole chunk will do */
    uint32_t chunk;
    unsigned tries;
};

struct fetching {
    struct backup_node *node;
    const struct manifest *manifest;
    struct backup *backup;
    struct wire *wire;
    struct fetch fetch[FETCHES];
    unsigned under_way;
    uint32_t next; /* the first chunk that was not looked at yet */
    uint64_t answered_ms, try_at_ms, timeout_ms;
    uint64_t bytes; /* that came */
    struct progress_facts facts;
    struct error failed; /* code Q_OK while it goes on */
};

/* It is tried again, unless it was in vain for too long. */
static void try_again(struct fetching *f, struct fetch *one, const struct error *why)
{
    uint64_t now = clock_ms();

    one->waiting = true;
    f->facts.retried++;
    f->try_at_ms = now + RETRY_MS;
    if (now - f->answered_ms > f->timeout_ms) {
        error_set(&f->failed, why->code, "nothing came for %.1f s (last: %s)",
                  (double)(now - f->answered_ms) / 1e3, why->text);
    }
}

static void take(struct fetching *f, struct fetch *one, const struct reply *reply)
{
    char hex[CHUNK_HEX];
    struct error e;
    int rv = one->delta ? backup_put_delta(f->backup, one->chunk, reply->body, reply->len, &e)
                        : backup_put(f->backup, one->chunk, reply->body, reply->len, &e);

    f->answered_ms = clock_ms();
    f->bytes += reply->len;
    if (rv == 0) {
        f->facts.rows++;
        f->facts.bytes += manifest_chunk_bytes(f->manifest, one->chunk);
        one->used = false;
        return;
    }
    chunk_name_text(&f->manifest->chunk[one->chunk], hex);
    error_wrap(&e, "chunk %" PRIu32 " (%s) from node %" PRIu64, one->chunk, hex, f->node->id);
    if ((rv == Q_CORRUPT || rv == Q_CONFLICT) && ++one->tries < TRIES_MAX) {
        one->whole = true;
        try_again(f, one, &e);
    } else {
        f->failed = e;
    }
}

static void on_done(void *ctx, unsigned connection, void *tag, const struct reply *reply,
                    const struct error *why)
{
    struct fetching *f = ctx;
    struct fetch *one = tag;
    struct error e;

    (void)connection;
    f->under_way--;
    if (reply == NULL) {
        try_again(f, one, why);
    } else if (reply->status == 200) {
        take(f, one, reply);
    } else {
        int n = reply->len < 300 ? (int)reply->len : 300;
        bool again = reply->status == 503 || reply->status == 429;
        error_set(&e, reply->status == 404 ? Q_NOT_FOUND : Q_IO,
                  "node %" PRIu64 " does not give chunk %" PRIu32 ": status %d: %.*s", f->node->id,
                  one->chunk, reply->status, n, n > 0 ? reply->body : "");
        if (again) {
            try_again(f, one, &e);
        } else {
            f->failed = e;
        }
    }
}

/* A chunk to ask for: one that failed, or the next one that is missing. NULL: none now. */
static struct fetch *next_fetch(struct fetching *f)
{
    struct fetch *unused = NULL;
    uint32_t chunk;

    for (unsigned i = 0; i < FETCHES; i++) {
        if (f->fetch[i].used && f->fetch[i].waiting) {
            return &f->fetch[i];
        }
        unused = !f->fetch[i].used ? &f->fetch[i] : unused;
    }
    if (unused == NULL || !backup_missing(f->backup, f->next, &chunk)) {
        return NULL;
    }
    f->next = chunk + 1;
    *unused = (struct fetch){.used = true, .waiting = true, .chunk = chunk};
    return unused;
}

/* As a delta, if the backup before has something in its place. */
static int send_one(struct fetching *f, unsigned connection, struct fetch *one, struct error *e)
{
    char target[160], hex[CHUNK_HEX];
    uint8_t sums[DELTA_SUMS_BYTES];

    chunk_name_text(&f->manifest->chunk[one->chunk], hex);
    snprintf(target, sizeof target, "/v1/chunks/%s?snapshot=%" PRIu64 "-%" PRIu64, hex, f->manifest->index,
             f->manifest->term);
    one->waiting = false;
    one->delta = !one->whole && backup_base_sums(f->backup, one->chunk, sums);
    f->under_way++;
    if (!one->delta) {
        return wire_send(f->wire, connection, "GET", target, NULL, NULL, 0, one, e);
    }
    return wire_send(f->wire, connection, "POST", target, "application/octet-stream", sums, sizeof sums, one,
                     e);
}

static int send_some(struct fetching *f, struct error *e)
{
    struct fetch *one;
    int rv = 0;

    for (unsigned i = 0; rv == 0 && i < CONNECTIONS; i++) {
        while (rv == 0 && wire_has_room(f->wire, i) && (one = next_fetch(f)) != NULL) {
            rv = send_one(f, i, one, e);
        }
    }
    return rv;
}

static bool is_done(const struct fetching *f)
{
    uint32_t chunk;

    for (unsigned i = 0; i < FETCHES; i++) {
        if (f->fetch[i].used) {
            return false;
        }
    }
    return !backup_missing(f->backup, f->next, &chunk);
}

static uint64_t missing_bytes(const struct manifest *m, const struct backup *backup)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; backup_missing(backup, i, &i); i++) {
        bytes += manifest_chunk_bytes(m, i);
    }
    return bytes;
}

int backup_node_fetch(struct backup_node *node, const struct manifest *manifest, struct backup *backup,
                      uint64_t timeout_ms, struct progress *progress, struct error *e)
{
    struct endpoints one = {0};
    struct fetching f = {.node = node,
                         .manifest = manifest,
                         .backup = backup,
                         .answered_ms = clock_ms(),
                         .timeout_ms = timeout_ms,
                         .facts = {.unit = "chunks", .done = "copied"},
                         .failed = {.code = Q_OK}};
    struct wire_config config = {.endpoints = &one,
                                 .connections = CONNECTIONS,
                                 .depth = DEPTH,
                                 .timeout_ms = SILENCE_MS,
                                 .done = on_done,
                                 .ctx = &f};
    uint64_t started_us = clock_us();
    int rv = endpoints_add(&one, node->url, e);

    rv = rv == 0 ? wire_new(&config, &f.wire, e) : rv;
    f.facts.bytes_total = missing_bytes(manifest, backup);
    while (rv == 0 && f.failed.code == Q_OK && !is_done(&f)) {
        if (clock_ms() >= f.try_at_ms) {
            rv = send_some(&f, e);
        }
        rv = rv == 0 ? wire_poll(f.wire, TURN_MS, e) : rv;
        f.facts.elapsed_us = clock_us() - started_us;
        progress_show(progress, &f.facts, clock_us());
    }
    progress_end(progress);
    wire_free(f.wire);
    node->bytes_fetched += f.bytes;
    if (rv == 0 && f.failed.code != Q_OK) {
        *e = f.failed;
        rv = (int)e->code;
    }
    return rv;
}
