#include "node/cli/roster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEADER_PART = 2 }; /* of the time, for the leader; as much is left for the others */

static void copy_text(char *to, size_t max, const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    snprintf(to, max, "%s", text != NULL ? text : "");
}

static uint64_t number(const json_t *object, const char *key, uint64_t otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) && json_integer_value(value) >= 0 ? (uint64_t)json_integer_value(value)
                                                                    : otherwise;
}

static bool is_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

static void take_member(struct roster_member *m, const json_t *from)
{
    m->id = number(from, "id", 0);
    copy_text(m->role, sizeof m->role, from, "role");
    copy_text(m->state, sizeof m->state, from, "state");
    copy_text(m->address, sizeof m->address, from, "address");
    copy_text(m->url, sizeof m->url, from, "api_address");
    m->settled = is_true(from, "settled");
    m->leader = is_true(from, "leader");
    m->reachable = is_true(from, "reachable");
    m->disk_full = is_true(from, "disk_full");
    m->removed = strcmp(m->state, "removed") == 0;
    m->changed = number(from, "changed", 0);
    m->lag = number(from, "lag", UINT64_MAX);
}

static int take(const struct client_response *response, struct roster *ret_roster, struct error *e)
{
    json_t *root = json_loadb((const char *)response->body.data, response->body.len, 0, NULL);
    const json_t *members = json_object_get(root, "members");
    struct roster r = {.applied = number(root, "applied", 0), .count = (unsigned)json_array_size(members)};

    if (!json_is_array(members)) {
        json_decref(root);
        return error_set(e, Q_CORRUPT, "%s does not list members: is it a quorated of this version?",
                         response->endpoint);
    }
    r.members = calloc(r.count > 0 ? r.count : 1, sizeof *r.members);
    if (r.members == NULL) {
        json_decref(root);
        return error_set(e, Q_NOMEM, "out of memory for the members");
    }
    for (unsigned i = 0; i < r.count; i++) {
        take_member(&r.members[i], json_array_get(members, i));
    }
    copy_text(r.waiting, sizeof r.waiting, root, "waiting");
    r.json = root;
    *ret_roster = r;
    return 0;
}

static int fetch(struct client *c, const char *target, uint64_t timeout_ms, struct roster *ret_roster,
                 struct error *e)
{
    struct client_request request = {
        .method = "GET", .target = target, .policy = CLIENT_REPEATABLE, .timeout_ms = timeout_ms};
    struct client_response response;
    int rv = client_call(c, &request, &response, e);

    if (rv == 0) {
        rv = client_refusal(&response, e);
        rv = rv == 0 ? take(&response, ret_roster, e) : rv;
        client_response_close(&response);
    }
    return rv;
}

int roster_fetch(struct client *c, bool removed_too, uint64_t timeout_ms, struct roster *ret_roster,
                 struct error *e)
{
    uint64_t part = timeout_ms / LEADER_PART > 0 ? timeout_ms / LEADER_PART : 1;

    if (fetch(c, removed_too ? "/v1/cluster/members?redirect&all" : "/v1/cluster/members?redirect", part,
              ret_roster, e) == 0) {
        return 0;
    }
    return fetch(c, removed_too ? "/v1/cluster/members?all" : "/v1/cluster/members", part, ret_roster, e);
}

void roster_close(struct roster *r)
{
    free(r->members);
    json_decref(r->json);
    *r = (struct roster){0};
}

const struct roster_member *roster_find(const struct roster *r, uint64_t id)
{
    for (unsigned i = 0; i < r->count; i++) {
        if (r->members[i].id == id && !r->members[i].removed) {
            return &r->members[i];
        }
    }
    return NULL;
}
