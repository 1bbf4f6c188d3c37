/* Whole databases that come in and go out, by /db/load and /db/backup, while a cluster works and breaks. */
#include <arpa/inet.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cluster/deadline.h"
#include "tests/cluster/scene.h"
#include "tests/unit/storage/nasty.h"

enum { TEXT_MAX = 4096 };

/* ---- the tool ---- */

struct tool {
    struct process process;
    char text[TEXT_MAX]; /* what it said */
};

static void tool_begin(struct tool *t, struct processes *nodes, unsigned i, const char *const *words)
{
    char log[PROCESS_PATH_MAX];

    snprintf(log, sizeof log, "%s/tool.log", nodes->dir);
    remove(log);
    process_init(&t->process, QUORATE, log);
    for (; *words != NULL; words++) {
        process_add_argument(&t->process, "%s", *words);
    }
    process_add_argument(&t->process, "--endpoint=http://127.0.0.1:%u", ntohs(nodes->node[i].http.sin_port));
    process_start(&t->process);
}

static int tool_end(struct tool *t)
{
    int status = process_wait(&t->process, 4 * PROCESSES_WAIT_MS);
    char *output = process_output(&t->process);

    snprintf(t->text, sizeof t->text, "%s", output);
    free(output);
    process_close(&t->process);
    return status;
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void must_do(struct processes *nodes, unsigned i, const char *const *words)
{
    static struct tool t;

    tool_begin(&t, nodes, i, words);
    if (tool_end(&t) != 0) {
        fail_msg("%s %s: %s", words[0], words[1], t.text);
    }
}

/* ---- files ---- */

static const char *path_of(struct processes *nodes, const char *name, char path[PROCESS_PATH_MAX])
{
    snprintf(path, PROCESS_PATH_MAX, "%s/%s", nodes->dir, name);
    return path;
}

static sqlite3 *open_file(const char *path)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    return db;
}

static void make_file(const char *path, const char *sql)
{
    sqlite3 *db = open_file(path);

    nasty_run(db, sql);
    sqlite3_close(db);
}

/* Some 12 MB: more than a hundred pieces. */
static const char large_sql[] =
    "CREATE TABLE large (id INTEGER PRIMARY KEY, a TEXT, b BLOB);"
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
    " INSERT INTO large SELECT i, 'row ' || i, randomblob(550) FROM n;"
    "CREATE INDEX by_a ON large (a);";

/* ---- content ---- */

static void execute(struct processes *nodes, unsigned i, const char *sql)
{
    char body[512], *answer;

    snprintf(body, sizeof body, "[\"%s\"]", sql);
    assert_int_equal(check_ask(nodes, i, "POST", "/db/execute", body, &answer), 200);
    if (strstr(answer, "error") != NULL) {
        fail_msg("%s: %s", sql, answer);
    }
    free(answer);
}

/* Whether the node's own answer to SQL has TEXT in it. */
static bool answers(struct processes *nodes, unsigned i, const char *sql, const char *text)
{
    char body[512], *answer;

    snprintf(body, sizeof body, "[\"%s\"]", sql);
    assert_int_equal(check_ask(nodes, i, "POST", "/db/query?level=none", body, &answer), 200);
    bool has = strstr(answer, text) != NULL;
    free(answer);
    return has;
}

static void expect_everywhere(struct processes *nodes, const char *sql, const char *text)
{
    for (unsigned i = 0; i < nodes->count; i++) {
        if (!answers(nodes, i, sql, text)) {
            fail_msg("node %u: %s is not %s", i + 1, sql, text);
        }
    }
}

static void expect_empty_spool(struct processes *nodes, unsigned i)
{
    char path[PROCESS_PATH_MAX + 16];
    unsigned entries = 0;
    DIR *dir;

    snprintf(path, sizeof path, "%s/spool", nodes->node[i].dir);
    dir = opendir(path);
    assert_non_null(dir);
    while (readdir(dir) != NULL) {
        entries++;
    }
    closedir(dir);
    assert_int_equal(entries, 2); /* . and .. */
}

/* Pieces of a load have come to node I. */
static void wait_for_pieces(struct processes *nodes, unsigned i)
{
    struct deadline d = deadline_in(PROCESSES_WAIT_MS);

    while (!answers(nodes, i, "SELECT count(*) > 20 FROM quorate_load", "[[1]]")) {
        if (!deadline_wait(&d)) {
            fail_msg("no pieces of a load have come");
        }
        processes_check_alive(nodes);
    }
}

/* ---- scenes ---- */

