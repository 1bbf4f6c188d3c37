#include "node/cli/process.h"

#include <limits.h>
#include <signal.h>
#include <unistd.h>

#include "node/cli/clock.h"
#include "tests/unit/test.h"

enum { DEADLINE_MS = 4000 };

/* A directory with a file that only the daemon of this test has as an argument. */
struct world {
    char dir[PATH_MAX], mark[PATH_MAX + 16], log[PATH_MAX + 16], exe[PATH_MAX];
    pid_t pid;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    FILE *file;

    snprintf(w->dir, sizeof w->dir, "/tmp/quorate-test.XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->mark, sizeof w->mark, "%s/node1", w->dir);
    snprintf(w->log, sizeof w->log, "%s/log", w->dir);
    file = fopen(w->mark, "w");
    assert_non_null(file);
    fclose(file);
    assert_non_null(realpath("/usr/bin/tail", w->exe));
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    struct error e;
    int fd;

    if (w->pid != 0 && process_open(w->pid, w->exe, w->mark, &fd, &e) == 0) {
        process_signal(fd, SIGKILL, &e);
        process_wait_end(fd, DEADLINE_MS);
        close(fd);
    }
    unlink(w->mark);
    unlink(w->log);
    rmdir(w->dir);
    free(w);
    return 0;
}

static void start(struct world *w)
{
    char *argv[] = {w->exe, "-f", w->mark, NULL};
    struct error e;
    assert_int_equal(process_spawn(argv, w->log, &w->pid, &e), 0);
}

static void what_was_started_is_found_and_ends_when_told(void **state)
{
    struct world *w = *state;
    struct error e;
    int fd;
    start(w);

    assert_int_equal(process_open(w->pid, w->exe, w->mark, &fd, &e), 0);
    assert_false(process_wait_end(fd, 0));
    assert_int_equal(process_signal(fd, SIGTERM, &e), 0);
    assert_true(process_wait_end(fd, DEADLINE_MS));
    assert_int_equal(process_signal(fd, SIGTERM, &e), 0); /* no harm */
    close(fd);

    assert_int_equal(process_open(w->pid, w->exe, w->mark, &fd, &e), Q_NOT_FOUND);
}

static void a_process_without_the_mark_is_not_ours(void **state)
{
    struct world *w = *state;
    struct error e;
    char beginning[PATH_MAX];
    int fd;
    start(w);
    snprintf(beginning, sizeof beginning, "%.*s", (int)strlen(w->mark) - 1, w->mark);

    assert_int_equal(process_open(w->pid, w->exe, "/another/node1", &fd, &e), Q_NOT_FOUND);
    assert_int_equal(process_open(w->pid, w->exe, beginning, &fd, &e), Q_NOT_FOUND);
}

static void a_process_of_another_program_is_not_ours(void **state)
{
    struct world *w = *state;
    struct error e;
    int fd;
    start(w);

    assert_int_equal(process_open(w->pid, "/usr/bin/quorated", w->mark, &fd, &e), Q_NOT_FOUND);
    assert_int_equal(process_open(getpid(), w->exe, w->mark, &fd, &e), Q_NOT_FOUND);
}

static void pids_that_nobody_has_are_not_found(void **state)
{
    struct world *w = *state;
    struct error e;
    int fd;

    assert_int_equal(process_open(0, w->exe, w->mark, &fd, &e), Q_NOT_FOUND);
    assert_int_equal(process_open(-1, w->exe, w->mark, &fd, &e), Q_NOT_FOUND);
    assert_int_equal(process_open(1, w->exe, w->mark, &fd, &e), Q_NOT_FOUND);
    assert_int_equal(process_open(INT32_MAX - 1, w->exe, w->mark, &fd, &e), Q_NOT_FOUND);
}

static void a_program_that_is_not_there_is_told_at_once(void **state)
{
    struct world *w = *state;
    char *argv[] = {"/nowhere/quorated", NULL};
    struct error e;
    pid_t pid = 7;

    assert_int_equal(process_spawn(argv, w->log, &pid, &e), Q_NOT_FOUND);

    assert_non_null(strstr(e.text, "/nowhere/quorated"));
    assert_int_equal(pid, 7);
}

static void a_log_that_cannot_be_written_is_told_at_once(void **state)
{
    struct world *w = *state;
    char *argv[] = {w->exe, "-f", w->mark, NULL};
    struct error e;
    pid_t pid;

    assert_int_equal(process_spawn(argv, "/nowhere/log", &pid, &e), Q_NOT_FOUND);
}

static void a_daemon_is_in_a_session_of_its_own(void **state)
{
    struct world *w = *state;
    start(w);

    assert_true(getsid(w->pid) > 0);
    assert_int_not_equal(getsid(w->pid), getsid(0));
}

static void a_paused_process_is_known_as_such(void **state)
{
    struct world *w = *state;
    uint64_t deadline = clock_ms() + DEADLINE_MS;
    struct error e;
    int fd;
    start(w);
    assert_int_equal(process_open(w->pid, w->exe, w->mark, &fd, &e), 0);
    assert_false(process_is_stopped(w->pid));

    assert_int_equal(process_signal(fd, SIGSTOP, &e), 0);
    while (!process_is_stopped(w->pid) && clock_ms() < deadline) {
    }
    assert_true(process_is_stopped(w->pid));
    assert_int_equal(process_signal(fd, SIGCONT, &e), 0);
    while (process_is_stopped(w->pid) && clock_ms() < deadline) {
    }
    assert_false(process_is_stopped(w->pid));
    close(fd);
}

static void work_is_counted_as_cpu_time(void **state)
{
    uint64_t deadline = clock_ms() + DEADLINE_MS, before = process_cpu_us(getpid());
    (void)state;

    while (process_cpu_us(getpid()) == before && clock_ms() < deadline) {
    }

    assert_true(process_cpu_us(getpid()) > before);
    assert_int_equal(process_cpu_us(INT32_MAX - 1), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_started_is_found_and_ends_when_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_process_without_the_mark_is_not_ours, setup, teardown),
        cmocka_unit_test_setup_teardown(a_process_of_another_program_is_not_ours, setup, teardown),
        cmocka_unit_test_setup_teardown(pids_that_nobody_has_are_not_found, setup, teardown),
        cmocka_unit_test_setup_teardown(a_program_that_is_not_there_is_told_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_log_that_cannot_be_written_is_told_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_daemon_is_in_a_session_of_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(a_paused_process_is_known_as_such, setup, teardown),
        cmocka_unit_test(work_is_counted_as_cpu_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
