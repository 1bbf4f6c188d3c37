#include "node/http/json.h"

#include <math.h>

#include "node/http/timestamp.h"
#include "tests/unit/test.h"

static struct buf out;

static const char *text_of(void)
{
    buf_put_u8(&out, 0);
    assert_int_equal(out.failed, Q_OK);
    return (const char *)out.data;
}

static const char *real(double v)
{
    struct json j;
    buf_clear(&out);
    js_init(&j, &out, false);
    js_real(&j, v);
    return text_of();
}

static const char *text(const void *p, size_t n)
{
    struct json j;
    buf_clear(&out);
    js_init(&j, &out, false);
    js_text(&j, p, n);
    return text_of();
}

static void reals_look_as_go_writes_them(void **state)
{
    static const struct {
        double v;
        const char *expected;
    } cases[] = {
        {0, "0"},
        {-0.0, "-0"},
        {2, "2"},
        {-17, "-17"},
        {0.1, "0.1"},
        {0.5, "0.5"},
        {1.5, "1.5"},
        {-123.456, "-123.456"},
        {1.0 / 3, "0.3333333333333333"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1e-6, "0.000001"},
        {1.25e-5, "0.0000125"},
        {1e-7, "1e-7"},
        {1.5e-7, "1.5e-7"},
        {1e-10, "1e-10"},
        {1.2345678901234568e17, "123456789012345680"},
        {1e15, "1000000000000000"},
        {1e16, "10000000000000000"},
        {1e20, "100000000000000000000"},
        {1e21, "1e+21"},
        {-1.5e300, "-1.5e+300"},
        {9007199254740993.0, "9007199254740992"},
        {9223372036854775808.0, "9223372036854776000"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {5e-324, "5e-324"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {INFINITY, "null"},
        {-INFINITY, "null"},
        {NAN, "null"},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_string_equal(real(cases[i].v), cases[i].expected);
    }
}

static void every_real_reads_back_the_same(void **state)
{
    uint64_t bits = 12345;
    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        double v;
        bits = bits * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        memcpy(&v, &bits, sizeof v);
        if (isfinite(v)) {
            assert_true(strtod(real(v), NULL) == v);
        }
    }
}

static void text_is_escaped_and_repaired(void **state)
{
    static const struct {
        const char *from;
        size_t n;
        const char *expected;
    } cases[] = {
        {"", 0, "\"\""},
        {"plain", 5, "\"plain\""},
        {"a\"b\\c", 5, "\"a\\\"b\\\\c\""},
        {"\n\r\t\b\x1f", 5, "\"\\n\\r\\t\\u0008\\u001f\""},
        {"a\0b", 3, "\"a\\u0000b\""},
        {"<a>&", 4, "\"\\u003ca\\u003e\\u0026\""},
        {"\x7f", 1, "\"\x7f\""},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {"\xe2\x80\xa8\xe2\x80\xa9", 6, "\"\\u2028\\u2029\""},
        {"\xff", 1, "\"\\ufffd\""},
        {"a\xc3", 2, "\"a\\ufffd\""},
        {"\xc0\x80", 2, "\"\\ufffd\\ufffd\""},                         /* overlong */
        {"\xed\xa0\x80", 3, "\"\\ufffd\\ufffd\\ufffd\""},              /* a surrogate */
        {"\xf4\x90\x80\x80z", 5, "\"\\ufffd\\ufffd\\ufffd\\ufffdz\""}, /* beyond U+10FFFF */
        {"\xe2\x82"
         "a",
         3, "\"\\ufffd\\ufffda\""},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_string_equal(text(cases[i].from, cases[i].n), cases[i].expected);
    }
}

static void write_document(struct json *j)
{
    js_begin_object(j);
    js_key(j, "a");
    js_begin_array(j);
    js_integer(j, INT64_MIN);
    js_unsigned(j, UINT64_MAX);
    js_null(j);
    js_bool(j, true);
    js_end_array(j);
    js_key(j, "empty");
    js_begin_object(j);
    js_end_object(j);
    js_key(j, "none");
    js_begin_array(j);
    js_end_array(j);
    js_key(j, "z");
    js_string(j, "y");
    js_end_object(j);
}

static void documents_are_compact_or_indented(void **state)
{
    struct json j;
    (void)state;
    buf_clear(&out);
    js_init(&j, &out, false);
    write_document(&j);
    assert_string_equal(text_of(),
                        "{\"a\":[-9223372036854775808,18446744073709551615,null,true],\"empty\":{},"
                        "\"none\":[],\"z\":\"y\"}");
    buf_clear(&out);
    js_init(&j, &out, true);
    write_document(&j);
    assert_string_equal(text_of(),
                        "{\n    \"a\": [\n        -9223372036854775808,\n        18446744073709551615,\n"
                        "        null,\n        true\n    ],\n    \"empty\": {},\n    \"none\": [],\n"
                        "    \"z\": \"y\"\n}");
}

static void base64_goes_both_ways(void **state)
{
    static const struct {
        const char *plain, *encoded;
    } cases[] = {{"", ""},
                 {"f", "Zg=="},
                 {"fo", "Zm8="},
                 {"foo", "Zm9v"},
                 {"foob", "Zm9vYg=="},
                 {"\xff\xfe\xfb", "//77"},
                 {"fooba", "Zm9vYmE="}};
    static const char *const bad[] = {
        "Zg", "Zg=", "Zg==Zg==", "Z===", "Zh==", "Zm9=", "Zg=a", "Zm\n9", "****"};
    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct json j;
        uint8_t back[16];
        char quoted[40];
        size_t n = 0;
        buf_clear(&out);
        js_init(&j, &out, false);
        js_base64(&j, cases[i].plain, strlen(cases[i].plain));
        snprintf(quoted, sizeof quoted, "\"%s\"", cases[i].encoded);
        assert_string_equal(text_of(), quoted);
        assert_true(js_base64_decode(cases[i].encoded, strlen(cases[i].encoded), back, &n));
        assert_int_equal(n, strlen(cases[i].plain));
        assert_memory_equal(back, cases[i].plain, n);
    }
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t back[16];
        size_t n;
        assert_false(js_base64_decode(bad[i], strlen(bad[i]), back, &n));
    }
}

