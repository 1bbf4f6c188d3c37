/* What the driver promises its owner, apart from guards, feeds and snapshots. */
#include "tests/unit/raft_glue/server.h"
#include "tests/unit/test.h"

static void open_follower(struct server *s)
{
    server_init(s, 1);
    server_bootstrap(s, 3);
    server_start(s);
}

/* Leads term 2 of three voters, and its entry 2 is committed. */
static void open_leader(struct server *s)
{
    open_follower(s);
    server_win(s, 3);
    server_write_all(s);
    struct raft_message ack = append_result(2, 2, 0, 2);
    server_hear(s, &ack);
    assert_true(driver_own_term_committed(s->driver));
    server_forget_sent(s);
}

static void term_and_vote_are_durable_before_a_vote_leaves(void **state)
{
    (void)state;
    struct server s;
    open_follower(&s);

    struct raft_message request = vote_request(2, 5, 9, 1, false, false);
    server_hear(&s, &request);

    assert_int_equal(s.term, 5);
    assert_int_equal(s.vote, 2);
    assert_true(server_last_sent(&s, RAFT_REQUEST_VOTE_RESULT, 2)->request_vote_result.vote_granted);
    server_close(&s);
}

static void a_vote_in_a_term_that_was_known_before_is_durable_too(void **state)
{
    (void)state;
    struct server s;
    open_follower(&s);

    struct raft_message hopeless = vote_request(2, 5, 0, 0, false, false);
    server_hear(&s, &hopeless);
    assert_int_equal(s.term, 5);
    assert_int_equal(s.vote, 0);
    struct raft_message request = vote_request(3, 5, 9, 1, false, false);
    server_hear(&s, &request);

    assert_int_equal(s.vote, 3);
    assert_true(server_last_sent(&s, RAFT_REQUEST_VOTE_RESULT, 3)->request_vote_result.vote_granted);
    server_close(&s);
}

static void an_acknowledgement_waits_for_the_disk(void **state)
{
    (void)state;
    struct server s;
    struct script script;
    open_follower(&s);

    script_append(&script, 2, 1, 1, 1, 1);
    script_command(&script, 1, "a");
    script_command(&script, 1, "b");
    server_hear(&s, &script.message);
    assert_int_equal(s.flushes, 1);
    assert_int_equal(server_sent(&s, RAFT_APPEND_ENTRIES_RESULT, 2), 0);
    server_write(&s, 2);
    assert_int_equal(
        server_last_sent(&s, RAFT_APPEND_ENTRIES_RESULT, 2)->append_entries_result.last_log_index, 2);
    server_write(&s, 3);

    assert_int_equal(
        server_last_sent(&s, RAFT_APPEND_ENTRIES_RESULT, 2)->append_entries_result.last_log_index, 3);
    assert_memory_equal(memlog_at(&s.log, 3)->data, "b", 1);
    server_close(&s);
}

static void entries_of_another_leader_replace_what_was_not_committed(void **state)
{
    (void)state;
    struct server s;
    struct script script;
    open_follower(&s);
    script_append(&script, 2, 1, 1, 1, 1);
    script_command(&script, 1, "lost");
    script_command(&script, 1, "lost too");
    server_hear(&s, &script.message);
    server_write_all(&s);

    script_append(&script, 3, 2, 1, 1, 1);
    script_command(&script, 2, "kept");
    server_hear(&s, &script.message);

    assert_int_equal(memlog_last(&s.log), 2);
    assert_int_equal(memlog_term(&s.log, 2), 2);
    server_write_all(&s);
    assert_int_equal(
        server_last_sent(&s, RAFT_APPEND_ENTRIES_RESULT, 3)->append_entries_result.last_log_index, 2);
    server_close(&s);
}

static void a_message_in_several_parts_that_does_not_fit_is_rejected_once(void **state)
{
    (void)state;
    struct server s;
    struct script script;
    open_follower(&s);

    script_append(&script, 2, 1, 7, 1, 1);
    script_command(&script, 1, "a");
    script_configuration(&script, 1, 3, 1);
    script_command(&script, 1, "b");
    server_hear(&s, &script.message);

    assert_int_equal(server_sent(&s, RAFT_APPEND_ENTRIES_RESULT, 2), 1);
    assert_int_equal(server_last_sent(&s, RAFT_APPEND_ENTRIES_RESULT, 2)->append_entries_result.rejected, 7);
    assert_int_equal(memlog_last(&s.log), 1);
    script_close(&script);
    server_close(&s);
}

