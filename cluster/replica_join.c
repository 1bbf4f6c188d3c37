/* Nodes that ask to be let in, and what they are answered: any member asks the leader for them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/plant.h"
#include "cluster/replica_impl.h"

enum { DECIDE_MS = 7000, SEE_MS = 2000 /* more, until this node, too, sees it as a member */ };

/* Answered when this node's list shows the new member. */
struct applicant {
    struct replica *owner;
    struct list link;
    uint64_t guest;
    struct join_ask ask;
    struct replica_change change;
    bool decided;
    uint64_t deadline_ms;
};

static void reply(struct applicant *a, const struct error *failed)
{
    struct replica *r = a->owner;
    struct join_answer *said = calloc(1, sizeof *said);

    if (said != NULL) { /* else it asks again */
        said->error = failed != NULL ? *failed : (struct error){.code = Q_OK};
        if (said->error.code == Q_NOT_FOUND) {
            said->error.code = Q_CONFLICT; /* whom it is to replace will not be there next time either */
        }
        said->id = a->change.member;
        memcpy(said->cluster_id, r->cluster_id, sizeof said->cluster_id);
        snprintf(said->cluster_name, sizeof said->cluster_name, "%s", r->name);
        said->count = failed == NULL ? members_count(r->members) : 0;
        for (unsigned i = 0; i < said->count; i++) {
            said->members[i] = *members_at(r->members, i);
        }
        if (r->peers != NULL) {
            peers_answer_guest(r->peers, a->guest, said);
        }
    }
    free(said);
    list_remove(&a->link);
    free(a);
}

static void answer(struct applicant *a, const struct error *failed)
{
    if (failed == NULL) {
        replica_say(a->owner, "join_granted id=%" PRIu64 " address=%s", a->change.member, a->ask.address);
    } else {
        replica_say(a->owner, "join_refused address=%s error=\"%s\"", a->ask.address, failed->text);
    }
    reply(a, failed);
}

static void on_decided(struct replica_change *change, const struct error *failed)
{
    struct applicant *a = CONTAINER_OF(change, struct applicant, change);

    if (failed != NULL) {
        answer(a, failed);
        return;
    }
    a->decided = true;
    a->deadline_ms = env_now_ms(a->owner->config.env) + SEE_MS;
    replica_join_poll(a->owner);
}

void replica_join_poll(struct replica *r)
{
    uint64_t now = env_now_ms(r->config.env);
    struct error late;

    error_set(&late, Q_BUSY, "node %" PRIu64 " lags behind the leader: ask again", r->config.id);
    LIST_EACH_SAFE (&r->membership.applicants, item) {
        struct applicant *a = CONTAINER_OF(item, struct applicant, link);
        if (a->decided && members_in(r->members, a->change.member) != NULL) {
            answer(a, NULL);
        } else if (a->decided && now >= a->deadline_ms) {
            answer(a, &late);
        }
    }
}

static int check_ask(struct replica *r, const struct join_ask *ask, struct error *e)
{
    if (strcmp(ask->cluster_name, r->name) != 0 && !PLANTED("nodes_of_any_cluster_are_let_in")) {
        return error_set(e, Q_MISMATCH, "this is cluster \"%s\", not \"%s\"", r->name, ask->cluster_name);
    }
    if (strcmp(ask->semantics, r->semantics) != 0 && !PLANTED("nodes_of_any_semantics_are_let_in")) {
        return error_set(
            e, Q_MISMATCH,
            "this cluster works with %s, the node that wants to join with %s: it has to be started with "
            "the same options",
            r->semantics, ask->semantics);
    }
    if (ask->incarnation == 0) {
        return error_set(e, Q_INVALID, "a node that wants to join says which directory it has");
    }
    return 0;
}

void replica_on_asked_to_join(void *ctx, uint64_t guest, const struct join_ask *ask)
{
    struct replica *r = replica_of(ctx);
    struct applicant *a = calloc(1, sizeof *a);
    struct error e;

    if (a == NULL) {
        return; /* it asks again */
    }
    a->owner = r;
    a->guest = guest;
    a->ask = *ask;
    list_push(&r->membership.applicants, &a->link);
    if (consensus_removed(r->consensus)) { /* it asks twice a second, and tells its own operator */
        error_set(&e, Q_NO_LEADER, "node %" PRIu64 " was removed from the cluster: ask another one",
                  r->config.id);
        reply(a, &e);
        return;
    }
    replica_say(r, "join_asked address=%s id=%" PRIu64 " replaces=%" PRIu64, ask->address, ask->id,
                ask->replaces);
    if (check_ask(r, ask, &e)) {
        answer(a, &e);
        return;
    }
    a->change = (struct replica_change){
        .verb = ask->replaces != 0 ? REPLICA_REPLACE : REPLICA_ADD,
        .id = ask->replaces != 0 ? ask->replaces : ask->id,
        .with = ask->replaces != 0 ? ask->id : 0,
        .incarnation = ask->incarnation,
        .timeout_ms = DECIDE_MS,
        .done = on_decided,
    };
    snprintf(a->change.address, sizeof a->change.address, "%s", ask->address);
    changes_ask(r->changes, &a->change);
}

void replica_join_free(struct replica *r)
{
    LIST_EACH_SAFE (&r->membership.applicants, item) {
        free(CONTAINER_OF(item, struct applicant, link));
    }
}
