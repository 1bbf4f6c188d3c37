#include "tests/lib/sim_env.h"

#include <stdlib.h>

#include "tests/lib/sim_conn.h"
#include "tests/lib/sim_handle.h"
#include "tests/lib/sim_listener.h"

#define TIMER_MAGIC 0x5eed0004u

struct env_timer {
    OBJECT_MAGIC;
    struct event event;
    struct sim_world *world;
    void (*fire)(void *owner);
    void *owner;
    uint64_t at_us;   /* on the node's clock */
    struct list link; /* in world->timers */
};

enum { TIMER_LATE_MAX_US = 100, CLOCK_RIGHT = 1000 };

/* Beyond it a timer is as good as never, and products overflow. */
static const uint64_t FAR_US = UINT64_MAX / (CLOCK_RIGHT * 4);

static const uint64_t WALL_START_MS = 1700000000000;

struct sim_world *sim_world_of(struct env *env)
{
    return CAST(struct sim_world, env, SIM_WORLD_MAGIC);
}

static uint64_t now_us(struct env *env)
{
    struct sim_world *w = sim_world_of(env);
    return w->clock_us + (w->sched->now_us - w->clock_set_us) * w->node->clock_rate / CLOCK_RIGHT;
}

static uint64_t wall_ms(struct env *env)
{
    struct sim_world *w = sim_world_of(env);
    return WALL_START_MS + w->sched->now_us / 1000 + (uint64_t)w->node->wall_offset_ms;
}

static void random_bytes(struct env *env, void *p, size_t n)
{
    rng_fill(&sim_world_of(env)->random, p, n);
}

static void on_timer(struct event *ev)
{
    struct env_timer *t = CONTAINER_OF(ev, struct env_timer, event);
    t->fire(t->owner);
}

static struct env_timer *timer_new(struct env *env, void (*fire)(void *owner), void *owner)
{
    struct sim_world *w = sim_world_of(env);
    struct env_timer *t = sim_alloc(sizeof *t);
    t->magic = TIMER_MAGIC;
    t->world = w;
    t->fire = fire;
    t->owner = owner;
    event_init(&t->event, EVENT_TIMER, w->node->id, &w->node->running, on_timer);
    list_push(&w->timers, &t->link);
    return t;
}

/* Never early on the node's own clock. */
static void schedule(struct env_timer *t)
{
    struct sim_world *w = t->world;
    uint64_t now = now_us(&w->env), rate = w->node->clock_rate;
    uint64_t from_now = t->at_us > now ? t->at_us - now : 0;
    from_now = from_now < FAR_US ? (from_now * CLOCK_RIGHT + rate - 1) / rate : from_now;
    sched_after(w->sched, &t->event, from_now + sched_random(w->sched, 0, TIMER_LATE_MAX_US));
}

void sim_world_clock_rate(struct sim_world *w, unsigned permille)
{
    w->clock_us = now_us(&w->env);
    w->clock_set_us = w->sched->now_us;
    w->node->clock_rate = permille;
    LIST_EACH (&w->timers, l) {
        struct env_timer *t = CONTAINER_OF(l, struct env_timer, link);
        if (t->event.slot != 0) {
            schedule(t);
        }
    }
}

static void timer_start(struct env_timer *t, uint64_t at_us)
{
    struct sim_world *w = CAST(struct env_timer, t, TIMER_MAGIC)->world;
    if (!w->dead) {
        t->at_us = at_us;
        schedule(t);
    }
}

static void timer_stop(struct env_timer *t)
{
    sched_cancel(CAST(struct env_timer, t, TIMER_MAGIC)->world->sched, &t->event);
}

static void timer_free(struct env_timer *t)
{
    if (t != NULL) {
        timer_stop(t);
        list_remove(&t->link);
        t->magic = 0;
        free(t);
    }
}

static const struct env_ops ops = {
    .now_us = now_us,
    .wall_ms = wall_ms,
    .random = random_bytes,
    .timer_new = timer_new,
    .timer_start = timer_start,
    .timer_stop = timer_stop,
    .timer_free = timer_free,
    .run = sim_lane_run,
    .open = sim_handle_open,
    .close = sim_handle_close,
    .size = sim_handle_size,
    .read = sim_handle_read,
    .write = sim_handle_write,
    .sync = sim_handle_sync,
    .rename = sim_handle_rename,
    .unlink = sim_handle_unlink,
    .make_dir = sim_handle_make_dir,
    .sync_dir = sim_handle_sync_dir,
    .list_dir = sim_handle_list_dir,
    .lock = sim_handle_lock,
    .space = sim_handle_space,
    .submit_write = sim_handle_submit_write,
    .listen = sim_listener_open,
    .listener_close = sim_listener_close,
    .connect = sim_conn_connect,
    .conn_accept = sim_conn_accept,
    .send = sim_conn_send,
    .unsent = sim_conn_unsent,
    .conn_close = sim_conn_close,
    .conn_peer = sim_conn_peer,
};

struct sim_world *sim_world_new(struct sim_node *node)
{
    struct sim_world *w = sim_alloc(sizeof *w);
    w->env.ops = &ops;
    w->magic = SIM_WORLD_MAGIC;
    w->node = node;
    w->sched = node->sched;
    w->clock_us = sched_random(w->sched, 0, UINT32_MAX);
    w->clock_set_us = w->sched->now_us;
    rng_init(&w->random, sched_random(w->sched, 0, UINT64_MAX));
    list_init(&w->timers);
    list_init(&w->link);
    sim_lanes_init(w);
    sim_handles_init(w);
    sim_listeners_init(w);
    sim_conns_init(w);
    return w;
}

void sim_world_die(struct sim_world *w, bool power_loss)
{
    w->dead = true;
    LIST_EACH (&w->timers, l) {
        timer_stop(CONTAINER_OF(l, struct env_timer, link));
    }
    sim_lanes_die(w);
    sim_handles_die(w, power_loss);
    sim_listeners_die(w);
    sim_conns_die(w, power_loss);
}

void sim_world_free(struct sim_world *w)
{
    assert(w->dead);
    LIST_EACH_SAFE (&w->timers, l) {
        timer_free(CONTAINER_OF(l, struct env_timer, link));
    }
    sim_handles_free(w);
    sim_listeners_free(w);
    sim_conns_free(w);
    w->magic = 0;
    free(w);
}
