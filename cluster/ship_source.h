/* ship_source: gives images of this node's database to members that ask for them. It does not know how images
 * are taken (images.h), nor what becomes of what it gives.
 *
 * A question for a manifest that no kept image answers starts a take, and hears Q_BUSY until it is there. A
 * chunk is read, verified by its name, and sent whole or, if the question brought the sums of another version
 * of it, as a delta where that is shorter. What turns out to be damaged is not given but dropped: the next
 * question for a manifest has a new image taken.
 *
 * Answers leave one after the other, as bulk, and not faster than the rate allows. A bounded number of
 * questions waits.
 *
 * Threads: loop only; files are read on the reader lane. */
#ifndef QUORATE_CLUSTER_SHIP_SOURCE_H
#define QUORATE_CLUSTER_SHIP_SOURCE_H

#include "cluster/images.h"
#include "cluster/ship.h"

struct ship_source;

enum {
    SHIP_SOURCE_WAITING = 64,  /* questions that wait */
    SHIP_SOURCE_OF_ONE = 16,   /* ... of one member */
    SHIP_SOURCE_OPEN_MS = 3000 /* after the last question a shipment counts as under way for so long */
};

struct ship_source_progress {
    bool open;            /* somebody asks */
    uint64_t to;          /* who did last */
    uint64_t index, term; /* of the image that was asked for last */
    uint64_t chunks, bytes_wire, bytes_per_s;
};

struct ship_source_config {
    struct env *env;
    const char *dir; /* kept */
    struct images *images;
    uint64_t rate; /* bytes a second; 0: no limit */
    uint8_t answer_type;
    bool (*send)(void *ctx, uint64_t to, uint8_t type, const void *body, size_t n);
    /* Whether an image that holds at least INDEX could be taken now: 0 or why not. */
    int (*may_take)(void *ctx, uint64_t index, struct error *e);
    void (*fatal)(void *ctx, const struct error *why); /* the disk failed */
    void *ctx;
};

int ship_source_new(const struct ship_source_config *config, struct ship_source **ret_source,
                    struct error *e);
/* Idle, or the world has crashed. NULL is fine. */
void ship_source_free(struct ship_source *s);

/* A question of member FROM. Q_CORRUPT: it is not understood. */
int ship_source_received(struct ship_source *s, uint64_t from, const uint8_t *body, size_t n,
                         struct error *e);
/* Call about every 50 ms. */
void ship_source_tick(struct ship_source *s);
/* Answers nothing any more; wait for ship_source_idle(). */
void ship_source_stop(struct ship_source *s);
bool ship_source_idle(const struct ship_source *s);

struct ship_source_progress ship_source_progress(const struct ship_source *s);
void ship_source_metrics(struct ship_source *s, struct metrics *metrics);

#endif
