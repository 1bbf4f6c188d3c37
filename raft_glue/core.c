#include "raft_glue/core.h"

#include <assert.h>
#include <string.h>

#include "base/plant.h"
#include "raft_glue/configuration.h"

enum {
    INSTALL_RETRY_MS = 5000,   /* the core sends InstallSnapshot anew after this */
    CATCH_UP_ROUND_MS = 30000, /* the core gives a catch-up round up after this */
};

/* The update flags of raft.h are not parenthesised. */
static bool has(const struct raft_update *update, int flags)
{
    return (update->flags & (unsigned)flags) != 0;
}

int core_error(int rv, const char *what, struct error *e)
{
    enum error_code code = Q_CORRUPT;

    switch (rv) {
    case RAFT_NOMEM: code = Q_NOMEM; break;
    case RAFT_NOTLEADER: code = Q_NOT_LEADER; break;
    case RAFT_CANTCHANGE: code = Q_BUSY; break;
    case RAFT_NOTFOUND: code = Q_NOT_FOUND; break;
    case RAFT_BADID: code = Q_INVALID; break;
    }
    return error_set(e, code, "%s: %s", what, raft_strerror(rv));
}

/* After each step, in the order that the core asks for */

static bool save_vote(struct core *c, const struct raft_update *update)
{
    bool changed = has(update, RAFT_UPDATE_CURRENT_TERM) || has(update, RAFT_UPDATE_VOTED_FOR);
    uint64_t vote = PLANTED("vote_is_not_saved") ? 0 : c->raft.voted_for;
    return !changed || c->io->save_vote(c->ctx, c->raft.current_term, vote);
}

/* Entries at or below our last index are the core's only word on truncation. */
static void truncate_log(struct core *c, uint64_t index)
{
    if (index > c->io->last(c->ctx)) {
        return;
    }
    c->io->truncate(c->ctx, index);
    if (c->durable >= index && !PLANTED("truncated_entries_stay_durable")) {
        c->durable = index - 1;
    }
}

/* Frees the batch, whatever happens. */
static bool take_entries(struct core *c, const struct raft_update *update)
{
    bool taken = true;
    if (!has(update, RAFT_UPDATE_ENTRIES)) {
        return true;
    }
    truncate_log(c, update->entries.index);
    assert(update->entries.index == c->io->last(c->ctx) + 1);
    for (unsigned i = 0; i < update->entries.n && taken; i++) {
        const struct raft_entry *entry = &update->entries.batch[i];
        bool empty = entry->type == RAFT_BARRIER; /* the core's own has eight zeros */
        taken = c->io->append(c->ctx, entry->term, (enum log_entry_type)entry->type,
                              empty ? NULL : entry->buf.base, empty ? 0 : (uint32_t)entry->buf.len);
    }
    raft_free(update->entries.batch[0].batch);
    c->appended = true;
    return taken;
}

/* What nobody will take any more. */
static void drop(struct raft_update *update)
{
    if (has(update, RAFT_UPDATE_ENTRIES)) {
        raft_free(update->entries.batch[0].batch);
    }
    if (has(update, RAFT_UPDATE_SNAPSHOT)) {
        raft_configuration_close(&update->snapshot.metadata.configuration);
    }
}

static void begin_install(struct core *c, struct raft_update *update)
{
    if (has(update, RAFT_UPDATE_SNAPSHOT)) {
        install_begin(&c->install);
        c->io->install_snapshot(c->ctx, &update->snapshot.metadata);
        raft_configuration_close(&update->snapshot.metadata.configuration);
    }
}

static void send_result(struct core *c, const struct raft_message *message)
{
    c->result_ms = c->now_ms;
    c->io->send(c->ctx, message);
}

void core_send_contact(struct core *c, uint64_t to, const char *address)
{
    struct raft_message contact = contact_result(&c->raft, to, address);
    send_result(c, &contact);
}

/* The core leaves everything but the term and the receiver to us. What is asked for is the oldest image that
 * will do: one behind which our log goes on, and not older than the configuration that we name. */
static void send_install_snapshot(struct core *c, struct raft_message message)
{
    struct raft_install_snapshot *is = &message.install_snapshot;
    uint64_t index = c->io->first(c->ctx);

    index = index > c->snapshot.configuration_index ? index : c->snapshot.configuration_index;
    index = index < c->snapshot.index ? index : c->snapshot.index;
    is->last_index = index;
    is->last_term = index < c->snapshot.index ? c->io->term(c->ctx, index) : c->snapshot.term;
    is->conf = c->snapshot.configuration;
    is->conf_index = c->snapshot.configuration_index;
    is->data = (struct raft_buffer){.base = NULL, .len = 0};
    c->io->send(c->ctx, &message);
}

