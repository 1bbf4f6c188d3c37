/* The member commands: what they ask of a node, how long they watch, and what they tell. */
#include <stdbool.h>

#include "tests/unit/cli/fake_node.h"
#include "tests/unit/cli/tool.h"
#include "tests/unit/test.h"

static struct tool_run run; /* large */

#define ONE(id, role, state, settled, lag)                                                                   \
    "{\"id\":" id ",\"address\":\"10.0.0." id ":7001\",\"api_address\":\"http://h" id                        \
    ":4001\",\"role\":\"" role "\",\"state\":\"" state "\",\"settled\":" settled                             \
    ",\"leader\":false,\"reachable\":true,\"changed\":17,\"lag\":" lag "}"
#define LIST(applied, members)                                                                               \
    "{\"applied\":" applied ",\"waiting\":\"4 waits for 3\",\"members\":[" members "]}"
#define DECIDED                                                                                              \
    {                                                                                                        \
        FAKE_ANSWER, 202, NULL, "{\"index\":17,\"done\":false}"                                              \
    }
#define SAYS(body)                                                                                           \
    {                                                                                                        \
        FAKE_ANSWER, 200, NULL, body                                                                         \
    }

static bool said(struct fake_node *node, unsigned i, const char *text)
{
    const char *request = fake_node_request(node, i);
    return request != NULL && strstr(request, text) != NULL;
}

static void members_are_a_table_a_line_each(void **state)
{
    static const struct fake_step step = SAYS(
        LIST("9", "{\"id\":1,\"address\":\"a:1\",\"api_address\":\"http://h:1\",\"role\":\"voter\",\"state\":"
                  "\"auto\",\"settled\":true,\"leader\":true,\"reachable\":true,\"lag\":0}," ONE(
                      "4", "standby", "voter", "false", "1234")));
    struct fake_node *node = fake_node_new(&step, 1);
    (void)state;

    TOOL(&run, NULL, "member", "list", "--endpoint", fake_node_url(node));
    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.out, " 1  voter    auto"));
    assert_non_null(strstr(run.out, " 4  standby  voter (under way)"));
    assert_non_null(strstr(run.out, "1234  yes"));
    assert_non_null(strstr(run.out, "\nwaiting: 4 waits for 3\n"));
    assert_true(said(node, 0, "GET /v1/cluster/members?redirect HTTP/1.1\r\n"));

    TOOL(&run, NULL, "member", "list", "--all", "--json", "--endpoint", fake_node_url(node));
    assert_int_equal(run.status, 0);
    assert_int_equal(strncmp(run.out, "{\"applied\":9,\"waiting\":", 23), 0);
    assert_true(said(node, 1, "GET /v1/cluster/members?redirect&all HTTP/1.1\r\n"));
    fake_node_free(node);
}

static void without_a_leader_the_list_is_what_the_node_knows(void **state)
{
    static const struct fake_step steps[] = {
        {FAKE_ANSWER, 503, NULL, "{\"error\":\"leader not found\",\"code\":\"no_leader\"}"},
        SAYS(LIST("9", ONE("1", "voter", "auto", "true", "null")))};
    struct fake_node *node = fake_node_new(steps, 2);
    (void)state;

    TOOL(&run, NULL, "member", "list", "--endpoint", fake_node_url(node), "--timeout", "80ms");

    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.out, " 1  voter"));
    fake_node_free(node);
}

static void a_change_is_watched_until_it_is_done(void **state)
{
    static const struct fake_step steps[] = {
        DECIDED,
        SAYS(LIST("16", ONE("4", "standby", "auto", "true", "0"))), /* older than the change */
        SAYS(LIST("17", "{\"id\":4,\"role\":\"voter\",\"state\":\"auto\",\"settled\":true,\"changed\":9}")),
        SAYS(LIST("17", ONE("4", "standby", "voter", "false", "3"))),
        SAYS(LIST("18", ONE("4", "voter", "voter", "true", "0"))),
    };
    struct fake_node *node = fake_node_new(steps, 5);
    (void)state;

    TOOL(&run, NULL, "member", "promote", "4", "--endpoint", fake_node_url(node));

    assert_int_equal(run.status, 0);
    assert_string_equal(run.out, "it votes\n");
    assert_int_equal(fake_node_requests(node), 5);
    assert_true(said(node, 0, "POST /v1/cluster/members/4/promote HTTP/1.1\r\n"));
    assert_true(said(node, 1, "GET /v1/cluster/members?redirect HTTP/1.1\r\n"));
    fake_node_free(node);
}

