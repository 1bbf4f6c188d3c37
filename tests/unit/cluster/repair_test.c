/* Logs that are damaged while their nodes are off, and become whole again from the others. */
#include "cluster/replica_impl.h"

#include "tests/unit/cluster/asker.h"
#include "tests/unit/cluster/surgeon.h"

static const char log_dir[] = "/node/log";

struct scene {
    struct sim *sim;
    struct group group;
    struct asker a;
    unsigned written;
};

static struct scene scene;

static void tune(struct group_node *node, struct replica_config *config)
{
    (void)node;
    config->segment_bytes = 64 * 1024;
    config->cache_bytes = 16 * 1024;
}

static int set_up(void **state)
{
    memset(&scene, 0, sizeof scene);
    scene.sim = sim_new(31);
    scene.group.tune = tune;
    asker_init(&scene.a);
    *state = &scene;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;
    group_close(&s->group);
    sim_free(s->sim);
    asker_close(&s->a);
    return 0;
}

static void write_entries(struct scene *s, unsigned n)
{
    struct group_node *leader = group_settled(&s->group);
    char key[32], value[32];
    while (n-- > 0) {
        snprintf(key, sizeof key, "key%u", s->written);
        snprintf(value, sizeof value, "value%u", s->written++);
        ask_put(&s->a, leader, key, value);
        GROUP_UNTIL(&s->group, s->a.done == 1);
        assert_int_equal(s->a.code, Q_OK);
    }
    group_settled(&s->group);
    group_run_ms(&s->group, 1000); /* the durable marks follow */
}

static void start(struct scene *s, unsigned entries)
{
    group_init(&s->group, s->sim, 3);
    write_entries(s, entries);
}

static struct sim_disk *disk_of(struct group_node *node)
{
    return sim_node_disk(node->machine);
}

static bool is(const struct group_node *node, const char *state)
{
    return strcmp(status_of(node).state, state) == 0;
}

static void expect_all_written(struct scene *s, struct group_node *node)
{
    char key[32], shown[64];
    for (unsigned i = 0; i < s->written; i++) {
        snprintf(key, sizeof key, "key%u", i);
        snprintf(shown, sizeof shown, "v1 value%u", i);
        ask_get(&s->a, node, key);
        expect_shown(&s->a, &s->group, shown);
    }
}

static void expect_whole(struct scene *s)
{
    uint64_t last = status_of(group_settled(&s->group)).commit;
    for (unsigned i = 0; i < s->group.count; i++) {
        struct group_node *node = &s->group.nodes[i];
        GROUP_UNTIL(&s->group, status_of(node).ready && status_of(node).applied >= last);
        assert_int_equal(status_of(node).log_lost, 0);
        expect_all_written(s, node);
    }
}

static void a_damaged_record_in_the_middle_comes_back_from_a_peer(void **state)
{
    struct scene *s = *state;
    start(s, 40);
    struct group_node *node = group_follower(&s->group, 0);

    group_kill(node);
    surgeon_damage_record(disk_of(node), log_dir, 20);
    group_boot(node);

    assert_true(is(node, "recovering"));
    assert_int_equal(status_of(node).log_lost, 1);
    assert_int_equal(status_of(node).log_lost_first, 20);
    expect_whole(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_damaged_record_in_the_middle_comes_back_from_a_peer, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
