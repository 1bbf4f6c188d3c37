#include <unistd.h>

#include "tests/unit/node/api_world.h"
#include "tests/unit/test.h"

static void expect_reply(struct reply r, int status, const char *body)
{
    expect(&r, status, body);
}

static void status_has_what_clients_read(void **state)
{
    struct api_world *w = *state;
    struct reply r = get(w, "/status");
    assert_int_equal(r.status, 200);
    assert_string_equal(reply_header(&r, "Content-Type"), "application/json; charset=utf-8");
    expect_reply(get(w, "/status?key=store.leader"), 200, "{\"addr\":\"10.0.0.1:4002\",\"node_id\":\"1\"}");
    expect_reply(get(w, "/status?key=store.node_id"), 200, "\"1\"");
    expect_reply(get(w, "/status?key=store.raft.state"), 200, "\"Leader\"");
    expect_reply(get(w, "/status?key=store.nodes"), 200,
                 "[{\"id\":\"1\",\"addr\":\"10.0.0.1:4002\",\"suffrage\":\"Voter\"},"
                 "{\"id\":\"2\",\"addr\":\"10.0.0.2:4002\",\"suffrage\":\"Voter\"},"
                 "{\"id\":\"3\",\"addr\":\"10.0.0.3:4002\",\"suffrage\":\"Voter\"}]");
    expect_reply(get(w, "/status?key=build.version"), 200, "\"v9.4.5-quorate\"");
    w->replica.status.leader = 0;
    w->replica.status.state = "candidate";
    expect_reply(get(w, "/status?key=store.leader"), 200, "{\"addr\":\"\",\"node_id\":\"\"}");
    expect_reply(get(w, "/status?key=store.raft.state"), 200, "\"Candidate\"");
    expect_reply(get(w, "/status?key=no.such.part"), 200, "{}");
    expect_reply(get(w, "/status?key=store.node_id.x"), 200, "{}");
}

static void status_has_our_own_facts(void **state)
{
    struct api_world *w = *state;
    ask(w, "PUT", "/v1/kv/ns/k", "", "v");
    expect_reply(get(w, "/status?key=quorate.cluster_name"), 200, "\"test\"");
    expect_reply(get(w, "/status?key=quorate.cluster_id"), 200, "\"abcd0000000000000000000000000000\"");
    expect_reply(get(w, "/status?key=quorate.incarnation"), 200, "\"fedcba9876543210\"");
    expect_reply(get(w, "/status?key=quorate.log"), 200, "{\"first\":1,\"last\":1,\"durable\":1}");
    expect_reply(get(w, "/status?key=quorate.applied"), 200, "1");
    expect_reply(get(w, "/status?key=quorate.term"), 200, "3");
    expect_reply(get(w, "/status?key=quorate.ready"), 200, "true");
    struct reply r = get(w, "/status?key=quorate.digest");
    assert_int_equal(strlen(r.body), 34);
    assert_non_null(
        strstr(get(w, "/status?pretty&key=quorate.members").body, "        \"last_heard_ms\": 1234\n"));
    r = get(w, "/status");
    assert_string_equal(reply_header(&r, "X-Quorate-Index"), "1");
}

static void status_says_what_each_member_is_and_shall_be(void **state)
{
    struct api_world *w = *state;

    w->replica.status.members[2].role = ROLE_STANDBY;
    w->replica.status.members[2].wanted = MEMBER_VOTER;
    struct reply r = get(w, "/status?key=quorate.members");

    assert_non_null(strstr(r.body, "\"role\":\"voter\",\"wanted\":\"auto\""));
    assert_non_null(strstr(r.body, "\"role\":\"standby\",\"wanted\":\"voter\""));
}

