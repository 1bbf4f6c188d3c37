#include <unistd.h>

#include "tests/unit/cli/fake_node.h"
#include "tests/unit/cli/tool.h"
#include "tests/unit/test.h"

static struct tool_run run; /* large */

static unsigned lines(const char *text)
{
    unsigned n = 0;
    for (; *text != 0; text++) {
        n += *text == '\n';
    }
    return n;
}

static void assert_usage(const char *text)
{
    assert_int_equal(run.status, 2);
    assert_string_equal(run.out, "");
    assert_int_equal(lines(run.err), 1);
    assert_non_null(strstr(run.err, text));
}

static void what_is_unknown_is_one_line_and_status_two(void **state)
{
    (void)state;

    TOOL(&run, NULL, "nonsense");
    assert_usage("quorate: unknown command nonsense");
    TOOL(&run, NULL, "kv", "nonsense");
    assert_usage("quorate: unknown command kv nonsense");
    TOOL(&run, NULL, "kv");
    assert_usage("quorate: kv what?");
    TOOL(&run, NULL, "--nonsense");
    assert_usage("quorate: unknown option --nonsense");
    TOOL(&run, NULL, "sql", "--nonsense");
    assert_usage("quorate: unknown option --nonsense (see quorate sql --help)");
    TOOL(&run, NULL, "kv", "get", "ns");
    assert_usage("quorate: usage: quorate kv get NAMESPACE KEY");
    TOOL(&run, NULL, "kv", "get", "a", "b", "--endpoint", "https://x");
    assert_usage("only http:// is spoken");
    TOOL(&run, NULL, "kv", "get", "a", "b", "--level", "strict");
    assert_usage("level \"strict\" is not one of: none, weak, linearizable, strong");
    TOOL(&run, NULL, "kv", "put", "a", "b");
    assert_usage("give the value");
    TOOL(&run, NULL, "kv", "put", "a", "b", "c", "--if-absent", "--if-version", "3");
    assert_usage("only one of");
    TOOL(&run, NULL, "import");
    assert_usage("give one input");
    TOOL(&run, NULL, "import", "--jsonl", "-", "--namespace", "x");
    assert_usage("needs --key");
    TOOL(&run, NULL, "bench", "--mix", "60/50");
    assert_usage("--mix");
    TOOL(&run, NULL, "local", "kill", "x", "--dir", "/tmp");
    assert_usage("\"x\" is not the number of a node");
    TOOL(&run, NULL, "backup", "create");
    assert_usage("--to DIR is the directory of the backups");
    TOOL(&run, NULL, "backup", "create", "--to", "/nowhere/x", "--from", "somebody");
    assert_usage("--from is one of: any, follower, leader, or the URL of a node");
    TOOL(&run, NULL, "backup", "prune", "/tmp");
    assert_usage("--keep N or --older-than TIME");
    TOOL(&run, NULL, "backup", "verify");
    assert_usage("usage: quorate backup verify DIR");
    TOOL(&run, NULL, "restore", "--from", "/tmp");
    assert_usage("--dir is missing");
    TOOL(&run, NULL, "restore", "--from", "/tmp", "--dir", "/nowhere/x", "--id", "2", "--members",
         "1=a:1,b:2");
    assert_usage("--members: \"b:2\" is not of the form id=host:port");
    TOOL(&run, NULL, "restore", "--from", "/tmp", "--dir", "/nowhere/x", "--id", "2", "--members", "1=a:1");
    assert_usage("--members does not name node 2");
    TOOL(&run, NULL, "local", "stop");
    assert_usage("--dir is missing");
}

static void help_is_at_hand_for_everything(void **state)
{
    static const char *const commands[][2] = {
        {"sql", NULL},        {"kv", "get"},         {"kv", "put"},         {"kv", "delete"},
        {"kv", "list"},       {"status", NULL},      {"verify", NULL},      {"import", NULL},
        {"bench", NULL},      {"local", "start"},    {"local", "stop"},     {"local", "status"},
        {"local", "kill"},    {"local", "restart"},  {"local", "pause"},    {"local", "resume"},
        {"backup", "create"}, {"backup", "list"},    {"backup", "verify"},  {"backup", "prune"},
        {"restore", NULL},    {"local", "add"},      {"local", "remove"},   {"member", "list"},
        {"member", "add"},    {"member", "remove"},  {"member", "promote"}, {"member", "demote"},
        {"member", "move"},   {"member", "replace"}, {"member", "transfer"}};
    (void)state;

    TOOL(&run, NULL, "--help");
    assert_int_equal(run.status, 0);
    for (unsigned i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        struct tool_run *one = calloc(1, sizeof *one);
        assert_non_null(strstr(run.out, commands[i][0]));
        if (commands[i][1] != NULL) {
            TOOL(one, NULL, commands[i][0], commands[i][1], "--help");
        } else {
            TOOL(one, NULL, commands[i][0], "--help");
        }
        assert_int_equal(one->status, 0);
        assert_non_null(strstr(one->out, "usage: quorate "));
        assert_non_null(strstr(one->out, "--timeout"));
        free(one);
    }
    TOOL(&run, NULL, "local", "--help");
    assert_non_null(strstr(run.out, "local restart N"));
}

