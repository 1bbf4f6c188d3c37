/* A node without a cluster asks a member to be let in. Station 1 is the member, the machine of station 3 the
 * one that asks. */
#include "cluster/inbound.h"
#include "cluster/join.h"
#include "cluster/session.h"
#include "tests/unit/cluster/intruder.h"

static const char SECRET[] = "correct horse battery staple";

struct asking {
    struct env *env;
    struct join *join;
    unsigned done, closed;
    struct join_answer answer;
    struct error failed;  /* Q_OK: it is a member */
    uint64_t deadline_ms; /* from now; 0: none */
    const char *secret;
};

static struct station s[STATIONS + 1];
static struct asking a[INBOUND_GUESTS_MAX + 2];

static void on_done(void *ctx, const struct join_answer *answer, const struct error *failed)
{
    struct asking *asking = ctx;
    asking->done++;
    asking->failed = failed != NULL ? *failed : (struct error){.code = Q_OK};
    asking->answer = *answer;
    join_free(asking->join);
    asking->join = NULL;
}

static void on_closed(void *ctx)
{
    struct asking *asking = ctx;
    asking->closed++;
    asking->join = NULL;
}

static const struct join_ask question = {.id = 4,
                                         .incarnation = 0x1234567890,
                                         .replaces = 2,
                                         .address = "n3:9000",
                                         .api_address = "http://n3:4001",
                                         .cluster_name = "orders \xc3\xa9",
                                         .semantics = "foreign-keys=on"};

static int ask(struct asking *asking, const char *const *addresses, unsigned count, struct error *e)
{
    struct join_config config = {.addresses = addresses,
                                 .count = count,
                                 .ask = &question,
                                 .deadline_ms = UINT64_MAX,
                                 .done = on_done,
                                 .ctx = asking};

    asking->env = config.env =
        sim_node_env(s[3].node) != NULL ? sim_node_env(s[3].node) : sim_node_boot(s[3].node);
    config.secret = (const uint8_t *)(asking->secret != NULL ? asking->secret : SECRET);
    config.secret_len = sizeof SECRET - 1;
    if (asking->deadline_ms != 0) {
        config.deadline_ms = env_now_ms(asking->env) + asking->deadline_ms;
    }
    return join_new(&config, &asking->join, e);
}

static void ask_one(struct asking *asking)
{
    static const char *const one[] = {"n1:9000"};
    assert_int_equal(ask(asking, one, 1, NULL), 0);
}

static struct sim *begin(uint64_t seed)
{
    struct sim *sim = stations_new(s, seed);
    memset(a, 0, sizeof a);
    station_start(&s[1]);
    return sim;
}

static void end(struct sim *sim)
{
    if (sim_node_env(s[3].node) != NULL) {
        sim_node_kill(s[3].node);
    }
    for (unsigned i = 0; i < sizeof a / sizeof a[0]; i++) {
        join_free(a[i].join);
    }
    stations_free(sim, s);
}

static struct join_answer two_members(void)
{
    return (struct join_answer){
        .id = 4,
        .cluster_id = {0xc1, 0xc2},
        .cluster_name = "orders",
        .count = 2,
        .members = {
            {.id = 1, .incarnation = 101, .address = "n1:9000", .state = MEMBER_AUTO},
            {.id = 4, .incarnation = 7, .address = "n3:9000", .state = MEMBER_STANDBY, .changed = 55}}};
}

static void a_node_is_let_in_and_told_who_the_others_are(void **state)
{
    (void)state;
    struct sim *sim = begin(1);
    s[1].answer = two_members();

    ask_one(&a[0]);
    RUN_UNTIL(sim, a[0].done == 1);

    assert_int_equal(a[0].failed.code, Q_OK);
    assert_int_equal(a[0].answer.id, 4);
    assert_int_equal(a[0].answer.cluster_id[1], 0xc2);
    assert_string_equal(a[0].answer.cluster_name, "orders");
    assert_int_equal(a[0].answer.count, 2);
    assert_string_equal(a[0].answer.members[1].address, "n3:9000");
    assert_int_equal(a[0].answer.members[1].state, MEMBER_STANDBY);
    assert_int_equal(a[0].answer.members[1].changed, 55);
    assert_int_equal(a[0].answer.members[1].incarnation, 7);
    assert_memory_equal(&s[1].ask, &question, sizeof question);
    run_for(sim, 2 * SECOND);
    assert_int_equal(s[1].asked, 1);
    assert_int_equal(s[1].n_heard, 0);
    assert_int_equal(a[0].done, 1);
    end(sim);
}

