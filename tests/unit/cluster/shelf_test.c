/* Which images are kept, and until when. */
#include "cluster/shelf.h"

#include "tests/unit/test.h"

static void add(struct shelf *s, uint64_t index, uint64_t until_ms)
{
    shelf_add(s, &(struct image){.index = index, .term = 1, .kept_until_ms = until_ms});
}

static void the_newest_is_found_that_a_log_follows(void **state)
{
    struct shelf s = {.count = 0};

    (void)state;
    add(&s, 30, 100);
    add(&s, 50, 100);
    add(&s, 40, 100);
    assert_int_equal(shelf_find(&s, 1, 1)->index, 50);
    assert_int_equal(shelf_find(&s, 50, 51)->index, 50);
    assert_null(shelf_find(&s, 51, 1));
    assert_null(shelf_find(&s, 1, 52));
    assert_int_equal(shelf_find_exact(&s, 40, 1)->index, 40);
    assert_null(shelf_find_exact(&s, 40, 2));
}

static void the_one_that_would_go_first_makes_room(void **state)
{
    struct shelf s = {.count = 0};

    (void)state;
    for (uint64_t i = 1; i <= SHELF_MAX; i++) {
        add(&s, i, i == 3 ? 10 : 100);
    }
    assert_false(shelf_add(&s, shelf_find_exact(&s, 5, 1))); /* it is there */
    assert_int_equal(s.count, SHELF_MAX);
    assert_true(shelf_add(&s, &(struct image){.index = 99, .term = 1, .kept_until_ms = 100}));
    assert_int_equal(s.count, SHELF_MAX);
    assert_null(shelf_find_exact(&s, 3, 1));
    assert_non_null(shelf_find_exact(&s, 99, 1));
}

static void either_reason_keeps_it(void **state)
{
    struct shelf s = {.count = 0};

    (void)state;
    add(&s, 1, 100);
    assert_true(shelf_ship(&s, 1, 1, 300));
    assert_true(shelf_keep(&s, 1, 1, 100, 500));
    assert_false(shelf_expire(&s, 300));
    assert_true(shelf_keep(&s, 1, 1, 400, 0)); /* for as long again */
    assert_false(shelf_expire(&s, 899));
    assert_true(shelf_expire(&s, 900));
    assert_false(shelf_keep(&s, 1, 1, 900, 500));
    assert_false(shelf_ship(&s, 1, 1, 900));
}

static void the_log_is_kept_for_shipments_alone(void **state)
{
    struct shelf s = {.count = 0};

    (void)state;
    add(&s, 10, 1000);
    add(&s, 20, 1000);
    add(&s, 30, 1000);
    assert_int_equal(shelf_log_limit(&s, 0), UINT64_MAX);
    shelf_ship(&s, 30, 1, 200);
    shelf_ship(&s, 20, 1, 100);
    assert_int_equal(shelf_log_limit(&s, 99), 20);
    assert_int_equal(shelf_log_limit(&s, 100), 30);
    assert_int_equal(shelf_log_limit(&s, 200), UINT64_MAX);
    assert_true(shelf_drop(&s, 30, 1));
    assert_false(shelf_drop(&s, 30, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_is_found_that_a_log_follows),
        cmocka_unit_test(the_one_that_would_go_first_makes_room),
        cmocka_unit_test(either_reason_keeps_it),
        cmocka_unit_test(the_log_is_kept_for_shipments_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
