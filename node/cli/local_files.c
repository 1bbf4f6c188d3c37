#include "node/cli/local_files.h"

#include <stdlib.h>
#include <uv.h>

#include "node/env/env_uv.h"

struct local_files {
    uv_loop_t loop;
    struct env_uv *world;
};

static void closed(void *owner)
{
    (void)owner;
}

/* Also after env_uv_new() failed, which may have left handles that close. */
static void end_loop(struct local_files *f)
{
    uv_run(&f->loop, UV_RUN_DEFAULT);
    uv_loop_close(&f->loop);
    free(f);
}

int local_files_open(struct local_files **ret_files, struct error *e)
{
    struct env_uv_config config = {.readers = 1, .no_io_uring = true};
    struct local_files *f = calloc(1, sizeof *f);

    if (f == NULL || uv_loop_init(&f->loop) != 0) {
        free(f);
        return error_set(e, Q_NOMEM, "out of memory for an event loop");
    }
    config.loop = &f->loop;
    int rv = env_uv_new(&config, &f->world, e);
    if (rv != 0) {
        end_loop(f);
        return rv;
    }
    *ret_files = f;
    return 0;
}

void local_files_close(struct local_files *f)
{
    if (f != NULL) {
        env_uv_close(f->world, closed, NULL);
        end_loop(f);
    }
}

struct env *local_files_env(struct local_files *f)
{
    return env_uv_env(f->world);
}
