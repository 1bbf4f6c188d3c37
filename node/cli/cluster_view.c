#include "node/cli/cluster_view.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void copy_text(char *to, size_t max, const json_t *from)
{
    const char *text = json_string_value(from);
    snprintf(to, max, "%s", text != NULL ? text : "");
}

static uint64_t number(const json_t *object, const char *key)
{
    json_int_t v = json_integer_value(json_object_get(object, key));
    return v > 0 ? (uint64_t)v : 0;
}

static struct node_view *find_id(struct cluster_view *view, uint64_t id)
{
    for (unsigned i = 0; i < view->count; i++) {
        if (view->nodes[i].id == id) {
            return &view->nodes[i];
        }
    }
    return NULL;
}

static struct node_view *find_or_add(struct cluster_view *view, uint64_t id)
{
    struct node_view *node = id != 0 ? find_id(view, id) : NULL;

    if (node == NULL && view->count < CLUSTER_VIEW_MAX) {
        node = &view->nodes[view->count++];
        *node = (struct node_view){.id = id};
    }
    return node;
}

/* The other members, as one node knows them. What a node said about itself is not touched. */
static void take_members(struct cluster_view *view, const json_t *members)
{
    for (size_t i = 0; i < json_array_size(members); i++) {
        const json_t *m = json_array_get(members, i);
        struct node_view *node = find_or_add(view, number(m, "id"));

        if (node != NULL && json_object_get(m, "role") != NULL) {
            copy_text(node->role, sizeof node->role, json_object_get(m, "role"));
        }
        if (node != NULL && !node->answered) {
            copy_text(node->address, sizeof node->address, json_object_get(m, "address"));
            if (node->url[0] == 0) {
                copy_text(node->url, sizeof node->url, json_object_get(m, "api_address"));
            }
        }
    }
}

static void take_shipment(struct node_view *node, const json_t *s)
{
    const char *role = json_string_value(json_object_get(s, "role"));

    if (role == NULL || strcmp(role, "target") != 0) {
        return;
    }
    copy_text(node->shipment.state, sizeof node->shipment.state, json_object_get(s, "state"));
    node->shipment.peer = number(s, "peer");
    node->shipment.bytes = number(s, "bytes");
    node->shipment.chunks = number(s, "chunks");
    node->shipment.reused = number(s, "chunks_reused");
    node->shipment.fetched = number(s, "chunks_fetched");
    node->shipment.wire = number(s, "bytes_on_the_wire");
    node->shipment.per_s = number(s, "bytes_per_second");
    node->shipment.eta_known = json_is_integer(json_object_get(s, "eta_ms"));
    node->shipment.eta_ms = number(s, "eta_ms");
}

static int take_answer(struct cluster_view *view, const char *url, const struct client_response *response,
                       struct error *e)
{
    json_t *root = json_loadb((const char *)response->body.data, response->body.len, 0, NULL);
    const json_t *q = json_object_get(root, "quorate");
    struct node_view *node = number(q, "id") != 0 ? find_or_add(view, number(q, "id")) : NULL;

    if (node == NULL) {
        json_decref(root);
        return error_set(e, Q_CORRUPT, "the status is not that of a quorated");
    }
    node->answered = true;
    snprintf(node->url, sizeof node->url, "%s", url);
    copy_text(node->state, sizeof node->state, json_object_get(q, "state"));
    copy_text(node->digest, sizeof node->digest, json_object_get(q, "digest"));
    copy_text(node->address, sizeof node->address, json_object_get(json_object_get(root, "store"), "addr"));
    node->ready = json_is_true(json_object_get(q, "ready"));
    node->fenced = json_is_true(json_object_get(q, "fenced"));
    node->removed = json_is_true(json_object_get(q, "removed"));
    node->disk_full = json_is_true(json_object_get(json_object_get(q, "disk"), "full"));
    node->lost = number(json_object_get(q, "recovery"), "lost");
    node->fence_index = number(json_object_get(q, "fence"), "index");
    copy_text(node->fence_reason, sizeof node->fence_reason,
              json_object_get(json_object_get(q, "fence"), "reason"));
    take_shipment(node, json_object_get(q, "shipment"));
    node->term = number(q, "term");
    node->commit = number(q, "commit");
    node->applied = number(q, "applied");
    if (node->term > view->term || (node->term == view->term && view->leader == 0)) {
        view->term = node->term;
        view->leader = number(q, "leader");
    }
    take_members(view, json_object_get(q, "members"));
    json_decref(root);
    return 0;
}

