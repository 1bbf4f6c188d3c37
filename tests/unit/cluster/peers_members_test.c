/* Members that come, go and move while connections are up, being made, or being heard from. */
#include "tests/unit/cluster/station.h"

static struct station s[STATIONS + 1];

static struct peers_member at(uint64_t id, const char *address)
{
    struct peers_member m = {.id = id};
    snprintf(m.address, sizeof m.address, "%s", address);
    return m;
}

/* Station TO knows those of 1 to 3 that are in IDS, a bit for each. */
static void know(struct station *to, unsigned ids)
{
    struct peers_member list[STATIONS];
    unsigned n = 0;

    for (unsigned id = 1; id <= STATIONS; id++) {
        if (ids >> id & 1) {
            list[n++] = to->members[id - 1];
        }
    }
    assert_int_equal(peers_set_members(to->peers, list, n, NULL), 0);
}

enum { ONE = 1 << 1, TWO = 1 << 2, THREE = 1 << 3 };

static void a_member_that_comes_is_connected_both_ways(void **state)
{
    (void)state;
    struct sim *sim = stations_new(s, 1);
    s[1].config.count = s[2].config.count = 2;
    stations_start(s);
    RUN_UNTIL(sim, peers_connected(s[1].peers, 2) && peers_connected(s[2].peers, 1));
    run_for(sim, SECOND);
    assert_int_equal(s[3].up[1] + s[3].up[2], 0);
    assert_non_null(strstr(s[1].refused, "node 3 is not in the member list of node 1"));

    know(&s[1], ONE | TWO | THREE);
    know(&s[2], ONE | TWO | THREE);
    stations_connect(s);

    assert_int_equal(s[1].up[2], 1); /* the others notice nothing */
    assert_int_equal(s[1].down[2], 0);
    assert_true(station_send(&s[3], 1, PEERS_URGENT, 5, 100));
    RUN_UNTIL(sim, s[1].n_heard == 1);
    stations_free(sim, s);
}

static void a_member_that_goes_is_heard_no_more_and_is_told_that_it_was_removed(void **state)
{
    (void)state;
    struct sim *sim = stations_new(s, 2);
    stations_start(s);
    stations_connect(s);

    assert_true(station_send(&s[3], 1, PEERS_BULK, 5, 2000000)); /* on its way */
    s[1].removed_at[3] = s[2].removed_at[3] = 70;
    know(&s[1], ONE | TWO);
    know(&s[2], ONE | TWO);
    assert_false(peers_connected(s[1].peers, 3));
    assert_false(station_send(&s[1], 3, PEERS_URGENT, 5, 100));
    assert_int_equal(s[1].down[3], 0); /* not inside peers_set_members() */
    RUN_UNTIL(sim, s[1].down[3] == 1 && s[2].down[3] == 1 && s[3].told >= 2);
    run_for(sim, 3 * SECOND);

    assert_int_equal(s[1].n_heard, 0);
    assert_int_equal(s[1].up[3], 1);
    assert_int_equal(s[3].told_at, 70);
    assert_in_range(s[3].told_by, 1, 2);
    assert_non_null(strstr(s[1].refused, "node 3 was removed from this cluster at index 70"));
    assert_int_equal(station_metric(&s[1], "quorate_peers_connected", NULL), 1);
    assert_int_equal(s[1].down[2], 0);
    stations_free(sim, s);
}

static void a_member_that_goes_while_it_is_dialled_is_left_alone(void **state)
{
    (void)state;
    struct sim *sim = stations_new(s, 3);
    stations_start(s);

    know(&s[1], ONE | TWO); /* nothing has been sent yet */
    run_for(sim, 2 * SECOND);

    assert_int_equal(s[1].up[3] + s[1].down[3], 0);
    assert_int_equal(s[3].up[1], 0);
    assert_true(peers_connected(s[1].peers, 2));
    stations_free(sim, s);
}

/* At each step of its handshakes with the others. */
static void a_member_that_goes_while_it_shakes_hands_is_not_let_in(void **state)
{
    (void)state;
    for (unsigned events = 1; events < 60; events++) {
        struct sim *sim = stations_new(s, 4);
        stations_start(s);
        for (unsigned i = 0; i < events; i++) {
            assert_true(sim_step(sim));
        }

        unsigned heard = s[1].up[3];
        know(&s[1], ONE | TWO);
        RUN_UNTIL(sim, peers_connected(s[1].peers, 2));
        run_for(sim, SECOND / 2);
        assert_int_equal(s[1].up[3], heard);
        assert_int_equal(s[1].down[3], heard);
        assert_false(peers_connected(s[1].peers, 3));
        assert_false(station_send(&s[3], 1, PEERS_URGENT, 5, 100));
        assert_int_equal(s[1].n_heard, 0);
        stations_free(sim, s);
    }
}

