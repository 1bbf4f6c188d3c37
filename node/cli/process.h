/* process: starting a daemon, and finding it again by a pid that may long belong to somebody else. It does
 * not know what the daemon is.
 *
 * A process is ours if its executable is EXE and one of its arguments is MARK, a path that only it has.
 * Everything that is done to it goes through a pidfd that was opened before the check, so it cannot hit
 * another process that got the same pid in between. */
#ifndef QUORATE_NODE_CLI_PROCESS_H
#define QUORATE_NODE_CLI_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/* Starts ARGV[0] in a session of its own, its output appended to LOG. Returns once the new program runs.
 * Errors: Q_IO, Q_NOT_FOUND (no such program). */
int process_spawn(char *const argv[], const char *log, pid_t *ret_pid, struct error *e);

/* Errors: Q_NOT_FOUND if there is no such process or it is not ours; Q_IO. RET_FD is to be closed with
 * close(). */
int process_open(pid_t pid, const char *exe, const char *mark, int *ret_fd, struct error *e);
int process_signal(int fd, int signal_number, struct error *e);
/* Waits up to TIMEOUT_MS; whether it has ended. */
bool process_wait_end(int fd, uint64_t timeout_ms);
/* Stopped by SIGSTOP. */
bool process_is_stopped(pid_t pid);
/* CPU time that the process has used, in microseconds; 0 if it is gone. */
uint64_t process_cpu_us(pid_t pid);

#endif
