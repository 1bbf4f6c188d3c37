#include "node/cli/cluster_view.h"

#include "tests/unit/cli/fake_node.h"
#include "tests/unit/test.h"

enum { PROBE_MS = 2000, STATUS_MAX = 4096 };

static void put_status(char to[STATUS_MAX], unsigned id, unsigned term, unsigned leader,
                       const char *other_url)
{
    snprintf(
        to, STATUS_MAX,
        "{\"quorate\":{\"id\":%u,\"state\":\"%s\",\"term\":%u,\"leader\":%u,\"ready\":true,\"fenced\":false,"
        "\"disk\":{\"full\":%s},\"commit\":10,\"applied\":9,\"digest\":\"abcd\",\"members\":[{\"id\":%u,"
        "\"role\":\"standby\",\"address\":\"p:%u\","
        "\"api_address\":\"%s\"}]},\"store\":{\"addr\":\"p:%u\"}}",
        id, id == leader ? "leader" : "follower", term, leader, id == 1 ? "true" : "false", 3 - id, 3 - id,
        other_url, id);
}

static struct client *client_of(const char *urls)
{
    struct endpoints list = {0};
    struct client *client;
    struct error e;
    assert_int_equal(endpoints_add(&list, urls, &e), 0);
    assert_int_equal(client_new(&list, PROBE_MS, &client, &e), 0);
    return client;
}

static void an_image_on_its_way_to_a_node_is_seen(void **state)
{
    struct fake_step step = {
        FAKE_ANSWER, 200, NULL,
        "{\"quorate\":{\"id\":1,\"state\":\"follower\",\"shipment\":{\"role\":\"target\",\"state\":"
        "\"fetching\","
        "\"peer\":3,\"bytes\":9000,\"chunks\":4,\"chunks_reused\":2,\"chunks_fetched\":1,"
        "\"bytes_on_the_wire\":500,\"bytes_per_second\":70,\"eta_ms\":null}}}"};
    struct fake_node *node = fake_node_new(&step, 1);
    struct client *client = client_of(fake_node_url(node));
    struct cluster_view view;
    struct error e;
    (void)state;

    assert_int_equal(cluster_view_fetch(client, PROBE_MS, &view, &e), 0);
    assert_string_equal(view.nodes[0].shipment.state, "fetching");
    assert_int_equal(view.nodes[0].shipment.peer, 3);
    assert_int_equal(view.nodes[0].shipment.chunks, 4);
    assert_int_equal(view.nodes[0].shipment.reused, 2);
    assert_int_equal(view.nodes[0].shipment.fetched, 1);
    assert_int_equal(view.nodes[0].shipment.wire, 500);
    assert_false(view.nodes[0].shipment.eta_known);
    client_free(client);
    fake_node_free(node);
}

static void nodes_that_others_name_are_asked_too(void **state)
{
    char one[STATUS_MAX], two[STATUS_MAX];
    struct fake_step step_one = {FAKE_ANSWER, 200, NULL, one}, step_two = {FAKE_ANSWER, 200, NULL, two};
    struct fake_node *first = fake_node_new(&step_one, 1), *second = fake_node_new(&step_two, 1);
    struct client *client = client_of(fake_node_url(first));
    struct cluster_view view;
    struct error e;
    (void)state;
    put_status(one, 1, 4, 2, fake_node_url(second));
    put_status(two, 2, 4, 2, fake_node_url(first));

    assert_int_equal(cluster_view_fetch(client, PROBE_MS, &view, &e), 0);

    assert_int_equal(view.count, 2);
    assert_int_equal(view.nodes[0].id, 1);
    assert_true(view.nodes[0].answered && view.nodes[1].answered);
    assert_string_equal(view.nodes[1].state, "leader");
    assert_string_equal(view.nodes[1].address, "p:2");
    assert_string_equal(view.nodes[1].role, "standby"); /* as the other one says */
    assert_true(view.nodes[0].disk_full && !view.nodes[1].disk_full);
    assert_int_equal(view.nodes[0].commit, 10);
    assert_int_equal(view.nodes[0].applied, 9);
    assert_string_equal(view.nodes[0].digest, "abcd");
    assert_string_equal(cluster_view_leader_url(&view), fake_node_url(second));
    client_free(client);
    fake_node_free(first);
    fake_node_free(second);
}

static void the_highest_term_says_who_leads(void **state)
{
    char one[STATUS_MAX], two[STATUS_MAX];
    struct fake_step step_one = {FAKE_ANSWER, 200, NULL, one}, step_two = {FAKE_ANSWER, 200, NULL, two};
    struct fake_node *first = fake_node_new(&step_one, 1), *second = fake_node_new(&step_two, 1);
    struct client *client = client_of(fake_node_url(first));
    struct cluster_view view;
    struct error e;
    (void)state;
    put_status(one, 1, 4, 1, fake_node_url(second)); /* it does not know yet */
    put_status(two, 2, 5, 2, fake_node_url(first));

    assert_int_equal(cluster_view_fetch(client, PROBE_MS, &view, &e), 0);

    assert_int_equal(view.leader, 2);
    assert_int_equal(view.term, 5);
    client_free(client);
    fake_node_free(first);
    fake_node_free(second);
}

