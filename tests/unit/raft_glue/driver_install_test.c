/* From a leader's InstallSnapshot to the installed snapshot. */
#include "tests/unit/raft_glue/server.h"
#include "tests/unit/test.h"

static void open_follower(struct server *s)
{
    server_init(s, 1);
    server_bootstrap(s, 3);
    server_start(s);
}

static void hear_install(struct server *s, uint64_t from, uint64_t term, uint64_t index)
{
    struct raft_message m = install_request(from, term, index, 1);
    server_hear(s, &m);
}

/* The very snapshot that was asked for. */
static void stage(struct server *s)
{
    assert_int_equal(server_stage(s, s->fetch_index, s->fetch_term), 0);
}

static void a_staged_snapshot_is_installed_and_acknowledged(void **state)
{
    (void)state;
    struct server s;
    open_follower(&s);

    hear_install(&s, 2, 1, 50);
    assert_int_equal(s.fetches, 1);
    assert_int_equal(s.fetch_index, 50);
    assert_int_equal(s.fetch_term, 1);
    assert_int_equal(s.fetch_from, 2);
    stage(&s);
    assert_int_equal(s.install.index, 50);
    assert_int_equal(s.install.configuration.n, 3);
    server_install(&s);

    const struct raft_message *ack = server_last_sent(&s, RAFT_APPEND_ENTRIES_RESULT, 2);
    assert_int_equal(ack->append_entries_result.last_log_index, 50);
    assert_int_equal(ack->append_entries_result.rejected, 0);
    assert_int_equal(driver_commit(s.driver), 50);
    assert_int_equal(driver_applicable(s.driver), 50);
    assert_int_equal(s.configurations, 1);

    struct script script;
    script_append(&script, 2, 1, 50, 1, 51);
    script_command(&script, 1, "goes on behind it");
    server_hear(&s, &script.message);
    server_write_all(&s);
    assert_int_equal(s.applicable, 51);
    server_close(&s);
}

static void what_is_wanted_is_said_as_often_as_the_leader_says_it(void **state)
{
    (void)state;
    struct server s;
    open_follower(&s);

    for (int i = 0; i < 5; i++) {
        hear_install(&s, 2, 1, 50);
    }

    assert_int_equal(s.fetches, 5);
    assert_int_equal(s.fetch_index, 50);
    assert_int_equal(driver_snapshot_wanted(s.driver), 50);
    assert_int_equal(server_sent(&s, RAFT_APPEND_ENTRIES_RESULT, 2), 5);
    server_close(&s);
}

static void a_newer_snapshot_replaces_the_one_that_is_fetched(void **state)
{
    (void)state;
    struct server s;
    open_follower(&s);

    hear_install(&s, 2, 1, 50);
    hear_install(&s, 2, 1, 70);
    assert_int_equal(s.fetches, 2);
    assert_int_equal(s.fetch_index, 70);
    stage(&s);

    assert_int_equal(s.install.index, 70);
    server_close(&s);
}

static void an_older_snapshot_of_a_new_leader_keeps_the_newer_one(void **state)
{
    (void)state;
    struct server s;
    open_follower(&s);

    hear_install(&s, 2, 1, 70);
    hear_install(&s, 3, 2, 50);
    assert_int_equal(s.fetch_index, 70);
    stage(&s);

    assert_int_equal(s.install.index, 70);
    server_install(&s);
    assert_int_equal(
        server_last_sent(&s, RAFT_APPEND_ENTRIES_RESULT, 3)->append_entries_result.last_log_index, 70);
    server_close(&s);
}

static void a_later_image_than_the_one_asked_for_is_as_good(void **state)
{
    (void)state;
    struct server s;
    open_follower(&s);

    hear_install(&s, 2, 1, 50);
    assert_int_equal(server_stage(&s, 49, 1), Q_INVALID);
    assert_int_equal(s.installs, 0);
    assert_int_equal(server_stage(&s, 65, 1), 0);
    assert_int_equal(s.install.index, 65);
    server_install(&s);

    const struct raft_message *ack = server_last_sent(&s, RAFT_APPEND_ENTRIES_RESULT, 2);
    assert_int_equal(ack->append_entries_result.last_log_index, 65);
    assert_int_equal(driver_commit(s.driver), 65);
    assert_int_equal(driver_snapshot_wanted(s.driver), 0);
    server_close(&s);
}