static void status_tells_of_the_room_on_the_disk(void **state)
{
    struct api_world *w = *state;
    struct replica_status *s = &w->replica.status;
    s->disk_free = UINT64_MAX;
    s->disk_needed = 200;
    expect_reply(get(w, "/status?key=quorate.disk"), 200,
                 "{\"full\":false,\"free_bytes\":null,\"needed_bytes\":200,\"ballast_bytes\":0}");
    s->disk_full = s->members[0].disk_full = true;
    s->disk_free = 100;
    s->disk_ballast = 50;
    expect_reply(get(w, "/status?key=quorate.disk"), 200,
                 "{\"full\":true,\"free_bytes\":100,\"needed_bytes\":200,\"ballast_bytes\":50}");
    assert_non_null(strstr(get(w, "/status?key=quorate.members").body, "\"disk_full\":true"));
}

static void status_tells_of_an_image_on_its_way(void **state)
{
    struct api_world *w = *state;
    struct replica_status *s = &w->replica.status;

    s->installs = 2;
    expect_reply(get(w, "/status?key=quorate.images_installed"), 200, "2");
    expect_reply(get(w, "/status?key=quorate.shipment"), 200, "{}");
    s->shipment = (struct replica_shipment){.role = "target",
                                            .state = "fetching",
                                            .peer = 3,
                                            .index = 100,
                                            .term = 4,
                                            .bytes_all = 1000000,
                                            .bytes_wire = 5000,
                                            .bytes_per_s = 700,
                                            .chunks_all = 4,
                                            .chunks_reused = 2,
                                            .chunks_fetched = 1,
                                            .eta_ms = UINT64_MAX};
    s->taking = true;
    s->taken_bytes = 10;
    s->taking_bytes = 20;
    expect_reply(get(w, "/status?key=quorate.shipment"), 200,
                 "{\"role\":\"target\",\"state\":\"fetching\",\"peer\":3,\"index\":100,\"term\":4,"
                 "\"bytes\":1000000,\"chunks\":4,\"chunks_reused\":2,\"chunks_fetched\":1,"
                 "\"bytes_on_the_wire\":5000,\"bytes_per_second\":700,\"eta_ms\":null}");
    expect_reply(get(w, "/status?key=quorate.taking"), 200, "{\"bytes\":10,\"of_bytes\":20}");
}

static void a_damaged_log_is_told_at_every_door(void **state)
{
    struct api_world *w = *state;
    expect_reply(get(w, "/status?key=quorate.recovery"), 200, "{}");
    w->replica.status.state = "recovering";
    w->replica.status.leader = 0;
    w->replica.status.log_lost = 3;
    w->replica.status.log_lost_first = 7;
    w->replica.status.log_lost_last = 12;
    snprintf(w->replica.status.log_damage, sizeof w->replica.status.log_damage,
             "segment-1: offset 4096: bad");
    expect_reply(get(w, "/status?key=quorate.recovery"), 200,
                 "{\"lost\":3,\"first\":7,\"last\":12,\"damage\":\"segment-1: offset 4096: bad\"}");
    expect_reply(get(w, "/status?key=store.raft.state"), 200, "\"Unknown\"");
    expect_reply(get(w, "/readyz"), 503,
                 "[+]node ok\n[-]log damaged: 3 entries between 7 and 12 are being repaired from the other "
                 "members\n");
}

#define TIME "\"time\":0.0015,\"time_s\":\"1.5ms\""
#define NODE(id, more)                                                                                       \
    "{\"id\":\"" id "\",\"api_addr\":\"http://10.0.0." id ":4001\",\"addr\":\"10.0.0." id                    \
    ":4002\",\"version\":\"v9.4.5-quorate\",\"voter\":true," more "}"
#define NODE_1 NODE("1", "\"reachable\":true,\"leader\":true," TIME)
#define NODE_2 NODE("2", "\"reachable\":true,\"leader\":false," TIME)
#define NODE_3                                                                                               \
    NODE("3", "\"reachable\":false,\"leader\":false,\"error\":\"not connected, last heard 1234 ms ago\"")

