#include "node/cli/local_cluster.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/cli/local_ports.h"
#include "node/cli/process.h"

enum {
    SECRET_BYTES = 32,
    PEER_PORT_OFFSET = 1000,
    READY_PROBE_MS = 1000,
    LOG_TAIL = 1000,
    ARGUMENTS_MAX = 128
};

/* ---- the directory ---- */

/* DIR/NAME into TO; false if it is too long. */
static bool put_path(char to[PATH_MAX], const char *dir, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool put_path(char to[PATH_MAX], const char *dir, const char *format, ...)
{
    size_t n = strlen(dir);
    va_list args;
    int rest;

    memcpy(to, dir, n);
    to[n++] = '/';
    va_start(args, format);
    rest = vsnprintf(to + n, PATH_MAX - n, format, args);
    va_end(args);
    return (size_t)rest < PATH_MAX - n;
}

static int set_paths(struct local_cluster *c, struct error *e)
{
    bool fits = put_path(c->secret, c->dir, "secret");

    for (unsigned i = 0; i < c->count; i++) {
        struct local_node *n = &c->nodes[i];
        fits = put_path(n->dir, c->dir, "node%u", n->id) && put_path(n->log, c->dir, "node%u.log", n->id) &&
               put_path(n->pid_file, c->dir, "node%u.pid", n->id) && fits;
    }
    return fits ? 0 : error_set(e, Q_INVALID, "the path %.100s... is too long", c->dir);
}

static int write_file(const char *path, const char *text, struct error *e)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t n = strlen(text);

    if (fd < 0) {
        return error_errno(e, errno, "%s", path);
    }
    if (write(fd, text, n) != (ssize_t)n || close(fd) != 0) {
        return error_errno(e, errno, "writing %s", path);
    }
    return 0;
}

static int make_secret(const struct local_cluster *c, struct error *e)
{
    uint8_t bytes[SECRET_BYTES];
    char text[2 * SECRET_BYTES + 2];

    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) {
        return error_errno(e, errno, "getrandom");
    }
    for (unsigned i = 0; i < SECRET_BYTES; i++) {
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    }
    snprintf(text + 2 * sizeof bytes, 2, "\n");
    return write_file(c->secret, text, e);
}

