/* A disk that fails: the node stops at once, says what failed where, touches the disk no more; and what was
 * acknowledged is there after a restart. */
#include "cluster/replica_impl.h"

#include "tests/unit/cluster/asker.h"

struct scene {
    struct sim *sim;
    struct group group;
    struct asker a;
    unsigned acknowledged;
    struct error fatal; /* of the node that failed last */
    char key[16];
};

static struct scene scene;

static void on_fatal(void *ctx, const struct error *why)
{
    struct group_node *node = ctx;
    assert_false(node->broken); /* called once */
    node->broken = true;
    scene.fatal = *why;
}

static void tune(struct group_node *node, struct replica_config *config)
{
    (void)node;
    config->segment_bytes = 64 * 1024;
    config->ballast_bytes = 256 * 1024;
    config->fatal = on_fatal;
}

static int set_up(void **state)
{
    memset(&scene, 0, sizeof scene);
    scene.sim = sim_new(16);
    scene.group.tune = tune;
    asker_init(&scene.a);
    *state = &scene;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;
    assert_string_equal(s->group.failure, "");
    group_close(&s->group);
    sim_free(s->sim);
    asker_close(&s->a);
    return 0;
}

static void write_some(struct scene *s, struct group_node *node, unsigned n)
{
    static char value[4 * 1024];

    memset(value, 'v', sizeof value - 1);
    for (unsigned i = 0; i < n && !node->broken; i++) {
        snprintf(s->key, sizeof s->key, "key%u", s->acknowledged);
        ask_put(&s->a, node, s->key, value);
        GROUP_UNTIL(&s->group, s->a.done == 1 || node->broken);
        s->acknowledged += s->a.done == 1 && s->a.code == Q_OK;
    }
}

static void expect_all_acknowledged(struct scene *s, struct group_node *node)
{
    assert_true(s->acknowledged > 0);
    for (unsigned i = 0; i < s->acknowledged; i++) {
        snprintf(s->key, sizeof s->key, "key%u", i);
        ask_get(&s->a, node, s->key);
        GROUP_UNTIL(&s->group, s->a.done == 1);
        if (s->a.code != Q_OK || strstr(s->a.shown, " vvvv") == NULL) {
            fail_msg("%s of %u: %s%s", s->key, s->acknowledged, s->a.shown, s->a.text);
        }
    }
}

static uint64_t operations(struct group_node *node)
{
    struct sim_disk_counters c = sim_disk_counters(sim_node_disk(node->machine));
    return c.reads + c.writes + c.syncs + c.dir_syncs;
}

/* Lets the faults strike NODE while it writes, and all goes on but for it. */
static void check_failure(struct scene *s, struct group_node *node, struct sim_disk_faults faults,
                          const char *operation)
{
    struct group_node *leader;
    struct asker other;
    uint64_t before;

    sim_node_disk_faults(node->machine, &faults);
    write_some(s, node, 100);
    assert_true(node->broken);
    assert_int_equal(s->fatal.code, Q_IO);
    assert_non_null(strstr(s->fatal.text, operation));
    assert_non_null(strstr(s->fatal.text, "/node/"));
    assert_non_null(strstr(s->fatal.text, "Input/output error"));

    /* What was under way may end; then nothing more. */
    group_run_ms(&s->group, 1);
    before = operations(node);
    leader = group_settled(&s->group);
    assert_ptr_not_equal(leader, node);
    asker_init(&other);
    ask_put(&other, leader, "other", "x");
    expect_shown(&other, &s->group, "put 1");
    group_run_ms(&s->group, 5000);
    assert_int_equal(operations(node), before);

    sim_node_disk_faults(node->machine, &(struct sim_disk_faults){.read_eio = 0});
    s->a.asking = false; /* whoever asked the node that is gone gets no answer */
    group_kill(node);
    group_boot(node);
    group_settled(&s->group);
    expect_all_acknowledged(s, node);
    asker_close(&other);
}

static void a_leader_whose_writes_fail_stops_at_once(void **state)
{
    struct scene *s = *state;
    group_init(&s->group, s->sim, 3);
    write_some(s, group_settled(&s->group), 20);

    check_failure(s, group_leader(&s->group), (struct sim_disk_faults){.write_eio = 1000000}, "write");
}

static void a_follower_whose_writes_fail_stops_at_once(void **state)
{
    struct scene *s = *state;
    group_init(&s->group, s->sim, 3);
    write_some(s, group_settled(&s->group), 20);

    check_failure(s, group_follower(&s->group, 0), (struct sim_disk_faults){.write_eio = 1000000}, "write");
}

static void a_node_whose_syncs_fail_stops_at_once(void **state)
{
    struct scene *s = *state;
    group_init(&s->group, s->sim, 3);
    write_some(s, group_settled(&s->group), 20);

    check_failure(s, group_leader(&s->group), (struct sim_disk_faults){.sync_eio = 1000000}, "sync");
}

static void a_full_disk_that_also_fails_stops_the_node(void **state)
{
    struct scene *s = *state;
    group_init(&s->group, s->sim, 3);
    write_some(s, group_settled(&s->group), 20);

    check_failure(s, group_follower(&s->group, 1),
                  (struct sim_disk_faults){.write_eio = 1000000, .capacity = 1}, "write");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_leader_whose_writes_fail_stops_at_once),
        TEST(a_follower_whose_writes_fail_stops_at_once),
        TEST(a_node_whose_syncs_fail_stops_at_once),
        TEST(a_full_disk_that_also_fails_stops_the_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