static void nodes_are_keyed_or_listed(void **state)
{
    struct api_world *w = *state;
    expect_reply(get(w, "/nodes"), 200, "{\"1\":" NODE_1 ",\"2\":" NODE_2 ",\"3\":" NODE_3 "}");
    expect_reply(get(w, "/nodes?ver=2"), 200, "{\"nodes\":[" NODE_1 "," NODE_2 "," NODE_3 "]}");
    w->replica.status.members[1].voter = false;
    expect_reply(get(w, "/nodes"), 200, "{\"1\":" NODE_1 ",\"3\":" NODE_3 "}");
    assert_non_null(strstr(get(w, "/nodes?nonvoters").body, "\"voter\":false"));
    assert_int_equal(w->replica.contacted_ms, 2000);
    get(w, "/nodes?timeout=7s");
    assert_int_equal(w->replica.contacted_ms, 7000);
    w->replica.status.count = 0;
    expect_reply(get(w, "/nodes"), 200, "{}");
    expect_reply(get(w, "/nodes?ver=2"), 200, "{\"nodes\":[]}");
}

static void a_leader_that_does_not_answer_is_not_shown_as_one(void **state)
{
    struct api_world *w = *state;
    w->replica.status.members[0].reachable = false;
    expect_reply(
        get(w, "/leader"), 200,
        NODE("1", "\"reachable\":false,\"leader\":false,\"error\":\"not connected, last heard 0 ms ago\""));
}

static void readyz_says_what_is_missing(void **state)
{
    struct api_world *w = *state;
    struct replica_status *s = &w->replica.status;
    expect_reply(get(w, "/readyz"), 200, "[+]node ok\n[+]leader ok\n[+]store ok\n");
    s->disk_full = true;
    expect_reply(get(w, "/readyz"), 200,
                 "[+]node ok\n[+]leader ok\n[+]store ok\n[-]disk full: writes are refused\n");
    s->removed = true;
    expect_reply(get(w, "/readyz"), 503,
                 "[+]node ok\n[-]removed: this node is no member of the cluster any more\n");
    expect_reply(get(w, "/status?key=quorate.removed"), 200, "true");
    s->removed = false;
    s->ready = false;
    expect_reply(get(w, "/readyz"), 503, "[+]node ok\n[+]leader ok\n[+]store not ready\n");
    s->fenced = true;
    s->fence_index = 17;
    s->fence_reason = "a majority has another content";
    s->shipment.role = "";
    expect_reply(get(w, "/readyz"), 503,
                 "[+]node ok\n[-]database fenced at index 17: a majority has another content; it will be "
                 "rebuilt from the other members\n");
    s->shipment.role = "target";
    s->shipment.state = "asking";
    assert_non_null(strstr(get(w, "/readyz").body, "; it is being rebuilt, and asks the other members"));
    s->shipment.state = "fetching";
    s->shipment.index = 20;
    s->shipment.chunks_all = 9;
    s->shipment.chunks_reused = 4;
    s->shipment.chunks_fetched = 1;
    assert_non_null(strstr(get(w, "/readyz").body, "from an image of index 20 (fetching, 5 of 9 chunks)\n"));
    s->shipment.role = "";
    unsigned members = s->count;
    s->count = 1;
    assert_non_null(strstr(get(w, "/readyz").body, "no other member to rebuild it from: restore a backup\n"));
    s->count = members;
    expect_reply(get(w, "/status?key=quorate.fence"), 200,
                 "{\"index\":17,\"reason\":\"a majority has another content\",\"rebuild_needed\":false}");
    s->fenced = false;
    s->ready = true;
    s->leader = 3;
    expect_reply(get(w, "/readyz"), 503, "[+]node ok\n[+]leader not contactable: not connected\n");
    s->leader = 0;
    expect_reply(get(w, "/readyz"), 503, "[+]node ok\n[+]leader does not exist\n");
    expect_reply(get(w, "/readyz?noleader"), 200, "[+]node ok\n");
    struct reply r = get(w, "/readyz");
    assert_string_equal(reply_header(&r, "Content-Type"), "text/plain; charset=utf-8");
}

