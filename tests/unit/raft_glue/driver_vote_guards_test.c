/* The guards around elections, contact and snapshots. Each scene says what the guard promises. */
#include "raft_glue/configuration.h"
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

static bool ignores_a_late_vote(unsigned guards)
{
    struct server s;
    open_follower(&s, guards);

    struct raft_message late = vote_result(2, 2, true, true);
    server_hear(&s, &late);

    bool kept = driver_term(s.driver) == 1;
    promise_close(&s);
    return kept;
}

static void a_late_vote_changes_nothing_for_a_follower(void **state)
{
    (void)state;
    promise_needs_guard(ignores_a_late_vote, GUARD_VOTERES, BREAKS_PROMISE);
}

static bool grants(struct server *s, struct raft_message request)
{
    server_forget_sent(s);
    server_hear(s, &request);
    return server_last_sent(s, RAFT_REQUEST_VOTE_RESULT, request.server_id)->request_vote_result.vote_granted;
}

static bool votes_as_standby(unsigned guards)
{
    struct server s;
    server_init(&s, 4);
    s.config.guards = guards;
    server_bootstrap(&s, 3);
    server_start(&s);
    struct script script;
    script_append(&script, 2, 1, 1, 1, 2);
    script_configuration(&script, 1, 3, 1);
    server_hear(&s, &script.message);
    server_write_all(&s);

    bool kept = grants(&s, vote_request(3, 2, 5, 1, false, true));

    kept = kept && configuration_find(driver_configuration(s.driver), 4)->role == RAFT_STANDBY;
    script_close(&script);
    promise_close(&s);
    return kept;
}

static bool votes_before_it_knows_the_cluster(unsigned guards)
{
    struct server s;
    server_init(&s, 4);
    s.config.guards = guards;
    server_start(&s);

    bool kept = grants(&s, vote_request(3, 2, 5, 1, false, false));

    kept = kept && s.term == 2 && s.vote == 3 && driver_configuration(s.driver)->n == 0;
    promise_close(&s);
    return kept;
}

static void open_standby_with_leader(struct server *s, unsigned guards)
{
    struct script script;
    server_init(s, 4);
    s->config.guards = guards;
    server_bootstrap(s, 3);
    server_start(s);
    script_append(&script, 2, 1, 1, 1, 2);
    script_configuration(&script, 1, 3, 1);
    server_hear(s, &script.message);
    server_write_all(s);
    script_close(&script);
}

static bool forgets_a_silent_leader(unsigned guards)
{
    struct server s;
    open_standby_with_leader(&s, guards);
    bool kept = driver_leader(s.driver) == 2 && !grants(&s, vote_request(3, 2, 5, 1, false, false));

    server_timeout(&s);

    kept = kept && driver_leader(s.driver) == 0 && s.leader == 0;
    kept = kept && grants(&s, vote_request(3, 2, 5, 1, false, false));
    promise_close(&s);
    return kept;
}

static void a_server_that_does_not_know_that_it_is_a_voter_votes(void **state)
{
    (void)state;
    promise_needs_guard(votes_as_standby, GUARD_VOTE, BREAKS_PROMISE);
}

static void a_server_that_knows_no_cluster_yet_votes(void **state)
{
    (void)state;
    promise_needs_guard(votes_before_it_knows_the_cluster, GUARD_VOTE, BREAKS_PROMISE);
}

static void a_standby_forgets_a_leader_that_is_silent(void **state)
{
    (void)state;
    promise_needs_guard(forgets_a_silent_leader, GUARD_VOTE, BREAKS_PROMISE);
}

static bool tells_its_term_to_a_candidate_of_an_old_one(unsigned guards)
{
    struct server s;
    server_init(&s, 1);
    s.config.guards = guards;
    server_bootstrap(&s, 3);
    s.term = 7;
    server_start(&s);

    bool kept = !grants(&s, vote_request(2, 4, 9, 3, true, false));

    const struct raft_request_vote_result *r =
        &server_last_sent(&s, RAFT_REQUEST_VOTE_RESULT, 2)->request_vote_result;
    kept = kept && r->term == 7;
    promise_close(&s);
    return kept;
}

