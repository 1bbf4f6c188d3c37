/* Nodes that start, are refused, start again and stop, through the public API. */
#include <arpa/inet.h>
#include <sys/socket.h>

#include "tests/unit/node/embedded.h"

static int set_up(void **state)
{
    static struct embedded n;
    embedded_open(&n);
    *state = &n;
    return 0;
}

static int tear_down(void **state)
{
    embedded_close(*state);
    return 0;
}

static void expect_start_refused(struct embedded *n, enum quorate_code code, const char *text)
{
    struct quorate *node = NULL;

    assert_int_equal(quorate_start(n->options, &node, &n->e), code);
    assert_int_equal(n->e.code, code);
    if (strstr(n->e.text, text) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", n->e.text, text);
    }
    assert_null(node);
}

/* A port that somebody listens on. */
static int take_port(char *address, size_t n)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    snprintf(address, n, "127.0.0.1:%d", ntohs(a.sin_port));
    return fd;
}

/* Start and stop. */

static void what_was_written_is_there_after_a_restart(void **state)
{
    struct embedded *n = *state;

    for (int64_t i = 1; i <= 3; i++) {
        embedded_start(n);
        embedded_execute(n, "CREATE TABLE IF NOT EXISTS t (x)");
        embedded_execute(n, "INSERT INTO t VALUES (1)");
        assert_int_equal(embedded_number(n, "SELECT count(*) FROM t"), i);
        embedded_stop(n);
    }
}

static void a_database_in_memory_is_rebuilt_from_the_log(void **state)
{
    struct embedded *n = *state;

    embedded_set(n, "storage", "memory");
    embedded_start(n);
    embedded_execute(n, "CREATE TABLE t (x)");
    embedded_stop(n);
    embedded_start(n);
    assert_int_equal(embedded_number(n, "SELECT count(*) FROM t"), 0);
}

static void a_node_may_be_stopped_before_it_is_ready(void **state)
{
    struct embedded *n = *state;

    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(quorate_start(n->options, &n->node, &n->e), 0);
        embedded_stop(n);
    }
}

static void options_may_be_freed_and_changed_after_the_start(void **state)
{
    struct embedded *n = *state;

    embedded_start(n);
    embedded_set(n, "dir", "/nowhere");
    quorate_options_free(n->options);
    n->options = NULL;
    embedded_execute(n, "CREATE TABLE t (x)");
}

static void the_http_port_is_told(void **state)
{
    struct embedded *n = *state;

    embedded_start(n);
    assert_int_equal(quorate_http_port(n->node), 0);
    embedded_stop(n);
    embedded_set(n, "http", "127.0.0.1:0");
    embedded_start(n);
    assert_in_range(quorate_http_port(n->node), 1, 65535);
}

static void options_come_from_a_file_too(void **state)
{
    struct embedded *n = *state;
    const char *file = scratch_text(&n->scratch, "q.ini", "[node]\nreaders = 1\nnonsense = 1\n");

    assert_int_equal(quorate_options_file(n->options, file, &n->e), QUORATE_INVALID);
    assert_non_null(strstr(n->e.text, "line 3: there is no option \"nonsense\""));
    assert_int_equal(quorate_options_set(n->options, "readers", "99", &n->e), QUORATE_INVALID);
    assert_non_null(strstr(n->e.text, "1 to 16"));
    embedded_start(n);
}

/* What cannot be started leaves nothing behind. */

static void a_start_that_is_refused_can_be_tried_again(void **state)
{
    struct embedded *n = *state;

    embedded_set(n, "election-timeout", "100ms");
    expect_start_refused(n, QUORATE_INVALID, "heartbeat-interval");
    embedded_set(n, "heartbeat-interval", "20ms");
    embedded_start(n);
}

static void a_directory_in_use_is_refused(void **state)
{
    struct embedded *n = *state;

    embedded_start(n);
    expect_start_refused(n, QUORATE_CONFLICT, "lock");
    embedded_execute(n, "CREATE TABLE t (x)"); /* the first one does not mind */
}

