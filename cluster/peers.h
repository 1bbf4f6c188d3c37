/* peers: authenticated connections to the other members, and frames over them.
 * It does not know raft, commands, or what a frame's body means.
 *
 * Each node dials every other member and sends its frames on the connection that it dialled; what a peer
 * sends comes on the connection that the peer dialled. So there is one connection per direction and no
 * question whose it is. Handshake, frames and their limits are told in handshake.h and frame.h. Broken
 * connections are dialled again with growing delays; a frame for a member that is not connected is dropped,
 * as a network would.
 *
 * Two queues per member: an urgent frame never waits behind a bulk one for longer than what the network has
 * already taken (PEERS_WINDOW_BYTES). Each queue has a limit; what does not fit is dropped and said so to the
 * caller.
 *
 * Threads: loop only. */
#ifndef QUORATE_CLUSTER_PEERS_H
#define QUORATE_CLUSTER_PEERS_H

#include "base/env.h"
#include "base/metrics.h"

struct peers;
struct join_ask;
struct join_answer;

enum {
    PEERS_MAX = 64,
    PEERS_ADDRESS_MAX = 255,
    PEERS_SECRET_MIN = 16, /* bytes */
    PEERS_SECRET_MAX = 1024,
    PEERS_FRAME_MAX = 24 * 1024 * 1024,
    PEERS_QUEUE_MAX = 64 * 1024 * 1024, /* bytes waiting for one member, per queue */
    PEERS_WINDOW_BYTES =
        256 * 1024, /* given to the network and not yet taken, before bulk frames are held back */
    PEERS_CLUSTER_ID_BYTES = 16,
};

enum peers_queue { PEERS_URGENT, PEERS_BULK };

struct peers_member {
    uint64_t id; /* from 1 */
    char address[PEERS_ADDRESS_MAX + 1];
};

/* The most that is known of one life of a node: see consensus_describe(), of which this is the form on the
 * wire. */
struct peers_life {
    uint64_t incarnation, boots;
    uint32_t mark;
    uint64_t term, index, index_term;
};

struct peers_config {
    struct env *env;
    uint64_t id, incarnation;
    uint8_t cluster_id[PEERS_CLUSTER_ID_BYTES];
    const char *listen;      /* "host:port" to listen on; copied */
    const char *api_address; /* URL of this node's HTTP port, told to the peers in the handshake; copied */
    /* Where the peers reach this node, told to them in the handshake; copied. NULL: the address in MEMBERS.
     */
    const char *advertise;
    const struct peers_member *members; /* copied; this node's own entry is skipped */
    unsigned count;
    const uint8_t *secret; /* copied; PEERS_SECRET_MIN to PEERS_SECRET_MAX bytes */
    size_t secret_len;
    /* Authenticated peer ID says it has INCARNATION: 0 admits it (after making that durable), an error
     * refuses it with its text on both sides (another directory has this id already). Asked in every
     * handshake, so usually twice for each peer. */
    int (*admit)(void *ctx, uint64_t id, uint64_t incarnation, struct error *e);
    /* For a handshake with ID: this node's life as it is now, and what it remembers of ID's (zeros: nothing).
     */
    void (*describe)(void *ctx, uint64_t id, struct peers_life *ret_own, struct peers_life *ret_seen);
    /* Authenticated peer ID remembers SEEN of this node: an error refuses the connection (this node's disk is
     * an old copy). Before anything else of ID is heard. */
    int (*check)(void *ctx, uint64_t id, const struct peers_life *seen, struct error *e);
    /* A handshake with ID is done, in which it said LIFE of itself. */
    void (*met)(void *ctx, uint64_t id, const struct peers_life *life);
    void (*received)(void *ctx, uint64_t from, uint8_t type, const uint8_t *body, size_t n); /* borrowed */
    void (*up)(void *ctx, uint64_t id);   /* frames to it can be sent now */
    void (*down)(void *ctx, uint64_t id); /* no more */
    /* Member ID says that it is at ADDRESS, where it is dialled from now on. Said in every handshake, until
     * peers_set_members() says the same. */
    void (*moved)(void *ctx, uint64_t id, const char *address);
    /* The index of the log entry that removed ID from the cluster; 0: none did. Its handshake is refused, and
     * it is told so. */
    uint64_t (*removed)(void *ctx, uint64_t id);
    /* Node BY, which proved that it knows the secret, says that the log entry at INDEX removed this node. */
    void (*told_removed)(void *ctx, uint64_t by, uint64_t index);
    /* Node ID, which is not in the list, proved that it knows the secret and belongs to this cluster, and
     * says that it is at ADDRESS: it became a member while this node was away. Its connection is refused;
     * once it is in the list (peers_set_members(), also from here), its next one is not. */
    void (*introduced)(void *ctx, uint64_t id, const char *address);
    /* A node that is not a member, but proved that it knows the secret, asks to become one: say something
     * with peers_answer_guest() within INBOUND_GUEST_MS. GUEST is a number for it; ASK is borrowed. */
    void (*asked_to_join)(void *ctx, uint64_t guest, const struct join_ask *ask);
    /* For the log: a handshake that was refused, by us or by the other side. At most one a second for each
     * cause. */
    void (*refused)(void *ctx, const char *who, const struct error *why);
    void *ctx;
    /* None of these is called inside a function of this header. They may send, ask and close. */
};

/* Listens and starts dialling. Errors: Q_INVALID (secret too short or too long, id not a member, ...), Q_IO
 * (the address cannot be listened on). */
int peers_open(const struct peers_config *config, struct peers **ret_peers, struct error *e);
/* Drops what waits and closes everything. No callback comes any more but CLOSED, once, when the object has
 * been freed; it gets the config's ctx. May be called from any callback. */
void peers_close(struct peers *p, void (*closed)(void *ctx));
/* Frees at once, without callbacks, when the env will not call back any more: after the crash of a simulated
 * world. NULL is fine. */
void peers_free(struct peers *p);

/* From now on these are the members (copied; this node's own entry is skipped): new ones are dialled, those
 * that moved are dialled at their new address, and the connections of those that are gone are closed: of them
 * nothing is heard any more but down(). May be called from any callback. Errors, with nothing changed:
 * Q_INVALID (an id of 0 or twice, an address that is none, more than PEERS_MAX), Q_NOMEM. */
int peers_set_members(struct peers *p, const struct peers_member *members, unsigned count, struct error *e);
/* Answers what asked_to_join() was told, and ends the connection. A guest that is gone does not matter. May
 * be called from any callback. */
void peers_answer_guest(struct peers *p, uint64_t guest, const struct join_answer *answer);

/* Sends one frame: TYPE and the N bytes at BODY (copied). True if it was queued; false if the member is not
 * connected or its queue is full. */
bool peers_send(struct peers *p, uint64_t to, enum peers_queue queue, uint8_t type, const void *body,
                size_t n);

bool peers_connected(const struct peers *p, uint64_t id);
/* The member's HTTP URL as it told us last; "" if it never did. Borrowed until the next callback. */
const char *peers_api_address(const struct peers *p, uint64_t id);
/* When the last frame from this member arrived (env_now_ms); 0 if never. */
uint64_t peers_last_received_ms(const struct peers *p, uint64_t id);

/* Registers connection counters, bytes and frames sent and received, drops, refused handshakes. P must
 * outlive METRICS. */
void peers_metrics(struct peers *p, struct metrics *metrics);

#endif
