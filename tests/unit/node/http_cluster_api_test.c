/* Membership over HTTP: what is asked of the replica, when a client that waits is answered, and in which
 * words it hears of a refusal. */
#include <unistd.h>

#include "tests/unit/node/api_world.h"
#include "tests/unit/test.h"

static void expect_reply(struct reply r, int status, const char *body)
{
    expect(&r, status, body);
}

static struct reply del(struct api_world *w, const char *target, const char *body)
{
    return ask(w, "DELETE", target, "", body);
}

static struct replica_member *member(struct api_world *w, unsigned id)
{
    return &w->replica.status.members[id - 1];
}

/* Member 4 stands by. */
static void add_standby(struct replica *r)
{
    r->status.members[3] =
        (struct replica_member){.id = 4, .role = ROLE_STANDBY, .wanted = MEMBER_AUTO, .reachable = true};
    r->status.count = 4;
}

static void drop_last(struct replica *r)
{
    r->status.count--;
}

/* The list. */

#define HEAD(leader)                                                                                         \
    "{\"cluster\":\"test\",\"leader\":" leader                                                               \
    ",\"term\":3,\"applied\":0,\"voters\":3,\"waiting\":\"\",\"members\":["
#define MEMBER(id, role, state, settled, leads, reachable, progress, heard)                                  \
    "{\"id\":" id ",\"address\":\"10.0.0." id ":4002\",\"api_address\":\"http://10.0.0." id                  \
    ":4001\",\"role\":\"" role "\",\"state\":\"" state "\",\"settled\":" settled ",\"leader\":" leads        \
    ",\"reachable\":" reachable "," progress ",\"disk_full\":false,\"last_heard_ms\":" heard                 \
    ",\"changed\":0}"
#define ON_LEADER(caught_up) "\"caught_up\":" caught_up ",\"match\":0,\"lag\":0"
#define ELSEWHERE            "\"caught_up\":null,\"match\":null,\"lag\":null"

static void members_are_listed_with_what_is_wanted_of_each(void **state)
{
    struct api_world *w = *state;

    member(w, 2)->caught_up = true;
    member(w, 3)->wanted = MEMBER_LEAVING;

    expect_reply(get(w, "/v1/cluster/members"), 200,
                 HEAD("1")
                     MEMBER("1", "voter", "auto", "true", "true", "true", ON_LEADER("true"),
                            "0") "," MEMBER("2", "voter", "auto", "true", "false", "true", ON_LEADER("true"),
                                            "0") "," MEMBER("3", "voter", "leaving", "false", "false",
                                                            "false", ON_LEADER("false"), "1234") "]}");
}

static void only_the_leader_knows_how_far_they_are(void **state)
{
    struct api_world *w = *state;

    w->replica.status.leader = 2;
    w->replica.status.count = 1;
    w->replica.status.members[0].leader = false;
    member(w, 1)->match = 77;

    expect_reply(get(w, "/v1/cluster/members"), 200,
                 HEAD("2") MEMBER("1", "voter", "auto", "true", "false", "true", ELSEWHERE, "0") "]}");
}

static void how_far_behind_a_member_is_is_counted_from_the_leaders_log(void **state)
{
    struct api_world *w = *state;

    ask(w, "PUT", "/v1/kv/ns/a", "", "v");
    ask(w, "PUT", "/v1/kv/ns/b", "", "v");
    member(w, 2)->match = 1;

    struct reply r = get(w, "/v1/cluster/members");
    assert_non_null(strstr(r.body, "\"match\":1,\"lag\":1"));
}

static void the_list_of_the_leader_can_be_asked_for_at_any_node(void **state)
{
    struct api_world *w = *state;

    assert_int_equal(get(w, "/v1/cluster/members?redirect").status, 200); /* it leads */
    w->replica.status.leader = 2;
    struct reply r = get(w, "/v1/cluster/members?redirect&all");
    assert_int_equal(r.status, 301);
    assert_string_equal(reply_header(&r, "Location"), "http://10.0.0.2:4001/v1/cluster/members?redirect&all");
    w->replica.status.leader = 0;
    expect_reply(get(w, "/v1/cluster/members?redirect"), 503,
                 "{\"error\":\"leader not found\",\"code\":\"no_leader\"}");
}

