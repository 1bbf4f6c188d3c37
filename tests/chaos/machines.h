/* machines: the nodes of one cluster: each a process of quorated in a network namespace of its own with a
 * disk that can be made to fail, two more namespaces for those who ask them, and the switch between all. It
 * does not know when to break what.
 *
 * Main thread only, but for what is said of the addresses. It moves the main thread into the namespace of the
 * watchers, whose wires are always good. */
#ifndef QUORATE_TESTS_CHAOS_MACHINES_H
#define QUORATE_TESTS_CHAOS_MACHINES_H

#include "tests/chaos/disk_faults.h"
#include "tests/chaos/tunswitch.h"
#include "tests/cluster/process.h"
#include "tests/cluster/status.h"

#define MACHINES_SECRET "a secret of the chaos tests 0123456789"

enum { MACHINES_MAX = 5, MACHINES_PATH_MAX = 200, MACHINES_HTTP_PORT = 4001 };

struct machine {
    uint64_t id;
    char dir[MACHINES_PATH_MAX], log[MACHINES_PATH_MAX];
    struct process process;
    struct disk_faults disk;
    struct sockaddr_in http; /* any thread, once they are open */
    bool up;                 /* it was started, and nobody has ended it since */
    bool by_thread;          /* its log writes pass the shim */
};

struct machines {
    char dir[MACHINES_PATH_MAX];
    unsigned count;
    struct machine machine[MACHINES_MAX];
    struct netns ports[TUNSWITCH_PORTS]; /* the nodes', then the clients' and the watchers' */
    struct tunswitch *network;
};

struct machines_config {
    unsigned count;
    uint64_t seed;
    const char *quorated, *shim;
    const char *plant; /* QUORATE_PLANT of the nodes; NULL: none */
};

/* A fresh directory, namespaces and the switch; no node runs. Errors: Q_IO, also where it is not permitted.
 */
int machines_open(struct machines *ms, const struct machines_config *config, struct error *e);
/* Ends all. Files stay. */
void machines_close(struct machines *ms);
void machines_remove_files(const struct machines *ms);

/* The place of the clients' namespace on the wires. */
unsigned machines_clients(const struct machines *ms);
void machines_start(struct machines *ms, unsigned i);
void machines_kill(struct machines *ms, unsigned i);
/* True if it has ended though nobody ended it; then it is not up any more. RET_STATUS as process_wait(). */
bool machines_has_ended(struct machines *ms, unsigned i, int *ret_status);
/* The last line that it said: returned, terminated; free(). */
char *machines_last_words(const struct machines *ms, unsigned i);

#endif
