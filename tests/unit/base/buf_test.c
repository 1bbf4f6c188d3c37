#include "base/buf.h"
#include "tests/unit/test.h"

static void what_was_put_is_read_back_in_order(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);

    buf_put_u8(&b, 1);
    buf_put_u16(&b, 0x0203);
    buf_put_u32(&b, 0x04050607);
    buf_put_u64(&b, 0x08090a0b0c0d0e0f);
    buf_put_blob(&b, "name", 4);

    struct cursor c = cursor_of(b.data, b.len);
    assert_int_equal(cursor_u8(&c), 1);
    assert_int_equal(cursor_u16(&c), 0x0203);
    assert_int_equal(cursor_u32(&c), 0x04050607);
    assert_true(cursor_u64(&c) == 0x08090a0b0c0d0e0f);
    struct cursor name = cursor_blob(&c);
    assert_int_equal(cursor_left(&name), 4);
    assert_memory_equal(name.p, "name", 4);
    assert_int_equal(cursor_left(&c), 0);
    assert_false(c.bad);
    buf_close(&b);
}

static void a_put_past_the_maximum_fails_and_stays_failed(void **state)
{
    (void)state;
    struct buf b;
    struct error e;
    buf_init(&b, 10);

    buf_put_u64(&b, 1);
    buf_put_u32(&b, 2);
    buf_put_u8(&b, 3);

    assert_int_equal(b.len, 8);
    assert_int_equal(buf_check(&b, "the thing", &e), Q_TOO_BIG);
    assert_string_equal(e.text, "the thing is larger than the limit of 10 bytes");
    buf_close(&b);
}

static void a_length_that_runs_past_the_end_takes_nothing(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0xff, 0xff, 0xff, 0xff, 'x'};
    struct cursor c = cursor_of(bytes, sizeof bytes);

    struct cursor inner = cursor_blob(&c);

    assert_true(c.bad);
    assert_int_equal(cursor_left(&inner), 0);
    assert_int_equal(cursor_u8(&c), 0);
}

static void the_cap_grows_to_the_maximum_and_no_further(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 100);
    for (int i = 0; i < 100; i++) {
        buf_put_u8(&b, (uint8_t)i);
    }
    assert_int_equal(b.len, 100);
    assert_int_equal(b.cap, 100);
    assert_int_equal(b.failed, Q_OK);
    buf_put_u8(&b, 1);
    assert_int_equal(b.failed, Q_TOO_BIG);
    buf_close(&b);
}

static void the_growth_of_a_put_is_known_before(void **state)
{
    (void)state;
    static const char bytes[200];
    struct buf b;
    buf_init(&b, 150);
    for (size_t n = 0; n <= 200; n += 7) {
        size_t before = b.cap, growth = buf_growth(&b, n);
        buf_put_bytes(&b, bytes, n);
        assert_int_equal(b.cap - before, growth);
        buf_clear(&b);
    }
    buf_put_bytes(&b, bytes, 151);
    assert_int_equal(b.failed, Q_TOO_BIG);
    assert_int_equal(buf_growth(&b, 1), 0);
    buf_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_read_back_in_order),
        cmocka_unit_test(a_put_past_the_maximum_fails_and_stays_failed),
        cmocka_unit_test(a_length_that_runs_past_the_end_takes_nothing),
        cmocka_unit_test(the_cap_grows_to_the_maximum_and_no_further),
        cmocka_unit_test(the_growth_of_a_put_is_known_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