static void failures_are_one_line_and_status_one(void **state)
{
    char nowhere[64];
    (void)state;
    fake_node_nowhere(nowhere);

    TOOL(&run, NULL, "kv", "get", "a", "b", "--endpoint", nowhere, "--timeout", "100ms");

    assert_int_equal(run.status, 1);
    assert_int_equal(lines(run.err), 1);
    assert_non_null(strstr(run.err, "no node answered within 0.1 s"));
}

static void verify_fails_if_a_node_does_not_have_what_its_digest_names(void **state)
{
    static const char status[] = "{\"quorate\":{\"id\":1,\"state\":\"leader\",\"term\":1,\"leader\":1}}";
    static const struct fake_step steps[] = {
        {FAKE_ANSWER, 200, NULL, status},
        {FAKE_ANSWER, 200, NULL,
         "{\"node\":1,\"index\":17,\"digest\":\"abcdef0123456789\",\"ok\":true,\"differing\":\"\"}"},
        {FAKE_ANSWER, 200, NULL, status},
        {FAKE_ANSWER, 200, NULL,
         "{\"node\":1,\"index\":17,\"digest\":\"abcdef0123456789\",\"ok\":false,\"differing\":\"t\"}"}};
    struct fake_node *node = fake_node_new(steps, 4);
    (void)state;

    TOOL(&run, NULL, "verify", "--endpoint", fake_node_url(node));
    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.out, "abcdef012345  ok"));
    assert_non_null(strstr(fake_node_request(node, 1), "POST /v1/verify HTTP/1.1\r\n"));

    TOOL(&run, NULL, "verify", "--endpoint", fake_node_url(node));
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.out, "wrong: t"));
    fake_node_free(node);
}

static void a_put_sends_the_value_and_prints_the_version(void **state)
{
    static const struct fake_step step = {FAKE_ANSWER, 200, NULL, "{\"version\":3,\"index\":9}"};
    struct fake_node *node = fake_node_new(&step, 1);
    (void)state;

    TOOL(&run, NULL, "kv", "put", "app", "a/b c", "value", "--endpoint", fake_node_url(node));

    assert_int_equal(run.status, 0);
    assert_string_equal(run.out, "version 3\n");
    assert_non_null(strstr(fake_node_request(node, 0), "PUT /v1/kv/app/a%2Fb%20c HTTP/1.1\r\n"));
    assert_non_null(strstr(fake_node_request(node, 0), "\r\n\r\nvalue"));
    assert_null(strstr(fake_node_request(node, 0), "If-"));

    TOOL(&run, "from stdin", "kv", "put", "app", "k", "-", "--if-version", "7", "--json", "--endpoint",
         fake_node_url(node));
    assert_string_equal(run.out, "{\"version\":3,\"index\":9}\n");
    assert_non_null(strstr(fake_node_request(node, 1), "If-Match: \"7\"\r\n"));
    assert_non_null(strstr(fake_node_request(node, 1), "\r\n\r\nfrom stdin"));

    TOOL(&run, NULL, "kv", "put", "app", "k", "", "--if-absent", "--endpoint", fake_node_url(node));
    assert_non_null(strstr(fake_node_request(node, 2), "If-None-Match: *\r\n"));
    assert_non_null(strstr(fake_node_request(node, 2), "Content-Length: 0\r\n"));
    fake_node_free(node);
}

static void a_conditional_put_of_unknown_outcome_is_not_repeated(void **state)
{
    static const struct fake_step steps[] = {{FAKE_CLOSE, 0, NULL, NULL},
                                             {FAKE_ANSWER, 200, NULL, "{\"version\":1,\"index\":1}"}};
    struct fake_node *node = fake_node_new(steps, 2);
    (void)state;

    TOOL(&run, NULL, "kv", "put", "app", "k", "v", "--if-absent", "--endpoint", fake_node_url(node));

    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "the outcome is unknown"));
    assert_int_equal(fake_node_requests(node), 1);
    fake_node_free(node);
}

