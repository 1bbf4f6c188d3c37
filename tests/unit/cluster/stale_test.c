/* Disks that were put back to an older state, and directories that lost who they are: what they refuse. */
#include "cluster/replica_impl.h"
#include "tests/unit/cluster/asker.h"

enum { SAVED_MS = 6000 }; /* by then all have saved what they remember */

struct scene {
    struct sim *sim;
    struct group group;
    struct asker a;
    struct sim_disk_copy *copy, *newest;
};

static struct scene scene;

static int set_up(void **state)
{
    memset(&scene, 0, sizeof scene);
    scene.sim = sim_new(21);
    group_init(&scene.group, scene.sim, 3);
    asker_init(&scene.a);
    *state = &scene;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;
    group_close(&s->group);
    sim_disk_copy_free(s->copy);
    sim_disk_copy_free(s->newest);
    sim_free(s->sim);
    asker_close(&s->a);
    return 0;
}

static void put(struct scene *s, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        GROUP_UNTIL(&s->group, group_leader(&s->group) != NULL);
        ask_put(&s->a, group_leader(&s->group), "key", "value");
        GROUP_UNTIL(&s->group, s->a.done == 1);
        assert_int_equal(s->a.code, Q_OK);
    }
}

static void restore(struct group_node *node, const struct sim_disk_copy *copy)
{
    sim_disk_restore(node->machine, copy);
    group_boot(node);
}

/* It stops by itself; the others go on without it. */
static void expect_stops(struct scene *s, struct group_node *node)
{
    GROUP_UNTIL(&s->group, node->broken);
    assert_true(node->replica->dead);
    put(s, 1);
}

static void expect_boot_refused(struct scene *s, struct group_node *node, const char *text)
{
    s->group.failure[0] = '\0';
    group_boot(node);
    if (strstr(s->group.failure, text) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", s->group.failure, text);
    }
    assert_null(node->replica);
    group_run_ms(&s->group, 100);
    sim_node_kill(node->machine);
}

static void switch_all_off(struct scene *s)
{
    for (unsigned i = 0; i < s->group.count; i++) {
        group_kill(&s->group.nodes[i]);
    }
}

/* The copy has the number of a boot that led another life. */
static void a_disk_from_before_the_last_start_is_found_by_its_boot(void **state)
{
    struct scene *s = *state;
    struct group_node *node;

    put(s, 1);
    group_settled(&s->group);
    node = group_follower(&s->group, 0);
    group_kill(node);
    s->copy = sim_disk_copy(node->machine);
    group_boot(node);
    group_settled(&s->group);
    group_kill(node);

    restore(node, s->copy);

    expect_stops(s, node);
}

/* Taken while it ran: the restored disk starts with a number that nobody has seen. */
static void a_disk_that_lacks_acknowledged_entries_is_found_by_its_log(void **state)
{
    struct scene *s = *state;
    struct group_node *node;

    put(s, 1);
    group_settled(&s->group);
    node = group_follower(&s->group, 0);
    s->copy = sim_disk_copy(node->machine);
    put(s, 5);
    group_settled(&s->group);
    group_kill(node);

    restore(node, s->copy);

    expect_stops(s, node);
}

static void a_disk_that_forgot_a_term_is_found_by_it(void **state)
{
    struct scene *s = *state;
    struct group_node *node, *leader;
    uint64_t term;
    struct error e;

    put(s, 1);
    group_settled(&s->group);
    node = group_follower(&s->group, 0);
    s->copy = sim_disk_copy(node->machine);
    leader = group_leader(&s->group);
    term = status_of(leader).term;
    assert_int_equal(consensus_transfer(leader->replica->consensus, group_follower(&s->group, 1)->id, &e), 0);
    GROUP_UNTIL(&s->group, group_leader(&s->group) != NULL && status_of(group_leader(&s->group)).term > term);
    group_settled(&s->group);
    group_kill(node);

    restore(node, s->copy);

    expect_stops(s, node);
}

/* The leader that had its acknowledgements is gone: the other follower knows from the headers of batches. */
static void a_follower_remembers_too(void **state)
{
    struct scene *s = *state;
    struct group_node *node;

    put(s, 1);
    group_settled(&s->group);
    node = group_follower(&s->group, 0);
    s->copy = sim_disk_copy(node->machine);
    put(s, 5);
    group_settled(&s->group);
    group_kill(node);
    group_kill(group_leader(&s->group));

    restore(node, s->copy);

    GROUP_UNTIL(&s->group, node->broken);
}