/* What is staged and waits reaches as far as a leader now asks for, or does not. */
static void an_image_that_waits_is_kept_while_it_reaches_as_far_as_is_asked(void **state)
{
    (void)state;
    struct server s;
    open_follower(&s);
    hear_install(&s, 2, 1, 50);
    struct raft_message request = vote_request(3, 2, 60, 1, false, true);
    server_hear(&s, &request); /* its leader is none any more */
    assert_int_equal(server_stage(&s, 65, 1), 0);
    assert_int_equal(s.installs, 0);

    unsigned fetches = s.fetches;
    hear_install(&s, 3, 2, 60);
    assert_int_equal(s.fetches, fetches);
    assert_int_equal(s.install.index, 65);
    server_close(&s);

    open_follower(&s);
    hear_install(&s, 2, 1, 50);
    server_hear(&s, &request);
    assert_int_equal(server_stage(&s, 65, 1), 0);
    hear_install(&s, 3, 2, 70);
    assert_int_equal(s.installs, 0);
    assert_int_equal(s.fetch_index, 70);
    assert_int_equal(server_stage(&s, 65, 1), Q_INVALID);
    assert_int_equal(server_stage(&s, 80, 1), 0);
    assert_int_equal(s.install.index, 80);
    server_close(&s);
}

/* The leader of term 1 may never have had entry 65, which was committed in term 3, or another one. */
static void an_image_waits_for_a_leader_that_is_sure_to_have_its_entries(void **state)
{
    (void)state;
    struct server s;
    struct raft_snapshot_metadata image = {.index = 65, .term = 1, .configuration_index = 1};
    struct error e;
    open_follower(&s);
    hear_install(&s, 2, 1, 50);

    image.configuration = members(3, 0);
    assert_int_equal(driver_snapshot_staged(s.driver, s.now_ms, &image, 3, &e), 0);
    raft_configuration_close(&image.configuration);
    hear_install(&s, 2, 1, 50);
    hear_install(&s, 3, 2, 50);
    assert_int_equal(s.installs, 0);
    hear_install(&s, 3, 3, 50);
    assert_int_equal(s.install.index, 65);
    server_close(&s);
}

static void a_staged_snapshot_waits_for_a_leader_of_the_current_term(void **state)
{
    (void)state;
    struct server s;
    open_follower(&s);
    hear_install(&s, 2, 1, 50);
    struct raft_message request = vote_request(3, 2, 60, 1, false, true);
    server_hear(&s, &request);
    assert_int_equal(driver_term(s.driver), 2);

    stage(&s);
    assert_int_equal(s.installs, 0);
    hear_install(&s, 3, 2, 50);

    assert_int_equal(s.fetches, 1);
    assert_int_equal(s.install.index, 50);
    server_close(&s);
}

static void a_snapshot_that_is_not_needed_is_acknowledged_at_once(void **state)
{
    (void)state;
    struct server s;
    struct script script;
    open_follower(&s);
    script_append(&script, 2, 1, 1, 1, 1);
    script_command(&script, 1, "a");
    script_command(&script, 1, "b");
    server_hear(&s, &script.message);
    server_write_all(&s);

    hear_install(&s, 2, 1, 3);

    assert_int_equal(s.fetches, 0);
    assert_int_equal(
        server_last_sent(&s, RAFT_APPEND_ENTRIES_RESULT, 2)->append_entries_result.last_log_index, 3);
    server_close(&s);
}

static void a_snapshot_that_entries_overtook_is_not_installed(void **state)
{
    (void)state;
    struct server s;
    struct script script;
    open_follower(&s);
    hear_install(&s, 2, 1, 3);
    script_append(&script, 2, 1, 1, 1, 1);
    script_command(&script, 1, "a");
    script_command(&script, 1, "b");
    server_hear(&s, &script.message);

    stage(&s);

    assert_int_equal(s.installs, 0);
    stage(&s); /* and word of it once more is ignored */
    server_close(&s);
}

static void nothing_is_applicable_and_nothing_durable_while_installing(void **state)
{
    (void)state;
    struct server s;
    struct script script;
    struct error e;
    open_follower(&s);
    script_append(&script, 2, 1, 1, 1, 1);
    script_command(&script, 1, "still being written");
    server_hear(&s, &script.message);
    hear_install(&s, 2, 1, 50);
    stage(&s);
    assert_int_equal(s.install.index, 50);
    uint64_t applicable = s.applicable;

    assert_int_equal(driver_durable(s.driver, s.now_ms, 2, &e), 0);
    script_append(&script, 2, 1, 50, 1, 51);
    script_command(&script, 1, "too early");
    server_hear(&s, &script.message);
    struct raft_snapshot_metadata m = {.index = 2, .term = 1, .configuration_index = 1};
    assert_int_equal(driver_compacted(s.driver, s.now_ms, &m, 0, &e), Q_BUSY);

    assert_int_equal(s.applicable, applicable);
    assert_int_equal(memlog_last(&s.log), 2);
    server_install(&s);
    assert_int_equal(driver_applicable(s.driver), 50);
    server_close(&s);
}

