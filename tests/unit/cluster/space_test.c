/* Full disks, on a whole cluster: writes are refused and nothing else; what was acknowledged stays; all goes
 * on without a restart when there is room again. */
#include "cluster/replica_impl.h"

#include "tests/unit/cluster/asker.h"

enum { KIB = 1024, BALLAST = 256 * KIB, LOW = 192 * KIB, SEGMENT = 64 * KIB };

struct scene {
    struct sim *sim;
    struct group group;
    struct asker a;
    uint64_t ballast, low;
    unsigned acknowledged, refused; /* of write_some() */
    char key[16];
};

static struct scene scene;

static void tune(struct group_node *node, struct replica_config *config)
{
    (void)node;
    config->segment_bytes = SEGMENT;
    config->ballast_bytes = scene.ballast;
    config->space_min_bytes = scene.low;
}

static int set_up(void **state)
{
    memset(&scene, 0, sizeof scene);
    scene.sim = sim_new(15);
    scene.group.tune = tune;
    scene.ballast = BALLAST;
    scene.low = LOW;
    asker_init(&scene.a);
    *state = &scene;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;
    assert_int_equal(s->group.fatals, 0);
    assert_string_equal(s->group.failure, "");
    group_close(&s->group);
    sim_free(s->sim);
    asker_close(&s->a);
    return 0;
}

/* The disk of a node takes LEFT bytes more; UINT64_MAX: as many as you like. */
static void limit(struct group_node *node, uint64_t left)
{
    uint64_t capacity = left == UINT64_MAX ? 0 : sim_disk_used(sim_node_disk(node->machine)) + left;
    sim_node_disk_faults(node->machine, &(struct sim_disk_faults){.capacity = capacity});
}

static void limit_all(struct scene *s, uint64_t left)
{
    for (unsigned i = 0; i < s->group.count; i++) {
        limit(&s->group.nodes[i], left);
    }
}

struct file_seen {
    const char *path;
    uint64_t size;
    bool found;
};

static void see_file(void *ctx, const char *path, uint64_t size)
{
    struct file_seen *seen = ctx;
    if (strcmp(path, seen->path) == 0) {
        seen->found = true;
        seen->size = size;
    }
}

/* Bytes of the ballast as they are on the disk; 0: there is none. */
static uint64_t ballast_of(const struct group_node *node)
{
    struct file_seen seen = {.path = "/node/ballast"};
    sim_disk_each_file(sim_node_disk(node->machine), see_file, &seen);
    return seen.size;
}

static bool all_ballast_is(struct scene *s, uint64_t bytes)
{
    bool all = true;
    for (unsigned i = 0; i < s->group.count; i++) {
        all = all && ballast_of(&s->group.nodes[i]) == bytes;
    }
    return all;
}

static bool full(const struct group_node *node)
{
    return status_of(node).disk_full;
}

static bool all_full_are(struct scene *s, bool wanted)
{
    bool all = true;
    for (unsigned i = 0; i < s->group.count; i++) {
        all = all && full(&s->group.nodes[i]) == wanted;
    }
    return all;
}

/* A cluster with its ballast in place. */
static void start(struct scene *s, unsigned count)
{
    group_init(&s->group, s->sim, count);
    group_settled(&s->group);
    GROUP_UNTIL(&s->group, all_ballast_is(s, s->ballast));
}

static void put(struct scene *s, struct group_node *node, const char *key, const char *value)
{
    ask_put(&s->a, node, key, value);
    expect_shown(&s->a, &s->group, "put 1");
}

/* Writes N times 4 KiB, each with a key of its own, at whatever node; counts what became of them. */
static void write_some(struct scene *s, unsigned n)
{
    static char value[4 * KIB];

    memset(value, 'v', sizeof value - 1);
    for (unsigned i = 0; i < n; i++) {
        snprintf(s->key, sizeof s->key, "key%u", s->acknowledged);
        ask_put(&s->a, &s->group.nodes[i % s->group.count], s->key, value);
        GROUP_UNTIL(&s->group, s->a.done == 1);
        s->acknowledged += s->a.code == Q_OK;
        s->refused += s->a.code == Q_NO_SPACE;
        if (s->a.code != Q_OK && s->a.code != Q_NO_SPACE && s->a.code != Q_NO_LEADER &&
            s->a.code != Q_UNKNOWN) {
            fail_msg("%s", s->a.text);
        }
    }
}

static void expect_all_acknowledged(struct scene *s, struct group_node *node)
{
    for (unsigned i = 0; i < s->acknowledged; i++) {
        snprintf(s->key, sizeof s->key, "key%u", i);
        ask_get(&s->a, node, s->key);
        GROUP_UNTIL(&s->group, s->a.done == 1);
        if (s->a.code != Q_OK || strstr(s->a.shown, " vvvv") == NULL) {
            fail_msg("%s of %u: %s%s", s->key, s->acknowledged, s->a.shown, s->a.text);
        }
    }
}

