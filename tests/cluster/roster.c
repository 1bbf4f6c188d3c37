#include "tests/cluster/roster.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "tests/cluster/check.h"
#include "tests/unit/test.h"

enum { TEXT_MAX = 512, WAIT_MS = 60000 };

/* Of the leader; NULL: it does not answer as one. */
static json_t *list(struct processes *ps, unsigned i)
{
    struct deadline deadline = deadline_in(2000);
    struct http_ask ask = {.method = "GET", .target = "/v1/cluster/members"};
    struct http_reply reply;
    json_t *root;

    if (http_client_ask(&ps->node[i].client, &ask, &deadline, &reply) != HTTP_ANSWERED) {
        return NULL;
    }
    root = reply.status == 200 ? json_loadb(reply.body, reply.len, 0, NULL) : NULL;
    http_reply_close(&reply);
    return root;
}

/* The list as a text; whether all members are settled. */
static bool put_text(const json_t *root, char text[TEXT_MAX])
{
    const json_t *members = json_object_get(root, "members");
    bool settled = true;
    size_t n = 0;

    text[0] = 0;
    for (size_t i = 0; i < json_array_size(members); i++) {
        const json_t *m = json_array_get(members, i);
        n += (size_t)snprintf(text + n, TEXT_MAX - n, "%s%" JSON_INTEGER_FORMAT ":%s", n > 0 ? " " : "",
                              json_integer_value(json_object_get(m, "id")),
                              json_string_value(json_object_get(m, "role")));
        settled = settled && json_is_true(json_object_get(m, "settled"));
    }
    return settled;
}

void roster_wait(struct processes *ps, const char *wanted)
{
    struct deadline deadline = deadline_in(WAIT_MS);
    char text[TEXT_MAX] = "", waiting[TEXT_MAX] = "";
    bool done = false;

    while (!done) {
        json_t *root = list(ps, processes_leader(ps));
        if (root != NULL) {
            const char *why = json_string_value(json_object_get(root, "waiting"));
            done = put_text(root, text) && strcmp(text, wanted) == 0;
            snprintf(waiting, sizeof waiting, "%s", why != NULL ? why : "");
        }
        json_decref(root);
        processes_check_alive(ps);
        if (!done && !deadline_wait(&deadline)) {
            fail_msg("the members are %s instead of %s (waiting: %s)", text, wanted, waiting);
        }
    }
}

void roster_wait_removed(struct processes *ps, unsigned i)
{
    struct deadline deadline = deadline_in(WAIT_MS);
    struct status status;

    while (!processes_status(ps, i, &status) || !status.removed) {
        processes_check_alive(ps);
        if (!deadline_wait(&deadline)) {
            fail_msg("node %" PRIu64 " does not know that it was removed", ps->node[i].id);
        }
    }
}

void roster_address(struct processes *ps, unsigned i, uint64_t id, char *address, size_t size)
{
    json_t *root = list(ps, i), *m;
    size_t at;

    address[0] = 0;
    json_array_foreach(json_object_get(root, "members"), at, m)
    {
        if ((uint64_t)json_integer_value(json_object_get(m, "id")) == id) {
            snprintf(address, size, "%s", json_string_value(json_object_get(m, "address")));
        }
    }
    json_decref(root);
}

void roster_change(struct processes *ps, unsigned i, const char *method, const char *target, const char *body)
{
    struct deadline deadline = deadline_in(WAIT_MS);

    for (;;) {
        char *said;
        int status = check_ask(ps, i, method, target, body, &said);
        if (status == 200 || status == 202) {
            free(said);
            return;
        }
        if (status != 503 || !deadline_wait(&deadline)) {
            fail_msg("%s %s: %d %s", method, target, status, said);
        }
        free(said);
    }
}
