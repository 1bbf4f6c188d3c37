/* What a replica tells of itself. */
#include <stdio.h>
#include <string.h>

#include "cluster/replica_impl.h"

static void member_status(struct replica *r, const struct member *member, struct replica_member *to)
{
    bool self = member->id == r->config.id;
    uint64_t heard = self || r->peers == NULL ? 0 : peers_last_received_ms(r->peers, member->id);

    *to = (struct replica_member){
        .id = member->id,
        .voter = consensus_is_voter(r->consensus, member->id),
        .leader = member->id == consensus_leader(r->consensus),
        .role = replica_role_of(r, member->id),
        .wanted = member->state,
        .changed = member->changed,
        .caught_up = consensus_leads(r->consensus) && replica_is_close(r, member->id),
        .reachable = self || (r->peers != NULL && peers_connected(r->peers, member->id)),
        .match = consensus_match(r->consensus, member->id),
        .disk_full = replica_member_is_full(r, member->id),
        .last_heard_ms = heard ? env_now_ms(r->config.env) - heard : 0,
    };
    memcpy(to->address, member->address, sizeof to->address);
    snprintf(to->api_address, sizeof to->api_address, "%s",
             self       ? r->api
             : r->peers ? peers_api_address(r->peers, member->id)
                        : "");
}

/* It is so far behind that only an image brings it forward. */
static bool gets_image(const struct replica *r)
{
    return r->ship_target != NULL && ship_target_progress(r->ship_target).state != SHIP_IDLE;
}

static void shipment_status(struct replica *r, struct replica_shipment *to)
{
    static const char *const states[] = {[SHIP_IDLE] = "",
                                         [SHIP_ASKING] = "asking",
                                         [SHIP_OPENING] = "scanning",
                                         [SHIP_SCANNING] = "scanning",
                                         [SHIP_FETCHING] = "fetching",
                                         [SHIP_VERIFYING] = "verifying",
                                         [SHIP_FINISHING] = "verifying",
                                         [SHIP_STAGED] = "staged"};
    struct ship_target_progress t = {.state = SHIP_IDLE};
    struct ship_source_progress s = {.open = false};

    *to = (struct replica_shipment){.role = "", .state = "", .eta_ms = UINT64_MAX};
    if (r->images != NULL) {
        t = ship_target_progress(r->ship_target);
        s = ship_source_progress(r->ship_source);
    }
    if (t.state != SHIP_IDLE) {
        *to = (struct replica_shipment){
            .role = "target",
            .state = r->install.step != INSTALL_NOT ? "installing" : states[t.state],
            .peer = t.from,
            .index = t.index,
            .term = t.term,
            .bytes_all = t.bytes_all,
            .bytes_wire = t.bytes_wire,
            .bytes_per_s = t.bytes_per_s,
            .chunks_all = t.chunks_all,
            .chunks_reused = t.chunks_reused,
            .chunks_fetched = t.chunks_fetched,
            .eta_ms = t.eta_ms,
        };
    } else if (s.open) {
        const struct image *image = images_find_exact(r->images, s.index, s.term);
        *to = (struct replica_shipment){
            .role = "source",
            .state = "giving",
            .peer = s.to,
            .index = s.index,
            .term = s.term,
            .bytes_all = image != NULL ? image->bytes : 0,
            .bytes_wire = s.bytes_wire,
            .bytes_per_s = s.bytes_per_s,
            .chunks_all = image != NULL ? image->chunks : 0,
            .chunks_fetched = (uint32_t)s.chunks,
            .eta_ms = UINT64_MAX,
        };
    }
}

void replica_role(struct replica *r, struct replica_role *ret_role)
{
    *ret_role = (struct replica_role){
        .leads = consensus_role(r->consensus) == CONSENSUS_LEADER,
        .fenced = r->fenced,
        .term = consensus_term(r->consensus),
        .leader = consensus_leader(r->consensus),
        .last = consensus_last(r->consensus),
        .commit = consensus_commit(r->consensus),
        .applied = applier_position(r->applier)->index,
    };
}

