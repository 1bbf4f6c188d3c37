/* log verify: what is damaged in the log of a node that is off. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "node/cli/command.h"
#include "node/cli/local_files.h"
#include "raft_glue/log_verify.h"

static const struct args_option options[] = {
    {"dir", ARGS_TEXT, "DIR", NULL, 0, 0, "the node's directory"},
};

/* What was found, printed as it comes; or kept for the one document. */
struct findings {
    bool json;
    uint64_t places, holes;
    json_t *damages, *lost;
};

static void on_damage(void *ctx, const struct error *what)
{
    struct findings *f = ctx;
    f->places++;
    if (f->json) {
        json_array_append_new(f->damages, json_string(what->text));
    } else {
        printf("damaged: %s\n", what->text);
    }
}

static void on_hole(void *ctx, const struct log_hole *hole)
{
    struct findings *f = ctx;
    f->holes++;
    if (f->json) {
        json_array_append_new(f->lost, json_pack("{s:I,s:I,s:I}", "first", (json_int_t)hole->first, "last",
                                                 (json_int_t)hole->last, "term", (json_int_t)hole->term));
    } else if (hole->term != 0) {
        printf("lost: entries %" PRIu64 " to %" PRIu64 ", the last of term %" PRIu64 "\n", hole->first,
               hole->last, hole->term);
    } else {
        printf("lost: entries %" PRIu64 " to %" PRIu64 ", of unknown term\n", hole->first, hole->last);
    }
}

static void tell(const struct findings *f, const char *dir, const struct log_report *report)
{
    printf("%s: entries %" PRIu64 " to %" PRIu64 " in %" PRIu64 " segments", dir, report->first, report->last,
           report->segments);
    if (report->torn_bytes > 0) {
        printf(", and %" PRIu64 " bytes of unfinished writes", report->torn_bytes);
    }
    if (f->places == 0) {
        printf(": whole\n");
    } else {
        printf(": %" PRIu64 " damaged places, %" PRIu64 " entries are lost\n"
               "The node repairs this itself when it is started and the other members are reached.\n",
               f->places, report->lost);
    }
}

static void print_json(struct findings *f, const char *dir, const struct log_report *report)
{
    json_t *root =
        json_pack("{s:s,s:I,s:I,s:I,s:I,s:b,s:I,s:O,s:O}", "dir", dir, "first", (json_int_t)report->first,
                  "last", (json_int_t)report->last, "segments", (json_int_t)report->segments, "torn_bytes",
                  (json_int_t)report->torn_bytes, "damaged", report->damaged, "lost_entries",
                  (json_int_t)report->lost, "damages", f->damages, "lost", f->lost);
    json_dumpf(root, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(root);
}

static int verify(struct findings *f, const char *dir, struct log_report *ret_report, struct error *e)
{
    struct log_verifier verifier = {.damage = on_damage, .hole = on_hole, .ctx = f};
    struct local_files *files;
    int rv = local_files_open(&files, e);

    if (rv == 0) {
        rv = log_verify(local_files_env(files), dir, &verifier, ret_report, e);
        local_files_close(files);
    }
    return rv;
}

static enum outcome run(const struct args *a, struct error *e)
{
    struct findings f = {.json = args_flag(a, "json"), .damages = json_array(), .lost = json_array()};
    const char *dir = args_text(a, "dir");
    struct log_report report;
    enum outcome outcome = OUTCOME_USAGE;

    if (dir == NULL) {
        error_set(e, Q_INVALID, "which log? --dir DIR is the directory of a node");
    } else if (verify(&f, dir, &report, e) != 0) {
        outcome = OUTCOME_FAILED;
    } else {
        if (f.json) {
            print_json(&f, dir, &report);
        } else {
            tell(&f, dir, &report);
        }
        outcome = report.damaged ? OUTCOME_SILENT : OUTCOME_DONE;
    }
    json_decref(f.damages);
    json_decref(f.lost);
    return outcome;
}

const struct command log_verify_command = {
    .name = "log verify",
    .usage = "",
    .summary = "say what is damaged in the log of a node that is off",
    .details = "Reads all records and changes nothing. Exits with 1 when something is damaged.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run,
};
