/* What members remember of each other's lives, and how a node finds out that its disk is an old copy. */
#include <inttypes.h>

#include "base/plant.h"
#include "raft_glue/consensus_impl.h"

static struct meta_peer *find(struct consensus *c, uint64_t id)
{
    for (uint32_t i = 0; i < meta_state(c->meta)->peers; i++) {
        if (c->met[i].id == id) {
            return &c->met[i];
        }
    }
    return NULL;
}

void consensus_load_met(struct consensus *c)
{
    const struct meta_state *state = meta_state(c->meta);

    for (uint32_t i = 0; i < state->peers; i++) {
        c->met[i] = state->peer[i];
    }
}

int consensus_save(struct consensus *c, struct meta_state *state, struct error *e)
{
    for (uint32_t i = 0; i < meta_state(c->meta)->peers; i++) {
        state->peer[i] = c->met[i];
    }
    int rv = meta_save(c->meta, state, e);
    if (rv == 0) {
        consensus_load_met(c); /* with who is new */
        c->met_unsaved = false;
    }
    return rv;
}

void consensus_save_met(struct consensus *c)
{
    struct meta_state state = *meta_state(c->meta);
    struct error e;

    if (c->met_unsaved && !c->dead && !PLANTED("met_is_not_saved") && consensus_save(c, &state, &e) != 0) {
        consensus_die(c, &e);
    }
}

void consensus_describe(struct consensus *c, uint64_t id, struct meta_peer *ret_own,
                        struct meta_peer *ret_seen)
{
    const struct meta_state *state = meta_state(c->meta);
    const struct meta_peer *seen = find(c, id);
    uint64_t index = consensus_applicable(c);

    *ret_own = (struct meta_peer){
        .id = c->config.id,
        .incarnation = state->incarnation,
        .boots = state->boots,
        .mark = state->marks[state->boots % META_MARKS],
        .term = consensus_term(c),
        .durable_index = index,
        .durable_term = log_term(c->log, index),
    };
    *ret_seen = seen != NULL ? *seen : (struct meta_peer){.id = id};
}

void consensus_remember(struct consensus *c, const struct meta_peer *life)
{
    struct meta_peer *seen = find(c, life->id);

    if (seen == NULL || seen->incarnation != life->incarnation) {
        return;
    }
    if (life->boots > seen->boots) {
        seen->boots = life->boots;
        seen->mark = life->mark;
        c->met_unsaved = true;
    }
    if (life->term > seen->term) {
        seen->term = life->term;
        c->met_unsaved = true;
    }
    if (life->durable_index > seen->durable_index && life->durable_term != 0) {
        seen->durable_index = life->durable_index;
        seen->durable_term = life->durable_term;
        c->met_unsaved = true;
    }
}

void consensus_remember_term(struct consensus *c, uint64_t id, uint64_t term)
{
    struct meta_peer *seen = find(c, id);

    if (seen != NULL && term > seen->term) {
        seen->term = term;
        c->met_unsaved = true;
    }
}

void consensus_remember_index(struct consensus *c, uint64_t id, uint64_t index)
{
    struct meta_peer *seen = find(c, id);

    if (seen != NULL && index > seen->durable_index && log_term(c->log, index) != 0) {
        seen->durable_index = index;
        seen->durable_term = log_term(c->log, index);
        c->met_unsaved = true;
    }
}

/* The leader that said FLOOR meant the members of its configuration. It is the committed one here, unless
 * that is newer than FLOOR: then one who has come since may lack what FLOOR says, and one who has gone may
 * never have got it. */
void consensus_remember_floor(struct consensus *c, uint64_t floor)
{
    const struct raft_configuration *members;
    uint64_t since;

    if (c->driver == NULL || PLANTED("followers_do_not_remember")) {
        return;
    }
    members = driver_committed_configuration(c->driver, &since);
    for (unsigned i = 0; i < members->n && (floor >= since || PLANTED("a_floor_is_everybodys")); i++) {
        consensus_remember_index(c, members->servers[i].id, floor);
    }
}

/* Whether SEEN, what another member remembers of this incarnation, can be of a life that this disk has led. A
 * log that is known to be damaged says nothing: what it lost comes from the others before this node votes
 * again. */
static bool lived(const struct consensus *c, const struct meta_peer *seen)
{
    const struct meta_state *state = meta_state(c->meta);
    uint64_t term;

    if (seen->boots > state->boots || seen->term > consensus_term(c)) {
        return false;
    }
    if (seen->boots > 0 && state->boots - seen->boots < META_MARKS &&
        state->marks[seen->boots % META_MARKS] != seen->mark && !PLANTED("boot_marks_not_compared")) {
        return false;
    }
    if (log_damaged(c->log)) {
        return true;
    }
    term = log_term(c->log, seen->durable_index);
    return seen->durable_index <= log_durable(c->log) &&
           (term == 0 || term == seen->durable_term); /* 0: compacted */
}

static void retire(struct consensus *c, const struct error *why)
{
    struct meta_state state = *meta_state(c->meta);
    struct error failed;

    state.retired = true;
    if (consensus_save(c, &state, &failed) != 0) {
        consensus_die(c, &failed);
    }
    consensus_die(c, why);
}

int consensus_recognise(struct consensus *c, uint64_t from, const struct meta_peer *seen, struct error *e)
{
    const struct meta_state *state = meta_state(c->meta);

    if (seen->incarnation != state->incarnation || lived(c, seen) || PLANTED("stale_disk_accepted")) {
        return 0;
    }
    error_set(e, Q_CONFLICT,
              "the disk of node %" PRIu64 " is an old copy: node %" PRIu64 " has seen it in boot %" PRIu64
              ", term %" PRIu64 ", with entry %" PRIu64 " of term %" PRIu64
              " durable, but it is in boot %" PRIu64 ", term %" PRIu64 ", and durable up to entry %" PRIu64
              ": it must not vote any more. Put its newest disk back, or replace the node by a new member",
              c->config.id, from, seen->boots, seen->term, seen->durable_index, seen->durable_term,
              state->boots, consensus_term(c), log_durable(c->log));
    if (!c->dead) {
        retire(c, e);
    }
    return Q_CONFLICT;
}
