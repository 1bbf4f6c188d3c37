/* Entries for which the disk has no room wait and are applied when there is some: each once, in order. */
#include "raft_glue/applier.h"

#include <sqlite3.h>
#include <unistd.h>

#include "tests/lib/sim.h"
#include "tests/unit/raft_glue/fake_consensus.h"
#include "tests/unit/storage/faulty_vfs.h"
#include "tests/unit/test.h"

enum { TERM = 2, RUN_ENTRIES = 64 };

struct scene {
    struct sim *sim;
    struct sim_node *node;
    struct consensus consensus;
    struct store *store;
    struct applier *applier;
    char dir[64], path[80];
    uint64_t applied; /* the last index that was told */
    unsigned done;    /* puts that were done, of the results */
    unsigned fatals;
    struct error fatal;
    uint64_t full_at; /* the disk is full after this entry was told; 0: never */
};

static void on_applied(void *ctx, uint64_t index, uint64_t term, struct cursor results)
{
    struct scene *s = ctx;

    assert_int_equal(index, s->applied + 1);
    assert_int_equal(term, TERM);
    s->applied = index;
    while (cursor_left(&results) > 0) {
        struct cursor result = cursor_blob(&results);
        enum result_kind kind;
        struct error failed, e;
        assert_int_equal(result_decode(&result, &kind, &failed, &e), 0);
        s->done += kind == RESULT_KV_PUT && cursor_u8(&result) == 1;
    }
    assert_false(results.bad);
    if (index == s->full_at) {
        faulty_vfs_fail_writes(SQLITE_FULL);
    }
}

static void on_advanced(void *ctx)
{
    struct scene *s = ctx;
    assert_int_equal(applier_position(s->applier)->index, s->applied);
}

static void on_diverged(void *ctx, uint64_t index)
{
    (void)ctx;
    fail_msg("diverged at %d", (int)index);
}

static void on_fatal(void *ctx, const struct error *why)
{
    struct scene *s = ctx;
    s->fatals++;
    s->fatal = *why;
}

static int set_up(void **state)
{
    struct scene *s = calloc(1, sizeof *s);
    struct store_config store = {
        .path = s->path, .vfs = FAULTY_VFS, .readers = 1, .result_max = STORE_RESULT_MIN};
    struct applier_config config = {.consensus = &s->consensus,
                                    .applied = on_applied,
                                    .advanced = on_advanced,
                                    .differs = on_diverged,
                                    .fatal = on_fatal,
                                    .ctx = s};
    struct error e;

    faulty_vfs_register();
    snprintf(s->dir, sizeof s->dir, "/tmp/quorate-applier-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    snprintf(s->path, sizeof s->path, "%s/db", s->dir);
    s->sim = sim_new(1);
    s->node = sim_node_new(s->sim, "n");
    fake_init(&s->consensus);
    assert_int_equal(store_open(&store, &s->store, &e), 0);
    config.env = sim_node_boot(s->node);
    config.store = s->store;
    assert_int_equal(applier_new(&config, &s->applier, &e), 0);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;
    faulty_vfs_fail_writes(SQLITE_OK);
    sim_node_kill(s->node);
    applier_free(s->applier);
    store_close(s->store);
    faulty_vfs_unregister();
    fake_close(&s->consensus);
    sim_free(s->sim);
    unlink(s->path);
    rmdir(s->dir);
    free(s);
    return 0;
}

/* Appends N entries of a put each, all of them for keys that are not there: one that is done twice shows. */
static void append(struct scene *s, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct batch batch = {
            .term = TERM, .index = s->consensus.last + 1, .time_ms = 1700000000000, .commands = 1};
        struct buf b, command;
        char key[32];

        snprintf(key, sizeof key, "%d", (int)batch.index);
        buf_init(&b, 65536);
        buf_init(&command, 65536);
        batch_put_header(&b, &batch);
        command_put_kv_put(&command, cursor_of("ns", 2), cursor_of(key, strlen(key)), cursor_of("v", 1),
                           KV_IF_ABSENT, 0);
        buf_put_blob(&b, command.data, command.len);
        fake_append(&s->consensus, TERM, LOG_COMMANDS, b.data, (uint32_t)b.len);
        buf_close(&b);
        buf_close(&command);
    }
    s->consensus.applicable = s->consensus.last;
    applier_poll(s->applier);
}

