#include "tests/cluster/status.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static uint64_t number(const json_t *from, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(from, key));
}

static void read_status(const json_t *ours, struct status *s)
{
    const json_t *log = json_object_get(ours, "log"), *disk = json_object_get(ours, "disk");
    const char *state = json_string_value(json_object_get(ours, "state"));
    const char *digest = json_string_value(json_object_get(ours, "digest"));

    *s = (struct status){
        .ready = json_is_true(json_object_get(ours, "ready")),
        .leads = state != NULL && strcmp(state, "leader") == 0,
        .removed = json_is_true(json_object_get(ours, "removed")),
        .disk_full = json_is_true(json_object_get(disk, "full")),
        .disk_ballast = number(disk, "ballast_bytes"),
        .id = number(ours, "id"),
        .term = number(ours, "term"),
        .leader = number(ours, "leader"),
        .log_first = number(log, "first"),
        .log_last = number(log, "last"),
        .commit = number(ours, "commit"),
        .applied = number(ours, "applied"),
        .compacted = number(ours, "snapshot_index"),
    };
    snprintf(s->digest, sizeof s->digest, "%s", digest != NULL ? digest : "");
}

bool status_ask(struct http_client *client, const struct deadline *deadline, struct status *ret_status)
{
    struct http_ask ask = {.method = "GET", .target = "/status"};
    struct http_reply reply;
    json_t *root;

    if (http_client_ask(client, &ask, deadline, &reply) != HTTP_ANSWERED) {
        return false;
    }
    root = reply.status == 200 ? json_loadb(reply.body, reply.len, 0, NULL) : NULL;
    http_reply_close(&reply);
    if (root == NULL) {
        return false;
    }
    read_status(json_object_get(root, "quorate"), ret_status);
    json_decref(root);
    return true;
}
