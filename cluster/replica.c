#include "cluster/replica.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/plant.h"
#include "cluster/replica_impl.h"

enum {
    STOP_MS = 2000, /* for handing over and for what is under way */
    SAVE_MET_MS =
        5000, /* between two saves of what is known of the members, which stop the loop for a moment */
};

void replica_say(struct replica *r, const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    r->config.log(r->config.ctx, line);
}

void replica_on_fatal(void *ctx, const struct error *why)
{
    struct replica *r = replica_of(ctx);
    if (!r->dead) {
        r->dead = true;
        r->config.fatal(r->config.ctx, why);
    }
}

/* The parts, tied together. */

static void poll_batcher(struct replica *r)
{
    const struct store_position *at = applier_position(r->applier);
    struct batcher_position position = {
        .applied = at->index, .time_ms = at->time_ms, .digest_index = at->index};
    memcpy(position.digest, at->digest, DIGEST_BYTES);
    batcher_poll(r->batcher, &position);
}

void replica_on_kick(void *owner)
{
    struct replica *r = replica_of(owner);
    if (!r->dead) {
        poll_batcher(r);
    }
}

/* From a timer, not at once: requests that arrive together share a batch, and no answer comes inside
 * replica_submit(). */
void replica_on_pushed(void *ctx)
{
    struct replica *r = replica_of(ctx);
    env_timer_start(r->config.env, r->kick, 0);
}

static void tell_role(struct replica *r)
{
    static const char *const names[] = {"follower", "candidate", "leader"};
    enum consensus_role role = consensus_role(r->consensus);
    uint64_t term = consensus_term(r->consensus), leader = consensus_leader(r->consensus);

    if (role == r->told_role && term == r->told_term && leader == r->told_leader) {
        return;
    }
    r->term_changes += term != r->told_term;
    r->leader_changes += leader != r->told_leader && leader != 0;
    if (role != r->told_role || leader != r->told_leader) {
        replica_say(r, "role state=%s term=%" PRIu64 " leader=%" PRIu64 " last=%" PRIu64 " commit=%" PRIu64,
                    names[role], term, leader, consensus_last(r->consensus), consensus_commit(r->consensus));
    }
    r->told_role = role;
    r->told_term = term;
    r->told_leader = leader;
}

void replica_on_changed(void *ctx)
{
    struct replica *r = replica_of(ctx);
    if (r->dead) {
        return;
    }
    tell_role(r);
    applier_poll(r->applier);
    poll_batcher(r);
}

void replica_on_applied(void *ctx, uint64_t index, uint64_t term, struct cursor results)
{
    batcher_applied(replica_of(ctx)->batcher, index, term, results);
}

/* Ends the waits that are over; with STOPPED, all of them. */
static void reach_waits(struct replica *r, bool stopped)
{
    uint64_t applied = applier_position(r->applier)->index;
    uint64_t now = env_now_ms(r->config.env);
    struct list mine, *link;
    struct error late;

    error_set(&late, stopped ? Q_CLOSED : Q_TIMEOUT,
              stopped ? "this node is stopping" : "this node did not reach the index in time");
    list_take(&mine, &r->waits); /* callbacks may wait again */
    while ((link = list_pop(&mine)) != NULL) {
        struct replica_wait *wait = CONTAINER_OF(link, struct replica_wait, link);
        bool reached = applied >= wait->index;
        if (reached || stopped || now >= wait->deadline_ms) {
            wait->reached(wait, reached ? NULL : &late);
        } else {
            list_push(&r->waits, link);
        }
    }
}

void replica_on_advanced(void *ctx)
{
    struct replica *r = replica_of(ctx);
    if (r->dead) {
        return;
    }
    r->advanced_ms = env_wall_ms(r->config.env);
    consensus_remember_floor(r->consensus, applier_floor(r->applier));
    requests_advanced(r->requests);
    reach_waits(r, false);
    replica_membership_applied(r);
    poll_batcher(r);
    compactor_poll(r->compactor, applier_position(r->applier)->index, applier_floor(r->applier));
}

