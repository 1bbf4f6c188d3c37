/* A replica's part in who is in: how it sees the members when it leads, and how what the log decided about
 * them gets into its list. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/plant.h"
#include "cluster/replica_impl.h"

enum {
    VOTERS_DEFAULT = 3,
    CLOSE_ENTRIES = 1000, /* that a log may be behind and still count as close */
    MOVE_AGAIN_MS = 1000,
    MOVE_TIMEOUT_MS = 10000,
    SAVE_AGAIN_MS = 1000,
};

#define HEARSAY UINT64_MAX /* the incarnation of a member that this node was only told of */

/* How this node sees the members. */

bool replica_is_close(struct replica *r, uint64_t id)
{
    uint64_t last = consensus_last(r->consensus);

    return id == r->config.id || consensus_match(r->consensus, id) + CLOSE_ENTRIES > last;
}

/* Two pings, or two elections, whichever is longer, without a word: it does not answer. */
static bool answers(struct replica *r, uint64_t id)
{
    uint64_t silent_ms = 2 * ((uint64_t)r->config.election_ms + 1000);
    uint64_t heard = r->peers != NULL ? peers_last_received_ms(r->peers, id) : 0;

    return id == r->config.id || (r->peers != NULL && peers_connected(r->peers, id) &&
                                  heard + silent_ms > env_now_ms(r->config.env));
}

/* The one that the member has in the table, or that it had when it was met. */
static uint64_t incarnation_of(struct replica *r, const struct member *m)
{
    struct meta_peer own, seen;

    if (m->incarnation != 0) {
        return m->incarnation;
    }
    consensus_describe(r->consensus, m->id, &own, &seen);
    return m->id == r->config.id ? own.incarnation : seen.incarnation;
}

static void see(struct replica *r, const struct member *m)
{
    struct replica_membership *ms = &r->membership;

    if (ms->view.members_count == STEWARD_MEMBERS_MAX || (m->changed == 0 && m->incarnation == HEARSAY)) {
        return;
    }
    ms->seen[ms->view.members_count++] = (struct steward_member){
        .id = m->id,
        .incarnation = incarnation_of(r, m),
        .address = m->address,
        .role = replica_role_of(r, m->id),
        .wanted = m->state,
        .changed = m->changed,
        .answers = answers(r, m->id),
        .close = replica_is_close(r, m->id),
        .caught_up = consensus_catch_up_state(r->consensus, m->id) == CONSENSUS_CATCH_UP_FINISHED,
        .match = consensus_match(r->consensus, m->id),
    };
}

/* Of those that were removed, only whom a wish is about, or who is still there all the same. */
static bool matters(struct replica *r, const struct member *m, const struct wish *wish)
{
    bool named = wish != NULL && (m->id == wish->id || m->id == wish->with ||
                                  (wish->incarnation != 0 && m->incarnation == wish->incarnation));

    return m->state != MEMBER_REMOVED || named || replica_role_of(r, m->id) != ROLE_OUT;
}

static const struct steward_view *view(struct replica *r, const struct wish *wish)
{
    struct replica_membership *ms = &r->membership;
    unsigned known = members_known(r->members);

    ms->view = (struct steward_view){
        .id = r->config.id,
        .target = r->config.voters,
        .highest = known > 0 ? members_known_at(r->members, known - 1)->id : 0,
        .count = members_count(r->members),
        .max = PEERS_MAX,
        .members = ms->seen,
    };
    for (unsigned i = 0; i < known; i++) {
        if (matters(r, members_known_at(r->members, i), wish)) {
            see(r, members_known_at(r->members, i));
        }
    }
    return &ms->view;
}

/* Whether all that was ever decided about the members is in the list. */
static bool sees_all(struct replica *r)
{
    return applier_position(r->applier)->term == consensus_term(r->consensus) &&
           !r->membership.reading.busy && r->membership.read_version == store_members_version(r->store);
}

