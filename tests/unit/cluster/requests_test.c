/* Requests to a cluster of three: which way they go, and what they are told. */
#include "cluster/replica_impl.h"
#include "storage/members.h"
#include "tests/unit/cluster/asker.h"

struct scene {
    struct sim *sim;
    struct group group;
    struct asker a, b, c;
};

static int set_up(void **state)
{
    static struct scene s;
    memset(&s, 0, sizeof s);
    s.sim = sim_new(11);
    group_init(&s.group, s.sim, 3);
    asker_init(&s.a);
    asker_init(&s.b);
    asker_init(&s.c);
    *state = &s;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;
    group_close(&s->group);
    sim_free(s->sim);
    asker_close(&s->a);
    asker_close(&s->b);
    asker_close(&s->c);
    return 0;
}

/* A cluster with "key" = "hello" everywhere; its leader. */
static struct group_node *start(struct scene *s)
{
    struct group_node *leader = group_settled(&s->group);
    ask_put(&s->a, leader, "key", "hello");
    expect_shown(&s->a, &s->group, "put 1");
    assert_true(s->a.logged);
    assert_int_equal(s->a.served_by, leader->id);
    return group_settled(&s->group);
}

static void read_at_level(struct scene *s, struct group_node *node, enum read_level level)
{
    s->b.request.level = level;
    ask_get(&s->b, node, "key");
    expect_shown(&s->b, &s->group, "v1 hello");
    assert_true(s->b.index >= s->a.index);
}

/* Read levels. */

static void the_leader_answers_every_level(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = start(s);

    for (enum read_level level = READ_NONE; level <= READ_STRONG; level++) {
        read_at_level(s, leader, level);
        assert_int_equal(s->b.logged, level == READ_STRONG);
        assert_int_equal(s->b.served_by, leader->id);
    }
}

static void a_follower_answers_every_level(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = start(s), *follower = group_follower(&s->group, 0);

    for (enum read_level level = READ_NONE; level <= READ_STRONG; level++) {
        read_at_level(s, follower, level);
        assert_int_equal(s->b.logged, level == READ_STRONG);
        assert_int_equal(s->b.served_by, level == READ_NONE ? follower->id : leader->id);
    }
}

static void a_linearizable_read_anywhere_sees_what_was_just_acknowledged(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = start(s);
    char value[16], shown[32];

    for (unsigned i = 2; i < 30; i++) {
        snprintf(value, sizeof value, "%u", i);
        snprintf(shown, sizeof shown, "v%u %u", i, i);
        ask_put(&s->a, i % 2 ? leader : group_follower(&s->group, 0), "key", value);
        GROUP_UNTIL(&s->group, s->a.done == 1);
        ask_get(&s->b, group_follower(&s->group, 1), "key");
        expect_shown(&s->b, &s->group, shown);
        assert_true(s->b.index >= s->a.index);
    }
}

static void reads_without_the_log_leave_it_as_it_was(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = start(s);
    uint64_t last = status_of(leader).log_last;

    read_at_level(s, leader, READ_LINEARIZABLE);
    read_at_level(s, group_follower(&s->group, 0), READ_LINEARIZABLE);
    read_at_level(s, group_follower(&s->group, 1), READ_WEAK);
    assert_int_equal(status_of(leader).log_last, last);

    read_at_level(s, group_follower(&s->group, 0), READ_STRONG);
    assert_int_equal(status_of(leader).log_last, last + 1);
}

static void a_stale_read_is_refused_where_it_is_asked_for(void **state)
{
    struct scene *s = *state;
    struct group_node *follower;

    start(s);
    follower = group_follower(&s->group, 0);
    s->b.request.freshness_us = 1500000;
    read_at_level(s, follower, READ_NONE);
    group_cut(&s->group, follower, true);
    group_run_ms(&s->group, 2000);
    ask_get(&s->b, follower, "key");
    expect_failed(&s->b, &s->group, Q_CONFLICT, "stale read");

    s->b.request.freshness_us = 0;
    read_at_level(s, follower, READ_NONE);
    s->b.request.freshness_us = 1;
    read_at_level(s, group_leader(&s->group), READ_NONE); /* the leader is never stale to itself */
}

