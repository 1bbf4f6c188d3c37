#include "cluster/inbound.h"

#include <assert.h>
#include <stdlib.h>

#include "base/plant.h"
#include "cluster/peer.h"
#include "cluster/session.h"

enum { INBOUND_MAGIC = 0x1b0a0d01 };

/* Answers that the dialler does not read are not piled up. */
enum { UNREAD_PONGS_MAX = 64 * FRAME_HEADER_BYTES };

struct inbound {
    OBJECT_MAGIC;
    struct inbounds *all;
    struct list link; /* half_open, open, or closing */
    bool half_open;
    struct hub_member *member; /* NULL until authenticated */
    uint64_t pong_ms;          /* when it got its last PONG */
    struct session session;
};

/* Into another list. */
static void move(struct inbound *i, struct list *to)
{
    list_remove(&i->link);
    list_push(to, &i->link);
    if (i->half_open) {
        i->half_open = false;
        i->all->half_open_count--;
    }
}

static void inbound_free(struct inbound *i)
{
    session_drop(&i->session);
    list_remove(&i->link);
    i->magic = 0;
    free(i);
}

static void pong(struct inbound *i)
{
    if (session_unsent(&i->session) < UNREAD_PONGS_MAX) {
        i->pong_ms = env_now_ms(i->all->hub->env);
        session_send_control(&i->session, SESSION_PONG);
    }
}

static void replace_older(struct inbound *newer)
{
    LIST_EACH_SAFE (&newer->all->open, item) {
        struct inbound *i = CONTAINER_OF(item, struct inbound, link);
        if (i->member == newer->member) {
            move(i, &i->all->closing);
            session_close(&i->session);
        }
    }
}

static void on_ready(void *owner)
{
    struct inbound *i = CAST(struct inbound, owner, INBOUND_MAGIC);
    struct hub *hub = i->all->hub;

    i->member = hub_member(hub, i->session.handshake.id);
    assert(i->member != NULL); /* the handshake looked it up */
    if (!PLANTED("older_connections_stay")) {
        replace_older(i);
    }
    move(i, &i->all->open);
    i->pong_ms = env_now_ms(hub->env);
    hub_heard(i->member, &i->session.handshake);
    hub_count(hub, HUB_UP_ACCEPTED, 1);
    peer_dial(i->member->peer); /* who reaches us can probably be reached */
}

static void on_frame(void *owner, const struct frame *f)
{
    struct inbound *i = CAST(struct inbound, owner, INBOUND_MAGIC);
    struct hub *hub = i->all->hub;

    i->member->last_received_ms = env_now_ms(hub->env);
    if (f->flags == 0) {
        hub_count(hub, HUB_FRAMES_RECEIVED, 1);
        hub->config.received(hub->config.ctx, i->member->id, f->type, f->body, f->len);
    } else if (f->type == SESSION_PING && f->len == 0) {
        pong(i);
    } else {
        session_bad_frame(&i->session);
    }
}

/* A frame may take longer to come than the dialler waits for an answer to its ping behind it. */
static void on_progress(void *owner)
{
    struct inbound *i = CAST(struct inbound, owner, INBOUND_MAGIC);
    if (env_now_ms(i->all->hub->env) - i->pong_ms >= INBOUND_PONG_MS) {
        pong(i);
    }
}

static void on_drained(void *owner)
{
    (void)owner;
}

static void on_refused(void *owner, enum hub_metric by, const char *who, const struct error *why)
{
    struct inbound *i = CAST(struct inbound, owner, INBOUND_MAGIC);
    struct hub *hub = i->all->hub;
    hub_refused(hub, HANDSHAKE_ACCEPTOR, hub_member(hub, i->session.handshake.id), by, who, why);
}

static void on_ended(void *owner, bool was_ready)
{
    struct inbound *i = CAST(struct inbound, owner, INBOUND_MAGIC);

    if (was_ready && !i->all->hub->closing) {
        hub_count(i->all->hub, HUB_LOST, 1);
    }
    move(i, &i->all->closing);
    inbound_free(i);
}

static const struct session_callbacks session_callbacks = {
    .ready = on_ready,
    .frame = on_frame,
    .progress = on_progress,
    .drained = on_drained,
    .refused = on_refused,
    .ended = on_ended,
};

void inbounds_init(struct inbounds *all, struct hub *hub)
{
    *all = (struct inbounds){.hub = hub};
    list_init(&all->half_open);
    list_init(&all->open);
    list_init(&all->closing);
}

static void drop_oldest(struct inbounds *all)
{
    struct inbound *i = CONTAINER_OF(all->half_open.next, struct inbound, link);
    struct error e;

    hub_count(all->hub, HUB_HALF_OPEN_DROPPED, 1);
    move(i, &all->closing);
    error_set(&e, Q_BUSY, "more than %d connections wait to be authenticated: the oldest is dropped",
              INBOUND_HALF_OPEN_MAX);
    session_refuse(&i->session, &e);
    session_close(&i->session); /* it may have been refused before */
}

void inbounds_accept(struct inbounds *all, struct env_conn *conn)
{
    struct inbound *i = calloc(1, sizeof *i);

    if (i == NULL) {
        env_conn_close(all->hub->env, conn);
        return;
    }
    i->magic = INBOUND_MAGIC;
    i->all = all;
    list_init(&i->link);
    if (session_accept(&i->session, all->hub, conn, &session_callbacks, i, NULL) != 0) {
        free(i);
        return;
    }
    i->half_open = true;
    list_push(&all->half_open, &i->link);
    all->half_open_count++;
    if (all->half_open_count > INBOUND_HALF_OPEN_MAX && !PLANTED("half_open_connections_have_no_limit")) {
        drop_oldest(all);
    }
}

void inbounds_close(struct inbounds *all)
{
    LIST_EACH (&all->half_open, half_open) {
        session_close(&CONTAINER_OF(half_open, struct inbound, link)->session);
    }
    LIST_EACH (&all->open, open) {
        session_close(&CONTAINER_OF(open, struct inbound, link)->session);
    }
}

void inbounds_free(struct inbounds *all)
{
    struct list *lists[] = {&all->half_open, &all->open, &all->closing};
    for (size_t n = 0; n < sizeof lists / sizeof lists[0]; n++) {
        LIST_EACH_SAFE (lists[n], item) {
            inbound_free(CONTAINER_OF(item, struct inbound, link));
        }
    }
}
