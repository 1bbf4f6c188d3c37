/* What the harness stands on: a harness that injects nothing, or forgives everything, finds nothing. */
#include "tests/unit/test.h"

#include "tests/chaos/bank.h"
#include "tests/chaos/packets.h"
#include "tests/chaos/wire.h"

/* ---- packets */

static void put(struct packets *p, uint64_t due_us, uint64_t number)
{
    struct packet *packet = calloc(1, sizeof *packet);
    assert_non_null(packet);
    packet->due_us = due_us;
    packet->number = number;
    packets_put(p, packet);
}

static uint64_t take(struct packets *p, uint64_t now_us)
{
    struct packet *packet = packets_take(p, now_us);
    uint64_t number = packet != NULL ? packet->number : 0;
    free(packet);
    return number;
}

static void packets_leave_when_they_are_due_and_then_as_they_came(void **state)
{
    static const uint64_t due[] = {50, 20, 20, 90, 20, 10, 50};
    static const uint64_t order[] = {6, 2, 3, 5, 1, 7, 4};
    struct packets p = {.count = 0};
    (void)state;

    for (unsigned i = 0; i < 7; i++) {
        put(&p, due[i], i + 1);
    }

    assert_int_equal(take(&p, 9), 0);
    assert_int_equal(packets_next_us(&p), 10);
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(take(&p, 50), order[i]);
    }
    assert_int_equal(take(&p, 50), 0);
    assert_int_equal(take(&p, 90), order[6]);
    assert_true(packets_next_us(&p) == UINT64_MAX);
    packets_close(&p);
}

/* ---- wires */

static void fates_follow_from_seed_wire_and_number(void **state)
{
    const struct wire w = {
        .loss = 200000, .twice = 100000, .corrupt = 50000, .delay_us = 100, .jitter_us = 1000};
    unsigned lost = 0, twice = 0, corrupt = 0, same = 0;
    (void)state;

    for (uint64_t i = 0; i < 10000; i++) {
        struct fate a = wire_fate(&w, 7, 0, 1, i), b = wire_fate(&w, 7, 0, 1, i),
                    c = wire_fate(&w, 7, 1, 0, i);
        assert_true(a.lost == b.lost && a.twice == b.twice && a.where == b.where &&
                    a.delay_us[0] == b.delay_us[0]);
        assert_in_range(a.delay_us[0], 100, 1100);
        lost += a.lost;
        twice += a.twice;
        corrupt += a.corrupt;
        same += a.delay_us[0] == c.delay_us[0];
    }

    assert_in_range(lost, 1800, 2200);
    assert_in_range(twice, 850, 1150);
    assert_in_range(corrupt, 400, 600);
    assert_in_range(same, 0, 100);
}

static void a_cut_wire_loses_everything_and_the_worse_of_two_troubles_holds(void **state)
{
    const struct wire a = {.cut = true, .bytes_per_s = 100},
                      b = {.loss = 5, .delay_us = 9, .bytes_per_s = 50}, c = {.cut = false};
    struct wire both = wire_join(&a, &b), none = wire_join(&c, &c);
    (void)state;

    assert_true(wire_fate(&both, 1, 0, 1, 0).lost);
    assert_int_equal(both.bytes_per_s, 50);
    assert_int_equal(both.delay_us, 9);
    assert_int_equal(wire_join(&c, &a).bytes_per_s, 100);
    assert_false(wire_fate(&none, 1, 0, 1, 0).lost);
    assert_int_equal(none.bytes_per_s, 0);
}

/* A packet from 10.77.0.1:4101 to 10.77.0.2:5000 with nine bytes of payload and a right checksum. */
static const uint8_t good[49] = {0x45, 0,   0,   49,  0,   1,   0,    0,    64,   6,    0,    0, 10,
                                 77,   0,   1,   10,  77,  0,   2,    0x10, 0x05, 0x13, 0x88, 0, 0,
                                 0,    1,   0,   0,   0,   1,   0x50, 0x10, 0x04, 0,    0,    0, 0,
                                 0,    'q', 'u', 'o', 'r', 'a', 't',  'e',  '!',  '!'};

/* Folded sum over pseudo header and segment: 0xffff if the checksum in it is right. */
static unsigned sum_of(const uint8_t *packet)
{
    unsigned long sum = 6 + 29;
    for (unsigned i = 12; i < 49; i++) {
        sum += (unsigned long)packet[i] << (i % 2 ? 0 : 8);
    }
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (unsigned)sum;
}

static void a_corrupted_packet_differs_in_one_bit_of_its_payload_and_has_a_right_checksum(void **state)
{
    (void)state;
    for (uint64_t where = 0; where < 200; where++) {
        uint8_t packet[sizeof good];
        unsigned bits = 0;

        memcpy(packet, good, sizeof good);
        wire_corrupt(packet, sizeof packet, where);

        for (unsigned i = 0; i < sizeof good; i++) {
            if (i < 36 || i > 37) {
                bits += (unsigned)__builtin_popcount(packet[i] ^ good[i]);
                assert_true(i >= 40 || packet[i] == good[i]);
            }
        }
        assert_int_equal(bits, 1);
        assert_int_equal(sum_of(packet), 0xffff);
    }
}

