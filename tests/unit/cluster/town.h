/* town: a cluster whose members come and go, on simulated machines. For the tests of cluster/: what operators
 * and new machines do, and what the replicas say about it. */
#ifndef QUORATE_TESTS_TOWN_H
#define QUORATE_TESTS_TOWN_H

#include "cluster/join.h"
#include "cluster/replica_impl.h"
#include "tests/lib/sim.h"
#include "tests/unit/test.h"

enum { SECOND = 1000000, TOWN_HOUSES = 8, TOWN_ELECTION_MS = 300, TOWN_PUTS = 256, TOWN_TRIES = 16 };

struct town;
struct town_try;

/* A machine. House I is called "hI", its peers' port is "hI:7000" until it moves. */
struct house {
    struct town *town;
    struct sim_node *machine;
    struct replica *replica; /* NULL: nothing runs, or it still asks to be let in */
    struct join *join;
    struct join_ask ask;
    struct join_answer answer; /* what it joined with; count 0: nothing */
    struct error refused;      /* why it was not let in; Q_OK: it was, or still asks */
    char address[PEERS_ADDRESS_MAX + 1];
    char said[65536]; /* the operator's log, one line each */
    bool broken;
    const char *cluster_name; /* that it asks for; NULL: the town's */
    bool foreign_keys;
    bool quiet; /* it is started without a word about where it is */
};

struct town {
    struct sim *sim;
    unsigned founders;
    struct peers_member first[TOWN_HOUSES];
    struct house houses[TOWN_HOUSES + 1]; /* from 1 */
    unsigned voters;                      /* target; 0: the default */
    uint64_t put;                         /* keys that were ever written or tried */
    uint64_t acknowledged;                /* how many were */
    bool known[TOWN_PUTS];                /* key I was acknowledged */
    struct town_try *tries[TOWN_TRIES];
};

/* Houses 1 to FOUNDERS run as one cluster. */
void town_init(struct town *t, uint64_t seed, unsigned founders);
void town_close(struct town *t);

/* Starts a machine that knows its own address, the secret, and where AT is; ID 0: any; REPLACES 0: nobody. It
 * asks until it is answered, then runs. */
void house_join(struct house *h, const struct house *at, uint64_t id, uint64_t replaces);
/* The same as the directory INCARNATION, which asked before. */
void house_join_as(struct house *h, const struct house *at, uint64_t id, uint64_t replaces,
                   uint64_t incarnation);
/* Starts what is on the disk; no list of members is given. */
void house_restart(struct house *h);
/* kill -9 */
void house_kill(struct house *h);
uint64_t house_id(const struct house *h);
struct replica_status house_status(const struct house *h);
bool house_said(const struct house *h, const char *what);
/* Runs until it is not let in, for this reason. */
void house_expect_refused(struct house *h, enum error_code code, const char *text);

/* Runs until EXPRESSION, at most 60 s of virtual time. */
#define TOWN_UNTIL(t_, expression)                                                                           \
    do {                                                                                                     \
        uint64_t deadline_ = sim_now_us((t_)->sim) + 60 * (uint64_t)SECOND;                                  \
        while (!(expression) && sim_now_us((t_)->sim) < deadline_ && sim_step((t_)->sim)) {                  \
        }                                                                                                    \
        assert_true(expression);                                                                             \
    } while (0)
void town_run_ms(struct town *t, uint64_t ms);
/* The house that leads in the highest term; NULL: none. */
struct house *town_leader(struct town *t);
/* Whether somebody leads, all members that it knows are as wanted, nothing waits, and all replicas that run
 * and are members have applied all and know the same. */
bool town_settled(struct town *t);
struct house *town_follower(struct town *t, unsigned n);
/* Runs until the leader says MEMBERS, and all is settled. */
void town_expect(struct town *t, const char *members);
/* What the leader's status says of its members: "1V 2V 4S 5V-": id, role, - if it does not answer. */
const char *town_members(struct town *t);

/* A write through HOUSE, acknowledged before this returns. */
void town_put(struct town *t, struct house *h);
/* One attempt, whose answer does not matter; NULL: none. At most TOWN_TRIES at once. */
void town_try_put(struct town *t, struct house *h);
/* Every write that was acknowledged is there on all members that run. */
void town_expect_all_there(struct town *t);

/* A wish through HOUSE: its outcome, "done", or "conflict: why". */
const char *town_change(struct town *t, struct house *h, enum replica_verb verb, uint64_t id, uint64_t with,
                        const char *address);

#endif
