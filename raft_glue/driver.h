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
 * the owner stop the process; what can fail at once says so, and then nothing that depends on it is done or
 * said: the driver_ function fails, and the driver must not be used again. */
struct driver_io {
    /* Makes term and vote durable before it returns. False: it could not. */
    bool (*save_vote)(void *ctx, uint64_t term, uint64_t vote);
    /* The log as it is now, the entries being written included. term() says 0 outside first - 1 .. last. */
    uint64_t (*first)(void *ctx);
    uint64_t (*last)(void *ctx);
    uint64_t (*term)(void *ctx, uint64_t index);
    /* The type of an entry from first to last, without reading its payload. */
    enum log_entry_type (*type)(void *ctx, uint64_t index);
    /* False: it cannot be read (damaged); the driver then acts as if the message had been lost. */
    bool (*get)(void *ctx, uint64_t index, struct log_entry *ret_entry);
    /* False: it could not. */
    bool (*append)(void *ctx, uint64_t term, enum log_entry_type type, const void *p, uint32_t len);
    void (*truncate)(void *ctx, uint64_t index); /* drop from INDEX on; queued writes are clipped */
    void (*flush)(void *ctx);                    /* after a round of appends */
    /* Encode and hand to the network now; nothing of MESSAGE is kept. For AppendEntries, entries[] is filled.
     */
    void (*send)(void *ctx, const struct raft_message *message);
    /* Entries up to INDEX are committed and durable here: they may be applied. Grows. */
    void (*applicable)(void *ctx, uint64_t index);
    /* State, term, or known leader (0: none) changed. */
    void (*role)(void *ctx, int state, uint64_t term, uint64_t leader);
    /* A configuration is known to be committed, by its entry or by an installed snapshot. Borrowed. What
     * driver_new() found is not told again: ask driver_committed_configuration(). */
    void (*configuration)(void *ctx, uint64_t index, const struct raft_configuration *configuration);
    /* The leader says that only a snapshot at INDEX of TERM, or a later one, can bring this node forward:
     * fetch one from FROM (or anyone who has it) and stage it, then call driver_snapshot_staged(). Said again
     * as often as the leader says so; INDEX may grow. */
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
    /* Entries that may be sent to one follower and not acknowledged. Their bytes are bounded apart from this
     * (feed.h), so thousands are fine: this and the round trip limit how fast a follower catches up. */
    unsigned inflight_max;
    /* AppendEntries messages are cut after the entry with which their payload passes this. With the largest
     * entry it must stay below MESSAGE_BYTES_MAX. */
    uint32_t message_bytes;
    const struct driver_io *io; /* kept */
    void *ctx;
    /* Durable state at start. The log is asked through io. */
    uint64_t term, vote;
    const struct raft_snapshot_metadata *snapshot; /* NULL before the first compaction; borrowed */
    /* What the database already holds: from there on the log has all. */
    uint64_t applied;
    uint64_t now_ms;
    unsigned guards; /* GUARD_ALL; tests switch single ones off to show that they are needed */
};

/* Starts the core (RAFT_START). Everything in the log counts as durable. GUARD_BUMP may save a vote, and a
 * sole voter leads on return: calls of driver_io come from inside. Errors: Q_INVALID log, snapshot and
 * database do not fit together (the text says how; a log that does not hold the snapshot's entry must be
 * reset first), Q_CORRUPT a configuration entry cannot be read, Q_NOMEM. */
int driver_new(const struct driver_config *config, struct driver **ret_driver, struct error *e);
void driver_free(struct driver *d); /* NULL is fine */

/* Events. NOW_MS is monotonic. None of these may be called from inside a driver_io call. */
/* A message as message_decode() makes it: it has checked what the core takes for granted. The entries are
 * borrowed (the fields `batch` are used as scratch), the configuration of InstallSnapshot is given. */
