/* replica: a whole node without its doors: store, log, consensus and peers, tied together.
 * It does not know HTTP, the command line, or which world it runs in: everything outside comes through struct
 * env, so the daemon and the simulator run the same code.
 *
 * Threads: loop only, but for the parts that it hands to the apply, reader and worker lanes itself. */
#ifndef QUORATE_CLUSTER_REPLICA_H
#define QUORATE_CLUSTER_REPLICA_H

#include "base/env.h"
#include "base/metrics.h"
#include "cluster/calls.h"
#include "cluster/changes.h"
#include "cluster/members.h"
#include "cluster/peers.h"
#include "cluster/request.h"
#include "storage/store.h"

struct replica;
struct join_answer;

enum { REPLICA_DIR_MAX = 4096 };

struct replica_config {
    struct env *env;
    const char *dir;                    /* of this node alone; made if need be; copied, as are all strings */
    uint64_t id;                        /* 0: the one that the directory was made for */
    const struct peers_member *members; /* the first configuration; the same on all of them */
    unsigned count;                     /* 0: the directory knows, or JOINED */
    const struct join_answer *joined;   /* what a new machine was answered; NULL: founder, or there already */
    uint64_t incarnation;               /* of a directory that is made; 0: a random one */
    const char *advertise;    /* where the others reach this node now; NULL: where they know it to be */
    unsigned voters;          /* how many members are to vote; 0: 3 */
    const char *cluster_name; /* with the member list, foreign_keys and instructions_max it makes the cluster
                                 id. NULL, for a directory that is there: the one that it keeps */
    const char *listen;       /* peers' address to listen on; NULL: the one in the member list */
    const char *api_address;
    const uint8_t *secret;
    size_t secret_len;
    bool in_memory; /* storage=memory: the database is rebuilt from the log at each start */
    const char *vfs;
    bool foreign_keys;         /* the same on all members */
    uint64_t instructions_max; /* of one command; the same on all members; 0: the store's default */
    unsigned readers;
    unsigned election_ms, heartbeat_ms;
    unsigned batches_inflight;            /* entries that may be on their way at once, 1 to 4 */
    uint64_t queue_bytes, queue_commands; /* waiting for the batcher; beyond it Q_BUSY */
    uint64_t result_max;                  /* bytes of one result; the same on all members */
    uint64_t segment_bytes, cache_bytes;
    uint64_t compact_bytes;   /* log since the last compaction that starts the next one */
    uint64_t ballast_bytes;   /* held back on the disk for the day it is full; 0: none */
    uint64_t log_keep_bytes;  /* of log kept for a member that lacks it, before it has to be helped with an
                                 image; 0: no limit */
    bool verify_installs;     /* an image that was installed is read as a whole before it is served */
    uint64_t ship_rate;       /* bytes a second, at most, of images given to other members; 0: no limit */
    uint64_t space_min_bytes; /* of the disk that must be free, or writes are refused; 0: two segments and
                                 what the database's WAL may need */
    /* One line for the operator: `event key=value ...`. */
    void (*log)(void *ctx, const char *line);
    /* The disk or the database failed: the process must stop now. Called once. */
    void (*fatal)(void *ctx, const struct error *why);
    void *ctx;
};

/* Blocking: locks the directory, opens meta, log and database, verifies them, replays nothing. Errors name
 * what is wrong and where: Q_INVALID, Q_CONFLICT (the directory is in use), Q_MISMATCH (another cluster, id,
 * version), Q_CORRUPT, Q_IO, Q_NO_SPACE, Q_NOMEM. */
int replica_open(const struct replica_config *config, struct replica **ret_replica, struct error *e);
/* Listens, dials the members, starts the core. After an error, too, the replica is ended by replica_stop().
 */
int replica_start(struct replica *r, struct error *e);
/* Refuses new work, hands leadership over if it leads, answers or fails what is pending, makes the database
 * durable and closes. STOPPED comes once; then replica_free(). */
