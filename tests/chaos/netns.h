/* netns: a network namespace of our own, with one TUN device in it whose packets this program reads and
 * writes. It does not know where the packets go.
 *
 * The namespace has no name: it lives as long as somebody is in it or holds its descriptor, and the device as
 * long as its own. So nothing is left behind, however the program ends. */
#ifndef QUORATE_TESTS_CHAOS_NETNS_H
#define QUORATE_TESTS_CHAOS_NETNS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct netns {
    int fd;  /* the namespace */
    int tun; /* its device; reads do not block */
    uint32_t address;
};

/* All addresses are in one /24, so that each namespace reaches all others through its device. ADDRESS is in
 * host byte order. Errors: Q_IO, also where namespaces or /dev/net/tun are not permitted. */
int netns_open(struct netns *ret_ns, uint32_t address, struct error *e);
void netns_close(struct netns *ns);
/* Moves the calling thread, and nobody else, into it. */
int netns_enter(const struct netns *ns, struct error *e);

#endif
