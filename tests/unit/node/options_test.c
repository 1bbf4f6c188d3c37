/* Options from flags, environment and file: which one counts, and what is refused in which words. */
#include "node/options.h"

#include "tests/unit/node/scratch.h"

extern char **environ;

struct scene {
    struct scratch scratch;
    struct options o;
    struct error e;
    bool help, version;
};

static void forget_environment(void)
{
    for (char **p = environ; *p != NULL;) {
        char name[128];
        size_t n = strcspn(*p, "=");
        if (strncmp(*p, "QUORATE_", 8) == 0 && n < sizeof name) {
            snprintf(name, sizeof name, "%.*s", (int)n, *p);
            unsetenv(name);
            p = environ;
        } else {
            p++;
        }
    }
}

static int set_up(void **state)
{
    static struct scene s;
    memset(&s, 0, sizeof s);
    forget_environment();
    scratch_open(&s.scratch);
    options_init(&s.o);
    *state = &s;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;
    options_close(&s->o);
    scratch_close(&s->scratch);
    forget_environment();
    return 0;
}

/* options_arguments() with WORDS, which end with NULL. */
static int arguments(struct scene *s, ...)
{
    char *words[16] = {(char *)"quorated"};
    int n = 1;
    va_list args;
    va_start(args, s);
    for (char *word; (word = va_arg(args, char *)) != NULL;) {
        words[n++] = word;
    }
    va_end(args);
    return options_arguments(&s->o, n, words, &s->help, &s->version, &s->e);
}

static void expect_error(const struct scene *s, int rv, enum error_code code, const char *text)
{
    assert_int_equal(rv, code);
    if (strstr(s->e.text, text) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", s->e.text, text);
    }
}

static int set(struct scene *s, const char *name, const char *value)
{
    return options_set(&s->o, name, value, FROM_FLAG, &s->e);
}

/* Which one counts. */

static void without_anything_the_defaults_count(void **state)
{
    struct scene *s = *state;

    assert_int_equal(arguments(s, NULL), 0);
    assert_int_equal(options_number(&s->o, OPTION_election), 300);
    assert_int_equal(options_number(&s->o, OPTION_segment_bytes), 16 * 1024 * 1024);
    assert_int_equal(options_number(&s->o, OPTION_io_uring), 1);
    assert_int_equal(options_number(&s->o, OPTION_foreign_keys), 0);
    assert_int_equal(options_number(&s->o, OPTION_id), 0);
    assert_string_equal(options_text(&s->o, OPTION_storage), "sqlite");
    assert_string_equal(options_text(&s->o, OPTION_dir), "");
}

static void a_flag_wins_over_environment_over_file_over_default(void **state)
{
    struct scene *s = *state;
    const char *file = scratch_text(&s->scratch, "q.ini", "readers = 3\nid = 3\ncluster-name = file\n");

    setenv("QUORATE_READERS", "4", 1);
    setenv("QUORATE_ID", "4", 1);
    assert_int_equal(arguments(s, "--config", file, "--readers=5", NULL), 0);

    assert_int_equal(options_number(&s->o, OPTION_readers), 5);
    assert_int_equal(s->o.source[OPTION_readers], FROM_FLAG);
    assert_int_equal(options_number(&s->o, OPTION_id), 4);
    assert_int_equal(s->o.source[OPTION_id], FROM_ENVIRONMENT);
    assert_string_equal(options_text(&s->o, OPTION_cluster_name), "file");
    assert_int_equal(s->o.source[OPTION_cluster_name], FROM_FILE);
    assert_int_equal(s->o.source[OPTION_inflight], FROM_DEFAULT);
}

static void the_order_of_setting_does_not_matter(void **state)
{
    struct scene *s = *state;

    assert_int_equal(options_set(&s->o, "readers", "5", FROM_ENVIRONMENT, &s->e), 0);
    assert_int_equal(options_set(&s->o, "readers", "6", FROM_FILE, &s->e), 0);
    assert_int_equal(options_number(&s->o, OPTION_readers), 5);
    assert_int_equal(options_set(&s->o, "readers", "7", FROM_FLAG, &s->e), 0);
    assert_int_equal(options_number(&s->o, OPTION_readers), 7);
}

static void the_last_of_the_same_source_counts(void **state)
{
    struct scene *s = *state;

    assert_int_equal(arguments(s, "--id", "1", "--id", "2", NULL), 0);
    assert_int_equal(options_number(&s->o, OPTION_id), 2);
}

