/* How a leader brings its log to a follower: bounded messages, a bounded window, no waiting for the clock. */
#include "raft_glue/feed.h"
#include "tests/unit/raft_glue/server.h"
#include "tests/unit/test.h"

enum { BACKLOG = 100000, PAYLOAD = 100, MESSAGE_BYTES = 16 * 1024 };

/* What went from the leader to the follower. */
struct traffic {
    unsigned messages, entries, largest_entries;
    size_t largest_bytes, under_way, most_under_way;
    unsigned lose_from, lose_to; /* messages with these numbers do not arrive */
};

/* Two of three voters; the leader has N more entries than the follower. */
static void open_pair(struct server *leader, struct server *follower, unsigned n, const char *payload)
{
    server_init(leader, 1);
    server_init(follower, 2);
    server_bootstrap(leader, 3);
    server_bootstrap(follower, 3);
    for (unsigned i = 0; i < n; i++) {
        memlog_append(&leader->disk, 1, LOG_COMMANDS, payload, (uint32_t)strlen(payload));
    }
    leader->config.message_bytes = MESSAGE_BYTES;
    leader->config.inflight_max = 4096;
    server_start(leader);
    server_start(follower);
}

static void close_pair(struct server *leader, struct server *follower)
{
    server_close(leader);
    server_close(follower);
}

/* Returns whether the letter gets through. */
static bool count(struct traffic *t, const struct letter *letter)
{
    struct raft_message m;
    struct error e;
    size_t bytes = 0;

    if (letter->type != RAFT_APPEND_ENTRIES) {
        return true;
    }
    assert_int_equal(message_decode(letter->bytes, letter->len, 1, "server-1", &m, &e), 0);
    for (unsigned i = 0; i < m.append_entries.n_entries; i++) {
        bytes += m.append_entries.entries[i].buf.len;
    }
    unsigned n = m.append_entries.n_entries;
    t->messages += n > 0;
    t->entries += n;
    t->largest_entries = n > t->largest_entries ? n : t->largest_entries;
    t->largest_bytes = bytes > t->largest_bytes ? bytes : t->largest_bytes;
    t->under_way += bytes;
    t->most_under_way = t->under_way > t->most_under_way ? t->under_way : t->most_under_way;
    message_close(&m, false);
    return n == 0 || t->messages < t->lose_from || t->messages > t->lose_to;
}

/* Delivers all letters of FROM that are for TO; the others are lost. */
static bool deliver(struct server *from, struct server *to, struct traffic *t)
{
    bool any = false;
    struct letter *letter, *all = from->sent;

    from->sent = NULL;
    from->sent_end = &from->sent;
    while ((letter = all) != NULL) {
        all = letter->next;
        if (letter->to == to->config.id && (letter->from != 1 || count(t, letter))) {
            server_hear_letter(to, letter);
            any = true;
        }
        free(letter);
    }
    return any;
}

/* Lets both talk until they are silent. The clock stands still. */
static void talk(struct server *leader, struct server *follower, struct traffic *t)
{
    bool busy = true;

    while (busy) {
        t->under_way = 0;
        busy = deliver(leader, follower, t);
        server_write_all(leader);
        server_write_all(follower);
        busy = deliver(follower, leader, t) || busy;
    }
}

static void elect(struct server *leader, struct server *follower, struct traffic *t)
{
    server_timeout(leader);
    follower->now_ms = leader->now_ms;
    talk(leader, follower, t);
    assert_int_equal(driver_state(leader->driver), RAFT_LEADER);
}

static void a_follower_far_behind_catches_up_without_the_clock(void **state)
{
    (void)state;
    struct server leader, follower;
    struct traffic t = {0};
    char payload[PAYLOAD + 1];
    memset(payload, 'x', PAYLOAD);
    payload[PAYLOAD] = 0;
    open_pair(&leader, &follower, BACKLOG, payload);

    elect(&leader, &follower, &t);

    assert_int_equal(memlog_last(&follower.log), BACKLOG + 2);
    assert_int_equal(driver_match(leader.driver, 2), BACKLOG + 2);
    assert_true(t.entries >= BACKLOG + 1);
    assert_true(t.entries <= BACKLOG + 1 + BACKLOG / 100);
    assert_true(t.messages < BACKLOG / (MESSAGE_BYTES / PAYLOAD) * 11 / 10);
    assert_true(t.largest_bytes >= MESSAGE_BYTES && t.largest_bytes < MESSAGE_BYTES + PAYLOAD);
    assert_true(t.most_under_way <= FEED_MESSAGES * (MESSAGE_BYTES + PAYLOAD));
    close_pair(&leader, &follower);
}

