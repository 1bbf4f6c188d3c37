#include "tests/unit/cluster/side.h"

static struct rng rng;

/* Carries messages between the two until nobody has anything to say. */
static void converse(struct side *dialler, struct side *acceptor, uint64_t wanted)
{
    struct buf a, b;
    struct buf *in = &a, *out = &b;
    struct side *to = acceptor;

    side_begin(dialler, &rng, HANDSHAKE_DIALLER, wanted);
    side_begin(acceptor, &rng, HANDSHAKE_ACCEPTOR, 0);
    buf_init(&a, HANDSHAKE_READ_MAX);
    buf_init(&b, HANDSHAKE_READ_MAX);
    handshake_start(&dialler->h, in);
    while (in->len > 0 && to->h.state == HANDSHAKE_GOING) {
        struct buf *swap = in;
        side_deliver(to, in, out);
        to = to == acceptor ? dialler : acceptor;
        in = out;
        out = swap;
    }
    buf_close(&a);
    buf_close(&b);
}

static void expect_refused(struct side *here, struct side *there, enum error_code code, const char *text)
{
    char told[ERROR_TEXT_MAX];
    assert_int_equal(here->h.state, HANDSHAKE_REFUSED_HERE);
    assert_int_equal(there->h.state, HANDSHAKE_REFUSED_THERE);
    assert_int_equal(here->why.code, code);
    assert_int_equal(there->why.code, code);
    assert_string_equal(here->why.text, text);
    snprintf(told, sizeof told, "refused by the other side: %s", text);
    assert_string_equal(there->why.text, told);
    assert_null(strstr(here->why.text, "horse"));
}

static void both_sides_learn_who_the_other_is(void **state)
{
    (void)state;
    struct side one, two;
    side_init(&one, 1);
    side_init(&two, 2);

    converse(&one, &two, 2);

    assert_int_equal(one.h.state, HANDSHAKE_DONE);
    assert_int_equal(two.h.state, HANDSHAKE_DONE);
    assert_int_equal(one.h.id, 2);
    assert_int_equal(two.h.id, 1);
    assert_int_equal(one.admitted_id, 2);
    assert_int_equal(one.admitted_incarnation, 102);
    assert_int_equal(two.admitted_id, 1);
    assert_int_equal(two.admitted_incarnation, 101);
    assert_string_equal(one.h.api_address, "http://two:4001");
    assert_string_equal(two.h.api_address, "http://one:4001");
}

static void expect_life(const struct peers_life *life, uint64_t incarnation, uint64_t n)
{
    assert_int_equal(life->incarnation, incarnation);
    assert_int_equal(life->boots, n);
    assert_int_equal(life->mark, n + 1);
    assert_int_equal(life->term, n + 2);
    assert_int_equal(life->index, n + 3);
    assert_int_equal(life->index_term, n + 4);
}

static struct peers_life life_of(uint64_t incarnation, uint64_t n)
{
    return (struct peers_life){incarnation, n, (uint32_t)n + 1, n + 2, n + 3, n + 4};
}

static void both_sides_tell_their_lives_and_what_they_remember(void **state)
{
    (void)state;
    struct side one, two;
    side_init(&one, 1);
    side_init(&two, 2);
    one.own = life_of(101, 10);
    one.seen = life_of(102, 20);
    two.own = life_of(102, 30);
    two.seen = life_of(101, 40);

    converse(&one, &two, 2);

    expect_life(&one.met, 102, 30);
    expect_life(&two.met, 101, 10);
    expect_life(&one.heard, 101, 40);
    expect_life(&two.heard, 102, 20);
}

/* What a stale disk says of itself must not take the place of what is remembered of the newer one. */
static void who_finds_itself_stale_refuses_and_is_not_remembered(void **state)
{
    (void)state;
    struct side one, two;
    side_init(&one, 1);
    side_init(&two, 2);
    one.own = two.own = life_of(1, 10);

    one.stale = true; /* as dialler: it learns it from the answer */
    converse(&one, &two, 2);
    expect_refused(&one, &two, Q_CONFLICT, "the other side, 2, has seen more of us");
    assert_int_equal(two.met.boots, 0);
    assert_int_equal(one.met.boots, 0);

    one.stale = false;
    two.stale = true; /* as acceptor: with the proof */
    converse(&one, &two, 2);
    expect_refused(&two, &one, Q_CONFLICT, "the other side, 1, has seen more of us");
    assert_int_equal(one.met.boots, 0);
    assert_int_equal(two.met.boots, 0);
}

static void the_longest_api_address_passes(void **state)
{
    (void)state;
    struct side one, two;
    char address[PEERS_ADDRESS_MAX + 1];
    side_init(&one, 1);
    side_init(&two, 2);
    memset(address, 'a', PEERS_ADDRESS_MAX);
    address[PEERS_ADDRESS_MAX] = '\0';
    one.self.api_address = two.self.api_address = address;

    converse(&one, &two, 2);

    assert_int_equal(one.h.state, HANDSHAKE_DONE);
    assert_int_equal(two.h.state, HANDSHAKE_DONE);
    assert_string_equal(two.h.api_address, address);
}

static void another_secret_is_refused_and_nobody_is_admitted(void **state)
{
    (void)state;
    struct side one, two;
    side_init(&one, 1);
    side_init(&two, 2);
    two.self.secret = (const uint8_t *)"correct horse battery stapler";
    two.self.secret_len++;

    converse(&one, &two, 2);

    expect_refused(&one, &two, Q_DENIED,
                   "node 1 could not authenticate node 2: they do not have the same secret");
    assert_int_equal(one.admitted_id, 0);
    assert_int_equal(two.admitted_id, 0);
}

