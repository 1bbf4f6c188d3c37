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

static void the_last_record_that_was_durable_comes_back(void **state)
{
    struct scene *s = *state;
    start(s, 40);
    struct group_node *node = group_follower(&s->group, 0);
    uint64_t last = status_of(node).log_last;

    group_kill(node);
    surgeon_damage_group(disk_of(node), log_dir, last);
    group_boot(node);

    assert_true(is(node, "recovering"));
    assert_int_equal(status_of(node).log_last, last);
    assert_int_equal(status_of(node).log_lost, 1);
    expect_whole(s);
}

static void a_lost_segment_comes_back(void **state)
{
    struct scene *s = *state;
    start(s, 60);
    struct group_node *node = group_follower(&s->group, 0);

    group_kill(node);
    surgeon_damage_segment(disk_of(node), log_dir, 20);
    group_boot(node);

    assert_true(is(node, "recovering"));
    assert_in_range(status_of(node).log_lost, 10, 30);
    expect_whole(s);
}

/* A majority is damaged, so there is no leader, and no copy is whole. */
static void three_logs_that_are_damaged_in_different_places_mend_each_other(void **state)
{
    struct scene *s = *state;
    start(s, 60);
    for (unsigned i = 0; i < 3; i++) {
        group_kill(&s->group.nodes[i]);
    }

    surgeon_damage_record(disk_of(&s->group.nodes[0]), log_dir, 20);
    surgeon_damage_record(disk_of(&s->group.nodes[0]), log_dir, 40);
    surgeon_damage_group(disk_of(&s->group.nodes[1]), log_dir, 30);
    surgeon_damage_segment(disk_of(&s->group.nodes[2]), log_dir, 5);
    for (unsigned i = 0; i < 3; i++) {
        group_boot(&s->group.nodes[i]);
        assert_true(is(&s->group.nodes[i], "recovering"));
        assert_true(status_of(&s->group.nodes[i]).log_lost > 0);
    }

    expect_whole(s);
}

/* Nobody has the entry any more, and without a leader nothing passes it. */
static void a_node_that_recovers_does_not_vote(void **state)
{
    struct scene *s = *state;
    start(s, 40);
    struct group_node *nodes = s->group.nodes;
    for (unsigned i = 0; i < 3; i++) {
        group_kill(&nodes[i]);
    }

    for (unsigned i = 0; i < 3; i++) {
        surgeon_damage_record(disk_of(&nodes[i]), log_dir, 20);
    }
    for (unsigned i = 0; i < 3; i++) {
        group_boot(&nodes[i]);
    }
    uint64_t term = status_of(&nodes[0]).term;
    group_run_ms(&s->group, 20000);

    for (unsigned i = 0; i < 3; i++) {
        assert_true(is(&nodes[i], "recovering"));
        assert_int_equal(status_of(&nodes[i]).term, term);
        assert_int_equal(status_of(&nodes[i]).leader, 0);
        assert_int_equal(status_of(&nodes[i]).log_lost, 1);
        assert_false(status_of(&nodes[i]).ready);
    }
    ask_get(&s->a, &nodes[0], "key0");
    expect_failed(&s->a, &s->group, Q_BUSY, "this node recovers: its log is damaged");
    ask_put(&s->a, &nodes[0], "key0", "x");
    expect_failed(&s->a, &s->group, Q_BUSY, "this node recovers");
}

/* Cut off with the last entries, which it alone has; the others go on without it. */
static void a_lost_entry_that_never_was_committed_is_replaced_by_what_was(void **state)
{
    struct scene *s = *state;
    start(s, 20);
    struct group_node *leader = group_leader(&s->group);
    uint64_t last = status_of(leader).log_last;
    struct asker never;
    asker_init(&never);
    group_cut(&s->group, leader, true);
    ask_put(&never, leader, "alone", "never");
    GROUP_UNTIL(&s->group, status_of(leader).log_durable >= last + 1);
    group_run_ms(&s->group, 100);
    group_kill(leader);
    GROUP_UNTIL(&s->group, group_leader(&s->group) != NULL && group_leader(&s->group) != leader);
    surgeon_damage_record(disk_of(leader), log_dir, last + 1);

    group_boot(leader);
    group_run_ms(&s->group, 3000);
    assert_true(is(leader, "recovering"));

    group_cut(&s->group, leader, false);
    write_entries(s, 5);
    expect_whole(s);
    ask_get(&s->a, leader, "alone");
    expect_shown(&s->a, &s->group, "none");
    asker_close(&never);
}