static void a_lost_window_costs_one_heartbeat(void **state)
{
    (void)state;
    struct server leader, follower;
    struct traffic t = {.lose_from = 20, .lose_to = 20 + FEED_MESSAGES};
    unsigned heartbeats = 0;
    open_pair(&leader, &follower, 20000, "a command of some forty bytes, give or take");

    elect(&leader, &follower, &t);
    assert_in_range(driver_match(leader.driver, 2), 2, 20001);
    while (driver_match(leader.driver, 2) < 20002) {
        server_timeout(&leader);
        follower.now_ms = leader.now_ms;
        talk(&leader, &follower, &t);
        heartbeats++;
    }

    assert_in_range(heartbeats, 1, 2);
    assert_int_equal(memlog_last(&follower.log), 20002);
    close_pair(&leader, &follower);
}

static void a_message_holds_no_more_entries_than_a_reader_takes(void **state)
{
    (void)state;
    struct server leader, follower;
    struct traffic t = {0};
    open_pair(&leader, &follower, 3 * MESSAGE_ENTRIES_MAX, "");
    server_stop(&leader);
    leader.config.inflight_max = 1u << 20;
    server_start(&leader);

    elect(&leader, &follower, &t);

    assert_int_equal(memlog_last(&follower.log), 3 * MESSAGE_ENTRIES_MAX + 2);
    assert_int_equal(t.largest_entries, MESSAGE_ENTRIES_MAX);
    close_pair(&leader, &follower);
}

static void an_entry_larger_than_a_message_travels_alone(void **state)
{
    (void)state;
    struct server leader, follower;
    struct traffic t = {0};
    char *payload = malloc(3 * MESSAGE_BYTES + 1);
    memset(payload, 'x', 3 * MESSAGE_BYTES);
    payload[3 * MESSAGE_BYTES] = 0;
    open_pair(&leader, &follower, 5, payload);

    elect(&leader, &follower, &t);

    assert_int_equal(memlog_last(&follower.log), 7);
    assert_int_equal(t.largest_bytes, 3 * MESSAGE_BYTES);
    free(payload);
    close_pair(&leader, &follower);
}

/* A leader of three whose server 2 has acknowledged all, one entry after the other. */
static void open_leader(struct server *s, uint32_t message_bytes)
{
    server_init(s, 1);
    s->config.message_bytes = message_bytes;
    server_bootstrap(s, 3);
    server_start(s);
    server_win(s, 3);
    for (uint64_t index = 2; index < 8; index++) {
        struct raft_message ack = append_result(2, 2, 0, index);
        server_write_all(s);
        server_hear(s, &ack);
        server_submit(s, "a");
    }
    struct raft_message ack = append_result(2, 2, 0, 8);
    server_hear(s, &ack);
    server_forget_sent(s);
}

static void a_full_window_holds_entries_back_until_an_acknowledgement(void **state)
{
    (void)state;
    struct server s;
    open_leader(&s, 1 << 16);

    for (int i = 0; i < FEED_MESSAGES + 20; i++) {
        server_submit(&s, "a");
    }
    assert_int_equal(server_sent(&s, RAFT_APPEND_ENTRIES, 2), FEED_MESSAGES);

    server_forget_sent(&s);
    struct raft_message ack = append_result(2, 2, 0, 9);
    server_hear(&s, &ack);
    assert_int_equal(server_sent(&s, RAFT_APPEND_ENTRIES, 2), 1);
    const struct raft_append_entries *ae = &server_last_sent(&s, RAFT_APPEND_ENTRIES, 2)->append_entries;
    assert_int_equal(ae->prev_log_index, 8 + FEED_MESSAGES);
    assert_int_equal(ae->n_entries, 20);
    server_close(&s);
}