static bool busy(void *ctx)
{
    return !applier_idle(((struct scene *)ctx)->applier);
}

static void wait_idle(struct scene *s)
{
    assert_true(sim_run_while(s->sim, busy, s, sim_now_us(s->sim) + 10000000));
}

static void an_entry_without_room_waits_and_is_no_failure(void **state)
{
    struct scene *s = *state;

    append(s, 1);
    wait_idle(s);
    faulty_vfs_fail_writes(SQLITE_FULL);
    append(s, 3);
    wait_idle(s);
    applier_retry(s->applier);
    wait_idle(s);

    assert_int_equal(s->applied, 1);
    assert_int_equal(applier_position(s->applier)->index, 1);
    assert_int_equal(s->fatals, 0);
    assert_true(applier_lacks_room(s->applier));
}

static void what_waited_is_applied_once_and_in_order(void **state)
{
    struct scene *s = *state;

    /* More than two runs, the disk is full in the middle of all. */
    s->full_at = RUN_ENTRIES;
    append(s, 5 * RUN_ENTRIES);
    wait_idle(s);
    assert_true(applier_lacks_room(s->applier));
    assert_in_range(s->applied, RUN_ENTRIES, 2 * RUN_ENTRIES);
    append(s, 1);
    wait_idle(s);
    faulty_vfs_fail_writes(SQLITE_OK);
    applier_retry(s->applier);
    wait_idle(s);

    assert_int_equal(s->applied, 5 * RUN_ENTRIES + 1);
    assert_int_equal(s->done, 5 * RUN_ENTRIES + 1);
    assert_false(applier_lacks_room(s->applier));
    assert_int_equal(s->fatals, 0);
    assert_int_equal(store_verify(s->store, NULL), 0);
}

static void the_disk_may_be_full_again_and_again(void **state)
{
    struct scene *s = *state;

    for (unsigned i = 1; i <= 20; i++) {
        faulty_vfs_fail_writes(SQLITE_FULL);
        append(s, RUN_ENTRIES + i);
        wait_idle(s);
        assert_true(applier_lacks_room(s->applier));
        faulty_vfs_fail_writes(SQLITE_OK);
        applier_retry(s->applier);
        wait_idle(s);
        assert_int_equal(s->applied, s->consensus.last);
    }
    assert_int_equal(s->done, s->consensus.last);
}

static void a_retry_without_need_does_nothing(void **state)
{
    struct scene *s = *state;

    applier_retry(s->applier);
    append(s, 2);
    applier_retry(s->applier); /* under way */
    wait_idle(s);
    applier_retry(s->applier);

    assert_int_equal(s->applied, 2);
    assert_true(applier_idle(s->applier));
}

static void after_a_stop_nothing_is_tried_again(void **state)
{
    struct scene *s = *state;

    faulty_vfs_fail_writes(SQLITE_FULL);
    append(s, 2);
    wait_idle(s);
    applier_stop(s->applier);
    faulty_vfs_fail_writes(SQLITE_OK);
    applier_retry(s->applier);

    assert_true(applier_idle(s->applier));
    assert_int_equal(s->applied, 0);
}

static void a_disk_that_fails_while_an_entry_waits_is_fatal(void **state)
{
    struct scene *s = *state;

    faulty_vfs_fail_writes(SQLITE_FULL);
    append(s, 2);
    wait_idle(s);
    faulty_vfs_fail_writes(SQLITE_IOERR_WRITE);
    applier_retry(s->applier);
    wait_idle(s);

    assert_int_equal(s->fatals, 1);
    assert_int_equal(s->fatal.code, Q_IO);
    assert_int_equal(s->applied, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_entry_without_room_waits_and_is_no_failure),
        TEST(what_waited_is_applied_once_and_in_order),
        TEST(the_disk_may_be_full_again_and_again),
        TEST(a_retry_without_need_does_nothing),
        TEST(after_a_stop_nothing_is_tried_again),
        TEST(a_disk_that_fails_while_an_entry_waits_is_fatal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