static int save(const struct local_cluster *c, struct error *e)
{
    json_t *nodes = json_array(), *flags = json_array(), *root;
    char path[PATH_MAX + 16], *text;
    int rv;

    for (unsigned i = 0; i < c->count; i++) {
        const struct local_node *n = &c->nodes[i];
        json_array_append_new(
            nodes, json_pack("{s:i,s:i,s:i}", "id", n->id, "http", n->http_port, "peers", n->peer_port));
    }
    for (unsigned i = 0; i < c->flag_count; i++) {
        json_array_append_new(flags, json_string(c->flags[i]));
    }
    root = json_pack("{s:s,s:o,s:o}", "quorated", c->quorated, "nodes", nodes, "flags", flags);
    text = root != NULL ? json_dumps(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    if (text == NULL) {
        return error_set(e, Q_INVALID, "a path or flag is not UTF-8");
    }
    snprintf(path, sizeof path, "%s/cluster.json", c->dir);
    rv = write_file(path, text, e);
    free(text);
    return rv;
}

static int take_flags(struct local_cluster *c, const char *const *flags, unsigned count, struct error *e)
{
    if (count > LOCAL_FLAGS_MAX) {
        return error_set(e, Q_INVALID, "more than %d flags for quorated", LOCAL_FLAGS_MAX);
    }
    for (unsigned i = 0; i < count; i++) {
        c->flags[i] = strdup(flags[i]);
        if (c->flags[i] == NULL) {
            return error_set(e, Q_NOMEM, "out of memory for flags");
        }
        c->flag_count++;
    }
    return 0;
}

static int plan_nodes(struct local_cluster *c, const struct local_plan *plan, struct error *e)
{
    unsigned first_peer = plan->peer_port != 0 ? plan->peer_port : plan->http_port + PEER_PORT_OFFSET;
    unsigned ports[2 * LOCAL_NODES_MAX];
    int rv;

    if (plan->nodes < 1 || plan->nodes > LOCAL_NODES_MAX) {
        return error_set(e, Q_INVALID, "a cluster has 1 to %d nodes", LOCAL_NODES_MAX);
    }
    rv = local_ports_free(2 * plan->nodes, ports, e);
    c->count = plan->nodes;
    for (unsigned i = 0; rv == 0 && i < c->count; i++) {
        struct local_node *n = &c->nodes[i];
        n->id = i + 1;
        n->http_port = plan->http_port != 0 ? plan->http_port + i : ports[2 * i];
        n->peer_port = plan->http_port != 0 || plan->peer_port != 0 ? first_peer + i : ports[2 * i + 1];
        if (n->http_port > 65535 || n->peer_port > 65535) {
            rv = error_set(e, Q_INVALID, "node %u would need a port beyond 65535", n->id);
        }
    }
    return rv;
}

int local_cluster_create(const char *dir, const struct local_plan *plan, struct local_cluster *ret_cluster,
                         struct error *e)
{
    struct local_cluster *c = ret_cluster;
    char path[PATH_MAX + 16];
    int rv;

    *c = (struct local_cluster){0};
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        return error_errno(e, errno, "%s", dir);
    }
    if (realpath(dir, c->dir) == NULL) {
        return error_errno(e, errno, "%s", dir);
    }
    snprintf(path, sizeof path, "%s/cluster.json", c->dir);
    if (access(path, F_OK) == 0) {
        return error_set(e, Q_CONFLICT, "%s holds a cluster already", c->dir);
    }
    if (realpath(plan->quorated, c->quorated) == NULL || access(c->quorated, X_OK) != 0) {
        return error_errno(e, errno, "the program quorated (%s)", plan->quorated);
    }
    rv = plan_nodes(c, plan, e);
    if (rv == 0) {
        rv = take_flags(c, plan->flags, plan->flag_count, e);
    }
    if (rv == 0) {
        rv = set_paths(c, e);
    }
    if (rv == 0) {
        rv = make_secret(c, e);
    }
    if (rv == 0) {
        rv = save(c, e);
    }
    if (rv != 0) {
        local_cluster_close(c);
    }
    return rv;
}

/* ---- cluster.json ---- */

static int read_settings(struct local_cluster *c, const json_t *root, struct error *e)
{
    const json_t *nodes = json_object_get(root, "nodes"), *flags = json_object_get(root, "flags");
    const char *quorated = json_string_value(json_object_get(root, "quorated"));
    const char *texts[LOCAL_FLAGS_MAX];
    size_t count = json_array_size(nodes), flag_count = json_array_size(flags);

    if (quorated == NULL || strlen(quorated) >= sizeof c->quorated || count < 1 || count > LOCAL_NODES_MAX ||
        flag_count > LOCAL_FLAGS_MAX) {
        return error_set(e, Q_CORRUPT, "%s/cluster.json does not describe a cluster", c->dir);
    }
    snprintf(c->quorated, sizeof c->quorated, "%s", quorated);
    c->count = (unsigned)count;
    for (unsigned i = 0; i < c->count; i++) {
        const json_t *n = json_array_get(nodes, i);
        json_int_t id = json_integer_value(json_object_get(n, "id"));
        json_int_t http = json_integer_value(json_object_get(n, "http"));
        json_int_t peers = json_integer_value(json_object_get(n, "peers"));
        if (id != (json_int_t)i + 1 || http < 1 || http > 65535 || peers < 1 || peers > 65535) {
            return error_set(e, Q_CORRUPT, "%s/cluster.json: node %u is malformed", c->dir, i + 1);
        }
        c->nodes[i] = (struct local_node){
            .id = (unsigned)id, .http_port = (unsigned)http, .peer_port = (unsigned)peers};
    }
    for (size_t i = 0; i < flag_count; i++) {
        texts[i] = json_string_value(json_array_get(flags, i));
        if (texts[i] == NULL) {
            return error_set(e, Q_CORRUPT, "%s/cluster.json: a flag is not text", c->dir);
        }
    }
    return take_flags(c, texts, (unsigned)flag_count, e);
}

