/* A node that is started with the option join becomes a member of a cluster that is there, all inside one
 * process. */
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/node/embedded.h"

enum { READY_MS = 60000 };

struct scene {
    struct embedded first, second;
    int reserved[2];
    char address[2][32];
};

/* A port of loopback that is nobody else's for as long as the socket is open. */
static int reserve(char address[32])
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    snprintf(address, 32, "127.0.0.1:%u", ntohs(a.sin_port));
    return fd;
}

static int set_up(void **state)
{
    static struct scene s;
    char members[64];

    memset(&s, 0, sizeof s);
    for (unsigned i = 0; i < 2; i++) {
        s.reserved[i] = reserve(s.address[i]);
    }
    embedded_open(&s.first);
    snprintf(members, sizeof members, "1=%s", s.address[0]);
    embedded_set(&s.first, "members", members);
    embedded_set(&s.first, "listen", s.address[0]);
    embedded_open(&s.second);
    quorate_options_free(s.second.options);
    s.second.options = quorate_options_new();
    assert_non_null(s.second.options);
    embedded_set(&s.second, "dir", s.second.scratch.dir);
    embedded_set(&s.second, "listen", s.address[1]);
    embedded_set(&s.second, "join", s.address[0]);
    embedded_set(&s.second, "http", "");
    embedded_set(&s.second, "secret", "correct horse battery staple");
    embedded_set(&s.second, "segment-bytes", "1M");
    embedded_set(&s.second, "request-max", "512K");
    embedded_set(&s.second, "ballast-bytes", "0");
    *state = &s;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;

    embedded_close(&s->second);
    embedded_close(&s->first);
    close(s->reserved[0]);
    close(s->reserved[1]);
    return 0;
}

static void a_node_that_joins_has_what_the_others_have(void **state)
{
    struct scene *s = *state;

    embedded_start(&s->first);
    embedded_execute(&s->first, "CREATE TABLE t (a); INSERT INTO t VALUES (7)");
    embedded_start(&s->second);
    assert_int_equal(embedded_number(&s->second, "SELECT a FROM t"), 7);
    embedded_execute(&s->second, "UPDATE t SET a = 8");
    assert_int_equal(embedded_number(&s->first, "SELECT a FROM t"), 8);

    embedded_stop(&s->second);
    embedded_start(&s->second); /* the same options: it is a member already */
    assert_int_equal(embedded_number(&s->second, "SELECT a FROM t"), 8);
}

static void a_node_that_is_not_wanted_hears_why_and_is_not_started(void **state)
{
    struct scene *s = *state;

    embedded_start(&s->first);
    embedded_set(&s->second, "cluster-name", "another");
    assert_int_equal(quorate_start(s->second.options, &s->second.node, &s->second.e), QUORATE_MISMATCH);
    assert_non_null(strstr(s->second.e.text, "this is cluster \"quorate\", not \"another\""));
    assert_null(s->second.node);
}

static void a_node_waits_for_an_answer_as_long_as_it_is_told_to(void **state)
{
    struct scene *s = *state; /* nobody is there */

    embedded_set(&s->second, "join-timeout", "100ms");
    assert_int_equal(quorate_start(s->second.options, &s->second.node, &s->second.e), QUORATE_TIMEOUT);
    assert_non_null(strstr(s->second.e.text, s->address[0])); /* whom it asked in vain */
}

static void a_member_that_is_removed_is_out_when_the_call_returns(void **state)
{
    struct scene *s = *state;
    struct quorate_member_change out = {.verb = QUORATE_MEMBER_REMOVE, .id = 2};

    embedded_start(&s->first);
    embedded_start(&s->second);
    if (quorate_member_change(s->first.node, &out, READY_MS, &s->first.e) != 0) {
        fail_msg("%s", s->first.e.text);
    }
    embedded_stop(&s->second);
    embedded_execute(&s->first, "CREATE TABLE t (a)"); /* it decides alone again */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_node_that_joins_has_what_the_others_have),
        TEST(a_node_that_is_not_wanted_hears_why_and_is_not_started),
        TEST(a_node_waits_for_an_answer_as_long_as_it_is_told_to),
        TEST(a_member_that_is_removed_is_out_when_the_call_returns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
