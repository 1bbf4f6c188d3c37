/* The guards around the log and the configuration. Each scene says what the guard promises. */
#include "tests/unit/raft_glue/promise.h"
#include "tests/unit/raft_glue/server.h"
#include "tests/unit/test.h"

static void open_follower(struct server *s, unsigned guards)
{
    server_init(s, 1);
    s->config.guards = guards;
    server_bootstrap(s, 3);
    server_start(s);
}

/* Leads term 2 of three voters; its own entry 2 is durable everywhere and committed. */
static void open_leader(struct server *s, unsigned guards)
{
    open_follower(s, guards);
    server_win(s, 3);
    if (memlog_last(&s->log) < 2) {
        struct error e;
        driver_submit(s->driver, s->now_ms, LOG_BARRIER, NULL, 0, &e);
    }
    server_write_all(s);
    for (uint64_t id = 2; id <= 3; id++) {
        struct raft_message ack = append_result(id, 2, 0, 2);
        server_hear(s, &ack);
    }
    server_forget_sent(s);
}

static uint64_t committed_configuration(const struct server *s)
{
    uint64_t index;
    driver_committed_configuration(s->driver, &index);
    return index;
}

static bool concludes_a_configuration_that_is_not_first_in_its_message(unsigned guards)
{
    struct server s;
    struct script script;
    open_follower(&s, guards);

    script_append(&script, 2, 1, 1, 1, 3);
    script_command(&script, 1, "a");
    script_configuration(&script, 1, 3, 1);
    server_hear(&s, &script.message);
    server_write_all(&s);

    bool kept = committed_configuration(&s) == 3 && s.configuration_index == 3;
    script_close(&script);
    promise_close(&s);
    return kept;
}

static void a_configuration_behind_other_entries_is_concluded(void **state)
{
    (void)state;
    promise_needs_guard(concludes_a_configuration_that_is_not_first_in_its_message, GUARD_SPLIT,
                        BREAKS_PROMISE);
}

static bool survives_a_second_leader_of_its_term(unsigned guards)
{
    struct server s;
    struct script script;
    struct error e;
    open_leader(&s, guards);

    script_append(&script, 3, 2, 2, 2, 2);
    server_hear(&s, &script.message);

    struct raft_configuration c = members(3, 1);
    bool kept = driver_state(s.driver) == RAFT_LEADER && driver_change(s.driver, s.now_ms, &c, &e) == 0;
    raft_configuration_close(&c);
    promise_close(&s);
    return kept;
}

static void a_leader_is_not_corrupted_by_another_one_of_its_term(void **state)
{
    (void)state;
    promise_needs_guard(survives_a_second_leader_of_its_term, GUARD_SAMETERM, MAY_CRASH);
}

static bool starts_alone_in_a_new_term(unsigned guards)
{
    struct server s;
    server_init(&s, 1);
    s.config.guards = guards;
    server_bootstrap(&s, 1);

    server_start(&s);

    bool kept =
        driver_state(s.driver) == RAFT_LEADER && driver_term(s.driver) == 2 && s.term == 2 && s.vote == 1;
    promise_close(&s);
    return kept;
}

static void a_sole_voter_leads_a_term_that_nobody_led_before(void **state)
{
    (void)state;
    promise_needs_guard(starts_alone_in_a_new_term, GUARD_BUMP, BREAKS_PROMISE);
}

static bool appends_an_entry_of_its_own_term(unsigned guards)
{
    struct server s;
    open_follower(&s, guards);

    server_win(&s, 3);

    bool kept = memlog_last(&s.log) == 2 && memlog_at(&s.log, 2)->term == 2 &&
                memlog_at(&s.log, 2)->type == LOG_BARRIER && memlog_at(&s.log, 2)->len == 0;
    promise_close(&s);
    return kept;
}

static void a_leader_with_nothing_to_commit_still_appends_an_entry_of_its_term(void **state)
{
    (void)state;
    promise_needs_guard(appends_an_entry_of_its_own_term, GUARD_BARRIER, BREAKS_PROMISE);
}

static bool refuses_a_change_before_its_term_is_committed(unsigned guards)
{
    struct server s;
    struct error e;
    struct raft_configuration c = members(3, 1);
    open_follower(&s, guards);
    server_win(&s, 3);
    server_write_all(&s);

    bool kept = driver_change(s.driver, s.now_ms, &c, &e) == Q_BUSY;

    raft_configuration_close(&c);
    promise_close(&s);
    return kept;
}

static void no_change_before_an_entry_of_the_own_term_is_committed(void **state)
{
    (void)state;
    promise_needs_guard(refuses_a_change_before_its_term_is_committed, GUARD_CHGTERM, BREAKS_PROMISE);
}