static void an_answer_may_come_later(void **state)
{
    (void)state;
    struct sim *sim = begin(2);

    ask_one(&a[0]);
    RUN_UNTIL(sim, s[1].asked == 1);
    run_for(sim, 8 * SECOND); /* the leader had to be found */
    s[1].answer = two_members();
    peers_answer_guest(s[1].peers, s[1].guest, &s[1].answer);
    RUN_UNTIL(sim, a[0].done == 1);

    assert_int_equal(a[0].failed.code, Q_OK);
    assert_int_equal(s[1].asked, 1);
    end(sim);
}

static void who_gets_no_answer_asks_again(void **state)
{
    (void)state;
    struct sim *sim = begin(3);

    ask_one(&a[0]);
    RUN_UNTIL(sim, s[1].asked == 1);
    uint64_t first = s[1].guest;
    s[1].answer = two_members();
    RUN_UNTIL(sim, a[0].done == 1);

    assert_int_equal(s[1].asked, 2);
    assert_int_equal(a[0].failed.code, Q_OK);
    peers_answer_guest(s[1].peers, first, &s[1].answer); /* it is gone: that does not matter */
    run_for(sim, SECOND);
    end(sim);
}

static void a_refusal_that_is_final_ends_it_with_the_leader_s_own_words(void **state)
{
    (void)state;
    struct sim *sim = begin(4);
    s[1].answer.error = (struct error){.code = Q_CONFLICT, .text = "id 4 was used before"};

    ask_one(&a[0]);
    RUN_UNTIL(sim, a[0].done == 1);

    assert_int_equal(a[0].failed.code, Q_CONFLICT);
    assert_string_equal(a[0].failed.text, "id 4 was used before");
    assert_int_equal(s[1].asked, 1);
    end(sim);
}

static void who_is_told_to_wait_shows_why_and_asks_again(void **state)
{
    (void)state;
    struct sim *sim = begin(5);
    s[1].answer.error = (struct error){.code = Q_NO_LEADER, .text = "no leader is known"};

    ask_one(&a[0]);
    assert_string_equal(join_trouble(a[0].join), "");
    RUN_UNTIL(sim, s[1].asked == 3);
    assert_string_equal(join_trouble(a[0].join), "no leader is known");
    s[1].answer = two_members();
    RUN_UNTIL(sim, a[0].done == 1);

    assert_int_equal(a[0].failed.code, Q_OK);
    end(sim);
}

static void addresses_are_tried_in_turn(void **state)
{
    (void)state;
    struct sim *sim = begin(6);
    static const char *const three[] = {"nowhere:1", "n2:9000", "n1:9000"};
    s[1].answer = two_members();

    assert_int_equal(ask(&a[0], three, 3, NULL), 0);
    RUN_UNTIL(sim, join_trouble(a[0].join)[0] != '\0');
    assert_non_null(strstr(join_trouble(a[0].join), "nowhere:1"));
    RUN_UNTIL(sim, a[0].done == 1);

    assert_int_equal(a[0].failed.code, Q_OK);
    end(sim);
}

static void a_wrong_secret_ends_it_and_nobody_is_asked(void **state)
{
    (void)state;
    struct sim *sim = begin(7);
    a[0].secret = "wrong horse battery staple!!";

    ask_one(&a[0]);
    RUN_UNTIL(sim, a[0].done == 1);

    assert_int_equal(a[0].failed.code, Q_DENIED);
    assert_non_null(strstr(a[0].failed.text, "do not have the same secret"));
    assert_int_equal(s[1].asked, 0);
    end(sim);
}

