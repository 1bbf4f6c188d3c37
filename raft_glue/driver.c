#include "raft_glue/driver.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/object.h"
#include "base/plant.h"
#include "raft_glue/configuration.h"
#include "raft_glue/inbox.h"
#include "raft_glue/meta.h"
#include "raft_glue/start.h"

enum { DRIVER_MAGIC = 0x64726976 };

struct driver {
    OBJECT_MAGIC;
    bool inside;               /* a driver_ function is running */
    bool no_campaign;          /* driver_let_campaign() */
    uint64_t timeout_after_ms; /* driver_deadline() is not earlier */
    struct core core;
};

/* Start and end */

static void enter(struct driver *d, uint64_t now_ms)
{
    assert(d->magic == DRIVER_MAGIC && !d->inside);
    d->inside = true;
    d->core.now_ms = now_ms;
}

/* Ends what enter() began and passes on RV, the code of the core for what it did. */
static int leave(struct driver *d, int rv, const char *what, struct error *e)
{
    if (d->core.appended && !d->core.failed) {
        d->core.appended = false;
        d->core.io->flush(d->core.ctx);
    }
    d->inside = false;
    return rv == 0 ? 0 : core_error(rv, what, e);
}

static int start_core(struct driver *d, const struct driver_config *config, struct start *start,
                      struct error *e)
{
    uint64_t term = config->term, vote = config->vote;

    if (guard_bump(&d->core.guards, &start->configuration, config->id)) {
        term++;
        vote = config->id;
        if (!config->io->save_vote(config->ctx, term, vote)) {
            start_close(start, false);
            return leave(d, RAFT_IOERR, "start: the new term cannot be saved", e);
        }
    }
    struct raft_event event = start_event(start, term, vote);
    int rv = leave(d, core_run(&d->core, &event), "start", e);
    raft_configuration_init(&start->snapshot.configuration); /* the core has it, whatever happened */
    start_close(start, rv != 0);
    return rv;
}

int driver_new(const struct driver_config *config, struct driver **ret_driver, struct error *e)
{
    struct start start;
    int rv;

    assert(config->id != 0 && config->message_bytes > 0 && config->inflight_max > 0);
    struct driver *d = calloc(1, sizeof *d);
    if (d == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for the driver");
    }
    d->magic = DRIVER_MAGIC;
    rv = core_init(&d->core, config, e);
    if (rv == 0) {
        rv = start_load(&start, config, e);
    }
    if (rv == 0) {
        enter(d, config->now_ms);
        rv = start_core(d, config, &start, e);
    }
    if (rv != 0) {
        driver_free(d);
        return rv;
    }
    *ret_driver = d;
    return 0;
}

void driver_free(struct driver *d)
{
    if (d == NULL) {
        return;
    }
    assert(d->magic == DRIVER_MAGIC && !d->inside);
    core_close(&d->core);
    d->magic = 0;
    free(d);
}

/* Messages and snapshots */

int driver_receive(struct driver *d, uint64_t now_ms, struct raft_message *message, struct error *e)
{
    if (message->type == RAFT_TIMEOUT_NOW && d->no_campaign) {
        return 0;
    }
    enter(d, now_ms);
    return leave(d, inbox_receive(&d->core, message), "receive", e);
}

uint64_t driver_snapshot_wanted(const struct driver *d)
{
    return inbox_snapshot_wanted(&d->core);
}

int driver_snapshot_staged(struct driver *d, uint64_t now_ms, const struct raft_snapshot_metadata *metadata,
                           uint64_t known_in, struct error *e)
{
    struct raft_snapshot_metadata image = *metadata;
    uint64_t wanted = driver_snapshot_wanted(d);

    if (install_running(&d->core.install)) {
        return error_set(e, Q_BUSY, "snapshot staged: another one is being installed");
    }
    if (metadata->index < wanted) {
        return error_set(e, Q_INVALID, "snapshot staged: it is of index %llu, and %llu is asked for",
                         (unsigned long long)metadata->index, (unsigned long long)wanted);
    }
    if (wanted == 0) {
        return 0;
    }
    if (configuration_copy(&metadata->configuration, &image.configuration, e) != 0) {
        return Q_NOMEM;
    }
    enter(d, now_ms);
    install_staged(&d->core.install, &image, known_in > image.term ? known_in : image.term);
    return leave(d, inbox_deliver_snapshot(&d->core), "snapshot staged", e);
}

