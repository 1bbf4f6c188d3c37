#include "tests/unit/node/world.h"

#include <sys/resource.h>

#include "base/object.h"
#include "node/env/env_disk.h"

enum { WRITES_MAX = 300 };

struct job {
    struct env_write write;
    struct fixture *f;
    unsigned done;
    int code;
    char text[ERROR_TEXT_MAX];
};

/* One world, a file in it, and writes with a pattern that tells them apart. */
struct fixture {
    struct world w;
    struct env_file *file;
    struct job jobs[WRITES_MAX];
    uint8_t *data; /* WRITES_MAX blocks, aligned */
    unsigned done, failed;
    unsigned again; /* writes that DONE starts */
};

static int open_fixture(void **state, bool no_io_uring)
{
    static struct fixture f;

    memset(&f, 0, sizeof f);
    world_open(&f.w, &(struct env_uv_config){.no_io_uring = no_io_uring});
    assert_int_equal(posix_memalign((void **)&f.data, ENV_BLOCK, WRITES_MAX * ENV_BLOCK), 0);
    for (unsigned i = 0; i < WRITES_MAX; i++) {
        memset(f.data + i * ENV_BLOCK, (int)(i % 251 + 1), ENV_BLOCK);
    }
    *state = &f;
    return 0;
}

static int open_with_io_uring(void **state)
{
    return open_fixture(state, false);
}

static int open_with_thread(void **state)
{
    return open_fixture(state, true);
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;

    if (f->file != NULL) {
        env_close(f->w.env, f->file);
    }
    world_close(&f->w);
    free(f->data);
    return 0;
}

static void make_file(struct fixture *f, unsigned flags)
{
    assert_int_equal(env_open(f->w.env, world_path(&f->w, "f"), ENV_CREATE | ENV_WRITE | ENV_DURABLE | flags,
                              &f->file, NULL),
                     0);
}

static void submit(struct fixture *f, unsigned i, size_t len, uint64_t offset);

static void on_done(struct env_write *write, const struct error *failed)
{
    struct job *j = CONTAINER_OF(write, struct job, write);
    struct fixture *f = j->f;

    assert_int_equal(f->w.closed, 0);
    j->done++;
    f->done++;
    if (failed != NULL) {
        f->failed++;
        j->code = (int)failed->code;
        snprintf(j->text, sizeof j->text, "%s", failed->text);
    }
    if (f->again > 0) {
        f->again--;
        submit(f, f->done, ENV_BLOCK, (uint64_t)f->done * ENV_BLOCK);
    }
}

static void submit(struct fixture *f, unsigned i, size_t len, uint64_t offset)
{
    struct job *j = &f->jobs[i];

    *j = (struct job){
        .f = f,
        .write = {
            .file = f->file, .data = f->data + i * ENV_BLOCK, .len = len, .offset = offset, .done = on_done}};
    env_submit_write(f->w.env, &j->write);
}

static void assert_block(struct fixture *f, unsigned at, unsigned i)
{
    uint8_t got[ENV_BLOCK];
    size_t n = 0;

    assert_int_equal(env_read(f->w.env, f->file, (uint64_t)at * ENV_BLOCK, got, sizeof got, &n, NULL), 0);
    assert_int_equal(n, ENV_BLOCK);
    assert_memory_equal(got, f->data + i * ENV_BLOCK, ENV_BLOCK);
}

static void the_back_end_is_told(void **state)
{
    struct fixture *f = *state;
    const char *told = env_uv_writes(f->w.u);

    assert_true(strcmp(told, "io_uring") == 0 || strncmp(told, "thread (io_uring: ", 18) == 0);
}

static void the_option_forces_the_thread(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(env_uv_writes(f->w.u), "thread (io_uring: switched off)");
}

static void count(void *owner)
{
    ++*(unsigned *)owner;
}

