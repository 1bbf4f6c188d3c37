/* replica_impl: what the parts of replica share: the struct, and the events that tie its parts together.
 * replica_open.c makes it, replica.c runs it, replica_space.c sees to a full disk, replica_status.c tells of
 * it.
 */
#ifndef QUORATE_CLUSTER_REPLICA_IMPL_H
#define QUORATE_CLUSTER_REPLICA_IMPL_H

#include "base/object.h"
#include "cluster/cluster_id.h"
#include "cluster/compactor.h"
#include "cluster/divergence.h"
#include "cluster/join_message.h"
#include "cluster/members.h"
#include "cluster/repair.h"
#include "cluster/replica.h"
#include "cluster/requests.h"
#include "cluster/served.h"
#include "cluster/ship_source.h"
#include "cluster/ship_target.h"
#include "cluster/space.h"
#include "raft_glue/applier.h"
#include "storage/members.h"

enum { REPLICA_MAGIC = 0x51c0de06, REPLICA_TICK_MS = 50 };

enum frame_type {
    FRAME_CONSENSUS = 1,
    FRAME_QUESTION = 2,
    FRAME_ANSWER = 3,
    FRAME_REPAIR_QUESTION = 4,
    FRAME_REPAIR_ANSWER = 5,
    FRAME_DIGEST = 6,
    FRAME_SPACE = 7,
    FRAME_SHIP_QUESTION = 8,
    FRAME_SHIP_ANSWER = 9,
};

/* An image on its way into the database's place. */
enum install_step {
    INSTALL_NOT,
    INSTALL_WAITING,  /* it is certain; what is applied or copied still ends */
    INSTALL_SWAPPING, /* on the worker lane */
};

/* What a replica knows of who is in, and does about it: replica_membership.c. */
struct replica_membership {
    struct steward_member seen[STEWARD_MEMBERS_MAX]; /* what the last view showed */
    struct steward_view view;
    uint64_t read_version; /* of the table, as it was merged into the list; 0: never */
    struct {               /* reads the table */
        struct env_work work;
        struct store_member *rows; /* STORE_MEMBERS_MAX */
        unsigned count;
        uint64_t version;
        bool busy;
        int rv;
        struct error error;
    } reading;
    uint64_t save_again_ms;     /* the list is not durable: try again then; 0: it is */
    struct replica_change move; /* of this node */
    bool moving;
    uint64_t move_again_ms;
    struct decision record; /* that a member is out */
    char record_address[MEMBER_ADDRESS_MAX + 1];
    bool recording;
    uint64_t steward_again_ms;
    char why[256];                           /* what the steward waits for */
    struct consensus_member told[PEERS_MAX]; /* the configuration, as the operator knows it */
    unsigned told_count;
    uint64_t asked;         /* member that was asked last for the leader */
    bool silent;            /* this node was removed, and is in touch with nobody any more */
    struct list applicants; /* nodes that asked this one to be let in: replica_join.c */
};