static void what_is_hard_to_copy_goes_in_and_comes_out_as_it_was(void **state)
{
    struct processes *nodes = scene_start(*state, NULL);
    unsigned leader = processes_leader(nodes), follower = processes_other(nodes, leader);
    char in[PROCESS_PATH_MAX], out[PROCESS_PATH_MAX], text[PROCESS_PATH_MAX],
        shell[2 * PROCESS_PATH_MAX + 64];
    sqlite3 *a, *b;
    execute(nodes, leader, "CREATE TABLE old (a)");
    make_file(path_of(nodes, "in.db", in), nasty_sql);

    must_do(nodes, follower, WORDS("load", in));
    check_settled(nodes);
    must_do(nodes, leader, WORDS("dump", path_of(nodes, "out.db", out)));
    must_do(nodes, follower, WORDS("dump", "--sql", path_of(nodes, "out.sql", text)));

    a = open_file(in);
    b = open_file(out);
    nasty_same(a, b);
    sqlite3_close(b);
    /* As a person would do it: text with line ends in it goes through the shell. */
    snprintf(shell, sizeof shell, "sqlite3 -batch %s.restored < %s", out, text);
    if (system("command -v sqlite3 > /dev/null") == 0) {
        strncat(out, ".restored", sizeof out - strlen(out) - 1);
        assert_int_equal(system(shell), 0);
        b = open_file(out);
        nasty_same(a, b);
        sqlite3_close(b);
    }
    sqlite3_close(a);
    expect_everywhere(nodes, "SELECT count(*) FROM old", "no such table");
    scene_finish(*state);
}

static void others_go_on_writing_while_a_file_is_loaded(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_start(scene, NULL);
    char in[PROCESS_PATH_MAX];
    make_file(path_of(nodes, "in.db", in), large_sql);
    scene_load(scene);

    must_do(nodes, processes_other(nodes, processes_leader(nodes)), WORDS("load", in));
    must_do(nodes, processes_leader(nodes), WORDS("load", in));

    scene_check(scene);
    expect_everywhere(nodes, "SELECT count(*), sum(id) FROM large", "[[20000,200010000]]");
    for (unsigned i = 0; i < nodes->count; i++) {
        expect_empty_spool(nodes, i);
    }
    scene_finish(scene);
}

static void a_leader_that_dies_does_not_end_a_load(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_start(scene, NULL);
    unsigned leader = processes_leader(nodes), follower = processes_other(nodes, leader);
    static struct tool t;
    char in[PROCESS_PATH_MAX];
    make_file(path_of(nodes, "in.db", in), large_sql);
    execute(nodes, leader, "CREATE TABLE old (a)");

    tool_begin(&t, nodes, follower, WORDS("load", in));
    wait_for_pieces(nodes, follower);
    processes_kill(nodes, leader);
    if (tool_end(&t) != 0) {
        fail_msg("load: %s", t.text);
    }
    processes_start(nodes);

    check_settled(nodes);
    expect_everywhere(nodes, "SELECT count(*), sum(id) FROM large", "[[20000,200010000]]");
    expect_everywhere(nodes, "SELECT count(*) FROM quorate_load", "[[1]]");
    scene_finish(scene);
}

static void a_load_whose_node_dies_changes_nothing(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_start(scene, NULL);
    unsigned leader = processes_leader(nodes), follower = processes_other(nodes, leader);
    static struct tool t;
    char in[PROCESS_PATH_MAX], small[PROCESS_PATH_MAX];
    make_file(path_of(nodes, "in.db", in), large_sql);
    make_file(path_of(nodes, "small.db", small), "CREATE TABLE small (a)");
    execute(nodes, leader, "CREATE TABLE old (a)");

    tool_begin(&t, nodes, follower, WORDS("load", in));
    wait_for_pieces(nodes, leader);
    processes_kill(nodes, follower);
    assert_int_not_equal(tool_end(&t), 0);
    processes_start(nodes);

    check_settled(nodes);
    expect_everywhere(nodes, "SELECT count(*) FROM old", "[[0]]");
    expect_everywhere(nodes, "SELECT count(*) FROM large", "no such table");
    expect_empty_spool(nodes, follower);
    /* The next one takes the place of what is left of it. */
    must_do(nodes, follower, WORDS("load", small));
    check_settled(nodes);
    expect_everywhere(nodes, "SELECT count(*) FROM quorate_load", "[[1]]");
    expect_everywhere(nodes, "SELECT count(*) FROM small", "[[0]]");
    scene_finish(scene);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SCENE(what_is_hard_to_copy_goes_in_and_comes_out_as_it_was),
        SCENE(others_go_on_writing_while_a_file_is_loaded),
        SCENE(a_leader_that_dies_does_not_end_a_load),
        SCENE(a_load_whose_node_dies_changes_nothing),
    };
    scene_choose(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
