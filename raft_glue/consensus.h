/* consensus: one member of the Raft group: driver, durable log, meta and read index tied together, without
 * <raft.h>. It does not know the network (it is given bytes and gives bytes), nor what entries mean.
 *
 * Threads: loop only. consensus_open() and a change of term or vote block for small durable writes. */
#ifndef QUORATE_RAFT_GLUE_CONSENSUS_H
#define QUORATE_RAFT_GLUE_CONSENSUS_H

#include "base/metrics.h"
#include "raft_glue/log_mend.h"
#include "raft_glue/meta.h"

struct consensus;

struct consensus_server {
    uint64_t id;
    const char *address;
};

/* An image of the database at INDEX, as far as consensus is concerned: what a log has to know of the entries
 * that the image stands for. CONFIGURATION is opaque to everybody else; borrowed. */
struct consensus_image {
    uint64_t index, term, configuration_index;
    const void *configuration;
    uint32_t configuration_len;
};

struct consensus_config {
    struct env *env;
    const char *dir; /* must exist; copied */
    uint64_t id;     /* 0: what meta says, for a directory that exists */
    uint8_t cluster_id[CLUSTER_ID_BYTES];
    /* A directory that exists is opened with the cluster id that its meta holds, whatever the one above. */
    bool any_cluster;
    /* Of a new directory; they are remembered. FOUNDER: it begins with the first configuration, MEMBERS. Else
     * it is blank, belongs to a cluster that exists, and waits for a leader that has been told of it. */
    bool founder;
    uint64_t incarnation;              /* 0: made here, at random */
    uint8_t origin[META_ORIGIN_BYTES]; /* of a cluster that was restored: what from; zeros */
    const struct consensus_server
        *members; /* the first configuration; borrowed until consensus_open() returns */
    unsigned count;
    unsigned election_ms, heartbeat_ms;
    uint64_t segment_bytes, cache_bytes;
    /* Part of consensus_open(), before APPLIED: a crash has interrupted an install of IMAGE (index and term).
     * Puts the staged database in its place; done again if it was done already. NULL: nothing is ever staged.
     */
    int (*swap)(void *ctx, const struct consensus_image *image, struct error *e);
    /* Opens the database, and says up to where it holds what the log held: asked once, after meta and before
     * the log is opened. NULL: nothing is known. An error is that of consensus_open(). */
    int (*applied)(void *ctx, uint64_t *ret_index, uint64_t *ret_term, struct error *e);
    /* Bytes for another member; borrowed. They may be lost, doubled, reordered or late. */
    void (*send)(void *ctx, uint64_t to, const uint8_t *bytes, size_t n);
    /* State, term, leader, or what may be applied has changed: look again. Comes at the end of
     * consensus_receive() or from the loop, never inside another call, and may call what it likes. */
    void (*changed)(void *ctx);
    /* Only an image at or above INDEX, which is of TERM, brings this node forward: fetch one, from member
     * FROM or whoever has it, and stage it; then consensus_staged(). Repeated as long as it is so, and INDEX
     * may grow. Never inside another call. NULL: it is fatal. */
    void (*fetch)(void *ctx, uint64_t from, uint64_t index, uint64_t term);
    /* The image that consensus_staged() was given last is to become the database now; then
     * consensus_installed(). There is no way back: a crash from here on leads to SWAP. Never inside another
     * call. */
    void (*install)(void *ctx);
    /* While recovering: consensus_wanted() or consensus_mended() says something new. Never inside another
     * call. */
    void (*recovering)(void *ctx);
    /* Disk or memory failed, or the core reported the impossible: the process must stop. Called once. */
    void (*fatal)(void *ctx, const struct error *why);
    void *ctx;
};

/* Opens meta and log, making both for a new directory, and, for a founder, writes the first configuration
 * (entry 1, term 1, the same bytes on every member). Finishes an install or a rebuild that a crash has
 * interrupted. Blocking. Errors: Q_MISMATCH (the directory is another node's or another cluster's),
 * Q_CONFLICT (retired), Q_CORRUPT, Q_IO, Q_NO_SPACE, Q_NOMEM, Q_INVALID. */
int consensus_open(const struct consensus_config *config, struct consensus **ret_consensus,
                   struct log_report *ret_report, struct error *e);
/* RECOVERING: the log that was opened is damaged (log.h). The member answers others from it, and neither
 * votes nor campaigns, for it has forgotten something that it once promised. Then, in this order:
 * consensus_recover(); until consensus_mended(), consensus_give() whatever consensus_wanted() names;
 * consensus_adopt(); consensus_start(). */
