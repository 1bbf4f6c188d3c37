#include "cluster/session.h"
#include "tests/unit/cluster/intruder.h"

enum { INTRUDERS = 400 };

static const char BAD_FRAMES[] = "quorate_peers_bad_frames_total";
static struct station s[STATIONS + 1];
static struct intruder x[INTRUDERS];
static struct sim *sim;
static struct env *lair; /* where the intruders are */

/* Station 1 runs; COUNT intruders, who call themselves node 2, have not dialled yet. */
static void given(uint64_t seed, unsigned count)
{
    sim = stations_new(s, seed);
    lair = sim_node_boot(sim_node_new(sim, "lair"));
    station_start(&s[1]);
    run_for(sim, SECOND / 10);
    for (unsigned i = 0; i < count; i++) {
        intruder_init(&x[i], sim, lair, 2);
    }
}

static void done(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        intruder_free(&x[i]);
    }
    station_stop(&s[1]);
    stations_free(sim, s);
}

static void let_in(struct intruder *i)
{
    i->shakes = true;
    intruder_dial(i, "n1:9000");
    RUN_UNTIL(sim, intruder_is_in(i));
    run_for(sim, SECOND / 100);
}

static void dial(struct intruder *i)
{
    intruder_dial(i, "n1:9000");
    RUN_UNTIL(sim, i->opened == 1);
}

static void expect_shut_out(struct intruder *i)
{
    RUN_UNTIL(sim, i->closed == 1);
    assert_int_equal(s[1].n_heard, 0);
    assert_int_equal(s[1].admitted[2], 0);
}

static void another_protocol_is_shut_out_at_its_first_bytes(void **state)
{
    (void)state;
    static const char get[] = "GET / HTTP/1.1\r\nHost: n1:9000\r\n\r\n";
    given(1, 1);
    dial(&x[0]);
    uint64_t start = sim_now_us(sim);

    intruder_send(&x[0], get, sizeof get - 1);

    expect_shut_out(&x[0]);
    assert_in_range(x[0].closed_us - start, 0, SECOND / 10);
    assert_int_equal(x[0].n_frames, 0);
    assert_non_null(strstr(s[1].refused, "lair:"));
    assert_non_null(strstr(s[1].refused, "what came is not a frame: it begins with 0x4745\n"));
    assert_int_equal(station_metric(&s[1], BAD_FRAMES, NULL), 1);
    done(1);
}

static void garbage_of_any_length_is_shut_out(void **state)
{
    (void)state;
    uint8_t bytes[3000];
    given(2, 300);
    for (unsigned i = 0; i < 300; i++) {
        size_t n = sim_random(sim, 1, sizeof bytes);
        env_random(lair, bytes, sizeof bytes);
        dial(&x[i]);
        intruder_send(&x[i], bytes, n);
        if (n < FRAME_HEADER_BYTES) {
            run_for(sim, 6 * SECOND);
        }
        expect_shut_out(&x[i]);
    }
    done(300);
}

static void who_says_nothing_is_shut_out_after_the_deadline(void **state)
{
    (void)state;
    given(3, 1);
    uint64_t start = sim_now_us(sim);
    dial(&x[0]);

    expect_shut_out(&x[0]);

    assert_in_range(x[0].closed_us - start, SESSION_SHAKE_MS * 1000, SESSION_SHAKE_MS * 1000 + SECOND / 10);
    assert_non_null(strstr(s[1].refused, "the handshake was not done within 5000 ms\n"));
    done(1);
}

static void a_trickle_of_bytes_does_not_move_the_deadline(void **state)
{
    (void)state;
    uint8_t hello[FRAME_HEADER_BYTES + 300] = {0};
    given(4, 1);
    frame_write(hello, HANDSHAKE_HELLO, FRAME_CONTROL, hello + FRAME_HEADER_BYTES, 300);
    uint64_t start = sim_now_us(sim);
    dial(&x[0]);

    for (size_t i = 0; i < 100 && x[0].closed == 0; i++) {
        intruder_send(&x[0], hello + i, 1);
        run_for(sim, SECOND / 10);
    }

    expect_shut_out(&x[0]);
    assert_in_range(x[0].closed_us - start, SESSION_SHAKE_MS * 1000, SESSION_SHAKE_MS * 1000 + SECOND / 10);
    done(1);
}

