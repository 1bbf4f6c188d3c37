#include "cluster/peer.h"

#include <stdlib.h>

#include "base/plant.h"

enum { PEER_MAGIC = 0x9ee90001 };

static void start_timer(struct peer *p, uint64_t us)
{
    env_timer_start(p->hub->env, p->timer, env_now_us(p->hub->env) + us);
}

/* Waits between half the delay and all of it, so that nodes that lost each other do not dial in step. */
static void dial_later(struct peer *p)
{
    uint64_t half_us = (uint64_t)p->delay_ms * 500;
    uint32_t random;

    env_random(p->hub->env, &random, sizeof random);
    start_timer(p, half_us + random % (half_us + 1));
    p->delay_ms = p->delay_ms * 2 < PEER_DELAY_MAX_MS ? p->delay_ms * 2 : PEER_DELAY_MAX_MS;
}

bool peer_up(const struct peer *p)
{
    return p->session.state == SESSION_READY;
}

/* Urgent frames first; all of them wait while the network is full. */
static void send_waiting(struct peer *p)
{
    while (peer_up(p) && session_unsent(&p->session) < PEERS_WINDOW_BYTES) {
        size_t n;
        uint8_t *bytes = outbox_take(&p->outbox[PEERS_URGENT], &n);
        if (bytes == NULL) {
            bytes = outbox_take(&p->outbox[PEERS_BULK], &n);
        }
        if (bytes == NULL) {
            return;
        }
        session_send(&p->session, bytes, n);
    }
}

static void on_ready(void *owner)
{
    struct peer *p = CAST(struct peer, owner, PEER_MAGIC);
    struct hub *hub = p->hub;

    p->delay_ms = PEER_DELAY_MIN_MS;
    hub_heard(p->member, &p->session.handshake); /* it is reached: where else it may be can wait */
    hub_count(hub, HUB_UP_DIALLED, 1);
    hub_count(hub, HUB_CONNECTED, 1);
    start_timer(p, PEER_PING_US);
    hub->config.up(hub->config.ctx, p->member->id);
    if (peer_up(p)) {
        hub_tell_moved(hub, p->member);
    }
}

/* On a connection that we dialled, nothing but the answer to our pings may come. */
static void on_frame(void *owner, const struct frame *f)
{
    struct peer *p = CAST(struct peer, owner, PEER_MAGIC);

    if (f->flags != FRAME_CONTROL || f->type != SESSION_PONG || f->len != 0) {
        session_bad_frame(&p->session);
        return;
    }
    p->member->last_received_ms = env_now_ms(p->hub->env);
}

static void on_progress(void *owner)
{
    (void)owner;
}

static void on_drained(void *owner)
{
    send_waiting(CAST(struct peer, owner, PEER_MAGIC));
}

static void on_refused(void *owner, enum hub_metric by, const char *who, const struct error *why)
{
    struct peer *p = CAST(struct peer, owner, PEER_MAGIC);
    hub_refused(p->hub, HANDSHAKE_DIALLER, p->member, by, who, why);
}

/* The last connection to a member that is gone. P is freed. */
static void end(struct peer *p, bool was_ready)
{
    struct hub *hub = p->hub;
    const struct hub_member *again = hub_member(hub, p->member->id);
    uint64_t id = p->member->id;

    hub->left(hub, p->member);
    if (was_ready && (again == NULL || !peer_up(again->peer))) {
        hub->config.down(hub->config.ctx, id);
    }
}

static void on_ended(void *owner, bool was_ready)
{
    struct peer *p = CAST(struct peer, owner, PEER_MAGIC);
    struct hub *hub = p->hub;

    if (!PLANTED("what_waited_goes_over_the_next_connection")) {
        outbox_clear(&p->outbox[PEERS_URGENT]);
        outbox_clear(&p->outbox[PEERS_BULK]);
    }
    if (was_ready) {
        metric_add(&hub->metrics[HUB_CONNECTED], -1);
    }
    if (hub->closing) {
        return;
    }
    if (p->member->gone) {
        end(p, was_ready);
        return;
    }
    if (p->redial) {
        p->redial = false;
        peer_dial(p);
    } else {
        p->at_told = p->member->told[0] != '\0' && (was_ready || !p->at_told);
        dial_later(p);
    }
    if (was_ready) {
        hub_count(hub, HUB_LOST, 1);
        hub->config.down(hub->config.ctx, p->member->id);
    }
}