static void power_that_goes_at_any_step_of_the_repair_only_delays_it(void **state)
{
    struct scene *s = *state;
    start(s, 60);
    struct group_node *node = group_follower(&s->group, 0);
    unsigned crashes = 0;
    for (unsigned operation = 1; operation < 200; operation++) {
        group_kill(node);
        surgeon_damage_record(disk_of(node), log_dir, 20);
        surgeon_damage_group(disk_of(node), log_dir, 40);
        group_boot(node);
        assert_true(is(node, "recovering"));

        sim_node_crash_in(node->machine, operation);
        while (sim_node_env(node->machine) != NULL && is(node, "recovering") && sim_step(s->sim)) {
        }
        if (sim_node_env(node->machine) != NULL) {
            sim_node_crash_in(node->machine, 0);
            break;
        }
        crashes++;
        group_crash(node);
        group_boot(node);
        GROUP_UNTIL(&s->group, status_of(node).ready);
        assert_int_equal(status_of(node).log_lost, 0);
    }
    assert_in_range(crashes, 20, 198);
    expect_whole(s);
}

/* Nothing but what was damaged is fetched, and nothing is fetched that can be made good from what is here. */
static void a_damaged_place_that_costs_no_entry_needs_no_one(void **state)
{
    struct scene *s = *state;
    start(s, 20);
    struct group_node *node = group_follower(&s->group, 0);
    struct error e;
    group_kill(node);

    /* A segment that was made ready and not used yet. */
    assert_int_equal(sim_disk_flip(disk_of(node), "/node/log/segment-0000000000000003", 17, 0, &e), 0);
    group_cut(&s->group, node, true);
    group_boot(node);
    assert_true(is(node, "recovering"));
    assert_int_equal(status_of(node).log_lost, 0);
    GROUP_UNTIL(&s->group, !is(node, "recovering"));

    group_cut(&s->group, node, false);
    group_run_ms(&s->group, 3000);
    expect_whole(s);
}

static void a_record_that_goes_bad_while_its_node_runs_stops_it_and_comes_back(void **state)
{
    struct scene *s = *state;
    start(s, 10);
    struct group_node *behind = group_follower(&s->group, 0), *leader = group_leader(&s->group);
    group_kill(behind);
    write_entries(s, 200); /* more than the cache holds */
    assert_ptr_equal(group_leader(&s->group), leader);
    surgeon_damage_record(disk_of(leader), log_dir, 30);

    group_boot(behind); /* so that the leader reads it */
    GROUP_UNTIL(&s->group, leader->broken);
    group_crash(leader);
    group_boot(leader);

    assert_true(is(leader, "recovering"));
    assert_int_equal(status_of(leader).log_lost_first, 30);
    expect_whole(s);
}

/* Each node's damage is in a third of the log that is its own. */
static void damage_a_third(struct scene *s, unsigned i, uint64_t last)
{
    struct sim_disk *disk = disk_of(&s->group.nodes[i]);
    uint64_t low = i * last / 3 + 10, high = (i + 1) * last / 3 - 10;
    for (uint64_t n = sim_random(s->sim, 1, 4); n > 0; n--) {
        uint64_t index = sim_random(s->sim, low, high);
        struct surgeon_place place;
        if (!surgeon_find(disk, log_dir, index, &place)) {
            continue; /* lost already */
        }
        if (sim_random(s->sim, 0, 1) == 0) {
            surgeon_damage_group(disk, log_dir, index);
        } else {
            surgeon_damage_record(disk, log_dir, index);
        }
    }
}

/* With leaders that are cut off while they write, so that logs are truncated. */
static void change_leaders(struct scene *s)
{
    struct asker never;
    struct group_node *leader = group_settled(&s->group);
    asker_init(&never);
    group_cut(&s->group, leader, true);
    ask_put(&never, leader, "alone", "perhaps");
    GROUP_UNTIL(&s->group, group_leader(&s->group) != NULL && group_leader(&s->group) != leader);
    group_run_ms(&s->group, 500);
    group_cut(&s->group, leader, false);
    GROUP_UNTIL(&s->group, never.done == 1);
    asker_close(&never);
    group_run_ms(&s->group, 1000);
}

