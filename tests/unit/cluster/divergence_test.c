/* A row is changed behind a node's back: the odd node, and only it, is fenced. */
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cluster/replica_impl.h"
#include "tests/unit/cluster/asker.h"
#include "tests/unit/storage/behind.h"

struct scene {
    struct sim *sim;
    struct group group;
    struct asker a;
    char root[64]; /* real directory: the databases are ordinary files */
    char dirs[GROUP_MAX][16];
};

static struct scene scene;

static void tune(struct group_node *node, struct replica_config *config)
{
    config->dir = scene.dirs[node->id - 1];
    config->in_memory = false;
}

static int set_up(void **state)
{
    memset(&scene, 0, sizeof scene);
    snprintf(scene.root, sizeof scene.root, "/tmp/quorate-divergence-XXXXXX");
    assert_non_null(mkdtemp(scene.root));
    assert_int_equal(chdir(scene.root), 0);
    for (unsigned i = 0; i < GROUP_MAX; i++) {
        snprintf(scene.dirs[i], sizeof scene.dirs[i], "node%u", i + 1);
        assert_int_equal(mkdir(scene.dirs[i], 0700), 0);
    }
    scene.sim = sim_new(14);
    scene.group.tune = tune;
    asker_init(&scene.a);
    *state = &scene;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static int tear_down(void **state)
{
    struct scene *s = *state;
    group_close(&s->group);
    sim_free(s->sim);
    asker_close(&s->a);
    assert_int_equal(chdir("/"), 0);
    nftw(s->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}

/* Runs until somebody leads whom all follow and have caught up with, fenced ones, too. */
static struct group_node *settled_on(struct group *g)
{
    struct group_node *leader = group_leader(g);

    for (unsigned i = 0; leader != NULL && i < g->count; i++) {
        struct group_node *node = &g->nodes[i];
        if (node->replica != NULL &&
            (status_of(node).leader != leader->id || status_of(node).applied != status_of(leader).log_last)) {
            return NULL;
        }
    }
    return leader;
}

static struct group_node *settle(struct scene *s)
{
    GROUP_UNTIL(&s->group, settled_on(&s->group) != NULL);
    return group_leader(&s->group);
}

/* Through a node that is not fenced. */
static void write_sql(struct scene *s, const char *sql)
{
    struct group_node *at = NULL;

    GROUP_UNTIL(&s->group, group_leader(&s->group) != NULL);
    for (unsigned i = 0; i < s->group.count; i++) {
        struct group_node *node = &s->group.nodes[i];
        at = node->replica != NULL && !status_of(node).fenced ? node : at;
    }
    s->a.code = Q_NO_LEADER;
    while (s->a.code != Q_OK) { /* a leadership may be changing hands */
        ask_sql(&s->a, at, COMMAND_SQL_EXECUTE, sql);
        GROUP_UNTIL(&s->group, s->a.done == 1);
        assert_true(s->a.code == Q_OK || s->a.code == Q_NO_LEADER || s->a.code == Q_UNKNOWN);
        group_run_ms(&s->group, 50);
    }
}

static struct group_node *start(struct scene *s, unsigned count)
{
    group_init(&s->group, s->sim, count);
    struct group_node *leader = settle(s);
    write_sql(s, "CREATE TABLE t (id INTEGER PRIMARY KEY, x)");
    write_sql(s, "INSERT INTO t VALUES (1, 'right'), (2, 'right')");
    return leader;
}

/* Changes a row in NODE's file while it is off. */
static void change_behind_its_back(struct scene *s, struct group_node *node, const char *sql)
{
    char path[40];

    settle(s);
    group_kill(node);
    snprintf(path, sizeof path, "%s/db.sqlite", scene.dirs[node->id - 1]);
    assert_int_equal(behind_run(path, sql), 1);
    group_boot(node);
    settle(s);
}

static const char wrong_sql[] = "UPDATE t SET x = 'wrong' WHERE id = 1";

/* Touches the row, and then says what came of it in the next batch. */
static void touch_row(struct scene *s)
{
    write_sql(s, "UPDATE t SET x = x || '!' WHERE id = 1");
    write_sql(s, "INSERT INTO t (x) VALUES ('later')");
    group_run_ms(&s->group, 1000);
}

static void expect_fenced_only(struct scene *s, const struct group_node *odd)
{
    for (unsigned i = 0; i < s->group.count; i++) {
        struct group_node *node = &s->group.nodes[i];
        if (node->replica != NULL && status_of(node).fenced != (node == odd)) {
            fail_msg("node %d is %s", (int)node->id, status_of(node).fenced ? "fenced" : "not fenced");
        }
    }
}

static void expect_read(struct scene *s, struct group_node *node, enum read_level level)
{
    s->a.request.level = level;
    ask_sql(&s->a, node, COMMAND_SQL_QUERY, "SELECT x FROM t WHERE id = 1");
    expect_shown(&s->a, &s->group, "rows right!");
    s->a.request.level = READ_LINEARIZABLE;
}

static void lead(struct scene *s, struct group_node *node)
{
    struct error e;

    while (group_leader(&s->group) != node) {
        struct group_node *leader = settle(s);
        if (leader != node) {
            consensus_transfer(leader->replica->consensus, node->id, &e);
        }
        group_run_ms(&s->group, 200);
    }
    assert_ptr_equal(settle(s), node);
}

static void a_follower_with_a_wrong_row_fences_itself(void **state)
{
    struct scene *s = *state;
    struct group_node *leader, *odd;

    start(s, 3);
    odd = group_follower(&s->group, 0);
    change_behind_its_back(s, odd, wrong_sql);
    leader = group_leader(&s->group);

    touch_row(s);

    expect_fenced_only(s, odd);
    assert_string_equal(status_of(odd).fence_reason, "a majority of the members has another content");
    assert_true(status_of(odd).fence_index > 0);
    assert_false(status_of(odd).ready);
    for (enum read_level level = READ_NONE; level <= READ_LINEARIZABLE; level++) {
        s->a.request.level = level;
        ask_sql(&s->a, odd, COMMAND_SQL_QUERY, "SELECT x FROM t");
        expect_failed(&s->a, &s->group, Q_CORRUPT, "is fenced since index");
    }
    expect_read(s, leader, READ_LINEARIZABLE);
    expect_read(
        s, group_follower(&s->group, 0) == odd ? group_follower(&s->group, 1) : group_follower(&s->group, 0),
        READ_NONE);
}

static void a_leader_with_a_wrong_row_hands_over_and_fences_itself(void **state)
{
    struct scene *s = *state;
    struct group_node *odd;
    uint64_t term;

    start(s, 3);
    odd = group_follower(&s->group, 0);
    change_behind_its_back(s, odd, wrong_sql);
    lead(s, odd);
    term = status_of(odd).term;

    touch_row(s);

    expect_fenced_only(s, odd);
    assert_ptr_not_equal(settle(s), odd);
    assert_in_range(status_of(odd).term, term + 1, term + 3);
    expect_read(s, group_leader(&s->group), READ_LINEARIZABLE);
    for (unsigned i = 0; i < 3; i++) {
        if (&s->group.nodes[i] != odd) {
            expect_read(s, &s->group.nodes[i], READ_NONE);
        }
    }
}

static void the_fence_outlasts_a_restart(void **state)
{
    struct scene *s = *state;
    struct group_node *odd;
    uint64_t index;

    start(s, 3);
    odd = group_follower(&s->group, 1);
    change_behind_its_back(s, odd, wrong_sql);
    touch_row(s);
    expect_fenced_only(s, odd);
    index = status_of(odd).fence_index;

    group_crash(odd);
    group_boot(odd);
    settle(s);

    expect_fenced_only(s, odd);
    assert_int_equal(status_of(odd).fence_index, index);
    s->a.request.level = READ_NONE;
    ask_sql(&s->a, odd, COMMAND_SQL_QUERY, "SELECT x FROM t");
    expect_failed(&s->a, &s->group, Q_CORRUPT, "is fenced since index");
    s->a.request.level = READ_LINEARIZABLE;
    write_sql(s, "INSERT INTO t (x) VALUES ('still written')");
}

/* Its log and its vote are good: with it, two of three are a majority. */
static void a_fenced_node_votes_for_others_and_never_leads(void **state)
{
    struct scene *s = *state;
    struct group_node *leader, *odd, *third;

    start(s, 3);
    odd = group_follower(&s->group, 0);
    change_behind_its_back(s, odd, wrong_sql);
    touch_row(s);
    expect_fenced_only(s, odd);
    leader = group_leader(&s->group);
    third = group_follower(&s->group, 0) == odd ? group_follower(&s->group, 1) : group_follower(&s->group, 0);

    group_kill(third);
    group_run_ms(&s->group, 1000);
    write_sql(s, "INSERT INTO t (x) VALUES ('with its acknowledgement')");
    group_boot(third);
    settle(s);
    group_kill(leader);
    GROUP_UNTIL(&s->group, group_leader(&s->group) == third);
    write_sql(s, "INSERT INTO t (x) VALUES ('with its vote')");

    uint64_t term = status_of(odd).term;
    group_kill(third);
    group_run_ms(&s->group, 10000);
    assert_string_equal(status_of(odd).state, "follower");
    assert_int_equal(status_of(odd).term, term);
}

static void a_fenced_node_does_not_take_over_when_it_is_told_to(void **state)
{
    struct scene *s = *state;
    struct group_node *leader, *odd;
    struct error e;

    start(s, 3);
    odd = group_follower(&s->group, 0);
    change_behind_its_back(s, odd, wrong_sql);
    touch_row(s);
    leader = group_leader(&s->group);

    assert_int_equal(consensus_transfer(leader->replica->consensus, odd->id, &e), 0);
    group_run_ms(&s->group, 3000);

    assert_ptr_not_equal(settle(s), odd);
}

/* One against one: nobody can say who is right. */
static void without_a_majority_the_node_that_differs_from_the_leader_is_fenced(void **state)
{
    struct scene *s = *state;
    struct group_node *odd, *leader, *third;

    start(s, 3);
    odd = group_follower(&s->group, 0);
    change_behind_its_back(s, odd, wrong_sql);
    leader = group_leader(&s->group);
    third = group_follower(&s->group, 0) == odd ? group_follower(&s->group, 1) : group_follower(&s->group, 0);
    group_kill(third);

    touch_row(s);
    expect_fenced_only(s, NULL);
    s->a.request.level = READ_NONE;
    ask_sql(&s->a, odd, COMMAND_SQL_QUERY, "SELECT x FROM t");
    expect_failed(&s->a, &s->group, Q_BUSY, "it is being found out who is wrong");
    group_run_ms(&s->group, DIVERGENCE_PATIENCE_MS);

    expect_fenced_only(s, odd);
    assert_string_equal(status_of(odd).fence_reason,
                        "the leader has another content, and no majority could say who is right");
    expect_read(s, leader, READ_LINEARIZABLE);
}

/* All three have another row: the leader's goes on, on the safe side. */
static void when_all_differ_the_followers_are_fenced(void **state)
{
    struct scene *s = *state;
    struct group_node *leader;

    start(s, 3);
    change_behind_its_back(s, group_follower(&s->group, 0), wrong_sql);
    change_behind_its_back(s, group_follower(&s->group, 1), "UPDATE t SET x = 'worse' WHERE id = 1");
    if (status_of(group_leader(&s->group)).id != 3) {
        lead(s, &s->group.nodes[2]);
    }
    leader = group_leader(&s->group);
    touch_row(s);

    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(status_of(&s->group.nodes[i]).fenced, &s->group.nodes[i] != leader);
    }
}

static void a_database_made_anew_from_the_log_is_not_fenced(void **state)
{
    struct scene *s = *state;
    struct group_node *odd;
    char path[40];

    start(s, 3);
    odd = group_follower(&s->group, 0);
    change_behind_its_back(s, odd, wrong_sql);
    touch_row(s);
    expect_fenced_only(s, odd);

    group_kill(odd);
    snprintf(path, sizeof path, "%s/db.sqlite", scene.dirs[odd->id - 1]);
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof path, "%s/db.sqlite-wal", scene.dirs[odd->id - 1]);
    unlink(path);
    snprintf(path, sizeof path, "%s/db.sqlite-shm", scene.dirs[odd->id - 1]);
    unlink(path);
    group_boot(odd);
    settle(s);

    expect_fenced_only(s, NULL);
    expect_read(s, odd, READ_NONE);
}

