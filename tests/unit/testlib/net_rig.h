/* net_rig: a client and a server on two simulated nodes, which write down all that they are told. */
#ifndef QUORATE_TESTS_NET_RIG_H
#define QUORATE_TESTS_NET_RIG_H

#include "tests/lib/sim.h"
#include "tests/unit/test.h"

enum { SECOND = 1000000, SEEDS = 100, HEARD_MAX = 512 * 1024 };

/* One end of a connection. */
struct end {
    struct env *env;
    struct env_conn *conn; /* NULL after closed() */
    unsigned opened, drained, closed, pieces;
    enum error_code why; /* Q_OK: closed by this side */
    char why_text[ERROR_TEXT_MAX];
    uint8_t heard[HEARD_MAX];
    size_t n_heard;
};

/* For ends that a test connects itself. */
extern const struct env_conn_callbacks end_callbacks;

/* The client is on node 0. The server on node 1 listens at "n2:1" and takes one connection at a time. */
struct pair {
    struct sim *sim;
    struct sim_node *node[2];
    struct env *env[2];
    struct env_listener *listener;
    struct end client, server;
    bool refuse; /* the server closes what it is offered */
};

/* The client has dialled. */
struct pair *pair_new(uint64_t seed);
/* The connection is open. */
struct pair *pair_connected(uint64_t seed);
void pair_free(struct pair *p);
/* Boots node 1 and listens. */
void server_start(struct pair *p);
void client_dial(struct pair *p, const char *address);
void accept_for_pair(void *owner, struct env_conn *conn);
void run_for(struct pair *p, uint64_t us);

/* A unit of 8 bytes. */
void send_number(struct end *end, uint64_t number);
/* The I-th number that arrived. */
uint64_t heard(const struct end *end, size_t i);
/* 0 to N - 1 and nothing else. */
void assert_heard_in_order(const struct end *end, size_t n);

#endif