static void a_handshake_cut_anywhere_leaves_nothing(void **state)
{
    (void)state;
    struct buf hello;
    given(5, INTRUDERS);
    for (unsigned i = 0;; i++) {
        assert_in_range(i, 0, INTRUDERS - 1);
        dial(&x[i]);
        buf_init(&hello, 2000);
        handshake_start(&x[i].handshake, &hello);
        bool whole = i + 1 == hello.len;
        intruder_send(&x[i], hello.data, i + 1);
        run_for(sim, SECOND / 100);
        intruder_close(&x[i]);
        buf_close(&hello);
        expect_shut_out(&x[i]);
        if (whole) {
            assert_int_equal(x[i].n_frames, 1); /* it was answered */
            break;
        }
        assert_int_equal(x[i].n_frames, 0);
    }
    assert_non_null(strstr(s[1].refused, "the connection ended before the handshake did"));
    done(INTRUDERS);
}

static void too_many_bytes_before_the_proof_are_not_read(void **state)
{
    (void)state;
    uint8_t body[HANDSHAKE_READ_MAX + 1] = {0};
    given(6, 2);

    dial(&x[0]);
    intruder_send_frame(&x[0], HANDSHAKE_HELLO, FRAME_CONTROL, body, sizeof body - 1);
    expect_shut_out(&x[0]);
    assert_non_null(strstr(s[1].refused, "more than 1536 bytes came before the handshake was done\n"));

    uint8_t header[FRAME_HEADER_BYTES + sizeof body];
    frame_write(header, HANDSHAKE_HELLO, FRAME_CONTROL, body, sizeof body);
    dial(&x[1]);
    intruder_send(&x[1], header, FRAME_HEADER_BYTES);
    expect_shut_out(&x[1]);
    assert_non_null(strstr(s[1].refused, "a frame of 1537 bytes is larger than the limit of 1536\n"));
    done(2);
}

static void frames_before_the_handshake_are_not_delivered(void **state)
{
    (void)state;
    given(7, 2);

    dial(&x[0]);
    intruder_send_frame(&x[0], 1, 0, "vote for me", 11);
    expect_shut_out(&x[0]);

    x[1].self.secret_len--; /* frames behind a wrong proof */
    x[1].shakes = true;
    x[1].closes_refused = false;
    intruder_dial(&x[1], "n1:9000");
    RUN_UNTIL(sim, x[1].refused);
    intruder_send_frame(&x[1], 1, 0, "vote for me", 11);
    expect_shut_out(&x[1]);
    done(2);
}

static void who_stays_after_a_refusal_is_shut_out_soon(void **state)
{
    (void)state;
    given(8, 2);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t start = sim_now_us(sim);
        x[i].self.cluster_id[0] = 0xee;
        x[i].shakes = true;
        x[i].closes_refused = false;
        intruder_dial(&x[i], "n1:9000");
        RUN_UNTIL(sim, x[i].refused);
        assert_int_equal(x[i].handshake.state, HANDSHAKE_REFUSED_THERE);
        if (i == 1) { /* and talks on */
            uint8_t bytes[HANDSHAKE_READ_MAX] = {0};
            intruder_send(&x[i], bytes, sizeof bytes);
        }
        expect_shut_out(&x[i]);
        assert_in_range(x[i].closed_us - start, i == 0 ? SESSION_LINGER_MS * 1000 : 0,
                        i == 0 ? 1100 * 1000 : SECOND / 10);
    }
    done(2);
}

static void a_flood_of_silent_connections_does_not_keep_a_member_out(void **state)
{
    (void)state;
    given(9, INTRUDERS);
    for (unsigned i = 0; i < INTRUDERS; i++) {
        intruder_dial(&x[i], "n1:9000");
    }
    run_for(sim, SECOND / 10);
    assert_int_equal(station_metric(&s[1], "quorate_peers_half_open_dropped_total", NULL), INTRUDERS - 128);
    unsigned shut_out = 0;
    for (unsigned i = 0; i < INTRUDERS; i++) {
        shut_out += x[i].closed;
    }
    assert_int_equal(shut_out, INTRUDERS - 128);

    station_start(&s[2]);
    RUN_UNTIL(sim, peers_connected(s[2].peers, 1) && peers_connected(s[1].peers, 2));

    run_for(sim, 6 * SECOND);
    for (unsigned i = 0; i < INTRUDERS; i++) {
        assert_int_equal(x[i].closed, 1);
    }
    assert_in_range(s[1].refusals, 2, 10);
    done(INTRUDERS);
}

