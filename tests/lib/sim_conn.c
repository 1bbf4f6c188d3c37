#include "tests/lib/sim_conn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/sim_env.h"
#include "tests/lib/sim_listener.h"
#include "tests/lib/sim_wire.h"

#define CONN_MAGIC 0x5eed0005u

/*  dialling --SYNACK--> open --close(), FIN, RST, TIMEOUT--> closing --> freed after closed()
 *  knocking --accepted()--> open or closing */
enum conn_state { CONN_DIALLING, CONN_KNOCKING, CONN_OPEN, CONN_CLOSING };

struct env_conn {
    OBJECT_MAGIC;
    enum conn_state state;
    struct sim_world *world;
    struct wire *wire; /* NULL when closing or dead */
    unsigned side;
    const struct env_conn_callbacks *callbacks; /* NULL before accept */
    void *owner;
    struct list unsent; /* struct unit */
    size_t unsent_bytes;
    struct event flush;
    struct list inbox; /* struct unit that have arrived and wait for the process */
    struct event deliver;
    uint8_t *rest; /* of a split unit, the bytes that were not received yet */
    size_t n_rest;
    struct event closed; /* after this side's close, or a failure to dial */
    const struct error *why;
    char *peer;
    struct list link; /* in world->conns */
};

enum { FLUSH_MAX_US = 30, CLOSED_MAX_US = 50, REST_MAX_US = 1000, REFUSED_MAX_US = 1000 };

static const struct error ended = {Q_CLOSED, "the other side has closed the connection"};
static const struct error unheard_of = {Q_IO, "connect: Connection refused"};

static struct env_conn *conn_of(struct env_conn *c)
{
    return CAST(struct env_conn, c, CONN_MAGIC);
}

static bool is_live(const struct env_conn *c)
{
    return !c->world->dead && c->state != CONN_CLOSING;
}

/* Forgets everything that was under way inside the process. */
static void drop_all(struct env_conn *c)
{
    sched_cancel(c->world->sched, &c->flush);
    sched_cancel(c->world->sched, &c->deliver);
    units_free(&c->unsent);
    units_free(&c->inbox);
    c->unsent_bytes = 0;
    free(c->rest);
    c->rest = NULL;
    c->n_rest = 0;
}

static void conn_free(struct env_conn *c)
{
    drop_all(c);
    sched_cancel(c->world->sched, &c->closed);
    list_remove(&c->link);
    free(c->peer);
    c->magic = 0;
    free(c);
}

/* The last callback. */
static void tell_closed(struct env_conn *c, const struct error *why)
{
    if (c->callbacks != NULL) {
        c->callbacks->closed(c->owner, why);
    }
    if (!c->world->dead) {
        conn_free(c);
    }
}

static void on_closed(struct event *ev)
{
    struct env_conn *c = CONTAINER_OF(ev, struct env_conn, closed);
    tell_closed(c, c->why);
}

static void leave(struct env_conn *c)
{
    struct wire *wire = c->wire;
    drop_all(c);
    c->state = CONN_CLOSING;
    c->wire = NULL;
    if (wire != NULL) {
        wire_leave(wire, c->side);
    }
}

static void on_flush(struct event *ev)
{
    struct env_conn *c = CONTAINER_OF(ev, struct env_conn, flush);
    while (!list_empty(&c->unsent)) {
        struct unit *unit = CONTAINER_OF(c->unsent.next, struct unit, link);
        if (!wire_has_room(c->wire, c->side, unit->n)) {
            return;
        }
        uint8_t *bytes = unit->bytes;
        unit->bytes = NULL;
        c->unsent_bytes -= unit->n;
        wire_send(c->wire, c->side, UNIT_DATA, bytes, unit->n);
        unit_free(unit);
    }
    c->callbacks->drained(c->owner);
}

void sim_conn_kick(struct env_conn *c)
{
    if (c->state == CONN_OPEN && !list_empty(&c->unsent) && !event_pending(&c->flush)) {
        sched_after(c->world->sched, &c->flush, sched_random(c->world->sched, 0, FLUSH_MAX_US));
    }
}