static void readyz_sync_waits_until_this_node_has_caught_up(void **state)
{
    struct api_world *w = *state;
    ask(w, "PUT", "/v1/kv/ns/k", "", "v");
    expect_reply(get(w, "/readyz?sync&timeout=2s"), 200,
                 "[+]node ok\n[+]leader ok\n[+]store ok\n[+]sync ok\n");
    assert_int_equal(w->replica.seen.level, READ_LINEARIZABLE);
    assert_int_equal(w->replica.seen.timeout_ms, 2000);
    assert_int_equal(w->replica.waited_for, 1);
    error_set(&w->replica.wait_failed, Q_TIMEOUT, "timeout");
    expect_reply(get(w, "/readyz?sync"), 503, "[+]node ok\n[+]leader ok\n[+]store ok\n[+]sync timeout\n");
    error_set(&w->replica.fail, Q_NO_LEADER, "no leader");
    expect_reply(get(w, "/readyz?sync"), 503, "leader not found\n");
}

static void the_leader_is_told_and_steps_down(void **state)
{
    struct api_world *w = *state;
    expect_reply(get(w, "/leader"), 200, NODE_1);
    expect_reply(post(w, "/leader", ""), 200, "");
    assert_int_equal(w->replica.transferred_to, 0);
    struct reply r = ask(w, "POST", "/leader", "Content-Type: application/json\r\n", "{\"id\":\"2\"}");
    expect(&r, 200, "");
    assert_int_equal(w->replica.transferred_to, 2);
    static const char *const bad[] = {"{\"id\":2}",
                                      "{\"id\":\"x\"}",
                                      "{\"id\":\"2x\"}",
                                      "{\"id\":\"0\"}",
                                      "{}",
                                      "[",
                                      "{\"id\":\"99999999999999999999\"}"};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        r = ask(w, "POST", "/leader", "Content-Type: application/json\r\n", bad[i]);
        expect(&r, 400, "invalid request\n");
    }
    error_set(&w->replica.transfer_fails, Q_NOT_FOUND, "no such member");
    expect_reply(post(w, "/leader", ""), 400, "no such member\n");
    error_set(&w->replica.transfer_fails, Q_NO_LEADER, "whatever");
    expect_reply(post(w, "/leader", ""), 503, "leader not found\n");
    error_set(&w->replica.transfer_fails, Q_UNKNOWN, "lost");
    expect_reply(post(w, "/leader", ""), 503, "lost\n");
    w->replica.status.leader = 0;
    expect_reply(get(w, "/leader"), 503, "leader not found\n");
    expect_reply(get(w, "/leader/x"), 404, "");
}

static void stepping_down_may_wait_for_the_next_leader(void **state)
{
    struct api_world *w = *state;
    expect_reply(post(w, "/leader?wait&timeout=30ms", ""), 503, "timeout: no other leader is known yet\n");
    w->replica.leader_after_transfer = 2;
    expect_reply(post(w, "/leader?wait", ""), 200, "");
    /* The same through a node that does not lead. */
    w->replica.leader_after_transfer = 3;
    expect_reply(post(w, "/leader?wait", ""), 200, "");
    assert_int_equal(w->replica.status.leader, 3);
}

static void stepping_down_may_be_redirected(void **state)
{
    struct api_world *w = *state;
    expect_reply(post(w, "/leader?redirect", ""), 200, ""); /* this node leads */
    w->replica.status.leader = 2;
    struct reply r = post(w, "/leader?redirect&wait", "");
    expect(&r, 301, "");
    assert_string_equal(reply_header(&r, "Location"), "http://10.0.0.2:4001/leader?redirect&wait");
    w->replica.status.leader = 0;
    expect_reply(post(w, "/leader?redirect", ""), 500, "leader not found\n");
}

