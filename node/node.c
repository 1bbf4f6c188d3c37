#include "node/node.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/object.h"
#include "node/backups.h"
#include "node/birth.h"
#include "node/env/env_uv.h"
#include "node/http/api.h"
#include "node/http/server.h"
#include "node/joining.h"
#include "node/quorate.h"
#include "node/settings.h"

enum {
    NODE_MAGIC = 0x51c0de08,
    HTTP_GRACE_MS = 1000,
    HTTP_HEAD_MAX = 64 * 1024,
    HTTP_PIPELINE_MAX = 64,
    HTTP_HEAD_MS = 10000,
    HTTP_BODY_MS = 60000,
    HTTP_WRITE_MS = 30000,
    JOIN_SAY_MS = 5000,
};

struct quorate {
    OBJECT_MAGIC;
    struct options options;
    struct settings settings;
    struct join_answer joined; /* of a new machine */
    uv_loop_t loop;
    uv_thread_t thread;
    struct env_uv *env;
    struct replica *replica;
    struct http_server *http;
    struct api *api;
    struct backups *backups; /* NULL: it makes none */
    struct metrics metrics;
    struct door door;
    struct door_visit stop;
    int http_port;
};

static struct quorate *node_of(void *ctx)
{
    return CAST(struct quorate, ctx, NODE_MAGIC);
}

static void write_line(uint64_t id, const char *line)
{
    struct timespec now;
    struct tm tm;
    char date[32];

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
    if (id == 0) {
        fprintf(stderr, "%s.%03ldZ node=- %s\n", date, now.tv_nsec / 1000000, line); /* not known yet */
    } else {
        fprintf(stderr, "%s.%03ldZ node=%" PRIu64 " %s\n", date, now.tv_nsec / 1000000, id, line);
    }
}

static void on_log(void *ctx, const char *line)
{
    write_line(node_of(ctx)->settings.replica.id, line);
}

/* A node that cannot write must not answer anything any more, and nobody knows what its disk holds: the
 * process ends here and starts again from what is durable. */
static void on_fatal(void *ctx, const struct error *why)
{
    char line[ERROR_TEXT_MAX + 64];
    snprintf(line, sizeof line, "fatal error=\"%s\"", why->text);
    write_line(node_of(ctx)->settings.replica.id, line);
    _exit(EXIT_FAILURE);
}

static int open_http(struct quorate *node, struct error *e)
{
    const struct options *o = &node->options;
    struct http_server_config config = {
        .loop = &node->loop,
        .address = options_text(o, OPTION_http),
        .ctx = node->api,
        .gate = api_gate,
        .prepare = api_prepare,
        .sink = api_sink,
        .connections_max = (unsigned)options_number(o, OPTION_connections_max),
        .pipeline_max = HTTP_PIPELINE_MAX,
        .head_max = HTTP_HEAD_MAX,
        .body_max = (size_t)options_number(o, OPTION_request_max),
        .output_max = (size_t)SETTINGS_RESULT_MAX * 2,
        .memory_max = (size_t)options_number(o, OPTION_http_memory),
        .head_ms = HTTP_HEAD_MS,
        .body_ms = HTTP_BODY_MS,
        .idle_ms = (uint64_t)options_number(o, OPTION_idle),
        .write_ms = HTTP_WRITE_MS,
    };
    int rv;

    config.routes = api_routes(&config.route_count);
    rv = http_server_open(&config, &node->http, e);
    if (rv == 0) {
        node->http_port = http_server_port(node->http);
        http_server_metrics(node->http, &node->metrics);
    }
    return rv;
}

/* How clients reach the HTTP door. */
static void put_api_address(const struct options *o, char to[PEERS_ADDRESS_MAX + 1])
{
    const char *advertise = options_text(o, OPTION_http_advertise), *http = options_text(o, OPTION_http);
    bool given = advertise[0] != 0 || http[0] == 0;

    snprintf(to, PEERS_ADDRESS_MAX + 1, "%s%s", given ? "" : "http://", given ? advertise : http);
}

