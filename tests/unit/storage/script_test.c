/* What is left out of a script. */
#include "storage/script.h"

#include "tests/unit/test.h"

static void expect(const char *sql, const char *cleaned)
{
    char *text = strdup(sql);

    script_clean(text, strlen(text));
    assert_string_equal(text, cleaned);
    free(text);
}

static void what_begins_and_ends_a_transaction_goes(void **state)
{
    (void)state;

    expect("BEGIN TRANSACTION; INSERT INTO t VALUES (1); COMMIT;",
           "                   INSERT INTO t VALUES (1);        ");
    expect("begin;\nSELECT 1;\nend", "      \nSELECT 1;\n   ");
    expect("PRAGMA foreign_keys=OFF;SELECT 1", "                        SELECT 1");
    expect("/* BEGIN; */ BEGIN; -- x", "/* BEGIN; */        -- x");
}

static void all_else_stays(void **state)
{
    static const char *const texts[] = {
        "",
        ";;",
        "SELECT 'BEGIN; COMMIT;', \"begin;\"",
        "PRAGMA table_info(t); ROLLBACK; SAVEPOINT x",
        "SELECT CASE WHEN 1 THEN 2 END; SELECT 1",
        "CREATE TABLE trigger_end (a); INSERT INTO trigger_end VALUES (1)",
        "CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT CASE 1 WHEN 1 THEN 2 END; SELECT 'a'; END; SELECT 2",
        "CREATE TEMP TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END",
        "SELECT 'no end",
    };
    (void)state;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        expect(texts[i], texts[i]);
    }
}

static void behind_a_trigger_the_script_goes_on(void **state)
{
    (void)state;

    expect("CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END; COMMIT;",
           "CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END;        ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_begins_and_ends_a_transaction_goes),
        cmocka_unit_test(all_else_stays),
        cmocka_unit_test(behind_a_trigger_the_script_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
