#include "base/rng.h"
#include "cluster/handshake.h"
#include "tests/unit/test.h"

static const char SECRET[] = "correct horse battery staple";

/* One node's side: what it knows of itself, and whom it admitted. */
struct side {
    struct handshake_self self;
    uint64_t members[4];
    uint64_t admitted_id, admitted_incarnation;
    bool full; /* admit refuses */
    struct handshake h;
    struct error why;
};

static struct rng rng;

static bool is_member(void *ctx, uint64_t id)
{
    const struct side *s = ctx;
    for (size_t i = 0; i < 4; i++) {
        if (s->members[i] == id && id != s->self.id) {
            return true;
        }
    }
    return false;
}

static int admit(void *ctx, uint64_t id, uint64_t incarnation, struct error *e)
{
    struct side *s = ctx;
    if (s->full) {
        return error_set(e, Q_CONFLICT, "incarnation 77 has the id");
    }
    s->admitted_id = id;
    s->admitted_incarnation = incarnation;
    return 0;
}

static void side_init(struct side *s, uint64_t id)
{
    *s = (struct side){
        .self = {.id = id,
                 .incarnation = 100 + id,
                 .api_address = id == 1 ? "http://one:4001" : "http://two:4001",
                 .secret = (const uint8_t *)SECRET,
                 .secret_len = sizeof SECRET - 1,
                 .member = is_member,
                 .admit = admit},
        .members = {1, 2, 3},
    };
    memset(s->self.cluster_id, 0xc1, sizeof s->self.cluster_id);
    s->self.ctx = s;
}

static void begin(struct side *s, enum handshake_role role, uint64_t wanted)
{
    uint8_t nonce[HANDSHAKE_NONCE_BYTES];
    rng_fill(&rng, nonce, sizeof nonce);
    handshake_init(&s->h, &s->self, role, wanted, nonce);
}

static struct frame frame_of(const struct buf *b, struct frame_decoder *d)
{
    struct cursor in = cursor_of(b->data, b->len);
    struct frame f = {0};
    struct error e;
    bool whole = false;
    frame_decoder_init(d, HANDSHAKE_READ_MAX);
    assert_int_equal(frame_decode(d, &in, &f, &whole, &e), 0);
    assert_true(whole);
    assert_int_equal(cursor_left(&in), 0);
    return f;
}

/* S takes what is in IN and puts its answer into OUT; its return code. */
static int deliver(struct side *s, const struct buf *in, struct buf *out)
{
    struct frame_decoder d;
    struct frame f = frame_of(in, &d);
    buf_clear(out);
    int rc = handshake_receive(&s->h, &f, out, &s->why);
    assert_int_equal(out->failed, Q_OK);
    return rc;
}