static void a_full_buffer_fails_once_and_for_all(void **state)
{
    struct buf small;
    struct json j;
    (void)state;
    buf_init(&small, 10);
    js_init(&j, &small, false);
    js_begin_array(&j);
    for (unsigned i = 0; i < 100; i++) {
        js_string(&j, "some text");
        js_base64(&j, "some bytes", 10);
    }
    js_end_array(&j);
    assert_int_equal(small.failed, Q_TOO_BIG);
    assert_true(small.len <= 10);
    buf_close(&small);
}

static void timestamps_of_text_follow_the_nine_formats(void **state)
{
    static const struct {
        const char *from, *expected;
    } cases[] = {
        {"2024-01-02 03:04:05", "2024-01-02T03:04:05Z"},
        {"2024-01-02T03:04:05", "2024-01-02T03:04:05Z"},
        {"2024-01-02T03:04:05Z", "2024-01-02T03:04:05Z"},
        {"2024-01-02 03:04", "2024-01-02T03:04:00Z"},
        {"2024-01-02T03:04", "2024-01-02T03:04:00Z"},
        {"2024-01-02", "2024-01-02T00:00:00Z"},
        {"2024-01-02Z", "2024-01-02T00:00:00Z"},
        {"2024-01-02 03:04:05.120", "2024-01-02T03:04:05.12Z"},
        {"2024-01-02T03:04:05.123456789", "2024-01-02T03:04:05.123456789Z"},
        {"2024-01-02T03:04:05.1234567899", "2024-01-02T03:04:05.123456789Z"},
        {"2024-01-02 03:04:05.000+02:00", "2024-01-02T03:04:05+02:00"},
        {"2024-01-02 03:04:05-07:30", "2024-01-02T03:04:05-07:30"},
        {"2024-01-02T03:04:05+00:00", "2024-01-02T03:04:05Z"},
        {"2024-02-29", "2024-02-29T00:00:00Z"},
        {"2023-02-29", "0001-01-01T00:00:00Z"},
        {"2000-02-29", "2000-02-29T00:00:00Z"},
        {"1900-02-29", "0001-01-01T00:00:00Z"},
        {"2024-13-01", "0001-01-01T00:00:00Z"},
        {"2024-00-01", "0001-01-01T00:00:00Z"},
        {"2024-01-00", "0001-01-01T00:00:00Z"},
        {"2024-01-02 25:00", "0001-01-01T00:00:00Z"},
        {"2024-01-02 3:04", "2024-01-02T03:04:00Z"},
        {"2024-01-02 03:04:05.", "0001-01-01T00:00:00Z"},
        {"2024-01-02 03:04:05 ", "0001-01-01T00:00:00Z"},
        {"2024-01-02 03:04+02:00", "0001-01-01T00:00:00Z"},
        {"2024-1-2", "0001-01-01T00:00:00Z"},
        {"now", "0001-01-01T00:00:00Z"},
        {"", "0001-01-01T00:00:00Z"},
        {"Z", "0001-01-01T00:00:00Z"},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char to[TIMESTAMP_MAX];
        timestamp_of_text(cases[i].from, strlen(cases[i].from), to);
        assert_string_equal(to, cases[i].expected);
    }
}

static void timestamps_of_integers_are_seconds_or_milliseconds(void **state)
{
    static const struct {
        int64_t from;
        const char *expected;
    } cases[] = {
        {0, "1970-01-01T00:00:00Z"},
        {-1, "1969-12-31T23:59:59Z"},
        {1704164645, "2024-01-02T03:04:05Z"},
        {1709164800, "2024-02-29T00:00:00Z"},
        {1704164645123, "2024-01-02T03:04:05.123Z"},
        {-1704164645500, "1915-12-31T20:55:54.5Z"},
        {INT64_C(1000000000000), "33658-09-27T01:46:40Z"},
        {-62135596800, "0001-01-01T00:00:00Z"},
    };
    char to[TIMESTAMP_MAX];
    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        timestamp_of_integer(cases[i].from, to);
        assert_string_equal(to, cases[i].expected);
    }
    timestamp_of_integer(INT64_MAX, to);
    timestamp_of_integer(INT64_MIN, to);
}

static int close_out(void **state)
{
    (void)state;
    buf_close(&out);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reals_look_as_go_writes_them),
        cmocka_unit_test(every_real_reads_back_the_same),
        cmocka_unit_test(text_is_escaped_and_repaired),
        cmocka_unit_test(documents_are_compact_or_indented),
        cmocka_unit_test(base64_goes_both_ways),
        cmocka_unit_test(a_full_buffer_fails_once_and_for_all),
        cmocka_unit_test(timestamps_of_text_follow_the_nine_formats),
        cmocka_unit_test(timestamps_of_integers_are_seconds_or_milliseconds),
    };
    buf_init(&out, 1024 * 1024);
    return cmocka_run_group_tests(tests, NULL, close_out);
}