static void a_node_that_is_down_has_a_place_all_the_same(void **state)
{
    char one[STATUS_MAX], nowhere[64], urls[256];
    struct fake_step step = {FAKE_ANSWER, 200, NULL, one};
    struct fake_node *node = fake_node_new(&step, 1);
    struct client *client;
    struct cluster_view view;
    struct error e;
    (void)state;
    fake_node_nowhere(nowhere);
    put_status(one, 1, 4, 1, nowhere);
    snprintf(urls, sizeof urls, "%s,%s", nowhere, fake_node_url(node));
    client = client_of(urls);

    assert_int_equal(cluster_view_fetch(client, PROBE_MS, &view, &e), 0);

    assert_int_equal(view.count, 2);
    assert_int_equal(view.nodes[1].id, 2);
    assert_false(view.nodes[1].answered);
    assert_string_equal(view.nodes[1].url, nowhere);
    assert_non_null(strstr(view.nodes[1].error, "connect"));
    client_free(client);
    fake_node_free(node);
}

static void a_fenced_node_says_where_and_why(void **state)
{
    static char one[] =
        "{\"quorate\":{\"id\":1,\"state\":\"follower\",\"fenced\":true,\"fence\":{\"index\":17,"
        "\"reason\":\"a majority has another content\"}}}";
    struct fake_step step = {FAKE_ANSWER, 200, NULL, one};
    struct fake_node *node = fake_node_new(&step, 1);
    struct client *client = client_of(fake_node_url(node));
    struct cluster_view view;
    struct error e;
    (void)state;

    assert_int_equal(cluster_view_fetch(client, PROBE_MS, &view, &e), 0);

    assert_true(view.nodes[0].fenced);
    assert_int_equal(view.nodes[0].fence_index, 17);
    assert_string_equal(view.nodes[0].fence_reason, "a majority has another content");
    client_free(client);
    fake_node_free(node);
}

static void an_endpoint_that_nobody_knows_is_shown_without_id(void **state)
{
    char one[STATUS_MAX], nowhere[64], unknown[64], urls[256];
    struct fake_step step = {FAKE_ANSWER, 200, NULL, one};
    struct fake_node *node = fake_node_new(&step, 1);
    struct client *client;
    struct cluster_view view;
    struct error e;
    (void)state;
    fake_node_nowhere(nowhere);
    fake_node_nowhere(unknown);
    put_status(one, 1, 4, 1, nowhere);
    snprintf(urls, sizeof urls, "%s,%s", fake_node_url(node),
             strcmp(unknown, nowhere) != 0 ? unknown : "127.0.0.1:1");
    client = client_of(urls);

    assert_int_equal(cluster_view_fetch(client, PROBE_MS, &view, &e), 0);

    assert_int_equal(view.count, 3);
    assert_int_equal(view.nodes[0].id, 0);
    client_free(client);
    fake_node_free(node);
}

static void nobody_who_answers_is_an_error(void **state)
{
    char nowhere[64];
    struct client *client;
    struct cluster_view view;
    struct error e;
    (void)state;
    fake_node_nowhere(nowhere);
    client = client_of(nowhere);

    assert_int_equal(cluster_view_fetch(client, PROBE_MS, &view, &e), Q_NO_LEADER);

    client_free(client);
}

static void an_answer_of_something_else_is_not_a_node(void **state)
{
    static const char *const bodies[] = {"", "{}", "[]", "{\"quorate\":7}", "{\"quorate\":{\"id\":0}}"};
    (void)state;

    for (unsigned i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct fake_step step = {FAKE_ANSWER, 200, NULL, bodies[i]};
        struct fake_node *node = fake_node_new(&step, 1);
        struct client *client = client_of(fake_node_url(node));
        struct cluster_view view;
        struct error e;

        assert_int_equal(cluster_view_fetch(client, PROBE_MS, &view, &e), Q_NO_LEADER);
        assert_string_equal(e.text, "the status is not that of a quorated");

        client_free(client);
        fake_node_free(node);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_on_its_way_to_a_node_is_seen),
        cmocka_unit_test(nodes_that_others_name_are_asked_too),
        cmocka_unit_test(the_highest_term_says_who_leads),
        cmocka_unit_test(a_node_that_is_down_has_a_place_all_the_same),
        cmocka_unit_test(a_fenced_node_says_where_and_why),
        cmocka_unit_test(an_endpoint_that_nobody_knows_is_shown_without_id),
        cmocka_unit_test(nobody_who_answers_is_an_error),
        cmocka_unit_test(an_answer_of_something_else_is_not_a_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
