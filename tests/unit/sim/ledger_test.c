#include "tests/sim/ledger.h"

#include "tests/unit/test.h"

static struct ledger l;
static char why[256];

static int teardown(void **state)
{
    (void)state;
    ledger_close(&l);
    return 0;
}

static bool note(uint64_t index, uint64_t term, uint64_t before_term, const char *payload)
{
    struct log_entry entry = {.index = index, .term = term, .type = LOG_COMMANDS};
    entry.data = (const uint8_t *)payload;
    entry.len = (uint32_t)strlen(payload);
    return ledger_note(&l, index, term, before_term, &entry, why, sizeof why);
}

static void equal_entries_of_two_nodes_are_one(void **state)
{
    (void)state;
    assert_true(note(1, 1, 0, "a"));
    assert_true(note(1, 1, 0, "a"));
    assert_true(ledger_note(&l, 1, 1, 0, NULL, why, sizeof why));
}

static void entries_of_two_terms_may_stand_at_one_index(void **state)
{
    (void)state;
    assert_true(note(2, 1, 1, "a"));
    assert_true(note(2, 2, 1, "b"));
}

static void one_entry_with_two_contents_is_seen(void **state)
{
    (void)state;
    assert_true(note(1, 1, 0, "a"));
    assert_false(note(1, 1, 0, "b"));
    assert_non_null(strstr(why, "another content"));
}

static void one_entry_behind_two_others_is_seen(void **state)
{
    (void)state;
    assert_true(note(2, 3, 1, "a"));
    assert_false(note(2, 3, 2, "a"));
    assert_non_null(strstr(why, "behind one of term 2"));
}

static void two_entries_committed_at_one_index_are_seen(void **state)
{
    (void)state;
    note(2, 1, 1, "a");
    note(2, 2, 1, "b");
    assert_true(ledger_commit(&l, 2, 2, 3, why, sizeof why));
    assert_true(ledger_commit(&l, 2, 2, 2, why, sizeof why));
    assert_int_equal(l.slots[2].committed_in, 2);
    assert_false(ledger_commit(&l, 2, 1, 3, why, sizeof why));
}

static void two_contents_at_one_index_are_seen(void **state)
{
    const uint8_t one[DIGEST_BYTES] = {1}, other[DIGEST_BYTES] = {2};
    (void)state;
    assert_true(ledger_digest(&l, 7, one, why, sizeof why));
    assert_true(ledger_digest(&l, 7, one, why, sizeof why));
    assert_false(ledger_digest(&l, 7, other, why, sizeof why));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(equal_entries_of_two_nodes_are_one, teardown),
        cmocka_unit_test_teardown(entries_of_two_terms_may_stand_at_one_index, teardown),
        cmocka_unit_test_teardown(one_entry_with_two_contents_is_seen, teardown),
        cmocka_unit_test_teardown(one_entry_behind_two_others_is_seen, teardown),
        cmocka_unit_test_teardown(two_entries_committed_at_one_index_are_seen, teardown),
        cmocka_unit_test_teardown(two_contents_at_one_index_are_seen, teardown),
    };
    return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