static void every_flipped_bit_closes_the_connection_and_is_not_delivered(void **state)
{
    (void)state;
    uint8_t frame[FRAME_HEADER_BYTES + 20], good[FRAME_HEADER_BYTES + 20];
    unsigned n = sizeof frame * 8;
    given(10, n);
    frame_write(good, 5, 0, "twenty bytes of body", 20);
    assert_in_range(n, 0, INTRUDERS);

    for (unsigned bit = 0; bit < n; bit++) {
        size_t heard = s[1].n_heard;
        memcpy(frame, good, sizeof frame);
        frame[bit / 8] = (uint8_t)(frame[bit / 8] ^ (1u << (bit % 8)));
        let_in(&x[bit]);
        intruder_send(&x[bit], good, sizeof good);
        intruder_send(&x[bit], frame, sizeof frame);
        intruder_send(&x[bit], good, sizeof good);

        RUN_UNTIL(sim, x[bit].closed == 1);

        assert_int_equal(s[1].n_heard, heard + 1); /* what came before it */
        assert_int_equal(station_metric(&s[1], BAD_FRAMES, NULL), bit + 1);
    }
    done(n);
}

static void a_frame_over_the_limit_closes_the_connection_at_its_header(void **state)
{
    (void)state;
    uint8_t *frame = calloc(1, FRAME_HEADER_BYTES + PEERS_FRAME_MAX + 1);
    given(11, 1);
    frame_write(frame, 1, 0, frame + FRAME_HEADER_BYTES, PEERS_FRAME_MAX + 1);
    let_in(&x[0]);

    intruder_send(&x[0], frame, FRAME_HEADER_BYTES);

    RUN_UNTIL(sim, x[0].closed == 1);
    assert_int_equal(s[1].n_heard, 0);
    assert_int_equal(station_metric(&s[1], BAD_FRAMES, NULL), 1);
    free(frame);
    done(1);
}

static void a_control_frame_out_of_place_closes_the_connection(void **state)
{
    (void)state;
    given(12, 20);
    for (uint8_t type = 0; type < 10; type++) {
        struct intruder *empty = &x[2 * type], *full = empty + 1;

        let_in(empty);
        intruder_send_frame(empty, type, FRAME_CONTROL, NULL, 0);
        run_for(sim, SECOND / 10);
        assert_int_equal(empty->closed, type != SESSION_PING);
        intruder_close(empty);

        let_in(full);
        intruder_send_frame(full, type, FRAME_CONTROL, "x", 1);
        run_for(sim, SECOND / 10);
        assert_int_equal(full->closed, 1);
    }
    assert_int_equal(s[1].n_heard, 0);
    done(20);
}

static void no_handshake_begins_like_another(void **state)
{
    (void)state;
    given(19, 2);
    let_in(&x[0]);
    let_in(&x[1]);

    const struct handshake *first = &x[0].handshake, *second = &x[1].handshake;
    size_t n = first->hello_len[HANDSHAKE_ACCEPTOR];
    assert_int_equal(second->hello_len[HANDSHAKE_ACCEPTOR], n);
    assert_memory_not_equal(first->hello[HANDSHAKE_ACCEPTOR], second->hello[HANDSHAKE_ACCEPTOR], n);
    done(2);
}

static void a_ping_is_answered(void **state)
{
    (void)state;
    given(13, 1);
    let_in(&x[0]);

    intruder_send_frame(&x[0], SESSION_PING, FRAME_CONTROL, NULL, 0);
    RUN_UNTIL(sim, x[0].n_frames == 1);

    assert_int_equal(x[0].frames[0].type, SESSION_PONG);
    assert_int_equal(x[0].frames[0].flags, FRAME_CONTROL);
    done(1);
}

static void pings_by_the_thousand_do_not_pile_up_answers(void **state)
{
    (void)state;
    enum { PINGS = 10000 };
    uint8_t *bytes = malloc(PINGS * FRAME_HEADER_BYTES);
    given(18, 1);
    for (size_t i = 0; i < PINGS; i++) {
        frame_write(bytes + i * FRAME_HEADER_BYTES, SESSION_PING, FRAME_CONTROL, NULL, 0);
    }
    let_in(&x[0]);

    intruder_send(&x[0], bytes, PINGS * FRAME_HEADER_BYTES);
    run_for(sim, SECOND);

    assert_in_range(x[0].n_frames, 1, INTRUDER_FRAMES_MAX);
    free(bytes);
    done(1);
}