struct replica {
    OBJECT_MAGIC;
    struct replica_config config;
    char dir[REPLICA_DIR_MAX], name[256], listen[PEERS_ADDRESS_MAX + 1], api[PEERS_ADDRESS_MAX + 1];
    char advertise[PEERS_ADDRESS_MAX + 1];
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
    struct decisions *decisions;
    struct changes *changes;
    struct replica_membership membership;
    struct repair *repair;
    struct compactor *compactor;
    struct divergence *divergence;
    struct peers *peers;
    struct space *space;
    struct images *images; /* this and the next two: NULL in memory */
    struct ship_source *ship_source;
    struct ship_target *ship_target;
    char database[REPLICA_DIR_MAX], semantics[CLUSTER_SEMANTICS_MAX];
    struct list takes; /* struct replica_take */
    struct {
        enum install_step step;
        bool log;             /* it begins anew behind the image */
        uint64_t index, term; /* of the image */
        uint64_t from;        /* the leader that said that one is needed; 0: none */
        struct env_work work;
        int rc, verified; /* of the swap, and of the scan behind it */
        struct error error;
    } install;
    uint64_t installs;
    struct error ship_trouble; /* why no image comes, as the operator was told last */
    uint64_t ship_trouble_ms;
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
    unsigned dumps;       /* of the database, under way */
    bool fenced, dead;
    bool unfit; /* there is no database that the log goes on behind: nothing is applied */
    struct error unfit_why;
    uint64_t bad_pages;       /* of the store, as far as they were acted on */
    bool lost_for_good;       /* what the log has lost is compacted elsewhere: an image is needed */
    bool stuck;               /* the operator was told that nobody has what is lost */
    struct log_report damage; /* what the log was opened with */
    struct {                  /* the log is to begin behind IMAGE, once the database is durable up to there */
        struct env_work work;
        struct consensus_image image;
        uint8_t configuration[MANIFEST_CONFIGURATION_MAX];
        uint64_t durable;
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
void replica_on_lost_compacted(void *ctx, const struct log_want *want, const struct consensus_image *image);
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
void replica_on_introduced(void *ctx, uint64_t id, const char *address);
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
unsigned replica_voters(void *ctx); /* how many there are */
/* Voters besides this node. */
unsigned replica_other_voters(struct replica *r);
int replica_hand_over(void *ctx, uint64_t to, struct error *e);

/* replica_identity.c */
int replica_copy_config(struct replica *r, const struct replica_config *config, struct error *e);
/* Who is given neither a list nor a cluster must have been there before. */
int replica_check_begun(struct replica *r, struct error *e);
int replica_make_cluster_id(struct replica *r, struct error *e);
/* The first list; where none is given, the one that the directory remembers, as long as nothing of it has
 * changed: a start that ended before its log had an entry is begun again with it. Returns how many. */
unsigned replica_first_servers(const struct replica *r, struct consensus_server ret_servers[PEERS_MAX]);
int replica_open_members(struct replica *r, struct error *e);
int replica_find_self(struct replica *r, struct error *e);
/* The directory is this cluster's and this node's. On a full disk the list is what it would be read as. */
int replica_save_members(struct replica *r, struct error *e);
/* The name and the rules of the directory's cluster are those that this node is started with, or it is
 * refused with Q_MISMATCH; a node that is told no name takes that one. */
int replica_open_charter(struct replica *r, struct error *e);
/* The directory is this cluster's: they are kept from now on. */
int replica_save_charter(struct replica *r, struct error *e);

/* replica_membership.c */
int replica_membership_open(struct replica *r, struct error *e); /* makes its parts; the database is open */
void replica_membership_free(struct replica *r);
void replica_membership_applied(struct replica *r); /* the table may have changed */
void replica_membership_tick(struct replica *r);
bool replica_is_close(struct replica *r, uint64_t id); /* on the leader: ID's log is nearly this node's */
/* The members as this leader sees them; see struct decisions_config. WISH may be NULL. */
int replica_look(void *ctx, const struct wish *wish, const struct steward_view **ret_view, struct error *e);
/* Those in the list, for peers, or this node alone if it is out; returns how many. */
unsigned replica_dialled(const struct replica *r, struct peers_member ret_members[PEERS_MAX]);
/* This node was removed by the entry at INDEX, as member BY says, or its own database: it takes part in
 * nothing any more. */
void replica_retire_removed(struct replica *r, uint64_t by, uint64_t index);
bool replica_membership_idle(const struct replica *r);

/* replica_steward.c */
enum member_role replica_role_of(struct replica *r, uint64_t id);
void replica_steward_tick(struct replica *r);

/* replica_join.c */
void replica_join_poll(struct replica *r);
void replica_join_free(struct replica *r);

/* replica_fence.c */
void replica_on_differs(void *ctx, uint64_t index);
void replica_on_odd(void *ctx, const struct divergence_verdict *verdict);
void replica_on_settled(void *ctx, const struct divergence_verdict *verdict);
void replica_on_apply_failed(void *ctx, const struct error *why);
/* A scan at INDEX found what the digest does not name. */
void replica_scanned_wrong(struct replica *r, uint64_t index);
/* A page of the database is bad, or it cannot be read at all. */
void replica_page_bad(struct replica *r, const struct error *why);
/* Whether there is no database that the log goes on behind: one that could not be opened, that was taken
 * away, or that stayed behind. Then this node is fenced. */
bool replica_is_unfit(struct replica *r);
void replica_fence_tick(struct replica *r);
/* Once the parts are made, before the core starts. */
void replica_fence_at_start(struct replica *r);
const char *replica_fence_reason(const struct replica *r); /* "" without a fence */
bool replica_may_answer(void *ctx, struct error *why);

/* replica_snapshot.c: the callbacks of images and of ship_source, and what the replica does about takes. */
int replica_may_take(void *ctx, uint64_t index, struct error *e);
void replica_on_taken(void *ctx, const struct images_taken *taken, const struct error *failed);
void replica_on_held(void *ctx, bool held);
void replica_on_page_bad(void *ctx, const struct error *why);
void replica_on_swept(void *ctx, uint64_t chunks, uint64_t bytes);
void replica_on_image_damaged(void *ctx, const struct error *why);
uint64_t replica_log_limit(void *ctx);
uint64_t replica_log_last(void *ctx);
void replica_snapshot_tick(struct replica *r);
void replica_snapshot_stop(struct replica *r);
bool replica_snapshot_idle(const struct replica *r);

/* replica_install.c: the callbacks of ship_target and of consensus about images, and what comes of them. */
void replica_on_fetch(void *ctx, uint64_t from, uint64_t index, uint64_t term);
void replica_on_install(void *ctx);
int replica_on_swap(void *ctx, const struct consensus_image *image, struct error *e);
unsigned replica_ship_members(void *ctx, uint64_t ret_ids[PEERS_MAX]);
/* Before anything is fetched: Q_MISMATCH an image of another cluster, or of an SQLite that this one is not.
 */
int replica_check_manifest(void *ctx, const struct manifest *m, struct error *e);
void replica_on_staged(void *ctx, const struct manifest *m);
void replica_on_ship_said(void *ctx, enum ship_event event, uint64_t who, const struct error *why);
void replica_install_tick(struct replica *r);

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
