/* fake_replica: what cluster/replica.h promises, by one node that is always right: a real store in memory,
 * run on libuv's threads as the daemon's lanes would, or an error that the test asks for. Linked in place of
 * the real one. */
#ifndef QUORATE_TEST_FAKE_REPLICA_H
#define QUORATE_TEST_FAKE_REPLICA_H

#include <uv.h>

#include "cluster/replica.h"
#include "storage/store.h"

struct replica {
    struct env env; /* clock and timers of the loop */
    uv_loop_t *loop;
    struct store *store;
    uv_mutex_t writing;
    struct replica_status status; /* what replica_status() says; applied follows the store */
    /* What the test sets. */
    struct error fail;              /* the next requests get this error, if its code is not Q_OK */
    uint64_t served_by;             /* 0: this node */
    struct error transfer_fails;    /* leadership is not handed over, if its code is not Q_OK */
    uint64_t leader_after_transfer; /* who leads once it was; 0: no change */
    struct error wait_failed;
    struct error check_fails;   /* replica_check() returns it, if its code is not Q_OK */
    struct store_check checked; /* what a check finds */
    struct error change_fails;  /* replica_change_member() ends with it, if its code is not Q_OK */
    uint64_t change_index;      /* of the entry that decides it */
    void (*change_decided)(struct replica *r); /* called when a change is; may be NULL */
    struct member removed[2];                  /* those of them that have an id */
    /* What the test looks at. */
    unsigned submitted, formatted;
    struct replica_request seen; /* the last one's public part; its command is not kept */
    enum command_op seen_op;
    uint64_t transferred_to;
    uint64_t contacted_ms; /* the timeout of the last contact */
    uint64_t waited_for;
    /* Images of the database. What the test sets: */
    const char *snapshot_dir;               /* with manifests and chunks */
    struct error take_fails;                /* none is taken, if its code is not Q_OK */
    bool take_hangs;                        /* until fake_replica_end_takes() */
    uint64_t snapshot_index, snapshot_term; /* the one that is there */
    /* What it looks at: */
    unsigned touched, damaged;
    bool damaged_chunk; /* the last one was a chunk, not a manifest */
    struct replica_take *hanging;
    struct replica_change changed; /* the last change's public part */
    unsigned changes;
};

/* Three members, of which this one, number 1, leads. */
void fake_replica_open(struct replica *r, uv_loop_t *loop);
/* A take that hangs fails, as when the replica stops. */
void fake_replica_end_takes(struct replica *r);
/* Nothing may be under way. */
void fake_replica_close(struct replica *r);

#endif
