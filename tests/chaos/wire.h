/* wire: what the way from one machine to another does to packets, in one direction. Every decision follows
 * from the seed, the wire and the number of the packet on it. It does not know time, nor who sends what.
 *
 * A corrupted packet has one bit of its TCP payload turned over and a checksum that is right again, as after
 * a router with bad memory: nothing below the application can see it. */
#ifndef QUORATE_TESTS_CHAOS_WIRE_H
#define QUORATE_TESTS_CHAOS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As good as new: all zero. */
struct wire {
    bool cut;                      /* nothing comes through */
    bool held;                     /* nothing comes through yet */
    unsigned delay_us, jitter_us;  /* jitter reorders */
    unsigned loss, twice, corrupt; /* of a million packets */
    unsigned bytes_per_s;          /* 0: as fast as may be */
};

struct fate {
    bool lost, twice, corrupt;
    uint64_t delay_us[2]; /* of the packet and of its copy */
    uint64_t where;       /* which bit is turned over */
};

/* Both troubles on one way. */
struct wire wire_join(const struct wire *a, const struct wire *b);
/* Of packet NUMBER from FROM to TO. */
struct fate wire_fate(const struct wire *w, uint64_t seed, unsigned from, unsigned to, uint64_t number);
/* Turns over one bit of the payload of an IPv4 packet with TCP; others stay as they are. */
void wire_corrupt(uint8_t *packet, size_t len, uint64_t where);

#endif
