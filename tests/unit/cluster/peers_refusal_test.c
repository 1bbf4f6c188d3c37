#include "tests/unit/cluster/station.h"

static const char REFUSED[] = "quorate_peers_handshakes_refused_total";
static struct station s[STATIONS + 1];

static unsigned count_of(const char *text, const char *part)
{
    unsigned n = 0;
    for (const char *p = text; (p = strstr(p, part)) != NULL; p++) {
        n++;
    }
    return n;
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
                                         "ee000000000000000000000000000000: "
                                         "their name, members, foreign-keys or sql-instructions differ\n"));
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
    assert_int_equal(s[1].admitted[7] + s[1].up[3] + s[3].up[1], 0);
    assert_int_equal(s[1].introduced, 7);
    assert_string_equal(s[1].introduced_at, s[3].listen);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_secret_is_refused_on_both_sides_and_never_admitted),
        cmocka_unit_test(one_cause_is_reported_once_a_second_at_most),
        cmocka_unit_test(another_cluster_is_refused_on_both_sides),
        cmocka_unit_test(an_incarnation_that_is_not_admitted_is_refused_on_both_sides),
        cmocka_unit_test(a_stranger_is_refused_on_both_sides),
        cmocka_unit_test(a_node_whose_member_list_leads_to_itself_says_so),
        cmocka_unit_test(a_wrong_configuration_is_refused_with_what_is_wrong),
        cmocka_unit_test(an_address_in_use_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
