/* world: a handful of servers in virtual time, a network and disks that misbehave, and an eye on what must
 * hold. All chance comes from one seed. A breach prints the seed and aborts. */
#ifndef QUORATE_TEST_WORLD_H
#define QUORATE_TEST_WORLD_H

#include "base/rng.h"
#include "tests/unit/raft_glue/server.h"

enum { WORLD_NODES = 5, WORLD_POSTS = 1 << 14, WORLD_ENTRIES = 1 << 14, WORLD_TERMS = 1 << 12 };

struct world_node {
    struct server server;
    bool exists, up;
    uint64_t wake_at, write_at, staged_at, installed_at; /* ms; 0: nothing is due */
    unsigned fetches;                                    /* seen so far */
    struct raft_snapshot_metadata image;                 /* that is being fetched, until STAGED_AT */
    uint64_t image_known_in;
    uint64_t applied;
};

/* What is known to be committed at an index: the first server to apply it says so. */
struct world_entry {
    uint64_t term, digest;
    uint64_t known_in; /* a term in which it was committed already; 0: nothing applied here yet */
};

struct world_counters {
    unsigned events, elections, crashes, partitions, changes, compactions, installs, leaps, transfers;
    uint64_t applied, hits[DRIVER_GUARDS];
};

struct world {
    uint64_t seed, now_ms;
    struct rng rng;
    struct world_node node[WORLD_NODES]; /* ids from 1 on */
    struct {
        struct letter *letter;
        uint64_t due_ms;
    } post[WORLD_POSTS];
    unsigned posts;
    bool calm; /* no faults any more */
    unsigned drop_percent, duplicate_percent, trailing_max;
    uint64_t disk_ms, fetch_ms; /* at most, usually */
    unsigned cut;               /* servers with their bit set hear only each other */
    struct world_entry entry[WORLD_ENTRIES];
    uint64_t last_applied; /* by anybody */
    uint64_t leader_of[WORLD_TERMS];
    struct world_counters counters;
};

/* One to three voters out of five servers; the others are blank. */
struct world *world_new(uint64_t seed);
void world_free(struct world *w);
/* Faults, clients and membership changes until UNTIL_MS. */
void world_storm(struct world *w, uint64_t until_ms);
/* Heals everything; a command submitted then must be applied by every member. */
void world_recover(struct world *w);

#endif
