/* inbound: the connections that others dialled to us: half-open ones until they have authenticated
 * themselves, then one for each member.
 * It does not know our own connections to the members, but that a member who reaches us is worth dialling.
 *
 * At most INBOUND_HALF_OPEN_MAX connections may be unauthenticated; one more drops the oldest. A handshake
 * takes a round trip, so honest ones come through a flood that leaves them that long. A newly authenticated
 * connection replaces the member's older one.
 *
 * Guests, nodes that proved the secret and want to join, ask one question and get one answer
 * (join_message.h); nothing else is heard from them. At most INBOUND_GUESTS_MAX are here at once, each for
 * SESSION_GUEST_MS.
 *
 * Threads: loop only. */
#ifndef QUORATE_CLUSTER_INBOUND_H
#define QUORATE_CLUSTER_INBOUND_H

#include "cluster/hub.h"

enum {
    INBOUND_HALF_OPEN_MAX = 128,
    INBOUND_PONG_MS = 1000, /* while bytes come, the dialler hears this often that they do */
    INBOUND_GUESTS_MAX = 8,
};

struct inbounds {
    struct hub *hub;
    struct list half_open, open, guests, closing; /* each of them in one */
    unsigned half_open_count, guest_count;
    uint64_t last_guest; /* number of the last one */
};

void inbounds_init(struct inbounds *all, struct hub *hub);
/* Takes a connection from the listener. */
void inbounds_accept(struct inbounds *all, struct env_conn *conn);
/* Closes those of M, which is gone. */
void inbounds_leave(struct inbounds *all, const struct hub_member *m);
/* As peers_answer_guest(). */
void inbounds_answer_guest(struct inbounds *all, uint64_t guest, const struct join_answer *answer);
/* Closes all; their memory goes when their sessions end. */
void inbounds_close(struct inbounds *all);
/* Frees what is left when the world has ended. */
void inbounds_free(struct inbounds *all);

#endif
