/* import: package lists and JSON lines into a table and a namespace. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/cli/clock.h"
#include "node/cli/cluster_view.h"
#include "node/cli/command.h"
#include "node/cli/import.h"

enum { DEPTH = 8, JOBS_PER_PLACE = 4, ATTEMPT_MS = 1500 };

static const struct args_option options[] = {
    {"deb822", ARGS_TEXT, "FILE", NULL, 0, 0,
     "a package list (apt-cache dumpavail, /var/lib/dpkg/status); - is standard input"},
    {"jsonl", ARGS_TEXT, "FILE", NULL, 0, 0, "JSON objects, one a line; - is standard input"},
    {"table", ARGS_TEXT, "TABLE", NULL, 0, 0, "write rows of this table, which is made if need be"},
    {"namespace", ARGS_TEXT, "NS", NULL, 0, 0, "write entries of this key-value namespace"},
    {"key", ARGS_TEXT, "FIELD", NULL, 0, 0, "of --jsonl: the field that is the key"},
    {"limit", ARGS_NUMBER, "N", NULL, 1, INT64_MAX, "read at most so many stanzas or lines"},
    {"rate", ARGS_NUMBER, "N", NULL, 1, INT64_MAX, "write at most so many rows and entries a second"},
    {"connections", ARGS_NUMBER, "N", "16", 1, 1024, "connections, with up to 8 requests under way on each"},
    {"progress", ARGS_TIME, "TIME", "3s", 10, 3600000,
     "between two lines of progress, where there is no terminal"},
    {"timeout", ARGS_TIME, "TIME", "60s", 1, 86400000,
     "give up a write that was not acknowledged for this long"},
};

static int check(const struct args *a, struct error *e)
{
    bool deb822 = args_given(a, "deb822"), jsonl = args_given(a, "jsonl");

    if (deb822 == jsonl) {
        return error_set(e, Q_INVALID, "give one input: --deb822 FILE or --jsonl FILE");
    }
    if (!args_given(a, "table") && !args_given(a, "namespace")) {
        return error_set(e, Q_INVALID, "give --table, --namespace or both");
    }
    if (deb822 && args_given(a, "key")) {
        return error_set(e, Q_INVALID, "--key belongs to --jsonl");
    }
    if (jsonl && args_given(a, "namespace") && !args_given(a, "key")) {
        return error_set(e, Q_INVALID, "--jsonl with --namespace needs --key");
    }
    return 0;
}

/* The leader first, then everybody else who answers: that is the way that the connections go. */
static int find_nodes(struct client *client, struct endpoints *ret_nodes, struct error *e)
{
    struct endpoints nodes = {0};
    struct cluster_view view;
    int rv = cluster_view_fetch(client, CLUSTER_VIEW_PROBE_MS, &view, e);

    if (rv != 0) {
        return rv;
    }
    if (cluster_view_leader_url(&view)[0] != 0) {
        rv = endpoints_add(&nodes, cluster_view_leader_url(&view), e);
    }
    for (unsigned i = 0; rv == 0 && i < view.count; i++) {
        rv = view.nodes[i].url[0] != 0 ? endpoints_add(&nodes, view.nodes[i].url, e) : 0;
    }
    if (rv == 0) {
        *ret_nodes = nodes;
    }
    return rv;
}

static int open_parts(struct import *im, const struct args *a, struct error *e)
{
    unsigned connections = (unsigned)args_number(a, "connections");
    struct endpoints nodes;
    int rv = command_client(a, &im->client, e);

    if (rv == 0) {
        rv = find_nodes(im->client, &nodes, e);
    }
    if (rv == 0) {
        struct loader_config config = {
            .endpoints = &nodes,
            .connections = connections,
            .depth = DEPTH,
            .jobs = connections * DEPTH * JOBS_PER_PLACE,
            .timeout_ms = (uint64_t)args_number(a, "timeout"),
            .attempt_ms = ATTEMPT_MS,
        };
        rv = loader_new(&config, &im->loader, e);
    }
    return rv;
}

