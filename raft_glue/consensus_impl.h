/* consensus_impl: what the consensus*.c share: the struct and its events. */
#ifndef QUORATE_RAFT_GLUE_CONSENSUS_IMPL_H
#define QUORATE_RAFT_GLUE_CONSENSUS_IMPL_H

#include "base/object.h"
#include "raft_glue/consensus.h"
#include "raft_glue/driver.h"
#include "raft_glue/message.h"
#include "raft_glue/read_index.h"

enum {
    CONSENSUS_MAGIC = 0x51c0de01,
    CONSENSUS_DIR_MAX = 4096,
    /* Of entries in one AppendEntries message: it is cut after the entry that passes this, so the largest one
     * has to fit into what a message may have besides. */
    CONSENSUS_APPEND_BYTES = 1024 * 1024,
    CONSENSUS_HEADERS_BYTES = 64 * 1024, /* of a message and its entries */
    CONSENSUS_ENTRY_MAX = MESSAGE_BYTES_MAX - CONSENSUS_APPEND_BYTES - CONSENSUS_HEADERS_BYTES,
};

enum consensus_counter {
    C_ELECTIONS,
    C_TERM_CHANGES,
    C_LEADER_CHANGES,
    C_MESSAGES_SENT,
    C_MESSAGES_RECEIVED,
    C_MESSAGES_REFUSED,
    C_READ_ROUNDS,
    C_READS,
    G_TERM,
    G_IS_LEADER,
    G_COMMIT,
    G_LAST,
    G_LOG_BYTES,
    G_LOG_WRITES,
    G_COLD_READS,
    CONSENSUS_COUNTERS
};

/* What the core asked for, to be passed on; index 0: nothing. */
struct consensus_fetch {
    uint64_t from, index, term;
};

struct consensus {
    OBJECT_MAGIC;
    struct consensus_config config;
    char dir[CONSENSUS_DIR_MAX];
    struct meta *meta;
    struct meta_peer met[META_PEERS_MAX]; /* the peers of meta as they are known now */
    bool met_unsaved;
    struct log *log;
    uint64_t known_index, known_term; /* what the database held at consensus_open() */
    struct log_mend *mend;            /* while recovering */
    struct driver *driver;            /* NULL until consensus_start() was called and the log is durable */
    bool starting;
    uint64_t applied; /* what the database held at consensus_start() */
    struct env_timer *timer;
    struct read_index reads;
    uint64_t read_deadline_ms;
    struct buf out;
    struct buf image; /* the configuration of consensus_image_at() */
    struct consensus_fetch fetch;
    bool install_due; /* the owner has not been told yet that the commit point is passed */
    bool removed;     /* as meta says; it takes part in nothing */
    /* What the owner was last told of. */
    bool dirty, settling, unsettled, dead;
    struct error cause; /* of dead */
    enum consensus_role role;
    uint64_t term, leader;
    struct metric counters[CONSENSUS_COUNTERS];
};

static inline struct consensus *consensus_of(void *ctx)
{
    return CAST(struct consensus, ctx, CONSENSUS_MAGIC);
}

/* What the core is given to act through; the context is the consensus. */
extern const struct driver_io consensus_io;

/* meta_save() with what is known of the peers. */
int consensus_save(struct consensus *c, struct meta_state *state, struct error *e);
void consensus_load_met(struct consensus *c);
/* Member ID said TERM, durable there; it has INDEX, a committed entry, durable. */
void consensus_remember_term(struct consensus *c, uint64_t id, uint64_t term);
void consensus_remember_index(struct consensus *c, uint64_t id, uint64_t index);
/* Tells the owner, once, that the process must stop. */
void consensus_die(struct consensus *c, const struct error *why);
/* After a call of the driver that must not fail: settles, or dies with E. */
void consensus_must(struct consensus *c, int rv, struct error *e, const char *what);
/* As consensus_must(), but settles from the timer: for calls in which the owner must not be called. */
void consensus_must_soon(struct consensus *c, int rv, struct error *e, const char *what);
/* The same as after an event, but from the timer. */
void consensus_settle_soon(struct consensus *c);
/* The core's timer. */
void consensus_on_timer(void *owner);
/* The first configuration as entry 1 holds it, in the order of ids. To be freed with raft_free(). Errors:
 * Q_INVALID an id or address is there twice; Q_NOMEM. */
int consensus_encode_members(const struct consensus_config *config, struct raft_buffer *ret_bytes,
                             struct error *e);
/* Runs, and was neither removed nor has failed. */
static inline bool consensus_takes_part(const struct consensus *c)
{
    return c->driver != NULL && !c->dead && !c->removed;
}

/* What STATE says of the log before its first entry. Close its configuration. */
int consensus_snapshot(const struct meta_state *state, struct raft_snapshot_metadata *ret_metadata,
                       struct error *e);
struct log_config consensus_log_config(struct consensus *c);
/* Part of consensus_open(), once meta is open. */
int consensus_finish_install(struct consensus *c, struct error *e);
/* The core's word to install what is staged. */
void consensus_io_install(void *ctx, const struct raft_snapshot_metadata *metadata);
/* Tells the owner of what has to be fetched or installed. */
void consensus_tell_images(struct consensus *c);
/* Opens the log of the directory; part of consensus_open(). */
int consensus_open_log(struct consensus *c, struct log_report *ret_report, struct error *e);
/* Makes the driver once the log is durable; part of consensus_start(). */
int consensus_boot(struct consensus *c, struct error *e);
/* The log's callbacks. */
void consensus_on_durable(void *ctx, uint64_t index);
void consensus_on_log_failed(void *ctx, const struct error *why);

#endif
