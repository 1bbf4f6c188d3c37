/* quorate: the command line. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/cli/command.h"

static const struct command *const commands[] = {
    &sql_command,
    &kv_get_command,
    &kv_put_command,
    &kv_delete_command,
    &kv_list_command,
    &status_command,
    &verify_command,
    &member_list_command,
    &member_add_command,
    &member_remove_command,
    &member_promote_command,
    &member_demote_command,
    &member_transfer_command,
    &member_replace_command,
    &member_move_command,
    &backup_create_command,
    &backup_list_command,
    &backup_verify_command,
    &backup_prune_command,
    &restore_command,
    &dump_command,
    &load_command,
    &import_command,
    &bench_command,
    &local_start_command,
    &local_stop_command,
    &local_status_command,
    &local_kill_command,
    &local_restart_command,
    &local_pause_command,
    &local_resume_command,
    &local_add_command,
    &local_remove_command,
    &log_verify_command,
};
enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static const char default_endpoint[] = "http://127.0.0.1:4001";

int command_endpoints(const struct args *a, struct endpoints *ret_endpoints, struct error *e)
{
    const char *set = getenv("QUORATE_ENDPOINT");
    struct endpoints list = {0};
    int rv = 0;

    for (unsigned i = 0; rv == 0 && i < a->endpoint_count; i++) {
        rv = endpoints_add(&list, a->endpoints[i], e);
    }
    if (rv == 0 && list.count == 0) {
        rv = endpoints_add(&list, set != NULL && set[0] != 0 ? set : default_endpoint, e);
    }
    if (rv == 0) {
        *ret_endpoints = list;
    }
    return rv;
}

int command_client(const struct args *a, struct client **ret_client, struct error *e)
{
    struct endpoints list;
    int rv = command_endpoints(a, &list, e);

    return rv == 0 ? client_new(&list, (uint64_t)args_number(a, "timeout"), ret_client, e) : rv;
}

int command_check_level(const char *level, struct error *e)
{
    static const char *const levels[] = {"none", "weak", "linearizable", "strong"};

    for (unsigned i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        if (strcmp(levels[i], level) == 0) {
            return 0;
        }
    }
    return error_set(e, Q_INVALID, "level \"%s\" is not one of: none, weak, linearizable, strong", level);
}

static void help_row(const struct command *c, FILE *to)
{
    char left[80];
    snprintf(left, sizeof left, "%s %s", c->name, c->usage);
    fprintf(to, "  %-36s %s\n", left, c->summary);
}

static void help_all(FILE *to)
{
    fprintf(to, "usage: quorate COMMAND [WORDS] [OPTIONS]\n\n"
                "Talks to a Quorate cluster over HTTP, and runs one on this machine.\n\n");
    for (unsigned i = 0; i < COMMAND_COUNT; i++) {
        help_row(commands[i], to);
    }
    fprintf(to, "\nOptions of every command:\n");
    args_help(NULL, 0, to);
    fprintf(to, "\nquorate COMMAND --help says more.\n");
}

static void help_command(const struct command *c, FILE *to)
{
    fprintf(to, "usage: quorate %s %s%s[OPTIONS]\n\n%c%s.\n", c->name, c->usage, c->usage[0] != 0 ? " " : "",
            c->summary[0] - 'a' + 'A', c->summary + 1);
    if (c->details != NULL) {
        fprintf(to, "\n%s", c->details);
    }
    fprintf(to, "\nOptions:\n");
    args_help(c->options, c->option_count, to);
}

static bool in_family(const struct command *c, const char *family)
{
    size_t n = strlen(family);
    return strncmp(c->name, family, n) == 0 && c->name[n] == ' ';
}

static bool is_family(const char *family)
{
    for (unsigned i = 0; i < COMMAND_COUNT; i++) {
        if (in_family(commands[i], family)) {
            return true;
        }
    }
    return false;
}

/* The commands of a family such as "kv". */
static void help_family(const char *family, FILE *to)
{
    fprintf(to, "usage: quorate %s COMMAND [WORDS] [OPTIONS]\n\n", family);
    for (unsigned i = 0; i < COMMAND_COUNT; i++) {
        if (in_family(commands[i], family)) {
            help_row(commands[i], to);
        }
    }
}

/* The command that the first one or two words name, and how many they were. */
static const struct command *find(int argc, char **argv, int *ret_words)
{
    for (unsigned i = 0; i < COMMAND_COUNT; i++) {
        char both[64];
        snprintf(both, sizeof both, "%s %s", argv[0], argc > 1 ? argv[1] : "");
        if (strcmp(commands[i]->name, argv[0]) == 0 || strcmp(commands[i]->name, both) == 0) {
            *ret_words = strchr(commands[i]->name, ' ') != NULL ? 2 : 1;
            return commands[i];
        }
    }
    return NULL;
}

static int complain(const char *text)
{
    fprintf(stderr, "quorate: %s\n", text);
    return OUTCOME_USAGE;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

/* No command has this name: it is the name of a family, or a mistake. */
static int run_other(int argc, char **argv)
{
    const char *first = argv[0], *second = argc > 1 ? argv[1] : NULL;
    struct error e;

    if (!is_family(first)) {
        error_set(&e, Q_INVALID, "unknown %s %s (quorate --help lists the commands)",
                  first[0] == '-' ? "option" : "command", first);
    } else if (second == NULL) {
        error_set(&e, Q_INVALID, "%s what? (quorate %s --help lists its commands)", first, first);
    } else if (is_help(second)) {
        help_family(first, stdout);
        return OUTCOME_DONE;
    } else {
        error_set(&e, Q_INVALID, "unknown command %s %s (quorate %s --help lists its commands)", first,
                  second, first);
    }
    return complain(e.text);
}

static enum outcome parse_and_run(const struct command *c, struct args *a, int argc, char **argv,
                                  struct error *e)
{
    struct error wrong;

    if (args_parse(a, c->options, c->option_count, argc, argv, &wrong) != 0) {
        error_set(e, Q_INVALID, "%s (see quorate %s --help)", wrong.text, c->name);
        return OUTCOME_USAGE;
    }
    if (args_flag(a, "help")) {
        help_command(c, stdout);
        return OUTCOME_DONE;
    }
    if (a->word_count < c->words_min || a->word_count > c->words_max) {
        error_set(e, Q_INVALID, "usage: quorate %s %s", c->name, c->usage);
        return OUTCOME_USAGE;
    }
    return c->run(a, e);
}

static int run(const struct command *c, int argc, char **argv)
{
    struct args a;
    struct error e = {.code = Q_OK};
    enum outcome outcome = parse_and_run(c, &a, argc, argv, &e);

    args_close(&a);
    if (outcome == OUTCOME_FAILED || outcome == OUTCOME_USAGE) {
        complain(e.text);
    }
    return outcome == OUTCOME_SILENT ? OUTCOME_FAILED : (int)outcome;
}

int main(int argc, char **argv)
{
    const struct command *c;
    int words = 0;

    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        help_all(stderr);
        return OUTCOME_USAGE;
    }
    if (is_help(argv[1])) {
        help_all(stdout);
        return OUTCOME_DONE;
    }
    c = find(argc - 1, argv + 1, &words);
    return c != NULL ? run(c, argc - 1 - words, argv + 1 + words) : run_other(argc - 1, argv + 1);
}