static void a_configuration_behind_a_gap_proves_nothing_about_ours(void **state)
{
    (void)state;
    struct server s;
    struct script ours, other;
    uint64_t index;
    open_follower(&s);
    script_append(&ours, 2, 1, 1, 1, 1);
    script_configuration(&ours, 1, 3, 1);
    server_hear(&s, &ours.message);

    script_append(&other, 3, 2, 7, 2, 1);
    script_configuration(&other, 2, 3, 2);
    server_hear(&s, &other.message);

    driver_committed_configuration(s.driver, &index);
    assert_int_equal(index, 1);
    assert_int_equal(s.configurations, 0);
    script_close(&ours);
    script_close(&other);
    server_close(&s);
}

static void a_barrier_of_the_core_has_no_payload_in_the_log(void **state)
{
    (void)state;
    struct server s;
    struct script script;
    open_follower(&s);
    script_append(&script, 2, 1, 1, 1, 1);
    script_command(&script, 1, "not known to be committed");
    server_hear(&s, &script.message);
    server_write_all(&s);

    server_win(&s, 3);

    assert_int_equal(memlog_last(&s.log), 3);
    assert_int_equal(memlog_at(&s.log, 3)->type, LOG_BARRIER);
    assert_int_equal(memlog_at(&s.log, 3)->len, 0);
    server_close(&s);
}

static void role_is_told_when_state_term_or_leader_changes(void **state)
{
    (void)state;
    struct server s;
    struct script script;
    open_follower(&s);
    assert_int_equal(s.roles, 0);

    script_append(&script, 2, 1, 1, 1, 1);
    server_hear(&s, &script.message);
    assert_int_equal(s.roles, 1);
    assert_int_equal(s.leader, 2);
    server_hear(&s, &script.message);
    assert_int_equal(s.roles, 1);
    script_append(&script, 3, 2, 1, 1, 1);
    server_hear(&s, &script.message);
    assert_int_equal(s.roles, 2);
    assert_int_equal(s.leader, 3);
    assert_int_equal(s.told_term, 2);
    server_timeout(&s);
    assert_int_equal(s.state, RAFT_CANDIDATE);
    assert_int_equal(s.leader, 0);
    server_close(&s);
}

static void a_leader_that_hears_from_no_majority_steps_down(void **state)
{
    (void)state;
    struct server s;
    open_leader(&s);
    uint64_t from = s.now_ms;

    while (driver_state(s.driver) == RAFT_LEADER && s.now_ms < from + 10 * ELECTION_MS) {
        server_timeout(&s);
    }

    assert_int_equal(s.state, RAFT_FOLLOWER);
    assert_in_range(s.now_ms, from + ELECTION_MS, from + 2 * ELECTION_MS + HEARTBEAT_MS);
    server_close(&s);
}

static void only_a_leader_takes_commands(void **state)
{
    (void)state;
    struct server s;
    struct error e;
    open_follower(&s);

    assert_int_equal(driver_submit(s.driver, s.now_ms, LOG_COMMANDS, "a", 1, &e), Q_NOT_LEADER);
    assert_int_equal(memlog_last(&s.log), 1);
    server_close(&s);

    open_leader(&s);
    server_submit(&s, "a");
    assert_int_equal(memlog_last(&s.log), 3);
    assert_int_equal(memlog_term(&s.log, 3), 2);
    server_close(&s);
}

static void a_leader_that_hands_over_takes_no_commands_until_that_fails(void **state)
{
    (void)state;
    struct server s;
    struct error e;
    open_leader(&s);

    assert_int_equal(driver_transfer(s.driver, s.now_ms, 9, &e), Q_INVALID);
    assert_int_equal(driver_transfer(s.driver, s.now_ms, 2, &e), 0);
    assert_true(driver_transferring(s.driver));
    assert_int_equal(server_sent(&s, RAFT_TIMEOUT_NOW, 2), 1);
    assert_int_equal(driver_submit(s.driver, s.now_ms, LOG_COMMANDS, "a", 1, &e), Q_NOT_LEADER);
    assert_int_equal(driver_transfer(s.driver, s.now_ms, 3, &e), Q_NOT_LEADER);

    for (int i = 0; i < 20 && driver_transferring(s.driver); i++) {
        server_timeout(&s);
        struct raft_message ack = append_result(3, 2, 0, 2);
        server_hear(&s, &ack);
    }
    assert_false(driver_transferring(s.driver));
    server_submit(&s, "a");
    server_close(&s);
}