/* Bytes arrive in pieces. What is left is received later, or together with the next unit. */
static void receive_pieces(struct env_conn *c, bool all)
{
    struct sched *s = c->world->sched;
    uint8_t *bytes = c->rest;
    size_t n = c->n_rest, at = 0;
    c->rest = NULL;
    c->n_rest = 0;
    do {
        size_t k = sched_random(s, 1, n - at);
        c->callbacks->received(c->owner, bytes + at, k);
        at += k;
    } while (at < n && is_live(c) && (all || sched_random(s, 0, 3) != 0));
    if (at < n && is_live(c)) {
        c->n_rest = n - at;
        c->rest = memcpy(sim_alloc(c->n_rest), bytes + at, c->n_rest);
        if (!event_pending(&c->deliver)) {
            sched_after(s, &c->deliver, sched_random(s, 0, REST_MAX_US));
        }
    }
    free(bytes);
}

static void receive(struct env_conn *c, const struct unit *unit)
{
    struct sim_net *net = c->wire->net;
    bool split = sched_chance(c->world->sched, net->faults.split);
    wire_read(c->wire, c->side, unit->n);
    if (c->n_rest == 0 && !split) {
        c->callbacks->received(c->owner, unit->bytes, unit->n);
        return;
    }
    net->counters.split += split;
    c->rest = realloc(c->rest, c->n_rest + unit->n);
    assert(c->rest != NULL);
    memcpy(c->rest + c->n_rest, unit->bytes, unit->n);
    c->n_rest += unit->n;
    receive_pieces(c, false);
}

static void break_off(struct env_conn *c, enum unit_kind kind)
{
    bool was_open = c->state == CONN_OPEN;
    struct error e = ended;
    if (c->n_rest > 0) {
        receive_pieces(c, true);
        if (!is_live(c)) {
            return;
        }
    }
    if (kind != UNIT_FIN) {
        error_errno(&e,
                    kind == UNIT_TIMEOUT ? ETIMEDOUT
                    : was_open           ? ECONNRESET
                                         : ECONNREFUSED,
                    "%s", c->peer);
    }
    leave(c);
    tell_closed(c, &e);
}

static void knock(struct env_conn *c)
{
    if (!sim_listener_offer(c->world, c->wire->address, c)) {
        sim_conn_close(c);
    } else if (!c->world->dead) {
        assert(c->state != CONN_KNOCKING);
        sim_conn_kick(c);
    }
}

static void notice(struct env_conn *c, struct unit *unit)
{
    switch (unit->kind) {
    case UNIT_SYN: knock(c); break;
    case UNIT_SYNACK:
        c->state = CONN_OPEN;
        sim_conn_kick(c);
        c->callbacks->opened(c->owner);
        break;
    case UNIT_DATA: receive(c, unit); break;
    case UNIT_FIN:
    case UNIT_RST:
    case UNIT_TIMEOUT: break_off(c, unit->kind); break;
    }
    unit_free(unit);
}

static void deliver_later(struct env_conn *c)
{
    if (!event_pending(&c->deliver)) {
        sched_after(c->world->sched, &c->deliver, 0);
    }
}

static void on_deliver(struct event *ev)
{
    struct env_conn *c = CONTAINER_OF(ev, struct env_conn, deliver);
    struct list *first = list_pop(&c->inbox);
    if (!list_empty(&c->inbox)) {
        deliver_later(c);
    }
    if (first != NULL) {
        notice(c, CONTAINER_OF(first, struct unit, link));
    } else if (c->n_rest > 0) {
        receive_pieces(c, true);
    }
}

void sim_conn_take(struct env_conn *c, struct unit *unit)
{
    if (list_empty(&c->inbox) && !c->world->node->running.closed) {
        notice(c, unit);
    } else {
        list_push(&c->inbox, &unit->link);
        deliver_later(c);
    }
}

static struct env_conn *conn_new(struct sim_world *w, enum conn_state state, const char *peer)
{
    struct env_conn *c = sim_alloc(sizeof *c);
    struct gate *running = &w->node->running;
    c->magic = CONN_MAGIC;
    c->state = state;
    c->world = w;
    c->peer = sim_strdup(peer);
    list_init(&c->unsent);
    list_init(&c->inbox);
    event_init(&c->flush, EVENT_FLUSH, w->node->id, running, on_flush);
    event_init(&c->deliver, EVENT_DELIVER, w->node->id, running, on_deliver);
    event_init(&c->closed, EVENT_CLOSED, w->node->id, running, on_closed);
    list_push(&w->conns, &c->link);
    return c;
}