static void a_leader_describes_its_last_compaction(void **state)
{
    (void)state;
    struct server s;
    open_follower(&s);
    server_win(&s, 3);
    for (int i = 0; i < 10; i++) {
        server_submit(&s, "a");
    }
    server_write_all(&s);
    uint64_t last = memlog_last(&s.log);
    struct raft_message ack = append_result(2, 2, 0, last);
    server_hear(&s, &ack);
    server_compact(&s, 8, 0);

    struct raft_message behind = append_result(3, 2, 1, 0);
    server_hear(&s, &behind);
    server_timeout(&s);
    server_hear(&s, &behind);

    const struct raft_install_snapshot *is =
        &server_last_sent(&s, RAFT_INSTALL_SNAPSHOT, 3)->install_snapshot;
    assert_int_equal(is->last_index, 8);
    assert_int_equal(is->last_term, 2);
    assert_int_equal(is->conf_index, 1);
    assert_int_equal(is->conf.n, 3);
    server_close(&s);
}

/* With entries 6 on in its log, an image at 6 is enough. */
static void a_leader_asks_for_the_oldest_image_that_will_do(void **state)
{
    (void)state;
    struct server s;
    open_follower(&s);
    server_win(&s, 3);
    for (int i = 0; i < 10; i++) {
        server_submit(&s, "a");
    }
    server_write_all(&s);
    struct raft_message ack = append_result(2, 2, 0, memlog_last(&s.log));
    server_hear(&s, &ack);
    server_compact(&s, 9, 4);
    assert_int_equal(s.log.first, 6);

    struct raft_message behind = append_result(3, 2, 1, 0);
    server_hear(&s, &behind);
    server_timeout(&s);
    server_hear(&s, &behind);

    const struct raft_install_snapshot *is =
        &server_last_sent(&s, RAFT_INSTALL_SNAPSHOT, 3)->install_snapshot;
    assert_int_equal(is->last_index, 6);
    assert_int_equal(is->last_term, 2);
    struct raft_message installed = append_result(3, 2, 0, 6);
    server_hear(&s, &installed);
    struct raft_message lacks = append_result(3, 2, 9, 6); /* the heartbeat behind the snapshot */
    server_hear(&s, &lacks);
    server_timeout(&s);
    const struct raft_append_entries *ae = &server_last_sent(&s, RAFT_APPEND_ENTRIES, 3)->append_entries;
    assert_int_equal(ae->prev_log_index, 6);
    assert_true(ae->n_entries > 0);
    server_close(&s);
}

/* Nor does it leak what it is given. */
static void a_driver_whose_owner_failed_does_nothing_any_more(void **state)
{
    (void)state;
    struct server s;
    struct error e;
    open_follower(&s);
    server_win(&s, 3);
    server_write_all(&s);
    struct raft_message ack = append_result(2, 2, 0, memlog_last(&s.log));
    server_hear(&s, &ack);
    server_submit(&s, "a");
    server_write_all(&s);
    ack = append_result(2, 2, 0, memlog_last(&s.log));
    server_hear(&s, &ack);
    uint64_t index = s.applicable;
    s.full = true;
    assert_int_not_equal(driver_submit(s.driver, s.now_ms, LOG_COMMANDS, "b", 1, &e), 0);

    struct raft_snapshot_metadata m = {.index = index, .term = 2, .configuration_index = 1};
    m.configuration = members(3, 0);
    assert_int_not_equal(driver_compacted(s.driver, s.now_ms, &m, 0, &e), 0);
    raft_configuration_close(&m.configuration);
    server_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_staged_snapshot_is_installed_and_acknowledged),
        cmocka_unit_test(what_is_wanted_is_said_as_often_as_the_leader_says_it),
        cmocka_unit_test(a_newer_snapshot_replaces_the_one_that_is_fetched),
        cmocka_unit_test(an_older_snapshot_of_a_new_leader_keeps_the_newer_one),
        cmocka_unit_test(a_later_image_than_the_one_asked_for_is_as_good),
        cmocka_unit_test(an_image_that_waits_is_kept_while_it_reaches_as_far_as_is_asked),
        cmocka_unit_test(an_image_waits_for_a_leader_that_is_sure_to_have_its_entries),
        cmocka_unit_test(a_staged_snapshot_waits_for_a_leader_of_the_current_term),
        cmocka_unit_test(a_snapshot_that_is_not_needed_is_acknowledged_at_once),
        cmocka_unit_test(a_snapshot_that_entries_overtook_is_not_installed),
        cmocka_unit_test(nothing_is_applicable_and_nothing_durable_while_installing),
        cmocka_unit_test(a_leader_describes_its_last_compaction),
        cmocka_unit_test(a_leader_asks_for_the_oldest_image_that_will_do),
        cmocka_unit_test(a_driver_whose_owner_failed_does_nothing_any_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
