/* What an operator gets wrong: one clear line each, and exit status 2. */
#include "tests/cluster/scene.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/stat.h>

enum { END_MS = 20000, WORDS_MAX = 4 };

struct mistake {
    const char *words[WORDS_MAX];    /* further arguments */
    const char *variable, *contents; /* in the environment; may be NULL */
    const char *expected;            /* part of the line */
};

static const struct mistake mistakes[] = {
    {.words = {"--no-such-option=1"}, .expected = "there is no option --no-such-option"},
    {.words = {"word"}, .expected = "\"word\" is not an option"},
    {.words = {"--readers"}, .expected = "option --readers needs a value"},
    {.words = {"--readers=many"}, .expected = "option readers: \"many\" is not a number from 1 to 16"},
    {.words = {"--readers=17"}, .expected = "option readers: \"17\" is not a number from 1 to 16"},
    {.words = {"--readers", "-1"}, .expected = "option readers: \"-1\" is not a number"},
    {.words = {"--readers=2x"}, .expected = "option readers"},
    {.words = {"--readers="}, .expected = "option readers"},
    {.words = {"--id=0"}, .expected = "option id"},
    {.words = {"--id=99999999999999999999"}, .expected = "option id"},
    {.words = {"--id=4"}, .expected = "node id 4 is not in the list of members"},
    {.words = {"--election-timeout=1"}, .expected = "option election-timeout: \"1\" is not a time"},
    {.words = {"--election-timeout=5parsec"}, .expected = "option election-timeout"},
    {.words = {"--heartbeat-interval=200ms"}, .expected = "must be at most half of election-timeout"},
    {.words = {"--segment-bytes=9999999999G"}, .expected = "option segment-bytes"},
    {.words = {"--request-max=12M", "--segment-bytes=1M"}, .expected = "does not fit into segment-bytes"},
    {.words = {"--io-uring=perhaps"}, .expected = "option io-uring: \"perhaps\" is neither true nor false"},
    {.words = {"--storage=xyz"}, .expected = "option storage: \"xyz\" is not one of: sqlite, memory"},
    {.variable = "QUORATE_STORAGE",
     .contents = "disk",
     .expected =
         "environment variable QUORATE_STORAGE: option storage: \"disk\" is not one of: sqlite, memory"},
    {.variable = "QUORATE_ELECTION_TIMEOUT", .contents = "soon", .expected = "QUORATE_ELECTION_TIMEOUT"},
    {.words = {"--secret=0123456789abcdef"}, .expected = "the secret is not taken from the command line"},
    {.words = {"--secret", "0123456789abcdef"}, .expected = "the secret is not taken from the command line"},
    {.variable = "QUORATE_SECRET", .contents = "short", .expected = "option secret: 5 bytes"},
    {.words = {"--dir="}, .expected = "option dir"},
    {.words = {"--members=1"}, .expected = "option members"},
    {.words = {"--members=1=a:1,1=b:2"}, .expected = "have the same id or address"},
    {.words = {"--members=one=127.0.0.1:1"}, .expected = "option members"},
    {.words = {"--listen=nowhere"}, .expected = "nowhere"},
    {.words = {"--join=127.0.0.1:7001"}, .expected = "options members and join do not go together"},
    {.words = {"--replace=3"}, .expected = "option replace goes with join only"},
    {.words = {"--advertise=0.0.0.0:7001"},
     .expected = "option advertise: address \"0.0.0.0:7001\" is one to listen on"},
    {.words = {"--backup-every=1h"}, .expected = "option backup-every needs backup-dir"},
    {.words = {"--http=127.0.0.1:99999"}, .expected = "127.0.0.1:99999"},
    {.words = {"--http=127.0.0.1"}, .expected = "127.0.0.1"},
    {.words = {"--config=/no/such/file.ini"}, .expected = "/no/such/file.ini"},
    {.words = {"--secret-file=/no/such/secret"}, .expected = "/no/such/secret"},
};

