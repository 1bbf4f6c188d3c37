#include "tests/lib/sim_wire.h"

#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "tests/lib/sim_conn.h"
#include "tests/lib/sim_env.h"

enum {
    DELAY_MIN_US = 50,
    DELAY_MAX_US = 500,
    LATE_MAX_US = 50000,
    RETRANSMIT_MIN_US = 1000,
    RETRANSMIT_MAX_US = 400000
};

struct unit *unit_new(enum unit_kind kind, uint8_t *bytes, size_t n)
{
    struct unit *unit = sim_alloc(sizeof *unit);
    list_init(&unit->link);
    unit->kind = kind;
    unit->bytes = bytes;
    unit->n = n;
    return unit;
}

void unit_free(struct unit *unit)
{
    list_remove(&unit->link);
    free(unit->bytes);
    free(unit);
}

void units_free(struct list *units)
{
    LIST_EACH_SAFE (units, l) {
        unit_free(CONTAINER_OF(l, struct unit, link));
    }
}

static bool is_set(const uint64_t *bits, const struct sim_node *from, const struct sim_node *to)
{
    return (bits[from->id] >> to->id & 1) != 0;
}

static struct sim_node *source(const struct pipe *p)
{
    return p->wire->node[p->side];
}

static struct sim_node *target(const struct pipe *p)
{
    return p->wire->node[1 - p->side];
}

static struct pipe *way_back(const struct pipe *p)
{
    return &p->wire->pipe[1 - p->side];
}

/* What is sent comes to nothing: the sender will not wait for ever. */
static bool is_cut(const struct pipe *p)
{
    return is_set(p->wire->net->cut_to, source(p), target(p)) || target(p)->mute;
}

static bool is_clogged(const struct pipe *p)
{
    return is_set(p->wire->net->clog_to, source(p), target(p));
}

static bool acks_are_cut(const struct pipe *p)
{
    return is_set(p->wire->net->cut_to, target(p), source(p));
}

static bool acks_wait(const struct pipe *p)
{
    return acks_are_cut(p) || is_set(p->wire->net->clog_to, target(p), source(p));
}

static void free_if_over(struct wire *wire)
{
    for (unsigned i = 0; i < 2; i++) {
        if (wire->pipe[i].sender != NULL || !list_empty(&wire->pipe[i].units)) {
            return;
        }
    }
    wire_free(wire);
}

static void lose_patience_later(struct pipe *p)
{
    struct sched *s = p->wire->net->sched;
    if (!event_pending(&p->patience)) {
        sched_after(s, &p->patience, sched_random(s, SIM_NET_PATIENCE_MIN_US, SIM_NET_PATIENCE_MAX_US));
    }
}

static void clear(struct pipe *p)
{
    sched_cancel(p->wire->net->sched, &p->arrive);
    sched_cancel(p->wire->net->sched, &p->patience);
    units_free(&p->units);
    p->stalled = false;
    p->in_flight = p->unacknowledged = 0;
}

static void on_patience(struct event *ev)
{
    struct pipe *p = CONTAINER_OF(ev, struct pipe, patience);
    clear(p);
    if (p->sender != NULL) {
        p->wire->net->counters.timed_out++;
        sim_conn_take(p->sender, unit_new(UNIT_TIMEOUT, NULL, 0));
    } else {
        free_if_over(p->wire);
    }
}

static void schedule_first(struct pipe *p)
{
    if (!p->stalled && !list_empty(&p->units)) {
        sched_at(p->wire->net->sched, &p->arrive, CONTAINER_OF(p->units.next, struct unit, link)->at_us);
    }
}