/* Carries messages between the two until nobody has anything to say. */
static void converse(struct side *dialler, struct side *acceptor, uint64_t wanted)
{
    struct buf a, b;
    struct buf *in = &a, *out = &b;
    struct side *to = acceptor;

    begin(dialler, HANDSHAKE_DIALLER, wanted);
    begin(acceptor, HANDSHAKE_ACCEPTOR, 0);
    buf_init(&a, HANDSHAKE_READ_MAX);
    buf_init(&b, HANDSHAKE_READ_MAX);
    handshake_start(&dialler->h, in);
    while (in->len > 0 && to->h.state == HANDSHAKE_GOING) {
        struct buf *swap = in;
        deliver(to, in, out);
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
                   "but node 1 to cluster c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1");
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

/* A whole frame around BODY. */
static void wrap(struct buf *b, uint8_t type, const void *body, size_t n)
{
    uint8_t *to;
    buf_clear(b);
    to = buf_reserve(b, FRAME_HEADER_BYTES + n);
    frame_write(to, type, FRAME_CONTROL, body, n);
    b->len = FRAME_HEADER_BYTES + n;
}

static void another_version_is_refused_whatever_follows_it(void **state)
{
    (void)state;
    struct side two;
    struct buf in, out;
    uint8_t body[] = {0x51, 0x55, 0x52, 0x50, 9, 0, 'n', 'e', 'w'};
    side_init(&two, 2);
    begin(&two, HANDSHAKE_ACCEPTOR, 0);
    buf_init(&in, 2000);
    buf_init(&out, 2000);

    wrap(&in, HANDSHAKE_HELLO, body, sizeof body);
    assert_int_equal(deliver(&two, &in, &out), Q_MISMATCH);

    assert_string_equal(two.why.text,
                        "node 2 speaks version 1 of the peer protocol, but the other side version 9");
    assert_int_equal(out.data[2], HANDSHAKE_REFUSED);
    buf_close(&in);
    buf_close(&out);
}

static void a_reflected_answer_proves_nothing(void **state)
{
    (void)state;
    struct side two;
    struct buf hello, answer, proof, out;
    struct side attacker;
    side_init(&attacker, 1);
    side_init(&two, 2);
    begin(&attacker, HANDSHAKE_DIALLER, 2);
    begin(&two, HANDSHAKE_ACCEPTOR, 0);
    buf_init(&hello, 2000);
    buf_init(&answer, 2000);
    buf_init(&proof, 2000);
    buf_init(&out, 2000);

    handshake_start(&attacker.h, &hello);
    assert_int_equal(deliver(&two, &hello, &answer), 0);
    wrap(&proof, HANDSHAKE_PROOF, answer.data + answer.len - HANDSHAKE_MAC_BYTES, HANDSHAKE_MAC_BYTES);

    assert_int_equal(deliver(&two, &proof, &out), Q_DENIED);
    assert_int_equal(two.admitted_id, 0);
    buf_close(&hello);
    buf_close(&answer);
    buf_close(&proof);
    buf_close(&out);
}

static void a_recorded_proof_is_useless_in_the_next_handshake(void **state)
{
    (void)state;
    struct side one, two;
    struct buf hello, answer, proof, out;
    side_init(&one, 1);
    side_init(&two, 2);
    buf_init(&hello, 2000);
    buf_init(&answer, 2000);
    buf_init(&proof, 2000);
    buf_init(&out, 2000);

    begin(&one, HANDSHAKE_DIALLER, 2);
    begin(&two, HANDSHAKE_ACCEPTOR, 0);
    handshake_start(&one.h, &hello);
    assert_int_equal(deliver(&two, &hello, &answer), 0);
    assert_int_equal(deliver(&one, &answer, &proof), 0);
    assert_int_equal(deliver(&two, &proof, &out), 0);
    assert_int_equal(two.h.state, HANDSHAKE_DONE);

    begin(&two, HANDSHAKE_ACCEPTOR, 0);
    two.admitted_id = 0;
    assert_int_equal(deliver(&two, &hello, &answer), 0);
    assert_int_equal(deliver(&two, &proof, &out), Q_DENIED);
    assert_int_equal(two.admitted_id, 0);
    buf_close(&hello);
    buf_close(&answer);
    buf_close(&proof);
    buf_close(&out);
}

static void a_hello_changed_on_its_way_is_noticed(void **state)
{
    (void)state;
    struct side one, two;
    struct buf hello, answer, out;
    side_init(&one, 1);
    side_init(&two, 2);
    begin(&one, HANDSHAKE_DIALLER, 2);
    begin(&two, HANDSHAKE_ACCEPTOR, 0);
    buf_init(&hello, 2000);
    buf_init(&answer, 2000);
    buf_init(&out, 2000);
    handshake_start(&one.h, &hello);

    hello.data[hello.len - 1] = '2'; /* the last digit of the URL */
    wrap(&out, HANDSHAKE_HELLO, memcpy((uint8_t[500]){0}, hello.data + 16, hello.len - 16), hello.len - 16);
    assert_int_equal(deliver(&two, &out, &answer), 0);

    assert_int_equal(deliver(&one, &answer, &out), Q_DENIED);
    buf_close(&hello);
    buf_close(&answer);
    buf_close(&out);
}

static void a_message_out_of_turn_is_refused_without_an_answer(void **state)
{
    (void)state;
    for (uint8_t type = 0; type < 20; type++) {
        for (int role = 0; role < 2; role++) {
            struct side s;
            struct buf in, out;
            bool turn = type == (role == HANDSHAKE_DIALLER ? HANDSHAKE_ANSWER : HANDSHAKE_HELLO) ||
                        type == HANDSHAKE_REFUSED;
            side_init(&s, 1);
            begin(&s, (enum handshake_role)role, 2);
            buf_init(&in, 2000);
            buf_init(&out, 2000);
            wrap(&in, type, "abc", 3);

            assert_int_equal(deliver(&s, &in, &out), Q_CORRUPT);

            assert_int_equal(s.h.state, HANDSHAKE_REFUSED_HERE);
            assert_int_equal(out.len, 0);
            assert_int_equal(strstr(s.why.text, "malformed") != NULL, turn);
            buf_close(&in);
            buf_close(&out);
        }
    }
}

static void data_frames_are_refused(void **state)
{
    (void)state;
    struct side s;
    struct buf out;
    struct frame f = {.type = HANDSHAKE_HELLO, .flags = 0, .body = (const uint8_t *)"", .len = 0};
    side_init(&s, 1);
    begin(&s, HANDSHAKE_ACCEPTOR, 0);
    buf_init(&out, 2000);

    assert_int_equal(handshake_receive(&s.h, &f, &out, &s.why), Q_CORRUPT);

    assert_string_equal(s.why.text, "HELLO was expected, but a data frame of type 1 came");
    assert_int_equal(out.len, 0);
}

static void every_truncated_message_is_refused(void **state)
{
    (void)state;
    struct side one, two;
    struct buf messages[3], cut, out;
    side_init(&one, 1);
    side_init(&two, 2);
    for (int i = 0; i < 3; i++) {
        buf_init(&messages[i], 2000);
    }
    buf_init(&cut, 2000);
    buf_init(&out, 2000);

    for (int which = 0; which < 3; which++) {
        for (size_t n = 0;; n++) {
            begin(&one, HANDSHAKE_DIALLER, 2);
            begin(&two, HANDSHAKE_ACCEPTOR, 0);
            buf_clear(&messages[0]);
            handshake_start(&one.h, &messages[0]);
            if (which > 0) {
                assert_int_equal(deliver(&two, &messages[0], &messages[1]), 0);
            }
            if (which > 1) {
                assert_int_equal(deliver(&one, &messages[1], &messages[2]), 0);
            }
            const struct buf *whole = &messages[which];
            if (FRAME_HEADER_BYTES + n == whole->len) {
                break;
            }
            wrap(&cut, whole->data[2], whole->data + FRAME_HEADER_BYTES, n);
            assert_int_equal(deliver(which == 1 ? &one : &two, &cut, &out), Q_CORRUPT);
            assert_int_equal(out.len, 0);
        }
    }
    for (int i = 0; i < 3; i++) {
        buf_close(&messages[i]);
    }
    buf_close(&cut);
    buf_close(&out);
}

static void the_text_of_a_refusal_is_cleaned_before_it_is_repeated(void **state)
{
    (void)state;
    struct side s;
    struct buf body, in, out;
    side_init(&s, 1);
    begin(&s, HANDSHAKE_DIALLER, 2);
    buf_init(&body, 2000);
    buf_init(&in, 2000);
    buf_init(&out, 2000);

    buf_put_u16(&body, Q_BUSY);
    buf_put_blob(&body, "a\nb\x1b[31m%s\xff", 12);
    wrap(&in, HANDSHAKE_REFUSED, body.data, body.len);

    assert_int_equal(deliver(&s, &in, &out), Q_BUSY);
    assert_string_equal(s.why.text, "refused by the other side: a?b?[31m%s??");
    buf_close(&body);
    buf_close(&in);
    buf_close(&out);
}

static void an_api_address_with_a_line_break_is_refused(void **state)
{
    (void)state;
    assert_true(handshake_address_ok("", 0));
    assert_true(handshake_address_ok("http://a:1", 10));
    assert_false(handshake_address_ok("http://a\r\nb", 11));
    assert_false(handshake_address_ok("a b", 3));
    assert_false(handshake_address_ok("a\0b", 3));
    assert_false(handshake_address_ok("\xc3\xa4", 2));
    char longest[PEERS_ADDRESS_MAX + 1];
    memset(longest, 'a', sizeof longest);
    assert_true(handshake_address_ok(longest, PEERS_ADDRESS_MAX));
    assert_false(handshake_address_ok(longest, PEERS_ADDRESS_MAX + 1));
}

static void random_changes_never_lead_to_an_admission(void **state)
{
    (void)state;
    struct side one, two;
    struct buf messages[3], changed, out;
    side_init(&one, 1);
    side_init(&two, 2);
    for (int i = 0; i < 3; i++) {
        buf_init(&messages[i], 2000);
    }
    buf_init(&changed, 2000);
    buf_init(&out, 2000);

    for (int round = 0; round < 3000; round++) {
        begin(&one, HANDSHAKE_DIALLER, 2);
        begin(&two, HANDSHAKE_ACCEPTOR, 0);
        two.admitted_id = one.admitted_id = 0;
        buf_clear(&messages[0]);
        handshake_start(&one.h, &messages[0]);
        int which = (int)rng_between(&rng, 1, 2);
        assert_int_equal(deliver(&two, &messages[0], &messages[1]), 0);
        if (which == 2) {
            assert_int_equal(deliver(&one, &messages[1], &messages[2]), 0);
        }
        size_t n = messages[which].len - FRAME_HEADER_BYTES;
        uint8_t body[HANDSHAKE_READ_MAX];
        memcpy(body, messages[which].data + FRAME_HEADER_BYTES, n);
        uint8_t flip = (uint8_t)rng_between(&rng, 1, 255);
        body[rng_between(&rng, 0, n - 1)] ^= flip;
        wrap(&changed, messages[which].data[2], body, n);

        struct side *to = which == 1 ? &one : &two;
        assert_int_not_equal(deliver(to, &changed, &out), 0);
        assert_int_equal(to->admitted_id, 0);
    }
    for (int i = 0; i < 3; i++) {
        buf_close(&messages[i]);
    }
    buf_close(&changed);
    buf_close(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_learn_who_the_other_is),
        cmocka_unit_test(the_longest_api_address_passes),
        cmocka_unit_test(another_secret_is_refused_and_nobody_is_admitted),
        cmocka_unit_test(another_cluster_is_refused_with_both_ids),
        cmocka_unit_test(a_stranger_is_refused),
        cmocka_unit_test(an_acceptor_that_the_dialler_does_not_know_is_refused),
        cmocka_unit_test(an_address_that_leads_to_another_node_is_refused),
        cmocka_unit_test(a_node_that_dials_itself_is_refused),
        cmocka_unit_test(an_id_that_is_taken_is_refused_with_the_owner_s_words_by_either_side),
        cmocka_unit_test(another_version_is_refused_whatever_follows_it),
        cmocka_unit_test(a_reflected_answer_proves_nothing),
        cmocka_unit_test(a_recorded_proof_is_useless_in_the_next_handshake),
        cmocka_unit_test(a_hello_changed_on_its_way_is_noticed),
        cmocka_unit_test(a_message_out_of_turn_is_refused_without_an_answer),
        cmocka_unit_test(data_frames_are_refused),
        cmocka_unit_test(every_truncated_message_is_refused),
        cmocka_unit_test(the_text_of_a_refusal_is_cleaned_before_it_is_repeated),
        cmocka_unit_test(an_api_address_with_a_line_break_is_refused),
        cmocka_unit_test(random_changes_never_lead_to_an_admission),
    };
    rng_init(&rng, 20);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
