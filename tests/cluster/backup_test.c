/* Backups of a cluster that works, and clusters that begin with one. */
#include <arpa/inet.h>
#include <dirent.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/cluster/roster.h"
#include "tests/cluster/scene.h"

enum { WORDS_MAX = 24, KILLS = 8, TEXT_MAX = 8192 };

/* ---- the tool ---- */

struct tool {
    struct process process;
    char dir[PROCESS_PATH_MAX]; /* of the backups */
    char text[TEXT_MAX];        /* what the last command said */
};

static void tool_init(struct tool *t, const struct processes *nodes)
{
    char log[PROCESS_PATH_MAX];

    memset(t, 0, sizeof *t);
    snprintf(log, sizeof log, "%s/tool.log", nodes->dir);
    snprintf(t->dir, sizeof t->dir, "%s/backups", nodes->dir);
    process_init(&t->process, QUORATE, log);
}

/* Begins the words of a command; an endpoint among them, if I is the place of a node. */
static void tool_begin(struct tool *t, const struct processes *nodes, unsigned i, const char *const *words)
{
    struct process *p = &t->process;
    char log[PROCESS_PATH_MAX];

    snprintf(log, sizeof log, "%s", p->log);
    process_close(p);
    remove(log);
    process_init(p, QUORATE, log);
    for (; *words != NULL; words++) {
        process_add_argument(p, "%s", *words);
    }
    if (i < nodes->count) {
        process_add_argument(p, "--endpoint=http://127.0.0.1:%u", ntohs(nodes->node[i].http.sin_port));
    }
    process_start(p);
}

