#include "node/http/result_json.h"

#include <math.h>

#include "tests/unit/test.h"

static struct buf result, out;

static int set_up(void **state)
{
    (void)state;
    buf_init(&result, 1024 * 1024);
    buf_init(&out, 1024 * 1024);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buf_close(&result);
    buf_close(&out);
    return 0;
}

static const struct result_json_options plain, associative = {.associative = true},
                                               timings = {.timings = true}, blob_array = {.blob_array = true};

static const char *render(const struct result_json_options *options)
{
    struct json j;
    struct error e;
    buf_clear(&out);
    js_init(&j, &out, false);
    if (result_json_write(&j, cursor_of(result.data, result.len), options, &e) != 0) {
        return error_name(e.code);
    }
    buf_put_u8(&out, 0);
    return (const char *)out.data;
}

/* Columns as "name type", ended by NULL. */
static size_t begin_rows(uint32_t count, ...)
{
    size_t at = result_put_rows(&result, count);
    va_list args;
    va_start(args, count);
    for (uint32_t i = 0; i < count; i++) {
        const char *name = va_arg(args, const char *), *space = strrchr(name, '|');
        buf_put_blob(&result, name, (size_t)(space - name));
        buf_put_blob(&result, space + 1, strlen(space + 1));
    }
    va_end(args);
    return at;
}

static void row(void)
{
    buf_put_u8(&result, 1);
}

static void end_rows(void)
{
    buf_put_u8(&result, 0);
}

static void integer(int64_t v)
{
    value_put(&result, &(struct value){.type = VALUE_INTEGER, .integer = v});
}

static void real(double v)
{
    value_put(&result, &(struct value){.type = VALUE_REAL, .real = v});
}

static void null(void)
{
    value_put(&result, &(struct value){.type = VALUE_NULL});
}

static void text(const char *s)
{
    value_put(&result, &(struct value){.type = VALUE_TEXT, .bytes = cursor_of(s, strlen(s))});
}

static void blob(const void *p, size_t n)
{
    value_put(&result, &(struct value){.type = VALUE_BLOB, .bytes = cursor_of(p, n)});
}

static void writes_say_only_what_is_not_zero(void **state)
{
    (void)state;
    assert_string_equal(render(&plain), "[]");
    result_put_write(&result, 0, 0, 0);
    result_put_write(&result, 0, 7, 1);
    result_put_write(&result, 0, 0, 3);
    result_put_write(&result, 0, -5, 0);
    assert_string_equal(render(&plain),
                        "[{},{\"last_insert_id\":7,\"rows_affected\":1},{\"rows_affected\":3},"
                        "{\"last_insert_id\":-5}]");
    assert_string_equal(render(&associative),
                        "[{\"rows\":null},{\"last_insert_id\":7,\"rows_affected\":1,\"rows\":null},"
                        "{\"rows_affected\":3,\"rows\":null},{\"last_insert_id\":-5,\"rows\":null}]");
}

static void errors_and_comments(void **state)
{
    (void)state;
    result_put_statement_error(&result, 5, "no such table: \"t\"");
    result_put_empty(&result, 0);
    assert_string_equal(render(&plain), "[{\"error\":\"no such table: \\\"t\\\"\"},{}]");
    assert_string_equal(render(&associative), "[{\"error\":\"no such table: \\\"t\\\"\"},{\"rows\":[]}]");
    assert_string_equal(render(&timings), "[{\"error\":\"no such table: \\\"t\\\"\"},{}]");
}

static void timings_are_seconds(void **state)
{
    (void)state;
    result_put_write(&result, 1500, 0, 0);
    size_t at = begin_rows(1, "a|INT");
    end_rows();
    result_set_elapsed(&result, at, 2000000000);
    assert_string_equal(render(&timings),
                        "[{\"time\":0.0000015},{\"columns\":[\"a\"],\"types\":[\"int\"],\"time\":2}]");
    assert_string_equal(render(&plain), "[{},{\"columns\":[\"a\"],\"types\":[\"int\"]}]");
}

static void a_read_without_rows_has_columns_and_types_but_no_values(void **state)
{
    (void)state;
    begin_rows(3, "id|INTEGER", "name|VARCHAR(20)", "x|");
    end_rows();
    assert_string_equal(
        render(&plain),
        "[{\"columns\":[\"id\",\"name\",\"x\"],\"types\":[\"integer\",\"varchar(20)\",\"\"]}]");
    assert_string_equal(render(&associative),
                        "[{\"types\":{\"id\":\"integer\",\"name\":\"varchar(20)\",\"x\":\"\"},\"rows\":[]}]");
}

static void undeclared_types_are_those_of_the_first_row(void **state)
{
    (void)state;
    begin_rows(5, "i|", "r|", "t|", "n|", "b|");
    row(), integer(1), real(1.5), text("a"), null(), blob("AB", 2);
    row(), blob("AB", 2), blob("AB", 2), blob("AB", 2), blob("AB", 2), integer(9);
    end_rows();
    assert_string_equal(render(&plain),
                        "[{\"columns\":[\"i\",\"r\",\"t\",\"n\",\"b\"],"
                        "\"types\":[\"integer\",\"real\",\"text\",\"\",\"text\"],"
                        "\"values\":[[1,1.5,\"a\",null,\"AB\"],[\"QUI=\",\"QUI=\",\"AB\",\"AB\",9]]}]");
}

