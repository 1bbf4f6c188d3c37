#include "base/rng.h"
#include "tests/unit/cluster/station.h"

static const char REFUSED[] = "quorate_peers_handshakes_refused_total";
static const char DROPPED[] = "quorate_peers_frames_dropped_total";
static struct station s[STATIONS + 1];

static unsigned count_of(const char *text, const char *part)
{
    unsigned n = 0;
    for (const char *p = text; (p = strstr(p, part)) != NULL; p++) {
        n++;
    }
    return n;
}

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

static void small_frames_of_one_round_leave_together(void **state)
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

    assert_in_range(sim_net_counters(sim_network(sim)).units - before.units, 1, 10);
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

    while (taken < 100 && station_send(&s[1], 2, PEERS_BULK, taken, 1024 * 1024 - 16)) {
        taken++;
        run_for(sim, 100);
    }
    assert_in_range(taken, 64, 66); /* the queue, and what the network took */
    assert_int_equal(station_metric(&s[1], DROPPED, "queue=\"bulk\""), 1);
    assert_true(station_send(&s[1], 2, PEERS_URGENT, 1, 100));
    assert_true(station_send(&s[1], 3, PEERS_BULK, 1, 100));

    sim_net_heal(sim_network(sim));
    RUN_UNTIL(sim, s[2].n_heard == taken + 1);
    assert_true(station_send(&s[1], 2, PEERS_BULK, 1, 1024 * 1024));
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

static void another_secret_is_refused_on_both_sides_and_never_admitted(void **state)
{
    (void)state;
    static const char sentence[] = "could not authenticate node";
    struct sim *sim = stations_new(s, 8);
    s[3].config.secret = (const uint8_t *)"incorrect donkey battery staple";
    stations_start(s);

    run_for(sim, 10 * SECOND);

    for (unsigned i = 1; i <= STATIONS; i++) {
        assert_int_equal(s[i].up[3] + s[3].up[i] + s[i].admitted[3] + s[3].admitted[i], 0);
        assert_non_null(strstr(s[i].refused, sentence));
        assert_null(strstr(s[i].refused, "horse"));
        assert_null(strstr(s[i].refused, "donkey"));
    }
    assert_non_null(strstr(s[1].refused, "node 3 at n3:9000: node 1 could not authenticate node 3: they do "
                                         "not have the same secret\n"));
    assert_non_null(strstr(s[3].refused, "that calls itself node 1: refused by the other side: node 1 could "
                                         "not authenticate node 3"));
    assert_true(peers_connected(s[1].peers, 2));
    assert_true(station_metric(&s[1], REFUSED, "by=\"here\"") > 5);
    assert_true(station_metric(&s[1], REFUSED, "by=\"there\"") > 5);
    stations_free(sim, s);
}

static void one_cause_is_reported_once_a_second_at_most(void **state)
{
    (void)state;
    struct sim *sim = stations_new(s, 9);
    s[3].config.secret = (const uint8_t *)"incorrect donkey battery staple";
    stations_start(s);

    run_for(sim, 10 * SECOND);

    /* Two causes: our dialling of node 3, and its dialling of us. */
    assert_in_range(count_of(s[1].refused, "\n"), 10, 22);
    assert_int_equal(s[1].refusals, count_of(s[1].refused, "\n"));
    stations_free(sim, s);
}

static void another_cluster_is_refused_on_both_sides(void **state)
{
    (void)state;
    struct sim *sim = stations_new(s, 10);
    s[3].config.cluster_id[0] = 0xee;
    stations_start(s);

    run_for(sim, 3 * SECOND);

    assert_non_null(strstr(s[1].refused, "that calls itself node 3: node 1 belongs to cluster c1000000"));
    assert_non_null(strstr(s[3].refused, "node 1 at n1:9000: refused by the other side: node 1 belongs to "
                                         "cluster c1000000000000000000000000000000, but node 3 to cluster "
                                         "ee000000000000000000000000000000\n"));
    assert_int_equal(s[1].up[3] + s[3].up[1] + s[1].admitted[3] + s[3].admitted[1], 0);
    stations_free(sim, s);
}

static void an_incarnation_that_is_not_admitted_is_refused_on_both_sides(void **state)
{
    (void)state;
    struct sim *sim = stations_new(s, 11);
    error_set(&s[2].refuse, Q_CONFLICT, "another directory has this id");
    stations_start(s);

    run_for(sim, 3 * SECOND);

    assert_non_null(strstr(s[2].refused, "node 2 does not admit node 1 of incarnation 101: another directory "
                                         "has this id\n"));
    assert_non_null(strstr(s[1].refused, "refused by the other side: node 2 does not admit node 1 of "
                                         "incarnation 101: another directory has this id\n"));
    assert_int_equal(s[1].up[2] + s[2].up[1], 0);
    assert_int_equal(s[1].up[3], 1);
    stations_free(sim, s);
}

static void a_stranger_is_refused_on_both_sides(void **state)
{
    (void)state;
    struct sim *sim = stations_new(s, 12);
    s[3].config.id = s[3].members[2].id = 7;
    stations_start(s);

    run_for(sim, 3 * SECOND);

    assert_non_null(strstr(s[1].refused, "that calls itself node 7: node 7 is not in the member list of node "
                                         "1\n"));
    assert_non_null(
        strstr(s[3].refused, "refused by the other side: node 7 is not in the member list of node 1\n"));
    assert_non_null(strstr(s[1].refused, "node 3 at n3:9000: refused by the other side: node 1 wants node 3, "
                                         "but its address leads to node 7\n"));
    assert_int_equal(s[1].admitted[7] + s[3].admitted[1], 0);
    stations_free(sim, s);
}