static enum station_callback inside_of;

static void forget_three(struct station *station, enum station_callback where, uint64_t id)
{
    if (where == inside_of && (id == 3 || where == STATION_REFUSED) && station->peers != NULL) {
        station->inside = NULL;
        know(station, ONE | TWO);
        assert_false(peers_connected(station->peers, 3));
    }
}

static void a_member_may_be_dropped_from_inside_each_callback(void **state)
{
    (void)state;
    static const enum station_callback places[] = {STATION_ADMIT, STATION_UP,      STATION_RECEIVED,
                                                   STATION_DOWN,  STATION_REFUSED, STATION_MOVED};
    for (unsigned i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct sim *sim = stations_new(s, 5);
        inside_of = places[i];
        s[1].inside = forget_three;
        s[3].config.advertise = "n3:9000"; /* the same */
        if (places[i] == STATION_MOVED) {
            s[3].config.advertise = "n3:9001";
        } else if (places[i] == STATION_REFUSED) {
            s[3].refuse = (struct error){.code = Q_CONFLICT, .text = "no"};
        }
        stations_start(s);
        if (places[i] == STATION_RECEIVED || places[i] == STATION_DOWN) {
            RUN_UNTIL(sim, peers_connected(s[3].peers, 1) && peers_connected(s[1].peers, 3));
            assert_true(station_send(&s[3], 1, PEERS_URGENT, 5, 100));
            assert_true(station_send(&s[3], 1, PEERS_URGENT, 6, 100));
        }
        if (places[i] == STATION_DOWN) {
            station_crash(&s[3]);
        }

        RUN_UNTIL(sim, s[1].inside == NULL);
        run_for(sim, 2 * SECOND);

        assert_int_equal(s[1].up[3], s[1].down[3]);
        assert_true(peers_connected(s[1].peers, 2));
        assert_true(s[1].n_heard <= (places[i] == STATION_DOWN ? 2 : 1));
        stations_free(sim, s);
    }
}

static void a_member_that_moved_is_dialled_where_it_says_it_is_and_the_owner_hears_of_it(void **state)
{
    (void)state;
    struct sim *sim = stations_new(s, 6);
    stations_start(s);
    stations_connect(s);

    station_stop(&s[3]);
    sim_node_kill(s[3].node);
    snprintf(s[3].listen, sizeof s[3].listen, "n3:9555");
    s[3].config.advertise = "n3:9555";
    station_start(&s[3]);
    RUN_UNTIL(sim, peers_connected(s[1].peers, 3) && peers_connected(s[2].peers, 3));

    assert_string_equal(s[1].moved_to[3], "n3:9555");
    assert_string_equal(s[2].moved_to[3], "n3:9555");
    assert_int_equal(s[1].moved[2], 0);
    assert_int_equal(s[3].moved[1], 0);

    s[1].members[2] = at(3, "n3:9555"); /* the owner agrees: it is no news any more */
    unsigned moved = s[1].moved[3], downs = s[1].down[3];
    know(&s[1], ONE | TWO | THREE);
    run_for(sim, 2 * SECOND);
    assert_int_equal(s[1].down[3], downs);
    station_crash(&s[3]);
    station_start(&s[3]);
    RUN_UNTIL(sim, peers_connected(s[1].peers, 3));
    assert_int_equal(s[1].moved[3], moved);
    stations_free(sim, s);
}

/* Behind a gateway, say: what it believes to be its address is none that others can dial. */
static void a_member_that_says_nonsense_of_its_address_is_reached_where_it_was(void **state)
{
    (void)state;
    struct sim *sim = stations_new(s, 7);
    s[3].config.advertise = "n3:9999"; /* nobody listens there */
    stations_start(s);
    stations_connect(s);

    station_crash(&s[3]);
    station_start(&s[3]);
    stations_connect(s);

    assert_string_equal(s[1].moved_to[3], "n3:9999");
    stations_free(sim, s);
}

