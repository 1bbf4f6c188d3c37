#include "tests/sim/pool.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { IDLE_MS = 500 };

/* A child and what it has told so far. */
struct child {
    pid_t pid; /* 0: none */
    int from;
    uint64_t seed;
    size_t got;
    struct life_result result;
};

static void tell_all(int to, const void *p, size_t n)
{
    const char *bytes = p;
    while (n > 0) {
        ssize_t written = write(to, bytes, n);
        if (written < 0 && errno != EINTR) {
            _exit(1);
        }
        bytes += written > 0 ? written : 0;
        n -= written > 0 ? (size_t)written : 0;
    }
}

static void live_in_child(uint64_t seed, const struct life_limits *limits, bool twice, int to)
{
    struct life_result *first = calloc(2, sizeof *first), *again = first + 1;
    if (first == NULL) {
        abort();
    }
    life_run(seed, limits, false, first);
    if (twice && first->failure[0] == 0) {
        life_run(seed, limits, false, again);
        if (again->hash != first->hash) {
            snprintf(first->failure, sizeof first->failure, "two runs differ");
        }
    }
    tell_all(to, first, sizeof *first);
    free(first);
    exit(0);
}

static void start(struct child *child, uint64_t seed, const struct life_limits *limits, bool twice)
{
    int ends[2];
    fflush(stdout);
    if (pipe(ends) != 0) {
        perror("pipe");
        exit(2);
    }
    *child = (struct child){.pid = fork(), .from = ends[0], .seed = seed};
    if (child->pid < 0) {
        perror("fork");
        exit(2);
    }
    if (child->pid == 0) {
        close(ends[0]);
        live_in_child(seed, limits, twice, ends[1]);
    }
    close(ends[1]);
}

/* Its end of the pipe is closed: what has become of it? */
static void finish(struct child *child)
{
    int status = 0;
    close(child->from);
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR) {
    }
    child->pid = 0;
    if (child->got != sizeof child->result) {
        child->result = (struct life_result){.seed = child->seed};
    }
    if (WIFSIGNALED(status)) {
        snprintf(child->result.failure, sizeof child->result.failure, "the process died of signal %d",
                 WTERMSIG(status));
    } else if (WEXITSTATUS(status) != 0 || child->got != sizeof child->result) {
        snprintf(child->result.failure, sizeof child->result.failure, "the process ended with status %d",
                 WEXITSTATUS(status));
    }
}

/* False when the child has ended. */
static bool listen_to(struct child *child)
{
    ssize_t n = read(child->from, (char *)&child->result + child->got, sizeof child->result - child->got);
    if (n > 0) {
        child->got += (size_t)n;
    }
    return n > 0 ? child->got < sizeof child->result : n < 0 && errno == EINTR;
}

void pool_run(const struct pool_config *config)
{
    struct child *children = calloc(config->jobs, sizeof *children);
    struct pollfd polled[POOL_JOBS_MAX];
    bool more = true;
    unsigned running = 0;

    if (children == NULL) {
        abort();
    }
    do {
        for (unsigned i = 0; i < config->jobs && more; i++) {
            uint64_t seed;
            if (children[i].pid == 0 && (more = config->next(config->ctx, &seed))) {
                start(&children[i], seed, config->limits, config->twice);
                running++;
            }
        }
        for (unsigned i = 0; i < config->jobs; i++) {
            polled[i] = (struct pollfd){.fd = children[i].pid ? children[i].from : -1, .events = POLLIN};
        }
        poll(polled, config->jobs, IDLE_MS);
        for (unsigned i = 0; i < config->jobs; i++) {
            if (children[i].pid != 0 && polled[i].revents != 0 && !listen_to(&children[i])) {
                finish(&children[i]);
                running--;
                config->ended(config->ctx, &children[i].result);
            }
        }
        config->idle(config->ctx);
    } while (running > 0 || more);
    free(children);
}

void pool_try(uint64_t seed, const struct life_limits *limits, struct life_result *ret_result)
{
    struct child *child = calloc(1, sizeof *child);
    if (child == NULL) {
        abort();
    }
    start(child, seed, limits, false);
    while (listen_to(child)) {
    }
    finish(child);
    *ret_result = child->result;
    free(child);
}
