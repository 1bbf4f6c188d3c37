/* replica_impl: what the parts of replica share: the struct, and the events that tie its parts together.
 * replica_open.c makes it, replica.c runs it, replica_space.c sees to a full disk, replica_status.c tells of
 * it.
 */
#ifndef QUORATE_CLUSTER_REPLICA_IMPL_H
#define QUORATE_CLUSTER_REPLICA_IMPL_H

#include "base/object.h"
#include "cluster/compactor.h"
#include "cluster/divergence.h"
#include "cluster/join_message.h"
#include "cluster/members.h"
#include "cluster/repair.h"
#include "cluster/replica.h"
#include "cluster/requests.h"
#include "cluster/served.h"
#include "cluster/space.h"
#include "raft_glue/applier.h"

enum { REPLICA_MAGIC = 0x51c0de06, REPLICA_TICK_MS = 50 };

enum frame_type {
    FRAME_CONSENSUS = 1,
    FRAME_QUESTION = 2,
    FRAME_ANSWER = 3,
    FRAME_REPAIR_QUESTION = 4,
    FRAME_REPAIR_ANSWER = 5,
    FRAME_DIGEST = 6,
    FRAME_SPACE = 7,
};

struct replica {
    OBJECT_MAGIC;
    struct replica_config config;
    char dir[REPLICA_DIR_MAX], name[256], listen[PEERS_ADDRESS_MAX + 1], api[PEERS_ADDRESS_MAX + 1];
    struct peers_member first[PEERS_MAX]; /* the first configuration: config.members */
    uint8_t secret[PEERS_SECRET_MAX];
    uint8_t cluster_id[CLUSTER_ID_BYTES];

    struct env_file *lock;
    struct members *members;
    struct store *store;
    struct consensus *consensus;
    struct batcher *batcher;
    struct applier *applier;
    struct forward *forward;
    struct requests *requests;
    struct served *served;
    struct calls *calls;
    struct repair *repair;
    struct compactor *compactor;
    struct divergence *divergence;
    struct peers *peers;
    struct space *space;
    uint64_t space_told_ms; /* when the members were last told of this node's disk */
    struct {
        uint64_t id, until_ms;
    } full[PEERS_MAX]; /* members whose disk is full, as they said, for so long */
    struct env_timer *tick, *kick;
    struct list waits; /* struct replica_wait */

    enum consensus_role told_role; /* what the operator's log said last */
    uint64_t told_term, told_leader;
    uint64_t term_changes, leader_changes;
    uint64_t advanced_ms; /* env_wall_ms() when an entry was last applied; 0: not yet */
    bool fenced, dead;
    bool stuck;               /* the operator was told that nobody has what is lost */
    struct log_report damage; /* what the log was opened with */
    struct {                  /* the log is to begin behind INDEX, once the database is durable */
        struct env_work work;
        uint64_t index, term, durable;
        bool busy;
        int rc;
        struct error error;
    } skip;
    uint64_t successor;       /* fenced: whom to hand over to; 0: any */
    uint64_t met_saved_ms;    /* when what is known of the members was last saved */
    bool checking;            /* a replica_check is under way */
    uint64_t handing_over_ms; /* fenced and leading: since when it tries to; 0: not */
    void (*stopped)(void *ctx);
    void *stopped_ctx;
    uint64_t stop_deadline_ms;
    bool peers_closing;
};

static inline struct replica *replica_of(void *ctx)
{
    return CAST(struct replica, ctx, REPLICA_MAGIC);
}