bool consensus_recovering(const struct consensus *c);
/* Blocking: begins a new log beside the damaged one. Errors: as log_mend_new(). */
int consensus_recover(struct consensus *c, struct error *e);
/* As log_mend_want(), log_mend_give() and log_mend_done(). */
const struct log_want *consensus_wanted(const struct consensus *c);
int consensus_give(struct consensus *c, enum log_proof proof, uint64_t before_term,
                   const struct log_entry *entries, uint32_t n, uint32_t *ret_taken, struct error *e);
/* What stands for the entries that this log has not any more, for a member that has lost them: index, term
 * and configuration of the last compaction. Borrowed until the next call. Also while recovering. Errors:
 * Q_NOT_FOUND there is none. */
int consensus_compaction(struct consensus *c, struct consensus_image *ret_image, struct error *e);
/* What is wanted can be had from nobody any more, as all have compacted it, but the database here holds it
 * durably at least up to the index of IMAGE, another member's consensus_compaction(): the log begins anew
 * behind it. consensus_recover() has to be called again. Blocking. Errors (nothing done): Q_INVALID it is
 * behind the end of the log; Q_CORRUPT, Q_TOO_BIG (the configuration); and Q_IO, Q_NO_SPACE. */
int consensus_skip(struct consensus *c, const struct consensus_image *image, struct error *e);
bool consensus_mended(const struct consensus *c);
/* Blocking: the new log takes the place of the damaged one and is opened; it may turn out to be damaged, too.
 * RET_GIVEN says how many entries came from others. */
int consensus_adopt(struct consensus *c, struct log_report *ret_report, uint64_t *ret_given, struct error *e);
/* How many entries of the log are lost. */
uint64_t consensus_lost(const struct consensus *c);
/* Term of an entry from first - 1 to last; 0 when unknown. */
uint64_t consensus_term_at(const struct consensus *c, uint64_t index);
/* As log_linked(). */
bool consensus_linked(const struct consensus *c, uint64_t first, uint64_t last);

/* Starts the core of a member that is not recovering. APPLIED is what the database holds already.
 * Errors: Q_CORRUPT (the database is behind the beginning of the log, or ahead of its end). A node that was
 * removed starts, too, but takes part in nothing. */
int consensus_start(struct consensus *c, uint64_t applied, uint64_t applied_term, struct error *e);
void consensus_free(struct consensus *c); /* NULL is fine */

/* Bytes that send() of member FROM was given. Errors: Q_CORRUPT, Q_MISMATCH (not understood; nothing
 * changed). */
int consensus_receive(struct consensus *c, uint64_t from, const uint8_t *bytes, size_t n, struct error *e);

/* Appends an entry as leader: it gets index consensus_last() + 1 and the current term. Q_NOT_LEADER: nothing
 * was done. */
int consensus_submit(struct consensus *c, enum log_entry_type type, const void *p, uint32_t len,
                     struct error *e);
/* Hands leadership to member TO (0: the most advanced). Errors: Q_NOT_LEADER, Q_NOT_FOUND, Q_INVALID. */
int consensus_transfer(struct consensus *c, uint64_t to, struct error *e);

enum consensus_role { CONSENSUS_FOLLOWER, CONSENSUS_CANDIDATE, CONSENSUS_LEADER };
enum consensus_role consensus_role(const struct consensus *c);
bool consensus_leads(const struct consensus *c); /* and is neither handing over nor fenced */
uint64_t consensus_term(const struct consensus *c);
uint64_t consensus_leader(const struct consensus *c); /* 0: unknown */
uint64_t consensus_commit(const struct consensus *c);
uint64_t consensus_applicable(const struct consensus *c); /* committed and durable here */
uint64_t consensus_first(const struct consensus *c);
uint64_t consensus_last(const struct consensus *c);
uint64_t consensus_durable(const struct consensus *c);
uint64_t consensus_compacted_index(const struct consensus *c);
uint32_t consensus_entry_max(const struct consensus *c); /* payload that a segment and a message take */
bool consensus_is_voter(const struct consensus *c, uint64_t id);
/* Leader: durable on member ID up to here. 0 elsewhere. */
uint64_t consensus_match(const struct consensus *c, uint64_t id);
/* Leader: the lowest index known to be durable on every member. 0 elsewhere. */
uint64_t consensus_floor(const struct consensus *c);
const struct meta_state *consensus_meta(const struct consensus *c);

/* An entry that the log holds. The bytes are borrowed until the next call. Errors: Q_NOT_FOUND, Q_CORRUPT,
 * Q_IO. */
