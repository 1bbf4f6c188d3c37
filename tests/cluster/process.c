#include "tests/cluster/process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/test.h"

enum { SHOWN_BYTES = 8 * 1024 };

extern char **environ;

static void *must(void *p)
{
    assert_non_null(p);
    return p;
}

static void push(char **words, unsigned *count, char *word)
{
    assert_true(*count < PROCESS_WORDS_MAX);
    words[(*count)++] = word;
}

void process_init(struct process *p, const char *program, const char *log)
{
    memset(p, 0, sizeof *p);
    p->network = -1;
    assert_true((size_t)snprintf(p->log, sizeof p->log, "%s", log) < sizeof p->log);
    push(p->argument, &p->arguments, must(strdup(program)));
    for (char **variable = environ; *variable != NULL; variable++) {
        if (strncmp(*variable, "QUORATE_", 8) != 0) {
            push(p->environment, &p->variables, must(strdup(*variable)));
        }
    }
}

void process_close(struct process *p)
{
    process_kill(p);
    while (p->arguments > 0) {
        free(p->argument[--p->arguments]);
    }
    while (p->variables > 0) {
        free(p->environment[--p->variables]);
    }
}

void process_add_argument(struct process *p, const char *format, ...)
{
    char *word;
    va_list args;
    va_start(args, format);
    assert_true(vasprintf(&word, format, args) >= 0);
    va_end(args);
    push(p->argument, &p->arguments, word);
}

void process_set_variable(struct process *p, const char *name, const char *value)
{
    size_t n = strlen(name);
    unsigned i = 0;

    while (i < p->variables && (strncmp(p->environment[i], name, n) != 0 || p->environment[i][n] != '=')) {
        i++;
    }
    if (i < p->variables) {
        free(p->environment[i]);
        p->environment[i] = p->environment[--p->variables];
        p->environment[p->variables] = NULL;
    }
    if (value != NULL) {
        char *word;
        assert_true(asprintf(&word, "%s=%s", name, value) >= 0);
        push(p->environment, &p->variables, word);
    }
}

/* In the child; only what may be called after a fork beside other threads. */
static void become(const struct process *p, pid_t parent, int log)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) {
        _exit(126);
    }
    if (p->network >= 0 && setns(p->network, CLONE_NEWNET) != 0) {
        _exit(125);
    }
    setpgid(0, 0); /* what a terminal sends is for the test */
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    execve(p->argument[0], p->argument, p->environment);
    _exit(127);
}

void process_start(struct process *p)
{
    pid_t self = getpid();
    int log = open(p->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    assert_true(log >= 0);
    assert_int_equal(p->pid, 0);
    p->paused = false;
    p->pid = fork();
    if (p->pid == 0) {
        become(p, self, log);
    }
    assert_true(p->pid > 0);
    close(log);
}

bool process_ended(struct process *p, int *ret_status)
{
    int status;
    if (p->pid == 0 || waitpid(p->pid, &status, WNOHANG) != p->pid) {
        return false;
    }
    p->pid = 0;
    *ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    return true;
}

bool process_runs(struct process *p)
{
    int status;
    return !process_ended(p, &status) && p->pid > 0;
}

void process_kill(struct process *p)
{
    if (p->pid > 0) {
        kill(p->pid, SIGKILL);
        while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR) {
        }
        p->pid = 0;
    }
}

void process_pause(struct process *p)
{
    int status;

    assert_true(p->pid > 0);
    kill(p->pid, SIGSTOP);
    assert_int_equal(waitpid(p->pid, &status, WUNTRACED), p->pid);
    assert_true(WIFSTOPPED(status));
    p->paused = true;
}

void process_resume(struct process *p)
{
    kill(p->pid, SIGCONT);
    p->paused = false;
}

void process_ask_to_stop(struct process *p)
{
    assert_true(p->pid > 0);
    kill(p->pid, SIGTERM);
}

int process_wait(struct process *p, unsigned timeout_ms)
{
    struct deadline deadline = deadline_in(timeout_ms);
    int status = 0;

    while (!process_ended(p, &status)) {
        if (!deadline_wait(&deadline)) {
            fail_msg("%s (pid %d) did not end within %u ms", p->log, (int)p->pid, timeout_ms);
        }
    }
    return status;
}

char *process_output(const struct process *p)
{
    FILE *file = fopen(p->log, "r");
    char *text = NULL;
    size_t n = 0;

    if (file == NULL) {
        return must(strdup(""));
    }
    if (getdelim(&text, &n, '\0', file) < 0) {
        free(text);
        text = strdup("");
    }
    fclose(file);
    return must(text);
}

bool process_said(const struct process *p, const char *text)
{
    char *output = process_output(p);
    bool found = strstr(output, text) != NULL;
    free(output);
    return found;
}

void process_wait_said(const struct process *p, const char *text, unsigned timeout_ms)
{
    struct deadline deadline = deadline_in(timeout_ms);
    while (!process_said(p, text)) {
        if (!deadline_wait(&deadline)) {
            fail_msg("%s does not say \"%s\"", p->log, text);
        }
    }
}

unsigned long process_memory_kb(const struct process *p)
{
    char path[64], line[256];
    unsigned long kb = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/status", (int)p->pid);
    file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "VmRSS:", 6) == 0) {
            kb = strtoul(line + 6, NULL, 10);
        }
    }
    fclose(file);
    assert_true(kb > 0);
    return kb;
}

void process_show(const struct process *p)
{
    char *output = process_output(p);
    size_t n = strlen(output), from = n > SHOWN_BYTES ? n - SHOWN_BYTES : 0;

    fprintf(stderr, "---- %s%s\n%s", p->log, from > 0 ? " (its end)" : "", output + from);
    free(output);
}
