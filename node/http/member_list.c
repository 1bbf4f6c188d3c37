#include "node/http/member_list.h"

#include "base/plant.h"
#include "node/http/api.h"

static const char *const roles[] = {[ROLE_OUT] = "out", [ROLE_VOTER] = "voter", [ROLE_STANDBY] = "standby"};
static const char *const states[] = {
    [MEMBER_AUTO] = "auto",       [MEMBER_VOTER] = "voter",     [MEMBER_STANDBY] = "standby",
    [MEMBER_LEAVING] = "leaving", [MEMBER_REMOVED] = "removed",
};

const char *member_list_role(enum member_role role)
{
    return roles[role];
}

const char *member_list_wanted(enum member_state wanted)
{
    return states[wanted];
}

static bool has_room(const struct replica_status *status)
{
    unsigned voters = 0;

    for (unsigned i = 0; i < status->count; i++) {
        voters += status->members[i].role == ROLE_VOTER;
    }
    return voters < status->voters;
}

bool member_list_settled(const struct replica_status *status, const struct replica_member *m)
{
    switch (m->wanted) {
    case MEMBER_VOTER: return m->role == ROLE_VOTER;
    case MEMBER_STANDBY: return m->role == ROLE_STANDBY;
    case MEMBER_LEAVING:
    case MEMBER_REMOVED: return false;
    case MEMBER_AUTO: break;
    }
    return m->role == ROLE_VOTER ||
           (m->role == ROLE_STANDBY && (!has_room(status) || PLANTED("a_standby_counts_as_settled")));
}

/* Whether member ID is in and what was wanted of it at INDEX or later. */
static bool is_settled(const struct replica_status *status, uint64_t id, uint64_t index)
{
    const struct replica_member *m = api_member(status, id);
    bool known = m != NULL && (m->changed >= index || PLANTED("a_change_is_done_before_it_is_known"));
    return known && member_list_settled(status, m);
}

bool member_list_shows(const struct replica_status *status, const struct replica_change *change)
{
    if (status->applied < change->index) {
        return false; /* what this node knows of the members is older than the change */
    }
    if (change->verb == REPLICA_REMOVE) {
        return api_member(status, change->id) == NULL;
    }
    if (change->verb == REPLICA_REPLACE) {
        return api_member(status, change->id) == NULL &&
               (change->with == 0 || is_settled(status, change->with, 0));
    }
    return is_settled(status, change->id, change->index);
}

static void put_number(struct json *j, const char *key, uint64_t v)
{
    js_key(j, key);
    js_unsigned(j, v);
}

static void put_string(struct json *j, const char *key, const char *text)
{
    js_key(j, key);
    js_string(j, text);
}

static void put_bool(struct json *j, const char *key, bool v)
{
    js_key(j, key);
    js_bool(j, v);
}

static void put_progress(struct json *j, const struct replica_status *status, const struct replica_member *m)
{
    if (status->leader == status->id) {
        put_bool(j, "caught_up", m->caught_up || m->leader);
        put_number(j, "match", m->match);
        put_number(j, "lag", status->log_last > m->match ? status->log_last - m->match : 0);
        return;
    }
    js_key(j, "caught_up");
    js_null(j);
    js_key(j, "match");
    js_null(j);
    js_key(j, "lag");
    js_null(j);
}

static void put_member(struct json *j, const struct replica_status *status, const struct replica_member *m)
{
    js_begin_object(j);
    put_number(j, "id", m->id);
    put_string(j, "address", m->address);
    put_string(j, "api_address", m->api_address);
    put_string(j, "role", roles[m->role]);
    put_string(j, "state", states[m->wanted]);
    put_bool(j, "settled", member_list_settled(status, m));
    put_bool(j, "leader", m->leader);
    put_bool(j, "reachable", m->reachable);
    put_progress(j, status, m);
    put_bool(j, "disk_full", m->disk_full);
    put_number(j, "last_heard_ms", m->last_heard_ms);
    put_number(j, "changed", m->changed);
    js_end_object(j);
}

static void put_removed(struct json *j, const struct member *m)
{
    js_begin_object(j);
    put_number(j, "id", m->id);
    put_string(j, "address", m->address);
    put_string(j, "role", roles[ROLE_OUT]);
    put_string(j, "state", states[MEMBER_REMOVED]);
    put_bool(j, "settled", true);
    put_number(j, "changed", m->changed);
    js_end_object(j);
}

void member_list_put(struct json *j, struct replica *r, bool removed_too)
{
    struct replica_status status;
    struct member gone;

    replica_status(r, &status);
    js_begin_object(j);
    put_string(j, "cluster", status.cluster_name);
    put_number(j, "leader", status.leader);
    put_number(j, "term", status.term);
    put_number(j, "applied", status.applied);
    put_number(j, "voters", status.voters);
    put_string(j, "waiting", status.steward);
    js_key(j, "members");
    js_begin_array(j);
    for (unsigned i = 0; i < status.count; i++) {
        put_member(j, &status, &status.members[i]);
    }
    for (unsigned i = 0; removed_too && replica_removed(r, i, &gone); i++) {
        put_removed(j, &gone);
    }
    js_end_array(j);
    js_end_object(j);
}
