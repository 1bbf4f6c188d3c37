#include "tests/unit/raft_glue/promise.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/raft_glue/server.h"
#include "tests/unit/test.h"

enum { KEPT = 10, BROKEN = 11 };

static uint64_t hits[DRIVER_GUARDS];

void promise_close(struct server *s)
{
    const uint64_t *h = driver_guard_hits(s->driver);
    for (unsigned i = 0; i < DRIVER_GUARDS; i++) {
        hits[i] += h[i];
    }
    server_close(s);
}

static _Noreturn void play_in_child(promise_scene *scene, unsigned guards)
{
    const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    int null = open("/dev/null", O_WRONLY);

    for (unsigned i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        signal(signals[i], SIG_DFL);
    }
    dup2(null, STDERR_FILENO);
    _exit(scene(guards) ? KEPT : BROKEN);
}

void promise_needs_guard(promise_scene *scene, enum driver_guard guard, enum breakage breakage)
{
    unsigned bit = (unsigned)__builtin_ctz((unsigned)guard);
    int status;

    memset(hits, 0, sizeof hits);
    assert_true(scene(GUARD_ALL));
    assert_true(hits[bit] > 0);

    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        play_in_child(scene, (unsigned)GUARD_ALL & ~(unsigned)guard);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (breakage == BREAKS_PROMISE) {
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), BROKEN);
    } else {
        assert_false(WIFEXITED(status) && WEXITSTATUS(status) == KEPT);
    }
}