static bool applies_only_what_is_durable(unsigned guards)
{
    struct server s;
    struct script script;
    open_follower(&s, guards);

    script_append(&script, 2, 1, 1, 1, 2);
    script_command(&script, 1, "a");
    server_hear(&s, &script.message);

    bool kept = driver_commit(s.driver) == 2 && s.applicable < 2;
    server_write_all(&s);
    kept = kept && s.applicable == 2 && driver_applicable(s.driver) == 2;
    promise_close(&s);
    return kept;
}

static void what_is_committed_but_not_durable_here_is_not_applied(void **state)
{
    (void)state;
    promise_needs_guard(applies_only_what_is_durable, GUARD_APPLYDUR, BREAKS_PROMISE);
}

/* Two configurations arrive while the disk is slow; then a new leader replaces the second one. COMMIT is what
 * the leader says is committed when it sends the second. */
static bool rolls_back_to_the_configuration_before(unsigned guards, uint64_t commit)
{
    struct server s;
    struct script first, second, other;
    open_follower(&s, guards);

    script_append(&first, 2, 1, 1, 1, 1);
    script_configuration(&first, 1, 3, 1);
    server_hear(&s, &first.message);
    script_append(&second, 2, 1, 2, 1, commit);
    script_configuration(&second, 1, 3, 2);
    server_hear(&s, &second.message);
    script_append(&other, 3, 2, 2, 1, 2);
    script_command(&other, 2, "replaces the second");
    server_hear(&s, &other.message);

    bool kept = driver_configuration(s.driver)->n == 4 && committed_configuration(&s) == 2;
    script_close(&first);
    script_close(&second);
    promise_close(&s);
    return kept;
}

static bool concludes_at_commit(unsigned guards)
{
    return rolls_back_to_the_configuration_before(guards, 2);
}

static bool concludes_what_a_newer_one_follows(unsigned guards)
{
    return rolls_back_to_the_configuration_before(guards, 1);
}

static void a_committed_configuration_is_concluded_before_it_is_durable(void **state)
{
    (void)state;
    promise_needs_guard(concludes_at_commit, GUARD_CFGEARLY, BREAKS_PROMISE);
}

static void a_configuration_that_a_newer_one_follows_is_concluded(void **state)
{
    (void)state;
    promise_needs_guard(concludes_what_a_newer_one_follows, GUARD_CFGEARLY, BREAKS_PROMISE);
}

static bool refuses_to_leave_another_server_alone(unsigned guards)
{
    struct server s;
    struct error e;
    struct raft_configuration c;
    server_init(&s, 1);
    s.config.guards = guards;
    server_bootstrap(&s, 2);
    server_start(&s);
    server_win(&s, 2);
    server_write_all(&s);
    struct raft_message ack = append_result(2, 2, 0, 2);
    server_hear(&s, &ack);

    raft_configuration_init(&c);
    raft_configuration_add(&c, 2, "server-2", RAFT_VOTER);
    bool kept = driver_change(s.driver, s.now_ms, &c, &e) == Q_INVALID;

    raft_configuration_close(&c);
    promise_close(&s);
    return kept;
}

static void the_last_voter_is_never_somebody_else(void **state)
{
    (void)state;
    promise_needs_guard(refuses_to_leave_another_server_alone, GUARD_SOLE, BREAKS_PROMISE);
}

/* Server 2 falls silent after entry 2, so that the leader probes it; then a rejection from long ago arrives.
 */
static bool still_sends_entries_after_a_stale_rejection(unsigned guards)
{
    struct server s;
    open_leader(&s, guards);
    server_submit(&s, "a");
    server_write_all(&s);
    for (int i = 0; i < 3; i++) {
        server_timeout(&s);
        struct raft_message ack = append_result(3, 2, 0, 3);
        server_hear(&s, &ack);
    }

    struct raft_message stale = append_result(2, 2, 2, 0);
    server_hear(&s, &stale);
    server_forget_sent(&s);
    server_timeout(&s);
    server_timeout(&s);

    const struct raft_message *m = server_last_sent(&s, RAFT_APPEND_ENTRIES, 2);
    bool kept = m->append_entries.prev_log_index == 2 && m->append_entries.n_entries == 1;
    promise_close(&s);
    return kept;
}

static void a_stale_rejection_does_not_end_replication(void **state)
{
    (void)state;
    promise_needs_guard(still_sends_entries_after_a_stale_rejection, GUARD_STALEREJ, MAY_CRASH);
}