static void a_full_leader_hands_over_to_a_member_that_has_room(void **state)
{
    struct scene *s = *state;
    struct group_node *leader;
    start(s, 3);
    leader = group_leader(&s->group);

    limit(leader, LOW - 1);
    GROUP_UNTIL(&s->group, group_leader(&s->group) != NULL && group_leader(&s->group) != leader);

    group_settled(&s->group);
    assert_true(full(leader));
    put(s, leader, "key", "x"); /* it forwards */
    ask_get(&s->a, leader, "key");
    expect_shown(&s->a, &s->group, "v1 x");
}

static void full_followers_stop_nobody_while_a_majority_has_room(void **state)
{
    struct scene *s = *state;
    struct group_node *follower;
    start(s, 3);
    follower = group_follower(&s->group, 0);

    limit(follower, LOW - 1);
    GROUP_UNTIL(&s->group, full(follower));
    write_some(s, 30);

    assert_int_equal(s->acknowledged, 30);
    assert_true(status_of(group_leader(&s->group)).members[follower->id - 1].disk_full);
    assert_true(status_of(follower).ready);
}

static void a_leader_refuses_what_a_majority_has_no_room_for(void **state)
{
    struct scene *s = *state;
    struct group_node *leader;
    start(s, 3);
    leader = group_leader(&s->group);

    for (unsigned i = 0; i < 2; i++) {
        limit(group_follower(&s->group, i), LOW - 1);
    }
    GROUP_UNTIL(&s->group, full(group_follower(&s->group, 0)) && full(group_follower(&s->group, 1)));
    group_run_ms(&s->group, 100);

    ask_put(&s->a, leader, "key", "x");
    expect_failed(&s->a, &s->group, Q_NO_SPACE,
                  "the disks of 2 of 3 members are full: no majority has room for a write");
    assert_ptr_equal(group_leader(&s->group), leader); /* nobody who could do better */
    ask_get(&s->a, leader, "key");
    expect_shown(&s->a, &s->group, "none");
}

static void full_disks_refuse_writes_and_nothing_else(void **state)
{
    struct scene *s = *state;
    struct group_node *leader;
    char text[128];
    start(s, 3);
    put(s, group_leader(&s->group), "key", "x");

    limit_all(s, LOW - 1);
    GROUP_UNTIL(&s->group, all_full_are(s, true));
    leader = group_leader(&s->group);
    group_run_ms(&s->group, 1100); /* the next look sees what the ballast gave */

    snprintf(text, sizeof text, "the disk of node %d is full: %d bytes are free, %d are needed",
             (int)leader->id, LOW - 1 + BALLAST, LOW + BALLAST);
    for (unsigned i = 0; i < 3; i++) {
        ask_put(&s->a, &s->group.nodes[i], "key", "y");
        expect_failed(&s->a, &s->group, Q_NO_SPACE, text);
        ask_get(&s->a, &s->group.nodes[i], "key");
        expect_shown(&s->a, &s->group, "v1 x");
        assert_true(status_of(&s->group.nodes[i]).ready);
    }
    group_kill(leader);
    GROUP_UNTIL(&s->group, group_leader(&s->group) != NULL);
    ask_get(&s->a, group_settled(&s->group), "key");
    expect_shown(&s->a, &s->group, "v1 x");
}

static void writes_pass_again_without_a_restart_when_there_is_room(void **state)
{
    struct scene *s = *state;
    start(s, 3);
    limit_all(s, LOW - 1);
    GROUP_UNTIL(&s->group, all_full_are(s, true));
    write_some(s, 3);
    assert_int_equal(s->refused, 3);

    limit_all(s, UINT64_MAX);
    GROUP_UNTIL(&s->group, all_full_are(s, false));
    group_run_ms(&s->group, 100); /* they tell each other */
    write_some(s, 30);

    assert_int_equal(s->acknowledged, 30);
    GROUP_UNTIL(&s->group, all_ballast_is(s, BALLAST));
}

static void the_ballast_is_given_up_when_the_disk_is_full(void **state)
{
    struct scene *s = *state;
    uint64_t used;
    start(s, 1);
    used = sim_disk_used(sim_node_disk(s->group.nodes[0].machine));

    limit(&s->group.nodes[0], LOW - 1);
    GROUP_UNTIL(&s->group, full(&s->group.nodes[0]) && all_ballast_is(s, 0));

    assert_int_equal(sim_disk_used(sim_node_disk(s->group.nodes[0].machine)), used - BALLAST);
    GROUP_UNTIL(&s->group, status_of(&s->group.nodes[0]).disk_ballast == 0);
}