void replica_stop(struct replica *r, void (*stopped)(void *ctx));
/* Also after a crash of a simulated world, without replica_stop(): pending requests get no callback. NULL is
 * fine. */
void replica_free(struct replica *r);

/* Runs a command: writes through the log (from a follower by way of the leader), reads by their level.
 * A COMMAND_SQL_REQUEST whose statements all read counts as a read. */
void replica_submit(struct replica *r, struct replica_request *request);

struct replica_member {
    uint64_t id;
    char address[PEERS_ADDRESS_MAX + 1], api_address[PEERS_ADDRESS_MAX + 1];
    bool voter, leader, reachable; /* reachable: connected, or this node itself */
    enum member_role role;         /* in the newest configuration that this node knows */
    enum member_state wanted;
    uint64_t changed; /* index of the entry that changed what is wanted, or the address; 0: the first list */
    bool caught_up;   /* on the leader: its log is the leader's but for the last moments */
    bool disk_full;   /* as it told us */
    uint64_t match;   /* on the leader: durable there up to this index; 0 elsewhere */
    uint64_t last_heard_ms; /* milliseconds ago; 0 for this node */
};

/* An image of the database on its way to this node, or from it. */
struct replica_shipment {
    const char *role; /* "target", "source", or "" if there is none */
    const char
        *state;    /* of a target: "asking", "scanning", "fetching", "verifying", "staged", "installing" */
    uint64_t peer; /* who gives, or gets */
    uint64_t index, term;
    uint64_t bytes_all, bytes_wire, bytes_per_s;
    uint32_t chunks_all, chunks_reused, chunks_fetched; /* of a source: FETCHED are those that it sent */
    uint64_t eta_ms;                                    /* UINT64_MAX: not known */
};

struct replica_status {
    uint64_t id, term, leader; /* leader 0: unknown */
    const char *state;         /* "leader", "follower", "candidate", "recovering", "removed",
                          "stopping" */
    uint8_t cluster_id[PEERS_CLUSTER_ID_BYTES];
    char cluster_name[256];
    uint64_t incarnation;
    uint64_t log_first, log_last, log_durable, commit, applied;
    uint8_t digest[DIGEST_BYTES];    /* of the database at APPLIED */
    uint64_t snapshot_index;         /* compacted up to here */
    uint64_t last_leader_contact_ms; /* ago; on the leader 0; UINT64_MAX: never */
    bool ready;                      /* an entry committed in the current term is applied here */
    uint64_t term_changes, leader_changes;
    bool fenced;                                   /* its database is known to be wrong: serves nothing */
    uint64_t fence_index;                          /* where that was found */
    const char *fence_reason;                      /* "" if it is not */
    bool disk_full;                                /* writes are refused here while it leads */
    uint64_t disk_free, disk_needed, disk_ballast; /* bytes; UINT64_MAX free: no limit is known */
    /* While recovering: how many entries of the log are lost, between which indexes (0: none), and the first
     * damage. */
    uint64_t log_lost, log_lost_first, log_lost_last;
    char log_damage[ERROR_TEXT_MAX];
    unsigned voters;   /* as many as there are to be */
    bool removed;      /* this node was: it takes no part any more */
    char steward[256]; /* on the leader: what a change that is wanted waits for; "" if nothing */
    struct replica_shipment shipment;
    uint64_t installs; /* images that became the database since the start */
    bool taking;       /* an image of the database is being taken: */
    uint64_t taken_bytes, taking_bytes;
    unsigned count;
    struct replica_member members[PEERS_MAX];
};

void replica_status(struct replica *r, struct replica_status *ret_status);
uint64_t replica_id(const struct replica *r);

/* The part of the status that changes with every event; costs nothing. */
struct replica_role {
    bool leads, fenced;
    uint64_t term, leader, last, commit, applied;
};
void replica_role(struct replica *r, struct replica_role *ret_role);

/* Calls REACHED once this node has applied INDEX, or with Q_TIMEOUT. For readyz?sync and for tests. */
struct replica_wait {
    uint64_t index, deadline_ms;
    void (*reached)(struct replica_wait *, const struct error *failed);
    struct list link; /* private */
};
void replica_wait(struct replica *r, struct replica_wait *wait);

