/* What a node does when somebody else listens at a member's address. */
#include "cluster/session.h"
#include "tests/unit/cluster/intruder.h"

enum { TRAPS = 20 };

static const char BAD_FRAMES[] = "quorate_peers_bad_frames_total";
static struct station s[STATIONS + 1];
static struct intruder x[TRAPS]; /* one for each connection */
static struct sim *sim;
static struct env *lair;
static unsigned accepted;

static void on_accepted(void *owner, struct env_conn *conn)
{
    (void)owner;
    assert_in_range(accepted, 0, TRAPS - 1);
    intruder_accept(&x[accepted++], conn);
}

/* Intruders wait at node 2's address for station 1 to dial. */
static struct env_listener *given_a_trap(uint64_t seed, bool shakes)
{
    struct env_listener *l;
    struct error e;
    accepted = 0;
    sim = stations_new(s, seed);
    lair = sim_node_boot(sim_node_new(sim, "lair"));
    for (unsigned i = 0; i < TRAPS; i++) {
        intruder_init(&x[i], sim, lair, 2);
        x[i].shakes = shakes;
    }
    assert_int_equal(env_listen(lair, "n2:9000", on_accepted, NULL, &l, &e), 0);
    station_start(&s[1]);
    return l;
}

static void done(struct env_listener *l)
{
    env_listener_close(lair, l);
    for (unsigned i = 0; i < TRAPS; i++) {
        intruder_free(&x[i]);
    }
    station_stop(&s[1]);
    stations_free(sim, s);
}

static void a_member_that_does_not_answer_is_dialled_again_after_the_deadline(void **state)
{
    (void)state;
    struct env_listener *l = given_a_trap(30, false);

    run_for(sim, 4900 * 1000);
    assert_int_equal(accepted, 1);
    run_for(sim, 1000 * 1000);

    assert_int_equal(accepted, 2);
    assert_int_equal(x[0].closed, 1);
    assert_non_null(strstr(s[1].refused, "node 2 at n2:9000: the handshake was not done within 5000 ms\n"));
    done(l);
}

static void a_member_that_does_not_answer_pings_is_down_after_four_seconds(void **state)
{
    (void)state;
    struct env_listener *l = given_a_trap(31, true);
    RUN_UNTIL(sim, s[1].up[2] == 1);
    uint64_t start = sim_now_us(sim);

    RUN_UNTIL(sim, s[1].down[2] == 1);

    assert_in_range(sim_now_us(sim) - start, SESSION_DIALLER_IDLE_MS * 1000,
                    SESSION_DIALLER_IDLE_MS * 1000 + SECOND / 10);
    assert_in_range(x[0].n_frames, 3, 4);
    assert_int_equal(x[0].frames[0].type, SESSION_PING);
    done(l);
}

static void frames_on_a_dialled_connection_close_it_and_are_not_delivered(void **state)
{
    (void)state;
    static uint8_t frame[FRAME_HEADER_BYTES + HANDSHAKE_READ_MAX + 1];
    struct env_listener *l = given_a_trap(32, true);
    RUN_UNTIL(sim, s[1].up[2] == 1);

    intruder_send_frame(&x[0], 1, 0, "vote for me", 11);
    RUN_UNTIL(sim, s[1].up[2] == 2);
    assert_int_equal(s[1].down[2], 1);
    intruder_send_frame(&x[1], SESSION_PONG, FRAME_CONTROL, NULL, 0);
    run_for(sim, SECOND);
    assert_int_equal(s[1].down[2], 1);
    intruder_send_frame(&x[1], SESSION_PING, FRAME_CONTROL, NULL, 0);
    RUN_UNTIL(sim, s[1].up[2] == 3);
    assert_int_equal(s[1].down[2], 2);
    frame_write(frame, SESSION_PONG, FRAME_CONTROL, frame + FRAME_HEADER_BYTES, HANDSHAKE_READ_MAX + 1);
    intruder_send(&x[2], frame, FRAME_HEADER_BYTES);
    RUN_UNTIL(sim, s[1].down[2] == 3);

    assert_int_equal(s[1].n_heard, 0);
    assert_int_equal(station_metric(&s[1], BAD_FRAMES, NULL), 3);
    done(l);
}

static void a_false_member_is_not_told_frames(void **state)
{
    (void)state;
    struct env_listener *l = given_a_trap(33, true);
    for (unsigned i = 0; i < TRAPS; i++) {
        x[i].self.secret_len--;
    }

    for (uint64_t i = 0; i < 100; i++) {
        assert_false(station_send(&s[1], 2, PEERS_URGENT, i, 100));
        run_for(sim, 50 * 1000);
    }

    assert_int_equal(s[1].up[2] + s[1].admitted[2], 0);
    assert_non_null(strstr(s[1].refused, "node 1 could not authenticate node 2"));
    assert_in_range(accepted, 5, 12); /* with growing delays */
    done(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_that_does_not_answer_is_dialled_again_after_the_deadline),
        cmocka_unit_test(a_member_that_does_not_answer_pings_is_down_after_four_seconds),
        cmocka_unit_test(frames_on_a_dialled_connection_close_it_and_are_not_delivered),
        cmocka_unit_test(a_false_member_is_not_told_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