int consensus_entry(struct consensus *c, uint64_t index, struct log_entry *ret_entry, struct error *e);
/* Bytes of the segments in use: what a start has to read. */
uint64_t consensus_log_bytes(const struct consensus *c);
/* The database is durable at INDEX, an applicable one: the log stands for what comes behind it. It keeps its
 * entries from KEEP_FROM on, at most INDEX + 1, for members that lack them; whoever lacks older ones needs an
 * image. Nothing is done if INDEX is not above the last one. Q_BUSY (nothing done): INDEX is not known to be
 * committed yet (right after a start), or is 1, or an image is being installed, or the end has come. */
int consensus_compact(struct consensus *c, uint64_t index, uint64_t keep_from, struct error *e);
/* The lowest index that the log can keep entries from, and take at most BYTES of segments (but the newest one
 * stays in any case). */
uint64_t consensus_index_within(const struct consensus *c, uint64_t bytes);

/* IMAGES. A database may come from another member as a whole: an image at index J, which stands for all
 * entries up to J. Two ways lead there.
 *
 * The log has to be replaced with it (consensus_staged()): what this node lacks, no log has any more; or its
 * log is damaged, and nobody has what is lost. Meta says so durably before INSTALL (the commit point), and
 * the log begins anew behind J.
 *
 *      FETCH --> consensus_staged() --> INSTALL --> consensus_installed()
 *                                  \ (not wanted any more)
 *
 * Or the log is fine and only the database is wrong (consensus_rebuild()): then the log has to go on where
 * the image ends, and nothing of it changes.
 *
 *      consensus_rebuild() --> the owner swaps --> consensus_rebuilt()
 *
 * A crash between the two calls is made good by the next consensus_open(). */
/* What an image of the database at INDEX, an applied one, has to carry. The configuration is borrowed until
 * the next call. Errors: Q_BUSY there is no core that knows yet; Q_NOT_FOUND the log does not go back to
 * INDEX; Q_TOO_BIG, Q_NOMEM, Q_CORRUPT, Q_IO. */
int consensus_image_at(struct consensus *c, uint64_t index, struct consensus_image *ret_image,
                       struct error *e);
/* The lowest index of an image that consensus_staged() takes now; 0: none is wanted. */
uint64_t consensus_image_wanted(const struct consensus *c);
/* IMAGE is staged: complete, verified and durable. INSTALL follows, at once or when a leader asks for it that
 * is sure to have its entries; or nothing, if it is not needed any more (consensus_image_wanted() says 0). An
 * image that is staged later takes its place. A member that is recovering takes one, too, if it reaches as
 * far as what its log has lost. Errors (nothing done): Q_INVALID it is too old, Q_BUSY one is being installed
 * already, Q_CORRUPT its configuration is not understood, Q_TOO_BIG. */
int consensus_staged(struct consensus *c, const struct consensus_image *image, struct error *e);
/* Blocking: the database is the staged one, durably. The log begins anew behind it, and the fence is lifted.
 * A member that was recovering is to be started now, or, if it still is recovering, since its log goes on
 * behind the image, consensus_recover() is called again. An error is final. */
int consensus_installed(struct consensus *c, struct error *e);
/* Blocking: IMAGE, which is staged, is to become the database, durably noted. Errors (nothing done): Q_BUSY
 * the log is not durable up to it, or an image is being installed already; Q_CONFLICT the log does not go on
 * behind it (too old, or of another history). */
int consensus_rebuild(struct consensus *c, const struct consensus_image *image, struct error *e);
/* Blocking: the database is that one, durably. The fence is lifted. An error is final. */
int consensus_rebuilt(struct consensus *c, struct error *e);
/* Between the commit point and consensus_installed() or consensus_rebuilt(). */
bool consensus_installing(const struct consensus *c);

/* MEMBERSHIP. One change at a time, made by the leader. Who may vote changes by one voter in a step. */
enum consensus_member_role { CONSENSUS_STANDBY, CONSENSUS_VOTER, CONSENSUS_SPARE };
struct consensus_member {
    uint64_t id;
    enum consensus_member_role role;
};
/* The newest configuration, committed or not: at most MAX of its members; returns how many. */
unsigned consensus_members(const struct consensus *c, struct consensus_member *ret_members, unsigned max);
/* Leader: neither a change nor a catch-up is under way, and an entry of the own term is committed. */
bool consensus_settled(const struct consensus *c);
enum consensus_change {
    CONSENSUS_ADD,     /* as standby */
    CONSENSUS_PROMOTE, /* a member to voter */
    CONSENSUS_DEMOTE,  /* a voter to standby */
    CONSENSUS_REMOVE,
};
/* Leader: begins the change; it is done when consensus_settled() again and consensus_members() shows it.
 * Errors (nothing done): Q_NOT_LEADER; Q_BUSY (not settled); Q_NOT_FOUND; Q_CONFLICT (it is so already);
 * Q_INVALID (it would leave no voter, or a sole one that is not this leader); Q_TOO_BIG; Q_NOMEM. */