/* So that what the library leaves uninitialised on its stack is not 0 by chance. */
static __attribute__((noinline)) void paint_stack(void)
{
    volatile unsigned char paint[16384];
    for (size_t i = 0; i < sizeof paint; i++) {
        paint[i] = 0x5a;
    }
}

static bool acknowledges_nothing_to_an_old_leader(unsigned guards)
{
    struct server s;
    struct script script;
    open_follower(&s, guards);
    script_append(&script, 2, 3, 1, 1, 1);
    server_hear(&s, &script.message);
    server_forget_sent(&s);

    struct raft_message install = install_request(3, 2, 50, 2);
    paint_stack();
    server_hear(&s, &install);

    const struct raft_append_entries_result *r =
        &server_last_sent(&s, RAFT_APPEND_ENTRIES_RESULT, 3)->append_entries_result;
    bool kept = r->term == 3 && r->rejected == 0 && r->last_log_index == 0;
    server_forget_sent(&s);

    script_append(&script, 3, 2, 0, 0, 0);
    paint_stack();
    server_hear(&s, &script.message);
    r = &server_last_sent(&s, RAFT_APPEND_ENTRIES_RESULT, 3)->append_entries_result;
    kept = kept && r->term == 3 && r->rejected == 0 && r->last_log_index == 0;
    promise_close(&s);
    return kept;
}

static void an_old_leader_gets_no_false_acknowledgement(void **state)
{
    (void)state;
    promise_needs_guard(acknowledges_nothing_to_an_old_leader, GUARD_STALETERM, BREAKS_PROMISE);
}

static bool keeps_its_log_when_an_old_copy_arrives(unsigned guards)
{
    struct server s;
    struct script script;
    open_follower(&s, guards);
    script_append(&script, 2, 1, 1, 1, 5);
    for (int i = 0; i < 4; i++) {
        script_command(&script, 1, "a");
    }
    server_hear(&s, &script.message);
    server_write_all(&s);
    server_compact(&s, 4, 0);

    script_append(&script, 2, 1, 0, 0, 0);
    script_configuration(&script, 1, 3, 0);
    script_command(&script, 1, "a");
    server_hear(&s, &script.message);

    bool kept = memlog_last(&s.log) == 5 && s.log.first == 5;
    script_close(&script);
    promise_close(&s);
    return kept;
}

static void entries_that_are_compacted_are_not_appended_again(void **state)
{
    (void)state;
    promise_needs_guard(keeps_its_log_when_an_old_copy_arrives, GUARD_OLDAE, MAY_CRASH);
}

static bool sent_entries_to(struct server *s, uint64_t to)
{
    return server_sent(s, RAFT_APPEND_ENTRIES, to) > 0 &&
           server_last_sent(s, RAFT_APPEND_ENTRIES, to)->append_entries.n_entries > 0;
}

static bool sends_a_configuration_only_when_it_is_durable(unsigned guards)
{
    struct server s;
    struct error e;
    struct raft_configuration c = members(3, 1);
    open_leader(&s, guards);

    bool kept = driver_change(s.driver, s.now_ms, &c, &e) == 0;
    kept = kept && !sent_entries_to(&s, 2);
    server_write_all(&s);
    kept = kept && sent_entries_to(&s, 2) && sent_entries_to(&s, 3);

    raft_configuration_close(&c);
    promise_close(&s);
    return kept;
}

static void a_configuration_does_not_leave_before_it_is_durable(void **state)
{
    (void)state;
    promise_needs_guard(sends_a_configuration_only_when_it_is_durable, GUARD_CHGDUR, BREAKS_PROMISE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_configuration_behind_other_entries_is_concluded),
        cmocka_unit_test(a_leader_is_not_corrupted_by_another_one_of_its_term),
        cmocka_unit_test(a_sole_voter_leads_a_term_that_nobody_led_before),
        cmocka_unit_test(a_leader_with_nothing_to_commit_still_appends_an_entry_of_its_term),
        cmocka_unit_test(no_change_before_an_entry_of_the_own_term_is_committed),
        cmocka_unit_test(what_is_committed_but_not_durable_here_is_not_applied),
        cmocka_unit_test(a_committed_configuration_is_concluded_before_it_is_durable),
        cmocka_unit_test(a_configuration_that_a_newer_one_follows_is_concluded),
        cmocka_unit_test(the_last_voter_is_never_somebody_else),
        cmocka_unit_test(a_stale_rejection_does_not_end_replication),
        cmocka_unit_test(an_old_leader_gets_no_false_acknowledgement),
        cmocka_unit_test(entries_that_are_compacted_are_not_appended_again),
        cmocka_unit_test(a_configuration_does_not_leave_before_it_is_durable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
