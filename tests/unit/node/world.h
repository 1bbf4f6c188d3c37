/* world: an env_uv on a loop of its own, a directory of its own and a deadline, for the tests of node/env_*.
 */
#ifndef QUORATE_TEST_WORLD_H
#define QUORATE_TEST_WORLD_H

#include "tests/unit/test.h"

#include <ftw.h>
#include <stdbool.h>
#include <unistd.h>
#include <uv.h>

#include "node/env/env_uv.h"

enum { WORLD_DEADLINE_MS = 20000, WORLD_TICK_MS = 10 };

struct world {
    uv_loop_t loop;
    uv_timer_t tick; /* so that one run of the loop ends even if nothing happens */
    uint64_t deadline_ms;
    bool late;
    struct env_uv *u;
    struct env *env;
    unsigned closed;
    char dir[64];
};

static inline void world_on_tick(uv_timer_t *tick)
{
    struct world *w = tick->data;

    w->late = uv_now(&w->loop) > w->deadline_ms;
}

static inline void world_open(struct world *w, const struct env_uv_config *how)
{
    struct env_uv_config config = *how;
    struct error e;

    memset(w, 0, sizeof *w);
    strncpy(w->dir, "/tmp/quorate-env-XXXXXX", sizeof w->dir - 1);
    assert_non_null(mkdtemp(w->dir));
    assert_int_equal(uv_loop_init(&w->loop), 0);
    w->deadline_ms = uv_now(&w->loop) + WORLD_DEADLINE_MS;
    uv_timer_init(&w->loop, &w->tick);
    w->tick.data = w;
    uv_timer_start(&w->tick, world_on_tick, WORLD_TICK_MS, WORLD_TICK_MS);
    uv_unref((uv_handle_t *)&w->tick);
    config.loop = &w->loop;
    config.readers = how->readers != 0 ? how->readers : 2;
    assert_int_equal(env_uv_new(&config, &w->u, &e), 0);
    w->env = env_uv_env(w->u);
}

/* Runs the loop until *COUNT reaches WANTED. */
static inline void run_until(struct world *w, const unsigned *count, unsigned wanted)
{
    while (*count < wanted) {
        assert_false(w->late);
        uv_run(&w->loop, UV_RUN_ONCE);
    }
}

static inline void world_on_closed(void *owner)
{
    ((struct world *)owner)->closed++;
}

static inline int world_remove(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

/* Begins the end of the env. */
static inline void world_end(struct world *w)
{
    env_uv_close(w->u, world_on_closed, w);
    w->u = NULL;
    assert_int_equal(w->closed, 0);
}

/* Ends the env, unless that was begun, waits for it and proves that nothing is left on the loop. */
static inline void world_close(struct world *w)
{
    if (w->u != NULL) {
        world_end(w);
    }
    run_until(w, &w->closed, 1);
    uv_close((uv_handle_t *)&w->tick, NULL);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(w->closed, 1);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    nftw(w->dir, world_remove, 8, FTW_DEPTH | FTW_PHYS);
}

/* DIR/NAME; valid until the next call. */
static inline const char *world_path(const struct world *w, const char *name)
{
    static char path[128];

    snprintf(path, sizeof path, "%s/%s", w->dir, name);
    return path;
}

#endif