static void an_acknowledgement_past_the_end_of_the_log_counts_to_its_end(void **state)
{
    (void)state;
    struct server s;
    open_leader(&s, 1 << 16);

    struct raft_message ack = append_result(2, 2, 0, 1000);
    server_hear(&s, &ack);
    server_submit(&s, "a");

    const struct raft_append_entries *ae = &server_last_sent(&s, RAFT_APPEND_ENTRIES, 2)->append_entries;
    assert_int_equal(ae->prev_log_index, 8);
    assert_int_equal(ae->n_entries, 1);
    server_close(&s);
}

static void a_follower_with_a_full_window_still_gets_heartbeats(void **state)
{
    (void)state;
    struct server s;
    open_leader(&s, 1 << 16);
    for (int i = 0; i < FEED_MESSAGES + 20; i++) {
        server_submit(&s, "a");
    }
    server_forget_sent(&s);

    for (int i = 0; i < 10; i++) {
        s.now_ms += HEARTBEAT_MS / 5;
        server_submit(&s, "a");
    }

    assert_in_range(server_sent(&s, RAFT_APPEND_ENTRIES, 2), 2, 5);
    const struct raft_append_entries *ae = &server_last_sent(&s, RAFT_APPEND_ENTRIES, 2)->append_entries;
    assert_int_equal(ae->prev_log_index, 8 + FEED_MESSAGES);
    assert_int_equal(ae->n_entries, 0);
    server_close(&s);
}

static void a_silent_follower_is_not_flooded(void **state)
{
    (void)state;
    struct server s;
    struct traffic t = {0};
    open_leader(&s, 1);
    for (int i = 0; i < FEED_MESSAGES; i++) {
        server_submit(&s, "a");
    }
    server_forget_sent(&s);

    for (int i = 0; i < 8; i++) {
        server_timeout(&s);
        struct raft_message ack = append_result(3, 2, 0, 2);
        server_hear(&s, &ack);
    }

    for (const struct letter *l = s.sent; l != NULL; l = l->next) {
        if (l->to == 2) {
            count(&t, l);
        }
    }
    assert_in_range(t.messages, 1, 8); /* one a heartbeat, the first one that is not acknowledged */
    assert_int_equal(t.entries, t.messages);
    server_close(&s);
}

static void a_feed_that_compaction_overtook_ends_in_a_snapshot(void **state)
{
    (void)state;
    struct server leader, follower;
    struct traffic t = {0};
    open_pair(&leader, &follower, 0, "");
    elect(&leader, &follower, &t);
    struct server third;
    server_init(&third, 3);
    server_bootstrap(&third, 3);
    server_start(&third);

    for (int i = 0; i < 50; i++) {
        server_submit(&leader, "a");
        talk(&leader, &follower, &t);
    }
    server_compact(&leader, 40, 0);
    server_forget_sent(&leader);
    for (int i = 0; i < 5 && third.fetches == 0; i++) {
        server_timeout(&leader);
        third.now_ms = follower.now_ms = leader.now_ms;
        struct letter *letter;
        while ((letter = server_take_sent(&leader)) != NULL) {
            server_hear_letter(letter->to == 2 ? &follower : &third, letter);
            free(letter);
        }
        deliver(&third, &leader, &t);
        deliver(&follower, &leader, &t);
    }

    assert_int_equal(third.fetches, 1);
    assert_int_equal(third.fetch_index, 40);
    server_close(&third);
    close_pair(&leader, &follower);
}