static const struct session_callbacks session_callbacks = {
    .ready = on_ready,
    .frame = on_frame,
    .progress = on_progress,
    .drained = on_drained,
    .refused = on_refused,
    .ended = on_ended,
};

const char *peer_address(const struct peer *p)
{
    const struct hub_member *m = p->member;
    return p->at_told && m->told[0] != '\0' && !PLANTED("moved_members_are_dialled_where_they_were")
               ? m->told
               : m->address;
}

void peer_dial(struct peer *p)
{
    struct error e;

    if (p->session.state != SESSION_NONE || p->hub->closing || p->member->gone) {
        return;
    }
    env_timer_stop(p->hub->env, p->timer);
    if (session_dial(&p->session, p->hub, p->member, peer_address(p), &session_callbacks, p, &e) != 0) {
        dial_later(p);
    }
}

void peer_redial(struct peer *p, bool close_up)
{
    p->at_told = p->member->told[0] != '\0';
    if (peer_up(p) && !close_up) {
        return;
    }
    p->delay_ms = PEER_DELAY_MIN_MS;
    p->redial = p->session.state != SESSION_NONE;
    session_close(&p->session);
    peer_dial(p);
}

static void on_time(void *owner)
{
    struct peer *p = CAST(struct peer, owner, PEER_MAGIC);

    if (peer_up(p)) {
        session_send_control(&p->session, SESSION_PING);
        start_timer(p, PEER_PING_US);
    } else {
        peer_dial(p);
    }
}

int peer_new(struct hub *hub, struct hub_member *member, struct peer **ret_peer, struct error *e)
{
    struct peer *p = calloc(1, sizeof *p);

    if (p == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for a peer");
    }
    *p = (struct peer){.magic = PEER_MAGIC, .hub = hub, .member = member, .delay_ms = PEER_DELAY_MIN_MS};
    outbox_init(&p->outbox[PEERS_URGENT], PEERS_QUEUE_MAX);
    outbox_init(&p->outbox[PEERS_BULK], PEERS_QUEUE_MAX);
    p->timer = env_timer_new(hub->env, on_time, p);
    if (p->timer == NULL) {
        peer_free(p);
        return error_set(e, Q_NOMEM, "out of memory for a timer");
    }
    *ret_peer = p;
    return 0;
}

void peer_free(struct peer *p)
{
    if (p == NULL) {
        return;
    }
    session_drop(&p->session);
    outbox_clear(&p->outbox[PEERS_URGENT]);
    outbox_clear(&p->outbox[PEERS_BULK]);
    env_timer_free(p->hub->env, p->timer);
    p->magic = 0;
    free(p);
}

bool peer_close(struct peer *p)
{
    env_timer_stop(p->hub->env, p->timer);
    session_close(&p->session);
    return p->session.state == SESSION_NONE;
}

bool peer_send(struct peer *p, enum peers_queue queue, uint8_t type, const void *body, size_t n)
{
    if (!peer_up(p) || n > PEERS_FRAME_MAX || !outbox_put(&p->outbox[queue], type, 0, body, n)) {
        hub_count(p->hub, queue == PEERS_URGENT ? HUB_DROPPED_URGENT : HUB_DROPPED_BULK, 1);
        return false;
    }
    hub_count(p->hub, HUB_FRAMES_SENT, 1);
    /* Small frames can wait for drained(), which comes after whatever the network holds now. */
    if (session_unsent(&p->session) == 0 || p->outbox[queue].bytes >= OUTBOX_PIECE_BYTES) {
        send_waiting(p);
    }
    return true;
}
