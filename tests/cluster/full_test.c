/* A disk that is full to the last byte, under real processes. */
#include "tests/cluster/scene.h"

#include <sys/stat.h>

#include "tests/cluster/small_disk.h"

enum { SOME = 60, DISK_MB = 192 };

static const char *const options[] = {"--ballast-bytes=4M",
                                      "--space-min-bytes=4M",
                                      "--segment-bytes=256K",
                                      "--compact-bytes=256K",
                                      "--request-max=64K",
                                      "--log-cache-bytes=64K",
                                      NULL};

/* The ballast is no promise of the file system, but blocks. */
static void expect_blocks(const struct node *node, uint64_t bytes)
{
    char path[2 * PROCESS_PATH_MAX];
    struct stat st;

    snprintf(path, sizeof path, "%s/ballast", node->dir);
    assert_int_equal(stat(path, &st), 0);
    assert_true((uint64_t)st.st_blocks * 512 >= bytes);
}

/* Three nodes that share a small disk and have their ballast on it; false after a skip() message. */
static struct processes *start_on_small_disk(struct scene *scene, struct small_disk *disk,
                                             enum small_disk_kind kind)
{
    if (!small_disk_mount(disk, kind, DISK_MB)) {
        print_message("skipped: no small disk here (%s)\n", disk->why);
        skip();
    }
    setenv("TMPDIR", disk->dir, 1);
    struct processes *nodes = scene_start(scene, options);
    for (unsigned i = 0; i < nodes->count; i++) {
        struct deadline deadline = deadline_in(PROCESSES_WAIT_MS);
        struct status status = {.disk_ballast = 0};
        while (!processes_status(nodes, i, &status) || status.disk_ballast < 4 << 20) {
            assert_true(deadline_wait(&deadline));
        }
        expect_blocks(&nodes->node[i], 4 << 20);
    }
    return nodes;
}

static bool all_full_are(struct processes *nodes, bool wanted)
{
    struct status status;
    for (unsigned i = 0; i < nodes->count; i++) {
        if (!processes_status(nodes, i, &status) || status.disk_full != wanted ||
            (wanted && status.disk_ballast > 0)) {
            return false;
        }
    }
    return true;
}

/* What one node gives up another could take again: until nothing is left for anybody. */
static void fill_until_all_are_full(struct processes *nodes, struct small_disk *disk)
{
    struct deadline deadline = deadline_in(PROCESSES_WAIT_MS);
    do {
        small_disk_fill(disk);
        processes_check_alive(nodes);
        assert_true(deadline_wait(&deadline));
    } while (!all_full_are(nodes, true) || small_disk_free_bytes(disk) > 1 << 20);
}

static void wait_room(struct processes *nodes)
{
    struct deadline deadline = deadline_in(PROCESSES_WAIT_MS);
    while (!all_full_are(nodes, false)) {
        processes_check_alive(nodes);
        assert_true(deadline_wait(&deadline));
    }
}

/* The leader may just be handing over. */
static void put_in_the_end(struct processes *nodes, const char *value)
{
    struct deadline deadline = deadline_in(PROCESSES_WAIT_MS);
    while (check_ask(nodes, 1, "PUT", "/v1/kv/n/key", value, NULL) != 200) {
        assert_true(deadline_wait(&deadline));
    }
}

static void expect_refusals(struct processes *nodes)
{
    for (unsigned i = 0; i < nodes->count; i++) {
        char *body;
        check_answer(nodes, i, "PUT", "/v1/kv/n/refused", "value", 507);
        assert_int_equal(check_ask(nodes, i, "POST", "/db/execute", "[\"CREATE TABLE refused (x)\"]", &body),
                         507);
        assert_non_null(strstr(body, "full"));
        free(body);
        check_value(nodes, i, "n/key", "linearizable", "value");
        assert_int_equal(check_ask(nodes, i, "GET", "/readyz", NULL, &body), 200);
        assert_non_null(strstr(body, "[-]disk full: writes are refused"));
        free(body);
    }
}

static void kill_all(struct processes *nodes)
{
    for (unsigned i = 0; i < nodes->count; i++) {
        processes_kill(nodes, i);
    }
}

static void check_refusals(struct scene *scene, enum small_disk_kind kind)
{
    struct small_disk disk;
    struct processes *nodes = start_on_small_disk(scene, &disk, kind);

    check_answer(nodes, 0, "PUT", "/v1/kv/n/key", "value", 200);
    check_settled(nodes);
    fill_until_all_are_full(nodes, &disk);
    expect_refusals(nodes);
    kill_all(nodes);
    processes_start(nodes);
    expect_refusals(nodes);
    processes_stop(nodes, 0);
    processes_start(nodes);
    expect_refusals(nodes);

    small_disk_empty(&disk);
    wait_room(nodes);
    put_in_the_end(nodes, "new");
    check_settled(nodes);
    scene_finish(scene);
    small_disk_unmount(&disk);
}

/* As a supervisor does: a node for which not even the few blocks of SQLite's WAL index are left ends with
 * that error, and is started again. */
static void start_again_and_again(struct processes *nodes, struct small_disk *disk)
{
    struct deadline deadline = deadline_in(PROCESSES_WAIT_MS);
    unsigned answering = 0, rounds = 0;

    while (answering < nodes->count) {
        struct status status;
        answering = 0;
        for (unsigned i = 0; i < nodes->count; i++) {
            struct node *node = &nodes->node[i];
            if (!process_runs(&node->process)) {
                process_start(&node->process);
            }
            node->up = processes_status(nodes, i, &status);
            answering += node->up;
        }
        if (rounds++ == 1) {
            small_disk_empty(disk);
        }
        assert_true(deadline_wait(&deadline));
    }
    if (rounds < 2) {
        small_disk_empty(disk);
    }
}

/* The disk fills while everything is written: log, WAL and database meet its end where they happen to be, and
 * a node cannot apply what it has until there is room. */
static void check_load(struct scene *scene, enum small_disk_kind kind)
{
    struct small_disk disk;
    struct processes *nodes = start_on_small_disk(scene, &disk, kind);
    struct load *load = scene_load(scene);

    for (unsigned round = 0; round < 3; round++) {
        load_wait_acknowledged(load, SOME);
        fill_until_all_are_full(nodes, &disk);
        if (round == 1) {
            kill_all(nodes);
            start_again_and_again(nodes, &disk);
        } else {
            small_disk_empty(&disk);
        }
        wait_room(nodes);
    }
    load_wait_acknowledged(load, SOME);
    scene_check(scene);
    scene_finish(scene);
    small_disk_unmount(&disk);
}

static void a_full_tmpfs_refuses_writes_and_nothing_else(void **state)
{
    check_refusals(*state, SMALL_DISK_TMPFS);
}

static void a_full_ext4_refuses_writes_and_nothing_else(void **state)
{
    check_refusals(*state, SMALL_DISK_EXT4);
}

static void a_tmpfs_that_fills_under_load_loses_nothing_acknowledged(void **state)
{
    check_load(*state, SMALL_DISK_TMPFS);
}

static void an_ext4_that_fills_under_load_loses_nothing_acknowledged(void **state)
{
    check_load(*state, SMALL_DISK_EXT4);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SCENE(a_full_tmpfs_refuses_writes_and_nothing_else),
        SCENE(a_full_ext4_refuses_writes_and_nothing_else),
        SCENE(a_tmpfs_that_fills_under_load_loses_nothing_acknowledged),
        SCENE(an_ext4_that_fills_under_load_loses_nothing_acknowledged),
    };
    scene_choose(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
