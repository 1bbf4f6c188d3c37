/* peer: our connection to one other member: dialled, kept alive, dialled again, and the frames that wait for
 * it.
 * It does not know the other members, or connections that were accepted.
 *
 *   WAITING --- the delay is over ---> dialling (session.h) --- handshake done ---> up
 *      ^                                          |                                  |
 *      +----- the delay doubles, up to 1 s -------+---- the delay is 50 ms again ----+
 *
 * Frames that are put into the outboxes in one round of the loop leave together at the end of it: urgent
 * ones first, and nothing while the network still holds PEERS_WINDOW_BYTES.
 *
 * Threads: loop only. */
#ifndef QUORATE_CLUSTER_PEER_H
#define QUORATE_CLUSTER_PEER_H

#include "cluster/hub.h"
#include "cluster/outbox.h"
#include "cluster/session.h"

enum { PEER_DELAY_MIN_MS = 50, PEER_DELAY_MAX_MS = 1000, PEER_PING_MS = 1000 };

struct peer {
    OBJECT_MAGIC;
    struct hub *hub;
    struct hub_member *member;
    struct session session;
    struct env_timer *timer; /* WAITING: dial; up: ping */
    struct env_timer *flush;
    bool flushing; /* the flush timer runs */
    unsigned delay_ms;
    struct outbox outbox[2]; /* by enum peers_queue */
};

/* Errors: Q_NOMEM. */
int peer_new(struct hub *hub, struct hub_member *member, struct peer **ret_peer, struct error *e);
/* After its session or the world has ended. NULL is fine. */
void peer_free(struct peer *p);

/* Dials now if it waits to dial. Also the first time. */
void peer_dial(struct peer *p);
/* Drops what waits and closes; it does not dial again (hub->closing is set). */
void peer_close(struct peer *p);

bool peer_up(const struct peer *p);
/* As peers_send(). */
bool peer_send(struct peer *p, enum peers_queue queue, uint8_t type, const void *body, size_t n);

#endif
