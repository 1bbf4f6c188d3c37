#include "tests/unit/testlib/net_rig.h"

static void a_short_cut_delays_and_loses_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct pair *p = pair_connected(seed);
        struct sim_net *net = sim_network(p->sim);

        sim_net_cut(net, p->node[0], p->node[1], true);
        for (uint64_t i = 0; i < 50; i++) {
            send_number(&p->client, i);
            run_for(p, 10000);
        }
        assert_int_equal(p->server.n_heard, 0);
        sim_net_cut(net, p->node[0], p->node[1], false);
        for (uint64_t i = 50; i < 100; i++) {
            send_number(&p->client, i);
            run_for(p, 1000);
        }
        run_for(p, 20 * SECOND);

        assert_heard_in_order(&p->server, 100);
        assert_int_equal(p->client.closed + p->server.closed, 0);
        pair_free(p);
    }
}

static void a_long_cut_breaks_the_side_that_sent_and_the_silent_side_never_notices(void **state)
{
    (void)state;
    struct pair *p = pair_connected(1);
    struct sim_net *net = sim_network(p->sim);
    sim_net_cut(net, p->node[0], p->node[1], true);
    sim_net_cut(net, p->node[1], p->node[0], true);

    run_for(p, 60 * SECOND);
    assert_int_equal(p->client.closed + p->server.closed, 0);
    send_number(&p->client, 0);
    run_for(p, 1 * SECOND);
    assert_int_equal(p->client.closed, 0);
    run_for(p, 20 * SECOND);

    assert_int_equal(p->client.closed, 1);
    assert_string_equal(p->client.why_text, "n2:1: Connection timed out");
    assert_int_equal(p->server.closed, 0);

    /* The first thing that the other side sends after the heal is answered by a reset. */
    sim_net_heal(net);
    send_number(&p->server, 0);
    run_for(p, SECOND);
    assert_int_equal(p->server.closed, 1);
    assert_string_equal(strchr(p->server.why_text, ' '), " Connection reset by peer");
    pair_free(p);
}

static void a_cut_of_one_direction_lets_the_other_pass_but_not_for_long(void **state)
{
    (void)state;
    struct pair *p = pair_connected(1);
    sim_net_cut(sim_network(p->sim), p->node[1], p->node[0], true);

    send_number(&p->client, 0);
    send_number(&p->server, 0);
    run_for(p, SECOND);
    assert_heard_in_order(&p->server, 1);
    assert_int_equal(p->client.n_heard, 0);

    run_for(p, 20 * SECOND);
    assert_int_equal(p->client.closed, 1);
    assert_int_equal(p->server.closed, 1);
    pair_free(p);
}

static void nothing_more_is_taken_while_the_acknowledgements_are_cut(void **state)
{
    (void)state;
    struct pair *p = pair_connected(1);
    size_t n = SIM_NET_WINDOW / 16;
    sim_net_cut(sim_network(p->sim), p->node[1], p->node[0], true);

    for (unsigned i = 0; i < 20; i++) {
        env_send(p->env[0], p->client.conn, calloc(1, n), n);
    }
    run_for(p, SECOND);
    assert_int_equal(p->server.n_heard, 16 * n);
    assert_int_equal(env_unsent(p->env[0], p->client.conn), 4 * n);

    sim_net_heal(sim_network(p->sim));
    run_for(p, SECOND);
    assert_int_equal(p->server.n_heard, 20 * n);
    assert_int_equal(env_unsent(p->env[0], p->client.conn), 0);
    pair_free(p);
}

static void what_waits_for_a_crashed_machine_is_reset_when_it_boots(void **state)
{
    (void)state;
    unsigned waited = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct pair *p = pair_connected(seed);
        sim_node_crash(p->node[1]);
        send_number(&p->client, 0);
        run_for(p, SECOND);
        waited += 1 - p->client.closed;
        server_start(p);
        run_for(p, SECOND);

        assert_int_equal(p->client.closed, 1);
        assert_string_equal(p->client.why_text, "n2:1: Connection reset by peer");
        pair_free(p);
    }
    assert_true(waited > SEEDS / 5);
}