static void the_environment_may_name_the_file(void **state)
{
    struct scene *s = *state;

    setenv("QUORATE_CONFIG", scratch_text(&s->scratch, "q.ini", "id = 9\n"), 1);
    assert_int_equal(arguments(s, NULL), 0);
    assert_int_equal(options_number(&s->o, OPTION_id), 9);
}

static void a_bad_value_is_refused_even_where_it_would_not_count(void **state)
{
    struct scene *s = *state;

    setenv("QUORATE_READERS", "many", 1);
    expect_error(s, arguments(s, "--readers", "5", NULL), Q_INVALID, "QUORATE_READERS");
}

/* Flags. */

static void flags_take_their_value_in_either_form(void **state)
{
    struct scene *s = *state;

    assert_int_equal(arguments(s, "--id=7", "--dir", "/data", "--http=", NULL), 0);
    assert_int_equal(options_number(&s->o, OPTION_id), 7);
    assert_string_equal(options_text(&s->o, OPTION_dir), "/data");
    assert_string_equal(options_text(&s->o, OPTION_http), "");
}

static void switches_need_no_value_and_can_be_switched_off(void **state)
{
    struct scene *s = *state;

    assert_int_equal(arguments(s, "--foreign-keys", "--no-io-uring", NULL), 0);
    assert_int_equal(options_number(&s->o, OPTION_foreign_keys), 1);
    assert_int_equal(options_number(&s->o, OPTION_io_uring), 0);
    assert_int_equal(arguments(s, "--foreign-keys=off", "--io-uring=yes", NULL), 0);
    assert_int_equal(options_number(&s->o, OPTION_foreign_keys), 0);
    assert_int_equal(options_number(&s->o, OPTION_io_uring), 1);
}

static void only_switches_can_be_switched_off(void **state)
{
    struct scene *s = *state;

    expect_error(s, arguments(s, "--no-http", NULL), Q_INVALID, "there is no option --no-http");
    expect_error(s, arguments(s, "--no-io-uring=yes", NULL), Q_INVALID, "there is no option --no-io-uring");
}

static void unknown_flags_and_bare_words_are_refused(void **state)
{
    struct scene *s = *state;

    expect_error(s, arguments(s, "--reader", "5", NULL), Q_INVALID, "there is no option --reader ");
    expect_error(s, arguments(s, "--result-max", "5", NULL), Q_INVALID, "there is no option --result-max");
    expect_error(s, arguments(s, "--", NULL), Q_INVALID, "there is no option --");
    expect_error(s, arguments(s, "start", NULL), Q_INVALID, "\"start\" is not an option");
    expect_error(s, arguments(s, "-x", NULL), Q_INVALID, "\"-x\" is not an option");
    expect_error(s, arguments(s, "--id", NULL), Q_INVALID, "option --id needs a value");
    expect_error(s, set(s, "--id", "1"), Q_INVALID, "there is no option \"--id\"");
}

static void help_and_version_are_noticed(void **state)
{
    struct scene *s = *state;

    assert_int_equal(arguments(s, NULL), 0);
    assert_false(s->help || s->version);
    arguments(s, "--help", NULL);
    assert_true(s->help);
    arguments(s, "-h", NULL);
    assert_true(s->help);
    arguments(s, "--version", NULL);
    assert_true(s->version && !s->help);
}

static void the_help_lists_every_flag_and_no_other(void **state)
{
    char *text = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&text, &n);
    (void)state;

    options_help(to);
    fclose(to);
    for (enum option i = 0; i < OPTION_COUNT; i++) {
        char flag[80];
        snprintf(flag, sizeof flag, "  --%s ", options_name(i));
        assert_int_equal(strstr(text, flag) != NULL, i != OPTION_secret);
    }
    free(text);
}

/* Values. */