void replica_status(struct replica *r, struct replica_status *ret_status)
{
    static const char *const names[] = {"follower", "candidate", "leader"};
    const struct store_position *at = applier_position(r->applier);
    struct replica_status *s = ret_status;
    uint64_t contact_us = replica_leader_contact_us(r);

    memset(s, 0, sizeof *s);
    s->id = r->config.id;
    s->term = consensus_term(r->consensus);
    s->leader = consensus_leader(r->consensus);
    s->state = r->stopped                           ? "stopping"
               : consensus_removed(r->consensus)    ? "removed"
               : consensus_recovering(r->consensus) ? "recovering"
                                                    : names[consensus_role(r->consensus)];
    s->log_lost = consensus_lost(r->consensus);
    if (consensus_recovering(r->consensus)) {
        s->log_lost_first = r->damage.lost_first;
        s->log_lost_last = r->damage.lost_last;
        snprintf(s->log_damage, sizeof s->log_damage, "%s", r->damage.damage.text);
    }
    memcpy(s->cluster_id, r->cluster_id, sizeof s->cluster_id);
    memcpy(s->cluster_name, r->name, sizeof s->cluster_name);
    s->incarnation = consensus_meta(r->consensus)->incarnation;
    s->log_first = consensus_first(r->consensus);
    s->log_last = consensus_last(r->consensus);
    s->log_durable = consensus_durable(r->consensus);
    s->commit = consensus_commit(r->consensus);
    s->applied = at->index;
    memcpy(s->digest, at->digest, DIGEST_BYTES);
    s->snapshot_index = consensus_compacted_index(r->consensus);
    s->last_leader_contact_ms = contact_us == UINT64_MAX ? UINT64_MAX : contact_us / 1000;
    s->ready = s->leader != 0 && at->term == s->term && !r->fenced && !divergence_suspects(r->divergence) &&
               r->stopped == NULL && !gets_image(r);
    s->term_changes = r->term_changes;
    s->leader_changes = r->leader_changes;
    s->fenced = r->fenced;
    s->disk_full = space_is_full(r->space);
    s->disk_free = space_free_bytes(r->space);
    s->disk_needed = space_needed_bytes(r->space);
    s->disk_ballast = space_ballast_bytes(r->space);
    s->fence_index = consensus_meta(r->consensus)->fence_index;
    s->fence_reason = replica_fence_reason(r);
    s->voters = r->config.voters;
    s->removed = consensus_removed(r->consensus);
    snprintf(s->steward, sizeof s->steward, "%s", r->membership.why);
    shipment_status(r, &s->shipment);
    s->installs = r->installs;
    s->taking = r->images != NULL && images_taking(r->images);
    if (s->taking) {
        s->taken_bytes = images_progress(r->images).bytes_done;
        s->taking_bytes = images_progress(r->images).bytes_all;
    }
    s->count = members_count(r->members);
    for (unsigned i = 0; i < s->count; i++) {
        member_status(r, members_at(r->members, i), &s->members[i]);
    }
}

uint64_t replica_id(const struct replica *r)
{
    return r->config.id;
}

bool replica_removed(struct replica *r, unsigned i, struct member *ret_member)
{
    for (unsigned k = 0; k < members_known(r->members); k++) {
        const struct member *m = members_known_at(r->members, k);
        if (m->state == MEMBER_REMOVED && i-- == 0) {
            *ret_member = *m;
            return true;
        }
    }
    return false;
}

void replica_metrics(struct replica *r, struct metrics *metrics)
{
    consensus_metrics(r->consensus, metrics);
    batcher_metrics(r->batcher, metrics);
    applier_metrics(r->applier, metrics);
    divergence_metrics(r->divergence, metrics);
    requests_metrics(r->requests, metrics);
    served_metrics(r->served, metrics);
    peers_metrics(r->peers, metrics);
    space_metrics(r->space, metrics);
    repair_metrics(r->repair, metrics);
    if (r->images != NULL) {
        images_metrics(r->images, metrics);
        ship_source_metrics(r->ship_source, metrics);
        ship_target_metrics(r->ship_target, metrics);
    }
}
