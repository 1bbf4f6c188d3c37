/* Who a new machine is stays who it is, whatever happens to the machine before it is let in. */
#include "node/birth.h"

#include "tests/lib/sim.h"
#include "tests/unit/test.h"

enum { SEEDS = 200 };

struct rig {
    struct sim *sim;
    struct sim_node *node;
    struct env *env;
    struct error e;
};

static void open_rig(struct rig *r, uint64_t seed)
{
    *r = (struct rig){.sim = sim_new(seed)};
    r->node = sim_node_new(r->sim, "n");
    r->env = sim_node_boot(r->node);
}

static void close_rig(struct rig *r)
{
    if (sim_node_env(r->node) != NULL) {
        sim_node_kill(r->node);
    }
    sim_free(r->sim);
}

static uint64_t take(struct rig *r)
{
    uint64_t incarnation = 0;

    if (birth_take(r->env, "data/n", &incarnation, &r->e) != 0) {
        fail_msg("%s", r->e.text);
    }
    assert_int_not_equal(incarnation, 0);
    return incarnation;
}

static void open_data(struct rig *r, uint64_t seed)
{
    open_rig(r, seed);
    assert_int_equal(env_make_dir(r->env, "data", &r->e), 0);
    assert_int_equal(env_sync_dir(r->env, "/", &r->e), 0);
}

static void a_machine_that_loses_power_is_the_same_afterwards(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct rig r;
        open_data(&r, seed);
        uint64_t first = take(&r);

        sim_node_crash(r.node);
        r.env = sim_node_boot(r.node);

        assert_int_equal(take(&r), first);
        close_rig(&r);
    }
}

static void machines_are_different(void **state)
{
    struct rig a, b;
    (void)state;

    open_data(&a, 1);
    open_data(&b, 2);

    assert_int_not_equal(take(&a), take(&b));
    close_rig(&a);
    close_rig(&b);
}

static void what_is_forgotten_is_made_anew(void **state)
{
    struct rig r;
    (void)state;
    open_data(&r, 1);
    uint64_t first = take(&r);

    assert_int_equal(birth_forget(r.env, "data/n", &r.e), 0);
    assert_int_equal(birth_forget(r.env, "data/n", &r.e), 0); /* already */

    assert_int_not_equal(take(&r), first);
    close_rig(&r);
}

static void put(struct rig *r, const char *path, const char *text)
{
    struct env_file *f;

    assert_int_equal(env_make_dir(r->env, "data/n", &r->e), 0);
    assert_int_equal(env_open(r->env, path, ENV_CREATE | ENV_WRITE, &f, &r->e), 0);
    assert_int_equal(env_write(r->env, f, 0, text, strlen(text), &r->e), 0);
    env_close(r->env, f);
}

static void a_damaged_file_is_not_guessed_at(void **state)
{
    static const char *const bad[] = {"",
                                      "quorate-joining-1 0123456789abcdef",
                                      "quorate-joining-1 0123456789abcde\n",
                                      "quorate-joining-1 0123456789abcdeg\n",
                                      "quorate-joining-1 0123456789abcdef\n\n",
                                      "quorate-joining-2 0123456789abcdef\n",
                                      "quorate-joining-1 0000000000000000\n"};
    (void)state;

    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct rig r;
        uint64_t incarnation = 7;
        open_data(&r, 1);
        put(&r, "data/n/joining", bad[i]);

        assert_int_equal(birth_take(r.env, "data/n", &incarnation, &r.e), Q_CORRUPT);

        assert_int_equal(incarnation, 7);
        assert_non_null(strstr(r.e.text, "data/n/joining"));
        close_rig(&r);
    }
}

static void what_a_write_left_half_done_is_in_nobodys_way(void **state)
{
    struct rig r;
    (void)state;
    open_data(&r, 1);
    put(&r, "data/n/joining.new", "quorate-joi");

    uint64_t first = take(&r);

    assert_int_equal(take(&r), first);
    close_rig(&r);
}

static void a_full_disk_is_told(void **state)
{
    struct rig r;
    uint64_t incarnation;
    (void)state;
    open_data(&r, 1);
    sim_node_disk_faults(r.node, &(struct sim_disk_faults){.capacity = 1});

    assert_int_equal(birth_take(r.env, "data/n", &incarnation, &r.e), Q_NO_SPACE);
    close_rig(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_that_loses_power_is_the_same_afterwards),
        cmocka_unit_test(machines_are_different),
        cmocka_unit_test(what_is_forgotten_is_made_anew),
        cmocka_unit_test(a_damaged_file_is_not_guessed_at),
        cmocka_unit_test(what_a_write_left_half_done_is_in_nobodys_way),
        cmocka_unit_test(a_full_disk_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