/* Asks the leader, this node or another, to hand leadership to member TO (0: the most advanced one); see
 * calls_transfer(). The change comes later: watch the status. */
void replica_transfer(struct replica *r, uint64_t to, struct peer_call *call);
/* Asks the leader, this node or another, for a change of the members; see changes.h. DONE says that it is
 * decided; it is done when the status says so. */
void replica_change_member(struct replica *r, struct replica_change *change);
/* The I-th of those members that were removed, by id; false beyond the last of them. */
bool replica_removed(struct replica *r, unsigned i, struct member *ret_member);
/* Asks member ID whether it is there; see calls_contact(). */
void replica_contact(struct replica *r, uint64_t id, struct peer_call *call);

/* Reads the whole content of this node's database and compares it with its digest (store_check()). What
 * differs fences this node. */
struct replica_check {
    /* FAILED NULL: FOUND is there. Comes once, not inside replica_check(). */
    void (*done)(struct replica_check *, const struct error *failed);
    struct store_check found;
    /* Private. */
    struct env_work work;
    struct replica *owner;
    struct error error;
};
/* CHECK is kept until DONE. Errors, without DONE: Q_BUSY another one is under way; Q_CLOSED this node stops.
 */
int replica_check(struct replica *r, struct replica_check *check, struct error *e);

/* Writes the content of this node's database, as it is now, as SQL (storage/dump.h) to a new file. */
struct replica_dump {
    const char *path;   /* kept until DONE, as is the next */
    const char *tables; /* as dump_sql(); NULL: all */
    /* FAILED NULL: INDEX and BYTES are there; else there is no file. Comes once, not inside replica_dump().
     * Q_NOT_FOUND: one of TABLES is not there; Q_CONFLICT: there is a file; others are this node's. */
    void (*done)(struct replica_dump *, const struct error *failed);
    uint64_t index, bytes;
    /* Private. */
    struct env_work work;
    struct replica *owner;
    struct env_file *file;
    struct error error;
};
/* DUMP is kept until DONE. Errors, without DONE: Q_CLOSED this node stops; Q_CONFLICT its database is known
 * to be wrong. */
int replica_dump(struct replica *r, struct replica_dump *dump, struct error *e);

/* Takes an image of this node's database as it is now or later, or finds one that was taken since the last
 * change. It can be had in DIR/manifests and DIR/chunks (snapshots/catalog.h, chunk_store.h) for KEEP_MS from
 * when it is there or was touched last. */
struct replica_take {
    uint64_t keep_ms;
    /* FAILED NULL: INDEX and TERM are there. Comes once, not inside replica_take(). */
    void (*done)(struct replica_take *, const struct error *failed);
    uint64_t index, term;
    /* Private. */
    uint64_t at_least;
    struct list link;
};
/* TAKE is kept until DONE or replica_forget_take(). Errors, without DONE: Q_CLOSED this node stops; Q_INVALID
 * its database is in memory; Q_CONFLICT it has none that it could answer for; Q_NOT_FOUND nothing is in it.
 */
int replica_take(struct replica *r, struct replica_take *take, struct error *e);
void replica_forget_take(struct replica_take *take);
/* Keeps an image for as long again. False: it is gone. */
bool replica_touch_snapshot(struct replica *r, uint64_t index, uint64_t term);
/* Who reads an image found CHUNK of it damaged on the disk (NULL: its manifest): it is dropped, and the next
 * one does not trust what is there. */
struct chunk_name;
void replica_snapshot_damaged(struct replica *r, uint64_t index, uint64_t term,
                              const struct chunk_name *chunk, const struct error *why);
/* The directory that has the manifests and chunks. */
const char *replica_snapshot_dir(const struct replica *r);

/* All counters and histograms below the doors: raft, log, batcher, apply, reads, peers. */
void replica_metrics(struct replica *r, struct metrics *metrics);

#endif
