/* A driver that must not lead: it neither campaigns nor takes over, and can be made to step down. */
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

static void who_may_not_campaign_votes_and_stays_follower(void **state)
{
    struct server s;
    struct raft_message now = {.type = RAFT_TIMEOUT_NOW, .server_id = 2, .server_address = "2"};
    struct script heartbeat;
    (void)state;
    open_follower(&s);
    driver_let_campaign(s.driver, false);

    for (int i = 0; i < 5; i++) {
        server_timeout(&s);
    }
    assert_int_equal(driver_state(s.driver), RAFT_FOLLOWER);
    assert_int_equal(server_sent(&s, RAFT_REQUEST_VOTE, 2), 0);

    script_append(&heartbeat, 2, 2, 1, 1, 1);
    server_hear(&s, &heartbeat.message);
    now.timeout_now.term = 2;
    now.timeout_now.last_log_index = 1;
    now.timeout_now.last_log_term = 1;
    server_hear(&s, &now);
    assert_int_equal(driver_state(s.driver), RAFT_FOLLOWER);

    driver_let_campaign(s.driver, true);
    server_hear(&s, &now);
    assert_int_equal(driver_state(s.driver), RAFT_CANDIDATE);
    server_close(&s);
}

static void a_leader_that_steps_down_follows_in_a_new_term(void **state)
{
    struct server s;
    uint64_t term;
    struct error e;
    (void)state;
    open_leader(&s);
    term = driver_term(s.driver);

    assert_int_equal(driver_step_down(s.driver, s.now_ms, &e), 0);

    assert_int_equal(driver_state(s.driver), RAFT_FOLLOWER);
    assert_int_equal(driver_term(s.driver), term + 1);
    assert_int_equal(s.term, term + 1); /* durable */
    assert_int_equal(s.vote, 0);
    assert_int_equal(driver_step_down(s.driver, s.now_ms, &e), Q_NOT_LEADER);
    server_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_may_not_campaign_votes_and_stays_follower),
        cmocka_unit_test(a_leader_that_steps_down_follows_in_a_new_term),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