static void check_one_line(const struct process *p, const char *expected)
{
    char *output = process_output(p), *end = strchr(output, '\n');

    if (strncmp(output, "quorated: ", 10) != 0 || end == NULL || end[1] != 0 ||
        strstr(output, expected) == NULL) {
        fail_msg("not one line with \"%s\":\n%s", expected, output);
    }
    free(output);
}

/* Node 1 of a cluster that could run but for the mistake. NAME tells the logs apart. */
static void init_alone(struct process *p, struct processes *nodes, const char *name)
{
    char log[PROCESS_PATH_MAX + 16];

    snprintf(log, sizeof log, "%s/%s.log", nodes->dir, name);
    process_init(p, QUORATED, log);
    process_add_argument(p, "--id=1");
    process_add_argument(p, "--dir=%s", nodes->node[0].dir);
    process_add_argument(p, "--members=1=127.0.0.1:%u", ntohs(nodes->node[0].peer.sin_port));
    process_add_argument(p, "--http=127.0.0.1:%u", ntohs(nodes->node[0].http.sin_port));
    process_set_variable(p, "QUORATE_SECRET", PROCESSES_SECRET);
}

static void an_unknown_option_or_a_bad_value_is_one_clear_line_and_exit_2(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_prepare(scene, NULL);

    for (unsigned i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        const struct mistake *m = &mistakes[i];
        struct process p;
        char name[16];
        int status;

        snprintf(name, sizeof name, "mistake%u", i);
        init_alone(&p, nodes, name);
        for (unsigned word = 0; word < WORDS_MAX && m->words[word] != NULL; word++) {
            process_add_argument(&p, "%s", m->words[word]);
        }
        if (m->variable != NULL) {
            process_set_variable(&p, m->variable, m->contents);
        }
        process_start(&p);
        status = process_wait(&p, END_MS);
        check_one_line(&p, m->expected);
        if (status != 2) {
            fail_msg("exit status %d, not 2, after: %s", status, m->expected);
        }
        process_close(&p);
    }
    scene_finish(scene);
}

static void what_is_missing_is_named(void **state)
{
    static const char *const missing[] = {"--id=1", "--dir=", "--members="};
    static const char *const sentences[] = {"option id is missing", "option dir is missing",
                                            "option members is missing"};
    struct scene *scene = *state;
    struct processes *nodes = scene_prepare(scene, NULL);

    for (unsigned i = 0; i < 3; i++) {
        struct process all, p;
        char log[PROCESS_PATH_MAX];

        init_alone(&all, nodes, "all");
        snprintf(log, sizeof log, "%s/missing%u.log", nodes->dir, i);
        process_init(&p, QUORATED, log);
        process_set_variable(&p, "QUORATE_SECRET", PROCESSES_SECRET);
        for (unsigned word = 1; word < all.arguments; word++) {
            if (strncmp(all.argument[word], missing[i], strlen(missing[i])) != 0) {
                process_add_argument(&p, "%s", all.argument[word]);
            }
        }
        process_start(&p);
        assert_int_equal(process_wait(&p, END_MS), 2);
        check_one_line(&p, sentences[i]);
        process_close(&all);
        process_close(&p);
    }
    scene_finish(scene);
}