static void a_frame_that_takes_long_to_come_keeps_the_connection_alive(void **state)
{
    (void)state;
    static uint8_t frame[FRAME_HEADER_BYTES + 100];
    given(14, 1);
    frame_write(frame, 1, 0, frame + FRAME_HEADER_BYTES, 100);
    let_in(&x[0]);

    for (size_t i = 0; i < sizeof frame; i += 4) {
        intruder_send(&x[0], frame + i, 4);
        run_for(sim, SECOND / 2);
    }

    assert_int_equal(s[1].n_heard, 1);
    assert_in_range(x[0].n_frames, 10, 20); /* the dialler was told once a second that it gets on */
    assert_int_equal(x[0].closed, 0);
    done(1);
}

static void a_connection_that_falls_silent_is_closed(void **state)
{
    (void)state;
    given(15, 1);
    let_in(&x[0]);
    intruder_send_frame(&x[0], 1, 0, "last words", 10);
    uint64_t start = sim_now_us(sim);

    RUN_UNTIL(sim, x[0].closed == 1);

    assert_in_range(x[0].closed_us - start, SESSION_ACCEPTOR_IDLE_MS * 1000,
                    SESSION_ACCEPTOR_IDLE_MS * 1000 + SECOND / 10);
    assert_int_equal(s[1].n_heard, 1);
    done(1);
}

static void a_newer_connection_replaces_the_member_s_older_one(void **state)
{
    (void)state;
    given(16, 3);
    x[2].self.id = 3;
    let_in(&x[2]);
    let_in(&x[0]);

    let_in(&x[1]);
    RUN_UNTIL(sim, x[0].closed == 1);

    intruder_send_frame(&x[1], 1, 0, "from 2", 6);
    intruder_send_frame(&x[2], 1, 0, "from 3", 6);
    RUN_UNTIL(sim, s[1].n_heard == 2);
    assert_int_equal(x[1].closed + x[2].closed, 0);
    done(3);
}

static void who_does_not_authenticate_does_not_replace_anything(void **state)
{
    (void)state;
    given(17, 2);
    let_in(&x[0]);
    x[1].self.secret_len--;
    x[1].shakes = true;
    intruder_dial(&x[1], "n1:9000");
    RUN_UNTIL(sim, x[1].closed == 1);

    intruder_send_frame(&x[0], 1, 0, "still here", 10);

    RUN_UNTIL(sim, s[1].n_heard == 1);
    assert_int_equal(x[0].closed, 0);
    done(2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_protocol_is_shut_out_at_its_first_bytes),
        cmocka_unit_test(garbage_of_any_length_is_shut_out),
        cmocka_unit_test(who_says_nothing_is_shut_out_after_the_deadline),
        cmocka_unit_test(a_trickle_of_bytes_does_not_move_the_deadline),
        cmocka_unit_test(a_handshake_cut_anywhere_leaves_nothing),
        cmocka_unit_test(too_many_bytes_before_the_proof_are_not_read),
        cmocka_unit_test(frames_before_the_handshake_are_not_delivered),
        cmocka_unit_test(who_stays_after_a_refusal_is_shut_out_soon),
        cmocka_unit_test(a_flood_of_silent_connections_does_not_keep_a_member_out),
        cmocka_unit_test(every_flipped_bit_closes_the_connection_and_is_not_delivered),
        cmocka_unit_test(a_frame_over_the_limit_closes_the_connection_at_its_header),
        cmocka_unit_test(a_control_frame_out_of_place_closes_the_connection),
        cmocka_unit_test(no_handshake_begins_like_another),
        cmocka_unit_test(a_ping_is_answered),
        cmocka_unit_test(pings_by_the_thousand_do_not_pile_up_answers),
        cmocka_unit_test(a_frame_that_takes_long_to_come_keeps_the_connection_alive),
        cmocka_unit_test(a_connection_that_falls_silent_is_closed),
        cmocka_unit_test(a_newer_connection_replaces_the_member_s_older_one),
        cmocka_unit_test(who_does_not_authenticate_does_not_replace_anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
