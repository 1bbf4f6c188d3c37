#include "tests/sim/oracle.h"

#include "tests/unit/sim/record.h"
#include "tests/unit/test.h"

static struct record r;

static int setup(void **state)
{
    (void)state;
    r = (struct record){.last = 0};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    record_close(&r);
    return 0;
}

static void is_right(void)
{
    assert_true(oracle_check(&r.history, &r.ledger, r.why, sizeof r.why));
}

static void is_wrong(const char *because)
{
    assert_false(oracle_check(&r.history, &r.ledger, r.why, sizeof r.why));
    if (strstr(r.why, because) == NULL) {
        fail_msg("expected \"%s\" in \"%s\"", because, r.why);
    }
}

static void a_history_that_is_what_the_log_says_is_right(void **state)
{
    (void)state;
    record_done(&r, (struct op){.kind = OP_PUT, .key = 1, .version = 1}, 1);
    record_logged(&r);
    record_done(&r, (struct op){.kind = OP_CAS, .key = 1, .expected = 1, .version = 2}, 2);
    record_logged(&r);
    record_done(&r, (struct op){.kind = OP_GET, .key = 1, .version = 1, .seen = 1}, 1);
    record_done(&r, (struct op){.kind = OP_GET, .key = 1, .version = 2, .seen = 2}, 2);
    record_op(&r, (struct op){.kind = OP_APPEND, .key = 0}); /* unknown, and not in the log */

    is_right();
}

static void an_acknowledged_write_that_is_not_in_the_log_is_lost(void **state)
{
    (void)state;
    record_done(&r, (struct op){.kind = OP_PUT, .key = 1, .version = 1}, 1);

    is_wrong("LOST");
}

static void a_write_that_is_in_the_log_twice_is_seen(void **state)
{
    (void)state;
    record_op(&r, (struct op){.kind = OP_APPEND, .key = 2});
    record_logged(&r);
    record_logged(&r);

    is_wrong("twice");
}

static void a_refused_write_that_is_in_the_log_is_seen(void **state)
{
    (void)state;
    record_op(&r, (struct op){.kind = OP_TRANSFER, .from = 1, .to = 2, .amount = 3})->outcome = OP_NOTHING;
    record_logged(&r);

    is_wrong("was refused, but is in the log");
}

static void a_command_that_nobody_gave_is_seen(void **state)
{
    (void)state;
    record_op(&r, (struct op){.kind = OP_TRANSFER, .from = 1, .to = 2, .amount = 3});
    record_logged(&r);
    r.history.ops[0].command++;

    is_wrong("no client gave");
}

static void a_write_acknowledged_at_another_index_is_seen(void **state)
{
    (void)state;
    record_done(&r, (struct op){.kind = OP_APPEND, .key = 2}, 2);
    record_logged(&r);
    record_op(&r, (struct op){.kind = OP_APPEND, .key = 2});
    record_logged(&r);

    is_wrong("acknowledged at index 2, and the log has it at 1");
}

static void a_stale_value_at_a_newer_index_is_seen(void **state)
{
    (void)state;
    record_done(&r, (struct op){.kind = OP_PUT, .key = 1, .version = 1}, 1);
    record_logged(&r);
    record_done(&r, (struct op){.kind = OP_PUT, .key = 1, .version = 2}, 2);
    record_logged(&r);
    record_done(&r, (struct op){.kind = OP_GET, .key = 1, .version = 1, .seen = 1}, 2);

    is_wrong("is not what the log says");
}

static void a_cas_that_was_told_the_wrong_outcome_is_seen(void **state)
{
    (void)state;
    record_done(&r, (struct op){.kind = OP_CAS, .key = 1, .expected = 7, .version = 1}, 1);
    record_logged(&r);

    is_wrong("the log says 0 and not done");
}

static void half_a_transfer_is_seen_by_a_read_of_the_accounts(void **state)
{
    struct op accounts = {.kind = OP_ACCOUNTS};
    (void)state;
    record_done(&r, (struct op){.kind = OP_TRANSFER, .from = 0, .to = 1, .amount = 5}, 1);
    record_logged(&r);
    for (unsigned i = 0; i < HISTORY_ACCOUNTS; i++) {
        accounts.accounts[i].balance = HISTORY_BALANCE;
    }
    accounts.accounts[0] = (struct account){HISTORY_BALANCE - 5, 1};
    record_done(&r, accounts, 1);

    is_wrong("is not what the log says");
}

static void a_read_through_the_log_sees_what_stands_before_it_in_its_batch(void **state)
{
    const size_t put_then_get[] = {0, 1};
    struct op *get;
    (void)state;
    record_done(&r, (struct op){.kind = OP_PUT, .key = 3, .version = 1}, 1);
    get = record_done(&r, (struct op){.kind = OP_GET, .key = 3, .version = 1, .seen = 1}, 1);
    get->logged = true;
    record_entry(&r, put_then_get, 2);

    is_right();
}

static void a_read_through_the_log_does_not_see_what_stands_behind_it(void **state)
{
    const size_t get_then_put[] = {1, 0};
    struct op *get;
    (void)state;
    record_done(&r, (struct op){.kind = OP_PUT, .key = 3, .version = 1}, 1);
    get = record_done(&r, (struct op){.kind = OP_GET, .key = 3, .version = 1, .seen = 1}, 1);
    get->logged = true;
    record_entry(&r, get_then_put, 2);

    is_wrong("is not what the log says");
}

static void a_read_for_an_index_that_was_never_committed_is_seen(void **state)
{
    (void)state;
    record_done(&r, (struct op){.kind = OP_GET, .key = 3}, 9);

    is_wrong("never committed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_history_that_is_what_the_log_says_is_right, setup, teardown),
        cmocka_unit_test_setup_teardown(an_acknowledged_write_that_is_not_in_the_log_is_lost, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_write_that_is_in_the_log_twice_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refused_write_that_is_in_the_log_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(a_command_that_nobody_gave_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(a_write_acknowledged_at_another_index_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stale_value_at_a_newer_index_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cas_that_was_told_the_wrong_outcome_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(half_a_transfer_is_seen_by_a_read_of_the_accounts, setup, teardown),
        cmocka_unit_test_setup_teardown(a_read_through_the_log_sees_what_stands_before_it_in_its_batch, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_read_through_the_log_does_not_see_what_stands_behind_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_read_for_an_index_that_was_never_committed_is_seen, setup,
                                        teardown),
    };
    return cmocka_run_group_tests_name("oracle", tests, NULL, NULL);
}
