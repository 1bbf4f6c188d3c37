#include "base/crc32c.h"
#include "tests/unit/test.h"

static void the_check_value_of_the_standard_is_met(void **state)
{
    (void)state;
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c_by_table(0, "123456789", 9), 0xe3069283);
}

static void instruction_and_table_agree_at_every_length_and_alignment(void **state)
{
    (void)state;
    uint8_t bytes[80];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 37 + 11);
    }
    for (size_t from = 0; from < 9; from++) {
        for (size_t n = 0; n < sizeof bytes - from; n++) {
            assert_int_equal(crc32c(7, bytes + from, n), crc32c_by_table(7, bytes + from, n));
        }
    }
}

static void a_checksum_continues_over_pieces(void **state)
{
    (void)state;
    assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), crc32c(0, "123456789", 9));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_check_value_of_the_standard_is_met),
        cmocka_unit_test(instruction_and_table_agree_at_every_length_and_alignment),
        cmocka_unit_test(a_checksum_continues_over_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
