/* Power goes while an image becomes the database: after any crash the old or the new one is complete. */
#include "tests/unit/cluster/ship_scene.h"

static int set_up(void **state)
{
    *state = ship_scene_new(22);
    return 0;
}

static int tear_down(void **state)
{
    ship_scene_free(*state);
    return 0;
}

static void power_may_go_at_any_step_of_it(void **state)
{
    struct ship_scene *s = *state;
    unsigned crashes = 0;
    bool through = false;

    s->rows = 2000;
    ship_start(s, 3);
    struct group_node *away = ship_send_away(s);
    for (unsigned step = 1; !through; step += step < 40 ? 1 : step / 20) {
        uint64_t deadline = sim_now_us(s->sim) + 60 * (uint64_t)SECOND;
        uint64_t first = status_of(group_leader(&s->group)).log_first;
        group_boot(away);
        sim_node_crash_in(away->machine, step);
        while (!through && sim_node_env(away->machine) != NULL) {
            assert_true(sim_now_us(s->sim) < deadline && sim_step(s->sim));
            through = sim_node_env(away->machine) != NULL && status_of(away).applied >= first;
        }
        if (!through) {
            crashes++;
            group_crash(away);
            ship_write_past(s, status_of(group_leader(&s->group)).applied);
        }
    }
    assert_in_range(crashes, 21, 500);
    sim_node_crash_in(away->machine, 0);
    ship_settled(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(power_may_go_at_any_step_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
