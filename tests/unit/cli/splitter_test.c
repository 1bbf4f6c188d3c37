#include "node/cli/splitter.h"
#include "tests/unit/test.h"

/* The first statement of TEXT is FIRST; NULL: it has not ended. */
static void assert_first(const char *text, const char *first)
{
    bool blank;
    assert_int_equal(splitter_next(text, strlen(text), &blank), first != NULL ? strlen(first) : 0);
}

static void assert_blank(const char *text, bool wanted)
{
    bool blank = !wanted;
    splitter_next(text, strlen(text), &blank);
    assert_int_equal(blank, wanted);
}

static void a_semicolon_ends_a_statement(void **state)
{
    (void)state;
    assert_first("SELECT 1; SELECT 2;", "SELECT 1;");
    assert_first("SELECT 1", NULL);
    assert_first("", NULL);
    assert_first(";", ";");
}

static void quotes_hide_semicolons(void **state)
{
    (void)state;
    assert_first("SELECT ';';x", "SELECT ';';");
    assert_first("SELECT 'it''s;';x", "SELECT 'it''s;';");
    assert_first("SELECT \"a;\"\";\";x", "SELECT \"a;\"\";\";");
    assert_first("SELECT [a;b], `c;d`;x", "SELECT [a;b], `c;d`;");
    assert_first("SELECT 'open; ", NULL);
}

static void comments_hide_semicolons(void **state)
{
    (void)state;
    assert_first("SELECT 1 -- no; end\n;x", "SELECT 1 -- no; end\n;");
    assert_first("SELECT /* ; ' */ 1;x", "SELECT /* ; ' */ 1;");
    assert_first("SELECT 1 /* ;", NULL);
    assert_first("SELECT 1 - -1;x", "SELECT 1 - -1;");
}

static void the_body_of_a_trigger_holds_semicolons(void **state)
{
    static const char trigger[] =
        "CREATE TEMP TRIGGER t AFTER INSERT ON x BEGIN UPDATE y SET a = 1; DELETE FROM z; END;";
    char text[200];
    (void)state;

    snprintf(text, sizeof text, "%s SELECT 1;", trigger);
    assert_first(text, trigger);
    snprintf(text, sizeof text,
             "create trigger \"end\" after insert on x begin select case when 1 then 2 end; end ; y");
    assert_first(text, "create trigger \"end\" after insert on x begin select case when 1 then 2 end; end ;");
    assert_first("CREATE TRIGGER t AFTER INSERT ON x BEGIN SELECT 1;", NULL);
    assert_first("CREATE TABLE trigger_log (a); x", "CREATE TABLE trigger_log (a);");
}

static void white_space_and_comments_are_blank(void **state)
{
    (void)state;
    assert_blank(" \n-- nothing\n/* at all */ ;", true);
    assert_blank(" -- nothing", true);
    assert_blank("/* not yet", false);
    assert_blank("x", false);
    assert_blank("'", false);
}

static void reading_statements_are_known_by_their_first_word(void **state)
{
    static const char *const reads[] = {"SELECT 1", " select 1", "-- c\nVALUES (1)",
                                        "/* c */EXPLAIN DELETE FROM t"};
    static const char *const others[] = {
        "INSERT INTO t VALUES (1)", "WITH x AS (SELECT 1) DELETE FROM t", "SELECTED", "PRAGMA x", "", "--"};
    (void)state;
    for (unsigned i = 0; i < sizeof reads / sizeof reads[0]; i++) {
        assert_true(splitter_reads(reads[i], strlen(reads[i])));
    }
    for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_false(splitter_reads(others[i], strlen(others[i])));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_semicolon_ends_a_statement),
        cmocka_unit_test(quotes_hide_semicolons),
        cmocka_unit_test(comments_hide_semicolons),
        cmocka_unit_test(the_body_of_a_trigger_holds_semicolons),
        cmocka_unit_test(white_space_and_comments_are_blank),
        cmocka_unit_test(reading_statements_are_known_by_their_first_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
