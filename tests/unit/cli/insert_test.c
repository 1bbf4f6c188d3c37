#include "node/cli/insert.h"

#include <jansson.h>

#include "tests/unit/test.h"

static const char *const ab[] = {"a", "b"};

static struct insert_value text_of(const char *text, size_t n)
{
    return (struct insert_value){.type = INSERT_TEXT, .text = text, .len = n};
}

static struct insert_value integer_of(int64_t v)
{
    return (struct insert_value){.type = INSERT_INTEGER, .integer = v};
}

static void assert_body(struct insert *in, const char *wanted)
{
    struct buf body;
    struct error e;
    buf_init(&body, 100000);
    assert_int_equal(insert_finish(in, &body, &e), 0);
    buf_put_u8(&body, 0);
    assert_string_equal((char *)body.data, wanted);
    buf_close(&body);
}

static void rows_become_one_statement(void **state)
{
    struct insert in;
    (void)state;
    insert_init(&in);
    insert_begin(&in, "t", ab, 2);

    insert_add(&in, (struct insert_value[]){text_of("x", 1), integer_of(-5)});
    insert_add(&in, (struct insert_value[]){{.type = INSERT_NULL}, {.type = INSERT_REAL, .real = 1}});

    assert_int_equal(in.count, 2);
    assert_body(
        &in,
        "[[\"INSERT OR REPLACE INTO \\\"t\\\"(\\\"a\\\",\\\"b\\\") VALUES (?,?),(?,?)\",\"x\",-5,null,1.0]]");
    assert_int_equal(in.count, 0);
    insert_close(&in);
}

static void the_next_statement_begins_without_the_last_ones_rows(void **state)
{
    struct insert in;
    (void)state;
    insert_init(&in);
    insert_begin(&in, "t", ab, 1);
    insert_add(&in, (struct insert_value[]){integer_of(1)});
    assert_body(&in, "[[\"INSERT OR REPLACE INTO \\\"t\\\"(\\\"a\\\") VALUES (?)\",1]]");

    insert_add(&in, (struct insert_value[]){integer_of(2)});

    assert_body(&in, "[[\"INSERT OR REPLACE INTO \\\"t\\\"(\\\"a\\\") VALUES (?)\",2]]");
    insert_close(&in);
}

static void names_are_quoted(void **state)
{
    static const char *const odd[] = {"a\"b", "\xc3\xa4;\n"};
    struct insert in;
    (void)state;
    insert_init(&in);

    insert_begin(&in, "t\\", odd, 2);
    insert_add(&in, (struct insert_value[]){integer_of(1), integer_of(2)});

    assert_body(&in, "[[\"INSERT OR REPLACE INTO \\\"t\\\\\\\"(\\\"a\\\"\\\"b\\\",\\\"\xc3\xa4;\\n\\\") "
                     "VALUES (?,?)\",1,2]]");
    insert_close(&in);
}

static void texts_keep_every_byte(void **state)
{
    static const char text[] = "q\"\\\n\x01\x7f\xc3\xa4\0z";
    struct insert in;
    struct buf body;
    struct error e;
    json_t *root, *value;
    (void)state;
    insert_init(&in);
    insert_begin(&in, "t", ab, 1);
    insert_add(&in, (struct insert_value[]){text_of(text, sizeof text - 1)});
    buf_init(&body, 1000);

    assert_int_equal(insert_finish(&in, &body, &e), 0);

    root = json_loadb((char *)body.data, body.len, JSON_ALLOW_NUL, NULL);
    value = json_array_get(json_array_get(root, 0), 1);
    assert_int_equal(json_string_length(value), sizeof text - 1);
    assert_memory_equal(json_string_value(value), text, sizeof text - 1);
    json_decref(root);
    buf_close(&body);
    insert_close(&in);
}

static void what_has_no_form_as_text_goes_as_bytes(void **state)
{
    struct insert in;
    (void)state;
    insert_init(&in);
    insert_begin(&in, "t", ab, 2);

    insert_add(&in, (struct insert_value[]){text_of("\xff"
                                                    "a",
                                                    2),
                                            text_of("b", 1)});
    insert_add(&in, (struct insert_value[]){text_of(" x'41'\n", 7), text_of("X''", 3)});

    assert_body(&in,
                "[[\"INSERT OR REPLACE INTO \\\"t\\\"(\\\"a\\\",\\\"b\\\") VALUES (CAST(? AS TEXT),?),"
                "(CAST(? AS TEXT),CAST(? AS TEXT))\",[255,97],\"b\",[32,120,39,52,49,39,10],[88,39,39]]]");
    insert_close(&in);
}

static void a_statement_is_full_by_rows_bytes_or_parameters(void **state)
{
    static const char *many[1000];
    struct insert_value values[1000];
    struct insert in;
    (void)state;
    insert_init(&in);
    insert_begin(&in, "t", ab, 1);
    assert_false(insert_is_full(&in, 1, 0));
    insert_add(&in, (struct insert_value[]){text_of("12345678", 8)});
    assert_false(insert_is_full(&in, 2, 100));
    assert_true(insert_is_full(&in, 1, 100));
    assert_true(insert_is_full(&in, 2, 5));

    for (unsigned i = 0; i < 1000; i++) {
        many[i] = "a";
        values[i] = integer_of(1);
    }
    insert_begin(&in, "t", many, 1000);
    for (unsigned i = 0; i < 31; i++) {
        insert_add(&in, values);
        assert_false(insert_is_full(&in, 1000, 1000000));
    }
    insert_add(&in, values);
    assert_true(insert_is_full(&in, 1000, 1000000));
    insert_close(&in);
}

static void numbers_that_json_does_not_know_become_null(void **state)
{
    struct insert in;
    (void)state;
    insert_init(&in);
    insert_begin(&in, "t", ab, 2);

    insert_add(&in, (struct insert_value[]){{.type = INSERT_REAL, .real = 1.0 / 0.0},
                                            {.type = INSERT_REAL, .real = 1e300}});

    assert_body(&in, "[[\"INSERT OR REPLACE INTO \\\"t\\\"(\\\"a\\\",\\\"b\\\") VALUES "
                     "(?,?)\",null,1.0000000000000001e+300]]");
    insert_close(&in);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_become_one_statement),
        cmocka_unit_test(the_next_statement_begins_without_the_last_ones_rows),
        cmocka_unit_test(names_are_quoted),
        cmocka_unit_test(texts_keep_every_byte),
        cmocka_unit_test(what_has_no_form_as_text_goes_as_bytes),
        cmocka_unit_test(a_statement_is_full_by_rows_bytes_or_parameters),
        cmocka_unit_test(numbers_that_json_does_not_know_become_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
