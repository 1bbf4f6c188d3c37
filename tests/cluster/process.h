/* process: one child process that is started, killed, paused and started again, with its arguments, its
 * environment and what it says. It does not know what the program does.
 *
 * Signals go to the pid that was started here, never to a name. A child dies with the thread that started it
 * (PR_SET_PDEATHSIG), so start children from the main thread only; nothing outlives the test, whatever
 * happens to it. Functions that wait fail the test when the wait is in vain: main thread only. */
#ifndef QUORATE_TESTS_CLUSTER_PROCESS_H
#define QUORATE_TESTS_CLUSTER_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "tests/cluster/deadline.h"

enum { PROCESS_WORDS_MAX = 256, PROCESS_PATH_MAX = 256 };

struct process {
    pid_t pid; /* 0: not running, as far as we know */
    bool paused;
    char log[PROCESS_PATH_MAX]; /* what it writes, in all its lives */
    char *argument[PROCESS_WORDS_MAX + 1];
    char *environment[PROCESS_WORDS_MAX + 1];
    unsigned arguments, variables;
    int network; /* the network namespace that it starts in, borrowed; -1: ours */
};

/* PROGRAM is the path to run, LOG the file for its output. Of our own environment it gets everything but the
 * product's variables (QUORATE_...). */
void process_init(struct process *p, const char *program, const char *log);
void process_close(struct process *p);

void process_add_argument(struct process *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A variable of its environment; the same name again replaces it, and a VALUE of NULL takes it away. */
void process_set_variable(struct process *p, const char *name, const char *value);

void process_start(struct process *p);
/* True while it runs. One that has ended is reaped here. */
bool process_runs(struct process *p);
/* True if it has ended, which is said once; its exit status, or minus the signal that ended it. */
bool process_ended(struct process *p, int *ret_status);
/* SIGKILL, and gone when this returns. Nothing if it does not run. */
void process_kill(struct process *p);
/* SIGSTOP, and stopped when this returns. */
void process_pause(struct process *p);
/* SIGCONT. */
void process_resume(struct process *p);
/* SIGTERM, without waiting. */
void process_ask_to_stop(struct process *p);
/* Waits for its end; returns its exit status, or minus the signal that ended it. */
int process_wait(struct process *p, unsigned timeout_ms);

/* What it has said so far: returned, terminated; free(). */
char *process_output(const struct process *p);
bool process_said(const struct process *p, const char *text);
void process_wait_said(const struct process *p, const char *text, unsigned timeout_ms);
/* Resident memory in kilobytes. */
unsigned long process_memory_kb(const struct process *p);
/* The end of the log, to stderr, for the person who looks at a failed test. */
void process_show(const struct process *p);

#endif
