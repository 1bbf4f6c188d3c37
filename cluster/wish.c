#include "cluster/wish.h"

#include <inttypes.h>
#include <string.h>

#include "base/plant.h"

/* A wish that is looked at. */
struct asking {
    const struct steward_view *view;
    const struct wish *wish;
    struct wish_plan plan;
};

static const struct steward_member *find(const struct asking *a, uint64_t id)
{
    for (unsigned i = 0; i < a->view->members_count; i++) {
        if (a->view->members[i].id == id) {
            return &a->view->members[i];
        }
    }
    return NULL;
}

static void change(struct asking *a, enum member_change_kind kind, const struct steward_member *m,
                   enum member_state state)
{
    a->plan.changes[a->plan.count++] = (struct member_change){
        .kind = kind,
        .id = m->id,
        .state = state,
        .address = cursor_of(m->address, strlen(m->address)),
    };
}

static int refuse_removed(const struct steward_member *m, struct error *e)
{
    return error_set(e, Q_CONFLICT,
                     "node %" PRIu64 " was removed with entry %" PRIu64
                     ": an id is not used again, give the node a new one and an empty directory",
                     m->id, m->changed);
}

/* The member ID, which must be one that stays. */
static int staying(struct asking *a, uint64_t id, const struct steward_member **ret_member, struct error *e)
{
    const struct steward_member *m = find(a, id);

    if (m == NULL) {
        return error_set(e, Q_NOT_FOUND, "no member has the id %" PRIu64, id);
    }
    if (m->wanted == MEMBER_REMOVED) {
        return refuse_removed(m, e);
    }
    if (m->wanted == MEMBER_LEAVING) {
        return error_set(e, Q_CONFLICT, "node %" PRIu64 " is leaving since entry %" PRIu64, id, m->changed);
    }
    *ret_member = m;
    return 0;
}

/* Whoever joins may come again when the voter is back; an operator has to hear it. */
static int check_voters_answer(struct asking *a, uint64_t replaced, struct error *e)
{
    for (unsigned i = 0; i < a->view->members_count; i++) {
        const struct steward_member *m = &a->view->members[i];

        if (m->role == ROLE_VOTER && !m->answers && m->id != replaced && m->wanted != MEMBER_LEAVING &&
            !PLANTED("clusters_grow_beside_a_dead_voter")) {
            return error_set(e, a->wish->incarnation != 0 ? Q_BUSY : Q_CONFLICT,
                             "voter %" PRIu64
                             " does not answer: remove or replace it first, or bring it back; a "
                             "cluster does not grow beside a dead voter",
                             m->id);
        }
    }
    return 0;
}

static int check_address(struct asking *a, uint64_t id, uint64_t replaced, struct error *e)
{
    struct cursor address = cursor_of(a->wish->address, strlen(a->wish->address));

    if (!member_address_ok(&address)) {
        return error_set(e, Q_INVALID, "an address is needed: host:port, without spaces");
    }
    for (unsigned i = 0; i < a->view->members_count; i++) {
        const struct steward_member *m = &a->view->members[i];
        bool stays = m->wanted != MEMBER_LEAVING && m->wanted != MEMBER_REMOVED && m->id != replaced;
        if (stays && m->id != id && strcmp(m->address, a->wish->address) == 0) {
            return error_set(e, Q_CONFLICT, "address %s is that of member %" PRIu64, m->address, m->id);
        }
    }
    return 0;
}

static int check_may_go(struct asking *a, const struct steward_member *m, const char *what, struct error *e)
{
    unsigned rest, answer;

    if (m->role != ROLE_VOTER) {
        return 0;
    }
    if (steward_voters(a->view) == 1) {
        return error_set(e, Q_CONFLICT,
                         "node %" PRIu64
                         " is the last voter: add two standbys, which become voters, then %s it",
                         m->id, what);
    }
    /* Leaving voters that are still there will not be there to help. */
    struct steward_view later = *a->view;
    struct steward_member members[STEWARD_MEMBERS_MAX];
    for (unsigned i = 0; i < later.members_count; i++) {
        members[i] = later.members[i];
        if (members[i].wanted == MEMBER_LEAVING || members[i].wanted == MEMBER_STANDBY) {
            members[i].role = ROLE_OUT;
        }
    }
    later.members = members;
    if (!steward_rest_is_sound(&later, m->id, &rest, &answer)) {
        return error_set(e, Q_CONFLICT,
                         "without node %" PRIu64
                         " only %u of %u voters would answer, which is no majority: bring back "
                         "or remove those that do not answer first",
                         m->id, answer, rest);
    }
    return 0;
}

