#include "node/cli/progress.h"
#include "tests/unit/test.h"

static const struct progress_facts half = {
    .rows = 27003, .bytes = 21300000, .bytes_total = 42600000, .elapsed_us = 4000000};

static void a_bar_shows_share_rate_and_what_is_left(void **state)
{
    char line[PROGRESS_LINE_MAX];
    (void)state;

    progress_format_bar(&half, line);

    assert_string_equal(line,
                        "[###############...............] 50 %  27003 rows  6750 rows/s  21.3 MB  ETA 4 s");
}

static void a_line_says_the_same_in_words(void **state)
{
    char line[PROGRESS_LINE_MAX];
    struct progress_facts facts = half;
    (void)state;
    facts.retried = 3;

    progress_format_line(&facts, line);

    assert_string_equal(line, "50 %, 27003 rows acknowledged, 6750 rows/s, 21.3 MB, ETA 4 s, 3 retried");
}

static void an_input_of_unknown_size_has_neither_share_nor_end(void **state)
{
    char line[PROGRESS_LINE_MAX];
    struct progress_facts facts = half;
    (void)state;
    facts.bytes_total = 0;

    progress_format_bar(&facts, line);
    assert_string_equal(line, "27003 rows  6750 rows/s  21.3 MB");
    progress_format_line(&facts, line);
    assert_string_equal(line, "27003 rows acknowledged, 6750 rows/s, 21.3 MB");
}

static void the_very_beginning_divides_by_nothing(void **state)
{
    char line[PROGRESS_LINE_MAX];
    struct progress_facts facts = {.bytes_total = 1000};
    (void)state;

    progress_format_line(&facts, line);

    assert_string_equal(line, "0 %, 0 rows acknowledged, 0 rows/s, 0.0 MB");
}

static void more_than_everything_is_everything(void **state)
{
    char line[PROGRESS_LINE_MAX];
    struct progress_facts facts = {.rows = 1, .bytes = 2000, .bytes_total = 1000, .elapsed_us = 1000000};
    (void)state;

    progress_format_bar(&facts, line);

    assert_string_equal(line, "[##############################] 100 %  1 rows  1 rows/s  0.0 MB  ETA 0 s");
}

static void a_long_wait_is_told_in_minutes(void **state)
{
    char line[PROGRESS_LINE_MAX];
    struct progress_facts facts = {.rows = 1, .bytes = 1, .bytes_total = 126, .elapsed_us = 1000000};
    (void)state;

    progress_format_line(&facts, line);

    assert_string_equal(line, "0 %, 1 rows acknowledged, 1 rows/s, 0.0 MB, ETA 2:05 min");
}

static void lines_come_no_more_often_than_asked(void **state)
{
    struct progress p;
    char *text;
    size_t n;
    FILE *to = open_memstream(&text, &n);
    (void)state;
    progress_init(&p, to, false, 3000, 1000000);

    progress_show(&p, &half, 1000000 + 2999999);
    progress_show(&p, &half, 1000000 + 3000000);
    progress_show(&p, &half, 1000000 + 3000001);
    progress_end(&p);

    fclose(to);
    assert_string_equal(text, "50 %, 27003 rows acknowledged, 6750 rows/s, 21.3 MB, ETA 4 s\n");
    free(text);
}

static void what_is_counted_may_be_something_else(void **state)
{
    char line[PROGRESS_LINE_MAX];
    struct progress_facts facts = {.rows = 4,
                                   .bytes = 1000000,
                                   .bytes_total = 2000000,
                                   .elapsed_us = 1000000,
                                   .unit = "chunks",
                                   .done = "copied"};
    (void)state;

    progress_format_line(&facts, line);
    assert_string_equal(line, "50 %, 4 chunks copied, 4 chunks/s, 1.0 MB, ETA 1 s");
    progress_format_bar(&facts, line);
    assert_string_equal(line, "[###############...............] 50 %  4 chunks  4 chunks/s  1.0 MB  ETA 1 s");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bar_shows_share_rate_and_what_is_left),
        cmocka_unit_test(a_line_says_the_same_in_words),
        cmocka_unit_test(an_input_of_unknown_size_has_neither_share_nor_end),
        cmocka_unit_test(the_very_beginning_divides_by_nothing),
        cmocka_unit_test(more_than_everything_is_everything),
        cmocka_unit_test(a_long_wait_is_told_in_minutes),
        cmocka_unit_test(what_is_counted_may_be_something_else),
        cmocka_unit_test(lines_come_no_more_often_than_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