int driver_receive(struct driver *d, uint64_t now_ms, struct raft_message *message, struct error *e);
int driver_timeout(struct driver *d, uint64_t now_ms, struct error *e);
/* When to call driver_timeout(): monotonic ms. Changes with every event. */
uint64_t driver_deadline(const struct driver *d);
/* The log is durable up to INDEX (as log.h's callback says it). */
int driver_durable(struct driver *d, uint64_t now_ms, uint64_t index, struct error *e);
/* Appends one entry as leader (LOG_COMMANDS or LOG_BARRIER); it gets index last + 1 and the current term.
 * Q_NOT_LEADER (also while leadership is being transferred) is soft. */
int driver_submit(struct driver *d, uint64_t now_ms, enum log_entry_type type, const void *p, uint32_t len,
                  struct error *e);
/* Proposes a configuration. Soft: Q_NOT_LEADER; Q_BUSY (another change or a catch-up is under way, or no
 * entry of the own term is committed yet); Q_INVALID (no voter, a sole voter that is not this leader, or more
 * than configuration_check_step() allows); Q_TOO_BIG (over MESSAGE_SERVERS_MAX or META_CONFIGURATION_MAX). */
int driver_change(struct driver *d, uint64_t now_ms, const struct raft_configuration *configuration,
                  struct error *e);
/* Hands leadership to ID (0: whoever is most up to date). Soft: Q_NOT_LEADER, Q_NOT_FOUND, Q_INVALID. */
int driver_transfer(struct driver *d, uint64_t now_ms, uint64_t id, struct error *e);
/* Whether this node may seek votes for itself; it may, until it is told otherwise. One that may not still
 * votes, follows and acknowledges. It ignores a leader's word to take over. */
void driver_let_campaign(struct driver *d, bool may);
/* A leader becomes a follower in a new term, as if it had heard of one: the others will elect. Soft:
 * Q_NOT_LEADER. */
int driver_step_down(struct driver *d, uint64_t now_ms, struct error *e);
/* Starts measuring how fast a non-voter catches up. Soft: Q_NOT_LEADER, Q_BUSY, Q_NOT_FOUND, Q_INVALID (a
 * voter). */
int driver_catch_up(struct driver *d, uint64_t now_ms, uint64_t id, struct error *e);
/* RAFT_CATCH_UP_NONE, _RUNNING, _ABORTED or _FINISHED (promote it now); NONE for whoever is not known here.
 */
int driver_catch_up_status(const struct driver *d, uint64_t id);

/* The database is durable at METADATA's index: the log below may go, but for TRAILING entries. Trims nothing
 * itself: afterwards log entries up to index - TRAILING may be trimmed. The configuration (copied) is the
 * committed one as of that index: note it when the index is chosen, not later. Soft: Q_BUSY while a snapshot
 * is being installed, or the index is not known to be committed and durable yet (right after a start);
 * Q_INVALID: not above the last one or 1, another term than the log's, or a configuration from above the
 * index. */
int driver_compacted(struct driver *d, uint64_t now_ms, const struct raft_snapshot_metadata *metadata,
                     uint64_t trailing, struct error *e);
/* A snapshot is staged whose entries were committed in a term up to KNOWN_IN: it is installed in place of the
 * one that the leader named, once that leader is sure to have its entries. METADATA is copied. Ignored if
 * none is wanted any more. Soft: Q_INVALID it is older than what fetch_snapshot() asked for last; Q_BUSY one
 * is being installed. */
int driver_snapshot_staged(struct driver *d, uint64_t now_ms, const struct raft_snapshot_metadata *metadata,
                           uint64_t known_in, struct error *e);
/* The lowest index of a snapshot that would be installed now; 0: none. */
uint64_t driver_snapshot_wanted(const struct driver *d);
/* What install_snapshot() asked for is done, the log is empty and its next entry follows METADATA's index.
 * METADATA (copied) is the same. */
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
/* Leads, has committed an entry of its term, and neither a change nor a catch-up is under way. */
bool driver_settled(const struct driver *d);
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
    GUARD_CONTACT = 1 << 18,   /* a follower with a slow disk still answers its leader */
    GUARD_ALL = (1 << 19) - 1
};

/* How often each guard has acted, by bit number. */
enum { DRIVER_GUARDS = 19 };
const uint64_t *driver_guard_hits(const struct driver *d);
const char *driver_guard_name(unsigned bit);

#endif