static int tool_end(struct tool *t)
{
    int status = process_wait(&t->process, 2 * PROCESSES_WAIT_MS);
    char *output = process_output(&t->process);

    snprintf(t->text, sizeof t->text, "%s", output);
    free(output);
    return status;
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void must_do(struct tool *t, const struct processes *nodes, unsigned i, const char *const *words)
{
    tool_begin(t, nodes, i, words);
    if (tool_end(t) != 0) {
        fail_msg("%s %s: %s", words[0], words[1], t->text);
    }
}

static void expect_said(const struct tool *t, const char *text)
{
    if (strstr(t->text, text) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", t->text, text);
    }
}

/* A number of the JSON that the last command printed. */
static uint64_t said(const struct tool *t, const char *key)
{
    char quoted[64];
    const char *at;

    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    at = strstr(t->text, quoted);
    if (at == NULL) {
        fail_msg("\"%s\" has no %s", t->text, key);
    }
    return strtoull(at + strlen(quoted), NULL, 10);
}

static void create(struct tool *t, const struct processes *nodes, unsigned i)
{
    must_do(t, nodes, i, WORDS("backup", "create", "--to", t->dir, "--json"));
}

static void restore(struct tool *t, const struct processes *nodes, unsigned i, const char *members)
{
    char id[16];

    snprintf(id, sizeof id, "%" PRIu64, nodes->node[i].id);
    must_do(
        t, nodes, UINT32_MAX,
        WORDS("restore", "--from", t->dir, "--dir", nodes->node[i].dir, "--id", id, "--members", members));
}

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

/* About 4 MB, which do not compress well. */
static void fill(struct processes *nodes, unsigned i)
{
    execute(nodes, i, "CREATE TABLE t (id INTEGER PRIMARY KEY, a)");
    execute(nodes, i,
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
            " INSERT INTO t SELECT i, randomblob(2000) FROM n");
}

static void expect_rows(struct processes *nodes, unsigned i, const char *sql, const char *value)
{
    char body[512], wanted[64], *answer;

    snprintf(body, sizeof body, "[\"%s\"]", sql);
    snprintf(wanted, sizeof wanted, "\"values\":[[%s]]", value);
    assert_int_equal(check_ask(nodes, i, "POST", "/db/query?level=none", body, &answer), 200);
    if (strstr(answer, wanted) == NULL) {
        fail_msg("%s: %s, not %s", sql, answer, value);
    }
    free(answer);
}

/* The directory of a node that does not run goes out of the way. */
static void set_aside(struct processes *nodes, unsigned i)
{
    char away[PROCESS_PATH_MAX + 8];

    snprintf(away, sizeof away, "%s.old", nodes->node[i].dir);
    assert_int_equal(rename(nodes->node[i].dir, away), 0);
}

/* The place of a node that has said TEXT; it is waited for. */
static unsigned who_said(struct processes *nodes, const char *text, unsigned but)
{
    struct deadline deadline = deadline_in(PROCESSES_WAIT_MS);

    do {
        for (unsigned i = 0; i < nodes->count; i++) {
            if (i != but && process_said(&nodes->node[i].process, text)) {
                return i;
            }
        }
    } while (deadline_wait(&deadline));
    fail_msg("nobody says \"%s\"", text);
    return 0;
}

/* ---- scenes ---- */

static void a_backup_costs_what_has_changed_and_becomes_a_cluster_again(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_start(scene, NULL);
    unsigned leader = processes_leader(nodes);
    struct status before, after;
    uint64_t chunks;
    struct tool t;

    tool_init(&t, nodes);
    fill(nodes, leader);
    create(&t, nodes, 0);
    chunks = said(&t, "chunks");
    assert_true(chunks > 12);
    assert_int_equal(said(&t, "chunks_new"), chunks);
    execute(nodes, leader, "UPDATE t SET a = 'changed' WHERE id BETWEEN 100 AND 110");
    create(&t, nodes, 1);
    assert_in_range(said(&t, "chunks_new"), 1, 3);
    assert_in_range(said(&t, "bytes_new"), 1, 100 * 1024);
    assert_in_range(said(&t, "bytes_fetched"), 1, 100 * 1024);
    must_do(&t, nodes, UINT32_MAX, WORDS("backup", "verify", t.dir));
    expect_said(&t, "2 backups, 0 of them damaged");
    must_do(&t, nodes, UINT32_MAX, WORDS("backup", "list", t.dir));
    check_settled(nodes);
    assert_true(processes_status(nodes, 0, &before));

    execute(nodes, leader, "DELETE FROM t"); /* what the operator regrets */
    for (unsigned i = 0; i < 3; i++) {
        processes_stop(nodes, i);
        set_aside(nodes, i);
        restore(&t, nodes, i, nodes->members);
    }
    processes_start(nodes);
    check_settled(nodes);

    assert_true(processes_status(nodes, 0, &after));
    assert_string_equal(after.digest, before.digest);
    for (unsigned i = 0; i < 3; i++) {
        expect_rows(nodes, i, "SELECT count(*), sum(a = 'changed') FROM t", "2000,11");
    }
    check_answer(nodes, 0, "PUT", "/v1/kv/n/key", "it goes on", 200);
    process_close(&t.process);
    scene_finish(scene);
}

static void one_node_is_restored_and_others_join_it(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_prepare(scene, NULL);
    unsigned second = processes_add_joiner(nodes, 0, NULL), third = processes_add_joiner(nodes, 0, NULL);
    char alone[64];
    struct tool t;

    processes_start(nodes);
    tool_init(&t, nodes);
    fill(nodes, processes_leader(nodes));
    create(&t, nodes, 0);
    for (unsigned i = 0; i < 3; i++) {
        processes_stop(nodes, i);
    }
    processes_retire(nodes, 1);
    processes_retire(nodes, 2);
    set_aside(nodes, 0);
    snprintf(alone, sizeof alone, "1=127.0.0.1:%u", ntohs(nodes->node[0].peer.sin_port));
    restore(&t, nodes, 0, alone);
    process_add_argument(&nodes->node[0].process, "--members=%s", alone);

    processes_start(nodes);
    expect_rows(nodes, 0, "SELECT count(*) FROM t", "2000");
    processes_join(nodes, second);
    processes_join(nodes, third);
    roster_wait(nodes, "1:voter 2:voter 3:voter");

    check_settled(nodes);
    expect_rows(nodes, third, "SELECT count(*) FROM t", "2000");
    process_close(&t.process);
    scene_finish(scene);
}

static void a_restored_node_is_not_let_into_the_cluster_that_was_backed_up(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_start(scene, NULL);
    struct status status;
    struct tool t;

    tool_init(&t, nodes);
    check_answer(nodes, 0, "PUT", "/v1/kv/n/key", "value", 200);
    create(&t, nodes, 0);
    processes_stop(nodes, 2);
    set_aside(nodes, 2);
    restore(&t, nodes, 2, nodes->members);
    processes_start_one(nodes, 2);
    process_wait_said(&nodes->node[2].process, "belongs to cluster", PROCESSES_WAIT_MS);
    check_answer(nodes, 0, "PUT", "/v1/kv/n/key", "later", 200);

    assert_true(processes_status(nodes, 2, &status));
    assert_false(status.ready);
    assert_int_equal(status.leader, 0);
    process_close(&t.process);
    scene_finish(scene);
}

static void a_backup_that_is_killed_is_completed_by_the_next(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_start(scene, NULL);
    unsigned leader = processes_leader(nodes);
    struct tool t;

    tool_init(&t, nodes);
    fill(nodes, leader);
    for (unsigned i = 0; i < KILLS; i++) {
        struct deadline soon = deadline_in(20 * (i + 1));
        execute(nodes, leader, "UPDATE t SET a = randomblob(1000) WHERE id % 50 = 7");
        tool_begin(&t, nodes, i % 3, WORDS("backup", "create", "--to", t.dir, "--keep", "2"));
        while (deadline_wait(&soon)) {
        }
        process_kill(&t.process);
    }
    create(&t, nodes, 0);
    must_do(&t, nodes, UINT32_MAX, WORDS("backup", "prune", t.dir, "--keep", "1"));
    must_do(&t, nodes, UINT32_MAX, WORDS("backup", "verify", t.dir));

    expect_said(&t, "1 backups, 0 of them damaged");
    process_close(&t.process);
    scene_finish(scene);
}

static void flip_in_some_chunk(const struct tool *t)
{
    char path[2 * PROCESS_PATH_MAX + 300];
    struct dirent *entry;
    struct stat st;
    DIR *d;
    FILE *f;
    int c;

    snprintf(path, sizeof path, "%s/chunks", t->dir);
    d = opendir(path);
    assert_non_null(d);
    do {
        entry = readdir(d);
        assert_non_null(entry);
        snprintf(path, sizeof path, "%s/chunks/%s", t->dir, entry->d_name);
    } while (entry->d_name[0] == '.' || stat(path, &st) != 0 || st.st_size < 200000);
    closedir(d);
    f = fopen(path, "r+");
    assert_non_null(f);
    fseek(f, 100000, SEEK_SET);
    c = fgetc(f);
    fseek(f, 100000, SEEK_SET);
    fputc(c ^ 4, f);
    fclose(f);
}

static void a_damaged_backup_is_named_not_restored_and_healed_by_the_next(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_start(scene, NULL);
    char dir[PROCESS_PATH_MAX];
    struct tool t;

    tool_init(&t, nodes);
    fill(nodes, processes_leader(nodes));
    create(&t, nodes, 0);
    flip_in_some_chunk(&t);

    tool_begin(&t, nodes, UINT32_MAX, WORDS("backup", "verify", t.dir));
    assert_int_equal(tool_end(&t), 1);
    expect_said(&t, "damaged: backup ");
    expect_said(&t, "1 backups, 1 of them damaged");
    snprintf(dir, sizeof dir, "%.*s/none", PROCESS_PATH_MAX - 8, nodes->dir);
    tool_begin(&t, nodes, UINT32_MAX,
               WORDS("restore", "--from", t.dir, "--dir", dir, "--id", "1", "--members", nodes->members));
    assert_int_equal(tool_end(&t), 1);
    expect_said(&t, "is missing or damaged");
    tool_begin(&t, nodes, UINT32_MAX, WORDS("backup", "verify", t.dir, "--remove-damaged"));
    assert_int_equal(tool_end(&t), 1);
    check_answer(nodes, 0, "PUT", "/v1/kv/n/key", "so that there is a newer index", 200);
    create(&t, nodes, 0);
    must_do(&t, nodes, UINT32_MAX, WORDS("backup", "verify", t.dir));

    expect_said(&t, "2 backups, 0 of them damaged");
    process_close(&t.process);
    scene_finish(scene);
}

static void a_backup_goes_on_at_another_node_when_its_own_is_lost(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_start(scene, NULL);
    unsigned leader = processes_leader(nodes), source;
    struct tool t;

    tool_init(&t, nodes);
    fill(nodes, leader);
    tool_begin(&t, nodes, leader, WORDS("backup", "create", "--to", t.dir));
    source = who_said(nodes, "image_taken", UINT32_MAX);
    processes_kill(nodes, source);
    if (tool_end(&t) != 0) {
        fail_msg("%s", t.text);
    }
    must_do(&t, nodes, UINT32_MAX, WORDS("backup", "verify", t.dir));

    expect_said(&t, "1 backups, 0 of them damaged");
    processes_start(nodes);
    process_close(&t.process);
    scene_finish(scene);
}

static void a_plain_file_becomes_a_cluster(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_prepare(scene, NULL);
    char path[PROCESS_PATH_MAX], id[16];
    struct tool t;
    sqlite3 *db;

    tool_init(&t, nodes);
    snprintf(path, sizeof path, "%s/plain.db", nodes->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "PRAGMA page_size = 1024; PRAGMA journal_mode = WAL;"
                                  "CREATE TABLE t (a); INSERT INTO t VALUES (1), (2.5), ('x');"
                                  "CREATE TRIGGER r AFTER INSERT ON t BEGIN DELETE FROM t WHERE a = 'x'; END",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    for (unsigned i = 0; i < 3; i++) {
        snprintf(id, sizeof id, "%u", i + 1);
        must_do(&t, nodes, UINT32_MAX,
                WORDS("restore", "--from", path, "--dir", nodes->node[i].dir, "--id", id, "--members",
                      nodes->members));
    }
    processes_start(nodes);
    execute(nodes, processes_leader(nodes), "INSERT INTO t VALUES (4)");
    check_settled(nodes);

    for (unsigned i = 0; i < 3; i++) {
        expect_rows(nodes, i, "SELECT count(*), sum(a) FROM t", "3,7.5");
    }
    process_close(&t.process);
    scene_finish(scene);
}

static void the_nodes_make_backups_by_themselves_whoever_is_there(void **state)
{
    char to[PROCESS_PATH_MAX + 16];
    struct scene *scene = *state;
    struct processes *nodes = scene_prepare(scene, NULL);
    unsigned maker, next;
    struct tool t;

    tool_init(&t, nodes);
    snprintf(to, sizeof to, "--backup-dir=%s", t.dir);
    for (unsigned i = 0; i < 3; i++) {
        process_add_argument(&nodes->node[i].process, "%s", to);
        process_add_argument(&nodes->node[i].process, "--backup-every=500ms");
        process_add_argument(&nodes->node[i].process, "--backup-keep=2");
    }
    processes_start(nodes);
    struct load *load = scene_load(scene);
    maker = who_said(nodes, "backup_made", UINT32_MAX);
    load_wait_acknowledged(load, 10);
    process_wait_said(&nodes->node[maker].process, "backups_pruned", PROCESSES_WAIT_MS);
    processes_kill(nodes, maker);
    next = who_said(nodes, "backup_made", maker);
    assert_int_not_equal(next, maker);
    processes_start(nodes);
    load_wait_acknowledged(load, 10);
    scene_check(scene);
    for (unsigned i = 0; i < 3; i++) {
        processes_stop(nodes, i);
    }
    must_do(&t, nodes, UINT32_MAX, WORDS("backup", "verify", t.dir));
    if (strstr(t.text, "2 backups, 0 of them damaged") == NULL) {
        expect_said(&t, "3 backups, 0 of them damaged"); /* stopped between the two halves */
    }
    processes_start(nodes);
    process_close(&t.process);
    scene_finish(scene);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SCENE(a_backup_costs_what_has_changed_and_becomes_a_cluster_again),
        SCENE(one_node_is_restored_and_others_join_it),
        SCENE(a_restored_node_is_not_let_into_the_cluster_that_was_backed_up),
        SCENE(a_backup_that_is_killed_is_completed_by_the_next),
        SCENE(a_damaged_backup_is_named_not_restored_and_healed_by_the_next),
        SCENE(a_backup_goes_on_at_another_node_when_its_own_is_lost),
        SCENE(a_plain_file_becomes_a_cluster),
        SCENE(the_nodes_make_backups_by_themselves_whoever_is_there),
    };
    scene_choose(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
