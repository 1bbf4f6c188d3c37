#include "tests/fuzz/machine.h"

#include <string.h>

enum { DAMAGES_MAX = 8, RUN_MAX = 32 };

void machine_init(struct machine *m)
{
    m->sim = sim_new(1);
    m->node = sim_node_new(m->sim, "n");
    m->env = sim_node_boot(m->node);
    FUZZ_CHECK(env_make_dir(m->env, "data", NULL) == 0 && env_sync_dir(m->env, "/", NULL) == 0,
               "a directory can be made");
}

void machine_stop(struct machine *m)
{
    sim_node_kill(m->node);
}

void machine_close(struct machine *m)
{
    sim_free(m->sim);
}

void machine_run(struct machine *m, unsigned ms)
{
    sim_run_until(m->sim, sim_now_us(m->sim) + ms * UINT64_C(1000));
}

void machine_put(struct machine *m, const char *path, const void *p, size_t n)
{
    struct env_file *file;

    env_unlink(m->env, path, NULL);
    FUZZ_CHECK(env_open(m->env, path, ENV_CREATE | ENV_WRITE, &file, NULL) == 0, "a file can be made");
    FUZZ_CHECK(n == 0 || env_write(m->env, file, 0, p, n, NULL) == 0, "a file can be written");
    env_close(m->env, file);
}

uint8_t *machine_get(struct machine *m, const char *path, size_t *ret_n)
{
    struct env_file *file;
    uint64_t size;
    uint8_t *p;

    FUZZ_CHECK(env_open(m->env, path, 0, &file, NULL) == 0 && env_size(m->env, file, &size, NULL) == 0,
               "the file is there");
    p = malloc(size + 1);
    FUZZ_CHECK(p != NULL && env_read(m->env, file, 0, p, size, ret_n, NULL) == 0 && *ret_n == size,
               "it can be read");
    env_close(m->env, file);
    return p;
}

bool machine_damage(struct cursor *input, uint8_t *p, size_t n)
{
    uint8_t *was = malloc(n + 1);

    FUZZ_CHECK(was != NULL, "there is memory");
    memcpy(was, p, n);
    for (unsigned count = input_range(input, 0, DAMAGES_MAX); count > 0 && n > 0; count--) {
        size_t at = input_range(input, 0, (uint32_t)n - 1);
        struct cursor run = input_bytes(input, RUN_MAX);
        size_t len = cursor_left(&run) < n - at ? cursor_left(&run) : n - at;
        if (len > 0) {
            memcpy(p + at, run.p, len);
        }
    }
    bool any = memcmp(was, p, n) != 0; /* one may have undone another */
    free(was);
    return any;
}
