#include "tests/unit/cluster/side.h"

static struct rng rng;

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
    side_begin(&two, &rng, HANDSHAKE_ACCEPTOR, 0);
    buf_init(&in, 2000);
    buf_init(&out, 2000);

    wrap(&in, HANDSHAKE_HELLO, body, sizeof body);
    assert_int_equal(side_deliver(&two, &in, &out), Q_MISMATCH);

    assert_string_equal(two.why.text,
                        "node 2 speaks version 3 of the peer protocol, but the other side version 9");
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
    side_begin(&attacker, &rng, HANDSHAKE_DIALLER, 2);
    side_begin(&two, &rng, HANDSHAKE_ACCEPTOR, 0);
    buf_init(&hello, 2000);
    buf_init(&answer, 2000);
    buf_init(&proof, 2000);
    buf_init(&out, 2000);

    handshake_start(&attacker.h, &hello);
    assert_int_equal(side_deliver(&two, &hello, &answer), 0);
    wrap(&proof, HANDSHAKE_PROOF, answer.data + answer.len - HANDSHAKE_MAC_BYTES, HANDSHAKE_MAC_BYTES);

    assert_int_equal(side_deliver(&two, &proof, &out), Q_DENIED);
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

    side_begin(&one, &rng, HANDSHAKE_DIALLER, 2);
    side_begin(&two, &rng, HANDSHAKE_ACCEPTOR, 0);
    handshake_start(&one.h, &hello);
    assert_int_equal(side_deliver(&two, &hello, &answer), 0);
    assert_int_equal(side_deliver(&one, &answer, &proof), 0);
    assert_int_equal(side_deliver(&two, &proof, &out), 0);
    assert_int_equal(two.h.state, HANDSHAKE_DONE);

    side_begin(&two, &rng, HANDSHAKE_ACCEPTOR, 0);
    two.admitted_id = 0;
    assert_int_equal(side_deliver(&two, &hello, &answer), 0);
    assert_int_equal(side_deliver(&two, &proof, &out), Q_DENIED);
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
    side_begin(&one, &rng, HANDSHAKE_DIALLER, 2);
    side_begin(&two, &rng, HANDSHAKE_ACCEPTOR, 0);
    buf_init(&hello, 2000);
    buf_init(&answer, 2000);
    buf_init(&out, 2000);
    handshake_start(&one.h, &hello);

    hello.data[hello.len - 1] = '2'; /* the last digit of the URL */
    wrap(&out, HANDSHAKE_HELLO, memcpy((uint8_t[500]){0}, hello.data + 16, hello.len - 16), hello.len - 16);
    assert_int_equal(side_deliver(&two, &out, &answer), 0);

    assert_int_equal(side_deliver(&one, &answer, &out), Q_DENIED);
    buf_close(&hello);
    buf_close(&answer);
    buf_close(&out);
}