int driver_snapshot_installed(struct driver *d, uint64_t now_ms,
                              const struct raft_snapshot_metadata *metadata, struct error *e)
{
    struct raft_event event = {.type = RAFT_PERSISTED_SNAPSHOT, .persisted_snapshot = {.last = true}};
    int rv;

    enter(d, now_ms);
    assert(metadata->index == d->core.raft.trail.snapshot.index);
    assert(d->core.io->last(d->core.ctx) == metadata->index &&
           d->core.io->term(d->core.ctx, metadata->index) == metadata->term);
    install_finish(&d->core.install);
    d->core.durable = d->core.applicable = metadata->index;
    rv = d->core.failed ? RAFT_IOERR
                        : core_take_snapshot(&d->core, metadata, &event.persisted_snapshot.metadata);
    if (rv == 0) {
        rv = core_run(&d->core, &event);
    }
    if (rv == 0) {
        d->core.io->configuration(d->core.ctx, metadata->configuration_index,
                                  &d->core.raft.configuration_committed);
    }
    return leave(d, rv, "snapshot installed", e);
}

static int check_compaction(struct driver *d, const struct raft_snapshot_metadata *metadata, struct error *e)
{
    uint64_t index = metadata->index;

    if (install_running(&d->core.install) || index > d->core.raft.commit_index ||
        index > d->core.applicable) {
        return error_set(e, Q_BUSY,
                         "compaction at %llu: not known to be committed, or a snapshot is being "
                         "installed",
                         (unsigned long long)index);
    }
    /* A snapshot at 1 cannot be had: the core takes its term for that of entry 1, thinks that it still has
     * the entry, and neither sends it to a blank follower nor the snapshot (replication.c:
     * replicationProgress). */
    if (index <= 1 || index <= d->core.snapshot.index ||
        d->core.io->term(d->core.ctx, index) != metadata->term || metadata->configuration_index > index) {
        return error_set(e, Q_INVALID, "compaction at %llu of term %llu: does not continue the one at %llu",
                         (unsigned long long)index, (unsigned long long)metadata->term,
                         (unsigned long long)d->core.snapshot.index);
    }
    return 0;
}

int driver_compacted(struct driver *d, uint64_t now_ms, const struct raft_snapshot_metadata *metadata,
                     uint64_t trailing, struct error *e)
{
    struct raft_event event = {.type = RAFT_SNAPSHOT};
    int rv = check_compaction(d, metadata, e);

    if (rv != 0) {
        return rv;
    }
    enter(d, now_ms);
    event.snapshot.trailing = trailing < UINT_MAX ? (unsigned)trailing : UINT_MAX;
    rv = d->core.failed ? RAFT_IOERR : core_take_snapshot(&d->core, metadata, &event.snapshot.metadata);
    if (rv == 0) {
        rv = core_run(&d->core, &event);
    }
    return leave(d, rv, "compaction", e);
}

/* Time, disk, and what the owner asks for */

/* The core waits for the member that it sent to least recently, also for one it never sends to any more (a
 * spare after its catch-up), and would ask to be called again at once, for ever. */
static void clamp_deadline(struct driver *d)
{
    if (raft_timeout(&d->core.raft) <= d->core.now_ms) {
        d->timeout_after_ms = d->core.now_ms + (d->core.heartbeat_ms + 1) / 2;
    }
}

/* A follower that is no voter does not campaign (timeout.c: timeoutFollower). */
static int timeout_without_campaign(struct driver *d, struct raft_event *event)
{
    struct raft_server *self =
        (struct raft_server *)configuration_find(&d->core.raft.configuration, d->core.raft.id);
    int role = self != NULL ? self->role : 0, rv;

    if (self == NULL || d->core.raft.state != RAFT_FOLLOWER) {
        return core_run(&d->core, event);
    }
    self->role = RAFT_SPARE;
    rv = core_step(&d->core, event);
    self->role = role;
    return rv == 0 ? core_settle(&d->core) : rv;
}

int driver_timeout(struct driver *d, uint64_t now_ms, struct error *e)
{
    struct raft_event event = {.type = RAFT_TIMEOUT};
    bool expired;
    int rv;

    enter(d, now_ms);
    expired = d->core.raft.state == RAFT_FOLLOWER && raft_timeout(&d->core.raft) <= now_ms;
    rv = d->no_campaign ? timeout_without_campaign(d, &event) : core_run(&d->core, &event);
    if (rv == 0 && expired) {
        guard_vote_expired(&d->core.guards, &d->core.raft);
        core_tell_role(&d->core);
    }
    clamp_deadline(d);
    return leave(d, rv, "timeout", e);
}

