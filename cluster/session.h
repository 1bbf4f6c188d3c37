/* session: one connection from its first byte to its last: handshake, deadlines, liveness, frames.
 * It does not know queues, other connections, or what frames mean.
 *
 *      dial                     accept
 *       |                          |
 *   CONNECTING --- opened ---> SHAKING --- handshake done ---> READY
 *       |                       |   \                          |   |
 *       |         refused, and  |    \ refused, and    the last |   | damaged frame, silence,
 *       |         told so       v     \ nothing to      words  v   | session_close()
 *       |                  LINGERING   \ be told        LINGERING  |
 *       |     linger is over,  |        |                     |    |
 *       v     or closed there  v        v                     v    v
 *      CLOSING --- the network's last callback ---> NONE: ended() was called
 *
 * What is not READY after SESSION_SHAKE_MS is refused. LINGERING waits until the other side has read the last
 * words and closed, SESSION_LINGER_MS at most. A READY session that receives no byte for
 * SESSION_DIALLER_IDLE_MS or SESSION_ACCEPTOR_IDLE_MS is closed; one with a guest after SESSION_GUEST_MS,
 * whatever comes. Before READY the other side may send HANDSHAKE_READ_MAX bytes, and then, what it may send
 * in one frame depends on who it is.
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
    SESSION_GUEST_MS = 10000,
    SESSION_WHO_MAX = PEERS_ADDRESS_MAX + 64,
};

/* Control frames of a READY session. PING and PONG are empty; JOIN and JOINED pass between a guest and a
 * member, once, and are told in join_message.h. */
enum session_control { SESSION_PING = HANDSHAKE_TYPES, SESSION_PONG, SESSION_JOIN, SESSION_JOINED };

enum session_state {
    SESSION_NONE,
    SESSION_CONNECTING,
    SESSION_SHAKING,
    SESSION_READY,
    SESSION_LINGERING,
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
    size_t unauthenticated;              /* bytes received before READY */
    uint64_t last_byte_us;               /* when some came, in READY; with a guest, when that began */
    char address[PEERS_ADDRESS_MAX + 1]; /* dialler: where it dialled */
    struct hub_member *meant;            /* dialler: whom it wants; NULL for an acceptor */
    const struct session_callbacks *callbacks;
    void *owner;
};

/* Begin with a session that is zeroed or whose ended() was called. CALLBACKS are kept, ADDRESS is copied, TO
 * is kept until the end (NULL: the hub is a guest's, and wants whoever is there). Errors: Q_NOMEM; then there
 * will be no callback, and an accepted CONN is closed. */
int session_dial(struct session *s, struct hub *hub, struct hub_member *to, const char *address,
                 const struct session_callbacks *callbacks, void *owner, struct error *e);
int session_accept(struct session *s, struct hub *hub, struct env_conn *conn,
                   const struct session_callbacks *callbacks, void *owner, struct error *e);

/* Gives whole frames to the network. The bytes are given; dropped unless READY. */
void session_send(struct session *s, uint8_t *bytes, size_t n);
/* Bytes that the network has not taken yet. READY only. */
size_t session_unsent(const struct session *s);
/* Sends a frame of the connection itself, without a body. */
void session_send_control(struct session *s, enum session_control type);

/* Sends a frame of the connection itself with BODY, which is closed. LAST: the connection closes when it has
 * been read. Without the memory for it, it closes at once. */
void session_say(struct session *s, enum session_control type, struct buf *body, bool last);

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