static int change(struct server *s, struct raft_configuration c, struct error *e)
{
    int rv = driver_change(s->driver, s->now_ms, &c, e);
    raft_configuration_close(&c);
    return rv;
}

static void changes_that_could_split_the_cluster_are_refused(void **state)
{
    (void)state;
    struct server s;
    struct error e;
    open_leader(&s);

    assert_int_equal(change(&s, members(5, 0), &e), Q_INVALID); /* two voters at once */
    assert_int_equal(change(&s, members(1, 0), &e), Q_INVALID);
    assert_int_equal(change(&s, members(0, 3), &e), Q_INVALID);
    struct raft_configuration replaced = members(2, 0);
    raft_configuration_add(&replaced, 7, "server-7", RAFT_STANDBY);
    assert_int_equal(change(&s, replaced, &e), Q_INVALID); /* 7 in the place of 3 */
    struct raft_configuration nameless = members(3, 0);
    raft_configuration_add(&nameless, 7, "", RAFT_STANDBY);
    assert_int_equal(change(&s, nameless, &e), Q_INVALID);
    struct raft_configuration many = members(3, 0);
    char address[MESSAGE_ADDRESS_MAX + 1];
    memset(address, 'x', MESSAGE_ADDRESS_MAX);
    address[MESSAGE_ADDRESS_MAX] = 0;
    for (uint64_t id = 4; id < 30; id++) {
        address[0] = (char)('a' + id);
        raft_configuration_add(&many, id, address, RAFT_STANDBY);
    }
    assert_int_equal(change(&s, many, &e), Q_TOO_BIG); /* does not fit into the meta file */
    assert_int_equal(memlog_last(&s.log), 2);

    assert_int_equal(change(&s, members(3, 1), &e), 0);
    assert_int_equal(change(&s, members(3, 2), &e), Q_BUSY);
    assert_int_equal(driver_configuration(s.driver)->n, 4);
    server_close(&s);

    open_follower(&s);
    assert_int_equal(change(&s, members(3, 1), &e), Q_NOT_LEADER);
    server_close(&s);
}

static void a_committed_change_is_told(void **state)
{
    (void)state;
    struct server s;
    struct error e;
    uint64_t index;
    open_leader(&s);

    assert_int_equal(change(&s, members(3, 1), &e), 0);
    server_write_all(&s);
    assert_int_equal(s.configurations, 0);
    struct raft_message ack = append_result(2, 2, 0, 3);
    server_hear(&s, &ack);

    assert_int_equal(s.configurations, 1);
    assert_int_equal(s.configuration_index, 3);
    assert_int_equal(driver_committed_configuration(s.driver, &index)->n, 4);
    assert_int_equal(index, 3);
    server_close(&s);
}

static void a_catch_up_is_checked_and_followed_to_its_end(void **state)
{
    (void)state;
    struct server s;
    struct error e;
    open_leader(&s);
    assert_int_equal(change(&s, members(3, 1), &e), 0);
    server_write_all(&s);
    struct raft_message ack = append_result(2, 2, 0, 3);
    server_hear(&s, &ack);

    assert_int_equal(driver_catch_up(s.driver, s.now_ms, 9, &e), Q_NOT_FOUND);
    assert_int_equal(driver_catch_up(s.driver, s.now_ms, 2, &e), Q_INVALID);
    assert_int_equal(driver_catch_up_status(s.driver, 4), RAFT_CATCH_UP_NONE);
    assert_int_equal(driver_catch_up(s.driver, s.now_ms, 4, &e), 0);
    assert_int_equal(driver_catch_up_status(s.driver, 4), RAFT_CATCH_UP_RUNNING);
    assert_int_equal(driver_catch_up(s.driver, s.now_ms, 4, &e), Q_BUSY);
    assert_int_equal(change(&s, members(4, 0), &e), Q_BUSY);
    ack = append_result(4, 2, 0, 3);
    server_hear(&s, &ack);

    assert_int_equal(driver_catch_up_status(s.driver, 4), RAFT_CATCH_UP_FINISHED);
    assert_int_equal(driver_match(s.driver, 4), 3);
    assert_int_equal(change(&s, members(4, 0), &e), 0);
    server_close(&s);
}

