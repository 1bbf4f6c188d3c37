/* members: a group of real consensus members on simulated machines, with a network that delivers everything
 * in order but for what the test cuts. */
#ifndef QUORATE_TESTS_MEMBERS_H
#define QUORATE_TESTS_MEMBERS_H

#include "raft_glue/consensus.h"
#include "tests/lib/sim.h"
#include "tests/unit/test.h"

enum { MEMBERS_MAX = 5, MEMBERS_ELECTION_MS = 300, MEMBERS_HEARTBEAT_MS = 75 };

struct member {
    struct members *all;
    struct sim_node *node;
    struct env *env;
    struct consensus *c; /* NULL: switched off */
    struct consensus_config config;
    struct log_report report;
    uint64_t id, sent; /* messages given to the network */
    bool cut;          /* nothing comes or goes */
    bool deaf;         /* does not hear the core's messages, only those of reads */
    bool quiet;        /* changed() must not come now */
    unsigned changes, fatals;
    struct error fatal;
    void (*on_changed)(struct member *);
};

struct members {
    struct sim *sim;
    unsigned count;
    struct consensus_server servers[MEMBERS_MAX];
    struct member member[MEMBERS_MAX + 1]; /* from 1 */
    struct list letters;
};

/* COUNT machines with the directory "data" and the ids 1 to COUNT; nothing is opened. */
void members_init(struct members *m, unsigned count);
void members_close(struct members *m);

/* consensus_open() and consensus_start() with an empty database; fails the test if they do. */
void member_start(struct member *member);
void members_start(struct members *m);
int member_open(struct member *member, struct error *e);
/* Power loss, then a fresh process without a consensus. */
void member_crash(struct member *member);

void members_run_ms(struct members *m, uint64_t ms);
/* Runs until there is a leader with an entry of its own term committed, and returns it. */
struct member *members_leader(struct members *m);
/* Runs until EXPRESSION, at most 30 s of virtual time. */
#define MEMBERS_UNTIL(m_, expression)                                                                        \
    do {                                                                                                     \
        uint64_t deadline_ = sim_now_us((m_)->sim) + 30 * UINT64_C(1000000);                                 \
        while (!(expression) && sim_now_us((m_)->sim) < deadline_ && sim_step((m_)->sim)) {                  \
        }                                                                                                    \
        assert_true(expression);                                                                             \
    } while (0)

/* The next bytes on their way from FROM to TO that begin with KIND; NULL if there are none. Borrowed. */
const uint8_t *members_letter(struct members *m, uint64_t from, uint64_t to, uint8_t kind, size_t *ret_len);

/* Submits N entries of LEN bytes; they must be taken. */
void member_submit(struct member *member, unsigned n, uint32_t len);

/* A read that writes down its end. */
struct member_read {
    struct consensus_read read;
    unsigned done;
    enum error_code code;
    uint64_t index;
};
void member_read(struct member *member, struct member_read *read);

#endif
