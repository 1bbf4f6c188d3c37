#include "node/http/sql_json.h"

#include "tests/unit/test.h"

/* What a body becomes: SQL(parameters) SQL(parameters) ..., or CODE: text. */
static const char *parse_bytes(const void *body, size_t n)
{
    static char shown[4096];
    struct command command;
    struct cursor statement;
    struct buf b, text;
    struct error e = {.code = Q_OK};
    uint32_t statements = 99;

    buf_init(&b, 16 * 1024 * 1024);
    buf_init(&text, sizeof shown - 1);
    if (sql_json_parse(body, n, COMMAND_SQL_EXECUTE, 0, &b, &statements, &e) != 0) {
        buf_printf(&text, "%s: %s", error_name(e.code), e.text);
    } else if (statements == 0) {
        assert_int_equal(b.len, 0);
        buf_printf(&text, "nothing");
    } else {
        assert_int_equal(command_decode(b.data, b.len, &command, &e), 0);
        assert_int_equal(command.statements, statements);
        statement = command.statement;
        for (uint32_t i = 0; i < statements; i++) {
            struct command_sql sql = command_statement(&statement);
            buf_printf(&text, "%s%.*s(", i > 0 ? " " : "", (int)cursor_left(&sql.sql),
                       (const char *)sql.sql.p);
            for (uint32_t k = 0; k < sql.parameters; k++) {
                struct cursor name;
                struct value v = command_parameter(&sql.parameter, &name);
                buf_printf(&text, "%s", k > 0 ? "," : "");
                if (cursor_left(&name) > 0) {
                    buf_printf(&text, "%.*s=", (int)cursor_left(&name), (const char *)name.p);
                }
                switch (v.type) {
                case VALUE_NULL: buf_printf(&text, "NULL"); break;
                case VALUE_INTEGER: buf_printf(&text, "%lld", (long long)v.integer); break;
                case VALUE_REAL: buf_printf(&text, "%.17gR", v.real); break;
                case VALUE_TEXT:
                    buf_printf(&text, "'");
                    for (const uint8_t *p = v.bytes.p; p < v.bytes.end; p++) {
                        buf_printf(&text, *p != 0 ? "%c" : "<0>", *p);
                    }
                    buf_printf(&text, "'");
                    break;
                case VALUE_BLOB:
                    buf_printf(&text, "x");
                    for (const uint8_t *p = v.bytes.p; p < v.bytes.end; p++) {
                        buf_printf(&text, "%02x", *p);
                    }
                    break;
                }
            }
            buf_printf(&text, ")");
        }
    }
    assert_int_equal(text.failed, Q_OK);
    memcpy(shown, text.data, text.len);
    shown[text.len] = '\0';
    buf_close(&text);
    buf_close(&b);
    return shown;
}

static const char *parse(const char *body)
{
    return parse_bytes(body, strlen(body));
}

struct row {
    const char *body, *expected;
};

static void check(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *shown = parse(rows[i].body);
        if (strcmp(shown, rows[i].expected) != 0) {
            fail_msg("%s gives %s, not %s", rows[i].body, shown, rows[i].expected);
        }
    }
}

#define CHECK(rows) check(rows, sizeof rows / sizeof rows[0])

static void statements_are_strings_or_arrays(void **state)
{
    static const struct row rows[] = {
        {"[\"SELECT 1\"]", "SELECT 1()"},
        {"[\"a\",\"b\"]", "a() b()"},
        {"[[\"a\"]]", "a()"},
        {"[\"a\",[\"b\",1],\"c\"]", "a() b(1) c()"},
        {" \n[ \"a\" ]\t", "a()"},
        {"[\"\"]", "nothing"},
        {"[\"\",\"a\",[\"\",1]]", "a()"},
        {"[\"a\"] and then some \"", "a()"},
        {"[\"a\"]]", "a()"},
        {"[\"a\"]\xff", "a()"},
        {"[\"\\u00e9\\\"]\"]", "\xc3\xa9\"]()"},
    };
    (void)state;
    CHECK(rows);
}