static void removed_members_are_shown_to_who_asks_for_them(void **state)
{
    static const char gone[] = "{\"id\":9,\"address\":\"10.0.0.9:1\",\"role\":\"out\",\"state\":\"removed\","
                               "\"settled\":true,\"changed\":88}]}";
    struct api_world *w = *state;

    w->replica.removed[0] = (struct member){.id = 9, .address = "10.0.0.9:1", .changed = 88};

    assert_null(strstr(get(w, "/v1/cluster/members").body, "removed"));
    assert_non_null(strstr(get(w, "/v1/cluster/members?all").body, gone));
}

static void a_standby_is_settled_when_there_is_no_room_for_its_vote(void **state)
{
    struct api_world *w = *state;

    add_standby(&w->replica);
    assert_non_null(strstr(get(w, "/v1/cluster/members").body,
                           "\"role\":\"standby\",\"state\":\"auto\",\"settled\":true"));
    w->replica.status.voters = 4;
    assert_non_null(strstr(get(w, "/v1/cluster/members").body,
                           "\"role\":\"standby\",\"state\":\"auto\",\"settled\":false"));
    member(w, 4)->wanted = MEMBER_STANDBY;
    assert_non_null(strstr(get(w, "/v1/cluster/members").body,
                           "\"role\":\"standby\",\"state\":\"standby\",\"settled\":true"));
    member(w, 4)->wanted = MEMBER_VOTER;
    assert_non_null(strstr(get(w, "/v1/cluster/members").body,
                           "\"role\":\"standby\",\"state\":\"voter\",\"settled\":false"));
}

/* Changes. */

static void expect_change(struct api_world *w, enum replica_verb verb, uint64_t id, uint64_t with,
                          const char *address)
{
    const struct replica_change *c = &w->replica.changed;

    assert_int_equal(c->verb, verb);
    assert_int_equal(c->id, id);
    assert_int_equal(c->with, with);
    assert_string_equal(c->address, address);
}

static void each_change_has_its_path(void **state)
{
    struct api_world *w = *state;

    w->replica.change_index = 17;
    expect_reply(post(w, "/v1/cluster/members", "{\"id\":4,\"address\":\"db4:7001\"}"), 202,
                 "{\"index\":17,\"done\":false}");
    expect_change(w, REPLICA_ADD, 4, 0, "db4:7001");
    assert_int_equal(w->replica.changed.timeout_ms, API_REQUEST_TIMEOUT_MS);
    expect_reply(del(w, "/v1/cluster/members/3", NULL), 202, "{\"index\":17,\"done\":false}");
    expect_change(w, REPLICA_REMOVE, 3, 0, "");
    assert_int_equal(post(w, "/v1/cluster/members/4/promote?timeout=2s", "").status, 202);
    expect_change(w, REPLICA_PROMOTE, 4, 0, "");
    assert_int_equal(w->replica.changed.timeout_ms, 2000);
    assert_int_equal(post(w, "/v1/cluster/members/4/demote", "{}").status, 202);
    expect_change(w, REPLICA_DEMOTE, 4, 0, "");
    assert_int_equal(post(w, "/v1/cluster/members/2/move", "{\"address\":\"[::1]:9\"}").status, 202);
    expect_change(w, REPLICA_MOVE, 2, 0, "[::1]:9");
    assert_int_equal(post(w, "/v1/cluster/members/3/replace", "{\"with\":5}").status, 202);
    expect_change(w, REPLICA_REPLACE, 3, 5, "");
    assert_int_equal(post(w, "/v1/cluster/members/3/replace", "{\"with\":\"5\"}").status, 202);
    expect_change(w, REPLICA_REPLACE, 3, 5, "");
    assert_int_equal(post(w, "/v1/cluster/members/3/replace", "").status, 202);
    expect_change(w, REPLICA_REPLACE, 3, 0, "");
}

