#include "cluster/peer.h"
#include "tests/unit/cluster/station.h"

static struct station s[STATIONS + 1];

static void a_node_that_crashed_is_connected_again(void **state)
{
    (void)state;
    struct sim *sim = stations_new(s, 14);
    stations_start(s);
    stations_connect(s);

    for (int round = 1; round <= 5; round++) {
        station_crash(&s[2]);
        run_for(sim, (uint64_t)round * 2 * SECOND);
        station_start(&s[2]);
        stations_connect(s);
        run_for(sim, SECOND);
        size_t n = s[2].n_heard;
        assert_true(station_send(&s[1], 2, PEERS_URGENT, 1, 50));
        assert_true(station_send(&s[2], 3, PEERS_URGENT, 1, 50));
        RUN_UNTIL(sim, s[2].n_heard == n + 1 && s[3].n_heard == (size_t)round);
        assert_int_equal(s[1].up[2], s[1].down[2] + 1);
    }
    stations_free(sim, s);
}

static void a_node_that_returns_is_connected_within_the_longest_delay(void **state)
{
    (void)state;
    for (uint64_t seed = 100; seed < 130; seed++) {
        struct sim *sim = stations_new(s, seed);
        stations_start(s);
        stations_connect(s);
        sim_node_kill(s[2].node);
        peers_free(s[2].peers);
        s[2].peers = NULL;
        run_for(sim, 60 * SECOND);

        station_start(&s[2]);
        uint64_t start = sim_now_us(sim);
        stations_connect(s);

        assert_in_range(sim_now_us(sim) - start, 0, SECOND / 10); /* its own dialling makes the others dial */
        stations_free(sim, s);
    }
}

static void a_lost_connection_is_dialled_again_at_once_however_long_the_last_search_was(void **state)
{
    (void)state;
    struct sim *sim = stations_new(s, 23);
    station_start(&s[1]);
    run_for(sim, 30 * SECOND);
    station_start(&s[2]);
    RUN_UNTIL(sim, peers_connected(s[1].peers, 2));
    run_for(sim, SECOND);

    sim_node_kill(s[2].node); /* the process alone: its end is noticed soon */
    peers_free(s[2].peers);
    s[2].peers = NULL;
    RUN_UNTIL(sim, s[1].down[2] == 1);
    uint64_t before = sim_net_counters(sim_network(sim)).connects;
    run_for(sim, 4 * PEER_DELAY_MIN_MS * 1000);

    assert_in_range(sim_net_counters(sim_network(sim)).connects - before, 2, 6);
    stations_free(sim, s);
}

static void what_waited_when_a_connection_broke_is_not_sent_on_the_next_one(void **state)
{
    (void)state;
    struct sim *sim = stations_new(s, 24);
    stations_start(s);
    stations_connect(s);
    sim_net_cut(sim_network(sim), s[1].node, s[2].node, true);
    for (uint64_t i = 0; i < 100; i++) {
        assert_true(station_send(&s[1], 2, i % 2 ? PEERS_URGENT : PEERS_BULK, i, 65536));
    }
    RUN_UNTIL(sim, s[1].down[2] == 1);

    sim_net_heal(sim_network(sim));
    stations_connect(s);
    assert_true(station_send(&s[1], 2, PEERS_URGENT, 1000, 8));
    run_for(sim, SECOND);

    assert_int_equal(s[2].heard[s[2].n_heard - 1].number, 1000);
    assert_in_range(s[2].n_heard, 1, 10); /* at most what the network had taken */
    stations_free(sim, s);
}

static void a_partition_is_noticed_and_healed(void **state)
{
    (void)state;
    struct sim *sim = stations_new(s, 15);
    stations_start(s);
    stations_connect(s);

    sim_net_cut(sim_network(sim), s[1].node, s[2].node, true);
    sim_net_cut(sim_network(sim), s[2].node, s[1].node, true);
    run_for(sim, 7 * SECOND);
    assert_false(peers_connected(s[1].peers, 2));
    assert_false(peers_connected(s[2].peers, 1));
    assert_true(peers_connected(s[1].peers, 3));
    assert_int_equal(s[1].down[2], 1);
    assert_false(station_send(&s[1], 2, PEERS_URGENT, 1, 50));

    run_for(sim, 60 * SECOND);
    sim_net_heal(sim_network(sim));
    stations_connect(s);
    assert_true(station_send(&s[1], 2, PEERS_URGENT, 1, 50));
    RUN_UNTIL(sim, s[2].n_heard == 1);
    assert_int_equal(s[1].down[3], 0);
    stations_free(sim, s);
}

static void a_cut_of_one_direction_is_noticed(void **state)
{
    (void)state;
    struct sim *sim = stations_new(s, 16);
    stations_start(s);
    stations_connect(s);

    sim_net_cut(sim_network(sim), s[2].node, s[1].node, true); /* answers to 1's pings do not come */
    run_for(sim, 5 * SECOND);

    assert_false(peers_connected(s[1].peers, 2));
    stations_free(sim, s);
}