/* What arrives where nobody is, or no longer: the machine answers instead. */
static void arrive_at_nobody(struct pipe *p, struct unit *unit)
{
    struct wire *wire = p->wire;
    p->in_flight -= unit->n;
    if (unit->kind == UNIT_SYN && sim_conn_knock(wire)) {
        wire_send(wire, 1 - p->side, UNIT_SYNACK, NULL, 0);
    } else if (unit->kind == UNIT_SYN || unit->kind == UNIT_DATA) {
        wire->net->counters.refused += unit->kind == UNIT_SYN;
        wire->net->counters.resets += unit->kind == UNIT_DATA;
        wire_send(wire, 1 - p->side, UNIT_RST, NULL, 0);
    }
    unit_free(unit);
}

static void on_arrive(struct event *ev)
{
    struct pipe *p = CONTAINER_OF(ev, struct pipe, arrive);
    struct wire *wire = p->wire;
    struct unit *unit = CONTAINER_OF(p->units.next, struct unit, link);
    if (is_cut(p) || is_clogged(p)) {
        p->stalled = true;
        if (is_cut(p)) {
            lose_patience_later(p);
        }
        return;
    }
    list_remove(&unit->link);
    schedule_first(p);
    sched_fold(wire->net->sched, wire->id << 8 | (uint64_t)unit->kind << 1 | p->side);
    sched_fold(wire->net->sched, crc32c((uint32_t)unit->n, unit->bytes, unit->n));
    if (acks_are_cut(p) && (unit->kind == UNIT_DATA || unit->kind == UNIT_SYN)) {
        lose_patience_later(p);
    }
    struct env_conn *receiver = way_back(p)->sender;
    if (receiver != NULL) {
        sim_conn_take(receiver, unit);
    } else {
        arrive_at_nobody(p, unit);
        free_if_over(wire);
    }
}

struct wire *wire_new(struct sim_net *net, struct sim_node *from, struct sim_node *to, const char *address)
{
    struct wire *wire = sim_alloc(sizeof *wire);
    wire->net = net;
    wire->id = net->next_wire++;
    wire->address = sim_strdup(address);
    wire->node[0] = from;
    wire->node[1] = to;
    for (unsigned i = 0; i < 2; i++) {
        struct pipe *p = &wire->pipe[i];
        p->wire = wire;
        p->side = i;
        list_init(&p->units);
        event_init(&p->arrive, EVENT_ARRIVE, wire->node[1 - i]->id, NULL, on_arrive);
        event_init(&p->patience, EVENT_PATIENCE, wire->node[i]->id, NULL, on_patience);
    }
    list_push(&net->wires, &wire->link);
    return wire;
}

void wire_free(struct wire *wire)
{
    clear(&wire->pipe[0]);
    clear(&wire->pipe[1]);
    list_remove(&wire->link);
    free(wire->address);
    free(wire);
}

static uint64_t delay_us(const struct pipe *p)
{
    const struct sim_net *net = p->wire->net;
    bool usual = net->faults.delay_max_us == 0;
    return net->slow_us[source(p)->id][target(p)->id] +
           sched_random(net->sched, usual ? DELAY_MIN_US : net->faults.delay_min_us,
                        usual ? DELAY_MAX_US : net->faults.delay_max_us);
}

/* By arrival; behind those of the same time. */
static void put_under_way(struct pipe *p, struct unit *unit)
{
    struct list *before = p->units.prev;
    while (before != &p->units && CONTAINER_OF(before, struct unit, link)->at_us > unit->at_us) {
        before = before->prev;
    }
    list_push(before->next, &unit->link);
    p->in_flight += unit->n;
    if (before == &p->units) {
        schedule_first(p);
    }
}

static void put_late(struct pipe *p, struct unit *unit)
{
    struct sched *s = p->wire->net->sched;
    unit->at_us = s->now_us + delay_us(p) + sched_random(s, 0, LATE_MAX_US);
    put_under_way(p, unit);
}

static void put_in_order(struct pipe *p, struct unit *unit)
{
    uint64_t at_us = p->wire->net->sched->now_us + delay_us(p);
    at_us = at_us > p->last_us ? at_us : p->last_us;
    p->last_us = unit->at_us = at_us + unit->n / SIM_NET_BYTES_PER_US;
    put_under_way(p, unit);
}

