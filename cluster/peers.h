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