static void a_silent_hour_keeps_the_connections(void **state)
{
    (void)state;
    struct sim *sim = stations_new(s, 17);
    stations_start(s);
    stations_connect(s);

    run_for(sim, 3600 * (uint64_t)SECOND);

    for (unsigned i = 1; i <= STATIONS; i++) {
        assert_int_equal(s[i].down[1] + s[i].down[2] + s[i].down[3], 0);
        assert_true(peers_last_received_ms(s[i].peers, i % 3 + 1) + 1100 > env_now_ms(s[i].env));
    }
    stations_free(sim, s);
}

static void a_stopped_process_is_dropped_and_found_again(void **state)
{
    (void)state;
    struct sim *sim = stations_new(s, 18);
    stations_start(s);
    stations_connect(s);

    sim_node_pause(s[2].node);
    run_for(sim, 7 * SECOND);
    assert_false(peers_connected(s[1].peers, 2));
    sim_node_resume(s[2].node);
    run_for(sim, 8 * SECOND);

    stations_connect(s);
    stations_free(sim, s);
}

static void lost_doubled_late_and_cut_units_harm_no_other_frame(void **state)
{
    (void)state;
    static const struct sim_net_faults faults = {
        .drop = 50000, .duplicate = 50000, .reorder = 50000, .split = 500000};
    struct sim *sim = stations_new(s, 19);
    uint64_t sent = 0;
    stations_start(s);
    stations_connect(s);
    sim_net_set_faults(sim_network(sim), &faults);

    for (uint64_t i = 0; i < 5000; i++) {
        sent += station_send(&s[1], 2, i % 3 ? PEERS_URGENT : PEERS_BULK, i, 8 + (i % 10) * 300);
        run_for(sim, 500);
    }
    run_for(sim, SECOND);

    assert_int_equal(sent, 5000);
    assert_in_range(s[2].n_heard, 4000, 6000);
    for (size_t i = 0; i < s[2].n_heard; i++) {
        assert_true(s[2].heard[i].intact);
    }
    assert_int_equal(station_metric(&s[2], "quorate_peers_bad_frames_total", NULL), 0);
    assert_int_equal(s[1].down[2], 0);
    stations_free(sim, s);
}

static void whatever_happens_all_are_connected_in_the_end(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct sim *sim = stations_new(s, seed);
        struct sim_net *net = sim_network(sim);
        stations_start(s);
        for (int i = 0; i < 60; i++) {
            struct station *one = &s[sim_random(sim, 1, STATIONS)], *other = &s[sim_random(sim, 1, STATIONS)];
            struct sim_net_faults faults = {.drop = (unsigned)sim_random(sim, 0, 1) * 200000,
                                            .duplicate = (unsigned)sim_random(sim, 0, 1) * 200000,
                                            .split = 300000};
            switch (sim_random(sim, 0, 5)) {
            case 0:
                station_crash(one);
                run_for(sim, sim_random(sim, 0, 3 * SECOND));
                station_start(one);
                break;
            case 1: sim_net_cut(net, one->node, other->node, one != other); break;
            case 2: sim_net_heal(net); break;
            case 3: sim_net_set_faults(net, &faults); break;
            case 4: station_send(one, sim_random(sim, 1, STATIONS), PEERS_BULK, 1, 1000000); break;
            case 5:
                station_stop(one);
                sim_node_kill(one->node);
                station_start(one);
                break;
            }
            run_for(sim, sim_random(sim, 0, SECOND));
        }

        sim_net_heal(net);
        sim_net_set_faults(net, &(struct sim_net_faults){0});
        run_for(sim, 20 * SECOND);
        stations_connect(s);

        for (unsigned i = 1; i <= STATIONS; i++) {
            assert_int_equal(station_metric(&s[i], "quorate_peers_bad_frames_total", NULL), 0);
            for (size_t n = 0; n < s[i].n_heard; n++) {
                assert_true(s[i].heard[n].intact);
            }
        }
        stations_free(sim, s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_that_crashed_is_connected_again),
        cmocka_unit_test(a_node_that_returns_is_connected_within_the_longest_delay),
        cmocka_unit_test(a_lost_connection_is_dialled_again_at_once_however_long_the_last_search_was),
        cmocka_unit_test(what_waited_when_a_connection_broke_is_not_sent_on_the_next_one),
        cmocka_unit_test(a_partition_is_noticed_and_healed),
        cmocka_unit_test(a_cut_of_one_direction_is_noticed),
        cmocka_unit_test(a_silent_hour_keeps_the_connections),
        cmocka_unit_test(a_stopped_process_is_dropped_and_found_again),
        cmocka_unit_test(lost_doubled_late_and_cut_units_harm_no_other_frame),
        cmocka_unit_test(whatever_happens_all_are_connected_in_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