int replica_look(void *ctx, const struct wish *wish, const struct steward_view **ret_view, struct error *e)
{
    struct replica *r = replica_of(ctx);

    if (!consensus_leads(r->consensus)) {
        return error_set(e, Q_NOT_LEADER, "this node does not lead");
    }
    if (!sees_all(r)) {
        return error_set(e, Q_BUSY, "the leader has not yet seen all that is decided about the members");
    }
    *ret_view = view(r, wish);
    return 0;
}

static bool is_out(const struct replica *r)
{
    return consensus_removed(r->consensus) && !PLANTED("removed_nodes_go_on_dialling");
}

/* Who was removed dials nobody: each would refuse it, again and again, and another one that was removed would
 * take it for the cluster. */
unsigned replica_dialled(const struct replica *r, struct peers_member ret_members[PEERS_MAX])
{
    const struct member *self = members_find(r->members, r->config.id);
    bool out = is_out(r);
    unsigned n = out ? self != NULL : members_count(r->members);

    for (unsigned i = 0; i < n; i++) {
        const struct member *m = out ? self : members_at(r->members, i);

        ret_members[i].id = m->id;
        memcpy(ret_members[i].address, m->address, sizeof ret_members[i].address);
    }
    return n;
}

/* What the log decided. */

static struct member member_of(const struct store_member *row)
{
    struct member m = {
        .id = row->id, .incarnation = row->incarnation, .state = row->state, .changed = row->changed};

    memcpy(m.address, row->address, sizeof m.address);
    return m;
}

static void say_news(struct replica *r, const struct member *m)
{
    static const char *const names[] = {"?", "auto", "voter", "standby", "leaving", "removed"};
    const struct member *known = members_find(r->members, m->id);

    if (known != NULL && known->changed >= m->changed) {
        return;
    }
    if (known == NULL && m->state == MEMBER_REMOVED && !PLANTED("who_is_gone_is_news")) {
        return; /* it came and went before this node heard of it */
    }
    if (known == NULL && m->state != MEMBER_LEAVING) {
        replica_say(r, "member_added id=%" PRIu64 " address=%s index=%" PRIu64, m->id, m->address,
                    m->changed);
    } else if (known != NULL && known->state != m->state && m->state == MEMBER_REMOVED) {
        replica_say(r, "member_removed id=%" PRIu64 " index=%" PRIu64, m->id, m->changed);
    } else if (known == NULL || known->state != m->state) {
        replica_say(r, "member_wanted id=%" PRIu64 " as=%s index=%" PRIu64, m->id, names[m->state],
                    m->changed);
    }
    if (known != NULL && strcmp(known->address, m->address) != 0) {
        replica_say(r, "member_moved id=%" PRIu64 " from=%s to=%s index=%" PRIu64, m->id, known->address,
                    m->address, m->changed);
    }
}

static void dial(struct replica *r)
{
    struct peers_member members[PEERS_MAX];
    struct error e;

    if (peers_set_members(r->peers, members, replica_dialled(r, members), &e) != 0) {
        replica_say(r, "members_not_dialled error=\"%s\"", e.text);
    }
}

void replica_retire_removed(struct replica *r, uint64_t by, uint64_t index)
{
    if (!consensus_removed(r->consensus) && !PLANTED("removed_nodes_go_on")) {
        replica_say(r, "removed by=%" PRIu64 " index=%" PRIu64, by, index);
        consensus_retire_removed(r->consensus);
    }
}

void replica_on_told_removed(void *ctx, uint64_t by, uint64_t index)
{
    replica_retire_removed(replica_of(ctx), by, index);
}

/* A node that has been away for long may know none of the others any more: whoever belongs to the cluster and
 * dials it brings it up to date. Nothing else is done on hearsay (HEARSAY marks it), and the table has the
 * last word. */
void replica_on_introduced(void *ctx, uint64_t id, const char *address)
{
    struct replica *r = replica_of(ctx);
    struct member m = {.id = id, .incarnation = HEARSAY, .state = MEMBER_AUTO};
    struct cursor said = cursor_of(address, strlen(address));
    struct error e;

    if (consensus_leader(r->consensus) != 0 || members_find(r->members, id) != NULL || is_out(r) ||
        members_count(r->members) == PEERS_MAX || !member_address_ok(&said) ||
        PLANTED("members_of_old_do_not_meet_new_ones")) {
        return;
    }
    snprintf(m.address, sizeof m.address, "%s", address);
    replica_say(r, "member_introduced id=%" PRIu64 " address=%s", id, address);
    if (members_set(r->members, &m, 1, &e) != 0) {
        replica_say(r, "members_not_saved error=\"%s\"", e.text);
    }
    dial(r);
}

