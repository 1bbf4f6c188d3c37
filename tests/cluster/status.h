/* status: what a node says of itself in /status, as numbers. It does not know how nodes are started. */
#ifndef QUORATE_TESTS_CLUSTER_STATUS_H
#define QUORATE_TESTS_CLUSTER_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/cluster/http_client.h"

struct status {
    bool ready, leads, removed, disk_full;
    uint64_t disk_ballast;
    uint64_t id, term, leader, log_first, log_last, commit, applied, compacted;
    char digest[64];
};

/* False if the node does not answer in time. */
bool status_ask(struct http_client *client, const struct deadline *deadline, struct status *ret_status);

#endif