void replica_consensus_sends(void *ctx, uint64_t to, const uint8_t *bytes, size_t n)
{
    struct replica *r = replica_of(ctx);
    if (r->peers != NULL) {
        peers_send(r->peers, to, PEERS_URGENT, FRAME_CONSENSUS, bytes, n);
    }
}

void replica_divergence_sends(void *ctx, uint64_t to, const uint8_t *bytes, size_t n)
{
    struct replica *r = replica_of(ctx);
    if (r->peers != NULL) {
        peers_send(r->peers, to, PEERS_BULK, FRAME_DIGEST, bytes, n);
    }
}

bool replica_own_digest(void *ctx, uint64_t index, uint8_t ret_digest[DIGEST_BYTES])
{
    return applier_digest(replica_of(ctx)->applier, index, ret_digest);
}

bool replica_forward_sends(void *ctx, uint64_t to, uint8_t type, const void *body, size_t n)
{
    struct replica *r = replica_of(ctx);
    return r->peers != NULL && peers_send(r->peers, to, PEERS_BULK, type, body, n);
}

void replica_on_question(void *ctx, const struct forward_question *question, const uint8_t *command, size_t n)
{
    struct replica *r = replica_of(ctx);
    if (question->kind == FORWARD_MEMBER) {
        changes_serve(r->changes, question, command, n);
    } else {
        served_ask(r->served, question, command, n);
    }
    replica_on_pushed(r);
}

uint64_t replica_applied_now(void *ctx)
{
    return applier_position(replica_of(ctx)->applier)->index;
}

uint64_t replica_leader_contact_us(void *ctx)
{
    struct replica *r = replica_of(ctx);
    uint64_t leader = consensus_leader(r->consensus);
    uint64_t heard;
    if (consensus_role(r->consensus) == CONSENSUS_LEADER) {
        return 0;
    }
    heard = leader && r->peers ? peers_last_received_ms(r->peers, leader) : 0;
    return heard ? env_now_us(r->config.env) - heard * 1000 : UINT64_MAX;
}

uint64_t replica_lag_us(void *ctx)
{
    struct replica *r = replica_of(ctx);
    const struct store_position *at = applier_position(r->applier);
    uint64_t applied_ms = r->advanced_ms != 0 ? r->advanced_ms : env_wall_ms(r->config.env);
    bool behind = at->index < consensus_commit(r->consensus) && applied_ms > at->time_ms;
    return behind ? (applied_ms - at->time_ms) * 1000 : 0;
}

uint64_t replica_leader(void *ctx)
{
    return consensus_leader(replica_of(ctx)->consensus);
}

bool replica_is_voter(void *ctx, uint64_t id)
{
    struct replica *r = replica_of(ctx);
    return consensus_recovering(r->consensus) ? members_in(r->members, id) != NULL
                                              : consensus_is_voter(r->consensus, id);
}

unsigned replica_voters(void *ctx)
{
    struct replica *r = replica_of(ctx);
    struct consensus_member all[PEERS_MAX];
    unsigned n, voters = 0;

    if (consensus_recovering(r->consensus)) {
        return members_count(r->members);
    }
    n = consensus_members(r->consensus, all, PEERS_MAX);
    for (unsigned i = 0; i < n; i++) {
        voters += all[i].role == CONSENSUS_VOTER;
    }
    return voters;
}

unsigned replica_other_voters(struct replica *r)
{
    return replica_voters(r) - replica_is_voter(r, r->config.id);
}

int replica_hand_over(void *ctx, uint64_t to, struct error *e)
{
    return consensus_transfer(replica_of(ctx)->consensus, to, e);
}

int replica_on_admit(void *ctx, uint64_t id, uint64_t incarnation, struct error *e)
{
    return consensus_admit(replica_of(ctx)->consensus, id, incarnation, e);
}

static struct peers_life life_of(const struct meta_peer *peer)
{
    return (struct peers_life){.incarnation = peer->incarnation,
                               .boots = peer->boots,
                               .mark = peer->mark,
                               .term = peer->term,
                               .index = peer->durable_index,
                               .index_term = peer->durable_term};
}

static struct meta_peer peer_of(uint64_t id, const struct peers_life *life)
{
    return (struct meta_peer){.id = id,
                              .incarnation = life->incarnation,
                              .boots = life->boots,
                              .mark = life->mark,
                              .term = life->term,
                              .durable_index = life->index,
                              .durable_term = life->index_term};
}

