#include "storage/batch.h"
#include "tests/unit/test.h"

static const struct batch example = {
    .term = 3,
    .index = 1ull << 40,
    .time_ms = 1700000000000,
    .seed = {1, 2, 3},
    .durable_index = 9,
    .digest_index = 8,
    .digest = {4, 5, 6},
    .commands = 2,
};

static void put_example(struct buf *b)
{
    buf_clear(b);
    batch_put_header(b, &example);
    buf_put_blob(b, "first", 5);
    buf_put_blob(b, "", 0);
}

static int decode(const struct buf *b, struct batch *batch, struct error *e)
{
    /* In memory of its exact size, so that the sanitizer sees a read past the end. */
    void *copy = malloc(b->len ? b->len : 1);
    if (b->len) {
        memcpy(copy, b->data, b->len);
    }
    int rc = batch_decode(copy, b->len, batch, e);
    free(copy);
    return rc;
}

static void a_batch_is_read_back_as_it_was_put(void **state)
{
    (void)state;
    struct buf b;
    struct batch batch;
    buf_init(&b, SIZE_MAX);
    put_example(&b);

    assert_int_equal(batch_decode(b.data, b.len, &batch, NULL), 0);

    assert_int_equal(b.len, BATCH_HEADER_BYTES + 4 + 5 + 4);
    assert_int_equal(batch.term, 3);
    assert_true(batch.index == 1ull << 40);
    assert_true(batch.time_ms == 1700000000000);
    assert_memory_equal(batch.seed, example.seed, BATCH_SEED_BYTES);
    assert_int_equal(batch.durable_index, 9);
    assert_int_equal(batch.digest_index, 8);
    assert_memory_equal(batch.digest, example.digest, DIGEST_BYTES);
    assert_int_equal(batch.commands, 2);
    struct cursor first = cursor_blob(&batch.command);
    assert_int_equal(cursor_left(&first), 5);
    struct cursor second = cursor_blob(&batch.command);
    assert_int_equal(cursor_left(&second), 0);
    assert_int_equal(cursor_left(&batch.command), 0);
    buf_close(&b);
}

static void a_batch_that_ends_early_or_late_is_corrupt(void **state)
{
    (void)state;
    struct buf b;
    struct batch batch = {.term = 4711};
    struct error e;
    buf_init(&b, SIZE_MAX);
    put_example(&b);

    size_t whole = b.len;
    for (b.len = 0; b.len < whole; b.len++) {
        assert_int_equal(decode(&b, &batch, &e), Q_CORRUPT);
    }
    buf_put_u8(&b, 0);
    assert_int_equal(decode(&b, &batch, &e), Q_CORRUPT);
    assert_int_equal(batch.term, 4711);
    buf_close(&b);
}

static void unknown_versions_and_reserved_bits_are_a_mismatch(void **state)
{
    (void)state;
    struct buf b;
    struct batch batch;
    struct error e;
    buf_init(&b, SIZE_MAX);

    for (unsigned byte = 0; byte < 256; byte++) {
        put_example(&b);
        b.data[0] = (uint8_t)byte;
        assert_int_equal(decode(&b, &batch, &e), byte == BATCH_VERSION ? 0 : Q_MISMATCH);
    }
    for (size_t at = 1; at < 4; at++) {
        put_example(&b);
        b.data[at] = 1;
        assert_int_equal(decode(&b, &batch, &e), Q_MISMATCH);
    }
    buf_close(&b);
}

static void the_number_of_commands_has_bounds(void **state)
{
    (void)state;
    const uint32_t bad[] = {0, 1, 3, BATCH_COMMANDS_MAX + 1, UINT32_MAX};
    struct buf b;
    struct batch batch;
    struct error e;
    buf_init(&b, SIZE_MAX);

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        put_example(&b);
        put_le32(b.data + 4, bad[i]);
        assert_int_equal(decode(&b, &batch, &e), Q_CORRUPT);
    }
    buf_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_is_read_back_as_it_was_put),
        cmocka_unit_test(a_batch_that_ends_early_or_late_is_corrupt),
        cmocka_unit_test(unknown_versions_and_reserved_bits_are_a_mismatch),
        cmocka_unit_test(the_number_of_commands_has_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