static void what_is_remembered_outlasts_a_restart_of_all(void **state)
{
    struct scene *s = *state;
    struct group_node *node;

    put(s, 1);
    group_settled(&s->group);
    node = group_follower(&s->group, 0);
    s->copy = sim_disk_copy(node->machine);
    put(s, 5);
    group_run_ms(&s->group, SAVED_MS);
    switch_all_off(s);

    for (unsigned i = 0; i < 3; i++) {
        if (&s->group.nodes[i] != node) {
            group_boot(&s->group.nodes[i]);
        }
    }
    restore(node, s->copy);

    expect_stops(s, node);
}

static void an_old_copy_is_refused_at_each_later_start(void **state)
{
    struct scene *s = *state;
    struct group_node *node;

    put(s, 1);
    group_settled(&s->group);
    node = group_follower(&s->group, 0);
    s->copy = sim_disk_copy(node->machine);
    put(s, 5);
    group_settled(&s->group);
    group_kill(node);
    s->newest = sim_disk_copy(node->machine);
    restore(node, s->copy);
    expect_stops(s, node);

    group_kill(node);
    expect_boot_refused(s, node, "was found to be an old copy of its node's disk");

    restore(node, s->newest);
    put(s, 1);
    group_settled(&s->group);
    assert_true(status_of(node).ready);
}

/* Crashes lose nothing that anybody remembers. */
static void nodes_that_crash_are_recognised(void **state)
{
    struct scene *s = *state;

    for (unsigned i = 0; i < 30; i++) {
        put(s, 2);
        group_run_ms(&s->group, i * 37 % 500);
        struct group_node *node = &s->group.nodes[i % 3];
        group_crash(node);
        if (i % 10 == 9) {
            group_crash(&s->group.nodes[(i + 1) % 3]);
            group_crash(&s->group.nodes[(i + 2) % 3]);
            group_boot(&s->group.nodes[(i + 1) % 3]);
            group_boot(&s->group.nodes[(i + 2) % 3]);
        }
        group_boot(node);
    }
    group_settled(&s->group);
    assert_int_equal(s->group.fatals, 0);
}

static void remove_meta(struct group_node *node)
{
    struct env *env = sim_node_boot(node->machine);
    struct error e;

    assert_int_equal(env_unlink(env, "/node/meta", &e), 0);
    assert_int_equal(env_sync_dir(env, "/node", &e), 0);
    sim_node_kill(node->machine);
}

static void a_directory_that_lost_its_meta_is_no_new_node(void **state)
{
    struct scene *s = *state;
    struct group_node *node = &s->group.nodes[1];

    put(s, 1);
    group_kill(node);
    remove_meta(node);

    expect_boot_refused(s, node, "/node/meta is missing, but /node/log is there");
    expect_boot_refused(s, node, "it must not vote any more: replace it by a new member"); /* again */
}

static void one_damaged_slot_is_healed_and_two_are_refused(void **state)
{
    struct scene *s = *state;
    struct group_node *node = &s->group.nodes[1];
    struct error e;

    put(s, 1);
    for (unsigned slot = 0; slot < 2; slot++) {
        group_kill(node);
        assert_int_equal(
            sim_disk_flip(sim_node_disk(node->machine), "/node/meta", slot * META_SLOT_BYTES + 60, 3, &e), 0);
        group_boot(node);
        group_settled(&s->group);
    }
    group_kill(node);
    for (unsigned slot = 0; slot < 2; slot++) {
        assert_int_equal(
            sim_disk_flip(sim_node_disk(node->machine), "/node/meta", slot * META_SLOT_BYTES + 60, 3, &e), 0);
    }

    expect_boot_refused(s, node, "/node/meta: both slots are damaged");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_disk_from_before_the_last_start_is_found_by_its_boot),
        TEST(a_disk_that_lacks_acknowledged_entries_is_found_by_its_log),
        TEST(a_disk_that_forgot_a_term_is_found_by_it),
        TEST(a_follower_remembers_too),
        TEST(what_is_remembered_outlasts_a_restart_of_all),
        TEST(an_old_copy_is_refused_at_each_later_start),
        TEST(nodes_that_crash_are_recognised),
        TEST(a_directory_that_lost_its_meta_is_no_new_node),
        TEST(one_damaged_slot_is_healed_and_two_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