void replica_describe(void *ctx, uint64_t id, struct peers_life *ret_own, struct peers_life *ret_seen)
{
    struct meta_peer own, seen;

    consensus_describe(replica_of(ctx)->consensus, id, &own, &seen);
    *ret_own = life_of(&own);
    *ret_seen = life_of(&seen);
}

int replica_on_check(void *ctx, uint64_t id, const struct peers_life *seen, struct error *e)
{
    struct meta_peer us = peer_of(replica_of(ctx)->config.id, seen);
    return consensus_recognise(replica_of(ctx)->consensus, id, &us, e);
}

void replica_on_met(void *ctx, uint64_t id, const struct peers_life *life)
{
    struct meta_peer them = peer_of(id, life);
    consensus_remember(replica_of(ctx)->consensus, &them);
}

static void save_met(struct replica *r)
{
    r->met_saved_ms = env_now_ms(r->config.env);
    consensus_save_met(r->consensus);
}

void replica_on_received(void *ctx, uint64_t from, uint8_t type, const uint8_t *body, size_t n)
{
    struct replica *r = replica_of(ctx);
    struct error e;
    int rv = 0;

    if (r->dead) {
        return;
    }
    if (type == FRAME_CONSENSUS) {
        rv = consensus_receive(r->consensus, from, body, n, &e);
    } else if (type == FRAME_QUESTION || type == FRAME_ANSWER) {
        rv = forward_received(r->forward, from, type, body, n, &e);
    } else if (type == FRAME_SPACE) {
        rv = replica_space_received(r, from, body, n, &e);
    } else if (type == FRAME_REPAIR_QUESTION || type == FRAME_REPAIR_ANSWER) {
        rv = repair_received(r->repair, from, type, body, n, &e);
    } else if (type == FRAME_SHIP_QUESTION && r->ship_source != NULL) {
        rv = ship_source_received(r->ship_source, from, body, n, &e);
    } else if (type == FRAME_SHIP_ANSWER && r->ship_target != NULL) {
        rv = ship_target_received(r->ship_target, from, body, n, &e);
    } else if (type == FRAME_SHIP_QUESTION || type == FRAME_SHIP_ANSWER) {
        rv = error_set(&e, Q_MISMATCH, "a database in memory has no images");
    } else if (type == FRAME_DIGEST) {
        rv = divergence_received(r->divergence, from, body, n, &e);
    } else {
        rv = error_set(&e, Q_MISMATCH, "frame type %u is not known", type);
    }
    if (rv != 0) {
        replica_say(r, "frame_refused from=%" PRIu64 " error=\"%s\"", from, e.text);
    }
}

void replica_on_moved(void *ctx, uint64_t id, const char *address)
{
    replica_say(replica_of(ctx), "peer_moved id=%" PRIu64 " address=%s", id, address);
}

uint64_t replica_on_removed(void *ctx, uint64_t id)
{
    const struct member *m = members_find(replica_of(ctx)->members, id);
    return m != NULL && m->state == MEMBER_REMOVED ? m->changed : 0;
}

void replica_on_up(void *ctx, uint64_t id)
{
    struct replica *r = replica_of(ctx);
    replica_say(r, "peer_up id=%" PRIu64, id);
    replica_space_up(r, id);
    repair_up(r->repair);
    if (r->ship_target != NULL) {
        ship_target_up(r->ship_target);
    }
}

void replica_on_down(void *ctx, uint64_t id)
{
    struct replica *r = replica_of(ctx);
    replica_say(r, "peer_down id=%" PRIu64, id);
    save_met(r); /* it may come back with another disk */
    forward_down(r->forward, id);
    if (r->ship_target != NULL) {
        ship_target_down(r->ship_target, id);
    }
}

void replica_on_refused(void *ctx, const char *who, const struct error *why)
{
    replica_say(replica_of(ctx), "peer_refused who=%s error=\"%s\"", who, why->text);
}