/* A line for the operator. */
void replica_say(struct replica *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Callbacks of the parts; the context is the replica. */
void replica_on_fatal(void *ctx, const struct error *why);
void replica_on_changed(void *ctx);
void replica_on_recovering(void *ctx);
void replica_on_stuck(void *ctx, const struct log_want *want);
void replica_on_lost_compacted(void *ctx, const struct log_want *want, uint64_t index, uint64_t term);
/* Tells the operator of the log that was opened. */
void replica_say_opened(struct replica *r, const struct log_report *report);
/* Starts what comes after the peers: the core, or the recovery of a damaged log. */
int replica_run(struct replica *r, struct error *e);
void replica_on_applied(void *ctx, uint64_t index, uint64_t term, struct cursor results);
void replica_on_advanced(void *ctx);
void replica_on_compacted(void *ctx, uint64_t index, const struct error *failed);
void replica_on_question(void *ctx, const struct forward_question *question, const uint8_t *command,
                         size_t n);
void replica_on_received(void *ctx, uint64_t from, uint8_t type, const uint8_t *body, size_t n);
void replica_describe(void *ctx, uint64_t id, struct peers_life *ret_own, struct peers_life *ret_seen);
int replica_on_check(void *ctx, uint64_t id, const struct peers_life *seen, struct error *e);
void replica_on_met(void *ctx, uint64_t id, const struct peers_life *life);
int replica_on_admit(void *ctx, uint64_t id, uint64_t incarnation, struct error *e);
void replica_on_moved(void *ctx, uint64_t id, const char *address);
uint64_t replica_on_removed(void *ctx, uint64_t id);
void replica_on_told_removed(void *ctx, uint64_t by, uint64_t index);
void replica_on_asked_to_join(void *ctx, uint64_t guest, const struct join_ask *ask);
void replica_on_up(void *ctx, uint64_t id);
void replica_on_down(void *ctx, uint64_t id);
void replica_on_refused(void *ctx, const char *who, const struct error *why);
void replica_on_tick(void *owner);
void replica_on_kick(void *owner);
void replica_on_pushed(void *ctx);
void replica_consensus_sends(void *ctx, uint64_t to, const uint8_t *bytes, size_t n);
void replica_divergence_sends(void *ctx, uint64_t to, const uint8_t *bytes, size_t n);
bool replica_own_digest(void *ctx, uint64_t index, uint8_t ret_digest[DIGEST_BYTES]);
bool replica_forward_sends(void *ctx, uint64_t to, uint8_t type, const void *body, size_t n);
uint64_t replica_applied_now(void *ctx);
uint64_t replica_leader_contact_us(void *ctx);
uint64_t replica_lag_us(void *ctx);
uint64_t replica_leader(void *ctx);
/* Whether ID's vote counts in a majority, as far as this node knows: while its log is damaged it does not
 * know the configuration, and counts every member. */
bool replica_is_voter(void *ctx, uint64_t id);
/* Voters besides this node. */
unsigned replica_other_voters(struct replica *r);
int replica_hand_over(void *ctx, uint64_t to, struct error *e);

/* replica_fence.c */
void replica_on_differs(void *ctx, uint64_t index);
void replica_on_odd(void *ctx, const struct divergence_verdict *verdict);
void replica_on_settled(void *ctx, const struct divergence_verdict *verdict);
void replica_on_apply_failed(void *ctx, const struct error *why);
/* A scan at INDEX found what the digest does not name. */
void replica_scanned_wrong(struct replica *r, uint64_t index);
void replica_fence_tick(struct replica *r);
/* Once the parts are made, before the core starts. */
void replica_fence_at_start(struct replica *r);
const char *replica_fence_reason(const struct replica *r); /* "" without a fence */
bool replica_may_answer(void *ctx, struct error *why);

/* replica_space.c: the callbacks of space, what the batcher asks before it takes a command (0 or Q_NO_SPACE),
 * and what other members say of their disks. */
bool replica_lacks_room(void *ctx);
void replica_retry_room(void *ctx);
void replica_on_space_changed(void *ctx);
int replica_refuses(void *ctx, struct error *e);
void replica_space_tick(struct replica *r);
void replica_space_up(struct replica *r, uint64_t id);
int replica_space_received(struct replica *r, uint64_t from, const uint8_t *body, size_t n, struct error *e);
bool replica_member_is_full(struct replica *r, uint64_t id);

#endif