static int leave(struct asking *a, uint64_t id, struct error *e)
{
    const struct steward_member *m = find(a, id);

    if (m == NULL) {
        return error_set(e, Q_NOT_FOUND, "no member has the id %" PRIu64, id);
    }
    if (m->wanted == MEMBER_LEAVING || m->wanted == MEMBER_REMOVED) {
        a->plan.changed = m->changed;
        return 0;
    }
    if (check_may_go(a, m, "remove", e)) {
        return (int)e->code;
    }
    change(a, MEMBER_STATE, m, MEMBER_LEAVING);
    return 0;
}

/* The member that a joining node is already; NULL: none. */
static const struct steward_member *known_incarnation(const struct asking *a)
{
    for (unsigned i = 0; i < a->view->members_count && a->wish->incarnation != 0; i++) {
        if (a->view->members[i].incarnation == a->wish->incarnation) {
            return &a->view->members[i];
        }
    }
    return NULL;
}

/* A new member, in the place of REPLACED or of nobody (0). */
static int enter(struct asking *a, uint64_t id, uint64_t replaced, struct error *e)
{
    const struct wish *wish = a->wish;
    const struct steward_member *m = known_incarnation(a);
    unsigned leaves = replaced != 0 ? 1 : 0;

    if (m == NULL && id != 0) {
        m = find(a, id);
    } else if (m == NULL) {
        id = a->view->highest + 1;
    } else if (id != 0 && id != m->id) {
        return error_set(e, Q_CONFLICT, "the node that asks for id %" PRIu64 " is member %" PRIu64, id,
                         m->id);
    }
    if (m != NULL && staying(a, m->id, &m, e)) {
        return (int)e->code;
    }
    if (m != NULL && wish->incarnation != 0 && m->incarnation != wish->incarnation &&
        (m->incarnation != 0 || m->changed == 0) && !PLANTED("an_id_is_given_twice")) {
        return error_set(e, Q_CONFLICT,
                         "id %" PRIu64
                         " is that of the node at %s: an id is used once, give this one another",
                         m->id, m->address);
    }
    if (m != NULL && wish->incarnation == 0 && strcmp(m->address, wish->address) != 0) {
        return error_set(e, Q_CONFLICT, "id %" PRIu64 " is that of the member at %s", m->id, m->address);
    }
    id = m != NULL ? m->id : id;
    a->plan.id = id;
    if (m != NULL && strcmp(m->address, wish->address) == 0 &&
        (wish->incarnation == 0 || m->incarnation == wish->incarnation)) {
        a->plan.changed = m->changed;
        return 0;
    }
    if (check_address(a, id, replaced, e) || check_voters_answer(a, replaced, e)) {
        return (int)e->code;
    }
    if (m == NULL && a->view->count - leaves >= a->view->max) {
        return error_set(e, Q_CONFLICT, "a cluster has at most %u members: remove one first", a->view->max);
    }
    a->plan.changes[a->plan.count++] = (struct member_change){
        .kind = MEMBER_ADMIT,
        .id = id,
        .incarnation = wish->incarnation,
        .state = MEMBER_AUTO,
        .address = cursor_of(wish->address, strlen(wish->address)),
    };
    return 0;
}

static bool is_ready(const struct steward_member *m)
{
    return m->role == ROLE_STANDBY && m->answers && (m->wanted == MEMBER_AUTO || m->wanted == MEMBER_VOTER);
}