void replica_on_compacted(void *ctx, uint64_t index, const struct error *failed)
{
    struct replica *r = replica_of(ctx);
    if (failed != NULL && failed->code == Q_CORRUPT) {
        replica_page_bad(r, failed);
    } else if (failed != NULL) {
        replica_on_fatal(r, failed);
    } else {
        replica_say(r, "compacted index=%" PRIu64 " log_first=%" PRIu64, index,
                    consensus_first(r->consensus));
    }
}

/* Stopping: hand over, let what is under way end, close the connections, make the database durable. */

static void after_checkpoint(void *ctx)
{
    struct replica *r = replica_of(ctx);
    replica_say(r, "stopped applied=%" PRIu64, applier_position(r->applier)->index);
    r->stopped(r->stopped_ctx);
}

static void on_peers_closed(void *ctx)
{
    struct replica *r = replica_of(ctx);
    r->peers = NULL;
    reach_waits(r, true);
    compactor_finish(r->compactor, after_checkpoint, r);
}

static void continue_stop(struct replica *r)
{
    bool late = env_now_ms(r->config.env) >= r->stop_deadline_ms;
    bool leads = consensus_role(r->consensus) == CONSENSUS_LEADER && replica_other_voters(r) > 0;

    if (r->peers_closing) {
        return;
    }
    if (late) {
        requests_give_up(r->requests);
        batcher_stop(r->batcher);
    }
    if ((requests_idle(r->requests) && !leads) || late) {
        applier_stop(r->applier);
        if (applier_idle(r->applier) && requests_idle(r->requests) && space_is_idle(r->space) &&
            !r->checking && r->dumps == 0 && replica_membership_idle(r) && replica_snapshot_idle(r)) {
            r->peers_closing = true;
            env_timer_stop(r->config.env, r->tick);
            if (r->peers != NULL) {
                peers_close(r->peers, on_peers_closed);
            } else {
                on_peers_closed(r); /* it never listened */
            }
        }
    }
}

void replica_stop(struct replica *r, void (*stopped)(void *ctx))
{
    struct error e;

    r->stopped = stopped;
    r->stopped_ctx = r->config.ctx;
    r->stop_deadline_ms = env_now_ms(r->config.env) + STOP_MS;
    replica_say(r, "stopping");
    requests_stop(r->requests);
    served_stop(r->served);
    calls_stop(r->calls);
    changes_stop(r->changes);
    space_stop(r->space);
    replica_snapshot_stop(r);
    if (consensus_leads(r->consensus) && replica_other_voters(r) > 0 &&
        !PLANTED("leaders_go_without_handing_over") && consensus_transfer(r->consensus, 0, &e) != 0) {
        replica_say(r, "transfer_failed error=\"%s\"", e.text);
    }
    env_timer_start(r->config.env, r->tick, 0); /* it ticks not yet if the start failed */
}

void replica_on_tick(void *owner)
{
    struct replica *r = replica_of(owner);
    if (r->dead) {
        return;
    }
    env_timer_start(r->config.env, r->tick, env_now_us(r->config.env) + REPLICA_TICK_MS * 1000);
    forward_tick(r->forward, consensus_leader(r->consensus));
    replica_space_tick(r);
    requests_tick(r->requests);
    calls_tick(r->calls);
    replica_membership_tick(r);
    repair_poll(r->repair);
    divergence_tick(r->divergence);
    if (env_now_ms(r->config.env) - r->met_saved_ms >= SAVE_MET_MS) {
        save_met(r);
    }
    replica_fence_tick(r);
    replica_install_tick(r);
    replica_snapshot_tick(r);
    reach_waits(r, false);
    if (r->stopped != NULL) {
        continue_stop(r);
    }
}

/* Doors. */

void replica_submit(struct replica *r, struct replica_request *request)
{
    requests_submit(r->requests, request);
}

void replica_wait(struct replica *r, struct replica_wait *wait)
{
    list_push(&r->waits, &wait->link); /* the next tick looks, at the latest */
}

void replica_transfer(struct replica *r, uint64_t to, struct peer_call *call)
{
    calls_transfer(r->calls, to, call);
}

void replica_contact(struct replica *r, uint64_t id, struct peer_call *call)
{
    calls_contact(r->calls, id, call);
}
