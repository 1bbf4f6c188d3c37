#include "node/cli/local_node.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/cli/local_ports.h"
#include "node/cli/process.h"

enum { READY_PROBE_MS = 1000, LOG_TAIL = 1000, ARGUMENTS_MAX = 128 };

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

/* The first members, those that were removed, too: the list makes the cluster. */
static void put_members(const struct local_cluster *c, struct buf *to)
{
    for (unsigned i = 0; i < c->count && !c->nodes[i].joined; i++) {
        buf_printf(to, "%s%u=127.0.0.1:%u", i > 0 ? "," : "", c->nodes[i].id, c->nodes[i].peer_port);
    }
    buf_put_u8(to, 0);
}

/* Whom NODE may ask to let it in. */
static void put_others(const struct local_cluster *c, const struct local_node *node, struct buf *to)
{
    for (unsigned i = 0; i < c->count; i++) {
        if (!c->nodes[i].removed && &c->nodes[i] != node) {
            buf_printf(to, "%s127.0.0.1:%u", to->len > 0 ? "," : "", c->nodes[i].peer_port);
        }
    }
    buf_put_u8(to, 0);
}

static int spawn(const struct local_cluster *c, const struct local_node *node, pid_t *ret_pid,
                 struct error *e)
{
    char id[16], http[32], listen[32], replaces[16], *argv[ARGUMENTS_MAX];
    struct buf others;
    unsigned n = 0;
    int rv;

    snprintf(id, sizeof id, "%u", node->id);
    snprintf(http, sizeof http, "127.0.0.1:%u", node->http_port);
    snprintf(listen, sizeof listen, "127.0.0.1:%u", node->peer_port);
    snprintf(replaces, sizeof replaces, "%u", node->replaces);
    buf_init(&others, 4096);
    node->joined ? put_others(c, node, &others) : put_members(c, &others);
    rv = buf_check(&others, "the list of members", e);
    if (rv == 0) {
        const char *const fixed[] = {c->quorated,
                                     "--id",
                                     id,
                                     "--dir",
                                     node->dir,
                                     node->joined ? "--join" : "--members",
                                     (const char *)others.data,
                                     "--http",
                                     http,
                                     "--secret-file",
                                     c->secret,
                                     node->joined ? "--listen" : NULL, /* the list says it of the others */
                                     listen,
                                     node->replaces != 0 ? "--replace" : NULL,
                                     replaces};
        for (unsigned i = 0; i < sizeof fixed / sizeof fixed[0] && fixed[i] != NULL; i++) {
            argv[n++] = (char *)(uintptr_t)fixed[i]; /* execv() does not write to them */
        }
        for (unsigned i = 0; i < c->flag_count; i++) {
            argv[n++] = c->flags[i];
        }
        argv[n] = NULL;
        rv = process_spawn(argv, node->log, ret_pid, e);
    }
    buf_close(&others);
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
        rv = local_write_file(node->pid_file, text, e);
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