static void sizes_take_units(void **state)
{
    struct scene *s = *state;

    assert_int_equal(set(s, "segment-bytes", "65536"), 0);
    assert_int_equal(options_number(&s->o, OPTION_segment_bytes), 65536);
    assert_int_equal(set(s, "segment-bytes", "128K"), 0);
    assert_int_equal(options_number(&s->o, OPTION_segment_bytes), 128 * 1024);
    assert_int_equal(set(s, "segment-bytes", "2m"), 0);
    assert_int_equal(options_number(&s->o, OPTION_segment_bytes), 2 * 1024 * 1024);
    assert_int_equal(set(s, "segment-bytes", "1G"), 0);
    assert_int_equal(options_number(&s->o, OPTION_segment_bytes), 1024 * 1024 * 1024);
    assert_int_equal(set(s, "segment-bytes", "70000B"), 0);
    assert_int_equal(options_number(&s->o, OPTION_segment_bytes), 70000);
}

static void times_take_units(void **state)
{
    struct scene *s = *state;

    assert_int_equal(set(s, "request-timeout", "1500"), 0);
    assert_int_equal(options_number(&s->o, OPTION_request_timeout), 1500);
    assert_int_equal(set(s, "request-timeout", "250ms"), 0);
    assert_int_equal(options_number(&s->o, OPTION_request_timeout), 250);
    assert_int_equal(set(s, "request-timeout", "3s"), 0);
    assert_int_equal(options_number(&s->o, OPTION_request_timeout), 3000);
    assert_int_equal(set(s, "request-timeout", "2m"), 0);
    assert_int_equal(options_number(&s->o, OPTION_request_timeout), 120000);
    assert_int_equal(set(s, "request-timeout", "1h"), 0);
    assert_int_equal(options_number(&s->o, OPTION_request_timeout), 3600000);
}

static void numbers_that_are_none_are_refused_with_the_limits(void **state)
{
    static const char *const bad[] = {"",   "x", "1x", "1 0", "0x10", "1.5",
                                      "-1", "0", "17", "5M",  "5ms",  "99999999999999999999999"};
    struct scene *s = *state;

    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        expect_error(s, set(s, "readers", bad[i]), Q_INVALID, "is not a number from 1 to 16");
        assert_non_null(strstr(s->e.text, "option readers: \""));
    }
    assert_int_equal(options_number(&s->o, OPTION_readers), 2);
    assert_int_equal(set(s, "readers", "16"), 0);
}

static void sizes_and_times_out_of_bounds_are_refused_with_the_limits(void **state)
{
    struct scene *s = *state;

    expect_error(s, set(s, "segment-bytes", "64"), Q_INVALID,
                 "\"64\" is not a size from 65536 to 1073741824 bytes (K, M and G are understood)");
    expect_error(s, set(s, "segment-bytes", "9000000000G"), Q_INVALID, "is not a size from");
    expect_error(s, set(s, "segment-bytes", "1T"), Q_INVALID, "is not a size from");
    expect_error(s, set(s, "segment-bytes", "1s"), Q_INVALID, "is not a size from");
    expect_error(s, set(s, "election-timeout", "2h"), Q_INVALID,
                 "\"2h\" is not a time from 50 to 60000 milliseconds");
    expect_error(s, set(s, "election-timeout", "1K"), Q_INVALID, "is not a time");
}

static void switches_take_words_for_true_and_false(void **state)
{
    static const char *const words[] = {"true", "yes", "1", "on", "ON", "false", "no", "0", "off", "False"};
    struct scene *s = *state;

    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(set(s, "foreign-keys", words[i]), 0);
        assert_int_equal(options_number(&s->o, OPTION_foreign_keys), i < 5);
    }
    expect_error(s, set(s, "foreign-keys", "maybe"), Q_INVALID, "\"maybe\" is neither true nor false");
    expect_error(s, set(s, "foreign-keys", ""), Q_INVALID, "neither true nor false");
}

static void texts_are_bounded_and_some_have_a_choice(void **state)
{
    char long_name[300];
    struct scene *s = *state;

    memset(long_name, 'x', sizeof long_name);
    long_name[256] = 0;
    expect_error(s, set(s, "cluster-name", long_name), Q_INVALID,
                 "option cluster-name: 256 bytes are not between 1 and 255");
    expect_error(s, set(s, "cluster-name", ""), Q_INVALID, "0 bytes");
    expect_error(s, set(s, "storage", "postgres"), Q_INVALID, "is not one of: sqlite, memory");
    assert_int_equal(set(s, "storage", "memory"), 0);
}

/* The secret. */

static void the_secret_is_not_taken_from_the_command_line(void **state)
{
    struct scene *s = *state;

    expect_error(s, arguments(s, "--secret", "correct horse battery", NULL), Q_INVALID,
                 "not taken from the command line");
    expect_error(s, arguments(s, "--secret=correct horse battery", NULL), Q_INVALID,
                 "not taken from the command line");
    assert_null(strstr(s->e.text, "horse"));
}

