#include "node/env/env_uv.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "node/env/env_disk.h"
#include "node/env/env_lanes.h"
#include "node/env/env_listener.h"
#include "node/env/env_net.h"
#include "node/env/env_writes.h"

enum { ENV_UV_MAGIC = 0xe4710001, TIMER_MAGIC = 0x713e0001 };

/* RUNNING --env_uv_close()--> DRAINING --nothing in flight--> CLOSING --last handle--> freed */
enum env_uv_state { ENV_UV_RUNNING, ENV_UV_DRAINING, ENV_UV_CLOSING };

struct env_uv {
    struct env env;
    OBJECT_MAGIC;
    enum env_uv_state state;
    uv_loop_t *loop;
    struct env_lanes lanes;
    struct env_writes writes;
    struct env_net net;
    struct list timers, listeners;
    bool firing;      /* within a timer's callback */
    unsigned pending; /* closes that have not come yet: of timers, listeners and, at the end, of the parts */
    void (*closed)(void *owner);
    void *owner;
};

struct env_timer {
    OBJECT_MAGIC;
    struct env_uv *u;
    struct list link; /* in u->timers */
    uv_timer_t handle;
    void (*fire)(void *owner);
    void *owner;
};

/* For what starts something: once nothing is in flight any more, nothing may start either. */
static struct env_uv *usable(struct env *env)
{
    struct env_uv *u = CAST(struct env_uv, env, ENV_UV_MAGIC);

    assert(u->state != ENV_UV_CLOSING);
    return u;
}

/* ---- clock and random */

static uint64_t now_us(struct env *env)
{
    (void)env;
    return uv_hrtime() / 1000; /* the clock of the loop's timers */
}

