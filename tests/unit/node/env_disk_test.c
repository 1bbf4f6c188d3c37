#include "tests/unit/node/world.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "node/env/env_disk.h"

static int open_world(void **state)
{
    static struct world w;

    world_open(&w, &(struct env_uv_config){0});
    *state = &w;
    return 0;
}

static int close_world(void **state)
{
    world_close(*state);
    return 0;
}

static struct env_file *make(struct world *w, const char *name, unsigned flags)
{
    struct env_file *f;
    struct error e;

    assert_int_equal(env_open(w->env, world_path(w, name), ENV_CREATE | ENV_WRITE | flags, &f, &e), 0);
    return f;
}

static void what_was_written_is_read_back(void **state)
{
    struct world *w = *state;
    struct env_file *f = make(w, "f", 0);
    char got[5] = {0};
    uint64_t size = 0;
    size_t n = 0;

    assert_int_equal(env_write(w->env, f, 10, "hello", 5, NULL), 0);
    assert_int_equal(env_sync(w->env, f, NULL), 0);
    assert_int_equal(env_read(w->env, f, 10, got, 5, &n, NULL), 0);
    assert_int_equal(env_size(w->env, f, &size, NULL), 0);

    assert_int_equal(n, 5);
    assert_memory_equal(got, "hello", 5);
    assert_int_equal(size, 15);
    env_close(w->env, f);
}

static void a_read_is_short_only_at_the_end(void **state)
{
    struct world *w = *state;
    struct env_file *f = make(w, "f", 0);
    char got[100];
    size_t n = 99;

    assert_int_equal(env_write(w->env, f, 0, "0123456789", 10, NULL), 0);

    assert_int_equal(env_read(w->env, f, 7, got, sizeof got, &n, NULL), 0);
    assert_int_equal(n, 3);
    assert_int_equal(env_read(w->env, f, 1000, got, sizeof got, &n, NULL), 0);
    assert_int_equal(n, 0);
    env_close(w->env, f);
}

static void only_a_durable_file_is_synced_with_each_write(void **state)
{
    struct world *w = *state;
    struct env_file *plain = make(w, "plain", 0), *durable = make(w, "durable", ENV_DIRECT | ENV_DURABLE);

    assert_int_equal(fcntl(plain->fd, F_GETFL) & O_DSYNC, 0);
    assert_int_equal(fcntl(durable->fd, F_GETFL) & O_DSYNC, O_DSYNC);
    assert_true(durable->direct_fd < 0 || (fcntl(durable->direct_fd, F_GETFL) & O_DSYNC) != 0);
    env_close(w->env, plain);
    env_close(w->env, durable);
}

static void a_direct_file_takes_blocking_reads_and_writes_of_any_alignment(void **state)
{
    struct world *w = *state;
    struct env_file *f = make(w, "f", ENV_DIRECT | ENV_DURABLE);
    char got[5] = {0};
    size_t n = 0;

    assert_int_equal(env_write(w->env, f, 3, "hello", 5, NULL), 0);
    assert_int_equal(env_read(w->env, f, 4, got, 5, &n, NULL), 0);

    assert_int_equal(n, 4);
    assert_memory_equal(got, "ello", 4);
    env_close(w->env, f);
}

static void a_file_to_be_made_must_not_exist(void **state)
{
    struct world *w = *state;
    struct env_file *f = make(w, "f", 0), *again = NULL;
    struct error e;

    assert_int_equal(env_open(w->env, world_path(w, "f"), ENV_CREATE | ENV_WRITE, &again, &e), Q_CONFLICT);

    assert_null(again);
    assert_non_null(strstr(e.text, w->dir));
    env_close(w->env, f);
}

static void a_missing_file_is_not_found_by_name(void **state)
{
    struct world *w = *state;
    struct env_file *f = NULL;
    struct error e;

    assert_int_equal(env_open(w->env, world_path(w, "none"), 0, &f, &e), Q_NOT_FOUND);

    assert_null(f);
    assert_non_null(strstr(e.text, "/none: No such file"));
}

