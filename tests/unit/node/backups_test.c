/* Backups that a node makes by itself: when, by whom, of what, and what happens when it goes wrong. The
 * replica is a fake one whose database is a file of the simulated disk. */
#include "node/backups.h"

#include "tests/unit/snapshots/backup_kit.h"

enum { PAGES = 40 * CHUNK_PAGES, EVERY_MS = 60000 };

struct replica {
    struct replica_status status;
    struct rig *rig;
    struct image *image;
    uint64_t applied;
    unsigned taken;
    struct error take_fails; /* code not Q_OK */
    bool hangs, gone;
    struct replica_take *take;
    struct env_timer *timer;
};

struct scene {
    struct rig rig;
    struct image image;
    struct replica replica;
    struct backups *backups;
    struct backups_config config;
    char log[8192];
    bool stopped;
};

static struct scene scene;

/* ---- the fake replica ---- */

void replica_status(struct replica *r, struct replica_status *ret_status)
{
    *ret_status = r->status;
}

const char *replica_snapshot_dir(const struct replica *r)
{
    (void)r;
    return "a";
}

bool replica_touch_snapshot(struct replica *r, uint64_t index, uint64_t term)
{
    (void)index;
    (void)term;
    return !r->gone;
}

void replica_forget_take(struct replica_take *take)
{
    (void)take;
    scene.replica.take = NULL;
}

static void on_taken(void *owner)
{
    struct replica *r = owner;
    struct replica_take *take = r->take;

    if (take != NULL && !r->hangs) {
        r->take = NULL;
        rig_take(r->rig, r->image, r->applied, NULL);
        r->taken++;
        take->index = r->applied;
        take->term = 1;
        take->done(take, NULL);
    }
}

int replica_take(struct replica *r, struct replica_take *take, struct error *e)
{
    if (r->take_fails.code != Q_OK) {
        *e = r->take_fails;
        return (int)e->code;
    }
    r->take = take;
    env_timer_start(r->rig->env, r->timer, env_now_us(r->rig->env) + 1000);
    return 0;
}

/* ---- the scene ---- */

static void on_log(void *ctx, const char *line)
{
    struct scene *s = ctx;
    size_t n = strlen(s->log);
    snprintf(s->log + n, sizeof s->log - n, "%s\n", line);
}

static int set_up(void **state)
{
    struct scene *s = &scene;
    struct error e;

    memset(s, 0, sizeof *s);
    rig_init(&s->rig, 9);
    s->image = image_make(PAGES, 1);
    s->replica = (struct replica){
        .status = {.id = 2, .leader = 1, .ready = true, .count = 3},
        .rig = &s->rig,
        .image = &s->image,
        .applied = 10,
    };
    for (unsigned i = 0; i < 3; i++) {
        s->replica.status.members[i] =
            (struct replica_member){.id = i + 1, .voter = true, .reachable = true, .leader = i == 0};
    }
    s->replica.timer = env_timer_new(s->rig.env, on_taken, &s->replica);
    s->config = (struct backups_config){.env = s->rig.env,
                                        .replica = &s->replica,
                                        .dir = "backups",
                                        .every_ms = EVERY_MS,
                                        .keep = 3,
                                        .log = on_log,
                                        .ctx = s};
    must(backups_new(&s->config, &s->backups, &e), &e);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;

    backups_free(s->backups);
    env_timer_free(s->rig.env, s->replica.timer);
    image_close(&s->image);
    rig_done(&s->rig);
    return 0;
}

static bool still(void *ctx)
{
    (void)ctx;
    return true;
}

static void run_ms(struct scene *s, uint64_t ms)
{
    sim_run_while(s->rig.sim, still, NULL, sim_now_us(s->rig.sim) + ms * 1000);
}

static struct backups_status status_of(struct scene *s)
{
    struct backups_status status;
    backups_status(s->backups, &status);
    return status;
}

static void expect_logged(struct scene *s, const char *text)
{
    if (strstr(s->log, text) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", s->log, text);
    }
}

static void change(struct scene *s)
{
    s->replica.applied += 10;
    image_change(&s->image, 1, (unsigned)s->replica.applied);
}

/* ---- whose turn ---- */

static struct replica_status three(void)
{
    struct replica_status status = {.id = 2, .leader = 1, .ready = true, .count = 3};
    for (unsigned i = 0; i < 3; i++) {
        status.members[i] = (struct replica_member){.id = i + 1, .voter = true, .reachable = true};
    }
    return status;
}

static void the_lowest_follower_that_can_makes_them(void **state)
{
    struct replica_status s = three();
    (void)state;

    assert_true(backups_is_turn(&s, false));
    s.id = 3;
    assert_false(backups_is_turn(&s, false));
    s.id = 1;
    assert_false(backups_is_turn(&s, false));
    s.id = 3;
    s.members[1].reachable = false;
    assert_true(backups_is_turn(&s, false));
    s.members[1] = (struct replica_member){.id = 2, .voter = false, .reachable = true};
    assert_true(backups_is_turn(&s, false));
    s.members[1] = (struct replica_member){.id = 2, .voter = true, .reachable = true, .disk_full = true};
    assert_true(backups_is_turn(&s, false));
}

static void the_leader_makes_them_if_nobody_else_can_or_if_told(void **state)
{
    struct replica_status s = three();
    (void)state;

    s.id = 1;
    assert_true(backups_is_turn(&s, true));
    s.members[1].reachable = s.members[2].reachable = false;
    assert_true(backups_is_turn(&s, false));
    s = three();
    assert_false(backups_is_turn(&s, true));
}

