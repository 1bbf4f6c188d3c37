#include <jansson.h>

#include "tests/unit/cli/fake_node.h"
#include "tests/unit/cli/tool.h"
#include "tests/unit/test.h"

static struct tool_run run; /* large */

#define STATUS                                                                                               \
    {                                                                                                        \
        FAKE_ANSWER, 200, NULL,                                                                              \
            "{\"quorate\":{\"id\":1,\"state\":\"leader\",\"leader\":1,\"term\":1,\"commit\":1,\"applied\":"  \
            "1,"                                                                                             \
            "\"digest\":\"00\",\"members\":[]},\"store\":{\"addr\":\"x\"}}"                                  \
    }
#define DONE                                                                                                 \
    {                                                                                                        \
        FAKE_ANSWER, 200, NULL, "{\"results\":[{\"rows_affected\":1}]}"                                      \
    }

/* The answers that an import of stanzas wants: the status, the table, and then whatever comes. */
static const struct fake_step willing[] = {STATUS, DONE, DONE};

static const char *request_with(struct fake_node *node, const char *text)
{
    for (unsigned i = 0; i < fake_node_requests(node); i++) {
        if (strstr(fake_node_request(node, i), text) != NULL) {
            return fake_node_request(node, i);
        }
    }
    return NULL;
}

/* The statement and parameters of the first INSERT; to be freed by the caller. */
static json_t *inserted(struct fake_node *node)
{
    const char *request = request_with(node, "INSERT OR REPLACE");
    json_t *root;
    assert_non_null(request);
    root = json_loads(strstr(request, "\r\n\r\n") + 4, 0, NULL);
    assert_non_null(root);
    return root;
}

static const char *parameter(const json_t *root, unsigned i)
{
    return json_string_value(json_array_get(json_array_get(root, 0), i + 1));
}

static void a_stanza_becomes_a_row_and_an_entry(void **state)
{
    static const char input[] =
        "Package: a\nVersion: 1:2~x\nArchitecture: all\nInstalled-Size: 12\nHomepage: h\n"
        "Description: short\n long\n";
    struct fake_node *node = fake_node_new(willing, 3);
    const char *put;
    json_t *root;
    (void)state;

    TOOL(&run, input, "import", "--deb822", "-", "--table", "p", "--namespace", "n", "--json", "--endpoint",
         fake_node_url(node));

    assert_int_equal(run.status, 0);
    assert_non_null(
        strstr(run.out, "{\"read\":1,\"sql_rows\":1,\"kv_entries\":1,\"acknowledged\":2,\"retried\":0,"));
    assert_non_null(
        request_with(node, "CREATE TABLE IF NOT EXISTS \\\"p\\\" (key TEXT PRIMARY KEY, name TEXT"));
    root = inserted(node);
    assert_string_equal(parameter(root, 0), "a/1:2~x/all");
    assert_string_equal(parameter(root, 1), "a");
    assert_int_equal(json_integer_value(json_array_get(json_array_get(root, 0), 8)), 12);
    assert_string_equal(parameter(root, 8), "short\n long");
    assert_string_equal(parameter(root, 9), "{\"Homepage\":\"h\"}");
    assert_true(json_is_null(json_array_get(json_array_get(root, 0), 5)));
    json_decref(root);
    put = request_with(node, "PUT /v1/kv/n/a%2F1%3A2~x%2Fall HTTP/1.1");
    assert_non_null(put);
    assert_string_equal(strstr(put, "\r\n\r\n") + 4, input);
    fake_node_free(node);
}

static void stanzas_of_one_name_get_keys_of_their_own(void **state)
{
    struct fake_node *node = fake_node_new(willing, 3);
    (void)state;

    TOOL(&run, "Package: a\nX: 1\n\nPackage: a\nX: 2\n\nPackage: a\nX: 3\n", "import", "--deb822", "-",
         "--namespace", "n", "--endpoint", fake_node_url(node));

    assert_int_equal(run.status, 0);
    assert_non_null(strstr(request_with(node, "PUT /v1/kv/n/a%2F%2F HTTP/1.1"), "X: 1"));
    assert_non_null(strstr(request_with(node, "PUT /v1/kv/n/a%2F%2F%232 HTTP/1.1"), "X: 2"));
    assert_non_null(strstr(request_with(node, "PUT /v1/kv/n/a%2F%2F%233 HTTP/1.1"), "X: 3"));
    assert_null(request_with(node, "CREATE TABLE"));
    fake_node_free(node);
}

static void a_limit_ends_the_reading(void **state)
{
    struct fake_node *node = fake_node_new(willing, 3);
    (void)state;

    TOOL(&run, "Package: a\n\nPackage: b\n\nPackage: c\n", "import", "--deb822", "-", "--namespace", "n",
         "--limit", "2", "--json", "--endpoint", fake_node_url(node));

    assert_non_null(strstr(run.out, "\"read\":2,"));
    assert_null(request_with(node, "/c%2F"));
    fake_node_free(node);
}