static void a_write_to_a_file_opened_for_reading_names_file_offset_and_cause(void **state)
{
    struct world *w = *state;
    struct env_file *f;
    struct error e;
    env_close(w->env, make(w, "f", 0));
    assert_int_equal(env_open(w->env, world_path(w, "f"), 0, &f, NULL), 0);

    assert_int_equal(env_write(w->env, f, 4096, "x", 1, &e), Q_IO);

    assert_non_null(strstr(e.text, "write of 1 bytes at offset 4096 of "));
    assert_non_null(strstr(e.text, "/f: Bad file descriptor"));
    env_close(w->env, f);
}

static void a_full_disk_is_no_space(void **state)
{
    struct world *w = *state;
    struct env_file *f;
    struct error e;
    assert_int_equal(env_open(w->env, "/dev/full", ENV_WRITE, &f, &e), 0);

    assert_int_equal(env_write(w->env, f, 0, "x", 1, &e), Q_NO_SPACE);

    env_close(w->env, f);
}

static void the_free_space_is_that_of_the_file_system_of_a_path(void **state)
{
    struct world *w = *state;
    uint64_t left = 0;
    struct error e;

    assert_int_equal(env_space(w->env, world_path(w, "."), &left, &e), 0);
    assert_true(left > 0 && left < UINT64_MAX);
    assert_int_equal(env_space(w->env, "/proc", &left, &e), 0);
    assert_int_equal(left, 0);
    assert_int_equal(env_space(w->env, world_path(w, "absent"), &left, &e), Q_NOT_FOUND);
    assert_non_null(strstr(e.text, "absent"));
}

static void a_short_write_is_continued_to_where_it_fails(void **state)
{
    struct world *w = *state;
    struct env_file *f = make(w, "f", 0);
    struct rlimit was, limit;
    static char data[8192];
    struct error e;
    uint64_t size = 0;
    getrlimit(RLIMIT_FSIZE, &was);
    limit = was;
    limit.rlim_cur = 6000;

    setrlimit(RLIMIT_FSIZE, &limit);
    int rc = env_write(w->env, f, 0, data, sizeof data, &e);
    setrlimit(RLIMIT_FSIZE, &was);

    assert_int_equal(rc, Q_IO);
    assert_non_null(strstr(e.text, "write of 2192 bytes at offset 6000 of "));
    assert_non_null(strstr(e.text, "File too large"));
    assert_int_equal(env_size(w->env, f, &size, NULL), 0);
    assert_int_equal(size, 6000);
    env_close(w->env, f);
}

