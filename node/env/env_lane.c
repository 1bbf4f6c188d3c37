#include "node/env/env_lane.h"

#include <signal.h>

enum { LANE_MAGIC = 0x1a7e0001 };

/* Moves everything from FROM to the empty list TO. */
static void take_all(struct list *from, struct list *to)
{
    list_init(to);
    if (list_empty(from)) {
        return;
    }
    *to = *from;
    to->next->prev = to;
    to->prev->next = to;
    list_init(from);
}

/* Waits for work. False when there is none and there will be none. */
static bool take(struct lane *l, struct list *taken)
{
    list_init(taken);
    pthread_mutex_lock(&l->lock);
    while (list_empty(&l->queue) && !l->stop) {
        l->idle++;
        pthread_cond_wait(&l->work, &l->lock);
        l->idle--;
    }
    if (l->config.threads == 1) {
        take_all(&l->queue, taken);
    } else if (!list_empty(&l->queue)) {
        list_push(taken, list_pop(&l->queue));
    }
    pthread_mutex_unlock(&l->lock);
    return !list_empty(taken);
}

static void *lane_main(void *arg)
{
    struct lane *l = CAST(struct lane, arg, LANE_MAGIC);
    struct list taken;

    while (take(l, &taken)) {
        l->config.serve(l, &taken);
        assert(list_empty(&taken));
    }
    return NULL;
}

static void on_wake(uv_async_t *wake)
{
    struct lane *l = CAST(struct lane, wake->data, LANE_MAGIC);
    struct list finished, *item;

    pthread_mutex_lock(&l->lock);
    take_all(&l->finished, &finished);
    pthread_mutex_unlock(&l->lock);

    while ((item = list_pop(&finished)) != NULL) {
        l->in_flight--;
        l->config.done(l, item);
    }
    if (l->in_flight == 0) {
        l->config.settled(l->config.owner);
    }
}

static void join(struct lane *l)
{
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    while (l->started > 0) {
        pthread_join(l->threads[--l->started], NULL);
    }
}

static int start_threads(struct lane *l)
{
    sigset_t all, before;
    int rc = 0;

    /* Threads inherit the mask: signals are the loop's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (rc == 0 && l->started < l->config.threads) {
        rc = pthread_create(&l->threads[l->started], NULL, lane_main, l);
        if (rc == 0) {
            pthread_setname_np(l->threads[l->started], l->config.name);
            l->started++;
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

int lane_init(struct lane *l, const struct lane_config *config, struct error *e)
{
    int rc;

    assert(config->threads >= 1 && config->threads <= LANE_THREADS_MAX);
    *l = (struct lane){.magic = LANE_MAGIC, .config = *config};
    list_init(&l->queue);
    list_init(&l->finished);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->work, NULL);

    rc = start_threads(l);
    if (rc != 0) {
        rc = error_errno(e, rc, "cannot start a thread for %s", config->name);
        goto fail;
    }
    /* Last, because a handle can only be closed by running the loop. */
    rc = uv_async_init(config->loop, &l->wake, on_wake);
    if (rc != 0) {
        rc = error_errno(e, -rc, "cannot make a wake-up for %s", config->name);
        goto fail;
    }
    l->wake.data = l;
    return 0;

fail:
    join(l);
    pthread_cond_destroy(&l->work);
    pthread_mutex_destroy(&l->lock);
    l->magic = 0;
    return rc;
}

void lane_submit(struct lane *l, struct list *item)
{
    bool sleeper;

    l->in_flight++;
    pthread_mutex_lock(&l->lock);
    list_push(&l->queue, item);
    sleeper = l->idle > 0;
    pthread_mutex_unlock(&l->lock);
    if (sleeper) {
        pthread_cond_signal(&l->work);
    }
}

void lane_finish(struct lane *l, struct list *item)
{
    bool first;

    pthread_mutex_lock(&l->lock);
    first = list_empty(&l->finished);
    list_push(&l->finished, item);
    pthread_mutex_unlock(&l->lock);
    if (first) {
        uv_async_send(&l->wake);
    }
}

bool lane_is_quiet(const struct lane *l)
{
    return l->in_flight == 0;
}

static void on_closed(uv_handle_t *wake)
{
    struct lane *l = CAST(struct lane, wake->data, LANE_MAGIC);

    pthread_cond_destroy(&l->work);
    pthread_mutex_destroy(&l->lock);
    l->magic = 0;
    l->closed(l->closed_owner);
}

void lane_close(struct lane *l, void (*closed)(void *owner), void *owner)
{
    assert(l->magic == LANE_MAGIC && lane_is_quiet(l));
    l->closed = closed;
    l->closed_owner = owner;
    /* Before the wake-up goes: a thread may be between its last lane_finish() and uv_async_send(). */
    join(l);
    uv_close((uv_handle_t *)&l->wake, on_closed);
}