static int rise(struct asking *a, uint64_t id, struct error *e)
{
    const struct steward_member *m;
    bool third = false;

    if (staying(a, id, &m, e)) {
        return (int)e->code;
    }
    if (m->wanted == MEMBER_VOTER || (m->wanted == MEMBER_AUTO && m->role == ROLE_VOTER)) {
        a->plan.changed = m->changed;
        return 0;
    }
    for (unsigned i = 0; i < a->view->members_count; i++) {
        third = third || (a->view->members[i].id != id && is_ready(&a->view->members[i]));
    }
    if (steward_voters(a->view) == 1 && m->role != ROLE_VOTER && !third) {
        return error_set(e, Q_CONFLICT,
                         "two voters would both have to live: add another standby first, then node %" PRIu64
                         " and that one become voters together",
                         id);
    }
    if (m->role != ROLE_VOTER && check_voters_answer(a, 0, e)) {
        return (int)e->code;
    }
    change(a, MEMBER_STATE, m, MEMBER_VOTER);
    return 0;
}

static int sink(struct asking *a, uint64_t id, struct error *e)
{
    const struct steward_member *m;

    if (staying(a, id, &m, e)) {
        return (int)e->code;
    }
    if (m->wanted == MEMBER_STANDBY) {
        a->plan.changed = m->changed;
        return 0;
    }
    if (check_may_go(a, m, "demote", e)) {
        return (int)e->code;
    }
    change(a, MEMBER_STATE, m, MEMBER_STANDBY);
    return 0;
}

static int move(struct asking *a, uint64_t id, struct error *e)
{
    const struct steward_member *m;

    if (staying(a, id, &m, e) || check_address(a, id, 0, e)) {
        return (int)e->code;
    }
    if (strcmp(m->address, a->wish->address) == 0) {
        a->plan.changed = m->changed;
        return 0;
    }
    change(a, MEMBER_MOVE, m, MEMBER_AUTO);
    a->plan.changes[a->plan.count - 1].address = cursor_of(a->wish->address, strlen(a->wish->address));
    return 0;
}

static int replace(struct asking *a, struct error *e)
{
    uint64_t old = a->wish->id, with = a->wish->with;
    const struct steward_member *m = with != 0 ? find(a, with) : NULL;

    if (old == with) {
        return error_set(e, Q_INVALID, "node %" PRIu64 " cannot take its own place", old);
    }
    if (leave(a, old, e)) {
        return (int)e->code;
    }
    if (with == 0 && a->wish->incarnation == 0) {
        return 0; /* whoever joins next becomes a voter, as there is room for one */
    }
    a->plan.id = with;
    if (m == NULL || a->wish->incarnation != 0) {
        return enter(a, with, old, e);
    }
    if (staying(a, with, &m, e)) {
        return (int)e->code;
    }
    if (m->role != ROLE_VOTER && m->wanted != MEMBER_VOTER) {
        change(a, MEMBER_STATE, m, MEMBER_VOTER);
    }
    return 0;
}

int wish_grant(const struct steward_view *view, const struct wish *wish, struct wish_plan *ret_plan,
               struct error *e)
{
    struct asking a = {.view = view, .wish = wish, .plan = {.id = wish->id}};
    int rv = Q_INVALID;

    if (wish->id == 0 && (wish->verb != REPLICA_ADD || wish->incarnation == 0)) {
        return error_set(e, Q_INVALID, "a member's id is 1 or more");
    }
    switch (wish->verb) {
    case REPLICA_ADD: rv = enter(&a, wish->id, 0, e); break;
    case REPLICA_REMOVE: rv = leave(&a, wish->id, e); break;
    case REPLICA_PROMOTE: rv = rise(&a, wish->id, e); break;
    case REPLICA_DEMOTE: rv = sink(&a, wish->id, e); break;
    case REPLICA_MOVE: rv = move(&a, wish->id, e); break;
    case REPLICA_REPLACE: rv = replace(&a, e); break;
    }
    if (rv == 0) {
        *ret_plan = a.plan;
    }
    return rv;
}
