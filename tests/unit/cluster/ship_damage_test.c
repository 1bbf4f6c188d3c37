/* What is damaged, of a database or of an image, is found, never served, and comes from the others. */
#include "cluster/replica_impl.h"
#include "tests/unit/cluster/ship_scene.h"
#include "tests/unit/cluster/surgeon.h"

static int set_up(void **state)
{
    *state = ship_scene_new(23);
    return 0;
}

static int tear_down(void **state)
{
    ship_scene_free(*state);
    return 0;
}

static void a_chunk_that_is_damaged_at_its_source_is_found_and_taken_again(void **state)
{
    struct ship_scene *s = *state;

    s->rows = 2000;
    s->rate = 300 * 1024;
    ship_start(s, 3);
    struct group_node *away = ship_send_away(s);
    ship_write(s, 1, 2000, 7); /* nothing is as it was */
    group_boot(away);
    SHIP_UNTIL(s, status_of(away).shipment.chunks_fetched >= 1);
    struct group_node *source = &s->group.nodes[status_of(away).shipment.peer - 1];
    ship_flip_all(source, "/node/chunks/", 5000);
    SHIP_UNTIL(s, status_of(away).installs == 1);
    ship_settled(s);
    assert_true(ship_said(s, source->id, "image_damaged", NULL) >= 1);
    assert_true(ship_said(s, source->id, "image_taken", NULL) >= 2);
}

static void what_is_damaged_on_its_way_comes_again(void **state)
{
    struct ship_scene *s = *state;
    struct sim_net_faults faults = {.corrupt = 100000};

    s->rows = 4000;
    ship_start(s, 3);
    struct group_node *away = ship_send_away(s);
    sim_net_set_faults(sim_network(s->sim), &faults);
    group_boot(away);
    SHIP_UNTIL(s, status_of(away).installs == 1);
    sim_net_set_faults(sim_network(s->sim), &(struct sim_net_faults){.drop = 0});
    ship_settled(s);
}

static void a_database_that_was_taken_away_comes_from_the_others(void **state)
{
    struct ship_scene *s = *state;
    struct error e;

    ship_start(s, 3);
    ship_write_past(s, 20);
    struct group_node *robbed = group_follower(&s->group, 0);
    group_run_ms(&s->group, 5000);
    assert_true(status_of(robbed).log_first > 1);
    group_kill(robbed);
    assert_int_equal(sim_disk_unlink(sim_node_disk(robbed->machine), "/node/db.sqlite", &e), 0);
    sim_disk_unlink(sim_node_disk(robbed->machine), "/node/db.sqlite-wal", &e);
    sim_disk_unlink(sim_node_disk(robbed->machine), "/node/db.sqlite-shm", &e);
    group_boot(robbed);
    assert_true(status_of(robbed).fenced);
    SHIP_UNTIL(s, status_of(robbed).installs == 1);
    assert_int_equal(ship_said(s, robbed->id, "rebuilt", NULL), 1);
    ship_settled(s);
}

static void a_database_that_cannot_be_opened_comes_from_the_others(void **state)
{
    struct ship_scene *s = *state;
    struct error e;

    ship_start(s, 3);
    struct group_node *broken = group_follower(&s->group, 0);
    group_run_ms(&s->group, 2000);
    group_kill(broken);
    ship_flip(broken, "/node/db.sqlite", 3); /* "SQLite format 3" */
    assert_int_equal(sim_disk_unlink(sim_node_disk(broken->machine), "/node/db.sqlite-wal", &e), 0);
    group_boot(broken);
    assert_true(status_of(broken).fenced);
    SHIP_UNTIL(s, status_of(broken).installs == 1);
    ship_settled(s);
    assert_int_equal(ship_said(s, broken->id, "page_bad", NULL), 1);
}

static void a_log_that_nobody_can_mend_begins_anew_behind_an_image(void **state)
{
    struct ship_scene *s = *state;
    const char *line;
    struct error e;

    ship_start(s, 3);
    struct group_node *broken = group_follower(&s->group, 0);
    uint64_t last = status_of(broken).log_last;
    group_kill(broken);
    ship_write_past(s, last);
    surgeon_damage_record(sim_node_disk(broken->machine), "/node/log", last - 2);
    assert_int_equal(sim_disk_unlink(sim_node_disk(broken->machine), "/node/db.sqlite", &e), 0);
    assert_int_equal(sim_disk_unlink(sim_node_disk(broken->machine), "/node/db.sqlite-wal", &e), 0);
    group_boot(broken);
    assert_string_equal(status_of(broken).state, "recovering");
    SHIP_UNTIL(s, status_of(broken).installs == 1);
    ship_settled(s);
    assert_int_equal(ship_said(s, broken->id, "installed", &line), 1);
    assert_true(ship_number(line, "index") >= last); /* all that it may have acknowledged */
}

/* Pages. */

