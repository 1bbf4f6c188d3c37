/* tool: runs the command line tool as its users do, and keeps what it says. */
#ifndef QUORATE_TEST_TOOL_H
#define QUORATE_TEST_TOOL_H

enum { TOOL_OUTPUT_MAX = 64 * 1024 };

struct tool_run {
    int status; /* what it exited with */
    char out[TOOL_OUTPUT_MAX], err[TOOL_OUTPUT_MAX];
};

/* The program, from the test's own arguments. Kept. */
void tool_set_path(const char *path);
/* Runs it with the words of ARGV (NULL ends them) and INPUT at its standard input (NULL: none). */
void tool_run(struct tool_run *ret_run, const char *input, const char *const *argv);

#define TOOL(run, input, ...) tool_run(run, input, (const char *const[]){__VA_ARGS__, NULL})

#endif