static void a_little_room_does_not_make_the_node_waver(void **state)
{
    struct scene *s = *state;
    start(s, 1);
    limit(&s->group.nodes[0], LOW - 1);
    GROUP_UNTIL(&s->group, full(&s->group.nodes[0]) && all_ballast_is(s, 0));

    limit(&s->group.nodes[0], LOW + BALLAST - 1);
    group_run_ms(&s->group, 10000);
    assert_true(full(&s->group.nodes[0]));
    limit(&s->group.nodes[0], LOW + BALLAST);
    GROUP_UNTIL(&s->group, !full(&s->group.nodes[0]) && all_ballast_is(s, BALLAST));
    group_run_ms(&s->group, 10000);

    assert_false(full(&s->group.nodes[0]));
    assert_int_equal(s->group.fatals, 0);
}

/* Databases in memory: only the log is on the disk. */
static void nothing_acknowledged_is_lost_on_disks_that_fill_to_the_last_byte(void **state)
{
    struct scene *s = *state;
    s->ballast = 0;
    s->low = 1; /* too late on purpose: the log itself meets the end of the disk */
    start(s, 3);

    limit_all(s, 3 * SEGMENT);
    write_some(s, 300);
    assert_true(s->acknowledged > 20 && s->acknowledged < 200 && s->refused > 0);
    for (unsigned i = 0; i < 3; i++) {
        group_crash(&s->group.nodes[i]);
    }
    for (unsigned i = 0; i < 3; i++) {
        group_boot(&s->group.nodes[i]);
    }
    group_run_ms(&s->group, 5000); /* without a ballast there may be no block for a leader's first entry */

    limit_all(s, UINT64_MAX);
    GROUP_UNTIL(&s->group, all_full_are(s, false));
    group_settled(&s->group);
    write_some(s, 10);
    for (unsigned i = 0; i < 3; i++) {
        expect_all_acknowledged(s, &s->group.nodes[i]);
    }
}

/* Databases on the disk that fills, too: SQLite meets its end where the log does not, now here and now there.
 */
static void nothing_acknowledged_is_lost_when_databases_meet_the_end_of_the_disk(void **state)
{
    struct scene *s = *state;
    s->group.on_disk = true;
    s->ballast = 0;
    s->low = 1;
    start(s, 3);

    for (unsigned round = 0; round < 6; round++) {
        unsigned before = s->acknowledged;
        for (unsigned i = 0; i < 3; i++) {
            limit(&s->group.nodes[i], sim_random(s->sim, 0, 40) * 4 * KIB);
        }
        write_some(s, 60);
        for (unsigned i = 0; i < 3 && round % 2 == 1; i++) {
            group_crash(&s->group.nodes[i]);
            group_boot(&s->group.nodes[i]);
        }
        limit_all(s, UINT64_MAX);
        GROUP_UNTIL(&s->group, all_full_are(s, false));
        group_settled(&s->group);
        write_some(s, 5);
        assert_true(s->acknowledged > before);
    }

    assert_true(s->refused > 0);
    for (unsigned i = 0; i < 3; i++) {
        expect_all_acknowledged(s, &s->group.nodes[i]);
        assert_memory_equal(status_of(&s->group.nodes[0]).digest, status_of(&s->group.nodes[i]).digest,
                            DIGEST_BYTES);
    }
}

static void what_waited_for_room_is_done_when_there_is_some(void **state)
{
    struct scene *s = *state;
    s->ballast = 0;
    s->low = 1;
    s->a.request.timeout_ms = 30000;
    start(s, 1);
    write_some(s, 10);

    limit(&s->group.nodes[0], 0);
    while (!full(&s->group.nodes[0])) {
        write_some(s, 1);
    }
    uint64_t last = status_of(&s->group.nodes[0]).log_last;
    limit(&s->group.nodes[0], UINT64_MAX);
    GROUP_UNTIL(&s->group, status_of(&s->group.nodes[0]).applied == last && !full(&s->group.nodes[0]));

    write_some(s, 10);
    expect_all_acknowledged(s, &s->group.nodes[0]);
}

static void a_follower_without_room_holds_few_entries_that_are_not_durable(void **state)
{
    struct scene *s = *state;
    struct group_node *follower;
    struct replica_status status;
    s->ballast = 0;
    s->low = 1;
    start(s, 3);
    follower = group_follower(&s->group, 0);

    limit(follower, 0);
    write_some(s, 300);
    group_run_ms(&s->group, 5000);

    status = status_of(follower);
    assert_int_equal(s->acknowledged, 300);
    assert_in_range(status.log_last - status.log_durable, 1, 32); /* a window of the leader's messages */
    assert_true(status.log_last + 100 < status_of(group_leader(&s->group)).log_last);
    limit(follower, UINT64_MAX);
    group_settled(&s->group);
    expect_all_acknowledged(s, follower);
}

static void on_stopped(void *ctx)
{
    struct group_node *node = ctx;
    node->broken = true; /* it runs no more */
}

