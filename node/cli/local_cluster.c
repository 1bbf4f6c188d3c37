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

enum { SECRET_BYTES = 32, PEER_PORT_OFFSET = 1000 };

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
    return local_write_file(c->secret, text, e);
}

static int save(const struct local_cluster *c, struct error *e)
{
    json_t *nodes = json_array(), *flags = json_array(), *root;
    char path[PATH_MAX + 16], *text;
    int rv;

    for (unsigned i = 0; i < c->count; i++) {
        const struct local_node *n = &c->nodes[i];
        json_t *node = json_pack("{s:i,s:i,s:i}", "id", n->id, "http", n->http_port, "peers", n->peer_port);
        if (n->joined) {
            json_object_set_new(node, "joined", json_true());
        }
        if (n->removed) {
            json_object_set_new(node, "removed", json_true());
        }
        json_array_append_new(nodes, node);
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
    rv = local_write_file(path, text, e);
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
    unsigned ports[2 * LOCAL_FIRST_MAX];
    int rv;

    if (plan->nodes < 1 || plan->nodes > LOCAL_FIRST_MAX) {
        return error_set(e, Q_INVALID, "a cluster has 1 to %d nodes", LOCAL_FIRST_MAX);
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
        c->nodes[i] = (struct local_node){.id = (unsigned)id,
                                          .http_port = (unsigned)http,
                                          .peer_port = (unsigned)peers,
                                          .joined = json_is_true(json_object_get(n, "joined")),
                                          .removed = json_is_true(json_object_get(n, "removed"))};
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

/* ---- members that come and go ---- */

/* Ports behind those of the nodes before, if they are free; else any. */
static int choose_ports(const struct local_cluster *c, struct local_node *n, struct error *e)
{
    const struct local_node *last = &c->nodes[c->count - 1];
    unsigned any[2];
    int rv = local_ports_free(2, any, e);

    if (rv == 0) {
        bool http = last->http_port < 65535 && local_ports_check(last->http_port + 1, NULL) == 0;
        bool peer = last->peer_port < 65535 && local_ports_check(last->peer_port + 1, NULL) == 0;
        n->http_port = http ? last->http_port + 1 : any[0];
        n->peer_port = peer ? last->peer_port + 1 : any[1];
    }
    return rv;
}

int local_cluster_add(struct local_cluster *c, struct local_node **ret_node, struct error *e)
{
    struct local_node *n = &c->nodes[c->count];
    int rv;

    if (c->count == LOCAL_NODES_MAX) {
        return error_set(e, Q_TOO_BIG, "a cluster on one machine has at most %d nodes in its life",
                         LOCAL_NODES_MAX);
    }
    *n = (struct local_node){.id = c->count + 1, .joined = true};
    rv = choose_ports(c, n, e);
    if (rv != 0) {
        return rv;
    }
    c->count++;
    rv = set_paths(c, e);
    rv = rv == 0 ? save(c, e) : rv;
    if (rv != 0) {
        c->count--;
        return rv;
    }
    *ret_node = n;
    return 0;
}

int local_cluster_undo_add(struct local_cluster *c, struct error *e)
{
    c->count--;
    return save(c, e);
}

int local_cluster_mark_removed(struct local_cluster *c, unsigned id, struct error *e)
{
    c->nodes[id - 1].removed = true;
    return save(c, e);
}

int local_cluster_node(const struct local_cluster *c, int64_t id, const struct local_node **ret_node,
                       struct error *e)
{
    if (id < 1 || id > (int64_t)c->count) {
        return error_set(e, Q_NOT_FOUND, "there is no node %lld: the cluster has nodes 1 to %u",
                         (long long)id, c->count);
    }
    if (c->nodes[id - 1].removed) {
        return error_set(e, Q_NOT_FOUND, "node %lld was removed from the cluster", (long long)id);
    }
    *ret_node = &c->nodes[id - 1];
    return 0;
}

void local_cluster_endpoints(const struct local_cluster *c, struct endpoints *ret_endpoints)
{
    *ret_endpoints = (struct endpoints){0};
    for (unsigned i = 0; i < c->count && ret_endpoints->count < ENDPOINTS_MAX; i++) {
        if (!c->nodes[i].removed) {
            snprintf(ret_endpoints->url[ret_endpoints->count++], ENDPOINT_MAX, "http://127.0.0.1:%u",
                     c->nodes[i].http_port);
        }
    }
}

int local_write_file(const char *path, const char *text, struct error *e)
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
