/* sql_session: statements to a node and their results to a person or a program, as `sql` and its shell do it.
 */
#ifndef QUORATE_NODE_CLI_SQL_SESSION_H
#define QUORATE_NODE_CLI_SQL_SESSION_H

#include <stdio.h>

#include "node/cli/client.h"

struct sql_session {
    struct client *client;
    const char *level; /* of reads */
    bool json, times, transaction;
    FILE *out;
};

/* Sends the statements in TEXT, all in one request, and prints the results. Statements that only read may be
 * repeated; anything else is sent again only if it was certainly not done. Errors: those of client_call(),
 * client_refusal() and sql_result_print(); Q_INVALID for an unfinished statement. */
int sql_session_run(struct sql_session *s, const char *text, size_t n, struct error *e);
/* Runs one statement after the other from FROM, until the first that fails; with transaction set, all of them
 * in one request. Errors name the line. */
int sql_session_run_file(struct sql_session *s, FILE *from, struct error *e);
/* The interactive shell on the terminal; returns when the user leaves. Errors: Q_NOMEM. (shell.c) */
int sql_session_shell(struct sql_session *s, struct error *e);

#endif
