#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "node/env/address.h"

static void an_address_is_split_into_host_and_port(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host;
        uint16_t port;
    } rows[] = {
        {"127.0.0.1:4001", "127.0.0.1", 4001},
        {"db1.example:0", "db1.example", 0},
        {"h:65535", "h", 65535},
        {"[::1]:80", "::1", 80},
        {"[fe80::1%eth0]:80", "fe80::1%eth0", 80},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct address a;
        struct error e;
        assert_int_equal(address_parse(rows[i].text, &a, &e), 0);
        assert_string_equal(a.host, rows[i].host);
        assert_int_equal(a.port, rows[i].port);
    }
}

static void anything_else_is_refused_and_leaves_the_result_alone(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",        ":",       "host",    ":80",       "host:",   "host:x",
        "host:-1", "host:+1", "h:65536", "h:80 ",     "h: 80",   "h:99999999999999999999",
        "::1:80",  "::1",     "[::1]",   "[::1]80",   "[::1]:",  "[]:80",
        "[::1:80", "h o:80",  "h\n:80",  "[host]:80", "h:80:81", "http://h:80"};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct address a = {.port = 7};
        struct error e;
        assert_int_equal(address_parse(rows[i], &a, &e), Q_INVALID);
        assert_int_equal(a.port, 7);
        assert_true(strlen(e.text) > 10);
    }
}

static void a_host_over_the_limit_is_too_big(void **state)
{
    (void)state;
    char text[ADDRESS_HOST_MAX + 20];
    struct address a;
    struct error e;

    memset(text, 'h', sizeof text);
    memcpy(text + ADDRESS_HOST_MAX, ":80", 4);
    assert_int_equal(address_parse(text, &a, &e), 0);

    text[ADDRESS_HOST_MAX] = 'h';
    memcpy(text + ADDRESS_HOST_MAX + 1, ":80", 4);
    assert_int_equal(address_parse(text, &a, &e), Q_TOO_BIG);
}

static void numbers_are_told_from_names(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int family; /* 0: a name */
    } rows[] = {{"127.0.0.1:1", AF_INET}, {"[::1]:1", AF_INET6}, {"localhost:1", 0}, {"1.2.3:1", 0}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct address a;
        struct sockaddr_storage s;
        assert_int_equal(address_parse(rows[i].text, &a, NULL), 0);
        assert_int_equal(address_numeric(&a, &s), rows[i].family != 0);
        if (rows[i].family != 0) {
            assert_int_equal(s.ss_family, rows[i].family);
        }
    }
}

static void a_printed_address_parses_to_itself(void **state)
{
    (void)state;
    static const char *const rows[] = {"127.0.0.1:4001", "[::1]:80", "[2001:db8::7]:65535"};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct address a;
        struct sockaddr_storage s;
        char text[ADDRESS_TEXT_MAX], small[4];
        assert_int_equal(address_parse(rows[i], &a, NULL), 0);
        assert_true(address_numeric(&a, &s));
        address_print((struct sockaddr *)&s, text, sizeof text);
        assert_string_equal(text, rows[i]);
        address_print((struct sockaddr *)&s, small, sizeof small);
        assert_int_equal(strlen(small), 3);
    }
}

static void an_address_to_listen_on_everywhere_is_not_one_to_dial(void **state)
{
    (void)state;
    static const struct {
        const char *text, *refused; /* NULL: can be dialled */
    } rows[] = {{"10.0.0.1:7001", NULL},
                {"db1.example:7001", NULL},
                {"[::1]:7001", NULL},
                {"0.0.0.1:7001", NULL},
                {"0.0.0.0:7001", "address \"0.0.0.0:7001\" is one to listen on"},
                {"[::]:7001", "is one to listen on"},
                {"[0:0:0:0:0:0:0:0]:7001", "is one to listen on"},
                {"10.0.0.1:0", "has no port from 1 to 65535"},
                {"10.0.0.1", "is not of the form"}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct error e = {.text = ""};
        assert_int_equal(address_dialable(rows[i].text, &e), rows[i].refused != NULL ? Q_INVALID : 0);
        assert_non_null(strstr(e.text, rows[i].refused != NULL ? rows[i].refused : ""));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_split_into_host_and_port),
        cmocka_unit_test(anything_else_is_refused_and_leaves_the_result_alone),
        cmocka_unit_test(a_host_over_the_limit_is_too_big),
        cmocka_unit_test(numbers_are_told_from_names),
        cmocka_unit_test(an_address_to_listen_on_everywhere_is_not_one_to_dial),
        cmocka_unit_test(a_printed_address_parses_to_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
