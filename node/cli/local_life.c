#include "node/cli/local_life.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "node/cli/clock.h"
#include "node/cli/process.h"

enum { SAY_AFTER_MS = 2000, STOP_MS = 10000, KILL_MS = 5000, LOOK_EVERY_MS = 5 };

int local_load(const struct args *a, struct local_cluster *ret_cluster, struct error *e)
{
    const char *dir = args_text(a, "dir");
    return dir != NULL ? local_cluster_load(dir, ret_cluster, e)
                       : error_set(e, Q_INVALID, "--dir is missing");
}

int local_load_node(const struct args *a, struct local_cluster *ret_cluster,
                    const struct local_node **ret_node, struct error *e)
{
    char *end;
    long long id = strtoll(a->words[0], &end, 10);
    int rv;

    if (end == a->words[0] || *end != 0) {
        return error_set(e, Q_INVALID, "\"%s\" is not the number of a node", a->words[0]);
    }
    rv = local_load(a, ret_cluster, e);
    if (rv == 0) {
        rv = local_cluster_node(ret_cluster, id, ret_node, e);
        if (rv != 0) {
            local_cluster_close(ret_cluster);
        }
    }
    return rv;
}

enum outcome local_outcome(int rv)
{
    return rv == 0 ? OUTCOME_DONE : rv == Q_INVALID ? OUTCOME_USAGE : OUTCOME_FAILED;
}

int local_wait_ready(const struct local_cluster *c, const bool *started, uint64_t limit_ms, struct error *e)
{
    uint64_t begin = clock_ms();
    bool said = false;

    for (unsigned i = 0; i < c->count;) {
        bool ready = !started[i];
        int rv = ready ? 0 : local_node_ready(c, &c->nodes[i], &ready, e);

        if (rv != 0) {
            return rv;
        }
        if (ready) {
            i++;
            continue;
        }
        if (clock_ms() - begin > limit_ms) {
            return error_set(e, Q_TIMEOUT, "node %u is not ready after %.1f s (see %s)", c->nodes[i].id,
                             (double)limit_ms / 1000, c->nodes[i].log);
        }
        if (!said && clock_ms() - begin > SAY_AFTER_MS) {
            fprintf(stderr, "waiting for node %u to be ready ...\n", c->nodes[i].id);
            said = true;
        }
        clock_pause(LOOK_EVERY_MS);
    }
    return 0;
}

static int end_process(int fd, unsigned id, struct error *e)
{
    process_signal(fd, SIGKILL, NULL);
    return process_wait_end(fd, KILL_MS) ? 0 : error_set(e, Q_TIMEOUT, "node %u does not end", id);
}

int local_stop_node(const struct local_cluster *c, const struct local_node *node, bool *ret_ran,
                    struct error *e)
{
    pid_t pid;
    int fd, rv = local_node_find(c, node, &pid, &fd, e);

    *ret_ran = rv == 0;
    if (rv != 0) {
        return rv == Q_NOT_FOUND ? 0 : rv;
    }
    rv = process_signal(fd, SIGTERM, e);
    process_signal(fd, SIGCONT, NULL); /* it may be paused */
    if (rv == 0 && !process_wait_end(fd, STOP_MS)) {
        fprintf(stderr, "node %u did not stop within %d s: killed\n", node->id, STOP_MS / 1000);
        rv = end_process(fd, node->id, e);
    }
    close(fd);
    return rv;
}