struct asked_check {
    struct replica_check check;
    bool done;
};

static void on_checked(struct replica_check *check, const struct error *failed)
{
    assert_null(failed);
    CONTAINER_OF(check, struct asked_check, check)->done = true;
}

static void check(struct scene *s, struct group_node *node, struct asked_check *c)
{
    struct replica_check second = {.done = on_checked};
    struct error e;

    *c = (struct asked_check){.check.done = on_checked};
    assert_int_equal(replica_check(node->replica, &c->check, &e), 0);
    assert_int_equal(replica_check(node->replica, &second, &e), Q_BUSY);
    GROUP_UNTIL(&s->group, c->done);
}

/* Nobody touches the row. */
static void a_scan_fences_the_node_with_a_wrong_row(void **state)
{
    struct scene *s = *state;
    struct group_node *odd;
    struct asked_check c;

    start(s, 3);
    odd = group_follower(&s->group, 0);
    change_behind_its_back(s, odd, wrong_sql);
    lead(s, odd);

    for (unsigned i = 0; i < 3; i++) {
        check(s, &s->group.nodes[i], &c);
        assert_int_equal(c.check.found.ok, &s->group.nodes[i] != odd);
        assert_string_equal(c.check.found.differing, &s->group.nodes[i] != odd ? "" : "t");
    }
    group_run_ms(&s->group, 2000);

    expect_fenced_only(s, odd);
    assert_string_equal(status_of(odd).fence_reason,
                        "a scan found content that its own digest does not name");
    assert_ptr_not_equal(settle(s), odd);
}

