#include "cluster/frame.h"
#include "cluster/outbox.h"
#include "tests/unit/test.h"

static void small_frames_share_a_piece_in_the_order_they_came(void **state)
{
    (void)state;
    struct outbox o;
    size_t n;
    outbox_init(&o, 1000000);

    for (uint8_t i = 0; i < 100; i++) {
        assert_true(outbox_put(&o, i, 0, &i, 1));
    }
    assert_int_equal(o.bytes, 100 * (FRAME_HEADER_BYTES + 1));
    uint8_t *piece = outbox_take(&o, &n);

    assert_int_equal(n, 100 * (FRAME_HEADER_BYTES + 1));
    for (uint8_t i = 0; i < 100; i++) {
        uint8_t wanted[FRAME_HEADER_BYTES + 1];
        frame_write(wanted, i, 0, &i, 1);
        assert_memory_equal(piece + i * sizeof wanted, wanted, sizeof wanted);
    }
    assert_int_equal(o.bytes, 0);
    assert_null(outbox_take(&o, &n));
    free(piece);
}

static void no_piece_but_a_single_frame_passes_the_piece_limit(void **state)
{
    (void)state;
    static uint8_t body[3 * OUTBOX_PIECE_BYTES];
    static const size_t sizes[] = {10, OUTBOX_PIECE_BYTES, 10, 10, sizeof body, OUTBOX_PIECE_BYTES / 2, 10};
    static const size_t wanted[] = {10, OUTBOX_PIECE_BYTES, 20 + FRAME_HEADER_BYTES, sizeof body,
                                    OUTBOX_PIECE_BYTES / 2 + 10 + FRAME_HEADER_BYTES};
    struct outbox o;
    size_t n;
    outbox_init(&o, 10000000);

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_true(outbox_put(&o, 1, 0, body, sizes[i]));
    }

    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        uint8_t *piece = outbox_take(&o, &n);
        assert_int_equal(n, wanted[i] + FRAME_HEADER_BYTES);
        free(piece);
    }
    assert_null(outbox_take(&o, &n));
}

static void what_passes_the_maximum_is_not_taken_and_changes_nothing(void **state)
{
    (void)state;
    uint8_t body[100] = {0};
    struct outbox o;
    outbox_init(&o, 2 * (FRAME_HEADER_BYTES + 100) - 1);

    assert_true(outbox_put(&o, 1, 0, body, 100));
    assert_false(outbox_put(&o, 1, 0, body, 100));
    assert_true(outbox_put(&o, 1, 0, body, 99));
    assert_false(outbox_put(&o, 1, 0, NULL, 0));
    assert_int_equal(o.bytes, o.max);

    outbox_clear(&o);
    assert_int_equal(o.bytes, 0);
    assert_true(outbox_put(&o, 1, 0, NULL, 0));
    outbox_clear(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_frames_share_a_piece_in_the_order_they_came),
        cmocka_unit_test(no_piece_but_a_single_frame_passes_the_piece_limit),
        cmocka_unit_test(what_passes_the_maximum_is_not_taken_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
