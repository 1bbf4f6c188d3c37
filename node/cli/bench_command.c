/* bench: how fast the cluster is, from here. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/cli/bench.h"
#include "node/cli/cluster_view.h"
#include "node/cli/command.h"
#include "node/cli/local_node.h"
#include "node/cli/wire.h"

static const struct args_option options[] = {
    {"clients", ARGS_NUMBER, "N", "64", 1, WIRE_CONNECTIONS_MAX,
     "connections, each with one request under way"},
    {"seconds", ARGS_TIME, "TIME", "5s", 100, 86400000, "how long to measure"},
    {"warmup", ARGS_TIME, "TIME", "1s", 0, 3600000, "how long to run before"},
    {"rate", ARGS_NUMBER, "N", "0", 0, 1000000,
     "requests a second, latency counted from when each was due; 0: as many as go"},
    {"mix", ARGS_TEXT, "MIX", "50/50", 0, 0, "put, get, or percents of both such as 10/90"},
    {"value-size", ARGS_SIZE, "BYTES", "256", 0, 8 << 20, "of each value put"},
    {"keys", ARGS_NUMBER, "N", "10000", 1, 100000000, "how many different ones"},
    {"level", ARGS_TEXT, "LEVEL", "linearizable", 0, 0, "of gets: none, weak, linearizable or strong"},
    {"namespace", ARGS_TEXT, "NS", "bench", 0, 0, "that the keys are in"},
    {"to", ARGS_TEXT, "WHOM", "leader", 0, 0, "leader: all clients go there; all: spread over the nodes"},
    {"dir", ARGS_TEXT, "DIR", NULL, 0, 0,
     "a cluster of quorate local: its endpoints, and its CPU time is counted"},
    {"pids", ARGS_TEXT, "PIDS", NULL, 0, 0, "processes whose CPU time is counted, comma separated"},
};

static int parse_mix(const char *mix, unsigned *ret_percent, struct error *e)
{
    char *end;
    unsigned long puts, gets;

    if (strcmp(mix, "put") == 0 || strcmp(mix, "get") == 0) {
        *ret_percent = mix[0] == 'p' ? 100 : 0;
        return 0;
    }
    puts = strtoul(mix, &end, 10);
    gets = *end == '/' ? strtoul(end + 1, &end, 10) : 0;
    if (*end != 0 || mix[0] < '0' || mix[0] > '9' || puts > 100 || gets > 100 || puts + gets != 100) {
        return error_set(e, Q_INVALID, "--mix: \"%s\" is neither put, get nor two percents such as 50/50",
                         mix);
    }
    *ret_percent = (unsigned)puts;
    return 0;
}

static int parse_pids(const char *text, struct bench_plan *plan, struct error *e)
{
    for (const char *p = text; *p != 0;) {
        char *end;
        long pid = strtol(p, &end, 10);
        if (end == p || pid <= 0 || pid > INT32_MAX || (*end != 0 && *end != ',')) {
            return error_set(e, Q_INVALID, "--pids: \"%s\" is not a list of process ids", text);
        }
        if (plan->pid_count == BENCH_PIDS_MAX) {
            return error_set(e, Q_INVALID, "--pids: more than %d", BENCH_PIDS_MAX);
        }
        plan->pids[plan->pid_count++] = (int)pid;
        p = *end == ',' ? end + 1 : end;
    }
    return 0;
}

static int use_dir(const char *dir, struct bench_plan *plan, struct endpoints *endpoints, struct error *e)
{
    struct local_cluster c;
    int rv = local_cluster_load(dir, &c, e);

    if (rv != 0) {
        return rv;
    }
    local_cluster_endpoints(&c, endpoints);
    for (unsigned i = 0; i < c.count; i++) {
        pid_t pid;
        if (local_node_find(&c, &c.nodes[i], &pid, NULL, NULL) == 0 && plan->pid_count < BENCH_PIDS_MAX) {
            plan->pids[plan->pid_count++] = (int)pid;
        }
    }
    local_cluster_close(&c);
    return 0;
}

/* The leader becomes the first endpoint; the others stay, for the case that it fails. */
static int lead(struct endpoints *endpoints, struct error *e)
{
    struct cluster_view view;
    struct endpoints sorted = {0};
    struct client *client;
    int rv = client_new(endpoints, CLUSTER_VIEW_PROBE_MS, &client, e);

    if (rv != 0) {
        return rv;
    }
    rv = cluster_view_fetch(client, CLUSTER_VIEW_PROBE_MS, &view, e);
    client_free(client);
    if (rv == 0 && cluster_view_leader_url(&view)[0] == 0) {
        rv = error_set(e, Q_NO_LEADER, "the cluster has no leader now");
    }
    if (rv == 0) {
        rv = endpoints_add(&sorted, cluster_view_leader_url(&view), e);
    }
    for (unsigned i = 0; rv == 0 && i < endpoints->count; i++) {
        rv = endpoints_add(&sorted, endpoints->url[i], e);
    }
    if (rv == 0) {
        *endpoints = sorted;
    }
    return rv;
}