/* A new machine is let into its cluster: what it was told becomes part of the replica's configuration. */
static int join_cluster(struct quorate *node, int cancel_fd, const char *api, struct error *e)
{
    struct joining_config config = {
        .loop = &node->loop,
        .env = env_uv_env(node->env),
        .settings = &node->settings,
        .api_address = api,
        .timeout_ms = (uint64_t)options_number(&node->options, OPTION_join_timeout),
        .say_ms = JOIN_SAY_MS,
        .cancel_fd = cancel_fd,
        .log = on_log,
        .ctx = node,
    };
    struct replica_config *replica = &node->settings.replica;
    int rv = joining_run(&config, &node->joined, &replica->incarnation, e);

    if (rv == 0) {
        replica->id = node->joined.id;
        replica->joined = &node->joined;
    }
    return rv;
}

static int open_replica(struct quorate *node, int cancel_fd, struct error *e)
{
    const struct settings *settings = &node->settings;
    char api[PEERS_ADDRESS_MAX + 1];
    struct replica_config config;
    int rv = 0;

    put_api_address(&node->options, api);
    if (settings->joins > 0) {
        rv = join_cluster(node, cancel_fd, api, e);
    } else if (options_text(&node->options, OPTION_join)[0] != 0) {
        on_log(node, "join_ignored why=\"joined already\"");
    }
    if (rv != 0) {
        return rv;
    }
    config = settings->replica;
    config.env = env_uv_env(node->env);
    config.api_address = api;
    config.log = on_log;
    config.fatal = on_fatal;
    config.ctx = node;
    rv = replica_open(&config, &node->replica, e);
    if (rv == 0) {
        node->settings.replica.id = replica_id(node->replica);
    }
    return rv == 0 && settings->joins > 0 ? birth_forget(config.env, config.dir, e) : rv;
}

/* Ending, on the loop: the doors first, then the replica, then the world. */

static void on_env_closed(void *ctx)
{
    (void)ctx; /* nothing is left in the loop: it ends */
}

static void on_replica_stopped(void *ctx)
{
    struct quorate *node = node_of(ctx);
    api_free(node->api);
    backups_free(node->backups);
    replica_free(node->replica);
    env_uv_close(node->env, on_env_closed, node);
}

/* Who is in the door's queue is answered by the replica before it has stopped; nobody may come after that. */
static void stop_replica(struct quorate *node)
{
    door_close(&node->door);
    replica_stop(node->replica, on_replica_stopped);
}

static void on_backups_stopped(void *ctx)
{
    stop_replica(node_of(ctx));
}

static void stop_backups(struct quorate *node)
{
    if (node->backups == NULL || backups_stop(node->backups, on_backups_stopped, node)) {
        stop_replica(node);
    }
}

static void on_http_closed(void *ctx)
{
    struct quorate *node = node_of(api_owner(ctx));
    node->http = NULL;
    stop_backups(node);
}

static void on_stop(struct door_visit *visit)
{
    struct quorate *node = CONTAINER_OF(visit, struct quorate, stop);
    if (node->http != NULL) {
        http_server_close(node->http, HTTP_GRACE_MS, on_http_closed);
    } else {
        stop_backups(node);
    }
}

static void run_loop(void *arg)
{
    struct quorate *node = node_of(arg);
    uv_run(&node->loop, UV_RUN_DEFAULT);
}

static void put_status(void *ctx, struct json *j)
{
    struct quorate *node = node_of(ctx);
    if (node->backups != NULL) {
        backups_put_status(node->backups, j);
    }
}

static int open_backups(struct quorate *node, struct error *e)
{
    const struct options *o = &node->options;
    struct backups_config config = {
        .env = env_uv_env(node->env),
        .replica = node->replica,
        .dir = options_text(o, OPTION_backup_dir),
        .every_ms = (uint64_t)options_number(o, OPTION_backup_every),
        .keep = (unsigned)options_number(o, OPTION_backup_keep),
        .leader = options_number(o, OPTION_backup_leader) != 0,
        .log = on_log,
        .ctx = node,
    };
    int rv = config.every_ms > 0 ? backups_new(&config, &node->backups, e) : 0;

    if (node->backups != NULL) {
        backups_metrics(node->backups, &node->metrics);
    }
    return rv;
}