/* The core jumps to where its snapshot ends, which happens to be where the feed ends, too. */
static void a_feed_that_still_owes_does_not_hide_the_need_for_a_snapshot(void **state)
{
    (void)state;
    struct server s;
    server_init(&s, 1);
    s.config.message_bytes = 1;
    server_bootstrap(&s, 3);
    server_start(&s);
    server_win(&s, 3);
    for (int i = 0; i < 10; i++) {
        server_submit(&s, "a");
    }
    server_write_all(&s);
    uint64_t last = memlog_last(&s.log);
    struct raft_message ack = append_result(2, 2, 0, last);
    server_hear(&s, &ack);
    server_timeout(&s);
    server_hear(&s, &ack);
    server_timeout(&s);
    server_hear(&s, &ack);
    server_compact(&s, last, last - 1);
    server_forget_sent(&s);

    for (int i = 0; i < 5 && server_sent(&s, RAFT_INSTALL_SNAPSHOT, 3) == 0; i++) {
        server_timeout(&s);
        server_hear(&s, &ack);
        if (server_sent(&s, RAFT_APPEND_ENTRIES, 3) > 0) {
            uint64_t prev = server_last_sent(&s, RAFT_APPEND_ENTRIES, 3)->append_entries.prev_log_index;
            struct raft_message reject = append_result(3, 2, prev, 0);
            server_hear(&s, &reject);
        }
    }

    assert_int_equal(server_sent(&s, RAFT_INSTALL_SNAPSHOT, 3), 1);
    server_timeout(&s);
    server_hear(&s, &ack);
    server_timeout(&s);
    assert_int_equal(server_last_sent(&s, RAFT_APPEND_ENTRIES, 3)->append_entries.prev_log_index, last);
    server_close(&s);
}

static void change(struct server *s, unsigned standbys)
{
    struct raft_configuration c = members(3, standbys);
    struct error e;

    assert_int_equal(driver_change(s->driver, s->now_ms, &c, &e), 0);
    raft_configuration_close(&c);
    server_write_all(s);
    struct raft_message ack = append_result(2, 2, 0, memlog_last(&s->log));
    server_hear(s, &ack);
}

static void a_member_that_comes_back_with_less_is_fed_again(void **state)
{
    (void)state;
    struct server s;
    open_leader(&s, 1);
    change(&s, 1);
    struct raft_message result = append_result(4, 2, 0, 9);
    server_hear(&s, &result);
    change(&s, 0);
    change(&s, 1);

    result = append_result(4, 2, 0, 2);
    server_hear(&s, &result);
    struct raft_message others = append_result(2, 2, 0, 11);
    for (int i = 0; i < 3; i++) { /* it is silent, so the core starts over behind 2 */
        server_timeout(&s);
        server_hear(&s, &others);
    }
    for (uint64_t index = 3; index < 9; index++) {
        result = append_result(4, 2, 0, index);
        server_hear(&s, &result);
    }

    const struct raft_append_entries *ae = &server_last_sent(&s, RAFT_APPEND_ENTRIES, 4)->append_entries;
    assert_int_equal(ae->prev_log_index + ae->n_entries, 11);
    server_close(&s);
}

static void a_damaged_entry_is_not_sent_and_stops_nobody(void **state)
{
    (void)state;
    struct server leader, follower;
    struct traffic t = {0};
    open_pair(&leader, &follower, 10, "a");
    leader.damaged = 6;

    elect(&leader, &follower, &t);
    assert_int_equal(memlog_last(&follower.log), 5);

    leader.damaged = 0;
    for (int i = 0; i < 3; i++) {
        server_timeout(&leader);
        follower.now_ms = leader.now_ms;
        talk(&leader, &follower, &t);
    }
    assert_int_equal(memlog_last(&follower.log), 12);
    close_pair(&leader, &follower);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_follower_far_behind_catches_up_without_the_clock),
        cmocka_unit_test(a_lost_window_costs_one_heartbeat),
        cmocka_unit_test(a_message_holds_no_more_entries_than_a_reader_takes),
        cmocka_unit_test(an_entry_larger_than_a_message_travels_alone),
        cmocka_unit_test(a_full_window_holds_entries_back_until_an_acknowledgement),
        cmocka_unit_test(an_acknowledgement_past_the_end_of_the_log_counts_to_its_end),
        cmocka_unit_test(a_follower_with_a_full_window_still_gets_heartbeats),
        cmocka_unit_test(a_silent_follower_is_not_flooded),
        cmocka_unit_test(a_feed_that_compaction_overtook_ends_in_a_snapshot),
        cmocka_unit_test(a_feed_that_still_owes_does_not_hide_the_need_for_a_snapshot),
        cmocka_unit_test(a_member_that_comes_back_with_less_is_fed_again),
        cmocka_unit_test(a_damaged_entry_is_not_sent_and_stops_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
