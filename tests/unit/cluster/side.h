/* side: one end of a handshake without a network: messages are carried by hand. For the tests of cluster/. */
#ifndef QUORATE_TESTS_SIDE_H
#define QUORATE_TESTS_SIDE_H

#include "base/rng.h"
#include "cluster/handshake.h"
#include "tests/unit/test.h"

/* One node's side: what it knows of itself, and whom it admitted. */
struct side {
    struct handshake_self self;
    uint64_t members[4];
    uint64_t admitted_id, admitted_incarnation;
    bool full;                    /* admit refuses */
    struct peers_life own, seen;  /* what it describes */
    struct peers_life heard, met; /* what check and met were given */
    bool stale;                   /* check refuses */
    uint64_t gone, gone_at;       /* a member that was removed, and the index of that */
    uint64_t told_by, told_at;    /* who told this one that it was removed */
    uint64_t introduced;          /* who introduced itself, and where it is */
    char introduced_at[PEERS_ADDRESS_MAX + 1];
    struct handshake h;
    struct error why;
};

/* Node ID, whose members are 1, 2 and 3. */
void side_init(struct side *s, uint64_t id);
/* A new handshake with the next nonce from RNG. */
void side_begin(struct side *s, struct rng *rng, enum handshake_role role, uint64_t wanted);
/* S takes the frame in IN and puts its answer into OUT; what handshake_receive() returned. */
int side_deliver(struct side *s, const struct buf *in, struct buf *out);

#endif
