/* How a target gets the chunks that it lacks: a few flights at a time (there is a drawing in
 * ship_target_impl.h). */
#include <string.h>

#include "base/plant.h"
#include "cluster/ship_target_impl.h"

static struct flight *flight_of(struct ship_target *t, unsigned i)
{
    return &t->flights[i];
}

void ship_fetch_end(struct ship_target *t)
{
    for (unsigned i = 0; i < SHIP_FLIGHTS; i++) {
        flight_of(t, i)->state = FLIGHT_FREE;
        buf_clear(&flight_of(t, i)->bytes);
    }
}

void ship_fetch_begin(struct ship_target *t)
{
    ship_fetch_end(t);
    ship_givers_renew(&t->givers);
    t->cursor = 0;
    t->flag = false;
    t->state = SHIP_FETCHING;
}

/* On the worker lane. */

static void put(struct ship_target *t, struct flight *f)
{
    f->rc = f->kind == SHIP_DELTA
                ? stage_put_delta(t->stage, f->chunk, f->bytes.data, f->bytes.len, &f->error)
                : stage_put(t->stage, f->chunk, f->bytes.data, f->bytes.len, &f->error);
}

static void fill(struct ship_target *t, struct flight *f)
{
    f->filled = stage_missing(t->stage, t->cursor, &f->chunk);
    if (!f->filled) {
        t->flag = true;
        return;
    }
    t->cursor = f->chunk + 1;
    t->rc = stage_base_sums(t->stage, f->chunk, f->base, &f->has_base, &t->error);
}

void ship_fetch_on_lane(struct ship_target *t)
{
    t->rc = 0;
    for (unsigned i = 0; i < SHIP_FLIGHTS; i++) {
        struct flight *f = flight_of(t, i);
        if (f->state == FLIGHT_PUTTING) {
            f->filled = false;
            put(t, f);
        }
        if ((f->state == FLIGHT_FILLING || (f->state == FLIGHT_PUTTING && f->rc == 0)) && t->rc == 0) {
            fill(t, f);
        }
    }
}

/* On the loop. */

/* It has to be asked for once more, and whole: what is in its place may be what was wrong, or look like what
 * it should be. */
static void again(struct flight *f)
{
    f->state = FLIGHT_READY;
    f->has_base = f->has_base && PLANTED("a_delta_in_vain_is_asked_for_again");
    buf_clear(&f->bytes);
}

static void land(struct ship_target *t, struct flight *f)
{
    bool put = f->state == FLIGHT_PUTTING;

    if (put && f->rc == Q_CORRUPT) {
        ship_target_wrong(t, f->to, &f->error);
        again(f);
    } else if (put && f->rc == Q_CONFLICT) {
        again(f); /* nobody's fault */
    } else if (put && f->rc != 0) {
        f->state = FLIGHT_ANSWERED;
        t->rc = f->rc;
        t->error = f->error;
    } else {
        f->state = f->filled ? FLIGHT_READY : FLIGHT_FREE;
        buf_clear(&f->bytes);
    }
}

void ship_fetch_done(struct ship_target *t)
{
    for (unsigned i = 0; i < SHIP_FLIGHTS; i++) {
        struct flight *f = flight_of(t, i);
        if (f->state == FLIGHT_PUTTING || f->state == FLIGHT_FILLING) {
            land(t, f);
        }
    }
}

static unsigned count(struct ship_target *t, enum flight_state state)
{
    unsigned n = 0;
    for (unsigned i = 0; i < SHIP_FLIGHTS; i++) {
        n += flight_of(t, i)->state == state;
    }
    return n;
}

/* To the lane with what came, and for what else is missing. */
static void take_turn(struct ship_target *t)
{
    unsigned work = 0;

    for (unsigned i = 0; i < SHIP_FLIGHTS; i++) {
        struct flight *f = flight_of(t, i);
        if (f->state == FLIGHT_ANSWERED) {
            f->state = FLIGHT_PUTTING;
            work++;
        } else if (f->state == FLIGHT_FREE && !t->flag) {
            f->state = FLIGHT_FILLING;
            work++;
        }
    }
    if (work > 0) {
        ship_target_run(t, SHIP_FETCHING);
    }
}