static void other_bodies_get_the_words_that_clients_know(void **state)
{
    static const struct row rows[] = {
        {"", "invalid: invalid JSON body"},
        {"[", "invalid: invalid JSON body"},
        {"[\"a\"", "invalid: invalid JSON body"},
        {"[\"a\",]", "invalid: invalid JSON body"},
        {"[\"a", "invalid: invalid JSON body"},
        {"[\"a\\", "invalid: invalid JSON body"},
        {"SELECT 1", "invalid: invalid JSON body"},
        {"[\"\xff\"]", "invalid: invalid JSON body"},
        {"[[\"a\",{\"x\":1,\"x\":2}]]", "invalid: invalid JSON body"},
        {"[[\"a\",1e999]]", "invalid: invalid JSON body"},
        {"[[\"a\",-]]", "invalid: invalid JSON body"},
        {"[[\"a\",01]]", "invalid: invalid JSON body"},
        {"[]", "not_found: no statements"},
        {"{}", "invalid: invalid request"},
        {"{\"a\":[]}", "invalid: invalid request"},
        {"\"SELECT 1\"", "invalid: invalid request"},
        {"1", "invalid: invalid request"},
        {"null", "invalid: invalid request"},
        {"[[]]", "invalid: invalid request"},
        {"[1]", "invalid: invalid request"},
        {"[[1]]", "invalid: invalid request"},
        {"[null]", "invalid: invalid request"},
        {"[\"a\",{}]", "invalid: invalid request"},
        {"[[[\"a\"]]]", "invalid: invalid request"},
    };
    (void)state;
    CHECK(rows);
}

static void parameters_bind_by_their_json_type(void **state)
{
    static const struct row rows[] = {
        {"[[\"a\",0,-1,42]]", "a(0,-1,42)"},
        {"[[\"a\",9223372036854775807,-9223372036854775808]]", "a(9223372036854775807,-9223372036854775808)"},
        {"[[\"a\",9223372036854775808]]", "a(9.2233720368547758e+18R)"},
        {"[[\"a\",-9223372036854775809]]", "a(-9.2233720368547758e+18R)"},
        {"[[\"a\",123456789012345678901234567890,7]]", "a(1.2345678901234568e+29R,7)"},
        {"[\"a\\\"99999999999999999999\"]", "a\"99999999999999999999()"},
        {"[[\"99999999999999999999\",\"99999999999999999999\"]]",
         "99999999999999999999('99999999999999999999')"},
        {"[[\"a\",1.0,1e2,0.1,99999999999999999999.5]]", "a(1R,100R,0.10000000000000001R,1e+20R)"},
        {"[[\"a\",true,false,null]]", "a(1,0,NULL)"},
        {"[[\"a\",\"text\",\"\",\"a\\u0000b\"]]", "a('text','','a<0>b')"},
        {"[[\"a\",\"x'4142'\",\"X'ff'\",\" x'00' \",\"x''\"]]", "a(x4142,xff,x00,x)"},
        {"[[\"a\",\"x'4'\",\"x'zz'\",\"x'41\",\"y'41'\",\"x'41'x\"]]",
         "a('x'4'','x'zz'','x'41','y'41'','x'41'x')"},
        {"[[\"a\",[],[0],[1,255]]]", "a(x,x00,x01ff)"},
        {"[[\"a\",{\"k\":1,\"l\":\"v\"}]]", "a(k=1,l='v')"},
        {"[[\"a\",1,{\"k\":2},{\"l\":[3]},4]]", "a(1,k=2,l=x03,4)"},
        {"[[\"a\",{}]]", "a()"},
    };
    (void)state;
    CHECK(rows);
}