static void another_cluster_is_refused_with_both_ids(void **state)
{
    (void)state;
    struct side one, two;
    side_init(&one, 1);
    side_init(&two, 2);
    two.self.cluster_id[15] = 0xc2;

    converse(&one, &two, 2);

    expect_refused(&two, &one, Q_MISMATCH,
                   "node 2 belongs to cluster c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c2, "
                   "but node 1 to cluster c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1: "
                   "their name, members, foreign-keys or sql-instructions differ");
}

static void a_stranger_is_refused(void **state)
{
    (void)state;
    struct side nine, two;
    side_init(&nine, 9);
    side_init(&two, 2);

    converse(&nine, &two, 2);

    expect_refused(&two, &nine, Q_MISMATCH, "node 9 is not in the member list of node 2");
    assert_int_equal(two.admitted_id, 0);
    assert_int_equal(two.introduced, 9); /* it belongs to the cluster: the owner may know it from now on */
    assert_string_equal(two.introduced_at, nine.self.address);
}

static void a_stranger_that_does_not_know_the_secret_is_not_introduced(void **state)
{
    (void)state;
    static const char other[] = "wrong horse battery staple!!";
    struct side nine, two;
    side_init(&nine, 9);
    side_init(&two, 2);
    nine.self.secret = (const uint8_t *)other;

    converse(&nine, &two, 2);

    assert_int_equal(nine.h.state == HANDSHAKE_DONE, 0);
    assert_int_equal(two.introduced, 0);
}

static void an_acceptor_that_the_dialler_does_not_know_is_refused(void **state)
{
    (void)state;
    struct side one, two;
    side_init(&one, 1);
    side_init(&two, 2);
    one.members[1] = 0;

    converse(&one, &two, 2);

    expect_refused(&one, &two, Q_MISMATCH, "node 2 is not in the member list of node 1");
}

static void an_address_that_leads_to_another_node_is_refused(void **state)
{
    (void)state;
    struct side one, two;
    side_init(&one, 1);
    side_init(&two, 2);

    converse(&one, &two, 3);

    expect_refused(&two, &one, Q_MISMATCH, "node 1 wants node 3, but its address leads to node 2");
}

static void a_node_that_dials_itself_is_refused(void **state)
{
    (void)state;
    struct side one, also_one;
    side_init(&one, 1);
    side_init(&also_one, 1);

    converse(&one, &also_one, 2);

    assert_int_equal(also_one.h.state, HANDSHAKE_REFUSED_HERE);
    assert_int_equal(one.h.state, HANDSHAKE_REFUSED_THERE);
    assert_non_null(strstr(one.why.text, "node 1 met a node of its own id"));
}

static void an_id_that_is_taken_is_refused_with_the_owner_s_words_by_either_side(void **state)
{
    (void)state;
    struct side one, two;

    side_init(&one, 1);
    side_init(&two, 2);
    two.full = true;
    converse(&one, &two, 2);
    expect_refused(&two, &one, Q_CONFLICT,
                   "node 2 does not admit node 1 of incarnation 101: incarnation 77 has the id");

    side_init(&one, 1);
    side_init(&two, 2);
    one.full = true;
    converse(&one, &two, 2);
    expect_refused(&one, &two, Q_CONFLICT,
                   "node 1 does not admit node 2 of incarnation 102: incarnation 77 has the id");
    assert_int_equal(two.admitted_id, 0);
}

static void an_api_address_with_a_line_break_is_refused(void **state)
{
    (void)state;
    assert_true(hello_address_ok("", 0));
    assert_true(hello_address_ok("http://a:1", 10));
    assert_false(hello_address_ok("http://a\r\nb", 11));
    assert_false(hello_address_ok("a b", 3));
    assert_false(hello_address_ok("a\0b", 3));
    assert_false(hello_address_ok("\xc3\xa4", 2));
    char longest[PEERS_ADDRESS_MAX + 1];
    memset(longest, 'a', sizeof longest);
    assert_true(hello_address_ok(longest, PEERS_ADDRESS_MAX));
    assert_false(hello_address_ok(longest, PEERS_ADDRESS_MAX + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_learn_who_the_other_is),
        cmocka_unit_test(both_sides_tell_their_lives_and_what_they_remember),
        cmocka_unit_test(who_finds_itself_stale_refuses_and_is_not_remembered),
        cmocka_unit_test(the_longest_api_address_passes),
        cmocka_unit_test(another_secret_is_refused_and_nobody_is_admitted),
        cmocka_unit_test(another_cluster_is_refused_with_both_ids),
        cmocka_unit_test(a_stranger_is_refused),
        cmocka_unit_test(a_stranger_that_does_not_know_the_secret_is_not_introduced),
        cmocka_unit_test(an_acceptor_that_the_dialler_does_not_know_is_refused),
        cmocka_unit_test(an_address_that_leads_to_another_node_is_refused),
        cmocka_unit_test(a_node_that_dials_itself_is_refused),
        cmocka_unit_test(an_id_that_is_taken_is_refused_with_the_owner_s_words_by_either_side),
        cmocka_unit_test(an_api_address_with_a_line_break_is_refused),
    };
    rng_init(&rng, 20);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
