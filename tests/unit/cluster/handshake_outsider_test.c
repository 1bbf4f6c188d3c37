/* Nodes that are no members: guests, which want to become one, and those that were removed. */
#include "tests/unit/cluster/side.h"

static struct rng rng;

/* What the acceptor said, one message after the other. */
static struct buf said;

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
    buf_close(&said);
    buf_init(&said, 4 * HANDSHAKE_READ_MAX);
    handshake_start(&dialler->h, in);
    while (in->len > 0 && to->h.state == HANDSHAKE_GOING) {
        struct buf *swap = in;
        side_deliver(to, in, out);
        if (to == acceptor) {
            buf_put_bytes(&said, out->data, out->len);
        }
        to = to == acceptor ? dialler : acceptor;
        in = out;
        out = swap;
    }
    buf_close(&a);
    buf_close(&b);
}

static void make_guest(struct side *s)
{
    side_init(s, 1);
    s->self.id = s->self.incarnation = 0;
    memset(s->self.cluster_id, 0, sizeof s->self.cluster_id);
    s->self.guest = true;
}

static bool contains(const struct buf *b, const void *what, size_t n)
{
    for (size_t i = 0; i + n <= b->len; i++) {
        if (memcmp(b->data + i, what, n) == 0) {
            return true;
        }
    }
    return false;
}

static void a_guest_and_a_member_that_have_one_secret_believe_each_other(void **state)
{
    (void)state;
    struct side guest, member;
    make_guest(&guest);
    side_init(&member, 2);

    converse(&guest, &member, 0);

    assert_int_equal(guest.h.state, HANDSHAKE_DONE);
    assert_int_equal(member.h.state, HANDSHAKE_DONE);
    assert_true(guest.h.guest && member.h.guest);
    assert_int_equal(member.h.id, 0);
    assert_int_equal(member.admitted_id, 0); /* it is not asked whether it may: it is no member */
}

static void a_guest_is_told_nothing_of_the_cluster(void **state)
{
    (void)state;
    struct side guest, member;
    make_guest(&guest);
    side_init(&member, 2);
    member.own = (struct peers_life){.boots = UINT64_C(0x1122334455667788)};

    converse(&guest, &member, 0);

    assert_int_equal(guest.h.state, HANDSHAKE_DONE);
    assert_true(said.len > HANDSHAKE_MAC_BYTES);
    assert_false(contains(&said, member.self.cluster_id, 4));
    assert_false(contains(&said, &member.own.boots, 8));
    assert_false(contains(&said, "two", 3));
    assert_int_equal(guest.h.id, 0);
    assert_string_equal(guest.h.api_address, "");
    assert_string_equal(guest.h.address, "");
}

static void a_guest_with_another_secret_is_not_heard(void **state)
{
    (void)state;
    static const char other[] = "wrong horse battery staple!!";
    struct side guest, member;
    make_guest(&guest);
    side_init(&member, 2);
    guest.self.secret = (const uint8_t *)other;

    converse(&guest, &member, 0);

    assert_int_equal(guest.h.state, HANDSHAKE_REFUSED_HERE);
    assert_int_equal(guest.why.code, Q_DENIED);
    assert_int_equal(member.h.state, HANDSHAKE_REFUSED_THERE);
    assert_string_equal(guest.why.text,
                        "the node that wants to join and the member do not have the same secret");
}

/* It does not look at the acceptor's proof, as an honest one would, and goes on. */
static void a_guest_that_cannot_prove_anything_is_not_let_in(void **state)
{
    (void)state;
    struct side guest, member;
    struct buf hello, answer, out;
    uint8_t proof[FRAME_HEADER_BYTES + HANDSHAKE_MAC_BYTES], mac[HANDSHAKE_MAC_BYTES] = {7};
    make_guest(&guest);
    side_init(&member, 2);
    side_begin(&guest, &rng, HANDSHAKE_DIALLER, 0);
    side_begin(&member, &rng, HANDSHAKE_ACCEPTOR, 0);
    buf_init(&hello, 2000);
    buf_init(&answer, 2000);
    buf_init(&out, 2000);

    handshake_start(&guest.h, &hello);
    assert_int_equal(side_deliver(&member, &hello, &answer), 0);
    frame_write(proof, HANDSHAKE_PROOF, FRAME_CONTROL, mac, sizeof mac);
    buf_clear(&hello);
    buf_put_bytes(&hello, proof, sizeof proof);

    assert_int_equal(side_deliver(&member, &hello, &out), Q_DENIED);
    assert_int_equal(member.h.state, HANDSHAKE_REFUSED_HERE);
    buf_close(&hello);
    buf_close(&answer);
    buf_close(&out);
}

