#include "tests/unit/testlib/net_rig.h"

static struct sim_net *net_of(struct pair *p)
{
    return sim_network(p->sim);
}

static void set_clog(struct pair *p, unsigned from, bool clogged)
{
    sim_net_clog(net_of(p), p->node[from], p->node[1 - from], clogged);
}

static void what_is_sent_into_a_clog_waits_as_long_as_it_lasts_and_arrives_in_order(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct pair *p = pair_connected(seed);

        set_clog(p, 0, true);
        for (uint64_t i = 0; i < 50; i++) {
            send_number(&p->client, i);
        }
        run_for(p, 600 * (uint64_t)SECOND);
        assert_int_equal(p->server.n_heard + p->client.closed + p->server.closed, 0);
        set_clog(p, 0, false);
        for (uint64_t i = 50; i < 60; i++) {
            send_number(&p->client, i);
        }
        run_for(p, SECOND);

        assert_heard_in_order(&p->server, 60);
        assert_int_equal(p->client.closed + p->server.closed, 0);
        pair_free(p);
    }
}

static void a_clog_of_one_direction_lets_the_other_pass_until_the_window_is_full(void **state)
{
    (void)state;
    struct pair *p = pair_connected(1);
    size_t n = SIM_NET_WINDOW / 8;
    set_clog(p, 1, true);

    for (uint64_t i = 0; i < n + 10; i++) {
        send_number(&p->client, i);
    }
    run_for(p, 60 * SECOND);
    assert_heard_in_order(&p->server, n);
    assert_true(env_unsent(p->env[0], p->client.conn) > 0);

    set_clog(p, 1, false);
    run_for(p, SECOND);
    assert_heard_in_order(&p->server, n + 10);
    assert_int_equal(p->client.closed + p->server.closed, 0);
    pair_free(p);
}

static void a_cut_of_a_clogged_link_is_noticed_as_any_cut(void **state)
{
    (void)state;
    struct pair *p = pair_connected(1);
    set_clog(p, 0, true);
    send_number(&p->client, 0);
    run_for(p, 60 * SECOND);
    assert_int_equal(p->client.closed, 0);

    sim_net_cut(net_of(p), p->node[0], p->node[1], true);
    run_for(p, 20 * SECOND);

    assert_int_equal(p->client.closed, 1);
    assert_string_equal(p->client.why_text, "n2:1: Connection timed out");
    pair_free(p);
}

static void a_healed_cut_of_a_clogged_link_leaves_the_clog(void **state)
{
    (void)state;
    struct pair *p = pair_connected(1);
    set_clog(p, 0, true);
    sim_net_cut(net_of(p), p->node[0], p->node[1], true);
    send_number(&p->client, 0);
    run_for(p, SECOND);

    sim_net_cut(net_of(p), p->node[0], p->node[1], false);
    run_for(p, 60 * SECOND);
    assert_int_equal(p->client.closed + p->server.n_heard, 0);
    sim_net_heal(net_of(p));
    run_for(p, SECOND);

    assert_heard_in_order(&p->server, 1);
    pair_free(p);
}

static void one_direction_of_a_link_can_be_slow(void **state)
{
    (void)state;
    struct pair *p = pair_connected(1);
    sim_net_slow(net_of(p), p->node[0], p->node[1], 200000);

    send_number(&p->client, 0);
    send_number(&p->server, 0);
    run_for(p, 2000);
    assert_int_equal(p->client.n_heard, 8);
    run_for(p, 197999);
    assert_int_equal(p->server.n_heard, 0);
    run_for(p, 2000);
    assert_int_equal(p->server.n_heard, 8);

    sim_net_slow(net_of(p), p->node[0], p->node[1], 0);
    send_number(&p->client, 1);
    run_for(p, 2000);
    assert_heard_in_order(&p->server, 2);
    pair_free(p);
}

/* How many bits differ from what was sent. */
static unsigned flipped_bits(const struct end *end, size_t i)
{
    return (unsigned)__builtin_popcountll(heard(end, i) ^ i);
}

static void units_are_corrupted_at_the_rate_asked_for_by_a_few_bits(void **state)
{
    (void)state;
    struct pair *p = pair_connected(1);
    unsigned changed = 0;
    sim_net_set_faults(net_of(p), &(struct sim_net_faults){.corrupt = 100000});

    for (uint64_t i = 0; i < 2000; i++) {
        send_number(&p->client, i);
    }
    run_for(p, SECOND);

    assert_int_equal(p->server.n_heard, 8 * 2000);
    for (size_t i = 0; i < 2000; i++) {
        unsigned bits = flipped_bits(&p->server, i);
        assert_in_range(bits, 0, 3);
        changed += bits > 0;
    }
    assert_in_range(changed, 120, 280);
    assert_in_range(sim_net_counters(net_of(p)).corrupted, changed, changed + 10); /* the same bit twice */
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sent_into_a_clog_waits_as_long_as_it_lasts_and_arrives_in_order),
        cmocka_unit_test(a_clog_of_one_direction_lets_the_other_pass_until_the_window_is_full),
        cmocka_unit_test(a_cut_of_a_clogged_link_is_noticed_as_any_cut),
        cmocka_unit_test(a_healed_cut_of_a_clogged_link_leaves_the_clog),
        cmocka_unit_test(one_direction_of_a_link_can_be_slow),
        cmocka_unit_test(units_are_corrupted_at_the_rate_asked_for_by_a_few_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
