/* A member whose log cannot bring it forward any more gets an image of the database from the others, and only
 * what differs travels. */
#include "base/object.h"
#include "cluster/images.h"
#include "cluster/replica_impl.h"
#include "tests/unit/cluster/ship_scene.h"

static int set_up(void **state)
{
    *state = ship_scene_new(21);
    return 0;
}

static int tear_down(void **state)
{
    ship_scene_free(*state);
    return 0;
}

static void who_was_away_past_the_log_comes_back_by_an_image(void **state)
{
    struct ship_scene *s = *state;
    struct group_node *away;
    const char *line;

    ship_start(s, 3);
    away = group_follower(&s->group, 0);
    uint64_t applied = status_of(away).applied;
    group_crash(away);
    ship_write_past(s, applied);

    group_boot(away);
    SHIP_UNTIL(s, status_of(away).installs == 1);
    ship_settled(s);
    assert_int_equal(ship_said(s, away->id, "ship_started", NULL), 1);
    assert_int_equal(ship_said(s, away->id, "installed", &line), 1);
    assert_true(ship_number(line, "index") > applied);

    away = ship_send_away(s); /* checkpoints and compactions have gone on */
    ship_come_back(s, away);
}

static void an_image_of_another_cluster_is_refused(void **state)
{
    struct ship_scene *s = *state;
    struct manifest m = {.index = 100, .term = 1};
    struct error e;

    ship_start(s, 3);
    struct replica *r = s->group.nodes[0].replica;
    memcpy(m.cluster_id, status_of(&s->group.nodes[0]).cluster_id, sizeof m.cluster_id);
    assert_int_equal(replica_check_manifest(r, &m, &e), 0);
    m.cluster_id[3] ^= 1;
    assert_int_equal(replica_check_manifest(r, &m, &e), Q_MISMATCH);
}

static void an_image_of_another_sqlite_is_refused_before_it_is_fetched(void **state)
{
    struct ship_scene *s = *state;
    struct manifest m = {.index = 100, .term = 1, .node = 2};
    struct error e;

    ship_start(s, 3);
    struct replica *r = s->group.nodes[0].replica;
    memcpy(m.cluster_id, status_of(&s->group.nodes[0]).cluster_id, sizeof m.cluster_id);
    assert_int_equal(build_text(m.sqlite, &e), 0);
    assert_int_equal(replica_check_manifest(r, &m, &e), 0);
    size_t n = strlen(m.sqlite);
    snprintf(m.sqlite + n, sizeof m.sqlite - n, " ENABLE_NOTHING");
    assert_int_equal(replica_check_manifest(r, &m, &e), Q_MISMATCH);
    assert_non_null(strstr(e.text, "index 100 of member 2"));
    assert_non_null(strstr(e.text, "ENABLE_NOTHING"));
    assert_int_equal(build_text(m.sqlite, &e), 0);
    m.sqlite[0] = '9';
    assert_int_equal(replica_check_manifest(r, &m, &e), Q_MISMATCH);
}

static void the_log_waits_for_a_shipment_that_is_under_way(void **state)
{
    struct ship_scene *s = *state;

    s->rows = 4000;
    s->rate = 1024 * 1024;
    ship_start(s, 3);
    struct group_node *away = ship_send_away(s);
    ship_write(s, 1, 4000, 7); /* nothing is as it was */
    group_boot(away);
    SHIP_UNTIL(s, status_of(away).shipment.chunks_fetched >= 1);
    assert_string_equal(status_of(away).shipment.role, "target");
    assert_false(status_of(away).ready);
    for (unsigned i = 0; i < 90 && status_of(away).installs == 0; i++) {
        ship_write(s, 1, 10, i); /* of 4 KiB in the log: more than is kept for who is only away */
    }
    SHIP_UNTIL(s, status_of(away).installs == 1);
    assert_int_equal(ship_said(s, away->id, "ship_resumed", NULL), 0);
    ship_settled(s);
}

static void only_what_differs_travels(void **state)
{
    struct ship_scene *s = *state;
    const char *line;

    s->rows = 6000;
    ship_start(s, 3);
    struct group_node *away = ship_send_away(s); /* a hundred rows were written again and again */
    ship_come_back(s, away);
    assert_int_equal(ship_said(s, away->id, "installed", &line), 1);
    assert_true(ship_number(line, "bytes") > 3000000);
    assert_true(ship_number(line, "wire") * 10 < ship_number(line, "bytes"));
    assert_true(ship_number(line, "reused") * 10 > ship_number(line, "chunks") * 6);
}

static void an_image_is_kept_for_as_long_as_somebody_needs_it(void **state)
{
    struct ship_scene *s = *state;
    const char *line;

    ship_start(s, 3);
    struct group_node *away = ship_send_away(s);
    ship_come_back(s, away);
    struct group_node *leader = group_leader(&s->group);
    assert_int_equal(ship_said(s, leader->id, "image_taken", &line), 1);
    assert_int_equal(ship_said(s, leader->id, "swept", NULL), 0);
    group_run_ms(&s->group, IMAGES_SHIP_MS + 2000);
    assert_int_equal(ship_said(s, leader->id, "swept", NULL), 1);
    assert_int_equal(ship_files(leader, "/node/chunks/"), 0);
    assert_int_equal(ship_files(leader, "/node/manifests/"), 0);
    assert_int_equal(ship_files(away, "/node/stage/db"), 0);
}