static void at_the_deadline_it_says_what_the_trouble_was(void **state)
{
    (void)state;
    struct sim *sim = begin(8);
    s[1].answer.error = (struct error){.code = Q_BUSY, .text = "a voter does not answer"};
    a[0].deadline_ms = 5000;
    a[1].deadline_ms = 3000;
    static const char *const nowhere[] = {"nowhere:1"};
    uint64_t from = sim_now_us(sim);

    ask_one(&a[0]);
    assert_int_equal(ask(&a[1], nowhere, 1, NULL), 0);
    RUN_UNTIL(sim, a[0].done == 1);

    assert_in_range(sim_now_us(sim) - from, 5 * SECOND - 1000, 6 * SECOND);
    assert_int_equal(a[0].failed.code, Q_TIMEOUT);
    assert_string_equal(a[0].failed.text, "no answer in time: a voter does not answer");
    assert_int_equal(a[1].done, 1);
    assert_int_equal(a[1].failed.code, Q_TIMEOUT);
    end(sim);
}

static void one_that_waits_for_an_answer_at_the_deadline_does_not_wait_longer(void **state)
{
    (void)state;
    struct sim *sim = begin(9);
    a[0].deadline_ms = 2000;
    uint64_t from = sim_now_us(sim);

    ask_one(&a[0]);
    RUN_UNTIL(sim, a[0].done == 1);

    assert_int_equal(s[1].asked, 1);
    assert_in_range(sim_now_us(sim) - from, 2 * SECOND - 1000, 3 * SECOND);
    assert_int_equal(a[0].failed.code, Q_TIMEOUT);
    end(sim);
}

static void it_can_be_given_up_at_any_moment(void **state)
{
    (void)state;
    for (unsigned events = 0; events < 40; events++) {
        struct sim *sim = begin(10);
        ask_one(&a[0]);
        for (unsigned i = 0; i < events; i++) {
            sim_step(sim);
        }
        join_close(a[0].join, on_closed);
        RUN_UNTIL(sim, a[0].closed == 1);
        run_for(sim, SECOND);
        assert_int_equal(a[0].done, 0);
        end(sim);
    }
}

static void questions_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    struct sim *sim = begin(11);
    static const char *const blank[] = {"n1 :9000"};
    static const char *many[JOIN_ADDRESSES_MAX + 1];
    struct error e;
    for (unsigned i = 0; i <= JOIN_ADDRESSES_MAX; i++) {
        many[i] = "n1:9000";
    }

    assert_int_equal(ask(&a[0], blank, 1, &e), Q_INVALID);
    assert_int_equal(ask(&a[0], many, 0, &e), Q_INVALID);
    assert_int_equal(ask(&a[0], many, JOIN_ADDRESSES_MAX + 1, &e), Q_INVALID);
    end(sim);
}

static void only_so_many_are_admitted_at_once_and_the_next_waits(void **state)
{
    (void)state;
    struct sim *sim = begin(12);

    for (unsigned i = 0; i < INBOUND_GUESTS_MAX; i++) {
        ask_one(&a[i]);
    }
    RUN_UNTIL(sim, s[1].asked == INBOUND_GUESTS_MAX);
    ask_one(&a[INBOUND_GUESTS_MAX]);
    RUN_UNTIL(sim, join_trouble(a[INBOUND_GUESTS_MAX].join)[0] != '\0');
    assert_string_equal(join_trouble(a[INBOUND_GUESTS_MAX].join),
                        "8 nodes are being admitted already: try again");
    assert_int_equal(s[1].asked, INBOUND_GUESTS_MAX);

    s[1].answer = two_members();
    peers_answer_guest(s[1].peers, s[1].guest, &s[1].answer);
    RUN_UNTIL(sim, a[INBOUND_GUESTS_MAX].done == 1);
    assert_int_equal(a[INBOUND_GUESTS_MAX].failed.code, Q_OK);
    end(sim);
}

static void guests_and_members_do_not_disturb_each_other(void **state)
{
    (void)state;
    struct sim *sim = begin(13);
    station_start(&s[2]);
    RUN_UNTIL(sim, peers_connected(s[1].peers, 2) && peers_connected(s[2].peers, 1));
    ask_one(&a[0]);
    RUN_UNTIL(sim, s[1].asked == 1);

    assert_true(station_send(&s[2], 1, PEERS_URGENT, 5, 1000));
    RUN_UNTIL(sim, s[1].n_heard == 1);
    station_stop(&s[1]); /* with a guest inside */
    assert_int_equal(a[0].done, 0);
    end(sim);
}

