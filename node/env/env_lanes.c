#include "node/env/env_lanes.h"

static const char *const names[ENV_LANES] = {
    [ENV_APPLY] = "quorate-apply",
    [ENV_READER] = "quorate-reader",
    [ENV_WORKER] = "quorate-worker",
};

static void serve(struct lane *lane, struct list *taken)
{
    struct list *item;

    while ((item = list_pop(taken)) != NULL) {
        struct env_work *work = CONTAINER_OF(item, struct env_work, link);

        work->run(work);
        lane_finish(lane, item);
    }
}

static void done(struct lane *lane, struct list *item)
{
    struct env_work *work = CONTAINER_OF(item, struct env_work, link);

    (void)lane;
    work->done(work);
}

int env_lanes_init(struct env_lanes *l, uv_loop_t *loop, unsigned readers, void (*settled)(void *owner),
                   void *owner, struct error *e)
{
    *l = (struct env_lanes){0};
    while (l->started < ENV_LANES) {
        const struct lane_config config = {
            .loop = loop,
            .name = names[l->started],
            .threads = l->started == ENV_READER ? readers : 1,
            .serve = serve,
            .done = done,
            .settled = settled,
            .owner = owner,
        };
        int rc = lane_init(&l->lane[l->started], &config, e);

        if (rc != 0) {
            return rc;
        }
        l->started++;
    }
    return 0;
}

void env_lanes_run(struct env_lanes *l, struct env_work *work)
{
    assert((unsigned)work->lane < ENV_LANES);
    lane_submit(&l->lane[work->lane], &work->link);
}

bool env_lanes_are_quiet(const struct env_lanes *l)
{
    for (unsigned i = 0; i < l->started; i++) {
        if (!lane_is_quiet(&l->lane[i])) {
            return false;
        }
    }
    return true;
}

static void on_lane_closed(void *owner)
{
    struct env_lanes *l = owner;

    if (--l->closing == 0) {
        l->closed(l->owner);
    }
}

void env_lanes_close(struct env_lanes *l, void (*closed)(void *owner), void *owner)
{
    l->closed = closed;
    l->owner = owner;
    if (l->started == 0) {
        closed(owner);
        return;
    }
    l->closing = l->started;
    for (unsigned i = 0; i < l->started; i++) {
        lane_close(&l->lane[i], on_lane_closed, l);
    }
}