static void send_message(struct core *c, struct raft_message message)
{
    switch (message.type) {
    case RAFT_APPEND_ENTRIES: feeds_append(&c->feeds, c->now_ms, c->durable, &message); return;
    case RAFT_INSTALL_SNAPSHOT: send_install_snapshot(c, message); return;
    case RAFT_APPEND_ENTRIES_RESULT: send_result(c, &message); return;
    case RAFT_REQUEST_VOTE_RESULT: guard_pvterm(&c->guards, &c->raft, &message.request_vote_result); break;
    case RAFT_REQUEST_VOTE:
    case RAFT_TIMEOUT_NOW: break;
    }
    c->io->send(c->ctx, &message);
}

static void send_messages(struct core *c, const struct raft_update *update)
{
    for (unsigned i = 0; has(update, RAFT_UPDATE_MESSAGES) && i < update->messages.n; i++) {
        send_message(c, update->messages.batch[i]);
    }
}

uint64_t core_leader(const struct core *c)
{
    switch (c->raft.state) {
    case RAFT_LEADER: return c->raft.id;
    case RAFT_FOLLOWER: return c->raft.follower_state.current_leader.id;
    default: return 0;
    }
}

void core_tell_role(struct core *c)
{
    struct core_role now = {.state = c->raft.state, .term = c->raft.current_term, .leader = core_leader(c)};

    if (now.state != c->told.state || now.term != c->told.term || now.leader != c->told.leader) {
        c->told = now;
        c->io->role(c->ctx, now.state, now.term, now.leader);
    }
}

/* Runs one event through the core and does what it asks for. A raft code; nothing was done unless it is 0.
 * What the owner could not do leaves the core behind for good: core_settle() says so. */
int core_step(struct core *c, struct raft_event *event)
{
    bool was_leader = c->raft.state == RAFT_LEADER;
    struct raft_update update;
    int rv;

    event->time = c->now_ms;
    event->capacity = 0;
    rv = c->failed ? RAFT_IOERR : raft_step(&c->raft, event, &update);
    if (rv != 0) {
        return rv;
    }
    bool leads = c->raft.state == RAFT_LEADER;
    if (was_leader != leads) {
        feeds_reset(&c->feeds);
    }
    bool late = PLANTED("vote_is_sent_before_it_is_saved");
    c->failed = !late && !save_vote(c, &update);
    if (c->failed) {
        drop(&update);
        return 0;
    }
    c->failed = !take_entries(c, &update);
    if (c->failed) {
        return 0;
    }
    begin_install(c, &update);
    send_messages(c, &update);
    if (late) {
        c->failed = !save_vote(c, &update);
    }
    core_tell_role(c);
    c->barrier_due = guard_barrier(&c->guards, !was_leader && leads, has(&update, RAFT_UPDATE_ENTRIES));
    return 0;
}

/* Follow-up events: what the core has to hear before the next event from outside */

/* The core gives the batch back with the update, and take_entries() frees it. */
static int submit(struct core *c, enum raft_entry_type type, const void *p, uint32_t len)
{
    struct raft_entry entry = {
        .term = c->raft.current_term,
        .type = type,
        .buf = {.base = (void *)(uintptr_t)p, .len = len},
        .batch = raft_malloc(1),
    };
    struct raft_event event = {.type = RAFT_SUBMIT, .submit = {.entries = &entry, .n = 1}};

    if (entry.batch == NULL) {
        return RAFT_NOMEM;
    }
    int rv = core_step(c, &event);
    if (rv != 0) {
        raft_free(entry.batch);
    }
    return rv;
}

static bool load_configuration(struct core *c, uint64_t index, struct raft_configuration *ret_configuration)
{
    struct log_entry entry;

    return c->io->get(c->ctx, index, &entry) && entry.type == LOG_CONFIGURATION &&
           configuration_decode(entry.data, entry.len, ret_configuration, NULL) == 0;
}

/* Tells core and owner that the configuration at INDEX is committed; it is left for later if it cannot be
 * read. */
int core_conclude(struct core *c, uint64_t index)
{
    struct raft_event event = {.type = RAFT_CONFIGURATION, .configuration = {.index = index}};
    int rv;

    if (c->failed) {
        return RAFT_IOERR; /* the core is not asked any more, so nobody would free the configuration */
    }
    if (!load_configuration(c, index, &event.configuration.conf)) {
        return 0;
    }
    rv = core_step(c, &event);
    if (rv == 0 && !c->failed) {
        c->io->configuration(c->ctx, index, &c->raft.configuration_committed);
    }
    return rv;
}

static bool configuration_due(struct core *c)
{
    uint64_t index = c->raft.configuration_uncommitted_index;
    return index != 0 && !install_running(&c->install) &&
           guard_cfgearly(&c->guards, index, c->raft.commit_index, c->durable);
}