static int make_plan(const struct args *a, struct bench_plan *plan, struct endpoints *endpoints,
                     struct error *e)
{
    const char *to = args_text(a, "to"), *ns = args_text(a, "namespace");
    int rv = command_check_level(args_text(a, "level"), e);

    *plan = (struct bench_plan){.endpoints = endpoints,
                                .spread = strcmp(to, "all") == 0,
                                .clients = (unsigned)args_number(a, "clients"),
                                .keys = (unsigned)args_number(a, "keys"),
                                .rate = (unsigned)args_number(a, "rate"),
                                .value_size = (unsigned)args_number(a, "value-size"),
                                .warmup_ms = (uint64_t)args_number(a, "warmup"),
                                .duration_ms = (uint64_t)args_number(a, "seconds"),
                                .timeout_ms = (uint64_t)args_number(a, "timeout"),
                                .ns = ns,
                                .level = args_text(a, "level")};
    if (rv == 0 &&
        strspn(ns, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") != strlen(ns)) {
        rv = error_set(e, Q_INVALID, "--namespace: only letters, digits and _.- may be in a name");
    }
    if (rv == 0 && strcmp(to, "leader") != 0 && !plan->spread) {
        rv = error_set(e, Q_INVALID, "--to: \"%s\" is neither leader nor all", to);
    }
    if (rv == 0) {
        rv = parse_mix(args_text(a, "mix"), &plan->put_percent, e);
    }
    if (rv == 0 && args_given(a, "pids")) {
        rv = parse_pids(args_text(a, "pids"), plan, e);
    }
    if (rv == 0) {
        rv = args_given(a, "dir") ? use_dir(args_text(a, "dir"), plan, endpoints, e)
                                  : command_endpoints(a, endpoints, e);
    }
    return rv;
}

static double quantile_ms(const struct bench_result *r, double q)
{
    return (double)histogram_quantile(&r->latency, q) / 1000;
}

static void print_result(const struct bench_plan *plan, const struct bench_result *r, bool json)
{
    uint64_t ops = r->puts + r->gets;
    double seconds = (double)r->elapsed_us / 1e6, per_op = ops > 0 ? 1 / (double)ops : 0;
    double rate = seconds > 0 ? (double)ops / seconds : 0;

    if (json) {
        json_t *root = json_pack(
            "{s:I,s:I,s:I,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f}", "puts", (json_int_t)r->puts, "gets",
            (json_int_t)r->gets, "errors", (json_int_t)r->errors, "seconds", seconds, "ops_per_second", rate,
            "p50_ms", quantile_ms(r, 0.5), "p90_ms", quantile_ms(r, 0.9), "p99_ms", quantile_ms(r, 0.99),
            "max_ms", (double)r->max_us / 1000, "longest_gap_ms", (double)r->longest_gap_us / 1000,
            "client_cpu_us_per_op", (double)r->client_cpu_us * per_op, "nodes_cpu_us_per_op",
            (double)r->nodes_cpu_us * per_op);
        json_dumpf(root, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
        putchar('\n');
        json_decref(root);
        return;
    }
    printf("operations   %" PRIu64 " (%" PRIu64 " puts, %" PRIu64 " gets) in %.2f s, %u clients\n", ops,
           r->puts, r->gets, seconds, plan->clients);
    printf("rate         %.0f ops/s\n", rate);
    printf("latency      p50 %.2f ms, p90 %.2f ms, p99 %.2f ms, max %.2f ms\n", quantile_ms(r, 0.5),
           quantile_ms(r, 0.9), quantile_ms(r, 0.99), (double)r->max_us / 1000);
    printf("longest gap  %.1f ms\n", (double)r->longest_gap_us / 1000);
    printf("errors       %" PRIu64 "%s%s\n", r->errors, r->first_error[0] != 0 ? "; the first: " : "",
           r->first_error);
    printf("CPU          %.1f us an operation here", (double)r->client_cpu_us * per_op);
    if (plan->pid_count > 0) {
        printf(", %.1f us in %u nodes together", (double)r->nodes_cpu_us * per_op, plan->pid_count);
    }
    putchar('\n');
}

static enum outcome run(const struct args *a, struct error *e)
{
    struct bench_plan plan;
    struct endpoints endpoints;
    struct bench_result *result;
    int rv = make_plan(a, &plan, &endpoints, e);

    if (rv != 0) {
        return rv == Q_INVALID ? OUTCOME_USAGE : OUTCOME_FAILED;
    }
    result = calloc(1, sizeof *result);
    if (result == NULL) {
        rv = error_set(e, Q_NOMEM, "out of memory for a result");
    }
    if (rv == 0 && !plan.spread) {
        rv = lead(&endpoints, e);
    }
    if (rv == 0) {
        rv = bench_run(&plan, result, e);
    }
    if (rv == 0) {
        print_result(&plan, result, args_flag(a, "json"));
    }
    free(result);
    return rv == 0 ? OUTCOME_DONE : OUTCOME_FAILED;
}

const struct command bench_command = {
    .name = "bench",
    .usage = "",
    .summary = "measure puts and gets",
    .details = "Writes keys key00000000 ... of --namespace. Gets are preceded by filling all keys.\n"
               "Quantiles are upper bounds of buckets, at most 19 % too high; max is exact.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .run = run,
};