static void frames_that_are_no_statements_are_refused(void **state)
{
    struct scene *s = *state;
    uint8_t body[DIVERGENCE_FRAME_BYTES] = {1, 1, 1, 5};
    struct error e;

    start(s, 3);
    struct divergence *d = s->group.nodes[0].replica->divergence;
    assert_int_equal(divergence_received(d, 2, body, sizeof body - 1, &e), Q_CORRUPT);
    assert_int_equal(divergence_received(d, 1, body, sizeof body, &e), Q_CORRUPT); /* of itself */
    assert_int_equal(divergence_received(d, 9, body, sizeof body, &e), Q_CORRUPT); /* of a stranger */
    body[0] = 2;
    assert_int_equal(divergence_received(d, 2, body, sizeof body, &e), Q_MISMATCH);
    body[0] = 1;
    body[1] = 3;
    assert_int_equal(divergence_received(d, 2, body, sizeof body, &e), Q_CORRUPT);
    body[1] = 1;
    body[2] = 3;
    assert_int_equal(divergence_received(d, 2, body, sizeof body, &e), Q_CORRUPT);
    expect_fenced_only(s, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_follower_with_a_wrong_row_fences_itself),
        TEST(a_leader_with_a_wrong_row_hands_over_and_fences_itself),
        TEST(the_fence_outlasts_a_restart),
        TEST(a_fenced_node_votes_for_others_and_never_leads),
        TEST(a_fenced_node_does_not_take_over_when_it_is_told_to),
        TEST(without_a_majority_the_node_that_differs_from_the_leader_is_fenced),
        TEST(when_all_differ_the_followers_are_fenced),
        TEST(a_database_made_anew_from_the_log_is_not_fenced),
        TEST(a_scan_fences_the_node_with_a_wrong_row),
        TEST(frames_that_are_no_statements_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
