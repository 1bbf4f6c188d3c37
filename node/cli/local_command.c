/* local: the commands that start, stop and torment a cluster on this machine. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/cli/clock.h"
#include "node/cli/command.h"
#include "node/cli/local_life.h"
#include "node/cli/process.h"
#include "node/cli/table.h"

enum { START_MS = 30000, KILL_MS = 5000 };

#define DIR_OPTION                                                                                           \
    {                                                                                                        \
        "dir", ARGS_TEXT, "DIR", NULL, 0, 0, "the directory of the cluster"                                  \
    }

static const struct args_option dir_options[] = {DIR_OPTION};
static const struct args_option start_options[] = {
    DIR_OPTION,
    {"nodes", ARGS_NUMBER, "N", "3", 1, LOCAL_FIRST_MAX, "how many nodes"},
    {"http-port", ARGS_NUMBER, "PORT", "4001", 0, 65535, "of node 1, the others follow; 0: free ones"},
    {"peer-port", ARGS_NUMBER, "PORT", "0", 0, 65535, "of node 1; 0: the HTTP port and 1000, or free ones"},
    {"quorated", ARGS_TEXT, "PATH", NULL, 0, 0, "the daemon (the one beside this program)"},
};

/* ---- start ---- */

static int beside_this(char *path, size_t max, struct error *e)
{
    char own[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", own, sizeof own - 1);
    char *slash;

    if (n < 0) {
        return error_errno(e, errno, "/proc/self/exe");
    }
    own[n] = 0;
    slash = strrchr(own, '/');
    if (slash != NULL) {
        *slash = 0;
    }
    return snprintf(path, max, "%s/quorated", own) < (int)max
               ? 0
               : error_set(e, Q_INVALID, "the path is too long");
}

static int create(const struct args *a, struct local_cluster *ret_cluster, struct error *e)
{
    char quorated[PATH_MAX];
    struct local_plan plan = {
        .nodes = (unsigned)args_number(a, "nodes"),
        .http_port = (unsigned)args_number(a, "http-port"),
        .peer_port = (unsigned)args_number(a, "peer-port"),
        .quorated = args_text(a, "quorated"),
        .flags = a->words + a->tail,
        .flag_count = a->word_count - a->tail,
    };

    if (plan.quorated == NULL) {
        int rv = beside_this(quorated, sizeof quorated, e);
        if (rv != 0) {
            return rv;
        }
        plan.quorated = quorated;
    }
    return local_cluster_create(args_text(a, "dir"), &plan, ret_cluster, e);
}

/* What is there decides; options that say otherwise are a mistake. */
static int open_existing(const struct args *a, struct local_cluster *ret_cluster, struct error *e)
{
    static const char *const fixed[] = {"nodes", "http-port", "peer-port", "quorated"};
    int rv = local_cluster_load(args_text(a, "dir"), ret_cluster, e);

    for (unsigned i = 0; rv == 0 && i < sizeof fixed / sizeof fixed[0]; i++) {
        if (args_given(a, fixed[i])) {
            local_cluster_close(ret_cluster);
            rv = error_set(e, Q_INVALID, "%s holds a cluster already, whose --%s is settled",
                           args_text(a, "dir"), fixed[i]);
        }
    }
    if (rv == 0 && a->tail < a->word_count) {
        local_cluster_close(ret_cluster);
        rv = error_set(e, Q_INVALID, "%s holds a cluster already, whose flags are settled",
                       args_text(a, "dir"));
    }
    return rv;
}

static void print_endpoints(const struct local_cluster *c, bool json)
{
    struct endpoints list;

    local_cluster_endpoints(c, &list);
    if (json) {
        json_t *urls = json_array(), *root;
        for (unsigned i = 0; i < list.count; i++) {
            json_array_append_new(urls, json_string(list.url[i]));
        }
        root = json_pack("{s:s,s:o}", "dir", c->dir, "endpoints", urls);
        json_dumpf(root, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(root);
        return;
    }
    printf("%u node%s running in %s\n", list.count, list.count == 1 ? "" : "s", c->dir);
    for (unsigned i = 0; i < c->count; i++) {
        if (!c->nodes[i].removed) {
            printf("  node %u  http://127.0.0.1:%u\n", c->nodes[i].id, c->nodes[i].http_port);
        }
    }
    printf("export QUORATE_ENDPOINT=");
    for (unsigned i = 0; i < list.count; i++) {
        printf("%s%s", i > 0 ? "," : "", list.url[i]);
    }
    putchar('\n');
}

static int start_all(const struct local_cluster *c, struct error *e)
{
    bool started[LOCAL_NODES_MAX] = {false};
    unsigned running = 0;
    int rv = 0;

    for (unsigned i = 0; i < c->count; i++) {
        pid_t pid;
        running += c->nodes[i].removed || local_node_find(c, &c->nodes[i], &pid, NULL, NULL) == 0;
    }
    if (running == c->count) {
        return error_set(e, Q_CONFLICT, "the cluster in %s is already running", c->dir);
    }
    for (unsigned i = 0; rv == 0 && i < c->count; i++) {
        pid_t pid;
        started[i] = !c->nodes[i].removed && local_node_find(c, &c->nodes[i], &pid, NULL, NULL) != 0;
        rv = started[i] ? local_node_start(c, &c->nodes[i], e) : 0;
        started[i] = started[i] && rv == 0;
    }
    if (rv == 0) {
        rv = local_wait_ready(c, started, START_MS, e);
    }
    for (unsigned i = 0; rv != 0 && i < c->count; i++) {
        bool ran;
        if (started[i]) { /* half a cluster helps nobody */
            local_stop_node(c, &c->nodes[i], &ran, NULL);
        }
    }
    return rv;
}

static enum outcome start(const struct args *a, struct error *e)
{
    const char *dir = args_text(a, "dir");
    char settings[PATH_MAX + 16];
    struct local_cluster c;
    int rv;

    if (dir == NULL || a->tail > 0) {
        error_set(e, Q_INVALID, dir == NULL ? "--dir is missing" : "flags for quorated stand behind --");
        return OUTCOME_USAGE;
    }
    snprintf(settings, sizeof settings, "%s/cluster.json", dir);
    rv = access(settings, F_OK) == 0 ? open_existing(a, &c, e) : create(a, &c, e);
    if (rv != 0) {
        return local_outcome(rv);
    }
    rv = start_all(&c, e);
    if (rv == 0) {
        print_endpoints(&c, args_flag(a, "json"));
    }
    local_cluster_close(&c);
    return local_outcome(rv);
}

/* ---- the others ---- */

static enum outcome stop(const struct args *a, struct error *e)
{
    struct local_cluster c;
    unsigned stopped = 0;
    int rv = local_load(a, &c, e);

    if (rv != 0) {
        return local_outcome(rv);
    }
    for (unsigned i = 0; rv == 0 && i < c.count; i++) {
        bool ran = false;
        rv = local_stop_node(&c, &c.nodes[i], &ran, e);
        stopped += ran;
    }
    if (rv == 0 && args_flag(a, "json")) {
        printf("{\"stopped\":%u}\n", stopped);
    } else if (rv == 0 && stopped == 0) {
        printf("nothing was running\n");
    } else if (rv == 0) {
        printf("%u node%s stopped\n", stopped, stopped == 1 ? "" : "s");
    }
    local_cluster_close(&c);
    return local_outcome(rv);
}

static enum outcome status(const struct args *a, struct error *e)
{
    struct local_cluster c;
    struct table t;
    json_t *list = json_array();
    int rv = local_load(a, &c, e);

    if (rv != 0) {
        json_decref(list);
        return local_outcome(rv);
    }
    table_init(&t, 6);
    table_align_right(&t, 0);
    table_align_right(&t, 1);
    for (unsigned i = 0; i < 6; i++) {
        static const char *const heading[] = {"node", "pid", "state", "http", "peers", "log"};
        table_add(&t, heading[i]);
    }
    for (unsigned i = 0; i < c.count; i++) {
        const struct local_node *n = &c.nodes[i];
        pid_t pid = 0;
        const char *state = n->removed                                      ? "removed"
                            : local_node_find(&c, n, &pid, NULL, NULL) != 0 ? "stopped"
                            : process_is_stopped(pid)                       ? "paused"
                                                                            : "running";
        table_addf(&t, "%u", n->id);
        if (pid != 0) {
            table_addf(&t, "%d", (int)pid);
        } else {
            table_add(&t, "-");
        }
        table_add(&t, state);
        table_addf(&t, "http://127.0.0.1:%u", n->http_port);
        table_addf(&t, "127.0.0.1:%u", n->peer_port);
        table_add(&t, n->log);
        json_array_append_new(list, json_pack("{s:i,s:i,s:s,s:i,s:i}", "node", n->id, "pid", (int)pid,
                                              "state", state, "http", n->http_port, "peers", n->peer_port));
    }
    if (args_flag(a, "json")) {
        json_dumpf(list, stdout, JSON_COMPACT);
        putchar('\n');
    } else {
        rv = table_print(&t, stdout, e);
    }
    json_decref(list);
    table_close(&t);
    local_cluster_close(&c);
    return local_outcome(rv);
}

static enum outcome signal_node(const struct args *a, int signal_number, const char *done, struct error *e)
{
    const struct local_node *node;
    struct local_cluster c;
    pid_t pid;
    int fd, rv = local_load_node(a, &c, &node, e);

    if (rv != 0) {
        return local_outcome(rv);
    }
    rv = local_node_find(&c, node, &pid, &fd, e);
    if (rv == 0) {
        rv = process_signal(fd, signal_number, e);
        if (rv == 0 && signal_number == SIGKILL && !process_wait_end(fd, KILL_MS)) {
            rv = error_set(e, Q_TIMEOUT, "node %u does not end", node->id);
        }
        close(fd);
    }
    if (rv == 0 && args_flag(a, "json")) {
        printf("{\"node\":%u,\"pid\":%d,\"done\":\"%s\"}\n", node->id, (int)pid, done);
    } else if (rv == 0) {
        printf("node %u (process %d) %s\n", node->id, (int)pid, done);
    }
    local_cluster_close(&c);
    return local_outcome(rv);
}

static enum outcome kill_node(const struct args *a, struct error *e)
{
    return signal_node(a, SIGKILL, "killed", e);
}

static enum outcome pause_node(const struct args *a, struct error *e)
{
    return signal_node(a, SIGSTOP, "paused", e);
}

static enum outcome resume_node(const struct args *a, struct error *e)
{
    return signal_node(a, SIGCONT, "resumed", e);
}

static enum outcome restart(const struct args *a, struct error *e)
{
    bool ran, started[LOCAL_NODES_MAX] = {false};
    const struct local_node *node;
    struct local_cluster c;
    uint64_t begin = 0;
    int rv = local_load_node(a, &c, &node, e);

    if (rv != 0) {
        return local_outcome(rv);
    }
    rv = local_stop_node(&c, node, &ran, e);
    if (rv == 0) {
        begin = clock_us();
        rv = local_node_start(&c, node, e);
    }
    if (rv == 0) {
        started[node - c.nodes] = true;
        rv = local_wait_ready(&c, started, START_MS, e);
    }
    if (rv == 0) {
        double ms = (double)(clock_us() - begin) / 1000;
        if (args_flag(a, "json")) {
            printf("{\"node\":%u,\"ready_ms\":%.1f}\n", node->id, ms);
        } else {
            printf("node %u is ready, %.1f ms after it was started\n", node->id, ms);
        }
    }
    local_cluster_close(&c);
    return local_outcome(rv);
}

#define LOCAL(verb, words, text, function)                                                                   \
    {                                                                                                        \
        .name = "local " verb, .usage = words "--dir DIR", .summary = text, .options = dir_options,          \
        .option_count = 1, .words_min = sizeof words > 1, .words_max = sizeof words > 1, .run = function     \
    }

const struct command local_start_command = {
    .name = "local start",
    .usage = "--dir DIR [-- FLAGS]",
    .summary = "start a cluster on this machine",
    .details = "Makes the directory and all settings the first time; later it starts what is not running. "
               "What stands\n"
               "behind -- is given to every quorated. Returns when the nodes are ready.\n",
    .options = start_options,
    .option_count = sizeof start_options / sizeof start_options[0],
    .words_max = LOCAL_FLAGS_MAX,
    .run = start,
};
const struct command local_stop_command = LOCAL("stop", "", "stop all its nodes", stop);
const struct command local_status_command = LOCAL("status", "", "show its processes", status);
const struct command local_kill_command = LOCAL("kill", "N ", "kill node N at once (SIGKILL)", kill_node);
const struct command local_restart_command =
    LOCAL("restart", "N ", "start node N, after stopping it if it runs", restart);
const struct command local_pause_command = LOCAL("pause", "N ", "pause node N (SIGSTOP)", pause_node);
const struct command local_resume_command = LOCAL("resume", "N ", "let node N go on (SIGCONT)", resume_node);
