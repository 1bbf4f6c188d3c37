/* backups: the backups that a node makes by itself, at an interval, into a directory: one that all nodes see,
 * or one of its own. It does not know the command line, nor who restores them.
 *
 *             due, and this node's turn      not yet due after all, or it failed
 *     IDLE ---------------------------> LOOKING ---------------------------------------> IDLE
 *                                          | the newest backup is old enough; DIR is open and locked
 *                                          v
 *                                       TAKING    the replica takes an image, or has a fresh one
 *                                          |
 *                                          v
 *                                       COPYING   what DIR lacks of it, in steps; then the manifest
 *                                          |
 *                                          v
 *                                       PRUNING   all but the newest KEEP go
 *                                          '--> IDLE
 *
 * Every member that has a directory asks itself whether it is its turn: of the followers that are connected,
 * have room and vote, the one with the lowest id; the leader if there is none, or always if it was told so.
 * Two that see this differently for a moment make one backup too many, which costs little. What fails is
 * said, counted and tried again; it never stops the node.
 *
 * Threads: loop only; files are touched on the worker lane. */
#ifndef QUORATE_NODE_BACKUPS_H
#define QUORATE_NODE_BACKUPS_H

#include "base/metrics.h"
#include "cluster/replica.h"
#include "node/http/json.h"

struct backups;

struct backups_config {
    struct env *env;
    struct replica *replica; /* kept */
    const char *dir;         /* kept */
    uint64_t every_ms;
    unsigned keep;
    bool leader; /* the leader makes them */
    /* One line for the operator: `event key=value ...`. */
    void (*log)(void *ctx, const char *line);
    void *ctx;
};

/* What /status shows. */
struct backups_status {
    const char *dir;
    uint64_t every_ms;
    bool turn, running;                  /* this node is the one that makes them; one is being made */
    uint64_t made, failures;             /* by this node since its start */
    uint64_t last_ms;                    /* Unix time of the newest backup that is known here; 0: none */
    uint64_t last_index, last_bytes_new; /* of the last one that this node made */
    const char *error;                   /* of the last attempt; "" if it succeeded */
};

/* Errors: Q_NOMEM. */
int backups_new(const struct backups_config *config, struct backups **ret_backups, struct error *e);
/* Nothing new begins. True: nothing is under way either. Else STOPPED comes, once. */
bool backups_stop(struct backups *b, void (*stopped)(void *ctx), void *ctx);
/* After the stop, or before anything ran. NULL is fine. */
void backups_free(struct backups *b);

void backups_status(const struct backups *b, struct backups_status *ret_status);
/* The same as a key "backup" with an object. */
void backups_put_status(const struct backups *b, struct json *j);
void backups_metrics(struct backups *b, struct metrics *metrics);

/* Whether it is the turn of the node that says STATUS of itself. */
bool backups_is_turn(const struct replica_status *status, bool leader);

#endif
