#include "tests/unit/storage/kit.h"

static void an_entry_is_applied_and_read_back(void **state)
{
    (void)state;
    struct kit k;
    kit_open_file(&k);

    assert_string_equal(kit_execute(&k, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)"), "write 0/0");
    assert_string_equal(kit_execute(&k, "INSERT INTO t (name) VALUES ('a'), ('b')"), "write 2/2");

    assert_string_equal(kit_query(&k, "SELECT * FROM t"), "rows id:INTEGER,name:TEXT | 1,'a' | 2,'b'");
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_is_applied_and_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