static void a_stepdown_that_waits_ends_with_the_api(void **state)
{
    struct api_world *w = *state;
    uint64_t end = uv_hrtime() + WORLD_WAIT_MS * UINT64_C(1000000);
    int fd = world_dial(&w->http);
    world_say(&w->http, fd, "POST /leader?wait HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
    while (list_empty(&w->api->stepdowns)) {
        assert_true(uv_hrtime() < end);
        world_turn(&w->http);
    }
    close(fd); /* the tear-down frees the api and finds nothing left */
}

static void metrics_and_health(void **state)
{
    struct api_world *w = *state;
    expect_reply(get(w, "/healthz"), 200, "ok\n");
    struct reply r = get(w, "/metrics");
    assert_string_equal(reply_header(&r, "Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
    assert_non_null(strstr(r.body, "quorate_http_answers_total{class=\"2xx\"} 1\n"));
}

static void a_client_that_leaves_does_not_disturb(void **state)
{
    struct api_world *w = *state;
    uint64_t end = uv_hrtime() + WORLD_WAIT_MS * UINT64_C(1000000);
    int fd = world_dial(&w->http);
    world_say(
        &w->http, fd,
        "GET /db/query?q=SELECT+1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /leader?wait&timeout=20ms HTTP/1.1\r\n"
        "Host: h\r\nContent-Length: 0\r\n\r\n");
    close(fd);
    while (w->replica.formatted < 1) {
        assert_true(uv_hrtime() < end);
        world_turn(&w->http);
    }
    expect_reply(get(w, "/healthz"), 200, "ok\n");
}

static void status_can_be_read_while_no_leader_is_known(void **state)
{
    struct api_world *w = *state;
    w->replica.status.leader = 0;
    w->replica.status.last_leader_contact_ms = UINT64_MAX;
    expect_reply(get(w, "/status?key=quorate.last_leader_contact_ms"), 200, "null");
    expect_reply(get(w, "/status?key=quorate.term"), 200, "3");
    w->replica.status.last_leader_contact_ms = 7;
    expect_reply(get(w, "/status?key=quorate.last_leader_contact_ms"), 200, "7");
}

static void verify_tells_what_the_scan_found(void **state)
{
    struct api_world *w = *state;

    w->replica.checked = (struct store_check){.index = 17, .ok = true, .digest = {0xab}};
    expect_reply(post(w, "/v1/verify", ""), 200,
                 "{\"node\":1,\"index\":17,\"digest\":\"ab000000000000000000000000000000\",\"ok\":true,"
                 "\"differing\":\"\"}");
    w->replica.checked.ok = false;
    snprintf(w->replica.checked.differing, sizeof w->replica.checked.differing, "t, u");
    expect_reply(post(w, "/v1/verify", ""), 200,
                 "{\"node\":1,\"index\":17,\"digest\":\"ab000000000000000000000000000000\",\"ok\":false,"
                 "\"differing\":\"t, u\"}");
    error_set(&w->replica.check_fails, Q_BUSY, "the database is being checked already");
    expect_reply(post(w, "/v1/verify", ""), 503, "{\"error\":\"the database is being checked already\"}");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, api_world_open, api_world_close)
    const struct CMUnitTest tests[] = {
        TEST(status_has_what_clients_read),
        TEST(status_has_our_own_facts),
        TEST(status_says_what_each_member_is_and_shall_be),
        TEST(status_tells_of_the_room_on_the_disk),
        TEST(status_tells_of_an_image_on_its_way),
        TEST(a_damaged_log_is_told_at_every_door),
        TEST(status_can_be_read_while_no_leader_is_known),
        TEST(nodes_are_keyed_or_listed),
        TEST(a_leader_that_does_not_answer_is_not_shown_as_one),
        TEST(readyz_says_what_is_missing),
        TEST(readyz_sync_waits_until_this_node_has_caught_up),
        TEST(the_leader_is_told_and_steps_down),
        TEST(stepping_down_may_wait_for_the_next_leader),
        TEST(stepping_down_may_be_redirected),
        TEST(a_stepdown_that_waits_ends_with_the_api),
        TEST(verify_tells_what_the_scan_found),
        TEST(metrics_and_health),
        TEST(a_client_that_leaves_does_not_disturb),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
