#include "node/cli/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STAT_MAX = 1024, CMDLINE_MAX = 64 * 1024 };

/* ---- starting ---- */

struct report {
    pid_t pid;
    int failed; /* errno, or 0 */
};

static void tell(int fd, int failed)
{
    struct report report = {.pid = getpid(), .failed = failed};
    ssize_t n = write(fd, &report, sizeof report);
    (void)n; /* nobody to tell, then */
}

/* In the daemon-to-be. REPORT closes by itself when the program begins. */
static void become(char *const argv[], const char *log, int report)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    sigset_t none;

    if (null < 0 || out < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
        dup2(out, STDERR_FILENO) < 0) {
        tell(report, errno);
        _exit(EXIT_FAILURE);
    }
    signal(SIGPIPE, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    tell(report, 0);
    execv(argv[0], argv);
    tell(report, errno);
    _exit(EXIT_FAILURE);
}

/* Reads what the daemon tells: its pid, and then either nothing more or why it failed. */
static int listen_to(int fd, struct report *ret_report)
{
    struct report report;
    ssize_t n;
    int count = 0;

    while ((n = read(fd, &report, sizeof report)) != 0) {
        if (n == (ssize_t)sizeof report) {
            *ret_report = report;
            count++;
        } else if (n < 0 && errno != EINTR) {
            return errno;
        }
    }
    return count > 0 ? ret_report->failed : ECHILD;
}

int process_spawn(char *const argv[], const char *log, pid_t *ret_pid, struct error *e)
{
    struct report report = {0};
    int fds[2], failed, status;
    pid_t child;

    if (pipe2(fds, O_CLOEXEC) != 0) {
        return error_errno(e, errno, "pipe");
    }
    fflush(NULL);
    child = fork();
    if (child == 0) {
        /* Twice, so that the daemon is nobody's child and no terminal's. */
        close(fds[0]);
        setsid();
        if (fork() == 0) {
            become(argv, log, fds[1]);
        }
        _exit(EXIT_SUCCESS);
    }
    close(fds[1]);
    if (child < 0) {
        close(fds[0]);
        return error_errno(e, errno, "fork");
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    failed = listen_to(fds[0], &report);
    close(fds[0]);
    if (failed != 0) {
        return error_errno(e, failed, "starting %s", argv[0]);
    }
    *ret_pid = report.pid;
    return 0;
}

/* ---- finding ---- */

/* Whole files of /proc; terminated. */
static ssize_t read_proc(pid_t pid, const char *name, char *to, size_t max)
{
    char path[64];
    ssize_t n;
    int fd;

    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    n = read(fd, to, max - 1);
    close(fd);
    if (n >= 0) {
        to[n] = 0;
    }
    return n;
}

static bool runs(pid_t pid, const char *exe)
{
    static const char deleted[] = " (deleted)"; /* rebuilt since it was started */
    char path[64], target[PATH_MAX + sizeof deleted];
    ssize_t n;

    snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    n = readlink(path, target, sizeof target - 1);
    if (n < 0) {
        return false;
    }
    target[n] = 0;
    if ((size_t)n > strlen(deleted) && strcmp(target + n - strlen(deleted), deleted) == 0) {
        target[(size_t)n - strlen(deleted)] = 0;
    }
    return strcmp(target, exe) == 0;
}

static bool has_argument(pid_t pid, const char *mark)
{
    char *line = malloc(CMDLINE_MAX);
    ssize_t n = line != NULL ? read_proc(pid, "cmdline", line, CMDLINE_MAX) : -1;
    bool found = false;

    for (ssize_t i = 0; i < n && !found; i += (ssize_t)strlen(line + i) + 1) {
        found = strcmp(line + i, mark) == 0;
    }
    free(line);
    return found;
}

bool process_wait_end(int fd, uint64_t timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int n;

    while ((n = poll(&p, 1, (int)timeout_ms)) < 0 && errno == EINTR) {
    }
    return n > 0;
}

int process_open(pid_t pid, const char *exe, const char *mark, int *ret_fd, struct error *e)
{
    int fd = pid > 1 ? pidfd_open(pid, 0) : -1;

    if (fd < 0) {
        return pid <= 1 || errno == ESRCH ? error_set(e, Q_NOT_FOUND, "there is no process %d", (int)pid)
                                          : error_errno(e, errno, "process %d", (int)pid);
    }
    /* Still alive after the check: what was checked is what the fd names. */
    if (!runs(pid, exe) || !has_argument(pid, mark) || process_wait_end(fd, 0)) {
        close(fd);
        return error_set(e, Q_NOT_FOUND, "process %d is not ours", (int)pid);
    }
    *ret_fd = fd;
    return 0;
}

int process_signal(int fd, int signal_number, struct error *e)
{
    return pidfd_send_signal(fd, signal_number, NULL, 0) == 0 || errno == ESRCH
               ? 0
               : error_errno(e, errno, "signal %d", signal_number);
}

/* The fields of /proc/PID/stat behind the name, which may hold anything: "S 1 ..." */
static const char *read_stat(pid_t pid, char text[STAT_MAX])
{
    const char *end = read_proc(pid, "stat", text, STAT_MAX) > 0 ? strrchr(text, ')') : NULL;
    return end != NULL && end[1] == ' ' ? end + 2 : NULL;
}

bool process_is_stopped(pid_t pid)
{
    char text[STAT_MAX];
    const char *fields = read_stat(pid, text);
    return fields != NULL && fields[0] == 'T';
}

uint64_t process_cpu_us(pid_t pid)
{
    char text[STAT_MAX];
    const char *fields = read_stat(pid, text);
    unsigned long long user, system;

    /* utime and stime are fields 14 and 15 of proc(5); the state, where FIELDS begins, is field 3. */
    if (fields == NULL ||
        sscanf(fields, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) != 2) {
        return 0;
    }
    return (user + system) * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
}
