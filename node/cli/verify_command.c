/* verify: each node reads its whole database and compares it with its digest. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "node/cli/cluster_view.h"
#include "node/cli/command.h"
#include "node/cli/table.h"

enum { COLUMNS = 5, DIGEST_SHOWN = 12, HOUR_MS = 3600000 };

static const char *const heading[COLUMNS] = {"NODE", "INDEX", "DIGEST", "RESULT", "HTTP"};

/* One node's answer as a row; false if its content is not what it should be. */
static bool add_answer(struct table *t, const char *url, const json_t *root)
{
    const char *digest = json_string_value(json_object_get(root, "digest"));
    const char *differing = json_string_value(json_object_get(root, "differing"));
    bool ok = json_is_true(json_object_get(root, "ok"));

    table_addf(t, "%" JSON_INTEGER_FORMAT, json_integer_value(json_object_get(root, "node")));
    table_addf(t, "%" JSON_INTEGER_FORMAT, json_integer_value(json_object_get(root, "index")));
    table_addf(t, "%.*s", DIGEST_SHOWN, digest != NULL ? digest : "");
    if (ok) {
        table_add(t, "ok");
    } else {
        table_addf(t, "wrong: %s", differing != NULL ? differing : "?");
    }
    table_add(t, url);
    return ok;
}

static void add_failure(struct table *t, const struct node_view *node, const char *why)
{
    if (node->id != 0) {
        table_addf(t, "%" PRIu64, node->id);
    } else {
        table_add(t, "?");
    }
    table_add(t, "-");
    table_add(t, "-");
    table_addf(t, "failed: %s", why);
    table_add(t, node->url);
}

static bool verify_node(struct client *client, struct table *t, const struct node_view *node)
{
    struct client_request request = {.method = "POST",
                                     .target = "/v1/verify",
                                     .policy = CLIENT_PROBE,
                                     .endpoint = node->url,
                                     .timeout_ms = HOUR_MS};
    struct client_response response;
    struct error why;
    bool ok = false;

    if (!node->answered) {
        add_failure(t, node, node->error[0] != '\0' ? node->error : "it cannot be reached");
        return false;
    }
    if (client_call(client, &request, &response, &why) != 0) {
        add_failure(t, node, why.text);
        return false;
    }
    if (client_refusal(&response, &why) != 0) {
        add_failure(t, node, why.text);
    } else {
        json_t *root = json_loadb((const char *)response.body.data, response.body.len, 0, NULL);
        ok = add_answer(t, node->url, root);
        json_decref(root);
    }
    client_response_close(&response);
    return ok;
}

static enum outcome verify_all(struct client *client, const struct cluster_view *view, struct error *e)
{
    struct table t;
    unsigned wrong = 0;

    table_init(&t, COLUMNS);
    for (unsigned i = 0; i < COLUMNS; i++) {
        table_add(&t, heading[i]);
    }
    table_align_right(&t, 0);
    table_align_right(&t, 1);
    for (unsigned i = 0; i < view->count; i++) {
        wrong += !verify_node(client, &t, &view->nodes[i]);
    }
    int rv = table_print(&t, stdout, e);
    table_close(&t);
    fflush(stdout);
    if (rv != 0) {
        return OUTCOME_FAILED;
    }
    return wrong == 0 ? OUTCOME_DONE : OUTCOME_SILENT;
}

static enum outcome run(const struct args *a, struct error *e)
{
    struct client *client = NULL;
    struct cluster_view view;
    enum outcome outcome = OUTCOME_FAILED;

    if (command_client(a, &client, e) != 0) {
        return OUTCOME_USAGE;
    }
    if (cluster_view_fetch(client, CLUSTER_VIEW_PROBE_MS, &view, e) == 0) {
        outcome = verify_all(client, &view, e);
    }
    client_free(client);
    return outcome;
}

const struct command verify_command = {
    .name = "verify",
    .usage = "",
    .summary = "let each node compare its whole content with its digest",
    .details =
        "Each node that can be reached reads its whole database, one node after the other. A node whose\n"
        "content is not what its digest names is fenced: it answers nothing any more. Exits with 1 if\n"
        "that is so, or if a node did not answer.\n",
    .run = run,
};