static void values_keep_their_exact_value(void **state)
{
    (void)state;
    begin_rows(4, "a|INTEGER", "b|REAL", "c|TEXT", "d|NUMERIC");
    row(), integer(INT64_MAX), real(2.0), text("<\xff>"), null();
    row(), integer(INT64_MIN), real(INFINITY), text(""), integer(9007199254740993);
    end_rows();
    assert_string_equal(
        render(&plain),
        "[{\"columns\":[\"a\",\"b\",\"c\",\"d\"],\"types\":[\"integer\",\"real\",\"text\",\"numeric\"],"
        "\"values\":[[9223372036854775807,2,\"\\u003c\\ufffd\\u003e\",null],"
        "[-9223372036854775808,null,\"\",9007199254740993]]}]");
}

static void booleans_and_times_look_like_what_they_were_declared(void **state)
{
    (void)state;
    begin_rows(5, "b|BOOLEAN", "d|DATE", "dt|DateTime", "ts|TIMESTAMP", "x|DATETIME(6)");
    row(), integer(1), text("2024-01-02"), text("2024-01-02 03:04:05"), integer(1704164645),
        text("2024-01-02");
    row(), integer(0), text("junk"), integer(1704164645123), real(1.5), integer(5);
    row(), text("yes"), null(), blob("AB", 2), null(), null();
    end_rows();
    assert_string_equal(
        render(&plain),
        "[{\"columns\":[\"b\",\"d\",\"dt\",\"ts\",\"x\"],"
        "\"types\":[\"boolean\",\"date\",\"datetime\",\"timestamp\",\"datetime(6)\"],\"values\":["
        "[true,\"2024-01-02T00:00:00Z\",\"2024-01-02T03:04:05Z\",\"2024-01-02T03:04:05Z\",\"2024-01-02\"],"
        "[false,\"0001-01-01T00:00:00Z\",\"2024-01-02T03:04:05.123Z\",1.5,5],"
        "[\"yes\",null,\"QUI=\",null,null]]}]");
}

static void blobs_are_base64_arrays_or_text_by_column_and_flag(void **state)
{
    (void)state;
    begin_rows(6, "a|BLOB", "b|TEXT", "c|JSON", "d|NVARCHAR(9)", "e|clob", "f|native character(3)");
    row(), blob("\x00\xff", 2), blob("b", 1), blob("c", 1), blob("d", 1), blob("e", 1), blob("f", 1);
    row(), blob("", 0), null(), null(), null(), null(), null();
    end_rows();
    assert_non_null(strstr(render(&plain), "\"values\":[[\"AP8=\",\"b\",\"c\",\"d\",\"e\",\"f\"],[\"\","));
    assert_non_null(strstr(render(&blob_array), "\"values\":[[[0,255],\"b\",\"c\",\"d\",\"e\",\"f\"],[[],"));
}

static void associative_rows_are_keyed_in_byte_order_and_the_last_of_a_name_counts(void **state)
{
    (void)state;
    begin_rows(4, "b|TEXT", "a|INTEGER", "b|REAL", "ab|");
    row(), text("first"), integer(1), real(2.5), text("x");
    row(), text("first"), integer(2), null(), null();
    end_rows();
    assert_string_equal(render(&associative),
                        "[{\"types\":{\"a\":\"integer\",\"ab\":\"text\",\"b\":\"real\"},\"rows\":["
                        "{\"a\":1,\"ab\":\"x\",\"b\":2.5},{\"a\":2,\"ab\":null,\"b\":null}]}]");
}

static void several_statements_stand_in_order(void **state)
{
    (void)state;
    result_put_write(&result, 0, 1, 1);
    begin_rows(1, "x|");
    row(), integer(1);
    row(), integer(2);
    end_rows();
    result_put_statement_error(&result, 0, "bad");
    assert_string_equal(render(&plain), "[{\"last_insert_id\":1,\"rows_affected\":1},{\"columns\":[\"x\"],"
                                        "\"types\":[\"integer\"],\"values\":[[1],[2]]},{\"error\":\"bad\"}]");
}

static void bytes_that_break_the_format_are_an_error(void **state)
{
    (void)state;
    begin_rows(2, "a|INTEGER", "b|");
    row(), integer(1), text("abc");
    end_rows();
    size_t whole = result.len;
    for (size_t n = 1; n < whole; n++) {
        result.len = n;
        assert_string_equal(render(&plain), "corrupt");
        assert_string_equal(render(&associative), "corrupt");
    }
    result.len = whole;
    result.data[9] = 0xff; /* a column count far beyond the bytes */
    result.data[12] = 0x7f;
    assert_string_equal(render(&plain), "corrupt");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(writes_say_only_what_is_not_zero),
        TEST(errors_and_comments),
        TEST(timings_are_seconds),
        TEST(a_read_without_rows_has_columns_and_types_but_no_values),
        TEST(undeclared_types_are_those_of_the_first_row),
        TEST(values_keep_their_exact_value),
        TEST(booleans_and_times_look_like_what_they_were_declared),
        TEST(blobs_are_base64_arrays_or_text_by_column_and_flag),
        TEST(associative_rows_are_keyed_in_byte_order_and_the_last_of_a_name_counts),
        TEST(several_statements_stand_in_order),
        TEST(bytes_that_break_the_format_are_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
