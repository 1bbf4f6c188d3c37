/* bench: puts and gets of a cluster, as fast as its clients can or at a given rate: each has a connection of
 * its own and one request under way. It does not know how its settings were given nor how its result is
 * shown. */
#ifndef QUORATE_NODE_CLI_BENCH_H
#define QUORATE_NODE_CLI_BENCH_H

#include "base/metrics.h"
#include "node/cli/endpoints.h"

enum { BENCH_PIDS_MAX = 64 };

struct bench_plan {
    const struct endpoints *endpoints;
    bool spread;      /* clients over all endpoints, else all at the first */
    unsigned clients; /* 1 to WIRE_CONNECTIONS_MAX */
    unsigned put_percent;
    unsigned keys, value_size;
    unsigned rate; /* requests a second, at even intervals; 0: as many as go. Then latency counts from when a
                      request was due, so that what waits behind a pause is not left out */
    uint64_t warmup_ms, duration_ms, timeout_ms; /* timeout: of one request */
    const char *ns, *level;
    int pids[BENCH_PIDS_MAX]; /* of the nodes, for their CPU time */
    unsigned pid_count;
};

struct bench_result {
    uint64_t puts, gets, errors;
    uint64_t elapsed_us;
    struct histogram latency; /* of what succeeded, as are the rest */
    uint64_t max_us, longest_gap_us;
    uint64_t client_cpu_us, nodes_cpu_us;
    char first_error[200];
};

/* Fills the keys if there are gets, warms up, measures. Errors: as wire_new(); Q_NO_LEADER if the keys could
 * not be filled. RET_RESULT is large: not for a small stack. */
int bench_run(const struct bench_plan *plan, struct bench_result *ret_result, struct error *e);

#endif
