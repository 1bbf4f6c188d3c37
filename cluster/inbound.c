#include "cluster/inbound.h"

#include <assert.h>
#include <stdlib.h>

#include "base/plant.h"
#include "cluster/join_message.h"
#include "cluster/peer.h"
#include "cluster/session.h"

enum { INBOUND_MAGIC = 0x1b0a0d01 };

/* Answers that the dialler does not read are not piled up. */
enum { UNREAD_PONGS_MAX = 64 * FRAME_HEADER_BYTES };

struct inbound {
    OBJECT_MAGIC;
    struct inbounds *all;
    struct list link; /* half_open, open, guests, or closing */
    bool half_open;
    struct hub_member *member; /* NULL until authenticated, for a guest, and when it is gone */
    uint64_t guest;            /* its number; 0: it is none */
    bool asked;                /* the guest has */
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
    } else if (i->guest != 0 && to == &i->all->closing) {
        i->guest = 0;
        i->all->guest_count--;
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

static void answer(struct inbound *i, const struct join_answer *with)
{
    struct buf body;

    buf_init(&body, JOIN_ANSWER_BYTES_MAX);
    join_answer_put(&body, with);
    move(i, &i->all->closing);
    session_say(&i->session, SESSION_JOINED, &body, true);
}

static void welcome_guest(struct inbound *i)
{
    struct inbounds *all = i->all;
    struct join_answer busy;

    hub_count(all->hub, HUB_GUESTS, 1);
    move(i, &all->guests);
    i->guest = ++all->last_guest;
    all->guest_count++;
    if (all->guest_count > INBOUND_GUESTS_MAX && !PLANTED("guests_have_no_limit")) {
        busy = (struct join_answer){.count = 0};
        error_set(&busy.error, Q_BUSY, "%d nodes are being admitted already: try again", INBOUND_GUESTS_MAX);
        answer(i, &busy);
    }
}

/* One question is heard, and nothing else. */
static void hear_guest(struct inbound *i, const struct frame *f)
{
    struct hub *hub = i->all->hub;
    struct join_ask ask;
    struct error e;

    if (f->flags == 0 && PLANTED("guests_are_heard_like_members")) {
        hub->config.received(hub->config.ctx, 0, f->type, f->body, f->len);
    } else if (f->flags != FRAME_CONTROL || f->type != SESSION_JOIN || i->asked ||
               join_ask_get(f->body, f->len, &ask, &e) != 0) {
        session_bad_frame(&i->session);
    } else {
        i->asked = true;
        hub->config.asked_to_join(hub->config.ctx, i->guest, &ask);
    }
}

static void on_ready(void *owner)
{
    struct inbound *i = CAST(struct inbound, owner, INBOUND_MAGIC);
    struct hub *hub = i->all->hub;
    bool news;

    if (i->session.handshake.guest) {
        welcome_guest(i);
        return;
    }
    i->member = hub_member(hub, i->session.handshake.id);
    if (i->member == NULL) { /* gone while it proved who it is */
        session_close(&i->session);
        return;
    }
    if (!PLANTED("older_connections_stay")) {
        replace_older(i);
    }
    move(i, &i->all->open);
    i->pong_ms = env_now_ms(hub->env);
    news = hub_heard(i->member, &i->session.handshake);
    hub_count(hub, HUB_UP_ACCEPTED, 1);
    if (news) {
        peer_redial(i->member->peer, false);
    } else {
        peer_dial(i->member->peer); /* who reaches us can probably be reached */
    }
    hub_tell_moved(hub, i->member);
}

static void on_frame(void *owner, const struct frame *f)
{
    struct inbound *i = CAST(struct inbound, owner, INBOUND_MAGIC);
    struct hub *hub = i->all->hub;

    if (i->guest != 0) {
        hear_guest(i, f);
        return;
    }
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
    if (i->guest == 0 && env_now_ms(i->all->hub->env) - i->pong_ms >= INBOUND_PONG_MS) {
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

    if (was_ready && !i->session.handshake.guest && !i->all->hub->closing) {
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
    list_init(&all->guests);
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

void inbounds_leave(struct inbounds *all, const struct hub_member *m)
{
    LIST_EACH_SAFE (&all->open, item) {
        struct inbound *i = CONTAINER_OF(item, struct inbound, link);
        if (i->member == m) {
            i->member = NULL;
            move(i, &all->closing);
            session_close(&i->session);
        }
    }
}

void inbounds_answer_guest(struct inbounds *all, uint64_t guest, const struct join_answer *with)
{
    LIST_EACH (&all->guests, item) {
        struct inbound *i = CONTAINER_OF(item, struct inbound, link);
        if (i->guest == guest) {
            answer(i, with);
            return;
        }
    }
}

void inbounds_close(struct inbounds *all)
{
    LIST_EACH (&all->half_open, half_open) {
        session_close(&CONTAINER_OF(half_open, struct inbound, link)->session);
    }
    LIST_EACH (&all->guests, guest) {
        session_close(&CONTAINER_OF(guest, struct inbound, link)->session);
    }
    LIST_EACH (&all->closing, last_words) {
        session_close(&CONTAINER_OF(last_words, struct inbound, link)->session);
    }
    LIST_EACH (&all->open, open) {
        session_close(&CONTAINER_OF(open, struct inbound, link)->session);
    }
}

void inbounds_free(struct inbounds *all)
{
    struct list *lists[] = {&all->half_open, &all->open, &all->guests, &all->closing};
    for (size_t n = 0; n < sizeof lists / sizeof lists[0]; n++) {
        LIST_EACH_SAFE (lists[n], item) {
            inbound_free(CONTAINER_OF(item, struct inbound, link));
        }
    }
}