static void a_denied_candidate_learns_our_term(void **state)
{
    (void)state;
    promise_needs_guard(tells_its_term_to_a_candidate_of_an_old_one, GUARD_PVTERM, BREAKS_PROMISE);
}

static bool votes_while_it_fetches_a_snapshot(unsigned guards)
{
    struct server s;
    open_follower(&s, guards);
    struct raft_message install = install_request(2, 1, 50, 1);
    server_hear(&s, &install);

    bool kept = grants(&s, vote_request(3, 2, 60, 1, false, true));

    kept = kept && s.fetches == 1 && s.installs == 0 && s.fetch_index == 50 && s.fetch_from == 2;
    promise_close(&s);
    return kept;
}

static void a_server_that_fetches_a_snapshot_still_votes(void **state)
{
    (void)state;
    promise_needs_guard(votes_while_it_fetches_a_snapshot, GUARD_HOLD, BREAKS_PROMISE);
}

static bool answers_a_leader_whose_snapshot_it_fetches(unsigned guards)
{
    struct server s;
    open_follower(&s, guards);

    struct raft_message install = install_request(2, 1, 50, 1);
    server_hear(&s, &install);

    bool kept = server_sent(&s, RAFT_APPEND_ENTRIES_RESULT, 2) == 1;
    if (kept) {
        const struct raft_append_entries_result *r =
            &server_last_sent(&s, RAFT_APPEND_ENTRIES_RESULT, 2)->append_entries_result;
        kept = r->term == 1 && r->rejected == 0 && r->last_log_index == 0 && driver_leader(s.driver) == 2;
    }
    promise_close(&s);
    return kept;
}

static void a_leader_hears_from_who_fetches_its_snapshot(void **state)
{
    (void)state;
    promise_needs_guard(answers_a_leader_whose_snapshot_it_fetches, GUARD_ISHB, BREAKS_PROMISE);
}

/* A heap that counts what the library did not give back. */
static long live;

static void *count_malloc(void *data, size_t n)
{
    (void)data;
    live++;
    return malloc(n);
}

static void count_free(void *data, void *p)
{
    (void)data;
    live -= p != NULL;
    free(p);
}

static void *count_calloc(void *data, size_t n, size_t size)
{
    (void)data;
    live++;
    return calloc(n, size);
}

static void *count_realloc(void *data, void *p, size_t n)
{
    (void)data;
    live += p == NULL;
    return realloc(p, n);
}

static bool gives_all_memory_back(unsigned guards)
{
    struct raft_heap heap = {
        .malloc = count_malloc, .free = count_free, .calloc = count_calloc, .realloc = count_realloc};
    struct server s;
    raft_heap_set(&heap);
    live = 0;
    open_follower(&s, guards);
    struct raft_message first = install_request(2, 1, 50, 1);
    server_hear(&s, &first);
    server_stage(&s, 50, 1);

    struct raft_message again = install_request(2, 1, 50, 1);
    server_hear(&s, &again);

    bool kept = s.installs == 1;
    promise_close(&s);
    raft_heap_set_default();
    return kept && live == 0;
}

static void an_install_request_while_installing_leaks_nothing(void **state)
{
    (void)state;
    promise_needs_guard(gives_all_memory_back, GUARD_DUPSNAP, BREAKS_PROMISE);
}

/* Commands keep coming while the disk stands still. */
static bool answers_while_its_disk_is_slow(unsigned guards)
{
    struct server s;
    open_follower(&s, guards);

    for (uint64_t i = 0; i < 4; i++) {
        struct script script;
        script_append(&script, 2, 1, 1 + i, 1, 1);
        script_command(&script, 1, "a");
        s.now_ms += HEARTBEAT_MS;
        server_hear(&s, &script.message);
    }

    bool kept =
        server_sent(&s, RAFT_APPEND_ENTRIES_RESULT, 2) == 3; /* the first one has nothing to wait for */
    if (kept) {
        const struct raft_append_entries_result *r =
            &server_last_sent(&s, RAFT_APPEND_ENTRIES_RESULT, 2)->append_entries_result;
        kept = r->term == 1 && r->rejected == 0 && r->last_log_index == 0;
    }
    promise_close(&s);
    return kept;
}

