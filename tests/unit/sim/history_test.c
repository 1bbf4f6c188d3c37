#include "tests/sim/history.h"

#include "tests/unit/sim/record.h"
#include "tests/unit/test.h"

static struct record r;
static struct final_state final;
static uint64_t list[8];

static int setup(void **state)
{
    (void)state;
    r = (struct record){.last = 0};
    final = (struct final_state){.keys[0].version = 0};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    record_close(&r);
    return 0;
}

/* List 0 ends with these values. */
static void ends_with(uint64_t items, const uint64_t *values)
{
    memcpy(list, values, items * sizeof *values);
    final.lists[0].items = items;
    final.lists[0].list = list;
}

static void is_right(void)
{
    if (!history_check(&r.history, &final, r.why, sizeof r.why)) {
        fail_msg("%s", r.why);
    }
}

static void is_wrong(const char *because)
{
    assert_false(history_check(&r.history, &final, r.why, sizeof r.why));
    if (strstr(r.why, because) == NULL) {
        fail_msg("expected \"%s\" in \"%s\"", because, r.why);
    }
}

static struct op *read_list(uint32_t items, const uint64_t *values, uint64_t index)
{
    struct op *op = record_done(&r, (struct op){.kind = OP_LIST, .current = true}, index);
    op->items = items;
    op->list = malloc((items + 1) * sizeof *values);
    memcpy(op->list, values, items * sizeof *values);
    return op;
}

static void lists_that_grow_are_right(void **state)
{
    (void)state;
    record_done(&r, (struct op){.kind = OP_APPEND}, 1);
    read_list(1, (uint64_t[]){1}, 1);
    record_done(&r, (struct op){.kind = OP_APPEND}, 2);
    read_list(2, (uint64_t[]){1, 3}, 2);
    ends_with(2, (uint64_t[]){1, 3});

    is_right();
}

static void an_acknowledged_append_that_is_missing_at_the_end_is_lost(void **state)
{
    (void)state;
    record_done(&r, (struct op){.kind = OP_APPEND}, 1);

    is_wrong("LOST: 1 was acknowledged and is not in list 0");
}

static void an_append_that_was_done_twice_is_seen(void **state)
{
    (void)state;
    record_done(&r, (struct op){.kind = OP_APPEND}, 1);
    ends_with(2, (uint64_t[]){1, 1});

    is_wrong("holds 1 twice");
}

static void a_refused_append_that_is_there_is_seen(void **state)
{
    (void)state;
    record_op(&r, (struct op){.kind = OP_APPEND})->outcome = OP_NOTHING;
    ends_with(1, (uint64_t[]){1});

    is_wrong("was said to have done nothing");
}

static void two_reads_in_different_orders_are_seen(void **state)
{
    (void)state;
    record_op(&r, (struct op){.kind = OP_APPEND});
    record_op(&r, (struct op){.kind = OP_APPEND});
    read_list(2, (uint64_t[]){2, 1}, 2);
    ends_with(2, (uint64_t[]){1, 2});

    is_wrong("not how the final one begins");
}

static void a_current_read_that_misses_an_earlier_append_is_seen(void **state)
{
    (void)state;
    record_done(&r, (struct op){.kind = OP_APPEND}, 1);
    read_list(0, (uint64_t[]){0}, 1);
    ends_with(1, (uint64_t[]){1});

    is_wrong("had been shown before");
}

static void a_stale_read_may_miss_an_earlier_append(void **state)
{
    (void)state;
    record_done(&r, (struct op){.kind = OP_APPEND}, 1);
    read_list(0, (uint64_t[]){0}, 0)->current = false;
    ends_with(1, (uint64_t[]){1});

    is_right();
}

static void a_write_at_an_index_that_was_answered_before_it_began_is_seen(void **state)
{
    (void)state;
    record_done(&r, (struct op){.kind = OP_APPEND}, 5);
    record_done(&r, (struct op){.kind = OP_APPEND}, 5);
    ends_with(2, (uint64_t[]){1, 2});

    is_wrong("has index 5, but index 5 had been answered before");
}

static void a_version_that_was_given_twice_is_seen(void **state)
{
    (void)state;
    record_done(&r, (struct op){.kind = OP_PUT, .version = 1}, 1);
    record_done(&r, (struct op){.kind = OP_PUT, .key = 1, .version = 1}, 2);
    record_done(&r, (struct op){.kind = OP_PUT, .version = 1}, 3)->start_us = 1; /* together with the first */
    final.keys[0].version = 1;
    final.keys[0].value = 1;
    final.keys[1].version = 1;
    final.keys[1].value = 2;
    r.history.ops[2].index = 1;

    is_wrong("twice");
}

static void accounts_that_do_not_add_up_are_seen(void **state)
{
    (void)state;
    record_done(&r, (struct op){.kind = OP_ACCOUNTS}, 1)->accounts[0].balance = 1;

    is_wrong("all accounts together held 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lists_that_grow_are_right, setup, teardown),
        cmocka_unit_test_setup_teardown(an_acknowledged_append_that_is_missing_at_the_end_is_lost, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_append_that_was_done_twice_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refused_append_that_is_there_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(two_reads_in_different_orders_are_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(a_current_read_that_misses_an_earlier_append_is_seen, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_stale_read_may_miss_an_earlier_append, setup, teardown),
        cmocka_unit_test_setup_teardown(a_write_at_an_index_that_was_answered_before_it_began_is_seen, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_version_that_was_given_twice_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(accounts_that_do_not_add_up_are_seen, setup, teardown),
    };
    return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
