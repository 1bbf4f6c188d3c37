#include "base/buf.h"
#include "tests/lib/sim.h"
#include "tests/unit/test.h"

enum { SECOND = 1000000, SEEDS = 100, HEARD_MAX = 4096 };

/* One end of a connection, and all that it was told. */
struct end {
    struct env *env;
    struct env_conn *conn;
    unsigned opened, drained, closed, pieces;
    enum error_code why; /* Q_OK: closed by this side */
    char why_text[ERROR_TEXT_MAX];
    uint8_t heard[HEARD_MAX * 8];
    size_t n_heard;
};

static void on_opened(void *owner)
{
    struct end *end = owner;
    assert_int_equal(end->n_heard + end->closed, 0);
    end->opened++;
}

static void on_received(void *owner, const uint8_t *bytes, size_t n)
{
    struct end *end = owner;
    assert_true(n > 0 && end->n_heard + n <= sizeof end->heard);
    assert_int_equal(end->closed, 0);
    memcpy(end->heard + end->n_heard, bytes, n);
    end->n_heard += n;
    end->pieces++;
}

static void on_drained(void *owner)
{
    struct end *end = owner;
    end->drained++;
}

static void on_closed(void *owner, const struct error *why)
{
    struct end *end = owner;
    end->closed++;
    end->conn = NULL;
    end->why = why == NULL ? Q_OK : why->code;
    snprintf(end->why_text, sizeof end->why_text, "%s", why == NULL ? "" : why->text);
}

static const struct env_conn_callbacks callbacks = {on_opened, on_received, on_drained, on_closed};

/* A client on node 0 and a server on node 1, which takes one connection. */
struct pair {
    struct sim *sim;
    struct sim_node *node[2];
    struct env *env[2];
    struct env_listener *listener;
    struct end client, server;
    bool refuse;
};

static void on_accepted(void *owner, struct env_conn *conn)
{
    struct pair *p = owner;
    if (p->refuse) {
        env_conn_close(p->env[1], conn);
        return;
    }
    p->server.conn = conn;
    env_conn_accept(p->env[1], conn, &callbacks, &p->server);
}

static void server_start(struct pair *p)
{
    p->env[1] = p->server.env = sim_node_boot(p->node[1]);
    assert_int_equal(env_listen(p->env[1], "n2:1", on_accepted, p, &p->listener, NULL), 0);
}

static void client_dial(struct pair *p, const char *address)
{
    p->client.env = p->env[0];
    p->client.conn = env_connect(p->env[0], address, &callbacks, &p->client);
}

/* Large, so not on the stack. */
static struct pair *pair_new(uint64_t seed)
{
    struct pair *p = calloc(1, sizeof *p);
    p->sim = sim_new(seed);
    p->node[0] = sim_node_new(p->sim, "n1");
    p->node[1] = sim_node_new(p->sim, "n2");
    p->env[0] = sim_node_boot(p->node[0]);
    server_start(p);
    client_dial(p, "n2:1");
    return p;
}

static struct pair *pair_connected(uint64_t seed)
{
    struct pair *p = pair_new(seed);
    sim_run_until(p->sim, 10000);
    assert_int_equal(p->client.opened, 1);
    assert_non_null(p->server.conn);
    return p;
}

static void pair_free(struct pair *p)
{
    sim_free(p->sim);
    free(p);
}

static void run_for(struct pair *p, uint64_t us)
{
    sim_run_until(p->sim, sim_now_us(p->sim) + us);
}

static void send_number(struct end *end, uint64_t number)
{
    uint8_t *bytes = malloc(8);
    put_le64(bytes, number);
    env_send(end->env, end->conn, bytes, 8);
}

static uint64_t heard(const struct end *end, size_t i)
{
    return get_le64(end->heard + 8 * i);
}

