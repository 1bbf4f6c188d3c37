#include "node/cli/local_node.h"

#include <sys/stat.h>
#include <unistd.h>

#include "node/cli/local_ports.h"
#include "tests/unit/cli/fake_node.h"
#include "tests/unit/test.h"

/* A directory; and a program that ends at once in place of the daemon. */
struct world {
    char dir[64];
    struct local_cluster cluster, loaded; /* large */
};

static const char *const flags[] = {"--election-timeout", "500ms"};
static const struct local_plan plan = {.nodes = 3, .quorated = "/bin/true", .flags = flags, .flag_count = 2};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    snprintf(w->dir, sizeof w->dir, "/tmp/quorate-test.XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    *state = w;
    return 0;
}

static void remove_file(const struct world *w, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", w->dir, name);
    unlink(path);
}

static int teardown(void **state)
{
    static const char *const files[] = {"cluster.json", "secret", "node1.log", "node1.pid"};
    struct world *w = *state;

    for (unsigned i = 0; i < sizeof files / sizeof files[0]; i++) {
        remove_file(w, files[i]);
    }
    assert_int_equal(rmdir(w->dir), 0);
    local_cluster_close(&w->cluster);
    local_cluster_close(&w->loaded);
    free(w);
    return 0;
}

static void write_settings(const struct world *w, const char *text)
{
    char path[128];
    FILE *file;
    snprintf(path, sizeof path, "%s/cluster.json", w->dir);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void settings_read_back_as_they_were_made(void **state)
{
    struct world *w = *state;
    struct error e;

    assert_int_equal(local_cluster_create(w->dir, &plan, &w->cluster, &e), 0);
    assert_int_equal(local_cluster_load(w->dir, &w->loaded, &e), 0);

    assert_int_equal(w->loaded.count, 3);
    assert_int_equal(w->loaded.flag_count, 2);
    assert_string_equal(w->loaded.flags[1], "500ms");
    assert_string_equal(w->loaded.quorated, w->cluster.quorated);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(w->loaded.nodes[i].http_port, w->cluster.nodes[i].http_port);
        assert_int_equal(w->loaded.nodes[i].peer_port, w->cluster.nodes[i].peer_port);
        assert_string_equal(w->loaded.nodes[i].dir, w->cluster.nodes[i].dir);
    }
}

static void free_ports_are_all_different(void **state)
{
    struct world *w = *state;
    struct error e;
    unsigned ports[6];

    assert_int_equal(local_cluster_create(w->dir, &plan, &w->cluster, &e), 0);

    for (unsigned i = 0; i < 3; i++) {
        ports[2 * i] = w->cluster.nodes[i].http_port;
        ports[2 * i + 1] = w->cluster.nodes[i].peer_port;
    }
    for (unsigned i = 0; i < 6; i++) {
        for (unsigned k = 0; k < i; k++) {
            assert_int_not_equal(ports[i], ports[k]);
        }
    }
}