int consensus_change(struct consensus *c, enum consensus_change what, uint64_t id, struct error *e);
/* Leader: measures how fast a member that does not vote catches up. Errors (nothing done): Q_NOT_LEADER,
 * Q_BUSY, Q_NOT_FOUND, Q_INVALID (a voter). */
int consensus_catch_up(struct consensus *c, uint64_t id, struct error *e);
enum consensus_catch_up {
    CONSENSUS_CATCH_UP_NONE,
    CONSENSUS_CATCH_UP_RUNNING,
    CONSENSUS_CATCH_UP_ABORTED, /* too slow */
    CONSENSUS_CATCH_UP_FINISHED,
};
enum consensus_catch_up consensus_catch_up_state(const struct consensus *c, uint64_t id);
/* This node was removed from the cluster, as a leader that a majority follows, or the log, has said: durable,
 * and from now on, over restarts, it neither votes nor campaigns, answers nobody, and follows nobody. */
void consensus_retire_removed(struct consensus *c);
bool consensus_removed(const struct consensus *c);

/* Whether the disk had no room for the log's next segment: entries may wait, not durable, for
 * consensus_retry(). */
bool consensus_lacks_room(const struct consensus *c);
/* There may be room now: call about every second while the log lacks it. */
void consensus_retry(struct consensus *c);

/* Makes durable that member ID exists as INCARNATION. Q_CONFLICT: it was another incarnation before. */
int consensus_admit(struct consensus *c, uint64_t id, uint64_t incarnation, struct error *e);

/* Member ID was removed for good: what is known of it is dropped, durably, and makes place for others. */
void consensus_forget_member(struct consensus *c, uint64_t id);

/* What members remember of each other, so that a node notices when its disk was put back to an older state:
 * what it forgot so may have been a vote, or an acknowledgement. Each start is a boot with a number that is
 * durable before anybody hears it, and a random mark; who meets this node remembers both, the highest term
 * that it said, and the highest committed entry that it had durable.
 *
 * RET_OWN: what this node says of itself now; RET_SEEN: what it remembers of ID (incarnation 0: nothing). */
void consensus_describe(struct consensus *c, uint64_t id, struct meta_peer *ret_own,
                        struct meta_peer *ret_seen);
/* Member FROM remembers SEEN of this node. Q_CONFLICT: this disk has not got that far, or led another life
 * meanwhile: it is an old copy. Then this is durable (the directory is not opened any more), and FATAL came.
 */
int consensus_recognise(struct consensus *c, uint64_t from, const struct meta_peer *seen, struct error *e);
/* Member LIFE->id, which was admitted, and had the chance to recognise itself in what is remembered of it,
 * says LIFE of itself. */
void consensus_remember(struct consensus *c, const struct meta_peer *life);
/* The leader says in an entry that is applied now: all its members have the entries up to FLOOR, an applied
 * index, durable. */
void consensus_remember_floor(struct consensus *c, uint64_t floor);
/* What is remembered is saved with whatever else is saved, and here if it has changed: call every few
 * seconds, and when a connection ended. Blocks for two small writes. */
void consensus_save_met(struct consensus *c);

/* Makes durable that this node's database was found wrong at INDEX, and why: from now on, over restarts, it
 * does not campaign and does not count as leading; it goes on voting and keeping the log, which are as good
 * as ever. An older fence stays. META_NO_FENCE lifts it. */
void consensus_fence(struct consensus *c, enum meta_fence why, uint64_t index);
/* A leader ceases to lead, in a new term. */
void consensus_step_down(struct consensus *c);

/* A linearizable read's question: which index must be applied before it may be answered? */
struct consensus_read {
    /* FAILED NULL: wait until INDEX is applied, then read. Q_NOT_LEADER: ask the leader. Never called inside
     * consensus_read(). */
    void (*done)(struct consensus_read *, uint64_t index, const struct error *failed);
    struct list link; /* private */
};
/* Leader: joins the next round of peers. READ is kept until DONE or consensus_forget(). Anywhere else DONE
 * says Q_NOT_LEADER. */
void consensus_read(struct consensus *c, struct consensus_read *read);
/* Gives up waiting; DONE will not be called. */
void consensus_forget(struct consensus_read *read);

void consensus_metrics(struct consensus *c, struct metrics *metrics);

#endif
