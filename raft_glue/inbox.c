#include "raft_glue/inbox.h"

#include <string.h>

#include "base/plant.h"

enum { CONTACTS_PER_HEARTBEAT = 4 };

static int receive(struct core *c, struct raft_message *message)
{
    struct raft_event event = {.type = RAFT_RECEIVE, .receive = {.message = message}};
    return core_run(c, &event);
}

static int receive_vote_request(struct core *c, struct raft_message *message)
{
    struct raft_event event = {.type = RAFT_RECEIVE, .receive = {.message = message}};
    struct guard_ballot ballot;
    int rv;

    guard_vote_begin(&c->guards, &c->raft, &ballot);
    rv = core_step(c, &event);
    guard_vote_end(&c->raft, &ballot);
    return rv == 0 ? core_settle(c) : rv;
}

static int receive_append_result(struct core *c, struct raft_message *message)
{
    struct raft_append_entries_result *result = &message->append_entries_result;
    int rv;

    guard_stalerej(&c->guards, &c->raft, message->server_id, result);
    if (c->raft.state == RAFT_LEADER && result->term == c->raft.current_term) {
        if (result->rejected == 0) {
            feeds_acked(&c->feeds, message->server_id, result->last_log_index);
        } else if (!PLANTED("rejections_do_not_end_a_feed")) {
            feeds_forget(&c->feeds, message->server_id);
        }
    }
    rv = receive(c, message);
    feeds_continue(&c->feeds, c->now_ms, c->durable);
    return rv;
}

/* Feeds N entries behind FROM as a message of their own. The core frees the batch, or gives it back with the
 * update; the payloads stay the caller's. */
static int receive_part(struct core *c, const struct raft_message *message, unsigned from, unsigned n)
{
    struct raft_message part = *message;
    struct raft_append_entries *ae = &part.append_entries;
    void *batch;

    if (c->failed) {
        return RAFT_IOERR; /* the core is not asked any more, so nobody would free the batch */
    }
    batch = n > 0 ? raft_malloc(1) : NULL;
    if (n > 0 && batch == NULL) {
        return RAFT_NOMEM;
    }
    if (from > 0) {
        ae->prev_log_index += from;
        ae->prev_log_term = ae->entries[from - 1].term;
        ae->entries += from;
    }
    ae->n_entries = n;
    for (unsigned i = 0; i < n; i++) {
        ae->entries[i].batch = batch;
    }
    return receive(c, &part);
}

/* Our log holds what the entry behind FROM of this message follows. */
static bool holds_before(struct core *c, const struct raft_append_entries *ae, unsigned from)
{
    uint64_t term = from > 0 ? ae->entries[from - 1].term : ae->prev_log_term;
    return c->raft.state == RAFT_FOLLOWER && !install_running(&c->install) &&
           c->io->term(c->ctx, ae->prev_log_index + from) == term;
}

/* A leader proposes a configuration only after the one before is committed. So if the entry behind FROM is
 * one, and our log agrees up to there, the one that we have not concluded yet may be. */
static int conclude_followed(struct core *c, const struct raft_append_entries *ae, unsigned from)
{
    uint64_t index = c->raft.configuration_uncommitted_index;

    if (from == ae->n_entries || ae->entries[from].type != RAFT_CHANGE || !holds_before(c, ae, from) ||
        !guard_cfgearly_followed(&c->guards, index, ae->prev_log_index + from)) {
        return 0;
    }
    return core_conclude(c, index);
}

static int receive_parts(struct core *c, const struct raft_message *message)
{
    const struct raft_append_entries *ae = &message->append_entries;
    unsigned from = 0, parts = 0;
    int rv = 0;

    do {
        unsigned n = guard_split(&c->guards, ae, from, parts++ == 0);
        if (n > 0) {
            rv = conclude_followed(c, ae, from);
        }
        if (rv == 0) {
            rv = receive_part(c, message, from, n);
        }
        from += n;
    } while (rv == 0 && from < ae->n_entries && holds_before(c, ae, from));
    return rv;
}

static int receive_append(struct core *c, const struct raft_message *original)
{
    struct raft_message message = *original;
    bool installing = install_running(&c->install);
    bool waiting = installing || c->durable < c->io->last(c->ctx);
    int rv;

    if (guard_sameterm(&c->guards, &c->raft, message.append_entries.term)) {
        return 0;
    }
    if (!installing) {
        uint64_t commit = c->raft.commit_index;
        guard_oldae(&c->guards, commit, c->io->term(c->ctx, commit), &message.append_entries);
    }
    rv = receive_parts(c, &message);
    bool quiet = c->now_ms - c->result_ms >= c->heartbeat_ms / CONTACTS_PER_HEARTBEAT;
    if (rv == 0 && guard_contact(&c->guards, &c->raft, &message, waiting, quiet)) {
        core_send_contact(c, message.server_id, message.server_address);
    }
    return rv;
}

