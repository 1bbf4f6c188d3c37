#include "tests/unit/cluster/station.h"

static const char DROPPED[] = "quorate_peers_frames_dropped_total";
static struct station s[STATIONS + 1];

static void three_nodes_connect_both_ways_and_learn_each_other_s_addresses(void **state)
{
    (void)state;
    struct sim *sim = stations_new(s, 1);

    stations_start(s);
    stations_connect(s);
    run_for(sim, SECOND);

    for (unsigned i = 1; i <= STATIONS; i++) {
        for (unsigned j = 1; j <= STATIONS; j++) {
            assert_int_equal(s[i].up[j], i != j);
            assert_string_equal(peers_api_address(s[i].peers, j), i != j ? s[j].api_address : "");
        }
        assert_int_equal(s[i].refusals, 0);
        assert_int_equal(station_metric(&s[i], "quorate_peers_connected", NULL), 2);
        assert_int_equal(station_metric(&s[i], "quorate_peers_connections_total", "side=\"dialled\""), 2);
        assert_int_equal(station_metric(&s[i], "quorate_peers_connections_total", "side=\"accepted\""), 2);
    }
    stations_free(sim, s);
}

static void frames_arrive_whole_and_in_the_order_of_their_queue(void **state)
{
    (void)state;
    struct sim *sim = stations_new(s, 2);
    stations_start(s);
    stations_connect(s);
    uint64_t before = peers_last_received_ms(s[2].peers, 1);

    for (uint64_t i = 0; i < 500; i++) {
        assert_true(station_send(&s[1], 2, PEERS_URGENT, i, 8 + i % 700));
    }
    assert_true(station_send(&s[3], 2, PEERS_BULK, 1000, 300000));
    RUN_UNTIL(sim, s[2].n_heard == 501);

    uint64_t next = 0;
    for (size_t i = 0; i < 501; i++) {
        const struct heard *h = &s[2].heard[i];
        assert_true(h->intact);
        assert_int_equal(h->type, (uint8_t)h->number);
        if (h->from == 1) {
            assert_int_equal(h->number, next++);
        } else {
            assert_int_equal(h->from, 3);
            assert_int_equal(h->len, 300000);
        }
    }
    assert_int_equal(next, 500);
    assert_true(peers_last_received_ms(s[2].peers, 1) >= before);
    assert_int_equal(s[1].n_heard + s[3].n_heard, 0);
    stations_free(sim, s);
}

static void an_empty_frame_and_the_largest_one_arrive_and_a_larger_one_is_not_taken(void **state)
{
    (void)state;
    struct sim *sim = stations_new(s, 3);
    uint8_t *body = calloc(1, PEERS_FRAME_MAX + 1);
    stations_start(s);
    stations_connect(s);

    assert_false(peers_send(s[1].peers, 2, PEERS_URGENT, 1, body, PEERS_FRAME_MAX + 1));
    assert_true(peers_send(s[1].peers, 2, PEERS_URGENT, 2, NULL, 0));
    assert_true(station_send(&s[1], 2, PEERS_URGENT, 3, PEERS_FRAME_MAX));
    RUN_UNTIL(sim, s[2].n_heard == 2);

    assert_int_equal(s[2].heard[0].type, 2);
    assert_int_equal(s[2].heard[0].len, 0);
    assert_int_equal(s[2].heard[1].len, PEERS_FRAME_MAX);
    assert_true(s[2].heard[1].intact);
    free(body);
    stations_free(sim, s);
}

static void a_burst_of_small_frames_leaves_in_a_few_pieces(void **state)
{
    (void)state;
    struct sim *sim = stations_new(s, 4);
    stations_start(s);
    stations_connect(s);
    struct sim_net_counters before = sim_net_counters(sim_network(sim));

    for (uint64_t i = 0; i < 1000; i++) {
        assert_true(station_send(&s[1], 2, PEERS_URGENT, i, 40));
    }
    RUN_UNTIL(sim, s[2].n_heard == 1000);

    assert_in_range(sim_net_counters(sim_network(sim)).units - before.units, 1, 4);
    stations_free(sim, s);
}

static void an_urgent_frame_overtakes_bulk(void **state)
{
    (void)state;
    struct sim *sim = stations_new(s, 5);
    size_t place = 0;
    stations_start(s);
    stations_connect(s);

    for (uint64_t i = 0; i < 160; i++) {
        assert_true(station_send(&s[1], 2, PEERS_BULK, i, 65536));
    }
    RUN_UNTIL(sim, s[2].n_heard == 10);
    assert_true(station_send(&s[1], 2, PEERS_URGENT, 5000, 100));
    RUN_UNTIL(sim, s[2].n_heard == 161);

    for (size_t i = 0; i < 161; i++) {
        place = s[2].heard[i].number == 5000 ? i : place;
    }
    assert_in_range(place, 10, 22); /* behind what the network had taken: two windows */
    stations_free(sim, s);
}

