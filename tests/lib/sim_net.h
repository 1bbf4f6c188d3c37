/* sim_net: the network between simulated nodes. It carries units: the bytes of one env_send(), which arrive
 * whole after a random delay. It does not know what they mean.
 *
 * Without faults a connection is TCP: in order, nothing lost, backpressure when the other process does not
 * read (SIM_NET_WINDOW bytes in flight). A cut stops everything from one node to another: units wait and go
 * on after the heal; a side whose units are not acknowledged for SIM_NET_PATIENCE_MIN_US to
 * SIM_NET_PATIENCE_MAX_US gets closed() with an error; a silent connection never notices. After a power loss
 * a machine is either answered for (connections are reset soon, new ones refused) or mute until it boots
 * (units wait as in a cut; what still waits at the boot is then answered by a reset). A process that is
 * killed says goodbye on all its connections.
 *
 * A clog is a queue somewhere on the way that does not move: units, and what the other side would hear of its
 * own, wait in order until it is undone and arrive then one after the other. Nothing is lost, and no side
 * loses patience because of it, however long it lasts; only the product's own timeouts notice.
 *
 * The fault probabilities bend this: units are then dropped, doubled or overtaken as datagrams are, except
 * the first SIM_NET_SPARED of each direction of a connection, so that handshakes pass. Corruption, as TCP's
 * checksum lets it pass now and then, spares nothing.
 *
 * An address is a name: it belongs to the node that listened there last. One that nobody ever listened on
 * refuses. */
#ifndef QUORATE_TESTS_LIB_SIM_NET_H
#define QUORATE_TESTS_LIB_SIM_NET_H

#include <stdbool.h>
#include <stdint.h>

struct sim_net;
struct sim_node;

enum {
    SIM_NET_SPARED = 4,
    SIM_NET_WINDOW = 256 * 1024,
    SIM_NET_BYTES_PER_US = 100,
    SIM_NET_PATIENCE_MIN_US = 2000000,
    SIM_NET_PATIENCE_MAX_US = 10000000,
};

/* Chances are in a million of each unit. All zero is a healthy network. */
struct sim_net_faults {
    unsigned drop, duplicate;
    unsigned reorder; /* arrives up to 50 ms late, and the following ones do not wait for it */
    unsigned corrupt; /* arrives with one to three bits flipped */
    unsigned split; /* is received in pieces, the last of them perhaps later or together with the next unit */
    uint64_t delay_min_us, delay_max_us; /* both 0: 50 to 500 */
};

/* What happened so far. */
struct sim_net_counters {
    uint64_t units, bytes; /* given to the network */
    uint64_t dropped, duplicated, reordered, split, corrupted;
    uint64_t connects, refused, timed_out, resets;
};

/* Whether anything passes from FROM to TO; the other direction is another matter. */
void sim_net_cut(struct sim_net *net, const struct sim_node *from, const struct sim_node *to, bool cut);
/* The same for a clog. */
void sim_net_clog(struct sim_net *net, const struct sim_node *from, const struct sim_node *to, bool clogged);
/* Every unit from FROM to TO takes EXTRA_US longer; 0 ends it. Units under way stay as they are. */
void sim_net_slow(struct sim_net *net, const struct sim_node *from, const struct sim_node *to,
                  uint64_t extra_us);
/* Undoes every cut and every clog; slow links stay slow. */
void sim_net_heal(struct sim_net *net);
/* Replaces the faults; units under way stay as they are. */
void sim_net_set_faults(struct sim_net *net, const struct sim_net_faults *faults);
struct sim_net_counters sim_net_counters(const struct sim_net *net);

#endif