static void a_packet_without_payload_or_of_another_protocol_stays_as_it_is(void **state)
{
    uint8_t packet[sizeof good];
    (void)state;

    memcpy(packet, good, sizeof good);
    wire_corrupt(packet, 40, 3);
    wire_corrupt(packet, 10, 3);
    assert_memory_equal(packet, good, sizeof good);
    packet[9] = 17;
    wire_corrupt(packet, sizeof packet, 3);
    assert_memory_equal(packet + 20, good + 20, sizeof good - 20);
}

/* ---- the bank */

struct books {
    struct op ops[3];
    struct history history;
};

/* Three transfers: acknowledged, refused, unknown. */
static void books_init(struct books *b)
{
    static const enum op_outcome outcomes[] = {OP_DONE, OP_NOTHING, OP_UNKNOWN};

    memset(b, 0, sizeof *b);
    for (unsigned i = 0; i < 3; i++) {
        b->ops[i] = (struct op){.kind = OP_TRANSFER, .outcome = outcomes[i]};
    }
    b->history = (struct history){.ops = b->ops, .count = 3};
}

static bool check(const char *lines, const char *balances, char text[256])
{
    char ledger[256], sums[256];
    struct books b;

    books_init(&b);
    snprintf(ledger, sizeof ledger, "{\"results\":[{\"columns\":[],\"types\":[]%s%s}]}",
             lines[0] ? ",\"values\":" : "", lines);
    snprintf(sums, sizeof sums, "{\"results\":[{\"columns\":[],\"types\":[],\"values\":%s}]}", balances);
    return bank_check(&b.history, ledger, sums, text, 256);
}

static void the_ledger_must_have_what_was_acknowledged_once_and_nothing_that_was_refused(void **state)
{
    char text[256];
    (void)state;

    assert_true(check("[[1,0,1,5]]", "[[95],[105],[100],[100],[100]]", text));
    assert_true(check("[[1,0,1,5],[3,1,2,7]]", "[[95],[98],[107],[100],[100]]", text));
    assert_false(check("", "[[100],[100],[100],[100],[100]]", text));
    assert_non_null(strstr(text, "LOST: transfer 1"));
    assert_false(check("[[1,0,1,5],[1,0,1,5]]", "[[90],[110],[100],[100],[100]]", text));
    assert_non_null(strstr(text, "twice"));
    assert_false(check("[[1,0,1,5],[2,0,1,5]]", "[[90],[110],[100],[100],[100]]", text));
    assert_non_null(strstr(text, "done nothing"));
    assert_false(check("[[1,0,1,5],[9,0,1,5]]", "[[90],[110],[100],[100],[100]]", text));
    assert_non_null(strstr(text, "no transfer"));
    assert_false(check("[[1,0,1,5]]", "[[95],[100],[100],[100],[100]]", text));
    assert_non_null(strstr(text, "account 1 holds 100"));
}

static void an_answer_of_200_may_say_that_the_outcome_is_unknown_or_that_nothing_was_done(void **state)
{
    static const char unknown[] = "{\"results\":[],\"error\":\"lost\",\"outcome\":\"unknown\"}";
    static const char stale[] = "{\"results\":[],\"error\":\"stale read\"}";
    static const char wrong[] = "{\"results\":[{\"error\":\"no such table\"}]}";
    static const char sum[] =
        "{\"results\":[{\"columns\":[\"s\"],\"types\":[\"\"],\"values\":[[90],[100],[110],[100],[100]]}]}";
    char text[256];
    struct account accounts[HISTORY_ACCOUNTS];
    (void)state;

    assert_int_equal(bank_read(unknown, strlen(unknown), NULL, text, sizeof text), BANK_UNKNOWN);
    assert_int_equal(bank_read(stale, strlen(stale), NULL, text, sizeof text), BANK_NOTHING);
    assert_int_equal(bank_read(wrong, strlen(wrong), NULL, text, sizeof text), BANK_WRONG);
    assert_int_equal(bank_read("{", 1, NULL, text, sizeof text), BANK_WRONG);
    assert_int_equal(bank_read(sum, strlen(sum), accounts, text, sizeof text), BANK_DONE);
    assert_int_equal(accounts[0].balance, 90);
    assert_int_equal(accounts[2].balance, 110);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_leave_when_they_are_due_and_then_as_they_came),
        cmocka_unit_test(fates_follow_from_seed_wire_and_number),
        cmocka_unit_test(a_cut_wire_loses_everything_and_the_worse_of_two_troubles_holds),
        cmocka_unit_test(a_corrupted_packet_differs_in_one_bit_of_its_payload_and_has_a_right_checksum),
        cmocka_unit_test(a_packet_without_payload_or_of_another_protocol_stays_as_it_is),
        cmocka_unit_test(the_ledger_must_have_what_was_acknowledged_once_and_nothing_that_was_refused),
        cmocka_unit_test(an_answer_of_200_may_say_that_the_outcome_is_unknown_or_that_nothing_was_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
