/* intruder: one end of a raw connection to a station, on a simulated node of its own, which can say anything,
 * also a correct handshake. For the tests of cluster/. */
#ifndef QUORATE_TESTS_INTRUDER_H
#define QUORATE_TESTS_INTRUDER_H

#include "cluster/frame.h"
#include "cluster/handshake.h"
#include "tests/unit/cluster/station.h"

enum { INTRUDER_FRAMES_MAX = 64 };

struct intruder {
    struct sim *sim;
    struct env *env;
    struct env_conn *conn; /* NULL before and after */
    unsigned opened, closed;
    uint64_t closed_us; /* when */
    struct handshake_self self;
    struct handshake handshake;
    bool shakes;         /* takes part in the handshake by itself, until it is done */
    bool closes_refused; /* closes when it is refused, as it ought to */
    bool refused;
    struct frame_decoder decoder;
    size_t n_frames; /* received after the handshake, or all if it takes no part in one */
    struct {
        uint8_t type, flags;
        size_t len;
    } frames[INTRUDER_FRAMES_MAX];
};

/* ENV is of a running node. It calls itself node ID of the stations' cluster and knows their secret. */
void intruder_init(struct intruder *i, struct sim *sim, struct env *env, uint64_t id);
void intruder_free(struct intruder *i);

/* Connects and, if it shakes, wants to reach node 1. */
void intruder_dial(struct intruder *i, const char *address);
/* Takes the connection in an accepted() callback. */
void intruder_accept(struct intruder *i, struct env_conn *conn);
void intruder_send(struct intruder *i, const void *bytes, size_t n);
void intruder_send_frame(struct intruder *i, uint8_t type, uint8_t flags, const void *body, size_t n);
void intruder_close(struct intruder *i);
bool intruder_is_in(const struct intruder *i);

#endif