uint64_t driver_deadline(const struct driver *d)
{
    uint64_t deadline = raft_timeout(&d->core.raft);
    return deadline > d->timeout_after_ms ? deadline : d->timeout_after_ms;
}

int driver_durable(struct driver *d, uint64_t now_ms, uint64_t index, struct error *e)
{
    struct raft_event event = {.type = RAFT_PERSISTED_ENTRIES, .persisted_entries = {.index = index}};
    int rv;

    enter(d, now_ms);
    if (install_running(&d->core.install) || index <= d->core.durable) {
        return leave(d, 0, "durable", e);
    }
    assert(index <= d->core.io->last(d->core.ctx));
    d->core.durable = index;
    rv = core_run(&d->core, &event);
    feeds_continue(&d->core.feeds, d->core.now_ms, d->core.durable);
    return leave(d, rv, "durable", e);
}

int driver_submit(struct driver *d, uint64_t now_ms, enum log_entry_type type, const void *p, uint32_t len,
                  struct error *e)
{
    assert(type == LOG_COMMANDS || type == LOG_BARRIER);
    enter(d, now_ms);
    int rv = core_submit(&d->core, (enum raft_entry_type)type, p, len);
    return leave(d, rv, "submit", e);
}

static int check_change(struct driver *d, const struct raft_configuration *configuration, struct error *e)
{
    if (d->core.raft.state != RAFT_LEADER || driver_transferring(d)) {
        return error_set(e, Q_NOT_LEADER, "configuration: this node does not lead");
    }
    if (d->core.raft.configuration_uncommitted_index != 0 || d->core.raft.leader_state.promotee_id != 0) {
        return error_set(e, Q_BUSY, "configuration: another change or a catch-up is under way");
    }
    if (guard_chgterm(&d->core.guards, driver_own_term_committed(d))) {
        return error_set(e, Q_BUSY, "configuration: nothing of this leader's term is committed yet");
    }
    if (configuration->n > MESSAGE_SERVERS_MAX) {
        return error_set(e, Q_TOO_BIG, "configuration: more than %d servers", MESSAGE_SERVERS_MAX);
    }
    if (configuration_voters(configuration) == 0 ||
        guard_sole(&d->core.guards, configuration, d->core.raft.id)) {
        return error_set(e, Q_INVALID, "configuration: the last voter must be the leader itself");
    }
    return configuration_check_step(&d->core.raft.configuration, configuration, e);
}

/* The members as bytes, which every follower has to be able to read. Free with raft_free(). */
static int encode_configuration(const struct raft_configuration *configuration,
                                struct raft_buffer *ret_encoded, struct error *e)
{
    struct raft_configuration read_back;
    struct raft_buffer encoded;
    struct error why;
    int rv = raft_configuration_encode(configuration, &encoded);

    if (rv != 0) {
        return core_error(rv, "configuration", e);
    }
    if (encoded.len > META_CONFIGURATION_MAX) {
        rv = error_set(e, Q_TOO_BIG, "configuration: longer than %d bytes", META_CONFIGURATION_MAX);
    } else {
        rv = configuration_decode(encoded.base, encoded.len, &read_back, &why);
        if (rv != 0) {
            rv = error_set(e, rv == Q_CORRUPT ? Q_INVALID : why.code, "%s", why.text);
        }
    }
    if (rv != 0) {
        raft_free(encoded.base);
        return rv;
    }
    raft_configuration_close(&read_back);
    *ret_encoded = encoded;
    return 0;
}

int driver_change(struct driver *d, uint64_t now_ms, const struct raft_configuration *configuration,
                  struct error *e)
{
    struct raft_buffer encoded;
    int rv = check_change(d, configuration, e);

    if (rv == 0) {
        rv = encode_configuration(configuration, &encoded, e);
    }
    if (rv != 0) {
        return rv;
    }
    enter(d, now_ms);
    rv = core_submit(&d->core, RAFT_CHANGE, encoded.base, (uint32_t)encoded.len);
    raft_free(encoded.base);
    return leave(d, rv, "configuration", e);
}