static void the_secret_comes_from_the_environment_or_a_file_of_ones_own(void **state)
{
    struct scene *s = *state;
    const char *file = scratch_text(&s->scratch, "q.ini", "secret = correct horse battery staple\n");

    assert_int_equal(options_file(&s->o, file, &s->e), 0);
    assert_string_equal(options_text(&s->o, OPTION_secret), "correct horse battery staple");
    setenv("QUORATE_SECRET", "another secret that is long", 1);
    assert_int_equal(options_environment(&s->o, &s->e), 0);
    assert_string_equal(options_text(&s->o, OPTION_secret), "another secret that is long");
}

static void a_short_secret_is_refused_without_showing_it(void **state)
{
    struct scene *s = *state;

    setenv("QUORATE_SECRET", "hunter2", 1);
    expect_error(s, arguments(s, NULL), Q_INVALID, "option secret: 7 bytes are not between 16 and 1024");
    assert_null(strstr(s->e.text, "hunter2"));
}

static void a_file_with_the_secret_that_others_may_read_is_refused(void **state)
{
    struct scene *s = *state;
    const char *text = "secret = correct horse battery staple\n";

    expect_error(s, options_file(&s->o, scratch_file(&s->scratch, "q.ini", text, strlen(text), 0640), &s->e),
                 Q_DENIED, "can be read by others (mode 640): chmod 600 it");
}

static void a_file_without_a_secret_may_be_read_by_all(void **state)
{
    struct scene *s = *state;
    assert_int_equal(options_file(&s->o, scratch_file(&s->scratch, "q.ini", "id = 1\n", 7, 0644), &s->e), 0);
}

/* Files. */

static void a_file_has_comments_sections_and_blanks(void **state)
{
    struct scene *s = *state;
    const char *file = scratch_text(&s->scratch, "q.ini",
                                    "\xef\xbb\xbf; the first node\r\n"
                                    "# of three\n"
                                    "\n"
                                    "[node]\n"
                                    "  id   =  5  ; not 6\r\n"
                                    "dir: /data/a;b\n"
                                    "cluster-name = a = b\n"
                                    "http =\n"
                                    "\treaders=3");

    if (options_file(&s->o, file, &s->e) != 0) {
        fail_msg("%s", s->e.text);
    }
    assert_int_equal(options_number(&s->o, OPTION_id), 5);
    assert_string_equal(options_text(&s->o, OPTION_dir), "/data/a;b");
    assert_string_equal(options_text(&s->o, OPTION_cluster_name), "a = b");
    assert_string_equal(options_text(&s->o, OPTION_http), "");
    assert_int_equal(options_number(&s->o, OPTION_readers), 3);
}

static void a_line_may_be_as_long_as_its_value(void **state)
{
    char members[4000] = "", file[5000];
    struct scene *s = *state;
    size_t n = 0;

    for (unsigned i = 1; i <= 60; i++) {
        n += (size_t)snprintf(members + n, sizeof members - n, "%s%u=node%u.a-long-domain.example:7001",
                              i > 1 ? "," : "", i, i);
    }
    assert_true(n > 1000);
    snprintf(file, sizeof file, "id = 1\nmembers = %s\nreaders = 3\n", members);
    if (options_file(&s->o, scratch_text(&s->scratch, "q.ini", file), &s->e) != 0) {
        fail_msg("%s", s->e.text);
    }
    assert_string_equal(options_text(&s->o, OPTION_members), members);
    assert_int_equal(options_number(&s->o, OPTION_readers), 3);
}

