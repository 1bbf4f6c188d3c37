#include "node/cli/deb822.h"
#include "tests/unit/test.h"

struct input {
    FILE *file;
    struct deb822 reader;
    bool end;
    struct error e;
};

static void open_bytes(struct input *in, const void *p, size_t n)
{
    *in = (struct input){.file = tmpfile()};
    assert_non_null(in->file);
    assert_int_equal(fwrite(p, 1, n, in->file), n);
    rewind(in->file);
    deb822_init(&in->reader, in->file);
}

static void open_text(struct input *in, const char *text)
{
    open_bytes(in, text, strlen(text));
}

static void close_input(struct input *in)
{
    deb822_close(&in->reader);
    fclose(in->file);
}

static void assert_stanza(struct input *in)
{
    assert_int_equal(deb822_next(&in->reader, &in->end, &in->e), 0);
    assert_false(in->end);
}

static void assert_end(struct input *in)
{
    assert_int_equal(deb822_next(&in->reader, &in->end, &in->e), 0);
    assert_true(in->end);
}

static void assert_value(const struct input *in, const char *name, const char *wanted)
{
    size_t n;
    const char *value = deb822_value(&in->reader, name, &n);
    assert_non_null(value);
    assert_int_equal(n, strlen(wanted));
    assert_memory_equal(value, wanted, n);
}

static void stanzas_are_separated_by_blank_lines(void **state)
{
    struct input in;
    (void)state;
    open_text(&in, "\n\nPackage: a\nVersion: 1\n\n \t\n\nPackage: b\n");

    assert_stanza(&in);
    assert_value(&in, "Package", "a");
    assert_value(&in, "version", "1");
    assert_int_equal(in.reader.first_line, 3);
    assert_stanza(&in);
    assert_value(&in, "Package", "b");
    assert_int_equal(in.reader.field_count, 1);
    assert_end(&in);
    assert_end(&in);
    close_input(&in);
}

static void a_value_goes_on_in_lines_that_begin_with_white_space(void **state)
{
    struct input in;
    (void)state;
    open_text(&in, "Package: a\nTag: x::y,\n z::w\n\tlast \nSize: 7\n");

    assert_stanza(&in);

    assert_value(&in, "Tag", "x::y,\n z::w\n\tlast");
    assert_value(&in, "Size", "7");
    close_input(&in);
}

static void the_bytes_of_a_stanza_are_its_own_lines(void **state)
{
    static const char stanza[] = "Package: a\nTag: x,\n y\n";
    struct input in;
    (void)state;
    open_text(&in, "\nPackage: a\nTag: x,\n y\n\nPackage: b\n");

    assert_stanza(&in);

    assert_int_equal(in.reader.bytes.len, strlen(stanza));
    assert_memory_equal(in.reader.bytes.data, stanza, strlen(stanza));
    assert_int_equal(in.reader.input_bytes, strlen(stanza) + 2); /* with both blank lines */
    close_input(&in);
}

static void the_last_line_may_lack_its_end(void **state)
{
    struct input in;
    (void)state;
    open_text(&in, "Package: a\nVersion: 2");

    assert_stanza(&in);

    assert_value(&in, "Version", "2");
    assert_int_equal(in.reader.bytes.data[in.reader.bytes.len - 1], '\n');
    assert_end(&in);
    close_input(&in);
}

static void an_empty_file_has_no_stanza(void **state)
{
    struct input in;
    (void)state;

    open_text(&in, "");
    assert_end(&in);
    close_input(&in);
    open_text(&in, "\n \n\n# only words\n\n");
    assert_end(&in);
    close_input(&in);
}

static void an_empty_value_and_a_colon_inside_are_fine(void **state)
{
    struct input in;
    (void)state;
    open_text(&in, "Package:\nHomepage: http://x:80/\nTight:x\n");

    assert_stanza(&in);

    assert_value(&in, "Package", "");
    assert_value(&in, "Homepage", "http://x:80/");
    assert_value(&in, "Tight", "x");
    close_input(&in);
}