static void a_removal_is_done_when_the_member_is_not_listed(void **state)
{
    static const struct fake_step steps[] = {
        DECIDED,
        SAYS(LIST("17",
                  ONE("1", "voter", "auto", "true", "0") "," ONE("3", "voter", "leaving", "false", "0"))),
        SAYS(LIST("19", ONE("1", "voter", "auto", "true", "0"))),
    };
    struct fake_node *node = fake_node_new(steps, 3);
    (void)state;

    TOOL(&run, NULL, "member", "remove", "3", "--endpoint", fake_node_url(node), "--json");

    assert_int_equal(run.status, 0);
    assert_string_equal(run.out, "{\"index\":17,\"done\":true}\n");
    assert_int_equal(fake_node_requests(node), 3);
    assert_true(said(node, 0, "DELETE /v1/cluster/members/3 HTTP/1.1\r\n"));
    fake_node_free(node);
}

static void a_replacement_is_done_when_one_is_gone_and_the_other_settled(void **state)
{
    static const struct fake_step steps[] = {
        DECIDED,
        SAYS(LIST("17",
                  ONE("3", "voter", "leaving", "false", "0") "," ONE("4", "standby", "auto", "true", "0"))),
        SAYS(LIST("17", ONE("4", "standby", "auto", "false", "0"))),
        SAYS(LIST("18", ONE("4", "voter", "auto", "true", "0"))),
    };
    struct fake_node *node = fake_node_new(steps, 4);
    (void)state;

    TOOL(&run, NULL, "member", "replace", "3", "4", "--endpoint", fake_node_url(node));

    assert_int_equal(run.status, 0);
    assert_int_equal(fake_node_requests(node), 4);
    assert_true(said(node, 0, "POST /v1/cluster/members/3/replace HTTP/1.1\r\n"));
    assert_true(said(node, 0, "{\"with\":4}"));
    fake_node_free(node);
}

static void what_is_not_done_in_time_goes_on_and_is_said_to(void **state)
{
    static const struct fake_step steps[] = {DECIDED,
                                             SAYS(LIST("17", ONE("4", "standby", "voter", "false", "55")))};
    struct fake_node *node = fake_node_new(steps, 2);
    (void)state;

    TOOL(&run, NULL, "member", "promote", "4", "--wait", "300ms", "--endpoint", fake_node_url(node));

    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err,
                           "it is decided (index 17) but not done after 0.3 s: member 4 is a standby, 55 "
                           "entries behind; 4 waits for 3; it goes on"));
    fake_node_free(node);
}

static void without_waiting_a_decision_is_enough(void **state)
{
    static const struct fake_step step = DECIDED;
    struct fake_node *node = fake_node_new(&step, 1);
    (void)state;

    TOOL(&run, NULL, "member", "demote", "2", "--no-wait", "--endpoint", fake_node_url(node));
    assert_int_equal(run.status, 0);
    assert_string_equal(run.out, "decided at index 17\n");
    assert_true(said(node, 0, "POST /v1/cluster/members/2/demote HTTP/1.1\r\n"));

    TOOL(&run, NULL, "member", "add", "4", "db4:7001", "--endpoint", fake_node_url(node));
    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.out, "quorated --join MEMBER --id 4 --listen db4:7001"));
    assert_true(said(node, 1, "POST /v1/cluster/members HTTP/1.1\r\n"));
    assert_true(said(node, 1, "{\"address\":\"db4:7001\",\"id\":4}"));

    TOOL(&run, NULL, "member", "move", "2", "[::1]:9", "--no-wait", "--endpoint", fake_node_url(node));
    assert_int_equal(run.status, 0);
    assert_true(said(node, 2, "POST /v1/cluster/members/2/move HTTP/1.1\r\n"));
    assert_true(said(node, 2, "{\"address\":\"[::1]:9\"}"));
    assert_int_equal(fake_node_requests(node), 3);
    fake_node_free(node);
}

