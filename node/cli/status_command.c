/* status: one line a node. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "node/cli/clock.h"
#include "node/cli/cluster_view.h"
#include "node/cli/command.h"
#include "node/cli/table.h"

static const struct args_option options[] = {
    {"watch", ARGS_FLAG, NULL, NULL, 0, 0, "again and again, until interrupted"},
    {"interval", ARGS_TIME, "TIME", "1s", 50, 3600000, "between two looks, with --watch"},
};

enum { DIGEST_SHOWN = 12 };

/* What an image on its way to the node has come to. */
static void print_shipment(const struct node_view *n)
{
    if (n->shipment.state[0] == 0) {
        return;
    }
    printf("node %" PRIu64 " gets an image of the database: %s", n->id, n->shipment.state);
    if (n->shipment.chunks > 0) {
        printf(", from node %" PRIu64 ", %" PRIu64 " of %" PRIu64 " chunks (%" PRIu64
               " were here), %.1f MB on the wire, %.1f MB/s",
               n->shipment.peer, n->shipment.reused + n->shipment.fetched, n->shipment.chunks,
               n->shipment.reused, (double)n->shipment.wire / 1e6, (double)n->shipment.per_s / 1e6);
    }
    if (n->shipment.eta_known) {
        printf(", %.1f s to go", (double)n->shipment.eta_ms / 1e3);
    }
    puts("");
}

static int print_table(const struct cluster_view *view, struct error *e)
{
    static const char *const heading[] = {"id",     "role",  "term",      "commit", "applied",
                                          "digest", "ready", "reachable", "http",   "peers"};
    enum { COLUMNS = sizeof heading / sizeof heading[0] };
    struct table t;
    int rv;

    table_init(&t, COLUMNS);
    for (unsigned i = 0; i < COLUMNS; i++) {
        table_add(&t, heading[i]);
    }
    table_align_right(&t, 0);
    for (unsigned i = 2; i <= 4; i++) {
        table_align_right(&t, i);
    }
    for (unsigned i = 0; i < view->count; i++) {
        const struct node_view *n = &view->nodes[i];
        if (n->id != 0) {
            table_addf(&t, "%" PRIu64, n->id);
        } else {
            table_add(&t, "?");
        }
        if (n->answered) {
            if (n->lost > 0) {
                table_addf(&t, "%s (%" PRIu64 " lost)", n->state, n->lost);
            } else {
                table_addf(&t, "%s%s%s%s%s", n->state, strcmp(n->role, "standby") == 0 ? " (standby)" : "",
                           n->removed ? " (removed)" : "", n->fenced ? " (fenced)" : "",
                           n->disk_full ? " (disk full)" : "");
            }
            table_addf(&t, "%" PRIu64, n->term);
            table_addf(&t, "%" PRIu64, n->commit);
            table_addf(&t, "%" PRIu64, n->applied);
            table_addf(&t, "%.*s", DIGEST_SHOWN, n->digest);
            table_add(&t, n->ready ? "yes" : "no");
            table_add(&t, "yes");
        } else {
            for (unsigned k = 0; k < 6; k++) {
                table_add(&t, "-");
            }
            table_add(&t, "no");
        }
        table_add(&t, n->url);
        table_add(&t, n->address);
    }
    rv = table_print(&t, stdout, e);
    table_close(&t);
    for (unsigned i = 0; rv == 0 && i < view->count; i++) {
        const struct node_view *n = &view->nodes[i];
        if (n->fenced) {
            printf("node %" PRIu64 " is fenced at index %" PRIu64
                   ": %s. It answers nothing until its database is rebuilt from the others'.\n",
                   n->id, n->fence_index, n->fence_reason);
        }
        print_shipment(n);
    }
    return rv;
}

static void print_json(const struct cluster_view *view)
{
    json_t *nodes = json_array(), *root;

    for (unsigned i = 0; i < view->count; i++) {
        const struct node_view *n = &view->nodes[i];
        json_array_append_new(
            nodes, json_pack("{s:I,s:s,s:s,s:b,s:b,s:b,s:b,s:b,s:I,s:I,s:I,s:s,s:s,s:s}", "id",
                             (json_int_t)n->id, "role", n->answered ? n->state : "unreachable", "membership",
                             n->role, "removed", n->removed, "reachable", n->answered, "ready", n->ready,
                             "fenced", n->fenced, "disk_full", n->disk_full, "term", (json_int_t)n->term,
                             "commit", (json_int_t)n->commit, "applied", (json_int_t)n->applied, "digest",
                             n->digest, "http", n->url, "peers", n->address));
    }
    root = json_pack("{s:I,s:I,s:o}", "leader", (json_int_t)view->leader, "term", (json_int_t)view->term,
                     "nodes", nodes);
    json_dumpf(root, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(root);
}

static int look(const struct args *a, struct client *client, bool clear, struct error *e)
{
    int64_t timeout = args_number(a, "timeout");
    struct cluster_view view;
    int rv = cluster_view_fetch(
        client, timeout < CLUSTER_VIEW_PROBE_MS ? (uint64_t)timeout : CLUSTER_VIEW_PROBE_MS, &view, e);

    if (clear) {
        fputs("\033[H\033[J", stdout); /* only now: asking takes time */
    }
    if (rv == 0 && args_flag(a, "json")) {
        print_json(&view);
    } else if (rv == 0) {
        rv = print_table(&view, e);
    }
    fflush(stdout);
    return rv;
}

/* Looks again whatever happened: a watch is most wanted while things break. */
static void watch(const struct args *a, struct client *client)
{
    bool clear = isatty(STDOUT_FILENO) && !args_flag(a, "json");

    while (!ferror(stdout)) {
        struct error e;
        if (look(a, client, clear, &e) != 0) {
            printf("quorate: %s\n", e.text);
            fflush(stdout);
        }
        clock_pause((uint64_t)args_number(a, "interval"));
    }
}

static enum outcome run(const struct args *a, struct error *e)
{
    struct client *client = NULL;
    int rv;

    if (command_client(a, &client, e) != 0) {
        return OUTCOME_USAGE;
    }
    if (args_flag(a, "watch")) {
        watch(a, client);
        rv = error_set(e, Q_IO, "standard output is closed");
    } else {
        rv = look(a, client, false, e);
    }
    client_free(client);
    return rv == 0 ? OUTCOME_DONE : OUTCOME_FAILED;
}

const struct command status_command = {
    .name = "status",
    .usage = "",
    .summary = "show who leads and how far each node is",
    .details = "Asks the endpoints and every node that they know of.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run,
};