static void what_is_asked_wrongly_never_reaches_the_replica(void **state)
{
    static const struct {
        const char *method, *path, *body;
        int status;
        const char *text;
    } rows[] = {
        {"POST", "/v1/cluster/members", "", 400, "the body must be {"},
        {"POST", "/v1/cluster/members", "{\"id\":4}", 400, "the body must be {"},
        {"POST", "/v1/cluster/members", "{\"address\":\"a:1\"}", 400, "the body must be {"},
        {"POST", "/v1/cluster/members", "[", 400, "the body is not a JSON object: "},
        {"POST", "/v1/cluster/members", "[]", 400, "the body is not a JSON object"},
        {"POST", "/v1/cluster/members", "{\"id\":4,\"id\":5,\"address\":\"a:1\"}", 400, "not a JSON object"},
        {"POST", "/v1/cluster/members", "{\"id\":0,\"address\":\"a:1\"}", 400, "\\\"id\\\" is not the id"},
        {"POST", "/v1/cluster/members", "{\"id\":-4,\"address\":\"a:1\"}", 400, "\\\"id\\\" is not the id"},
        {"POST", "/v1/cluster/members", "{\"id\":\"4x\",\"address\":\"a:1\"}", 400, "is not the id"},
        {"POST", "/v1/cluster/members", "{\"id\":4.5,\"address\":\"a:1\"}", 400, "is not the id"},
        {"POST", "/v1/cluster/members", "{\"id\":4,\"address\":7}", 400, "is not a text"},
        {"POST", "/v1/cluster/members", "{\"id\":4,\"address\":\"a\"}", 400, "is not of the form host:port"},
        {"POST", "/v1/cluster/members", "{\"id\":4,\"address\":\"0.0.0.0:7001\"}", 400, "one to listen on"},
        {"POST", "/v1/cluster/members", "{\"id\":4,\"adress\":\"a:1\"}", 400, "\\\"adress\\\" means nothing"},
        {"POST", "/v1/cluster/members/4/move", "", 400, "{\\\"address\\\":\\\"host:port\\\"}"},
        {"POST", "/v1/cluster/members/4/promote", "{\"address\":\"a:1\"}", 400, "means nothing here"},
        {"POST", "/v1/cluster/members/4/replace", "{\"with\":4}", 400, "cannot take its own place"},
        {"POST", "/v1/cluster/transfer", "{\"id\":2}", 400, "\\\"id\\\" means nothing here"},
        {"POST", "/v1/cluster/members/4", "", 405, ""},
        {"DELETE", "/v1/cluster/members", "", 405, ""},
        {"DELETE", "/v1/cluster/members/4/promote", "", 405, ""},
        {"GET", "/v1/cluster/transfer", "", 405, ""},
        {"PUT", "/v1/cluster/members/4", "", 405, ""},
        {"DELETE", "/v1/cluster/members/x", "", 404, ""},
        {"DELETE", "/v1/cluster/members/0", "", 404, ""},
        {"DELETE", "/v1/cluster/members/4x", "", 404, ""},
        {"DELETE", "/v1/cluster/members/99999999999999999999", "", 404, ""},
        {"DELETE", "/v1/cluster/members/9999999999999999999999999999", "", 404, ""},
        {"DELETE", "/v1/cluster/members/", "", 404, ""},
        {"POST", "/v1/cluster/members/4/", "", 404, ""},
        {"POST", "/v1/cluster/members/4/explode", "", 404, ""},
        {"GET", "/v1/cluster/nonsense", "", 404, ""},
    };
    struct api_world *w = *state;

    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct reply r = ask(w, rows[i].method, rows[i].path, "", rows[i].body);
        if (r.status != rows[i].status || strstr(r.body, rows[i].text) == NULL) {
            fail_msg("%s %s %s: %d %s", rows[i].method, rows[i].path, rows[i].body, r.status, r.body);
        }
    }
    assert_int_equal(w->replica.changes, 0);
    assert_int_equal(w->replica.transferred_to, 0);
}

