/* local add, local remove: a cluster on this machine grows, shrinks, and replaces what is gone. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/cli/local_life.h"

enum { TARGET_MAX = 96 };

#define COMMON_OPTIONS                                                                                       \
    {"dir", ARGS_TEXT, "DIR", NULL, 0, 0, "the directory of the cluster"},                                   \
    {                                                                                                        \
        "wait", ARGS_TIME, "TIME", "5m", 1, 7 * 86400000, "how long to wait until it is done"                \
    }

static const struct args_option add_options[] = {
    COMMON_OPTIONS,
    {"replace", ARGS_NUMBER, "N", NULL, 1, LOCAL_NODES_MAX,
     "take the place of node N, which is gone for good"},
};
static const struct args_option remove_options[] = {COMMON_OPTIONS};

/* ---- add ---- */

static int start_joining(const struct args *a, struct local_cluster *c, struct local_node *node,
                         struct error *e)
{
    bool started[LOCAL_NODES_MAX] = {false}, ran;
    struct error ignored;
    int rv = local_node_start(c, node, e);

    if (rv == 0) {
        started[node - c->nodes] = true;
        rv = local_wait_ready(c, started, (uint64_t)args_number(a, "wait"), e);
    }
    if (rv == 0 && node->replaces != 0) {
        const struct local_node *old = &c->nodes[node->replaces - 1];
        rv = local_stop_node(c, old, &ran, e);
        rv = rv == 0 ? local_cluster_mark_removed(c, old->id, e) : rv;
    }
    if (rv == Q_CLOSED || rv == Q_CONFLICT) {
        local_cluster_undo_add(c, &ignored); /* it was refused, or could not start */
    }
    return rv;
}

static enum outcome add(const struct args *a, struct error *e)
{
    unsigned replaces = (unsigned)args_number(a, "replace");
    const struct local_node *old;
    struct local_cluster c;
    struct local_node *node;
    int rv = local_load(a, &c, e);

    if (rv != 0) {
        return local_outcome(rv);
    }
    rv = replaces != 0 ? local_cluster_node(&c, replaces, &old, e) : 0;
    if (rv == 0) {
        rv = local_cluster_add(&c, &node, e);
    }
    if (rv == 0) {
        node->replaces = replaces;
        rv = start_joining(a, &c, node, e);
    }
    if (rv == 0 && args_flag(a, "json")) {
        printf("{\"node\":%u,\"http\":%u,\"peers\":%u}\n", node->id, node->http_port, node->peer_port);
    } else if (rv == 0) {
        printf("node %u has joined and is ready: http://127.0.0.1:%u\n", node->id, node->http_port);
    }
    local_cluster_close(&c);
    return local_outcome(rv);
}

/* ---- remove ---- */

/* Asks the other nodes to take NODE out, and waits until they have. */
static int ask_to_remove(const struct args *a, const struct local_cluster *c, const struct local_node *node,
                         struct error *e)
{
    uint64_t wait_ms = (uint64_t)args_number(a, "wait");
    char target[TARGET_MAX];
    struct client_request request = {
        .method = "DELETE", .target = target, .policy = CLIENT_REPEATABLE, .timeout_ms = 2 * wait_ms};
    struct client_response response;
    struct endpoints all, others = {0};
    struct client *client;
    int rv;

    local_cluster_endpoints(c, &all);
    for (unsigned i = 0; i < all.count; i++) {
        unsigned long port = strtoul(strrchr(all.url[i], ':') + 1, NULL, 10);
        if (port != node->http_port) {
            endpoints_add(&others, all.url[i], NULL);
        }
    }
    snprintf(target, sizeof target, "/v1/cluster/members/%u?wait&timeout=%" PRIu64 "ms", node->id, wait_ms);
    rv = client_new(others.count > 0 ? &others : &all, request.timeout_ms, &client, e);
    if (rv != 0) {
        return rv;
    }
    rv = client_call(client, &request, &response, e);
    client_free(client);
    if (rv != 0) {
        return rv;
    }
    rv = client_refusal(&response, e);
    if (rv == 0 && response.status != 200) {
        rv = error_set(e, Q_TIMEOUT, "node %u is to leave but has not after %.1f s", node->id,
                       (double)wait_ms / 1000);
    }
    client_response_close(&response);
    return rv == Q_NOT_FOUND ? 0 : rv; /* it was no member any more */
}

static enum outcome remove_node(const struct args *a, struct error *e)
{
    const struct local_node *node;
    struct local_cluster c;
    bool ran;
    int rv = local_load_node(a, &c, &node, e);

    if (rv != 0) {
        return local_outcome(rv);
    }
    rv = ask_to_remove(a, &c, node, e);
    if (rv == 0) {
        rv = local_stop_node(&c, node, &ran, e);
    }
    if (rv == 0) {
        rv = local_cluster_mark_removed(&c, node->id, e);
    }
    if (rv == 0 && args_flag(a, "json")) {
        printf("{\"node\":%u,\"removed\":true}\n", node->id);
    } else if (rv == 0) {
        printf("node %u is removed; %s is of no use any more\n", node->id, node->dir);
    }
    local_cluster_close(&c);
    return local_outcome(rv);
}

const struct command local_add_command = {
    .name = "local add",
    .usage = "--dir DIR",
    .summary = "let one more node join the cluster",
    .details =
        "It stands by, and votes when there is room for a voter. With --replace it takes the place of a "
        "node\n"
        "that is gone for good: one command, and the old one is removed before the new one is let in.\n",
    .options = add_options,
    .option_count = sizeof add_options / sizeof add_options[0],
    .run = add,
};
const struct command local_remove_command = {
    .name = "local remove",
    .usage = "N --dir DIR",
    .summary = "take node N out of the cluster and stop it",
    .options = remove_options,
    .option_count = sizeof remove_options / sizeof remove_options[0],
    .words_min = 1,
    .words_max = 1,
    .run = remove_node,
};