static void logs_of_many_terms_that_are_damaged_at_random_places_mend_each_other(void **state)
{
    const char *from = getenv("SEED"), *count = getenv("SEEDS");
    uint64_t seed = from != NULL ? strtoull(from, NULL, 10) : 1;
    uint64_t seeds = count != NULL ? strtoull(count, NULL, 10) : 6;
    for (uint64_t end = seed + seeds; seed < end; seed++) {
        struct scene *s = *state;
        tear_down(state);
        set_up(state);
        sim_free(s->sim);
        s->sim = sim_new(seed);
        start(s, 15);
        for (unsigned i = 0; i < 3; i++) {
            change_leaders(s);
            write_entries(s, 20);
        }
        uint64_t last = UINT64_MAX;
        for (unsigned i = 0; i < 3; i++) {
            uint64_t own = status_of(&s->group.nodes[i]).log_last;
            last = own < last ? own : last;
            group_kill(&s->group.nodes[i]);
        }

        for (unsigned i = 0; i < 3; i++) {
            damage_a_third(s, i, last);
            group_boot(&s->group.nodes[i]);
        }

        print_message("seed %llu: lost %llu, %llu, %llu of %llu\n", (unsigned long long)seed,
                      (unsigned long long)status_of(&s->group.nodes[0]).log_lost,
                      (unsigned long long)status_of(&s->group.nodes[1]).log_lost,
                      (unsigned long long)status_of(&s->group.nodes[2]).log_lost, (unsigned long long)last);
        expect_whole(s);
    }
}

static int receive(struct group_node *node, uint8_t type, const struct buf *body, struct error *e)
{
    return repair_received(node->replica->repair, 2, type, body->data, body->len, e);
}

/* A question, or the beginning of an answer. */
static void put_numbers(struct buf *b, const uint64_t *numbers, unsigned n)
{
    buf_clear(b);
    for (unsigned i = 0; i < n; i++) {
        buf_put_u64(b, numbers[i]);
    }
}

static void questions_and_answers_that_make_no_sense_are_refused_and_change_nothing(void **state)
{
    struct scene *s = *state;
    struct error e;
    struct buf b;
    start(s, 20);
    struct group_node *node = &s->group.nodes[0];
    buf_init(&b, 1024);

    put_numbers(&b, (const uint64_t[]){1, 1, 5, 7}, 4); /* cut off */
    assert_int_equal(receive(node, FRAME_REPAIR_QUESTION, &b, &e), Q_CORRUPT);
    put_numbers(&b, (const uint64_t[]){1, 1, 5, 7, 1, 1}, 6); /* too long */
    assert_int_equal(receive(node, FRAME_REPAIR_QUESTION, &b, &e), Q_CORRUPT);
    put_numbers(&b, (const uint64_t[]){1, 1, 7, 5, 1}, 5); /* backwards */
    assert_int_equal(receive(node, FRAME_REPAIR_QUESTION, &b, &e), Q_CORRUPT);
    put_numbers(&b, (const uint64_t[]){1, 1, 0, 5, 1}, 5);
    assert_int_equal(receive(node, FRAME_REPAIR_QUESTION, &b, &e), Q_CORRUPT);
    put_numbers(&b, (const uint64_t[]){1, 1, 5, UINT64_MAX, 1}, 5); /* sensible, but not here */
    assert_int_equal(receive(node, FRAME_REPAIR_QUESTION, &b, &e), 0);

    put_numbers(&b, (const uint64_t[]){1, 1}, 2);
    assert_int_equal(receive(node, FRAME_REPAIR_ANSWER, &b, &e), Q_CORRUPT);
    buf_put_u8(&b, REPAIR_ENTRIES);
    buf_put_u64(&b, 1);
    buf_put_u64(&b, 1);
    buf_put_u32(&b, UINT32_MAX); /* nobody asked: not even looked at */
    assert_int_equal(receive(node, FRAME_REPAIR_ANSWER, &b, &e), 0);

    buf_close(&b);
    write_entries(s, 1);
    expect_whole(s);
}