static void a_refusal_is_told_in_the_leaders_own_words(void **state)
{
    static const struct {
        enum error_code code;
        int status;
        const char *name;
    } rows[] = {{Q_CONFLICT, 409, "conflict"},   {Q_NOT_FOUND, 404, "not_found"}, {Q_INVALID, 400, "invalid"},
                {Q_NO_LEADER, 503, "no_leader"}, {Q_TIMEOUT, 503, "timeout"},     {Q_BUSY, 503, "busy"},
                {Q_CLOSED, 503, "closed"}};
    struct api_world *w = *state;
    char body[200];

    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        error_set(&w->replica.change_fails, rows[i].code, "remove 3 first");
        snprintf(body, sizeof body, "{\"error\":\"remove 3 first\",\"code\":\"%s\"}", rows[i].name);
        expect_reply(post(w, "/v1/cluster/members/4/promote", ""), rows[i].status, body);
        expect_reply(post(w, "/v1/cluster/members/4/promote?wait", ""), rows[i].status, body);
    }
    error_set(&w->replica.change_fails, Q_UNKNOWN, "the answer was lost");
    expect_reply(post(w, "/v1/cluster/members/4/promote", ""), 503,
                 "{\"error\":\"the answer was lost\",\"code\":\"unknown\",\"outcome\":\"unknown\"}");
}

/* Waiting. */

static void a_client_that_waits_is_answered_when_it_is_done(void **state)
{
    struct api_world *w = *state;

    w->replica.change_decided = drop_last;
    expect_reply(del(w, "/v1/cluster/members/3?wait", NULL), 200, "{\"index\":0,\"done\":true}");
    w->replica.change_decided = add_standby;
    w->replica.status.count = 3;
    expect_reply(post(w, "/v1/cluster/members?wait", "{\"id\":4,\"address\":\"a:1\"}"), 200,
                 "{\"index\":0,\"done\":true}");
}

static void what_is_not_done_in_time_is_answered_as_decided(void **state)
{
    struct api_world *w = *state;

    expect_reply(del(w, "/v1/cluster/members/3?wait&timeout=60ms", NULL), 202,
                 "{\"index\":0,\"done\":false}");
    member(w, 2)->wanted = MEMBER_STANDBY; /* and votes still */
    expect_reply(post(w, "/v1/cluster/members/2/demote?wait&timeout=60ms", ""), 202,
                 "{\"index\":0,\"done\":false}");
    /* One that is gone is not what was asked for. */
    expect_reply(post(w, "/v1/cluster/members/9/promote?wait&timeout=60ms", ""), 202,
                 "{\"index\":0,\"done\":false}");
}

static void a_replacement_is_done_when_the_old_one_is_gone_and_the_new_one_settled(void **state)
{
    struct api_world *w = *state;

    add_standby(&w->replica);
    w->replica.status.voters = 4;
    expect_reply(post(w, "/v1/cluster/members/9/replace?wait&timeout=60ms", "{\"with\":4}"), 202,
                 "{\"index\":0,\"done\":false}");
    member(w, 4)->role = ROLE_VOTER;
    expect_reply(post(w, "/v1/cluster/members/9/replace?wait", "{\"with\":4}"), 200,
                 "{\"index\":0,\"done\":true}");
    expect_reply(post(w, "/v1/cluster/members/9/replace?wait", ""), 200, "{\"index\":0,\"done\":true}");
    expect_reply(post(w, "/v1/cluster/members/3/replace?wait&timeout=60ms", ""), 202,
                 "{\"index\":0,\"done\":false}");
}

static void a_node_that_does_not_know_of_the_change_does_not_know_that_it_is_done(void **state)
{
    static const char promote[] = "/v1/cluster/members/2/promote?wait&timeout=60ms";
    struct api_world *w = *state;

    w->replica.change_index = 1;
    member(w, 2)->changed = 1;
    expect_reply(post(w, promote, ""), 202, "{\"index\":1,\"done\":false}");
    ask(w, "PUT", "/v1/kv/ns/k", "", "v"); /* that is index 1 */
    expect_reply(post(w, promote, ""), 200, "{\"index\":1,\"done\":true}");
    member(w, 2)->changed = 0; /* it is applied, but the list of members is still that of before */
    expect_reply(post(w, promote, ""), 202, "{\"index\":1,\"done\":false}");
}

static void a_change_that_waits_ends_with_the_api(void **state)
{
    struct api_world *w = *state;
    uint64_t end = uv_hrtime() + WORLD_WAIT_MS * UINT64_C(1000000);
    int fd = world_dial(&w->http);

    world_say(&w->http, fd, "DELETE /v1/cluster/members/3?wait HTTP/1.1\r\nHost: h\r\n\r\n");
    while (list_empty(&w->api->changes)) {
        assert_true(uv_hrtime() < end);
        world_turn(&w->http);
    }
    close(fd); /* the tear-down frees the api and finds nothing left */
}

