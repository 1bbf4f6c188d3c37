/* packets: packets that wait for their time, the next one first. It does not know where they go. */
#ifndef QUORATE_TESTS_CHAOS_PACKETS_H
#define QUORATE_TESTS_CHAOS_PACKETS_H

#include <stddef.h>
#include <stdint.h>

enum { PACKET_MAX = 2048 };

struct packet {
    uint64_t due_us, number; /* of the same time, the lower number first */
    unsigned from, to;
    size_t len;
    uint8_t bytes[];
};

/* A heap by time; all zero is empty. */
struct packets {
    struct packet **at;
    size_t count, capacity;
};

/* The packet is given. */
void packets_put(struct packets *p, struct packet *packet);
/* Returned (caller frees) if its time has come by NOW; otherwise NULL. */
struct packet *packets_take(struct packets *p, uint64_t now_us);
/* UINT64_MAX: there is none. */
uint64_t packets_next_us(const struct packets *p);
void packets_close(struct packets *p);

#endif
