#include "tests/unit/cli/tool.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORDS_MAX = 64 };

static const char *tool_path;

void tool_set_path(const char *path)
{
    tool_path = path;
}

static void read_back(FILE *file, char to[TOOL_OUTPUT_MAX])
{
    size_t n;
    rewind(file);
    n = fread(to, 1, TOOL_OUTPUT_MAX - 1, file);
    to[n] = 0;
    fclose(file);
}

void tool_run(struct tool_run *ret_run, const char *input, const char *const *argv)
{
    FILE *in = tmpfile(), *out = tmpfile(), *err = tmpfile();
    char *words[WORDS_MAX] = {(char *)(uintptr_t)tool_path};
    unsigned n = 1;
    int status;
    pid_t pid;

    assert(in != NULL && out != NULL && err != NULL && tool_path != NULL);
    for (; argv[n - 1] != NULL; n++) {
        assert(n + 1 < WORDS_MAX);
        words[n] = (char *)(uintptr_t)argv[n - 1];
    }
    fputs(input != NULL ? input : "", in);
    rewind(in);
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        dup2(fileno(in), STDIN_FILENO);
        dup2(fileno(out), STDOUT_FILENO);
        dup2(fileno(err), STDERR_FILENO);
        unsetenv("QUORATE_ENDPOINT");
        execv(words[0], words);
        _exit(127);
    }
    assert(pid > 0 && waitpid(pid, &status, 0) == pid);
    ret_run->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    fclose(in);
    read_back(out, ret_run->out);
    read_back(err, ret_run->err);
}