static void a_condition_that_does_not_hold_is_a_failure(void **state)
{
    static const struct fake_step step = {FAKE_ANSWER, 412, NULL,
                                          "{\"error\":\"the key has version 2\",\"version\":2}"};
    struct fake_node *node = fake_node_new(&step, 1);
    (void)state;

    TOOL(&run, NULL, "kv", "delete", "app", "k", "--if-version", "1", "--endpoint", fake_node_url(node));

    assert_int_equal(run.status, 1);
    assert_string_equal(run.err, "quorate: the key has version 2\n");
    assert_non_null(strstr(fake_node_request(node, 0), "DELETE /v1/kv/app/k HTTP/1.1\r\n"));
    fake_node_free(node);
}

static void a_get_prints_the_bytes_and_nothing_else(void **state)
{
    static const struct fake_step step = {FAKE_ANSWER, 200, "ETag: \"5\"\r\n", "bytes"};
    struct fake_node *node = fake_node_new(&step, 1);
    (void)state;

    TOOL(&run, NULL, "kv", "get", "app", "k", "--level", "none", "--endpoint", fake_node_url(node));
    assert_string_equal(run.out, "bytes");
    assert_non_null(strstr(fake_node_request(node, 0), "GET /v1/kv/app/k?level=none HTTP/1.1\r\n"));
    TOOL(&run, NULL, "kv", "get", "app", "k", "--json", "--endpoint", fake_node_url(node));
    assert_string_equal(run.out, "{\"key\":\"k\",\"version\":5,\"value\":\"bytes\"}\n");
    fake_node_free(node);
}

static void a_list_follows_all_pages(void **state)
{
    static const struct fake_step steps[] = {
        {FAKE_ANSWER, 200, NULL,
         "{\"keys\":[{\"key\":\"a\",\"version\":1},{\"key\":\"b c\",\"version\":22}],\"more\":true,"
         "\"next\":\"b c\"}"},
        {FAKE_ANSWER, 200, NULL,
         "{\"keys\":[{\"key_base64\":\"/w==\",\"version\":3}],\"more\":true,"
         "\"next_base64\":\"/w==\"}"},
        {FAKE_ANSWER, 200, NULL, "{\"keys\":[],\"more\":false}"}};
    struct fake_node *node = fake_node_new(steps, 3);
    (void)state;

    TOOL(&run, NULL, "kv", "list", "app", "--prefix", "&", "--endpoint", fake_node_url(node));

    assert_int_equal(run.status, 0);
    assert_string_equal(run.out, "key  version\n---  -------\na          1\nb c       22\n\xff          3\n");
    assert_non_null(
        strstr(fake_node_request(node, 0), "GET /v1/kv/app?limit=10000&level=linearizable&prefix=%26 "));
    assert_non_null(strstr(fake_node_request(node, 1), "&prefix=%26&after=b%20c "));
    assert_non_null(strstr(fake_node_request(node, 2), "&prefix=%26&after_base64=%2Fw%3D%3D "));
    fake_node_free(node);
}

static void a_list_stops_at_its_limit(void **state)
{
    static const struct fake_step step = {
        FAKE_ANSWER, 200, NULL,
        "{\"keys\":[{\"key\":\"a\",\"version\":1},{\"key\":\"b\",\"version\":2}],\"more\":true,"
        "\"next\":\"b\"}"};
    struct fake_node *node = fake_node_new(&step, 1);
    (void)state;

    TOOL(&run, NULL, "kv", "list", "app", "--limit", "3", "--count", "--endpoint", fake_node_url(node));

    assert_string_equal(run.out, "3\n");
    assert_non_null(strstr(fake_node_request(node, 0), "limit=3&"));
    assert_non_null(strstr(fake_node_request(node, 1), "limit=1&"));
    fake_node_free(node);
}

static void statements_go_in_one_request(void **state)
{
    static const struct fake_step step = {
        FAKE_ANSWER, 200, NULL,
        "{\"results\":[{\"rows_affected\":1},{\"columns\":[\"1\"],\"values\":[[1]]}]}"};
    struct fake_node *node = fake_node_new(&step, 1);
    (void)state;

    TOOL(&run, NULL, "sql", "INSERT INTO t VALUES ('a;b')", "SELECT 1", "--transaction", "--endpoint",
         fake_node_url(node));

    assert_int_equal(run.status, 0);
    assert_string_equal(run.out, "1 row changed\n1\n-\n1\n");
    assert_int_equal(fake_node_requests(node), 1);
    assert_non_null(
        strstr(fake_node_request(node, 0), "POST /db/request?level=linearizable&transaction HTTP/1.1"));
    fake_node_free(node);
}