static void the_leader_may_change_in_the_middle(void **state)
{
    struct ship_scene *s = *state;

    s->rows = 4000;
    s->rate = 500 * 1024;
    ship_start(s, 3);
    struct group_node *away = ship_send_away(s);
    ship_write(s, 1, 4000, 7); /* nothing is as it was */
    group_boot(away);
    SHIP_UNTIL(s, status_of(away).shipment.chunks_fetched >= 2);
    assert_int_equal(status_of(away).installs, 0);
    struct group_node *leader = group_leader(&s->group);
    group_crash(leader);
    group_run_ms(&s->group, 3000);
    group_boot(leader);
    SHIP_UNTIL(s, status_of(away).installs == 1);
    ship_settled(s);
    assert_true(ship_said(s, away->id, "ship_resumed", NULL) >= 1);
}

static void a_shipment_goes_on_where_its_target_was_killed(void **state)
{
    struct ship_scene *s = *state;
    const char *line;

    s->rows = 4000;
    s->rate = 500 * 1024;
    ship_start(s, 3);
    struct group_node *away = ship_send_away(s);
    ship_write(s, 1, 4000, 7); /* nothing is as it was */
    group_boot(away);
    SHIP_UNTIL(s, status_of(away).shipment.chunks_fetched >= 5);
    group_kill(away);
    ship_come_back(s, away);
    assert_int_equal(ship_said(s, away->id, "installed", &line), 1);
    assert_true(ship_number(line, "reused") >= 5);
}

static void a_full_disk_makes_it_wait(void **state)
{
    struct ship_scene *s = *state;

    s->rows = 4000;
    ship_start(s, 3);
    struct group_node *away = ship_send_away(s);
    sim_disk_capacity(away->machine, sim_disk_used(sim_node_disk(away->machine)) + 600 * 1024);
    group_boot(away);
    SHIP_UNTIL(s, ship_said(s, away->id, "ship_waits", NULL) > 0);
    group_run_ms(&s->group, 10000);
    assert_int_equal(status_of(away).installs, 0);
    sim_disk_capacity(away->machine, 0);
    SHIP_UNTIL(s, status_of(away).installs == 1);
    ship_settled(s);
}

static void under_writes_that_never_end_it_converges(void **state)
{
    struct ship_scene *s = *state;

    s->rows = 4000;
    s->rate = 2 * 1024 * 1024;
    s->keep_bytes = 128 * 1024;
    ship_start(s, 3);
    struct group_node *away = ship_send_away(s);
    s->write_always = true;
    group_boot(away);
    SHIP_UNTIL(s, status_of(away).installs >= 1 && status_of(away).ready);
    s->write_always = false;
    SHIP_UNTIL(s, !s->writer.asking);
    ship_settled(s);
    ship_scanned(s, away);
}

/* Taken for somebody else. */

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

static void an_image_that_is_taken_holds_all_that_was_applied(void **state)
{
    struct ship_scene *s = *state;
    struct taking first = {.take = {.keep_ms = 60000, .done = on_taken}}, second = first;
    struct error e;

    ship_start(s, 3);
    struct group_node *node = group_follower(&s->group, 0);
    uint64_t applied = status_of(node).applied;
    assert_int_equal(replica_take(node->replica, &first.take, &e), 0);
    assert_int_equal(first.done, 0);
    SHIP_UNTIL(s, first.done == 1);
    assert_int_equal(first.code, Q_OK);
    assert_true(first.take.index >= applied);

    assert_int_equal(replica_take(node->replica, &second.take, &e), 0);
    SHIP_UNTIL(s, second.done == 1);
    assert_int_equal(second.take.index, first.take.index); /* nothing was written meanwhile */
    assert_int_equal(ship_said(s, node->id, "image_taken", NULL), 1);

    group_run_ms(&s->group, 50000);
    assert_true(replica_touch_snapshot(node->replica, first.take.index, first.take.term));
    group_run_ms(&s->group, 50000);
    assert_int_equal(ship_files(node, "/node/manifests/"), 1);
    group_run_ms(&s->group, 15000);
    assert_int_equal(ship_files(node, "/node/manifests/"), 0);
    assert_int_equal(ship_files(node, "/node/chunks/"), 0);
    assert_false(replica_touch_snapshot(node->replica, first.take.index, first.take.term));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_was_away_past_the_log_comes_back_by_an_image),
        TEST(an_image_of_another_cluster_is_refused),
        TEST(an_image_of_another_sqlite_is_refused_before_it_is_fetched),
        TEST(only_what_differs_travels),
        TEST(the_log_waits_for_a_shipment_that_is_under_way),
        TEST(an_image_is_kept_for_as_long_as_somebody_needs_it),
        TEST(the_leader_may_change_in_the_middle),
        TEST(a_shipment_goes_on_where_its_target_was_killed),
        TEST(a_full_disk_makes_it_wait),
        TEST(under_writes_that_never_end_it_converges),
        TEST(an_image_that_is_taken_holds_all_that_was_applied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