/* A guest that knows the secret, and then says what it likes. */
static void enter(struct intruder *g, struct sim *sim)
{
    struct env *env = sim_node_env(s[3].node) != NULL ? sim_node_env(s[3].node) : sim_node_boot(s[3].node);

    intruder_init(g, sim, env, 0);
    g->self.guest = true;
    g->self.incarnation = 0;
    g->shakes = true;
    memset(g->self.cluster_id, 0, sizeof g->self.cluster_id);
    intruder_dial(g, "n1:9000");
    RUN_UNTIL(sim, g->handshake.state == HANDSHAKE_DONE);
    run_for(sim, SECOND / 10);
}

static void say_join(struct intruder *g)
{
    struct buf body;
    buf_init(&body, JOIN_ASK_BYTES_MAX);
    join_ask_put(&body, &question);
    intruder_send_frame(g, SESSION_JOIN, FRAME_CONTROL, body.data, body.len);
    buf_close(&body);
}

static void leave(struct intruder *g, struct sim *sim)
{
    intruder_close(g);
    run_for(sim, SECOND / 10);
    intruder_free(g);
}

static void nothing_but_one_question_is_heard_from_a_guest(void **state)
{
    (void)state;
    struct sim *sim = begin(14);
    struct intruder g;

    enter(&g, sim);
    intruder_send_frame(&g, 1, 0, "raft", 4); /* a member's frame */
    RUN_UNTIL(sim, g.closed == 1);
    leave(&g, sim);
    enter(&g, sim);
    intruder_send_frame(&g, SESSION_PING, FRAME_CONTROL, NULL, 0);
    RUN_UNTIL(sim, g.closed == 1);
    leave(&g, sim);
    enter(&g, sim);
    intruder_send_frame(&g, SESSION_JOIN, FRAME_CONTROL, "\1what?", 6);
    RUN_UNTIL(sim, g.closed == 1);
    leave(&g, sim);
    assert_int_equal(s[1].asked, 0);
    enter(&g, sim);
    say_join(&g);
    RUN_UNTIL(sim, s[1].asked == 1);
    say_join(&g);
    RUN_UNTIL(sim, g.closed == 1);
    leave(&g, sim);

    assert_int_equal(s[1].asked, 1);
    assert_int_equal(s[1].n_heard, 0);
    assert_int_equal(station_metric(&s[1], "quorate_peers_bad_frames_total", NULL), 4);
    assert_int_equal(station_metric(&s[1], "quorate_peers_guests_total", NULL), 4);
    end(sim);
}

static void a_guest_that_says_little_by_little_does_not_stay_longer(void **state)
{
    (void)state;
    struct sim *sim = begin(15);
    struct intruder g;
    uint64_t from;

    enter(&g, sim);
    from = sim_now_us(sim);
    for (unsigned i = 0; i < 12 && g.closed == 0; i++) {
        uint8_t byte = i == 0 ? FRAME_MAGIC & 255 : i == 1 ? FRAME_MAGIC >> 8 : 0;
        intruder_send(&g, &byte, 1);
        run_for(sim, SECOND);
    }
    assert_int_equal(g.closed, 1);
    assert_in_range(sim_now_us(sim) - from, 9 * SECOND, 11 * SECOND);
    leave(&g, sim);
    end(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_is_let_in_and_told_who_the_others_are),
        cmocka_unit_test(an_answer_may_come_later),
        cmocka_unit_test(who_gets_no_answer_asks_again),
        cmocka_unit_test(a_refusal_that_is_final_ends_it_with_the_leader_s_own_words),
        cmocka_unit_test(who_is_told_to_wait_shows_why_and_asks_again),
        cmocka_unit_test(addresses_are_tried_in_turn),
        cmocka_unit_test(a_wrong_secret_ends_it_and_nobody_is_asked),
        cmocka_unit_test(at_the_deadline_it_says_what_the_trouble_was),
        cmocka_unit_test(one_that_waits_for_an_answer_at_the_deadline_does_not_wait_longer),
        cmocka_unit_test(it_can_be_given_up_at_any_moment),
        cmocka_unit_test(questions_that_make_no_sense_are_refused),
        cmocka_unit_test(only_so_many_are_admitted_at_once_and_the_next_waits),
        cmocka_unit_test(guests_and_members_do_not_disturb_each_other),
        cmocka_unit_test(nothing_but_one_question_is_heard_from_a_guest),
        cmocka_unit_test(a_guest_that_says_little_by_little_does_not_stay_longer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