static void a_node_whose_member_list_leads_to_itself_says_so(void **state)
{
    (void)state;
    struct sim *sim = stations_new(s, 13);
    snprintf(s[1].members[1].address, sizeof s[1].members[1].address, "n1:9000");
    station_start(&s[1]);

    run_for(sim, 3 * SECOND);

    assert_non_null(strstr(s[1].refused, "node 2 at n1:9000: refused by the other side: node 1 met a node of "
                                         "its own id"));
    assert_non_null(strstr(s[1].refused, "that calls itself node 1: node 1 met a node of its own id"));
    stations_free(sim, s);
}

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

static void closing_at_any_moment_with_everything_pending_leaves_nothing(void **state)
{
    (void)state;
    for (uint64_t at = 0; at < 6000; at += 75) {
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
    for (uint64_t at = 0; at < 6000; at += 75) {
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

static void whatever_happens_all_are_connected_in_the_end(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
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

static void expect_invalid(struct station *st, const char *text)
{
    struct error e = {0};
    struct peers *p = NULL;
    st->config.env = st->env;
    assert_int_equal(peers_open(&st->config, &p, &e), Q_INVALID);
    assert_null(p);
    assert_non_null(strstr(e.text, text));
}

static void a_wrong_configuration_is_refused_with_what_is_wrong(void **state)
{
    (void)state;
    struct sim *sim = stations_new(s, 20);
    struct peers_config good = s[1].config;
    char longest[PEERS_ADDRESS_MAX + 2];
    s[1].env = sim_node_boot(s[1].node);

    s[1].config.secret_len = PEERS_SECRET_MIN - 1;
    expect_invalid(&s[1], "the secret has 15 bytes; it must have 16 to 1024");
    s[1].config.secret_len = PEERS_SECRET_MAX + 1;
    expect_invalid(&s[1], "the secret has 1025 bytes");
    s[1].config = good;
    s[1].config.id = 8;
    expect_invalid(&s[1], "this node's id 8 is not in the member list");
    s[1].config = good;
    s[1].members[2].id = 2;
    expect_invalid(&s[1], "node 2 is in the member list twice");
    s[1].members[2].id = 0;
    expect_invalid(&s[1], "member 3 of the list has the id 0");
    s[1].members[2].id = 3;
    s[1].members[2].address[0] = '\0';
    expect_invalid(&s[1], "the address of node 3");
    s[1].members[2].address[0] = 'n';
    memset(longest, 'a', sizeof longest);
    longest[PEERS_ADDRESS_MAX + 1] = '\0';
    s[1].config.api_address = longest;
    expect_invalid(&s[1], "the API address");
    s[1].config = good;
    s[1].config.count = PEERS_MAX + 1;
    expect_invalid(&s[1], "65 members are more than the limit of 64");
    stations_free(sim, s);
}

static void an_address_in_use_is_told(void **state)
{
    (void)state;
    struct sim *sim = stations_new(s, 21);
    struct error e;
    struct peers *p = NULL;
    station_start(&s[1]);

    assert_int_equal(peers_open(&s[1].config, &p, &e), Q_IO);
    assert_null(p);
    assert_non_null(strstr(e.text, "peers: cannot listen on n1:9000: "));
    stations_free(sim, s);
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
        cmocka_unit_test(small_frames_of_one_round_leave_together),
        cmocka_unit_test(an_urgent_frame_overtakes_bulk),
        cmocka_unit_test(a_full_queue_drops_what_comes_then_and_tells_the_caller),
        cmocka_unit_test(a_frame_for_nobody_is_dropped),
        cmocka_unit_test(another_secret_is_refused_on_both_sides_and_never_admitted),
        cmocka_unit_test(one_cause_is_reported_once_a_second_at_most),
        cmocka_unit_test(another_cluster_is_refused_on_both_sides),
        cmocka_unit_test(an_incarnation_that_is_not_admitted_is_refused_on_both_sides),
        cmocka_unit_test(a_stranger_is_refused_on_both_sides),
        cmocka_unit_test(a_node_whose_member_list_leads_to_itself_says_so),
        cmocka_unit_test(a_node_that_crashed_is_connected_again),
        cmocka_unit_test(a_node_that_returns_is_connected_within_the_longest_delay),
        cmocka_unit_test(a_partition_is_noticed_and_healed),
        cmocka_unit_test(a_cut_of_one_direction_is_noticed),
        cmocka_unit_test(a_silent_hour_keeps_the_connections),
        cmocka_unit_test(a_stopped_process_is_dropped_and_found_again),
        cmocka_unit_test(lost_doubled_late_and_cut_units_harm_no_other_frame),
        cmocka_unit_test(closing_at_any_moment_with_everything_pending_leaves_nothing),
        cmocka_unit_test(a_crash_at_any_moment_leaves_nothing),
        cmocka_unit_test(closing_inside_any_callback_is_fine),
        cmocka_unit_test(whatever_happens_all_are_connected_in_the_end),
        cmocka_unit_test(a_wrong_configuration_is_refused_with_what_is_wrong),
        cmocka_unit_test(an_address_in_use_is_told),
        cmocka_unit_test(a_node_alone_opens_and_closes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