static void the_secret_is_for_its_owner_alone(void **state)
{
    struct world *w = *state;
    struct error e;
    struct stat st;

    assert_int_equal(local_cluster_create(w->dir, &plan, &w->cluster, &e), 0);

    assert_int_equal(stat(w->cluster.secret, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_size, 65);
}

static void a_directory_holds_one_cluster(void **state)
{
    struct world *w = *state;
    struct error e;

    assert_int_equal(local_cluster_create(w->dir, &plan, &w->cluster, &e), 0);
    assert_int_equal(local_cluster_create(w->dir, &plan, &w->loaded, &e), Q_CONFLICT);
}

static void given_ports_follow_each_other(void **state)
{
    struct world *w = *state;
    struct local_plan given = plan;
    struct error e;
    given.http_port = 4001;

    assert_int_equal(local_cluster_create(w->dir, &given, &w->cluster, &e), 0);

    assert_int_equal(w->cluster.nodes[2].http_port, 4003);
    assert_int_equal(w->cluster.nodes[2].peer_port, 5003);
}

static void a_node_that_joins_is_kept_and_never_counted_among_the_first(void **state)
{
    struct world *w = *state;
    struct local_plan given = plan;
    struct local_node *node;
    struct error e;
    given.http_port = 4001;
    assert_int_equal(local_cluster_create(w->dir, &given, &w->cluster, &e), 0);

    assert_int_equal(local_cluster_add(&w->cluster, &node, &e), 0);
    assert_int_equal(local_cluster_load(w->dir, &w->loaded, &e), 0);

    assert_int_equal(w->loaded.count, 4);
    assert_true(w->loaded.nodes[3].joined && !w->loaded.nodes[2].joined);
    assert_int_equal(w->loaded.nodes[3].id, 4);
    assert_int_equal(w->loaded.nodes[3].http_port, node->http_port);
    assert_int_equal(w->loaded.nodes[3].peer_port, node->peer_port);
    assert_int_not_equal(node->http_port, node->peer_port);
}

static void a_node_that_was_not_let_in_leaves_no_trace(void **state)
{
    struct world *w = *state;
    struct local_node *node;
    struct error e;
    assert_int_equal(local_cluster_create(w->dir, &plan, &w->cluster, &e), 0);

    assert_int_equal(local_cluster_add(&w->cluster, &node, &e), 0);
    assert_int_equal(local_cluster_undo_add(&w->cluster, &e), 0);

    assert_int_equal(local_cluster_load(w->dir, &w->loaded, &e), 0);
    assert_int_equal(w->loaded.count, 3);
}

static void a_removed_node_is_no_endpoint_and_its_number_is_not_used_again(void **state)
{
    struct world *w = *state;
    const struct local_node *gone;
    struct local_node *node;
    struct endpoints list;
    struct error e;
    assert_int_equal(local_cluster_create(w->dir, &plan, &w->cluster, &e), 0);

    assert_int_equal(local_cluster_mark_removed(&w->cluster, 3, &e), 0);
    assert_int_equal(local_cluster_load(w->dir, &w->loaded, &e), 0);

    assert_int_equal(local_cluster_node(&w->loaded, 3, &gone, &e), Q_NOT_FOUND);
    assert_string_equal(e.text, "node 3 was removed from the cluster");
    local_cluster_endpoints(&w->loaded, &list);
    assert_int_equal(list.count, 2);
    assert_int_equal(local_cluster_add(&w->loaded, &node, &e), 0);
    assert_int_equal(node->id, 4);
}

static void a_cluster_has_so_many_nodes_in_its_life(void **state)
{
    struct world *w = *state;
    struct local_node *node;
    struct error e;
    assert_int_equal(local_cluster_create(w->dir, &plan, &w->cluster, &e), 0);

    for (unsigned i = 3; i < LOCAL_NODES_MAX; i++) {
        assert_int_equal(local_cluster_add(&w->cluster, &node, &e), 0);
    }
    assert_int_equal(local_cluster_add(&w->cluster, &node, &e), Q_TOO_BIG);
    assert_int_equal(local_cluster_load(w->dir, &w->loaded, &e), 0);
    assert_int_equal(w->loaded.count, LOCAL_NODES_MAX);
}

static void what_cannot_be_is_refused(void **state)
{
    struct world *w = *state;
    struct local_plan wrong = plan;
    struct error e;

    wrong.nodes = LOCAL_FIRST_MAX + 1;
    assert_int_equal(local_cluster_create(w->dir, &wrong, &w->cluster, &e), Q_INVALID);
    wrong = plan;
    wrong.http_port = 65534;
    assert_int_equal(local_cluster_create(w->dir, &wrong, &w->cluster, &e), Q_INVALID);
    wrong = plan;
    wrong.quorated = "/nowhere/quorated";
    assert_int_equal(local_cluster_create(w->dir, &wrong, &w->cluster, &e), Q_NOT_FOUND);
    assert_int_equal(local_cluster_load(w->dir, &w->loaded, &e), Q_NOT_FOUND);
}

static void malformed_settings_are_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "[]",
        "{\"quorated\":\"/bin/true\",\"nodes\":[],\"flags\":[]}",
        "{\"quorated\":\"/bin/true\",\"nodes\":[{\"id\":2,\"http\":1,\"peers\":2}],\"flags\":[]}",
        "{\"quorated\":\"/bin/true\",\"nodes\":[{\"id\":1,\"http\":70000,\"peers\":2}],\"flags\":[]}",
        "{\"quorated\":\"/bin/true\",\"nodes\":[{\"id\":1,\"http\":1,\"peers\":2}],\"flags\":[7]}",
        "{\"nodes\":[{\"id\":1,\"http\":1,\"peers\":2}],\"flags\":[]}",
    };
    struct world *w = *state;

    for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct error e;
        write_settings(w, texts[i]);
        assert_int_equal(local_cluster_load(w->dir, &w->loaded, &e), Q_CORRUPT);
    }
}

