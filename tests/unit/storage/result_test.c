#include "storage/result.h"
#include "tests/unit/test.h"

static void put_sql_example(struct buf *b)
{
    const struct value one = {.type = VALUE_INTEGER, .integer = 1}, nothing = {.type = VALUE_NULL};

    result_put_header(b, RESULT_SQL);
    result_put_write(b, 11, -5, 7);
    result_put_statement_error(b, 12, "no such table: t");
    result_put_empty(b, 13);
    size_t at = result_put_rows(b, 2);
    buf_put_blob(b, "a", 1);
    buf_put_blob(b, "INTEGER", 7);
    buf_put_blob(b, "b", 1);
    buf_put_blob(b, "", 0);
    buf_put_u8(b, 1);
    value_put(b, &one);
    value_put(b, &nothing);
    buf_put_u8(b, 0);
    result_set_elapsed(b, at, 14);
}

static void the_items_of_an_sql_result_are_read_back(void **state)
{
    (void)state;
    struct buf b;
    struct result_sql item;
    enum result_kind kind;
    struct error e;
    buf_init(&b, SIZE_MAX);
    put_sql_example(&b);
    struct cursor c = cursor_of(b.data, b.len);

    assert_int_equal(result_decode(&c, &kind, NULL, &e), 0);
    assert_int_equal(kind, RESULT_SQL);
    assert_true(result_next_item(&c, &item));
    assert_int_equal(item.item, RESULT_WRITE);
    assert_int_equal(item.elapsed_ns, 11);
    assert_int_equal(item.last_insert_id, -5);
    assert_int_equal(item.rows_affected, 7);
    assert_true(result_next_item(&c, &item));
    assert_int_equal(item.item, RESULT_STATEMENT_ERROR);
    assert_int_equal(cursor_left(&item.text), 16);
    assert_true(result_next_item(&c, &item));
    assert_int_equal(item.item, RESULT_EMPTY);
    assert_true(result_next_item(&c, &item));
    assert_int_equal(item.item, RESULT_ROWS);
    assert_int_equal(item.elapsed_ns, 14);
    assert_int_equal(item.columns, 2);
    cursor_blob(&item.column);
    struct cursor type = cursor_blob(&item.column);
    assert_memory_equal(type.p, "INTEGER", 7);
    cursor_blob(&item.column);
    cursor_blob(&item.column);
    assert_int_equal(cursor_left(&item.column), 0);
    assert_true(result_next_row(&c));
    assert_int_equal(value_get(&c).integer, 1);
    assert_int_equal(value_get(&c).type, VALUE_NULL);
    assert_false(result_next_row(&c));
    assert_false(result_next_item(&c, &item));
    assert_false(c.bad);
    buf_close(&b);
}

/* Walks everything; true if the bytes follow the format to the end. */
static bool walk(const uint8_t *p, size_t n)
{
    struct cursor c = cursor_of(p, n);
    struct result_sql item;
    enum result_kind kind;
    struct error why, e;

    if (result_decode(&c, &kind, &why, &e)) {
        return false;
    }
    while (kind == RESULT_SQL && result_next_item(&c, &item)) {
        while (item.item == RESULT_ROWS && result_next_row(&c)) {
            for (uint32_t i = 0; i < item.columns; i++) {
                value_get(&c);
            }
        }
    }
    return !c.bad && cursor_left(&c) == 0;
}

static void a_result_that_ends_inside_an_item_is_bad(void **state)
{
    (void)state;
    const size_t ends[] = {2, 2 + 25, 2 + 25 + 13 + 16, 2 + 25 + 13 + 16 + 9};
    struct buf b;
    buf_init(&b, SIZE_MAX);
    put_sql_example(&b);

    for (size_t n = 0; n < b.len; n++) {
        uint8_t *copy = malloc(n ? n : 1);
        bool between = false;
        for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
            between = between || ends[i] == n;
        }
        memcpy(copy, b.data, n);
        assert_int_equal(walk(copy, n), between);
        free(copy);
    }
    assert_true(walk(b.data, b.len));
    buf_close(&b);
}

static void a_changed_byte_never_reads_past_the_end(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, SIZE_MAX);
    put_sql_example(&b);
    uint8_t *copy = malloc(b.len);

    for (size_t at = 0; at < b.len; at++) {
        for (unsigned byte = 0; byte < 256; byte += 5) {
            memcpy(copy, b.data, b.len);
            copy[at] = (uint8_t)byte;
            walk(copy, b.len);
        }
    }
    free(copy);
    buf_close(&b);
}

static void an_error_result_brings_code_and_text(void **state)
{
    (void)state;
    const struct error put = {.code = Q_TOO_BIG, .text = "the result is too large"};
    struct buf b;
    enum result_kind kind;
    struct error why, e;
    buf_init(&b, SIZE_MAX);
    result_put_error(&b, &put);

    struct cursor c = cursor_of(b.data, b.len);
    assert_int_equal(result_decode(&c, &kind, &why, &e), 0);
    assert_int_equal(kind, RESULT_ERROR);
    assert_int_equal(why.code, Q_TOO_BIG);
    assert_string_equal(why.text, "the result is too large");

    for (size_t n = 0; n < b.len; n++) {
        c = cursor_of(b.data, n);
        assert_int_equal(result_decode(&c, &kind, &why, &e), Q_CORRUPT);
    }
    put_le16(b.data + 2, Q_CODES);
    c = cursor_of(b.data, b.len);
    assert_int_equal(result_decode(&c, &kind, &why, &e), Q_MISMATCH);
    buf_close(&b);
}

static void unknown_versions_and_kinds_are_a_mismatch(void **state)
{
    (void)state;
    struct buf b;
    enum result_kind kind = RESULT_SQL;
    struct error why, e;
    buf_init(&b, SIZE_MAX);

    for (unsigned byte = 0; byte < 256; byte++) {
        bool known = byte == 1 || byte == 2 || (byte >= 10 && byte <= 13) || byte == 20 || byte == 21;
        buf_clear(&b);
        result_put_header(&b, RESULT_SQL);
        b.data[0] = (uint8_t)byte;
        struct cursor c = cursor_of(b.data, b.len);
        assert_int_equal(result_decode(&c, &kind, &why, &e), byte == RESULT_VERSION ? 0 : Q_MISMATCH);
        b.data[0] = RESULT_VERSION;
        b.data[1] = (uint8_t)byte;
        c = cursor_of(b.data, b.len);
        if (!known) {
            assert_int_equal(result_decode(&c, &kind, &why, &e), Q_MISMATCH);
        }
    }
    buf_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_items_of_an_sql_result_are_read_back),
        cmocka_unit_test(a_result_that_ends_inside_an_item_is_bad),
        cmocka_unit_test(a_changed_byte_never_reads_past_the_end),
        cmocka_unit_test(an_error_result_brings_code_and_text),
        cmocka_unit_test(unknown_versions_and_kinds_are_a_mismatch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