static void unsupported_parameters_are_named(void **state)
{
    static const struct row rows[] = {
        {"[[\"a\",{\"k\":{}}]]", "invalid: unsupported type map[string]interface {}"},
        {"[[\"a\",[\"b\"]]]", "invalid: unsupported type string"},
        {"[[\"a\",[1,256]]]", "invalid: unsupported type json.Number"},
        {"[[\"a\",[-1]]]", "invalid: unsupported type json.Number"},
        {"[[\"a\",[1.5]]]", "invalid: unsupported type json.Number"},
        {"[[\"a\",[[1]]]]", "invalid: unsupported type []interface {}"},
        {"[[\"a\",[true]]]", "invalid: unsupported type bool"},
        {"[[\"a\",[null]]]", "invalid: unsupported type <nil>"},
    };
    (void)state;
    CHECK(rows);
}

static char *repeat(const char *head, const char *piece, size_t times, const char *tail)
{
    size_t n = strlen(piece);
    char *text = malloc(strlen(head) + times * n + strlen(tail) + 1), *at = text;
    memcpy(at, head, strlen(head));
    at += strlen(head);
    for (size_t i = 0; i < times; i++, at += n) {
        memcpy(at, piece, n);
    }
    memcpy(at, tail, strlen(tail) + 1);
    return text;
}

static void counts_have_limits(void **state)
{
    char *text = repeat("[", "\"a\",", COMMAND_STATEMENTS_MAX, "\"a\"]");
    (void)state;
    assert_string_equal(parse(text), "too_big: the request has more than 100000 statements");
    free(text);
    text = repeat("[[\"a\"", ",1", COMMAND_PARAMETERS_MAX + 1, "]]");
    assert_string_equal(parse(text), "too_big: a statement has more than 32766 parameters");
    free(text);
    text = repeat("[[\"a\",[1", ",1", SQL_JSON_VALUES_MAX, "]]]");
    assert_string_equal(parse(text), "too_big: the body holds more than 2000000 values");
    free(text);
    text = repeat("[\"a\"]", ",1", SQL_JSON_VALUES_MAX, "");
    assert_string_equal(parse(text), "a()"); /* what is ignored does not count */
    free(text);
    text = repeat("", "[", 100000, "");
    assert_string_equal(parse(text), "invalid: invalid JSON body");
    free(text);
}

static void a_command_over_its_limit_is_too_big(void **state)
{
    struct error e;
    struct buf b;
    uint32_t statements;
    char *text = repeat("[\"", "a", 5000, "\"]");
    (void)state;
    buf_init(&b, 1000);
    assert_int_equal(sql_json_parse(text, strlen(text), COMMAND_SQL_EXECUTE, 0, &b, &statements, &e),
                     Q_TOO_BIG);
    buf_close(&b);
    free(text);
}

static void no_bytes_break_the_parser(void **state)
{
    static const char alphabet[] = "[]{}\",:\\ux'0123456789.eE+-atrufalsn \0\xff\xc3";
    uint64_t bits = 7;
    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        char body[40];
        size_t n = i % sizeof body;
        for (size_t k = 0; k < n; k++) {
            bits = bits * UINT64_C(6364136223846793005) + 1;
            body[k] = alphabet[(bits >> 33) % (sizeof alphabet - 1)];
        }
        if (n > 2) {
            memcpy(body, "[[\"", 3);
        }
        /* On the heap, so that reading past the end is seen. */
        char *exact = malloc(n + (n == 0));
        memcpy(exact, body, n);
        assert_non_null(parse_bytes(exact, n));
        free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statements_are_strings_or_arrays),
        cmocka_unit_test(other_bodies_get_the_words_that_clients_know),
        cmocka_unit_test(parameters_bind_by_their_json_type),
        cmocka_unit_test(unsupported_parameters_are_named),
        cmocka_unit_test(counts_have_limits),
        cmocka_unit_test(a_command_over_its_limit_is_too_big),
        cmocka_unit_test(no_bytes_break_the_parser),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