static void where_io_uring_cannot_be_had_the_thread_takes_over_and_says_why(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct env_uv *u;
    struct rlimit was, none;
    unsigned closed = 0;
    uv_loop_init(&loop);
    int next = dup(0);
    close(next);
    getrlimit(RLIMIT_NOFILE, &was);
    none = was;
    none.rlim_cur = (rlim_t)next;

    setrlimit(RLIMIT_NOFILE, &none);
    int rc = env_uv_new(&(struct env_uv_config){.loop = &loop, .readers = 1}, &u, NULL);
    setrlimit(RLIMIT_NOFILE, &was);

    assert_int_equal(rc, 0);
    assert_string_equal(env_uv_writes(u), "thread (io_uring: Too many open files)");
    env_uv_close(u, count, &closed);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(closed, 1);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void all_of_many_writes_in_flight_land_in_their_places(void **state)
{
    struct fixture *f = *state;
    make_file(f, ENV_DIRECT);

    for (unsigned i = 0; i < WRITES_MAX; i++) {
        submit(f, i, ENV_BLOCK, (uint64_t)(i ^ 1) * ENV_BLOCK);
    }
    assert_int_equal(f->done, 0);
    run_until(&f->w, &f->done, WRITES_MAX);

    assert_int_equal(f->failed, 0);
    for (unsigned i = 0; i < WRITES_MAX; i++) {
        assert_int_equal(f->jobs[i].done, 1);
        assert_block(f, i ^ 1, i);
    }
}

static void neighbours_land_in_their_places(void **state)
{
    struct fixture *f = *state;
    make_file(f, ENV_DIRECT);

    for (unsigned i = 0; i < WRITES_MAX; i++) {
        submit(f, i, ENV_BLOCK, (uint64_t)i * ENV_BLOCK);
    }
    run_until(&f->w, &f->done, WRITES_MAX);

    assert_int_equal(f->failed, 0);
    for (unsigned i = 0; i < WRITES_MAX; i++) {
        assert_block(f, i, i);
    }
}

static void lengths_and_offsets_need_no_alignment(void **state)
{
    struct fixture *f = *state;
    make_file(f, ENV_DIRECT);

    submit(f, 0, 1, 0);
    submit(f, 1, 4095, 1);
    submit(f, 2, ENV_BLOCK, 3 * ENV_BLOCK + 7);
    submit(f, 3, 0, 5);
    run_until(&f->w, &f->done, 4);

    uint8_t got[ENV_BLOCK];
    size_t n = 0;
    assert_int_equal(f->failed, 0);
    assert_int_equal(env_read(f->w.env, f->file, 0, got, ENV_BLOCK, &n, NULL), 0);
    assert_int_equal(got[0], f->data[0]);
    assert_memory_equal(got + 1, f->data + ENV_BLOCK, 4095);
    assert_int_equal(env_read(f->w.env, f->file, 3 * ENV_BLOCK + 7, got, ENV_BLOCK, &n, NULL), 0);
    assert_memory_equal(got, f->data + 2 * ENV_BLOCK, ENV_BLOCK);
}

static void done_may_start_the_next_write(void **state)
{
    struct fixture *f = *state;
    make_file(f, 0);
    f->again = 20;

    submit(f, 0, ENV_BLOCK, 0);
    run_until(&f->w, &f->done, 21);

    assert_int_equal(f->failed, 0);
    assert_block(f, 20, 20);
}

static void a_file_opened_for_reading_refuses_with_name_offset_and_cause(void **state)
{
    struct fixture *f = *state;
    make_file(f, 0);
    env_close(f->w.env, f->file);
    assert_int_equal(env_open(f->w.env, world_path(&f->w, "f"), ENV_DURABLE, &f->file, NULL), 0);

    submit(f, 0, ENV_BLOCK, 8192);
    assert_int_equal(f->done, 0);
    run_until(&f->w, &f->done, 1);

    assert_int_equal(f->jobs[0].code, Q_IO);
    assert_non_null(strstr(f->jobs[0].text, "write of 4096 bytes at offset 8192 of "));
    assert_non_null(strstr(f->jobs[0].text, "/f: Bad file descriptor"));
}

static void a_full_disk_is_no_space(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(env_open(f->w.env, "/dev/full", ENV_WRITE | ENV_DURABLE, &f->file, NULL), 0);

    submit(f, 0, ENV_BLOCK, 0);
    run_until(&f->w, &f->done, 1);

    assert_int_equal(f->jobs[0].code, Q_NO_SPACE);
}

static void limit_file_size(uint64_t bytes, struct rlimit *ret_was)
{
    struct rlimit limit;

    getrlimit(RLIMIT_FSIZE, ret_was);
    limit = *ret_was;
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_short_write_is_continued_to_where_it_fails(void **state)
{
    struct fixture *f = *state;
    struct rlimit was;
    uint64_t size = 0;
    make_file(f, 0);

    limit_file_size(6000, &was);
    submit(f, 0, 2 * ENV_BLOCK, 0);
    run_until(&f->w, &f->done, 1);
    setrlimit(RLIMIT_FSIZE, &was);

    assert_int_equal(f->jobs[0].code, Q_IO);
    assert_non_null(strstr(f->jobs[0].text, "write of 2192 bytes at offset 6000 of "));
    assert_int_equal(env_size(f->w.env, f->file, &size, NULL), 0);
    assert_int_equal(size, 6000);
}

static void a_failure_among_neighbours_is_only_of_those_who_failed(void **state)
{
    enum { BEFORE = 10, ALL = 16 };
    struct fixture *f = *state;
    struct rlimit was;
    make_file(f, 0);

    limit_file_size(BEFORE * ENV_BLOCK, &was);
    for (unsigned i = 0; i < ALL; i++) {
        submit(f, i, ENV_BLOCK, (uint64_t)i * ENV_BLOCK);
    }
    run_until(&f->w, &f->done, ALL);
    setrlimit(RLIMIT_FSIZE, &was);

    for (unsigned i = 0; i < ALL; i++) {
        assert_int_equal(f->jobs[i].code, i < BEFORE ? 0 : Q_IO);
        assert_int_equal(f->jobs[i].done, 1);
    }
    for (unsigned i = 0; i < BEFORE; i++) {
        assert_block(f, i, i);
    }
}

static void the_end_waits_for_writes_and_for_what_their_done_starts(void **state)
{
    struct fixture *f = *state;
    make_file(f, 0);
    f->again = 5;

    submit(f, 0, ENV_BLOCK, 0);
    world_end(&f->w);
    run_until(&f->w, &f->w.closed, 1);

    assert_int_equal(f->done, 6);
    assert_int_equal(f->failed, 0);
    env_disk_close(f->file);
    f->file = NULL;
}

/* Each test with each back end. Where the kernel refuses io_uring the first runs by thread too. */
#define BOTH(test)                                                                                           \
    {#test " (io_uring)", test, open_with_io_uring, close_fixture, NULL},                                    \
    {                                                                                                        \
#test " (thread)", test, open_with_thread, close_fixture, NULL                                       \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(the_back_end_is_told),
        cmocka_unit_test_setup_teardown(the_option_forces_the_thread, open_with_thread, close_fixture),
        cmocka_unit_test(where_io_uring_cannot_be_had_the_thread_takes_over_and_says_why),
        BOTH(all_of_many_writes_in_flight_land_in_their_places),
        BOTH(neighbours_land_in_their_places),
        BOTH(lengths_and_offsets_need_no_alignment),
        BOTH(done_may_start_the_next_write),
        BOTH(a_file_opened_for_reading_refuses_with_name_offset_and_cause),
        BOTH(a_full_disk_is_no_space),
        BOTH(a_short_write_is_continued_to_where_it_fails),
        BOTH(a_failure_among_neighbours_is_only_of_those_who_failed),
        BOTH(the_end_waits_for_writes_and_for_what_their_done_starts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
