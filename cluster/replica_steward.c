/* What a leader does about the members, as the steward says; and who is in the configuration, told to the
 * operator. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/plant.h"
#include "cluster/replica_impl.h"

enum { STEWARD_AGAIN_MS = 500 /* after a step that failed */, RECORD_MS = 5000 };

static const char *const step_names[] = {"rest", "record",   "remove",  "hand_over",
                                         "add",  "catch_up", "promote", "demote"};

static enum member_role role_in(const struct consensus_member *members, unsigned count, uint64_t id)
{
    for (unsigned i = 0; i < count; i++) {
        if (members[i].id == id) {
            return members[i].role == CONSENSUS_VOTER ? ROLE_VOTER : ROLE_STANDBY;
        }
    }
    return ROLE_OUT;
}

enum member_role replica_role_of(struct replica *r, uint64_t id)
{
    struct consensus_member members[PEERS_MAX];

    return role_in(members, consensus_members(r->consensus, members, PEERS_MAX), id);
}

static void tell_role(struct replica *r, uint64_t id, enum member_role was, enum member_role is)
{
    static const char *const names[] = {"out", "standby", "voter"};

    if (was != is) {
        replica_say(r, "%s id=%" PRIu64 " role=%s was=%s",
                    was == ROLE_STANDBY && is == ROLE_VOTER ? "member_promoted" : "member_role", id,
                    names[is], names[was]);
    }
}

/* What has changed in the configuration since it was told last. */
static void tell_roles(struct replica *r)
{
    struct replica_membership *ms = &r->membership;
    struct consensus_member now[PEERS_MAX];
    unsigned count = consensus_members(r->consensus, now, PEERS_MAX);

    for (unsigned i = 0; i < count && ms->told_count > 0; i++) {
        tell_role(r, now[i].id, role_in(ms->told, ms->told_count, now[i].id), role_in(now, count, now[i].id));
    }
    for (unsigned i = 0; i < ms->told_count && count > 0; i++) {
        if (role_in(now, count, ms->told[i].id) == ROLE_OUT) {
            tell_role(r, ms->told[i].id, role_in(ms->told, ms->told_count, ms->told[i].id), ROLE_OUT);
        }
    }
    memcpy(ms->told, now, sizeof now);
    ms->told_count = count;
}

static void on_recorded(struct decision *d, const struct error *failed)
{
    struct replica *r = CONTAINER_OF(d, struct replica, membership.record);

    r->membership.recording = false;
    if (failed != NULL && !r->dead) {
        replica_say(r, "steward_failed step=record id=%" PRIu64 " error=\"%s\"", d->change.id, failed->text);
    }
}

/* In the log, too, it is written that ID is out. */
static void record(struct replica *r, uint64_t id)
{
    struct replica_membership *ms = &r->membership;
    const struct member *m = members_find(r->members, id);

    if (ms->recording || m == NULL) {
        return;
    }
    snprintf(ms->record_address, sizeof ms->record_address, "%s", m->address);
    ms->recording = true;
    ms->record = (struct decision){
        .change = {.kind = MEMBER_STATE,
                   .id = id,
                   .state = MEMBER_REMOVED,
                   .address = cursor_of(ms->record_address, strlen(ms->record_address))},
        .count = 1,
        .deadline_ms = env_now_ms(r->config.env) + RECORD_MS,
        .done = on_recorded,
    };
    decisions_push(r->decisions, &ms->record);
}

static int take(struct replica *r, const struct steward_step *step, struct error *e)
{
    switch (step->kind) {
    case STEWARD_REST: break;
    case STEWARD_RECORD: record(r, step->id); break;
    case STEWARD_REMOVE: return consensus_change(r->consensus, CONSENSUS_REMOVE, step->id, e);
    case STEWARD_HAND_OVER: return consensus_transfer(r->consensus, step->id, e);
    case STEWARD_ADD: return consensus_change(r->consensus, CONSENSUS_ADD, step->id, e);
    case STEWARD_CATCH_UP: return consensus_catch_up(r->consensus, step->id, e);
    case STEWARD_PROMOTE: return consensus_change(r->consensus, CONSENSUS_PROMOTE, step->id, e);
    case STEWARD_DEMOTE: return consensus_change(r->consensus, CONSENSUS_DEMOTE, step->id, e);
    }
    return 0;
}

void replica_steward_tick(struct replica *r)
{
    struct replica_membership *ms = &r->membership;
    uint64_t now = env_now_ms(r->config.env);
    const struct steward_view *view;
    struct steward_step step;
    struct error e;

    tell_roles(r);
    if (!consensus_leads(r->consensus)) {
        ms->why[0] = '\0';
        return;
    }
    if (r->stopped != NULL || now < ms->steward_again_ms || ms->recording ||
        !consensus_settled(r->consensus) || replica_look(r, NULL, &view, &e) != 0) {
        return;
    }
    steward_next(view, &step);
    snprintf(ms->why, sizeof ms->why, "%s", step.why);
    int rv = take(r, &step, &e);
    if (rv != 0) {
        ms->steward_again_ms = now + STEWARD_AGAIN_MS;
    }
    if (rv != 0) {
        replica_say(r, "steward_failed step=%s id=%" PRIu64 " error=\"%s\"", step_names[step.kind], step.id,
                    e.text);
    } else if (step.kind != STEWARD_REST) {
        replica_say(r, "steward step=%s id=%" PRIu64, step_names[step.kind], step.id);
    }
}