/* What is remembered of those that do not come back would take the place of others in time. */
static void forget_removed(struct replica *r)
{
    for (unsigned i = 0; i < members_known(r->members) && !PLANTED("removed_members_are_remembered"); i++) {
        const struct member *m = members_known_at(r->members, i);

        if (m->state == MEMBER_REMOVED) {
            consensus_forget_member(r->consensus, m->id);
        }
    }
}

/* The rows of the table over the list. What cannot be saved for lack of room is saved later. */
static void merge(struct replica *r, const struct store_member *rows, unsigned count)
{
    struct member *all = calloc(count + 1, sizeof *all);
    struct error e;
    int rv = all != NULL ? 0 : error_set(&e, Q_NOMEM, "out of memory for %u members", count);

    for (unsigned i = 0; i < count && rv == 0; i++) {
        all[i] = member_of(&rows[i]);
        say_news(r, &all[i]);
    }
    if (rv == 0) {
        rv = members_set(r->members, all, count, &e);
    }
    if (rv != 0) {
        replica_say(r, "members_not_saved error=\"%s\"", e.text);
    }
    if (rv != Q_NOMEM && r->peers != NULL) {
        dial(r);
    }
    forget_removed(r);
    free(all);
    r->membership.save_again_ms = rv != 0 ? env_now_ms(r->config.env) + SAVE_AGAIN_MS : 0;
}

/* The database itself says that this node is out: it got so far as a standby, or by an image. */
static void see_own_end(struct replica *r)
{
    const struct member *self = members_find(r->members, r->config.id);

    if (self != NULL && self->state == MEMBER_REMOVED) {
        replica_retire_removed(r, r->config.id, self->changed);
    }
}

static void read_on_lane(struct env_work *work)
{
    struct replica *r = CONTAINER_OF(work, struct replica, membership.reading.work);

    r->membership.reading.rv = store_members(r->store, r->membership.reading.rows, STORE_MEMBERS_MAX,
                                             &r->membership.reading.count, &r->membership.reading.error);
}

static void read_done(struct env_work *work)
{
    struct replica *r = CONTAINER_OF(work, struct replica, membership.reading.work);
    struct replica_membership *ms = &r->membership;

    ms->reading.busy = false;
    if (r->dead) {
        return;
    }
    if (ms->reading.rv != 0) {
        replica_say(r, "members_not_read error=\"%s\"", ms->reading.error.text);
        return; /* the next tick tries again */
    }
    ms->read_version = ms->reading.version;
    merge(r, ms->reading.rows, ms->reading.count);
    see_own_end(r);
    replica_join_poll(r);
    replica_membership_applied(r);
    decisions_poll(r->decisions);
}

void replica_membership_applied(struct replica *r)
{
    struct replica_membership *ms = &r->membership;

    if (ms->reading.busy || r->stopped != NULL || ms->read_version == store_members_version(r->store)) {
        return;
    }
    ms->reading.busy = true;
    ms->reading.version = store_members_version(r->store);
    ms->reading.work = (struct env_work){.run = read_on_lane, .done = read_done, .lane = ENV_READER};
    env_run(r->config.env, &ms->reading.work);
}

/* A node that is started with another address of its own says so until all know. */

static void on_moved(struct replica_change *change, const struct error *failed)
{
    struct replica *r = CONTAINER_OF(change, struct replica, membership.move);

    r->membership.moving = false;
    r->membership.move_again_ms = env_now_ms(r->config.env) + MOVE_AGAIN_MS;
    if (failed != NULL && !r->dead) {
        replica_say(r, "move_failed to=%s error=\"%s\"", change->address, failed->text);
    }
}

