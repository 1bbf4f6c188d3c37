/* group: one cluster of replicas on simulated machines: the product's code, unchanged, from the disk to the
 * client's call. It does not know what clients ask nor which faults come. */
#ifndef QUORATE_TESTS_SIM_GROUP_H
#define QUORATE_TESTS_SIM_GROUP_H

#include "cluster/replica.h"
#include "tests/lib/sim.h"

enum { GROUP_MAX = 7, GROUP_ELECTION_MS = 300, GROUP_HEARTBEAT_MS = 75, GROUP_SECRET_BYTES = 28 };
#define GROUP_NAME        "simulated"
#define GROUP_API_ADDRESS "http://simulated"
extern const uint8_t group_secret[GROUP_SECRET_BYTES];

struct group;
struct newcomer;

/* A replica on its machine. A machine may be a spare one, and may become another member than it was. */
struct group_node {
    struct group *group;
    struct sim_node *machine;
    struct replica *replica;   /* NULL: switched off */
    uint64_t id, boots;        /* id 0: it is no member yet, or no more */
    char address[32];          /* of its peers' port */
    bool founder, moved;       /* it is started with a list of members; it says where it is */
    unsigned lives;            /* how often it has become another one */
    struct newcomer *newcomer; /* it joins; NULL: it has, or is a founder, or a spare */
    bool broken;               /* its replica called fatal(): it must be crashed and booted again */
    bool cut_short;            /* it lost power in the middle of an event: nobody saw what it did in it */
    bool stale;                /* its disk was put back to what it was some time ago */
    bool damaged;              /* something damaged what its disk had: it must not be believed to start */
    bool bad_pages;            /* ... or its database, which it need not notice at its start */
};

/* Who wants to know more about the nodes than what they answer. Each function may be NULL. */
struct group_watch {
    void *ctx;
    /* A node does not start. True: that is right, and it is off again; false or no function: it is a failure.
     */
    bool (*refused)(void *ctx, struct group_node *node, const struct error *why);
    void (*broke)(void *ctx, struct group_node *node); /* it called fatal() */
    void (*said)(void *ctx, struct group_node *node, const char *line);
    /* A newcomer is a member, and has been started; or it FAILED to become one, for good. */
    void (*joined)(void *ctx, struct group_node *node, const struct error *failed);
};

struct group {
    struct sim *sim;
    unsigned founders, count; /* of all machines */
    struct group_node nodes[GROUP_MAX];
    struct peers_member members[GROUP_MAX];
    /* Told when the replica of a node is about to vanish (requests to it end without an answer), and after it
     * is freed. */
    void (*vanished)(void *ctx, struct group_node *node);
    void *ctx;
    /* Optional, kept by group_init(): changes what a node is booted with. */
    void (*tune)(struct group_node *node, struct replica_config *config);
    struct group_watch watch; /* kept by group_init() */
    /* Optional, kept by group_init(): the databases are on the machines' disks, where crashes and faults find
     * them, and logs are compacted; else they are in memory and rebuilt from the whole log at each boot. */
    bool on_disk;
    bool story; /* print what happens */
    uint64_t crashes, kills, boots, fatals;
    char failure[512]; /* what went wrong that must never go wrong; empty: nothing */
};

/* COUNT machines, switched on. */
void group_init(struct group *g, struct sim *sim, unsigned count);
void group_close(struct group *g);

/* A newcomer goes on asking. */
void group_boot(struct group_node *node);
/* On a machine that is on already: the first start of a newcomer that was let in. */
void group_boot_joined(struct group_node *node);
/* One more machine, switched off, with an empty disk. */
struct group_node *group_add_spare(struct group *g);
/* Whatever is on its disk is gone, and it is a spare. It is off. */
void group_wipe(struct group_node *node);
unsigned group_number(const struct group_node *node);
/* Power loss, or kill -9. */
void group_crash(struct group_node *node);
void group_kill(struct group_node *node);
/* Whether it runs and is not stopped. */
bool group_alive(const struct group_node *node);
/* The node that leads in the highest term; NULL if none says so. */
struct group_node *group_leader(struct group *g);

/* Records the first failure and prints it. */
void group_fail(struct group *g, const char *format, ...) __attribute__((format(printf, 2, 3)));
void group_say(struct group *g, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