static void tell_applicable(struct core *c)
{
    uint64_t commit = PLANTED("durable_entries_are_applied_uncommitted") ? c->durable : c->raft.commit_index;

    if (install_running(&c->install)) {
        return; /* the commit index may lie inside the snapshot */
    }
    if (commit > c->applicable) {
        commit = guard_applydur(&c->guards, commit, c->durable);
    }
    if (commit > c->applicable) {
        c->applicable = commit;
        c->io->applicable(c->ctx, commit);
    }
}

int core_settle(struct core *c)
{
    int rv = 0;

    if (c->failed) {
        return RAFT_IOERR;
    }
    if (c->barrier_due) {
        c->barrier_due = false;
        rv = submit(c, RAFT_BARRIER, NULL, 0);
    }
    if (rv == 0 && configuration_due(c)) {
        rv = core_conclude(c, c->raft.configuration_uncommitted_index);
    }
    if (c->failed) {
        return RAFT_IOERR;
    }
    tell_applicable(c);
    return rv;
}

int core_submit(struct core *c, enum raft_entry_type type, const void *p, uint32_t len)
{
    int rv = submit(c, type, p, len);
    return rv == 0 ? core_settle(c) : rv;
}

int core_run(struct core *c, struct raft_event *event)
{
    int rv = core_step(c, event);
    return rv == 0 ? core_settle(c) : rv;
}

static int init_raft(struct core *c, const struct driver_config *config, struct error *e)
{
    int rv = raft_init(&c->raft, NULL, NULL, config->id, config->address);

    if (rv != 0) {
        return core_error(rv, "init", e);
    }
    c->raft.tracer = NULL; /* the default one formats a text in every step */
    raft_seed(&c->raft, config->seed);
    raft_set_pre_vote(&c->raft, true);
    raft_set_election_timeout(&c->raft, config->election_ms);
    raft_set_heartbeat_timeout(&c->raft, config->heartbeat_ms);
    raft_set_install_snapshot_timeout(&c->raft, INSTALL_RETRY_MS);
    raft_set_max_inflight_entries(&c->raft, config->inflight_max);
    raft_set_max_catch_up_round_duration(&c->raft, CATCH_UP_ROUND_MS);
    return 0;
}

static int copy_snapshot(struct core *c, const struct raft_snapshot_metadata *snapshot, struct error *e)
{
    if (snapshot == NULL) {
        return 0;
    }
    if (configuration_copy(&snapshot->configuration, &c->snapshot.configuration, e) != 0) {
        return Q_NOMEM;
    }
    c->snapshot.index = snapshot->index;
    c->snapshot.term = snapshot->term;
    c->snapshot.configuration_index = snapshot->configuration_index;
    return 0;
}

int core_init(struct core *c, const struct driver_config *config, struct error *e)
{
    struct feeds_config feeds = {
        .raft = &c->raft,
        .guards = &c->guards,
        .io = config->io,
        .ctx = config->ctx,
        .message_bytes = config->message_bytes,
        .heartbeat_ms = config->heartbeat_ms,
    };

    memset(c, 0, sizeof *c);
    c->io = config->io;
    c->ctx = config->ctx;
    c->heartbeat_ms = config->heartbeat_ms;
    c->now_ms = config->now_ms;
    guards_init(&c->guards, config->guards);
    c->durable = config->io->last(config->ctx);
    c->applicable = config->applied;
    c->told = (struct core_role){.state = RAFT_FOLLOWER, .term = config->term};
    int rv = init_raft(c, config, e);
    if (rv == 0) {
        rv = copy_snapshot(c, config->snapshot, e);
    }
    return rv == 0 ? feeds_init(&c->feeds, &feeds, e) : rv;
}

void core_close(struct core *c)
{
    if (c->raft.address != NULL) {
        raft_close(&c->raft, NULL);
    }
    install_close(&c->install);
    feeds_close(&c->feeds);
    raft_configuration_close(&c->snapshot.configuration);
}

int core_take_snapshot(struct core *c, const struct raft_snapshot_metadata *metadata,
                       struct raft_snapshot_metadata *ret_for_core)
{
    struct raft_snapshot_metadata ours = *metadata, cores = *metadata;

    if (configuration_copy(&metadata->configuration, &ours.configuration, NULL) != 0) {
        return RAFT_NOMEM;
    }
    if (configuration_copy(&metadata->configuration, &cores.configuration, NULL) != 0) {
        raft_configuration_close(&ours.configuration);
        return RAFT_NOMEM;
    }
    raft_configuration_close(&c->snapshot.configuration);
    c->snapshot = ours;
    *ret_for_core = cores;
    return 0;
}
