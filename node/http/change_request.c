#include "node/http/change_request.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/plant.h"
#include "node/env/address.h"

/* What is asked of member ID, by the path members/ID/NAME. */
static const struct verb {
    const char *name; /* NULL: none */
    enum http_method method;
    enum replica_verb verb;
} verbs[] = {
    {NULL, HTTP_METHOD_DELETE, REPLICA_REMOVE},     {"promote", HTTP_METHOD_POST, REPLICA_PROMOTE},
    {"demote", HTTP_METHOD_POST, REPLICA_DEMOTE},   {"move", HTTP_METHOD_POST, REPLICA_MOVE},
    {"replace", HTTP_METHOD_POST, REPLICA_REPLACE},
};

bool change_request_read_id(const char *text, uint64_t *ret_id)
{
    uint64_t id;
    char *end;

    if (text == NULL || *text < '0' || *text > '9') {
        return false;
    }
    errno = 0;
    id = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || id == 0 || id > INT64_MAX) {
        return false;
    }
    *ret_id = id;
    return true;
}

bool change_request_find(const char *rest, struct replica_change *ret_change, enum http_method *ret_method)
{
    const char *slash = strchr(rest, '/'), *name = slash != NULL ? slash + 1 : NULL;
    size_t n = slash != NULL ? (size_t)(slash - rest) : strlen(rest);
    char id[24];

    *ret_change = (struct replica_change){.id = 0};
    if (n >= sizeof id) {
        return false;
    }
    memcpy(id, rest, n);
    id[n] = '\0';
    for (unsigned i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        const char *own = verbs[i].name;
        if (name == NULL || own == NULL ? name == own : strcmp(name, own) == 0) {
            ret_change->verb = verbs[i].verb;
            *ret_method = verbs[i].method;
            return change_request_read_id(id, &ret_change->id);
        }
    }
    return false;
}

/* ---- bodies ---- */

/* Where the fields of a body go; NULL: it has no such field. */
struct fields {
    const char *number; /* the name of the id */
    uint64_t *id;
    char *address; /* PEERS_ADDRESS_MAX + 1 bytes */
};

/* As a number, or as the text that ids are in rqlite's answers. */
static bool read_id_value(const json_t *value, uint64_t *ret_id)
{
    if (json_is_integer(value) && json_integer_value(value) > 0) {
        *ret_id = (uint64_t)json_integer_value(value);
        return true;
    }
    return change_request_read_id(json_string_value(value), ret_id);
}

static int read_field(const char *key, const json_t *value, const struct fields *to, struct error *e)
{
    const char *text = json_string_value(value);

    if (to->number != NULL && strcmp(key, to->number) == 0) {
        return read_id_value(value, to->id)
                   ? 0
                   : error_set(e, Q_INVALID, "\"%s\" is not the id of a member, a number from 1", key);
    }
    if (to->address == NULL || strcmp(key, "address") != 0) {
        return PLANTED("what_means_nothing_is_not_refused")
                   ? 0
                   : error_set(e, Q_INVALID, "\"%.60s\" means nothing here", key);
    }
    if (text == NULL || strlen(text) > PEERS_ADDRESS_MAX) {
        return error_set(e, Q_INVALID, "\"address\" is not a text of at most %d bytes", PEERS_ADDRESS_MAX);
    }
    snprintf(to->address, PEERS_ADDRESS_MAX + 1, "%s", text);
    return address_dialable(text, e);
}

/* An empty body has no fields. */
static int read_body(const struct http_request *r, const struct fields *to, struct error *e)
{
    size_t n;
    const uint8_t *body = http_body(r, &n);
    json_t *root, *value;
    json_error_t where;
    const char *key;
    int rv = 0;

    if (n == 0) {
        return 0;
    }
    root = json_loadb((const char *)body, n, JSON_REJECT_DUPLICATES, &where);
    if (!json_is_object(root)) {
        rv = error_set(e, Q_INVALID, "the body is not a JSON object%s%.100s", root == NULL ? ": " : "",
                       root == NULL ? where.text : "");
    }
    json_object_foreach(root, key, value)
    {
        if (rv == 0) {
            rv = read_field(key, value, to, e);
        }
    }
    json_decref(root);
    return rv;
}

int change_request_read(const struct http_request *r, struct replica_change *change, struct error *e)
{
    bool adds = change->verb == REPLICA_ADD, needs_address = adds || change->verb == REPLICA_MOVE;
    struct fields to = {
        .number = adds                              ? "id"
                  : change->verb == REPLICA_REPLACE ? "with"
                                                    : NULL,
        .id = adds ? &change->id : &change->with,
        .address = needs_address ? change->address : NULL,
    };
    int rv = read_body(r, &to, e);

    if (rv == 0 && ((adds && change->id == 0) || (needs_address && change->address[0] == '\0'))) {
        rv = error_set(e, Q_INVALID, "the body must be {%s\"address\":\"host:port\"}",
                       adds ? "\"id\":N," : "");
    }
    if (rv == 0 && change->with == change->id) {
        rv = error_set(e, Q_INVALID, "member %" PRIu64 " cannot take its own place", change->id);
    }
    return rv;
}

int change_request_read_target(const struct http_request *r, uint64_t *ret_to, struct error *e)
{
    uint64_t id = 0;
    struct fields to = {.number = "to", .id = &id};
    int rv = read_body(r, &to, e);

    if (rv == 0) {
        *ret_to = id;
    }
    return rv;
}
