/* Who is in, and how the leader changes it. */
#include <inttypes.h>
#include <stdio.h>

#include "base/plant.h"
#include "raft_glue/configuration.h"
#include "raft_glue/consensus_impl.h"

static enum consensus_member_role role_of(int role)
{
    return role == RAFT_VOTER ? CONSENSUS_VOTER : role == RAFT_STANDBY ? CONSENSUS_STANDBY : CONSENSUS_SPARE;
}

unsigned consensus_members(const struct consensus *c, struct consensus_member *ret_members, unsigned max)
{
    const struct raft_configuration *members = c->driver != NULL ? driver_configuration(c->driver) : NULL;
    unsigned n = 0;

    for (; members != NULL && n < members->n && n < max; n++) {
        ret_members[n] = (struct consensus_member){members->servers[n].id, role_of(members->servers[n].role)};
    }
    return n;
}

bool consensus_settled(const struct consensus *c)
{
    return consensus_leads(c) && driver_settled(c->driver);
}

/* MEMBERS with the change; Q_NOT_FOUND, Q_CONFLICT. */
static int changed(const struct raft_configuration *members, enum consensus_change what, uint64_t id,
                   struct raft_configuration *ret_next, struct error *e)
{
    const struct raft_server *server = configuration_find(members, id);
    int role = what == CONSENSUS_PROMOTE ? RAFT_VOTER : RAFT_STANDBY, rv = 0;

    if (server == NULL && what != CONSENSUS_ADD) {
        return error_set(e, Q_NOT_FOUND, "node %" PRIu64 " is no member", id);
    }
    if (server != NULL && (what == CONSENSUS_ADD || (what != CONSENSUS_REMOVE && server->role == role))) {
        return error_set(e, Q_CONFLICT, "node %" PRIu64 " is %s already", id,
                         what == CONSENSUS_ADD       ? "a member"
                         : what == CONSENSUS_PROMOTE ? "a voter"
                                                     : "a standby");
    }
    raft_configuration_init(ret_next);
    for (unsigned i = 0; i < members->n && rv == 0; i++) {
        const struct raft_server *s = &members->servers[i];
        if (s->id != id) {
            rv = raft_configuration_add(ret_next, s->id, s->address, s->role);
        } else if (what != CONSENSUS_REMOVE) {
            rv = raft_configuration_add(ret_next, s->id, s->address, role);
        }
    }
    if (rv == 0 && what == CONSENSUS_ADD) {
        char address[32]; /* a name: where the member is reached is no matter of the core */
        snprintf(address, sizeof address, "%" PRIu64, id);
        rv = raft_configuration_add(ret_next, id, address, role);
    }
    if (rv != 0) {
        raft_configuration_close(ret_next);
        return rv == RAFT_NOMEM ? error_set(e, Q_NOMEM, "out of memory for the members")
                                : error_set(e, Q_INVALID, "node %" PRIu64 ": %s", id, raft_strerror(rv));
    }
    return 0;
}

static bool soft(int rv)
{
    return rv == Q_NOT_LEADER || rv == Q_BUSY || rv == Q_INVALID || rv == Q_TOO_BIG || rv == Q_NOT_FOUND;
}

/* What the driver said of a request: an error that changed nothing, or the end. */
static int answer(struct consensus *c, int rv, struct error *failed, const char *what, struct error *e)
{
    if (soft(rv)) {
        return error_set(e, failed->code, "%s", failed->text);
    }
    consensus_must_soon(c, rv, failed, what);
    return 0;
}

int consensus_change(struct consensus *c, enum consensus_change what, uint64_t id, struct error *e)
{
    struct raft_configuration next;
    struct error failed;
    int rv;

    if (!consensus_leads(c)) {
        return error_set(e, Q_NOT_LEADER, "this node does not lead");
    }
    rv = changed(driver_configuration(c->driver), what, id, &next, e);
    if (rv != 0) {
        return rv;
    }
    rv = driver_change(c->driver, env_now_ms(c->config.env), &next, &failed);
    raft_configuration_close(&next);
    return answer(c, rv, &failed, "change of members", e);
}

int consensus_catch_up(struct consensus *c, uint64_t id, struct error *e)
{
    struct error failed;

    if (!consensus_leads(c)) {
        return error_set(e, Q_NOT_LEADER, "this node does not lead");
    }
    return answer(c, driver_catch_up(c->driver, env_now_ms(c->config.env), id, &failed), &failed, "catch-up",
                  e);
}

enum consensus_catch_up consensus_catch_up_state(const struct consensus *c, uint64_t id)
{
    switch (c->driver != NULL ? driver_catch_up_status(c->driver, id) : RAFT_CATCH_UP_NONE) {
    case RAFT_CATCH_UP_RUNNING: return CONSENSUS_CATCH_UP_RUNNING;
    case RAFT_CATCH_UP_ABORTED: return CONSENSUS_CATCH_UP_ABORTED;
    case RAFT_CATCH_UP_FINISHED: return CONSENSUS_CATCH_UP_FINISHED;
    default: return CONSENSUS_CATCH_UP_NONE;
    }
}

void consensus_forget_member(struct consensus *c, uint64_t id)
{
    struct meta_state state = *meta_state(c->meta);
    uint32_t at = 0;
    struct error e;

    while (at < state.peers && state.peer[at].id != id) {
        at++;
    }
    if (at == state.peers || c->dead) {
        return;
    }
    state.peers--;
    for (uint32_t i = at; i < state.peers; i++) {
        c->met[i] = c->met[i + 1];
    }
    if (consensus_save(c, &state, &e) != 0) {
        consensus_die(c, &e);
    }
}

bool consensus_removed(const struct consensus *c)
{
    return c->removed;
}

void consensus_retire_removed(struct consensus *c)
{
    struct meta_state state = *meta_state(c->meta);
    struct error e;

    if (c->removed || c->dead) {
        return;
    }
    state.removed = !PLANTED("removal_is_not_remembered");
    if (consensus_save(c, &state, &e) != 0) {
        error_wrap(&e, "the removal of this node");
        consensus_die(c, &e);
        return;
    }
    c->removed = true;
    c->role = CONSENSUS_FOLLOWER;
    c->leader = 0;
    c->dirty = true;
    if (c->timer != NULL) {
        consensus_settle_soon(c);
    }
}