static void errors_of_a_file_name_the_line(void **state)
{
    struct scene *s = *state;

    expect_error(s, options_file(&s->o, scratch_text(&s->scratch, "a.ini", "id = 1\n\nsize = 4\n"), &s->e),
                 Q_INVALID, "a.ini, line 3: there is no option \"size\"");
    expect_error(s, options_file(&s->o, scratch_text(&s->scratch, "b.ini", "id = none\n"), &s->e), Q_INVALID,
                 "b.ini, line 1: option id: \"none\" is not a number");
    expect_error(s, options_file(&s->o, scratch_text(&s->scratch, "c.ini", "id = 1\nreaders 3\n"), &s->e),
                 Q_INVALID, "c.ini, line 2: neither a section, a comment nor name = value");
    expect_error(s, options_file(&s->o, scratch_text(&s->scratch, "d.ini", "= 3\n"), &s->e), Q_INVALID,
                 "d.ini, line 1: neither");
    expect_error(
        s, options_file(&s->o, scratch_text(&s->scratch, "e.ini", "members = 1=a:1,\n  2=b:1\n"), &s->e),
        Q_INVALID, "e.ini, line 2: there is no option \"2\"");
    expect_error(
        s, options_file(&s->o, scratch_file(&s->scratch, "f.ini", "id = 1\nid\0 = 2\n", 15, 0600), &s->e),
        Q_INVALID, "f.ini, line 2: a byte that is 0");
}

static void a_file_that_cannot_be_read_is_an_error(void **state)
{
    struct scene *s = *state;
    static char large[1024 * 1024 + 1];

    expect_error(s, options_file(&s->o, "/nowhere/q.ini", &s->e), Q_NOT_FOUND, "/nowhere/q.ini");
    expect_error(s, options_file(&s->o, s->scratch.dir, &s->e), Q_IO, s->scratch.dir);
    memset(large, '#', sizeof large);
    expect_error(s, options_file(&s->o, scratch_file(&s->scratch, "l.ini", large, sizeof large, 0600), &s->e),
                 Q_TOO_BIG, "l.ini");
    expect_error(s, arguments(s, "--config", "/nowhere/q.ini", NULL), Q_NOT_FOUND, "/nowhere/q.ini");
}

static void an_empty_file_is_fine(void **state)
{
    struct scene *s = *state;
    assert_int_equal(options_file(&s->o, scratch_text(&s->scratch, "q.ini", ""), &s->e), 0);
    assert_int_equal(options_file(&s->o, scratch_text(&s->scratch, "q.ini", "\xef\xbb\xbf"), &s->e), 0);
}

/* Copies. */

static void a_copy_stands_alone(void **state)
{
    struct scene *s = *state;
    struct options copy;

    assert_int_equal(set(s, "dir", "/data"), 0);
    assert_int_equal(set(s, "secret", "correct horse battery"), 0);
    assert_int_equal(options_copy(&s->o, &copy, &s->e), 0);
    assert_int_equal(set(s, "dir", "/other"), 0);

    assert_string_equal(options_text(&copy, OPTION_dir), "/data");
    assert_string_equal(options_text(&copy, OPTION_secret), "correct horse battery");
    assert_int_equal(options_number(&copy, OPTION_readers), 2);
    options_close(&copy);
    options_close(&copy);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_anything_the_defaults_count),
        TEST(a_flag_wins_over_environment_over_file_over_default),
        TEST(the_order_of_setting_does_not_matter),
        TEST(the_last_of_the_same_source_counts),
        TEST(the_environment_may_name_the_file),
        TEST(a_bad_value_is_refused_even_where_it_would_not_count),
        TEST(flags_take_their_value_in_either_form),
        TEST(switches_need_no_value_and_can_be_switched_off),
        TEST(only_switches_can_be_switched_off),
        TEST(unknown_flags_and_bare_words_are_refused),
        TEST(help_and_version_are_noticed),
        TEST(the_help_lists_every_flag_and_no_other),
        TEST(sizes_take_units),
        TEST(times_take_units),
        TEST(numbers_that_are_none_are_refused_with_the_limits),
        TEST(sizes_and_times_out_of_bounds_are_refused_with_the_limits),
        TEST(switches_take_words_for_true_and_false),
        TEST(texts_are_bounded_and_some_have_a_choice),
        TEST(the_secret_is_not_taken_from_the_command_line),
        TEST(the_secret_comes_from_the_environment_or_a_file_of_ones_own),
        TEST(a_short_secret_is_refused_without_showing_it),
        TEST(a_file_with_the_secret_that_others_may_read_is_refused),
        TEST(a_file_without_a_secret_may_be_read_by_all),
        TEST(a_file_has_comments_sections_and_blanks),
        TEST(a_line_may_be_as_long_as_its_value),
        TEST(errors_of_a_file_name_the_line),
        TEST(a_file_that_cannot_be_read_is_an_error),
        TEST(an_empty_file_is_fine),
        TEST(a_copy_stands_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