/* Snapshots */

static bool needs_snapshot(const struct core *c, uint64_t index, uint64_t term)
{
    return index > c->snapshot.index && c->io->term(c->ctx, index) != term;
}

uint64_t inbox_snapshot_wanted(const struct core *c)
{
    const struct raft_install_snapshot *is = &c->install.held.install_snapshot;
    bool held = c->install.state == INSTALL_FETCHING || c->install.state == INSTALL_STAGED;

    return held && needs_snapshot(c, is->last_index, is->last_term) ? is->last_index : 0;
}

int inbox_deliver_snapshot(struct core *c)
{
    const struct raft_install_snapshot *is = &c->install.held.install_snapshot;

    if (!install_due(&c->install, c->raft.current_term)) {
        return 0;
    }
    /* Entries may have come meanwhile that make do without it. */
    if (!needs_snapshot(c, is->last_index, is->last_term) ||
        !needs_snapshot(c, c->install.image.index, c->install.image.term)) {
        install_drop(&c->install);
        return 0;
    }
    struct raft_message message = install_take(&c->install);
    return receive(c, &message);
}

static int receive_heartbeat_of(struct core *c, const struct raft_message *install_snapshot)
{
    struct raft_message heartbeat;

    return guard_ishb(&c->guards, install_snapshot, &heartbeat) ? receive(c, &heartbeat) : 0;
}

static int hold_snapshot(struct core *c, const struct raft_message *message)
{
    const struct raft_install_snapshot *held = &c->install.held.install_snapshot;
    int rv;

    install_hold(&c->install, message);
    if (c->install.state == INSTALL_FETCHING) {
        c->io->fetch_snapshot(c->ctx, message->server_id, held->last_index, held->last_term);
    }
    rv = receive_heartbeat_of(c, message);
    return rv == 0 ? inbox_deliver_snapshot(c) : rv;
}

static int receive_install(struct core *c, struct raft_message *message)
{
    bool installing = install_running(&c->install);

    if (guard_sameterm(&c->guards, &c->raft, message->install_snapshot.term)) {
        message_close(message, false);
        return 0;
    }
    if (guard_dupsnap(&c->guards, installing)) {
        message_close(message, false);
        return receive_heartbeat_of(c, message);
    }
    const struct raft_install_snapshot *is = &message->install_snapshot;
    bool needed = !installing && needs_snapshot(c, is->last_index, is->last_term);
    return needed && guard_hold(&c->guards) ? hold_snapshot(c, message) : receive(c, message);
}

static int dispatch(struct core *c, struct raft_message *message)
{
    switch (message->type) {
    case RAFT_APPEND_ENTRIES: return receive_append(c, message);
    case RAFT_APPEND_ENTRIES_RESULT: return receive_append_result(c, message);
    case RAFT_REQUEST_VOTE: return receive_vote_request(c, message);
    case RAFT_REQUEST_VOTE_RESULT: return guard_voteres(&c->guards, &c->raft) ? 0 : receive(c, message);
    case RAFT_INSTALL_SNAPSHOT: return receive_install(c, message);
    case RAFT_TIMEOUT_NOW: return receive(c, message);
    }
    return 0;
}

/* The message comes from a leader of an old term, and was answered. */
static bool answer_old_leader(struct core *c, struct raft_message *message)
{
    uint64_t term = UINT64_MAX;

    if (message->type == RAFT_APPEND_ENTRIES) {
        term = message->append_entries.term;
    } else if (message->type == RAFT_INSTALL_SNAPSHOT) {
        term = message->install_snapshot.term;
    }
    if (!guard_staleterm(&c->guards, &c->raft, term)) {
        return false;
    }
    struct raft_message result = contact_result(&c->raft, message->server_id, message->server_address);
    c->io->send(c->ctx, &result);
    if (message->type == RAFT_INSTALL_SNAPSHOT) {
        message_close(message, false);
    }
    return true;
}

int inbox_receive(struct core *c, struct raft_message *message)
{
    return answer_old_leader(c, message) ? 0 : dispatch(c, message);
}
