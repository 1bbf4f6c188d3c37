#include "tests/lib/sim_lane.h"

#include <stdlib.h>

#include "tests/lib/sim_env.h"

/* One piece of work: waiting -> RUN -> FINISH (the thread is free again) -> DONE. */
struct sim_work {
    struct event event;
    struct sim_world *world;
    struct env_work *work;
    struct list waiting;
    struct list link; /* in world->works */
};

enum { WAKE_MIN_US = 5, WAKE_MAX_US = 100, RUN_MAX_US = 50 };

static void on_run(struct event *ev);

static void start(struct sim_work *sw)
{
    struct sim_world *w = sw->world;
    event_init(&sw->event, EVENT_RUN, w->node->id, &w->node->running, on_run);
    sched_after(w->sched, &sw->event, sched_random(w->sched, WAKE_MIN_US, WAKE_MAX_US));
}

static void start_next(struct sim_lane *lane)
{
    struct list *next = list_pop(&lane->waiting);
    lane->busy = next != NULL;
    if (next != NULL) {
        start(CONTAINER_OF(next, struct sim_work, waiting));
    }
}

static void work_free(struct sim_work *sw)
{
    sched_cancel(sw->world->sched, &sw->event);
    list_remove(&sw->waiting);
    list_remove(&sw->link);
    free(sw);
}

static void on_done(struct event *ev)
{
    struct sim_work *sw = CONTAINER_OF(ev, struct sim_work, event);
    struct env_work *work = sw->work;
    work_free(sw);
    work->impl = NULL;
    work->done(work);
}

static void on_finish(struct event *ev)
{
    struct sim_work *sw = CONTAINER_OF(ev, struct sim_work, event);
    struct sim_world *w = sw->world;
    struct sim_lane *lane = &w->lanes[sw->work->lane];
    uint64_t at_us = w->sched->now_us + sched_random(w->sched, WAKE_MIN_US, WAKE_MAX_US);
    if (sw->work->lane != ENV_READER) {
        at_us = at_us > lane->last_done_us ? at_us : lane->last_done_us;
        lane->last_done_us = at_us;
        start_next(lane);
    }
    event_init(&sw->event, EVENT_DONE, w->node->id, &w->node->running, on_done);
    sched_at(w->sched, &sw->event, at_us);
}

static void on_run(struct event *ev)
{
    struct sim_work *sw = CONTAINER_OF(ev, struct sim_work, event);
    struct sim_world *w = sw->world;
    w->spent_us = 0;
    sw->work->run(sw->work);
    if (w->dead) {
        return;
    }
    event_init(&sw->event, EVENT_FINISH, w->node->id, w->spent_us > 0 ? &w->node->disk_works : NULL,
               on_finish);
    sched_after(w->sched, &sw->event, w->spent_us + sched_random(w->sched, 0, RUN_MAX_US));
}

void sim_lanes_init(struct sim_world *w)
{
    list_init(&w->works);
    for (unsigned i = 0; i < ENV_LANES; i++) {
        list_init(&w->lanes[i].waiting);
    }
}

void sim_lane_run(struct env *env, struct env_work *work)
{
    struct sim_world *w = sim_world_of(env);
    assert((unsigned)work->lane < ENV_LANES);
    if (w->dead) {
        return;
    }
    struct sim_lane *lane = &w->lanes[work->lane];
    struct sim_work *sw = sim_alloc(sizeof *sw);
    sw->world = w;
    sw->work = work;
    event_init(&sw->event, EVENT_RUN, w->node->id, NULL, on_run);
    list_init(&sw->waiting);
    list_push(&w->works, &sw->link);
    work->impl = sw;
    if (work->lane == ENV_READER) {
        start(sw);
        return;
    }
    list_push(&lane->waiting, &sw->waiting);
    if (!lane->busy) {
        start_next(lane);
    }
}

void sim_lanes_die(struct sim_world *w)
{
    LIST_EACH_SAFE (&w->works, l) {
        work_free(CONTAINER_OF(l, struct sim_work, link));
    }
}