/* What NODE itself has, now. */
static void ask_sum(struct asker *a, struct group_node *node)
{
    a->request.level = READ_NONE;
    ask_sql(a, node, COMMAND_SQL_QUERY, "SELECT count(*), sum(length(v)) FROM t");
}

static void a_damaged_page_is_never_served_and_comes_from_the_others(void **state)
{
    struct ship_scene *s = *state;
    const char *line;

    s->rows = 2000;
    ship_start(s, 3);
    struct group_node *node = group_follower(&s->group, 0);
    ship_checkpointed(s, node);
    ship_flip_last_page(node);

    ask_sum(&s->a, node);
    expect_failed(&s->a, &s->group, Q_CORRUPT, NULL);
    GROUP_UNTIL(&s->group, status_of(node).fenced);
    ask_sum(&s->a, node);
    SHIP_UNTIL(s, s->a.done == 1);
    assert_int_not_equal(s->a.code, Q_OK);
    SHIP_UNTIL(s, status_of(node).installs == 1);
    assert_int_equal(ship_said(s, node->id, "rebuilt", &line), 1);
    assert_true(ship_number(line, "wire") * 4 < ship_number(line, "bytes"));
    ask_sum(&s->a, node);
    expect_shown(&s->a, &s->group, "rows 2000,960000");
    ship_settled(s);
}

static void a_leader_with_a_damaged_page_hands_over(void **state)
{
    struct ship_scene *s = *state;

    s->rows = 2000;
    ship_start(s, 3);
    struct group_node *node = group_leader(&s->group);
    ship_checkpointed(s, node);
    ship_flip_last_page(node);
    ask_sum(&s->a, node);
    expect_failed(&s->a, &s->group, Q_CORRUPT, NULL);
    SHIP_UNTIL(s, group_leader(&s->group) != NULL && group_leader(&s->group) != node);
    SHIP_UNTIL(s, status_of(node).installs == 1);
    ship_settled(s);
}

static void pages_of_two_nodes_may_be_damaged(void **state)
{
    struct ship_scene *s = *state;

    s->rows = 2000;
    ship_start(s, 3);
    struct group_node *one = group_leader(&s->group), *two = group_follower(&s->group, 0);
    ship_checkpointed(s, one);
    ship_checkpointed(s, two);
    ship_flip_last_page(one);
    ship_flip_last_page(two);
    ask_sum(&s->a, one);
    expect_failed(&s->a, &s->group, Q_CORRUPT, NULL);
    ask_sum(&s->a, two);
    expect_failed(&s->a, &s->group, Q_CORRUPT, NULL);
    SHIP_UNTIL(s, status_of(one).installs == 1 && status_of(two).installs == 1);
    ship_settled(s);
}

struct taking {
    struct replica_take take;
    unsigned done;
    enum error_code code;
};

static void on_taken(struct replica_take *take, const struct error *failed)
{
    struct taking *t = CONTAINER_OF(take, struct taking, take);
    t->done++;
    t->code = failed != NULL ? failed->code : Q_OK;
}

static void a_damaged_page_gets_into_no_image(void **state)
{
    struct ship_scene *s = *state;
    struct taking taking = {.take = {.keep_ms = 60000, .done = on_taken}};
    struct error e;

    s->rows = 2000;
    ship_start(s, 3);
    struct group_node *node = group_follower(&s->group, 0);
    ship_checkpointed(s, node);
    ship_flip_last_page(node);
    assert_int_equal(replica_take(node->replica, &taking.take, &e), 0);
    SHIP_UNTIL(s, taking.done == 1);
    assert_int_equal(taking.code, Q_CORRUPT);
    SHIP_UNTIL(s, status_of(node).installs == 1);
    ship_settled(s);
}

static void a_node_that_is_alone_stops_at_a_damaged_page(void **state)
{
    struct ship_scene *s = *state;

    s->rows = 2000;
    ship_start(s, 1);
    struct group_node *node = &s->group.nodes[0];
    ship_checkpointed(s, node);
    ship_flip_last_page(node);
    ask_sum(&s->a, node);
    expect_failed(&s->a, &s->group, Q_CORRUPT, NULL);
    GROUP_UNTIL(&s->group, node->broken);
}

/* Rows. */

static void a_node_with_another_content_comes_back_by_itself(void **state)
{
    struct ship_scene *s = *state;

    s->rows = 2000;
    ship_start(s, 3);
    struct group_node *node = group_follower(&s->group, 0);
    ship_checkpointed(s, node);
    ship_stop(s, node);
    ship_change_last_page(node);
    group_boot(node);
    group_settled(&s->group);
    ship_write(s, 1, 2000, 3); /* whoever subtracts another row gets another sum */
    s->write_always = true;    /* and each batch tells the leader's */
    SHIP_UNTIL(s, status_of(node).fenced);
    assert_in_range(replica_log_last(node->replica), 1, status_of(node).log_last); /* the log stays */
    SHIP_UNTIL(s, status_of(node).installs == 1);
    assert_int_equal(replica_log_last(node->replica), UINT64_MAX);
    s->write_always = false;
    SHIP_UNTIL(s, !s->writer.asking);
    assert_int_equal(ship_said(s, node->id, "diverged", NULL), 1);
    ship_settled(s);
}