static void a_node_that_waits_for_room_stops_when_it_is_asked_to(void **state)
{
    struct scene *s = *state;
    struct group_node *node;
    s->group.on_disk = true;
    s->ballast = 0;
    s->low = 1;
    start(s, 1);
    node = &s->group.nodes[0];

    write_some(s, 5);
    limit(node, 0);
    while (!full(node)) {
        write_some(s, 1);
    }
    replica_stop(node->replica, on_stopped);
    GROUP_UNTIL(&s->group, node->broken);
    group_kill(node);
    group_boot(node);

    limit(node, UINT64_MAX);
    GROUP_UNTIL(&s->group, !full(node));
    group_settled(&s->group);
    expect_all_acknowledged(s, node);
}

static void a_node_starts_and_stops_on_a_full_disk(void **state)
{
    struct scene *s = *state;
    start(s, 3);
    write_some(s, 20);
    group_settled(&s->group);

    limit_all(s, 0);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 3; i++) {
            group_crash(&s->group.nodes[i]);
            limit(&s->group.nodes[i], 0);
        }
        for (unsigned i = 0; i < 3; i++) {
            group_boot(&s->group.nodes[i]);
            assert_true(full(&s->group.nodes[i]));
            assert_int_equal(ballast_of(&s->group.nodes[i]), 0);
        }
        group_settled(&s->group);
        expect_all_acknowledged(s, &s->group.nodes[round]);
    }
}

static void another_size_of_the_ballast_is_followed(void **state)
{
    struct scene *s = *state;
    start(s, 1);

    for (unsigned i = 0; i < 3; i++) {
        s->ballast = i == 0 ? 2 * BALLAST : i == 1 ? BALLAST / 2 : 0;
        group_kill(&s->group.nodes[0]);
        group_boot(&s->group.nodes[0]);
        GROUP_UNTIL(&s->group, all_ballast_is(s, s->ballast));
        group_run_ms(&s->group, 5000);
        assert_true(all_ballast_is(s, s->ballast));
        assert_false(full(&s->group.nodes[0]));
    }
}

static void a_start_that_makes_the_ballast_goes_on_where_it_was(void **state)
{
    struct scene *s = *state;
    s->ballast = 5 * KIB * KIB;
    group_init(&s->group, s->sim, 1);
    GROUP_UNTIL(&s->group, ballast_of(&s->group.nodes[0]) > 0);
    assert_in_range(ballast_of(&s->group.nodes[0]), 1, 2 * KIB * KIB);

    group_kill(&s->group.nodes[0]);
    group_boot(&s->group.nodes[0]);

    GROUP_UNTIL(&s->group, all_ballast_is(s, s->ballast));
}

static void a_frame_about_a_disk_that_is_not_understood_is_refused(void **state)
{
    struct scene *s = *state;
    struct error e;
    uint8_t body[9] = {2};
    start(s, 3);

    assert_int_equal(replica_space_received(s->group.nodes[0].replica, 2, body, 9, &e), Q_CORRUPT);
    body[0] = 1;
    assert_int_equal(replica_space_received(s->group.nodes[0].replica, 2, body, 8, &e), Q_CORRUPT);
    assert_false(status_of(&s->group.nodes[0]).members[1].disk_full);
    assert_int_equal(replica_space_received(s->group.nodes[0].replica, 2, body, 9, &e), 0);
    assert_true(status_of(&s->group.nodes[0]).members[1].disk_full);

    group_run_ms(&s->group, 6000); /* nobody says so any more */
    assert_false(status_of(&s->group.nodes[0]).members[1].disk_full);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_full_leader_hands_over_to_a_member_that_has_room),
        TEST(full_followers_stop_nobody_while_a_majority_has_room),
        TEST(a_leader_refuses_what_a_majority_has_no_room_for),
        TEST(full_disks_refuse_writes_and_nothing_else),
        TEST(writes_pass_again_without_a_restart_when_there_is_room),
        TEST(the_ballast_is_given_up_when_the_disk_is_full),
        TEST(a_little_room_does_not_make_the_node_waver),
        TEST(nothing_acknowledged_is_lost_on_disks_that_fill_to_the_last_byte),
        TEST(nothing_acknowledged_is_lost_when_databases_meet_the_end_of_the_disk),
        TEST(what_waited_for_room_is_done_when_there_is_some),
        TEST(a_follower_without_room_holds_few_entries_that_are_not_durable),
        TEST(a_node_that_waits_for_room_stops_when_it_is_asked_to),
        TEST(a_node_starts_and_stops_on_a_full_disk),
        TEST(another_size_of_the_ballast_is_followed),
        TEST(a_start_that_makes_the_ballast_goes_on_where_it_was),
        TEST(a_frame_about_a_disk_that_is_not_understood_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
