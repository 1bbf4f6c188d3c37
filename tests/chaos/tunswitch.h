/* tunswitch: the network between the machines: one thread that reads the packets of all their TUN devices and
 * delivers them as the wires say. It does not know what is in them but for the addresses.
 *
 * This kernel has no netem; this does more: each direction between two machines has a wire of its own
 * (wire.h). A wire that is cut also loses what is on its way; one that is held delivers everything when it is
 * let go. */
#ifndef QUORATE_TESTS_CHAOS_TUNSWITCH_H
#define QUORATE_TESTS_CHAOS_TUNSWITCH_H

#include "tests/chaos/netns.h"
#include "tests/chaos/wire.h"

enum { TUNSWITCH_PORTS = 8 };

struct tunswitch;

struct wires {
    struct wire from_to[TUNSWITCH_PORTS][TUNSWITCH_PORTS];
};

struct tunswitch_counts {
    uint64_t delivered, lost, twice, corrupted, held;
};

/* The namespaces are kept: their place in PORTS is their number on the wires. All wires are as new. */
struct tunswitch *tunswitch_new(const struct netns *ports, unsigned count, uint64_t seed);
void tunswitch_free(struct tunswitch *s);
/* Any thread. Copied. */
void tunswitch_set(struct tunswitch *s, const struct wires *wires);
struct tunswitch_counts tunswitch_counts(struct tunswitch *s);

#endif