static void comments_belong_to_nothing(void **state)
{
    struct input in;
    (void)state;
    open_text(&in, "# first\nPackage: a\n# between\n more\n");

    assert_stanza(&in);

    assert_value(&in, "Package", "a\n more");
    close_input(&in);
}

static void the_first_of_two_fields_of_one_name_counts(void **state)
{
    struct input in;
    (void)state;
    open_text(&in, "A: 1\na: 2\n");

    assert_stanza(&in);

    assert_value(&in, "a", "1");
    close_input(&in);
}

static void a_field_of_a_megabyte_is_read(void **state)
{
    enum { BIG = 1024 * 1024 };
    struct input in;
    char *text = malloc(BIG + 16);
    size_t n;
    (void)state;
    memcpy(text, "Big: ", 5);
    memset(text + 5, 'x', BIG);
    open_bytes(&in, text, BIG + 5);

    assert_stanza(&in);

    assert_non_null(deb822_value(&in.reader, "Big", &n));
    assert_int_equal(n, BIG);
    free(text);
    close_input(&in);
}

static void a_stanza_over_the_limit_is_refused(void **state)
{
    struct input in;
    char *text = malloc(DEB822_STANZA_MAX + 16);
    (void)state;
    memcpy(text, "Big: ", 5);
    memset(text + 5, 'x', DEB822_STANZA_MAX);
    open_bytes(&in, text, DEB822_STANZA_MAX + 5);

    assert_int_equal(deb822_next(&in.reader, &in.end, &in.e), Q_TOO_BIG);

    assert_string_equal(in.e.text,
                        "the stanza that begins in line 1 is larger than the limit of 4194304 bytes");
    free(text);
    close_input(&in);
}

static void a_line_that_is_neither_is_named(void **state)
{
    static const char *const texts[] = {"Package: a\nrubbish\n", "Package: a\n: x\n", "Package: a\n-x: y\n",
                                        "Package: a\nNa me: y\n", "Package: a\n\xff\xfe: y\n"};
    (void)state;

    for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct input in;
        open_text(&in, texts[i]);
        assert_int_equal(deb822_next(&in.reader, &in.end, &in.e), Q_INVALID);
        assert_string_equal(in.e.text, "line 2 is neither \"Name: value\" nor a continuation of a field");
        close_input(&in);
    }
}

static void a_continuation_of_nothing_is_refused(void **state)
{
    struct input in;
    (void)state;
    open_text(&in, " x\n");

    assert_int_equal(deb822_next(&in.reader, &in.end, &in.e), Q_INVALID);

    close_input(&in);
}

static void zero_bytes_do_not_end_a_value(void **state)
{
    static const char text[] = "A: x\0y\n";
    struct input in;
    size_t n;
    (void)state;
    open_bytes(&in, text, sizeof text - 1);

    assert_stanza(&in);

    assert_non_null(deb822_value(&in.reader, "A", &n));
    assert_int_equal(n, 3);
    close_input(&in);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(stanzas_are_separated_by_blank_lines),
        cmocka_unit_test(a_value_goes_on_in_lines_that_begin_with_white_space),
        cmocka_unit_test(the_bytes_of_a_stanza_are_its_own_lines),
        cmocka_unit_test(the_last_line_may_lack_its_end),
        cmocka_unit_test(an_empty_file_has_no_stanza),
        cmocka_unit_test(an_empty_value_and_a_colon_inside_are_fine),
        cmocka_unit_test(comments_belong_to_nothing),
        cmocka_unit_test(the_first_of_two_fields_of_one_name_counts),
        cmocka_unit_test(a_field_of_a_megabyte_is_read),
        cmocka_unit_test(a_stanza_over_the_limit_is_refused),
        cmocka_unit_test(a_line_that_is_neither_is_named),
        cmocka_unit_test(a_continuation_of_nothing_is_refused),
        cmocka_unit_test(zero_bytes_do_not_end_a_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
