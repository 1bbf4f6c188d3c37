/* peer: our connection to one other member: dialled, kept alive, dialled again, and the frames that wait for
 * it.
 * It does not know the other members, or connections that were accepted.
 *
 *   WAITING --- the delay is over ---> dialling (session.h) --- handshake done ---> up
 *      ^                                          |                                  |
 *      +----- the delay doubles, up to 1 s -------+---- the delay is 50 ms again ----+
 *
 * A member that says in a handshake that it is somewhere else is dialled there; when that fails, in turn
 * there and where it is known to be.
 *
 * A frame leaves at once when the network holds nothing of ours. Otherwise it gathers in its outbox with
 * those that follow, until a piece (outbox.h) is full or the network has taken everything; so a burst of
 * small ones leaves in a few pieces, and none waits for a timer. Urgent ones go first, and nothing goes while
 * the network holds PEERS_WINDOW_BYTES.
 *
 * Threads: loop only. */
#ifndef QUORATE_CLUSTER_PEER_H
#define QUORATE_CLUSTER_PEER_H

#include "cluster/hub.h"
#include "cluster/outbox.h"
#include "cluster/session.h"

enum { PEER_DELAY_MIN_MS = 50, PEER_DELAY_MAX_MS = 1000, PEER_PING_US = 1000000 };

struct peer {
    OBJECT_MAGIC;
    struct hub *hub;
    struct hub_member *member;
    struct session session;
    struct env_timer *timer; /* WAITING: dial; up: ping */
    unsigned delay_ms;
    bool at_told;            /* dial it where it says that it is, not where it is known to be */
    bool redial;             /* at once, when this session has ended */
    struct outbox outbox[2]; /* by enum peers_queue */
};

/* Errors: Q_NOMEM. */
int peer_new(struct hub *hub, struct hub_member *member, struct peer **ret_peer, struct error *e);
/* After its session or the world has ended. NULL is fine. */
void peer_free(struct peer *p);

/* Dials now if it waits to dial. Also the first time. */
void peer_dial(struct peer *p);
/* The member is somewhere else: dials it there, now. What is up is closed first only if CLOSE_UP. */
void peer_redial(struct peer *p, bool close_up);
/* Drops what waits and closes; it does not dial again (hub->closing is set, or the member is gone). True if
 * there is nothing to wait for. */
bool peer_close(struct peer *p);

bool peer_up(const struct peer *p);
/* Where it is dialled, the next time at the latest. */
const char *peer_address(const struct peer *p);
/* As peers_send(). */
bool peer_send(struct peer *p, enum peers_queue queue, uint8_t type, const void *body, size_t n);

#endif