static void write_file(const char *path, const char *contents, mode_t mode)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(contents, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static void a_secret_is_asked_for_and_must_be_private(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_prepare(scene, NULL);
    struct process none, open;
    char path[PROCESS_PATH_MAX];

    init_alone(&none, nodes, "none");
    process_set_variable(&none, "QUORATE_SECRET", NULL);
    process_start(&none);
    assert_int_equal(process_wait(&none, END_MS), 2);
    check_one_line(&none, "no secret is given: use --secret-file or the environment variable QUORATE_SECRET");
    process_close(&none);

    snprintf(path, sizeof path, "%s/secret", nodes->dir);
    write_file(path, PROCESSES_SECRET "\n", 0644);
    init_alone(&open, nodes, "open");
    process_add_argument(&open, "--secret-file=%s", path);
    process_start(&open);
    assert_int_equal(process_wait(&open, END_MS), 2);
    check_one_line(&open, "can be read by others");
    process_close(&open);
    scene_finish(scene);
}

/* The start line of a node tells which cluster name won. */
static void check_cluster_name(struct processes *nodes, const char *config, const char *variable,
                               const char *flag, const char *expected)
{
    struct process p;
    char line[64];

    init_alone(&p, nodes, expected);
    process_add_argument(&p, "--config=%s", config);
    if (variable != NULL) {
        process_set_variable(&p, "QUORATE_CLUSTER_NAME", variable);
    }
    if (flag != NULL) {
        process_add_argument(&p, "--cluster-name=%s", flag);
    }
    process_add_argument(&p, "--dir=%s/%s", nodes->dir, expected);
    process_start(&p);
    snprintf(line, sizeof line, "cluster=%s ", expected);
    process_wait_said(&p, line, END_MS);
    process_ask_to_stop(&p);
    assert_int_equal(process_wait(&p, END_MS), 0);
    process_close(&p);
}

static void a_flag_wins_over_the_environment_and_that_over_the_file(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_prepare(scene, NULL);
    char path[PROCESS_PATH_MAX];

    snprintf(path, sizeof path, "%s/quorated.ini", nodes->dir);
    write_file(path, "# a comment\n[any section]\ncluster-name = from-file\nreaders = 3\n", 0600);
    check_cluster_name(nodes, path, NULL, NULL, "from-file");
    check_cluster_name(nodes, path, "from-environment", NULL, "from-environment");
    check_cluster_name(nodes, path, "from-environment", "from-flag", "from-flag");
    scene_finish(scene);
}

static void a_mistake_in_the_file_names_file_and_line(void **state)
{
    static const char *const files[] = {"cluster-name = a\nno-such = 1\n", "readers = 2\nreaders = 99\n",
                                        "cluster-name = a\nneither this nor that\n"};
    struct scene *scene = *state;
    struct processes *nodes = scene_prepare(scene, NULL);

    for (unsigned i = 0; i < 3; i++) {
        struct process p;
        char path[PROCESS_PATH_MAX], expected[PROCESS_PATH_MAX + 16], name[16];

        snprintf(name, sizeof name, "file%u", i);
        snprintf(path, sizeof path, "%s/%s.ini", nodes->dir, name);
        snprintf(expected, sizeof expected, "%s, line 2", path);
        write_file(path, files[i], 0600);
        init_alone(&p, nodes, name);
        process_add_argument(&p, "--config=%s", path);
        process_start(&p);
        assert_int_equal(process_wait(&p, END_MS), 2);
        check_one_line(&p, expected);
        process_close(&p);
    }
    scene_finish(scene);
}

static void help_and_version_are_told_and_nothing_is_started(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_prepare(scene, NULL);
    struct process help, version;

    init_alone(&help, nodes, "help");
    process_add_argument(&help, "--help");
    process_start(&help);
    assert_int_equal(process_wait(&help, END_MS), 0);
    assert_true(process_said(&help, "--election-timeout TIME"));
    assert_false(process_said(&help, "--secret "));
    process_close(&help);

    init_alone(&version, nodes, "version");
    process_add_argument(&version, "--version");
    process_start(&version);
    assert_int_equal(process_wait(&version, END_MS), 0);
    assert_true(process_said(&version, "quorated "));
    process_close(&version);
    scene_finish(scene);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SCENE(an_unknown_option_or_a_bad_value_is_one_clear_line_and_exit_2),
        SCENE(what_is_missing_is_named),
        SCENE(a_secret_is_asked_for_and_must_be_private),
        SCENE(a_flag_wins_over_the_environment_and_that_over_the_file),
        SCENE(a_mistake_in_the_file_names_file_and_line),
        SCENE(help_and_version_are_told_and_nothing_is_started),
    };
    scene_choose(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
