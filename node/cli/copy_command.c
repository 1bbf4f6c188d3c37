/* dump and load: the whole database as a file, and a file as the whole database. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/cli/command.h"
#include "node/cli/percent.h"
#include "node/cli/transfer.h"

enum { PATH_LONGEST = 4096, TARGET_LONGEST = 1000 };

static const struct args_option dump_options[] = {
    {"sql", ARGS_FLAG, NULL, NULL, 0, 0, "SQL text instead of an SQLite file"},
    {"tables", ARGS_TEXT, "A,B", NULL, 0, 0, "with --sql: only these tables"},
    {"local", ARGS_FLAG, NULL, NULL, 0, 0, "what the node has itself, also without a leader"},
};

static int config_of(const struct args *a, const char *target, struct endpoints *endpoints,
                     struct transfer_config *ret_config, struct error *e)
{
    *ret_config = (struct transfer_config){
        .endpoints = endpoints,
        .target = target,
        .connect_ms = (uint64_t)args_number(a, "timeout"),
        .progress = isatty(STDERR_FILENO) ? stderr : NULL,
    };
    return command_endpoints(a, endpoints, e);
}

static int put_target(const struct args *a, char target[TARGET_LONGEST], struct error *e)
{
    const char *tables = args_text(a, "tables");
    struct buf b;
    int rv;

    buf_init(&b, TARGET_LONGEST - 1);
    buf_printf(&b, "/db/backup?%s%s", args_flag(a, "sql") ? "fmt=sql&" : "",
               args_flag(a, "local") ? "noleader&" : "");
    if (tables != NULL) {
        buf_printf(&b, "tables=");
        percent_put(&b, tables, strlen(tables));
    }
    buf_put_u8(&b, 0);
    rv = buf_check(&b, "the names of tables", e);
    if (rv == 0) {
        memcpy(target, b.data, b.len);
    }
    buf_close(&b);
    return rv;
}

static void print_bytes(const struct args *a, const char *path, uint64_t bytes)
{
    if (args_flag(a, "json")) {
        printf("{\"bytes\":%" PRIu64 "}\n", bytes);
    } else {
        printf("%s  %" PRIu64 " bytes\n", path, bytes);
    }
}

/* Whole, or not there. */
static int dump_to_file(const struct args *a, const struct transfer_config *config, struct error *e)
{
    const char *path = a->words[0];
    char part[PATH_LONGEST];
    uint64_t bytes;
    FILE *to;
    int rv;

    if (snprintf(part, sizeof part, "%s.part", path) >= (int)sizeof part) {
        return error_set(e, Q_INVALID, "the name of the file is too long");
    }
    to = fopen(part, "wbe");
    if (to == NULL) {
        return error_errno(e, errno, "%s", part);
    }
    rv = transfer_get(config, to, &bytes, e);
    if (rv == 0 && (fsync(fileno(to)) != 0 || rename(part, path) != 0)) {
        rv = error_errno(e, errno, "%s", path);
    }
    fclose(to);
    if (rv != 0) {
        unlink(part);
    } else {
        print_bytes(a, path, bytes);
    }
    return rv;
}

static enum outcome run_dump(const struct args *a, struct error *e)
{
    char target[TARGET_LONGEST];
    struct transfer_config config;
    struct endpoints endpoints;
    uint64_t bytes;

    if (args_given(a, "tables") && !args_flag(a, "sql")) {
        error_set(e, Q_INVALID, "--tables belongs to --sql");
        return OUTCOME_USAGE;
    }
    if (put_target(a, target, e) != 0 || config_of(a, target, &endpoints, &config, e) != 0) {
        return OUTCOME_USAGE;
    }
    int rv = strcmp(a->words[0], "-") == 0 ? transfer_get(&config, stdout, &bytes, e)
                                           : dump_to_file(a, &config, e);
    return rv == 0 ? OUTCOME_DONE : OUTCOME_FAILED;
}

const struct command dump_command = {
    .name = "dump",
    .usage = "FILE",
    .summary = "write the whole database to a file",
    .details =
        "An SQLite file that any SQLite opens, or with --sql text that makes it again: of one moment, not\n"
        "older than the call. FILE - is standard output. For copies that are kept and of which only the\n"
        "difference is stored, see quorate backup.\n",
    .options = dump_options,
    .option_count = sizeof dump_options / sizeof dump_options[0],
    .words_min = 1,
    .words_max = 1,
    .run = run_dump,
};

/* The statement's error, if the answer has one. */
static int read_answer(const struct buf *answer, struct error *e)
{
    json_t *root = json_loadb((const char *)answer->data, answer->len, 0, NULL);
    const json_t *first = json_array_get(json_object_get(root, "results"), 0);
    const char *text = json_string_value(json_object_get(root, "error"));
    int rv = 0;

    text = text != NULL ? text : json_string_value(json_object_get(first, "error"));
    if (root == NULL) {
        rv = error_set(e, Q_CORRUPT, "the answer cannot be read");
    } else if (text != NULL) {
        rv = error_set(e, Q_SQL, "%s", text);
    }
    json_decref(root);
    return rv;
}

static enum outcome run_load(const struct args *a, struct error *e)
{
    struct transfer_config config;
    struct endpoints endpoints;
    struct buf answer;
    struct stat st;
    FILE *from;
    int rv;

    if (config_of(a, "/db/load", &endpoints, &config, e) != 0) {
        return OUTCOME_USAGE;
    }
    from = fopen(a->words[0], "rbe");
    if (from == NULL || fstat(fileno(from), &st) != 0 || !S_ISREG(st.st_mode)) {
        error_errno(e, from != NULL ? EINVAL : errno, "%s", a->words[0]);
        if (from != NULL) {
            fclose(from);
        }
        return OUTCOME_FAILED;
    }
    buf_init(&answer, 64 * 1024);
    rv = transfer_post(&config, from, (uint64_t)st.st_size, &answer, e);
    rv = rv == 0 ? read_answer(&answer, e) : rv;
    buf_close(&answer);
    fclose(from);
    if (rv == 0) {
        print_bytes(a, a->words[0], (uint64_t)st.st_size);
    }
    return rv == 0 ? OUTCOME_DONE : OUTCOME_FAILED;
}

const struct command load_command = {
    .name = "load",
    .usage = "FILE",
    .summary = "replace the database by an SQLite file, or run a file of SQL",
    .details =
        "An SQLite file takes the place of the whole content, at once on all nodes; until then, and if it\n"
        "cannot be, the old content stays. Any other file is SQL that is run as one transaction.\n",
    .words_min = 1,
    .words_max = 1,
    .run = run_load,
};
