#include "raft_glue/guards.h"

#include <string.h>

#include "base/plant.h"
#include "raft_glue/configuration.h"

/* The version and feature bits that the core itself puts into its results (its src/message.h). */
enum { RESULT_VERSION = 2, FEATURE_CAPACITY = 1 };

/* Test builds switch each one off. */
static unsigned planted_off(void)
{
    const bool off[DRIVER_GUARDS] = {
        PLANTED("no_guard_split"),    PLANTED("no_guard_sameterm"), PLANTED("no_guard_voteres"),
        PLANTED("no_guard_bump"),     PLANTED("no_guard_barrier"),  PLANTED("no_guard_chgterm"),
        PLANTED("no_guard_hold"),     PLANTED("no_guard_applydur"), PLANTED("no_guard_dupsnap"),
        PLANTED("no_guard_cfgearly"), PLANTED("no_guard_sole"),     PLANTED("no_guard_vote"),
        PLANTED("no_guard_stalerej"), PLANTED("no_guard_pvterm"),   PLANTED("no_guard_staleterm"),
        PLANTED("no_guard_oldae"),    PLANTED("no_guard_chgdur"),   PLANTED("no_guard_ishb"),
        PLANTED("no_guard_contact"),
    };
    unsigned bits = 0;

    for (unsigned i = 0; i < DRIVER_GUARDS; i++) {
        bits |= off[i] ? 1u << i : 0;
    }
    return bits;
}

void guards_init(struct guards *g, unsigned on)
{
    *g = (struct guards){.on = on & ~planted_off()};
}

static bool on(const struct guards *g, enum driver_guard guard)
{
    return (g->on & (unsigned)guard) != 0;
}

static void hit(struct guards *g, enum driver_guard guard)
{
    g->hits[__builtin_ctz((unsigned)guard)]++;
}

/* Counts a hit if the guard is on and CONDITION holds, and says so. */
static bool acts(struct guards *g, enum driver_guard guard, bool condition)
{
    if (!on(g, guard) || !condition) {
        return false;
    }
    hit(g, guard);
    return true;
}

const char *driver_guard_name(unsigned bit)
{
    static const char *const names[DRIVER_GUARDS] = {
        "split",     "sameterm", "voteres",  "bump", "barrier", "chgterm",  "hold",
        "applydur",  "dupsnap",  "cfgearly", "sole", "vote",    "stalerej", "pvterm",
        "staleterm", "oldae",    "chgdur",   "ishb", "contact",
    };
    return bit < DRIVER_GUARDS ? names[bit] : "unheard_of";
}

unsigned guard_split(struct guards *g, const struct raft_append_entries *ae, unsigned from, bool first)
{
    unsigned left = ae->n_entries - from;
    unsigned n = 0;

    if (!on(g, GUARD_SPLIT)) {
        return left;
    }
    while (n < left && ae->entries[from + n].type != RAFT_CHANGE) {
        n++;
    }
    if (n > 0 || left == 0) {
        return n;
    }
    hit(g, GUARD_SPLIT);
    return first ? 0 : 1;
}

bool guard_sameterm(struct guards *g, const struct raft *r, uint64_t term)
{
    return acts(g, GUARD_SAMETERM, r->state == RAFT_LEADER && term == r->current_term);
}

bool guard_voteres(struct guards *g, const struct raft *r)
{
    return acts(g, GUARD_VOTERES, r->state != RAFT_CANDIDATE);
}

bool guard_bump(struct guards *g, const struct raft_configuration *configuration, uint64_t id)
{
    return acts(g, GUARD_BUMP, configuration_sole_voter(configuration, id));
}

bool guard_barrier(struct guards *g, bool became_leader, bool appended)
{
    return acts(g, GUARD_BARRIER, became_leader && !appended);
}

bool guard_chgterm(struct guards *g, bool own_term_committed)
{
    return acts(g, GUARD_CHGTERM, !own_term_committed);
}

bool guard_hold(struct guards *g)
{
    return acts(g, GUARD_HOLD, true);
}

uint64_t guard_applydur(struct guards *g, uint64_t commit, uint64_t durable)
{
    return acts(g, GUARD_APPLYDUR, commit > durable) ? durable : commit;
}

bool guard_dupsnap(struct guards *g, bool installing)
{
    return acts(g, GUARD_DUPSNAP, installing);
}

bool guard_cfgearly(struct guards *g, uint64_t index, uint64_t commit, uint64_t durable)
{
    if (index > commit) {
        return false;
    }
    return index <= durable || acts(g, GUARD_CFGEARLY, true);
}

bool guard_cfgearly_followed(struct guards *g, uint64_t index, uint64_t prev)
{
    return acts(g, GUARD_CFGEARLY, index != 0 && index <= prev);
}

bool guard_sole(struct guards *g, const struct raft_configuration *configuration, uint64_t id)
{
    return acts(g, GUARD_SOLE,
                configuration_voters(configuration) == 1 && !configuration_is_voter(configuration, id));
}

