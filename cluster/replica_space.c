/* What a full disk does to a replica: a leader refuses writes and hands over to a member that has room;
 * members tell each other, since a write needs room on a majority of disks. Reads, votes and forwarding go
 * on, and what was accepted before waits for room. */
#include <inttypes.h>
#include <string.h>

#include "base/plant.h"
#include "cluster/replica_impl.h"

enum {
    SPACE_FRAME_BYTES = 9,   /* u8 full, u64 free bytes */
    SPACE_TELL_MS = 1000,    /* a full member says so again and again */
    SPACE_BELIEVE_MS = 5000, /* and is believed for so long */
};

bool replica_lacks_room(void *ctx)
{
    struct replica *r = replica_of(ctx);
    return !r->dead && (consensus_lacks_room(r->consensus) || applier_lacks_room(r->applier) ||
                        compactor_lacks_room(r->compactor));
}

void replica_retry_room(void *ctx)
{
    struct replica *r = replica_of(ctx);
    if (!r->dead) {
        consensus_retry(r->consensus);
        applier_retry(r->applier);
        if (applier_position(r->applier)->index > 0) {
            compactor_make_room(r->compactor, applier_floor(r->applier));
        }
    }
}

static void tell(struct replica *r, uint64_t to)
{
    uint8_t body[SPACE_FRAME_BYTES];

    body[0] = space_is_full(r->space);
    put_le64(body + 1, space_free_bytes(r->space));
    if (r->peers != NULL && to != r->config.id) {
        peers_send(r->peers, to, PEERS_URGENT, FRAME_SPACE, body, sizeof body);
    }
}

static void tell_all(struct replica *r)
{
    for (unsigned i = 0; i < members_count(r->members); i++) {
        tell(r, members_at(r->members, i)->id);
    }
    r->space_told_ms = env_now_ms(r->config.env);
}

void replica_on_space_changed(void *ctx)
{
    struct replica *r = replica_of(ctx);

    if (space_is_full(r->space)) {
        replica_say(r, "disk_full free=%" PRIu64 " needed=%" PRIu64 " ballast=%" PRIu64 " action=%s",
                    space_free_bytes(r->space), space_needed_bytes(r->space), space_ballast_bytes(r->space),
                    space_ballast_bytes(r->space) > 0 ? "ballast_freed" : "none");
    } else {
        replica_say(r, "disk_ok free=%" PRIu64, space_free_bytes(r->space));
    }
    tell_all(r);
}

void replica_space_up(struct replica *r, uint64_t id)
{
    if (space_is_full(r->space)) {
        tell(r, id);
    }
}

/* In the place that ID has, or that of one that has room by now. */
static void remember(struct replica *r, uint64_t id, uint64_t until_ms)
{
    unsigned place = 0;

    for (unsigned i = 0; i < PEERS_MAX && r->full[place].id != id; i++) {
        if (r->full[i].id == id || r->full[i].until_ms < r->full[place].until_ms) {
            place = i;
        }
    }
    r->full[place].id = id;
    r->full[place].until_ms = until_ms;
}

int replica_space_received(struct replica *r, uint64_t from, const uint8_t *body, size_t n, struct error *e)
{
    if (n != SPACE_FRAME_BYTES || body[0] > 1) {
        return error_set(e, Q_CORRUPT, "a frame of %zu bytes about the room on a disk is not understood", n);
    }
    remember(r, from, body[0] ? env_now_ms(r->config.env) + SPACE_BELIEVE_MS : 0);
    return 0;
}

bool replica_member_is_full(struct replica *r, uint64_t id)
{
    if (id == r->config.id) {
        return space_is_full(r->space);
    }
    for (unsigned i = 0; i < PEERS_MAX; i++) {
        if (r->full[i].id == id) {
            return env_now_ms(r->config.env) < r->full[i].until_ms;
        }
    }
    return false;
}

/* How many voters there are, and how many of them are full. */
static unsigned count_full(struct replica *r, unsigned *ret_voters)
{
    unsigned full = 0, voters = 0;

    for (unsigned i = 0; i < members_count(r->members); i++) {
        uint64_t id = members_at(r->members, i)->id;
        if (consensus_is_voter(r->consensus, id)) {
            voters++;
            full += replica_member_is_full(r, id);
        }
    }
    *ret_voters = voters;
    return full;
}

int replica_refuses(void *ctx, struct error *e)
{
    struct replica *r = replica_of(ctx);
    unsigned voters, full = count_full(r, &voters);

    if (space_is_full(r->space)) {
        error_set(e, Q_NO_SPACE,
                  "the disk of node %" PRIu64 " is full: %" PRIu64 " bytes are free, %" PRIu64 " are needed",
                  r->config.id, space_free_bytes(r->space), space_needed_bytes(r->space));
    } else if (voters - full < voters / 2 + 1) {
        error_set(e, Q_NO_SPACE, "the disks of %u of %u members are full: no majority has room for a write",
                  full, voters);
    } else {
        return 0;
    }
    return Q_NO_SPACE;
}

/* The most advanced member that has room; 0: none, or a majority has none, so that it would not help. */
static uint64_t successor(struct replica *r)
{
    unsigned voters, full = count_full(r, &voters);
    uint64_t best = 0, best_match = 0;

    for (unsigned i = 0; i < members_count(r->members) && voters - full >= voters / 2 + 1; i++) {
        uint64_t id = members_at(r->members, i)->id, match = consensus_match(r->consensus, id);
        if (id != r->config.id && consensus_is_voter(r->consensus, id) && !replica_member_is_full(r, id) &&
            peers_connected(r->peers, id) && match > best_match) {
            best = id;
            best_match = match;
        }
    }
    return best;
}

static void hand_over(struct replica *r)
{
    uint64_t to = consensus_leads(r->consensus) && !PLANTED("full_leader_stays") ? successor(r) : 0;
    struct error e;

    if (to != 0 && consensus_transfer(r->consensus, to, &e) == 0) {
        replica_say(r, "transfer to=%" PRIu64 " because=disk_full", to);
    } else if (to != 0) {
        replica_say(r, "transfer_failed to=%" PRIu64 " error=\"%s\"", to, e.text);
    }
}

void replica_space_tick(struct replica *r)
{
    space_tick(r->space);
    if (space_is_full(r->space) && r->stopped == NULL &&
        env_now_ms(r->config.env) >= r->space_told_ms + SPACE_TELL_MS) {
        tell_all(r);
        hand_over(r);
    }
}
