#include "node/cli/args.h"
#include "tests/unit/test.h"

static const struct args_option options[] = {
    {"name", ARGS_TEXT, "TEXT", "nobody", 0, 0, "a text"},
    {"count", ARGS_NUMBER, "N", NULL, 1, INT64_MAX, "a number"},
    {"size", ARGS_SIZE, "BYTES", "4K", 0, 1 << 30, "a size"},
    {"wait", ARGS_TIME, "TIME", NULL, 0, 86400000, "a time"},
    {"loud", ARGS_FLAG, NULL, NULL, 0, 0, "a flag"},
};

enum { WORDS_MAX = 64 };

/* Parses a line of words between spaces. */
static int parse_into(struct args *a, const struct args_option *table, unsigned count, const char *line,
                      struct error *e)
{
    static char text[512];
    static char *words[WORDS_MAX];
    char *save = NULL;
    int n = 0;

    snprintf(text, sizeof text, "%s", line);
    for (char *w = strtok_r(text, " ", &save); w != NULL && n < WORDS_MAX; w = strtok_r(NULL, " ", &save)) {
        words[n++] = w;
    }
    return args_parse(a, table, count, n, words, e);
}

static int parse(struct args *a, const char *line, struct error *e)
{
    return parse_into(a, options, sizeof options / sizeof options[0], line, e);
}

static void assert_refused(const char *line, const char *text)
{
    struct args a;
    struct error e;
    assert_int_equal(parse(&a, line, &e), Q_INVALID);
    assert_string_equal(e.text, text);
    args_close(&a);
}

static void words_and_options_may_come_in_any_order(void **state)
{
    struct args a;
    struct error e;
    (void)state;

    assert_int_equal(parse(&a, "one --name x two --count=3 three --loud", &e), 0);

    assert_int_equal(a.word_count, 3);
    assert_string_equal(a.words[0], "one");
    assert_string_equal(a.words[2], "three");
    assert_string_equal(args_text(&a, "name"), "x");
    assert_int_equal(args_number(&a, "count"), 3);
    assert_true(args_flag(&a, "loud"));
    args_close(&a);
}

static void what_is_not_given_has_its_default(void **state)
{
    struct args a;
    struct error e;
    (void)state;

    assert_int_equal(parse(&a, "", &e), 0);

    assert_string_equal(args_text(&a, "name"), "nobody");
    assert_false(args_given(&a, "name"));
    assert_null(args_text(&a, "count"));
    assert_int_equal(args_number(&a, "size"), 4096);
    assert_int_equal(args_number(&a, "timeout"), 10000);
    assert_false(args_flag(&a, "json"));
    args_close(&a);
}

static void everything_behind_two_dashes_is_a_word(void **state)
{
    struct args a;
    struct error e;
    (void)state;

    assert_int_equal(parse(&a, "one -- --name -x --", &e), 0);

    assert_int_equal(a.word_count, 4);
    assert_int_equal(a.tail, 1);
    assert_string_equal(a.words[1], "--name");
    assert_string_equal(a.words[3], "--");
    args_close(&a);
}

static void a_lone_dash_is_a_word(void **state)
{
    struct args a;
    struct error e;
    (void)state;

    assert_int_equal(parse(&a, "ns key -", &e), 0);

    assert_int_equal(a.word_count, 3);
    assert_int_equal(a.tail, 3);
    args_close(&a);
}

static void endpoints_add_up(void **state)
{
    struct args a;
    struct error e;
    (void)state;

    assert_int_equal(parse(&a, "--endpoint http://a:1 --endpoint=http://b:2", &e), 0);

    assert_int_equal(a.endpoint_count, 2);
    assert_string_equal(a.endpoints[1], "http://b:2");
    args_close(&a);
}

static void times_and_sizes_know_their_units(void **state)
{
    static const struct {
        const char *line, *name;
        int64_t number;
    } rows[] = {{"--wait 250ms", "wait", 250},     {"--wait 1.5", "wait", 1500},
                {"--wait 2m", "wait", 120000},     {"--wait 3s", "wait", 3000},
                {"--size 64k", "size", 64 * 1024}, {"--size 1.5K", "size", 1536},
                {"--size 17", "size", 17},         {"--timeout 1h", "timeout", 3600000}};
    (void)state;

    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct args a;
        struct error e;
        assert_int_equal(parse(&a, rows[i].line, &e), 0);
        assert_int_equal(args_number(&a, rows[i].name), rows[i].number);
        args_close(&a);
    }
}

static void large_whole_numbers_are_exact(void **state)
{
    struct args a;
    struct error e;
    (void)state;

    assert_int_equal(parse(&a, "--count 9223372036854775807", &e), 0);

    assert_true(args_number(&a, "count") == INT64_MAX);
    args_close(&a);
}

static void mistakes_are_named(void **state)
{
    (void)state;

    assert_refused("--nmae x", "unknown option --nmae");
    assert_refused("--nmae=x", "unknown option --nmae");
    assert_refused("-x", "unknown option -x (write -- before words that begin with -)");
    assert_refused("--name", "--name needs a value (TEXT)");
    assert_refused("--loud=yes", "--loud takes no value");
    assert_refused("--count 0", "--count: \"0\" is not a number from 1 to 9223372036854775807");
    assert_refused("--count 1.5", "--count: \"1.5\" is not a number from 1 to 9223372036854775807");
    assert_refused("--count 99999999999999999999",
                   "--count: \"99999999999999999999\" is not a number from 1 to 9223372036854775807");
    assert_refused("--count x", "--count: \"x\" is not a number from 1 to 9223372036854775807");
    assert_refused("--size 5T",
                   "--size: \"5T\" is not a size from 0 to 1073741824 bytes (K, M and G are understood)");
    assert_refused("--wait nan",
                   "--wait: \"nan\" is not a time from 0 to 86400000 milliseconds (write 250ms, 10s or 2m)");
    assert_refused(
        "--wait 1e300s",
        "--wait: \"1e300s\" is not a time from 0 to 86400000 milliseconds (write 250ms, 10s or 2m)");
}

static void a_command_may_have_its_own_timeout(void **state)
{
    static const struct args_option own[] = {{"timeout", ARGS_TIME, "TIME", "60s", 1, 100000, "another"}};
    struct args a;
    struct error e;
    (void)state;

    assert_int_equal(parse_into(&a, own, 1, "", &e), 0);

    assert_int_equal(args_number(&a, "timeout"), 60000);
    args_close(&a);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_and_options_may_come_in_any_order),
        cmocka_unit_test(what_is_not_given_has_its_default),
        cmocka_unit_test(everything_behind_two_dashes_is_a_word),
        cmocka_unit_test(a_lone_dash_is_a_word),
        cmocka_unit_test(endpoints_add_up),
        cmocka_unit_test(times_and_sizes_know_their_units),
        cmocka_unit_test(large_whole_numbers_are_exact),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(a_command_may_have_its_own_timeout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