int local_cluster_load(const char *dir, struct local_cluster *ret_cluster, struct error *e)
{
    struct local_cluster *c = ret_cluster;
    char path[PATH_MAX + 16];
    json_error_t where;
    json_t *root;
    int rv;

    *c = (struct local_cluster){0};
    if (realpath(dir, c->dir) == NULL) {
        return error_errno(e, errno, "%s", dir);
    }
    snprintf(path, sizeof path, "%s/cluster.json", c->dir);
    if (access(path, R_OK) != 0) {
        return errno == ENOENT ? error_set(e, Q_NOT_FOUND, "%s holds no cluster (no cluster.json)", c->dir)
                               : error_errno(e, errno, "%s", path);
    }
    root = json_load_file(path, 0, &where);
    rv = root != NULL ? read_settings(c, root, e)
                      : error_set(e, Q_CORRUPT, "%s, line %d: %s", path, where.line, where.text);
    json_decref(root);
    if (rv == 0) {
        rv = set_paths(c, e);
    }
    if (rv != 0) {
        local_cluster_close(c);
    }
    return rv;
}

void local_cluster_close(struct local_cluster *c)
{
    for (unsigned i = 0; i < c->flag_count; i++) {
        free(c->flags[i]);
    }
    c->flag_count = 0;
}

int local_cluster_node(const struct local_cluster *c, int64_t id, const struct local_node **ret_node,
                       struct error *e)
{
    if (id < 1 || id > (int64_t)c->count) {
        return error_set(e, Q_NOT_FOUND, "there is no node %lld: the cluster has nodes 1 to %u",
                         (long long)id, c->count);
    }
    *ret_node = &c->nodes[id - 1];
    return 0;
}

void local_cluster_endpoints(const struct local_cluster *c, struct endpoints *ret_endpoints)
{
    *ret_endpoints = (struct endpoints){.count = c->count};
    for (unsigned i = 0; i < c->count; i++) {
        snprintf(ret_endpoints->url[i], ENDPOINT_MAX, "http://127.0.0.1:%u", c->nodes[i].http_port);
    }
}

/* ---- one node ---- */

int local_node_find(const struct local_cluster *c, const struct local_node *node, pid_t *ret_pid, int *ret_fd,
                    struct error *e)
{
    FILE *file = fopen(node->pid_file, "re");
    int pid = 0, fd, rv;

    if (file != NULL) {
        pid = fscanf(file, "%d", &pid) == 1 ? pid : 0;
        fclose(file);
    }
    if (pid == 0) {
        return error_set(e, Q_NOT_FOUND, "node %u is not running", node->id);
    }
    rv = process_open((pid_t)pid, c->quorated, node->dir, &fd, e);
    if (rv != 0) {
        return rv == Q_NOT_FOUND ? error_set(e, Q_NOT_FOUND, "node %u is not running", node->id) : rv;
    }
    *ret_pid = (pid_t)pid;
    if (ret_fd != NULL) {
        *ret_fd = fd;
    } else {
        close(fd);
    }
    return 0;
}

static void put_members(const struct local_cluster *c, struct buf *to)
{
    for (unsigned i = 0; i < c->count; i++) {
        buf_printf(to, "%s%u=127.0.0.1:%u", i > 0 ? "," : "", c->nodes[i].id, c->nodes[i].peer_port);
    }
    buf_put_u8(to, 0);
}