/* Node 3 never compacts its log; the others do. */
static void keep_the_log_of_node_3(struct group_node *node, struct replica_config *config)
{
    if (node->id == 3) {
        config->compact_bytes = UINT64_MAX / 2;
    }
}

static void what_the_others_have_compacted_is_not_needed_if_the_database_holds_it(void **state)
{
    struct scene *s = *state;
    struct group_node *nodes = s->group.nodes, *node = &nodes[2];
    s->group.on_disk = true;
    s->group.tune = keep_the_log_of_node_3;
    start(s, 10);
    while (status_of(&nodes[0]).snapshot_index < 50 || status_of(&nodes[1]).snapshot_index < 50) {
        char big[8000];
        memset(big, 'x', sizeof big - 1);
        big[sizeof big - 1] = 0;
        ask_put(&s->a, group_settled(&s->group), "big", big);
        GROUP_UNTIL(&s->group, s->a.done == 1);
        assert_in_range(status_of(&nodes[0]).log_last, 1, 1000);
    }
    group_run_ms(&s->group, 1000);
    uint64_t applied = status_of(node).applied;
    assert_int_equal(status_of(node).log_first, 1);

    group_kill(node);
    surgeon_damage_record(disk_of(node), log_dir, 1); /* the configuration */
    surgeon_damage_record(disk_of(node), log_dir, 20);
    surgeon_damage_record(disk_of(node), log_dir, applied - 1);
    group_boot(node);
    assert_true(is(node, "recovering"));

    GROUP_UNTIL(&s->group, !is(node, "recovering"));
    assert_in_range(status_of(node).log_first, 21, applied);
    assert_int_equal(status_of(node).snapshot_index, status_of(node).log_first - 1);
    expect_whole(s);

    /* It is a member like any other, also after a restart and as leader. */
    group_kill(node);
    group_boot(node);
    assert_false(is(node, "recovering"));
    expect_whole(s);
    group_kill(&nodes[0]);
    write_entries(s, 5);
    group_boot(&nodes[0]);
    expect_whole(s);
}

static void a_repair_that_had_no_room_goes_on_when_there_is_some(void **state)
{
    struct scene *s = *state;
    static char large[8000];
    start(s, 5);
    struct group_node *node = group_follower(&s->group, 0);
    memset(large, 'x', sizeof large - 1);
    for (unsigned i = 0; i < 20; i++) { /* more than a segment */
        ask_put(&s->a, group_settled(&s->group), "large", large);
        GROUP_UNTIL(&s->group, s->a.done == 1);
    }
    write_entries(s, 5);

    group_kill(node);
    surgeon_damage_record(disk_of(node), log_dir, 3);
    sim_disk_capacity(node->machine, sim_disk_used(disk_of(node)) + 96 * 1024);
    group_boot(node);
    group_run_ms(&s->group, 5000);
    assert_true(is(node, "recovering"));
    assert_true(sim_disk_counters(disk_of(node)).no_space > 0);

    sim_disk_capacity(node->machine, 0);
    expect_whole(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(a_damaged_record_in_the_middle_comes_back_from_a_peer),
        TEST(the_last_record_that_was_durable_comes_back),
        TEST(a_lost_segment_comes_back),
        TEST(three_logs_that_are_damaged_in_different_places_mend_each_other),
        TEST(a_node_that_recovers_does_not_vote),
        TEST(a_lost_entry_that_never_was_committed_is_replaced_by_what_was),
        TEST(power_that_goes_at_any_step_of_the_repair_only_delays_it),
        TEST(a_damaged_place_that_costs_no_entry_needs_no_one),
        TEST(a_record_that_goes_bad_while_its_node_runs_stops_it_and_comes_back),
        TEST(logs_of_many_terms_that_are_damaged_at_random_places_mend_each_other),
        TEST(questions_and_answers_that_make_no_sense_are_refused_and_change_nothing),
        TEST(what_the_others_have_compacted_is_not_needed_if_the_database_holds_it),
        TEST(a_repair_that_had_no_room_goes_on_when_there_is_some),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
