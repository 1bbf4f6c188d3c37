#include "tests/unit/testlib/disk_rig.h"

void machine_start(struct machine *m, uint64_t seed)
{
    m->sim = sim_new(seed);
    m->node = sim_node_new(m->sim, "n1");
    m->env = sim_node_boot(m->node);
    assert_int_equal(env_make_dir(m->env, "/d", NULL), 0);
    assert_int_equal(env_sync_dir(m->env, "/", NULL), 0);
}

void machine_crash(struct machine *m)
{
    sim_node_crash(m->node);
    m->env = sim_node_boot(m->node);
}

struct env_file *open_file(struct machine *m, const char *path, unsigned flags)
{
    struct env_file *f;
    assert_int_equal(env_open(m->env, path, flags, &f, NULL), 0);
    return f;
}

struct env_file *make_file(struct machine *m, const char *path, unsigned flags)
{
    struct env_file *f = open_file(m, path, ENV_CREATE | ENV_WRITE | flags);
    assert_int_equal(env_sync_dir(m->env, "/d", NULL), 0);
    return f;
}

void put(struct machine *m, struct env_file *f, uint64_t offset, char byte, size_t n)
{
    char *bytes = malloc(n);
    memset(bytes, byte, n);
    assert_int_equal(env_write(m->env, f, offset, bytes, n, NULL), 0);
    free(bytes);
}

char look(struct machine *m, const char *path, uint64_t offset)
{
    struct env_file *f;
    char byte = ' ';
    size_t n;
    if (env_open(m->env, path, 0, &f, NULL) != 0) {
        return '-';
    }
    assert_int_equal(env_read(m->env, f, offset, &byte, 1, &n, NULL), 0);
    env_close(m->env, f);
    return n == 0 ? ' ' : byte == 0 ? '.' : byte;
}