static void assert_heard_in_order(const struct end *end, size_t n)
{
    assert_int_equal(end->n_heard, 8 * n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(heard(end, i), i);
    }
}

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
    never.conn = env_connect(p->env[0], "n9:1", &callbacks, &never);
    env_listener_close(p->env[1], p->listener);
    not_any_more.conn = env_connect(p->env[0], "n2:1", &callbacks, &not_any_more);

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

    assert_int_equal(env_listen(p->env[0], "n2:1", on_accepted, p, &second, &e), Q_IO);
    env_listener_close(p->env[1], p->listener);
    assert_int_equal(env_listen(p->env[0], "n2:1", on_accepted, p, &second, &e), 0);
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

static void dialling_over_a_cut_waits_and_then_times_out(void **state)
{
    (void)state;
    struct pair *p = pair_connected(1);
    struct sim_net *net = sim_network(p->sim);
    for (unsigned direction = 0; direction < 2; direction++) {
        struct end late = {0}, never = {0};
        sim_net_cut(net, p->node[direction], p->node[1 - direction], true);
        late.conn = env_connect(p->env[0], "n2:1", &callbacks, &late);
        run_for(p, SECOND);
        assert_int_equal(late.opened + late.closed, 0);
        sim_net_heal(net);
        run_for(p, SECOND);
        assert_int_equal(late.opened, 1);

        sim_net_cut(net, p->node[direction], p->node[1 - direction], true);
        never.conn = env_connect(p->env[0], "n2:1", &callbacks, &never);
        run_for(p, 20 * SECOND);
        assert_int_equal(never.opened, 0);
        assert_int_equal(never.closed, 1);
        sim_net_heal(net);
        env_conn_close(p->env[0], late.conn);
        run_for(p, SECOND);
    }
    pair_free(p);
}

static void a_crash_breaks_the_other_side_soon_or_late_and_what_arrived_is_a_prefix(void **state)
{
    (void)state;
    unsigned soon = 0, late = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct pair *p = pair_connected(seed);
        for (uint64_t i = 0; i < 20; i++) {
            send_number(&p->server, i);
            run_for(p, 50);
        }

        sim_node_crash(p->node[1]);
        env_conn_close(p->server.env, p->server.conn);
        env_listener_close(p->server.env, p->listener);
        send_number(&p->client, 0);
        run_for(p, SECOND);
        soon += p->client.closed;
        late += 1 - p->client.closed;
        run_for(p, 20 * SECOND);

        assert_int_equal(p->client.closed, 1);
        assert_int_equal(p->client.why, Q_IO);
        assert_heard_in_order(&p->client, p->client.n_heard / 8);
        assert_int_equal(p->server.closed, 0);
        pair_free(p);
    }
    assert_true(soon > SEEDS / 5 && late > SEEDS / 5);
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
    late.conn = env_connect(p->env[0], "n2:1", &callbacks, &late);
    assert_int_equal(env_listen(p->env[0], "n1:1", on_accepted, p, &listener, &e), Q_CLOSED);
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
        cmocka_unit_test(a_connection_opens_and_carries_units_in_order_both_ways),
        cmocka_unit_test(what_was_sent_before_the_opening_arrives_after_it),
        cmocka_unit_test(each_side_knows_the_other_by_name),
        cmocka_unit_test(a_close_is_told_to_both_sides_once_after_all_that_was_sent),
        cmocka_unit_test(dialling_where_nobody_listens_is_refused),
        cmocka_unit_test(a_listener_may_close_what_it_is_offered),
        cmocka_unit_test(an_address_is_taken_by_one_listener),
        cmocka_unit_test(a_process_that_does_not_read_holds_the_sender_back),
        cmocka_unit_test(a_paused_process_reads_everything_in_order_after_the_resume),
        cmocka_unit_test(a_short_cut_delays_and_loses_nothing),
        cmocka_unit_test(a_long_cut_breaks_the_side_that_sent_and_the_silent_side_never_notices),
        cmocka_unit_test(a_cut_of_one_direction_lets_the_other_pass_but_not_for_long),
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
