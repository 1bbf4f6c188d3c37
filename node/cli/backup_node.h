/* backup_node: a node as what a backup is made from: it is chosen, takes an image, and gives the manifest and
 * the chunks that are missing. It does not know where a backup goes. */
#ifndef QUORATE_NODE_CLI_BACKUP_NODE_H
#define QUORATE_NODE_CLI_BACKUP_NODE_H

#include "node/cli/client.h"
#include "node/cli/progress.h"
#include "snapshots/backup.h"

struct backup_node {
    struct client *client; /* kept */
    char url[ENDPOINT_MAX];
    uint64_t id;
    bool leads;
    uint64_t bytes_fetched;
    uint64_t index; /* what was committed when it was chosen: a backup holds it */
};

/* A follower that lags by no more than this is not far behind. */
enum { BACKUP_NODE_LAG_MAX = 10000 };

/* Whether FROM is what backup_node_choose() takes. Q_INVALID. */
int backup_node_check(const char *from, struct error *e);
/* FROM is "follower", "leader", "any" (a follower, else the leader), or the URL of a node. Only a node that
 * is ready serves, and a follower only if it is not far behind; of several the one that is furthest. Errors:
 * Q_INVALID what FROM is; Q_NO_LEADER nobody answers; Q_NOT_FOUND there is no such node, and why. */
int backup_node_choose(struct client *client, const char *from, struct backup_node *ret_node,
                       struct error *e);
/* Has it take an image of all that it has applied, for up to TIMEOUT_MS, and reads the manifest, which is the
 * caller's to close. Errors: Q_TIMEOUT, Q_CORRUPT, what the node refuses, as client_call(). */
int backup_node_take(struct backup_node *node, uint64_t timeout_ms, struct manifest *ret_manifest,
                     struct error *e);
/* Fetches what BACKUP lacks of the manifest that it was begun with, several chunks at once. One that comes
 * damaged is asked for again. Errors: Q_CORRUPT it stays so; Q_NOT_FOUND the node does not keep the image any
 * more; Q_NO_LEADER, Q_UNKNOWN the node does not answer for TIMEOUT_MS; as backup_put(). */
int backup_node_fetch(struct backup_node *node, const struct manifest *manifest, struct backup *backup,
                      uint64_t timeout_ms, struct progress *progress, struct error *e);

#endif
