#include "tests/unit/testlib/net_rig.h"

static void a_connection_opens_and_carries_units_in_order_both_ways(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct pair *p = pair_new(seed);
        assert_int_equal(p->client.opened, 0);
        run_for(p, 10000);
        assert_int_equal(p->client.opened, 1);

        for (uint64_t i = 0; i < 100; i++) {
            send_number(&p->client, i);
            send_number(&p->server, i);
            run_for(p, sim_random(p->sim, 0, 300));
        }
        assert_true(env_unsent(p->client.env, p->client.conn) <= 800);
        run_for(p, SECOND);

        assert_heard_in_order(&p->server, 100);
        assert_heard_in_order(&p->client, 100);
        assert_int_equal(env_unsent(p->client.env, p->client.conn), 0);
        assert_true(p->client.drained > 0);
        pair_free(p);
    }
}

static void what_was_sent_before_the_opening_arrives_after_it(void **state)
{
    (void)state;
    struct pair *p = pair_new(1);

    send_number(&p->client, 0);
    run_for(p, SECOND);

    assert_heard_in_order(&p->server, 1);
    pair_free(p);
}

static void each_side_knows_the_other_by_name(void **state)
{
    (void)state;
    struct pair *p = pair_connected(1);
    char name[64], cut[3];

    env_conn_peer(p->env[0], p->client.conn, name, sizeof name);
    assert_string_equal(name, "n2:1");
    env_conn_peer(p->env[1], p->server.conn, name, sizeof name);
    assert_memory_equal(name, "n1:", 3);
    env_conn_peer(p->env[1], p->server.conn, cut, sizeof cut);
    assert_string_equal(cut, "n1");
    pair_free(p);
}

static void a_close_is_told_to_both_sides_once_after_all_that_was_sent(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct pair *p = pair_connected(seed);
        send_number(&p->client, 0);
        send_number(&p->server, 0);
        run_for(p, 40);

        env_conn_close(p->env[0], p->client.conn);
        assert_int_equal(p->client.closed, 0);
        run_for(p, SECOND);

        assert_heard_in_order(&p->server, 1);
        assert_int_equal(p->client.closed, 1);
        assert_int_equal(p->client.why, Q_OK);
        assert_int_equal(p->client.n_heard, 0);
        assert_int_equal(p->server.closed, 1);
        assert_int_equal(p->server.why, Q_CLOSED);
        pair_free(p);
    }
}

static void dialling_where_nobody_listens_is_refused(void **state)
{
    (void)state;
    struct pair *p = pair_connected(1);
    struct end never = {0}, not_any_more = {0};
    never.conn = env_connect(p->env[0], "n9:1", &end_callbacks, &never);
    env_listener_close(p->env[1], p->listener);
    not_any_more.conn = env_connect(p->env[0], "n2:1", &end_callbacks, &not_any_more);

    assert_int_equal(never.closed, 0);
    run_for(p, SECOND);

    assert_int_equal(never.closed, 1);
    assert_int_equal(never.opened, 0);
    assert_int_equal(never.why, Q_IO);
    assert_int_equal(not_any_more.closed, 1);
    assert_string_equal(not_any_more.why_text, "n2:1: Connection refused");
    assert_int_equal(p->client.closed, 0);
    pair_free(p);
}

static void a_listener_may_close_what_it_is_offered(void **state)
{
    (void)state;
    struct pair *p = pair_new(1);
    p->refuse = true;

    run_for(p, SECOND);

    assert_int_equal(p->client.closed, 1);
    assert_null(p->server.conn);
    pair_free(p);
}

static void an_address_is_taken_by_one_listener(void **state)
{
    (void)state;
    struct pair *p = pair_new(1);
    struct env_listener *second;
    struct error e;

    assert_int_equal(env_listen(p->env[0], "n2:1", accept_for_pair, p, &second, &e), Q_IO);
    env_listener_close(p->env[1], p->listener);
    assert_int_equal(env_listen(p->env[0], "n2:1", accept_for_pair, p, &second, &e), 0);
    env_listener_close(p->env[0], second);
    pair_free(p);
}

static void a_process_that_does_not_read_holds_the_sender_back(void **state)
{
    (void)state;
    struct pair *p = pair_connected(1);
    size_t n = SIM_NET_WINDOW / 8;

    sim_node_pause(p->node[1]);
    for (unsigned i = 0; i < 12; i++) {
        env_send(p->env[0], p->client.conn, calloc(1, n), n);
    }
    run_for(p, 60 * SECOND);
    assert_int_equal(env_unsent(p->env[0], p->client.conn), 4 * n);
    assert_int_equal(p->client.drained, 0);
    assert_int_equal(p->server.n_heard, 0);
    assert_int_equal(p->client.closed, 0);

    sim_node_kill(p->node[1]);
    run_for(p, SECOND);
    assert_int_equal(p->client.closed, 1);
    pair_free(p);
}

static void a_paused_process_reads_everything_in_order_after_the_resume(void **state)
{
    (void)state;
    struct pair *p = pair_connected(1);

    sim_node_pause(p->node[1]);
    for (uint64_t i = 0; i < 100; i++) {
        send_number(&p->client, i);
        run_for(p, 10000);
    }
    assert_int_equal(p->server.n_heard, 0);
    sim_node_resume(p->node[1]);
    run_for(p, 10000);

    assert_heard_in_order(&p->server, 100);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_opens_and_carries_units_in_order_both_ways),
        cmocka_unit_test(what_was_sent_before_the_opening_arrives_after_it),
        cmocka_unit_test(each_side_knows_the_other_by_name),
        cmocka_unit_test(a_close_is_told_to_both_sides_once_after_all_that_was_sent),
        cmocka_unit_test(dialling_where_nobody_listens_is_refused),
        cmocka_unit_test(a_listener_may_close_what_it_is_offered),
        cmocka_unit_test(an_address_is_taken_by_one_listener),
        cmocka_unit_test(a_process_that_does_not_read_holds_the_sender_back),
        cmocka_unit_test(a_paused_process_reads_everything_in_order_after_the_resume),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