static void standard_input_runs_statement_by_statement_until_one_fails(void **state)
{
    static const struct fake_step steps[] = {
        {FAKE_ANSWER, 200, NULL, "{\"results\":[{\"rows_affected\":1}]}"},
        {FAKE_ANSWER, 200, NULL, "{\"results\":[{\"error\":\"no such table: t\"}]}"},
    };
    struct fake_node *node = fake_node_new(steps, 2);
    (void)state;

    TOOL(&run, "INSERT INTO\n s VALUES (1);\nINSERT INTO t VALUES (1); SELECT 1;", "sql", "--endpoint",
         fake_node_url(node));

    assert_int_equal(run.status, 1);
    assert_string_equal(run.out, "1 row changed\n");
    assert_string_equal(run.err, "quorate: the statement that begins in line 2: no such table: t\n");
    assert_int_equal(fake_node_requests(node), 2);
    fake_node_free(node);
}

static void a_bench_counts_what_succeeded_and_what_did_not(void **state)
{
    static const struct fake_step steps[] = {
        {FAKE_ANSWER, 200, NULL,
         "{\"quorate\":{\"id\":1,\"state\":\"leader\",\"leader\":1,\"term\":1,\"members\":[]}}"},
        {FAKE_ANSWER, 200, NULL, "{}"},
        {FAKE_ANSWER, 200, NULL, "{}"},
        {FAKE_ANSWER, 503, NULL, "leader not found"},
    };
    struct fake_node *node = fake_node_new(steps, 4);
    (void)state;

    TOOL(&run, NULL, "bench", "--seconds", "100ms", "--warmup", "0", "--clients", "1", "--mix", "put",
         "--value-size", "3", "--keys", "1", "--endpoint", fake_node_url(node));

    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.out, "operations   2 (2 puts, 0 gets)"));
    assert_non_null(strstr(run.out, "the first: status 503: leader not found"));
    assert_non_null(strstr(fake_node_request(node, 1), "PUT /v1/kv/bench/key00000000 HTTP/1.1\r\n"));
    assert_non_null(strstr(fake_node_request(node, 1), "Content-Length: 3\r\n"));
    assert_true(fake_node_requests(node) < 12); /* it does not flood a cluster without a leader */
    fake_node_free(node);
}

static void a_bench_fills_what_it_gets(void **state)
{
    static const struct fake_step steps[] = {
        {FAKE_ANSWER, 200, NULL,
         "{\"quorate\":{\"id\":1,\"state\":\"leader\",\"leader\":1,\"term\":1,\"members\":[]}}"},
        {FAKE_ANSWER, 200, NULL, "{}"},
    };
    struct fake_node *node = fake_node_new(steps, 2);
    (void)state;

    TOOL(&run, NULL, "bench", "--seconds", "100ms", "--warmup", "0", "--clients", "4", "--mix", "get",
         "--keys", "10", "--level", "none", "--json", "--endpoint", fake_node_url(node));

    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.out, "{\"puts\":0,\"gets\":"));
    assert_non_null(strstr(run.out, "\"errors\":0,"));
    for (unsigned i = 1; i <= 10; i++) {
        assert_non_null(strstr(fake_node_request(node, i), "PUT /v1/kv/bench/key0000000"));
    }
    assert_non_null(strstr(fake_node_request(node, 11), "GET /v1/kv/bench/key0000000"));
    assert_non_null(strstr(fake_node_request(node, 11), "?level=none HTTP/1.1\r\n"));
    fake_node_free(node);
}

static void a_directory_without_cluster_is_told(void **state)
{
    char dir[] = "/tmp/quorate-test.XXXXXX";
    (void)state;
    assert_non_null(mkdtemp(dir));

    TOOL(&run, NULL, "local", "stop", "--dir", dir);

    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "holds no cluster"));
    rmdir(dir);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_unknown_is_one_line_and_status_two),
        cmocka_unit_test(help_is_at_hand_for_everything),
        cmocka_unit_test(failures_are_one_line_and_status_one),
        cmocka_unit_test(verify_fails_if_a_node_does_not_have_what_its_digest_names),
        cmocka_unit_test(a_put_sends_the_value_and_prints_the_version),
        cmocka_unit_test(a_conditional_put_of_unknown_outcome_is_not_repeated),
        cmocka_unit_test(a_condition_that_does_not_hold_is_a_failure),
        cmocka_unit_test(a_get_prints_the_bytes_and_nothing_else),
        cmocka_unit_test(a_list_follows_all_pages),
        cmocka_unit_test(a_list_stops_at_its_limit),
        cmocka_unit_test(statements_go_in_one_request),
        cmocka_unit_test(standard_input_runs_statement_by_statement_until_one_fails),
        cmocka_unit_test(a_bench_counts_what_succeeded_and_what_did_not),
        cmocka_unit_test(a_bench_fills_what_it_gets),
        cmocka_unit_test(a_directory_without_cluster_is_told),
    };
    if (argc != 2) {
        fprintf(stderr, "usage: cli_commands_test PATH-OF-QUORATE\n");
        return 2;
    }
    tool_set_path(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