static void a_directory_that_cannot_be_made_is_refused(void **state)
{
    struct embedded *n = *state;

    embedded_set(n, "dir", scratch_text(&n->scratch, "file", ""));
    expect_start_refused(n, QUORATE_CONFLICT, "file");
    embedded_set(n, "dir", "/proc/quorate");
    expect_start_refused(n, QUORATE_NOT_FOUND, "/proc/quorate");
}

static void a_port_in_use_is_refused(void **state)
{
    struct embedded *n = *state;
    char address[32];
    int fd = take_port(address, sizeof address);

    embedded_set(n, "listen", address);
    expect_start_refused(n, QUORATE_CONFLICT, address);
    embedded_set(n, "listen", "127.0.0.1:0");
    embedded_set(n, "http", address);
    expect_start_refused(n, QUORATE_IO, address);
    close(fd);
    embedded_set(n, "http", "");
    embedded_start(n);
}

static void another_cluster_does_not_get_the_directory(void **state)
{
    struct embedded *n = *state;

    embedded_start(n);
    embedded_stop(n);
    embedded_set(n, "foreign-keys", "on");
    expect_start_refused(n, QUORATE_MISMATCH, "another setting of foreign-keys");
    embedded_set(n, "foreign-keys", "off");
    embedded_set(n, "cluster-name", "other");
    expect_start_refused(n, QUORATE_MISMATCH, "another name");
    embedded_set(n, "cluster-name", "quorate");
    embedded_start(n);
}

/* Without a majority. */

static void a_node_without_a_majority_is_not_ready_and_does_nothing(void **state)
{
    struct embedded *n = *state;

    embedded_start_alone(n);
    assert_int_equal(quorate_wait_ready(n->node, 200, &n->e), QUORATE_TIMEOUT);
    assert_non_null(strstr(n->e.text, "this node is not ready: no leader is known"));
    assert_int_equal(quorate_execute(n->node, "CREATE TABLE t (x)", NULL, 0, NULL, &n->e), QUORATE_NO_LEADER);
    assert_int_equal(quorate_query(n->node, QUORATE_LINEARIZABLE, "SELECT 1", NULL, 0, NULL, &n->e),
                     QUORATE_NO_LEADER);
    assert_int_equal(quorate_query(n->node, QUORATE_NONE, "SELECT 1", NULL, 0, NULL, &n->e), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void a_node_on_a_full_disk_refuses_writes_and_still_reads(void **state)
{
    struct embedded *n = *state;
    embedded_set(n, "space-min-bytes", "1048576G"); /* more than there is */
    embedded_start(n);

    assert_int_equal(quorate_execute(n->node, "CREATE TABLE t (a)", NULL, 0, NULL, &n->e), QUORATE_NO_SPACE);
    assert_non_null(strstr(n->e.text, "the disk of node 1 is full: "));
    assert_int_equal(quorate_kv_put(n->node, "ns", "k", 1, "v", 1, QUORATE_ANY_VERSION, NULL, &n->e),
                     QUORATE_NO_SPACE);
    assert_int_equal(embedded_number(n, "SELECT 17"), 17);

    embedded_stop(n);
    embedded_set(n, "space-min-bytes", "1");
    embedded_start(n);
    embedded_execute(n, "CREATE TABLE t (a)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_written_is_there_after_a_restart),
        TEST(a_database_in_memory_is_rebuilt_from_the_log),
        TEST(a_node_may_be_stopped_before_it_is_ready),
        TEST(options_may_be_freed_and_changed_after_the_start),
        TEST(the_http_port_is_told),
        TEST(options_come_from_a_file_too),
        TEST(a_start_that_is_refused_can_be_tried_again),
        TEST(a_directory_in_use_is_refused),
        TEST(a_directory_that_cannot_be_made_is_refused),
        TEST(a_port_in_use_is_refused),
        TEST(another_cluster_does_not_get_the_directory),
        TEST(a_node_on_a_full_disk_refuses_writes_and_still_reads),
        TEST(a_node_without_a_majority_is_not_ready_and_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