static void a_full_queue_drops_what_comes_then_and_tells_the_caller(void **state)
{
    (void)state;
    struct sim *sim = stations_new(s, 6);
    uint64_t taken = 0;
    stations_start(s);
    stations_connect(s);
    sim_net_cut(sim_network(sim), s[1].node, s[2].node, true);

    while (taken < 100 && station_send(&s[1], 2, PEERS_BULK, taken, 4 * 1024 * 1024 - 16)) {
        taken++;
        run_for(sim, 100);
    }
    assert_in_range(taken, 16, 18); /* the queue, and what the network took */
    assert_int_equal(station_metric(&s[1], DROPPED, "queue=\"bulk\""), 1);
    assert_true(station_send(&s[1], 2, PEERS_URGENT, 1, 100));
    assert_true(station_send(&s[1], 3, PEERS_BULK, 1, 100));

    sim_net_heal(sim_network(sim));
    RUN_UNTIL(sim, s[2].n_heard == taken + 1);
    assert_true(station_send(&s[1], 2, PEERS_BULK, 1, 4 * 1024 * 1024));
    stations_free(sim, s);
}

static void a_frame_for_nobody_is_dropped(void **state)
{
    (void)state;
    struct sim *sim = stations_new(s, 7);
    station_start(&s[1]);
    run_for(sim, SECOND);

    assert_false(station_send(&s[1], 2, PEERS_URGENT, 1, 100)); /* not connected */
    assert_false(station_send(&s[1], 1, PEERS_URGENT, 1, 100)); /* itself */
    assert_false(station_send(&s[1], 9, PEERS_URGENT, 1, 100)); /* no member */
    assert_int_equal(station_metric(&s[1], DROPPED, "queue=\"urgent\""), 1);
    assert_string_equal(peers_api_address(s[1].peers, 2), "");
    assert_string_equal(peers_api_address(s[1].peers, 9), "");
    assert_int_equal(peers_last_received_ms(s[1].peers, 2), 0);
    stations_free(sim, s);
}

static void closing_at_any_moment_with_everything_pending_leaves_nothing(void **state)
{
    (void)state;
    for (uint64_t at = 0; at < 6000; at += 150) {
        struct sim *sim = stations_new(s, 1000 + at);
        stations_start(s);
        run_for(sim, at);
        for (uint64_t i = 0; i < 20; i++) {
            station_send(&s[1], 2, PEERS_BULK, i, 65536);
            station_send(&s[1], 3, PEERS_URGENT, i, 200);
        }
        run_for(sim, at % 700);

        station_stop(&s[1]);

        unsigned up = s[1].up[2] + s[1].up[3] + s[1].down[2] + s[1].down[3];
        run_for(sim, SECOND);
        assert_int_equal(s[1].up[2] + s[1].up[3] + s[1].down[2] + s[1].down[3], up);
        assert_false(peers_connected(s[2].peers, 1));
        sim_node_kill(s[1].node);
        station_start(&s[1]);
        stations_connect(s);
        stations_free(sim, s);
    }
}

static void a_crash_at_any_moment_leaves_nothing(void **state)
{
    (void)state;
    for (uint64_t at = 0; at < 6000; at += 150) {
        struct sim *sim = stations_new(s, 2000 + at);
        stations_start(s);
        run_for(sim, at);
        for (uint64_t i = 0; i < 20; i++) {
            station_send(&s[1], 2, PEERS_BULK, i, 65536);
        }
        run_for(sim, at % 700);
        station_crash(&s[1]);
        stations_free(sim, s);
    }
}

static void closing_inside_any_callback_is_fine(void **state)
{
    (void)state;
    for (int where = STATION_ADMIT; where <= STATION_REFUSED; where++) {
        for (uint64_t seed = 0; seed < 20; seed++) {
            struct sim *sim = stations_new(s, 3000 + seed);
            s[1].close_in = (enum station_callback)where;
            if (where == STATION_REFUSED) {
                s[2].config.cluster_id[0] = 0xee;
            }
            stations_start(s);
            run_for(sim, SECOND);
            if (where == STATION_RECEIVED) {
                for (uint64_t i = 0; i < 10; i++) {
                    station_send(&s[2], 1, PEERS_URGENT, i, 8);
                }
            } else if (where == STATION_DOWN) {
                station_crash(&s[2]);
            }

            RUN_UNTIL(sim, s[1].closed == 1);

            assert_int_equal(s[1].n_heard, where == STATION_RECEIVED);
            run_for(sim, SECOND);
            assert_int_equal(s[1].closed, 1);
            stations_free(sim, s);
        }
    }
}

static void a_node_alone_opens_and_closes(void **state)
{
    (void)state;
    struct sim *sim = stations_new(s, 22);
    s[1].config.count = 1;
    station_start(&s[1]);

    station_stop(&s[1]);

    stations_free(sim, s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_nodes_connect_both_ways_and_learn_each_other_s_addresses),
        cmocka_unit_test(frames_arrive_whole_and_in_the_order_of_their_queue),
        cmocka_unit_test(an_empty_frame_and_the_largest_one_arrive_and_a_larger_one_is_not_taken),
        cmocka_unit_test(a_burst_of_small_frames_leaves_in_a_few_pieces),
        cmocka_unit_test(an_urgent_frame_overtakes_bulk),
        cmocka_unit_test(a_full_queue_drops_what_comes_then_and_tells_the_caller),
        cmocka_unit_test(a_frame_for_nobody_is_dropped),
        cmocka_unit_test(closing_at_any_moment_with_everything_pending_leaves_nothing),
        cmocka_unit_test(a_crash_at_any_moment_leaves_nothing),
        cmocka_unit_test(closing_inside_any_callback_is_fine),
        cmocka_unit_test(a_node_alone_opens_and_closes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