static void dialling_over_a_cut_waits_and_then_times_out(void **state)
{
    (void)state;
    struct pair *p = pair_connected(1);
    struct sim_net *net = sim_network(p->sim);
    for (unsigned direction = 0; direction < 2; direction++) {
        struct end late = {0}, never = {0};
        sim_net_cut(net, p->node[direction], p->node[1 - direction], true);
        late.conn = env_connect(p->env[0], "n2:1", &end_callbacks, &late);
        run_for(p, SECOND);
        assert_int_equal(late.opened + late.closed, 0);
        sim_net_heal(net);
        run_for(p, SECOND);
        assert_int_equal(late.opened, 1);

        sim_net_cut(net, p->node[direction], p->node[1 - direction], true);
        never.conn = env_connect(p->env[0], "n2:1", &end_callbacks, &never);
        run_for(p, 20 * SECOND);
        assert_int_equal(never.opened, 0);
        assert_int_equal(never.closed, 1);
        assert_int_equal(never.why, Q_TIMEOUT);
        sim_net_heal(net);
        env_conn_close(p->env[0], late.conn);
        run_for(p, SECOND);
    }
    pair_free(p);
}

static void a_crash_breaks_the_other_side_soon_or_late_and_what_arrived_is_a_prefix(void **state)
{
    (void)state;
    unsigned soon = 0, late = 0, cut_short = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct pair *p = pair_connected(seed);
        for (uint64_t i = 0; i < 20; i++) {
            send_number(&p->server, i);
            run_for(p, 50);
        }
        size_t sent = sim_net_counters(sim_network(p->sim)).units;

        sim_node_crash(p->node[1]);
        env_conn_close(p->server.env, p->server.conn);
        env_listener_close(p->server.env, p->listener);
        send_number(&p->client, 0);
        run_for(p, SECOND);
        soon += p->client.closed;
        late += 1 - p->client.closed;
        cut_short += p->client.n_heard < 8 * sent;
        run_for(p, 20 * SECOND);

        assert_int_equal(p->client.closed, 1);
        assert_int_equal(p->client.why, Q_IO);
        assert_heard_in_order(&p->client, p->client.n_heard / 8);
        assert_int_equal(p->server.closed, 0);
        pair_free(p);
    }
    assert_true(soon > SEEDS / 5 && late > SEEDS / 5 && cut_short > SEEDS / 5 && cut_short < SEEDS);
}

static void a_silent_side_hears_of_a_crash_when_it_sends_after_the_boot(void **state)
{
    (void)state;
    unsigned had_not_noticed = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct pair *p = pair_connected(seed);
        sim_node_crash(p->node[1]);
        run_for(p, 60 * SECOND);
        had_not_noticed += 1 - p->client.closed;
        server_start(p);
        if (p->client.conn != NULL) {
            send_number(&p->client, 0);
        }
        run_for(p, SECOND);

        assert_int_equal(p->client.closed, 1);
        memset(&p->client, 0, sizeof p->client);
        client_dial(p, "n2:1");
        run_for(p, SECOND);
        assert_int_equal(p->client.opened, 1);
        pair_free(p);
    }
    assert_true(had_not_noticed > SEEDS / 5 && had_not_noticed < SEEDS);
}

static void a_killed_process_says_goodbye(void **state)
{
    (void)state;
    struct pair *p = pair_connected(1);
    send_number(&p->server, 0);
    run_for(p, 40);

    sim_node_kill(p->node[1]);
    run_for(p, SECOND);

    assert_heard_in_order(&p->client, 1);
    assert_int_equal(p->client.closed, 1);
    assert_int_equal(p->client.why, Q_CLOSED);
    pair_free(p);
}

static void calls_on_the_connections_of_a_dead_process_do_nothing(void **state)
{
    (void)state;
    struct pair *p = pair_connected(1);
    struct end late = {0};
    char name[16];
    struct error e;
    struct env_listener *listener;

    sim_node_crash(p->node[0]);
    send_number(&p->client, 0);
    late.conn = env_connect(p->env[0], "n2:1", &end_callbacks, &late);
    assert_int_equal(env_listen(p->env[0], "n1:1", accept_for_pair, p, &listener, &e), Q_CLOSED);
    assert_int_equal(env_unsent(p->env[0], p->client.conn), 0);
    env_conn_peer(p->env[0], p->client.conn, name, sizeof name);
    env_conn_close(p->env[0], p->client.conn);
    env_conn_close(p->env[0], late.conn);
    run_for(p, 20 * SECOND);

    assert_int_equal(p->server.n_heard, 0);
    assert_int_equal(p->client.closed + late.closed, 0);
    pair_free(p);
}

static void set_faults(struct pair *p, struct sim_net_faults faults)
{
    sim_net_set_faults(sim_network(p->sim), &faults);
}