/* Leadership. */

static void leadership_moves_by_either_door(void **state)
{
    struct api_world *w = *state;

    expect_reply(post(w, "/v1/cluster/transfer", ""), 202, "{\"done\":false}");
    assert_int_equal(w->replica.transferred_to, 0);
    expect_reply(post(w, "/v1/cluster/transfer?wait&timeout=30ms", ""), 503,
                 "{\"error\":\"timeout: no other leader is known yet\",\"code\":\"timeout\"}");
    w->replica.leader_after_transfer = 2;
    expect_reply(post(w, "/v1/cluster/transfer?wait", "{\"to\":2}"), 200, "{\"done\":true,\"leader\":2}");
    assert_int_equal(w->replica.transferred_to, 2);
    error_set(&w->replica.transfer_fails, Q_NOT_FOUND, "there is no member 9");
    expect_reply(post(w, "/v1/cluster/transfer", "{\"to\":2}"), 200, "{\"done\":true,\"leader\":2}");
    expect_reply(post(w, "/v1/cluster/transfer", "{\"to\":9}"), 404,
                 "{\"error\":\"there is no member 9\",\"code\":\"not_found\"}");
}

/* rqlite's way. */

static void remove_is_what_clients_of_rqlite_know(void **state)
{
    static const char *const bad[] = {
        "", "[]", "{}", "{\"id\":3}", "{\"id\":\"3\",\"x\":1}", "{\"x\":\"3\"}"};
    struct api_world *w = *state;

    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        expect_reply(del(w, "/remove", bad[i]), 400, "");
    }
    expect_reply(del(w, "/remove", "{\"id\":\"node-3\"}"), 200, ""); /* nobody has such an id */
    assert_int_equal(w->replica.changes, 0);
    expect_reply(del(w, "/remove", "{\"id\":\"3\"}"), 200, "");
    expect_change(w, REPLICA_REMOVE, 3, 0, "");
    error_set(&w->replica.change_fails, Q_NOT_FOUND, "there is no member 3");
    expect_reply(del(w, "/remove", "{\"id\":\"3\"}"), 200, "");
    error_set(&w->replica.change_fails, Q_NO_LEADER, "whatever");
    expect_reply(del(w, "/remove", "{\"id\":\"3\"}"), 503, "leader not found\n");
    error_set(&w->replica.change_fails, Q_CONFLICT, "it is the last voter");
    expect_reply(del(w, "/remove", "{\"id\":\"3\"}"), 409, "it is the last voter\n");
    w->replica.status.leader = 2;
    struct reply r = del(w, "/remove?redirect", "{\"id\":\"3\"}");
    expect(&r, 301, "");
    assert_string_equal(reply_header(&r, "Location"), "http://10.0.0.2:4001/remove?redirect");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, api_world_open, api_world_close)
    const struct CMUnitTest tests[] = {
        TEST(members_are_listed_with_what_is_wanted_of_each),
        TEST(only_the_leader_knows_how_far_they_are),
        TEST(how_far_behind_a_member_is_is_counted_from_the_leaders_log),
        TEST(the_list_of_the_leader_can_be_asked_for_at_any_node),
        TEST(removed_members_are_shown_to_who_asks_for_them),
        TEST(a_standby_is_settled_when_there_is_no_room_for_its_vote),
        TEST(each_change_has_its_path),
        TEST(what_is_asked_wrongly_never_reaches_the_replica),
        TEST(a_refusal_is_told_in_the_leaders_own_words),
        TEST(a_client_that_waits_is_answered_when_it_is_done),
        TEST(what_is_not_done_in_time_is_answered_as_decided),
        TEST(a_replacement_is_done_when_the_old_one_is_gone_and_the_new_one_settled),
        TEST(a_node_that_does_not_know_of_the_change_does_not_know_that_it_is_done),
        TEST(a_change_that_waits_ends_with_the_api),
        TEST(leadership_moves_by_either_door),
        TEST(remove_is_what_clients_of_rqlite_know),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