/* The core would name a time in the past for ever after it has sent to a spare once. */
static void the_deadline_after_a_timeout_is_always_ahead(void **state)
{
    (void)state;
    struct server s;
    struct error e;
    open_leader(&s);
    struct raft_configuration c = members(3, 0);
    raft_configuration_add(&c, 4, "server-4", RAFT_SPARE);
    assert_int_equal(change(&s, c, &e), 0);
    server_write_all(&s);
    struct raft_message ack = append_result(2, 2, 0, 3);
    server_hear(&s, &ack);
    assert_int_equal(driver_catch_up(s.driver, s.now_ms, 4, &e), 0);
    ack = append_result(4, 2, 0, 3);
    server_hear(&s, &ack);
    assert_int_equal(driver_catch_up_status(s.driver, 4), RAFT_CATCH_UP_FINISHED);

    for (int i = 0; i < 50; i++) {
        server_timeout(&s);
        assert_true(driver_deadline(s.driver) >= s.now_ms + HEARTBEAT_MS / 2);
        ack = append_result(2, 2, 0, 3);
        server_hear(&s, &ack);
    }
    assert_int_equal(driver_state(s.driver), RAFT_LEADER);
    server_close(&s);
}

static void compaction_is_checked(void **state)
{
    (void)state;
    struct server s;
    struct error e;
    open_leader(&s);
    for (int i = 0; i < 5; i++) {
        server_submit(&s, "a");
    }
    server_write_all(&s);
    struct raft_message ack = append_result(2, 2, 0, 5);
    server_hear(&s, &ack);
    struct raft_configuration c = members(3, 0);
    struct raft_snapshot_metadata m = {.index = 6, .term = 2, .configuration = c, .configuration_index = 1};

    assert_int_equal(driver_compacted(s.driver, s.now_ms, &m, 0, &e), Q_BUSY); /* not committed */
    m.index = 5;
    m.term = 1;
    assert_int_equal(driver_compacted(s.driver, s.now_ms, &m, 0, &e), Q_INVALID);
    m.term = 2;
    m.configuration_index = 6;
    assert_int_equal(driver_compacted(s.driver, s.now_ms, &m, 0, &e), Q_INVALID);
    m.configuration_index = 1;
    assert_int_equal(driver_compacted(s.driver, s.now_ms, &m, 0, &e), 0);
    assert_int_equal(driver_compacted(s.driver, s.now_ms, &m, 0, &e), Q_INVALID); /* again */
    m.index = 1;
    m.term = 1;
    assert_int_equal(driver_compacted(s.driver, s.now_ms, &m, 0, &e), Q_INVALID);
    raft_configuration_close(&c);
    server_close(&s);
}

static void the_first_entry_is_never_compacted_away_alone(void **state)
{
    (void)state;
    struct server s;
    struct error e;
    open_leader(&s);
    struct raft_configuration c = members(3, 0);
    struct raft_snapshot_metadata m = {.index = 1, .term = 1, .configuration = c, .configuration_index = 1};

    assert_int_equal(driver_compacted(s.driver, s.now_ms, &m, 0, &e), Q_INVALID);

    raft_configuration_close(&c);
    server_close(&s);
}

static void a_restarted_server_goes_on_where_its_disk_ends(void **state)
{
    (void)state;
    struct server s;
    open_leader(&s);
    for (int i = 0; i < 10; i++) {
        server_submit(&s, "a");
    }
    server_write(&s, 9);
    struct raft_message ack = append_result(2, 2, 0, 8);
    server_hear(&s, &ack);
    server_compact(&s, 7, 2);
    s.database = 8;
    server_stop(&s);

    server_start(&s);

    assert_int_equal(driver_state(s.driver), RAFT_FOLLOWER);
    assert_int_equal(driver_term(s.driver), 2);
    assert_int_equal(driver_vote(s.driver), 1);
    assert_int_equal(driver_commit(s.driver), 7);
    assert_int_equal(driver_applicable(s.driver), 8);
    struct raft_snapshot_metadata m = s.snapshot;
    struct error e;
    m.index = 8; /* in the database, but the core cannot know yet that it is committed */
    assert_int_equal(driver_compacted(s.driver, s.now_ms, &m, 0, &e), Q_BUSY);
    assert_int_equal(memlog_last(&s.log), 9);
    struct script script;
    script_append(&script, 2, 3, 9, 2, 9);
    server_hear(&s, &script.message);
    assert_int_equal(s.applicable, 9);
    server_close(&s);
}

