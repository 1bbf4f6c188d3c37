#include "node/cli/sql_result.h"
#include "node/cli/table.h"
#include "tests/unit/test.h"

/* What a function prints. */
struct paper {
    char *text;
    size_t n;
    FILE *file;
};

static FILE *open_paper(struct paper *p)
{
    p->file = open_memstream(&p->text, &p->n);
    assert_non_null(p->file);
    return p->file;
}

static void assert_paper(struct paper *p, const char *wanted)
{
    fclose(p->file);
    assert_string_equal(p->text, wanted);
    free(p->text);
}

static void columns_are_as_wide_as_their_widest_cell(void **state)
{
    struct table t;
    struct paper p;
    struct error e;
    (void)state;
    table_init(&t, 2);
    table_align_right(&t, 1);
    table_add(&t, "name");
    table_add(&t, "n");
    table_add(&t, "a");
    table_addf(&t, "%d", 1000);
    table_add(&t, "longer");
    table_add(&t, "2");

    assert_int_equal(table_print(&t, open_paper(&p), &e), 0);

    assert_paper(&p, "name       n\n"
                     "------  ----\n"
                     "a       1000\n"
                     "longer     2\n");
    table_close(&t);
}

static void width_is_counted_in_characters(void **state)
{
    struct table t;
    struct paper p;
    struct error e;
    (void)state;
    table_init(&t, 2);
    for (unsigned i = 0; i < 2; i++) {
        table_add(&t, "\xc3\xa4\xc3\xb6");
        table_add(&t, "x");
    }

    assert_int_equal(table_print(&t, open_paper(&p), &e), 0);

    assert_paper(&p, "\xc3\xa4\xc3\xb6  x\n--  -\n\xc3\xa4\xc3\xb6  x\n");
    table_close(&t);
}

static void control_characters_cannot_reach_the_terminal(void **state)
{
    struct table t;
    struct paper p;
    struct error e;
    (void)state;
    table_init(&t, 1);
    table_add_bytes(&t, "a\nb\tc\033[2J\0d\x7f", 12);

    assert_int_equal(table_print(&t, open_paper(&p), &e), 0);

    assert_paper(&p, "a\\nb\\tc\\x1b[2J\\x00d\\x7f\n-----------------------\n");
    table_close(&t);
}

static int print_result(const char *json, struct paper *p, struct error *e)
{
    struct buf body;
    int rv;
    buf_init(&body, 10000);
    buf_printf(&body, "%s", json);
    rv = sql_result_print(&body, false, open_paper(p), e);
    buf_close(&body);
    return rv;
}

static void rows_become_a_table_and_numbers_stand_right(void **state)
{
    struct paper p;
    struct error e;
    (void)state;

    assert_int_equal(
        print_result("{\"results\":[{\"columns\":[\"id\",\"v\"],\"types\":[\"integer\",\"real\"],\"values\":"
                     "[[9223372036854775807,0.1],[1,null]]}]}",
                     &p, &e),
        0);

    assert_paper(&p, "                 id     v\n"
                     "-------------------  ----\n"
                     "9223372036854775807   0.1\n"
                     "                  1  NULL\n");
}

static void a_result_without_rows_shows_its_columns(void **state)
{
    struct paper p;
    struct error e;
    (void)state;

    assert_int_equal(print_result("{\"results\":[{\"columns\":[\"id\"],\"types\":[\"\"]}]}", &p, &e), 0);

    assert_paper(&p, "id\n--\n");
}

static void writes_say_what_they_changed(void **state)
{
    struct paper p;
    struct error e;
    (void)state;

    assert_int_equal(
        print_result("{\"results\":[{},{\"last_insert_id\":7,\"rows_affected\":1},{\"rows_affected\":3}]}",
                     &p, &e),
        0);

    assert_paper(&p, "1 row changed, last id 7\n3 rows changed\n");
}

static void a_failed_statement_does_not_hide_the_others(void **state)
{
    struct paper p;
    struct error e;
    (void)state;

    assert_int_equal(
        print_result("{\"results\":[{\"error\":\"no such table: t\"},{\"rows_affected\":1}]}", &p, &e),
        Q_SQL);

    assert_string_equal(e.text, "statement 1: no such table: t");
    assert_paper(&p, "1 row changed\n");
}

static void an_error_of_the_whole_request_is_told(void **state)
{
    struct paper p;
    struct error e;
    (void)state;

    assert_int_equal(print_result("{\"results\":[],\"error\":\"stale read\"}", &p, &e), Q_IO);
    assert_string_equal(e.text, "stale read");
    assert_paper(&p, "");
    assert_int_equal(print_result("{\"results\":[],\"error\":\"lost\",\"outcome\":\"unknown\"}", &p, &e),
                     Q_UNKNOWN);
    assert_paper(&p, "");
}

static void what_is_no_answer_is_refused(void **state)
{
    static const char *const bodies[] = {"",
                                         "{",
                                         "[]",
                                         "{}",
                                         "{\"results\":3}",
                                         "{\"results\":[{\"columns\":[],\"types\":[]}]}",
                                         "{\"results\":[{\"columns\":[\"a\"],\"values\":[[1,2]]}]}",
                                         "{\"results\":[{\"columns\":[\"a\"],\"values\":[7]}]}"};
    (void)state;

    for (unsigned i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct paper p;
        struct error e;
        assert_int_equal(print_result(bodies[i], &p, &e), Q_CORRUPT);
        assert_paper(&p, "");
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
        cmocka_unit_test(width_is_counted_in_characters),
        cmocka_unit_test(control_characters_cannot_reach_the_terminal),
        cmocka_unit_test(rows_become_a_table_and_numbers_stand_right),
        cmocka_unit_test(a_result_without_rows_shows_its_columns),
        cmocka_unit_test(writes_say_what_they_changed),
        cmocka_unit_test(a_failed_statement_does_not_hide_the_others),
        cmocka_unit_test(an_error_of_the_whole_request_is_told),
        cmocka_unit_test(what_is_no_answer_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
