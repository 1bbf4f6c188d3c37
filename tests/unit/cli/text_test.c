/* The small codecs: endpoints, percent, base64, and the set of what was seen. */
#include "node/cli/base64.h"
#include "node/cli/endpoints.h"
#include "node/cli/percent.h"
#include "node/cli/seen.h"
#include "tests/unit/test.h"

static void endpoints_are_made_uniform(void **state)
{
    struct endpoints list = {0};
    struct error e;
    (void)state;

    assert_int_equal(endpoints_add(&list, "http://a:1/, b:2 ,http://[::1]:3,c", &e), 0);
    assert_int_equal(endpoints_add(&list, "http://b:2", &e), 0);

    assert_int_equal(list.count, 4);
    assert_string_equal(list.url[0], "http://a:1");
    assert_string_equal(list.url[1], "http://b:2");
    assert_string_equal(list.url[2], "http://[::1]:3");
    assert_string_equal(list.url[3], "http://c");
}

static void what_is_no_endpoint_is_refused(void **state)
{
    static const char *const texts[] = {
        "",          "https://a:1", "http://",     "http://:1",  "http://a:1/path",
        "a:70000",   "a:0",         "a:x",         "http://u@a", "a:1?x",
        "ftp://a",   "http://a:",   "http://a:-1", "[]",         "http://[]:1",
        "a:00000080"};
    (void)state;

    for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct endpoints list = {0};
        struct error e;
        assert_int_equal(endpoints_add(&list, texts[i], &e), Q_INVALID);
        assert_int_equal(list.count, 0);
    }
}

static void an_endpoint_is_host_and_port(void **state)
{
    static const char *const rows[][3] = {{"http://a:1", "a", "1"},
                                          {"http://[::1]:3", "::1", "3"},
                                          {"http://c", "c", "80"},
                                          {"http://[::1]", "::1", "80"}};
    (void)state;

    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char host[ENDPOINT_MAX], port[8];
        endpoint_split(rows[i][0], host, port);
        assert_string_equal(host, rows[i][1]);
        assert_string_equal(port, rows[i][2]);
    }
}

static void all_but_plain_bytes_are_escaped(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b, 1000);

    percent_put(&b, "aZ09-._~ /?%+\0\xff", 15);
    buf_put_u8(&b, 0);

    assert_string_equal((char *)b.data, "aZ09-._~%20%2F%3F%25%2B%00%FF");
    buf_close(&b);
}

static bool decode(const char *text, struct buf *to)
{
    buf_init(to, 100);
    return base64_put_decoded(to, text, strlen(text));
}

static void base64_reads_back(void **state)
{
    static const char *const rows[][2] = {
        {"", ""}, {"YQ==", "a"}, {"YWI=", "ab"}, {"YWJj", "abc"}, {"YWJjZA==", "abcd"}};
    struct buf b;
    (void)state;

    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(decode(rows[i][0], &b));
        assert_int_equal(b.len, strlen(rows[i][1]));
        assert_memory_equal(b.data != NULL ? (char *)b.data : "", rows[i][1], b.len);
        buf_close(&b);
    }
    assert_true(decode("/+8A", &b));
    assert_memory_equal(b.data, "\xff\xef\0", 3);
    buf_close(&b);
}

static void what_is_not_base64_is_refused(void **state)
{
    static const char *const texts[] = {
        "Y", "YQ=", "YQ", "Y===", "====", "YQ==YQ==", "Y-==", "YQ=a", "YWJj\n", "YR==", "YWJ="};
    (void)state;

    for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct buf b;
        assert_false(decode(texts[i], &b));
        buf_close(&b);
    }
}

static void a_key_is_new_once(void **state)
{
    enum { KEYS = 20000 };
    struct seen s = {0};
    struct error e;
    bool is_new;
    (void)state;

    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < KEYS; i++) {
            assert_int_equal(seen_add(&s, &i, sizeof i, &is_new, &e), 0);
            assert_int_equal(is_new, round == 0);
        }
    }
    assert_int_equal(s.count, KEYS);
    seen_close(&s);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(endpoints_are_made_uniform),
        cmocka_unit_test(what_is_no_endpoint_is_refused),
        cmocka_unit_test(an_endpoint_is_host_and_port),
        cmocka_unit_test(all_but_plain_bytes_are_escaped),
        cmocka_unit_test(base64_reads_back),
        cmocka_unit_test(what_is_not_base64_is_refused),
        cmocka_unit_test(a_key_is_new_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
