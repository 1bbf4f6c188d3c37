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

/* One of the other members. */
struct hub_member {
    uint64_t id;
    char address[PEERS_ADDRESS_MAX + 1];
    char api_address[PEERS_ADDRESS_MAX + 1]; /* what it told last */
    uint64_t last_received_ms;
    struct hub_reports reports;
    struct peer *peer; /* our connection to it */
};

struct hub {
    struct env *env;
    struct handshake_self self;
    uint8_t secret[PEERS_SECRET_MAX];
    char api_address[PEERS_ADDRESS_MAX + 1];
    struct hub_member *members;
    unsigned count;
    struct hub_reports stranger_reports;
    struct peers_config config; /* for its callbacks alone: what it points to is gone */
    unsigned sessions;          /* that have not ended */
    bool closing;               /* no callback but the last reaches the owner any more */
    void (*idle)(struct hub *); /* closing, and the last session has ended */
    struct metric metrics[HUB_METRICS_COUNT];
};

/* Checks CONFIG and copies what it says. Errors: Q_INVALID (with what is wrong), Q_NOMEM. */
int hub_init(struct hub *h, const struct peers_config *config, void (*idle)(struct hub *), struct error *e);
/* Also wipes the secret. A zeroed hub may be closed. */
void hub_close(struct hub *h);

/* NULL if ID is not another member. */
struct hub_member *hub_member(const struct hub *h, uint64_t id);

/* A handshake with M has succeeded: keeps what it told. */
void hub_heard(struct hub_member *m, const struct handshake *h);

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