void guard_vote_begin(struct guards *g, struct raft *r, struct guard_ballot *ballot)
{
    struct raft_server *server = (struct raft_server *)configuration_find(&r->configuration, r->id);

    memset(ballot, 0, sizeof *ballot);
    ballot->kept = r->configuration;
    if (!acts(g, GUARD_VOTE, !r->snapshot.installing && (server == NULL || server->role != RAFT_VOTER))) {
        return;
    }
    if (server != NULL) {
        ballot->borrowed = true;
        ballot->role = server->role;
        server->role = RAFT_VOTER;
    } else {
        ballot->replaced = true;
        ballot->self = (struct raft_server){.id = r->id, .address = r->address, .role = RAFT_VOTER};
        r->configuration = (struct raft_configuration){.servers = &ballot->self, .n = 1};
    }
}

void guard_vote_end(struct raft *r, struct guard_ballot *ballot)
{
    if (ballot->borrowed) {
        struct raft_server *server = (struct raft_server *)configuration_find(&r->configuration, r->id);
        server->role = ballot->role;
    } else if (ballot->replaced) {
        r->configuration = ballot->kept;
    }
}

void guard_vote_expired(struct guards *g, struct raft *r)
{
    if (r->state == RAFT_FOLLOWER && acts(g, GUARD_VOTE, r->follower_state.current_leader.id != 0)) {
        r->follower_state.current_leader.id = 0;
        raft_free(r->follower_state.current_leader.address); /* else results for nobody are sent */
        r->follower_state.current_leader.address = NULL;
    }
}

void guard_stalerej(struct guards *g, const struct raft *r, uint64_t from,
                    struct raft_append_entries_result *result)
{
    raft_index match;

    if (result->rejected == 0 || result->term != r->current_term || raft_match_index(r, from, &match) != 0) {
        return;
    }
    if (acts(g, GUARD_STALEREJ, result->rejected <= match)) {
        result->rejected = 0;
        result->last_log_index = 0;
    }
}

void guard_pvterm(struct guards *g, const struct raft *r, struct raft_request_vote_result *result)
{
    if (acts(g, GUARD_PVTERM, result->pre_vote && !result->vote_granted && result->term < r->current_term)) {
        result->term = r->current_term;
    }
}

bool guard_staleterm(struct guards *g, const struct raft *r, uint64_t term)
{
    return acts(g, GUARD_STALETERM, term < r->current_term);
}

void guard_oldae(struct guards *g, uint64_t commit, uint64_t commit_term, struct raft_append_entries *ae)
{
    if (!acts(g, GUARD_OLDAE, ae->prev_log_index < commit)) {
        return;
    }
    uint64_t known = commit - ae->prev_log_index;
    /* What is committed here is in the log of every later leader, so its message holds behind it just as
     * well. Where it brings that entry itself, its term is kept: the core stops on a contradiction. */
    ae->prev_log_term = known <= ae->n_entries ? ae->entries[known - 1].term : commit_term;
    ae->prev_log_index = commit;
    unsigned n = known < ae->n_entries ? (unsigned)known : ae->n_entries;
    ae->entries += n;
    ae->n_entries -= n;
}

bool guard_chgdur(struct guards *g, enum log_entry_type type, uint64_t index, uint64_t durable)
{
    return acts(g, GUARD_CHGDUR, type == LOG_CONFIGURATION && index > durable);
}

bool guard_ishb(struct guards *g, const struct raft_message *install_snapshot,
                struct raft_message *ret_heartbeat)
{
    if (!acts(g, GUARD_ISHB, true)) {
        return false;
    }
    memset(ret_heartbeat, 0, sizeof *ret_heartbeat);
    ret_heartbeat->type = RAFT_APPEND_ENTRIES;
    ret_heartbeat->server_id = install_snapshot->server_id;
    ret_heartbeat->server_address = install_snapshot->server_address;
    ret_heartbeat->append_entries.term = install_snapshot->install_snapshot.term;
    return true;
}

bool guard_contact(struct guards *g, const struct raft *r, const struct raft_message *m, bool waiting,
                   bool quiet)
{
    bool followed = r->state == RAFT_FOLLOWER && r->current_term == m->append_entries.term &&
                    r->follower_state.current_leader.id == m->server_id;
    return acts(g, GUARD_CONTACT, followed && waiting && quiet && m->append_entries.n_entries > 0);
}

struct raft_message contact_result(const struct raft *r, uint64_t to, const char *address)
{
    struct raft_message m;

    memset(&m, 0, sizeof m);
    m.type = RAFT_APPEND_ENTRIES_RESULT;
    m.server_id = to;
    m.server_address = address;
    m.append_entries_result.version = RESULT_VERSION;
    m.append_entries_result.term = r->current_term;
    m.append_entries_result.features = FEATURE_CAPACITY;
    return m;
}
