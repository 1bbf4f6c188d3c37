/* Writes by the thread when the disk fails: what goes out as one write fails as one, and is not tried again.
 */
#include <errno.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/unit/node/world.h"

enum { WRITES = 200 };

/* These stand before libc's: they count, and fail when told to. On the writer's thread. */
static unsigned alone, together;
static bool failing;

ssize_t pwrite(int fd, const void *p, size_t n, off_t offset)
{
    alone++;
    return syscall(SYS_pwrite64, fd, p, n, offset);
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t offset)
{
    together += (unsigned)n;
    if (failing) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pwritev, fd, iov, n, offset, 0);
}

struct job {
    struct env_write write;
    unsigned *done, *failed;
};

static void on_done(struct env_write *write, const struct error *failed)
{
    struct job *j = CONTAINER_OF(write, struct job, write);

    *j->done += 1;
    if (failed != NULL) {
        char place[64];
        *j->failed += 1;
        snprintf(place, sizeof place, "write of %d bytes at offset %d of ", ENV_BLOCK, (int)write->offset);
        assert_int_equal(failed->code, Q_IO);
        assert_non_null(strstr(failed->text, place));
        assert_non_null(strstr(failed->text, ": Input/output error"));
    }
}

/* Submits neighbours until some of them went out together; returns how many failed. */
static unsigned write_neighbours(struct world *w)
{
    static struct job jobs[WRITES];
    static uint8_t block[ENV_BLOCK];
    struct env_file *file;
    unsigned done = 0, failed = 0;

    assert_int_equal(env_open(w->env, world_path(w, "f"), ENV_CREATE | ENV_WRITE | ENV_DURABLE, &file, NULL),
                     0);
    alone = together = 0;
    while (together == 0) {
        done = 0;
        for (unsigned i = 0; i < WRITES; i++) {
            jobs[i] = (struct job){.done = &done,
                                   .failed = &failed,
                                   .write = {.file = file,
                                             .data = block,
                                             .len = sizeof block,
                                             .offset = (uint64_t)i * sizeof block,
                                             .done = on_done}};
            env_submit_write(w->env, &jobs[i].write);
        }
        run_until(w, &done, WRITES);
    }
    env_close(w->env, file);
    return failed;
}

static int set_up(void **state)
{
    static struct world w;
    world_open(&w, &(struct env_uv_config){.no_io_uring = true});
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    failing = false;
    world_close(*state);
    return 0;
}

static void neighbours_that_fail_together_are_not_written_again(void **state)
{
    unsigned failed;
    failing = true;

    failed = write_neighbours(*state);

    assert_true(together > 0);
    assert_int_equal(failed, together);
    assert_int_equal(alone % WRITES, (WRITES - together % WRITES) % WRITES);
}

static void neighbours_that_go_well_go_once(void **state)
{
    assert_int_equal(write_neighbours(*state), 0);
    assert_true(together > 0);
    assert_int_equal((alone + together) % WRITES, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(neighbours_that_go_well_go_once),
        TEST(neighbours_that_fail_together_are_not_written_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