static bool ask(struct ship_target *t, struct flight *f, struct ship_giver *giver)
{
    struct ship_question q = {.kind = SHIP_CHUNK,
                              .index = t->manifest.index,
                              .term = t->manifest.term,
                              .chunk = f->chunk,
                              .name = t->manifest.chunk[f->chunk],
                              .has_base = f->has_base};

    memcpy(q.base, f->base, sizeof q.base);
    if (!ship_target_ask(t, giver->id, &q)) {
        return false;
    }
    giver->heard_ms = giver->flights == 0 ? env_now_ms(t->config.env) : giver->heard_ms;
    giver->flights++;
    f->to = giver->id;
    f->number = q.number;
    f->state = FLIGHT_ASKED;
    return true;
}

/* False: nobody is left who could be asked. */
static bool ask_all(struct ship_target *t)
{
    uint64_t ids[PEERS_MAX], now = env_now_ms(t->config.env);
    unsigned n = t->config.members(t->config.ctx, ids);
    bool later = false;

    for (unsigned i = 0; i < SHIP_FLIGHTS; i++) {
        struct flight *f = flight_of(t, i);
        struct ship_giver *giver;
        if (f->state != FLIGHT_READY) {
            continue;
        }
        giver = ship_givers_pick(&t->givers, ids, n, now, &later);
        if (giver == NULL) {
            break;
        }
        if (!ask(t, f, giver)) {
            giver->wait_until_ms = now + SHIP_BUSY_MS; /* its queue is full, or it is gone */
            later = true;
        }
    }
    return later || count(t, FLIGHT_READY) == 0 || count(t, FLIGHT_ASKED) + count(t, FLIGHT_ANSWERED) > 0;
}

static void take_back(struct ship_target *t, struct ship_giver *giver)
{
    for (unsigned i = 0; i < SHIP_FLIGHTS; i++) {
        struct flight *f = flight_of(t, i);
        if (f->state == FLIGHT_ASKED && f->to == giver->id) {
            f->state = FLIGHT_READY;
        }
    }
    giver->flights = 0;
}

static void give_up_the_silent(struct ship_target *t)
{
    uint64_t now = env_now_ms(t->config.env);

    for (unsigned i = 0; i < t->givers.count; i++) {
        struct ship_giver *giver = &t->givers.of[i];
        if (giver->flights > 0 && now - giver->heard_ms >= SHIP_SILENT_MS) {
            take_back(t, giver);
            giver->has = SHIP_LACKS;
        }
    }
}

void ship_fetch_poll(struct ship_target *t)
{
    if (t->busy || env_now_ms(t->config.env) < t->again_ms) {
        return;
    }
    give_up_the_silent(t);
    if (!ask_all(t)) {
        ship_ask_begin(t); /* what is staged stays */
        ship_ask_poll(t);
    } else if (t->flag && count(t, FLIGHT_FREE) == SHIP_FLIGHTS) {
        ship_target_run(t, SHIP_VERIFYING);
    } else {
        take_turn(t);
    }
}

void ship_fetch_answered(struct ship_target *t, uint64_t from, const struct ship_answer *answer)
{
    struct ship_giver *giver = ship_givers_find(&t->givers, from);
    struct flight *f = NULL;

    for (unsigned i = 0; i < SHIP_FLIGHTS; i++) {
        if (flight_of(t, i)->state == FLIGHT_ASKED && flight_of(t, i)->to == from &&
            flight_of(t, i)->number == answer->number) {
            f = flight_of(t, i);
        }
    }
    if (f == NULL || giver == NULL || t->state != SHIP_FETCHING) {
        return; /* too late */
    }
    giver->flights--;
    giver->heard_ms = env_now_ms(t->config.env);
    if (answer->error.code == Q_OK && answer->kind != SHIP_MANIFEST) {
        giver->has = SHIP_HAS;
        f->kind = answer->kind;
        buf_clear(&f->bytes);
        buf_put_bytes(&f->bytes, answer->blob, answer->len);
        f->state = f->bytes.failed == Q_OK ? FLIGHT_ANSWERED : FLIGHT_READY;
    } else {
        f->state = FLIGHT_READY;
        if (answer->error.code == Q_BUSY) {
            giver->wait_until_ms = giver->heard_ms + SHIP_BUSY_MS;
        } else {
            giver->has = SHIP_LACKS;
        }
    }
    ship_fetch_poll(t);
}

void ship_fetch_down(struct ship_target *t, uint64_t id)
{
    struct ship_giver *giver = ship_givers_find(&t->givers, id);

    if (giver != NULL && t->state == SHIP_FETCHING) {
        take_back(t, giver);
        ship_fetch_poll(t);
    }
}