/* Somebody between them makes a guest of a member, or of an acceptor nobody. */
static void who_is_no_guest_is_not_made_one(void **state)
{
    (void)state;
    struct side guest, member, dialler;
    struct buf hello, answer, out;
    make_guest(&guest);
    side_init(&member, 2);
    side_init(&dialler, 1);
    buf_init(&hello, 2000);
    buf_init(&answer, 2000);
    buf_init(&out, 2000);

    side_begin(&dialler, &rng, HANDSHAKE_DIALLER, 2);
    side_begin(&guest, &rng, HANDSHAKE_DIALLER, 0);
    side_begin(&member, &rng, HANDSHAKE_ACCEPTOR, 0);
    handshake_start(&guest.h, &hello);
    assert_int_equal(side_deliver(&member, &hello, &answer), 0);
    assert_int_equal(side_deliver(&dialler, &answer, &out), Q_CORRUPT); /* a guest's answer for a member */

    side_begin(&guest, &rng, HANDSHAKE_DIALLER, 0);
    side_begin(&member, &rng, HANDSHAKE_ACCEPTOR, 0);
    side_begin(&dialler, &rng, HANDSHAKE_DIALLER, 2);
    buf_clear(&hello);
    handshake_start(&dialler.h, &hello);
    assert_int_equal(side_deliver(&member, &hello, &answer), 0);
    assert_int_equal(side_deliver(&guest, &answer, &out), Q_CORRUPT); /* a member's answer for a guest */
    buf_close(&hello);
    buf_close(&answer);
    buf_close(&out);
}

static void a_removed_member_hears_that_it_was_and_when(void **state)
{
    (void)state;
    struct side one, two;
    side_init(&one, 1);
    side_init(&two, 2);
    two.gone = 1;
    two.gone_at = 77;

    converse(&one, &two, 2);

    assert_int_equal(two.h.state, HANDSHAKE_REFUSED_HERE);
    assert_int_equal(two.why.code, Q_DENIED);
    assert_string_equal(two.why.text, "node 1 was removed from this cluster at index 77");
    assert_int_equal(one.h.state, HANDSHAKE_REFUSED_THERE);
    assert_int_equal(one.why.code, Q_DENIED);
    assert_string_equal(one.why.text, "node 2 says that node 1 was removed from this cluster at index 77");
    assert_int_equal(one.told_by, 2);
    assert_int_equal(one.told_at, 77);
    assert_int_equal(two.admitted_id, 0);
}

static void a_removed_member_that_is_dialled_hears_it_too(void **state)
{
    (void)state;
    struct side one, two;
    side_init(&one, 1);
    side_init(&two, 2);
    one.gone = 2;
    one.gone_at = 5;

    converse(&one, &two, 2);

    assert_int_equal(two.told_by, 1);
    assert_int_equal(two.told_at, 5);
    assert_int_equal(two.h.state, HANDSHAKE_REFUSED_THERE);
}

static void who_never_was_a_member_is_told_something_else(void **state)
{
    (void)state;
    struct side one, two;
    side_init(&one, 1);
    side_init(&two, 2);
    one.self.id = 9;

    converse(&one, &two, 2);

    assert_int_equal(two.why.code, Q_MISMATCH);
    assert_string_equal(two.why.text, "node 9 is not in the member list of node 2");
    assert_int_equal(one.told_at, 0);
}

static void who_does_not_know_the_secret_does_not_learn_who_was_removed(void **state)
{
    (void)state;
    static const char other[] = "wrong horse battery staple!!";
    struct side one, two;
    side_init(&one, 1);
    side_init(&two, 2);
    two.gone = 1;
    two.gone_at = 77;
    one.self.secret = (const uint8_t *)other;

    converse(&one, &two, 2);

    assert_int_equal(one.h.state, HANDSHAKE_REFUSED_HERE);
    assert_int_equal(one.told_at, 0);
    assert_null(strstr(two.why.text, "removed"));
}

