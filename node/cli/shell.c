/* The interactive half of sql_session: lines, history and dot commands. */
#include <histedit.h>
#include <stdlib.h>
#include <string.h>

#include "node/cli/command.h"
#include "node/cli/splitter.h"
#include "node/cli/sql_session.h"

enum { HISTORY_LINES = 1000, SHELL_TEXT_MAX = 16 * 1024 * 1024, HISTORY_PATH_MAX = 4096 };

struct shell {
    struct sql_session *session;
    EditLine *line;
    History *history;
    struct buf text; /* of the statement that has not ended yet */
    char level[16];
    bool left;
};

struct dot {
    const char *name, *words, *help;
    void (*run)(struct shell *shell, const char *word);
};

static void say(const struct error *e)
{
    fprintf(stderr, "error: %s\n", e->text);
}

static void run_sql(struct shell *shell, const char *text, size_t n)
{
    struct error e;
    if (sql_session_run(shell->session, text, n, &e) != 0) {
        say(&e);
    }
}

static void dot_tables(struct shell *shell, const char *word)
{
    static const char sql[] =
        "SELECT name, type FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT "
        "LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE 'quorate\\_%' ESCAPE '\\' ORDER BY name";
    (void)word;
    run_sql(shell, sql, strlen(sql));
}

static void dot_schema(struct shell *shell, const char *word)
{
    struct buf sql;

    buf_init(&sql, SHELL_TEXT_MAX);
    buf_printf(&sql,
               "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'quorate\\_%%' ESCAPE "
               "'\\'");
    if (word[0] != 0) {
        buf_printf(&sql, " AND tbl_name = '");
        for (const char *p = word; *p != 0; p++) {
            buf_put_bytes(&sql, "''", *p == '\'' ? 2 : 0);
            buf_put_bytes(&sql, p, *p == '\'' ? 0 : 1);
        }
        buf_printf(&sql, "'");
    }
    buf_printf(&sql, " ORDER BY tbl_name, type DESC, name");
    if (sql.failed == Q_OK) {
        run_sql(shell, (const char *)sql.data, sql.len);
    }
    buf_close(&sql);
}

static void dot_level(struct shell *shell, const char *word)
{
    struct error e;
    if (word[0] != 0 && command_check_level(word, &e) != 0) {
        say(&e);
        return;
    }
    if (word[0] != 0) {
        snprintf(shell->level, sizeof shell->level, "%s", word);
        shell->session->level = shell->level;
    }
    printf("level %s\n", shell->session->level);
}

static void dot_timer(struct shell *shell, const char *word)
{
    shell->session->times = word[0] != 0 ? strcmp(word, "on") == 0 : !shell->session->times;
    printf("timer %s\n", shell->session->times ? "on" : "off");
}

static void dot_quit(struct shell *shell, const char *word)
{
    (void)word;
    shell->left = true;
}

static void dot_help(struct shell *shell, const char *word);

static const struct dot dots[] = {
    {".help", "", "this list", dot_help},
    {".tables", "", "the tables and views", dot_tables},
    {".schema", "[TABLE]", "how they were made", dot_schema},
    {".level", "[LEVEL]", "of reads: none, weak, linearizable, strong", dot_level},
    {".timer", "[on|off]", "say how long each statement took", dot_timer},
    {".quit", "", "leave (so does Ctrl-D)", dot_quit},
};
enum { DOT_COUNT = sizeof dots / sizeof dots[0] };

static void dot_help(struct shell *shell, const char *word)
{
    (void)shell;
    (void)word;
    for (unsigned i = 0; i < DOT_COUNT; i++) {
        printf("  %-8s %-9s %s\n", dots[i].name, dots[i].words, dots[i].help);
    }
    printf("  A statement ends with a semicolon and may take several lines; Ctrl-C drops it.\n");
}