static void expect_no_start(struct server *s, const char *text)
{
    struct error e;
    assert_int_equal(server_try_start(s, &e), Q_INVALID);
    assert_string_equal(e.text, text);
    server_close(s);
}

static void a_disk_whose_parts_do_not_fit_together_does_not_start(void **state)
{
    (void)state;
    struct server s;

    server_init(&s, 1);
    server_bootstrap(&s, 3);
    s.database = 5;
    expect_no_start(&s, "the database is at 5, the log reaches from 1 to 1");

    server_init(&s, 1);
    server_bootstrap(&s, 3);
    s.term = 0;
    expect_no_start(&s, "term 0, but there is a vote, a snapshot or a log");

    server_init(&s, 1);
    memlog_append(&s.disk, 1, LOG_COMMANDS, "a", 1);
    s.term = 1;
    expect_no_start(&s, "the log does not begin with a configuration");

    server_init(&s, 1);
    server_bootstrap(&s, 3);
    s.snapshot = (struct raft_snapshot_metadata){
        .index = 9, .term = 1, .configuration = members(3, 0), .configuration_index = 1};
    expect_no_start(&s, "the log holds 1 to 1, the snapshot's entry 9 is not in it");
}

static void a_configuration_that_cannot_be_read_does_not_start(void **state)
{
    (void)state;
    struct server s;
    struct error e;
    server_init(&s, 1);
    server_bootstrap(&s, 3);
    s.damaged = 1;

    assert_int_equal(server_try_start(&s, &e), Q_CORRUPT);
    assert_string_equal(e.text, "the configuration at 1 cannot be read");
    server_close(&s);
}

static void every_guard_has_a_name(void **state)
{
    (void)state;
    assert_int_equal(GUARD_ALL, (1 << DRIVER_GUARDS) - 1);
    for (unsigned i = 0; i < DRIVER_GUARDS; i++) {
        assert_string_not_equal(driver_guard_name(i), driver_guard_name(DRIVER_GUARDS));
    }
    assert_string_equal(driver_guard_name(18), "contact");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(term_and_vote_are_durable_before_a_vote_leaves),
        cmocka_unit_test(a_vote_in_a_term_that_was_known_before_is_durable_too),
        cmocka_unit_test(an_acknowledgement_waits_for_the_disk),
        cmocka_unit_test(entries_of_another_leader_replace_what_was_not_committed),
        cmocka_unit_test(a_message_in_several_parts_that_does_not_fit_is_rejected_once),
        cmocka_unit_test(a_configuration_behind_a_gap_proves_nothing_about_ours),
        cmocka_unit_test(a_barrier_of_the_core_has_no_payload_in_the_log),
        cmocka_unit_test(role_is_told_when_state_term_or_leader_changes),
        cmocka_unit_test(a_leader_that_hears_from_no_majority_steps_down),
        cmocka_unit_test(only_a_leader_takes_commands),
        cmocka_unit_test(a_leader_that_hands_over_takes_no_commands_until_that_fails),
        cmocka_unit_test(changes_that_could_split_the_cluster_are_refused),
        cmocka_unit_test(a_committed_change_is_told),
        cmocka_unit_test(a_catch_up_is_checked_and_followed_to_its_end),
        cmocka_unit_test(the_deadline_after_a_timeout_is_always_ahead),
        cmocka_unit_test(compaction_is_checked),
        cmocka_unit_test(the_first_entry_is_never_compacted_away_alone),
        cmocka_unit_test(a_restarted_server_goes_on_where_its_disk_ends),
        cmocka_unit_test(a_disk_whose_parts_do_not_fit_together_does_not_start),
        cmocka_unit_test(a_configuration_that_cannot_be_read_does_not_start),
        cmocka_unit_test(every_guard_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