static void units_are_dropped_and_doubled_at_the_rate_asked_for(void **state)
{
    (void)state;
    struct pair *p = pair_connected(1);
    unsigned times[2000] = {0}, dropped = 0, doubled = 0;
    set_faults(p, (struct sim_net_faults){.drop = 200000, .duplicate = 100000});

    for (uint64_t i = 0; i < 2000; i++) {
        send_number(&p->client, i);
        run_for(p, 100);
    }
    run_for(p, SECOND);

    for (size_t i = 0; i < p->server.n_heard / 8; i++) {
        times[heard(&p->server, i)]++;
    }
    for (unsigned i = 0; i < 2000; i++) {
        assert_true(times[i] <= 2);
        dropped += times[i] == 0;
        doubled += times[i] == 2;
    }
    assert_in_range(dropped, 340, 460);
    assert_in_range(doubled, 110, 210);
    struct sim_net_counters counters = sim_net_counters(sim_network(p->sim));
    assert_int_equal(counters.dropped, dropped);
    assert_int_equal(counters.duplicated, doubled);
    assert_int_equal(counters.units, 2000);
    pair_free(p);
}

static void units_overtake_each_other_only_when_asked_to(void **state)
{
    (void)state;
    struct pair *p = pair_connected(1);
    bool seen[1000] = {false};
    unsigned overtaken = 0;
    set_faults(p, (struct sim_net_faults){.reorder = 100000});

    for (uint64_t i = 0; i < 1000; i++) {
        send_number(&p->client, i);
        run_for(p, 500);
    }
    run_for(p, SECOND);

    assert_int_equal(p->server.n_heard, 8000);
    for (size_t i = 0; i < 1000; i++) {
        seen[heard(&p->server, i)] = true;
        overtaken += i > 0 && heard(&p->server, i) < heard(&p->server, i - 1);
    }
    for (size_t i = 0; i < 1000; i++) {
        assert_true(seen[i]);
    }
    assert_in_range(overtaken, 50, 150);
    pair_free(p);
}

static void the_first_units_of_each_direction_are_spared(void **state)
{
    (void)state;
    struct pair *p = pair_connected(1);
    set_faults(p, (struct sim_net_faults){.drop = 1000000});

    for (uint64_t i = 0; i < 10; i++) {
        send_number(&p->client, i);
        send_number(&p->server, i);
    }
    run_for(p, SECOND);

    assert_heard_in_order(&p->server, SIM_NET_SPARED);
    assert_heard_in_order(&p->client, SIM_NET_SPARED);
    pair_free(p);
}

static void split_units_come_in_pieces_that_join_to_the_same_bytes(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct pair *p = pair_connected(seed);
        set_faults(p, (struct sim_net_faults){.split = 500000});

        for (uint64_t i = 0; i < 100; i++) {
            send_number(&p->client, i);
            run_for(p, sim_random(p->sim, 0, 500));
        }
        env_conn_close(p->env[0], p->client.conn);
        run_for(p, SECOND);

        assert_true(p->server.n_heard >= 8 * 98); /* the last ones may not have been flushed */
        assert_heard_in_order(&p->server, p->server.n_heard / 8);
        assert_int_equal(p->server.n_heard % 8, 0);
        assert_true(p->server.pieces > 120);
        assert_int_equal(p->server.closed, 1);
        pair_free(p);
    }
}

static void delays_are_those_asked_for(void **state)
{
    (void)state;
    struct pair *p = pair_connected(1);
    set_faults(p, (struct sim_net_faults){.delay_min_us = 200000, .delay_max_us = 300000});

    send_number(&p->client, 0);
    run_for(p, 199999);
    assert_int_equal(p->server.n_heard, 0);
    run_for(p, 101000);

    assert_int_equal(p->server.n_heard, 8);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_short_cut_delays_and_loses_nothing),
        cmocka_unit_test(a_long_cut_breaks_the_side_that_sent_and_the_silent_side_never_notices),
        cmocka_unit_test(a_cut_of_one_direction_lets_the_other_pass_but_not_for_long),
        cmocka_unit_test(nothing_more_is_taken_while_the_acknowledgements_are_cut),
        cmocka_unit_test(what_waits_for_a_crashed_machine_is_reset_when_it_boots),
        cmocka_unit_test(dialling_over_a_cut_waits_and_then_times_out),
        cmocka_unit_test(a_crash_breaks_the_other_side_soon_or_late_and_what_arrived_is_a_prefix),
        cmocka_unit_test(a_silent_side_hears_of_a_crash_when_it_sends_after_the_boot),
        cmocka_unit_test(a_killed_process_says_goodbye),
        cmocka_unit_test(calls_on_the_connections_of_a_dead_process_do_nothing),
        cmocka_unit_test(units_are_dropped_and_doubled_at_the_rate_asked_for),
        cmocka_unit_test(units_overtake_each_other_only_when_asked_to),
        cmocka_unit_test(the_first_units_of_each_direction_are_spared),
        cmocka_unit_test(split_units_come_in_pieces_that_join_to_the_same_bytes),
        cmocka_unit_test(delays_are_those_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