static void corrupt(struct sim_net *net, struct unit *unit)
{
    net->counters.corrupted++;
    for (uint64_t i = sched_random(net->sched, 1, 3); i > 0; i--) {
        uint64_t bit = sched_random(net->sched, 0, unit->n * 8 - 1);
        unit->bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

void wire_send(struct wire *wire, unsigned side, enum unit_kind kind, uint8_t *bytes, size_t n)
{
    struct pipe *p = &wire->pipe[side];
    struct sim_net *net = wire->net;
    struct unit *unit = unit_new(kind, bytes, n);
    bool spared = kind != UNIT_DATA || p->sent++ < SIM_NET_SPARED;
    net->counters.units += kind == UNIT_DATA;
    net->counters.bytes += n;
    if (!spared && sched_chance(net->sched, net->faults.drop)) {
        net->counters.dropped++;
        unit_free(unit);
        return;
    }
    if (!spared && sched_chance(net->sched, net->faults.duplicate)) {
        net->counters.duplicated++;
        put_late(p, unit_new(kind, memcpy(sim_alloc(n), bytes, n), n));
    }
    if (n > 0 && sched_chance(net->sched, net->faults.corrupt)) {
        corrupt(net, unit);
    }
    if (!spared && sched_chance(net->sched, net->faults.reorder)) {
        net->counters.reordered++;
        put_late(p, unit);
    } else {
        put_in_order(p, unit);
    }
}

bool wire_has_room(const struct wire *wire, unsigned side, size_t n)
{
    size_t in_flight = wire->pipe[side].in_flight;
    return in_flight == 0 || in_flight + n <= SIM_NET_WINDOW;
}

static void release(struct pipe *p, size_t n)
{
    p->in_flight -= n;
    if (p->sender != NULL) {
        sim_conn_kick(p->sender);
    }
}

void wire_read(struct wire *wire, unsigned side, size_t n)
{
    struct pipe *p = &wire->pipe[1 - side];
    if (n > p->in_flight) {
        return; /* the sender has given up since */
    }
    if (acks_wait(p)) {
        p->unacknowledged += n;
    } else {
        release(p, n);
    }
}

void wire_leave(struct wire *wire, unsigned side)
{
    wire->pipe[side].sender = NULL;
    free_if_over(wire);
}

void wire_lose_power(struct wire *wire, unsigned side)
{
    struct pipe *p = &wire->pipe[side];
    struct sched *s = wire->net->sched;
    if (p->stalled) {
        clear(p);
    }
    sched_cancel(s, &p->patience);
    while (!list_empty(&p->units) && sched_random(s, 0, 3) != 0) {
        unit_free(CONTAINER_OF(p->units.prev, struct unit, link));
    }
    if (list_empty(&p->units)) {
        sched_cancel(s, &p->arrive);
    }
    if (!source(p)->mute) {
        wire_send(wire, side, UNIT_RST, NULL, 0);
    }
    wire_leave(wire, side);
}

static void refresh(struct pipe *p)
{
    struct sched *s = p->wire->net->sched;
    if (p->stalled && is_cut(p)) {
        lose_patience_later(p);
    } else if (p->stalled && !is_clogged(p)) {
        p->stalled = false;
        sched_after(s, &p->arrive, sched_random(s, RETRANSMIT_MIN_US, RETRANSMIT_MAX_US));
    }
    if (!(p->stalled && is_cut(p)) && !acks_are_cut(p)) {
        sched_cancel(s, &p->patience);
    }
    if (!p->stalled && !acks_wait(p)) {
        size_t n = p->unacknowledged;
        p->unacknowledged = 0;
        if (n > 0) {
            release(p, n);
        }
    }
}

void wires_refresh(struct sim_net *net)
{
    LIST_EACH (&net->wires, l) {
        struct wire *wire = CONTAINER_OF(l, struct wire, link);
        refresh(&wire->pipe[0]);
        refresh(&wire->pipe[1]);
    }
}