static int probe(struct client *c, struct cluster_view *view, const char *url, uint64_t probe_ms,
                 struct error *e)
{
    struct client_request request = {.method = "GET",
                                     .target = "/status",
                                     .policy = CLIENT_PROBE,
                                     .endpoint = url,
                                     .timeout_ms = probe_ms};
    struct client_response response;
    int rv = client_call(c, &request, &response, e);

    if (rv == 0) {
        rv = client_refusal(&response, e);
        if (rv == 0) {
            rv = take_answer(view, url, &response, e);
        }
        client_response_close(&response);
    }
    return rv;
}

static int by_id(const void *a, const void *b)
{
    uint64_t x = ((const struct node_view *)a)->id, y = ((const struct node_view *)b)->id;
    return (x > y) - (x < y);
}

/* An endpoint that did not answer is a node of its own only if no other node has named it. */
static void add_silent(struct cluster_view *view, const char *url, const struct error *why)
{
    struct node_view *node = NULL;

    for (unsigned i = 0; i < view->count; i++) {
        if (strcmp(view->nodes[i].url, url) == 0) {
            node = &view->nodes[i];
        }
    }
    if (node == NULL) {
        node = find_or_add(view, 0);
    }
    if (node != NULL && !node->answered) {
        snprintf(node->url, sizeof node->url, "%s", url);
        snprintf(node->error, sizeof node->error, "%.150s", why->text);
    }
}

int cluster_view_fetch(struct client *c, uint64_t probe_ms, struct cluster_view *ret_view, struct error *e)
{
    const struct endpoints *given = client_endpoints(c);
    struct cluster_view view = {0};
    struct endpoints silent = {0};
    struct error why[ENDPOINTS_MAX], last = {.code = Q_NO_LEADER};
    bool any = false;

    for (unsigned i = 0; i < given->count; i++) {
        if (probe(c, &view, given->url[i], probe_ms, &last) == 0) {
            any = true;
        } else if (endpoints_add(&silent, given->url[i], NULL) == 0) {
            why[silent.count - 1] = last;
        }
    }
    if (!any) {
        *e = last;
        e->code = Q_NO_LEADER;
        return Q_NO_LEADER;
    }
    for (unsigned i = 0; i < silent.count; i++) {
        add_silent(&view, silent.url[i], &why[i]);
    }
    for (unsigned i = 0; i < view.count; i++) {
        struct node_view *node = &view.nodes[i];
        if (!node->answered && node->url[0] != 0 && node->error[0] == 0) {
            char url[ENDPOINT_MAX];
            snprintf(url, sizeof url, "%s", node->url);
            if (probe(c, &view, url, probe_ms, &last) != 0) {
                snprintf(node->error, sizeof node->error, "%.150s", last.text);
            }
        }
    }
    qsort(view.nodes, view.count, sizeof view.nodes[0], by_id);
    *ret_view = view;
    return 0;
}

int cluster_view_ask(struct client *c, const char *url, uint64_t probe_ms, struct cluster_view *ret_view,
                     struct error *e)
{
    struct cluster_view view = {0};
    int rv = probe(c, &view, url, probe_ms, e);

    if (rv == 0) {
        *ret_view = view;
    }
    return rv;
}

const char *cluster_view_leader_url(const struct cluster_view *view)
{
    for (unsigned i = 0; i < view->count; i++) {
        if (view->nodes[i].id == view->leader && view->leader != 0) {
            return view->nodes[i].url;
        }
    }
    return "";
}

const struct node_view *cluster_view_leader(const struct cluster_view *view)
{
    for (unsigned i = 0; i < view->count; i++) {
        if (view->nodes[i].id == view->leader && view->leader != 0 && view->nodes[i].answered) {
            return &view->nodes[i];
        }
    }
    return NULL;
}
