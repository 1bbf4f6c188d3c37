/* The checksum of a page: damage anywhere, and a page in another's place, are seen. */
#include "storage/page_sum.h"
#include "tests/unit/test.h"

static void fill(uint8_t *page, unsigned seed)
{
    for (unsigned i = 0; i < PAGE_BYTES; i++) {
        page[i] = (uint8_t)(i * 7 + seed);
    }
}

static void a_page_with_its_sum_is_good_and_a_flipped_bit_anywhere_is_seen(void **state)
{
    uint8_t page[PAGE_BYTES];
    (void)state;
    fill(page, 1);
    page_sum_set(page, 17);
    assert_true(page_sum_ok(page, 17));

    for (unsigned i = 0; i < PAGE_BYTES; i++) {
        page[i] ^= (uint8_t)(1u << i % 8);
        assert_false(page_sum_ok(page, 17));
        page[i] ^= (uint8_t)(1u << i % 8);
    }
    assert_true(page_sum_ok(page, 17));
}

static void a_page_in_the_place_of_another_is_seen(void **state)
{
    uint8_t page[PAGE_BYTES];
    (void)state;
    fill(page, 2);
    page_sum_set(page, 5);
    assert_false(page_sum_ok(page, 6));
}

static void a_page_that_was_never_written_and_the_lock_page_are_fine(void **state)
{
    uint8_t page[PAGE_BYTES] = {0};
    (void)state;
    assert_true(page_sum_ok(page, 9));
    page[PAGE_BYTES - 1] = 1;
    assert_false(page_sum_ok(page, 9));
    assert_true(page_sum_ok(page, 262145));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_with_its_sum_is_good_and_a_flipped_bit_anywhere_is_seen),
        cmocka_unit_test(a_page_in_the_place_of_another_is_seen),
        cmocka_unit_test(a_page_that_was_never_written_and_the_lock_page_are_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
