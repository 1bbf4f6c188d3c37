/* session: one connection from its first byte to its last: handshake, deadlines, liveness, frames.
 * It does not know queues, other connections, or what frames mean.
 *
 *      dial                     accept
 *       |                          |
 *   CONNECTING --- opened ---> SHAKING --- handshake done ---> READY
 *       |                       |   \                            |
 *       |         refused, and  |    \ refused, and nothing      | damaged frame, silence,
 *       |         told so       v     \ to be told               | session_close()
 *       |                   REFUSING   |                         |
 *       |     linger is over,  |       |                         |
 *       v     or closed there  v       v                         v
 *      CLOSING --- the network's last callback ---> NONE: ended() was called
 *
 * What is not READY after SESSION_SHAKE_MS is refused. REFUSING waits until the other side has read why and
 * closed, SESSION_LINGER_MS at most. A READY session that receives no byte for SESSION_DIALLER_IDLE_MS or
 * SESSION_ACCEPTOR_IDLE_MS is closed. Before READY the other side may send HANDSHAKE_READ_MAX bytes.
 *
 * Threads: loop only. */
#ifndef QUORATE_CLUSTER_SESSION_H
#define QUORATE_CLUSTER_SESSION_H

#include "cluster/frame.h"
#include "cluster/handshake.h"
#include "cluster/hub.h"

enum {
    SESSION_SHAKE_MS = 5000,
    SESSION_LINGER_MS = 1000,
    SESSION_DIALLER_IDLE_MS = 4000,
    SESSION_ACCEPTOR_IDLE_MS = 6000,
    SESSION_WHO_MAX = PEERS_ADDRESS_MAX + 64,
};

/* Control frames of a READY session; both are empty. */
enum session_control { SESSION_PING = HANDSHAKE_TYPES, SESSION_PONG };

enum session_state {
    SESSION_NONE,
    SESSION_CONNECTING,
    SESSION_SHAKING,
    SESSION_READY,
    SESSION_REFUSING,
    SESSION_CLOSING
};

/* Never called inside session_dial(), session_accept() or session_close(). Each may call session_close(). */
struct session_callbacks {
    void (*ready)(void *owner);                        /* the handshake is done; its fields tell who it is */
    void (*frame)(void *owner, const struct frame *f); /* a frame of a READY session; borrowed */
    void (*progress)(void *owner);                     /* after bytes came in READY, whole frame or not */
    void (*drained)(void *owner);                      /* READY, and the network has taken all */
    void (*refused)(void *owner, enum hub_metric by, const char *who, const struct error *why);
    /* The last one, once. The session may be used again, or its memory freed. WAS_READY: it once was. */
    void (*ended)(void *owner, bool was_ready);
};

struct session {
    OBJECT_MAGIC;
    enum session_state state;
    bool was_ready;
    struct hub *hub;
    struct env_conn *conn;
    struct env_timer *timer;
    struct frame_decoder decoder;
    struct handshake handshake;
    size_t unauthenticated;   /* bytes received before READY */
    uint64_t last_byte_us;    /* when some came, in READY */
    struct hub_member *meant; /* dialler: whom it wants; NULL for an acceptor */
    const struct session_callbacks *callbacks;
    void *owner;
};

/* Begin with a session that is zeroed or whose ended() was called. CALLBACKS are kept. Errors: Q_NOMEM;
 * then there will be no callback, and an accepted CONN is closed. */
int session_dial(struct session *s, struct hub *hub, struct hub_member *to,
                 const struct session_callbacks *callbacks, void *owner, struct error *e);
int session_accept(struct session *s, struct hub *hub, struct env_conn *conn,
                   const struct session_callbacks *callbacks, void *owner, struct error *e);

/* Gives whole frames to the network. The bytes are given; dropped unless READY. */
void session_send(struct session *s, uint8_t *bytes, size_t n);
/* Bytes that the network has not taken yet. READY only. */
size_t session_unsent(const struct session *s);
/* Sends a frame of the connection itself, without a body. */
void session_send_control(struct session *s, enum session_control type);

/* Closes without a word. Again, or in SESSION_NONE, is fine. */
void session_close(struct session *s);
/* Frees what it holds when no callback can come any more because the world has ended. SESSION_NONE is fine.
 */
void session_drop(struct session *s);
/* Refuses an unauthenticated session for a reason from outside of the handshake; the other side is not told.
 */
void session_refuse(struct session *s, const struct error *why);
/* Closes because of a frame that is damaged or out of place, and counts it. */
void session_bad_frame(struct session *s);

#endif
