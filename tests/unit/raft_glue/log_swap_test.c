/* Power loss at every step of the swap of two logs: there is always one of them, whole. */
#include "raft_glue/log_swap.h"
#include "tests/lib/sim.h"
#include "tests/unit/test.h"

enum { SEEDS = 60, STEPS_MAX = 64 };

struct scene {
    struct sim *sim;
    struct sim_node *node;
    struct env *env;
};

static void must(int rc, const struct error *e)
{
    if (rc != 0) {
        fail_msg("%s: %s", error_name(e->code), e->text);
    }
}

static void make_file(struct env *env, const char *dir, const char *name)
{
    char path[64];
    struct env_file *file;
    struct error e;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    must(env_open(env, path, ENV_CREATE | ENV_WRITE, &file, &e), &e);
    must(env_sync(env, file, &e), &e);
    env_close(env, file);
    must(env_sync_dir(env, dir, &e), &e);
}

/* A damaged log of two files, the one before it, and a new one. */
static void begin(struct scene *s, uint64_t seed)
{
    struct error e;
    s->sim = sim_new(seed);
    s->node = sim_node_new(s->sim, "n");
    s->env = sim_node_boot(s->node);
    must(env_make_dir(s->env, "d", &e), &e);
    must(env_sync_dir(s->env, "/", &e), &e);
    must(env_make_dir(s->env, "d/log", &e), &e);
    must(env_make_dir(s->env, "d/log.damaged", &e), &e);
    must(env_sync_dir(s->env, "d", &e), &e);
    make_file(s->env, "d/log", "old");
    make_file(s->env, "d/log.damaged", "older");
    make_file(s->env, "d/log.damaged", "oldest");
    must(log_swap_prepare(s->env, "d", &e), &e);
    make_file(s->env, "d/log.new", "new");
}

static void end(struct scene *s)
{
    if (sim_node_env(s->node) != NULL) {
        sim_node_kill(s->node);
    }
    sim_free(s->sim);
}

struct content {
    bool any, old, made;
};

static void note(void *ctx, const char *name)
{
    struct content *c = ctx;
    c->any = true;
    c->old |= strcmp(name, "old") == 0;
    c->made |= strcmp(name, "new") == 0;
}

static struct content content_of(struct env *env, const char *dir)
{
    struct content c = {0};
    struct error e;
    must(env_list_dir(env, dir, note, &c, &e), &e);
    return c;
}

static void power_may_go_at_any_step(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        bool done = false;
        for (unsigned operation = 1; !done && operation < STEPS_MAX; operation++) {
            struct scene s;
            struct error e;
            begin(&s, seed);
            sim_node_crash_in(s.node, operation);
            done = log_swap_finish(s.env, "d", &e) == 0;
            if (sim_node_env(s.node) == NULL) {
                s.env = sim_node_boot(s.node);
                done = false;
            }
            sim_node_crash_in(s.node, 0);

            must(log_swap_recover(s.env, "d", &e), &e);
            struct content log = content_of(s.env, "d/log");
            assert_true(log.old != log.made);
            assert_true(log.made || !done);
            end(&s);
        }
        assert_true(done);
    }
}

static void what_is_unfinished_is_cleared_and_never_becomes_the_log(void **state)
{
    struct scene s;
    struct error e;
    (void)state;
    begin(&s, 1);

    must(log_swap_recover(s.env, "d", &e), &e);
    assert_true(content_of(s.env, "d/log").old);
    assert_false(content_of(s.env, "d/log.new").any);

    make_file(s.env, "d/log.new", "new");
    must(env_rename(s.env, "d/log", "d/away", &e), &e);
    assert_int_equal(log_swap_recover(s.env, "d", &e), Q_CORRUPT);
    assert_non_null(strstr(e.text, "no log: it is lost"));
    end(&s);
}

static void what_was_damaged_goes_when_the_log_is_whole(void **state)
{
    struct scene s;
    struct error e;
    (void)state;
    begin(&s, 1);

    must(log_swap_finish(s.env, "d", &e), &e);
    assert_true(content_of(s.env, "d/log.damaged").old);
    must(log_swap_forget(s.env, "d", &e), &e);
    assert_false(content_of(s.env, "d/log.damaged").any);
    assert_true(content_of(s.env, "d/log").made);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(power_may_go_at_any_step),
        cmocka_unit_test(what_is_unfinished_is_cleared_and_never_becomes_the_log),
        cmocka_unit_test(what_was_damaged_goes_when_the_log_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