static void a_strict_read_is_refused_where_entries_wait_that_came_late(void **state)
{
    struct scene *s = *state;
    struct group_node *leader, *follower;
    uint64_t before;

    leader = start(s);
    follower = group_follower(&s->group, 0);
    before = status_of(follower).applied;
    group_cut(&s->group, follower, true);
    for (unsigned i = 0; i < 300; i++) {
        ask_put(&s->a, leader, "key", "x");
        GROUP_UNTIL(&s->group, s->a.done == 1);
    }
    group_run_ms(&s->group, 2000);
    group_cut(&s->group, follower, false);
    GROUP_UNTIL(&s->group, status_of(follower).applied > before &&
                               status_of(follower).commit > status_of(follower).applied);

    s->b.request.level = READ_NONE;
    s->b.request.freshness_us = SECOND;
    ask_get(&s->b, follower, "key");
    s->c.request = s->b.request;
    s->c.request.freshness_strict = true;
    ask_get(&s->c, follower, "key");
    GROUP_UNTIL(&s->group, s->b.done == 1);
    assert_int_equal(s->b.code, Q_OK);
    expect_failed(&s->c, &s->group, Q_CONFLICT, "stale read");

    GROUP_UNTIL(&s->group, status_of(follower).commit == status_of(follower).applied);
    ask_get(&s->c, follower, "key");
    GROUP_UNTIL(&s->group, s->c.done == 1);
    assert_int_equal(s->c.code, Q_OK); /* all that is committed is there, however late it came */
}

static void a_node_that_never_met_a_leader_is_stale(void **state)
{
    struct scene *s = *state;

    group_cut(&s->group, &s->group.nodes[0], true);
    group_run_ms(&s->group, 1000);
    s->b.request.level = READ_NONE;
    s->b.request.freshness_us = UINT64_C(3600) * SECOND;
    ask_get(&s->b, &s->group.nodes[0], "key");
    expect_failed(&s->b, &s->group, Q_CONFLICT, "stale read");
}

/* Ways. */

static void who_asks_only_here_is_sent_on_by_a_follower(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = start(s), *follower = group_follower(&s->group, 0);

    s->b.request.only_here = true;
    read_at_level(s, follower, READ_NONE);
    for (enum read_level level = READ_WEAK; level <= READ_STRONG; level++) {
        s->b.request.level = level;
        ask_get(&s->b, follower, "key");
        expect_failed(&s->b, &s->group, Q_NOT_LEADER, "this node does not lead");
        read_at_level(s, leader, level);
    }
    ask_put(&s->b, follower, "key", "x");
    expect_failed(&s->b, &s->group, Q_NOT_LEADER, "this node does not lead");
}

static void without_a_leader_nothing_is_done(void **state)
{
    struct scene *s = *state;
    struct group_node *alone = &s->group.nodes[0];

    group_cut(&s->group, alone, true);
    group_run_ms(&s->group, 1000);
    ask_put(&s->a, alone, "key", "x");
    expect_failed(&s->a, &s->group, Q_NO_LEADER, "leader not found");
    for (enum read_level level = READ_WEAK; level <= READ_STRONG; level++) {
        s->a.request.level = level;
        for (unsigned only_here = 0; only_here < 2; only_here++) {
            s->a.request.only_here = only_here;
            ask_get(&s->a, alone, "key");
            expect_failed(&s->a, &s->group, Q_NO_LEADER, "leader not found");
        }
    }
}

static void a_write_through_a_follower_is_done_by_the_leader(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = start(s);

    ask_put(&s->b, group_follower(&s->group, 0), "key", "again");
    expect_shown(&s->b, &s->group, "put 2");
    assert_true(s->b.logged);
    assert_int_equal(s->b.served_by, leader->id);
    assert_int_equal(s->b.index, s->a.index + 1);
}

static void requests_that_come_together_share_an_entry(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = start(s);

    ask_put(&s->a, leader, "one", "1");
    ask_put(&s->b, leader, "two", "2");
    ask_put(&s->c, leader, "three", "3");
    expect_shown(&s->a, &s->group, "put 1");
    expect_shown(&s->b, &s->group, "put 1");
    expect_shown(&s->c, &s->group, "put 1");
    assert_int_equal(s->a.index, s->b.index);
    assert_int_equal(s->b.index, s->c.index);
}

static void a_read_follows_the_leadership(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = start(s), *follower = group_follower(&s->group, 0);

    group_cut(&s->group, leader, true);
    ask_get(&s->b, follower, "key"); /* asks the old leader, which does not hear it */
    GROUP_UNTIL(&s->group, s->b.done == 1);
    if (s->b.code == Q_NO_LEADER) { /* votes were split, and nobody led for long enough to be told so */
        GROUP_UNTIL(&s->group, status_of(follower).leader != leader->id && status_of(follower).leader != 0);
        ask_get(&s->b, follower, "key");
    }
    expect_shown(&s->b, &s->group, "v1 hello");
    assert_int_not_equal(s->b.served_by, leader->id);
}