static void a_pid_file_that_names_another_process_means_not_running(void **state)
{
    struct world *w = *state;
    struct error e;
    FILE *file;
    pid_t pid;
    int fd;
    assert_int_equal(local_cluster_create(w->dir, &plan, &w->cluster, &e), 0);

    assert_int_equal(local_node_find(&w->cluster, &w->cluster.nodes[0], &pid, &fd, &e), Q_NOT_FOUND);
    file = fopen(w->cluster.nodes[0].pid_file, "w");
    fprintf(file, "%d\n", (int)getpid());
    fclose(file);

    assert_int_equal(local_node_find(&w->cluster, &w->cluster.nodes[0], &pid, &fd, &e), Q_NOT_FOUND);
    assert_string_equal(e.text, "node 1 is not running");
}

static void a_port_in_use_is_named(void **state)
{
    static const struct fake_step step = {FAKE_ANSWER, 200, NULL, NULL};
    struct world *w = *state;
    struct fake_node *somebody = fake_node_new(&step, 1);
    char wanted[64];
    struct error e;
    assert_int_equal(local_cluster_create(w->dir, &plan, &w->cluster, &e), 0);
    w->cluster.nodes[0].http_port = (unsigned)strtoul(strrchr(fake_node_url(somebody), ':') + 1, NULL, 10);
    snprintf(wanted, sizeof wanted, "node 1: port %u is in use", w->cluster.nodes[0].http_port);

    assert_int_equal(local_node_start(&w->cluster, &w->cluster.nodes[0], &e), Q_CONFLICT);

    assert_string_equal(e.text, wanted);
    fake_node_free(somebody);
}

static void a_daemon_that_ends_is_told_with_its_last_words(void **state)
{
    struct world *w = *state;
    bool ready = true;
    struct error e;
    FILE *log;
    assert_int_equal(local_cluster_create(w->dir, &plan, &w->cluster, &e), 0);
    log = fopen(w->cluster.nodes[0].log, "w");
    fprintf(log, "first line\nfatal: no disk\n");
    fclose(log);

    assert_int_equal(local_node_ready(&w->cluster, &w->cluster.nodes[0], &ready, &e), Q_CLOSED);

    assert_string_equal(e.text, "node 1 has ended; the last line of its log: fatal: no disk");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    static const struct CMUnitTest tests[] = {
        TEST(settings_read_back_as_they_were_made),
        TEST(free_ports_are_all_different),
        TEST(the_secret_is_for_its_owner_alone),
        TEST(a_directory_holds_one_cluster),
        TEST(given_ports_follow_each_other),
        TEST(a_node_that_joins_is_kept_and_never_counted_among_the_first),
        TEST(a_node_that_was_not_let_in_leaves_no_trace),
        TEST(a_removed_node_is_no_endpoint_and_its_number_is_not_used_again),
        TEST(a_cluster_has_so_many_nodes_in_its_life),
        TEST(what_cannot_be_is_refused),
        TEST(malformed_settings_are_refused),
        TEST(a_pid_file_that_names_another_process_means_not_running),
        TEST(a_port_in_use_is_named),
        TEST(a_daemon_that_ends_is_told_with_its_last_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
