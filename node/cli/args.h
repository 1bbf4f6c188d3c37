/* args: the words behind a command, read by a table of options. One table feeds parsing, defaults and help.
 * It does not know what the options do.
 *
 * Forms: --name value, --name=value, --name for a flag, and anything else is a word. A lone "-" is a word;
 * behind "--" everything is. Options may stand before, between and behind the words. Besides the command's
 * own table each command knows: --endpoint (repeatable), --json, --timeout, --help. A row of the command's
 * table with one of these names takes its place. Times are "1500ms", "10s", "2m", "1h", "7d" or seconds
 * ("1.5"); sizes take K, M and G. */
#ifndef QUORATE_NODE_CLI_ARGS_H
#define QUORATE_NODE_CLI_ARGS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

enum args_kind {
    ARGS_FLAG,
    ARGS_TEXT,
    ARGS_NUMBER,
    ARGS_SIZE, /* bytes */
    ARGS_TIME, /* milliseconds */
};

struct args_option {
    const char *name; /* without "--" */
    enum args_kind kind;
    const char *value;   /* what the help calls the value, such as "FILE"; NULL for a flag */
    const char *initial; /* the default, as it would be typed; NULL: none */
    int64_t min, max;    /* of numbers, sizes and times */
    const char *help;
};

enum { ARGS_OPTIONS_MAX = 24, ARGS_ENDPOINTS_MAX = 16 };

struct args {
    const struct args_option *option[ARGS_OPTIONS_MAX];
    const char *text[ARGS_OPTIONS_MAX]; /* as typed or the default; NULL: not given */
    int64_t number[ARGS_OPTIONS_MAX];
    bool given[ARGS_OPTIONS_MAX];
    unsigned option_count;
    const char *endpoints[ARGS_ENDPOINTS_MAX]; /* --endpoint, in order */
    unsigned endpoint_count;
    const char **words; /* owned array of borrowed words */
    unsigned word_count;
    unsigned tail; /* the first word behind "--"; word_count if there is none */
};

/* Reads ARGC words of ARGV (the first one counts) by TABLE of COUNT rows, which is kept, as is ARGV. Errors:
 * Q_INVALID (an unknown option, a value that is missing or refused: the text says which), Q_NOMEM. To be
 * closed also after an error. */
int args_parse(struct args *a, const struct args_option *table, unsigned count, int argc, char **argv,
               struct error *e);
void args_close(struct args *a);

/* NAME must be in the table or one of the common options. */
bool args_flag(const struct args *a, const char *name);
bool args_given(const struct args *a, const char *name);
const char *args_text(const struct args *a, const char *name);
int64_t args_number(const struct args *a, const char *name);

/* One line for each option of TABLE and the common ones. */
void args_help(const struct args_option *table, unsigned count, FILE *to);

#endif