static int make_parts(struct quorate *node, int cancel_fd, struct error *e)
{
    struct env_uv_config config = {
        .loop = &node->loop,
        .readers = (unsigned)options_number(&node->options, OPTION_readers),
        .no_io_uring = options_number(&node->options, OPTION_io_uring) == 0,
    };
    int rv = env_uv_new(&config, &node->env, e);

    if (rv == 0) {
        rv = open_replica(node, cancel_fd, e);
    }
    if (rv == 0) {
        struct api_config api = {
            .replica = node->replica,
            .env = env_uv_env(node->env),
            .metrics = &node->metrics,
            .request_timeout_ms = node_request_timeout_ms(node),
            .command_max = (uint64_t)options_number(&node->options, OPTION_request_max),
            .log = on_log,
            .put_status = put_status,
            .ctx = node,
        };
        rv = api_new(&api, &node->api, e);
    }
    /* The doors first: a node that cannot open them must not disturb the others by a short visit. */
    if (rv == 0 && options_text(&node->options, OPTION_http)[0] != 0) {
        rv = open_http(node, e);
    }
    if (rv == 0) {
        rv = replica_start(node->replica, e);
    }
    if (rv == 0) {
        replica_metrics(node->replica, &node->metrics);
        rv = open_backups(node, e);
    }
    return rv;
}

static void forget(struct quorate *node)
{
    explicit_bzero(&node->settings, sizeof node->settings);
    options_close(&node->options);
    node->magic = 0;
    free(node);
}

static void node_free(struct quorate *node)
{
    door_destroy(&node->door);
    uv_loop_close(&node->loop);
    forget(node);
}

/* What was opened before a part failed is closed as at a stop, on this thread. */
static void undo(struct quorate *node)
{
    if (node->replica != NULL) {
        on_stop(&node->stop);
    } else {
        door_close(&node->door);
        if (node->env != NULL) {
            env_uv_close(node->env, on_env_closed, node);
        }
    }
    uv_run(&node->loop, UV_RUN_DEFAULT);
    node_free(node);
}

int node_start(const struct options *options, int cancel_fd, struct quorate **ret_node, struct error *e)
{
    struct quorate *node = calloc(1, sizeof *node);
    int rv;

    if (node == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for a node");
    }
    node->magic = NODE_MAGIC;
    node->stop.enter = on_stop;
    metrics_init(&node->metrics);
    rv = options_copy(options, &node->options, e);
    if (rv == 0) {
        rv = settings_make(&node->options, &node->settings, e);
    }
    if (rv == 0 && uv_loop_init(&node->loop) != 0) {
        rv = error_set(e, Q_NOMEM, "the event loop cannot be made");
    }
    if (rv != 0) {
        forget(node);
        return rv;
    }
    rv = door_open(&node->door, &node->loop, e);
    if (rv != 0) {
        uv_loop_close(&node->loop);
        forget(node);
        return rv;
    }
    rv = make_parts(node, cancel_fd, e);
    if (rv == 0 && uv_thread_create(&node->thread, run_loop, node) != 0) {
        rv = error_set(e, Q_NOMEM, "the loop's thread cannot be started");
    }
    if (rv != 0) {
        undo(node);
        return rv;
    }
    *ret_node = node;
    return 0;
}

void node_stop(struct quorate *node)
{
    node_visit(node, &node->stop);
    uv_thread_join(&node->thread);
    node_free(node);
}

int node_http_port(const struct quorate *node)
{
    return node->http_port;
}

uint64_t node_request_timeout_ms(const struct quorate *node)
{
    return (uint64_t)options_number(&node->options, OPTION_request_timeout);
}

bool node_visit(struct quorate *node, struct door_visit *visit)
{
    return door_push(&node->door, visit);
}

struct replica *node_replica(struct quorate *node)
{
    return node->replica;
}