static void an_acceptor_that_answers_for_another_node_is_refused(void **state)
{
    (void)state;
    struct side one, three;
    struct buf hello, changed, answer, out;
    uint8_t body[HELLO_MAX];
    side_init(&one, 1);
    side_init(&three, 3);
    side_begin(&one, &rng, HANDSHAKE_DIALLER, 2);
    side_begin(&three, &rng, HANDSHAKE_ACCEPTOR, 0);
    buf_init(&hello, 2000);
    buf_init(&changed, 2000);
    buf_init(&answer, 2000);
    buf_init(&out, 2000);
    handshake_start(&one.h, &hello);
    memcpy(body, hello.data + FRAME_HEADER_BYTES, hello.len - FRAME_HEADER_BYTES);
    put_le64(body + 4 + 2 + PEERS_CLUSTER_ID_BYTES + 8, 3); /* the wanted id */
    wrap(&changed, HANDSHAKE_HELLO, body, hello.len - FRAME_HEADER_BYTES);
    assert_int_equal(side_deliver(&three, &changed, &answer), 0);

    assert_int_equal(side_deliver(&one, &answer, &out), Q_MISMATCH);

    assert_string_equal(one.why.text, "node 1 wants node 2, but its address leads to node 3");
    buf_close(&hello);
    buf_close(&changed);
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
                        type == HANDSHAKE_REFUSED || type == HANDSHAKE_REMOVED;
            side_init(&s, 1);
            side_begin(&s, &rng, (enum handshake_role)role, 2);
            buf_init(&in, 2000);
            buf_init(&out, 2000);
            wrap(&in, type, "abc", 3);

            assert_int_equal(side_deliver(&s, &in, &out), Q_CORRUPT);

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
    side_begin(&s, &rng, HANDSHAKE_ACCEPTOR, 0);
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
            side_begin(&one, &rng, HANDSHAKE_DIALLER, 2);
            side_begin(&two, &rng, HANDSHAKE_ACCEPTOR, 0);
            buf_clear(&messages[0]);
            handshake_start(&one.h, &messages[0]);
            if (which > 0) {
                assert_int_equal(side_deliver(&two, &messages[0], &messages[1]), 0);
            }
            if (which > 1) {
                assert_int_equal(side_deliver(&one, &messages[1], &messages[2]), 0);
            }
            const struct buf *whole = &messages[which];
            if (FRAME_HEADER_BYTES + n == whole->len) {
                break;
            }
            wrap(&cut, whole->data[2], whole->data + FRAME_HEADER_BYTES, n);
            assert_int_equal(side_deliver(which == 1 ? &one : &two, &cut, &out), Q_CORRUPT);
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
    side_begin(&s, &rng, HANDSHAKE_DIALLER, 2);
    buf_init(&body, 2000);
    buf_init(&in, 2000);
    buf_init(&out, 2000);

    buf_put_u16(&body, Q_BUSY);
    buf_put_blob(&body, "a\nb\x1b[31m%s\xff", 12);
    wrap(&in, HANDSHAKE_REFUSED, body.data, body.len);

    assert_int_equal(side_deliver(&s, &in, &out), Q_BUSY);
    assert_string_equal(s.why.text, "refused by the other side: a?b?[31m%s??");
    buf_close(&body);
    buf_close(&in);
    buf_close(&out);
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
        side_begin(&one, &rng, HANDSHAKE_DIALLER, 2);
        side_begin(&two, &rng, HANDSHAKE_ACCEPTOR, 0);
        two.admitted_id = one.admitted_id = 0;
        buf_clear(&messages[0]);
        handshake_start(&one.h, &messages[0]);
        int which = (int)rng_between(&rng, 1, 2);
        assert_int_equal(side_deliver(&two, &messages[0], &messages[1]), 0);
        if (which == 2) {
            assert_int_equal(side_deliver(&one, &messages[1], &messages[2]), 0);
        }
        size_t n = messages[which].len - FRAME_HEADER_BYTES;
        uint8_t body[HANDSHAKE_READ_MAX];
        memcpy(body, messages[which].data + FRAME_HEADER_BYTES, n);
        uint8_t flip = (uint8_t)rng_between(&rng, 1, 255);
        body[rng_between(&rng, 0, n - 1)] ^= flip;
        wrap(&changed, messages[which].data[2], body, n);

        struct side *to = which == 1 ? &one : &two;
        assert_int_not_equal(side_deliver(to, &changed, &out), 0);
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
        cmocka_unit_test(another_version_is_refused_whatever_follows_it),
        cmocka_unit_test(a_reflected_answer_proves_nothing),
        cmocka_unit_test(a_recorded_proof_is_useless_in_the_next_handshake),
        cmocka_unit_test(a_hello_changed_on_its_way_is_noticed),
        cmocka_unit_test(an_acceptor_that_answers_for_another_node_is_refused),
        cmocka_unit_test(a_message_out_of_turn_is_refused_without_an_answer),
        cmocka_unit_test(data_frames_are_refused),
        cmocka_unit_test(every_truncated_message_is_refused),
        cmocka_unit_test(the_text_of_a_refusal_is_cleaned_before_it_is_repeated),
        cmocka_unit_test(random_changes_never_lead_to_an_admission),
    };
    rng_init(&rng, 20);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
