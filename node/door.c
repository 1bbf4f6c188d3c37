#include "node/door.h"

#include "base/plant.h"

static void enter_all(struct door *d)
{
    struct list mine, *link;

    pthread_mutex_lock(&d->lock);
    list_take(&mine, &d->visits);
    pthread_mutex_unlock(&d->lock);
    while ((link = list_pop(&mine)) != NULL) {
        struct door_visit *visit = CONTAINER_OF(link, struct door_visit, link);
        visit->enter(visit);
    }
}

static void on_wake(uv_async_t *wake)
{
    enter_all(wake->data);
}

int door_open(struct door *d, uv_loop_t *loop, struct error *e)
{
    int rv = uv_async_init(loop, &d->wake, on_wake);
    if (rv != 0) {
        return error_set(e, Q_IO, "wake-up handle: %s", uv_strerror(rv));
    }
    d->wake.data = d;
    d->closed = false;
    list_init(&d->visits);
    pthread_mutex_init(&d->lock, NULL);
    return 0;
}

void door_close(struct door *d)
{
    pthread_mutex_lock(&d->lock);
    d->closed = !PLANTED("closed_doors_let_in");
    pthread_mutex_unlock(&d->lock);
    enter_all(d);
    uv_close((uv_handle_t *)&d->wake, NULL);
}

void door_destroy(struct door *d)
{
    pthread_mutex_destroy(&d->lock);
}

bool door_push(struct door *d, struct door_visit *visit)
{
    bool open;

    pthread_mutex_lock(&d->lock);
    open = !d->closed;
    if (open) {
        list_push(&d->visits, &visit->link);
        uv_async_send(&d->wake);
    }
    pthread_mutex_unlock(&d->lock);
    return open;
}