static void rubbish_is_refused_with_its_line(void **state)
{
    static const struct {
        const char *form, *key, *input, *text;
    } rows[] = {
        {"--deb822", NULL, "Package: a\n\nrubbish\n", "line 3 is neither"},
        {"--deb822", NULL, "Package: a\n\nVersion: 1\n", "the stanza that begins in line 3 has no Package"},
        {"--jsonl", "a", "{\"a\":1}\n{\"a\":}\n", "line 2 is not a JSON object"},
        {"--jsonl", "a", "[1]\n", "line 1 is not a JSON object"},
        {"--jsonl", "a", "{\"a\":[1]}\n", "line 1: the field a is neither text nor a number"},
    };
    (void)state;

    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fake_node *node = fake_node_new(willing, 3);
        TOOL(&run, rows[i].input, "import", rows[i].form, "-", "--namespace", "n", "--endpoint",
             fake_node_url(node), rows[i].key != NULL ? "--key" : NULL, rows[i].key);
        assert_int_equal(run.status, 1);
        assert_non_null(strstr(run.err, rows[i].text));
        fake_node_free(node);
    }
}

static void objects_become_rows_and_their_keys_columns(void **state)
{
    static const struct fake_step steps[] = {
        STATUS,
        DONE,
        {FAKE_ANSWER, 200, NULL,
         "{\"results\":[{\"columns\":[\"cid\",\"name\"],\"types\":[\"\",\"\"],\"values\":[[0,\"id\"]]}]}"},
        DONE};
    struct fake_node *node = fake_node_new(steps, 4);
    json_t *root;
    (void)state;

    TOOL(&run, "{\"id\":\"k\",\"n\":1.5,\"t\":true,\"o\":{\"x\":[1]}}\n\n{\"ID\":7,\"n\":null}", "import",
         "--jsonl", "-", "--table", "t", "--key", "id", "--endpoint", fake_node_url(node));

    assert_int_equal(run.status, 1); /* "ID" is the column id, but not the field id */
    assert_non_null(strstr(run.err, "line 3: the field id is neither"));
    assert_non_null(request_with(node, "CREATE TABLE IF NOT EXISTS \\\"t\\\" (\\\"id\\\" PRIMARY KEY)"));
    assert_non_null(request_with(node, "ALTER TABLE \\\"t\\\" ADD COLUMN \\\"n\\\""));
    assert_null(request_with(node, "ADD COLUMN \\\"id\\\""));

    fake_node_free(node);
    node = fake_node_new(steps, 4);
    TOOL(&run, "{\"id\":\"k\",\"n\":1.5,\"t\":true,\"o\":{\"x\":[1]}}\n{\"id\":\"l\",\"n\":null}\n", "import",
         "--jsonl", "-", "--table", "t", "--key", "id", "--endpoint", fake_node_url(node));
    assert_int_equal(run.status, 0);
    root = inserted(node);
    assert_string_equal(json_string_value(json_array_get(json_array_get(root, 0), 0)),
                        "INSERT OR REPLACE INTO \"t\"(\"id\",\"n\",\"t\",\"o\") VALUES (?,?,?,?),(?,?,?,?)");
    assert_string_equal(parameter(root, 0), "k");
    assert_int_equal(json_integer_value(json_array_get(json_array_get(root, 0), 3)), 1);
    assert_string_equal(parameter(root, 3), "{\"x\":[1]}");
    assert_true(json_is_null(json_array_get(json_array_get(root, 0), 8)));
    json_decref(root);
    fake_node_free(node);
}

static void the_last_line_of_a_key_is_written_last(void **state)
{
    static const struct fake_step steps[] = {STATUS, {FAKE_ANSWER, 503, NULL, "leader not found"}, DONE};
    struct fake_node *node = fake_node_new(steps, 3);
    (void)state;

    TOOL(&run, "{\"k\":1,\"v\":\"old\"}\n{\"k\":1,\"v\":\"new\"}\n", "import", "--jsonl", "-", "--namespace",
         "n", "--key", "k", "--endpoint", fake_node_url(node));

    assert_int_equal(run.status, 0);
    assert_int_equal(fake_node_requests(node), 4);
    assert_non_null(strstr(fake_node_request(node, 1), "old"));
    assert_non_null(strstr(fake_node_request(node, 2), "old"));
    assert_non_null(strstr(fake_node_request(node, 3), "new"));
    fake_node_free(node);
}

static void a_refused_write_ends_the_import(void **state)
{
    static const struct fake_step steps[] = {
        STATUS,
        DONE,
        {FAKE_ANSWER, 200, NULL, "{\"results\":[{\"error\":\"table p has no column named rest\"}]}"}};
    struct fake_node *node = fake_node_new(steps, 3);
    (void)state;

    TOOL(&run, "Package: a\n", "import", "--deb822", "-", "--table", "p", "--endpoint", fake_node_url(node));

    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "table p has no column named rest"));
    assert_non_null(strstr(run.out, "acknowledged  0"));
    fake_node_free(node);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stanza_becomes_a_row_and_an_entry),
        cmocka_unit_test(stanzas_of_one_name_get_keys_of_their_own),
        cmocka_unit_test(a_limit_ends_the_reading),
        cmocka_unit_test(rubbish_is_refused_with_its_line),
        cmocka_unit_test(objects_become_rows_and_their_keys_columns),
        cmocka_unit_test(the_last_line_of_a_key_is_written_last),
        cmocka_unit_test(a_refused_write_ends_the_import),
    };
    if (argc != 2) {
        fprintf(stderr, "usage: cli_import_test PATH-OF-QUORATE\n");
        return 2;
    }
    tool_set_path(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