static void a_follower_with_a_slow_disk_answers_its_leader(void **state)
{
    (void)state;
    promise_needs_guard(answers_while_its_disk_is_slow, GUARD_CONTACT, BREAKS_PROMISE);
}

static void a_busy_follower_does_not_answer_every_message_twice(void **state)
{
    (void)state;
    struct server s;
    open_follower(&s, GUARD_ALL);
    s.now_ms += HEARTBEAT_MS;

    for (uint64_t i = 0; i < 6; i++) {
        struct script script;
        script_append(&script, 2, 1, 1 + i, 1, 1);
        script_command(&script, 1, "a");
        server_hear(&s, &script.message);
    }

    assert_int_equal(server_sent(&s, RAFT_APPEND_ENTRIES_RESULT, 2), 1);
    server_close(&s);
}

/* Leads term 2 of three voters with entries 2 .. 5; 2 has acknowledged entry 3, and 4 and 5 are on their way.
 */
static void open_leader_in_pipeline(struct server *s)
{
    open_follower(s, GUARD_ALL);
    server_win(s, 3);
    for (uint64_t index = 2; index <= 3; index++) {
        struct raft_message ack = append_result(2, 2, 0, index);
        server_write_all(s);
        server_hear(s, &ack);
        server_submit(s, "a");
    }
    server_submit(s, "b");
    server_write_all(s);
    server_forget_sent(s);
}

static void contact_acknowledges_nothing_and_leaves_the_pipeline_alone(void **state)
{
    (void)state;
    struct server s;
    open_leader_in_pipeline(&s);
    assert_int_equal(driver_commit(s.driver), 3);

    struct raft_message contact = append_result(2, 2, 0, 0);
    server_hear(&s, &contact);

    assert_int_equal(driver_match(s.driver, 2), 3);
    assert_int_equal(driver_commit(s.driver), 3);
    assert_null(s.sent);
    server_submit(&s, "c");
    const struct raft_message *next = server_last_sent(&s, RAFT_APPEND_ENTRIES, 2);
    assert_int_equal(next->append_entries.prev_log_index, 5);
    assert_int_equal(next->append_entries.n_entries, 1);
    server_close(&s);
}

static void contact_keeps_a_leader_whose_followers_have_slow_disks(void **state)
{
    (void)state;
    struct server s;
    open_leader_in_pipeline(&s);

    for (int i = 0; i < 4 * ELECTION_MS / HEARTBEAT_MS; i++) {
        server_timeout(&s);
        struct raft_message contact = append_result(2, 2, 0, 0);
        server_hear(&s, &contact);
    }
    assert_int_equal(driver_state(s.driver), RAFT_LEADER);

    for (int i = 0; i < 2 * ELECTION_MS / HEARTBEAT_MS && driver_state(s.driver) == RAFT_LEADER; i++) {
        server_timeout(&s);
    }
    assert_int_equal(driver_state(s.driver), RAFT_FOLLOWER);
    server_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_late_vote_changes_nothing_for_a_follower),
        cmocka_unit_test(a_server_that_does_not_know_that_it_is_a_voter_votes),
        cmocka_unit_test(a_server_that_knows_no_cluster_yet_votes),
        cmocka_unit_test(a_standby_forgets_a_leader_that_is_silent),
        cmocka_unit_test(a_denied_candidate_learns_our_term),
        cmocka_unit_test(a_server_that_fetches_a_snapshot_still_votes),
        cmocka_unit_test(a_leader_hears_from_who_fetches_its_snapshot),
        cmocka_unit_test(an_install_request_while_installing_leaks_nothing),
        cmocka_unit_test(a_follower_with_a_slow_disk_answers_its_leader),
        cmocka_unit_test(a_busy_follower_does_not_answer_every_message_twice),
        cmocka_unit_test(contact_acknowledges_nothing_and_leaves_the_pipeline_alone),
        cmocka_unit_test(contact_keeps_a_leader_whose_followers_have_slow_disks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