static void run_dot(struct shell *shell, const char *text, size_t n)
{
    char copy[256], *save = NULL, *name, *word;

    snprintf(copy, sizeof copy, "%.*s", (int)n, text);
    name = strtok_r(copy, " \t\r\n;", &save);
    word = strtok_r(NULL, " \t\r\n;", &save);
    for (unsigned i = 0; name != NULL && i < DOT_COUNT; i++) {
        if (strcmp(dots[i].name, name) == 0) {
            dots[i].run(shell, word != NULL ? word : "");
            return;
        }
    }
    fprintf(stderr, "error: there is no %s (.help lists what there is)\n",
            name != NULL ? name : "such command");
}

static void take_line(struct shell *shell, const char *line, size_t n)
{
    bool blank;
    size_t length;

    if (shell->text.len == 0 && line[0] == '.') {
        run_dot(shell, line, n);
        return;
    }
    buf_put_bytes(&shell->text, line, n);
    if (shell->text.failed != Q_OK) {
        fprintf(stderr, "error: the statement is too long\n");
        buf_clear(&shell->text);
        return;
    }
    while ((length = splitter_next((const char *)shell->text.data, shell->text.len, &blank)) > 0) {
        if (!blank) {
            run_sql(shell, (const char *)shell->text.data, length);
        }
        memmove(shell->text.data, shell->text.data + length, shell->text.len - length);
        shell->text.len -= length;
    }
    splitter_next((const char *)shell->text.data, shell->text.len, &blank);
    if (blank) {
        buf_clear(&shell->text);
    }
}

static char *prompt(EditLine *line)
{
    static char first[] = "quorate> ", more[] = "    ...> ";
    void *shell = NULL;

    el_get(line, EL_CLIENTDATA, &shell);
    return ((struct shell *)shell)->text.len == 0 ? first : more;
}

static void history_path(char path[HISTORY_PATH_MAX])
{
    const char *set = getenv("QUORATE_HISTORY"), *home = getenv("HOME");

    path[0] = 0;
    if (set != NULL) {
        snprintf(path, HISTORY_PATH_MAX, "%s", set);
    } else if (home != NULL) {
        snprintf(path, HISTORY_PATH_MAX, "%s/.quorate_history", home);
    }
}

static void read_lines(struct shell *shell)
{
    HistEvent event;

    while (!shell->left) {
        int n = 0;
        const char *line = el_gets(shell->line, &n);
        if (line == NULL && n < 0) { /* interrupted */
            buf_clear(&shell->text);
            putchar('\n');
            continue;
        }
        if (line == NULL || n <= 0) {
            putchar('\n');
            break;
        }
        if (line[strspn(line, " \t\r\n")] != 0) {
            history(shell->history, &event, H_ENTER, line);
        }
        take_line(shell, line, (size_t)n);
    }
}

int sql_session_shell(struct sql_session *s, struct error *e)
{
    struct shell shell = {
        .session = s, .line = el_init("quorate", stdin, stdout, stderr), .history = history_init()};
    char path[HISTORY_PATH_MAX];
    HistEvent event;

    if (shell.line == NULL || shell.history == NULL) {
        if (shell.line != NULL) {
            el_end(shell.line);
        }
        return error_set(e, Q_NOMEM, "out of memory for the shell");
    }
    buf_init(&shell.text, SHELL_TEXT_MAX);
    history(shell.history, &event, H_SETSIZE, HISTORY_LINES);
    history(shell.history, &event, H_SETUNIQUE, 1);
    history_path(path);
    if (path[0] != 0) {
        history(shell.history, &event, H_LOAD, path);
    }
    el_set(shell.line, EL_CLIENTDATA, &shell);
    el_set(shell.line, EL_PROMPT, prompt);
    el_set(shell.line, EL_EDITOR, "emacs");
    el_set(shell.line, EL_HIST, history, shell.history);
    el_set(shell.line, EL_SIGNAL, 1);
    el_source(shell.line, NULL);
    printf("Quorate shell. Statements end with ';'. Type .help for help.\n");
    read_lines(&shell);
    if (path[0] != 0) {
        history(shell.history, &event, H_SAVE, path);
    }
    history_end(shell.history);
    el_end(shell.line);
    buf_close(&shell.text);
    return 0;
}