static int spawn(const struct local_cluster *c, const struct local_node *node, pid_t *ret_pid,
                 struct error *e)
{
    char id[16], http[32], *argv[ARGUMENTS_MAX];
    struct buf members;
    unsigned n = 0;
    int rv;

    snprintf(id, sizeof id, "%u", node->id);
    snprintf(http, sizeof http, "127.0.0.1:%u", node->http_port);
    buf_init(&members, 4096);
    put_members(c, &members);
    rv = buf_check(&members, "the list of members", e);
    if (rv == 0) {
        const char *const fixed[] = {c->quorated,
                                     "--id",
                                     id,
                                     "--dir",
                                     node->dir,
                                     "--members",
                                     (const char *)members.data,
                                     "--http",
                                     http,
                                     "--secret-file",
                                     c->secret};
        for (; n < sizeof fixed / sizeof fixed[0]; n++) {
            argv[n] = (char *)(uintptr_t)fixed[n]; /* execv() does not write to them */
        }
        for (unsigned i = 0; i < c->flag_count; i++) {
            argv[n++] = c->flags[i];
        }
        argv[n] = NULL;
        rv = process_spawn(argv, node->log, ret_pid, e);
    }
    buf_close(&members);
    return rv;
}

int local_node_start(const struct local_cluster *c, const struct local_node *node, struct error *e)
{
    char text[16];
    pid_t pid;
    int rv;

    if (local_node_find(c, node, &pid, NULL, NULL) == 0) {
        return error_set(e, Q_CONFLICT, "node %u is already running (process %d)", node->id, (int)pid);
    }
    rv = local_ports_check(node->http_port, e);
    if (rv == 0) {
        rv = local_ports_check(node->peer_port, e);
    }
    if (rv == 0) {
        rv = spawn(c, node, &pid, e);
    }
    if (rv == 0) {
        snprintf(text, sizeof text, "%d\n", (int)pid);
        rv = write_file(node->pid_file, text, e);
    }
    return rv != 0 ? error_wrap(e, "node %u", node->id) : 0;
}

/* The last line of the node's log, for the error that says that it has ended. */
static void last_words(const struct local_node *node, char *to, size_t max)
{
    FILE *log = fopen(node->log, "re");
    char tail[LOG_TAIL + 1], *line;
    size_t n = 0;

    if (log != NULL) {
        if (fseek(log, -LOG_TAIL, SEEK_END) != 0) {
            rewind(log);
        }
        n = fread(tail, 1, LOG_TAIL, log);
        fclose(log);
    }
    while (n > 0 && (tail[n - 1] == '\n' || tail[n - 1] == '\r')) {
        n--;
    }
    tail[n] = 0;
    line = strrchr(tail, '\n');
    snprintf(to, max, "%.*s", (int)max - 1, line != NULL ? line + 1 : tail);
}

int local_node_ready(const struct local_cluster *c, const struct local_node *node, bool *ret_ready,
                     struct error *e)
{
    struct endpoints one = {.count = 1};
    struct client_request request = {
        .method = "GET", .target = "/readyz", .policy = CLIENT_PROBE, .timeout_ms = READY_PROBE_MS};
    struct client_response response;
    struct client *client;
    char words[300];
    pid_t pid;
    int rv;

    if (local_node_find(c, node, &pid, NULL, NULL) != 0) {
        last_words(node, words, sizeof words);
        return error_set(e, Q_CLOSED, "node %u has ended; the last line of its log: %s", node->id, words);
    }
    snprintf(one.url[0], ENDPOINT_MAX, "http://127.0.0.1:%u", node->http_port);
    rv = client_new(&one, READY_PROBE_MS, &client, e);
    if (rv != 0) {
        return rv;
    }
    *ret_ready = false;
    if (client_call(client, &request, &response, NULL) == 0) {
        *ret_ready = response.status == 200;
        client_response_close(&response);
    }
    client_free(client);
    return 0;
}