static void a_write_to_a_leader_that_is_cut_off_is_unknown(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = start(s), *follower = group_follower(&s->group, 0);

    group_cut(&s->group, leader, true);
    ask_put(&s->b, follower, "key", "x");
    ask_put(&s->c, leader, "key", "y");
    expect_failed(&s->b, &s->group, Q_UNKNOWN, "may still be applied");
    expect_failed(&s->c, &s->group, Q_UNKNOWN, "may still be applied");

    group_cut(&s->group, leader, false);
    group_settled(&s->group);
    ask_get(&s->b, follower, "key");
    expect_shown(&s->b, &s->group, "v1 hello"); /* as it turned out, neither was */
}

static void a_write_with_the_old_leader_is_tried_with_the_new_one(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = start(s), *follower = group_follower(&s->group, 0);
    struct error e;

    assert_int_equal(replica_hand_over(leader->replica, follower->id, &e), 0);
    GROUP_UNTIL(&s->group, status_of(leader).leader == follower->id);
    ask_put(&s->b, leader, "key", "x");
    expect_shown(&s->b, &s->group, "put 2");
    assert_int_equal(s->b.served_by, follower->id);
}

/* SQL of any mix. */

static void a_request_that_only_reads_does_not_go_through_the_log(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = start(s), *follower = group_follower(&s->group, 0);

    ask_sql(&s->a, leader, COMMAND_SQL_EXECUTE, "CREATE TABLE t (x)");
    expect_shown(&s->a, &s->group, "write 0/0");
    group_settled(&s->group);
    ask_sql(&s->b, follower, COMMAND_SQL_REQUEST, "SELECT count(*) FROM t");
    expect_shown(&s->b, &s->group, "rows 0");
    assert_false(s->b.logged);

    s->b.request.level = READ_STRONG;
    ask_again(&s->b, follower);
    expect_shown(&s->b, &s->group, "rows 0");
    assert_true(s->b.logged);
}

static void a_request_that_writes_goes_through_the_log_whatever_its_level(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = start(s), *follower = group_follower(&s->group, 0);

    ask_sql(&s->a, leader, COMMAND_SQL_EXECUTE, "CREATE TABLE t (x)");
    expect_shown(&s->a, &s->group, "write 0/0");
    group_settled(&s->group);
    for (enum read_level level = READ_NONE; level <= READ_STRONG; level++) {
        char shown[32];
        s->b.request.level = level;
        snprintf(shown, sizeof shown, "write %d/1", (int)level + 1);
        ask_sql(&s->b, follower, COMMAND_SQL_REQUEST, "INSERT INTO t VALUES (7)");
        expect_shown(&s->b, &s->group, shown);
        assert_true(s->b.logged);
    }
}

static void a_write_to_a_table_that_a_follower_does_not_know_yet_is_done(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = start(s), *follower = group_follower(&s->group, 0);

    ask_sql(&s->a, leader, COMMAND_SQL_EXECUTE, "CREATE TABLE t (x)");
    GROUP_UNTIL(&s->group, s->a.done == 1);
    assert_true(status_of(follower).applied < s->a.index);
    ask_sql(&s->b, follower, COMMAND_SQL_REQUEST, "INSERT INTO t VALUES (7)");
    expect_shown(&s->b, &s->group, "write 1/1");
}

static void a_query_that_writes_is_refused_on_the_reader(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = start(s);

    ask_sql(&s->a, leader, COMMAND_SQL_EXECUTE, "CREATE TABLE t (x)");
    expect_shown(&s->a, &s->group, "write 0/0");
    ask_sql(&s->b, leader, COMMAND_SQL_QUERY, "INSERT INTO t VALUES (7)");
    GROUP_UNTIL(&s->group, s->b.done == 1);
    assert_non_null(strstr(s->b.shown, "error "));
    assert_false(s->b.logged);
}

/* Commands and answers. */

static void bytes_that_are_no_command_are_refused(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = start(s), *follower = group_follower(&s->group, 0);

    ask_bytes(&s->b, leader, "\x63garbage", 8);
    expect_failed(&s->b, &s->group, Q_MISMATCH, NULL);
    ask_bytes(&s->b, leader, "\x01", 1);
    expect_failed(&s->b, &s->group, Q_CORRUPT, NULL);
    ask_bytes(&s->b, follower, "", 0);
    expect_failed(&s->b, &s->group, Q_CORRUPT, NULL);
}

