#include "storage/build.h"
#include "tests/unit/test.h"

static int compare(const char *recorded, const char *mine, struct error *e)
{
    return build_compare(cursor_of(recorded, strlen(recorded)), cursor_of(mine, strlen(mine)), e);
}

static void this_sqlite_equals_itself(void **state)
{
    (void)state;
    struct buf b;
    struct error e;
    buf_init(&b, SIZE_MAX);

    build_put(&b);

    assert_true(b.len > 4 && memcmp(b.data, "3.", 2) == 0);
    assert_non_null(memmem(b.data, b.len, " ENABLE_PREUPDATE_HOOK", 22));
    assert_null(memmem(b.data, b.len, "COMPILER", 8));
    assert_int_equal(build_compare(cursor_of(b.data, b.len), cursor_of(b.data, b.len), &e), 0);
    buf_close(&b);
}

static void what_differs_is_named(void **state)
{
    (void)state;
    struct error e;

    assert_int_equal(compare("3.40 A B", "3.40 A B", &e), 0);
    assert_int_equal(compare("3.40 A B", "3.40 B A", &e), 0);
    assert_int_equal(compare("3.39 A B", "3.40 A B", &e), Q_MISMATCH);
    assert_non_null(strstr(e.text, "3.39"));
    assert_int_equal(compare("3.40 A B", "3.40 A", &e), Q_MISMATCH);
    assert_non_null(strstr(e.text, "another SQLite: B,"));
    assert_int_equal(compare("3.40 A", "3.40 A BB", &e), Q_MISMATCH);
    assert_non_null(strstr(e.text, "without BB,"));
    assert_int_equal(compare("3.40 A B", "3.40 A BB", &e), Q_MISMATCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(this_sqlite_equals_itself),
        cmocka_unit_test(what_differs_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
