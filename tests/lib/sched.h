/* sched: virtual time. One binary heap of events ordered by (time, sequence), one seeded generator, one
 * running hash of everything that happened. It does not know about nodes, disks or networks.
 *
 * An event is embedded in the object it belongs to; scheduling takes no memory and cancelling is O(log n).
 * A gate holds events back: one that falls due while its gate is closed waits there, and falls due again, in
 * the same order, when the gate opens. That is how a stopped process and a stuck disk are made. */
#ifndef QUORATE_TESTS_LIB_SCHED_H
#define QUORATE_TESTS_LIB_SCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/list.h"
#include "base/rng.h"

/* What events are, for the trace and the hash. */
#define EVENT_KINDS(X)                                                                                       \
    X(CALL, "call")                                                                                          \
    X(TIMER, "timer")                                                                                        \
    X(RUN, "run")                                                                                            \
    X(FINISH, "finish")                                                                                      \
    X(DONE, "done")                                                                                          \
    X(LAND, "land")                                                                                          \
    X(WRITTEN, "written")                                                                                    \
    X(FLUSH, "flush")                                                                                        \
    X(ARRIVE, "arrive")                                                                                      \
    X(DELIVER, "deliver")                                                                                    \
    X(PATIENCE, "patience")                                                                                  \
    X(CLOSED, "closed")

#define EVENT_ENUM(name, text) EVENT_##name,
enum event_kind { EVENT_KINDS(EVENT_ENUM) EVENT_KIND_COUNT };
#undef EVENT_ENUM

struct gate {
    bool closed;
    struct list held; /* struct event.held, in the order they fell due */
};

struct event {
    void (*fire)(struct event *);
    struct gate *gate; /* NULL: nothing holds it back */
    size_t slot;       /* place in the heap plus one; 0 when not there */
    struct list held;
    enum event_kind kind;
    unsigned node; /* whose event, for the trace and the hash */
};

struct sched_slot {
    uint64_t at_us, sequence;
    struct event *event;
};

struct sched {
    struct sched_slot *heap;
    size_t len, cap;
    uint64_t now_us, sequence, fired, hash;
    struct rng rng;
    FILE *trace; /* one line per event when not NULL */
};

void sched_init(struct sched *s, uint64_t seed);
/* Events that are still scheduled are forgotten, not fired. */
void sched_close(struct sched *s);

/* GATE may be NULL. FIRE may free the event or schedule it again. */
void event_init(struct event *ev, enum event_kind kind, unsigned node, struct gate *gate,
                void (*fire)(struct event *));
/* Scheduled or held back. */
bool event_pending(const struct event *ev);

/* AT_US in the past means now. An event that is pending already is moved. */
void sched_at(struct sched *s, struct event *ev, uint64_t at_us);
void sched_after(struct sched *s, struct event *ev, uint64_t delay_us);
/* No-op when not pending. */
void sched_cancel(struct sched *s, struct event *ev);
/* Fires the next event; false when there is none. */
bool sched_step(struct sched *s);
/* When the next event falls due, UINT64_MAX when there is none. */
uint64_t sched_next_us(const struct sched *s);

void gate_init(struct gate *g);
void gate_close(struct gate *g);
void gate_open(struct sched *s, struct gate *g);

/* Folds a value into the hash. */
void sched_fold(struct sched *s, uint64_t value);
/* Uniform in [low, high]. */
uint64_t sched_random(struct sched *s, uint64_t low, uint64_t high);
/* True with a chance of PPM in a million; draws nothing when PPM is 0. */
bool sched_chance(struct sched *s, unsigned ppm);

/* Zeroed memory; stops the process when there is none. */
void *sim_alloc(size_t n);
char *sim_strdup(const char *text);

#endif