static unsigned formatted;
static size_t formatted_len;

static void a_client_does_not_change_the_members(void **state)
{
    struct scene *s = *state;
    const struct member_change change = {MEMBER_ADMIT, 4, 7, MEMBER_AUTO, cursor_of("d:1", 3)};
    struct group_node *leader = start(s);
    struct buf b;
    buf_init(&b, SIZE_MAX);
    command_put_member(&b, &change, 1);

    ask_bytes(&s->b, leader, b.data, b.len);
    expect_failed(&s->b, &s->group, Q_INVALID, "changes of the members have a door of their own");

    assert_true(store_members_version(leader->replica->store) == 1);
    buf_close(&b);
}

static void format(struct replica_request *request, const uint8_t *result, size_t n)
{
    struct asker *a = CONTAINER_OF(request, struct asker, request);
    assert_int_equal(a->done, 0);
    assert_non_null(result);
    formatted++;
    formatted_len = n;
}

static void who_formats_gets_the_result_of_a_reader_there(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = start(s);

    formatted = 0;
    s->b.request.format = format;
    ask_get(&s->b, leader, "key");
    GROUP_UNTIL(&s->group, s->b.done == 1);
    assert_int_equal(s->b.code, Q_OK);
    assert_true(s->b.bare);
    assert_int_equal(formatted, 1);
    assert_true(formatted_len > 5);

    ask_put(&s->b, leader, "key", "x"); /* results of the log come as they are */
    expect_shown(&s->b, &s->group, "put 2");
    assert_int_equal(formatted, 1);
}

static void a_callback_may_ask_at_once_again(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = start(s);

    ask_get(&s->c, leader, "key");
    expect_shown(&s->c, &s->group, "v1 hello");
    s->b.then = &s->c;
    s->b.then_node = leader;
    ask_put(&s->b, leader, "key", "x");
    expect_shown(&s->b, &s->group, "put 2");
    expect_shown(&s->c, &s->group, "v2 x");
}

static void a_fenced_node_answers_nothing_from_its_database(void **state)
{
    struct scene *s = *state;
    struct group_node *leader = start(s), *follower = group_follower(&s->group, 0);

    replica_scanned_wrong(follower->replica, 2);
    assert_true(status_of(follower).fenced);
    assert_false(status_of(follower).ready);
    for (enum read_level level = READ_NONE; level <= READ_LINEARIZABLE; level++) {
        s->b.request.level = level;
        ask_get(&s->b, follower, "key");
        expect_failed(&s->b, &s->group, Q_CORRUPT, "is fenced since index 2 (a scan found");
    }
    read_at_level(s, follower, READ_STRONG); /* the leader's answer is as good as ever */
    read_at_level(s, leader, READ_NONE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_leader_answers_every_level),
        TEST(a_follower_answers_every_level),
        TEST(a_linearizable_read_anywhere_sees_what_was_just_acknowledged),
        TEST(reads_without_the_log_leave_it_as_it_was),
        TEST(a_stale_read_is_refused_where_it_is_asked_for),
        TEST(a_strict_read_is_refused_where_entries_wait_that_came_late),
        TEST(a_node_that_never_met_a_leader_is_stale),
        TEST(who_asks_only_here_is_sent_on_by_a_follower),
        TEST(without_a_leader_nothing_is_done),
        TEST(a_write_through_a_follower_is_done_by_the_leader),
        TEST(requests_that_come_together_share_an_entry),
        TEST(a_read_follows_the_leadership),
        TEST(a_write_to_a_leader_that_is_cut_off_is_unknown),
        TEST(a_write_with_the_old_leader_is_tried_with_the_new_one),
        TEST(a_request_that_only_reads_does_not_go_through_the_log),
        TEST(a_request_that_writes_goes_through_the_log_whatever_its_level),
        TEST(a_write_to_a_table_that_a_follower_does_not_know_yet_is_done),
        TEST(a_query_that_writes_is_refused_on_the_reader),
        TEST(bytes_that_are_no_command_are_refused),
        TEST(a_client_does_not_change_the_members),
        TEST(who_formats_gets_the_result_of_a_reader_there),
        TEST(a_callback_may_ask_at_once_again),
        TEST(a_fenced_node_answers_nothing_from_its_database),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
