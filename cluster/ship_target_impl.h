/* ship_target_impl: what ship_target.c (from one state to the next), ship_ask.c (manifests) and ship_fetch.c
 * (chunks) share. */
#ifndef QUORATE_CLUSTER_SHIP_TARGET_IMPL_H
#define QUORATE_CLUSTER_SHIP_TARGET_IMPL_H

#include "base/object.h"
#include "cluster/ship_givers.h"
#include "cluster/ship_target.h"

enum { SHIP_TARGET_MAGIC = 0x51c0de13 };

enum ship_counter { C_RECEIVED_BYTES, C_REUSED, C_FETCHED, C_WRONG, C_STAGED, SHIP_TARGET_COUNTERS };

/* One chunk from the moment that it is found missing until it is in the stage.
 *
 *     FREE --> FILLING --> READY --> ASKED --> ANSWERED --> PUTTING --> FREE
 *                            ^ ^       |                       |
 *                            | +-------+ not there, too late   |
 *                            +---------------------------------+ it is not what it should be
 *
 * The worker lane touches those that are FILLING or PUTTING, the loop all others. */
enum flight_state {
    FLIGHT_FREE,
    FLIGHT_FILLING,
    FLIGHT_READY,
    FLIGHT_ASKED,
    FLIGHT_ANSWERED,
    FLIGHT_PUTTING
};

struct flight {
    enum flight_state state;
    uint32_t chunk;
    bool filled; /* on the lane: CHUNK is another one that is missing */
    bool has_base;
    uint8_t base[DELTA_SUMS_BYTES];
    uint64_t number, to;
    enum ship_kind kind; /* of the answer */
    struct buf bytes;    /* the answer */
    int rc;              /* of putting it */
    struct error error;
};

struct ship_target {
    OBJECT_MAGIC;
    struct ship_target_config config;
    enum ship_state state;
    bool needed, stopped, dead;
    bool restart; /* what is staged is too old: another manifest is needed */
    bool tell;    /* STAGED: say so at the next tick */
    bool clear;   /* remove what is staged */
    uint64_t at_least;
    uint64_t session, number;
    struct ship_givers givers;
    struct buf question;

    /* ASKING */
    struct buf manifest_bytes;
    uint64_t asked, asked_number, ask_deadline_ms; /* 0: nobody is being asked */
    unsigned next;                                 /* in the list of members */
    unsigned declined;                             /* in this round */
    uint64_t part_index, part_term, part_bytes;    /* of the manifest that comes in parts; 0: none yet */
    struct error trouble;                          /* why there is none yet */

    struct manifest manifest;
    uint64_t giver; /* of the manifest */
    bool manifests; /* there was one before */

    /* On the lane. */
    bool busy;
    struct env_work work;
    struct stage *stage;
    uint32_t cursor; /* where to look for the next missing chunk */
    bool flag;       /* scanned, verified; while fetching: nothing more is missing */
    struct stage_progress staged;
    int rc;
    struct error error;

    struct flight flights[SHIP_FLIGHTS];
    uint64_t again_ms; /* for want of room: not before then */
    uint64_t said_ms, rate_since_ms, rate_bytes, bytes_per_s, bytes_wire;
    struct metric counters[SHIP_TARGET_COUNTERS];
};

/* Runs the work of STATE on the worker lane. */
void ship_target_run(struct ship_target *t, enum ship_state state);
void ship_target_say(struct ship_target *t, enum ship_event event, uint64_t who, const struct error *why);
/* Member ID gave what is not what it should be. */
void ship_target_wrong(struct ship_target *t, uint64_t id, const struct error *why);
bool ship_target_ask(struct ship_target *t, uint64_t to, struct ship_question *question);

/* ship_ask.c */
void ship_ask_begin(struct ship_target *t);
void ship_ask_poll(struct ship_target *t);
void ship_ask_answered(struct ship_target *t, uint64_t from, const struct ship_answer *answer);
void ship_ask_down(struct ship_target *t, uint64_t id);

/* ship_fetch.c */
void ship_fetch_begin(struct ship_target *t);
void ship_fetch_on_lane(struct ship_target *t);
void ship_fetch_done(struct ship_target *t);
void ship_fetch_poll(struct ship_target *t);
void ship_fetch_answered(struct ship_target *t, uint64_t from, const struct ship_answer *answer);
void ship_fetch_down(struct ship_target *t, uint64_t id);
/* Forgets what is on its way. */
void ship_fetch_end(struct ship_target *t);

#endif