struct checking {
    struct replica_check check;
    unsigned done;
};

static void on_checked(struct replica_check *check, const struct error *failed)
{
    (void)failed;
    CONTAINER_OF(check, struct checking, check)->done++;
}

static void what_a_scan_finds_is_made_good(void **state)
{
    struct ship_scene *s = *state;
    struct checking checking = {.check = {.done = on_checked}};
    const char *line;
    struct error e;

    s->rows = 2000;
    ship_start(s, 3);
    struct group_node *node = group_follower(&s->group, 0);
    ship_checkpointed(s, node);
    ship_stop(s, node);
    ship_change_last_page(node);
    group_boot(node);
    group_settled(&s->group);
    assert_int_equal(replica_check(node->replica, &checking.check, &e), 0);
    SHIP_UNTIL(s, checking.done == 1);
    assert_false(checking.check.found.ok);
    SHIP_UNTIL(s, status_of(node).installs == 1);
    ship_settled(s);
    assert_int_equal(ship_said(s, node->id, "rebuilt", &line), 1);
    assert_true(ship_number(line, "wire") < 16 * 1024); /* of 1 MB: little more than the page */
    ship_scanned(s, node);
}

static void a_scan_that_meets_a_damaged_page_says_so(void **state)
{
    struct ship_scene *s = *state;
    struct checking checking = {.check = {.done = on_checked}};
    struct error e;

    s->rows = 2000;
    ship_start(s, 3);
    struct group_node *node = group_follower(&s->group, 0);
    ship_checkpointed(s, node);
    ship_flip_last_page(node);
    assert_int_equal(replica_check(node->replica, &checking.check, &e), 0);
    SHIP_UNTIL(s, checking.done == 1);
    assert_true(status_of(node).fenced);
    assert_string_equal(status_of(node).fence_reason, "it cannot be read");
    SHIP_UNTIL(s, status_of(node).installs == 1);
    ship_settled(s);
}

static void an_image_that_is_read_before_it_is_served_may_be_found_wrong(void **state)
{
    struct ship_scene *s = *state;
    const char *line;

    s->rows = 2000;
    s->verify = true;
    ship_start(s, 3);
    struct group_node *away = group_follower(&s->group, 0);
    ship_checkpointed(s, away);
    group_kill(away);
    for (unsigned i = 0; i < 3; i++) { /* the same letter on both of the others: nobody notices */
        if (&s->group.nodes[i] != away) {
            ship_stop(s, &s->group.nodes[i]);
            ship_change_last_page(&s->group.nodes[i]);
            group_boot(&s->group.nodes[i]);
        }
    }
    group_settled(&s->group);
    ship_write_past(s, status_of(group_leader(&s->group)).applied);
    group_boot(away);
    SHIP_UNTIL(s, status_of(away).installs == 1);
    assert_int_equal(ship_said(s, away->id, "install_unverified", NULL), 1);
    assert_true(status_of(away).fenced);
    ask_sum(&s->a, away);
    SHIP_UNTIL(s, s->a.done == 1);
    assert_int_not_equal(s->a.code, Q_OK);

    /* Each of the others is tried once, then it waits, and tries them again from time to time. */
    SHIP_UNTIL(s, status_of(away).installs == 2);
    group_run_ms(&s->group, 30000);
    assert_int_equal(status_of(away).installs, 2);
    assert_true(ship_said(s, away->id, "ship_waits", &line) > 0);
    assert_non_null(strstr(line, "was wrong: it is asked for another one later"));
    group_run_ms(&s->group, 120000);
    assert_in_range(status_of(away).installs, 3, 4);
    assert_true(status_of(away).fenced);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_chunk_that_is_damaged_at_its_source_is_found_and_taken_again),
        TEST(what_is_damaged_on_its_way_comes_again),
        TEST(a_database_that_was_taken_away_comes_from_the_others),
        TEST(a_database_that_cannot_be_opened_comes_from_the_others),
        TEST(a_log_that_nobody_can_mend_begins_anew_behind_an_image),
        TEST(a_damaged_page_is_never_served_and_comes_from_the_others),
        TEST(a_leader_with_a_damaged_page_hands_over),
        TEST(pages_of_two_nodes_may_be_damaged),
        TEST(a_damaged_page_gets_into_no_image),
        TEST(a_node_that_is_alone_stops_at_a_damaged_page),
        TEST(a_node_with_another_content_comes_back_by_itself),
        TEST(what_a_scan_finds_is_made_good),
        TEST(a_scan_that_meets_a_damaged_page_says_so),
        TEST(an_image_that_is_read_before_it_is_served_may_be_found_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
