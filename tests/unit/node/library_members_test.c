/* Changes of the members through the public API, at a node that is a cluster by itself. */
#include <string.h>

#include "tests/unit/node/embedded.h"

enum { WAIT_MS = 60000, SHORT_MS = 50 };

static int set_up(void **state)
{
    static struct embedded n;

    embedded_open(&n);
    embedded_start(&n);
    *state = &n;
    return 0;
}

static int tear_down(void **state)
{
    embedded_close(*state);
    return 0;
}

static int change(struct embedded *n, enum quorate_member_verb verb, uint64_t id, uint64_t with,
                  const char *address, uint64_t wait_ms)
{
    struct quorate_member_change c = {.verb = verb, .id = id, .with = with, .address = address};
    return quorate_member_change(n->node, &c, wait_ms, &n->e);
}

static void a_new_member_stands_by(void **state)
{
    struct embedded *n = *state;

    if (change(n, QUORATE_MEMBER_ADD, 4, 0, "127.0.0.1:7704", 0) != 0) {
        fail_msg("%s", n->e.text);
    }
    assert_int_equal(embedded_number(n, "SELECT count(*) FROM quorate_members WHERE id = 4"), 1);
    assert_int_equal(change(n, QUORATE_MEMBER_ADD, 4, 0, "127.0.0.1:7704", 0), 0); /* it is so already */
    assert_int_equal(change(n, QUORATE_MEMBER_DEMOTE, 4, 0, NULL, WAIT_MS), 0);
    assert_int_equal(change(n, QUORATE_MEMBER_MOVE, 4, 0, "127.0.0.1:7705", WAIT_MS), 0);
    assert_int_equal(
        embedded_number(n, "SELECT count(*) FROM quorate_members WHERE address = '127.0.0.1:7705'"), 1);
}

static void a_member_that_was_removed_is_gone_when_the_call_returns(void **state)
{
    struct embedded *n = *state;

    assert_int_equal(change(n, QUORATE_MEMBER_ADD, 4, 0, "127.0.0.1:7704", 0), 0);
    if (change(n, QUORATE_MEMBER_REMOVE, 4, 0, NULL, WAIT_MS) != 0) {
        fail_msg("%s", n->e.text);
    }
    assert_int_equal(change(n, QUORATE_MEMBER_ADD, 4, 0, "127.0.0.1:7704", 0), QUORATE_CONFLICT);
    assert_non_null(strstr(n->e.text, "is not used again"));
}

static void what_would_do_harm_is_refused_with_the_reason(void **state)
{
    struct embedded *n = *state;

    assert_int_equal(change(n, QUORATE_MEMBER_REMOVE, 1, 0, NULL, WAIT_MS), QUORATE_CONFLICT);
    assert_non_null(strstr(n->e.text, "is the last voter"));
    assert_int_equal(change(n, QUORATE_MEMBER_PROMOTE, 9, 0, NULL, 0), QUORATE_NOT_FOUND);
}

static void what_is_not_done_in_time_is_decided_and_says_so(void **state)
{
    struct embedded *n = *state;

    /* Nobody is at that address: it never catches up. */
    assert_int_equal(change(n, QUORATE_MEMBER_ADD, 4, 0, "127.0.0.1:7704", SHORT_MS), QUORATE_TIMEOUT);
    assert_non_null(strstr(n->e.text, "is decided"));
    assert_int_equal(embedded_number(n, "SELECT count(*) FROM quorate_members WHERE id = 4"), 1);
}

static void what_makes_no_sense_is_refused_before_anybody_is_asked(void **state)
{
    static const struct {
        int verb;
        uint64_t id, with;
        const char *address, *text;
    } rows[] = {
        {17, 4, 0, NULL, "is nothing that can be done"},
        {-1, 4, 0, NULL, "is nothing that can be done"},
        {QUORATE_MEMBER_REMOVE, 0, 0, NULL, "is not the id of a member"},
        {QUORATE_MEMBER_REMOVE, UINT64_MAX, 0, NULL, "is not the id of a member"},
        {QUORATE_MEMBER_REMOVE, 4, 0, "a:1", "an address means nothing here"},
        {QUORATE_MEMBER_REMOVE, 4, 5, NULL, "cannot be the one that takes a place"},
        {QUORATE_MEMBER_REPLACE, 4, 4, NULL, "cannot be the one that takes a place"},
        {QUORATE_MEMBER_ADD, 4, 0, NULL, "is not of the form host:port"},
        {QUORATE_MEMBER_MOVE, 4, 0, "0.0.0.0:7", "one to listen on"},
    };
    struct embedded *n = *state;

    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int rv = change(n, (enum quorate_member_verb)rows[i].verb, rows[i].id, rows[i].with, rows[i].address,
                        WAIT_MS);
        assert_int_equal(rv, QUORATE_INVALID);
        assert_non_null(strstr(n->e.text, rows[i].text));
    }
}

static void a_sole_member_hands_leadership_to_nobody(void **state)
{
    struct embedded *n = *state;

    assert_int_not_equal(quorate_transfer(n->node, 0, &n->e), 0);
    assert_int_not_equal(quorate_transfer(n->node, 9, &n->e), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_new_member_stands_by),
        TEST(a_member_that_was_removed_is_gone_when_the_call_returns),
        TEST(what_would_do_harm_is_refused_with_the_reason),
        TEST(what_is_not_done_in_time_is_decided_and_says_so),
        TEST(what_makes_no_sense_is_refused_before_anybody_is_asked),
        TEST(a_sole_member_hands_leadership_to_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
