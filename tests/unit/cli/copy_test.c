/* dump and load: what they ask of a node, and what they leave behind. */
#include <stdbool.h>
#include <unistd.h>

#include "tests/unit/cli/fake_node.h"
#include "tests/unit/cli/tool.h"
#include "tests/unit/node/scratch.h"
#include "tests/unit/test.h"

static struct tool_run run; /* large */
static struct scratch scratch;

static int set_up(void **state)
{
    (void)state;
    scratch_open(&scratch);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    scratch_close(&scratch);
    return 0;
}

static const char *path_of(const char *name)
{
    static char path[200];

    snprintf(path, sizeof path, "%s/%s", scratch.dir, name);
    return path;
}

static bool is_there(const char *name)
{
    return access(path_of(name), F_OK) == 0;
}

static void a_dump_goes_to_a_file(void **state)
{
    static const struct fake_step step = {FAKE_ANSWER, 200, NULL, "SQLite format 3 and so on"};
    struct fake_node *node = fake_node_new(&step, 1);
    char nowhere[64], line[300];
    (void)state;

    fake_node_nowhere(nowhere);
    TOOL(&run, NULL, "dump", path_of("x"), "--endpoint", nowhere, "--endpoint", fake_node_url(node));
    assert_int_equal(run.status, 0);
    snprintf(line, sizeof line, "%s  25 bytes\n", path_of("x"));
    assert_string_equal(run.out, line);
    assert_true(is_there("x"));
    assert_false(is_there("x.part"));
    assert_non_null(strstr(fake_node_request(node, 0), "GET /db/backup? HTTP/1.1\r\n"));

    TOOL(&run, NULL, "dump", "--sql", "--tables", "a,b c", "--local", "-", "--endpoint", fake_node_url(node));
    assert_string_equal(run.out, "SQLite format 3 and so on");
    assert_non_null(
        strstr(fake_node_request(node, 1), "GET /db/backup?fmt=sql&noleader&tables=a%2Cb%20c HTTP"));
    fake_node_free(node);
}

static void a_dump_that_fails_leaves_no_file(void **state)
{
    static const struct fake_step step = {FAKE_ANSWER, 503, NULL, "leader not found\n"};
    struct fake_node *node = fake_node_new(&step, 1);
    (void)state;

    TOOL(&run, NULL, "dump", path_of("x"), "--endpoint", fake_node_url(node));
    assert_int_equal(run.status, 1);
    assert_string_equal(run.err, "quorate: the node says 503: leader not found\n");
    TOOL(&run, NULL, "dump", "--tables", "a", path_of("x"), "--endpoint", fake_node_url(node));
    assert_int_equal(run.status, 2);
    assert_false(is_there("x"));
    assert_false(is_there("x.part"));
    fake_node_free(node);
}

static void a_file_is_loaded(void **state)
{
    static const struct fake_step steps[] = {
        {FAKE_ANSWER, 200, NULL, "{\"results\":[]}"},
        {FAKE_ANSWER, 200, NULL, "{\"results\":[{\"error\":\"no such table: t\"}]}"},
        {FAKE_ANSWER, 400, NULL, "invalid SQLite data: x\n"},
        {FAKE_CLOSE, 0, NULL, NULL},
    };
    struct fake_node *node = fake_node_new(steps, 4);
    const char *url = fake_node_url(node);
    char path[200];
    (void)state;
    snprintf(path, sizeof path, "%s", scratch_file(&scratch, "x", "the content", 11, 0600));

    TOOL(&run, NULL, "load", path, "--json", "--endpoint", url);
    assert_int_equal(run.status, 0);
    assert_string_equal(run.out, "{\"bytes\":11}\n");
    assert_non_null(strstr(fake_node_request(node, 0), "POST /db/load HTTP/1.1\r\n"));
    assert_non_null(strstr(fake_node_request(node, 0), "\r\n\r\nthe content"));
    TOOL(&run, NULL, "load", path, "--endpoint", url);
    assert_int_equal(run.status, 1);
    assert_string_equal(run.err, "quorate: no such table: t\n");
    TOOL(&run, NULL, "load", path, "--endpoint", url);
    assert_string_equal(run.err, "quorate: the node says 400: invalid SQLite data: x\n");
    TOOL(&run, NULL, "load", path, "--endpoint", url);
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "it may or may not have been loaded"));
    TOOL(&run, NULL, "load", path_of("nope"), "--endpoint", url);
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "No such file"));
    fake_node_free(node);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_dump_goes_to_a_file),
        TEST(a_dump_that_fails_leaves_no_file),
        TEST(a_file_is_loaded),
    };
    tool_set_path(argc > 1 ? argv[1] : "quorate");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
