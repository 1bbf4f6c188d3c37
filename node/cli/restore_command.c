/* restore: the directory of a node of a new cluster, out of a backup or of an SQLite file. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

#include "node/cli/clock.h"
#include "node/cli/command.h"
#include "node/cli/local_files.h"
#include "node/cli/member_list.h"
#include "node/cli/restore.h"

enum { PROGRESS_EVERY_MS = 3000 };

static const struct args_option options[] = {
    {"from", ARGS_TEXT, "DIR|FILE", NULL, 0, 0, "a directory of backups, or an SQLite file"},
    {"index", ARGS_NUMBER, "N", NULL, 1, INT64_MAX, "the backup of this index; the newest if not given"},
    {"dir", ARGS_TEXT, "DIR", NULL, 0, 0, "of the node; it must be empty, or is made"},
    {"id", ARGS_NUMBER, "N", NULL, 1, INT64_MAX, "of the node"},
    {"members", ARGS_TEXT, "LIST", NULL, 0, 0,
     "id=host:port,...: all nodes of the new cluster and their peers' addresses, the same for each"},
    {"cluster-name", ARGS_TEXT, "NAME", NULL, 0, 0, "as quorated will be given it; else that of the backup"},
    {"foreign-keys", ARGS_FLAG, NULL, NULL, 0, 0, "quorated will be started with foreign-keys"},
    {"sql-instructions", ARGS_NUMBER, "N", "0", 0, INT64_MAX, "as quorated will be given it; 0: its default"},
    {"no-scan", ARGS_FLAG, NULL, NULL, 0, 0, "do not read the whole content once more to compare its digest"},
};

static int take_arguments(const struct args *a, struct peers_member members[PEERS_MAX],
                          struct restore *ret_restore, struct error *e)
{
    static const char *const needed[] = {"from", "dir", "id", "members"};
    struct restore r = {
        .from = args_text(a, "from"),
        .dir = args_text(a, "dir"),
        .members = members,
        .cluster_name = args_text(a, "cluster-name"),
        .foreign_keys = args_flag(a, "foreign-keys"),
        .instructions_max = (uint64_t)args_number(a, "sql-instructions"),
        .scan = !args_flag(a, "no-scan"),
    };

    for (unsigned i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        if (!args_given(a, needed[i])) {
            return error_set(e, Q_INVALID, "--%s is missing", needed[i]);
        }
    }
    r.id = (uint64_t)args_number(a, "id");
    r.index = args_given(a, "index") ? (uint64_t)args_number(a, "index") : 0;
    if (member_list_parse(args_text(a, "members"), members, &r.count, e) != 0) {
        return error_wrap(e, "--members");
    }
    for (unsigned i = 0; i < r.count; i++) {
        if (members[i].id == r.id) {
            *ret_restore = r;
            return 0;
        }
    }
    return error_set(e, Q_INVALID, "--members does not name node %" PRIu64, r.id);
}

static void tell(const struct args *a, const struct restore *r, uint64_t us)
{
    if (args_flag(a, "json")) {
        json_t *root = json_pack("{s:s,s:I,s:I,s:I,s:s,s:f}", "dir", r->dir, "id", (json_int_t)r->id, "index",
                                 (json_int_t)r->at_index, "term", (json_int_t)r->at_term, "cluster_name",
                                 r->name, "seconds", (double)us / 1e6);
        json_dumpf(root, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(root);
        return;
    }
    printf("restored node %" PRIu64 " into %s at index %" PRIu64 " of term %" PRIu64 ", in %.1f s\n", r->id,
           r->dir, r->at_index, r->at_term, (double)us / 1e6);
    printf("Start it with: quorated --dir %s --cluster-name %s%s ... (the directory knows id and members)\n",
           r->dir, r->name, r->foreign_keys ? " --foreign-keys" : "");
    if (r->count > 1) {
        printf("The other members are restored in the same way, from the same backup with the same "
               "--members.\n");
    }
}

static enum outcome run(const struct args *a, struct error *e)
{
    struct peers_member members[PEERS_MAX];
    struct local_files *files = NULL;
    struct progress progress;
    struct restore r;
    uint64_t started_us = clock_us();
    enum outcome outcome = OUTCOME_FAILED;

    if (take_arguments(a, members, &r, e) != 0) {
        return OUTCOME_USAGE;
    }
    progress_init(&progress, stderr, isatty(STDERR_FILENO) == 1, PROGRESS_EVERY_MS, started_us);
    r.progress = &progress;
    if (local_files_open(&files, e) == 0) {
        r.env = local_files_env(files);
        if (restore_run(&r, e) == 0) {
            tell(a, &r, clock_us() - started_us);
            outcome = OUTCOME_DONE;
        }
        local_files_close(files);
    }
    return outcome;
}

const struct command restore_command = {
    .name = "restore",
    .usage = "--from DIR|FILE --dir DIR --id N --members LIST",
    .summary = "make a node of a new cluster out of a backup or an SQLite file",
    .details =
        "Run it on each machine of the new cluster with the same --members, --from and --index, then start\n"
        "quorated there with the same list. Any number of nodes will do: one can be restored and others join "
        "it\n"
        "(quorated --join). It is another cluster than the one that was backed up: their nodes refuse each "
        "other.\n"
        "Everything is verified on the way. If it is broken off, remove the directory and run it again.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run,
};