static uint64_t wall_ms(struct env *env)
{
    struct timespec t;

    (void)env;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void random_bytes(struct env *env, void *p, size_t n)
{
    size_t got = 0;

    (void)env;
    while (got < n) {
        ssize_t r = getrandom((char *)p + got, n - got, 0);

        /* Nothing else can fail on a kernel that has io_uring or is merely from this century. */
        assert(r > 0 || errno == EINTR);
        got += r > 0 ? (size_t)r : 0;
    }
}

/* ---- timers */

static void proceed(struct env_uv *u);

static void on_fire(uv_timer_t *handle)
{
    struct env_timer *t = CAST(struct env_timer, handle->data, TIMER_MAGIC);
    struct env_uv *u = t->u;

    u->firing = true;
    t->fire(t->owner);
    u->firing = false;
}

static struct env_timer *timer_new(struct env *env, void (*fire)(void *owner), void *owner)
{
    struct env_uv *u = usable(env);
    struct env_timer *t = malloc(sizeof *t);

    if (t == NULL) {
        return NULL;
    }
    *t = (struct env_timer){.magic = TIMER_MAGIC, .u = u, .fire = fire, .owner = owner};
    uv_timer_init(u->loop, &t->handle);
    t->handle.data = t;
    list_push(&u->timers, &t->link);
    return t;
}

static void timer_start(struct env_timer *t, uint64_t at_us)
{
    uint64_t at_ms = at_us / 1000 + (at_us % 1000 != 0);
    uint64_t now_ms, delay_ms;

    assert(t->magic == TIMER_MAGIC);
    if (t->u->state != ENV_UV_RUNNING) {
        return;
    }
    /* The loop adds its own, possibly old, idea of now, which therefore cancels out. */
    now_ms = uv_now(t->u->loop);
    delay_ms = at_ms > now_ms ? at_ms - now_ms : 0;
    if (delay_ms == 0 && t->u->firing) {
        delay_ms = 1;
    }
    uv_timer_start(&t->handle, on_fire, delay_ms, 0);
}

static void timer_stop(struct env_timer *t)
{
    assert(t->magic == TIMER_MAGIC);
    uv_timer_stop(&t->handle);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct env_timer *t = CAST(struct env_timer, handle->data, TIMER_MAGIC);
    struct env_uv *u = t->u;

    t->magic = 0;
    free(t);
    u->pending--;
    proceed(u);
}

static void timer_free(struct env_timer *t)
{
    if (t == NULL) {
        return;
    }
    assert(t->magic == TIMER_MAGIC);
    list_remove(&t->link);
    t->u->pending++;
    uv_close((uv_handle_t *)&t->handle, on_timer_closed);
}

/* ---- the parts */

static void run(struct env *env, struct env_work *work)
{
    env_lanes_run(&usable(env)->lanes, work);
}

static void submit_write(struct env *env, struct env_write *write)
{
    env_writes_submit(&usable(env)->writes, write);
}

static struct env_conn *net_connect(struct env *env, const char *address,
                                    const struct env_conn_callbacks *callbacks, void *owner)
{
    return env_net_connect(&usable(env)->net, address, callbacks, owner);
}

/* One of what PENDING counts has come. */
static void on_part_closed(void *owner)
{
    struct env_uv *u = CAST(struct env_uv, owner, ENV_UV_MAGIC);

    u->pending--;
    proceed(u);
}

static int net_listen(struct env *env, const char *address, void (*accepted)(void *owner, struct env_conn *),
                      void *owner, struct env_listener **ret_listener, struct error *e)
{
    struct env_uv *u = usable(env);
    int rc;

    if (u->state != ENV_UV_RUNNING) {
        return error_set(e, Q_CLOSED, "cannot listen on %s: stopping", address);
    }
    rc = env_listener_new(&u->net, address, accepted, owner, on_part_closed, u, ret_listener, e);
    if (rc == 0) {
        list_push(&u->listeners, &(*ret_listener)->link);
    }
    return rc;
}

static void listener_close(struct env_listener *l)
{
    if (l != NULL) {
        struct env_uv *u = CAST(struct env_uv, l->ended_owner, ENV_UV_MAGIC);

        list_remove(&l->link);
        u->pending++;
        env_listener_end(l);
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
    .run = run,
    .open = env_disk_open,
    .close = env_disk_close,
    .size = env_disk_size,
    .read = env_disk_read,
    .write = env_disk_write,
    .sync = env_disk_sync,
    .rename = env_disk_rename,
    .unlink = env_disk_unlink,
    .make_dir = env_disk_make_dir,
    .sync_dir = env_disk_sync_dir,
    .list_dir = env_disk_list_dir,
    .lock = env_disk_lock,
    .space = env_disk_space,
    .submit_write = submit_write,
    .listen = net_listen,
    .listener_close = listener_close,
    .connect = net_connect,
    .conn_accept = env_net_accept,
    .send = env_net_send,
    .unsent = env_net_unsent,
    .conn_close = env_net_conn_close,
    .conn_peer = env_net_peer,
};

/* ---- start and end */

static void close_parts(struct env_uv *u)
{
    struct list *item;

    while (!list_empty(&u->timers)) {
        timer_free(CONTAINER_OF(u->timers.next, struct env_timer, link));
    }
    while ((item = list_pop(&u->listeners)) != NULL) {
        listener_close(CONTAINER_OF(item, struct env_listener, link));
    }
    u->pending += 2;
    env_lanes_close(&u->lanes, on_part_closed, u);
    env_writes_close(&u->writes, on_part_closed, u);
}

static bool is_quiet(const struct env_uv *u)
{
    return env_lanes_are_quiet(&u->lanes) && env_writes_are_quiet(&u->writes) && env_net_is_quiet(&u->net);
}

/* Takes the next step of the end, if its time has come. */
static void proceed(struct env_uv *u)
{
    void (*closed)(void *owner) = u->closed;
    void *owner = u->owner;

    if (u->state == ENV_UV_DRAINING && is_quiet(u)) {
        u->state = ENV_UV_CLOSING;
        u->pending++; /* so that nothing ends before everything is told to */
        close_parts(u);
        u->pending--;
    }
    if (u->state == ENV_UV_CLOSING && u->pending == 0) {
        u->magic = 0;
        free(u);
        if (closed != NULL) {
            closed(owner);
        }
    }
}

static void on_settled(void *owner)
{
    proceed(CAST(struct env_uv, owner, ENV_UV_MAGIC));
}

static void ignore(int signal_number)
{
    struct sigaction now, ignored = {.sa_handler = SIG_IGN};

    if (sigaction(signal_number, NULL, &now) == 0 && now.sa_handler == SIG_DFL) {
        sigaction(signal_number, &ignored, NULL);
    }
}

int env_uv_new(const struct env_uv_config *config, struct env_uv **ret, struct error *e)
{
    unsigned timeout_ms =
        config->connect_timeout_ms != 0 ? config->connect_timeout_ms : ENV_UV_CONNECT_TIMEOUT_MS;
    struct env_uv *u;
    int rc;

    if (config->readers < 1 || config->readers > ENV_UV_READERS_MAX) {
        return error_set(e, Q_INVALID, "there must be 1 to %d readers, not %u", ENV_UV_READERS_MAX,
                         config->readers);
    }
    u = calloc(1, sizeof *u);
    if (u == NULL) {
        return error_set(e, Q_NOMEM, "cannot make the environment: out of memory");
    }
    u->env.ops = &ops;
    u->magic = ENV_UV_MAGIC;
    u->loop = config->loop;
    list_init(&u->timers);
    list_init(&u->listeners);
    ignore(SIGPIPE);
    ignore(SIGXFSZ);
    env_net_init(&u->net, u->loop, timeout_ms, on_settled, u);
    rc = env_lanes_init(&u->lanes, u->loop, config->readers, on_settled, u, e);
    if (rc == 0) {
        rc = env_writes_init(&u->writes, u->loop, config->no_io_uring, on_settled, u, e);
    }
    if (rc != 0) {
        u->state = ENV_UV_DRAINING;
        proceed(u);
        return rc;
    }
    *ret = u;
    return 0;
}

struct env *env_uv_env(struct env_uv *u)
{
    return &u->env;
}

void env_uv_close(struct env_uv *u, void (*closed)(void *owner), void *owner)
{
    assert(u->magic == ENV_UV_MAGIC && u->state == ENV_UV_RUNNING);
    u->state = ENV_UV_DRAINING;
    u->closed = closed;
    u->owner = owner;
    LIST_EACH (&u->timers, item) {
        timer_stop(CONTAINER_OF(item, struct env_timer, link));
    }
    LIST_EACH (&u->listeners, item) {
        env_listener_stop(CONTAINER_OF(item, struct env_listener, link));
    }
    env_net_shut(&u->net);
    proceed(u);
}

const char *env_uv_writes(const struct env_uv *u)
{
    return u->writes.by_thread ? u->writes.why_thread : "io_uring";
}

uint16_t env_uv_listener_port(const struct env_listener *l)
{
    return env_listener_port(l);
}