static void move_if_need_be(struct replica *r)
{
    struct replica_membership *ms = &r->membership;
    const struct member *self = members_in(r->members, r->config.id);

    if (r->config.advertise == NULL || ms->moving || r->stopped != NULL || self == NULL || is_out(r) ||
        self->state == MEMBER_LEAVING || strcmp(self->address, r->config.advertise) == 0 ||
        env_now_ms(r->config.env) < ms->move_again_ms || PLANTED("nobody_says_that_it_moved")) {
        return;
    }
    ms->moving = true;
    ms->move = (struct replica_change){
        .verb = REPLICA_MOVE, .id = r->config.id, .timeout_ms = MOVE_TIMEOUT_MS, .done = on_moved};
    snprintf(ms->move.address, sizeof ms->move.address, "%s", r->config.advertise);
    changes_ask(r->changes, &ms->move);
}

void replica_membership_tick(struct replica *r)
{
    struct replica_membership *ms = &r->membership;
    struct error e;

    replica_membership_applied(r);
    if (is_out(r) && !ms->silent && r->peers != NULL) {
        ms->silent = true;
        dial(r);
    }
    changes_tick(r->changes);
    replica_join_poll(r);
    move_if_need_be(r);
    replica_steward_tick(r);
    if (ms->save_again_ms != 0 && env_now_ms(r->config.env) >= ms->save_again_ms) {
        ms->save_again_ms = members_save(r->members, &e) != 0 ? env_now_ms(r->config.env) + SAVE_AGAIN_MS : 0;
    }
}

bool replica_membership_idle(const struct replica *r)
{
    return !r->membership.reading.busy;
}

void replica_change_member(struct replica *r, struct replica_change *change)
{
    changes_ask(r->changes, change);
}

/* The next connected member behind the one that was asked last. */
static uint64_t anybody(void *ctx)
{
    struct replica *r = replica_of(ctx);
    uint64_t first = 0, next = 0;

    for (unsigned i = 0; i < members_count(r->members) && next == 0; i++) {
        uint64_t id = members_at(r->members, i)->id;

        if (id == r->config.id || r->peers == NULL || !peers_connected(r->peers, id)) {
            continue;
        }
        first = first != 0 ? first : id;
        next = id > r->membership.asked ? id : 0;
    }
    r->membership.asked = next != 0 ? next : first;
    return r->membership.asked;
}

/* Blocking: the list as the database that was opened has it. */
static int read_table(struct replica *r, struct error *e)
{
    struct replica_membership *ms = &r->membership;
    uint64_t version = store_members_version(r->store);
    int rv = store_members(r->store, ms->reading.rows, STORE_MEMBERS_MAX, &ms->reading.count, e);

    if (rv == Q_CORRUPT && members_count(r->members) > 1) {
        return 0; /* an image of the others' database will be read */
    }
    if (rv == 0) {
        ms->read_version = version;
        merge(r, ms->reading.rows, ms->reading.count);
    }
    return rv;
}

int replica_membership_open(struct replica *r, struct error *e)
{
    struct decisions_config decisions = {.env = r->config.env,
                                         .batcher = r->batcher,
                                         .look = replica_look,
                                         .pushed = replica_on_pushed,
                                         .ctx = r};
    struct changes_config changes = {.env = r->config.env,
                                     .id = r->config.id,
                                     .forward = r->forward,
                                     .leader = replica_leader,
                                     .anybody = anybody,
                                     .ctx = r};
    int rv;

    r->config.voters = r->config.voters != 0 ? r->config.voters : VOTERS_DEFAULT;
    r->membership.reading.rows = calloc(STORE_MEMBERS_MAX, sizeof *r->membership.reading.rows);
    if (r->membership.reading.rows == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for the members");
    }
    rv = decisions_new(&decisions, &r->decisions, e);
    if (rv == 0) {
        changes.decisions = r->decisions;
        rv = changes_new(&changes, &r->changes, e);
    }
    return rv == 0 ? read_table(r, e) : rv;
}

void replica_membership_free(struct replica *r)
{
    changes_free(r->changes);
    decisions_free(r->decisions);
    replica_join_free(r);
    free(r->membership.reading.rows);
}
