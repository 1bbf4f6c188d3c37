/* inbound: the connections that others dialled to us: half-open ones until they have authenticated
 * themselves, then one for each member.
 * It does not know our own connections to the members, but that a member who reaches us is worth dialling.
 *
 * At most INBOUND_HALF_OPEN_MAX connections may be unauthenticated; one more drops the oldest. A handshake
 * takes a round trip, so honest ones come through a flood that leaves them that long. A newly authenticated
 * connection replaces the member's older one.
 *
 * Threads: loop only. */
#ifndef QUORATE_CLUSTER_INBOUND_H
#define QUORATE_CLUSTER_INBOUND_H

#include "cluster/hub.h"

enum {
    INBOUND_HALF_OPEN_MAX = 128,
    INBOUND_PONG_MS = 1000, /* while bytes come, the dialler hears this often that they do */
};

struct inbounds {
    struct hub *hub;
    struct list half_open, open, closing; /* each of them in one */
    unsigned half_open_count;
};

void inbounds_init(struct inbounds *all, struct hub *hub);
/* Takes a connection from the listener. */
void inbounds_accept(struct inbounds *all, struct env_conn *conn);
/* Closes all; their memory goes when their sessions end. */
void inbounds_close(struct inbounds *all);
/* Frees what is left when the world has ended. */
void inbounds_free(struct inbounds *all);

#endif