static void a_member_that_is_moved_is_dialled_at_its_new_address_at_once(void **state)
{
    (void)state;
    struct sim *sim = stations_new(s, 8);
    snprintf(s[3].listen, sizeof s[3].listen, "n3:9700");
    stations_start(s);
    run_for(sim, 2 * SECOND);
    assert_false(peers_connected(s[1].peers, 3)); /* nobody is at the address that it is known by */

    s[1].members[2] = at(3, "n3:9700");
    know(&s[1], ONE | TWO | THREE);
    run_for(sim, SECOND / 20);
    assert_true(peers_connected(s[1].peers, 3));

    s[1].members[2] = at(3, "n3:9000"); /* the connection to where it was is given up */
    know(&s[1], ONE | TWO | THREE);
    run_for(sim, SECOND);
    assert_false(peers_connected(s[1].peers, 3));
    assert_int_equal(s[1].down[3], 1);
    stations_free(sim, s);
}

static void lists_that_make_no_sense_change_nothing(void **state)
{
    (void)state;
    struct sim *sim = stations_new(s, 9);
    static struct peers_member many[PEERS_MAX + 1];
    const struct peers_member twice[] = {at(2, "n2:9000"), at(2, "n3:9000")}, nobody[] = {at(0, "n2:9000")},
                              nowhere[] = {at(3, "")};
    struct error e;
    stations_start(s);
    stations_connect(s);

    assert_int_equal(peers_set_members(s[1].peers, twice, 2, &e), Q_INVALID);
    assert_int_equal(peers_set_members(s[1].peers, nobody, 1, &e), Q_INVALID);
    assert_int_equal(peers_set_members(s[1].peers, nowhere, 1, &e), Q_INVALID);
    for (unsigned i = 0; i <= PEERS_MAX; i++) {
        many[i] = at(i + 1, "n2:9000");
    }
    assert_int_equal(peers_set_members(s[1].peers, many, PEERS_MAX + 1, &e), Q_INVALID);
    run_for(sim, SECOND);

    assert_true(peers_connected(s[1].peers, 2) && peers_connected(s[1].peers, 3));
    stations_free(sim, s);
}

static void closing_does_not_wait_for_members_that_are_gone(void **state)
{
    (void)state;
    struct sim *sim = stations_new(s, 10);
    stations_start(s);
    stations_connect(s);

    know(&s[1], ONE | TWO);
    station_stop(&s[1]);
    know(&s[2], ONE | TWO);
    station_crash(&s[2]); /* with a connection to 3 that has not ended */

    stations_free(sim, s);
}

/* Anything of what may happen to a station and its list. */
static void stir(struct sim *sim, struct station *who)
{
    uint64_t moved = sim_random(sim, 1, STATIONS);

    if (who->peers == NULL) {
        station_start(who);
    } else if (sim_random(sim, 0, 7) == 0) {
        station_crash(who);
    } else {
        who->members[moved - 1] = at(moved, sim_random(sim, 0, 1) ? "n1:9000" : "n2:9000");
        know(who, (unsigned)sim_random(sim, 0, 7) << 1);
    }
    run_for(sim, sim_random(sim, 0, SECOND / 10));
}

/* A cluster that changes again and again, in any order, ends as what it is last. */
static void whatever_changes_the_last_list_holds(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct sim *sim = stations_new(s, 100 + seed);
        stations_start(s);
        for (unsigned i = 0; i < 80; i++) {
            stir(sim, &s[sim_random(sim, 1, STATIONS)]);
        }
        for (unsigned i = 1; i <= STATIONS; i++) {
            for (unsigned j = 1; j <= STATIONS; j++) {
                char address[16];
                snprintf(address, sizeof address, "n%u:9000", j);
                s[i].members[j - 1] = at(j, address);
            }
            if (s[i].peers == NULL) {
                station_start(&s[i]);
            }
            know(&s[i], ONE | TWO | THREE);
        }
        stations_connect(s);
        stations_free(sim, s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_that_comes_is_connected_both_ways),
        cmocka_unit_test(a_member_that_goes_is_heard_no_more_and_is_told_that_it_was_removed),
        cmocka_unit_test(a_member_that_goes_while_it_is_dialled_is_left_alone),
        cmocka_unit_test(a_member_that_goes_while_it_shakes_hands_is_not_let_in),
        cmocka_unit_test(a_member_may_be_dropped_from_inside_each_callback),
        cmocka_unit_test(a_member_that_moved_is_dialled_where_it_says_it_is_and_the_owner_hears_of_it),
        cmocka_unit_test(a_member_that_says_nonsense_of_its_address_is_reached_where_it_was),
        cmocka_unit_test(a_member_that_is_moved_is_dialled_at_its_new_address_at_once),
        cmocka_unit_test(lists_that_make_no_sense_change_nothing),
        cmocka_unit_test(closing_does_not_wait_for_members_that_are_gone),
        cmocka_unit_test(whatever_changes_the_last_list_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