/* REMOVED with INDEX and MAC instead of what SENDER would say after the first N messages. */
static void forge(struct side *to, struct side *from, unsigned after, uint64_t index, uint8_t filler)
{
    uint8_t body[8 + HANDSHAKE_MAC_BYTES], frame[FRAME_HEADER_BYTES + sizeof body];
    struct buf in, out;

    memset(body, filler, sizeof body);
    put_le64(body, index);
    frame_write(frame, HANDSHAKE_REMOVED, FRAME_CONTROL, body, sizeof body);
    buf_init(&in, 2000);
    buf_init(&out, 2000);
    side_begin(to, &rng, HANDSHAKE_DIALLER, 2);
    side_begin(from, &rng, HANDSHAKE_ACCEPTOR, 0);
    handshake_start(&to->h, &in);
    if (after > 0) {
        assert_int_equal(side_deliver(from, &in, &out), 0);
        assert_int_equal(side_deliver(to, &out, &in), 0);
    }
    buf_clear(&in);
    buf_put_bytes(&in, frame, sizeof frame);
    assert_int_not_equal(side_deliver(to, &in, &out), 0);
    buf_close(&in);
    buf_close(&out);
}

static void nobody_is_believed_that_a_node_was_removed_without_a_proof(void **state)
{
    (void)state;
    struct side one, two;
    side_init(&one, 1);
    side_init(&two, 2);

    forge(&one, &two, 0, 77, 0); /* before the acceptor has said who it is */
    assert_int_equal(one.why.code, Q_CORRUPT);
    forge(&one, &two, 1, 77, 0); /* after its proof: somebody else writes now */
    assert_int_equal(one.why.code, Q_DENIED);
    assert_non_null(strstr(one.why.text, "could not prove it"));
    forge(&one, &two, 1, 77, 0xff);
    assert_int_equal(one.told_at, 0);

    converse(&one, &two, 2);
    assert_int_equal(one.h.state, HANDSHAKE_DONE);
}

/* The MAC of a real REMOVED covers its index. */
static void the_index_of_a_removal_cannot_be_changed_on_its_way(void **state)
{
    (void)state;
    struct side one, two;
    struct buf in, out;
    side_init(&one, 1);
    side_init(&two, 2);
    two.gone = 1;
    two.gone_at = 77;
    side_begin(&one, &rng, HANDSHAKE_DIALLER, 2);
    side_begin(&two, &rng, HANDSHAKE_ACCEPTOR, 0);
    buf_init(&in, 2000);
    buf_init(&out, 2000);

    handshake_start(&one.h, &in);
    assert_int_equal(side_deliver(&two, &in, &out), 0);
    assert_int_equal(side_deliver(&one, &out, &in), 0);
    assert_int_equal(side_deliver(&two, &in, &out), Q_DENIED);
    uint8_t body[8 + HANDSHAKE_MAC_BYTES];
    assert_int_equal(out.len, FRAME_HEADER_BYTES + sizeof body);
    memcpy(body, out.data + FRAME_HEADER_BYTES, sizeof body);
    put_le64(body, 78);
    frame_write(out.data, HANDSHAKE_REMOVED, FRAME_CONTROL, body, sizeof body);
    assert_int_equal(side_deliver(&one, &out, &in), Q_DENIED);

    assert_int_equal(one.told_at, 0);
    buf_close(&in);
    buf_close(&out);
}

static int close_said(void **state)
{
    (void)state;
    buf_close(&said);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_and_a_member_that_have_one_secret_believe_each_other),
        cmocka_unit_test(a_guest_is_told_nothing_of_the_cluster),
        cmocka_unit_test(a_guest_with_another_secret_is_not_heard),
        cmocka_unit_test(a_guest_that_cannot_prove_anything_is_not_let_in),
        cmocka_unit_test(who_is_no_guest_is_not_made_one),
        cmocka_unit_test(a_removed_member_hears_that_it_was_and_when),
        cmocka_unit_test(a_removed_member_that_is_dialled_hears_it_too),
        cmocka_unit_test(who_never_was_a_member_is_told_something_else),
        cmocka_unit_test(who_does_not_know_the_secret_does_not_learn_who_was_removed),
        cmocka_unit_test(nobody_is_believed_that_a_node_was_removed_without_a_proof),
        cmocka_unit_test(the_index_of_a_removal_cannot_be_changed_on_its_way),
    };
    rng_init(&rng, 11);
    return cmocka_run_group_tests(tests, NULL, close_said);
}
