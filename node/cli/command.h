/* command: what every command of the tool is: a row of words, a function, and what they share. The table of
 * them all is in main.c. */
#ifndef QUORATE_NODE_CLI_COMMAND_H
#define QUORATE_NODE_CLI_COMMAND_H

#include "node/cli/args.h"
#include "node/cli/client.h"

/* What a command's function returns and the process exits with. */
enum outcome {
    OUTCOME_DONE = 0,
    OUTCOME_FAILED = 1, /* the error says why */
    OUTCOME_USAGE = 2,  /* it was called wrongly; the error says how */
    OUTCOME_SILENT = 3, /* failed, and the function has said so itself: exits with 1 */
};

struct command {
    const char *name;    /* one word, or two such as "kv get" */
    const char *usage;   /* what follows the name */
    const char *summary; /* one line */
    const char *details; /* more for --help; ends in a newline; NULL: none */
    const struct args_option *options;
    unsigned option_count;
    unsigned words_min, words_max; /* how many words may follow */
    /* Fills E unless it returns OUTCOME_DONE or OUTCOME_SILENT. */
    enum outcome (*run)(const struct args *a, struct error *e);
};

extern const struct command sql_command;
extern const struct command kv_get_command, kv_put_command, kv_delete_command, kv_list_command;
extern const struct command status_command, verify_command;
extern const struct command member_list_command, member_add_command, member_remove_command,
    member_promote_command, member_demote_command, member_transfer_command, member_replace_command,
    member_move_command;
extern const struct command dump_command, load_command;
extern const struct command import_command;
extern const struct command bench_command;
extern const struct command log_verify_command;
extern const struct command backup_create_command, backup_list_command, backup_verify_command,
    backup_prune_command;
extern const struct command restore_command;
extern const struct command local_add_command, local_remove_command;
extern const struct command local_start_command, local_stop_command, local_status_command, local_kill_command,
    local_restart_command, local_pause_command, local_resume_command;

/* A client for the endpoints and the timeout that the arguments name: --endpoint, else QUORATE_ENDPOINT, else
 * the default. To be freed by the caller. */
int command_client(const struct args *a, struct client **ret_client, struct error *e);
/* The endpoints alone, copied into URLS; returns how many there are. Errors as client_new(). */
int command_endpoints(const struct args *a, struct endpoints *ret_endpoints, struct error *e);

/* The level words of reads. Q_INVALID names those that there are. */
int command_check_level(const char *level, struct error *e);

#endif