static void a_refusal_is_the_leaders_sentence_and_status_one(void **state)
{
    static const struct fake_step step = {FAKE_ANSWER, 409, NULL,
                                          "{\"error\":\"remove dead member 3 first\",\"code\":\"conflict\"}"};
    struct fake_node *node = fake_node_new(&step, 1);
    (void)state;

    TOOL(&run, NULL, "member", "promote", "4", "--endpoint", fake_node_url(node));

    assert_int_equal(run.status, 1);
    assert_string_equal(run.err, "quorate: remove dead member 3 first\n");
    assert_int_equal(fake_node_requests(node), 1);
    fake_node_free(node);
}

static void a_change_goes_on_to_be_watched_while_no_leader_is_known(void **state)
{
    static const struct fake_step steps[] = {
        DECIDED,
        {FAKE_ANSWER, 503, NULL, "{\"error\":\"leader not found\",\"code\":\"no_leader\"}"},
        SAYS(LIST("17", ONE("1", "voter", "auto", "true", "0"))),
    };
    struct fake_node *node = fake_node_new(steps, 3);
    (void)state;

    TOOL(&run, NULL, "member", "remove", "3", "--endpoint", fake_node_url(node), "--timeout", "2s");

    assert_int_equal(run.status, 0);
    fake_node_free(node);
}

static void leadership_is_handed_over_and_the_new_leader_named(void **state)
{
    static const struct fake_step step = SAYS("{\"done\":true,\"leader\":2}");
    struct fake_node *node = fake_node_new(&step, 1);
    (void)state;

    TOOL(&run, NULL, "member", "transfer", "2", "--endpoint", fake_node_url(node));
    assert_int_equal(run.status, 0);
    assert_string_equal(run.out, "member 2 leads\n");
    assert_true(said(node, 0, "POST /v1/cluster/transfer?timeout=5000ms&wait HTTP/1.1\r\n"));
    assert_true(said(node, 0, "{\"to\":2}"));

    TOOL(&run, NULL, "member", "transfer", "--no-wait", "--endpoint", fake_node_url(node));
    assert_int_equal(run.status, 0);
    assert_true(said(node, 1, "POST /v1/cluster/transfer?timeout=5000ms HTTP/1.1\r\n"));
    fake_node_free(node);
}

static void what_is_called_wrongly_asks_nobody(void **state)
{
    static const char *const calls[][3] = {
        {"promote", "x", NULL}, {"promote", "0", NULL},  {"remove", "-1", NULL},   {"add", "4", "a b:1"},
        {"add", "4x", "a:1"},   {"move", "4", "a\"b:1"}, {"replace", "3", "four"}, {"transfer", "4.", NULL}};
    static const struct fake_step step = DECIDED;
    struct fake_node *node = fake_node_new(&step, 1);
    (void)state;

    for (unsigned i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        const char *last[] = {"--endpoint", fake_node_url(node)};
        if (calls[i][2] != NULL) {
            TOOL(&run, NULL, "member", calls[i][0], calls[i][1], calls[i][2], last[0], last[1]);
        } else {
            TOOL(&run, NULL, "member", calls[i][0], calls[i][1], last[0], last[1]);
        }
        assert_int_equal(run.status, 2);
    }
    assert_int_equal(fake_node_requests(node), 0);
    fake_node_free(node);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_a_table_a_line_each),
        cmocka_unit_test(without_a_leader_the_list_is_what_the_node_knows),
        cmocka_unit_test(a_change_is_watched_until_it_is_done),
        cmocka_unit_test(a_removal_is_done_when_the_member_is_not_listed),
        cmocka_unit_test(a_replacement_is_done_when_one_is_gone_and_the_other_settled),
        cmocka_unit_test(what_is_not_done_in_time_goes_on_and_is_said_to),
        cmocka_unit_test(without_waiting_a_decision_is_enough),
        cmocka_unit_test(a_refusal_is_the_leaders_sentence_and_status_one),
        cmocka_unit_test(a_change_goes_on_to_be_watched_while_no_leader_is_known),
        cmocka_unit_test(leadership_is_handed_over_and_the_new_leader_named),
        cmocka_unit_test(what_is_called_wrongly_asks_nobody),
    };
    if (argc != 2) {
        fprintf(stderr, "usage: cli_member_test PATH-OF-QUORATE\n");
        return 2;
    }
    tool_set_path(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