static void who_cannot_answer_for_its_database_makes_none(void **state)
{
    struct replica_status s = three();
    (void)state;

    s.fenced = true;
    assert_false(backups_is_turn(&s, false));
    s = three();
    s.ready = false;
    assert_false(backups_is_turn(&s, false));
    s = three();
    s.leader = 0;
    assert_false(backups_is_turn(&s, false));
}

/* ---- making them ---- */

static void one_is_made_each_interval_and_the_oldest_go(void **state)
{
    struct scene *s = *state;
    struct backup_verify verify = {.backups = 0};

    for (unsigned i = 0; i < 5; i++) {
        run_ms(s, EVERY_MS);
        change(s);
    }

    assert_int_equal(s->replica.taken, 5);
    assert_int_equal(status_of(s).made, 5);
    assert_int_equal(status_of(s).failures, 0);
    assert_string_equal(status_of(s).error, "");
    assert_int_equal(backups_count(&s->rig, "manifests"), 3);
    expect_logged(s, "backup_made index=10 term=1 bytes=10485760 chunks=40 chunks_new=40");
    expect_logged(s, "backup_made index=50 term=1 bytes=10485760 chunks=40 chunks_new=1 ");
    expect_logged(s, "backups_pruned removed=1 kept=3 chunks=1");
    assert_string_equal(backups_verify(&s->rig, &verify), "");
}

static void an_unchanged_database_costs_no_further_backup(void **state)
{
    struct scene *s = *state;

    run_ms(s, 3 * EVERY_MS);

    assert_int_equal(backups_count(&s->rig, "manifests"), 1);
    assert_int_equal(status_of(s).made, 1);
    assert_int_equal(status_of(s).failures, 0);
    expect_logged(s, "backup_unchanged index=10");
}

static void a_backup_that_is_fresh_enough_is_not_made_again_after_a_restart(void **state)
{
    struct scene *s = *state;
    struct error e;

    run_ms(s, EVERY_MS / 2);
    assert_int_equal(s->replica.taken, 1);
    assert_true(backups_stop(s->backups, NULL, NULL));
    backups_free(s->backups);
    must(backups_new(&s->config, &s->backups, &e), &e);
    change(s);
    run_ms(s, EVERY_MS / 3);
    assert_int_equal(s->replica.taken, 1);
    run_ms(s, EVERY_MS);

    assert_int_equal(s->replica.taken, 2);
}

static void nobody_makes_one_out_of_turn(void **state)
{
    struct scene *s = *state;

    s->replica.status.id = 3;
    run_ms(s, 3 * EVERY_MS);
    assert_int_equal(s->replica.taken, 0);
    assert_false(rig_exists(&s->rig, "backups/lock"));
    s->replica.status.members[1].reachable = false;
    run_ms(s, 5000);

    assert_int_equal(status_of(s).made, 1);
}

/* ---- what goes wrong ---- */

static void a_failure_is_told_and_tried_again(void **state)
{
    struct scene *s = *state;

    error_set(&s->replica.take_fails, Q_NO_SPACE, "no space on this disk");
    run_ms(s, EVERY_MS);
    expect_logged(s, "backup_failed error=\"no space on this disk\" retry_ms=30000");
    assert_in_range(status_of(s).failures, 1, 3);
    assert_string_equal(status_of(s).error, "no space on this disk");
    s->replica.take_fails.code = Q_OK;
    run_ms(s, EVERY_MS);

    assert_int_equal(status_of(s).made, 1);
    assert_string_equal(status_of(s).error, "");
}

static void a_directory_that_is_in_use_is_waited_for(void **state)
{
    struct scene *s = *state;
    struct backup *other = backups_open(&s->rig);

    run_ms(s, EVERY_MS);
    expect_logged(s, "another process works on it");
    backup_close(other);
    run_ms(s, EVERY_MS);

    assert_int_equal(status_of(s).made, 1);
}

static void an_image_that_was_dropped_meanwhile_fails_the_attempt(void **state)
{
    struct scene *s = *state;

    s->replica.gone = true;
    run_ms(s, 10000);
    expect_logged(s, "the snapshot was dropped before it was copied");
    s->replica.gone = false;
    run_ms(s, EVERY_MS);

    assert_int_equal(status_of(s).made, 1);
}

static void on_stopped(void *ctx)
{
    struct scene *s = ctx;
    s->stopped = true;
}

static void it_stops_at_any_point(void **state)
{
    struct scene *s = *state;
    struct error e;
    unsigned made = 0, waited = 0;

    for (unsigned steps = 0; steps < 400; steps++) {
        change(s);
        for (unsigned i = 0; i < steps; i++) {
            sim_step(s->rig.sim);
        }
        s->stopped = backups_stop(s->backups, on_stopped, s);
        waited += !s->stopped;
        while (!s->stopped) {
            assert_true(sim_step(s->rig.sim));
        }
        made += (unsigned)status_of(s).made;
        backups_free(s->backups);
        s->config.every_ms = 1;
        must(backups_new(&s->config, &s->backups, &e), &e);
        if (made > 3 && waited > 3) {
            break;
        }
    }
    assert_true(made > 3);
    assert_true(waited > 3);
    struct backup_verify verify = {.backups = 0};
    assert_string_equal(backups_verify(&s->rig, &verify), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_lowest_follower_that_can_makes_them),
        cmocka_unit_test(the_leader_makes_them_if_nobody_else_can_or_if_told),
        cmocka_unit_test(who_cannot_answer_for_its_database_makes_none),
        cmocka_unit_test_setup_teardown(one_is_made_each_interval_and_the_oldest_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_unchanged_database_costs_no_further_backup, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_backup_that_is_fresh_enough_is_not_made_again_after_a_restart,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_makes_one_out_of_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failure_is_told_and_tried_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_directory_that_is_in_use_is_waited_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_image_that_was_dropped_meanwhile_fails_the_attempt, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(it_stops_at_any_point, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
