/* sim_wire: one connection as the network sees it: two pipes of units under way. It knows nodes and cuts;
 * what the processes at its ends see is sim_conn's. The simulator's own header.
 *
 * A wire lives until both ends have left and nothing is under way. Openings and endings are units too: SYN,
 * SYNACK, FIN, RST. */
#ifndef QUORATE_TESTS_LIB_SIM_WIRE_H
#define QUORATE_TESTS_LIB_SIM_WIRE_H

#include "base/env.h"
#include "tests/lib/sched.h"
#include "tests/lib/sim.h"
#include "tests/lib/sim_net.h"

enum unit_kind {
    UNIT_SYN,
    UNIT_SYNACK,
    UNIT_DATA,
    UNIT_FIN,
    UNIT_RST,
    UNIT_TIMEOUT, /* never under way: what a side finds when its patience ends */
};

struct unit {
    struct list link;
    enum unit_kind kind;
    uint64_t at_us; /* when it arrives */
    uint8_t *bytes; /* free() */
    size_t n;
};

/* From node[side] to the other. */
struct pipe {
    struct wire *wire;
    unsigned side;
    struct list units;       /* under way, by arrival */
    struct event arrive;     /* of the first of them; not pending while stalled */
    struct event patience;   /* pending while something is not acknowledged */
    bool stalled;            /* the first unit cannot get through */
    uint64_t last_us;        /* no unit in order arrives before it */
    uint64_t sent;           /* data units so far */
    size_t in_flight;        /* bytes that were sent and not read */
    size_t unacknowledged;   /* of those, bytes that were read while the way back was cut */
    struct env_conn *sender; /* NULL when that end has left or was never there */
};

struct wire {
    struct sim_net *net;
    uint64_t id;
    char *address;            /* that was dialled */
    struct sim_node *node[2]; /* 0 has dialled */
    struct pipe pipe[2];
    struct list link; /* in net->wires */
};

struct sim_net {
    struct sched *sched;
    struct sim_net_faults faults;
    struct sim_net_counters counters;
    uint64_t cut_to[SIM_NODES_MAX], clog_to[SIM_NODES_MAX]; /* one bit per node */
    uint64_t slow_us[SIM_NODES_MAX][SIM_NODES_MAX];         /* from, to */
    struct list wires, listeners;
    struct list addresses; /* struct address in sim_net.c */
    uint64_t next_wire;
};

struct sim_net *sim_net_new(struct sched *sched);
/* No process lives any more. */
void sim_net_free(struct sim_net *net);
/* The address is that node's from now on. */
void sim_net_remember(struct sim_net *net, const char *address, struct sim_node *node);
/* NULL when nobody ever listened there. */
struct sim_node *sim_net_whose(struct sim_net *net, const char *address);

static_assert(SIM_NODES_MAX <= 64, "one bit per node in cut_to");

struct unit *unit_new(enum unit_kind kind, uint8_t *bytes, size_t n);
void unit_free(struct unit *unit);
void units_free(struct list *units);

struct wire *wire_new(struct sim_net *net, struct sim_node *from, struct sim_node *to, const char *address);
void wire_free(struct wire *wire);
/* The unit is given. */
void wire_send(struct wire *wire, unsigned side, enum unit_kind kind, uint8_t *bytes, size_t n);
/* Whether N more bytes fit into the window; anything fits into an empty one. */
bool wire_has_room(const struct wire *wire, unsigned side, size_t n);
/* The process on SIDE has read N bytes that the other side sent. */
void wire_read(struct wire *wire, unsigned side, size_t n);
/* The end on SIDE is gone; the wire may be freed. What it sent stays under way. */
void wire_leave(struct wire *wire, unsigned side);
/* The same, of a machine without power: what it sent arrives up to some unit, then a reset if it is answered
 * for. */
void wire_lose_power(struct wire *wire, unsigned side);
/* Looks again at everything that waits, after a cut, a clog, a heal or a boot. */
void wires_refresh(struct sim_net *net);

#endif
