/* driver: drives the pure consensus core of libraft (raft_step: event in, update out) and guards it against
 * the bugs of the one version that was audited. Only raft_glue/ sees this header, because it shows <raft.h>.
 * It does no I/O, reads no clock and starts no thread: everything is told to it and asked of it through
 * driver_io.
 *
 * The order of work after each step follows the contract of raft_step: term and vote durable first; then
 * entries to the log; then messages; then configuration events for what is committed; then what may be
 * applied.
 *
 * A return code other than 0 from a driver_ function with a struct error is soft only where its contract says
 * so (Q_NOT_LEADER, Q_BUSY, ...); every other failure means that the core's state is undefined: the owner
 * stops. */
#ifndef QUORATE_RAFT_GLUE_DRIVER_H
#define QUORATE_RAFT_GLUE_DRIVER_H

#include <raft.h>

#include "base/error.h"
#include "raft_glue/log.h"

#if RAFT_VERSION_NUMBER != 2201
#error "the memory ownership of raft_step() events differs in every release: audit the driver again first"
#endif

struct driver;

/* What the driver needs from its owner. All calls come from inside driver_ functions. A disk that fails makes
 * the owner stop the process; the calls have no way to say so. */
struct driver_io {
    /* Makes term and vote durable before it returns. */
    void (*save_vote)(void *ctx, uint64_t term, uint64_t vote);
    /* The log as it is now, the entries being written included. term() says 0 outside first - 1 .. last. */
    uint64_t (*first)(void *ctx);
    uint64_t (*last)(void *ctx);
    uint64_t (*term)(void *ctx, uint64_t index);
    /* False: it cannot be read (damaged); the driver then acts as if the message had been lost. */
    bool (*get)(void *ctx, uint64_t index, struct log_entry *ret_entry);
    void (*append)(void *ctx, uint64_t term, enum log_entry_type type, const void *p, uint32_t len);
    void (*truncate)(void *ctx, uint64_t index); /* drop from INDEX on; queued writes are clipped */
    void (*flush)(void *ctx);                    /* after a round of appends */
    /* Encode and hand to the network now; nothing of MESSAGE is kept. For AppendEntries, entries[] is filled.
     */
    void (*send)(void *ctx, const struct raft_message *message);
    /* Entries up to INDEX are committed and durable here: they may be applied. Grows. */
    void (*applicable)(void *ctx, uint64_t index);
    /* State, term, or known leader changed. */
    void (*role)(void *ctx, int state, uint64_t term, uint64_t leader);
    /* A committed configuration. Borrowed. */
    void (*configuration)(void *ctx, uint64_t index, const struct raft_configuration *configuration);
    /* The leader says that only a snapshot at INDEX of TERM can bring this node forward: fetch it from FROM
     * (or anyone who has it) and stage it, then call driver_snapshot_staged(). A newer call replaces an older
     * one. */
    void (*fetch_snapshot)(void *ctx, uint64_t from, uint64_t index, uint64_t term);
    /* Make the staged snapshot the live one and the log empty, durably; then call
     * driver_snapshot_installed(). */
    void (*install_snapshot)(void *ctx, const struct raft_snapshot_metadata *metadata);
};

struct driver_config {
    uint64_t id;
    const char *address;  /* a logical name for the core; borrowed until return */
    unsigned seed;        /* of the election timeouts; differs from node to node */
    unsigned election_ms; /* the timeout is drawn from [election_ms, 2 election_ms) */
    unsigned heartbeat_ms;
    unsigned inflight_max;  /* AppendEntries in flight to one follower */
    uint32_t message_bytes; /* entries in one AppendEntries message: cut after the entry that passes this */
    const struct driver_io *io; /* kept */
    void *ctx;
    /* Durable state at start. The log is asked through io. */
    uint64_t term, vote;
    const struct raft_snapshot_metadata *snapshot; /* NULL before the first compaction; borrowed */
    uint64_t
        applied; /* what the database already holds: at least the snapshot's index; never above durable */
    uint64_t now_ms;
    unsigned guards; /* GUARD_ALL; tests switch single ones off to show that they are needed */
};

/* Starts the core (RAFT_START). GUARD_BUMP may call save_vote. */
int driver_new(const struct driver_config *config, struct driver **ret_driver, struct error *e);
void driver_free(struct driver *d); /* NULL is fine */

/* Events. NOW_MS is monotonic. */
/* The message's entries are borrowed (copied where kept), its configuration (InstallSnapshot) is given. */
int driver_receive(struct driver *d, uint64_t now_ms, struct raft_message *message, struct error *e);
int driver_timeout(struct driver *d, uint64_t now_ms, struct error *e);
/* When to call driver_timeout(): monotonic ms. Changes with every event. */
uint64_t driver_deadline(const struct driver *d);
/* The log is durable up to INDEX (as log.h's callback says it). */
int driver_durable(struct driver *d, uint64_t now_ms, uint64_t index, struct error *e);
/* Appends one entry as leader; it gets index last + 1 and the current term. Q_NOT_LEADER (also while
 * leadership is being transferred) is soft. */