static int open_input(const char *path, FILE **ret_file, uint64_t *ret_bytes, struct error *e)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rbe");
    struct stat st;

    if (file == NULL) {
        return error_errno(e, errno, "%s", path);
    }
    if (fstat(fileno(file), &st) == 0 && S_ISREG(st.st_mode)) {
        *ret_bytes = (uint64_t)st.st_size;
    }
    *ret_file = file;
    return 0;
}

static void print_totals(const struct import *im, bool json)
{
    const struct loader_totals *t = loader_totals(im->loader);
    double seconds = (double)(clock_us() - im->begin_us) / 1e6, gap_ms = (double)t->longest_gap_us / 1000;
    double rate = seconds > 0 ? (double)t->rows / seconds : 0;

    if (json) {
        json_t *root =
            json_pack("{s:I,s:I,s:I,s:I,s:I,s:f,s:f,s:f,s:I}", "read", (json_int_t)im->read, "sql_rows",
                      (json_int_t)im->rows, "kv_entries", (json_int_t)im->entries, "acknowledged",
                      (json_int_t)t->rows, "retried", (json_int_t)t->retried, "longest_gap_ms", gap_ms,
                      "seconds", seconds, "rows_per_second", rate, "bytes", (json_int_t)t->bytes);
        json_dumpf(root, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
        putchar('\n');
        json_decref(root);
        return;
    }
    printf("read          %" PRIu64 "\n", im->read);
    printf("rows          %" PRIu64 "\n", im->rows);
    printf("entries       %" PRIu64 "\n", im->entries);
    printf("acknowledged  %" PRIu64 "\n", t->rows);
    printf("retried       %" PRIu64 "\n", t->retried);
    printf("longest gap   %.1f ms\n", gap_ms);
    printf("rows/s        %.0f\n", rate);
}

static int load(struct import *im, const struct args *a, struct error *e)
{
    bool deb822 = args_given(a, "deb822");
    FILE *from = NULL;
    int rv = open_input(args_text(a, deb822 ? "deb822" : "jsonl"), &from, &im->bytes_total, e);

    if (rv != 0) {
        return rv;
    }
    if (args_given(a, "limit")) {
        im->limit = (uint64_t)args_number(a, "limit");
        im->bytes_total = 0; /* how much of the file that is, nobody knows yet */
    }
    im->rate = args_given(a, "rate") ? (uint64_t)args_number(a, "rate") : 0;
    im->begin_us = clock_us();
    progress_init(&im->progress, stderr, isatty(STDERR_FILENO), (uint64_t)args_number(a, "progress"),
                  im->begin_us);
    rv = deb822 ? import_deb822(im, from, e) : import_jsonl(im, from, args_text(a, "key"), e);
    if (rv == 0) {
        rv = import_drain(im, e);
    }
    progress_end(&im->progress);
    print_totals(im, args_flag(a, "json"));
    if (from != stdin) {
        fclose(from);
    }
    return rv;
}

static enum outcome run(const struct args *a, struct error *e)
{
    struct import im = {.table = args_text(a, "table"), .ns = args_text(a, "namespace"), .limit = UINT64_MAX};
    int rv = check(a, e);

    if (rv != 0) {
        return OUTCOME_USAGE;
    }
    insert_init(&im.insert);
    rv = open_parts(&im, a, e);
    if (rv == 0) {
        rv = load(&im, a, e);
    }
    loader_free(im.loader);
    client_free(im.client);
    insert_close(&im.insert);
    return rv == 0 ? OUTCOME_DONE : OUTCOME_FAILED;
}

const struct command import_command = {
    .name = "import",
    .usage = "--deb822 FILE | --jsonl FILE",
    .summary = "load a package list or JSON lines",
    .details =
        "Each stanza or line becomes a row of --table, an entry of --namespace, or both. Writes are "
        "repeated\n"
        "until they are acknowledged, also while the leader changes; doing so does no harm: a row replaces\n"
        "the one of the same key, and so does an entry.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run,
};
