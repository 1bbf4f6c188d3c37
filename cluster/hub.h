/* hub: what all peer connections of one node share: the world, who we are, who the members are, the owner's
 * callbacks and the counters.
 * It does not know sockets, queues or frames.
 *
 * Threads: loop only. */
#ifndef QUORATE_CLUSTER_HUB_H
#define QUORATE_CLUSTER_HUB_H

#include "cluster/handshake.h"
#include "cluster/peers.h"

/* All metrics: X(ID, kind, name, labels, help). Those of one name stand together. */
#define HUB_METRICS(X)                                                                                       \
    X(CONNECTED, METRIC_GAUGE, "quorate_peers_connected", NULL, "Members that frames can be sent to now.")   \
    X(UP_DIALLED, METRIC_COUNTER, "quorate_peers_connections_total", "side=\"dialled\"",                     \
      "Connections whose handshake succeeded.")                                                              \
    X(UP_ACCEPTED, METRIC_COUNTER, "quorate_peers_connections_total", "side=\"accepted\"",                   \
      "Connections whose handshake succeeded.")                                                              \
    X(LOST, METRIC_COUNTER, "quorate_peers_connections_lost_total", NULL,                                    \
      "Authenticated connections that ended other than by this node's stop.")                                \
    X(REFUSED_HERE, METRIC_COUNTER, "quorate_peers_handshakes_refused_total", "by=\"here\"",                 \
      "Handshakes that were refused, by this node or by the other side.")                                    \
    X(REFUSED_THERE, METRIC_COUNTER, "quorate_peers_handshakes_refused_total", "by=\"there\"",               \
      "Handshakes that were refused, by this node or by the other side.")                                    \
    X(HALF_OPEN_DROPPED, METRIC_COUNTER, "quorate_peers_half_open_dropped_total", NULL,                      \
      "Connections dropped before their handshake because there were too many of them.")                     \
    X(BAD_FRAMES, METRIC_COUNTER, "quorate_peers_bad_frames_total", NULL,                                    \
      "Connections closed because of a frame that is damaged, too large or out of place.")                   \
    X(GUESTS, METRIC_COUNTER, "quorate_peers_guests_total", NULL,                                            \
      "Nodes that proved the secret and asked to join.")                                                     \
    X(FRAMES_SENT, METRIC_COUNTER, "quorate_peers_frames_total", "direction=\"sent\"",                       \
      "Frames taken for sending and frames received.")                                                       \
    X(FRAMES_RECEIVED, METRIC_COUNTER, "quorate_peers_frames_total", "direction=\"received\"",               \
      "Frames taken for sending and frames received.")                                                       \
    X(BYTES_SENT, METRIC_COUNTER, "quorate_peers_bytes_total", "direction=\"sent\"",                         \
      "Bytes given to the network and bytes received.")                                                      \
    X(BYTES_RECEIVED, METRIC_COUNTER, "quorate_peers_bytes_total", "direction=\"received\"",                 \
      "Bytes given to the network and bytes received.")                                                      \
    X(DROPPED_URGENT, METRIC_COUNTER, "quorate_peers_frames_dropped_total", "queue=\"urgent\"",              \
      "Frames not sent: no connection, or its queue was full.")                                              \
    X(DROPPED_BULK, METRIC_COUNTER, "quorate_peers_frames_dropped_total", "queue=\"bulk\"",                  \
      "Frames not sent: no connection, or its queue was full.")

enum hub_metric {
#define X(id, kind, name, labels, help) HUB_##id,
    HUB_METRICS(X)
#undef X
        HUB_METRICS_COUNT
};

enum { HUB_REPORT_MS = 1000 }; /* between two reports of one cause */

/* When a refusal of each code was last reported, by the role in which we had it; 0: never. */
struct hub_reports {
    uint64_t next_ms[2][Q_CODES];
};

/* One of the other members, or one that is gone and whose last connection has not ended yet. */
struct hub_member {
    uint64_t id;
    char address[PEERS_ADDRESS_MAX + 1];
    char told[PEERS_ADDRESS_MAX + 1]; /* the address that it says is its own, if that is another one; or "" */
    char api_address[PEERS_ADDRESS_MAX + 1]; /* what it told last */
    uint64_t last_received_ms;
    struct hub_reports reports;
    struct peer *peer; /* our connection to it */
    bool gone;
    struct list link; /* among those that are gone */
};

struct hub {
    struct env *env;
    struct handshake_self self;
    uint8_t secret[PEERS_SECRET_MAX];
    char api_address[PEERS_ADDRESS_MAX + 1], address[PEERS_ADDRESS_MAX + 1];
    struct hub_member *members[PEERS_MAX];
    unsigned count;
    struct list gone; /* struct hub_member */
    struct hub_reports stranger_reports;
    struct peers_config config;                      /* for its callbacks alone: what it points to is gone */
    unsigned sessions;                               /* that have not ended */
    bool closing;                                    /* no callback but the last reaches the owner any more */
    void (*idle)(struct hub *);                      /* closing, and the last session has ended */
    void (*left)(struct hub *, struct hub_member *); /* one that is gone needs its memory no more */
    struct metric metrics[HUB_METRICS_COUNT];
};

/* Checks CONFIG and copies what it says, but for the members. Errors: Q_INVALID (with what is wrong). */
int hub_init(struct hub *h, const struct peers_config *config, struct error *e);
/* A hub for a node that is no member and wants to be one. */
int hub_init_guest(struct hub *h, struct env *env, const uint8_t *secret, size_t secret_len, struct error *e);
/* Also wipes the secret. A zeroed hub may be closed. */
void hub_close(struct hub *h);

/* NULL if ID is not another member. */
struct hub_member *hub_member(const struct hub *h, uint64_t id);

/* Whether COUNT members can be those of one cluster. Errors: Q_INVALID. */
int hub_check_members(const struct peers_member *members, unsigned count, struct error *e);
/* A member more, at most PEERS_MAX; it is its owner's. */
void hub_add(struct hub *h, struct hub_member *m);
/* M is one no more. It stays until left(), which its owner calls. */
void hub_remove(struct hub *h, struct hub_member *m);

/* A handshake with M has succeeded: keeps what it told. True if it says that it is at an address that was not
 * known. */
bool hub_heard(struct hub_member *m, const struct handshake *h);
/* Tells the owner, if M says that it is somewhere else than it is known to be. */
void hub_tell_moved(struct hub *h, const struct hub_member *m);

/* Every session counts from its start to its end; the end may call idle(). */
void hub_session_starts(struct hub *h);
void hub_session_ended(struct hub *h);

/* Counts a refusal, and reports it to the owner unless one of that code, ROLE and MEMBER (NULL: a stranger)
 * was reported less than HUB_REPORT_MS ago. ROLE is ours. BY is the metric to count it with. */
void hub_refused(struct hub *h, enum handshake_role role, struct hub_member *member, enum hub_metric by,
                 const char *who, const struct error *why);

static inline void hub_count(struct hub *h, enum hub_metric metric, size_t n)
{
    metric_add(&h->metrics[metric], (int64_t)n);
}

#endif