static void files_and_directories_are_private_and_closed_on_exec(void **state)
{
    struct world *w = *state;
    struct env_file *f = make(w, "f", ENV_DIRECT), *lock;
    struct stat st;

    assert_int_equal(env_lock(w->env, world_path(w, "lock"), &lock, NULL), 0);
    assert_int_equal(env_make_dir(w->env, world_path(w, "d"), NULL), 0);

    assert_int_equal(stat(world_path(w, "f"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat(world_path(w, "lock"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat(world_path(w, "d"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_true(fcntl(f->fd, F_GETFD) & FD_CLOEXEC);
    assert_true(f->direct_fd < 0 || fcntl(f->direct_fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(lock->fd, F_GETFD) & FD_CLOEXEC);
    env_close(w->env, f);
    env_close(w->env, lock);
}

static void a_directory_may_exist_but_a_file_in_its_place_may_not(void **state)
{
    struct world *w = *state;
    struct error e;
    env_close(w->env, make(w, "f", 0));

    assert_int_equal(env_make_dir(w->env, world_path(w, "d"), &e), 0);
    assert_int_equal(env_make_dir(w->env, world_path(w, "d"), &e), 0);
    assert_int_equal(env_make_dir(w->env, world_path(w, "f"), &e), Q_CONFLICT);
    assert_int_equal(env_make_dir(w->env, world_path(w, "none/d"), &e), Q_NOT_FOUND);
}

struct names {
    unsigned count;
    bool a, b;
};

static void see(void *ctx, const char *name)
{
    struct names *names = ctx;

    names->count++;
    names->a |= strcmp(name, "a") == 0;
    names->b |= strcmp(name, "b") == 0;
}

static void a_rename_replaces_and_an_unlink_removes(void **state)
{
    struct world *w = *state;
    struct names names = {0};
    struct error e;
    char from[128];
    struct env_file *a = make(w, "a", 0), *c = make(w, "c", 0);
    assert_int_equal(env_write(w->env, c, 0, "new", 3, NULL), 0);
    env_close(w->env, a);
    env_close(w->env, c);
    env_close(w->env, make(w, "b", 0));
    env_close(w->env, make(w, "gone", 0));

    snprintf(from, sizeof from, "%s", world_path(w, "c"));
    assert_int_equal(env_rename(w->env, from, world_path(w, "a"), &e), 0);
    assert_int_equal(env_unlink(w->env, world_path(w, "gone"), &e), 0);
    assert_int_equal(env_sync_dir(w->env, w->dir, &e), 0);
    assert_int_equal(env_list_dir(w->env, w->dir, see, &names, &e), 0);

    assert_int_equal(names.count, 2);
    assert_true(names.a && names.b);
    uint64_t size = 0;
    assert_int_equal(env_open(w->env, world_path(w, "a"), 0, &a, &e), 0);
    assert_int_equal(env_size(w->env, a, &size, &e), 0);
    assert_int_equal(size, 3);
    env_close(w->env, a);
}

static void what_is_missing_is_not_found(void **state)
{
    struct world *w = *state;
    struct names names = {0};
    struct error e;
    char none[128];
    snprintf(none, sizeof none, "%s", world_path(w, "none"));

    assert_int_equal(env_rename(w->env, none, world_path(w, "a"), &e), Q_NOT_FOUND);
    assert_int_equal(env_unlink(w->env, none, &e), Q_NOT_FOUND);
    assert_int_equal(env_sync_dir(w->env, none, &e), Q_NOT_FOUND);
    assert_int_equal(env_list_dir(w->env, none, see, &names, &e), Q_NOT_FOUND);
    assert_non_null(strstr(e.text, none));
}

static void a_lock_is_for_one_descriptor_only(void **state)
{
    struct world *w = *state;
    struct env_file *first, *second = NULL;
    struct error e;

    assert_int_equal(env_lock(w->env, world_path(w, "lock"), &first, &e), 0);
    assert_int_equal(env_lock(w->env, world_path(w, "lock"), &second, &e), Q_CONFLICT);
    assert_null(second);
    assert_non_null(strstr(e.text, "lock is locked by another process"));

    env_close(w->env, first);
    assert_int_equal(env_lock(w->env, world_path(w, "lock"), &second, &e), 0);
    env_close(w->env, second);
}

static void a_lock_dies_with_its_process(void **state)
{
    (void)state;
    char path[] = "/tmp/quorate-lock-XXXXXX";
    int ready[2], finish[2], status;
    struct env_file *f = NULL;
    char byte;
    close(mkstemp(path));
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    assert_int_equal(pipe2(finish, O_CLOEXEC), 0);

    pid_t child = fork();
    if (child == 0) {
        byte = env_disk_lock(NULL, path, &f, NULL) == 0 ? 'y' : 'n';
        close(finish[1]);
        if (write(ready[1], &byte, 1) == 1 && read(finish[0], &byte, 1) == 0) {
            _exit(0);
        }
        _exit(1);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    assert_int_equal(env_disk_lock(NULL, path, &f, NULL), Q_CONFLICT);
    close(finish[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);

    assert_int_equal(env_disk_lock(NULL, path, &f, NULL), 0);
    env_disk_close(f);
    close(ready[0]);
    close(ready[1]);
    close(finish[0]);
    unlink(path);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lock_dies_with_its_process),
        IN_WORLD(what_was_written_is_read_back),
        IN_WORLD(only_a_durable_file_is_synced_with_each_write),
        IN_WORLD(a_read_is_short_only_at_the_end),
        IN_WORLD(a_direct_file_takes_blocking_reads_and_writes_of_any_alignment),
        IN_WORLD(a_file_to_be_made_must_not_exist),
        IN_WORLD(a_missing_file_is_not_found_by_name),
        IN_WORLD(a_write_to_a_file_opened_for_reading_names_file_offset_and_cause),
        IN_WORLD(a_full_disk_is_no_space),
        IN_WORLD(the_free_space_is_that_of_the_file_system_of_a_path),
        IN_WORLD(a_short_write_is_continued_to_where_it_fails),
        IN_WORLD(files_and_directories_are_private_and_closed_on_exec),
        IN_WORLD(a_directory_may_exist_but_a_file_in_its_place_may_not),
        IN_WORLD(a_rename_replaces_and_an_unlink_removes),
        IN_WORLD(what_is_missing_is_not_found),
        IN_WORLD(a_lock_is_for_one_descriptor_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