int driver_transfer(struct driver *d, uint64_t now_ms, uint64_t id, struct error *e)
{
    struct raft_event event = {.type = RAFT_TRANSFER, .transfer = {.server_id = id}};

    enter(d, now_ms);
    return leave(d, core_run(&d->core, &event), "transfer", e);
}

void driver_let_campaign(struct driver *d, bool may)
{
    d->no_campaign = !may && !PLANTED("fenced_node_campaigns");
}

/* Every server takes a higher term from whoever says it (Raft, figure 3.1), and none is skipped by it. */
int driver_step_down(struct driver *d, uint64_t now_ms, struct error *e)
{
    struct raft_message word = contact_result(&d->core.raft, d->core.raft.id, d->core.raft.address);

    if (d->core.raft.state != RAFT_LEADER) {
        return error_set(e, Q_NOT_LEADER, "step down: this node does not lead");
    }
    word.append_entries_result.term++;
    enter(d, now_ms);
    return leave(d, inbox_receive(&d->core, &word), "step down", e);
}

/* The core checks nothing of this. */
static int check_catch_up(struct driver *d, uint64_t id, struct error *e)
{
    const struct raft_server *server = configuration_find(&d->core.raft.configuration, id);

    if (d->core.raft.state != RAFT_LEADER || driver_transferring(d)) {
        return error_set(e, Q_NOT_LEADER, "catch-up: this node does not lead");
    }
    if (d->core.raft.leader_state.promotee_id != 0) {
        return error_set(e, Q_BUSY, "catch-up: one is under way");
    }
    if (server == NULL) {
        return error_set(e, Q_NOT_FOUND, "catch-up: no member %llu", (unsigned long long)id);
    }
    if (server->role == RAFT_VOTER || id == d->core.raft.id) {
        return error_set(e, Q_INVALID, "catch-up: %llu votes already", (unsigned long long)id);
    }
    return 0;
}

int driver_catch_up(struct driver *d, uint64_t now_ms, uint64_t id, struct error *e)
{
    struct raft_event event = {.type = RAFT_CATCH_UP, .catch_up = {.server_id = id}};
    int rv = check_catch_up(d, id, e);

    if (rv != 0) {
        return rv;
    }
    enter(d, now_ms);
    rv = core_run(&d->core, &event);
    /* The core looks at the member only when it acknowledges something: one that has all may have nothing to
     * acknowledge for long. */
    if (rv == 0 && !PLANTED("catch_up_waits_for_a_write")) {
        rv = core_submit(&d->core, RAFT_BARRIER, NULL, 0);
    }
    return leave(d, rv, "catch-up", e);
}

int driver_catch_up_status(const struct driver *d, uint64_t id)
{
    int status;
    return raft_catch_up(&d->core.raft, id, &status) == 0 ? status : RAFT_CATCH_UP_NONE;
}

/* State */

int driver_state(const struct driver *d)
{
    return d->core.raft.state;
}

uint64_t driver_term(const struct driver *d)
{
    return d->core.raft.current_term;
}

uint64_t driver_vote(const struct driver *d)
{
    return d->core.raft.voted_for;
}

uint64_t driver_leader(const struct driver *d)
{
    return core_leader(&d->core);
}

uint64_t driver_commit(const struct driver *d)
{
    return d->core.raft.commit_index;
}

uint64_t driver_applicable(const struct driver *d)
{
    return d->core.applicable;
}

bool driver_own_term_committed(const struct driver *d)
{
    return d->core.raft.state == RAFT_LEADER &&
           d->core.io->term(d->core.ctx, d->core.raft.commit_index) == d->core.raft.current_term;
}

bool driver_settled(const struct driver *d)
{
    return driver_own_term_committed(d) && d->core.raft.configuration_uncommitted_index == 0 &&
           d->core.raft.leader_state.promotee_id == 0;
}

bool driver_transferring(const struct driver *d)
{
    return raft_transferee(&d->core.raft) != 0;
}

const struct raft_configuration *driver_configuration(const struct driver *d)
{
    return &d->core.raft.configuration;
}

const struct raft_configuration *driver_committed_configuration(const struct driver *d, uint64_t *ret_index)
{
    *ret_index = d->core.raft.configuration_committed_index;
    return &d->core.raft.configuration_committed;
}

uint64_t driver_match(const struct driver *d, uint64_t id)
{
    raft_index match;
    return raft_match_index(&d->core.raft, id, &match) == 0 ? match : 0;
}

const uint64_t *driver_guard_hits(const struct driver *d)
{
    return d->core.guards.hits;
}
