/* sql: statements from the command line, from standard input, or typed into a shell. */
#include <string.h>
#include <unistd.h>

#include "node/cli/command.h"
#include "node/cli/sql_session.h"

static const struct args_option options[] = {
    {"level", ARGS_TEXT, "LEVEL", "linearizable", 0, 0, "of reads: none, weak, linearizable or strong"},
    {"transaction", ARGS_FLAG, NULL, NULL, 0, 0, "all statements or none"},
    {"timer", ARGS_FLAG, NULL, NULL, 0, 0, "say how long each statement took"},
};

static int run_words(struct sql_session *s, const struct args *a, struct error *e)
{
    struct buf text;
    int rv;

    /* Each word is a statement, whether or not it ends in a semicolon. */
    buf_init(&text, CLIENT_BODY_MAX);
    for (unsigned i = 0; i < a->word_count; i++) {
        buf_printf(&text, "%s\n;", a->words[i]);
    }
    rv = buf_check(&text, "the statements", e);
    if (rv == 0) {
        rv = sql_session_run(s, (const char *)text.data, text.len, e);
    }
    buf_close(&text);
    return rv;
}

static enum outcome run(const struct args *a, struct error *e)
{
    struct sql_session s = {
        .level = args_text(a, "level"),
        .json = args_flag(a, "json"),
        .times = args_flag(a, "timer"),
        .transaction = args_flag(a, "transaction"),
        .out = stdout,
    };
    int rv = command_check_level(s.level, e);

    if (rv == 0) {
        rv = command_client(a, &s.client, e);
    }
    if (rv != 0) {
        return OUTCOME_USAGE;
    }
    if (a->word_count > 0) {
        rv = run_words(&s, a, e);
    } else if (isatty(STDIN_FILENO)) {
        rv = sql_session_shell(&s, e);
    } else {
        rv = sql_session_run_file(&s, stdin, e);
    }
    client_free(s.client);
    return rv == 0 ? OUTCOME_DONE : OUTCOME_FAILED;
}

const struct command sql_command = {
    .name = "sql",
    .usage = "[STATEMENT...]",
    .summary = "run SQL statements, or a shell for them",
    .details =
        "With statements: runs all of them in one request and prints their results.\n"
        "Without: a shell on a terminal (.help there), else the statements of standard input, one by one.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .words_max = 1000,
    .run = run,
};