int driver_submit(struct driver *d, uint64_t now_ms, enum log_entry_type type, const void *p, uint32_t len,
                  struct error *e);
/* Proposes a configuration. Soft: Q_NOT_LEADER; Q_BUSY (another change is under way, or no entry of the own
 * term is committed yet); Q_INVALID (no voter, or a sole voter that is not this leader). */
int driver_change(struct driver *d, uint64_t now_ms, const struct raft_configuration *configuration,
                  struct error *e);
/* Hands leadership to ID (0: whoever is most up to date). Soft: Q_NOT_LEADER, Q_NOT_FOUND, Q_INVALID. */
int driver_transfer(struct driver *d, uint64_t now_ms, uint64_t id, struct error *e);
/* Starts measuring how fast a non-voter catches up. Soft: Q_NOT_LEADER, Q_BUSY, Q_NOT_FOUND, Q_INVALID (a
 * voter). */
int driver_catch_up(struct driver *d, uint64_t now_ms, uint64_t id, struct error *e);

/* The database is durable at INDEX (at most the applicable one): the log below may go, but for TRAILING
 * entries. Trims nothing itself: afterwards log entries up to INDEX - TRAILING may be trimmed. METADATA's
 * index is new and above the last one. Q_BUSY (soft) while a snapshot is being installed. The configuration
 * is copied. */
int driver_compacted(struct driver *d, uint64_t now_ms, const struct raft_snapshot_metadata *metadata,
                     uint64_t trailing, struct error *e);
int driver_snapshot_staged(struct driver *d, uint64_t now_ms, struct error *e);
int driver_snapshot_installed(struct driver *d, uint64_t now_ms,
                              const struct raft_snapshot_metadata *metadata, struct error *e);

/* State. */
int driver_state(const struct driver *d); /* RAFT_FOLLOWER, RAFT_CANDIDATE, RAFT_LEADER */
uint64_t driver_term(const struct driver *d);
uint64_t driver_vote(const struct driver *d);
uint64_t driver_leader(const struct driver *d); /* 0: unknown */
uint64_t driver_commit(const struct driver *d);
uint64_t driver_applicable(const struct driver *d);
bool driver_own_term_committed(const struct driver *d); /* leads, and an entry of its term is committed */
bool driver_transferring(const struct driver *d);
/* The newest configuration, committed or not; and the last committed one with its index. Borrowed. */
const struct raft_configuration *driver_configuration(const struct driver *d);
const struct raft_configuration *driver_committed_configuration(const struct driver *d, uint64_t *ret_index);
/* Leader only: the highest index known to be durable on member ID; 0 if unknown. */
uint64_t driver_match(const struct driver *d, uint64_t id);

/* The guards; each is one named function in guards.c with a test that fails without it. */
enum driver_guard {
    GUARD_SPLIT = 1 << 0,      /* cut AppendEntries around each configuration entry */
    GUARD_SAMETERM = 1 << 1,   /* drop AppendEntries/InstallSnapshot of the own term while leading */
    GUARD_VOTERES = 1 << 2,    /* drop vote results unless candidate */
    GUARD_BUMP = 1 << 3,       /* a sole voter starts in a new term */
    GUARD_BARRIER = 1 << 4,    /* a new leader always appends an entry of its own term */
    GUARD_CHGTERM = 1 << 5,    /* no configuration change before an entry of the own term is committed */
    GUARD_HOLD = 1 << 6,       /* fetch the snapshot before the core sees InstallSnapshot */
    GUARD_APPLYDUR = 1 << 7,   /* apply only what is durable here */
    GUARD_DUPSNAP = 1 << 8,    /* drop InstallSnapshot while the core is installing */
    GUARD_CFGEARLY = 1 << 9,   /* configuration events at commit, not when applied */
    GUARD_SOLE = 1 << 10,      /* never leave a sole voter that is not the leader */
    GUARD_VOTE = 1 << 11,      /* answer vote requests whatever role the own configuration gives */
    GUARD_STALEREJ = 1 << 12,  /* neutralise stale AppendEntries rejections */
    GUARD_PVTERM = 1 << 13,    /* denied pre-votes carry our term */
    GUARD_STALETERM = 1 << 14, /* answer stale-term AppendEntries/InstallSnapshot ourselves */
    GUARD_OLDAE = 1 << 15,     /* strip committed entries from AppendEntries */
    GUARD_CHGDUR = 1 << 16,    /* a configuration entry leaves only when durable here */
    GUARD_ISHB = 1 << 17,      /* a held InstallSnapshot still counts as a heartbeat */
    GUARD_ALL = (1 << 18) - 1
};

/* How often each guard has acted, by bit number. */
enum { DRIVER_GUARDS = 18 };
const uint64_t *driver_guard_hits(const struct driver *d);
const char *driver_guard_name(unsigned bit);

#endif
