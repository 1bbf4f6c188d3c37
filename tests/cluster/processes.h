/* processes: the nodes of one cluster as real quorated processes on loopback, in a fresh temporary directory.
 * It does not know what is asked of them.
 *
 * Every port is bound, and stays bound, by a socket of ours that never listens: the node can listen on it as
 * well (both set SO_REUSEADDR), and nobody else is ever given it, also while the node is down. So tests run
 * beside each other without fixed ports and without luck.
 *
 * Main thread only, but for processes_http(). Functions that wait fail the test when the wait is in vain, or
 * when a node that should run has ended. */
#ifndef QUORATE_TESTS_CLUSTER_PROCESSES_H
#define QUORATE_TESTS_CLUSTER_PROCESSES_H

#include "tests/cluster/process.h"
#include "tests/cluster/status.h"

enum {
    PROCESSES_MAX = 7,
    PROCESSES_WAIT_MS = 30000,   /* for what takes well under a second on a machine that is not busy */
    PROCESSES_ELECTION_MS = 300, /* the default of --election-timeout */
};

#define PROCESSES_SECRET "a secret of the cluster tests 0123456789"

struct node {
    uint64_t id;
    bool up;   /* it should run now */
    bool gone; /* it is no member any more, or not yet: nobody waits for it or looks into it */
    struct process process;
    int reserved[2]; /* sockets that hold the two ports */
    struct sockaddr_in peer, http;
    char dir[PROCESS_PATH_MAX];
    struct http_client client; /* for the main thread's questions */
};

struct processes {
    char dir[PROCESS_PATH_MAX / 2];
    char members[256];
    unsigned count;
    struct node node[PROCESSES_MAX];
};

/* Three nodes with ids 1 to 3, prepared but not started. OPTIONS are further arguments of each, up to a NULL;
 * may be NULL. */
void processes_init(struct processes *ps, const char *const *options);
/* One more node of its own, not a member of the others' list: what it is, the test says by arguments.
 * Prepared with log and directory, --http and an unused peer port. Returns its place. */
unsigned processes_add(struct processes *ps, uint64_t id);
/* One more node that is to join, as COUNT of processes_init() have: prepared, and gone until it is started
 * with processes_join(). ID 0: whichever it gets. OPTIONS as there. Add them before there is a load, which
 * knows the ports of all. Returns its place. */
unsigned processes_add_joiner(struct processes *ps, uint64_t id, const char *const *options);
/* Starts a joiner, which asks all other nodes; waits until it is ready. */
void processes_join(struct processes *ps, unsigned i);
/* Node I is no member any more: it is killed, if it runs. */
void processes_retire(struct processes *ps, unsigned i);
/* Starts all that do not run and waits until all are ready. */
void processes_start(struct processes *ps);
/* All running nodes stop as SIGTERM asks them to, with exit status 0; the directory is removed. */
void processes_finish(struct processes *ps);
/* After a failed test: shows the end of each log, kills what runs, and leaves the directory. */
void processes_abandon(struct processes *ps);

/* One node; I is its place, from 0. */
void processes_start_one(struct processes *ps, unsigned i);
void processes_kill(struct processes *ps, unsigned i);
void processes_pause(struct processes *ps, unsigned i);
void processes_resume(struct processes *ps, unsigned i);
/* SIGTERM; exit status 0 is demanded. */
void processes_stop(struct processes *ps, unsigned i);

/* Ready: it knows a leader and has applied an entry of its term. */
void processes_wait_ready(struct processes *ps, unsigned i);
/* Waits until one of those that run says that it leads and is ready, and returns its place. */
unsigned processes_leader(struct processes *ps);
/* A node that runs, is not paused, and is not AVOID. */
unsigned processes_other(const struct processes *ps, unsigned avoid);
/* False if it does not answer within a moment. */
bool processes_status(struct processes *ps, unsigned i, struct status *ret_status);
/* Fails the test if a node that should run has ended. */
void processes_check_alive(struct processes *ps);

#endif