struct env_conn *sim_conn_connect(struct env *env, const char *address,
                                  const struct env_conn_callbacks *callbacks, void *owner)
{
    struct sim_world *w = sim_world_of(env);
    struct env_conn *c = conn_new(w, CONN_DIALLING, address);
    struct sim_node *target = sim_net_whose(w->node->net, address);
    c->callbacks = callbacks;
    c->owner = owner;
    if (w->dead) {
        return c;
    }
    w->node->net->counters.connects++;
    if (target == NULL) {
        w->node->net->counters.refused++;
        c->state = CONN_CLOSING;
        c->why = &unheard_of;
        sched_after(w->sched, &c->closed, sched_random(w->sched, 0, REFUSED_MAX_US));
        return c;
    }
    c->wire = wire_new(w->node->net, w->node, target, address);
    c->wire->pipe[0].sender = c;
    wire_send(c->wire, 0, UNIT_SYN, NULL, 0);
    return c;
}

bool sim_conn_knock(struct wire *wire)
{
    struct sim_world *w = wire->node[1]->world;
    char peer[64];
    if (w == NULL || !sim_listener_at(w, wire->address)) {
        return false;
    }
    snprintf(peer, sizeof peer, "%s:%llu", wire->node[0]->name, 32768 + (unsigned long long)wire->id % 28232);
    struct env_conn *c = conn_new(w, CONN_KNOCKING, peer);
    c->wire = wire;
    c->side = 1;
    wire->pipe[1].sender = c;
    list_push(&c->inbox, &unit_new(UNIT_SYN, NULL, 0)->link);
    deliver_later(c);
    return true;
}

void sim_conn_accept(struct env_conn *c, const struct env_conn_callbacks *callbacks, void *owner)
{
    assert(conn_of(c)->state == CONN_KNOCKING);
    c->callbacks = callbacks;
    c->owner = owner;
    if (!c->world->dead) {
        c->state = CONN_OPEN;
    }
}

void sim_conn_send(struct env_conn *c, uint8_t *bytes, size_t n)
{
    if (!is_live(conn_of(c)) || n == 0) {
        free(bytes);
        return;
    }
    struct unit *unit = unit_new(UNIT_DATA, bytes, n);
    list_push(&c->unsent, &unit->link);
    c->unsent_bytes += n;
    sim_conn_kick(c);
}

size_t sim_conn_unsent(struct env_conn *c)
{
    return conn_of(c)->unsent_bytes;
}

void sim_conn_close(struct env_conn *c)
{
    if (!is_live(conn_of(c))) {
        return;
    }
    wire_send(c->wire, c->side, UNIT_FIN, NULL, 0);
    leave(c);
    sched_after(c->world->sched, &c->closed, sched_random(c->world->sched, 0, CLOSED_MAX_US));
}

void sim_conn_peer(struct env_conn *c, char *p, size_t n)
{
    snprintf(p, n, "%s", conn_of(c)->peer);
}

void sim_conns_init(struct sim_world *w)
{
    list_init(&w->conns);
}

void sim_conns_die(struct sim_world *w, bool power_loss)
{
    LIST_EACH (&w->conns, l) {
        struct env_conn *c = CONTAINER_OF(l, struct env_conn, link);
        struct wire *wire = c->wire;
        drop_all(c);
        sched_cancel(w->sched, &c->closed);
        c->wire = NULL;
        if (wire != NULL && power_loss) {
            wire_lose_power(wire, c->side);
        } else if (wire != NULL) {
            wire_send(wire, c->side, UNIT_FIN, NULL, 0);
            wire_leave(wire, c->side);
        }
    }
}

void sim_conns_free(struct sim_world *w)
{
    LIST_EACH_SAFE (&w->conns, l) {
        conn_free(CONTAINER_OF(l, struct env_conn, link));
    }
}
